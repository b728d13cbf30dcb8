"""
The events of a single response.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure
from twisted.web.iweb import IResponse

from ..checks import checkSeconds
from ..format.parser import EventStreamParser, MessageEvent
from ..timing.reactors import installedReactor
from .body import MOST_EVENT, EventBody
from .decoding import Inflater
from .negotiation import checkResponse, discard
from .queue import EventQueue

__all__ = ["EventReader", "readEvents"]


class EventReader:
    """
    The events of a single response: C{async for event in reader}.

    @since: 0.1
    """

    def __init__(
        self,
        response: IResponse,
        *,
        lastEventID: str = "",
        maxEventSize: int | None = MOST_EVENT,
        readTimeout: float | None = None,
        onComment: Callable[[str], object] | None = None,
        reactor: Any = None,
    ) -> None:
        """
        See L{readEvents}.
        """
        checkSeconds("readTimeout", readTimeout)
        self._response: IResponse | None = response
        self._eventParser = EventStreamParser(maxEventSize, lastEventID, onComment)
        self._readTimeout = readTimeout
        self._reactor = reactor
        self._queue = EventQueue(self._resume, self.close)
        self._checking: Deferred[Inflater | None] | None = None
        self._body: EventBody | None = None

    @property
    def lastEventID(self) -> str:
        """
        The last event ID, as far as the response has been read.
        """
        return self._eventParser.lastEventID

    @property
    def retry(self) -> int | None:
        """
        The reconnection time that the server sent last, in milliseconds; L{None} if it has sent
        none.
        """
        return self._eventParser.retry

    def __aiter__(self) -> EventReader:
        return self

    def __anext__(self) -> Coroutine[Any, Any, MessageEvent]:
        # Not wrapped in another coroutine: every event goes through this.
        response, self._response = self._response, None
        return self._queue.take() if response is None else self._first(response)

    async def _first(self, response: IResponse) -> MessageEvent:
        reactor = self._reactor or installedReactor()
        self._checking = Deferred.fromCoroutine(checkResponse(response, reactor))
        try:
            inflater = await self._checking
        except Exception:
            isClosed = self._queue.isClosed
            self._queue.close()
            if isClosed:
                raise StopAsyncIteration from None
            raise
        self._body = EventBody(
            response, self._queue, self._eventParser, inflater, reactor, self._readTimeout
        )
        response.deliverBody(self._body)
        self._body.done.addCallbacks(lambda _: self._queue.end(), self._failed)
        return await self._queue.take()

    def _failed(self, failure: Failure) -> None:
        error = failure.value
        self._queue.end(None if isinstance(error, CancelledError) else error)

    def _resume(self) -> None:
        if self._body is not None:
            self._body.resume()

    def close(self) -> None:
        """
        Close the connection and end the iteration.
        """
        self._queue.close()
        response, self._response = self._response, None
        if response is not None:
            discard(response)
        if self._checking is not None:
            self._checking.cancel()
        if self._body is not None:
            self._body.done.cancel()

    async def __aenter__(self) -> EventReader:
        return self

    async def __aexit__(self, *exception: object) -> None:
        self.close()


def readEvents(
    response: IResponse,
    *,
    lastEventID: str = "",
    maxEventSize: int | None = MOST_EVENT,
    readTimeout: float | None = None,
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
    @param onComment: called with the text of each comment as it arrives.
    @param reactor: where time comes from; by default, the installed reactor.
    @return: the events.  Iterating over them raises L{BadStatus} or L{BadContentType} if the
        response is not an event stream, L{StreamBroken} if it is cut off, and L{EventTooLarge}.
    @raise ValueError: if an argument is out of bounds.

    @since: 0.1
    """
    return EventReader(
        response,
        lastEventID=lastEventID,
        maxEventSize=maxEventSize,
        readTimeout=readTimeout,
        onComment=onComment,
        reactor=reactor,
    )
