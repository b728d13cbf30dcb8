"""
Tests for how programs that L{twisted_sse.aio} runs begin and end, in loops of asyncio without a
reactor.
"""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.support.loops import looped, passed, turns, until
from tests.support.programs import Watched, everything, numbers
from twisted_sse.aio import fromAsyncio


class CancelTests(SynchronousTestCase):
    """
    Tests for ending an iteration from Twisted.
    """

    def setUp(self) -> None:
        """
        Record results of Deferreds.
        """
        self.results: list[Any] = []

    def noted(self, deferred: Deferred[Any]) -> Deferred[Any]:
        """
        Record the result of a L{Deferred}.
        """
        return deferred.addBoth(self.results.append)

    def assertCancelled(self) -> None:
        """
        Assert that the one result is that of a cancelled L{Deferred}.
        """
        [failure] = self.results
        self.assertTrue(failure.check(CancelledError))

    @looped
    async def test_cancelledWhereItWaits(self) -> None:
        """
        Cancelling the next item cancels the program where it waits; the item fails when the program
        has cleaned up.
        """
        watched = Watched(slow=True)
        iterator = fromAsyncio(watched.waits())
        await passed(iterator.__anext__())
        item = self.noted(iterator.__anext__())
        await turns()
        item.cancel()
        await turns()
        self.assertEqual((watched.log, self.results), (["asked", "cancelled"], []))
        watched.cleanUp.set()
        await passed(item)
        self.assertEqual(watched.log, ["asked", "cancelled", "cleaned up"])
        self.assertCancelled()
        self.assertEqual(await everything(iterator), [])

    @looped
    async def test_cancelledAtOnce(self) -> None:
        """
        An item that is cancelled before the program has run at all fails, and the program does not
        run.
        """
        ran: list[str] = []

        async def running() -> AsyncIterator[str]:
            ran.append("ran")
            yield "one"

        iterator = fromAsyncio(running())
        item = self.noted(iterator.__anext__())
        item.cancel()
        await turns()
        self.assertCancelled()
        self.assertEqual(ran, [])

    @looped
    async def test_cancelledAsItArrives(self) -> None:
        """
        An item that is cancelled when it is made, but has not arrived, is dropped.
        """
        watched = Watched()
        items: list[Deferred[str]] = []

        async def cancelling() -> AsyncIterator[str]:
            try:
                asyncio.get_running_loop().call_soon(lambda: items[0].cancel())
                yield "one"
            finally:
                watched.log.append("closed")

        items.append(self.noted(fromAsyncio(cancelling()).__anext__()))
        await turns()
        self.assertCancelled()
        self.assertEqual(watched.log, ["closed"])

    @looped
    async def test_closedWhereItYielded(self) -> None:
        """
        C{aclose()} closes the program at its C{yield}, without cancelling it, and fires when it has
        cleaned up.
        """
        watched = Watched(slow=True)
        iterator = fromAsyncio(watched.waits())
        await passed(iterator.__anext__())
        closed = self.noted(iterator.aclose())
        await turns()
        self.assertEqual((watched.log, self.results), (["closed"], []))
        watched.cleanUp.set()
        await passed(closed)
        self.assertEqual((watched.log, self.results), (["closed", "cleaned up"], [None]))
        self.assertEqual(await everything(iterator), [])
        self.assertEqual(await passed(iterator.aclose()), None)

    @looped
    async def test_closedWithoutCancelling(self) -> None:
        """
        A program that is closed may wait in its C{finally} for any time: its task does not count as
        cancelled.
        """
        counts: list[int] = []

        async def counting() -> AsyncIterator[str]:
            try:
                yield "one"
            finally:
                # Python 3.10 does not count cancellations.
                counts.append(getattr(asyncio.current_task(), "cancelling", int)())

        iterator = fromAsyncio(counting())
        await passed(iterator.__anext__())
        await passed(iterator.aclose())
        self.assertEqual(counts, [0])

    @looped
    async def test_closedAsItIsAsked(self) -> None:
        """
        C{aclose()} just after the next item was requested ends the program, and the item fails.
        """
        watched = Watched()
        iterator = fromAsyncio(watched.waits())
        await passed(iterator.__anext__())
        self.noted(iterator.__anext__())
        await passed(iterator.aclose())
        self.assertEqual(watched.log[-1], "cleaned up")
        self.assertCancelled()

    @looped
    async def test_closedWhereItWaits(self) -> None:
        """
        C{aclose()} cancels the program where it waits, and a requested item fails.
        """
        watched = Watched()
        iterator = fromAsyncio(watched.waits())
        await passed(iterator.__anext__())
        self.noted(iterator.__anext__())
        await turns()
        await passed(iterator.aclose())
        self.assertEqual(watched.log, ["asked", "cancelled", "cleaned up"])
        self.assertCancelled()

    @looped
    async def test_closedBeforeItStarts(self) -> None:
        """
        C{aclose()} before the first item means that the program never runs.
        """
        watched = Watched()
        iterator = fromAsyncio(watched.waits())
        self.assertIsNone(self.successResultOf(iterator.aclose()))
        self.assertEqual(await everything(iterator), [])
        self.assertEqual(watched.log, [])

    @looped
    async def test_swallowed(self) -> None:
        """
        An item yielded after the cancellation is dropped, and the program is closed there.
        """
        watched = Watched()
        iterator = fromAsyncio(watched.swallows())
        await passed(iterator.__anext__())
        item = self.noted(iterator.__anext__())
        await turns()
        item.cancel()
        await passed(item)
        self.assertCancelled()
        self.assertEqual(watched.log, ["cancelled"])

    @looped
    async def test_cancelledAgain(self) -> None:
        """
        Cancelling a second time cancels the program again, and the L{Deferred} still fires only at its
        end.
        """
        watched = Watched()

        async def insists() -> None:
            async for _ in watched.insists():
                raise AssertionError("it never yields")

        for begin in (lambda: fromAsyncio(watched.insists()).__anext__(), self.begin(insists)):
            self.results.clear()
            watched.log.clear()
            item = self.noted(begin())
            await turns()
            item.cancel()
            await turns()
            self.assertEqual((watched.log, self.results), (["cancelled"], []))
            item.cancel()
            self.assertEqual(self.results, [])
            await turns()
            self.assertEqual(watched.log, ["cancelled", "cancelled again"])
            self.assertCancelled()

    def begin(self, function: Callable[[], Any]) -> Callable[[], Deferred[Any]]:
        """
        @return: a function that runs a coroutine function of asyncio.
        """
        return lambda: fromAsyncio(function())

    @looped
    async def test_closeCancelled(self) -> None:
        """
        Cancelling C{aclose()} cancels a program that does not end when it is closed.
        """
        watched = Watched()

        async def lingers() -> AsyncIterator[str]:
            try:
                yield "one"
            finally:
                await watched.waitAgain()

        iterator = fromAsyncio(lingers())
        await passed(iterator.__anext__())
        closed = self.noted(iterator.aclose())
        await turns()
        self.assertEqual((watched.log, self.results), ([], []))
        closed.cancel()
        await turns()
        self.assertEqual((watched.log, self.results), (["cancelled again"], [None]))

    @looped
    async def test_failsToClose(self) -> None:
        """
        An exception raised while the program is closed or cancelled arrives at the caller of that.
        """
        iterator = fromAsyncio(Watched().failsToClose())
        await passed(iterator.__anext__())
        with self.assertRaises(ZeroDivisionError):
            await passed(iterator.aclose())
        iterator = fromAsyncio(Watched().failsToClose())
        await passed(iterator.__anext__())
        item = self.noted(iterator.__anext__())
        await turns()
        item.cancel()
        await passed(item)
        self.assertTrue(self.results[0].check(ZeroDivisionError))


class LeavingTests(SynchronousTestCase):
    """
    Tests for leaving an C{async for} early, and for leftovers.
    """

    @looped
    async def test_left(self) -> None:
        """
        When an C{async for} is left, the program is closed soon after, without further action.
        """
        watched = Watched()

        async def leaving() -> None:
            async for _ in fromAsyncio(watched.waits()):
                break

        await passed(Deferred.fromCoroutine(leaving()))
        await until(lambda: len(watched.log) == 2)
        self.assertEqual(watched.log, ["closed", "cleaned up"])

    @looped
    async def test_closing(self) -> None:
        """
        With C{contextlib.aclosing}, leaving waits until the program has ended.
        """
        watched = Watched()

        async def leaving() -> None:
            async with aclosing(fromAsyncio(watched.waits())) as iterator:
                async for _ in iterator:
                    break
            watched.log.append("left")

        await passed(Deferred.fromCoroutine(leaving()))
        self.assertEqual(watched.log, ["closed", "cleaned up", "left"])

    @looped
    async def test_leftAndFails(self) -> None:
        """
        An exception of a program after its C{async for} was left is logged once.
        """
        iterator = fromAsyncio(Watched().failsToClose())
        await passed(iterator.__anext__())
        del iterator
        await turns()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    @looped
    async def test_held(self) -> None:
        """
        An iterator is not abandoned while its next item is pending.
        """
        item = fromAsyncio(numbers()).__anext__()
        gc.collect()
        self.assertEqual(await passed(item), 0)

    @looped
    async def test_nothingIsLeft(self) -> None:
        """
        After the end nothing refers to the program or its iterator, and no garbage is left to
        collect, whether it is exhausted, failed, was cancelled or closed.
        """

        class Thing:
            pass

        async def program(thing: Thing, how: str, failure: Exception | None) -> AsyncIterator[str]:
            yield "one"
            if failure is not None:
                raise failure
            if how == "cancel":
                await asyncio.Event().wait()

        async def once(how: str) -> list[weakref.ref[Any]]:
            thing = Thing()
            iterator = fromAsyncio(program(thing, how, KeyError() if how == "fail" else None))
            left = [weakref.ref(thing), weakref.ref(iterator)]
            await passed(iterator.__anext__())
            if how == "close":
                await passed(iterator.aclose())
                return left
            item = iterator.__anext__().addErrback(dispose)
            if how == "cancel":
                await turns()
                item.cancel()
            await passed(item)
            return left

        def dispose(failure: Failure) -> None:
            # As cleanFailure does, which pytest turns off to show tracebacks.
            failure.value.__traceback__ = None
            vars(failure).clear()

        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        for how in ("exhaust", "fail", "cancel", "close"):
            left = await once(how)
            await turns()
            self.assertEqual([each() for each in left], [None, None], how)


class StartedTests(SynchronousTestCase):
    """
    Tests for waiting for the first item.
    """

    @looped
    async def test_first(self) -> None:
        """
        C{whenStarted} fires with the iterator when the first item is there, which the iterator then
        returns first.
        """
        watched = Watched()

        async def late() -> AsyncIterator[str]:
            await watched.release.wait()
            yield "one"
            watched.log.append("asked")
            yield "two"

        iterator = fromAsyncio(late())
        started = iterator.whenStarted()
        await turns()
        self.assertNoResult(started)
        watched.release.set()
        await turns()
        self.assertIs(self.successResultOf(started), iterator)
        self.assertEqual(watched.log, [])
        self.assertEqual(await everything(iterator), ["one", "two"])

    @looped
    async def test_error(self) -> None:
        """
        It fails with an exception that the program raises before its first item.
        """

        async def failing() -> AsyncIterator[str]:
            await asyncio.sleep(0)
            raise ZeroDivisionError
            yield "never"

        with self.assertRaises(ZeroDivisionError):
            await passed(fromAsyncio(failing()).whenStarted())

    @looped
    async def test_empty(self) -> None:
        """
        It fires for an iterable that is empty.
        """
        iterator = fromAsyncio(numbers(0))
        self.assertIs(await passed(iterator.whenStarted()), iterator)
        self.assertEqual(await everything(iterator), [])

    @looped
    async def test_cancelled(self) -> None:
        """
        Cancelling it cancels the program.
        """
        watched = Watched()
        started = fromAsyncio(watched.insists()).whenStarted()
        started.addErrback(lambda failure: failure.trap(CancelledError))
        await turns()
        started.cancel()
        await turns()
        started.cancel()
        await passed(started)
        self.assertEqual(watched.log, ["cancelled", "cancelled again"])

    @looped
    async def test_closed(self) -> None:
        """
        An iterator that is closed after it started returns no more items.
        """
        iterator = await passed(fromAsyncio(numbers()).whenStarted())
        await passed(iterator.aclose())
        self.assertEqual(await everything(iterator), [])
