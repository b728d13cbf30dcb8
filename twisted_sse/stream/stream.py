"""
What an application sees of an open response.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from twisted.internet.defer import Deferred

from ..checks import checkSeconds
from ..format.event import Event, makeEvent
from .every import Emission
from .reasons import CloseReason
from .response import Response

if TYPE_CHECKING:
    from twisted.internet.task import LoopingCall
    from twisted.web.server import Request

__all__ = ["EventStream", "responseOf"]


class EventStream:
    """
    One open response of type C{text/event-stream}.

    A resource makes it and hands it to your code, which sends events until one of the two
    sides has had enough.

    @ivar lastEventID: the ID of the last event that the client has already, C{""} if there
        is none.

    @since: 0.1
    """

    __slots__ = ("__weakref__", "_response", "_state", "lastEventID")

    def __init__(self, response: Response, lastEventID: str) -> None:
        """
        Streams are made by resources: see L{EventStreamResource
        <twisted_sse.server.resource.EventStreamResource>}.
        """
        self._response = response
        self._state: dict[Any, Any] | None = None
        self.lastEventID = lastEventID
        # The response lets go of both when it is closed, so that this is no circle for longer.
        response.stream = self
        cast(Any, response.request).eventStream = self

    def __repr__(self) -> str:
        return repr(self._response)

    @staticmethod
    def of(request: Request) -> EventStream:
        """
        Find the stream that answers a request.

        @param request: such as the argument of a Klein route.
        @raise LookupError: if no stream answers it, or no longer.
        """
        stream = getattr(request, "eventStream", None)
        if not isinstance(stream, EventStream):
            raise LookupError(f"{request!r} is not answered by an event stream (any more)")
        return stream

    @property
    def request(self) -> Request | None:
        """
        The request that is being answered; L{None} once the stream is closed.
        """
        return self._response.request

    @property
    def clientAddress(self) -> str:
        """
        Where the client is, as text; where proxies are trusted, the address that they say.
        """
        return self._response.clientAddress

    @property
    def name(self) -> str | None:
        """
        The name of the resource that answers with it, if it was given one.
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
        Whether the stream is over.
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

    def send(self, what: Event | str | None = None, /, **fields: Any) -> bool:
        """
        Send one event: C{send(Event(..))}, C{send("data")}, C{send("data", event="type")},
        C{send(json=value, event="type", id="1")}.

        While the client does not read, the event is queued.  Beyond C{maxPending} bytes the
        resource's policy for slow readers acts.

        @param what: an L{Event}, or a C{str} that is its data.
        @param fields: C{json}, any value to be sent as JSON, or the fields of the event.
        @return: whether it will be sent; L{False} means that the stream is closed or ending.
        @raise InvalidEvent: if a field is no good.
        """
        event = what if type(what) is Event and not fields else makeEvent(what, fields)
        return self._response.send(event)

    def comment(self, text: str) -> bool:
        """
        Send a comment: clients ignore it, but proxies and people see it.

        @return: whether it will be sent.
        @raise InvalidEvent: if it cannot be written in UTF-8.
        """
        return self._response.send(Event(comment=text))

    def open(self) -> None:
        """
        Send the headers now, rather than with the first event.

        From here on an exception cannot become an HTTP status any more.
        """
        self._response.open()

    def every(self, interval: float, emit: Callable[[], object], now: bool = False) -> LoopingCall:
        """
        Call a function again and again, and send what it returns, until the stream ends.

        @param interval: seconds between two calls.
        @param emit: a function of no arguments that returns an L{Event}, a C{str} (its data),
            L{None} for nothing this time, or a L{Deferred} or coroutine of one of these: then
            the next call waits for it.  When it fails, that is logged and ends this stream.
        @param now: whether to call it at once for the first time.
        @return: the running L{LoopingCall}; it may be stopped earlier.  If the stream has
            ended already, it is not running.
        @raise ValueError: if the interval is no positive number of seconds.
        """
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
        Wait until the client has read what was sent before: for code that produces as much
        as the client takes.

        @return: a L{Deferred} that fires at once, or when there is room again (in the next
            turn of the reactor after each 16 KiB), or when the stream ends meanwhile, as
            C{send} will tell.  It fails with L{CancelledError} when
            the stream has ended already, so that a loop around it cannot spin.
        """
        return self._response.whenWritable()

    def whenClosed(self) -> Deferred[CloseReason]:
        """
        @return: a new L{Deferred} that fires with a L{CloseReason} when the stream is over,
            at once if it is over already.  It does not fail.
        """
        return self._response.whenClosed()

    def end(self) -> None:
        """
        End the stream: what is queued goes out, then the response ends as it should.

        A browser will connect again, unless it is answered 204 then: see C{once}.
        """
        self._response.end(CloseReason.ENDED)

    def abort(self) -> None:
        """
        End the stream at once; what is queued is lost.
        """
        self._response.abort(CloseReason.ENDED)


def responseOf(stream: EventStream) -> Response:
    """
    Find what stands behind a stream: for the rest of the house, not for applications.
    """
    return stream._response
