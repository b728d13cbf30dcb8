"""
Sending what C{connected} returned, event by event, as fast as the client reads.
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
from .asked import Asked
from .awaited import cancel
from .feed import Feed
from .reasons import CloseReason
from .response import Response
from .stream import EventStream
from .turn import Turn

__all__ = ["follow", "start"]

#: The results of send() and every(), which a lambda that calls them returns.
_RETURNED = (bool, LoopingCall)

_log = Logger()


def start(response: Response, connected: Callable[[EventStream], object]) -> None:
    """
    Pass a new stream to the application, and send what it returns.
    """
    try:
        result = connected(response.stream)
    except BaseException:
        # BaseException, as Twisted does for its callbacks.
        response.fail(Failure())
    else:
        follow(response, result)


def follow(response: Response, result: object) -> None:
    """
    Send what C{connected} returned.

    @param result: L{None} (or the result of C{stream.send} or C{stream.every}), an iterable or
        asynchronous iterable of events, or a L{Deferred} or coroutine of one of these.
    """
    if not response.isLiving:
        _discard(result)
    elif iscoroutine(result) or isinstance(result, Deferred):
        _Result(response).wait(result)
    elif result is None or isinstance(result, _RETURNED):
        response.open()
    elif isinstance(result, AsyncIterable):
        _AsyncIteration(response, result).start()
    elif isinstance(result, Iterable) and not isinstance(result, (str, bytes, Mapping)):
        _Iteration(response, result).start()
    else:
        response.fail(
            Failure(
                TypeError(
                    f"connected returned {result!r}: it must return None, an iterable "
                    "or asynchronous iterable of events, or a Deferred or coroutine "
                    "of one of these"
                )
            )
        )


def _discard(result: object) -> None:
    """
    Discard a result that came too late.
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
    raise TypeError(f"expected an Event or a str (its data), got {item!r}")


class _Iteration(Feed):
    """
    An iterable, consumed as the client reads.
    """

    __slots__ = ("_asked", "_busy", "_iterable", "_iterator", "_next", "_response")

    def __init__(self, response: Response, iterable: Iterable[object]) -> None:
        self._response: Response | None = response
        self._iterable = iterable
        self._iterator: Iterator[object] | None = None
        self._asked: Asked | None = None
        self._next: IDelayedCall | None = None
        self._busy = False
        response.attach(self)

    def start(self) -> None:
        """
        Take the first event before the headers go out, so that an exception becomes an HTTP
        response.
        """
        self._pull(1)

    def resume(self) -> None:
        if self._next is None and not self._busy:
            self._pull(None)

    def finish(self, now: bool) -> None:
        assert self._response is not None, "it is finished once"
        self._asked = self._response.asked
        self._response = None
        if self._next is not None:
            self._next.cancel()
            self._next = None
        if not self._busy:
            self._close()

    def _pullAgain(self) -> None:
        self._next = None
        assert self._response is not None, "no call is left when it is stopped"
        # Others may have filled the connection meanwhile; then resume() will be called.
        if self._response.ready:
            self._pull(None)

    def _pull(self, most: int | None) -> None:
        response = self._response
        assert response is not None, "a stream that has ended pulls nothing"
        failure: Failure | None = None
        exhausted = False
        self._busy = True
        # One write for all events; and what the iterable itself sends keeps its place.
        response.cork()
        try:
            exhausted = self._take(response, most)
        except BaseException:
            failure = Failure()
        if failure is None:
            response.open()
        response.uncork()
        self._busy = False
        if self._response is None:
            # It has ended, perhaps by the iterable itself, which can only be closed now.
            self._close()
            if failure is not None:
                self._tell(
                    "A generator of events for {address} ({asked}) failed after its stream ended",
                    failure,
                )
        elif failure is not None:
            response.fail(failure)
        elif exhausted:
            response.end(CloseReason.ENDED)
        elif response.ready:
            self._next = response.wheel.callLater(0, self._pullAgain)

    def _take(self, response: Response, most: int | None) -> bool:
        """
        Take events from the iterable, until this turn is used up.

        @return: whether the iterable is exhausted.
        """
        turn = Turn(response.wheel.seconds)
        if self._iterator is None:
            self._iterator = iter(self._iterable)
        for count, item in enumerate(self._iterator, 1):
            event = _checked(item)
            if not response.send(event) or not (response.isCorked or response.ready):
                return False
            if count == most or not turn.spend(len(event.encode())):
                return False
        return True

    def _close(self) -> None:
        """
        Close a generator, so that its C{finally} runs.
        """
        close = getattr(self._iterator, "close", None)
        self._iterator = None
        if close is not None:
            try:
                close()
            except Exception:
                self._tell(
                    "A generator of events for {address} ({asked}) failed as it was closed",
                    Failure(),
                )

    def _tell(self, message: str, failure: Failure) -> None:
        assert self._asked is not None, "its stream has ended"
        _tellFailure(message, failure, self._asked)


class _Awaited(Feed):
    """
    One of the application's L{Deferred}s that belongs to a stream, and is cancelled when the
    stream ends.

    If it swallows the cancellation, or is slow to clean up, it is cancelled once more after
    C{closeTimeout}, and then abandoned.
    """

    __slots__ = ("_asked", "_call", "_deferred", "_done", "_owner", "_response", "wheel")

    def __init__(self, response: Response) -> None:
        self._response: Response | None = response
        self.wheel = response.wheel
        self._owner = response.owner
        self._deferred: Deferred[Any] | None = None
        self._asked: Asked | None = None
        self._done = False
        self._call: IDelayedCall | None = None
        response.attach(self)

    def wait(self, result: Deferred[Any] | Coroutine[Deferred[Any], Any, Any]) -> None:
        """
        Run it, and wait for it.
        """
        if not isinstance(result, Deferred):
            result = Deferred.fromCoroutine(result)
        self._deferred = result
        result.addCallback(self._arrived).addErrback(self._failed)

    def finish(self, now: bool) -> None:
        assert self._response is not None, "it is finished once"
        self._asked = self._response.asked
        self._response = None
        self._cancelCall()
        if self._done:
            return
        self._owner.cleaningUp.add(self)
        if now:
            self._cancel()
        else:
            # A coroutine that may be running right now cannot be cancelled before it waits.
            self._call = self.wheel.callLater(0, self._cancel)

    def arrived(self, response: Response, result: object) -> None:
        """
        It has fired before the stream ended.
        """
        raise NotImplementedError

    def _arrived(self, result: object) -> None:
        response = self._finish()
        if response is None:
            _discard(result)
        else:
            self.arrived(response, result)

    def _failed(self, failure: Failure) -> None:
        response = self._finish()
        if response is not None:
            response.fail(failure)
        elif not failure.check(CancelledError):
            assert self._asked is not None, "its stream has ended"
            _tellFailure(
                "The coroutine of events for {address} ({asked}) failed after its stream ended",
                failure,
                self._asked,
            )

    def _finish(self) -> Response | None:
        self._done = True
        self._cancelCall()
        self._cleanedUp()
        response, self._response = self._response, None
        if response is not None:
            response.detach(self)
        return response

    def _cancelCall(self) -> None:
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _cancel(self) -> None:
        self._call = None
        if not self._done and self._deferred is not None:
            cancel(self._deferred)
            if not self._done:
                self._call = self.wheel.callLater(self._owner.options.closeTimeout, self._abandon)

    def _abandon(self) -> None:
        self._call = None
        assert self._deferred is not None, "it was cancelled once already"
        cancel(self._deferred)
        if not self._done:
            assert self._asked is not None, "its stream has ended"
            _log.warn(
                "{deferred} was cancelled when the stream to {address} ({asked}) "
                "ended, and is still running {timeout} s later: it is abandoned",
                deferred=self._deferred,
                timeout=self._owner.options.closeTimeout,
                **self._asked.logged(),
            )
            self._cleanedUp()

    def _cleanedUp(self) -> None:
        self._owner.cleaningUp.discard(self)
        self._owner.checkDrained()


class _Result(_Awaited):
    """
    A L{Deferred} or coroutine that C{connected} returned.
    """

    __slots__ = ()

    def wait(self, result: Deferred[Any] | Coroutine[Deferred[Any], Any, Any]) -> None:
        super().wait(result)
        response = self._response
        if response is not None:
            # From here on events are no longer held back.
            response.release()
            timeout = response.owner.options.openTimeout
            if response.isConnecting and timeout is not None:
                self._call = self.wheel.callLater(timeout, self._timedOut, timeout)

    def arrived(self, response: Response, result: object) -> None:
        follow(response, result)

    def _timedOut(self, timeout: float) -> None:
        self._call = None
        response = self._response
        if response is not None and response.isConnecting:
            _log.warn(
                "The callable sent nothing to {address} ({asked}) within {timeout} "
                "s: responded with 503",
                timeout=timeout,
                **response.asked.logged(),
            )
            response.fail(Failure(Error(503)))


class _AsyncIteration(_Awaited):
    """
    An asynchronous iterable, consumed as the client reads.
    """

    __slots__ = ("_iterable",)

    def __init__(self, response: Response, iterable: AsyncIterable[object]) -> None:
        super().__init__(response)
        self._iterable = iterable

    def start(self) -> None:
        """
        Run it to its first wait or event before the headers go out, so that an exception until
        then becomes an HTTP response.
        """
        response = self._response
        assert response is not None, "it has not been stopped yet"
        self.wait(self._run(response))
        if not self._done:
            response.open()

    def arrived(self, response: Response, result: object) -> None:
        response.end(CloseReason.ENDED)

    async def _run(self, response: Response) -> None:
        # One coroutine for everything: aclose() raises if the generator is waiting, and
        # cancelling a coroutine for each __anext__() would not reach the generator.
        turn = Turn(response.wheel.seconds)
        iterator = aiter(self._iterable)
        try:
            async for item in iterator:
                if self._response is None:
                    # It has swallowed its cancellation.
                    break
                event = _checked(item)
                response.open()
                response.send(event)
                if not turn.spend(len(event.encode())):
                    await self._nextTurn()
                    turn.begin()
                if not response.ready:
                    await response.whenWritable()
        finally:
            close = getattr(iterator, "aclose", None)
            if close is not None:
                await close()

    def _nextTurn(self) -> Deferred[None]:
        later: Deferred[None] = Deferred(lambda _: call.cancel())
        call = self.wheel.callLater(0, later.callback, None)
        return later


def _tellFailure(message: str, failure: Failure, asked: Asked) -> None:
    _log.failure(message, failure, **asked.logged())
    # A log that is kept in memory must not keep the failed code and its frames alive.
    failure.cleanFailure()
