"""
The streams of one resource, and what they share: options, limits, heart, the drain.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from ..format.event import Event
from ..observe import tell
from ..stream.pending import SlowReader
from ..stream.stream import CloseReason, EventStream
from ..timing.reactors import clockFor
from ..timing.slices import inSlices
from .heart import Heart

if TYPE_CHECKING:
    from twisted.web.http_headers import Headers
    from twisted.web.server import Request

    from ..observe import Observer

__all__ = ["StreamGroup"]


_log = Logger()


@dataclass(eq=False)
class StreamGroup:
    """
    See L{EventStreamResource<twisted_sse.server.resource.EventStreamResource>} for the options.

    @ivar streams: those that are open.
    @ivar connecting: those whose headers have not been sent: nobody has said yet that they
        may have anything.
    @ivar refused: those that are one too many, while they are told so.
    @ivar draining: whether the last drain has begun.
    @ivar cleaningUp: what streams have left behind that is not done yet.
    """

    heartbeat: float | None
    retry: int | None
    once: bool
    maxStreams: int | None
    maxStreamsPerAddress: int | None
    maxPending: int
    slow: SlowReader
    stallTimeout: float | None
    openTimeout: float | None
    closeTimeout: float
    slim: bool
    name: str | None
    observer: Observer | None
    reactor: IReactorTime | None
    fastWrite: bool = True

    streams: set[EventStream] = field(default_factory=set)
    connecting: set[EventStream] = field(default_factory=set)
    refused: set[EventStream] = field(default_factory=set)
    draining: bool = False
    cleaningUp: set[object] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.preamble = Event(comment="", retry=self.retry).encode()
        self._addresses: Counter[str] = Counter()
        self._hearts: dict[IReactorTime, Heart] = {}
        self._drained: list[Deferred[None]] = []
        self._warned = False
        self._sent: Headers | None = None
        self._drainRetry = (0, 0)

    def _all(self) -> set[EventStream]:
        return self.streams | self.connecting | self.refused

    def full(self, address: str) -> bool:
        """
        Whether one more stream, to this address, would be one too many.
        """
        if self.maxStreams is not None:
            if len(self.streams) + len(self.connecting) >= self.maxStreams:
                return True
        return (
            self.maxStreamsPerAddress is not None
            and self._addresses[address] >= self.maxStreamsPerAddress
        )

    def newStream(
        self, request: Request, address: str, lastEventID: str, refused: bool = False
    ) -> EventStream:
        """
        Make a stream that answers a request.

        @param refused: whether it is one too many, which is told no more than that.
        """
        clock = clockFor(self.reactor, request)
        heart = self._hearts.get(clock)
        if heart is None:
            heart = self._hearts[clock] = Heart(self, clock)
        heart.streams += 1
        stream = EventStream(request, self, heart.wheel, address, lastEventID)
        if refused:
            self.refused.add(stream)
            return stream
        self.connecting.add(stream)
        if self.maxStreamsPerAddress is not None:
            self._addresses[address] += 1
        return stream

    def opened(self, stream: EventStream) -> None:
        """
        The headers of a stream have been sent.
        """
        if stream in self.connecting:
            self.connecting.remove(stream)
            self.streams.add(stream)
        if stream._http2:
            self._checkIdleTimeout(stream)
        self._hearts[stream._wheel.clock].opened()
        tell(self.observer, "opened", stream)

    def share(self, headers: Headers) -> Headers:
        """
        Thousands are sent the same headers in the same second, and have no more use for them.

        @param headers: those of a response, which have been sent.
        @return: the same, and the same object for all of them.
        """
        if self._sent is None or self._sent != headers:
            self._sent = headers
        return self._sent

    def _checkIdleTimeout(self, stream: EventStream) -> None:
        # Twisted's HTTP/1.1 stops its idle timer while a request is answered; its HTTP/2
        # does not, and drops the connection with all its streams.
        site = getattr(stream.request, "site", None)
        timeout = getattr(site, "timeOut", None)
        silent = self.heartbeat is None or (timeout is not None and self.heartbeat >= timeout)
        if timeout is not None and silent and not self._warned:
            self._warned = True
            _log.warn(
                "HTTP/2 connections are closed after {timeout} s without an event: give the"
                " resource a heartbeat shorter than that, or the Site a longer timeout",
                timeout=timeout,
            )

    def closed(self, stream: EventStream, reason: CloseReason) -> None:
        """
        A stream is over.
        """
        wasRefused = stream in self.refused
        wasOpen = stream in self.streams or wasRefused
        for streams in (self.streams, self.connecting, self.refused):
            streams.discard(stream)
        if self.maxStreamsPerAddress is not None and not wasRefused:
            address = stream.clientAddress
            self._addresses[address] -= 1
            if not self._addresses[address]:
                del self._addresses[address]
        if wasOpen:
            tell(self.observer, "closed", stream, reason)
        clock = stream._wheel.clock
        heart = self._hearts[clock]
        heart.streams -= 1
        if not heart.streams:
            heart.stop()
            del self._hearts[clock]

    def checkDrained(self) -> None:
        """
        Tell who waits for the end of all streams, if it has come.
        """
        if self._drained and not self._all() and not self.cleaningUp:
            drained, self._drained = self._drained, []
            for done in drained:
                done.callback(None)

    def drain(self, seconds: float, retry: tuple[int, int]) -> Deferred[None]:
        """
        See L{EventStreamResource.drain<twisted_sse.server.resource.EventStreamResource.drain>}.
        """
        self.draining = True
        self._drainRetry = retry
        left = self._all()
        if not left:
            return succeed(None)
        clock = next(iter(left))._wheel.clock

        def end(stream: EventStream) -> None:
            stream._end(CloseReason.DRAIN, self.drainRetry(), closeConnection=True)

        def abortRest() -> None:
            rest = self._all()
            _log.info("Aborting {count} streams that would not end", count=len(rest))
            inSlices(clock, rest, lambda stream: stream._abort(CloseReason.DRAIN))
            # There is no more time for those that are still cleaning up.
            self.cleaningUp.clear()
            self.checkDrained()

        deadline = clock.callLater(seconds, abortRest)
        done: Deferred[None] = Deferred()
        done.addCallback(lambda _: deadline.cancel() if deadline.active() else None)
        self._drained.append(done)
        inSlices(clock, left, end)
        return done

    def drainRetry(self) -> int:
        """
        A reconnection time for one client, in milliseconds.
        """
        return random.randint(*self._drainRetry)
