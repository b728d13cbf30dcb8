"""
Tests for L{twisted_sse.stream.result}: cancelling and closing at the end of a stream.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Iterator

from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.logger import capturedLogs

from tests.support.results import DriverTestCase, warnings
from tests.support.streams import BIG
from twisted_sse import CloseReason, EventStream


class DisconnectTests(DriverTestCase):
    """
    Tests for cancelling and closing at the end of a stream.
    """

    def test_deferred(self) -> None:
        """
        A pending Deferred is cancelled, and nothing is logged.
        """
        cancelled: list[object] = []
        self.connect(lambda stream: Deferred(cancelled.append))
        self.browser.disconnect()
        self.assertEqual(len(cancelled), 1)
        self.assertGone()

    def test_deferredOfAStreamThatIsOver(self) -> None:
        """
        A Deferred returned for a stream that has already ended is cancelled, too.
        """
        for act in (EventStream.abort, EventStream.end):
            cancelled: list[object] = []

            def connected(
                stream: EventStream,
                act: Callable[[EventStream], None] = act,
                cancelled: list[object] = cancelled,
            ) -> Deferred[None]:
                act(stream)
                return Deferred(cancelled.append)

            self.connect(connected)
            self.clock.advance(1)
            self.assertEqual(len(cancelled), 1)
            self.assertGone()

    def test_failedDeferredOfAStreamThatIsOver(self) -> None:
        """
        A failed Deferred returned for an aborted stream is logged at most once, and not as
        unhandled.
        """

        def connected(stream: EventStream) -> Deferred[None]:
            stream.abort()
            return fail(ZeroDivisionError())

        self.connect(connected)
        gc.collect()
        self.assertLessEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertGone()

    def test_coroutine(self) -> None:
        """
        A coroutine gets L{CancelledError} where it waits, and its C{finally} runs.
        """
        seen: list[str] = []

        async def connected(stream: EventStream) -> None:
            try:
                await Deferred()
            except CancelledError:
                seen.append("cancelled")
                raise
            finally:
                seen.append("finally")

        self.connect(connected)
        self.browser.disconnect()
        self.assertEqual(seen, ["cancelled", "finally"])
        self.assertGone()

    def test_coroutineCleansUp(self) -> None:
        """
        A C{finally} that awaits is given time to finish.
        """
        seen: list[str] = []

        async def connected(stream: EventStream) -> None:
            try:
                await Deferred()
            finally:
                await self.wait(3)
                seen.append("clean")

        self.connect(connected, closeTimeout=5)
        with capturedLogs() as logged:
            self.browser.disconnect()
            self.clock.advance(3)
        self.assertEqual(seen, ["clean"])
        self.assertEqual(warnings(logged), [])
        self.assertGone()

    def test_coroutineOfAStreamThatIsOver(self) -> None:
        """
        A coroutine returned for an aborted stream is not run.
        """
        seen: list[str] = []

        async def later() -> None:
            seen.append("run")

        def connected(stream: EventStream) -> object:
            stream.abort()
            return later()

        self.connect(connected)
        self.assertEqual(seen, [])
        self.assertGone()

    def test_lateResults(self) -> None:
        """
        The result of a Deferred that fires after a disconnect is dropped, and closed if it is a
        coroutine.
        """

        async def coroutine() -> None:
            self.fail("this is run")

        for result in (None, ["a"], "text", coroutine(), 5):
            waiting: Deferred[object] = Deferred(lambda _: None)
            self.connect(lambda stream, waiting=waiting: waiting, closeTimeout=1)
            self.browser.disconnect()
            self.clock.advance(10)
            if not waiting.called:
                waiting.callback(result)
            elif asyncio.iscoroutine(result):
                result.close()
            self.assertGone()
            self.assertIsNone(self.browser.status)

    def test_lateResultOfOneThatSwallows(self) -> None:
        """
        The result of a coroutine that has swallowed its cancellation is dropped.
        """
        made: list[str] = []

        async def again() -> None:
            made.append("run")

        async def connected(stream: EventStream) -> object:
            try:
                await Deferred()
            except CancelledError:
                pass
            return again()

        self.connect(connected)
        self.browser.disconnect()
        self.assertEqual(made, [])
        self.assertGone()

    def test_failsAsItIsCancelled(self) -> None:
        """
        An exception that a coroutine or asynchronous generator raises on its cancellation is logged
        once.
        """

        async def coroutine(stream: EventStream) -> None:
            try:
                await Deferred()
            finally:
                raise ZeroDivisionError

        async def asyncGenerator(stream: EventStream) -> AsyncIterator[str]:
            try:
                yield "one"
                await Deferred()
            finally:
                raise ZeroDivisionError

        for connected in (coroutine, asyncGenerator):
            self.connect(connected)
            self.browser.disconnect()
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
            self.assertEqual(self.reasons, [CloseReason.CLIENT])
            self.assertGone()

    def test_cancellerRaises(self) -> None:
        """
        A canceller that raises is logged, and the stream is still released.
        """

        def canceller(_: object) -> None:
            raise ZeroDivisionError

        self.connect(lambda stream: Deferred(canceller), closeTimeout=1)
        self.browser.disconnect()
        self.clock.advance(5)
        self.assertEqual(self.reasons, [CloseReason.CLIENT])
        self.assertGreaterEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertGone()

    def test_generator(self) -> None:
        """
        A generator that waits for the client is closed, and its C{finally} runs.
        """
        closed: list[str] = []

        def connected(stream: EventStream) -> Iterator[str]:
            try:
                while True:
                    yield BIG
            finally:
                closed.append("closed")

        self.connect(connected)
        self.browser.stopReading(kernelBuffer=0)
        self.clock.advance(1)
        self.assertEqual(closed, [])
        self.browser.disconnect()
        self.assertEqual(closed, ["closed"])
        self.assertGone()

    def test_generatorBetweenTurns(self) -> None:
        """
        A generator whose next pull is due is closed, and its C{finally} runs.
        """
        closed: list[str] = []

        def connected(stream: EventStream) -> Iterator[str]:
            try:
                while True:
                    yield "x" * 1000
            finally:
                closed.append("closed")

        self.connect(connected)
        self.assertGreaterEqual(len(self.clock.getDelayedCalls()), 2)
        self.stream.abort()
        self.assertEqual(closed, ["closed"])
        self.clock.advance(1)
        self.assertGone()

    def test_generatorFailsAsItIsClosed(self) -> None:
        """
        A generator whose C{finally} raises, or that does not stop, is logged.
        """

        def fails(stream: EventStream) -> Iterator[str]:
            try:
                while True:
                    yield BIG
            finally:
                raise ZeroDivisionError

        def yields(stream: EventStream) -> Iterator[str]:
            try:
                while True:
                    yield BIG
            except GeneratorExit:
                yield BIG

        for connected, error in ((fails, ZeroDivisionError), (yields, RuntimeError)):
            self.connect(connected)
            self.browser.stopReading(kernelBuffer=0)
            self.browser.disconnect()
            self.assertEqual(self.reasons, [CloseReason.CLIENT])
            self.assertEqual(len(self.flushLoggedErrors(error)), 1)
            self.assertGone()

    def test_generatorAbortsItsStream(self) -> None:
        """
        A generator that aborts its own stream is closed, and its next event is dropped.
        """
        closed: list[str] = []

        def generator(stream: EventStream) -> Iterator[str]:
            try:
                yield "one"
                stream.abort()
                yield "two"
                closed.append("too far")
            finally:
                closed.append("closed")

        async def asyncGenerator(stream: EventStream) -> AsyncIterator[str]:
            try:
                yield "one"
                stream.abort()
                yield "two"
                closed.append("too far")
            finally:
                closed.append("closed")

        for connected in (generator, asyncGenerator):
            closed.clear()
            self.connect(connected)
            self.clock.advance(1)
            self.assertEqual(self.reasons, [CloseReason.ENDED])
            self.assertNotIn("two", self.data())
            self.assertEqual(closed, ["closed"])
            self.assertGone()

    def test_generatorAbortsItsStreamAtOnce(self) -> None:
        """
        A generator that aborts its own stream before its first event is closed, and nothing is
        sent.
        """
        closed: list[str] = []

        def generator(stream: EventStream) -> Iterator[str]:
            try:
                stream.abort()
                yield "one"
            finally:
                closed.append("closed")

        async def asyncGenerator(stream: EventStream) -> AsyncIterator[str]:
            try:
                stream.abort()
                yield "one"
            finally:
                closed.append("closed")

        for connected in (generator, asyncGenerator):
            closed.clear()
            self.connect(connected)
            self.clock.advance(1)
            self.assertIsNone(self.browser.status)
            self.assertEqual(closed, ["closed"])
            self.assertGone()

    def test_generatorEndsItsStream(self) -> None:
        """
        When a generator ends its own stream, all events yielded before are sent.
        """

        def generator(stream: EventStream) -> Iterator[str]:
            yield "one"
            yield "two"
            yield "three"
            stream.end()
            yield "dropped"

        async def asyncGenerator(stream: EventStream) -> AsyncIterator[str]:
            for each in generator(stream):
                yield each

        for connected in (generator, asyncGenerator):
            self.connect(connected)
            self.clock.advance(1)
            self.assertEqual(self.data(), ["one", "two", "three"])
            self.assertTrue(self.browser.complete)
            self.assertEqual(self.reasons, [CloseReason.ENDED])
            self.assertGone()

    def test_generatorRaisesAfterItsAbort(self) -> None:
        """
        An exception that a generator raises after aborting its own stream is logged.
        """

        def generator(stream: EventStream) -> Iterator[str]:
            yield "one"
            stream.abort()
            raise ZeroDivisionError

        async def asyncGenerator(stream: EventStream) -> AsyncIterator[str]:
            yield "one"
            stream.abort()
            raise ZeroDivisionError

        for connected in (generator, asyncGenerator):
            self.connect(connected)
            self.clock.advance(1)
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
            self.assertGone()

    def test_asyncGeneratorWaiting(self) -> None:
        """
        An asynchronous generator is cancelled where it waits, and its C{finally} may await.
        """
        seen: list[str] = []

        async def connected(stream: EventStream) -> AsyncIterator[str]:
            try:
                yield "one"
                await Deferred()
            finally:
                await self.wait()
                seen.append("clean")

        self.connect(connected)
        self.browser.disconnect()
        self.assertEqual(seen, [])
        self.clock.advance(1)
        self.assertEqual(seen, ["clean"])
        self.assertGone()

    def test_asyncGeneratorSuspended(self) -> None:
        """
        An asynchronous generator that waits for the client to read is closed, and its C{finally}
        may await.
        """
        seen: list[str] = []

        async def connected(stream: EventStream) -> AsyncIterator[str]:
            try:
                while True:
                    yield BIG
            finally:
                await self.wait()
                seen.append("clean")

        self.connect(connected)
        self.browser.stopReading(kernelBuffer=0)
        self.clock.advance(1)
        self.browser.disconnect()
        self.clock.advance(1)
        self.assertEqual(seen, ["clean"])
        self.assertGone()

    def test_asyncGeneratorEndedFromInside(self) -> None:
        """
        An asynchronous generator that ends its own stream and then waits is cancelled.
        """
        seen: list[str] = []

        async def connected(stream: EventStream) -> AsyncIterator[str]:
            try:
                yield "one"
                stream.end()
                await Deferred()
            finally:
                seen.append("clean")

        self.connect(connected)
        self.clock.advance(1)
        self.assertEqual(seen, ["clean"])
        self.assertEqual(self.data(), ["one"])
        self.assertTrue(self.browser.complete)
        self.assertGone()

    def test_asyncGeneratorSwallowsOnce(self) -> None:
        """
        An asynchronous generator that swallows its cancellation and yields is closed, and that
        event is dropped.
        """
        seen: list[str] = []

        async def connected(stream: EventStream) -> AsyncIterator[str]:
            yield "one"
            try:
                await Deferred()
            except CancelledError:
                seen.append("swallowed")
            try:
                yield "dropped"
                seen.append("too far")
            finally:
                seen.append("clean")

        self.connect(connected)
        self.browser.disconnect()
        self.assertEqual(seen, ["swallowed", "clean"])
        self.assertEqual(self.stream.eventsSent, 1)
        self.assertGone()

    def test_swallowsOnceAndWaits(self) -> None:
        """
        An asynchronous generator that swallows its cancellation and waits again is cancelled again.
        """
        seen: list[str] = []

        async def connected(stream: EventStream) -> AsyncIterator[str]:
            yield "one"
            try:
                await Deferred()
            except CancelledError:
                seen.append("swallowed")
            try:
                await Deferred()
            finally:
                seen.append("clean")

        self.connect(connected, closeTimeout=5)
        with capturedLogs() as logged:
            self.browser.disconnect()
            self.clock.advance(5)
        self.assertEqual(seen, ["swallowed", "clean"])
        self.assertEqual(warnings(logged), [])
        self.assertGone()

    def test_swallowsForEver(self) -> None:
        """
        Code that keeps swallowing its cancellation is abandoned after C{closeTimeout}, and that is
        logged once.
        """
        stop: list[bool] = []

        async def forever() -> None:
            while not stop:
                try:
                    await Deferred()
                except CancelledError:
                    pass

        async def coroutine(stream: EventStream) -> None:
            await forever()

        async def asyncGenerator(stream: EventStream) -> AsyncIterator[str]:
            yield "one"
            await forever()

        for connected in (coroutine, asyncGenerator):
            self.connect(connected, closeTimeout=5)
            with capturedLogs() as logged:
                self.browser.disconnect()
                self.assertEqual(self.reasons, [CloseReason.CLIENT])
                self.assertTrue(self.stream.closed)
                self.assertEqual(warnings(logged), [])
                self.clock.advance(5.1)
                self.assertEqual(len(warnings(logged)), 1)
                self.clock.advance(100)
            self.assertEqual(len(warnings(logged)), 1)
            self.assertGone()

    def test_asyncIteratorWithAclose(self) -> None:
        """
        A class-based asynchronous iterator is closed with C{aclose}, if it has one.
        """
        closed: list[str] = []

        class Endless:
            def __aiter__(self) -> Endless:
                return self

            async def __anext__(self) -> str:
                await Deferred()
                return "never"

        class Closable(Endless):
            async def aclose(self) -> None:
                closed.append("closed")

        for iterator in (Endless(), Closable()):
            self.connect(lambda stream, iterator=iterator: iterator)
            self.assertEqual(self.browser.status, 200)
            self.browser.disconnect()
            self.assertGone()
        self.assertEqual(closed, ["closed"])

    def test_asyncIterableWithAGenerator(self) -> None:
        """
        When C{__aiter__} is an asynchronous generator it is closed, and its C{finally} may await.
        """
        seen: list[str] = []
        wait = self.wait

        class Source:
            async def __aiter__(self) -> AsyncIterator[str]:
                try:
                    while True:
                        yield BIG
                finally:
                    await wait()
                    seen.append("clean")

        self.connect(lambda stream: Source())
        self.browser.stopReading(kernelBuffer=0)
        self.clock.advance(1)
        self.browser.disconnect()
        self.clock.advance(1)
        self.assertEqual(seen, ["clean"])
        self.assertGone()

    def test_drainCancels(self) -> None:
        """
        A drain cancels a pending C{connected} and ends its stream.
        """
        cancelled: list[object] = []
        self.connect(lambda stream: Deferred(cancelled.append))
        done = self.resource.drain(5)
        self.clock.advance(1)
        self.successResultOf(done)
        self.assertEqual(len(cancelled), 1)
        self.assertEqual(self.browser.status, 200)
        self.assertIsNotNone(self.browser.retry)
        self.assertTrue(self.browser.complete)
        self.assertGone()
