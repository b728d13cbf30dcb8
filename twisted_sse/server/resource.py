"""
The resource that answers with an event stream: negotiation, limits, CORS, HEAD.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Hashable, Iterable
from typing import TYPE_CHECKING, cast
from urllib.parse import unquote_to_bytes

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.error import Error
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET

from ..checks import InvalidOption, checkInteger, checkList, checkSeconds
from ..format.event import Event
from ..listeners import checkObserver
from ..stream.asked import Asked
from ..stream.headers import removeEncoder, setHeaders
from ..stream.observer import AnyStreamObserver, StreamObserver
from ..stream.options import END, SHORTEST_RETRY, StreamOptions
from ..stream.pending import PendingTotal, SlowReader
from ..stream.reasons import CloseReason
from ..stream.result import start
from ..stream.stream import EventStream
from ..timing.reactors import checkThread
from .accept import accepts
from .address import checkedNetworks, clientAddress
from .answers import allow, answer, vary
from .drain import DrainService
from .group import Farewell, StreamGroup
from .origins import Origins

if TYPE_CHECKING:
    from twisted.internet.task import Clock
    from twisted.web.server import Request

__all__ = ["EventStreamResource"]

#: Query parameters for the last event ID, from clients that cannot set headers, in lower case.
QUERY_NAMES = frozenset((b"lasteventid", b"last_event_id", b"last-event-id"))

#: The reconnection time of a client over a limit, from and to, in milliseconds.
LIMIT_RETRY = (5000, 15000)

#: The last event ID of a browser that has seen the end of a stream with C{once}.
END_ID = (END.id or "").encode()

_log = Logger()


class EventStreamResource(Resource):
    """
    A resource that holds requests open, and sends events in response.

    C{connected(stream)} is called with an L{EventStream} for each client.  It may return

      - L{None}, or the result of C{stream.send} or C{stream.every}: the stream stays open, and
        you can send to it at any time;
      - an iterable or asynchronous iterable of events (such as a generator): each is sent as
        soon as the client has read those before, then the stream ends;
      - a L{Deferred} or coroutine of one of these.

    The headers go out when that result is known, or with the first thing sent after C{connected}
    has returned.  Until then an exception becomes an HTTP response:
    C{twisted.web.error.Error(403)} is a 403, C{Error(204)} tells a browser to stop permanently,
    anything else is logged and becomes a 500.

    @cvar fastWrite: whether events may go straight to the socket where that is safe.

    @since: 0.2
    """

    isLeaf = True
    fastWrite = True
    _dropped = False

    def __init__(
        self,
        connected: Callable[[EventStream], object],
        *,
        fallback: IResource | Resource | None = None,
        heartbeat: float | None = 15,
        retry: int | None = None,
        once: bool = False,
        origins: Iterable[str] | str = (),
        credentials: bool = False,
        allowHeaders: Iterable[str] = (),
        exposeHeaders: Iterable[str] = (),
        methods: Iterable[str] = ("GET",),
        maxStreams: int | None = None,
        maxStreamsPerAddress: int | None = None,
        trustedProxies: Iterable[str] = (),
        maxPending: int = 2**20,
        maxPendingTotal: int | PendingTotal | None = 2**28,
        slow: SlowReader = SlowReader.DISCONNECT,
        stallTimeout: float | None = 60,
        openTimeout: float | None = 30,
        closeTimeout: float = 5,
        slim: bool = False,
        name: str | None = None,
        observer: AnyStreamObserver | None = None,
        reactor: IReactorTime | Clock | None = None,
    ) -> None:
        """
        @param connected: called with each new stream.
        @param fallback: the resource for requests that do not name C{text/event-stream}.
            Without one they get the stream too, unless their C{Accept} excludes it (406, but
            never for a POST).
        @param heartbeat: send a comment after this many seconds of silence, so that proxies
            keep the connection open and vanished clients are noticed.  L{None} for none.
        @param retry: the reconnection time that is sent with the headers, in milliseconds, at
            least 500; C{None} for 3000.
        @param once: for streams that come to an end: the last event is C{event: end},
            C{id: end}, and a browser that reconnects with that ID gets a 204, and stops.
        @param origins: the origins whose pages may read the stream (CORS), such as
            C{"https://example.com"}, or C{"*"} for all.
        @param credentials: whether those pages may send cookies; not with C{"*"}, and never those of
            the origin C{"null"}.
        @param allowHeaders: the headers that those pages may send, besides C{Last-Event-ID},
            C{Content-Type}, C{Authorization}, C{Cache-Control} and C{X-Requested-With}.
        @param exposeHeaders: the headers of the response that those pages may read, besides those
            that every page may.
        @param methods: the methods that are answered with a stream.
        @param maxStreams: how many streams there may be.  Further clients are asked to retry 5 to
            15 seconds later.
        @param maxStreamsPerAddress: how many streams one client address may have.
        @param trustedProxies: networks such as C{"10.0.0.0/8"} whose C{X-Forwarded-For} is
            trusted.
        @param maxPending: how many bytes may be queued for a client that does not read.
        @param slow: the policy beyond that.
        @param maxPendingTotal: how many bytes may be queued for all clients together, where an
            event that is queued for many counts once; beyond that, the clients with the longest
            queues are disconnected.  L{None} for any number; or a L{PendingTotal
            <twisted_sse.stream.pending.PendingTotal>} that several resources share.
        @param stallTimeout: abort a stream if its client takes nothing for this many seconds.
            L{None} for never.
        @param openTimeout: answer 503 if the response's headers have not gone out after this
            many seconds.  L{None} for never.
        @param closeTimeout: how many seconds the C{finally} of an asynchronous generator or a
            coroutine may take.
        @param slim: drop the headers and body of the request once the response's headers are
            sent, which saves 3 kB for each browser.
        @param name: what metrics and logs call the resource.
        @param observer: the observer of the resource's streams.
        @param reactor: where time comes from; if not given, from the
            L{Site<twisted.web.server.Site>}.

        @raise ValueError: if an argument is out of range.
        @raise TypeError: if an argument has the wrong type.
        """
        super().__init__()  # type: ignore[no-untyped-call]
        if not callable(connected):
            raise TypeError(f"connected is {connected!r}: it must be a function of a stream")
        if fallback is not None and not IResource.providedBy(fallback):
            raise TypeError(f"fallback is {fallback!r}: it must be an IResource, or None")
        checkObserver(observer, StreamObserver)
        self._connected = connected
        self._fallback = fallback
        self._origins = Origins(origins, credentials, allowHeaders, exposeHeaders)
        self._methods = _checkedMethods(methods)
        self._proxies = checkedNetworks(trustedProxies)
        options = StreamOptions(
            heartbeat=heartbeat,
            retry=retry,
            once=once,
            maxStreams=maxStreams,
            maxStreamsPerAddress=maxStreamsPerAddress,
            maxPending=maxPending,
            total=maxPendingTotal
            if isinstance(maxPendingTotal, PendingTotal)
            else PendingTotal(maxPendingTotal),
            slow=slow,
            stallTimeout=stallTimeout,
            openTimeout=openTimeout,
            closeTimeout=closeTimeout,
            slim=slim,
            name=name,
            reactor=reactor,
            fastWrite=self.fastWrite,
        )
        self._group = StreamGroup(options, observer)

    @property
    def streams(self) -> frozenset[EventStream]:
        """
        The streams that are open.
        """
        return frozenset(response.stream for response in self._group.streams)

    def disconnect(self, key: Hashable, retry: int | None = None) -> int:
        """
        End all streams with this L{key<EventStream.key>}, such as those of a user who has logged
        out.  What is queued for them is sent first, as with L{EventStream.end}.

        Browsers reconnect.  C{connected} can turn them away then, with C{Error(204)} or
        C{Error(401)}.

        @param key: the key; streams without one are never ended.
        @param retry: the reconnection time that the clients are sent first, in milliseconds, at
            least 500.  Then they are not sent the end of C{once}.
        @return: how many streams there were.
        @raise TypeError: if the key is not hashable.
        @raise RuntimeError: if this is not the reactor's thread.

        @since: 0.2
        """
        checkThread(self._group.thread, "resource.disconnect")
        checkInteger("retry", retry, SHORTEST_RETRY)
        return self._group.disconnect(key, retry)

    def drain(
        self,
        seconds: float,
        retry: tuple[int, int] = (1000, 5000),
        farewell: Farewell | None = None,
    ) -> Deferred[None]:
        """
        End all streams, before a server shuts down.

        Each client is sent a random reconnection time, so that they do not all reconnect at once;
        its stream ends, and its connection is closed.  New clients are answered in the same way.

        What the C{finally} of a generator sends comes too late, as its stream has ended by then:
        that is what C{farewell} is for.

        @param seconds: after how many seconds to abort the streams that are left.
        @param retry: the shortest and the longest reconnection time, in milliseconds.
        @param farewell: the last event of each stream that is open; or a function that is called
            with the stream and returns it, or L{None} for none.
        @return: a L{Deferred} that fires when no stream is left.
        @raise RuntimeError: if this is not the reactor's thread.
        """
        checkThread(self._group.thread, "resource.drain")
        checkSeconds("seconds", seconds, optional=False, zero=True)
        bounds = checkList("retry", retry, "two numbers of milliseconds")
        if len(bounds) != 2:
            raise ValueError(f"retry is {retry!r}: it must be two numbers of milliseconds")
        low, high = bounds
        checkInteger("retry", low, 0, optional=False)
        checkInteger("retry", high, low, optional=False)
        _checkFarewell(farewell)
        return self._group.drain(seconds, (low, high), farewell)

    def admit(self) -> None:
        """
        Accept clients again, after a drain.

        @since: 0.2
        """
        self._group.draining = False

    def service(self, seconds: float = 5, farewell: Farewell | None = None) -> Service:
        """
        Make a service that drains this resource when the application stops.

        Add it to the application before the service that listens: services stop in reverse
        order, and the port should be closed first.

        @param seconds: how long the drain may take.
        @param farewell: see C{drain}.
        """
        checkSeconds("seconds", seconds, optional=False, zero=True)
        _checkFarewell(farewell)
        return DrainService([self], seconds, farewell)

    def __del__(self) -> None:
        # A resource that is collected while its streams are open was made for a single request:
        # its limits count one stream, and nothing can drain it.
        group = getattr(self, "_group", None)
        if group is not None and group.streams and not EventStreamResource._dropped:
            EventStreamResource._dropped = True
            _log.warn(
                "An EventStreamResource was dropped while its stream was open: make it once, not for"
                " each request, or its limits and its drain do not work"
            )

    def render(self, request: IRequest) -> int:
        """
        Answer a request.
        """
        asked = cast("Request", request)
        answered = self.answer(asked, self._connected, self._methods)
        if answered is not None:
            answered.addErrback(self._refuse, asked)
        return NOT_DONE_YET

    def answer(
        self,
        request: Request,
        connected: Callable[[EventStream], object],
        methods: tuple[bytes, ...],
    ) -> Deferred[None] | None:
        """
        Answer a request, with an event stream if it may have one.

        @param connected: called with the stream.
        @param methods: the methods that are answered with a stream.
        @return: a L{Deferred} that fires when the headers have been sent, and fails with what was
            raised before; then the caller has to answer the request.  L{None} if it has been
            answered already.
        """
        if getattr(request, "channel", None) is None:
            # The client disconnected before the resource was found; notifyFinish() would not fire.
            return None
        method = request.method
        accept = accepts(request, b"text/event-stream")
        vary(request, b"Accept")
        if self._fallback is not None and method != b"OPTIONS" and not accept.named:
            request.render(self._fallback)
            return None
        self._origins.allow(request)
        lastEventID = _lastEventID(request)
        if method == b"OPTIONS":
            self._origins.answerOptions(request, methods)
        elif method not in methods and not (method == b"HEAD" and b"GET" in methods):
            allow(request, methods)
            answer(request, 405)
        elif not accept.acceptable and method != b"POST":
            # Clients of language models ask for application/json, whatever the answer will be.
            answer(
                request, 406, "This is an event stream: request it with Accept: text/event-stream"
            )
        elif method == b"HEAD":
            removeEncoder(request)
            setHeaders(request)
            request.finish()
        elif self._group.options.once and lastEventID == END_ID:
            answer(request, 204)
        else:
            return self._begin(request, lastEventID.decode("utf-8", "replace"), connected)
        return None

    def _begin(
        self, request: Request, lastEventID: str, connected: Callable[[EventStream], object]
    ) -> Deferred[None] | None:
        group = self._group
        address = clientAddress(request, self._proxies)
        full = group.full(address)
        response = group.respond(request, address, lastEventID, refused=full)
        # Any status but 200 makes a browser give up permanently (HTML standard, 9.2.2: "fail the
        # connection"), so clients that should retry later are answered with a stream.
        if group.draining:
            response.end(CloseReason.DRAIN, group.drainRetry(), closeConnection=True)
        elif full:
            # Kept alive, it would hold a descriptor that another client needs.
            retry = random.randint(*LIMIT_RETRY)
            response.end(CloseReason.LIMIT, retry, closeConnection=True)
        else:
            start(response, connected)
        return response.whenOpened()

    def _refuse(self, failure: Failure, request: Request) -> None:
        """
        Answer with what was raised before the headers went out.
        """
        error = failure.value
        if isinstance(error, Error):
            location = getattr(error, "location", None)
            if location is not None:
                request.setHeader(b"location", location)
            text = error.response or error.message or b""
            answer(request, int(error.status), text.decode("utf-8", "replace"))
        else:
            address = clientAddress(request, self._proxies)
            asked = Asked.by(request, address, self._group.options.name)
            _log.failure(
                "The event stream for {address} ({asked}) could not be opened",
                failure,
                **asked.logged(),
            )
            answer(request, 500)
        # A failure that is kept in memory must not keep the request alive.
        failure.cleanFailure()


def _lastEventID(request: Request) -> bytes:
    """
    Find the last event ID of a client: in the header, else in the query.

    A polyfill appends its parameter to a URL that may have one already, perhaps spelled
    differently or empty.  So the last one that is not empty is the newest.
    """
    header: bytes | None = request.getHeader(b"last-event-id")
    if header:
        return header
    # Not request.args, which has the fields of a form too, and not the order of the parameters.
    _, _, query = request.uri.partition(b"?")
    # URL standard, 5.1: parsing application/x-www-form-urlencoded.
    for parameter in reversed(query.split(b"&")):
        name, _, value = (
            unquote_to_bytes(part) for part in parameter.replace(b"+", b" ").partition(b"=")
        )
        if value and name.lower() in QUERY_NAMES:
            return value
    return b""


def _checkFarewell(farewell: object) -> None:
    if farewell is not None and not isinstance(farewell, Event) and not callable(farewell):
        raise TypeError(
            f"farewell is {farewell!r}: it must be an Event, a function of a stream, or None"
        )


_METHOD = re.compile(r"[A-Z]+(-[A-Z]+)*", re.ASCII)


def _checkedMethods(methods: Iterable[str]) -> tuple[bytes, ...]:
    checked = checkList("methods", methods, "methods")
    for method in checked:
        if not (isinstance(method, str) and _METHOD.fullmatch(method)):
            raise InvalidOption("methods", f"has {method!r}: a method must be a word in capitals")
        if method in ("HEAD", "OPTIONS"):
            raise InvalidOption("methods", f"has {method!r}, which is answered without a stream")
    if not checked:
        raise InvalidOption("methods", "is empty: it must name at least one method")
    return tuple(method.encode("ascii") for method in checked)
