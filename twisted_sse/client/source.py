"""
C{EventSource} of the HTML standard (9.2): an event stream, over as many connections as it takes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from email.utils import formatdate, parsedate_to_datetime
from inspect import isawaitable
from typing import Any, Final, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectError, ConnectionLost, DNSLookupError
from twisted.internet.interfaces import IReactorCore
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.web.client import RequestTransmissionFailed, ResponseFailed
from twisted.web.error import Error as HTTPError
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IResponse

from ..checks import checkSeconds
from ..format.parser import EventStreamParser, MessageEvent
from ..timing.backoff import Backoff
from ..timing.reactors import installedReactor
from .agent import EventStreamAgent
from .body import MOST_EVENT, EventBody
from .decoding import Inflater
from .errors import (
    BadCertificate,
    BadRedirect,
    BadStatus,
    GaveUp,
    ReadTimeout,
    StreamBroken,
)
from .negotiation import checkResponse, discard, fieldValue
from .place import BytesBody, Fields, Place, asHeaders, checkLastEventID, checkMethod
from .queue import EventQueue

__all__ = ["EventSource"]

_T = TypeVar("_T")

#: What is given as C{headers}: fields, or what makes them before each attempt.
RequestHeaders = Fields | Callable[[], Fields | Awaitable[Fields]]

#: The standard's (9.2.2, C{readyState}).
CONNECTING: Final = 0
OPEN: Final = 1
CLOSED: Final = 2

#: Fetch standard, 2.2.6, "redirect status", and 4.4, "HTTP-redirect fetch", step 8.
REDIRECTS = (301, 302, 303, 307, 308)
MOST_REDIRECTS = 20

#: What goes with a body (Fetch standard, 2.2.2, "request-body-header name").
ABOUT_BODY = (b"Content-Encoding", b"Content-Language", b"Content-Location", b"Content-Type")

#: What a server says that is busy or away for a while.  A browser would give up.
PASSING = (429, 500, 502, 503, 504)

#: The longest C{Retry-After} that counts, in seconds.
MOST_RETRY_AFTER = 300.0

#: What is sent if the user says nothing else.
USER_AGENT = b"twisted-sse"

#: What the network does.
_NETWORK = (StreamBroken, ConnectError, ConnectionLost, DNSLookupError, OSError)


class EventSource:
    """
    Follows an event stream, over as many connections as it takes: C{async for event in source}.

    Nothing happens before the first use.  There may be one who iterates; code without coroutines
    uses L{listen}.  Between them and the server are at most a few hundred events: when they are
    not taken, the connection is not read.

    It does what the standard says (HTML standard, 9.2), and where that would give up though the
    server may come back (a status such as 503), it waits longer and longer.

    @ivar url: what it was made with.

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
        agent: IAgent | None = None,
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
        @param reactor: what tells the time and connects; the installed one if not given.
        @param agent: what makes the requests: for proxies, cookies, or certificates of your own.
            If not given, it is one that trusts what the system trusts.
        @param method: the method of the request.
        @param headers: more headers; or a function that returns them, or a L{Deferred} or a
            coroutine of them, which is called before each attempt.  They are not sent to another
            origin that the server redirects to.
        @param body: the body of the request.
        @param lastEventID: where to begin: the ID of the last event that was seen.
        @param backoff: how long to wait before connecting again.
        @param reconnect: whether to connect again at all; L{None} for C{method == "GET"}.
        @param readTimeout: after how many seconds without a byte the stream counts as broken, and
            how long a response may take; L{None} for any time.
        @param maxEventSize: how many bytes one event may have; L{None} for any number.
        @param strict: whether a status such as 503 is the end, as it is in browsers.
        @param onOpen: called with the response when a stream has begun.
        @param onError: called with what went wrong, before it is tried again.
        @param onComment: called with the text of each comment, when it comes.
        @raise ValueError: if an argument is out of bounds, or C{url} is none.
        @raise TypeError: if C{body} is no C{bytes}, or another argument of no type that it can be.
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
        self._origin = self._at = Place(url)
        self._reactor = reactor
        self._agent = agent
        self._method = method.encode("ascii")
        self._headers = headers
        self._content = body
        self._backoff = Backoff() if backoff is None else backoff
        self._reconnects = method == "GET" if reconnect is None else reconnect
        self._readTimeout = readTimeout
        self._maxEventSize = maxEventSize
        self._strict = strict
        self._onOpen = onOpen
        self._onError = onError
        self._onComment = onComment
        self._queue = EventQueue(self._resume, self.close)
        self._eventParser = self._makeParser(lastEventID)
        self._retry: int | None = None
        self._failures = 0
        self._failingSince = 0.0
        self._body: EventBody | None = None
        # Fires when there is room in the queue.
        self._room: Deferred[None] | None = None
        # What is waited for now, and whether that is to be left for a new attempt.
        self._current: Deferred[Any] | None = None
        self._isHurried = False
        self._hasStarted = self._hasFinished = False
        self._closing: list[Deferred[None]] = []
        self._trigger: Any = None
        self._listeners: list[_Listener] = []

    @property
    def readyState(self) -> int:
        """
        L{CONNECTING}, also while it waits to do so; L{OPEN}; or L{CLOSED}, for good.
        """
        return self._readyState

    @property
    def lastEventID(self) -> str:
        """
        The last event ID: what is sent with the next request.
        """
        return self._eventParser.lastEventID

    # For who reads

    def __aiter__(self) -> EventSource:
        return self

    def __anext__(self) -> Coroutine[Any, Any, MessageEvent]:
        # No coroutine around that of the queue: this is what every event goes through.
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
        @param eventType: with the events of this type only; with all if not given.
        @return: a L{Deferred} that fires when there will be no more events, and fails with what
            iterating would raise, or with what the function has raised.  To be cancelled if it
            is not to be called any more.
        @raise RuntimeError: if somebody iterates.
        """
        if not self._listeners and self._queue.isAwaited:
            raise RuntimeError("somebody iterates already: have that one call your function")
        listener = _Listener(self._forget, callback, eventType)
        self._listeners.append(listener)
        if len(self._listeners) == 1:
            delivering = Deferred.fromCoroutine(self._deliver())
            delivering.addBoth(self._delivered)
        return listener.ended

    def close(self) -> Deferred[None]:
        """
        End it, at once: the connection is closed, and events that wait are forgotten.

        @return: a L{Deferred} that fires when nothing is left.
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
        Connect again at once: without waiting any longer if it waits to do so; else the
        connection that there is is closed.

        @raise RuntimeError: if it was closed.
        """
        if self._readyState == CLOSED:
            raise RuntimeError("the event source is closed: make another one")
        if self._hasStarted:
            self._isHurried = True
            self._interrupt()

    def _forget(self, listener: _Listener) -> None:
        if listener in self._listeners:
            self._listeners.remove(listener)
        if not self._listeners:
            self.close()

    async def _deliver(self) -> None:
        async for event in self:
            for listener in tuple(self._listeners):
                # One of those before it may have taken it away, or closed the source.
                if listener in self._listeners and not self._queue.isClosed:
                    result = listener.call(event)
                    if isawaitable(result):
                        await result

    def _delivered(self, result: Any) -> None:
        self.close()
        listeners, self._listeners = self._listeners, []
        for listener in listeners:
            # One of those before it may have cancelled it.
            if not listener.ended.called:
                listener.ended.callback(result)

    # What happens

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
        One connection after the other.
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
        Wait for something, unless interrupted.

        @raise CancelledError: if interrupted.
        """
        self._current = waiting
        try:
            if self._isInterrupted:
                waiting.cancel()
            result = await waiting
        except Exception as e:
            if self._isInterrupted:
                # Whatever it makes of that: Twisted's name resolution says DNSLookupError.
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

        @return: after how many seconds to make the next one; L{None} if there is to be none.
        """
        fields = await self._ownFields()
        wasRedirected = self._at is not self._origin
        opened: float | None = None
        error: Exception | None = None
        try:
            response = await self._request(fields)
            if response.code == 204:
                discard(response)
                return None
            checking = checkResponse(response, self._reactor)
            inflater = await self._step(Deferred.fromCoroutine(checking))
            opened = self._reactor.seconds()
            await self._read(response, inflater)
        except CancelledError:
            raise
        except Exception as e:
            error = _unwrapped(e)
        if opened is not None and self._reactor.seconds() - opened >= self._backoff.resetAfter:
            self._failures = 0
        if error is not None:
            return self._failed(error, opened is not None, wasRedirected)
        if not self._reconnects:
            return None
        self._readyState = CONNECTING
        return self._backoff.afterEnd(self._retry)

    async def _request(self, fields: Headers) -> IResponse:
        """
        Make the request, and go wherever the server sends us.

        @param fields: the headers that were given.
        """
        assert self._agent is not None
        place, method, content = self._at, self._method, self._content
        seen = set()
        redirects = 0
        while True:
            seen.add((method, place.uri))
            asking = self._agent.request(
                method,
                place.uri,
                self._fields(fields, place),
                None if content is None else BytesBody(content),
            )
            if self._readTimeout is not None:
                asking.addTimeout(self._readTimeout, self._reactor, self._tooLate)
            response = await self._step(asking.addCallback(self._responded))
            locations = response.headers.getRawHeaders(b"location") or [b""]
            location = locations[0].decode("utf-8", "surrogateescape").strip()
            if response.code not in REDIRECTS or not location:
                # The next request begins here (HTML standard, 9.2.3: it is the same request),
                # if it is one with the same method.
                self._at = place if method == self._method else self._origin
                return response
            discard(response)
            place = place.resolve(location)
            # Fetch standard, 4.4, "HTTP-redirect fetch", step 12.
            changes = method == b"POST" if response.code in (301, 302) else response.code == 303
            if changes and method != b"HEAD":
                method, content = b"GET", None
                fields = fields.copy()
                for name in ABOUT_BODY:
                    fields.removeHeader(name)
            if response.headers.hasHeader(b"set-cookie"):
                # What it was that was asked for may be answered otherwise now.
                seen.clear()
            if (method, place.uri) in seen:
                raise BadRedirect(f"the server redirects in a circle, to {place}")
            redirects += 1
            if redirects > MOST_REDIRECTS:
                raise BadRedirect(f"the server redirects more than {MOST_REDIRECTS} times")

    async def _ownFields(self) -> Headers:
        """
        Ask for the headers that were given.
        """
        given: Any = self._headers
        if callable(given):
            given = given()
            if isawaitable(given):
                given = await self._step(_asDeferred(given))
        return asHeaders(given)

    def _fields(self, own: Headers, place: Place) -> Headers:
        """
        @return: the headers of a request to some place.
        """
        fields = own.copy() if place.isOwn else Headers()
        for name, value in (
            (b"Accept", b"text/event-stream"),
            (b"Cache-Control", b"no-cache"),
            (b"User-Agent", USER_AGENT),
        ):
            if not fields.hasHeader(name):
                fields.setRawHeaders(name, [value])
        if place.authorization is not None:
            fields.setRawHeaders(b"Authorization", [place.authorization])
        if self.lastEventID:
            fields.setRawHeaders(b"Last-Event-ID", [self.lastEventID.encode()])
        return fields

    def _responded(self, response: IResponse) -> IResponse:
        if self._isInterrupted:
            # It could not be cancelled any more.
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
                self._retry = self._eventParser.retry
            # What is unfinished is no event, and its ID is none.
            self._eventParser = self._makeParser(self.lastEventID)

    def _failed(self, error: Exception, wasOpen: bool, wasRedirected: bool) -> float:
        """
        @param wasOpen: whether there was a stream already.
        @param wasRedirected: whether it was asked for where a stream before was redirected to.
        @return: after how many seconds to try again.
        @raise Exception: if there is no use in that.
        """
        # Where we were redirected to before there may be nobody any more.
        self._at = self._origin
        # An OSError in an open stream is of a function that we called.
        isPassing = isinstance(error, StreamBroken if wasOpen else _NETWORK) or (
            isinstance(error, BadStatus)
            and (wasRedirected or (error.status in PASSING and not self._strict))
        )
        if not isPassing or not self._reconnects:
            raise error
        now = self._reactor.seconds()
        if not self._failures:
            self._failingSince = now
        self._failures += 1
        wait = self._backoff.afterFailure(self._failures, self._retry)
        if isinstance(error, BadStatus):
            wait = max(wait, min(_retryAfter(error.headers), MOST_RETRY_AFTER))
        backoff = self._backoff
        if (backoff.maxTries is not None and self._failures >= backoff.maxTries) or (
            backoff.maxTime is not None and now + wait - self._failingSince > backoff.maxTime
        ):
            raise GaveUp(self._failures, error) from error
        self._readyState = CONNECTING
        if self._onError is not None:
            self._onError(error)
        return wait

    def _makeParser(self, lastEventID: str) -> EventStreamParser:
        return EventStreamParser(self._maxEventSize, lastEventID, self._onComment)

    def _resume(self) -> None:
        room, self._room = self._room, None
        if self._body is not None:
            self._body.resume()
        elif room is not None and not room.called:
            room.callback(None)


class _Listener:
    """
    A function that is called with events.

    @ivar ended: fires when it is called no more.
    """

    def __init__(
        self,
        forget: Callable[[_Listener], None],
        callback: Callable[[MessageEvent], object],
        eventType: str | None,
    ) -> None:
        self.ended: Deferred[None] = Deferred(lambda _: forget(self))
        self._callback = callback
        self._eventType = eventType

    def call(self, event: MessageEvent) -> object:
        if self._eventType is None or event.type == self._eventType:
            return self._callback(event)
        return None


def _unwrapped(error: Exception) -> Exception:
    """
    @return: what has happened, for somebody who does not know how requests are made.
    """
    reasons = getattr(error, "reasons", None)
    if not isinstance(error, (ResponseFailed, RequestTransmissionFailed)) or not reasons:
        return error
    reason = reasons[0].value
    told: Exception
    badCertificate = _aboutCertificate(reason)
    if isinstance(reason, HTTPError):
        # What Twisted's RedirectAgent makes of a redirect.
        told = BadRedirect(f"the server redirects: {reason}")
    elif badCertificate is not None:
        told = BadCertificate(f"the certificate of the server is not good: {badCertificate}")
    else:
        told = StreamBroken(f"there was no answer that can be read: {reason}")
    told.__cause__ = reason
    return told


def _aboutCertificate(error: object) -> str | None:
    """
    @return: what is wrong with a certificate; L{None} if it is something else that is wrong.
    """
    try:
        from OpenSSL.SSL import Error
        from service_identity import VerificationError
    except ImportError:
        return None
    if isinstance(error, VerificationError):
        return "it is another server's"
    if isinstance(error, Error) and "certificate verify failed" in str(error):
        # OpenSSL's: a list of library, function and reason.
        return "; ".join(reason for _, _, reason in error.args[0])
    return None


def _retryAfter(headers: Headers) -> float:
    """
    Read C{Retry-After}, in both its forms (RFC 9110, 10.2.3).

    @return: seconds; 0 if it says nothing.
    """
    text = (fieldValue(headers, b"retry-after") or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        # By the server's clock, which is the one that it has read.
        date = fieldValue(headers, b"date") or formatdate(usegmt=True)
        until, now = parsedate_to_datetime(text), parsedate_to_datetime(date)
        return max(0.0, (until - now).total_seconds())
    except (TypeError, ValueError, OverflowError):
        return 0.0


def _asDeferred(waiting: Any) -> Deferred[Any]:
    if isinstance(waiting, Deferred):
        return waiting
    return Deferred.fromCoroutine(waiting)
