"""
The responses of one resource, and what they share: options, limits, heartbeat, drain.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Hashable
from threading import get_ident
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..format.event import Event
from ..stream.observer import StreamListeners
from ..stream.options import StreamOptions
from ..stream.peer import probePeer
from ..stream.reasons import CloseReason
from ..stream.response import Owner, Response, Work
from ..stream.stream import EventStream
from ..stream.twice import Twice
from ..timing.reactors import clockFor
from ..timing.slices import inSlices
from .heart import Heart

if TYPE_CHECKING:
    from twisted.web.http_headers import Headers
    from twisted.web.server import Request

__all__ = ["Farewell", "StreamGroup"]

#: The last event of each stream in a drain, or a function of the stream that returns it.
Farewell = Event | Callable[[EventStream], "Event | None"]


_log = Logger()


class StreamGroup(Owner):
    """
    The owner of a resource's responses.

    @ivar streams: the responses that are open.
    @ivar connecting: those whose headers have not been sent, and which may yet be refused.
    @ivar refused: those over a limit, until they have been answered.
    @ivar draining: whether a drain has begun, so that new clients are refused.
    """

    def __init__(self, options: StreamOptions, observer: object = None) -> None:
        """
        @param observer: the observer, if there is one.
        """
        self.options = options
        self.preamble = options.preamble
        self.twice = Twice()
        self.total = options.total
        self.thread = get_ident()
        self.streams: set[Response] = set()
        self.connecting: set[Response] = set()
        self.refused: set[Response] = set()
        self.cleaningUp: set[Work] = set()
        self.draining = False
        self._listeners = StreamListeners(observer)
        self.sent = self._listeners.sent
        self._addresses: Counter[str] = Counter()
        self._keys: dict[Hashable, set[Response]] = {}
        self._hearts: dict[IReactorTime, Heart] = {}
        self._drained: list[Deferred[None]] = []
        self._warned = False
        self._sentHeaders: Headers | None = None
        self._drainRetry = (0, 0)

    def _all(self) -> set[Response]:
        return self.streams | self.connecting | self.refused

    def full(self, address: str) -> bool:
        """
        Whether one more stream to this address would exceed a limit.
        """
        options = self.options
        if options.maxStreams is not None:
            if len(self.streams) + len(self.connecting) >= options.maxStreams:
                return True
        return (
            options.maxStreamsPerAddress is not None
            and self._addresses[address] >= options.maxStreamsPerAddress
        )

    def respond(
        self, request: Request, address: str, lastEventID: str, refused: bool = False
    ) -> Response:
        """
        Make a response to a request, and its stream.

        @param refused: whether it is over a limit, and only tells the client so.
        """
        clock = clockFor(self.options.reactor, request)
        heart = self._hearts.get(clock)
        if heart is None:
            heart = self._hearts[clock] = Heart(self.streams, self.options, clock)
        heart.responses += 1
        response = Response(request, self, heart.wheel, address)
        response.present(EventStream(response, lastEventID))
        if refused:
            self.refused.add(response)
            return response
        self.connecting.add(response)
        if self.options.maxStreamsPerAddress is not None:
            self._addresses[address] += 1
        return response

    # Owner: what a response calls

    def share(self, headers: Headers) -> Headers:
        """
        Share headers, since thousands of responses may be sent the same ones.
        """
        if self._sentHeaders is None or self._sentHeaders != headers:
            self._sentHeaders = headers
        return self._sentHeaders

    def opened(self, response: Response) -> None:
        """
        The headers of a response have been sent.
        """
        if response in self.connecting:
            self.connecting.remove(response)
            self.streams.add(response)
        if response.http2:
            self._checkIdleTimeout(response)
        assert response.request is not None, "it has just opened"
        canVanish = probePeer(response.request, self.options.stallTimeout)
        self._hearts[response.wheel.clock].opened(canVanish)
        self._listeners.opened(response.stream)

    def keyed(self, response: Response, before: Hashable) -> None:
        """
        The key of a response was set.
        """
        self._forget(response, before)
        if response.key is not None:
            self._keys.setdefault(response.key, set()).add(response)

    def _forget(self, response: Response, key: Hashable) -> None:
        if key is not None:
            responses = self._keys[key]
            responses.remove(response)
            if not responses:
                del self._keys[key]

    def dropped(self, response: Response, events: int) -> None:
        """
        Events were dropped because the client does not read.
        """
        self._listeners.dropped(response.stream, events)

    def replayed(self, stream: EventStream, events: int) -> None:
        """
        Events from a history were sent.
        """
        self._listeners.replayed(stream, events)

    def reset(self, stream: EventStream) -> None:
        """
        The client has missed events permanently, and received a reset.
        """
        self._listeners.reset(stream)

    def closed(self, response: Response, reason: CloseReason) -> None:
        """
        A response has closed.
        """
        self._forget(response, response.key)
        wasRefused = response in self.refused
        wasOpen = response in self.streams or wasRefused
        for responses in (self.streams, self.connecting, self.refused):
            responses.discard(response)
        if self.options.maxStreamsPerAddress is not None and not wasRefused:
            address = response.clientAddress
            self._addresses[address] -= 1
            if not self._addresses[address]:
                del self._addresses[address]
        if wasOpen:
            self._listeners.closed(response.stream, reason)
        clock = response.wheel.clock
        heart = self._hearts[clock]
        heart.responses -= 1
        if not heart.responses:
            heart.stop()
            del self._hearts[clock]

    def checkDrained(self) -> None:
        """
        End the drain if there is nothing left to wait for.
        """
        if self._drained and not self._all() and not self.cleaningUp:
            drained, self._drained = self._drained, []
            for done in drained:
                done.callback(None)

    def _checkIdleTimeout(self, response: Response) -> None:
        # Twisted's HTTP/1.1 stops its idle timer while a request is being answered; its HTTP/2
        # does not, and drops the connection with all its streams.
        heartbeat = self.options.heartbeat
        site = getattr(response.request, "site", None)
        timeout = getattr(site, "timeOut", None)
        silent = heartbeat is None or (timeout is not None and heartbeat >= timeout)
        if timeout is not None and silent and not self._warned:
            self._warned = True
            _log.warn(
                "HTTP/2 connections are closed after {timeout} s without an event: give the"
                " resource a heartbeat shorter than that, or the Site a longer timeout",
                timeout=timeout,
            )

    def disconnect(self, key: Hashable, retry: int | None) -> int:
        """
        See L{EventStreamResource.disconnect
        <twisted_sse.server.resource.EventStreamResource.disconnect>}.
        """
        found = [response for response in self._keys.get(key, ()) if response.isLiving]
        if found:
            inSlices(
                found[0].wheel.clock,
                found,
                lambda response: response.end(CloseReason.ENDED, retry),
            )
        return len(found)

    # The drain

    def drain(
        self, seconds: float, retry: tuple[int, int], farewell: Farewell | None = None
    ) -> Deferred[None]:
        """
        See L{EventStreamResource.drain<twisted_sse.server.resource.EventStreamResource.drain>}.
        """
        self.draining = True
        self._drainRetry = retry
        left = self._all()
        timed: list[Work] = [*left, *self.cleaningUp]
        if not timed:
            return succeed(None)
        clock = timed[0].wheel.clock

        def end(response: Response) -> None:
            last = None
            # Those over a limit have been asked to reconnect, and nothing else; and those that are
            # still connecting might have been refused.
            if farewell is not None and response.isLiving and not response.isConnecting:
                last = _farewellTo(response, farewell)
            response.end(CloseReason.DRAIN, self.drainRetry(), closeConnection=True, farewell=last)

        def abortRest() -> None:
            rest = self._all()
            if rest:
                _log.info("Aborting {count} streams that did not end in time", count=len(rest))
            inSlices(clock, rest, lambda response: response.abort(CloseReason.DRAIN))
            # Those that are still cleaning up get no more time.
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
        @return: a reconnection time for one client, in milliseconds.
        """
        return random.randint(*self._drainRetry)


def _farewellTo(response: Response, farewell: Farewell) -> Event | None:
    """
    Find out what a stream is sent last.
    """
    if isinstance(farewell, Event):
        return farewell
    asked = response.asked
    try:
        event = farewell(response.stream)
        if event is not None and not isinstance(event, Event):
            raise TypeError(
                f"{farewell!r} returned {event!r}: farewell must return an Event, or None"
            )
        return event
    except Exception:
        failure = Failure()
        _log.failure("The farewell to {where} failed", failure, where=str(asked), **asked.logged())
        # A log that is kept in memory must not keep the stream alive.
        failure.cleanFailure()
        return None
