"""
HTTP/2: a connection whose client cannot make it use memory or time without bound.

Twisted's L{H2Connection} goes on feeding h2 after a protocol error, until the peer agrees to
close; it handles what arrives together only when h2 has taken all of it, so that it may answer a
request that has been reset; and it makes the answers of many requests while the client takes
none.  Its interface is private, so the names that this module overrides are the place to look
when Twisted changes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from time import perf_counter
from typing import TYPE_CHECKING, Any

import h2.config
import h2.connection
import h2.errors
import h2.exceptions
import h2.settings
import priority  # type: ignore[import-untyped]
from twisted.internet.error import ConnectionAborted
from twisted.internet.interfaces import IPushProducer
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web._http2 import _END_STREAM_SENTINEL, H2Connection

from .frames import LARGEST_HEADERS, SETTINGS, BadFrame, FrameReader
from .targets import isMethod, isTarget

if TYPE_CHECKING:
    from h2.events import Event
    from twisted.internet.interfaces import IDelayedCall

__all__ = ["GuardedConnection"]

#: How long the frames of one connection may hold the reactor when they arrive, in seconds.
SLICE = 0.002

#: How long the frames that were left may hold it in one turn, those of all connections together.
TURN = 0.02

#: How many bytes of complete answers may be unsent, before the next request is answered: as many
#: as Twisted's transports hold before they call a halt.
MOST_UNSENT = 2**16

#: How many settings of the client are remembered.  RFC 9113 has six, and clients add one or two at
#: random so that servers do not forget to ignore unknown ones (RFC 8701).
MOST_SETTINGS = 50

#: How large a table our encoder keeps, in bytes, even if the client allows more: the default of
#: RFC 9113, 6.5.2.
LARGEST_TABLE = 4096

# Not the class's: its events would keep the connection.
_log = Logger()


class _Connection(h2.connection.H2Connection):
    """
    An h2 connection that remembers fewer closed streams: it needs them to tell a late frame from a
    wrong one.
    """

    MAX_CLOSED_STREAMS = 1000

    def __init__(self) -> None:
        # These are Twisted's.
        super().__init__(h2.config.H2Configuration(client_side=False, header_encoding=None))
        codes = h2.settings.SettingCodes
        self.local_settings = h2.settings.Settings(
            client=False,
            initial_values={
                codes.MAX_CONCURRENT_STREAMS: 100,
                codes.MAX_HEADER_LIST_SIZE: LARGEST_HEADERS,
            },
        )
        self.decoder.max_header_list_size = LARGEST_HEADERS


class _Turns:
    """
    Decides which stream sends next: each in turn.  It takes the place of a C{PriorityTree}, which
    lets the client choose.

    RFC 9113, 5.3.2, has deprecated priorities.  A tree of them can be made deep, and filled with
    streams that are never opened.
    """

    def __init__(self, isReady: Callable[[int], bool]) -> None:
        """
        @param isReady: whether a stream has something to send and may send it.
        """
        self._isReady = isReady
        self._waiting: dict[int, None] = {}

    def insert_stream(self, streamID: int) -> None:
        """
        Add a stream, which is blocked.
        """

    def block(self, streamID: int) -> None:
        """
        Let a stream miss its turns.
        """
        self._waiting.pop(streamID, None)

    remove_stream = block

    def unblock(self, streamID: int) -> None:
        """
        Give a stream its turns.
        """
        self._waiting.setdefault(streamID)

    def __next__(self) -> int:
        """
        @return: the stream that sends next.
        @raise priority.DeadlockError: if there is none, as Twisted expects.
        """
        while self._waiting:
            streamID = next(iter(self._waiting))
            del self._waiting[streamID]
            if self._isReady(streamID):
                self._waiting[streamID] = None
                return streamID
        raise priority.DeadlockError


class Backlog:
    """
    The connections that have more to read, of one site: each in turn.

    @since: 0.2
    """

    def __init__(self, clock: Any) -> None:
        """
        @param clock: the reactor, or a clock.
        """
        self._clock = clock
        self._waiting: deque[GuardedConnection] = deque()
        self._call: IDelayedCall | None = None

    def add(self, connection: GuardedConnection) -> None:
        """
        Let a connection read on in another turn of the reactor.
        """
        self._waiting.append(connection)
        if self._call is None:
            self._call = self._clock.callLater(0, self._go)

    def remove(self, connection: GuardedConnection) -> None:
        """
        A connection is closed.
        """
        self._waiting.remove(connection)
        if not self._waiting and self._call is not None:
            self._call.cancel()
            self._call = None

    def _go(self) -> None:
        self._call = None
        started = perf_counter()
        # One that has still more goes back to the end, for the next turn.
        for _ in range(len(self._waiting)):
            self._waiting.popleft().readOn()
            if not self._waiting or perf_counter() - started > TURN:
                break
        if self._waiting and self._call is None:
            self._call = self._clock.callLater(0, self._go)


class GuardedConnection(H2Connection):
    """
    An HTTP/2 connection.

    @since: 0.2
    """

    def __init__(self, reactor: Any, backlog: Backlog) -> None:
        """
        @param reactor: the reactor, or a clock.
        @param backlog: that of the site.
        """
        super().__init__(reactor)  # type: ignore[no-untyped-call]
        self._clock = reactor
        self.conn = _Connection()
        self.priority = _Turns(self._isReady)
        self._frames = FrameReader(reactor.seconds())
        # Nothing more is read.
        self._over = False
        self._backlog = backlog
        self._isWaiting = False
        self._isReceiving = False
        # The streams whose requests are complete, but not answered until others are sent.
        self._postponed: deque[int] = deque()
        self._nextAnswer: IDelayedCall | None = None
        # The streams whose headers have been sent.
        self._begun: set[int] = set()

    # What is received.

    def connectionMade(self) -> None:
        """
        See L{H2Connection}.
        """
        self._reading: Any = IPushProducer(self.transport, None)
        super().connectionMade()  # type: ignore[no-untyped-call]

    def dataReceived(self, data: bytes) -> None:
        """
        Hand over frame by frame, so that h2 has seen no more than is being answered.
        """
        if not self._over:
            self._frames.feed(data)
            if not self._isWaiting:
                self._read()

    def readOn(self) -> None:
        """
        Go on with what was left: L{Backlog} calls this.
        """
        self._isWaiting = False
        self._read()
        if not (self._isWaiting or self._over or self._reading is None):
            self._reading.resumeProducing()

    def _read(self) -> None:
        started = perf_counter()
        while not self._over:
            try:
                frame = self._frames.read(self._clock.seconds())
            except BadFrame as e:
                self._abort(str(e))
                return
            if frame is None:
                return
            self._isReceiving = True
            super().dataReceived(frame)  # type: ignore[no-untyped-call]
            self._isReceiving = False
            # The preface is not a frame, and has another letter there.
            if frame[3] == SETTINGS and not self._over:
                self._settingsChanged()
            if perf_counter() - started > SLICE and not self._over:
                self._isWaiting = True
                self._backlog.add(self)
                if self._reading is not None:
                    self._reading.pauseProducing()
                return

    def _abort(self, why: str) -> None:
        self._over = True
        transport: Any = self.transport
        peer = transport.getPeer()
        _log.info("Aborted the HTTP/2 connection of {peer}: {why}", peer=peer, why=why)
        transport.abortConnection()

    def _settingsChanged(self) -> None:
        if len(self.conn.remote_settings) > MOST_SETTINGS:
            self._abort("too many settings")
            return
        encoder = self.conn.encoder
        encoder.header_table_size = min(encoder.header_table_size, LARGEST_TABLE)
        # The window of streams may have changed: RFC 9113, 6.9.2.
        self._windowsOpened(list(self.streams))

    def resetTimeout(self) -> None:
        """
        Postpone the end of an idle connection, unless it is a PING or the like that arrives while
        the client leaves answers unread.
        """
        if not (self._isReceiving and any(map(_isComplete, self._outboundStreamQueues.values()))):
            super().resetTimeout()  # type: ignore[no-untyped-call]

    # Requests and answers.

    def _requestReceived(self, event: Any) -> None:
        headers = dict(event.headers)
        if headers.get(b":method") == b"CONNECT":
            # It has no path: RFC 9113, 8.5.
            self._refuse(event, b"501")
        elif not isMethod(headers.get(b":method", b"")) or not isTarget(headers.get(b":path", b"")):
            self._refuse(event, b"400")
        else:
            try:
                super()._requestReceived(event)  # type: ignore[no-untyped-call]
            except ValueError:
                # A name of a header that h2 accepts and Twisted does not.
                self._refuse(event, b"400")

    def _refuse(self, event: Any, status: bytes) -> None:
        streamID = event.stream_id
        self.conn.send_headers(streamID, [(b":status", status)], end_stream=True)
        if event.stream_ended is None:
            # There is no need to send the rest: RFC 9113, 8.1.
            self.conn.reset_stream(streamID, h2.errors.ErrorCodes.NO_ERROR)
        self._tryToWriteControlData()  # type: ignore[no-untyped-call]

    def _requestDataReceived(self, event: Any) -> None:
        if event.stream_id in self.streams:
            super()._requestDataReceived(event)  # type: ignore[no-untyped-call]
        else:
            # Others need the window of the connection.
            self.conn.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            self._tryToWriteControlData()  # type: ignore[no-untyped-call]

    def _requestEnded(self, event: Any) -> None:
        self._postponed.append(event.stream_id)
        if len(self._postponed) == 1:
            self._answer()

    def _requestAborted(self, event: Any) -> None:
        if event.stream_id in self.streams:
            super()._requestAborted(event)  # type: ignore[no-untyped-call]

    def _answer(self) -> None:
        """
        Answer the next request, if the client has taken the answers before.
        """
        self._nextAnswer = None
        answers = filter(_isComplete, self._outboundStreamQueues.values())
        if self._consumerBlocked is not None or sum(map(_unsent, answers)) > MOST_UNSENT:
            return
        while self._postponed:
            stream = self.streams.get(self._postponed.popleft())
            if stream is not None:
                stream.requestComplete()
                break
        self._answerLater()

    def _answerLater(self) -> None:
        if self._postponed and self._nextAnswer is None and not self._over:
            self._nextAnswer = self._clock.callLater(0, self._answer)

    def resumeProducing(self) -> None:
        """
        The transport has sent enough.
        """
        super().resumeProducing()  # type: ignore[no-untyped-call]
        self._answerLater()

    def _requestDone(self, streamID: int) -> None:
        self._begun.discard(streamID)
        super()._requestDone(streamID)  # type: ignore[no-untyped-call]
        self._answerLater()

    # What is sent.

    def _sendPrioritisedData(self, *args: object) -> None:
        # What is sent counts, though it may be what was received that allowed it.
        before, self._isReceiving = self._isReceiving, False
        super()._sendPrioritisedData(*args)  # type: ignore[no-untyped-call]
        self._isReceiving = before

    def _isReady(self, streamID: int) -> bool:
        queue = self._outboundStreamQueues.get(streamID)
        if not queue:
            return False
        if queue[0] is _END_STREAM_SENTINEL:
            return True
        # Twisted would take a shut window for an open one, again and again, and a negative one
        # (RFC 9113, 6.9.2) for a number of bytes from the end.
        if self.conn.local_flow_control_window(streamID) > 0:
            self._frames.dataSent()
            return True
        self.streams[streamID].flowControlBlocked()
        return False

    def _handleWindowUpdate(self, event: Any) -> None:
        self._windowsOpened([event.stream_id] if event.stream_id else list(self.streams))

    def _windowsOpened(self, streamIDs: list[int]) -> None:
        for streamID in streamIDs:
            # Any of them may end another.
            stream = self.streams.get(streamID)
            if stream is not None:
                if self._outboundStreamQueues[streamID]:
                    self.priority.unblock(streamID)
                stream.windowUpdated()
        waiting, self._sendingDeferred = self._sendingDeferred, None
        if waiting is not None:
            waiting.callback(None)

    def _handlePriorityUpdate(self, event: Event) -> None:
        # See _Turns.
        pass

    def writeHeaders(
        self, version: bytes, code: bytes, reason: bytes, headers: list[Any], streamID: int
    ) -> None:
        """
        See L{H2Connection}.
        """
        self._begun.add(streamID)
        super().writeHeaders(version, code, reason, headers, streamID)  # type: ignore[no-untyped-call]

    def writeDataToStream(self, streamID: int, data: bytes) -> None:
        """
        See L{H2Connection}.  Does nothing if the stream has ended, as for HTTP/1.
        """
        if streamID in self.streams:
            super().writeDataToStream(streamID, data)  # type: ignore[no-untyped-call]

    def endRequest(self, streamID: int) -> None:
        """
        See L{H2Connection}.  A stream without headers cannot end, only be reset: its request is
        notified, as for HTTP/1.
        """
        stream = self.streams.get(streamID)
        if stream is None:
            return
        if streamID in self._begun:
            super().endRequest(streamID)  # type: ignore[no-untyped-call]
        else:
            self.abortRequest(streamID)
            stream.connectionLost(Failure(ConnectionAborted()))

    def abortRequest(self, streamID: int) -> None:
        """
        See L{H2Connection}.  Does nothing if the stream has ended.
        """
        if streamID in self.streams:
            if self._over:
                self._requestDone(streamID)
            else:
                super().abortRequest(streamID)  # type: ignore[no-untyped-call]

    # The end.

    def connectionLost(  # type: ignore[override]
        self, reason: Failure, _cancelTimeouts: bool = True
    ) -> None:
        """
        See L{H2Connection}, which also calls this itself.

        @param _cancelTimeouts: false if the connection is being closed.
        """
        self._over = True
        if self._isWaiting:
            self._isWaiting = False
            self._backlog.remove(self)
        if self._nextAnswer is not None:
            self._nextAnswer.cancel()
            self._nextAnswer = None
        for streamID in list(self.streams):
            # Any of them may end another.
            stream = self.streams.get(streamID)
            if stream is not None:
                stream.connectionLost(reason)
        super().connectionLost(reason, _cancelTimeouts)  # type: ignore[no-untyped-call]
        if reason.check(h2.exceptions.ProtocolError):
            # Twisted would let it send more until it agrees to close.
            self._abort(reason.getErrorMessage())


def _isComplete(queue: deque[Any]) -> bool:
    """
    Whether the unsent part of an answer has its end.
    """
    return bool(queue) and queue[-1] is _END_STREAM_SENTINEL


def _unsent(answer: Iterable[Any]) -> int:
    """
    Count the bytes of an answer that is complete.
    """
    return sum(len(chunk) for chunk in answer if chunk is not _END_STREAM_SENTINEL)
