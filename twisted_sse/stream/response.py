"""
One open response, as the rest of the package sees it: its phases, its queue, and its end.

Applications see it as an L{EventStream<twisted_sse.stream.stream.EventStream>}.

Longer than 500 lines: its methods maintain one invariant, which is described here.


The phases
==========

::

    CONNECTING --open()--> OPEN --end()--> ENDING --all sent------> CLOSED
         |                   |                |                       ^
         +-------------------+----------------+-----------------------+
          abort(), client disconnects, fail() while CONNECTING: at once

    phase        headers   send()                           left by
    CONNECTING   not sent  queues; opens after release()    open(), end(), fail(), abort(), client
    OPEN         sent      sends if ready, else queues      end(), fail(), abort(), client
    ENDING       sent      returns False                    last byte, abort(), client
    CLOSED       -         returns False                    -

Only L{Response.open}, L{Response.end} and C{_die} change the phase.  C{open} and C{_die} do that
before anything else, since the rest may call the application, which may call us; C{end} first
flushes the feeds, and stops if one of them has ended the response.  No phase is entered twice.

  - CONNECTING: nothing was sent, so a failure can still become an HTTP status.  What
    C{connected} sends is held back until it returns or waits for something
    (L{Response.release}); a refusal discards it.
  - OPEN: events go out.
  - ENDING: no more events are accepted.  The request is finished only when everything queued has
    left this process: after that Twisted would not tell us of a disconnect, and a client that
    does not read would never be noticed.
  - CLOSED: nothing else refers to the response, and it has no reference to its request, its
    timers, or its L{EventStream<twisted_sse.stream.stream.EventStream>}.


What "ready" means
==================

C{ready} is true if and only if an event may go straight to the connection.  It is stored, not
computed, because the fan-out reads it a million times a second.  So code that makes one of these
conditions false also sets C{ready} to false::

    ===============  =============================  ==========================================
    condition        made true by                   made false by
    ===============  =============================  ==========================================
    phase is OPEN    open()                         end(), _die()
    not paused       resumeProducing()              pauseProducing(), stopProducing()
    not congested    a poll (see Lag)               an HTTP/2 write that stays unsent
    not corked       uncork()                       cork()
    nothing queued   _flush(), all handed over      enqueue(), if not ready already; push()
                                                    and end(), which clear it
    ===============  =============================  ==========================================

Only C{_flush} sets it to true, after checking all five; C{push} clears it while it hands over a
large batch, and restores it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
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
from .asked import Asked
from .awaited import warnOfAsyncio
from .feed import Feed
from .headers import forgetRequest, removeEncoder, setHeaders
from .lag import Lag
from .options import END, StreamOptions
from .peer import seemsGone
from .pending import Pending, PendingTotal, SlowReader
from .reasons import CloseReason
from .transport import connectionOf, directTransport, heldBy, unsent, writeNow
from .turn import TURN
from .twice import ENCODED_TWICE, Twice

if TYPE_CHECKING:
    from twisted.internet import tcp
    from twisted.web.http_headers import Headers
    from twisted.web.server import Request

__all__ = ["Owner", "Response", "Work", "streamOf"]

#: How many events of a stream are looked at, in case they are encoded twice.  An application that
#: does this does it from the beginning.
FIRST = 4

#: An empty comment.  HTML standard, 9.2.6: a line that starts with a colon is ignored; 9.2.7
#: recommends one every 15 seconds or so, because of proxies.  Without a blank line: widespread
#: decoders make an empty message of it.
NOTHING = b":\n"


# Not an attribute of Response: a log event refers to the object whose attribute its logger is,
# so a log that is kept in memory would keep the response alive.
_log = Logger()


class Work(Protocol):
    """
    What the application does for a stream.

    @ivar wheel: the timers of its stream.
    """

    wheel: TimerWheel


class Owner(Protocol):
    """
    What a response needs of its group.

    No method raises.  Those that call an observer may end this response, or others, before they
    return.
    """

    options: StreamOptions

    preamble: bytes
    """The first bytes of each body."""

    twice: Twice
    """Notices events that are encoded twice."""

    total: PendingTotal
    """Counts what is queued for all clients together."""

    thread: int
    """The thread that counts as the reactor's while no reactor has run."""

    cleaningUp: set[Work]
    """
    Work that continues after its response has ended, such as the C{finally} of a coroutine.  A drain
    waits for it; C{checkDrained} is called when it is done.
    """

    sent: Callable[[Any, int, int], None] | None
    """
    Called after each write with the response's stream, the number of events and their size in
    bytes; L{None} if no observer wants it.
    """

    def share(self, headers: Headers, /) -> Headers:
        """
        Called once the headers have been sent and are no longer needed.

        @return: equal headers, to be kept instead of these.
        """

    def opened(self, response: Response, /) -> None:
        """
        Called once, when the headers have been sent.
        """

    def keyed(self, response: Response, before: Hashable, /) -> None:
        """
        Called when the key of a response that is not closed was set.

        @param before: the key that it had; L{None} for none.
        """

    def dropped(self, response: Response, events: int, /) -> None:
        """
        Called when events were dropped because the client does not read.
        """

    def replayed(self, stream: Any, events: int, /) -> None:
        """
        Called when events from a history were sent.

        @param stream: what observers know the response as, which may be closed by now.
        """

    def reset(self, stream: Any, /) -> None:
        """
        Called when the client has missed events permanently, and received a reset.

        @param stream: see C{replayed}.
        """

    def closed(self, response: Response, reason: CloseReason, /) -> None:
        """
        Called once, whether the response was opened or not, when nothing else refers to it.
        """

    def checkDrained(self) -> None:
        """
        Called last, after everything else knows that the response is closed: a drain may
        be waiting for it.
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
    @ivar stream: the stream that the application and observers see; L{None} once it is closed.
    @ivar ready: whether an event may go straight to the connection.
    @ivar direct: the transport for L{writeNow}; L{None} if only C{request.write} is safe.
    @ivar lag: polls the connection of a client that lags; L{None} if it does not lag.
    @ivar lastSent: when something was last sent, in the wheel's seconds.
    @ivar eventsSent: the number of events that were handed to the connection.
    @ivar http2: whether it is an HTTP/2 stream.
    @ivar feeds: its sources of events.
    @ivar key: what the application has filed it under; L{None} for nothing.
    """

    __slots__ = (
        "_asked",
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
        "key",
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
        @param wheel: for delayed calls.
        @param clientAddress: the client's address, as text.
        """
        self.request: Request | None = request
        self.stream: Any = None
        self.key: Hashable = None
        self.owner = owner
        self.wheel = wheel
        self.clientAddress = clientAddress
        self.eventsSent = 0
        self.lastSent = 0.0
        self._phase = _Phase.CONNECTING
        # Once the response is closed, for the log of what still fails.
        self._asked: Asked | None = None
        self.ready = False
        # By the transport, or by HTTP/2's flow control.
        self._paused = False
        # By us, while many events are being made.
        self._corked = False
        self.http2 = request.transport is None
        self.direct: tcp.Server | None = None
        # Made on demand: nearly all clients have nothing queued.
        self._pending: Pending | None = None
        self.lag: Lag | None = None
        # How many bytes had been sent when whenWritable() last made its caller wait.
        self._sentBefore = 0
        self._reason: CloseReason | None = None
        self._closeConnection = False
        # The connection, once the response is finished and its last bytes still have to leave.
        self._leaving: object = None
        # Whether events sent before the headers are held back.
        self._held = True
        self.feeds: tuple[Feed, ...] = ()
        self._closers: tuple[Deferred[CloseReason], ...] = ()
        self._writers: tuple[Deferred[None], ...] = ()
        self._opening: Deferred[None] | None = None
        # What was raised before the headers, until whenOpened() is called.
        self._refusal: Failure | None = None
        # Requested now: after the request has ended, it would never fire.
        self._notification: Deferred[None] | None = request.notifyFinish()
        self._notification.addBoth(self._notified)

    def present(self, stream: object) -> None:
        """
        Say what applications and observers know this response as, until it is closed.
        """
        self.stream = stream
        cast(Any, self.request)._eventStream = stream

    def __repr__(self) -> str:
        return (
            f"<EventStream {self._phase.name.lower()} to {self.clientAddress}:"
            f" {self.eventsSent} sent, {self.bytesPending} bytes pending>"
        )

    @property
    def asked(self) -> Asked:
        """
        For the log.
        """
        if self._asked is not None:
            return self._asked
        assert self.request is not None, "a response that is not closed has a request"
        return Asked.by(self.request, self.clientAddress, self.owner.options.name)

    @property
    def isConnecting(self) -> bool:
        """
        Whether the headers have not been sent yet.
        """
        return self._phase is _Phase.CONNECTING

    @property
    def isLiving(self) -> bool:
        """
        Whether it is neither ending nor closed.
        """
        # It has a reason from when it begins to end, before its phase changes.
        return self._reason is None and self._phase in (_Phase.CONNECTING, _Phase.OPEN)

    @property
    def isClosed(self) -> bool:
        """
        Whether it is closed.
        """
        return self._phase is _Phase.CLOSED

    @property
    def isCorked(self) -> bool:
        """
        Whether events are queued until C{uncork}.
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
        # Read once: another thread may ask, for metrics.
        pending = self._pending
        return pending.bytes if pending is not None else 0

    # What a stream's methods call

    def fileUnder(self, key: Hashable) -> None:
        """
        See L{EventStream.key<twisted_sse.stream.stream.EventStream.key>}.
        """
        # Before anything else is changed: it raises if this is not a key.
        hash(key)
        before, self.key = self.key, key
        if self._phase is not _Phase.CLOSED:
            self.owner.keyed(self, before)

    def send(self, event: Event) -> bool:
        """
        Send one event, or queue it.

        @return: whether it was sent or queued.
        """
        if self.eventsSent < FIRST and self.owner.twice.isNews(event):
            asked = self.asked
            _log.warn(ENCODED_TWICE, where=str(asked), **asked.logged())
        if self.ready and event.data is not None:
            data = event.encode()
            if len(data) <= PIECE:
                self._write(data, True)
                return True
        return self.enqueue(Encoded(event))

    def open(self) -> None:
        """
        Send the headers, unless they were sent already.
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
        @return: a L{Deferred} that fires when the headers have been sent or the response has
            closed, and fails with what was raised before; L{None} if they were sent already, as is
            usual.
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
            # The client reads as fast as we write: give the others a turn.
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
        The connection cannot take more.  The transport repeats this at each write.
        """
        if not self._paused and self._phase is not _Phase.CLOSED:
            self._paused = True
            self.ready = False
            self.watchClient()

    def resumeProducing(self) -> None:
        """
        The connection has sent everything it held.
        """
        if self._phase is not _Phase.CLOSED:
            self._paused = False
            self._needLag().lookNow()

    def stopProducing(self) -> None:
        """
        The connection is lost; the request's notification follows.
        """
        # Others may be notified before us, and send to all streams: the transport no longer
        # has a socket.
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
        Send a heartbeat: nothing was sent for a while.
        """
        if self.ready:
            assert self.request is not None, "a response that is ready has a request"
            if unsent(self.request):
                # Bytes are held back, though too few for the transport to pause us.
                self.watchClient()
            else:
                self._write(NOTHING, 0)

    def cork(self) -> None:
        """
        Queue events until C{uncork}, to write several events at once.
        """
        self._corked = True
        self.ready = False

    def uncork(self) -> None:
        """
        Send the events that were queued since C{cork}.
        """
        self._corked = False
        self._flush()

    def release(self) -> None:
        """
        Stop holding events back: C{connected} has returned, or waits for something.
        """
        self._held = False
        if self._pending:
            self.open()

    def push(self, batch: Batch) -> None:
        """
        Send a batch that is shared by many clients.
        """
        pending = self._pending
        if self.ready and len(batch.data) <= PIECE:
            self._write(batch.data, batch.events)
        elif self.ready:
            # Queued as it is, so that only the piece on its way is copied for this client.
            self.ready = False
            self._queue().extend(batch)
            self.ready = self._handOver() and self._phase is _Phase.OPEN
            self.owner.total.enforce()
        elif (
            pending
            and pending.bytes
            and pending.bytes + len(batch.data) <= self.owner.options.maxPending
        ):
            pending.extend(batch)
            self.owner.total.enforce()
        else:
            for event in batch.encoded:
                self.enqueue(event)

    def enqueue(self, event: Encoded) -> bool:
        """
        Queue an event, unless it can be sent at once.

        @return: whether it was sent or queued.
        """
        if self.ready:
            self.push(Batch([event]))
            return self.isLiving
        if not self.isLiving:
            return False
        if self._phase is _Phase.CONNECTING and not self._held:
            self.open()
            return self.enqueue(event)
        options = self.owner.options
        pending = self._pending
        # One event is always accepted: otherwise a client could never get past one that is
        # larger than maxPending, however often it reconnects.
        if pending and pending.bytes and pending.bytes + len(event.data) > options.maxPending:
            if self._phase is _Phase.CONNECTING:
                # Too much to hold back in case of a refusal.
                self.release()
                return self.enqueue(event)
            if self._corked:
                self.uncork()
                return self.enqueue(event)
            if options.slow is SlowReader.DISCONNECT:
                _log.info(
                    "Disconnected {address} ({asked}): it does not read, and "
                    "{pending} bytes are buffered for it",
                    pending=pending.bytes,
                    **self.asked.logged(),
                )
                self.abort(CloseReason.SLOW)
                return False
            dropped = pending.makeRoom(options.slow, event, options.maxPending)
            if dropped:
                self.owner.dropped(self, dropped)
                if self._reason is not None:
                    # The observer has ended it.
                    return False
        self._queue().append(event)
        self.owner.total.enforce()
        return self.isLiving

    def _queue(self) -> Pending:
        """
        @return: the queue, which is made if there is none.
        """
        if self._pending is None:
            total = self.owner.total
            self._pending = Pending(total)
            total.enter(self._pending, self._makeWay)
        return self._pending

    def _dropQueue(self) -> None:
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.clear()
            self.owner.total.exit(pending)

    def _makeWay(self) -> None:
        """
        Too much is queued for all clients together, and most of it for this one.
        """
        _log.info(
            "Disconnected a client of {where}: {pending} bytes are buffered for it, "
            "and too many for all clients together",
            where=str(self.asked),
            pending=self.bytesPending,
            **self.asked.logged(),
        )
        self.abort(CloseReason.SLOW)

    def _isMovable(self) -> bool:
        """
        Whether the connection can take more.
        """
        return not (self._paused or (self.lag is not None and self.lag.congested))

    def _handOver(self) -> bool:
        """
        Hand over the queue, as far as the connection takes it.

        @return: whether the connection can take more.
        """
        while self._pending is not None and self._isMovable():
            data, events = self._pending.take(PIECE)
            if not self._pending:
                self._dropQueue()
            self._write(data, events)
        return self._isMovable()

    def _flush(self) -> None:
        """
        Hand over the queue, as far as the connection takes it; then resume the senders that wait.
        """
        if self._corked or self._phase is _Phase.CONNECTING or not self._handOver():
            return
        if self._phase is _Phase.ENDING:
            self._finish()
        elif self._phase is _Phase.OPEN and self._reason is None:
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
        Poll the transport later: it has not sent all that it was given.
        """
        self._needLag().lookLater()

    def watchClient(self) -> None:
        """
        Watch whether the client takes what is held back.
        """
        if self.stallTimeout is not None:
            self._needLag().watch()

    def seemsGone(self) -> bool:
        """
        See L{Lagging.seemsGone<twisted_sse.stream.lag.Lagging.seemsGone>}.
        """
        return self.request is not None and seemsGone(self.request)

    def checkPeer(self) -> None:
        """
        Watch whether the client takes what is sent, if it seems to have vanished.
        """
        if self.seemsGone():
            self._needLag().watchPeer()

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
        Tell a feed when the client can take more, and when the response ends.
        """
        self.feeds += (feed,)

    def detach(self, feed: Feed) -> None:
        """
        Stop telling a feed.
        """
        self.feeds = tuple(each for each in self.feeds if each is not feed)

    def fail(self, failure: Failure) -> None:
        """
        The application's code or its events failed.  Before the headers that becomes an HTTP
        status, afterwards a response that is visibly cut off.
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
        _log.failure("The events for {address} ({asked}) failed", failure, **self.asked.logged())
        # A log that is kept in memory must not keep the stream alive.
        failure.cleanFailure()
        self.end(CloseReason.ERROR)

    def end(
        self,
        reason: CloseReason,
        retry: int | None = None,
        closeConnection: bool = False,
        farewell: Event | None = None,
    ) -> None:
        """
        End once the queue has been sent.

        @param farewell: an event to send the client first.
        @param retry: a reconnection time to send the client then, in milliseconds.
        @param closeConnection: whether to close the connection with the response.
        """
        if closeConnection:
            self._closeConnection = True
        if not self.isLiving:
            return
        if reason is not CloseReason.ERROR:
            for feed in self.feeds:
                feed.flush()
            if self._reason is not None:
                # A feed has failed, or an observer has ended the response.
                return
        # Queued after everything else, whatever maxPending says.
        if farewell is not None:
            self._queue().append(Encoded(farewell))
        if retry is not None:
            # The blank line behind it closes its block: Node.js's client ignores it otherwise.
            self._queue().append(Encoded(Event(retry=retry)))
        elif self.owner.options.once and reason is CloseReason.ENDED:
            self._queue().append(Encoded(END))
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
        End at once, without sending the queue.
        """
        request = self.request
        if request is None:
            return
        # HTTP/2: RST_STREAM, after which Twisted does not fire the notification.
        connection: Any = request.transport
        if self.http2:
            connection = getattr(request, "channel", None)
        self._die(reason)
        if connection is not None:
            connection.abortConnection()

    def _finish(self) -> None:
        """
        Everything was handed over: finish the request when it has left the process.
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
            # The process may exit next, so the last chunk has to leave too.
            self._leaving = connectionOf(request)
            if not self.http2:
                # The channel closes a connection that is not persistent after the response.
                cast(Any, request.channel).persistent = False
        request.unregisterProducer()
        request.finish()

    def _cut(self, request: Request) -> None:
        """
        End a response so that it looks incomplete.
        """
        if self.http2 or not request.chunked:
            # RST_STREAM for HTTP/2.  In HTTP/1.0 the end of the connection ends the response,
            # so only a reset shows that it is incomplete.
            self.abort(CloseReason.ERROR)
        else:
            # RFC 9112, 8: a chunked body without its last chunk is incomplete.
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
        # A reactor that stops drops all connections.
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
        # They need not wait any longer; send() will return False.
        writers, self._writers = self._writers, ()
        for writable in writers:
            writable.callback(None)

    def _die(self, reason: CloseReason, now: bool = False) -> None:
        """
        Close the response.  However it ends, this runs once, and leaves no reference to it.

        @param now: see L{Feed.finish<twisted_sse.stream.feed.Feed.finish>}.
        """
        if self._phase is _Phase.CLOSED:
            return
        self._phase = _Phase.CLOSED
        if self._reason is not CloseReason.ERROR:
            # The final reason may not be the one that end() was called with: the client may have
            # left bytes unread.  An error remains an error.
            self._reason = reason
        self.ready = False
        self.direct = self._leaving = None
        self._asked = self.asked
        request, self.request = self.request, None
        assert request is not None, "a response that is not closed has a request"
        self._letGo(request)
        if self.lag is not None:
            self.lag.stop()
        self._dropQueue()
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
        Make the request, which others may keep for longer, forget the response.
        """
        del cast(Any, request)._eventStream
        if request.producer is self:
            if getattr(request, "channel", None) is not None:
                request.unregisterProducer()
            else:
                request.producer = None
        if self._notification is not None:
            # HTTP/2 does not fire it when we reset the stream ourselves.
            request.notifications.remove(self._notification)
            self._notification = None


def streamOf(request: object) -> object:
    """
    Find out what the response to a request is known as; L{None} if there is none, or it is closed.
    """
    return getattr(request, "_eventStream", None)
