"""
The events of a single response.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure
from twisted.web.iweb import IResponse

from ..checks import checkFlag, checkSeconds
from ..format.parser import EventStreamParser, MessageEvent
from ..timing.reactors import installedReactor
from .abandoned import closeAbandoned
from .body import MOST_EVENT, EventBody
from .decoding import Decoder
from .negotiation import checkResponse, discard
from .queue import EventQueue

__all__ = ["EventReader", "readEvents"]


class _Reading:
    """
    Reads a response, and puts its events into a queue.  It does not refer to the reader that it
    works for, so that an unreferenced reader can be closed.

    @ivar queue: where the events go.
    @ivar parser: the parser of the events.
    """

    def __init__(
        self,
        response: IResponse,
        parser: EventStreamParser,
        hasComments: bool,
        requireType: bool,
        readTimeout: float | None,
        reactor: Any,
    ) -> None:
        self.queue = EventQueue(self._resume, self.close)
        self.parser = parser
        self._response: IResponse | None = response
        self._hasComments = hasComments
        self._requireType = requireType
        self._readTimeout = readTimeout
        self._reactor = reactor
        self._checking: Deferred[Decoder] | None = None
        self._body: EventBody | None = None

    @property
    def hasBegun(self) -> bool:
        """
        Whether the response is being read, or will not be.
        """
        return self._response is None

    async def begin(self, holder: object) -> MessageEvent:
        """
        Begin to read, and take the first event.

        @param holder: kept alive meanwhile.
        """
        response, self._response = self._response, None
        assert response is not None
        reactor = self._reactor = self._reactor or installedReactor()
        checking = checkResponse(response, reactor, True, self._requireType)
        self._checking = Deferred.fromCoroutine(checking)
        try:
            decoder = await self._checking
        except Exception:
            isClosed = self.queue.isClosed
            self.queue.close()
            if isClosed:
                raise StopAsyncIteration from None
            raise
        body = self._body = EventBody(
            response,
            self.queue,
            self.parser,
            self._hasComments,
            decoder,
            reactor,
            self._readTimeout,
        )
        response.deliverBody(body)
        body.done.addCallbacks(lambda _: self.queue.end(), self._failed)
        return await self.queue.take(holder)

    def _failed(self, failure: Failure) -> None:
        error = failure.value
        self.queue.end(None if isinstance(error, CancelledError) else error)

    def _resume(self) -> None:
        if self._body is not None:
            self._body.resume()

    def close(self) -> None:
        """
        Close the connection and end the iteration.
        """
        self.queue.close()
        response, self._response = self._response, None
        if response is not None:
            discard(response)
        if self._checking is not None:
            self._checking.cancel()
        if self._body is not None:
            self._body.done.cancel()

    def abandon(self) -> None:
        """
        End it, since its events can no longer be read.  A response that has not been read
        yet is left alone.
        """
        self.queue.forget()
        if self._body is not None and not self._body.done.called:
            closeAbandoned(self._reactor, self.close)


class EventReader:
    """
    The events of a single response: C{async for event in reader}.

    The connection is closed at the end of C{async with}, by L{close}, and when nothing refers to
    the reader any more.

    @since: 0.2
    """

    def __init__(
        self,
        response: IResponse,
        *,
        lastEventID: str = "",
        maxEventSize: int | None = MOST_EVENT,
        readTimeout: float | None = None,
        requireType: bool = True,
        onComment: Callable[[str], object] | None = None,
        reactor: Any = None,
    ) -> None:
        """
        See L{readEvents}.
        """
        checkSeconds("readTimeout", readTimeout)
        checkFlag("requireType", requireType)
        parser = EventStreamParser(maxEventSize, lastEventID, onComment)
        self._reading = _Reading(
            response, parser, onComment is not None, requireType, readTimeout, reactor
        )
        self._queue = self._reading.queue

    @property
    def lastEventID(self) -> str:
        """
        The last event ID, as far as the response has been read.
        """
        return self._reading.parser.lastEventID

    @property
    def retry(self) -> int | None:
        """
        The reconnection time that the server sent last, in milliseconds; L{None} if it has sent
        none.
        """
        return self._reading.parser.retry

    def __aiter__(self) -> EventReader:
        return self

    def __anext__(self) -> Coroutine[Any, Any, MessageEvent]:
        # Not wrapped in another coroutine: every event goes through this.
        return self._queue.take(self) if self._reading.hasBegun else self._reading.begin(self)

    def close(self) -> None:
        """
        Close the connection and end the iteration.
        """
        self._reading.close()

    async def __aenter__(self) -> EventReader:
        return self

    async def __aexit__(self, *exception: object) -> None:
        self.close()

    def __del__(self) -> None:
        # Of a reader that could not be made, there is nothing to close.
        reading: _Reading | None = getattr(self, "_reading", None)
        if reading is not None:
            reading.abandon()


def readEvents(
    response: IResponse,
    *,
    lastEventID: str = "",
    maxEventSize: int | None = MOST_EVENT,
    readTimeout: float | None = None,
    requireType: bool = True,
    onComment: Callable[[str], object] | None = None,
    reactor: Any = None,
) -> EventReader:
    """
    Read the events of a response that you have: C{async for event in readEvents(response)}.

    The connection is read no faster than you take the events.  To leave before the end,
    C{close()} the reader, or use it as a context manager:
    C{async with readEvents(response) as events}.

    @param response: from an L{Agent<twisted.web.client.Agent>}, or from treq with
        C{unbuffered=True}; without that, treq keeps the whole body in memory.
    @param lastEventID: the last event ID of the previous connection.
    @param maxEventSize: how many bytes one event may have; L{None} for no limit.
    @param readTimeout: after how many seconds without a byte the stream counts as broken; L{None}
        for never.
    @param requireType: whether the C{Content-Type} must be C{text/event-stream}.
    @param onComment: called with the text of each comment as it arrives.
    @param reactor: where time comes from; by default, the installed reactor.
    @return: the events.  Iterating over them raises L{BadStatus} or L{BadContentType} if the
        response is not an event stream, L{StreamBroken} if it is cut off, and L{EventTooLarge}.
    @raise ValueError: if an argument is out of bounds.

    @since: 0.2
    """
    return EventReader(
        response,
        lastEventID=lastEventID,
        maxEventSize=maxEventSize,
        readTimeout=readTimeout,
        requireType=requireType,
        onComment=onComment,
        reactor=reactor,
    )
