"""
The body of an event stream: bytes in, events out, no faster than they are consumed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone, ResponseFailed
from twisted.web.http import PotentialDataLoss
from twisted.web.iweb import IResponse

from ..format.parser import EventStreamParser, MessageEvent
from ..timing.ticker import steady
from .decoding import Inflater
from .errors import ReadTimeout, StreamBroken
from .negotiation import cutOff
from .queue import EventQueue

__all__ = ["MOST_EVENT", "EventBody"]

#: How large one event may be, in bytes, unless the application says otherwise.
MOST_EVENT = 16 * 2**20

#: The end of a line that is followed by a comment.
_BEFORE_COMMENT = re.compile(rb"(?<=[\r\n])(?=:)")


class EventBody(Protocol):
    """
    Reads the body of a response, puts its events into a queue, and pauses the connection while
    the queue is full.  It is given to C{response.deliverBody}.

    @ivar done: fires when the body is complete; fails if it is cut off or cannot be read any
        further.  Cancel it to close the connection.
    """

    def __init__(
        self,
        response: IResponse,
        queue: EventQueue,
        parser: EventStreamParser,
        inflater: Inflater | None,
        reactor: Any,
        readTimeout: float | None,
    ) -> None:
        """
        @param queue: where the events go.  Its C{onRoom} must call L{resume}.
        @param inflater: what decodes the body; L{None} if it is not encoded.
        @param readTimeout: after how many seconds without a byte the body fails; L{None} for
            never.
        """
        self.done: Deferred[None] = Deferred(lambda _: self._cutOff())
        self._response = response
        self._queue = queue
        self._eventParser = parser
        self._inflater = inflater
        self._reactor = reactor
        self._seconds = steady(reactor)
        self._readTimeout = readTimeout
        self._timeout: Any = None
        # When the last byte came, and whether it is longer ago than it may be.
        self._heard = 0.0
        self._isLate = False
        self._isPaused = False
        # While events are put into the queue: their consumer may make room at once.
        self._isBusy = False
        self._finished = False
        # Why the connection was lost, while there is still something to decode.
        self._reason: Failure | None = None

    def connectionMade(self) -> None:
        """
        See L{Protocol}.
        """
        if self._readTimeout is not None:
            self._heard = self._seconds()
            self._timeout = self._reactor.callLater(self._readTimeout, self._checkTimeout)

    def dataReceived(self, data: bytes) -> None:
        """
        See L{Protocol}.
        """
        if self._finished:
            return
        if self._readTimeout is not None:
            self._heard = self._seconds()
        if self._inflater is None:
            self._parse(data)
        else:
            self._inflater.feed(data)
            self._inflate()
        self._settle()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        See L{Protocol}.
        """
        if self._finished:
            return
        if self._inflater is not None and not self._inflater.isDone and self._queue.isFull:
            self._stopTimeout()
            self._reason = reason
            return
        # Without a length and without chunks, the end of the connection is the end of the body.
        if reason.check(ResponseDone, PotentialDataLoss):
            self._finish(None)
        else:
            self._finish(_broken(reason))

    def resume(self) -> None:
        """
        Go on: there is room in the queue again.
        """
        if self._finished or self._isBusy:
            return
        if self._inflater is not None:
            self._inflate()
            if self._reason is not None and not self._queue.isFull and not self._finished:
                reason, self._reason = self._reason, None
                self.connectionLost(reason)
        self._settle()

    def _settle(self) -> None:
        """
        Pause the connection if the queue is full, and resume it if it is not.
        """
        transport: Any = self.transport
        # A response that was already in memory has no transport.
        if self._finished or transport is None or self._queue.isFull == self._isPaused:
            return
        self._isPaused = self._queue.isFull
        if self._isPaused:
            transport.pauseProducing()
        else:
            self._heard = self._seconds()
            transport.resumeProducing()

    def _inflate(self) -> None:
        """
        Decode what has arrived, until the queue is full.
        """
        assert self._inflater is not None
        while not (self._queue.isFull or self._finished):
            try:
                piece = self._inflater.read()
            except StreamBroken as e:
                self._fail(e)
                return
            if not piece:
                return
            self._parse(piece)

    def _parse(self, data: bytes) -> None:
        pieces = [data]
        if b"\n:" in data or b"\r:" in data:
            # The events before a comment are delivered before onComment is called.
            pieces = _BEFORE_COMMENT.split(data)
        for piece in pieces:
            if self._finished:
                # A callback has closed the stream.
                return
            events: Sequence[MessageEvent] = ()
            error = None
            try:
                events = self._eventParser.feed(piece)
            except Exception as e:
                if self._finished:
                    # onComment has closed the stream and then raised.  No consumer is left to see
                    # the error, so let it be logged.
                    raise
                # An event that is too large, with the events before it; or an error of onComment.
                events, error = getattr(e, "events", ()), e
            if events and not self._finished:
                self._isBusy = True
                self._queue.put(events)
                self._isBusy = False
            if error is not None and not self._finished:
                self._fail(error)

    def _checkTimeout(self) -> None:
        """
        Fail if nothing has arrived in time; else look again later.
        """
        assert self._readTimeout is not None
        now = self._seconds()
        if self._isPaused:
            self._heard = now
        left = self._heard + self._readTimeout - now
        if left > 0:
            self._isLate = False
            self._timeout = self._reactor.callLater(left, self._checkTimeout)
        elif not self._isLate:
            # Data may have arrived while this program was busy.  The reactor reads it before it
            # makes the next call.
            self._isLate = True
            self._timeout = self._reactor.callLater(0, self._checkTimeout)
        else:
            self._timeout = None
            self._fail(ReadTimeout(f"nothing has come for {self._readTimeout} seconds"))

    def _stopTimeout(self) -> None:
        if self._timeout is not None:
            self._timeout.cancel()
            self._timeout = None

    def _fail(self, error: Exception) -> None:
        self._cutOff()
        self.done.errback(Failure(error))

    def _cutOff(self) -> None:
        """
        Close the connection, and ignore what still arrives.
        """
        self._finished = True
        self._stopTimeout()
        cutOff(self._response, self.transport)

    def _finish(self, error: Exception | None) -> None:
        self._finished = True
        self._stopTimeout()
        if error is None:
            self.done.callback(None)
        else:
            self.done.errback(Failure(error))


def _broken(reason: Failure) -> StreamBroken:
    """
    @param reason: why the connection was lost.
    @return: the error for it.
    """
    value: Any = reason.value
    if isinstance(value, ResponseFailed) and value.reasons:
        value = value.reasons[0].value
    error = StreamBroken(f"the stream was broken off: {value}")
    error.__cause__ = value
    return error
