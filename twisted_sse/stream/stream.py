"""
The application's interface to an open response.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred

from ..checks import checkSeconds
from ..format.event import Event, makeEvent
from ..printable import shown
from ..timing.reactors import checkThread
from .every import Emission
from .reasons import CloseReason
from .response import Response, streamOf

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime
    from twisted.internet.task import LoopingCall
    from twisted.web.iweb import IRequest
    from twisted.web.server import Request

__all__ = ["EventStream", "responseOf"]


class EventStream:
    """
    One open response of type C{text/event-stream}.

    A resource makes it and passes it to your code, which sends events until either side ends it.

    Use it in the reactor's thread only: from another, C{reactor.callFromThread(stream.send, ...)}.
    Its methods raise L{RuntimeError} there, and so does setting C{key}.

    @ivar lastEventID: the ID of the last event that the client has received, C{""} for none.

    @since: 0.2
    """

    __slots__ = ("__weakref__", "_response", "_state", "lastEventID")

    def __init__(self, response: Response, lastEventID: str) -> None:
        """
        Resources make streams: see L{EventStreamResource
        <twisted_sse.server.resource.EventStreamResource>}.
        """
        self._response = response
        self._state: dict[Any, Any] | None = None
        self.lastEventID = lastEventID

    def __repr__(self) -> str:
        return repr(self._response)

    @staticmethod
    def of(request: IRequest | Request) -> EventStream:
        """
        Return the stream that answers a request.

        @param request: the request, such as the argument of a Klein route.
        @raise LookupError: if no stream answers it, or the stream has closed.
        """
        stream = streamOf(request)
        if not isinstance(stream, EventStream):
            # Not repr(), which shows the query, where tokens are.
            uri = getattr(request, "uri", b"").partition(b"?")[0]
            what = f"{type(request).__name__} {shown(uri.decode('utf-8', 'replace'))}".rstrip()
            raise LookupError(f"{what} is not answered by an open event stream")
        return stream

    @property
    def request(self) -> Request | Any:
        """
        The request that is being answered; L{None} once the stream is closed.
        """
        # Any stands for None: where an application uses it, the stream is nearly always open, and
        # a type checker would ask for a check each time.
        return self._response.request

    @property
    def clock(self) -> IReactorTime:
        """
        The reactor, or in a test the clock, that gives the stream its time: for
        L{deferLater<twisted.internet.task.deferLater>}.

        @since: 0.2
        """
        return self._response.wheel.clock

    @property
    def clientAddress(self) -> str:
        """
        The client's address, as text: the one that trusted proxies report, if there are any.
        """
        return self._response.clientAddress

    @property
    def name(self) -> str | None:
        """
        The name of the stream's resource, if it has one.
        """
        return self._response.owner.options.name

    @property
    def eventsSent(self) -> int:
        """
        The number of events that were handed to the connection.
        """
        return self._response.eventsSent

    @property
    def bytesPending(self) -> int:
        """
        The number of bytes that are queued because the client does not read.
        """
        return self._response.bytesPending

    @property
    def closed(self) -> bool:
        """
        Whether the stream is closed.
        """
        return self._response.isClosed

    @property
    def state(self) -> dict[Any, Any]:
        """
        A dictionary of your own.
        """
        if self._state is None:
            self._state = {}
        return self._state

    @property
    def key(self) -> Hashable:
        """
        What the stream belongs to, such as a user, a session or a token: any hashable value, for
        L{EventStreamResource.disconnect<twisted_sse.server.resource.EventStreamResource.disconnect>}.
        L{None} if there is nothing.  It may be set and changed at any time.

        @raise TypeError: if it is not hashable.
        @since: 0.2
        """
        return self._response.key

    @key.setter
    def key(self, key: Hashable) -> None:
        # As it is written with callFromThread.
        self._check("setattr")
        self._response.fileUnder(key)

    def send(self, what: Event | str | None = None, /, **fields: Any) -> bool:
        """
        Send one event: C{send(Event(..))}, C{send("data")}, C{send("data", event="type")},
        C{send(json=value, event="type", id="1")}.

        While the client does not read, events are queued.  Beyond C{maxPending} bytes the
        resource's policy for slow readers applies.

        @param what: an L{Event}, or a C{str} that is its data.
        @param fields: C{json}, any value to be sent as JSON, or the fields of the event.
        @return: L{False} if the stream is closed or ending, else L{True}.
        @raise InvalidEvent: if a field is not valid.
        """
        self._check("stream.send")
        event = what if type(what) is Event and not fields else makeEvent(what, fields)
        return self._response.send(event)

    def comment(self, text: str) -> bool:
        """
        Send a comment: clients ignore it, but proxies and people see it.

        @return: L{False} if the stream is closed or ending, else L{True}.
        @raise InvalidEvent: if it cannot be encoded as UTF-8.
        """
        self._check("stream.comment")
        return self._response.send(Event(comment=text))

    def open(self) -> None:
        """
        Send the headers now, rather than with the first event.

        After this an exception can no longer become an HTTP status.
        """
        self._check("stream.open")
        self._response.open()

    def every(self, interval: float, emit: Callable[[], object], now: bool = False) -> LoopingCall:
        """
        Call a function repeatedly, and send what it returns, until the stream ends.

        @param interval: seconds between two calls.
        @param emit: a function of no arguments that returns an L{Event}, a C{str} (its data),
            L{None} for nothing this time, or a L{Deferred} or coroutine of one of these, which
            the next call waits for.  A failure is logged and ends this stream.
        @param now: whether to make the first call at once.
        @return: the running L{LoopingCall}, which you may stop earlier.  It is not running if the
            stream has ended already.
        @raise ValueError: if the interval is not a positive number of seconds.
        """
        self._check("stream.every")
        checkSeconds("interval", interval, optional=False)
        if not callable(emit):
            raise TypeError(f"emit is {emit!r}: it must be a function without arguments")
        response = self._response
        emission = Emission(response, emit)
        if response.isLiving:
            response.attach(emission)
            emission.begin(response.wheel, interval, now)
        return emission

    def whenWritable(self) -> Deferred[None]:
        """
        Wait until the client has read what was sent before: for code that produces events as fast
        as the client reads them.

        @return: a L{Deferred} that fires at once, or when there is room again (in the next turn
            of the reactor after each 16 KiB), or when the stream ends meanwhile: then C{send}
            returns L{False}.  It fails with
            L{CancelledError<twisted.internet.defer.CancelledError>} if the stream has ended
            already, so that a loop around it cannot spin.
        """
        self._check("stream.whenWritable")
        return self._response.whenWritable()

    def whenClosed(self) -> Deferred[CloseReason]:
        """
        @return: a new L{Deferred} that fires with a L{CloseReason} when the stream closes, at
            once if it is closed already.  It does not fail.
        """
        self._check("stream.whenClosed")
        return self._response.whenClosed()

    def end(self) -> None:
        """
        End the stream: send what is queued, then finish the response.

        A browser will reconnect, unless it gets a 204 then: see C{once}.
        """
        self._check("stream.end")
        self._response.end(CloseReason.ENDED)

    def abort(self) -> None:
        """
        End the stream at once, without sending what is queued.
        """
        self._check("stream.abort")
        self._response.abort(CloseReason.ENDED)

    def _check(self, call: str) -> None:
        checkThread(self._response.owner.thread, call)


def responseOf(stream: EventStream) -> Response:
    """
    Return the response of a stream: for the rest of the package, not for applications.
    """
    return stream._response
