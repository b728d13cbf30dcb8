"""
Tests for L{twisted_sse.server.group}: the shared state of a resource's streams.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import LogEvent, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from twisted_sse import CloseReason, EventStream, EventStreamResource
from twisted_sse.observe import Observer
from twisted_sse.testing import MemoryClient, MemoryClock, MemoryStream
from twisted_sse.timing.slices import SLICE

#: More than a transport takes before it pauses its producer.
BIG = "x" * 70_000


class SlowClock(MemoryClock):
    """
    A clock whose C{seconds} takes time.
    """

    cost = 0.0

    def seconds(self) -> float:
        """
        Return the time, after it has advanced.
        """
        self.rightNow += self.cost
        return super().seconds()


class GroupTestCase(SynchronousTestCase):
    """
    Makes one resource and streams of it.
    """

    def serve(
        self,
        number: int,
        connected: Callable[[EventStream], object] = lambda stream: None,
        clock: MemoryClock | None = None,
        **options: Any,
    ) -> list[MemoryStream]:
        """
        Make a resource, and connect this many clients.
        """
        self.streams: list[EventStream] = []

        def remember(stream: EventStream) -> object:
            self.streams.append(stream)
            return connected(stream)

        self.resource = EventStreamResource(remember, **options)
        self.client = MemoryClient(self.resource, clock=clock)
        return [self.client.get("/") for _ in range(number)]


class HeartTests(GroupTestCase):
    """
    Tests for the timers that streams share.
    """

    def test_oneDelayedCall(self) -> None:
        """
        Five hundred idle streams have one delayed call.
        """
        self.serve(500)
        self.assertEqual(len(self.client.clock.getDelayedCalls()), 1)
        self.client.clock.advance(100)
        self.assertEqual(len(self.client.clock.getDelayedCalls()), 1)

    def test_sliced(self) -> None:
        """
        Heartbeats to many streams are spread over several turns.
        """
        clock = SlowClock()
        browsers = self.serve(30, clock=clock, heartbeat=10)
        clock.settle()
        clock.rightNow += 10
        clock.cost = SLICE / 5
        clock._turn()
        clock._turn()
        beaten = [stream for stream in self.streams if stream._response.lastSent > 5]
        self.assertTrue(0 < len(beaten) < 30, len(beaten))
        for _ in range(200):
            clock.rightNow += 0.01
            clock._turn()
        clock.cost = 0
        for browser in browsers:
            self.assertGreaterEqual(len(browser.comments), 2)

    def test_observerEndsThem(self) -> None:
        """
        An observer that ends streams at their heartbeat leaves nothing behind.
        """
        for act in (EventStream.abort, EventStream.end):

            class Ender(Observer):
                def __init__(self, act: Callable[[EventStream], None]) -> None:
                    self.act = act

                def sent(self, stream: EventStream, events: int, size: int) -> None:
                    self.act(stream)

            browsers = self.serve(3, observer=Ender(act))
            reasons: list[CloseReason] = []
            for stream in self.streams:
                stream.whenClosed().addCallback(reasons.append)
            self.client.clock.advance(20)
            self.assertEqual(reasons, [CloseReason.ENDED] * 3)
            self.assertTrue(all(browser.ended for browser in browsers))
            self.assertEqual(self.client.clock.getDelayedCalls(), [])
            self.assertEqual(self.resource.streams, frozenset())

    def test_observerBeginsAnew(self) -> None:
        """
        When an observer replaces a stream at its heartbeat, there is one timer, and the new stream
        gets heartbeats.
        """

        class Renewer(Observer):
            def __init__(self, renew: Callable[[EventStream], None]) -> None:
                self.renew = renew

            def sent(self, stream: EventStream, events: int, size: int) -> None:
                self.renew(stream)

        def renew(stream: EventStream) -> None:
            if len(self.streams) == 1:
                stream.abort()
                newcomers.append(self.client.get("/"))

        newcomers: list[MemoryStream] = []
        self.serve(1, observer=Renewer(renew), heartbeat=10)
        self.client.clock.advance(10)
        self.assertEqual(len(newcomers), 1)
        self.assertEqual(len(self.client.clock.getDelayedCalls()), 1)
        self.client.clock.advance(10.5)
        self.assertGreaterEqual(len(newcomers[0].comments), 2)

    def test_heartbeatOfOneAmongBusy(self) -> None:
        """
        A silent stream among busy ones gets heartbeats, and the busy ones do not.
        """
        browsers = self.serve(3, heartbeat=10)
        for _ in range(50):
            self.client.clock.advance(1)
            self.streams[0].send("x")
            self.streams[1].send("x")
        self.assertEqual([len(browser.comments) for browser in browsers[:2]], [1, 1])
        self.assertGreaterEqual(len(browsers[2].comments), 5)

    def test_tellFailure(self) -> None:
        """
        An exception in an observer is logged with the observer.
        """

        class Broken(Observer):
            def opened(self, stream: EventStream) -> None:
                raise ZeroDivisionError

            def __repr__(self) -> str:
                return "<Broken>"

        logged: list[LogEvent]
        with capturedLogs() as logged:
            self.serve(1, observer=Broken())
        [event] = [event for event in logged if "log_failure" in event]
        self.assertIn("Broken", repr(event["observer"]))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class CountTests(GroupTestCase):
    """
    Tests for how streams are counted.
    """

    def test_phases(self) -> None:
        """
        A stream is counted as connecting, then as open, then not at all.
        """
        waiting: Deferred[None] = Deferred()
        [browser] = self.serve(1, lambda stream: waiting)
        group = self.resource._group
        [stream] = [stream._response for stream in self.streams]
        self.assertEqual((group.connecting, group.streams), ({stream}, set()))
        waiting.callback(None)
        self.assertEqual((group.connecting, group.streams), (set(), {stream}))
        browser.disconnect()
        self.assertEqual((group.connecting, group.streams), (set(), set()))
        self.assertEqual(group._hearts, {})

    def test_ending(self) -> None:
        """
        A stream that is ending but stalled is still counted.
        """
        [browser] = self.serve(1)
        browser.stopReading(kernelBuffer=0)
        self.streams[0].send(BIG)
        self.streams[0].end()
        self.assertEqual(self.resource.streams, {self.streams[0]})
        browser.disconnect()
        self.assertEqual(self.resource.streams, frozenset())
