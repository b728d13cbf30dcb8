"""
Tests for L{twisted_sse.stream.result}: what C{connected} may return, and what becomes of it.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from itertools import count, pairwise
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.task import deferLater
from twisted.logger import LogEvent, capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.error import Error, PageRedirect

from twisted_sse import CloseReason, Event, EventStream, EventStreamResource
from twisted_sse.stream.result import TURN_BYTES
from twisted_sse.testing import MemoryClient, MemoryClock, MemoryStream

#: More than a transport takes before it says pause.
BIG = "x" * 70_000


class DriverTestCase(SynchronousTestCase):
    """
    One resource, one client in memory, one stream.
    """

    client: MemoryClient
    resource: EventStreamResource
    browser: MemoryStream
    stream: EventStream

    def setUp(self) -> None:
        """
        Make the clock, which what is tried needs too.
        """
        self.clock = MemoryClock()

    def connect(self, connected: Callable[[EventStream], object], **options: Any) -> MemoryStream:
        """
        Connect to a resource with this C{connected}.
        """

        def remember(stream: EventStream) -> object:
            self.stream = stream
            self.reasons: list[CloseReason] = []
            stream.whenClosed().addCallback(self.reasons.append)
            return connected(stream)

        self.resource = EventStreamResource(remember, **options)
        self.client = MemoryClient(self.resource, clock=self.clock)
        self.browser = self.client.get("/")
        return self.browser

    def wait(self, seconds: float = 1) -> Deferred[None]:
        """
        Something to be awaited.
        """
        return deferLater(self.clock, seconds)  # type: ignore[arg-type]

    def data(self) -> list[str]:
        """
        The data of the events that have come.
        """
        return [event.data for event in self.browser.events]

    def assertGone(self) -> None:
        """
        The stream is closed, and nothing of it is left.
        """
        self.assertTrue(self.stream.closed)
        self.assertIsNone(self.stream.request)
        self.assertEqual(self.resource.streams, frozenset())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def assertRefused(self, status: int) -> None:
        """
        The answer is this status, without a traceback and without an event stream.
        """
        self.assertEqual(self.browser.status, status)
        self.assertTrue(self.browser.complete)
        self.assertNotIn("Traceback", self.browser.text)
        self.assertNotIn("File", self.browser.text)
        self.assertNotEqual(self.browser.headers.get("Content-Type"), "text/event-stream")
        self.assertEqual(self.browser.events, [])
        self.assertEqual(self.reasons, [CloseReason.ERROR])
        self.assertGone()

    def assertCut(self) -> None:
        """
        The stream was ended as an error: it does not look complete.
        """
        self.assertEqual(self.browser.status, 200)
        self.assertTrue(self.browser.ended)
        self.assertFalse(self.browser.complete)
        self.assertEqual(self.reasons, [CloseReason.ERROR])
        self.assertGone()


def warnings(events: list[LogEvent]) -> list[str]:
    """
    The formats of the warnings among log events.
    """
    return [event["log_format"] for event in events if event["log_level"].name == "warn"]


class ResultTests(DriverTestCase):
    """
    Tests for each kind of result, and when its headers go out.
    """

    def test_none(self) -> None:
        """
        After None the headers are out, and the stream stays open.
        """
        self.connect(lambda stream: None)
        self.assertEqual(self.browser.status, 200)
        self.clock.advance(100)
        self.assertFalse(self.browser.ended)
        self.assertFalse(self.stream.closed)

    def test_iterables(self) -> None:
        """
        Each event of an iterable is sent, a str as its data; then the stream ends.
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
        An empty iterable, and an empty asynchronous one, is an empty stream.
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
        C{connected} may be an asynchronous generator function; events go out as they come.
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
        An asynchronous generator that waits before its first event has decided: the headers
        are out.
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
        An asynchronous iterator that is no generator will do, with C{aclose} and without.
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
        Of a coroutine the headers go out when it returns; with None the stream stays open.
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
        A coroutine or Deferred may have any of the results as its own result, nested too.
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
        What a coroutine sends after it has waited goes out at once, with the headers before.
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
        What a coroutine sends before it first waits goes out when it waits.
        """

        async def connected(stream: EventStream) -> None:
            stream.send("first")
            await self.wait()

        self.connect(connected)
        self.assertEqual(self.data(), ["first"])

    def test_returnedByStream(self) -> None:
        """
        What C{send} and C{every} return is as good as L{None}: a lambda that calls one of them
        is all that is needed.
        """
        self.connect(lambda stream: stream.send("hello"))
        self.assertEqual([event.data for event in self.browser.events], ["hello"])
        self.assertFalse(self.browser.ended)
        self.connect(lambda stream: stream.every(2, lambda: "tick"))
        self.client.clock.advance(2)
        self.assertEqual([event.data for event in self.browser.events], ["tick"])

    def test_wrong(self) -> None:
        """
        Any other result is a 500, and a TypeError in the log that shows it.
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


class RefusalTests(DriverTestCase):
    """
    Tests for what is raised before the headers.
    """

    def ways(self, error: Exception) -> Iterator[Callable[[EventStream], object]]:
        """
        All ways to raise it.
        """

        def function(stream: EventStream) -> None:
            stream.send("dropped")
            raise error

        def generator(stream: EventStream) -> Iterator[str]:
            stream.send("dropped")
            raise error
            yield "never"

        async def coroutine(stream: EventStream) -> None:
            raise error

        async def later(stream: EventStream) -> None:
            await self.wait()
            raise error

        async def asyncGenerator(stream: EventStream) -> AsyncIterator[str]:
            stream.send("dropped")
            raise error
            yield "never"

        yield function
        yield generator
        yield coroutine
        yield later
        yield asyncGenerator
        yield lambda stream: fail(error)

    def test_error(self) -> None:
        """
        C{Error(403)} is a 403, however it is raised, and nothing is logged.
        """
        for connected in self.ways(Error(403)):
            self.connect(connected)
            self.clock.advance(1)
            self.assertIn("Forbidden", self.browser.text)
            self.assertRefused(403)

    def test_errorWithText(self) -> None:
        """
        The message of an Error is the body, as plain text.
        """
        for error in (Error(401, b"Who are you?"), Error(401, None, b"Who are you?")):
            for connected in self.ways(error):
                self.connect(connected)
                self.clock.advance(1)
                self.assertIn("Who are you?", self.browser.text)
                self.assertEqual(self.browser.headers["Content-Type"], "text/plain; charset=utf-8")
                self.assertRefused(401)

    def test_noContent(self) -> None:
        """
        C{Error(204)} is a 204 without a body: a browser stops for good.
        """
        for connected in self.ways(Error(204)):
            self.connect(connected)
            self.clock.advance(1)
            self.assertEqual(self.browser.body, b"")
            self.assertRefused(204)

    def test_redirect(self) -> None:
        """
        A redirection has its location.
        """
        for connected in self.ways(PageRedirect(302, location=b"https://example.com/other")):
            self.connect(connected)
            self.clock.advance(1)
            self.assertEqual(self.browser.headers["Location"], "https://example.com/other")
            self.assertRefused(302)

    def test_others(self) -> None:
        """
        Any other exception is a 500 without a traceback, and logged once.
        """
        for connected in self.ways(ZeroDivisionError("secret")):
            self.connect(connected)
            self.clock.advance(1)
            self.assertNotIn("secret", self.browser.text)
            self.assertRefused(500)
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_headersOfTheApplication(self) -> None:
        """
        Headers that the application has set are on the refusal.
        """

        def connected(stream: EventStream) -> None:
            assert stream.request is not None
            stream.request.setHeader(b"www-authenticate", b"Basic")
            raise Error(401)

        self.connect(connected)
        self.assertEqual(self.browser.headers["WWW-Authenticate"], "Basic")

    def test_openTimeout(self) -> None:
        """
        When nothing is decided for C{openTimeout} the answer is 503, and what was awaited is
        cancelled.
        """
        cancelled: list[object] = []
        self.connect(lambda stream: Deferred(cancelled.append), openTimeout=30)
        with capturedLogs() as logged:
            self.clock.advance(29.9)
            self.assertIsNone(self.browser.status)
            self.clock.advance(0.1)
        self.assertEqual(len(cancelled), 1)
        self.assertEqual(len(warnings(logged)), 1)
        self.assertRefused(503)

    def test_openTimeoutOfAResult(self) -> None:
        """
        It goes for what a coroutine waits for as well.
        """

        async def connected(stream: EventStream) -> None:
            await Deferred()

        self.connect(connected, openTimeout=5)
        self.clock.advance(5)
        self.assertRefused(503)

    def test_openTimeoutNone(self) -> None:
        """
        Without C{openTimeout} it may take for ever.
        """
        self.connect(lambda stream: Deferred(), openTimeout=None)
        self.clock.advance(10_000)
        self.assertIsNone(self.browser.status)
        self.assertFalse(self.browser.ended)

    def test_openTimeoutIsOver(self) -> None:
        """
        Once the headers are out nobody asks how long it takes.
        """

        async def connected(stream: EventStream) -> None:
            stream.open()
            await self.wait(1000)

        self.connect(connected, openTimeout=5)
        self.clock.advance(999)
        self.assertFalse(self.browser.ended)
        self.assertEqual(self.browser.status, 200)
        self.clock.advance(1)
        self.assertFalse(self.browser.ended)

    def test_openTimeoutAfterAPush(self) -> None:
        """
        Sending something from outside decides too.
        """
        self.connect(lambda stream: Deferred(), openTimeout=5)
        self.clock.advance(4)
        self.stream.send("x")
        self.clock.advance(100)
        self.assertFalse(self.browser.ended)
        self.assertEqual(self.data(), ["x"])


class FailureTests(DriverTestCase):
    """
    Tests for what is raised after the headers.
    """

    def test_generators(self) -> None:
        """
        What is raised after an event ends the stream as an error, after that event.
        """

        def generator(stream: EventStream) -> Iterator[str]:
            yield "one"
            yield "two"
            raise ZeroDivisionError

        async def asyncGenerator(stream: EventStream) -> AsyncIterator[str]:
            yield "one"
            yield "two"
            raise ZeroDivisionError

        async def waiting(stream: EventStream) -> AsyncIterator[str]:
            yield "one"
            yield "two"
            await self.wait()
            raise ZeroDivisionError

        for connected in (generator, asyncGenerator, waiting):
            self.connect(connected)
            self.clock.advance(1)
            self.assertEqual(self.data(), ["one", "two"])
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
            self.assertCut()

    def test_errorIsNoStatusAnyMore(self) -> None:
        """
        An Error after the first event is an error like others: logged, and a cut.
        """

        def connected(stream: EventStream) -> Iterator[str]:
            yield "one"
            raise Error(403)

        self.connect(connected)
        self.clock.advance(1)
        self.assertEqual(len(self.flushLoggedErrors(Error)), 1)
        self.assertCut()

    def test_coroutine(self) -> None:
        """
        A coroutine that fails after it has sent something ends the stream.
        """

        async def connected(stream: EventStream) -> None:
            stream.send("one")
            await self.wait()
            raise ZeroDivisionError

        self.connect(connected)
        self.clock.advance(1)
        self.assertEqual(self.data(), ["one"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertCut()

    def test_logged(self) -> None:
        """
        The log has it once, with the client's address.
        """

        def connected(stream: EventStream) -> Iterator[str]:
            yield "one"
            raise ZeroDivisionError

        with capturedLogs() as logged:
            self.connect(connected)
            self.clock.advance(1)
        [event] = [event for event in logged if "log_failure" in event]
        self.assertEqual(event["address"], "127.0.0.1")
        self.flushLoggedErrors(ZeroDivisionError)

    def test_noEvents(self) -> None:
        """
        What is yielded and no event ends the stream, with a TypeError in the log that shows it.
        """

        for wrong in (5, b"bytes", None, {"data": "x"}, ["a"]):

            def generator(stream: EventStream, wrong: object = wrong) -> Iterator[object]:
                yield "fine"
                yield wrong

            async def asyncGenerator(
                stream: EventStream, wrong: object = wrong
            ) -> AsyncIterator[object]:
                yield "fine"
                yield wrong

            for connected in (generator, asyncGenerator):
                self.connect(connected)
                self.clock.advance(1)
                self.assertEqual(self.data(), ["fine"])
                [failure] = self.flushLoggedErrors(TypeError)
                self.assertIn(f"{wrong!r} is no event", failure.getErrorMessage())
                self.assertCut()

    def test_noEventAtFirst(self) -> None:
        """
        When it is the first thing yielded, it is a 500.
        """
        self.connect(lambda stream: [5])
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)
        self.assertRefused(500)

    def test_generatorIsClosedAfterNoEvent(self) -> None:
        """
        A generator that has yielded what is no event is closed, so that its C{finally} runs.
        """
        closed: list[str] = []

        def generator(stream: EventStream) -> Iterator[object]:
            try:
                yield 5
            finally:
                closed.append("generator")

        async def asyncGenerator(stream: EventStream) -> AsyncIterator[object]:
            try:
                yield 5
            finally:
                closed.append("asyncGenerator")

        for connected in (generator, asyncGenerator):
            self.connect(connected)
            self.flushLoggedErrors(TypeError)
            self.assertRefused(500)
        self.assertEqual(closed, ["generator", "asyncGenerator"])

    def test_others(self) -> None:
        """
        The other streams of the resource go on.
        """
        numbers = iter(range(10))

        def connected(stream: EventStream) -> Iterator[str] | None:
            return (str(1 // 0) for _ in "x") if next(numbers) else None

        first = self.connect(connected)
        stream = self.stream
        second = self.client.get("/")
        self.assertEqual(second.status, 500)
        self.flushLoggedErrors(ZeroDivisionError)
        stream.send("still here")
        self.assertEqual([event.data for event in first.events], ["still here"])

    def test_baseException(self) -> None:
        """
        Whatever a generator raises ends its stream: it does not stay open for ever.
        """

        def connected(stream: EventStream) -> Iterator[str]:
            yield "x"
            raise SystemExit

        self.connect(connected)
        self.clock.advance(1)
        self.assertTrue(self.browser.ended)
        self.assertFalse(self.browser.complete)
        self.assertEqual(len(self.flushLoggedErrors(SystemExit)), 1)


class PullTests(DriverTestCase):
    """
    Tests for how much is pulled, and when.
    """

    def counted(self, size: int = 1000) -> Iterator[str]:
        """
        An endless generator that counts what was pulled of it.
        """
        for number in count():
            self.pulled = number + 1
            yield f"{number}:".ljust(size, "p")

    async def countedAsync(self, size: int = 1000) -> AsyncIterator[str]:
        """
        The same, asynchronous, and never waiting.
        """
        for item in self.counted(size):
            yield item

    def test_boundedTurns(self) -> None:
        """
        An endless iterable gives at most 16 KiB, and one event, in one turn of the reactor.
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
            # Without the first one, which has what was pulled as it connected.
            steps = [after - before for before, after in pairwise(pulled[1:])]
            self.assertLessEqual(pulled[1], 2 * (TURN_BYTES // 1000 + 2))
            self.assertGreater(max(steps), 0)
            self.assertLessEqual(max(steps), TURN_BYTES // 1000 + 2)
            self.assertGreater(sum(step > 0 for step in steps), 10)
            self.browser.disconnect()
            self.patch(clock, "_turn", turn)
            self.assertGone()

    def test_boundedTime(self) -> None:
        """
        An iterable that is slow has 5 ms in one turn of the reactor.
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
        Beside an endless iterable other streams of the same reactor get their events in time.
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
        Nothing is pulled while the client does not read, and it goes on when it does.
        """
        for items in (self.counted, self.countedAsync):
            self.pulled = 0
            self.connect(lambda stream, items=items: items(), stallTimeout=None, heartbeat=None)
            self.browser.stopReading(kernelBuffer=0)
            self.clock.advance(1)
            before = self.pulled
            self.clock.advance(100)
            self.assertEqual(self.pulled, before)
            self.assertLess(self.stream.bytesPending, 2 * TURN_BYTES)
            self.assertEqual(self.clock.getDelayedCalls(), [])
            seen = len(self.browser._response.events)
            self.browser.resumeReading()
            self.assertGreater(self.pulled, before)
            self.assertGreater(len(self.browser.events), seen)
            self.browser.disconnect()
            self.assertGone()

    def test_pausedBeforeAPull(self) -> None:
        """
        A pull that was due is not made when the stream was filled by somebody else meanwhile.
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
        However small C{maxPending}, one who only reads what is pulled is never disconnected.
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
        What a generator yields and what it sends arrives in the order it was done.
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
        A coroutine that waits until the stream is writable sends as fast as the client reads.
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


class DisconnectTests(DriverTestCase):
    """
    Tests for what is cancelled and closed as a stream ends.
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
        A Deferred that is returned when the stream is over already is cancelled too.
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
        One that has failed is no "unhandled error" of nobody: at most it is logged once.
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
        A coroutine gets CancelledError where it waits, and its C{finally} is run.
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
        A C{finally} that waits is given the time.
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
        A coroutine that is returned when the stream is over is not run.
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
        What a Deferred gives after the client has gone is dropped, whatever it is, and closed if
        it is a coroutine.
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
        A coroutine that swallows the cancellation may return what it likes.
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
        What a coroutine or asynchronous generator raises as it is cancelled is logged once.
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
        A canceller that raises is logged, and the stream goes all the same.
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
        A generator is closed where it stands, and its C{finally} is run.
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
        The same while the next pull is due.
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
        A generator whose C{finally} fails, or that does not stop, is logged.
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
        A generator may abort its own stream: it is closed, and what it still yields dropped.
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
        The same before its first event.
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
        A generator may end its own stream: all that it has yielded before goes out.
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
        What a generator raises after it has ended its own stream is logged.
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
        An asynchronous generator that waits is cancelled there; its C{finally} may await.
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
        One that has yielded and waits for the client to read is closed, and may await too.
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
        One that ends its own stream and waits on is cancelled.
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
        One that swallows the cancellation and yields is closed; what it yields is dropped.
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
        One that swallows it and waits again is cancelled again.
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
        One that will not stop is abandoned after C{closeTimeout}, and that is logged once.
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
        A class-based asynchronous iterator is told by C{aclose}, if it has that.
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
        An object whose C{__aiter__} is an asynchronous generator has that closed, awaiting.
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
        A drain ends a stream whose C{connected} has not decided yet, and cancels it.
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


class AsyncioTests(DriverTestCase):
    """
    Tests for code that was written for asyncio.
    """

    def assertHint(self, connected: Callable[[EventStream], object]) -> None:
        """
        One line in the log says what to do.
        """
        with capturedLogs() as logged:
            self.connect(connected)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        [hint] = warnings(logged)
        self.assertIn("--reactor=asyncio", hint)
        self.assertGone()

    def test_future(self) -> None:
        """
        An awaited future of asyncio, which no other reactor can wait for, gets a hint.
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
        So does C{asyncio.sleep}, which wants a running loop.
        """

        async def connected(stream: EventStream) -> None:
            await asyncio.sleep(1)

        self.assertHint(connected)

    def test_others(self) -> None:
        """
        Other RuntimeErrors get none.
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
        It is said for what C{every} awaits, too.
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
    Tests for streams that are finite.
    """

    def test_end(self) -> None:
        """
        With C{once} the last event of an iterable that ran out says so.
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
        One that fails does not say so: the browser comes back.
        """

        def connected(stream: EventStream) -> Generator[str, None, None]:
            yield "a"
            raise ZeroDivisionError

        self.connect(connected, once=True)
        self.clock.advance(1)
        self.assertEqual(self.data(), ["a"])
        self.flushLoggedErrors(ZeroDivisionError)
        self.assertCut()
