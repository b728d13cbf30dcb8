"""
What the claims of a token say.

In the protocol 0.x a claim C{mercure} has lists of selectors.  In 1.0 the claims are those of an OAuth
access token (RFC 9068), and C{authorization_details} (RFC 9396) say what it may do; anything wrong
with them makes the whole token invalid, so that no client relies on half of what was meant.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...printable import shown
from .selectors import InvalidSelector, Selector, matcher, selector
from .unverified import Reason, Unverified

__all__ = [
    "DETAIL",
    "LEEWAY",
    "Granted",
    "Registered",
    "checkAudience",
    "checkIssuer",
    "checkTimes",
    "granted0",
    "granted1",
    "hasMercure",
    "isAccessToken",
    "registered",
    "showing",
]

#: The two names of the claim in 0.x.  The second one wins.
MERCURE = "mercure"
NAMESPACED = "https://mercure.rocks/"

#: The type of the details that are about Mercure.
DETAIL = "https://mercure.rocks/authorization-detail"

#: The type of an access token: RFC 9068, 2.1, and RFC 7515, 4.1.9.
ACCESS_TOKEN = ("at+jwt", "application/at+jwt")

#: The limits of a token: how many selectors a list has in 0.x; how many details, and how many topics
#: they have together, in 1.0.
MOST_SELECTORS = 1000
MOST_DETAILS = 100
MOST_TOPICS = 100

#: The year 10000.  What is later is in milliseconds, and would never end.
LAST_TIME = 253402300800

#: How early a token may come before its C{nbf}, in seconds: the clock of who made it may be ahead of
#: ours.  There is none for C{exp}: a stream must end by then.
LEEWAY = 5.0

#: How much of a value is shown in an error, in characters.
MOST_SHOWN = 80


@dataclass(frozen=True)
class Granted:
    """
    What a token grants.

    @ivar publish: which topics it may publish to.
    @ivar subscribe: which topics' private updates it may get.
    @ivar payloads: what subscription events tell about the subscriber: the first whose selectors match,
        L{None} for all.
    """

    publish: tuple[Selector, ...]
    subscribe: tuple[Selector, ...]
    payloads: tuple[tuple[tuple[Selector, ...] | None, Any], ...] = field(repr=False)


@dataclass(frozen=True)
class Registered:
    """
    The claims that RFC 7519, 4.1 registers.

    @ivar expires: when the token ends, in seconds since 1970; L{None} for never.
    @ivar begins: when it begins to be valid.
    """

    issuer: str | None
    subject: str | None
    identifier: str | None
    audience: tuple[str, ...]
    expires: float | None
    begins: float | None


def isAccessToken(header: Mapping[str, Any]) -> bool:
    """
    Whether a token says that it is one of 1.0.
    """
    kind = header.get("typ")
    return isinstance(kind, str) and kind.lower() in ACCESS_TOKEN


def hasMercure(claims: Mapping[str, Any]) -> bool:
    """
    Whether a token has a claim of 0.x.
    """
    return claims.get(MERCURE) is not None or claims.get(NAMESPACED) is not None


def registered(claims: Mapping[str, Any], isStrict: bool) -> Registered:
    """
    Read the registered claims.

    @param isStrict: whether C{exp} must be there, and a claim that is C{null} is wrong, as in 1.0.  In
        0.x it is the same as none.
    @raise Unverified: if one is not of its type.
    """
    if not isStrict:
        claims = {name: value for name, value in claims.items() if value is not None}
    expires = _time(claims, "exp")
    if isStrict and expires is None:
        raise _wrong("has no exp, which 1.0 requires")
    # The time when it was made does not matter, but must be a time.
    _time(claims, "iat")
    return Registered(
        issuer=_text(claims, "iss"),
        subject=_text(claims, "sub"),
        identifier=_text(claims, "jti"),
        audience=_audience(claims),
        expires=expires,
        begins=_time(claims, "nbf"),
    )


def checkTimes(said: Registered, now: float) -> None:
    """
    Check that a token is good at a time.

    @param now: seconds since 1970.
    @raise Unverified: if it is not.
    """
    if said.begins is not None and said.begins > now + LEEWAY:
        raise Unverified(
            Reason.EARLY,
            f"the token becomes valid in {_seconds(said.begins - now)}: check the clocks",
        )
    if said.expires is not None and now >= said.expires:
        raise Unverified(
            Reason.EXPIRED, f"the token expired {_seconds(now - max(said.expires, 0))} ago"
        )


def _seconds(count: float) -> str:
    return "1 second" if round(count) == 1 else f"{count:.0f} seconds"


def checkAudience(said: Registered, resource: str | None) -> None:
    """
    Check that a token of 1.0 is for a hub.

    @param resource: the resource identifier of the hub.
    @raise Unverified: if it is not.
    """
    if not said.audience:
        raise Unverified(Reason.AUDIENCE, "the token has no aud, which in 1.0 must name this hub")
    if resource not in said.audience:
        raise Unverified(
            Reason.AUDIENCE,
            f"the audience of the token is {showing(list(said.audience))}, but this hub is"
            f" {showing(resource)}",
        )


def checkIssuer(said: Registered, trusted: Container[str]) -> str:
    """
    Check who has made a token of 1.0.

    @param trusted: the issuers that are trusted.
    @return: the issuer.
    @raise Unverified: if it is none of them.
    """
    if said.issuer is None:
        raise Unverified(
            Reason.ISSUER, "the token has no iss, which in 1.0 must name a trusted issuer"
        )
    if said.issuer not in trusted:
        raise Unverified(
            Reason.ISSUER,
            f"the issuer of the token is {showing(said.issuer)}, which this hub does not trust",
        )
    return said.issuer


def granted0(claims: Mapping[str, Any]) -> Granted:
    """
    Read what a token of 0.x grants.

    @raise Unverified: if a claim is not of its type.
    """
    name = NAMESPACED if claims.get(NAMESPACED) is not None else MERCURE
    claim = claims.get(name)
    if claim is None:
        return Granted((), (), ())
    if not isinstance(claim, dict):
        raise _wrong(f"has the claim {name}, but it is not an object")
    payload = claim.get("payload")
    return Granted(
        publish=_selectors(name, claim, "publish"),
        subscribe=_selectors(name, claim, "subscribe"),
        payloads=() if payload is None else ((None, payload),),
    )


def granted1(claims: Mapping[str, Any], base: str) -> Granted:
    """
    Read what a token of 1.0 grants.

    @param base: the URL of the hub, which patterns are relative to.
    @raise Unverified: if anything in it is wrong.
    """
    details = claims.get("authorization_details", [])
    if not isinstance(details, list):
        raise _wrong("has authorization_details that are not an array")
    if len(details) > MOST_DETAILS:
        raise _wrong(
            f"has {len(details)} authorization_details: at most {MOST_DETAILS} are accepted"
        )
    publish: list[Selector] = []
    subscribe: list[Selector] = []
    payloads: list[tuple[tuple[Selector, ...] | None, Any]] = []
    count = 0
    for number, detail in enumerate(details):
        place = f"authorization_details[{number}]"
        if not isinstance(detail, dict):
            raise _wrong(f"has {place} that is not an object")
        if detail.get("type") != DETAIL:
            # Another API's.
            continue
        actions = _actions(place, detail)
        topics = _member(place, detail, "topics", list)
        count += len(topics)
        if count > MOST_TOPICS:
            raise _wrong(f"has more than {MOST_TOPICS} topics in its authorization_details")
        selectors = tuple(
            _matcher(f"{place}.topics[{index}]", topic, base) for index, topic in enumerate(topics)
        )
        if not selectors:
            raise _wrong(f"has {place} without a topic")
        payload = _member(place, detail, "payload", dict) if "payload" in detail else None
        if "publish" in actions:
            publish += selectors
        if "subscribe" in actions:
            subscribe += selectors
            # The first that matches counts, even if it has none.
            payloads.append((selectors, payload))
    while payloads and payloads[-1][1] is None:
        payloads.pop()
    return Granted(tuple(publish), tuple(subscribe), tuple(payloads))


def _wrong(what: str) -> Unverified:
    return Unverified(Reason.CLAIMS, f"the token {what}")


def showing(value: object) -> str:
    """
    Show a value of a claim in an error.
    """
    text = shown(repr(value))
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}.."


def _text(claims: Mapping[str, Any], name: str) -> str | None:
    value = claims.get(name)
    if name in claims and not isinstance(value, str):
        raise _wrong(f"has a {name} that is not a string")
    return value


def _audience(claims: Mapping[str, Any]) -> tuple[str, ...]:
    value = claims.get("aud", [])
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(each, str) for each in values):
        raise _wrong("has an aud that is neither a string nor an array of strings")
    return tuple(values)


def _time(claims: Mapping[str, Any], name: str) -> float | None:
    """
    Read a time: RFC 7519, 2, "NumericDate".
    """
    if name not in claims:
        return None
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _wrong(f"has an {name} that is not a number")
    if not value < LAST_TIME:
        raise _wrong(f"has an {name} beyond the year 9999: it must be in seconds since 1970")
    # What is long before 1970 is only past, and might be too large for a float.
    return float(max(value, -1))


def _selectors(name: str, claim: Mapping[str, Any], action: str) -> tuple[Selector, ...]:
    texts = claim.get(action)
    if texts is None:
        return ()
    if not isinstance(texts, list) or not all(isinstance(each, str) for each in texts):
        raise _wrong(f"has {name}.{action} that is not an array of strings")
    if len(texts) > MOST_SELECTORS:
        raise _wrong(f"has {len(texts)} selectors in {name}.{action}: at most {MOST_SELECTORS}")
    try:
        return tuple(map(selector, texts))
    except InvalidSelector as e:
        raise _wrong(f"has a selector in {name}.{action} that is not valid: {e}") from e


def _member(place: str, detail: Mapping[str, Any], name: str, kind: type) -> Any:
    value = detail.get(name)
    if not isinstance(value, kind):
        what = "an array" if kind is list else "an object"
        raise _wrong(f"has {place}.{name} that is not {what}")
    return value


def _actions(place: str, detail: Mapping[str, Any]) -> list[str]:
    actions: list[str] = _member(place, detail, "actions", list)
    if not actions or not all(isinstance(each, str) for each in actions):
        raise _wrong(f"has {place}.actions that is not an array of at least one string")
    return actions


def _matcher(place: str, topic: object, base: str) -> Selector:
    if not isinstance(topic, dict):
        raise _wrong(f"has {place} that is not an object such as {{'match': '..'}}")
    text, kind = topic.get("match"), topic.get("match_type", "exact")
    if not isinstance(text, str) or not text:
        raise _wrong(f"has {place}.match that is not a string, or empty")
    if not isinstance(kind, str):
        raise _wrong(f"has {place}.match_type that is not a string")
    try:
        return matcher(kind, text, base)
    except InvalidSelector as e:
        raise _wrong(f"has {place} that is not valid: {e}") from e
