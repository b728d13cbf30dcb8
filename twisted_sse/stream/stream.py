"""
One open response: its headers, its queue, its writer and its one way to die.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Any, cast

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.interfaces import IDelayedCall, IPushProducer
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http_headers import Headers
from zope.interface import implementer

from ..checks import checkSeconds
from ..format.encoded import PIECE, Batch, Encoded
from ..format.event import Event, makeEvent
from ..observe import tell
from ..timing.ticker import TimerWheel
from .every import Emission
from .feed import Feed
from .pending import Pending, SlowReader
from .stall import Watch
from .transport import connectionOf, directTransport, heldBy, removeEncoder, unsent, writeNow

if TYPE_CHECKING:
    from twisted.internet import tcp
    from twisted.internet.task import LoopingCall
    from twisted.web.server import Request

    from ..server.group import StreamGroup

__all__ = ["CloseReason", "EventStream", "setHeaders"]

#: How much a coroutine may send in one turn of the reactor if it waits for room in between.
TURN = 2**14

#: The longest delay between two looks at a transport that cannot tell us when it has sent
#: what it holds, in seconds.
LONGEST_LOOK = 0.1

#: Besides the type.  HTML standard, 9.2.7, on proxies; nginx buffers an answer unless told
#: not to.  "Connection" is none of our business: the server's policy is the server's.
HEADERS = (
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
    (b"x-content-type-options", b"nosniff"),
)

#: What is said when a future of asyncio, or asyncio.sleep(), is awaited without its reactor.
OF_ASYNCIO = ("await wasn't used with future", "no running event loop")

#: A comment that means nothing: HTML standard, 9.2.6: "a line starting with U+003A COLON is
#: ignored", and 9.2.7 recommends one every 15 seconds or so for proxies' sake.
NOTHING = b":\n\n"


# Not an attribute of the streams: what is logged by one refers to the object that it is an
# attribute of, so whoever keeps the log would keep the stream.
_log = Logger()


class CloseReason(Enum):
    """
    Why a stream is closed.

    @cvar CLIENT: the client has gone.
    @cvar ENDED: the application ended it: C{end()}, C{abort()}, or its events ran out.
    @cvar ERROR: something that the application gave us failed; the log says what.
    @cvar SLOW: more than C{maxPending} bytes were waiting for it.
    @cvar STALLED: it took no byte for C{stallTimeout} seconds.
    @cvar LIMIT: one stream too many: it was told to come back later.
    @cvar DRAIN: the server is being drained.
    @cvar SHUTDOWN: the reactor was stopped.

    @since: 0.1
    """

    CLIENT = "client"
    ENDED = "ended"
    ERROR = "error"
    SLOW = "slow"
    STALLED = "stalled"
    LIMIT = "limit"
    DRAIN = "drain"
    SHUTDOWN = "shutdown"


class _Phase(Enum):
    CONNECTING = 0
    OPEN = 1
    ENDING = 2
    CLOSED = 3


def setHeaders(request: Request) -> None:
    """
    Set the headers of an event stream.  What the application has set wins, but for the type.
    """
    headers = request.responseHeaders
    headers.setRawHeaders(b"content-type", [b"text/event-stream"])
    # Of a length the rest would be cut off.
    headers.removeHeader(b"content-length")
    for name, value in HEADERS:
        if not headers.hasHeader(name):
            headers.setRawHeaders(name, [value])


@implementer(IPushProducer)
class EventStream:
    """
    One open response of type C{text/event-stream}.

    A resource makes it and hands it to your code, which sends events until one of the two
    sides has had enough.

    @ivar request: the request that is being answered; L{None} once the stream is closed.
    @ivar lastEventID: the ID of the last event that the client has already, C{""} if there
        is none.
    @ivar clientAddress: where the client is, as text; where proxies are trusted, the address
        that they say.
    @ivar eventsSent: the number of events that were handed to the connection.

    @since: 0.1
    """

    __slots__ = (
        "__weakref__",
        "_closeConnection",
        "_closers",
        "_congested",
        "_corked",
        "_direct",
        "_dropped",
        "_group",
        "_held",
        "_http2",
        "_leaving",
        "_look",
        "_lastSent",
        "_looks",
        "_notification",
        "_opening",
        "_paused",
        "_pending",
        "_phase",
        "_ready",
        "_sentBefore",
        "_reason",
        "_refusal",
        "_feeds",
        "_state",
        "_watch",
        "_wheel",
        "_writers",
        "clientAddress",
        "eventsSent",
        "lastEventID",
        "request",
    )

    def __init__(
        self,
        request: Request,
        group: StreamGroup,
        wheel: TimerWheel,
        clientAddress: str,
        lastEventID: str,
    ) -> None:
        """
        Streams are made by resources: see L{EventStreamResource
        <twisted_sse.server.resource.EventStreamResource>}.
        """
        self.request: Request | None = request
        self.clientAddress = clientAddress
        self.lastEventID = lastEventID
        self.eventsSent = 0
        self._group = group
        self._wheel = wheel
        # In the seconds of the wheel's clock.
        self._lastSent = 0.0
        self._phase = _Phase.CONNECTING
        # Whether an event can go straight to the connection: open, nothing before it.
        self._ready = False
        # By the transport, or for HTTP/2's flow control.
        self._paused = False
        # By ourselves, on HTTP/2, where nobody tells us that TCP does not move.
        self._congested = False
        # By ourselves, while many events are made.
        self._corked = False
        self._http2 = request.transport is None
        self._direct: tcp.Server | None = None
        # Made when it is needed: nearly all streams have nothing waiting.
        self._pending: Pending | None = None
        self._dropped = 0
        # How much had been sent at the last wait for room.
        self._sentBefore = 0
        self._reason: CloseReason | None = None
        self._closeConnection = False
        # The connection, when the response is finished and its last bytes have to leave.
        self._leaving: object = None
        # Whether what is sent before the headers is kept back.
        self._held = True
        self._feeds: tuple[Feed, ...] = ()
        self._state: dict[Any, Any] | None = None
        self._closers: tuple[Deferred[CloseReason], ...] = ()
        self._writers: tuple[Deferred[None], ...] = ()
        self._look: IDelayedCall | None = None
        self._looks = 0
        self._watch: Watch | None = None
        self._opening: Deferred[None] | None = None
        # What was raised before the headers, until somebody asks for it.
        self._refusal: Failure | None = None
        # Taken now: one that is taken after the end never fires.
        self._notification: Deferred[None] | None = request.notifyFinish()
        self._notification.addBoth(self._notified)
        cast(Any, request)._eventStream = self

    def __repr__(self) -> str:
        return (
            f"<EventStream {self._phase.name.lower()} to {self.clientAddress}:"
            f" {self.eventsSent} sent, {self.bytesPending} bytes pending>"
        )

    # What an application uses

    @staticmethod
    def of(request: Request) -> EventStream:
        """
        Find the stream that answers a request.

        @param request: such as the argument of a Klein route.
        @raise LookupError: if no stream answers it, or no longer.
        """
        stream = getattr(request, "_eventStream", None)
        if not isinstance(stream, EventStream):
            raise LookupError(f"{request!r} is not answered by an event stream (any more)")
        return stream

    @property
    def name(self) -> str | None:
        """
        The name of the resource that answers with it, if it was given one.
        """
        return self._group.name

    @property
    def bytesPending(self) -> int:
        """
        The number of bytes that wait because the client does not read.
        """
        # Looked up once: metrics may be asked for in another thread.
        pending = self._pending
        return pending.bytes if pending is not None else 0

    @property
    def _connecting(self) -> bool:
        return self._phase is _Phase.CONNECTING

    @property
    def _living(self) -> bool:
        """
        Whether the stream has not begun to end.
        """
        return self._phase in (_Phase.CONNECTING, _Phase.OPEN)

    def _isMovable(self) -> bool:
        """
        Whether the connection takes more.
        """
        return not (self._paused or self._congested)

    @property
    def closed(self) -> bool:
        """
        Whether the stream is over.
        """
        return self._phase is _Phase.CLOSED

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

        While the client does not read, the event waits.  Beyond C{maxPending} bytes the
        resource's policy for slow readers acts.

        @param what: an L{Event}, or a C{str} that is its data.
        @param fields: C{json}, any value to be sent as JSON, or the fields of the event.
        @return: whether it will be sent; L{False} means that the stream is closed or ending.
        @raise InvalidEvent: if a field is no good.
        """
        event = what if type(what) is Event and not fields else makeEvent(what, fields)
        if self._ready:
            self._write(event.encode(), event.data is not None)
            return True
        return self._enqueue(Encoded(event))

    def comment(self, text: str) -> bool:
        """
        Send a comment: clients ignore it, but proxies and people see it.

        @return: whether it will be sent.
        @raise InvalidEvent: if it cannot be written in UTF-8.
        """
        return self.send(Event(comment=text))

    def open(self) -> None:
        """
        Send the headers now, rather than with the first event.

        From here on an exception cannot become an HTTP status any more.
        """
        if self._phase is not _Phase.CONNECTING:
            return
        request = self.request
        assert request is not None, "only a closed stream has no request"
        group = self._group
        self._phase = _Phase.OPEN
        removeEncoder(request)
        setHeaders(request)
        request.registerProducer(self, True)
        # The first bytes of the body go with the headers: Agent, Safari and some proxies
        # tell of neither before both are there.
        request.write(group.preamble)
        if self.closed:
            return
        if group.fastWrite:
            self._direct = directTransport(request)
        self._lastSent = self._wheel.seconds()
        group.opened(self)
        request.responseHeaders = group.share(request.responseHeaders)
        if group.slim:
            self._forgetRequest(request)
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.callback(None)
        if self._http2:
            self._congested = (unsent(request) or 0) > PIECE
        self._flush()

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
        emission = Emission(self, emit)
        if self._living:
            self._attach(emission)
            emission.begin(self._wheel, interval, now)
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
        if not self._living:
            return fail(CancelledError())
        assert self.request is not None, "a living stream has a request"
        sent = self.request.sentLength
        turnIsOver = sent - self._sentBefore > TURN
        if not turnIsOver and (self._ready or self._phase is _Phase.CONNECTING):
            return succeed(None)
        self._sentBefore = sent
        writable: Deferred[None] = Deferred()
        self._writers += (writable,)
        if self._ready:
            # The client reads as fast as we write: now it is the others' turn.
            self._looks = 0
            self._lookAgain()
        return writable

    def whenClosed(self) -> Deferred[CloseReason]:
        """
        @return: a new L{Deferred} that fires with a L{CloseReason} when the stream is over,
            at once if it is over already.  It does not fail.
        """
        if self.closed:
            assert self._reason is not None, "a closed stream knows why"
            return succeed(self._reason)
        closed: Deferred[CloseReason] = Deferred()
        self._closers += (closed,)
        return closed

    def end(self) -> None:
        """
        End the stream: what is waiting goes out, then the response ends as it should.

        A browser will connect again, unless it is answered 204 then: see C{once}.
        """
        self._end(CloseReason.ENDED)

    def abort(self) -> None:
        """
        End the stream at once; what is waiting is lost.
        """
        self._abort(CloseReason.ENDED)

    # IPushProducer: what the transport calls

    def pauseProducing(self) -> None:
        """
        The connection cannot take more.  It is said again with each write.
        """
        if not self._paused and not self.closed:
            self._paused = True
            self._ready = False
            self._beginWatch()

    def resumeProducing(self) -> None:
        """
        The connection has sent all that it had.
        """
        if self.closed:
            return
        self._paused = False
        self._looks = 0
        if self._look is not None:
            # It has moved: no need to wait for the next look.
            self._look.cancel()
        self._looked()

    def stopProducing(self) -> None:
        """
        The connection is lost: the request's notification follows.
        """
        # Others may be notified before us, and send to all streams that there are: the
        # transport has no socket any more.
        self._paused = True
        self._ready = False
        self._direct = None
        if self.request is not None:
            self.request.unregisterProducer()

    # Writing

    def _write(self, data: bytes, events: int) -> None:
        request = self.request
        assert request is not None, "a stream that is ready has a request"
        self._lastSent = self._wheel.seconds()
        self.eventsSent += events
        if self._direct is not None:
            sent = writeNow(request, self._direct, data)
        else:
            request.write(data)
            sent = not events
            if self._http2 and (unsent(request) or 0) > PIECE:
                self._congested = True
                self._ready = False
                self._beginWatch()
                self._looks = 0
                self._lookAgain()
        if not sent:
            self._lookLater()
        if self._watch is not None:
            # RFC 9112, 7.1: the size of a chunk in hexadecimal, and two line ends.
            framing = len(f"{len(data):x}") + 4 if request.chunked else 0
            self._watch.given += len(data) + framing
        observer = self._group.observer
        if observer is not None:
            tell(observer, "sent", self, events, len(data))

    def _beat(self) -> None:
        """
        Nothing was sent for a while: say so.
        """
        if self._ready:
            assert self.request is not None, "a stream that is ready has a request"
            if unsent(self.request):
                # Something has waited for so long, though it is too little for a pause.
                self._beginWatch()
            else:
                self._write(NOTHING, 0)

    def _whenOpened(self) -> Deferred[None] | None:
        """
        @return: a L{Deferred} that fires when the headers have been sent or nobody waits for
            them any more, and fails with what was raised before; L{None} if they have been
            sent already, as those of most are.
        """
        refusal, self._refusal = self._refusal, None
        if refusal is not None:
            return fail(refusal)
        if self._phase is _Phase.CONNECTING:
            self._opening = Deferred()
        return self._opening

    def _cork(self) -> None:
        """
        Let everything wait until C{_uncork}, to send it in one write.
        """
        self._corked = True
        self._ready = False

    def _uncork(self) -> None:
        """
        Send what has waited.
        """
        self._corked = False
        self._flush()

    def _release(self) -> None:
        """
        The application has got the stream, and decides about it later: what it has sent and
        will send goes out.
        """
        self._held = False
        if self._pending:
            self.open()

    def _push(self, batch: Batch) -> None:
        """
        Send what many streams are sent.
        """
        pending = self._pending
        if self._ready and len(batch.data) <= PIECE:
            self._write(batch.data, batch.events)
        elif self._ready:
            # What does not leave at once is not to be copied for each stream: only the piece
            # that is on its way is.
            self._ready = False
            self._pending = Pending()
            self._pending.extend(batch)
            self._ready = self._handOver() and self._phase is _Phase.OPEN
        elif (
            pending and pending.bytes and pending.bytes + len(batch.data) <= self._group.maxPending
        ):
            pending.extend(batch)
        else:
            for event in batch.encoded:
                self._enqueue(event)

    def _enqueue(self, event: Encoded) -> bool:
        """
        Let an event wait, unless it can be sent.
        """
        if self._ready:
            self._write(event.data, event.type is not None)
            return True
        if not self._living:
            return False
        if self._phase is _Phase.CONNECTING and not self._held:
            self.open()
            return self._enqueue(event)
        group = self._group
        pending = self._pending
        # One event is always accepted: a client could never get past one that is larger
        # than maxPending, however often it comes back.
        if pending and pending.bytes and pending.bytes + len(event.data) > group.maxPending:
            if self._phase is _Phase.CONNECTING:
                # So much for a refusal: this cannot be kept back any longer.
                self._release()
                return self._enqueue(event)
            if self._corked:
                self._uncork()
                return self._enqueue(event)
            if group.slow is SlowReader.DISCONNECT:
                _log.info(
                    "{address} does not read: {pending} bytes are waiting for it."
                    " Disconnecting it.",
                    address=self.clientAddress,
                    pending=pending.bytes,
                )
                self._abort(CloseReason.SLOW)
                return False
            dropped = pending.makeRoom(group.slow, event, group.maxPending)
            self._dropped += dropped
            if dropped:
                tell(group.observer, "dropped", self, dropped)
        self._append(event)
        return True

    def _append(self, event: Encoded) -> None:
        """
        Let an event wait behind those that are waiting.
        """
        if self._pending is None:
            self._pending = Pending()
        self._pending.append(event)

    def _handOver(self) -> bool:
        """
        Hand over what waits, as far as it is taken.

        @return: whether the connection can take more.
        """
        while self._pending is not None and self._isMovable():
            if self._dropped and not self._pending.divided:
                gap = Encoded(Event(str(self._dropped), event="stream-gap"))
                self._dropped = 0
                self._pending.prepend(gap)
            data, events = self._pending.take(PIECE)
            if not self._pending:
                self._pending = None
            self._write(data, events)
        return self._isMovable()

    def _flush(self) -> None:
        """
        Hand over what waits, as far as it is taken; then see who has been waiting for that.
        """
        if self._corked or self._phase is _Phase.CONNECTING:
            return
        if not self._handOver():
            return
        if self._phase is _Phase.ENDING:
            self._finish()
        elif self._phase is _Phase.OPEN:
            self._endWatch()
            self._ready = True
            while self._writers and self._ready:
                writable, *others = self._writers
                self._writers = tuple(others)
                writable.callback(None)
            for feed in self._feeds:
                if self._ready:
                    feed.resume()

    # Looking after a connection that does not move

    def _lookLater(self) -> None:
        """
        Something leaves in the next turn, or later, and nobody is going to tell us: see then.
        """
        if self._watch is None and self._look is None:
            self._look = self._wheel.callLater(LONGEST_LOOK, self._looked)

    def _lookAgain(self) -> None:
        """
        Look at the connection a little later: it will not tell us.
        """
        if self._look is not None:
            self._look.cancel()
        # At once for the first two: the reactor makes its calls before it writes.
        self._looks += 1
        delay = 0.0 if self._looks < 3 else min(2 ** min(self._looks, 10) / 8000, LONGEST_LOOK)
        self._look = self._wheel.callLater(delay, self._looked)

    def _looked(self) -> None:
        self._look = None
        assert self.request is not None, "the look is cancelled when the stream closes"
        if self._leaving is not None:
            self._leave()
            return
        if self._congested:
            self._congested = (unsent(self.request) or 0) > PIECE
            if self._congested:
                self._lookAgain()
                return
            self._looks = 0
        self._flush()
        if self._ready and unsent(self.request):
            self._beginWatch()

    def _beginWatch(self, since: float | None = None) -> None:
        """
        Something waits: watch whether the client takes it.

        @param since: when it has taken something last; when it was sent something if not given.
        """
        timeout = self._group.stallTimeout
        if self._watch is None and timeout is not None:
            assert self.request is not None, "nothing waits for a closed stream"
            if since is None:
                since = self._lastSent
            self._watch = Watch(self.request, self._wheel, timeout, since, self._watched)

    def _endWatch(self) -> None:
        if self._watch is not None:
            self._watch.stop()
            self._watch = None

    def _watched(self, stalled: bool) -> None:
        self._watch = None
        if stalled:
            _log.info(
                "{address} took no byte for {timeout} s. Disconnecting it.",
                address=self.clientAddress,
                timeout=self._group.stallTimeout,
            )
            self._abort(CloseReason.STALLED)
        elif not self._ready:
            # There is more that waits.
            self._beginWatch(self._wheel.seconds())

    # Ending

    def _fail(self, failure: Failure) -> None:
        """
        What the application gave us has failed: an HTTP status while there is one to be
        given, an end that does not look like one afterwards.
        """
        if failure.check(RuntimeError) and failure.getErrorMessage() in OF_ASYNCIO:
            _log.warn(
                "Something of asyncio was awaited, which this reactor cannot do: run twistd or"
                " trial with --reactor=asyncio, and await Deferred.fromFuture(future)"
            )
        if self._phase is _Phase.CONNECTING:
            opening, self._opening = self._opening, None
            self._die(CloseReason.ERROR)
            if opening is None:
                self._refusal = failure
            else:
                opening.errback(failure)
            return
        _log.failure("The events for {address} failed", failure, address=self.clientAddress)
        # Whoever keeps the log must not keep the stream with it.
        failure.cleanFailure()
        self._end(CloseReason.ERROR)

    def _end(
        self, reason: CloseReason, retry: int | None = None, closeConnection: bool = False
    ) -> None:
        """
        End the stream as soon as what waits has been sent.

        @param retry: a reconnection time to tell the client before, in milliseconds.
        @param closeConnection: whether the connection is closed with the response.
        """
        if closeConnection:
            self._closeConnection = True
        if not self._living:
            return
        if reason is not CloseReason.ERROR:
            for feed in self._feeds:
                feed.flush()
            if self._reason is not None:
                # Something in that has failed, or somebody who was told of it has ended it.
                return
        # These wait with what is waiting, however much that is.
        if retry is not None:
            self._append(Encoded(Event(retry=retry)))
        elif self._group.once and reason is CloseReason.ENDED:
            self._append(Encoded(Event("", event="end", id="end")))
        self._reason = reason
        self.open()
        if self.closed:
            return
        self._phase = _Phase.ENDING
        self._ready = False
        self._stopProducers(now=False)
        self._flush()

    def _finish(self) -> None:
        """
        All was handed over: end the response when it has left.

        Not before, though the request could be finished at once: after that nobody would
        tell us when the client goes, and nobody would notice one that does not read.
        """
        request = self.request
        assert request is not None, "a stream that is ending has a request"
        if unsent(request):
            self._beginWatch()
            self._lookAgain()
            return
        if self._reason is CloseReason.ERROR:
            self._cut(request)
            return
        if self._closeConnection:
            # What comes next may be the end of the process, so the last chunk has to leave too.
            self._leaving = connectionOf(request)
            self._looks = 0
            if not self._http2:
                # The channel closes the connection after a response that is its last.
                cast(Any, request.channel).persistent = False
        request.unregisterProducer()
        request.finish()

    def _cut(self, request: Request) -> None:
        """
        End a response so that it does not look complete.
        """
        if self._http2 or not request.chunked:
            # RST_STREAM; and HTTP/1.0 has nothing but the end of the connection to tell the
            # end of the response by, so that only a reset looks wrong.
            self._abort(CloseReason.ERROR)
        else:
            # RFC 9112, 8: a chunked body without the last chunk is incomplete.
            self._die(CloseReason.ERROR)
            request.loseConnection()

    def _abort(self, reason: CloseReason) -> None:
        request = self.request
        if request is None:
            return
        # HTTP/2: RST_STREAM, for which nobody fires the notification.
        connection: Any = request.transport
        if self._http2:
            connection = getattr(request, "channel", None)
        self._die(reason)
        if connection is not None:
            connection.abortConnection()

    def _notified(self, lost: Failure | None) -> None:
        """
        The response is finished, or its connection is lost.
        """
        self._notification = None
        if lost is None:
            self._leave()
            return
        # A reactor that stops cuts what is still connected.
        running = getattr(self._wheel.clock, "running", True)
        reason = CloseReason.CLIENT if running else CloseReason.SHUTDOWN
        self._die(reason, now=True)

    def _leave(self) -> None:
        if heldBy(self._leaving):
            self._lookAgain()
        else:
            self._die(self._reason or CloseReason.ENDED)

    def _attach(self, feed: Feed) -> None:
        """
        Tell a feed when the client can take more, and when the stream has ended.
        """
        self._feeds += (feed,)

    def _detach(self, feed: Feed) -> None:
        self._feeds = tuple(each for each in self._feeds if each is not feed)

    def _emissionEnded(self, emission: Emission, failure: Failure | None) -> None:
        self._detach(emission)
        if failure is not None:
            self._fail(failure)

    def _stopProducers(self, now: bool) -> None:
        feeds, self._feeds = self._feeds, ()
        for feed in feeds:
            feed.finish(now)
        # The wait is over for those who waited; send() tells them that it was in vain.
        writers, self._writers = self._writers, ()
        for writable in writers:
            writable.callback(None)

    def _die(self, reason: CloseReason, now: bool = False) -> None:
        """
        The one way to die.  Whoever ends the stream, it comes here, once, and afterwards
        nothing of it is left with anybody.

        @param now: see L{Feed.finish<twisted_sse.stream.feed.Feed.finish>}.
        """
        if self._phase is _Phase.CLOSED:
            return
        self._phase = _Phase.CLOSED
        if self._reason is not CloseReason.ERROR:
            # What it was ended for may not be what became of it in the end: there may have been
            # bytes left that nobody took.  An error remains one.
            self._reason = reason
        self._ready = False
        self._direct = self._leaving = None
        request, self.request = self.request, None
        assert request is not None, "a stream that is not closed has a request"
        del cast(Any, request)._eventStream
        self._letGo(request)
        if self._look is not None:
            self._look.cancel()
            self._look = None
        self._endWatch()
        self._pending = None
        self._stopProducers(now)
        self._group.closed(self, self._reason)
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.callback(None)
        closers, self._closers = self._closers, ()
        for closed in closers:
            closed.callback(self._reason)
        self._group.checkDrained()

    def _letGo(self, request: Request) -> None:
        """
        Make a request, which others may keep for longer, forget the stream.
        """
        if request.producer is self:
            if getattr(request, "channel", None) is not None:
                request.unregisterProducer()
            else:
                request.producer = None
        if self._notification is not None:
            # HTTP/2 does not fire it when we reset the stream ourselves.
            request.notifications.remove(self._notification)
            self._notification = None

    @staticmethod
    def _forgetRequest(request: Request) -> None:
        """
        Drop what has arrived in a request, 3 kB for a browser's.
        """
        request.requestHeaders = Headers()
        request.received_cookies = {}
        request.args = {}
        if request.content is not None:
            request.content.close()
