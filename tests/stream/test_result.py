"""
Tests for L{twisted_sse.stream.result}: the possible results of C{connected}, and how they are
consumed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from itertools import count, pairwise

import anyio
import sniffio
from twisted.internet.defer import succeed
from twisted.internet.task import deferLater
from twisted.logger import capturedLogs

from tests.support.results import DriverTestCase, warnings
from tests.support.streams import BIG
from twisted_sse import CloseReason, Event, EventStream
from twisted_sse.stream.turn import TURN


class ResultTests(DriverTestCase):
    """
    Tests for each kind of result, and when its headers are sent.
    """

    def test_none(self) -> None:
        """
        After L{None} the headers are sent and the stream stays open.
        """
        self.connect(lambda stream: None)
        self.assertEqual(self.browser.status, 200)
        self.clock.advance(100)
        self.assertFalse(self.browser.ended)
        self.assertFalse(self.stream.closed)

    def test_iterables(self) -> None:
        """
        Each event of an iterable is sent, a str as data, and then the stream ends.
        """
        for iterable in (
            ["a", Event("b", event="note")],
            ("a", "b"),
            iter(["a", "b"]),
            (each for each in "ab"),
            {"a": 1, "b": 2}.keys(),
            map(str, "ab"),
        ):
            self.connect(lambda stream, iterable=iterable: iterable)
            self.assertEqual(self.data(), ["a", "b"])
            self.clock.advance(1)
            self.assertTrue(self.browser.complete)
            self.assertEqual(self.reasons, [CloseReason.ENDED])
            self.assertGone()

    def test_empty(self) -> None:
        """
        An empty iterable, also an asynchronous one, is an empty stream.
        """

        async def nothing() -> AsyncIterator[Event]:
            return
            yield Event("never")

        for result in ([], nothing()):
            self.connect(lambda stream, result=result: result)
            self.clock.advance(1)
            self.assertEqual(self.browser.status, 200)
            self.assertTrue(self.browser.complete)
            self.assertEqual(self.data(), [])
            self.assertGone()

    def test_generator(self) -> None:
        """
        C{connected} may be a generator function.
        """

        def connected(stream: EventStream) -> Iterator[str]:
            yield "1"
            yield "2"

        self.connect(connected)
        self.clock.advance(1)
        self.assertEqual(self.data(), ["1", "2"])
        self.assertTrue(self.browser.complete)
        self.assertGone()

    def test_asyncGenerator(self) -> None:
        """
        C{connected} may be an asynchronous generator function, whose events are sent immediately.
        """

        async def connected(stream: EventStream) -> AsyncIterator[str]:
            yield "1"
            await self.wait()
            yield "2"

        self.connect(connected)
        self.assertEqual(self.data(), ["1"])
        self.clock.advance(1)
        self.assertEqual(self.data(), ["1", "2"])
        self.assertTrue(self.browser.complete)
        self.assertEqual(self.reasons, [CloseReason.ENDED])
        self.assertGone()

    def test_asyncGeneratorWaitsFirst(self) -> None:
        """
        The headers are sent when an asynchronous generator waits before its first event.
        """

        async def connected(stream: EventStream) -> AsyncIterator[str]:
            await self.wait(100)
            yield "late"

        self.connect(connected)
        self.assertEqual(self.browser.status, 200)
        self.assertEqual(self.browser.comments, [""])
        self.clock.advance(100)
        self.assertEqual(self.data(), ["late"])

    def test_asyncIterator(self) -> None:
        """
        Any asynchronous iterator is accepted, with or without C{aclose}.
        """

        class Numbers:
            def __init__(self) -> None:
                self.numbers = iter("12")

            def __aiter__(self) -> Numbers:
                return self

            async def __anext__(self) -> str:
                for number in self.numbers:
                    return number
                raise StopAsyncIteration

        closed: list[None] = []

        class Closable(Numbers):
            async def aclose(self) -> None:
                closed.append(None)

        for iterator in (Numbers(), Closable()):
            self.connect(lambda stream, iterator=iterator: iterator)
            self.clock.advance(1)
            self.assertEqual(self.data(), ["1", "2"])
            self.assertTrue(self.browser.complete)
            self.assertGone()
        self.assertEqual(closed, [None])

    def test_coroutine(self) -> None:
        """
        The headers are sent when a coroutine returns, and if it returns L{None} the stream stays
        open.
        """

        async def connected(stream: EventStream) -> None:
            await self.wait()

        self.connect(connected)
        self.assertIsNone(self.browser.status)
        self.assertEqual(self.resource.streams, frozenset())
        self.clock.advance(1)
        self.assertEqual(self.browser.status, 200)
        self.assertEqual(self.resource.streams, {self.stream})
        self.clock.advance(100)
        self.assertFalse(self.browser.ended)

    def test_coroutineOfEach(self) -> None:
        """
        The result of a coroutine or Deferred may be any valid result, even another coroutine.
        """

        async def generator() -> AsyncIterator[str]:
            yield "a"

        async def coroutine(result: object) -> object:
            await self.wait()
            return result

        for make in (
            lambda: coroutine(["a"]),
            lambda: coroutine(generator()),
            lambda: coroutine(coroutine(iter(["a"]))),
            lambda: succeed(["a"]),
            lambda: succeed(generator()),
            lambda: deferLater(self.clock, 1, lambda: ["a"]),  # type: ignore[arg-type]
        ):
            self.connect(lambda stream, make=make: make())
            self.clock.advance(3)
            self.assertEqual(self.data(), ["a"])
            self.assertTrue(self.browser.complete)
            self.assertGone()

    def test_sendFromACoroutine(self) -> None:
        """
        Events that a coroutine sends after waiting are sent immediately, after the headers.
        """

        async def connected(stream: EventStream) -> None:
            await self.wait()
            stream.send("first")
            await self.wait()
            stream.send("second")

        self.connect(connected)
        self.clock.advance(1)
        self.assertEqual(self.browser.status, 200)
        self.assertEqual(self.data(), ["first"])
        self.clock.advance(1)
        self.assertEqual(self.data(), ["first", "second"])
        self.assertFalse(self.browser.ended)

    def test_sendBeforeItWaits(self) -> None:
        """
        Events that a coroutine sends before it first waits are sent when it waits.
        """

        async def connected(stream: EventStream) -> None:
            stream.send("first")
            await self.wait()

        self.connect(connected)
        self.assertEqual(self.data(), ["first"])

    def test_returnedByStream(self) -> None:
        """
        The return values of C{send} and C{every} count as L{None}, so that a lambda can call them.
        """
        self.connect(lambda stream: stream.send("hello"))
        self.assertEqual([event.data for event in self.browser.events], ["hello"])
        self.assertFalse(self.browser.ended)
        self.connect(lambda stream: stream.every(2, lambda: "tick"))
        self.client.clock.advance(2)
        self.assertEqual([event.data for event in self.browser.events], ["tick"])

    def test_wrong(self) -> None:
        """
        Any other result becomes a 500, and the log has a L{TypeError} that shows it.
        """

        async def coroutine() -> str:
            return "text"

        for make in (
            lambda: "text",
            lambda: b"bytes",
            lambda: {"data": "x"},
            lambda: 5,
            lambda: Event("x"),
            lambda: succeed("text"),
            coroutine,
        ):
            self.connect(lambda stream, make=make: make())
            [failure] = self.flushLoggedErrors(TypeError)
            self.assertIn("connected returned", failure.getErrorMessage())
            self.assertRefused(500)


class PullTests(DriverTestCase):
    """
    Tests for how much is pulled from an iterable, and when.
    """

    def counted(self, size: int = 1000) -> Iterator[str]:
        """
        Count the items pulled from an endless generator.
        """
        for number in count():
            self.pulled = number + 1
            yield f"{number}:".ljust(size, "p")

    async def countedAsync(self, size: int = 1000) -> AsyncIterator[str]:
        """
        Do the same in an asynchronous generator that never waits.
        """
        for item in self.counted(size):
            yield item

    def test_boundedTurns(self) -> None:
        """
        An endless iterable is pulled for at most 16 KiB and one event in one reactor turn.
        """
        for items in (self.counted, self.countedAsync):
            pulled = [0]
            clock = self.clock
            turn = clock._turn

            def counting(turn: Callable[[], bool] = turn, pulled: list[int] = pulled) -> bool:
                result = turn()
                pulled.append(self.pulled)
                return result

            self.pulled = 0
            self.patch(clock, "_turn", counting)
            self.connect(lambda stream, items=items: items())
            # Leave out the first step, which has the items pulled while connecting.
            steps = [after - before for before, after in pairwise(pulled[1:])]
            self.assertLessEqual(pulled[1], 2 * (TURN // 1000 + 2))
            self.assertGreater(max(steps), 0)
            self.assertLessEqual(max(steps), TURN // 1000 + 2)
            self.assertGreater(sum(step > 0 for step in steps), 10)
            self.browser.disconnect()
            self.patch(clock, "_turn", turn)
            self.assertGone()

    def test_boundedTime(self) -> None:
        """
        A slow iterable is pulled for about 5 ms in one reactor turn.
        """
        pulls: list[float] = []

        def connected(stream: EventStream) -> Iterator[str]:
            while True:
                pulls.append(self.clock.rightNow)
                self.clock.rightNow += 0.002
                yield "slow"

        async def asynchronous(stream: EventStream) -> AsyncIterator[str]:
            for each in connected(stream):
                yield each

        for function in (connected, asynchronous):
            self.patch(self.clock, "settle", lambda: None)
            self.connect(function)
            before = len(pulls)
            self.clock._turn()
            self.assertLessEqual(len(pulls) - before, 4)
            self.assertGreaterEqual(len(pulls) - before, 2)
            self.browser.disconnect()

    def test_nobodyStarves(self) -> None:
        """
        An endless iterable does not delay the events of other streams.
        """
        self.connect(lambda stream: self.counted() if stream.lastEventID else None)
        stream = self.stream
        other = self.browser
        greedy = self.client.get("/", headers={"Last-Event-ID": "1"})
        stream.every(0.1, lambda: "tick")
        self.clock.advance(0.305)
        self.assertEqual([event.data for event in other.events], ["tick"] * 3)
        self.assertGreater(len(greedy.events), 100)

    def test_nothingWhileTheClientDoesNotRead(self) -> None:
        """
        Nothing is pulled while the client does not read, and pulling resumes when it does.
        """
        for items in (self.counted, self.countedAsync):
            self.pulled = 0
            self.connect(lambda stream, items=items: items(), stallTimeout=None, heartbeat=None)
            self.browser.stopReading(kernelBuffer=0)
            self.clock.advance(1)
            before = self.pulled
            self.clock.advance(100)
            self.assertEqual(self.pulled, before)
            self.assertLess(self.stream.bytesPending, 2 * TURN)
            self.assertEqual(self.clock.getDelayedCalls(), [])
            seen = len(self.browser._response.events)
            self.browser.resumeReading()
            self.assertGreater(self.pulled, before)
            self.assertGreater(len(self.browser.events), seen)
            self.browser.disconnect()
            self.assertGone()

    def test_pausedBeforeAPull(self) -> None:
        """
        A pull that is due is skipped when another caller has filled the stream since.
        """
        for items in (self.counted, self.countedAsync):
            self.pulled = 0
            settle = self.clock.settle
            self.clock.settle = lambda: None  # type: ignore[method-assign]
            self.connect(lambda stream, items=items: items(), stallTimeout=None)
            self.browser.stopReading(kernelBuffer=0)
            self.stream.send(BIG)
            before = self.pulled
            self.clock._turn()
            self.clock._turn()
            self.assertLessEqual(self.pulled - before, 1)
            self.clock.settle = settle  # type: ignore[method-assign]
            self.browser.disconnect()

    def test_aSlowReaderOfAGeneratorIsNotTooSlow(self) -> None:
        """
        However small C{maxPending} is, a client is never disconnected because of pulled items.
        """
        for items in (self.counted, self.countedAsync):
            self.pulled = 0
            self.connect(lambda stream, items=items: items(), maxPending=10)
            for size in (100, 2000, 5000):
                self.browser.stopReading(kernelBuffer=size)
                self.clock.advance(0.01)
                self.browser.resumeReading()
            self.assertFalse(self.stream.closed)
            numbers = [int(data.partition(":")[0]) for data in self.data()]
            self.assertEqual(numbers, list(range(len(numbers))))
            self.browser.disconnect()

    def test_orderOfYieldAndSend(self) -> None:
        """
        Events that a generator yields and sends arrive in the order of the calls.
        """

        def generator(stream: EventStream) -> Iterator[str]:
            yield "a"
            yield "b"
            stream.send("c")
            yield "d"
            stream.send("e")

        async def asyncGenerator(stream: EventStream) -> AsyncIterator[str]:
            for each in generator(stream):
                yield each

        for connected in (generator, asyncGenerator):
            self.connect(connected)
            self.clock.advance(1)
            self.assertEqual(self.data(), ["a", "b", "c", "d", "e"])
            self.assertTrue(self.browser.complete)

    def test_slowPolicyOfAPush(self) -> None:
        """
        A coroutine that awaits C{whenWritable} sends as fast as the client reads.
        """
        sent: list[int] = []

        async def connected(stream: EventStream) -> None:
            for number in count():
                await stream.whenWritable()
                if not stream.send(f"{number}:".ljust(10_000, "w")):
                    return
                sent.append(number)
                await self.wait(0.001)

        self.connect(connected, maxPending=10)
        self.browser.stopReading(kernelBuffer=0)
        self.clock.advance(1)
        self.assertFalse(self.stream.closed)
        self.assertLess(len(sent), 15)
        self.browser.resumeReading()
        self.clock.advance(0.1)
        self.assertGreater(len(sent), 15)
        self.browser.disconnect()
        self.clock.advance(1)
        self.assertGone()


class AsyncioTests(DriverTestCase):
    """
    Tests for code written for asyncio.
    """

    def assertHint(self, connected: Callable[[EventStream], object]) -> None:
        """
        Assert that one line in the log has the remedy.
        """
        with capturedLogs() as logged:
            self.connect(connected)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        [hint] = warnings(logged)
        self.assertIn("--reactor=asyncio", hint)
        self.assertGone()

    def test_future(self) -> None:
        """
        Awaiting an asyncio future, which only the asyncio reactor can do, logs a hint.
        """
        loop = asyncio.new_event_loop()
        self.addCleanup(loop.close)

        async def coroutine(stream: EventStream) -> None:
            await loop.create_future()

        async def asyncGenerator(stream: EventStream) -> AsyncIterator[str]:
            await loop.create_future()
            yield "never"

        for connected in (coroutine, asyncGenerator):
            self.assertHint(connected)

    def test_sleep(self) -> None:
        """
        Awaiting C{asyncio.sleep}, which needs a running loop, logs the hint.
        """

        async def connected(stream: EventStream) -> None:
            await asyncio.sleep(1)

        self.assertHint(connected)

    def test_libraries(self) -> None:
        """
        A library that asks anyio or sniffio which loop it runs in logs the hint.
        """

        async def ofAnyio(stream: EventStream) -> None:
            await anyio.sleep(1)

        async def ofSniffio(stream: EventStream) -> None:
            sniffio.current_async_library()

        for connected in (ofAnyio, ofSniffio):
            self.assertHint(connected)

    def test_others(self) -> None:
        """
        Other L{RuntimeError}s do not log the hint.
        """

        async def connected(stream: EventStream) -> None:
            raise RuntimeError("something else")

        with capturedLogs() as logged:
            self.connect(connected)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual(warnings(logged), [])
        self.assertRefused(500)

    def test_every(self) -> None:
        """
        Awaiting asyncio code in C{every} logs the hint, too.
        """

        async def emit() -> str:
            await asyncio.sleep(1)
            return "never"

        with capturedLogs() as logs:
            self.connect(lambda stream: stream.every(1, emit))
            self.clock.advance(1)
        hints = [log for log in logs if "--reactor=asyncio" in str(log.get("log_format"))]
        self.assertEqual(len(hints), 1)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)


class OnceTests(DriverTestCase):
    """
    Tests for finite streams.
    """

    def test_end(self) -> None:
        """
        With C{once}, an exhausted iterable is followed by an C{end} event.
        """

        async def asynchronous() -> AsyncIterator[str]:
            yield "a"

        for make in (lambda: ["a"], asynchronous):
            self.connect(lambda stream, make=make: make(), once=True)
            self.clock.advance(1)
            first, last = self.browser.events
            self.assertEqual(first.data, "a")
            self.assertEqual((last.type, last.lastEventID), ("end", "end"))
            self.assertTrue(self.browser.complete)
            self.assertGone()

    def test_failure(self) -> None:
        """
        With C{once}, a generator that fails is not followed by an C{end} event, so that the browser
        reconnects.
        """

        def connected(stream: EventStream) -> Generator[str, None, None]:
            yield "a"
            raise ZeroDivisionError

        self.connect(connected, once=True)
        self.clock.advance(1)
        self.assertEqual(self.data(), ["a"])
        self.flushLoggedErrors(ZeroDivisionError)
        self.assertCut()
