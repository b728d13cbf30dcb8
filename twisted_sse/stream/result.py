"""
What C{connected} has returned, sent event by event, as fast as the client reads.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Coroutine, Iterable, Iterator, Mapping
from inspect import iscoroutine
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.error import Error

from ..format.event import Event
from .every import cancel
from .feed import Feed
from .stream import EventStream

__all__ = ["follow", "start"]

#: What send() and every() return, and a lambda that calls nothing else.
_RETURNED = (bool, LoopingCall)

#: How much an iterable may give in one turn of the reactor: bytes, and seconds.
TURN_BYTES = 2**14
TURN_SECONDS = 0.005

_log = Logger()


def start(stream: EventStream, connected: Callable[[EventStream], object]) -> None:
    """
    Give a new stream to the application, and do what it says.
    """
    try:
        result = connected(stream)
    except BaseException:
        # All of them, as Twisted does for whatever it calls.
        stream._fail(Failure())
    else:
        follow(stream, result)


def follow(stream: EventStream, result: object) -> None:
    """
    Send what C{connected} has returned.

    @param result: L{None} (or what C{stream.send} or C{stream.every} returns), an iterable or asynchronous iterable of events, or a L{Deferred}
        or coroutine of one of these.
    """
    if not stream._living:
        _discard(result)
    elif iscoroutine(result) or isinstance(result, Deferred):
        _Result(stream).wait(result)
    elif result is None or isinstance(result, _RETURNED):
        stream.open()
    elif isinstance(result, AsyncIterable):
        _AsyncIteration(stream, result).start()
    elif isinstance(result, Iterable) and not isinstance(result, (str, bytes, Mapping)):
        _Iteration(stream, result).start()
    else:
        stream._fail(
            Failure(
                TypeError(
                    f"connected returned {result!r}: it may return None, an iterable or "
                    "asynchronous iterable of events, or a Deferred or coroutine of one of these"
                )
            )
        )


def _discard(result: object) -> None:
    """
    Let go of what has come too late.
    """
    if iscoroutine(result):
        result.close()
    elif isinstance(result, Deferred):
        cancel(result.addErrback(lambda failure: failure.trap(CancelledError)))


def _checked(item: object) -> Event:
    if isinstance(item, Event):
        return item
    if isinstance(item, str):
        return Event(item)
    raise TypeError(f"{item!r} is no event: yield an Event or a str (its data)")


class _Turn:
    """
    How much of this turn of the reactor an iterable has left.
    """

    __slots__ = ("_bytes", "_end", "_stream")

    def __init__(self, stream: EventStream) -> None:
        self._stream = stream
        self.begin()

    def begin(self) -> None:
        self._bytes = TURN_BYTES
        self._end = self._stream._wheel.seconds() + TURN_SECONDS

    def spend(self, size: int) -> bool:
        """
        Spend some of it.

        @return: whether there is anything left.
        """
        self._bytes -= size
        return self._bytes > 0 and self._stream._wheel.seconds() < self._end


class _Iteration(Feed):
    """
    An iterable, pulled while the client reads.
    """

    __slots__ = ("_busy", "_iterable", "_iterator", "_next", "_stream")

    def __init__(self, stream: EventStream, iterable: Iterable[object]) -> None:
        self._stream: EventStream | None = stream
        self._iterable = iterable
        self._iterator: Iterator[object] | None = None
        self._next: IDelayedCall | None = None
        self._busy = False
        stream._attach(self)

    def start(self) -> None:
        """
        Pull the first event before the headers go out: until then an exception is an
        HTTP answer.
        """
        self._pull(1)

    def resume(self) -> None:
        if self._next is None and not self._busy:
            self._pull(None)

    def finish(self, now: bool) -> None:
        self._stream = None
        if self._next is not None:
            self._next.cancel()
            self._next = None
        if not self._busy:
            self._close()

    def _pullAgain(self) -> None:
        self._next = None
        assert self._stream is not None, "no call is left when it is stopped"
        # Others may have filled the connection meanwhile; resume() is called then.
        if self._stream._ready:
            self._pull(None)

    def _pull(self, most: int | None) -> None:
        stream = self._stream
        assert stream is not None, "a stream that has ended pulls nothing"
        failure: Failure | None = None
        exhausted = False
        self._busy = True
        # One write for all of them; and what the iterable sends by itself keeps its place.
        stream._cork()
        try:
            exhausted = self._take(stream, most)
        except BaseException:
            failure = Failure()
        if failure is None:
            stream.open()
        stream._uncork()
        self._busy = False
        if self._stream is None:
            # Ended meanwhile, perhaps by the iterable itself: only now can it be closed.
            self._close()
            if failure is not None:
                _tellFailure("A generator of events failed after its stream had ended", failure)
        elif failure is not None:
            stream._fail(failure)
        elif exhausted:
            stream.end()
        elif stream._ready:
            self._next = stream._wheel.callLater(0, self._pullAgain)

    def _take(self, stream: EventStream, most: int | None) -> bool:
        """
        Take events from the iterable, until it is the others' turn.

        @return: whether there are no more.
        """
        turn = _Turn(stream)
        if self._iterator is None:
            self._iterator = iter(self._iterable)
        for count, item in enumerate(self._iterator, 1):
            event = _checked(item)
            if not stream.send(event) or not (stream._corked or stream._ready):
                return False
            if count == most or not turn.spend(len(event.encode())):
                return False
        return True

    def _close(self) -> None:
        """
        Let a generator run its C{finally}.
        """
        close = getattr(self._iterator, "close", None)
        self._iterator = None
        if close is not None:
            try:
                close()
            except Exception:
                _tellFailure("A generator of events failed as it was closed", Failure())


class _Awaited(Feed):
    """
    A L{Deferred} of the application's that belongs to a stream: it is cancelled when the
    stream ends.

    What swallows the cancellation, or takes its time to clean up, is cancelled once more
    after C{closeTimeout}, and then abandoned.
    """

    __slots__ = ("_call", "_deferred", "_done", "_group", "_stream", "_wheel")

    def __init__(self, stream: EventStream) -> None:
        self._stream: EventStream | None = stream
        self._wheel = stream._wheel
        self._group = stream._group
        self._deferred: Deferred[Any] | None = None
        self._done = False
        self._call: IDelayedCall | None = None
        stream._attach(self)

    def wait(self, result: Deferred[Any] | Coroutine[Deferred[Any], Any, Any]) -> None:
        """
        Run it, and wait for it.
        """
        if not isinstance(result, Deferred):
            result = Deferred.fromCoroutine(result)
        self._deferred = result
        result.addCallback(self._arrived).addErrback(self._failed)

    def finish(self, now: bool) -> None:
        self._stream = None
        self._cancelCall()
        if self._done:
            return
        self._group.cleaningUp.add(self)
        if now:
            self._cancel()
        else:
            # Perhaps it is running just now, and what is not waiting cannot be cancelled.
            self._call = self._wheel.callLater(0, self._cancel)

    def arrived(self, stream: EventStream, result: object) -> None:
        """
        It has fired while the stream lives.
        """
        raise NotImplementedError

    def _arrived(self, result: object) -> None:
        stream = self._finish()
        if stream is None:
            _discard(result)
        else:
            self.arrived(stream, result)

    def _failed(self, failure: Failure) -> None:
        stream = self._finish()
        if stream is not None:
            stream._fail(failure)
        elif not failure.check(CancelledError):
            _tellFailure("What has made events failed after its stream had ended", failure)

    def _finish(self) -> EventStream | None:
        self._done = True
        self._cancelCall()
        self._cleanedUp()
        stream, self._stream = self._stream, None
        if stream is not None:
            stream._detach(self)
        return stream

    def _cancelCall(self) -> None:
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _cancel(self) -> None:
        self._call = None
        if not self._done and self._deferred is not None:
            cancel(self._deferred)
            if not self._done:
                self._call = self._wheel.callLater(self._group.closeTimeout, self._abandon)

    def _abandon(self) -> None:
        self._call = None
        assert self._deferred is not None, "it was cancelled once already"
        cancel(self._deferred)
        if not self._done:
            _log.warn(
                "{deferred} was cancelled as its stream ended, and still runs {timeout} s"
                " later: it is abandoned",
                deferred=self._deferred,
                timeout=self._group.closeTimeout,
            )
            self._cleanedUp()

    def _cleanedUp(self) -> None:
        self._group.cleaningUp.discard(self)
        self._group.checkDrained()


class _Result(_Awaited):
    """
    What C{connected} returns later.
    """

    __slots__ = ()

    def wait(self, result: Deferred[Any] | Coroutine[Deferred[Any], Any, Any]) -> None:
        super().wait(result)
        stream = self._stream
        if stream is not None:
            # From here on whoever sends something wants it sent.
            stream._release()
            timeout = stream._group.openTimeout
            if stream._connecting and timeout is not None:
                self._call = self._wheel.callLater(timeout, self._timedOut, timeout)

    def arrived(self, stream: EventStream, result: object) -> None:
        follow(stream, result)

    def _timedOut(self, timeout: float) -> None:
        self._call = None
        stream = self._stream
        if stream is not None and stream._connecting:
            _log.warn(
                "Nothing was decided about {address} for {timeout} s: answering it 503",
                address=stream.clientAddress,
                timeout=timeout,
            )
            stream._fail(Failure(Error(503)))


class _AsyncIteration(_Awaited):
    """
    An asynchronous iterable, pulled while the client reads.
    """

    __slots__ = ("_iterable",)

    def __init__(self, stream: EventStream, iterable: AsyncIterable[object]) -> None:
        super().__init__(stream)
        self._iterable = iterable

    def start(self) -> None:
        """
        Run it to where it first waits or yields before the headers go out: until then an
        exception is an HTTP answer.
        """
        stream = self._stream
        assert stream is not None, "it has not been stopped yet"
        self.wait(self._run(stream))
        if not self._done:
            stream.open()

    def arrived(self, stream: EventStream, result: object) -> None:
        stream.end()

    async def _run(self, stream: EventStream) -> None:
        # One coroutine for all of it: aclose() of a generator that is waiting raises, and a
        # coroutine for each __anext__() would be cancelled without the generator knowing.
        turn = _Turn(stream)
        iterator = aiter(self._iterable)
        try:
            async for item in iterator:
                if self._stream is None:
                    # Cancelled, and it has swallowed that.
                    break
                event = _checked(item)
                stream.open()
                stream.send(event)
                if not turn.spend(len(event.encode())):
                    await self._nextTurn()
                    turn.begin()
                if not stream._ready:
                    await stream.whenWritable()
        finally:
            close = getattr(iterator, "aclose", None)
            if close is not None:
                await close()

    def _nextTurn(self) -> Deferred[None]:
        later: Deferred[None] = Deferred(lambda _: call.cancel())
        call = self._wheel.callLater(0, later.callback, None)
        return later


def _tellFailure(message: str, failure: Failure) -> None:
    _log.failure(message, failure)
    # Whoever keeps the log must not keep what has failed, and its frames, with it.
    failure.cleanFailure()
