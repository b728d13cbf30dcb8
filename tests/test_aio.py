"""
Tests for L{twisted_sse.aio}, in loops of asyncio without a reactor.
"""

from __future__ import annotations

import asyncio
import gc
import traceback
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any

import anyio
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.support.loops import looped, passed, turns
from tests.support.programs import Watched, everything, numbers
from twisted_sse import Event
from twisted_sse.aio import AsyncioCancelled, AsyncioIterator, fromAsyncio


class ItemTests(SynchronousTestCase):
    """
    Tests for the items of an iterable.
    """

    @looped
    async def test_items(self) -> None:
        """
        All items arrive unchanged, in order, and then the iteration ends.
        """
        items = [Event("a"), "b", None, 0, {"c": []}]

        async def yielding() -> AsyncIterator[Any]:
            for item in items:
                yield item

        arrived = await everything(fromAsyncio(yielding()))
        self.assertEqual(len(arrived), 5)
        for item, there in zip(items, arrived, strict=True):
            self.assertIs(item, there)

    @looped
    async def test_afterTheEnd(self) -> None:
        """
        After the last item, each further call ends the iteration again.
        """
        iterator = fromAsyncio(numbers(1))
        self.assertEqual(await everything(iterator), [0])
        self.assertEqual(await everything(iterator), [])

    @looped
    async def test_demand(self) -> None:
        """
        Nothing runs before the first item is requested, and no item is made before it is requested.
        """
        made: list[int] = []

        async def making() -> AsyncIterator[int]:
            for number in range(9):
                made.append(number)
                yield number

        iterator = fromAsyncio(making())
        await turns()
        self.assertEqual(made, [])
        for number in range(3):
            self.assertEqual(await passed(iterator.__anext__()), number)
            await turns()
            self.assertEqual(made, [*range(number + 1)])
        await passed(iterator.aclose())

    @looped
    async def test_askedTwice(self) -> None:
        """
        Requesting an item while another is pending raises an error, as with an asynchronous
        generator.
        """
        iterator = fromAsyncio(numbers())
        first = iterator.__anext__()
        with self.assertRaisesRegex(RuntimeError, "already"):
            iterator.__anext__()
        self.assertEqual(await passed(first), 0)
        await passed(iterator.aclose())

    @looped
    async def test_deferred(self) -> None:
        """
        An item that is a L{Deferred} is an error that shows it.
        """

        async def wrong() -> AsyncIterator[Any]:
            yield succeed("an item")

        with self.assertRaisesRegex(TypeError, "got <Deferred"):
            await everything(fromAsyncio(wrong()))

    @looped
    async def test_iteratorsWithoutClose(self) -> None:
        """
        An iterator that cannot be closed needs no C{aclose}.
        """

        class Counter:
            count = 0

            def __aiter__(self) -> Counter:
                return self

            async def __anext__(self) -> int:
                self.count += 1
                return self.count

        iterator = fromAsyncio(Counter())
        self.assertEqual(await passed(iterator.__anext__()), 1)
        await passed(iterator.aclose())


class TaskTests(SynchronousTestCase):
    """
    Tests for where things run.
    """

    @looped
    async def test_oneTask(self) -> None:
        """
        An iterable runs in one task from its first line to its C{finally}, and Twisted's handling
        of an item runs in none.
        """
        tasks: list[object] = []

        async def where() -> AsyncIterator[None]:
            try:
                for _ in range(3):
                    tasks.append(asyncio.current_task())
                    yield
            finally:
                tasks.append(asyncio.current_task())

        for left in (False, True):
            outside: list[object] = []
            iterator = fromAsyncio(where())
            tasks.clear()
            for _ in range(2):
                item = iterator.__anext__()
                item.addCallback(lambda _: outside.append(asyncio.current_task()))  # noqa: B023
                await passed(item)
            if left:
                await passed(iterator.aclose())
            else:
                await everything(iterator)
            self.assertEqual(len(set(tasks)), 1)
            self.assertNotIn(asyncio.current_task(), tasks)
            self.assertEqual(outside, [None, None])

    @looped
    async def test_scopes(self) -> None:
        """
        A task group of anyio around a C{yield} is left in the task that entered it, however the
        iteration ends, and leaving it early is not an error.
        """
        left: list[str] = []

        async def scoped() -> AsyncIterator[int]:
            async with anyio.create_task_group() as group:
                group.start_soon(anyio.sleep_forever)
                try:
                    for number in range(3):
                        yield number
                        await anyio.sleep(0)
                finally:
                    group.cancel_scope.cancel()
                    left.append("left")

        self.assertEqual(await everything(fromAsyncio(scoped())), [0, 1, 2])
        closed, cancelled = fromAsyncio(scoped()), fromAsyncio(scoped())
        for iterator in closed, cancelled:
            await passed(iterator.__anext__())
        await passed(closed.aclose())
        item = cancelled.__anext__()
        await turns(1)
        item.cancel()
        with self.assertRaises(CancelledError):
            await passed(item)
        self.assertEqual(left, ["left"] * 3)

    @looped
    async def test_context(self) -> None:
        """
        The program sees the variables of its caller's context, and Twisted does not see those that
        the program sets.
        """
        variable = ContextVar("variable", default="none")
        variable.set("caller")
        inside: list[str] = []

        async def setting() -> AsyncIterator[None]:
            inside.append(variable.get())
            variable.set("program")
            yield

        async def ending() -> None:
            variable.set("program")

        outside: list[str] = []
        iterator = fromAsyncio(setting())
        for deferred in (iterator.__anext__(), fromAsyncio(ending())):
            await passed(deferred.addCallback(lambda _: outside.append(variable.get())))
        await passed(iterator.aclose())
        self.assertEqual((inside, outside), (["caller"], ["caller", "caller"]))


class ErrorTests(SynchronousTestCase):
    """
    Tests for errors in the program.
    """

    @looped
    async def test_error(self) -> None:
        """
        An exception of the program arrives with its traceback, once.
        """

        async def deepInside() -> None:
            raise ZeroDivisionError("an error")

        async def failing() -> AsyncIterator[str]:
            yield "one"
            await deepInside()

        iterator = fromAsyncio(failing())
        self.assertEqual(await passed(iterator.__anext__()), "one")
        failures: list[Failure] = []
        for deferred in (iterator.__anext__(), fromAsyncio(deepInside())):
            deferred.addErrback(failures.append)
            await passed(deferred)
            self.assertIn("in deepInside", failures[-1].getTraceback())
            self.assertIn("an error", failures[-1].getErrorMessage())
        self.assertEqual(await everything(iterator), [])

    @looped
    async def test_cancelledInside(self) -> None:
        """
        If the task is cancelled from inside, that arrives as a single, separate error.
        """

        async def giveUp() -> None:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await asyncio.sleep(0)

        async def givesUp() -> AsyncIterator[str]:
            yield "one"
            await giveUp()

        iterator = fromAsyncio(givesUp())
        self.assertEqual(await passed(iterator.__anext__()), "one")
        for deferred in (iterator.__anext__(), fromAsyncio(giveUp())):
            with self.assertRaisesRegex(AsyncioCancelled, "not from Twisted"):
                await passed(deferred)
        self.assertEqual(await everything(iterator), [])

    @looped
    async def test_cancelledWhileIdle(self) -> None:
        """
        If the task is cancelled from inside while no item is requested, the next one fails.
        """
        tasks: list[asyncio.Task[Any] | None] = []

        async def yielding() -> AsyncIterator[str]:
            tasks.append(asyncio.current_task())
            yield "one"

        iterator = fromAsyncio(yielding())
        self.assertEqual(await passed(iterator.__anext__()), "one")
        await turns()
        assert tasks[0] is not None
        tasks[0].cancel()
        await turns()
        with self.assertRaises(AsyncioCancelled):
            await passed(iterator.__anext__())
        self.assertEqual(await everything(iterator), [])

    @looped
    async def test_waitingForTwisted(self) -> None:
        """
        Awaiting a L{Deferred} in the program is an error, as it is with asyncio.
        """

        async def wrong() -> AsyncIterator[None]:
            yield await Deferred()

        with self.assertRaisesRegex(RuntimeError, "Task got bad yield"):
            await everything(fromAsyncio(wrong()))


class ManagerTests(SynchronousTestCase):
    """
    Tests for asynchronous context managers.
    """

    def setUp(self) -> None:
        """
        Make a list for the events of a test.
        """
        self.log: list[str] = []

    def manager(self, result: Any) -> Any:
        """
        @return: a context manager with this value.
        """

        @asynccontextmanager
        async def managing() -> AsyncIterator[Any]:
            self.log.append("entered")
            try:
                yield result
            finally:
                self.log.append("left")

        return managing()

    @looped
    async def test_manager(self) -> None:
        """
        A context manager is entered for the first item, left after the last, and when the iteration
        is closed.
        """
        iterator = fromAsyncio(self.manager(numbers()))
        self.assertEqual(self.log, [])
        self.assertEqual(await everything(iterator), [0, 1, 2])
        self.assertEqual(self.log, ["entered", "left"])
        iterator = fromAsyncio(self.manager(numbers()))
        await passed(iterator.__anext__())
        await passed(iterator.aclose())
        self.assertEqual(self.log, ["entered", "left"] * 2)

    @looped
    async def test_both(self) -> None:
        """
        An iterable that is a context manager, too, as streams of packages are, is left at the end.
        """
        log = self.log

        class Both:
            async def __aenter__(self) -> Both:
                log.append("entered")
                return self

            async def __aexit__(self, *exception: object) -> None:
                log.append("left")

            def __aiter__(self) -> AsyncIterator[int]:
                return numbers()

        iterator: AsyncioIterator[int] = fromAsyncio(Both())
        self.assertEqual(await everything(iterator), [0, 1, 2])
        self.assertEqual(self.log, ["entered", "left"])

    @looped
    async def test_ofSomethingElse(self) -> None:
        """
        A context manager of another object is an error that shows the object, and is left.
        """
        with self.assertRaisesRegex(TypeError, "asynchronous iterable, got 42"):
            await everything(fromAsyncio(self.manager(42)))
        self.assertEqual(self.log, ["entered", "left"])


class CoroutineTests(SynchronousTestCase):
    """
    Tests for coroutines and other awaitables.
    """

    @looped
    async def test_results(self) -> None:
        """
        The L{Deferred} of a coroutine, a future or another awaitable fires with its result.
        """

        async def coroutine() -> str:
            await asyncio.sleep(0)
            return "a result"

        class Other:
            def __await__(self) -> Any:
                return coroutine().__await__()

        task = asyncio.ensure_future(coroutine())
        for awaitable in (coroutine(), task, Other()):
            self.assertEqual(await passed(fromAsyncio(awaitable)), "a result")

    @looped
    async def test_atOnce(self) -> None:
        """
        A coroutine starts when it is passed, not when its result is awaited.
        """
        started: list[bool] = []

        async def coroutine() -> None:
            started.append(True)

        fromAsyncio(coroutine())
        await turns()
        self.assertEqual(started, [True])

    @looped
    async def test_cancelled(self) -> None:
        """
        Cancelling the L{Deferred} cancels the coroutine, and waits until it has cleaned up.
        """
        watched = Watched(slow=True)

        async def waiting() -> None:
            try:
                await watched.release.wait()
            finally:
                await watched.cleanUp.wait()
                watched.log.append("cleaned up")

        deferred = fromAsyncio(waiting())
        await turns()
        deferred.cancel()
        await turns()
        self.assertNoResult(deferred)
        watched.cleanUp.set()
        with self.assertRaises(CancelledError):
            await passed(deferred)
        self.assertEqual(watched.log, ["cleaned up"])

    @looped
    async def test_swallowed(self) -> None:
        """
        A coroutine that continues after its cancellation still gives its result.
        """

        async def stubborn() -> str:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                pass
            return "all the same"

        deferred = fromAsyncio(stubborn())
        await turns()
        deferred.cancel()
        self.assertEqual(await passed(deferred), "all the same")


class RefusedTests(SynchronousTestCase):
    """
    Tests for objects that cannot be run.
    """

    @looped
    async def test_types(self) -> None:
        """
        An object that asyncio cannot run raises an error where it is passed, which shows the
        object.
        """
        for wrong in (42, ["a"], None, succeed(1), numbers):
            with self.assertRaisesRegex(TypeError, "expected .* got "):
                fromAsyncio(wrong)  # type: ignore[call-overload]

    def test_otherReactor(self) -> None:
        """
        With another reactor the call raises an error that names the option to use, and leaves no
        coroutine behind.
        """

        async def coroutine() -> None:
            raise AssertionError("it never runs")

        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for source in (coroutine(), numbers()):
                with self.assertRaisesRegex(RuntimeError, "--reactor=asyncio") as raised:
                    fromAsyncio(source)
                self.assertIn("Reactor is installed", str(raised.exception))
                # The traceback shows the call, and not asyncio's error about a missing loop.
                self.assertNotIn(
                    "no running", "".join(traceback.format_exception(raised.exception))
                )
            del source
            gc.collect()
