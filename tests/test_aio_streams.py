"""
Tests for L{twisted_sse.aio} in event streams, in loops of asyncio without a reactor.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from klein import Klein
from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs
from twisted.web.error import Error
from twisted.web.iweb import IRequest

from tests.support.loops import looped, turns, until
from tests.support.results import DriverTestCase, warnings
from tests.support.streams import BIG
from twisted_sse import CloseReason, Event, EventStream
from twisted_sse.aio import AsyncioIterator, fromAsyncio
from twisted_sse.klein import eventStream
from twisted_sse.testing import MemoryClient


class Program:
    """
    An asyncio program that waits for items of the test.

    @ivar cleanUp: lets it clean up.
    @ivar made: the yielded items.
    @ivar ended: how it ended.
    """

    def __init__(self) -> None:
        self.queue: asyncio.Queue[Event | str | Exception] = asyncio.Queue()
        self.cleanUp = asyncio.Event()
        self.made: list[Event | str] = []
        self.ended: list[str] = []

    async def events(self) -> AsyncIterator[Event | str]:
        """
        Yield the items it receives, and raise those that are exceptions.
        """
        try:
            while True:
                item = await self.queue.get()
                if isinstance(item, Exception):
                    raise item
                self.made.append(item)
                yield item
        except asyncio.CancelledError:
            self.ended.append("cancelled")
            raise
        except GeneratorExit:
            self.ended.append("closed")
            raise
        finally:
            await self.cleanUp.wait()
            self.ended.append("cleaned up")

    def give(self, *items: Event | str | Exception) -> None:
        """
        Pass it items.
        """
        for item in items:
            self.queue.put_nowait(item)


class StreamTests(DriverTestCase):
    """
    Tests for a program whose events are those of a stream.
    """

    async def opened(self, **options: Any) -> Program:
        """
        Connect to a stream of the events of a program.
        """
        program = Program()
        self.connect(lambda stream: fromAsyncio(program.events()), **options)
        await turns()
        return program

    def turned(self, predicate: Callable[[], object]) -> Callable[[], object]:
        """
        @return: a function that runs a turn of the reactor, and returns its result.
        """

        def turn() -> object:
            self.clock.advance(0)
            return predicate()

        return turn

    async def cleanedUp(self, program: Program) -> None:
        """
        Let the program clean up, and wait until the stream has released everything.
        """
        program.cleanUp.set()
        await until(lambda: not self.clock.getDelayedCalls())
        self.assertGone()

    @looped
    async def test_direct(self) -> None:
        """
        The result of C{fromAsyncio} may be returned by C{connected}: its events are sent as they
        arrive, and the stream ends after the last.
        """
        more = asyncio.Event()

        async def events() -> AsyncIterator[Event | str]:
            yield Event("a", event="first")
            await more.wait()
            yield "b"

        self.connect(lambda stream: fromAsyncio(events()))
        await turns()
        self.assertEqual(self.data(), ["a"])
        more.set()
        await until(self.turned(lambda: self.browser.ended))
        self.assertEqual(
            [(e.type, e.data) for e in self.browser.events], [("first", "a"), ("message", "b")]
        )
        self.assertTrue(self.browser.complete)
        self.assertEqual(self.reasons, [CloseReason.ENDED])
        self.assertGone()

    @looped
    async def test_mapped(self) -> None:
        """
        A route may iterate over a program and make events from its items.
        """
        app = Klein()

        async def words() -> AsyncIterator[str]:
            for word in ["it", "depends"]:
                await asyncio.sleep(0)
                yield word

        @app.route("/")
        @eventStream(once=True)
        async def route(request: IRequest) -> AsyncIterator[Event]:
            async for word in fromAsyncio(words()):
                yield Event.json({"text": word})

        browser = MemoryClient(app.resource(), clock=self.clock).get("/")
        await turns()
        self.clock.advance(0)
        self.assertEqual(
            [event.data for event in browser.events], ['{"text":"it"}', '{"text":"depends"}', "{}"]
        )
        self.assertTrue(browser.complete)

    @looped
    async def test_backpressure(self) -> None:
        """
        While the browser does not read, no more items than requested are made.
        """
        program = await self.opened()
        program.give("a", BIG, "b", "c")
        self.browser.stopReading()
        await turns()
        self.clock.advance(1)
        await turns()
        made = len(program.made)
        self.assertLess(made, 4)
        self.browser.resumeReading()
        for _ in range(4):
            self.clock.advance(1)
            await turns()
        self.assertEqual(self.data(), ["a", BIG, "b", "c"])
        self.browser.disconnect()
        self.clock.advance(0)
        await self.cleanedUp(program)

    @looped
    async def test_leavesAsItWaits(self) -> None:
        """
        When the browser disconnects, the program is cancelled where it waits, and the stream waits
        for its cleanup.
        """
        program = await self.opened()
        program.give("a")
        await turns()
        self.browser.disconnect()
        self.clock.advance(0)
        await turns()
        self.assertEqual(program.ended, ["cancelled"])
        await self.cleanedUp(program)
        self.assertEqual(program.ended, ["cancelled", "cleaned up"])
        self.assertEqual(self.reasons, [CloseReason.CLIENT])

    @looped
    async def test_leavesAsItIsSlow(self) -> None:
        """
        When a browser that does not read disconnects, the program is closed at its C{yield}.
        """
        program = await self.opened()
        self.browser.stopReading()
        program.give(BIG, BIG, BIG)
        await turns()
        self.browser.disconnect()
        self.clock.advance(0)
        await turns()
        self.assertEqual(program.ended, ["closed"])
        await self.cleanedUp(program)
        self.assertEqual(program.ended, ["closed", "cleaned up"])

    @looped
    async def test_swallowed(self) -> None:
        """
        A program that does not end is cancelled again after C{closeTimeout}, and then abandoned, with
        one line in the log.
        """
        cancelled: list[bool] = []

        async def stubborn() -> AsyncIterator[str]:
            while len(cancelled) < 3:
                try:
                    await asyncio.sleep(60)
                except asyncio.CancelledError:
                    cancelled.append(True)
            yield "never"

        task: list[asyncio.Task[Any]] = []

        async def events() -> AsyncIterator[str]:
            current = asyncio.current_task()
            assert current is not None
            task.append(current)
            async for event in stubborn():
                yield event

        self.connect(lambda stream: fromAsyncio(events()), closeTimeout=5)
        await turns()
        with capturedLogs() as logged:
            self.browser.disconnect()
            for seconds, count in (0, 1), (4.9, 1), (0.2, 2):
                self.clock.advance(seconds)
                await turns()
                self.assertEqual(len(cancelled), count)
        [warning] = warnings(logged)
        self.assertIn("abandoned", warning)
        self.assertGone()
        task[0].cancel()

    @looped
    async def test_fails(self) -> None:
        """
        An exception of the program after its first event cuts the response short, and is logged
        once.
        """
        program = await self.opened()
        program.cleanUp.set()
        program.give("a", ZeroDivisionError("in the middle"))
        await until(self.turned(lambda: self.browser.ended))
        self.assertEqual(self.data(), ["a"])
        self.assertCut()
        [failure] = self.flushLoggedErrors(ZeroDivisionError)
        self.assertIn("in events", failure.getTraceback())

    @looped
    async def test_failsToClose(self) -> None:
        """
        An exception of the program after the browser has disconnected is logged once.
        """

        async def failing() -> AsyncIterator[str]:
            try:
                await asyncio.sleep(60)
            finally:
                raise ZeroDivisionError
            yield "never"

        self.connect(lambda stream: fromAsyncio(failing()))
        await turns()
        self.browser.disconnect()
        self.clock.advance(0)
        await turns()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertGone()

    @looped
    async def test_wrongItem(self) -> None:
        """
        An item that is not an event ends the program, and cuts the response short.
        """
        program = await self.opened()
        program.cleanUp.set()
        program.give(42)  # type: ignore[arg-type]
        await until(self.turned(lambda: self.browser.ended))
        self.assertCut()
        self.assertEqual(program.ended, ["closed", "cleaned up"])
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)


class StatusTests(DriverTestCase):
    """
    Tests for errors before the headers.
    """

    def kinds(
        self, program: Callable[[], AsyncIterator[str]]
    ) -> list[Callable[[EventStream], object]]:
        """
        @return: the ways to have the response wait for the first item.
        """

        async def coroutine(stream: EventStream) -> AsyncioIterator[str]:
            return await fromAsyncio(program()).whenStarted()

        async def first() -> str:
            async for item in program():
                return item
            raise AssertionError("there is none")

        async def asked(stream: EventStream) -> list[str]:
            return [await fromAsyncio(first())]

        return [lambda stream: fromAsyncio(program()).whenStarted(), coroutine, asked]

    @looped
    async def test_first(self) -> None:
        """
        The headers wait for the first item.
        """
        for index in range(3):
            release = asyncio.Event()

            async def program(release: asyncio.Event = release) -> AsyncIterator[str]:
                await release.wait()
                yield "a"

            self.connect(self.kinds(program)[index])
            await turns()
            self.assertIsNone(self.browser.status)
            release.set()
            await turns()
            self.clock.advance(0)
            self.assertEqual((self.browser.status, self.data()), (200, ["a"]))
            self.assertTrue(self.browser.complete)

    @looped
    async def test_status(self) -> None:
        """
        An error before the first item is an HTTP status, and logged once if it has no status of its
        own.
        """

        async def program(error: Exception) -> AsyncIterator[str]:
            await asyncio.sleep(0)
            raise error
            yield "never"

        for error, status in (Error(429), 429), (ZeroDivisionError(), 500):
            for index in range(3):

                def failing(error: Exception = error) -> AsyncIterator[str]:
                    return program(error)

                self.connect(self.kinds(failing)[index])
                await turns()
                self.assertRefused(status)
                logged = self.flushLoggedErrors(ZeroDivisionError)
                self.assertEqual(len(logged), int(status == 500))

    @looped
    async def test_timeout(self) -> None:
        """
        A program that is silent for C{openTimeout} is cancelled, and the response is 503.
        """
        ended: list[bool] = []

        async def silent() -> AsyncIterator[str]:
            try:
                await asyncio.sleep(60)
            finally:
                ended.append(True)
            yield "never"

        for index in range(3):
            self.connect(self.kinds(silent)[index], openTimeout=30)
            await turns()
            self.clock.advance(30)
            self.clock.advance(0)
            await turns()
            self.assertRefused(503)
            self.assertEqual(len(ended), index + 1)

    @looped
    async def test_leaves(self) -> None:
        """
        A browser that disconnects before the first item cancels the program.
        """
        program = Program()
        program.cleanUp.set()
        for connected in self.kinds(program.events):  # type: ignore[arg-type]
            program.ended.clear()
            self.connect(connected)
            await turns()
            self.browser.disconnect()
            self.clock.advance(0)
            await until(lambda: not self.clock.getDelayedCalls())
            self.assertEqual(program.ended, ["cancelled", "cleaned up"])
            self.assertGone()

    def test_otherReactor(self) -> None:
        """
        With another reactor the response is 500, and the log names the option to use, once.
        """

        async def program() -> AsyncIterator[str]:
            yield "never"

        async def generator(stream: EventStream) -> AsyncIterator[Event]:
            async for item in fromAsyncio(program()):
                yield Event(item)

        for connected in (*self.kinds(program), generator, lambda _: fromAsyncio(program())):
            self.connect(connected)
            [failure] = self.flushLoggedErrors(RuntimeError)
            self.assertIn("--reactor=asyncio", failure.getErrorMessage())
            self.assertRefused(500)

    @looped
    async def test_ofTwisted(self) -> None:
        """
        Awaiting a Twisted object inside the program fails, and does not wait endlessly.
        """

        async def wrong() -> AsyncIterator[str]:
            yield await Deferred()

        self.connect(lambda stream: fromAsyncio(wrong()).whenStarted())
        await turns()
        self.assertRefused(500)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
