"""
The connections of an event source, one after the other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorCore
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IResponse

from ..format.parser import EventStreamParser
from ..timing.reactors import installedReactor
from ..timing.ticker import steady
from .abandoned import closeAbandoned
from .agent import AnyAgent, EventStreamAgent
from .asking import RequestHeaders, RequestURL, StreamRequest, redirectOf
from .body import EventBody
from .decoding import Decoder
from .errors import ReadTimeout
from .failures import explained
from .negotiation import checkResponse, discard
from .place import Place, asHeaders
from .queue import EventQueue
from .retrying import Retries

__all__ = ["Following", "Wanted"]

_T = TypeVar("_T")


@dataclass(frozen=True)
class Wanted:
    """
    What an application wants: the arguments of
    L{EventSource<twisted_sse.client.source.EventSource>}, which describes them.
    """

    url: RequestURL
    method: str
    headers: RequestHeaders | None
    body: bytes | None
    readTimeout: float | None
    maxEventSize: int | None
    requireType: bool
    onOpen: Callable[[IResponse], object] | None
    onError: Callable[[Exception], object] | None
    onComment: Callable[[str], object] | None


class Following:
    """
    Makes the connections, one after the other, and puts the events into a queue.

    It does not refer to the source that it works for, so that an unreferenced source can be closed.

    @ivar queue: where the events go.
    @ivar url: the URL of the latest attempt; C{""} if that is not known yet.
    @ivar hasStarted: whether L{start} was called.
    @ivar isClosed: whether it has ended permanently.
    @ivar isOpen: whether there is a stream at this moment.
    """

    def __init__(
        self,
        wanted: Wanted,
        retries: Retries,
        lastEventID: str,
        agent: IAgent | AnyAgent | None,
        reactor: Any,
    ) -> None:
        """
        @param retries: when to connect again.
        @param lastEventID: the ID to begin after.
        @raise ValueError: if the URL is not one.
        """
        self.queue = EventQueue(self._resume, self.close)
        self.url = ""
        self.hasStarted = self.isClosed = self.isOpen = False
        self._wanted = wanted
        self._retries = retries
        self._agent = agent
        self._reactor = reactor
        # Where the user wants to go, and where the next request goes.
        self._origin: Place | None = None
        self._at: Place | None = None
        if not callable(wanted.url):
            self._setURL(wanted.url)
        self._eventParser = self._makeParser(lastEventID)
        self._body: EventBody | None = None
        # Fires when there is room in the queue.
        self._room: Deferred[None] | None = None
        # What this waits for now, and whether to leave that for a new attempt.
        self._current: Deferred[Any] | None = None
        self._isHurried = False
        self._hasFinished = False
        self._closing: list[Deferred[None]] = []
        self._trigger: Any = None

    @property
    def lastEventID(self) -> str:
        """
        The last event ID: what the next request sends.
        """
        return self._eventParser.lastEventID

    @property
    def retry(self) -> int | None:
        """
        The reconnection time that the server sent last, in milliseconds; L{None} for none.
        """
        retry = self._eventParser.retry
        return self._retries.retry if retry is None else retry

    def start(self) -> None:
        """
        Make the first connection.
        """
        self.hasStarted = True
        if self._reactor is None:
            self._reactor = installedReactor()
        if self._agent is None:
            self._agent = EventStreamAgent(self._reactor)
        if IReactorCore.providedBy(self._reactor):
            self._trigger = self._reactor.addSystemEventTrigger("before", "shutdown", self.close)
        Deferred.fromCoroutine(self._run()).addBoth(self._finished)

    def close(self) -> Deferred[None]:
        """
        End it at once.

        @return: a L{Deferred} that fires when everything is closed.
        """
        self.queue.close()
        if not self.isClosed:
            self.isClosed = True
            self._interrupt()
        closed: Deferred[None] = Deferred()
        if self.hasStarted and not self._hasFinished:
            self._closing.append(closed)
        else:
            closed.callback(None)
        return closed

    def abandon(self) -> None:
        """
        End it, since its events can no longer be read.
        """
        self.queue.forget()
        if self.hasStarted and not self.isClosed:
            closeAbandoned(self._reactor, self.close)

    def hurry(self) -> None:
        """
        Connect again at once.
        """
        if self.hasStarted:
            self._isHurried = True
            self._interrupt()

    def _finished(self, result: object) -> None:
        error: BaseException | None = None
        if isinstance(result, Failure) and not (self.isClosed and result.check(CancelledError)):
            error = result.value
        self.isClosed = self._hasFinished = True
        if self._trigger is not None:
            self._reactor.removeSystemEventTrigger(self._trigger)
            self._trigger = None
        self.queue.end(error)
        closing, self._closing = self._closing, []
        for closed in closing:
            closed.callback(None)

    async def _run(self) -> None:
        """
        Make one connection after the other.
        """
        while not self.isClosed:
            try:
                if self.queue.isFull:
                    self._room = Deferred()
                    await self._step(self._room)
                wait = await self._follow()
                if wait is None:
                    return
                await self._step(deferLater(self._reactor, wait))
            except CancelledError:
                if not self._isHurried or self.isClosed:
                    raise
                self._isHurried = False

    async def _step(self, waiting: Deferred[_T]) -> _T:
        """
        Wait for something.

        @raise CancelledError: if L{close} or L{hurry} is called meanwhile.
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
        return self._isHurried or self.isClosed

    def _interrupt(self) -> None:
        if self._current is not None:
            self._current.cancel()

    async def _answer(self, given: Any) -> Any:
        """
        Wait for what a function of the application has returned, if it is a L{Deferred} or a
        coroutine.
        """
        if isinstance(given, Deferred):
            return await self._step(given)
        if isawaitable(given):
            coroutine: Any = given
            return await self._step(Deferred.fromCoroutine(coroutine))
        return given

    async def _follow(self) -> float | None:
        """
        Make a connection, and read it to its end.

        @return: after how many seconds to make the next one; L{None} for never.
        """
        wanted = self._wanted
        if callable(wanted.url):
            self._setURL(await self._answer(wanted.url()))
        headers = wanted.headers
        own = asHeaders(await self._answer(headers()) if callable(headers) else headers)
        wasRedirected = self._at is not self._origin
        seconds = steady(self._reactor)
        opened: float | None = None
        hadEvents = False
        error: Exception | None = None
        try:
            response = await self._request(own)
            if response.code == 204:
                discard(response)
                return None
            checking = checkResponse(
                response, self._reactor, wanted.method != "GET", wanted.requireType
            )
            decoder = await self._step(Deferred.fromCoroutine(checking))
            opened = seconds()
            hadEvents = await self._read(response, decoder)
        except CancelledError:
            raise
        except Exception as e:
            assert self._at is not None
            error = explained(e, self._at.isSecure)
        now = seconds()
        if opened is not None:
            self._retries.stayedOpen(now - opened)
        if error is None:
            return self._retries.afterEnd(hadEvents, now)
        # The place that we were redirected to may be gone.
        self._at = self._origin
        wasOpen = opened is not None
        if not await self._answer(self._retries.isPassing(error, wasOpen, wasRedirected)):
            raise error
        wait = self._retries.afterFailure(error, now)
        if wanted.onError is not None:
            wanted.onError(error)
        return wait

    def _setURL(self, url: Any) -> None:
        """
        Begin at a URL, unless the requests do so already.

        @raise ValueError: if it is not the URL of a web server.
        """
        if not isinstance(url, str):
            raise TypeError(f"url is {url!r}: it must be a str")
        if self._origin is None or url != self.url:
            self._origin = self._at = Place(url)
            self.url = url

    async def _request(self, own: Headers) -> IResponse:
        """
        Make the request, and follow the server's redirects.

        @param own: the headers that the application wants to send.
        """
        assert self._agent is not None and self._at is not None
        method = self._wanted.method.encode("ascii")
        readTimeout = self._wanted.readTimeout
        request = StreamRequest(self._at, method, self._wanted.body, own)
        while True:
            asking = self._agent.request(
                request.method,
                request.place.uri,
                request.headers(self.lastEventID),
                request.body,
            )
            if readTimeout is not None:
                asking.addTimeout(readTimeout, self._reactor, self._tooLate)
            response = await self._step(asking.addCallback(self._responded))
            location = redirectOf(response)
            if location is None:
                # The next request begins here (HTML standard, 9.2.3: it is the same request),
                # unless the redirects have changed its method.
                self._at = request.place if request.method == method else self._origin
                return response
            discard(response)
            request.redirect(response, location)

    def _responded(self, response: IResponse) -> IResponse:
        if self._isInterrupted:
            # The request completed before it could be cancelled.
            discard(response)
        return response

    def _tooLate(self, result: object, seconds: float) -> None:
        raise ReadTimeout(f"there was no response within {seconds} seconds")

    async def _read(self, response: IResponse, decoder: Decoder) -> bool:
        """
        Read the events of a response.

        @return: whether there was one.
        """
        wanted = self._wanted
        self.isOpen = True
        try:
            if wanted.onOpen is not None:
                try:
                    wanted.onOpen(response)
                except BaseException:
                    discard(response)
                    raise
                if self._isInterrupted:
                    discard(response)
                    raise CancelledError
            body = self._body = EventBody(
                response,
                self.queue,
                self._eventParser,
                wanted.onComment is not None,
                decoder,
                self._reactor,
                wanted.readTimeout,
            )
            response.deliverBody(body)
            await self._step(body.done)
            return body.hadEvents
        finally:
            self._body = None
            self.isOpen = False
            self._retries.retry = self.retry
            # An unfinished event is dropped, and its ID with it.
            self._eventParser = self._makeParser(self.lastEventID)

    def _makeParser(self, lastEventID: str) -> EventStreamParser:
        return EventStreamParser(self._wanted.maxEventSize, lastEventID, self._wanted.onComment)

    def _resume(self) -> None:
        """
        There is room in the queue again.
        """
        room, self._room = self._room, None
        if self._body is not None:
            self._body.resume()
        elif room is not None and not room.called:
            room.callback(None)
