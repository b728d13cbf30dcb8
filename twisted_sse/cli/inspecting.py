"""
What C{twisted-sse token inspect} says about a token.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timezone
from typing import Any

from twisted.internet.defer import Deferred

from ..checks import InvalidOption
from ..hub.mercure.claims import (
    Granted,
    Registered,
    checkAudience,
    checkIssuer,
    checkTimes,
    granted0,
    granted1,
    isAccessToken,
    registered,
)
from ..hub.mercure.compact import Compact, parse
from ..hub.mercure.dialect import Dialect
from ..hub.mercure.grants import Grants
from ..hub.mercure.jwks import RemoteKeys, readSource
from ..hub.mercure.selectors import Selector
from ..hub.mercure.tokens import Use, Verifier
from ..hub.mercure.unverified import Unverified
from ..printable import shown

__all__ = ["Inspection"]

#: What a selector is, to people.
KINDS = {"topic": "", "exact": "", "urlpattern": "the URL pattern "}

_UNITS = (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1))


class Inspection:
    """
    A token that is looked at.

    @ivar wrong: why a hub refuses it; empty if it does not, as far as is known.
    """

    def __init__(
        self, text: str, issuer: str | None, audience: str | None, now: Callable[[], float]
    ) -> None:
        """
        @param text: the token.
        @param issuer: who is trusted; L{None} for the one that it names.
        @param audience: the resource identifier of the hub; L{None} for the one that it names.
        """
        self.wrong: list[str] = []
        self._text = text
        self._now = now()
        self._issuer = issuer
        self._audience = audience
        self._isChecked = False
        self._said: Registered | None = None
        self._granted: Granted | None = None
        self._parsed: Compact | None = self._attempt(lambda: parse(text))
        if self._parsed is None:
            return
        self._dialect = Dialect.V1 if isAccessToken(self._parsed.header) else Dialect.V0
        claims = self._parsed.claims
        isNew = self._dialect is Dialect.V1
        self._said = self._attempt(lambda: registered(claims, isNew))
        if isNew and self._audience is None and self._said is not None and self._said.audience:
            self._audience = self._said.audience[0]
        self._granted = self._attempt(
            lambda: granted1(claims, self._audience or "") if isNew else granted0(claims)
        )
        said = self._said
        if said is None:
            return
        if isNew:
            trusted = [said.issuer or ""] if issuer is None else [issuer]
            self._attempt(lambda: checkIssuer(said, trusted))
            self._attempt(lambda: checkAudience(said, self._audience))
        self._attempt(lambda: checkTimes(said, self._now))

    def check(self, key: str, algorithm: str | None) -> None:
        """
        Check it as a hub does.

        @param key: the key of the hub.
        @raise InvalidOption: if that is none.
        """
        source = readSource("key", key, algorithm, None)
        if isinstance(source, RemoteKeys):
            raise InvalidOption("key", "is a URL: download it and give the file")
        self._isChecked = True
        if self._parsed is None or self._said is None:
            return
        issuer = self._said.issuer if self._issuer is None else self._issuer
        verifier = Verifier(
            [self._dialect],
            subscriber=source,
            issuers={} if issuer is None else {issuer: source},
            # Without any, that is what is wrong, and nothing can be.
            resource=self._audience or " ",
            base=self._audience or "",
            now=lambda: self._now,
        )
        checking = Deferred.fromCoroutine(verifier.verify(self._text, Use.SUBSCRIBE))
        checking.addErrback(self._refused)

    def lines(self, topics: Iterable[str]) -> Iterator[str]:
        """
        Say what is known.

        @param topics: those to say of what it may do with them.
        """
        if self._parsed is not None:
            yield from self._about(self._parsed)
        if self._granted is not None:
            yield from _may("It may publish to", self._granted.publish)
            yield from _may("It may receive private updates of", self._granted.subscribe)
            publish, subscribe = Grants(self._granted.publish), Grants(self._granted.subscribe)
            for topic in topics:
                yield (
                    f"{shown(topic)}: the token {_can(publish, topic)} publish to "
                    f"this topic, and {_can(subscribe, topic)} receive its private "
                    "updates."
                )
        for why in dict.fromkeys(self.wrong):
            yield f"A hub would reject it: {why}."
        if not self.wrong:
            if self._isChecked:
                isNew = self._dialect is Dialect.V1
                named = (
                    f" and the resource identifier {shown(self._audience or '')}" if isNew else ""
                )
                yield f"A hub with this key{named} would accept it."
            else:
                yield "The signature was not checked: add --key."

    def _attempt(self, read: Callable[[], Any]) -> Any:
        """
        @return: what is read; L{None} if that is wrong.
        """
        try:
            return read()
        except Unverified as e:
            self.wrong.append(str(e))
            return None

    def _refused(self, failure: Any) -> None:
        failure.trap(Unverified)
        self.wrong.append(str(failure.value))

    def _about(self, parsed: Compact) -> Iterator[str]:
        named = parsed.header.get("kid")
        key = f', key "{shown(named)}"' if isinstance(named, str) else ""
        algorithm = shown(str(parsed.header.get("alg")))
        yield f"A token for Mercure {self._dialect.value}, signed with {algorithm}{key}."
        if self._said is None:
            return
        for name, value in (
            ("Issuer", self._said.issuer),
            ("Audience", ", ".join(self._said.audience)),
            ("Subject", self._said.subject),
            ("ID", self._said.identifier),
        ):
            if value:
                yield f"{name}: {shown(value)}"
        if self._said.begins is not None:
            yield f"It is valid from {_when(self._said.begins, self._now)}."
        if self._said.expires is None:
            yield "It never expires."
        else:
            verb = "expires" if self._said.expires > self._now else "expired"
            yield f"It {verb} {_when(self._said.expires, self._now)}."


def _may(what: str, selectors: tuple[Selector, ...]) -> Iterator[str]:
    if any(each.isEverything for each in selectors):
        yield f"{what} every topic."
    elif selectors:
        yield f"{what}:"
        for each in selectors:
            kind = "the URI template " if _isTemplate(each) else KINDS[each.kind]
            yield f"  {kind}{shown(each.text)}"
    else:
        yield f"{what} no topic."


def _isTemplate(selector: Selector) -> bool:
    return selector.kind == "topic" and selector.exact is None


def _can(grants: Grants, topic: str) -> str:
    return "may" if grants.permits(topic) else "may not"


def _when(moment: float, now: float) -> str:
    """
    @return: a time, and how far away it is.
    """
    text = datetime.fromtimestamp(moment, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
    away = abs(moment - now)
    name, seconds = next((each for each in _UNITS if away >= 2 * each[1]), _UNITS[-1])
    count = int(away // seconds)
    span = f"{count} {name}{'' if count == 1 else 's'}"
    return f"{text}, in {span}" if moment > now else f"{text}, {span} ago"
