"""
Tests for L{twisted_sse.stream.stream}: heartbeats.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred

from tests.support.streams import StreamTestCase


class HeartbeatTests(StreamTestCase):
    """
    Tests for heartbeats.
    """

    def beats(self) -> int:
        """
        Return the number of heartbeats received.
        """
        return len(self.browser.comments) - 1

    def test_default(self) -> None:
        """
        By default a comment is sent when nothing was sent for 15 seconds, exactly on time for a
        single stream.
        """
        self.connect()
        self.client.clock.advance(14.999)
        self.assertEqual(self.beats(), 0)
        self.client.clock.advance(0.001)
        self.assertEqual(self.beats(), 1)
        self.client.clock.advance(150)
        self.assertEqual(self.beats(), 11)
        self.assertEqual(self.browser.events, [])

    def test_idleOnly(self) -> None:
        """
        Anything sent postpones the heartbeat.
        """
        stream = self.connect(heartbeat=10)
        for send in (lambda: stream.send("x"), lambda: stream.send(retry=600)):
            self.client.clock.advance(9)
            send()
        self.assertEqual(self.beats(), 0)
        self.client.clock.advance(9.9)
        self.assertEqual(self.beats(), 0)
        self.client.clock.advance(0.1)
        self.assertEqual(self.beats(), 1)

    def test_none(self) -> None:
        """
        C{heartbeat=None} sends no heartbeat and needs no timer.
        """
        self.connect(heartbeat=None)
        self.assertEqual(self.client.clock.getDelayedCalls(), [])
        self.client.clock.advance(1000)
        self.assertEqual(self.beats(), 0)

    def test_oneTimer(self) -> None:
        """
        Many streams need one delayed call, and each gets its heartbeats, never early and at most a
        thirtieth late.
        """
        self.connect(heartbeat=15)
        browsers = [self.browser]
        for _ in range(99):
            self.client.clock.advance(0.1)
            browsers.append(self.client.get("/"))
        self.assertEqual(len(self.client.clock.getDelayedCalls()), 1)
        times: dict[int, list[float]] = {}
        for _ in range(5000):
            self.client.clock.advance(0.01)
            for number, browser in enumerate(browsers):
                known = times.setdefault(number, [])
                if len(browser._response.comments) - 1 > len(known):
                    known.append(self.client.clock.seconds())
        for number, beats in times.items():
            began = number * 0.1
            for last, beat in zip([began, *beats], beats, strict=False):
                # The clock advances in steps of a hundredth.
                self.assertGreaterEqual(beat - last, 15 - 0.011)
                self.assertLess(beat - last, 15 * (1 + 1 / 30) + 0.02)
            self.assertGreaterEqual(len(beats), 3)
        self.assertEqual(len(self.client.clock.getDelayedCalls()), 1)

    def test_notBeforeHeaders(self) -> None:
        """
        A stream gets no heartbeat before its headers.
        """
        self.connect(lambda stream: Deferred(), heartbeat=1, openTimeout=None)
        self.client.clock.advance(10)
        self.assertIsNone(self.browser.status)

    def test_notWhileStalled(self) -> None:
        """
        A stalled stream gets no heartbeats, because they would only be queued.
        """
        stream = self.connect(heartbeat=1, stallTimeout=None)
        self.stall()
        self.client.clock.advance(100)
        self.assertEqual(stream.bytesPending, 0)
        self.browser.resumeReading()
        self.assertEqual(self.beats(), 0)
        self.client.clock.advance(2)
        self.assertGreaterEqual(self.beats(), 1)

    def test_notWhilePaused(self) -> None:
        """
        A stream that is paused with an empty queue, as by HTTP/2 flow control, gets no heartbeats.
        """
        stream = self.connect(heartbeat=1, stallTimeout=None)
        stream._response.pauseProducing()
        self.client.clock.advance(100)
        self.assertEqual(self.beats(), 0)
        stream._response.resumeProducing()
        self.client.clock.advance(2)
        self.assertGreaterEqual(self.beats(), 1)

    def test_afterwards(self) -> None:
        """
        The timer stops with the last stream and starts again with the next.
        """
        self.connect(heartbeat=15)
        self.browser.disconnect()
        self.assertEqual(self.client.clock.getDelayedCalls(), [])
        self.browser = self.client.get("/")
        self.client.clock.advance(15)
        self.assertEqual(self.beats(), 1)
