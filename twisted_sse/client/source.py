"""
C{EventSource} of the HTML standard (9.2): an event stream, over as many connections as needed.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from inspect import isawaitable
from typing import Any, Final, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorCore
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IResponse

from ..checks import checkSeconds
from ..format.parser import EventStreamParser, MessageEvent
from ..timing.backoff import Backoff
from ..timing.reactors import installedReactor
from ..timing.ticker import steady
from .agent import AnyAgent, EventStreamAgent
from .asking import RequestHeaders, StreamRequest, redirectOf
from .body import MOST_EVENT, EventBody
from .decoding import Inflater
from .errors import ReadTimeout
from .failures import explained
from .listeners import Listeners
from .negotiation import checkResponse, discard
from .place import Place, asHeaders, checkLastEventID, checkMethod
from .queue import EventQueue
from .retrying import Retries

__all__ = ["EventSource"]

_T = TypeVar("_T")

#: The standard's (9.2.2, C{readyState}).
CONNECTING: Final = 0
OPEN: Final = 1
CLOSED: Final = 2


class EventSource:
    """
    Follows an event stream, over as many connections as needed: C{async for event in source}.

    Nothing happens before the first use.  Only one caller may iterate; code without coroutines
    uses L{listen}.  At most a few hundred events are queued: the connection is read no faster
    than you take them.

    It follows the HTML standard, 9.2.  Where the standard gives up although the server may recover
    (a status such as 503), it retries, after longer and longer waits.

    @ivar url: the URL that it was made with.

    @since: 0.1
    """

    CONNECTING: Final = CONNECTING
    OPEN: Final = OPEN
    CLOSED: Final = CLOSED

    def __init__(
        self,
        url: str,
        *,
        reactor: Any = None,
        agent: IAgent | AnyAgent | None = None,
        method: str = "GET",
        headers: RequestHeaders | None = None,
        body: bytes | None = None,
        lastEventID: str = "",
        backoff: Backoff | None = None,
        reconnect: bool | None = None,
        readTimeout: float | None = None,
        maxEventSize: int | None = MOST_EVENT,
        strict: bool = False,
        onOpen: Callable[[IResponse], object] | None = None,
        onError: Callable[[Exception], object] | None = None,
        onComment: Callable[[str], object] | None = None,
    ) -> None:
        """
        @param url: where the stream is.  A user and a password in it are sent as HTTP Basic.
        @param reactor: makes connections and timers; by default, the installed reactor.
        @param agent: what makes the requests: for proxies, cookies, or certificates of your own.
            By default, an agent that trusts what the system trusts.
        @param method: the method of the request.
        @param headers: more headers; or a function that returns them, or a L{Deferred} or a
            coroutine of them, and is called before each attempt.  They are not sent to another
            origin that the server redirects to.
        @param body: the body of the request.
        @param lastEventID: the ID of the last event that you have seen, to begin after it.
        @param backoff: how long to wait before connecting again.
        @param reconnect: whether to connect again at all; L{None} for C{method == "GET"}.
        @param readTimeout: after how many seconds without a byte the stream counts as broken, and
            how long a response may take; L{None} for any time.
        @param maxEventSize: how many bytes one event may have; L{None} for no limit.
        @param strict: whether a status such as 503 is the end, as it is in browsers.
        @param onOpen: called with the response when a stream has begun.
        @param onError: called with the error before each retry.
        @param onComment: called with the text of each comment as it arrives.
        @raise ValueError: if an argument is out of bounds, or C{url} is not a URL.
        @raise TypeError: if C{body} is not C{bytes}, or another argument has a wrong type.
        """
        checkMethod(method)
        checkLastEventID(lastEventID)
        checkSeconds("readTimeout", readTimeout)
        if body is not None and not isinstance(body, bytes):
            raise TypeError(f"body is {type(body).__name__}: it must be bytes")
        if not callable(headers):
            asHeaders(headers)
        self.url = url
        self._readyState: int = CONNECTING
        # Where the user wants to go, and where the next request goes.
        self._origin = self._at = Place(url)
        self._reactor = reactor
        self._agent = agent
        self._method = method.encode("ascii")
        self._headers = headers
        self._content = body
        self._readTimeout = readTimeout
        self._maxEventSize = maxEventSize
        self._onOpen = onOpen
        self._onError = onError
        self._onComment = onComment
        self._retries = Retries(
            Backoff() if backoff is None else backoff,
            method == "GET" if reconnect is None else reconnect,
            strict,
        )
        self._queue = EventQueue(self._resume, self.close)
        self._listeners = Listeners(self, self._queue)
        self._eventParser = self._makeParser(lastEventID)
        self._body: EventBody | None = None
        # Fires when there is room in the queue.
        self._room: Deferred[None] | None = None
        # What this waits for now, and whether to leave that for a new attempt.
        self._current: Deferred[Any] | None = None
        self._isHurried = False
        self._hasStarted = self._hasFinished = False
        self._closing: list[Deferred[None]] = []
        self._trigger: Any = None

    @property
    def readyState(self) -> int:
        """
        L{CONNECTING}, also while it waits to do so; L{OPEN}; or L{CLOSED}, for good.
        """
        return self._readyState

    @property
    def lastEventID(self) -> str:
        """
        The last event ID: what the next request sends.
        """
        return self._eventParser.lastEventID

    # What the application calls

    def __aiter__(self) -> EventSource:
        return self

    def __anext__(self) -> Coroutine[Any, Any, MessageEvent]:
        # Not wrapped in another coroutine: every event goes through this.
        if not self._hasStarted and self._readyState != CLOSED:
            self._start()
        return self._queue.take()

    async def __aenter__(self) -> EventSource:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    def listen(
        self, callback: Callable[[MessageEvent], object], eventType: str | None = None
    ) -> Deferred[None]:
        """
        Have a function called with each event, instead of iterating over them.

        @param callback: if it returns a L{Deferred} or a coroutine, the next event has to wait.
        @param eventType: call it with events of this type only; with all by default.
        @return: a L{Deferred} that fires when there will be no more events, and fails with what
            iterating would raise, or with what the function raised.  Cancel it to stop the calls.
        @raise RuntimeError: if another caller is already waiting for the next event.
        """
        return self._listeners.add(callback, eventType)

    def close(self) -> Deferred[None]:
        """
        End it at once: close the connection and drop the queued events.

        @return: a L{Deferred} that fires when everything is closed.
        """
        self._queue.close()
        if self._readyState != CLOSED:
            self._readyState = CLOSED
            self._interrupt()
        closed: Deferred[None] = Deferred()
        if self._hasStarted and not self._hasFinished:
            self._closing.append(closed)
        else:
            closed.callback(None)
        return closed

    def reconnectNow(self) -> None:
        """
        Connect again at once: end the wait for the next try, or close the connection that is open.

        @raise RuntimeError: if it was closed.
        """
        if self._readyState == CLOSED:
            raise RuntimeError("the event source is closed: make another one")
        if self._hasStarted:
            self._isHurried = True
            self._interrupt()

    # The connections, one after the other

    def _start(self) -> None:
        self._hasStarted = True
        if self._reactor is None:
            self._reactor = installedReactor()
        if self._agent is None:
            self._agent = EventStreamAgent(self._reactor)
        if IReactorCore.providedBy(self._reactor):
            self._trigger = self._reactor.addSystemEventTrigger("before", "shutdown", self.close)
        Deferred.fromCoroutine(self._run()).addBoth(self._finished)

    def _finished(self, result: object) -> None:
        error: BaseException | None = None
        if isinstance(result, Failure) and not (
            self._readyState == CLOSED and result.check(CancelledError)
        ):
            error = result.value
        self._readyState = CLOSED
        self._hasFinished = True
        if self._trigger is not None:
            self._reactor.removeSystemEventTrigger(self._trigger)
            self._trigger = None
        self._queue.end(error)
        closing, self._closing = self._closing, []
        for closed in closing:
            closed.callback(None)

    async def _run(self) -> None:
        """
        Make one connection after the other.
        """
        while self._readyState != CLOSED:
            try:
                if self._queue.isFull:
                    self._room = Deferred()
                    await self._step(self._room)
                wait = await self._follow()
                if wait is None:
                    return
                await self._step(deferLater(self._reactor, wait))
            except CancelledError:
                if self._readyState == CLOSED or not self._isHurried:
                    raise
                self._readyState = CONNECTING
                self._isHurried = False

    async def _step(self, waiting: Deferred[_T]) -> _T:
        """
        Wait for something.

        @raise CancelledError: if L{close} or L{reconnectNow} is called meanwhile.
        """
        self._current = waiting
        try:
            if self._isInterrupted:
                waiting.cancel()
            result = await waiting
        except Exception as e:
            if self._isInterrupted:
                # Not every Deferred fails with CancelledError when it is cancelled: that of
                # Twisted's name resolution fails with DNSLookupError.
                raise CancelledError from e
            raise
        finally:
            self._current = None
        if self._isInterrupted:
            raise CancelledError
        return result

    @property
    def _isInterrupted(self) -> bool:
        return self._isHurried or self._readyState == CLOSED

    def _interrupt(self) -> None:
        if self._current is not None:
            self._current.cancel()

    async def _follow(self) -> float | None:
        """
        Make a connection, and read it to its end.

        @return: after how many seconds to make the next one; L{None} for never.
        """
        own = await self._ownHeaders()
        wasRedirected = self._at is not self._origin
        seconds = steady(self._reactor)
        opened: float | None = None
        error: Exception | None = None
        try:
            response = await self._request(own)
            if response.code == 204:
                discard(response)
                return None
            checking = checkResponse(response, self._reactor)
            inflater = await self._step(Deferred.fromCoroutine(checking))
            opened = seconds()
            await self._read(response, inflater)
        except CancelledError:
            raise
        except Exception as e:
            error = explained(e)
        now = seconds()
        if opened is not None:
            self._retries.stayedOpen(now - opened)
        if error is None:
            wait = self._retries.afterEnd()
        else:
            # The place that we were redirected to may be gone.
            self._at = self._origin
            wait = self._retries.afterFailure(error, opened is not None, wasRedirected, now)
        if wait is None:
            return None
        self._readyState = CONNECTING
        if error is not None and self._onError is not None:
            self._onError(error)
        return wait

    async def _ownHeaders(self) -> Headers:
        """
        @return: the headers that the application wants to send.
        """
        given: Any = self._headers
        if callable(given):
            given = given()
            if isinstance(given, Deferred):
                given = await self._step(given)
            elif isawaitable(given):
                coroutine: Any = given
                given = await self._step(Deferred.fromCoroutine(coroutine))
        return asHeaders(given)

    async def _request(self, own: Headers) -> IResponse:
        """
        Make the request, and follow the server's redirects.

        @param own: the headers that the application wants to send.
        """
        assert self._agent is not None
        request = StreamRequest(self._at, self._method, self._content, own)
        while True:
            asking = self._agent.request(
                request.method,
                request.place.uri,
                request.headers(self.lastEventID),
                request.body,
            )
            if self._readTimeout is not None:
                asking.addTimeout(self._readTimeout, self._reactor, self._tooLate)
            response = await self._step(asking.addCallback(self._responded))
            location = redirectOf(response)
            if location is None:
                # The next request begins here (HTML standard, 9.2.3: it is the same request),
                # unless the redirects have changed its method.
                isSame = request.method == self._method
                self._at = request.place if isSame else self._origin
                return response
            discard(response)
            request.redirect(response, location)

    def _responded(self, response: IResponse) -> IResponse:
        if self._isInterrupted:
            # The request completed before it could be cancelled.
            discard(response)
        return response

    def _tooLate(self, result: object, seconds: float) -> None:
        raise ReadTimeout(f"there was no answer within {seconds} seconds")

    async def _read(self, response: IResponse, inflater: Inflater | None) -> None:
        """
        Read the events of a response.
        """
        self._readyState = OPEN
        if self._onOpen is not None:
            try:
                self._onOpen(response)
            except BaseException:
                discard(response)
                raise
            if self._isInterrupted:
                discard(response)
                raise CancelledError
        self._body = EventBody(
            response, self._queue, self._eventParser, inflater, self._reactor, self._readTimeout
        )
        response.deliverBody(self._body)
        try:
            await self._step(self._body.done)
        finally:
            self._body = None
            if self._eventParser.retry is not None:
                self._retries.retry = self._eventParser.retry
            # An unfinished event is dropped, and its ID with it.
            self._eventParser = self._makeParser(self.lastEventID)

    def _makeParser(self, lastEventID: str) -> EventStreamParser:
        return EventStreamParser(self._maxEventSize, lastEventID, self._onComment)

    def _resume(self) -> None:
        """
        There is room in the queue again.
        """
        room, self._room = self._room, None
        if self._body is not None:
            self._body.resume()
        elif room is not None and not room.called:
            room.callback(None)
