"""
C{EventSource} of the HTML standard (9.2): an event stream, over as many connections as needed.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from threading import get_ident
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.web.iweb import IAgent, IResponse

from ..checks import checkFlag, checkSeconds
from ..format.parser import MessageEvent
from ..timing.backoff import Backoff
from ..timing.reactors import checkThread
from .agent import AnyAgent
from .asking import RequestHeaders, RequestURL
from .body import MOST_EVENT
from .following import Following, Wanted
from .listeners import Listeners
from .place import asHeaders, checkLastEventID, checkMethod
from .retrying import PASSING, Retries, RetryOn

__all__ = ["EventSource"]

#: The standard's (9.2.2, C{readyState}).
CONNECTING: Final = 0
OPEN: Final = 1
CLOSED: Final = 2


class EventSource:
    """
    Follows an event stream, over as many connections as needed: C{async for event in source}.

    Nothing happens before the first use.  Only one caller may iterate; code without coroutines
    uses L{listen}.  At most a few hundred events are queued: the connection is read no faster
    than you take them.  It is closed at the end of C{async with}, by L{close}, and when nothing
    refers to the source any more.

    It follows the HTML standard, 9.2.  Where the standard gives up although the server may recover
    (a status such as 503), it retries, after longer and longer waits.

    @cvar CONNECTING: the L{readyState} of a source that has no stream: it has not been used yet,
        makes a connection, or waits to do so.
    @cvar OPEN: the L{readyState} of a source that reads a stream.
    @cvar CLOSED: the L{readyState} of a source that has ended permanently.

    @since: 0.2
    """

    CONNECTING: Final = CONNECTING
    OPEN: Final = OPEN
    CLOSED: Final = CLOSED

    def __init__(
        self,
        url: RequestURL,
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
        retryOn: RetryOn = PASSING,
        requireType: bool = True,
        onOpen: Callable[[IResponse], object] | None = None,
        onError: Callable[[Exception], object] | None = None,
        onComment: Callable[[str], object] | None = None,
    ) -> None:
        """
        @param url: where the stream is.  A user and a password in it are sent as HTTP Basic.  Or a
            function that returns the URL, or a L{Deferred} or a coroutine of it, and is called
            before each attempt.
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
        @param strict: whether every status that is not that of a stream is the end, as it is in
            browsers.
        @param retryOn: the statuses after which to try again, unless C{strict}: by default 408,
            425, 429, 500, 502, 503, 504, 520 to 524, 529 and 530.  Or a function that is called
            with the L{BadStatus<twisted_sse.client.errors.BadStatus>} and returns whether to try
            again, or a L{Deferred} or a coroutine of that: it may get a new token first.
        @param requireType: whether the C{Content-Type} must be C{text/event-stream}.
        @param onOpen: called with the response when a stream has begun.
        @param onError: called with the error before each retry.
        @param onComment: called with the text of each comment as it arrives.
        @raise ValueError: if an argument is out of bounds, or C{url} is not a URL.
        @raise TypeError: if C{body} is not C{bytes}, or another argument has a wrong type.
        """
        checkMethod(method)
        checkLastEventID(lastEventID)
        checkSeconds("readTimeout", readTimeout)
        checkFlag("requireType", requireType)
        if body is not None and not isinstance(body, bytes):
            raise TypeError(f"body is {type(body).__name__}: it must be bytes")
        if not callable(headers):
            asHeaders(headers)
        wanted = Wanted(
            url,
            method,
            headers,
            body,
            readTimeout,
            maxEventSize,
            requireType,
            onOpen,
            onError,
            onComment,
        )
        retries = Retries(
            Backoff() if backoff is None else backoff,
            method == "GET" if reconnect is None else reconnect,
            strict,
            retryOn,
        )
        self._following = following = Following(wanted, retries, lastEventID, agent, reactor)
        self._queue = following.queue
        self._thread = get_ident()
        self._listeners = Listeners(following.queue, following.close)

    @property
    def url(self) -> str:
        """
        The URL that it was made with.  If that was a function, what it returned for the latest
        attempt; C{""} before the first.
        """
        return self._following.url

    @property
    def readyState(self) -> int:
        """
        L{CONNECTING}, L{OPEN} or L{CLOSED}.
        """
        following = self._following
        return CLOSED if following.isClosed else OPEN if following.isOpen else CONNECTING

    @property
    def lastEventID(self) -> str:
        """
        The last event ID: what the next request sends.
        """
        return self._following.lastEventID

    @property
    def retry(self) -> int | None:
        """
        The reconnection time that the server sent last, in milliseconds; L{None} if it has sent
        none.
        """
        return self._following.retry

    # What the application calls

    def __aiter__(self) -> EventSource:
        return self

    def __anext__(self) -> Coroutine[Any, Any, MessageEvent]:
        # Not wrapped in another coroutine: every event goes through this.
        following = self._following
        if not following.hasStarted and not following.isClosed:
            following.start()
        return self._queue.take(self)

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
        @raise RuntimeError: if another caller is already waiting for the next event, or this is
            not the reactor's thread.
        """
        checkThread(self._thread, "source.listen")
        return self._listeners.add(self, callback, eventType)

    def close(self) -> Deferred[None]:
        """
        End it at once: close the connection and drop the queued events.

        @return: a L{Deferred} that fires when everything is closed.
        @raise RuntimeError: if this is not the reactor's thread.
        """
        checkThread(self._thread, "source.close")
        return self._following.close()

    def reconnectNow(self) -> None:
        """
        Connect again at once: end the wait for the next try, or close the connection that is open.

        @raise RuntimeError: if it was closed, or this is not the reactor's thread.
        """
        checkThread(self._thread, "source.reconnectNow")
        if self._following.isClosed:
            raise RuntimeError("the event source is closed: make a new one")
        self._following.hurry()

    def __del__(self) -> None:
        # Of a source that could not be made, there is nothing to close.
        following: Following | None = getattr(self, "_following", None)
        if following is not None:
            following.abandon()
