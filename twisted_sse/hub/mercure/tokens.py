"""
Tokens, and whether they are good.
"""

from __future__ import annotations

import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from hashlib import sha256
from typing import Any, NamedTuple

from ...checks import InvalidOption
from .claims import (
    Granted,
    Registered,
    checkAudience,
    checkIssuer,
    checkTimes,
    granted0,
    granted1,
    hasMercure,
    isAccessToken,
    registered,
    showing,
)
from .compact import Compact, parse
from .dialect import Dialect
from .grants import Grants
from .keys import Key, KeySource
from .selectors import Selector
from .unverified import Reason, Unverified

__all__ = ["Token", "Use", "Verifier"]

#: How many tokens are known at a time, and how many characters they have together: what is in one takes
#: 8 to 18 times as much memory.  How many different templates and patterns they have together, which
#: need up to 100 kB each, and how many different grants are shared.
MOST_KNOWN = 10_000
MOST_CHARACTERS = 2**23
MOST_PATTERNS = 1000
MOST_GRANTS = 256

#: How many keys are tried for a token that does not name its key.
MOST_TRIED = 10


class Use(Enum):
    """
    What a token is for.  In 0.x there may be a key for each.
    """

    PUBLISH = "publish"
    SUBSCRIBE = "subscribe"


@dataclass(frozen=True)
class Token:
    """
    A token that is good.

    @ivar dialect: whose rules it is good by.
    @ivar publish: which topics it may publish to.
    @ivar subscribe: which topics' private updates it may get.
    @ivar expires: when it ends, in seconds since 1970; L{None} for never.
    @ivar subject: its C{sub}.
    @ivar identifier: its C{jti}.
    @ivar issuer: its C{iss}; that of 0.x is only a claim.
    """

    dialect: Dialect
    publish: Grants = field(repr=False)
    subscribe: Grants = field(repr=False)
    payloads: tuple[tuple[Grants | None, Any], ...] = field(repr=False)
    expires: float | None
    subject: str | None
    identifier: str | None
    issuer: str | None

    def payloadFor(self, selector: str) -> Any:
        """
        Find what subscription events tell about the subscriber.

        @param selector: the text of what is subscribed to, taken as a topic.
        @return: a value of JSON; L{None} for nothing.
        """
        for grants, payload in self.payloads:
            if grants is None or grants.permits(selector):
                return payload
        return None


class _Known(NamedTuple):
    """
    A token that is known to be good.

    @ivar held: the keys: one was good for it.
    @ivar patterns: its templates and patterns, each once.
    @ivar size: how many characters it has.
    """

    token: Token
    said: Registered
    source: KeySource
    held: tuple[Key, ...]
    patterns: frozenset[Selector]
    size: int


class Verifier:
    """
    Decides which tokens are good.

    A token of 1.0 says so in its header.  A hub that speaks 1.0 checks it by the rules of 1.0 alone,
    with the keys of its issuer alone.  One that does not say so is checked by those of 0.x alone, with
    the keys for 0.x alone.
    """

    def __init__(
        self,
        dialects: Iterable[Dialect],
        *,
        publisher: KeySource | None = None,
        subscriber: KeySource | None = None,
        issuers: Mapping[str, KeySource] | None = None,
        resource: str | None = None,
        base: str = "",
        now: Callable[[], float] = time.time,
    ) -> None:
        """
        @param dialects: those that the hub speaks.
        @param publisher: the keys of tokens that publish, for 0.x.
        @param subscriber: the keys of tokens that subscribe, for 0.x.
        @param issuers: the keys of each issuer that is trusted, for 1.0.
        @param resource: the resource identifier of the hub, which must be in the audience of a token of
            1.0.
        @param base: the URL of the hub, which the patterns of a token of 1.0 are relative to.
        @param now: the time of day, in seconds since 1970.
        @raise InvalidOption: if there are issuers, and no resource identifier.
        """
        self.dialects = frozenset(dialects)
        self._sources = {Use.PUBLISH: publisher, Use.SUBSCRIBE: subscriber}
        self._issuers = dict(issuers or {})
        if self._issuers and Dialect.V1 in self.dialects and not resource:
            raise InvalidOption(
                "resourceIdentifier",
                "is missing: the aud of tokens of trusted issuers must name this "
                "hub; give the name they use, usually the URL of the hub",
            )
        self._resource = resource
        self._base = base
        self._now = now
        self._known: OrderedDict[tuple[bytes, Use], _Known] = OrderedDict()
        # How many of the tokens have each.
        self._patterns: Counter[Selector] = Counter()
        self._size = 0
        self._grants = lru_cache(MOST_GRANTS)(Grants)

    async def verify(self, text: str, use: Use, accepted: Iterable[Dialect] | None = None) -> Token:
        """
        Check a token.  It takes time only where keys have to be fetched.

        @param text: the token.
        @param use: what it is used for.
        @param accepted: the dialects that it may be of, where it has come in a place that is not for
            all.  How it is checked does not depend on that.
        @raise Unverified: if it is not good.
        """
        digest = sha256(text.encode("utf-8", "surrogatepass")).digest()
        known = self._known.get((digest, use))
        # Keys that have changed may no longer be good for it.
        if known is None or known.source.held() is not known.held:
            known = await self._check(parse(text), use, len(text))
            self._keep((digest, use), known)
        else:
            # Before it counts as used: one that has ended makes way.
            checkTimes(known.said, self._now())
            self._known.move_to_end((digest, use))
        token = known.token
        if accepted is not None and token.dialect not in accepted:
            raise Unverified(
                Reason.PRESENTED,
                f"a token of {token.dialect.value} must not be sent here: see the documentation of tokens",
            )
        return token

    def close(self) -> None:
        """
        Fetch no more keys.
        """
        for source in (*self._sources.values(), *self._issuers.values()):
            if source is not None:
                source.close()

    def _keep(self, key: tuple[bytes, Use], known: _Known) -> None:
        """
        Keep a token that is good, and make room for it.
        """
        if key in self._known:
            self._forget(self._known.pop(key))
        if len(known.patterns) > MOST_PATTERNS:
            # It would drive out all others.
            return
        self._known[key] = known
        self._patterns.update(known.patterns)
        self._size += known.size
        while (
            len(self._known) > MOST_KNOWN
            or self._size > MOST_CHARACTERS
            or len(self._patterns) > MOST_PATTERNS
        ):
            _, oldest = self._known.popitem(last=False)
            self._forget(oldest)

    def _forget(self, known: _Known) -> None:
        self._size -= known.size
        for pattern in known.patterns:
            self._patterns[pattern] -= 1
            if not self._patterns[pattern]:
                del self._patterns[pattern]

    async def _check(self, parsed: Compact, use: Use, size: int) -> _Known:
        dialect = self._dialectOf(parsed)
        isStrict = dialect is Dialect.V1
        said = registered(parsed.claims, isStrict)
        source = self._sourceFor(dialect, said, use)
        held = await self._checkSignature(parsed, source)
        checkTimes(said, self._now())
        if isStrict:
            checkAudience(said, self._resource)
        granted = granted1(parsed.claims, self._base) if isStrict else granted0(parsed.claims)
        token = self._token(dialect, said, granted)
        patterns = frozenset(
            each
            for each in (*granted.publish, *granted.subscribe)
            if each.exact is None and not each.isEverything
        )
        return _Known(token, said, source, held, patterns, size)

    def _token(self, dialect: Dialect, said: Registered, granted: Granted) -> Token:
        grants: Callable[[tuple[Selector, ...]], Grants] = self._grants
        return Token(
            dialect=dialect,
            publish=grants(granted.publish),
            subscribe=grants(granted.subscribe),
            payloads=tuple(
                (None if selectors is None else grants(selectors), payload)
                for selectors, payload in granted.payloads
            ),
            expires=said.expires,
            subject=said.subject,
            identifier=said.identifier,
            issuer=said.issuer,
        )

    def _dialectOf(self, parsed: Compact) -> Dialect:
        kind = showing(parsed.header.get("typ"))
        if Dialect.V1 in self.dialects:
            if isAccessToken(parsed.header):
                return Dialect.V1
            if Dialect.V0 not in self.dialects:
                raise Unverified(
                    Reason.TYPE, f"the typ of the token is {kind}: in 1.0 it must be at+jwt"
                )
            if "authorization_details" in parsed.claims and not hasMercure(parsed.claims):
                # It would be a token of 0.x that may do nothing.
                raise Unverified(
                    Reason.TYPE,
                    "the token has authorization_details, which belong to 1.0, but "
                    f"its typ is {kind}: it must be at+jwt",
                )
        return Dialect.V0

    def _sourceFor(self, dialect: Dialect, said: Registered, use: Use) -> KeySource:
        if dialect is Dialect.V0:
            source = self._sources[use]
            if source is None:
                raise Unverified(Reason.KEY, f"the hub has no key for 0.x tokens that {use.value}")
            return source
        return self._issuers[checkIssuer(said, self._issuers)]

    async def _checkSignature(self, parsed: Compact, source: KeySource) -> tuple[Key, ...]:
        """
        @return: all keys that there are.
        """
        identifier = parsed.header.get("kid")
        if not isinstance(identifier, str):
            # It is only a hint.
            identifier = None
        algorithm = parsed.header.get("alg")
        held = source.held()
        if held is None or not _fitting(held, identifier):
            held = await source.find(identifier)
        named = _fitting(held, identifier)
        if not named:
            which = "no key" if identifier is None else f"no key with the kid {showing(identifier)}"
            raise Unverified(Reason.KEY, f"the hub has {which} for the token")
        fitting = [key for key in named if key.algorithm == algorithm]
        if not fitting:
            ours = " or ".join(dict.fromkeys(key.algorithm for key in named))
            raise Unverified(
                Reason.ALGORITHM,
                f"the algorithm of the token is {showing(algorithm)}, but the key is for {ours}",
            )
        for key in fitting[:MOST_TRIED]:
            if key.verify(parsed.signed, parsed.signature):
                return held
        raise Unverified(
            Reason.SIGNATURE, "the signature of the token is wrong: it was made with another key"
        )


def _fitting(keys: Iterable[Key], identifier: str | None) -> list[Key]:
    """
    @param identifier: the C{kid} of a token; L{None} if it has none.
    @return: the keys that it may be signed with.
    """
    return [key for key in keys if identifier is None or key.identifier in (None, identifier)]
