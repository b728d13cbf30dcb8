"""
Programs of asyncio, such as the packages of language models, for Twisted: L{fromAsyncio}.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from contextvars import copy_context
from functools import partial
from inspect import iscoroutine
from threading import get_ident
from typing import Any, Generic, TypeVar, overload

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from .timing.reactors import checkThread, installedReactor

__all__ = ["AsyncioCancelled", "AsyncioIterator", "fromAsyncio"]

_T = TypeVar("_T")

#: What a cancelled Deferred fires with, to wait for its task.
_HELD = object()

_log = Logger()


class AsyncioCancelled(RuntimeError):
    """
    The asyncio task was cancelled, but not from Twisted: by itself, or by another task.

    @since: 0.2
    """


@overload
def fromAsyncio(source: AsyncIterable[_T]) -> AsyncioIterator[_T]: ...


@overload
def fromAsyncio(
    source: AbstractAsyncContextManager[AsyncIterable[_T], Any],
) -> AsyncioIterator[_T]: ...


@overload
def fromAsyncio(source: Awaitable[_T]) -> Deferred[_T]: ...


def fromAsyncio(source: Any) -> Any:
    """
    Run a program of asyncio where Twisted runs, on the asyncio reactor::

        async def answer(question):
            chunks = await client.chat.completions.create(..., stream=True)
            async with chunks:
                async for chunk in chunks:
                    yield Event.json(chunk.choices[0].delta.content)

        async def connected(stream):
            return await fromAsyncio(answer(question)).whenStarted()

    It runs in one asyncio task of its own, from the first line to the last C{finally}.  So
    libraries that insist on that, such as anyio, httpx and the packages built on them, can be used.

    Cancelling the L{Deferred}, or that of C{__anext__()}, cancels the task.  The L{Deferred} does
    not fire before the task has cleaned up and ended.  Cancelling it again cancels the task again.

    @param source: one of these:

        - an asynchronous iterable, such as an asynchronous generator.  The next item is not
          requested before it is asked for here.
        - an asynchronous context manager of one, such as C{client.messages.stream(...)}: it is
          entered before the first item, and left after the last.  An asynchronous iterable that is
          a context manager too is entered and left as well.
        - a coroutine, or anything else that asyncio can await.  It is started at once.
    @return: for an iterable or a context manager, an L{AsyncioIterator} of its items, which are not
        changed.  For a coroutine, a L{Deferred} of its result.
    @raise RuntimeError: if asyncio does not run here, because another reactor is installed, or
        because this is not the reactor's thread.
    @raise TypeError: if C{source} is something else, such as a L{Deferred}.

    @since: 0.2
    """
    isIterable = isinstance(source, AsyncIterable)
    isAwaitable = isinstance(source, Awaitable) and not isinstance(source, Deferred)
    if not (isIterable or isAwaitable or isinstance(source, AbstractAsyncContextManager)):
        raise TypeError(
            "expected an asynchronous iterable, a context manager of one, or an awaitable of"
            f" asyncio, got {source!r}"
        )
    try:
        _checkLoop()
    except RuntimeError:
        if iscoroutine(source):
            # Else Python warns that it was never awaited.
            source.close()
        raise
    if isIterable or not isAwaitable:
        return AsyncioIterator(source)
    return _Result(source).answer.deferred


def _checkLoop() -> bool:
    """
    @return: whether the loop runs already.
    @raise RuntimeError: if there is none here.
    """
    try:
        # The loop, not the reactor: other reactors may run on a loop, too, and a test may run one
        # without a reactor.
        asyncio.get_running_loop()
        return True
    except RuntimeError:
        pass
    from twisted.internet.asyncioreactor import AsyncioSelectorReactor

    reactor = installedReactor()
    if not isinstance(reactor, AsyncioSelectorReactor):
        raise RuntimeError(
            f"fromAsyncio needs the asyncio reactor, but {type(reactor).__name__} is installed:"
            " start twistd or trial with --reactor=asyncio, or call"
            " twisted.internet.asyncioreactor.install() before anything imports the reactor"
        )
    checkThread(get_ident(), "fromAsyncio")
    return False


class _Answer(Generic[_T]):
    """
    A L{Deferred} that, cancelled, does not fire at once, but when it is fired.

    @ivar deferred: the L{Deferred}.
    """

    __slots__ = ("_cancel", "_last", "deferred")

    def __init__(self, cancel: Callable[[], None]) -> None:
        """
        @param cancel: called each time it is cancelled.
        """
        self._cancel = cancel
        self.deferred: Deferred[_T] = self._make()

    def fire(self, result: _T | Failure) -> None:
        """
        Fire it.
        """
        if isinstance(result, Deferred):
            result = Failure(
                TypeError(f"expected something that asyncio can await or return, got {result!r}")
            )
        self._last.callback(result)

    def _make(self) -> Deferred[Any]:
        self._last: Deferred[Any] = Deferred(self._cancelled)
        return self._last.addCallback(self._goOn)

    def _cancelled(self, deferred: Deferred[Any]) -> None:
        # One that has not fired when this returns fails at once.
        deferred.callback(_HELD)
        self._cancel()

    def _goOn(self, result: object) -> object:
        return self._make() if result is _HELD else result


class _Work:
    """
    Something that runs as an asyncio task.

    @ivar cancelled: whether Twisted has ended it.
    @ivar loop: the loop that runs the task; L{None} before it starts.
    """

    def __init__(self) -> None:
        self._task: asyncio.Task[Any] | None = None
        self._delayed: IDelayedCall | None = None
        self.loop: asyncio.AbstractEventLoop | None = None
        self.cancelled = False

    def run(self) -> Coroutine[Any, Any, Any]:
        """
        @return: what runs in the task.
        """
        raise NotImplementedError

    def ended(self, result: object) -> None:
        """
        The task has ended.

        @param result: its result, or a L{Failure}.
        """
        raise NotImplementedError

    def start(self) -> None:
        """
        Start the task: now, or when the reactor runs.
        """
        if _checkLoop():
            self._startTask()
        else:
            self._delayed = installedReactor().callLater(0, self._startTask)

    def cancel(self) -> None:
        """
        Cancel the task; more than once, if it goes on.
        """
        self.cancelled = True
        if self._task is not None:
            self._task.cancel()
        elif self._delayed is not None:
            self._delayed.cancel()
            self._delayed = None
            self.ended(Failure(CancelledError()))

    def _startTask(self) -> None:
        self._delayed = None
        self.loop = asyncio.get_running_loop()
        self._task = self.loop.create_task(self.run())
        self._task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._task = None
        if task.cancelled():
            if self.cancelled:
                self.ended(Failure(CancelledError()))
            else:
                self.ended(
                    Failure(
                        AsyncioCancelled("the asyncio task was cancelled, but not from Twisted")
                    )
                )
        elif (error := task.exception()) is not None:
            # Not raised again: the traceback would refer to this frame, and this frame to it.
            self.ended(Failure(error, type(error), error.__traceback__))
        else:
            self.ended(task.result())


class _Result(_Work, Generic[_T]):
    """
    A coroutine.

    @ivar answer: its result.
    """

    def __init__(self, source: Awaitable[_T]) -> None:
        super().__init__()
        self._source: Awaitable[_T] | None = source
        self.answer = _Answer[_T](self.cancel)
        self.start()

    async def run(self) -> _T:
        source, self._source = self._source, None
        assert source is not None, "it runs once"
        return await source

    def ended(self, result: Any) -> None:
        if iscoroutine(self._source):
            # It has not begun.
            self._source.close()
        self._source = None
        self.answer.fire(result)


class _Iteration(_Work, Generic[_T]):
    """
    An asynchronous iterable, in its task.

    It has no reference to its L{AsyncioIterator}: when that is freed, the iteration ends.
    """

    def __init__(self, source: Any) -> None:
        super().__init__()
        # Items are delivered in the context of the code that asks for them.
        self._context = copy_context()
        self._source = source
        self._asked: _Answer[_T] | None = None
        self._closing: list[_Answer[None]] = []
        self._demand: asyncio.Future[bool] | None = None
        self._started = False
        self._over = False
        self._failure: Failure | None = None

    def ask(self) -> Deferred[_T]:
        """
        Ask for the next item.
        """
        if self._asked is not None:
            raise RuntimeError("another caller is already waiting for the next item")
        if self._over:
            failure, self._failure = self._failure, None
            return fail(failure or Failure(StopAsyncIteration()))
        self._asked = _Answer(self.stop)
        if self._demand is not None:
            if not self._demand.done():
                self._demand.set_result(True)
        elif not self._started:
            self._started = True
            self.start()
        return self._asked.deferred

    def close(self) -> Deferred[None]:
        """
        End the iteration.

        @return: a L{Deferred} that fires when it has ended.
        """
        if not self._started:
            self._over = True
            self._source = None
        if self._over:
            return succeed(None)
        answer = _Answer[None](self.stop)
        self._closing.append(answer)
        self.stop()
        return answer.deferred

    def stop(self) -> None:
        """
        End the iteration.  Where it has yielded an item, it is closed, as generators are; where it
        waits, and if it does not end, it is cancelled.
        """
        if self._demand is None or self._demand.done():
            self.cancel()
        else:
            self.cancelled = True
            self._demand.set_result(False)

    def abandon(self) -> None:
        """
        End the iteration, since its iterator is gone.  The garbage collector may call this in any
        thread.
        """
        loop = self.loop
        if loop is not None and not (self._over or self.cancelled or loop.is_closed()):
            loop.call_soon_threadsafe(self.stop)

    async def run(self) -> None:
        source = self._source
        async with AsyncExitStack() as stack:
            if isinstance(source, AbstractAsyncContextManager):
                source = await stack.enter_async_context(source)
                if not isinstance(source, AsyncIterable):
                    raise TypeError(
                        f"expected a context manager of an asynchronous iterable, got {source!r}"
                    )
            iterator = aiter(source)
            close = getattr(iterator, "aclose", None)
            if close is not None:
                stack.push_async_callback(_closed, close)
            async for item in iterator:
                if not await self._give(item):
                    break

    def ended(self, result: object) -> None:
        self._over = True
        self._demand = None
        self._source = None
        asked, self._asked = self._asked, None
        closing, self._closing = self._closing, []
        failure = result if isinstance(result, Failure) else None
        isLate = self.cancelled and failure is not None and not failure.check(CancelledError)
        if asked is not None:
            if failure is None:
                failure = Failure(CancelledError() if self.cancelled else StopAsyncIteration())
            asked.fire(failure)
        elif closing and isLate:
            assert failure is not None, "it is late"
            closing.pop().fire(failure)
        elif isLate:
            assert failure is not None, "it is late"
            _log.failure("An asyncio iterable failed as it was closed", failure)
            failure.cleanFailure()
        elif not self.cancelled:
            # It ended while nothing was asked of it.
            self._failure = failure
        for answer in closing:
            answer.fire(None)

    async def _give(self, item: _T) -> bool:
        """
        Hand an item over, and wait until the next one is asked for.

        @return: whether it is.
        """
        if self.cancelled:
            # It went on after it was cancelled.
            return False
        assert self.loop is not None, "it runs"
        self._demand = self.loop.create_future()
        # Later, since what Twisted does with the item must not run in this task.
        self.loop.call_soon(self._deliver, item, context=self._context)
        return await self._demand

    def _deliver(self, item: _T) -> None:
        if not self.cancelled:
            asked, self._asked = self._asked, None
            assert asked is not None, "an item is given when it was asked for"
            asked.fire(item)


async def _closed(close: Callable[[], Awaitable[None]]) -> None:
    """
    Close an asynchronous generator.
    """
    try:
        await close()
    except BaseException as error:
        if not _isOfClosing(error):
            raise


def _isOfClosing(error: BaseException) -> bool:
    """
    Whether an exception says only that a generator was closed.  A task group around its C{yield}
    makes a group of that.
    """
    inside: tuple[BaseException, ...] = getattr(error, "exceptions", ())
    return isinstance(error, GeneratorExit) or (bool(inside) and all(map(_isOfClosing, inside)))


class AsyncioIterator(AsyncIterator[_T]):
    """
    The items of an asynchronous iterable of asyncio, for Twisted.

    The asyncio task starts with the first item, and ends with the iteration.  If you leave an
    C{async for} early, the task ends soon after; to wait for it, use C{contextlib.aclosing}.

    @since: 0.2
    """

    def __init__(self, source: Any) -> None:
        self._iteration = _Iteration[_T](source)
        self._first: list[Deferred[_T]] = []

    def __anext__(self) -> Deferred[_T]:
        """
        @return: a L{Deferred} of the next item, which fails with C{StopAsyncIteration} after the
            last, with what the iterable raised, or with L{AsyncioCancelled}.
        @raise RuntimeError: if the last one was not waited for.
        """
        if self._first:
            return self._first.pop()
        # Keeps this object alive while the item is awaited.
        return self._iteration.ask().addBoth(partial(_keeping, self))

    def whenStarted(self) -> Deferred[AsyncioIterator[_T]]:
        """
        Wait for the first item, so that an error before it becomes an HTTP status::

            def connected(stream):
                return fromAsyncio(answer(stream)).whenStarted()

        @return: a L{Deferred} of this iterator, which fires when the first item is there, or the
            iterable is empty, and fails with what the iterable raised before.
        @raise RuntimeError: if another caller is already waiting for an item.
        """

        def arrived(item: _T) -> AsyncioIterator[_T]:
            self._first.append(succeed(item))
            return self

        def failed(failure: Failure) -> AsyncioIterator[_T]:
            failure.trap(StopAsyncIteration)
            return self

        return self.__anext__().addCallbacks(arrived, failed)

    def aclose(self) -> Deferred[None]:
        """
        End the iteration.  Where the iterable waits, it is cancelled; where it has yielded, it is
        closed.

        @return: a L{Deferred} that fires when the asyncio task has ended, and fails with what the
            iterable raised as it was closed.
        """
        self._first.clear()
        return self._iteration.close()

    def __del__(self) -> None:
        self._iteration.abandon()


def _keeping(iterator: object, result: Any) -> Any:
    return result
