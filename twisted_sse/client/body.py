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
from .decoding import Decoder
from .errors import ReadTimeout, StreamBroken
from .negotiation import cutOff
from .queue import EventQueue

__all__ = ["MOST_EVENT", "EventBody"]

#: How large one event may be, in bytes, unless the application says otherwise.
MOST_EVENT = 16 * 2**20

#: How much is done in one turn of the reactor: about 5 ms of work, in units of 0.1 microseconds.
#: What a connection usually receives at a time, 64 KiB, takes a fifth of that.
MOST_WORK = 50_000

#: How much work there is: for 32 bytes, a line, an event with what its consumer does, a comment with
#: the function that is called, and a step of the decoder, which may begin another member of a gzip
#: file.
BYTES_OF_WORK = 32
WORK_OF_LINE = 2
WORK_OF_EVENT = 12
WORK_OF_COMMENT = 40
WORK_OF_STEP = 80

#: How many bytes are read before that is looked at: less if there are comments, which cost most.
PIECE = 2**13
PIECE_WITH_COMMENTS = 2**11

#: The end of a line that is followed by a comment.
_BEFORE_COMMENT = re.compile(rb"(?<=[\r\n])(?=:)")


class EventBody(Protocol):
    """
    Reads the body of a response, puts its events into a queue, and pauses the connection while
    the queue is full.  It is given to C{response.deliverBody}.

    Whatever the server sends, no turn of the reactor takes long: work beyond L{MOST_WORK} is left
    to the next turns, and the connection is paused until it is done.

    @ivar done: fires when the body is complete; fails if it is cut off or cannot be read any
        further.  Cancel it to close the connection.
    @ivar hadEvents: whether there was an event.
    """

    hadEvents = False

    def __init__(
        self,
        response: IResponse,
        queue: EventQueue,
        parser: EventStreamParser,
        hasComments: bool,
        decoder: Decoder,
        reactor: Any,
        readTimeout: float | None,
    ) -> None:
        """
        @param queue: where the events go.  Its C{onRoom} must call L{resume}.
        @param hasComments: whether the parser calls a function with each comment.
        @param decoder: what decodes the body.
        @param readTimeout: after how many seconds without a byte the body fails; L{None} for
            never.
        """
        self.done: Deferred[None] = Deferred(lambda _: self._cutOff())
        self._response = response
        self._queue = queue
        self._eventParser = parser
        self._hasComments = hasComments
        self._piece = PIECE_WITH_COMMENTS if hasComments else PIECE
        self._decoder = decoder
        self._reactor = reactor
        self._seconds = steady(reactor)
        self._readTimeout = readTimeout
        self._timeout: Any = None
        # When the last byte came, and whether it is longer ago than it may be.
        self._heard = 0.0
        self._isLate = False
        self._isPaused = False
        # How much work is left for this turn of the reactor, and the call that goes on in the next.
        self._left = MOST_WORK
        self._nextTurn: Any = None
        # While events are put into the queue: their consumer may make room at once.
        self._isBusy = False
        self._finished = False
        # The bytes of the stream since the last event.
        self._size = 0
        # Why the connection was lost, while there is still something to read.
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
        self._decoder.feed(data)
        if self._nextTurn is None:
            self._left = MOST_WORK
            self._read()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        See L{Protocol}.
        """
        if self._finished:
            return
        if self._nextTurn is None and (self._decoder.isDone or not self._queue.isFull):
            self._end(reason)
        else:
            self._stopTimeout()
            self._reason = reason

    def resume(self) -> None:
        """
        Go on: there is room in the queue again.
        """
        if self._nextTurn is None and not self._isBusy and not self._finished:
            self._read()

    def _goOn(self) -> None:
        self._nextTurn = None
        self._left = MOST_WORK
        self._read()

    def _read(self) -> None:
        """
        Read what has arrived, until the queue is full, or enough is done in this turn.
        """
        self._isBusy = True
        try:
            while not (self._queue.isFull or self._finished):
                if self._left <= 0 and not self._decoder.isDone:
                    self._nextTurn = self._reactor.callLater(0, self._goOn)
                    break
                try:
                    piece = self._decoder.read(self._piece)
                except StreamBroken as e:
                    self._fail(e)
                    break
                if piece is None:
                    break
                lines = piece.count(b"\n") + piece.count(b"\r")
                self._left -= len(piece) // BYTES_OF_WORK + lines * WORK_OF_LINE + WORK_OF_STEP
                self._parse(piece)
        finally:
            self._isBusy = False
        if self._finished:
            return
        if self._reason is None:
            self._settle()
        elif self._nextTurn is None and (self._decoder.isDone or not self._queue.isFull):
            self._end(self._reason)

    def _settle(self) -> None:
        """
        Pause the connection if there is enough to do, and resume it if there is not.
        """
        transport: Any = self.transport
        isPaused = self._queue.isFull or self._nextTurn is not None
        # A response that was already in memory has no transport.
        if transport is None or isPaused == self._isPaused:
            return
        self._isPaused = isPaused
        if isPaused:
            transport.pauseProducing()
        else:
            self._heard = self._seconds()
            transport.resumeProducing()

    def _parse(self, data: bytes) -> None:
        pieces = [data]
        if self._hasComments and (b"\n:" in data or b"\r:" in data):
            # The events before a comment are delivered before onComment is called.
            pieces = _BEFORE_COMMENT.split(data)
            self._left -= len(pieces) * WORK_OF_COMMENT
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
            self._size += len(piece)
            if events and not self._finished:
                self._left -= len(events) * WORK_OF_EVENT
                self.hadEvents = True
                size, self._size = self._size, 0
                self._queue.put(events, size)
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
            self._fail(ReadTimeout(f"nothing was received for {self._readTimeout} seconds"))

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
        self._stop()
        cutOff(self._response, self.transport)

    def _end(self, reason: Failure) -> None:
        """
        Finish after the last event.

        @param reason: why the connection was lost.
        """
        self._stop()
        # Without a length and without chunks, the end of the connection is the end of the body.
        if reason.check(ResponseDone, PotentialDataLoss):
            self.done.callback(None)
        else:
            self.done.errback(Failure(_broken(reason)))

    def _stop(self) -> None:
        self._finished = True
        self._stopTimeout()
        if self._nextTurn is not None:
            self._nextTurn.cancel()
            self._nextTurn = None


def _broken(reason: Failure) -> StreamBroken:
    """
    @param reason: why the connection was lost.
    @return: the error for it.
    """
    value: Any = reason.value
    if isinstance(value, ResponseFailed) and value.reasons:
        value = value.reasons[0].value
    error = StreamBroken(f"the stream was cut off: {value}")
    error.__cause__ = value
    return error
