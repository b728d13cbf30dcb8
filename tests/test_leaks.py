"""
Tests that closed streams are freed with the garbage collector off.
"""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any
from weakref import WeakSet

from klein import Klein
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from twisted_sse import EventStream, EventStreamResource, SlowReader
from twisted_sse.klein import eventStream
from twisted_sse.testing import MemoryClient, MemoryStream

#: More than a transport takes before it pauses its producer.
BIG = "x" * 70_000


def alive() -> list[EventStream]:
    """
    List the streams that exist.
    """
    return [each for each in gc.get_objects() if type(each) is EventStream]


class LeakTests(SynchronousTestCase):
    """
    Tests with a thousand connections, or with a hundred for each way to end.
    """

    def setUp(self) -> None:
        """
        Collect garbage, and turn the collector off.
        """
        gc.collect()
        # What is alive now is not looked at again, which otherwise takes most of the time.
        gc.freeze()
        gc.disable()
        self.addCleanup(gc.enable)
        # The streams of other tests, which may be freed at any time.
        self.others = WeakSet(alive())

    def assertNoneLeft(self) -> None:
        """
        Assert that no stream remains.
        """
        self.assertEqual(len([each for each in alive() if each not in self.others]), 0)

    def cycles(
        self,
        act: Callable[[MemoryClient, MemoryStream, EventStream], object],
        connected: Callable[[EventStream], object] = lambda stream: None,
        number: int = 100,
        collect: bool = False,
        errors: tuple[type[BaseException], ...] = (),
        **options: Any,
    ) -> None:
        """
        Connect and act on the stream, many times, and assert that nothing remains.
        """
        latest: list[EventStream] = []

        def remember(stream: EventStream) -> object:
            latest[:] = [stream]
            return connected(stream)

        resource = EventStreamResource(remember, **options)
        client = MemoryClient(resource)
        for _ in range(number):
            browser = client.get("/")
            act(client, browser, latest.pop())
            if resource.streams:
                client.clock.advance(1)
            for failure in self.flushLoggedErrors(*errors) if errors else ():
                # pytest keeps tracebacks in Failures to show them, and the log keeps the Failures.
                vars(failure).clear()
        del browser
        client.clock.settle()
        self.assertEqual(resource.streams, frozenset())
        self.assertEqual(resource._group.connecting, set())
        self.assertEqual(client.clock.getDelayedCalls(), [])
        if collect:
            gc.collect()
        self.assertNoneLeft()

    @staticmethod
    def disconnect(client: MemoryClient, browser: MemoryStream, stream: EventStream) -> None:
        """
        Disconnect the client.
        """
        browser.disconnect()

    @staticmethod
    def wait(client: MemoryClient, browser: MemoryStream, stream: EventStream) -> None:
        """
        Let the stream end by itself.
        """
        client.clock.advance(1)

    def test_thousand(self) -> None:
        """
        A thousand connections, one after another, each with a loop, leave nothing.
        """
        self.cycles(
            self.disconnect,
            lambda stream: stream.every(1, lambda: "x") and None,
            number=1000,
        )

    def test_thousandAtOnce(self) -> None:
        """
        A thousand simultaneous connections, each with a loop, leave nothing.
        """
        client = MemoryClient(
            EventStreamResource(lambda stream: stream.every(1, lambda: "x") and None)
        )
        browsers = [client.get("/") for _ in range(1000)]
        client.clock.advance(2)
        while browsers:
            browsers.pop().disconnect()
        self.assertEqual(client.clock.getDelayedCalls(), [])
        self.assertNoneLeft()

    def test_reset(self) -> None:
        """
        Streams whose clients reset the connection leave nothing.
        """
        self.cycles(lambda client, browser, stream: browser.disconnect(reset=True))

    def test_end(self) -> None:
        """
        Streams ended with C{end} leave nothing.
        """
        self.cycles(lambda client, browser, stream: stream.end())

    def test_abort(self) -> None:
        """
        Streams ended with C{abort} leave nothing.
        """
        self.cycles(lambda client, browser, stream: stream.abort())

    def test_endWithPending(self) -> None:
        """
        Streams ended with events queued leave nothing, whether the client reads them or
        disconnects.
        """

        def stall(browser: MemoryStream, stream: EventStream) -> None:
            browser.stopReading(kernelBuffer=0)
            stream.send(BIG)
            stream.send("waiting")
            stream.end()

        def reads(client: MemoryClient, browser: MemoryStream, stream: EventStream) -> None:
            stall(browser, stream)
            browser.resumeReading()

        def goes(client: MemoryClient, browser: MemoryStream, stream: EventStream) -> None:
            stall(browser, stream)
            browser.disconnect()

        for act in (reads, goes):
            self.cycles(act)

    def test_slow(self) -> None:
        """
        Streams of slow readers leave nothing, with any policy.
        """

        def act(client: MemoryClient, browser: MemoryStream, stream: EventStream) -> None:
            browser.stopReading(kernelBuffer=0)
            for _ in range(4):
                stream.send(BIG)
            browser.disconnect()

        for slow in SlowReader:
            self.cycles(act, slow=slow, maxPending=1000)

    def test_stalled(self) -> None:
        """
        Stalled streams leave nothing.
        """

        def act(client: MemoryClient, browser: MemoryStream, stream: EventStream) -> None:
            browser.stopReading(kernelBuffer=0)
            stream.send(BIG)
            client.clock.advance(10)

        self.cycles(act, stallTimeout=5)

    def test_limit(self) -> None:
        """
        Streams beyond a limit leave nothing.
        """
        client = MemoryClient(EventStreamResource(lambda stream: None, maxStreams=1))
        first = client.get("/")
        for _ in range(100):
            client.get("/")
            client.clock.advance(0.1)
        first.disconnect()
        del first
        self.assertEqual(client.clock.getDelayedCalls(), [])
        self.assertNoneLeft()

    def test_drain(self) -> None:
        """
        Drained streams leave nothing, with or without reaching the deadline.
        """
        for reads in (True, False):
            resource = EventStreamResource(lambda stream: stream.send(BIG) and None)
            client = MemoryClient(resource)
            browsers = []
            for _ in range(100):
                browsers.append(client.get("/"))
                if not reads:
                    browsers[-1].stopReading(kernelBuffer=0)
            for stream in resource.streams:
                stream.send(BIG)
            resource.drain(5)
            client.clock.advance(6)
            browsers.clear()
            del stream
            self.assertEqual(client.clock.getDelayedCalls(), [])
            self.assertNoneLeft()

    def test_refused(self) -> None:
        """
        Streams refused by an exception in a function or generator leave nothing.
        """

        def function(stream: EventStream) -> None:
            raise ZeroDivisionError

        def generator(stream: EventStream) -> Iterator[str]:
            raise ZeroDivisionError
            yield "never"

        for connected in (function, generator):
            self.cycles(self.wait, connected, errors=(ZeroDivisionError,), collect=True)

    def test_loopFails(self) -> None:
        """
        Streams whose loop fails leave nothing.
        """
        self.cycles(
            self.wait,
            lambda stream: stream.every(0.5, lambda: 1 // 0) and None,
            errors=(ZeroDivisionError,),
            collect=True,
        )

    def test_iterable(self) -> None:
        """
        Streams of an iterable leave nothing, exhausted or not.
        """
        self.cycles(self.wait, lambda stream: ["a", "b"])
        self.cycles(self.disconnect, lambda stream: iter(["a", BIG, BIG, BIG]))

    def test_generator(self) -> None:
        """
        Streams of a generator that refers to its stream leave nothing when it ends, is abandoned or
        fails.
        """

        def connected(stream: EventStream) -> Iterator[str]:
            yield "a"
            yield str(stream.eventsSent)

        def endless(stream: EventStream) -> Iterator[str]:
            while not stream.closed:
                yield "x" * 5000

        def fails(stream: EventStream) -> Iterator[str]:
            yield "a"
            raise ZeroDivisionError

        self.cycles(self.wait, connected)
        self.cycles(self.disconnect, endless, number=5)
        self.cycles(self.wait, fails, errors=(ZeroDivisionError,), collect=True)

    def test_deferred(self) -> None:
        """
        Streams of a Deferred leave nothing, whether or not it fires.
        """

        def fired(stream: EventStream) -> Deferred[None]:
            deferred: Deferred[None] = Deferred()
            deferred.callback(None)
            return deferred

        self.cycles(self.disconnect, fired)
        self.cycles(self.disconnect, lambda stream: Deferred(), collect=True)

    def test_coroutine(self) -> None:
        """
        Streams of a coroutine leave nothing after one collection, whether it returns, waits, sends
        or fails.
        """

        async def returns(stream: EventStream) -> None:
            stream.send("x")

        async def waits(stream: EventStream) -> None:
            await Deferred()

        async def sends(stream: EventStream) -> None:
            while True:
                await stream.whenWritable()
                stream.send(BIG)

        async def fails(stream: EventStream) -> None:
            raise ZeroDivisionError

        for connected in (returns, waits, sends):
            self.cycles(self.disconnect, connected, collect=True, number=5)
        self.cycles(self.wait, fails, collect=True, errors=(ZeroDivisionError,))

    def test_asyncGenerator(self) -> None:
        """
        Streams of an asynchronous generator leave nothing after one collection.
        """

        async def waits(stream: EventStream) -> AsyncIterator[str]:
            yield "a"
            await Deferred()

        async def endless(stream: EventStream) -> AsyncIterator[str]:
            while True:
                yield BIG

        async def runsOut(stream: EventStream) -> AsyncIterator[str]:
            yield "a"

        for connected in (waits, endless):
            self.cycles(self.disconnect, connected, collect=True, number=5)
        self.cycles(self.wait, runsOut, collect=True)

    def test_emitCoroutine(self) -> None:
        """
        Streams with a loop over a coroutine function leave nothing after one collection.
        """

        async def emit() -> str:
            await Deferred()
            return "never"

        def act(client: MemoryClient, browser: MemoryStream, stream: EventStream) -> None:
            client.clock.advance(1)
            browser.disconnect()

        self.cycles(act, lambda stream: stream.every(1, emit) and None, collect=True)

    def test_openTimeout(self) -> None:
        """
        Streams that reach C{openTimeout} leave nothing after one collection.
        """
        self.cycles(self.wait, lambda stream: Deferred(), openTimeout=0.5, collect=True)

    def test_slim(self) -> None:
        """
        Slim streams with a limit per address leave nothing.
        """
        self.cycles(self.disconnect, slim=True, maxStreamsPerAddress=5)

    def test_klein(self) -> None:
        """
        Streams of a Klein route leave nothing after one collection.
        """
        app = Klein()

        @app.route("/")
        @eventStream
        async def ticks(request: Any) -> AsyncIterator[str]:
            yield "a"
            await Deferred()

        client = MemoryClient(app.resource())
        for _ in range(100):
            client.get("/").disconnect()
        self.assertEqual(client.clock.getDelayedCalls(), [])
        gc.collect()
        self.assertNoneLeft()

    def test_requestsGoToo(self) -> None:
        """
        Requests, whose headers are much larger, are freed, too.
        """
        latest: list[EventStream] = []
        client = MemoryClient(EventStreamResource(latest.append))

        def requests() -> int:
            return sum(type(each).__name__ == "Request" for each in gc.get_objects())

        before = requests()
        for _ in range(100):
            browser = client.get("/")
            latest.clear()
            browser.disconnect()
        del browser
        self.assertLessEqual(requests(), before)
