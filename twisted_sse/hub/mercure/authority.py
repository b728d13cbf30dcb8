"""
Who may do what with a hub.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from .carriers import Carrier, Carriers, Presented, PublishOrigins
from .challenges import Challenges
from .dialect import Dialect
from .tokens import Token, Use, Verifier
from .unverified import Reason, Unverified
from .update import Update

if TYPE_CHECKING:
    from twisted.web.server import Request

__all__ = ["Authority"]

#: The parameters in the URL of a request.
Query = Sequence[tuple[str, str]]


async def _neverRevoked(token: Token) -> bool:
    return False


class Authority:
    """
    Finds the tokens of requests, and decides.

    @ivar isRevoked: says whether a token was revoked, when that is known.
    """

    def __init__(
        self,
        verifier: Verifier,
        carriers: Carriers,
        origins: PublishOrigins,
        challenges: Challenges,
        anonymous: bool,
    ) -> None:
        """
        @param origins: the pages that may publish with a cookie.
        @param anonymous: whether clients without a token may subscribe to what is public.
        """
        self._verifier = verifier
        self._carriers = carriers
        self._origins = origins
        self._challenges = challenges
        self._anonymous = anonymous
        self.isRevoked: Callable[[Token], Awaitable[bool]] = _neverRevoked
        # Where only the token tells the dialect, and nothing is known of it, what 0.x answers is
        # understood.
        self._laxest = Dialect.V0 if Dialect.V0 in verifier.dialects else Dialect.V1

    async def subscriber(self, request: Request, query: Query, dialect: Dialect) -> Token | None:
        """
        Find out who subscribes.

        @param dialect: that of the request.
        @return: L{None} for a client without a token.
        @raise Refused: if it may not.
        """
        presented = self._presented(request, query, dialect)
        if presented is None:
            if not self._anonymous:
                raise self._challenges.missing("subscribing to this hub requires a token")
            return None
        token = await self._verified(presented, Use.SUBSCRIBE, dialect)
        if dialect is Dialect.V1 and token.dialect is Dialect.V0:
            # The rules of 0.x are laxer: a subscriber of 1.0 cannot choose them.
            why = "match= is for 1.0, so the typ of the token must be at+jwt"
            raise self._challenges.bad(Unverified(Reason.TYPE, why), dialect)
        return token

    async def checkStill(self, token: Token, dialect: Dialect) -> None:
        """
        Check a token once more, after something that took its time.

        @raise Refused: if it was revoked meanwhile.
        """
        if await self.isRevoked(token):
            raise self._challenges.bad(_revoked(), dialect)

    async def reader(self, request: Request, query: Query) -> Token:
        """
        Find out who asks for the subscriptions that there are.

        @raise Refused: if it has no token, or a bad one.
        """
        presented = self._presented(request, query, None)
        if presented is None:
            raise self._challenges.missing("listing subscriptions needs a token")
        return await self._verified(presented, Use.SUBSCRIBE, self._laxest)

    async def publisher(self, request: Request, query: Query) -> Token:
        """
        Find out who publishes.

        @raise Refused: if it may not.
        """
        presented = self._presented(request, query, None)
        if presented is None:
            raise self._challenges.missing("publishing needs a token")
        if presented.carrier is Carrier.COOKIE:
            try:
                self._origins.check(request)
            except Unverified as e:
                raise self._challenges.bad(e, self._laxest) from None
        return await self._verified(presented, Use.PUBLISH, self._laxest)

    def granted(self, token: Token, updates: Iterable[Update]) -> Iterator[Update | None]:
        """
        Check what a publisher publishes, one topic at a time: there may be a thousand, and as many
        patterns in the token.

        @return: the updates; L{None} between them, where something else may be done.
        @raise Refused: if it may not publish to one of the topics.
        """
        for update in updates:
            for number, topic in enumerate(update.topics):
                if number:
                    yield None
                if not token.publish.permits(topic):
                    raise self._challenges.notGranted(
                        f"the token does not grant publish for {topic[:200]!r}", token.dialect
                    )
            yield update

    def checkPath(self, token: Token, path: str) -> None:
        """
        Check who asks for the subscriptions that a path names.

        @raise Refused: if it may not.
        """
        if not token.subscribe.permits(path):
            raise self._challenges.notGranted(
                f"the token does not grant subscribe for {path[:200]!r}", token.dialect
            )

    def _presented(
        self, request: Request, query: Query, dialect: Dialect | None
    ) -> Presented | None:
        try:
            presented = self._carriers.find(request, query, dialect)
        except Unverified as e:
            raise self._challenges.bad(e, dialect or self._laxest) from None
        if presented is not None and presented.carrier is Carrier.QUERY:
            # RFC 6750, 2.3: the URL is a secret, which no shared cache may keep.
            request.setHeader(b"cache-control", b"private, no-cache, no-transform")
        return presented

    async def _verified(self, presented: Presented, use: Use, dialect: Dialect) -> Token:
        try:
            token = await self._verifier.verify(presented.token, use, presented.accepted)
            if await self.isRevoked(token):
                raise _revoked()
            return token
        except Unverified as e:
            raise self._challenges.bad(e, dialect) from None


def _revoked() -> Unverified:
    return Unverified(Reason.REVOKED, "the token was revoked")
