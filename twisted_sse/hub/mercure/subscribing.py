"""
Subscribing to a hub: who may, the ID to resume from, and when the stream ends.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from twisted.internet.defer import TimeoutError
from twisted.internet.interfaces import IReactorTime

from ...channel.channel import Channel
from ...store.contract import StoreAway
from ...stream.stream import EventStream
from ...timing.reactors import clockFor
from ..content import bodyOf
from ..refused import Refused
from .asked import EARLIEST, Asked, askedIn
from .authority import Authority
from .dialect import Dialect
from .grants import Grants
from .lifetime import endAt
from .parameters import Queries, parametersIn
from .presence import Presence
from .selection import Selection
from .subscribers import Subscriber, Subscribers
from .tokens import Token
from .update import Kind, kindOf

if TYPE_CHECKING:
    from twisted.web.server import Request

__all__ = ["Subscribing"]

NO_GRANTS = Grants()

#: The headers that tell a client where its stream begins: of Mercure 0.x, and of 1.0.
PLACE_HEADERS = (b"last-event-id", b"mercure-last-event-id")

#: For how many seconds a client waits for that, if the store is away.  Then its stream is
#: opened without: it resumes all the same when the store is available again, and a browser that is
#: refused would never reconnect.
PATIENCE = 10.0

#: An ID that no event can have.
UNKNOWN = "\0"


class Subscribing:
    """
    Subscribes streams to the channel of a hub.

    @ivar maxLifetime: after how many seconds a stream is ended, less up to a fifth at random; L{None}
        for never.
    @ivar now: returns the time in seconds since 1970.
    @ivar maxBody: how large the body of a QUERY may be, in bytes.
    @ivar ownEvents: whether subscribers are sent the channel's own events.
    """

    def __init__(
        self,
        channel: Channel,
        authority: Authority,
        url: str,
        dialects: Iterable[Dialect],
        subscribers: Subscribers,
        presence: Presence | None,
        queries: Queries,
    ) -> None:
        """
        @param url: the URL of the hub.
        @param dialects: those that the hub speaks.
        @param subscribers: who is there.
        @param presence: receives subscriptions that begin and end.
        @param queries: has the queries of requests.
        """
        self.maxLifetime: float | None = None
        self.now: Callable[[], float] = time.time
        self.maxBody = 2**20
        self.ownEvents = False
        self._channel = channel
        self._authority = authority
        self._url = url
        self._dialects = tuple(dialects)
        self._subscribers = subscribers
        self._presence = presence
        self._queries = queries

    async def admit(self, request: Request) -> tuple[Asked, Token | None]:
        """
        Find out what a subscriber asks for, and who it is.

        @raise Refused: if it may not subscribe.
        """
        query = self._queries.take(request)
        body = _formIn(request, self.maxBody) if request.method == b"QUERY" else []
        asked = askedIn(query, body, _cursorOf(request), self._url, self._dialects)
        return asked, await self._authority.subscriber(request, query, asked.dialect)

    async def preview(self, request: Request) -> None:
        """
        Find out what a GET would be answered, and set the headers that tell where its stream would begin.

        @param request: a HEAD.
        @raise Refused: if it would be refused.
        """
        asked, _ = await self.admit(request)
        isKept = await _isKept(self._channel, clockFor(None, request), asked.cursor)
        _sayPlace(request, asked.cursor, isKept)

    async def connected(self, stream: EventStream) -> None:
        """
        Subscribe a new stream.

        @raise Refused: if it may not.
        """
        asked, token = await self.admit(stream.request)
        if stream.closed:
            return
        expires = None if token is None else token.expires
        endAt(stream, expires, self.maxLifetime, self.now())
        isKept = await _isKept(self._channel, stream.clock, asked.cursor)
        if token is not None:
            await self._authority.checkStill(token, asked.dialect)
        self._enter(stream, asked, token, isKept)

    def _enter(
        self, stream: EventStream, asked: Asked, token: Token | None, isKept: bool | None
    ) -> None:
        """
        Subscribe a stream that may be.

        @param isKept: from L{_isKept}.
        """
        if stream.closed:
            return
        grants = NO_GRANTS if token is None else token.subscribe
        selection = Selection(asked.selectors, grants, self.ownEvents)
        _subscribe(self._channel, stream, selection, asked.cursor, isKept)
        if not stream.closed:
            subscriber = Subscriber(stream, selection, token, asked.dialect)
            self._subscribers.enter(subscriber)
            if self._presence is not None:
                self._presence.enter(subscriber)
            stream.whenClosed().addCallback(self._left, subscriber)

    def _left(self, _: object, subscriber: Subscriber) -> None:
        self._subscribers.exit(subscriber.stream)
        if self._presence is not None:
            self._presence.exit(subscriber)


async def _isKept(channel: Channel, clock: IReactorTime, cursor: str) -> bool | None:
    """
    Find out whether a client resumes.

    @param clock: where time comes from.
    @param cursor: the ID to resume from; empty for none.
    @return: L{None} if it is not known, since the store is away.
    """
    if not cursor or cursor == EARLIEST:
        return False
    try:
        return await channel.resumes(cursor).addTimeout(PATIENCE, clock)
    except (TimeoutError, StoreAway):
        return None


def _sayPlace(request: Request, cursor: str, isKept: bool | None) -> None:
    """
    Set the headers that tell a client where its stream begins: the ID of the update before the first
    that it is sent, or C{"earliest"}.

    @param isKept: from L{_isKept}.
    """
    if cursor and isKept is not None:
        place = cursor if isKept else EARLIEST
        for name in PLACE_HEADERS:
            request.setHeader(name, place.encode())


def _subscribe(
    channel: Channel, stream: EventStream, selection: Selection, cursor: str, isKept: bool | None
) -> None:
    """
    Subscribe a stream.

    @param isKept: from L{_isKept}.
    """
    _sayPlace(stream.request, cursor, isKept)
    isEarliest = bool(cursor) and isKept is False
    if isEarliest:
        # The header says so. If the channel's own events are sent, one of them does, too.
        cursor = UNKNOWN if selection.isTold and cursor != EARLIEST else ""
    channel.subscribe(
        stream, choice=selection, earliest=isEarliest and not cursor, lastEventID=cursor
    )


def _formIn(request: Request, most: int) -> list[tuple[str, str]]:
    """
    @param most: how large the body may be, in bytes.
    @return: the parameters in the body of a QUERY.
    """
    body = bodyOf(request, most)
    headers = [request.getHeader(name) for name in (b"content-type", b"content-encoding")]
    if body and kindOf(*headers) is not Kind.FORM:
        raise Refused(
            415, "the selectors of a QUERY are in a form: application/x-www-form-urlencoded"
        )
    return parametersIn(body)


def _cursorOf(request: Request) -> str:
    """
    @return: the last event ID in the headers: the first, if there are several.
    """
    values = request.requestHeaders.getRawHeaders(b"last-event-id", [b""])
    return values[0].decode("utf-8", "replace")
