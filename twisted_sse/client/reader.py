"""
The events of one response, as they come.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone, ResponseFailed
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IResponse

from ..checks import checkSeconds
from ..format.parser import EventStreamParser, MessageEvent
from ..timing.reactors import installedReactor
from .decoding import Inflater, makeInflater
from .errors import BadContentType, BadStatus, ReadTimeout, StreamBroken

__all__ = ["EventReader", "readEvents"]

#: How many events may wait for who reads them before the connection is paused, and how many may
#: still wait when it goes on.
MOST_WAITING = 256
FEW_WAITING = 64

#: How much data they may have together, in characters.  What has more waits alone.
MOST_DATA = 2**20

#: How large one event may be, in bytes, if nothing is said.
MOST_EVENT = 16 * 2**20

#: How much is read of a body that is no event stream, in bytes, and for how long, in seconds.
MOST_START = 2**16
START_PATIENCE = 5.0


#: What is between commas, but for those in quotes; and what a type is (RFC 9110, 8.3.1).
_TYPES = re.compile(r'(?:"(?:[^"\\]|\\.)*"|[^,])+')
_TYPE = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+/[!#$%&'*+.^_`|~0-9A-Za-z-]+")

_BEFORE_COMMENT = re.compile(rb"(?<=[\r\n])(?=:)")


class EventQueue:
    """
    Events on their way to the one who reads them.

    @ivar onRoom: called when there is room again after it was full.
    @ivar onCancel: called when somebody who waits does not want to any more.
    @ivar isFull: whether there is no room, for now.
    @ivar isClosed: whether nobody wants any events any more.
    """

    def __init__(self, onRoom: Callable[[], object], onCancel: Callable[[], object]) -> None:
        self.onRoom = onRoom
        self.onCancel = onCancel
        self.isFull = False
        self.isClosed = False
        # How many may still wait when there is room again, and how much data there was.
        self._few = FEW_WAITING
        self._data = 0
        self._events: deque[MessageEvent] = deque()
        self._waiting: Deferred[None] | None = None
        self._hasEnded = False
        self._error: BaseException | None = None

    @property
    def isAwaited(self) -> bool:
        """
        Whether somebody waits for the next event.
        """
        return self._waiting is not None

    def put(self, events: Sequence[MessageEvent]) -> None:
        """
        Add events at the end.
        """
        if self.isClosed:
            return
        if not self._events:
            self._data = 0
        self._events.extend(events)
        self._data += sum([len(event.data) for event in events])
        if self._data >= MOST_DATA:
            self.isFull, self._few = True, 0
        elif len(self._events) >= MOST_WAITING:
            self.isFull, self._few = True, FEW_WAITING
        self._wake()

    def end(self, error: BaseException | None = None) -> None:
        """
        There will be no more.

        @param error: what is raised once all that wait have been taken.
        """
        self._hasEnded = True
        self._error = None if self.isClosed else error
        self._wake()

    def close(self) -> None:
        """
        Forget those that wait, and what was wrong: there are no more.
        """
        self.isClosed = True
        self.isFull = False
        self._events.clear()
        self.end()

    def _wake(self) -> None:
        waiting = self._waiting
        if waiting is not None and (self._events or self._hasEnded):
            self._waiting = None
            waiting.callback(None)

    def _cancelled(self, waiting: Deferred[None]) -> None:
        self._waiting = None
        self.onCancel()

    async def take(self) -> MessageEvent:
        """
        Take the next, when there is one.

        @raise StopAsyncIteration: if there will be none.
        @raise RuntimeError: if somebody else waits for it.
        """
        while not self._events:
            if self._hasEnded:
                error, self._error = self._error, None
                if error is not None:
                    raise error
                raise StopAsyncIteration
            if self.isAwaited:
                raise RuntimeError("somebody waits for the next event already: only one can")
            waiting = self._waiting = Deferred(self._cancelled)
            await waiting
        event = self._events.popleft()
        if self.isFull and len(self._events) <= self._few:
            self.isFull = False
            self.onRoom()
        return event


class EventBody(Protocol):
    """
    Reads the body of a response: puts its events into a queue, and stops reading while that is
    full.

    @ivar done: fires when the body has come to its end; fails if that was none, or if it cannot
        be read any further.  To be cancelled if nobody wants it any more.
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
        @param inflater: what decodes it.
        @param readTimeout: after how many seconds without a byte it fails.
        """
        self.done: Deferred[None] = Deferred(lambda _: self._cutOff())
        self._queue = queue
        self._parser = parser
        self._inflater = inflater
        self._reactor = reactor
        self._readTimeout = readTimeout
        self._response = response
        self._heard = 0.0
        self._isLate = False
        self._watch: Any = None
        self._isPaused = False
        # While events are put into the queue: whoever takes them makes room for more.
        self._isBusy = False
        self._finished = False
        # How it has ended, if there is something left to decode.
        self._reason: Failure | None = None

    def begin(self) -> None:
        """
        Begin to read.
        """
        self._response.deliverBody(self)

    def connectionMade(self) -> None:
        """
        See L{Protocol}.
        """
        if self._readTimeout is not None:
            self._heard = self._reactor.seconds()
            self._watch = self._reactor.callLater(self._readTimeout, self._look)

    def dataReceived(self, data: bytes) -> None:
        """
        See L{Protocol}.
        """
        if self._finished:
            return
        if self._readTimeout is not None:
            self._heard = self._reactor.seconds()
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
            self._stopWatch()
            self._reason = reason
            return
        # Without a length and without chunks the end of the connection is that of the body.
        if reason.check(ResponseDone, PotentialDataLoss):
            self._finish(None)
        else:
            self._finish(_broken(reason))

    def resume(self) -> None:
        """
        Go on reading: there is room in the queue again.
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
        Pause the connection while the queue is full.
        """
        transport: Any = self.transport
        # Of a response that was in memory already there is none.
        if self._finished or transport is None or self._queue.isFull == self._isPaused:
            return
        self._isPaused = self._queue.isFull
        if self._isPaused:
            transport.pauseProducing()
        else:
            self._heard = self._reactor.seconds()
            transport.resumeProducing()

    def _inflate(self) -> None:
        inflater = self._inflater
        assert inflater is not None
        while not (self._queue.isFull or self._finished):
            try:
                piece = inflater.read()
            except StreamBroken as e:
                self._fail(e)
                return
            if not piece:
                return
            self._parse(piece)

    def _parse(self, data: bytes) -> None:
        pieces = [data]
        if b"\n:" in data or b"\r:" in data:
            # The events before a comment are there before the comment is told.
            pieces = _BEFORE_COMMENT.split(data)
        for piece in pieces:
            if self._finished:
                # By what was called.
                return
            events: Sequence[MessageEvent] = ()
            error = None
            try:
                events = self._parser.feed(piece)
            except Exception as e:
                if self._finished:
                    # Closed first: it is logged, nobody reads any more.
                    raise
                # An event that is too large, with those before it; or what onComment has raised.
                events, error = getattr(e, "events", ()), e
            if events and not self._finished:
                self._isBusy = True
                self._queue.put(events)
                self._isBusy = False
            if error is not None and not self._finished:
                self._fail(error)

    def _look(self) -> None:
        """
        Find out whether something has come in time.
        """
        assert self._readTimeout is not None
        now = self._reactor.seconds()
        if self._isPaused:
            self._heard = now
        left = self._heard + self._readTimeout - now
        if left > 0:
            self._isLate = False
            self._watch = self._reactor.callLater(left, self._look)
        elif not self._isLate:
            # It may have come while this program was busy: the reactor reads before it calls again.
            self._isLate = True
            self._watch = self._reactor.callLater(0, self._look)
        else:
            self._watch = None
            self._fail(ReadTimeout(f"nothing has come for {self._readTimeout} seconds"))

    def _stopWatch(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    def _fail(self, error: Exception) -> None:
        self._cutOff()
        self.done.errback(Failure(error))

    def _cutOff(self) -> None:
        """
        Nobody wants what still comes.
        """
        self._finished = True
        self._stopWatch()
        cutOff(self._response, self.transport)

    def _finish(self, error: Exception | None) -> None:
        self._finished = True
        self._stopWatch()
        if error is None:
            self.done.callback(None)
        else:
            self.done.errback(Failure(error))


def _broken(reason: Failure) -> StreamBroken:
    value: Any = reason.value
    if isinstance(value, ResponseFailed) and value.reasons:
        value = value.reasons[0].value
    error = StreamBroken(f"the stream was broken off: {value}")
    error.__cause__ = value
    return error


def cutOff(response: IResponse, transport: Any) -> None:
    """
    Close a connection, at once if possible.

    @param transport: what the response has given to the protocol of its body; L{None} for nothing
        yet.
    """
    # Twisted's own response and its transport have neither of the first two.
    abort = getattr(response, "abort", None) or getattr(transport, "abortConnection", None)
    if abort is not None:
        abort()
    elif transport is not None:
        transport.loseConnection()


class _Start(Protocol):
    """
    Reads the beginning of a body.
    """

    def __init__(self, response: IResponse) -> None:
        self.done: Deferred[bytes] = Deferred(lambda _: self._cutOff())
        self._response = response
        self._data = b""

    def dataReceived(self, data: bytes) -> None:
        self._data += data
        if len(self._data) >= MOST_START:
            self.finish()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if not self.done.called:
            self.done.callback(self._data)

    def finish(self) -> None:
        """
        It is enough.
        """
        if not self.done.called:
            # First: who is cut off may say so at once.
            self.done.callback(self._data[:MOST_START])
            self._cutOff()

    def _cutOff(self) -> None:
        cutOff(self._response, self.transport)


def readStart(response: IResponse, reactor: Any) -> Deferred[bytes]:
    """
    Read the beginning of a body that is no event stream, and lose the rest.

    @return: a L{Deferred} of at most 64 KiB: what comes within 5 seconds.
    """
    start = _Start(response)
    response.deliverBody(start)
    if start.done.called:
        return start.done
    call = reactor.callLater(START_PATIENCE, start.finish)

    def stop(result: Any) -> Any:
        if call.active():
            call.cancel()
        return result

    return start.done.addBoth(stop)


def discard(response: IResponse) -> None:
    """
    Cut off a response that nobody wants.
    """
    start = _Start(response)
    response.deliverBody(start)
    start.finish()


async def checkResponse(response: IResponse, reactor: Any) -> Inflater | None:
    """
    Check that a response is an event stream (HTML standard, 9.2.2, step 15 of the constructor).

    @return: what decodes its body.
    @raise BadStatus: if its status is not 200.
    @raise BadContentType: if it is of another type.
    """
    if response.code != 200:
        body = _decoded(
            await readStart(response, reactor), fieldValue(response.headers, b"content-encoding")
        )
        phrase = response.phrase.decode("latin-1")
        raise BadStatus(response.code, phrase, response.headers, body)
    try:
        contentType = fieldValue(response.headers, b"content-type")
        if _essence(contentType or "") != "text/event-stream":
            raise BadContentType(contentType)
        return makeInflater(fieldValue(response.headers, b"content-encoding") or "")
    except BadContentType:
        discard(response)
        raise


def _decoded(start: bytes, contentEncoding: str | None) -> bytes:
    """
    Decode the beginning of a body, if that is possible.

    @return: at most 64 KiB.
    """
    body = b""
    try:
        inflater = makeInflater(contentEncoding or "")
        if inflater is None:
            return start
        inflater.feed(start)
        while len(body) < MOST_START and (piece := inflater.read()):
            body += piece
    except (BadContentType, StreamBroken):
        return body or start
    return body[:MOST_START]


def fieldValue(headers: Headers, name: bytes) -> str | None:
    """
    Combine the lines of a header (RFC 9110, 5.2), whatever bytes they have.

    @return: L{None} if there are none.
    """
    values = headers.getRawHeaders(name)
    return None if values is None else b", ".join(values).decode("latin-1")


def _essence(contentType: str) -> str | None:
    """
    Find the type of a body (Fetch standard, 2.2.5, "extract a MIME type").

    @return: the last that is one.
    """
    essence = None
    for each in _TYPES.findall(contentType):
        candidate = each.partition(";")[0].strip(" \t").lower()
        if _TYPE.fullmatch(candidate) and candidate != "*/*":
            essence = candidate
    return essence


class EventReader:
    """
    The events of one response, to be iterated over: C{async for event in reader}.

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
        self._parser = EventStreamParser(maxEventSize, lastEventID, onComment)
        self._readTimeout = readTimeout
        self._reactor = reactor
        self._queue = EventQueue(self._resume, self.close)
        self._checking: Deferred[Inflater | None] | None = None
        self._body: EventBody | None = None

    @property
    def lastEventID(self) -> str:
        """
        The last event ID, as far as the response was read.
        """
        return self._parser.lastEventID

    @property
    def retry(self) -> int | None:
        """
        The reconnection time in milliseconds that the server has said last; L{None} for none.
        """
        return self._parser.retry

    def __aiter__(self) -> EventReader:
        return self

    def __anext__(self) -> Coroutine[Any, Any, MessageEvent]:
        # No coroutine around that of the queue: this is what every event goes through.
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
            response, self._queue, self._parser, inflater, reactor, self._readTimeout
        )
        self._body.begin()
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
        Read no more: the connection is closed, and the iteration ends.
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

    What is not read is not taken from the connection.  To leave before the end, C{close()} what
    is returned, or use it as a context manager: C{async with readEvents(response) as events}.

    @param response: of an L{Agent<twisted.web.client.Agent>}; of treq if it was made with
        C{unbuffered=True}: else treq keeps all of it in memory.
    @param lastEventID: that of the connection before.
    @param maxEventSize: how many bytes one event may have; L{None} for any number.
    @param readTimeout: after how many seconds without a byte the stream counts as broken.
    @param onComment: called with the text of each comment, when it comes.
    @param reactor: what tells the time; the installed one if not given.
    @return: the events.  Iterating over them raises L{BadStatus} or L{BadContentType} if it is
        no stream, L{StreamBroken} if it ends without having come to its end, and L{EventTooLarge}.
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
