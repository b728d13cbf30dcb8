"""
One open response, as the house sees it: its phases, its queue, and its one way to die.

L{EventStream<twisted_sse.stream.stream.EventStream>} is the face that an application gets.

Longer than 500 lines: its methods keep one invariant, which is written down here.


The phases
==========

::

    CONNECTING --open()--> OPEN --end()--> ENDING --all has left--> CLOSED
         |                   |                |                       ^
         +-------------------+----------------+-----------------------+
                  abort(), fail(), the client goes: at once

    phase        headers   send()                             left by
    CONNECTING   not sent  queues; opens, once release()d     open(), end(), fail(), the client
    OPEN         sent      sends if ready, else queues        end(), fail(), abort(), the client
    ENDING       sent      returns False                      the last byte, abort(), the client
    CLOSED       -         returns False                      -

Only L{Response.open}, L{Response.end} and C{_die} change the phase, and each at the first
thing it does, since all that comes after may call an application, which may call us.  No phase
comes twice.

  - CONNECTING: nothing was sent, so that a failure can still be an HTTP status.  What
    C{connected} sends is held back until it has returned, or waits for something
    (L{Response.release}); a refusal drops it.
  - OPEN: what is sent goes out.
  - ENDING: nothing more is accepted.  The request is finished only when what was queued has
    left this process: afterwards nobody would tell us when the client goes, and a client that
    does not read would never be noticed.
  - CLOSED: nobody has a reference to the response any more, and it has none to its request,
    to its timers, or to its face.


What "ready" means
==================

C{ready} is true if, and only if, an event may go straight to the connection: the phase is OPEN,
and nothing is queued, and nothing forbids it.  It is stored, not computed, because the fan-out
reads it a million times a second.  So whatever makes one of these false sets it to false:

    ===============  =============================  ==========================================
    what             made true by                   made false by
    ===============  =============================  ==========================================
    phase is OPEN    open()                         end(), _die()
    not paused       resumeProducing()              pauseProducing(), stopProducing()
    not congested    a look (L{Lag})                a write over HTTP/2 that was not sent
    not corked       uncork()                       cork()
    nothing queued   _flush(), all handed over      nothing is queued while it is ready, except
                                                    by push(), which clears C{ready} first
    ===============  =============================  ==========================================

and only C{_flush} sets it to true, after it has found all five; C{push} restores what it cleared
for the time of one large batch.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol, cast

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.interfaces import IPushProducer
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from ..format.encoded import PIECE, Batch, Encoded
from ..format.event import Event
from ..timing.ticker import TimerWheel
from .awaited import warnOfAsyncio
from .feed import Feed
from .headers import forgetRequest, removeEncoder, setHeaders
from .lag import Lag
from .options import END, StreamOptions
from .pending import Pending, SlowReader
from .reasons import CloseReason
from .transport import connectionOf, directTransport, heldBy, unsent, writeNow
from .turn import TURN

if TYPE_CHECKING:
    from twisted.internet import tcp
    from twisted.web.http_headers import Headers
    from twisted.web.server import Request

__all__ = ["Owner", "Response"]

#: A comment that means nothing: HTML standard, 9.2.6: "a line starting with U+003A COLON is
#: ignored", and 9.2.7 recommends one every 15 seconds or so for proxies' sake.
NOTHING = b":\n\n"


# Not an attribute of the responses: what is logged by one refers to the object that it is an
# attribute of, so that a log which is kept would keep the response.
_log = Logger()


class Owner(Protocol):
    """
    What a response needs of the group that it belongs to.

    None of its methods raises.  Those that tell an observer may end this response, or others,
    before they return.
    """

    options: StreamOptions

    preamble: bytes
    """The first bytes of each body."""

    cleaningUp: set[object]
    """
    What goes on after the end of its response, such as the C{finally} of a coroutine: a drain
    waits for it.  C{checkDrained} is called when it is done.
    """

    sent: Callable[[Any, int, int], None] | None
    """
    Called after each write with the face of the response, the number of events and their size in
    bytes; L{None} if nobody listens.
    """

    def share(self, headers: Headers, /) -> Headers:
        """
        Called once the headers have been sent, which nobody needs any more.

        @return: equal headers, to be kept in the place of these.
        """

    def opened(self, response: Response, /) -> None:
        """
        Called once, when the headers have been sent.
        """

    def dropped(self, response: Response, events: int, /) -> None:
        """
        Called when events were dropped since the client does not read.
        """

    def replayed(self, response: Response, events: int, /) -> None:
        """
        Called when events of a history were sent.
        """

    def reset(self, response: Response, /) -> None:
        """
        Called when the client was told that it has missed something for good.
        """

    def closed(self, response: Response, reason: CloseReason, /) -> None:
        """
        Called once, whether the response was opened or not, when nothing of it is left with
        anybody else.
        """

    def checkDrained(self) -> None:
        """
        Called last of all, when everybody knows that the response is closed: it may be what a
        drain waits for.
        """


class _Phase(Enum):
    CONNECTING = 0
    OPEN = 1
    ENDING = 2
    CLOSED = 3


@implementer(IPushProducer)
class Response:
    """
    One open response of type C{text/event-stream}.

    @ivar request: the request that is being answered; L{None} once the response is closed.
    @ivar stream: what the application and observers know it as; L{None} once it is closed.
    @ivar ready: whether an event may go straight to the connection.
    @ivar direct: the transport for L{writeNow}; L{None} where only C{request.write} is right.
    @ivar lag: looks after a client that lags; L{None} for one that does not.
    @ivar lastSent: when something was sent last, in the seconds of the wheel.
    @ivar eventsSent: the number of events that were handed to the connection.
    @ivar http2: whether it is a stream of HTTP/2.
    @ivar feeds: what sends events to it.
    """

    __slots__ = (
        "_closeConnection",
        "_closers",
        "_corked",
        "_held",
        "_leaving",
        "_notification",
        "_opening",
        "_paused",
        "_pending",
        "_phase",
        "_reason",
        "_refusal",
        "_sentBefore",
        "_writers",
        "clientAddress",
        "direct",
        "eventsSent",
        "feeds",
        "http2",
        "lag",
        "lastSent",
        "owner",
        "ready",
        "request",
        "stream",
        "wheel",
    )

    def __init__(
        self, request: Request, owner: Owner, wheel: TimerWheel, clientAddress: str
    ) -> None:
        """
        @param wheel: for all that happens later.
        @param clientAddress: where the client is, as text.
        """
        self.request: Request | None = request
        self.stream: Any = None
        self.owner = owner
        self.wheel = wheel
        self.clientAddress = clientAddress
        self.eventsSent = 0
        self.lastSent = 0.0
        self._phase = _Phase.CONNECTING
        self.ready = False
        # By the transport, or for HTTP/2's flow control.
        self._paused = False
        # By ourselves, while many events are made.
        self._corked = False
        self.http2 = request.transport is None
        self.direct: tcp.Server | None = None
        # Made when it is needed: nearly all clients have nothing queued.
        self._pending: Pending | None = None
        self.lag: Lag | None = None
        # How much had been sent at the last wait for room.
        self._sentBefore = 0
        self._reason: CloseReason | None = None
        self._closeConnection = False
        # The connection, when the response is finished and its last bytes have to leave.
        self._leaving: object = None
        # Whether what is sent before the headers is held back.
        self._held = True
        self.feeds: tuple[Feed, ...] = ()
        self._closers: tuple[Deferred[CloseReason], ...] = ()
        self._writers: tuple[Deferred[None], ...] = ()
        self._opening: Deferred[None] | None = None
        # What was raised before the headers, until somebody asks for it.
        self._refusal: Failure | None = None
        # Taken now: one that is taken after the end never fires.
        self._notification: Deferred[None] | None = request.notifyFinish()
        self._notification.addBoth(self._notified)

    def __repr__(self) -> str:
        return (
            f"<EventStream {self._phase.name.lower()} to {self.clientAddress}:"
            f" {self.eventsSent} sent, {self.bytesPending} bytes pending>"
        )

    @property
    def isConnecting(self) -> bool:
        """
        Whether the headers have not been sent.
        """
        return self._phase is _Phase.CONNECTING

    @property
    def isLiving(self) -> bool:
        """
        Whether it has not begun to end.
        """
        return self._phase in (_Phase.CONNECTING, _Phase.OPEN)

    @property
    def isClosed(self) -> bool:
        """
        Whether it is over.
        """
        return self._phase is _Phase.CLOSED

    @property
    def isCorked(self) -> bool:
        """
        Whether what is sent is queued until C{uncork}.
        """
        return self._corked

    @property
    def stallTimeout(self) -> float | None:
        """
        See L{Lagging<twisted_sse.stream.lag.Lagging>}.
        """
        return self.owner.options.stallTimeout

    @property
    def bytesPending(self) -> int:
        """
        The number of bytes that are queued because the client does not read.
        """
        # Looked up once: metrics may be asked for in another thread.
        pending = self._pending
        return pending.bytes if pending is not None else 0

    # What a stream's methods do

    def send(self, event: Event) -> bool:
        """
        Send one event, or queue it.

        @return: whether it will be sent, as far as we know.
        """
        if self.ready:
            self._write(event.encode(), event.data is not None)
            return True
        return self.enqueue(Encoded(event))

    def open(self) -> None:
        """
        Send the headers, unless they have been sent.
        """
        if self._phase is not _Phase.CONNECTING:
            return
        request, owner = self.request, self.owner
        assert request is not None, "only a closed response has no request"
        self._phase = _Phase.OPEN
        removeEncoder(request)
        setHeaders(request)
        request.registerProducer(self, True)
        request.write(owner.preamble)
        if self._phase is _Phase.CLOSED:
            return
        if owner.options.fastWrite:
            self.direct = directTransport(request)
        self.lastSent = self.wheel.seconds()
        owner.opened(self)
        request.responseHeaders = owner.share(request.responseHeaders)
        if owner.options.slim:
            forgetRequest(request)
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.callback(None)
        if self.http2 and self.request is not None and (unsent(request) or 0) > PIECE:
            self._needLag().congest()
        self._flush()

    def whenOpened(self) -> Deferred[None] | None:
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

    def whenWritable(self) -> Deferred[None]:
        """
        See L{EventStream.whenWritable<twisted_sse.stream.stream.EventStream.whenWritable>}.
        """
        if not self.isLiving:
            return fail(CancelledError())
        assert self.request is not None, "a living response has a request"
        sent = self.request.sentLength
        turnIsOver = sent - self._sentBefore > TURN
        if not turnIsOver and (self.ready or self._phase is _Phase.CONNECTING):
            return succeed(None)
        self._sentBefore = sent
        writable: Deferred[None] = Deferred()
        self._writers += (writable,)
        if self.ready:
            # The client reads as fast as we write: now it is the others' turn.
            self._needLag().lookAgain(anew=True)
        return writable

    def whenClosed(self) -> Deferred[CloseReason]:
        """
        See L{EventStream.whenClosed<twisted_sse.stream.stream.EventStream.whenClosed>}.
        """
        if self._phase is _Phase.CLOSED:
            assert self._reason is not None, "a closed response knows why"
            return succeed(self._reason)
        closed: Deferred[CloseReason] = Deferred()
        self._closers += (closed,)
        return closed

    # IPushProducer: what the transport calls

    def pauseProducing(self) -> None:
        """
        The connection cannot take more.  It is said again with each write.
        """
        if not self._paused and self._phase is not _Phase.CLOSED:
            self._paused = True
            self.ready = False
            self.watchClient()

    def resumeProducing(self) -> None:
        """
        The connection has sent all that it had.
        """
        if self._phase is not _Phase.CLOSED:
            self._paused = False
            self._needLag().lookNow()

    def stopProducing(self) -> None:
        """
        The connection is lost: the request's notification follows.
        """
        # Others may be notified before us, and send to all streams that there are: the
        # transport has no socket any more.
        self._paused = True
        self.ready = False
        self.direct = None
        if self.request is not None:
            self.request.unregisterProducer()

    # Writing

    def _write(self, data: bytes, events: int) -> None:
        request = self.request
        assert request is not None, "a response that is ready has a request"
        self.lastSent = self.wheel.seconds()
        self.eventsSent += events
        if self.direct is not None:
            sent = writeNow(request, self.direct, data)
        else:
            request.write(data)
            sent = not events
            if self.http2 and (unsent(request) or 0) > PIECE:
                self.ready = False
                self._needLag().congest()
        if not sent:
            self.lookLater()
        if self.lag is not None:
            self.lag.given(len(data), bool(request.chunked))
        told = self.owner.sent
        if told is not None:
            told(self.stream, events, len(data))

    def beat(self) -> None:
        """
        Nothing was sent for a while: send a comment.
        """
        if self.ready:
            assert self.request is not None, "a response that is ready has a request"
            if unsent(self.request):
                # Something is held back for so long, though it is too little for a pause.
                self.watchClient()
            else:
                self._write(NOTHING, 0)

    def cork(self) -> None:
        """
        Queue what is sent, until C{uncork}: many events become one write.
        """
        self._corked = True
        self.ready = False

    def uncork(self) -> None:
        """
        Send what was queued since C{cork}.
        """
        self._corked = False
        self._flush()

    def release(self) -> None:
        """
        C{connected} has returned, or waits for something: what it has sent and will send goes
        out.
        """
        self._held = False
        if self._pending:
            self.open()

    def push(self, batch: Batch) -> None:
        """
        Send what many clients are sent.
        """
        pending = self._pending
        if self.ready and len(batch.data) <= PIECE:
            self._write(batch.data, batch.events)
        elif self.ready:
            # What does not leave at once is not to be copied for each client: only the piece
            # that is on its way is.
            self.ready = False
            self._pending = Pending()
            self._pending.extend(batch)
            self.ready = self._handOver() and self._phase is _Phase.OPEN
        elif (
            pending
            and pending.bytes
            and pending.bytes + len(batch.data) <= self.owner.options.maxPending
        ):
            pending.extend(batch)
        else:
            for event in batch.encoded:
                self.enqueue(event)

    def enqueue(self, event: Encoded) -> bool:
        """
        Queue an event, unless it can be sent at once.

        @return: whether it will be sent, as far as we know.
        """
        if self.ready:
            self._write(event.data, event.type is not None)
            return True
        if not self.isLiving:
            return False
        if self._phase is _Phase.CONNECTING and not self._held:
            self.open()
            return self.enqueue(event)
        options = self.owner.options
        pending = self._pending
        # One event is always accepted: a client could never get past one that is larger
        # than maxPending, however often it comes back.
        if pending and pending.bytes and pending.bytes + len(event.data) > options.maxPending:
            if self._phase is _Phase.CONNECTING:
                # Too much to be held back for the sake of a refusal.
                self.release()
                return self.enqueue(event)
            if self._corked:
                self.uncork()
                return self.enqueue(event)
            if options.slow is SlowReader.DISCONNECT:
                _log.info(
                    "{address} does not read: {pending} bytes are waiting for it."
                    " Disconnecting it.",
                    address=self.clientAddress,
                    pending=pending.bytes,
                )
                self.abort(CloseReason.SLOW)
                return False
            dropped = pending.makeRoom(options.slow, event, options.maxPending)
            if dropped:
                self.owner.dropped(self, dropped)
        self._append(event)
        return True

    def _append(self, event: Encoded) -> None:
        """
        Queue an event behind those that are queued.
        """
        if self._pending is None:
            self._pending = Pending()
        self._pending.append(event)

    def _isMovable(self) -> bool:
        """
        Whether the connection takes more.
        """
        return not (self._paused or (self.lag is not None and self.lag.congested))

    def _handOver(self) -> bool:
        """
        Hand over what is queued, as far as it is taken.

        @return: whether the connection can take more.
        """
        while self._pending is not None and self._isMovable():
            data, events = self._pending.take(PIECE)
            if not self._pending:
                self._pending = None
            self._write(data, events)
        return self._isMovable()

    def _flush(self) -> None:
        """
        Hand over what is queued, as far as it is taken; then call those that wait for that.
        """
        if self._corked or self._phase is _Phase.CONNECTING or not self._handOver():
            return
        if self._phase is _Phase.ENDING:
            self._finish()
        elif self._phase is _Phase.OPEN:
            if self.lag is not None:
                self.lag.caughtUp()
            self.ready = True
            while self._writers and self.ready:
                writable, *others = self._writers
                self._writers = tuple(others)
                writable.callback(None)
            for feed in self.feeds:
                if self.ready:
                    feed.resume()

    # Looking after a client that lags

    def _needLag(self) -> Lag:
        if self.lag is None:
            self.lag = Lag(self)
        return self.lag

    def lookLater(self) -> None:
        """
        The transport was given something that it has not sent.
        """
        self._needLag().lookLater()

    def watchClient(self) -> None:
        """
        Something is held back: watch whether the client takes it.
        """
        if self.stallTimeout is not None:
            self._needLag().watch()

    def looked(self) -> None:
        """
        See L{Lagging.looked<twisted_sse.stream.lag.Lagging.looked>}.
        """
        if self._leaving is not None:
            self._leave()
        else:
            self._flush()

    # Ending

    def attach(self, feed: Feed) -> None:
        """
        Tell a feed when the client can take more, and when the response has ended.
        """
        self.feeds += (feed,)

    def detach(self, feed: Feed) -> None:
        """
        Tell a feed no more.
        """
        self.feeds = tuple(each for each in self.feeds if each is not feed)

    def fail(self, failure: Failure) -> None:
        """
        What the application gave us has failed: an HTTP status while there is one to be
        given, an end that does not look like one afterwards.
        """
        warnOfAsyncio(failure)
        if self._phase is _Phase.CONNECTING:
            opening, self._opening = self._opening, None
            self._die(CloseReason.ERROR)
            if opening is None:
                self._refusal = failure
            else:
                opening.errback(failure)
            return
        _log.failure("The events for {address} failed", failure, address=self.clientAddress)
        # A log that is kept must not keep the stream with it.
        failure.cleanFailure()
        self.end(CloseReason.ERROR)

    def end(
        self, reason: CloseReason, retry: int | None = None, closeConnection: bool = False
    ) -> None:
        """
        End as soon as what is queued has been sent.

        @param retry: a reconnection time to tell the client before, in milliseconds.
        @param closeConnection: whether the connection is closed with the response.
        """
        if closeConnection:
            self._closeConnection = True
        if not self.isLiving:
            return
        if reason is not CloseReason.ERROR:
            for feed in self.feeds:
                feed.flush()
            if self._reason is not None:
                # Something in that has failed, or an observer has ended it.
                return
        # These are queued behind all others, however much that is.
        if retry is not None:
            self._append(Encoded(Event(retry=retry)))
        elif self.owner.options.once and reason is CloseReason.ENDED:
            self._append(Encoded(END))
        self._reason = reason
        self.open()
        if self._phase is _Phase.CLOSED:
            return
        self._phase = _Phase.ENDING
        self.ready = False
        self._stopProducers(now=False)
        self._flush()

    def abort(self, reason: CloseReason) -> None:
        """
        End at once; what is queued is lost.
        """
        request = self.request
        if request is None:
            return
        # HTTP/2: RST_STREAM, for which nobody fires the notification.
        connection: Any = request.transport
        if self.http2:
            connection = getattr(request, "channel", None)
        self._die(reason)
        if connection is not None:
            connection.abortConnection()

    def _finish(self) -> None:
        """
        All was handed over: finish the request when it has left.
        """
        request = self.request
        assert request is not None, "a response that is ending has a request"
        if unsent(request):
            self.watchClient()
            self._needLag().lookAgain()
            return
        if self._reason is CloseReason.ERROR:
            self._cut(request)
            return
        if self._closeConnection:
            # What comes next may be the end of the process, so the last chunk has to leave too.
            self._leaving = connectionOf(request)
            if not self.http2:
                # The channel closes the connection after a response that is its last.
                cast(Any, request.channel).persistent = False
        request.unregisterProducer()
        request.finish()

    def _cut(self, request: Request) -> None:
        """
        End a response so that it does not look complete.
        """
        if self.http2 or not request.chunked:
            # RST_STREAM; and HTTP/1.0 has nothing but the end of the connection to tell the
            # end of the response by, so that only a reset looks wrong.
            self.abort(CloseReason.ERROR)
        else:
            # RFC 9112, 8: a chunked body without the last chunk is incomplete.
            self._die(CloseReason.ERROR)
            request.loseConnection()

    def _notified(self, lost: Failure | None) -> None:
        """
        The response is finished, or its connection is lost.
        """
        self._notification = None
        if lost is None:
            self._leave(anew=True)
            return
        # A reactor that stops cuts what is still connected.
        running = getattr(self.wheel.clock, "running", True)
        reason = CloseReason.CLIENT if running else CloseReason.SHUTDOWN
        self._die(reason, now=True)

    def _leave(self, anew: bool = False) -> None:
        if heldBy(self._leaving):
            self._needLag().lookAgain(anew)
        else:
            self._die(self._reason or CloseReason.ENDED)

    def _stopProducers(self, now: bool) -> None:
        feeds, self.feeds = self.feeds, ()
        for feed in feeds:
            feed.finish(now)
        # Nobody has to wait any longer; send() says that it was in vain.
        writers, self._writers = self._writers, ()
        for writable in writers:
            writable.callback(None)

    def _die(self, reason: CloseReason, now: bool = False) -> None:
        """
        The one way to die.  However a response ends, it comes here, once, and afterwards
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
        self.ready = False
        self.direct = self._leaving = None
        request, self.request = self.request, None
        assert request is not None, "a response that is not closed has a request"
        self._letGo(request)
        if self.lag is not None:
            self.lag.stop()
        self._pending = None
        self._stopProducers(now)
        self.owner.closed(self, self._reason)
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.callback(None)
        closers, self._closers = self._closers, ()
        for closed in closers:
            closed.callback(self._reason)
        self.stream = None
        self.owner.checkDrained()

    def _letGo(self, request: Request) -> None:
        """
        Make a request, which others may keep for longer, forget the response.
        """
        del cast(Any, request).eventStream
        if request.producer is self:
            if getattr(request, "channel", None) is not None:
                request.unregisterProducer()
            else:
                request.producer = None
        if self._notification is not None:
            # HTTP/2 does not fire it when we reset the stream ourselves.
            request.notifications.remove(self._notification)
            self._notification = None
