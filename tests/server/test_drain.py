"""
Tests for L{twisted_sse.server.group}: draining streams, with C{drain} and the service.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from twisted.application.service import IService, MultiService
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.testing import StringTransport
from zope.interface.verify import verifyObject

from tests.support.resources import ResourceTestCase
from tests.support.streams import BIG
from twisted_sse import CloseReason, Event, EventStream
from twisted_sse.stream.response import Response


class DrainTests(ResourceTestCase):
    """
    Tests for C{drain}.
    """

    def test_drain(self) -> None:
        """
        Each client gets a random C{retry}, and its stream ends.
        """
        client = self.serve()
        browsers = [client.get("/") for _ in range(50)]
        reasons: list[CloseReason] = []
        for stream in self.streams:
            stream.send("before")
            stream.whenClosed().addCallback(reasons.append)
        done = self.resource.drain(5)
        client.clock.advance(1)
        self.assertIsNone(self.successResultOf(done))
        self.assertEqual(reasons, [CloseReason.DRAIN] * 50)
        for browser in browsers:
            self.assertEqual([event.data for event in browser.events], ["before"])
            self.assertTrue(browser.complete)
            retry = browser.retry
            assert retry is not None
            self.assertTrue(1000 <= retry <= 5000)
        self.assertGreater(len({browser.retry for browser in browsers}), 20)
        self.assertNothingLeft()

    def test_farewell(self) -> None:
        """
        Each client gets the farewell after everything else, then the reconnection time.
        """
        client = self.serve()
        browser = client.get("/")
        self.streams[0].send("before")
        self.resource.drain(5, retry=(1000, 1000), farewell=Event("bye", event="note"))
        client.clock.advance(1)
        self.assertTrue(
            browser.text.endswith("data: before\n\nevent: note\ndata: bye\n\nretry: 1000\n\n"),
            browser.text,
        )

    def test_farewellForEach(self) -> None:
        """
        A function makes the farewell of each stream, or none; but not for streams that have ended,
        are over a limit, or connect during the drain.
        """
        client = self.serve(maxStreams=3)
        browsers = [client.get("/", {"Last-Event-ID": str(number)}) for number in range(3)]
        for browser in browsers:
            browser.stopReading(kernelBuffer=0)
        for stream in self.streams:
            stream.send(BIG)
        refused = client.get("/")
        self.streams[2].end()
        asked: list[str] = []

        def farewell(stream: EventStream) -> Event | None:
            asked.append(stream.lastEventID)
            return Event(f"bye {stream.lastEventID}") if stream.lastEventID != "1" else None

        done = self.resource.drain(5, farewell=farewell)
        late = client.get("/")
        for browser in browsers:
            browser.resumeReading()
        client.clock.advance(1)
        self.assertEqual(sorted(asked), ["0", "1"])
        data = [[event.data for event in browser.events][1:] for browser in browsers]
        self.assertEqual(data, [["bye 0"], [], []])
        self.assertEqual((refused.events, late.events), ([], []))
        self.successResultOf(done)
        self.assertNothingLeft()

    def test_farewellWhileConnecting(self) -> None:
        """
        A client that has not been accepted yet gets no farewell.
        """
        client = self.serve(lambda stream: Deferred())
        browser = client.get("/")
        asked: list[EventStream] = []
        for farewell in (Event("bye"), asked.append):
            done = self.resource.drain(5, farewell=farewell)  # type: ignore[arg-type]
            self.assertComeBack(browser, 1000, 5000)
            self.assertEqual((browser.events, asked), ([], []))
            self.successResultOf(done)
            self.resource.admit()
            browser = client.get("/")

    def test_farewellIsNotDropped(self) -> None:
        """
        The farewell is sent, regardless of C{maxPending}, to a client that resumes reading in time.
        """
        client = self.serve(maxPending=10)
        browser = client.get("/")
        browser.stopReading(kernelBuffer=0)
        self.streams[0].send(BIG)
        self.streams[0].send("x")
        self.resource.drain(5, farewell=Event("bye"))
        client.clock.advance(1)
        browser.resumeReading()
        client.clock.advance(1)
        self.assertEqual([event.data for event in browser.events][1:], ["x", "bye"])
        self.assertTrue(browser.complete)

    def test_farewellFails(self) -> None:
        """
        A function that fails, or returns no event, is logged, and the stream is drained like the
        others.
        """
        for farewell, error in (
            (lambda stream: 1 // 0, ZeroDivisionError),
            (lambda stream: "bye", TypeError),
        ):
            client = self.serve()
            browser = client.get("/")
            done = self.resource.drain(5, farewell=farewell)
            client.clock.advance(1)
            self.assertIsNone(self.successResultOf(done))
            self.assertEqual(browser.events, [])
            self.assertTrue(browser.complete)
            self.assertEqual(len(self.flushLoggedErrors(error)), 1)
        self.assertRaises(TypeError, self.resource.drain, 5, farewell="bye")
        self.assertRaises(TypeError, self.resource.service, farewell="bye")

    def test_farewellEnds(self) -> None:
        """
        A function that ends its stream, or another, does not affect other streams.
        """
        client = self.serve()
        browsers = [client.get("/") for _ in range(4)]

        def farewell(stream: EventStream) -> Event:
            self.streams[0].abort()
            stream.end()
            return Event("bye")

        done = self.resource.drain(5, farewell=farewell)
        client.clock.advance(1)
        self.assertIsNone(self.successResultOf(done))
        self.assertTrue(all(browser.ended for browser in browsers))
        self.assertNothingLeft()

    def test_farewellOfTheService(self) -> None:
        """
        The service sends the farewell when it stops.
        """
        client = self.serve()
        browser = client.get("/")
        service: Any = self.resource.service(5, farewell=Event("bye"))
        service.startService()
        service.stopService()
        client.clock.advance(1)
        self.assertEqual([event.data for event in browser.events], ["bye"])

    def test_retry(self) -> None:
        """
        The range of C{retry} can be set.
        """
        client = self.serve()
        # Enough that each of the three is chosen, except with a probability of 1 in 10 ** 34.
        browsers = [client.get("/") for _ in range(200)]
        self.resource.drain(5, retry=(100, 102))
        client.clock.advance(1)
        self.assertEqual({browser.retry for browser in browsers}, {100, 101, 102})

    def test_none(self) -> None:
        """
        Without streams the drain is done immediately.
        """
        self.serve()
        self.successResultOf(self.resource.drain(5))
        self.assertNothingLeft()

    def test_connectionIsClosed(self) -> None:
        """
        A drain closes the connection after the last chunk, and another end does not.
        """
        for end, closed in ((lambda: self.streams[0].end(), False), (self.drain, True)):
            client = self.serve()
            transport = StringTransport()
            protocol = client.site.buildProtocol(IPv4Address("TCP", "127.0.0.1", 1))
            assert protocol is not None
            protocol.makeConnection(transport)
            protocol.dataReceived(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            end()
            client.clock.advance(1)
            self.assertTrue(transport.value().endswith(b"\r\n0\r\n\r\n"))
            self.assertEqual(transport.disconnecting, closed)

    def drain(self) -> None:
        """
        Drain the resource.
        """
        self.resource.drain(5)

    def test_newcomers(self) -> None:
        """
        Clients that connect during or after a drain get a C{retry} of the same range.
        """
        client = self.serve()
        browser = client.get("/")
        browser.stopReading(kernelBuffer=0)
        self.streams[0].send(BIG)
        done = self.resource.drain(5, retry=(2000, 3000))
        for _ in range(5):
            self.assertComeBack(client.get("/"), 2000, 3000)
        self.assertEqual(len(self.streams), 1)
        browser.resumeReading()
        client.clock.advance(1)
        self.successResultOf(done)
        self.assertComeBack(client.get("/"), 2000, 3000)
        self.assertNothingLeft()

    def test_deadline(self) -> None:
        """
        A client that does not read is aborted at the deadline.
        """
        client = self.serve()
        browser = client.get("/")
        browser.stopReading(kernelBuffer=0)
        self.streams[0].send(BIG)
        reasons: list[CloseReason] = []
        self.streams[0].whenClosed().addCallback(reasons.append)
        done = self.resource.drain(5)
        client.clock.advance(4.9)
        self.assertNoResult(done)
        self.assertFalse(browser.ended)
        client.clock.advance(0.2)
        self.successResultOf(done)
        self.assertEqual(reasons, [CloseReason.DRAIN])
        self.assertTrue(browser.ended)
        self.assertFalse(browser.complete)
        self.assertNothingLeft()

    def test_atOnce(self) -> None:
        """
        With 0 seconds the drain does not wait for clients.
        """
        client = self.serve()
        browser = client.get("/")
        browser.stopReading(kernelBuffer=0)
        self.streams[0].send(BIG)
        done = self.resource.drain(0)
        client.clock.settle()
        self.successResultOf(done)
        self.assertNothingLeft()

    def test_full(self) -> None:
        """
        A client whose queue is full is drained like any other, and gets its queue.
        """
        client = self.serve(maxPending=100)
        browser = client.get("/")
        browser.stopReading(kernelBuffer=0)
        self.streams[0].send(BIG)
        self.streams[0].send("y" * 90)
        self.resource.drain(5)
        client.clock.advance(1)
        browser.resumeReading()
        client.clock.advance(1)
        self.assertEqual([len(event.data) for event in browser.events], [len(BIG), 90])
        self.assertIsNotNone(browser.retry)
        self.assertTrue(browser.complete)

    def test_connecting(self) -> None:
        """
        A stream whose C{connected} is pending gets a response, and its Deferred is cancelled.
        """
        cancelled: list[object] = []
        client = self.serve(lambda stream: Deferred(cancelled.append))
        browser = client.get("/")
        done = self.resource.drain(5)
        self.assertComeBack(browser, 1000, 5000)
        self.successResultOf(done)
        self.assertEqual(len(cancelled), 1)
        self.assertNothingLeft()

    def test_twice(self) -> None:
        """
        A second call during a drain joins it, and the earlier deadline applies.
        """
        client = self.serve()
        browser = client.get("/")
        browser.stopReading(kernelBuffer=0)
        self.streams[0].send(BIG)
        first = self.resource.drain(10)
        client.clock.advance(1)
        second = self.resource.drain(5)
        client.clock.advance(4.9)
        self.assertNoResult(first)
        self.assertNoResult(second)
        client.clock.advance(0.2)
        self.successResultOf(first)
        self.successResultOf(second)
        self.assertNothingLeft()
        self.successResultOf(self.resource.drain(1))

    def test_ending(self) -> None:
        """
        A drain waits for a stream that is already ending.
        """
        client = self.serve()
        browser = client.get("/")
        browser.stopReading(kernelBuffer=0)
        self.streams[0].send(BIG)
        self.streams[0].end()
        done = self.resource.drain(5)
        client.clock.advance(1)
        self.assertNoResult(done)
        browser.resumeReading()
        client.clock.advance(1)
        self.successResultOf(done)
        self.assertTrue(browser.complete)
        self.assertNothingLeft()

    def test_slices(self) -> None:
        """
        A drain of many streams is spread over several turns.
        """
        client = self.serve()
        for _ in range(10):
            client.get("/")
        clock = client.clock
        settle, clock.settle = clock.settle, lambda: None  # type: ignore[method-assign]
        seconds = clock.seconds
        time = [0.0]

        def later() -> float:
            time[0] += 0.015
            return seconds() + time[0]

        patched = self.patch(clock, "seconds", later)
        self.resource.drain(5)
        left = [stream for stream in self.streams if stream._response.isLiving]
        self.assertTrue(left)
        self.assertLess(len(left), 10)
        patched.restore()
        clock.settle = settle  # type: ignore[method-assign]
        clock.advance(20)
        self.assertEqual([stream for stream in self.streams if not stream.closed], [])

    def test_badArguments(self) -> None:
        """
        A wrong argument raises an error with its name and value.
        """
        self.serve()
        for arguments, message in [
            ((-1,), "seconds is -1"),
            ((None,), "seconds is None"),
            (("5",), "seconds is '5'"),
            ((5, 1000), "retry is 1000"),
            ((5, (1, 2, 3)), "retry is (1, 2, 3)"),
            ((5, (2, 1)), "retry is 1"),
            ((5, (-1, 1)), "retry is -1"),
            ((5, ("a", "b")), "retry is 'a'"),
            ((5, None), "retry is None"),
        ]:
            error = self.assertRaises((ValueError, TypeError), self.resource.drain, *arguments)
            self.assertIn(message, str(error))
        self.assertFalse(self.resource._group.draining)

    def test_waitsForCleaningUp(self) -> None:
        """
        A drain waits for a generator's C{finally}, but no longer than its deadline.
        """
        for seconds, tidy in ((5, True), (0.2, False)):
            finished: list[str] = []

            async def connected(
                stream: EventStream, finished: list[str] = finished
            ) -> AsyncIterator[str]:
                try:
                    yield "x"
                    await Deferred()
                finally:
                    later: Deferred[None] = Deferred()
                    self.client.clock.callLater(1, later.callback, None)
                    await later
                    finished.append("tidy")

            client = self.serve(connected)
            client.get("/")
            drained = self.resource.drain(seconds)
            client.clock.advance(0.1)
            self.assertNoResult(drained)
            client.clock.advance(0.5)
            if not tidy:
                self.successResultOf(drained)
            client.clock.advance(1)
            self.assertEqual(finished, ["tidy"])
            if tidy:
                self.successResultOf(drained)

    def test_waitsForEarlierCleaningUp(self) -> None:
        """
        A drain waits for the C{finally} of a stream that ended before it, too.
        """
        for seconds, tidy in ((5, True), (0.2, False)):
            later: Deferred[None] = Deferred()

            async def connected(
                stream: EventStream, later: Deferred[None] = later
            ) -> AsyncIterator[str]:
                try:
                    yield "x"
                    await Deferred()
                finally:
                    await later

            client = self.serve(connected)
            client.get("/").disconnect()
            client.clock.advance(0)
            drained = self.resource.drain(seconds)
            client.clock.advance(0.1)
            self.assertNoResult(drained)
            if tidy:
                later.callback(None)
            else:
                client.clock.advance(0.2)
            self.successResultOf(drained)
            client.clock.advance(6)
            self.assertEqual(client.clock.getDelayedCalls(), [])
            if not later.called:
                later.callback(None)

    def test_afterWhenClosed(self) -> None:
        """
        C{whenClosed} of a stream fires before the drain's Deferred.
        """
        client = self.serve()
        client.get("/")
        told: list[str] = []
        self.streams[0].whenClosed().addCallback(lambda _: told.append("stream"))
        self.resource.drain(5).addCallback(lambda _: told.append("all"))
        client.clock.advance(1)
        self.assertEqual(told, ["stream", "all"])

    def test_oneFails(self) -> None:
        """
        An error in ending one stream does not affect the others.
        """
        client = self.serve()
        browsers = [client.get("/") for _ in range(3)]

        def fail(*_: object, **__: object) -> None:
            raise ZeroDivisionError

        real = Response.end

        def end(response: Response, *arguments: Any, **options: Any) -> None:
            isSecond = response.stream is self.streams[1]
            (fail if isSecond else real)(response, *arguments, **options)

        self.patch(Response, "end", end)
        self.resource.drain(1)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual([browser.ended for browser in browsers], [True, False, True])
        client.clock.advance(1)
        self.assertTrue(browsers[1].ended)


class ServiceTests(ResourceTestCase):
    """
    Tests for C{service}.
    """

    def test_stop(self) -> None:
        """
        Stopping the service drains the resource.
        """
        client = self.serve()
        service = self.resource.service()
        verifyObject(IService, service)
        service.startService()
        browser = client.get("/")
        self.assertStream(browser)
        done = service.stopService()
        self.assertComeBack(browser, 1000, 5000)
        self.successResultOf(done)
        self.assertComeBack(client.get("/"), 1000, 5000)

    def test_seconds(self) -> None:
        """
        The deadline of the service can be set.
        """
        client = self.serve()
        service = self.resource.service(2)
        service.startService()
        browser = client.get("/")
        browser.stopReading(kernelBuffer=0)
        self.streams[0].send(BIG)
        done = service.stopService()
        client.clock.advance(1.9)
        self.assertNoResult(done)
        client.clock.advance(0.2)
        self.successResultOf(done)
        self.assertRaises(ValueError, self.resource.service, -1)

    def test_again(self) -> None:
        """
        A service that is started again serves again.
        """
        client = self.serve()
        service = self.resource.service()
        service.startService()
        service.stopService()
        self.assertComeBack(client.get("/"), 1000, 5000)
        service.startService()
        self.assertStream(client.get("/"))

    def test_parent(self) -> None:
        """
        Stopping an application waits for the service.
        """
        client = self.serve()
        application = MultiService()
        self.resource.service().setServiceParent(application)
        application.startService()
        browser = client.get("/")
        done = application.stopService()
        client.clock.advance(1)
        self.successResultOf(done)
        self.assertTrue(browser.complete)
