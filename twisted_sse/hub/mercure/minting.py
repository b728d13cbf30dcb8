"""
Making tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .claims import DETAIL
from .compact import serialize
from .dialect import Dialect
from .keys import SigningKey

__all__ = ["claims0", "claims1", "mint"]

#: The types of tokens: RFC 7519, 5.1, and RFC 9068, 2.1.
_TYPES = {Dialect.V0: "JWT", Dialect.V1: "at+jwt"}


def claims0(
    publish: Iterable[str], subscribe: Iterable[str], payload: Any = None
) -> dict[str, Any]:
    """
    @param publish: selectors of the topics that may be published to.
    @param subscribe: selectors of the topics whose private updates may be got.
    @param payload: what subscription events tell about the subscriber; L{None} for nothing.
    @return: the claim of a token of 0.x.
    """
    claim: dict[str, Any] = {"publish": list(publish), "subscribe": list(subscribe)}
    if payload is not None:
        claim["payload"] = payload
    return {"mercure": claim}


def claims1(
    publish: Iterable[tuple[str, str]],
    subscribe: Iterable[tuple[str, str]],
    payload: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """
    @param publish: the topics that may be published to: C{"exact"} or C{"urlpattern"}, and the text.
    @param subscribe: likewise, the topics whose private updates may be got.
    @param payload: what subscription events tell about the subscriber.
    @return: the claim of a token of 1.0.
    """
    details: list[dict[str, Any]] = []
    for action, matchers in ("publish", list(publish)), ("subscribe", list(subscribe)):
        if matchers:
            topics = [{"match": text, "match_type": kind} for kind, text in matchers]
            details.append({"type": DETAIL, "actions": [action], "topics": topics})
            if payload is not None and action == "subscribe":
                details[-1]["payload"] = dict(payload)
    return {"authorization_details": details}


def mint(
    key: SigningKey, dialect: Dialect, claims: Mapping[str, Any], identifier: str | None = None
) -> str:
    """
    Make a token.

    @param claims: all of its claims.
    @param identifier: the C{kid} of the key, where a hub knows several.
    """
    header = {"alg": key.algorithm, "typ": _TYPES[dialect]}
    if identifier is not None:
        header["kid"] = identifier
    signed = f"{serialize(header)}.{serialize(dict(claims))}"
    return f"{signed}.{serialize(key.sign(signed.encode('ascii')))}"
