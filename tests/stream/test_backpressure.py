"""
Tests for L{twisted_sse.stream.stream}: clients that do not read, and transports that never pause.
"""

from __future__ import annotations

import inspect
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs

from tests.support.resources import ResourceTestCase
from tests.support.streams import BIG, StreamTestCase
from twisted_sse import (
    Channel,
    CloseReason,
    Event,
    EventStream,
    EventStreamResource,
    SlowReader,
)
from twisted_sse.stream.pending import OVERHEAD, PendingTotal
from twisted_sse.stream.response import Response
from twisted_sse.testing import MemoryClock, MemoryStream


class BackpressureTests(StreamTestCase):
    """
    Tests for clients that do not read.
    """

    def test_nothingMoreIsHandedOver(self) -> None:
        """
        Once the transport pauses the stream, sent events are queued in the stream.
        """
        stream = self.connect()
        self.stall()
        self.assertEqual(stream.bytesPending, 0)
        held = self.browser._transport._held()
        self.assertIs(stream.send("waiting"), True)
        self.assertIs(stream.comment("too"), True)
        self.assertEqual(stream.bytesPending, len(b"data: waiting\n\n: too\n"))
        self.assertEqual(self.browser._transport._held(), held)
        self.assertEqual(stream.eventsSent, 1)
        self.browser.resumeReading()
        self.assertEqual(stream.bytesPending, 0)
        self.assertEqual(stream.eventsSent, 2)

    def test_kernelTakesSome(self) -> None:
        """
        Nothing is queued in the stream while the kernel and the transport accept the sent events.
        """
        stream = self.connect()
        self.browser.stopReading(kernelBuffer=2**20)
        for _ in range(10):
            stream.send(BIG)
            self.client.clock.advance(0)
        self.assertEqual(stream.bytesPending, 0)
        self.assertEqual(self.browser.events, [])
        self.browser.resumeReading()
        self.assertEqual(len(self.browser.events), 10)

    def test_disconnect(self) -> None:
        """
        A slow reader beyond C{maxPending} is disconnected, and C{send} returns False.
        """
        stream = self.connect(maxPending=1000)
        self.stall()
        reasons = self.reasons()
        one = Event("y" * 400)
        self.assertIs(stream.send(one), True)
        self.assertIs(stream.send(one), True)
        self.assertEqual(reasons, [])
        self.assertIs(stream.send(one), False)
        self.assertEqual(reasons, [CloseReason.SLOW])
        self.assertTrue(self.browser.ended)
        self.assertFalse(self.browser.complete)
        self.assertGone()

    def test_exactlyMaxPending(self) -> None:
        """
        C{maxPending} bytes may be queued, and not one more.
        """
        one = Event("y" * 92)
        self.assertEqual(len(one.encode()), 100)
        stream = self.connect(maxPending=200)
        self.stall()
        self.assertTrue(stream.send(one))
        self.assertTrue(stream.send(one))
        self.assertEqual(stream.bytesPending, 200)
        self.assertFalse(stream.send(comment=""))
        self.assertTrue(stream.closed)

    def test_oneBigEvent(self) -> None:
        """
        A single event is always accepted, however large, with any policy.
        """
        for slow in SlowReader:
            stream = self.connect(maxPending=1000, slow=slow)
            self.stall()
            self.assertTrue(stream.send("z" * 100_000))
            self.assertFalse(stream.closed)
            self.browser.resumeReading()
            self.assertEqual(self.data(), [BIG, "z" * 100_000])

    def test_dropOldest(self) -> None:
        """
        DROP_OLDEST drops events from the front of the queue, and the client receives their number
        before the rest.
        """
        stream = self.connect(maxPending=60, slow=SlowReader.DROP_OLDEST)
        self.stall()
        for number in range(10, 20):
            self.assertTrue(stream.send(str(number), id=number))
        self.assertLessEqual(stream.bytesPending, 60)
        self.browser.resumeReading()
        _, gap, *rest = self.browser.events
        self.assertEqual(gap.type, "stream-gap")
        self.assertEqual(gap.json()["dropped"], 10 - len(rest))
        self.assertEqual(
            [event.data for event in rest], [str(n) for n in range(20 - len(rest), 20)]
        )
        self.assertTrue(rest)
        self.assertFalse(stream.closed)

    def test_dropOldestAgain(self) -> None:
        """
        Each time events are dropped, there is one gap event with their number.
        """
        stream = self.connect(maxPending=60, slow=SlowReader.DROP_OLDEST)
        for _ in range(2):
            self.stall()
            for number in range(10):
                stream.send(str(number))
            self.browser.resumeReading()
        gaps = [event for event in self.browser.events if event.type == "stream-gap"]
        kept = [event for event in self.browser.events if event.type == "message"]
        self.assertEqual(len(gaps), 2)
        self.assertEqual(sum(gap.json()["dropped"] for gap in gaps), 20 - len(kept))
        stream.send("after")
        self.assertEqual(self.data()[-1], "after")

    def test_gapHasNoID(self) -> None:
        """
        The gap event does not change the client's last event ID.
        """
        stream = self.connect(maxPending=60, slow=SlowReader.DROP_OLDEST)
        stream.send("first", id="1")
        self.stall()
        for number in range(10):
            stream.send(str(number))
        self.browser.resumeReading()
        gap = next(event for event in self.browser.events if event.type == "stream-gap")
        self.assertEqual(gap.lastEventID, "1")

    def test_commentsAreNotCounted(self) -> None:
        """
        Dropped comments do not count, and cause no gap event.
        """
        stream = self.connect(maxPending=60, slow=SlowReader.DROP_OLDEST)
        self.stall()
        for _ in range(20):
            stream.comment("c" * 20)
        stream.send("event")
        self.browser.resumeReading()
        self.assertEqual(self.data(), [BIG, "event"])

    def test_latest(self) -> None:
        """
        LATEST keeps the newest event of each type, in order, and counts the dropped ones.
        """
        stream = self.connect(maxPending=120, slow=SlowReader.LATEST)
        self.stall()
        for number in range(30):
            stream.send(str(number), event="abc"[number % 3])
        self.browser.resumeReading()
        _, gap, *rest = self.browser.events
        self.assertEqual(gap.type, "stream-gap")
        self.assertEqual(gap.json()["dropped"], 30 - len(rest))
        newest = {event.type: event.data for event in rest}
        self.assertEqual(newest, {"a": "27", "b": "28", "c": "29"})
        self.assertEqual([event.data for event in rest][-1], "29")

    def test_gapAtEnd(self) -> None:
        """
        A stream that ends after a gap reports it when the client reads again.
        """
        stream = self.connect(maxPending=60, slow=SlowReader.DROP_OLDEST)
        self.stall()
        for number in range(10):
            stream.send(str(number))
        stream.end()
        self.browser.resumeReading()
        self.client.clock.advance(1)
        gap = self.browser.events[1]
        self.assertEqual(gap.type, "stream-gap")
        self.assertEqual(gap.json()["dropped"] + len(self.browser.events) - 2, 10)
        self.assertTrue(self.browser.complete)
        self.assertGone()

    def test_stall(self) -> None:
        """
        A stream is aborted when the client reads nothing for C{stallTimeout}.
        """
        stream = self.connect(stallTimeout=60)
        self.stall()
        stream.send("waiting")
        reasons = self.reasons()
        self.client.clock.advance(59.9)
        self.assertEqual(reasons, [])
        self.client.clock.advance(0.2)
        self.assertEqual(reasons, [CloseReason.STALLED])
        self.assertTrue(self.browser.ended)
        self.assertGone()

    def test_stallOfALittle(self) -> None:
        """
        The heartbeat detects a stall even when too little is sent to make the transport pause.
        """
        stream = self.connect(stallTimeout=60, heartbeat=15)
        self.browser.stopReading(kernelBuffer=0)
        stream.send("a little")
        reasons = self.reasons()
        self.client.clock.advance(59)
        self.assertEqual(reasons, [])
        self.client.clock.advance(60)
        self.assertEqual(reasons, [CloseReason.STALLED])
        self.assertGone()

    def test_stallOfALittleIsOver(self) -> None:
        """
        A client that reads those few bytes after all is no longer watched.
        """
        stream = self.connect(stallTimeout=60, heartbeat=15)
        self.browser.stopReading(kernelBuffer=0)
        stream.send("a little")
        self.client.clock.advance(20)
        self.assertIsNotNone(stream._response.lag)
        self.browser.resumeReading()
        self.client.clock.advance(40)
        self.assertIsNone(stream._response.lag)
        self.client.clock.advance(200)
        self.assertFalse(stream.closed)
        self.assertGreater(len(self.browser.comments), 10)

    def test_stallNever(self) -> None:
        """
        Without C{stallTimeout} a stalled stream stays open.
        """
        stream = self.connect(stallTimeout=None)
        self.stall()
        self.client.clock.advance(10_000)
        self.assertFalse(stream.closed)
        self.browser.resumeReading()
        self.assertEqual(self.data(), [BIG])

    def test_progress(self) -> None:
        """
        A client that reads some bytes now and then has not stalled.
        """
        stream = self.connect(stallTimeout=10)
        self.stall()
        for step in range(1, 30):
            self.browser._transport.kernelBuffer = 100 * step
            self.client.clock.advance(5)
        self.assertFalse(stream.closed)
        self.client.clock.advance(4)
        self.assertFalse(stream.closed)
        self.client.clock.advance(7)
        self.assertTrue(stream.closed)
        self.assertIs(self.successResultOf(stream.whenClosed()), CloseReason.STALLED)

    def test_readAgain(self) -> None:
        """
        A client that reads again is no longer watched.
        """
        stream = self.connect(stallTimeout=10, heartbeat=None)
        self.stall()
        self.client.clock.advance(9)
        self.browser.resumeReading()
        self.client.clock.advance(0.2)
        self.assertEqual(self.client.clock.getDelayedCalls(), [])
        self.client.clock.advance(20)
        self.assertFalse(stream.closed)
        self.stall()
        self.client.clock.advance(9)
        self.assertFalse(stream.closed)

    def test_endOverMaxPending(self) -> None:
        """
        C{end} never exceeds C{maxPending}: the stream ends, and its reason is ENDED.
        """
        stream = self.connect(maxPending=1000, once=True)
        self.stall()
        stream.send("y" * 980)
        reasons = self.reasons()
        stream.end()
        stream.whenClosed().addCallback(reasons.append)
        self.browser.resumeReading()
        self.client.clock.advance(1)
        self.assertEqual(reasons, [CloseReason.ENDED] * 2)
        self.assertEqual(self.browser.events[-1].type, "end")
        self.assertTrue(self.browser.complete)

    def test_manyPieces(self) -> None:
        """
        A long queue is handed over piece by piece as the client reads, and nothing is lost.
        """
        stream = self.connect(maxPending=2**22)
        self.stall()
        for number in range(300):
            stream.send(f"{number}:" + "p" * 10_000)
        self.assertGreater(stream.bytesPending, 3_000_000)
        last = stream.bytesPending
        for step in range(1, 12):
            self.browser._transport.kernelBuffer = 400_000 * step
            self.client.clock.advance(0.01)
            self.assertLessEqual(stream.bytesPending, last)
            self.assertLess(self.browser._transport._held(), 200_000)
            last = stream.bytesPending
        self.browser.resumeReading()
        self.assertEqual([int(data.partition(":")[0]) for data in self.data()[1:]], [*range(300)])

    def test_stallOfLittleEvents(self) -> None:
        """
        A client that reads nothing has stalled, however little is sent to it and however often.
        """
        for heartbeat in (15, None):
            stream = self.connect(stallTimeout=60, heartbeat=heartbeat)
            reasons = self.reasons()
            self.browser.stopReading(kernelBuffer=10)
            stream.every(2, lambda: "x")
            self.client.clock.advance(70)
            self.assertEqual(reasons, [CloseReason.STALLED])

    def test_stallOfOneEvent(self) -> None:
        """
        A stalled stream is aborted exactly after C{stallTimeout}, without a heartbeat, too.
        """
        stream = self.connect(stallTimeout=60, heartbeat=None)
        self.browser.stopReading(kernelBuffer=10)
        stream.send("a little more than that")
        self.client.clock.advance(59)
        self.assertFalse(stream.closed)
        self.client.clock.advance(1)
        self.assertTrue(stream.closed)


class CongestionTests(StreamTestCase):
    """
    Tests for a transport that never pauses its producer, as that of HTTP/2 when TCP stalls: the
    stream itself checks how much it holds.
    """

    def congest(self, **options: Any) -> EventStream:
        """
        Open a stream on such a transport.
        """
        self.patch(Response, "pauseProducing", lambda stream: None)
        waiting: Deferred[None] = Deferred()
        stream = self.connect(lambda stream: waiting, **options)
        request: Any = stream.request
        stream._response.http2 = True
        request.channel.abortConnection = request.transport.abortConnection
        waiting.callback(None)
        return stream

    def test_nothingMoreIsHandedOver(self) -> None:
        """
        While the transport holds more than 64 KiB, sent events are queued in the stream, in order.
        """
        stream = self.congest()
        self.browser.stopReading(kernelBuffer=0)
        stream.send(BIG)
        held = self.browser._transport._held()
        for number in range(5):
            stream.send(str(number))
        self.client.clock.advance(5)
        self.assertGreater(stream.bytesPending, 0)
        self.assertEqual(self.browser._transport._held(), held)
        self.assertNoResult(stream.whenWritable())
        self.browser.resumeReading()
        self.client.clock.advance(0.2)
        self.assertEqual(stream.bytesPending, 0)
        self.assertEqual(self.data(), [BIG, "0", "1", "2", "3", "4"])

    def test_pieces(self) -> None:
        """
        At most two pieces of a long queue are handed over at a time.
        """
        stream = self.congest(maxPending=2**24)
        self.browser.stopReading(kernelBuffer=0)
        for number in range(100):
            stream.send(f"{number}:".ljust(50_000, "p"))
        self.assertLess(self.browser._transport._held(), 3 * 2**16)
        for step in range(1, 60):
            self.browser._transport.kernelBuffer = 100_000 * step
            self.client.clock.advance(0.2)
            self.assertLess(self.browser._transport._held(), 3 * 2**16)
        self.browser.resumeReading()
        self.client.clock.advance(1)
        self.assertEqual([int(data.partition(":")[0]) for data in self.data()], [*range(100)])

    def test_stalls(self) -> None:
        """
        A stall is detected.
        """
        stream = self.congest(stallTimeout=60)
        self.browser.stopReading(kernelBuffer=0)
        stream.send(BIG)
        reasons = self.reasons()
        self.client.clock.advance(76)
        self.assertEqual(reasons, [CloseReason.STALLED])
        self.assertTrue(self.browser.ended)
        self.assertGone()

    def test_error(self) -> None:
        """
        An error resets the stream.
        """
        stream = self.congest()
        stream.every(1, lambda: 1 // 0)
        reasons = self.reasons()
        self.client.clock.advance(2)
        self.assertEqual(reasons, [CloseReason.ERROR])
        self.assertFalse(self.browser.complete)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertGone()

    def test_idleTimeout(self) -> None:
        """
        The log warns once about a heartbeat slower than the site's idle timeout.
        """
        for options, warned in [({}, 0), ({"heartbeat": None}, 1), ({"heartbeat": 60}, 1)]:
            with capturedLogs() as logged:
                self.congest(**options)
            warnings = [event for event in logged if event["log_level"].name == "warn"]
            self.assertEqual(len(warnings), warned)


class TotalTests(ResourceTestCase):
    """
    Tests for C{maxPendingTotal}.
    """

    def stalled(self, count: int, **options: Any) -> list[MemoryStream]:
        """
        Connect clients that do not read.
        """
        client = self.serve(**options)
        browsers = [client.get("/") for _ in range(count)]
        for browser, stream in zip(browsers, self.streams, strict=True):
            browser.stopReading(kernelBuffer=0)
            stream.send("x" * 60_000)
            stream.send("x" * 60_000)
        return browsers

    def test_longestGoesFirst(self) -> None:
        """
        When too much is queued for all clients together, the one with the longest queue is
        disconnected, and the next when that is not enough.
        """
        browsers = self.stalled(5, maxPendingTotal=200_000)
        reasons: list[tuple[int, CloseReason]] = []
        for number, stream in enumerate(self.streams):
            note = reasons.append
            stream.whenClosed().addCallback(lambda reason, n=number, note=note: note((n, reason)))
        for number, stream in enumerate(self.streams):
            for _ in range(3 - abs(number - 2)):
                stream.send("y" * 18_000)
        self.assertEqual(reasons, [])
        self.streams[0].send("y" * 40_000)
        self.assertEqual(reasons, [(0, CloseReason.SLOW)])
        self.assertFalse(self.streams[4].send("y" * 60_000))
        self.assertEqual(reasons[1:], [(4, CloseReason.SLOW)])
        for browser in browsers[1:4]:
            browser.resumeReading()
            browser.disconnect()
        self.assertEqual(self.resource._group.total.bytes, 0)
        self.assertNothingLeft()

    def test_shared(self) -> None:
        """
        Events of a channel count once, however many clients do not read them.
        """
        channel = Channel(reactor=MemoryClock())
        browsers = self.stalled(20, maxPendingTotal=100_000 + 20 * 61_000)
        for stream in self.streams:
            channel.subscribe(stream)
        for _ in range(90):
            channel.publish("y" * 500)
        self.client.clock.settle()
        self.assertFalse(any(browser.ended for browser in browsers))

    def test_oneLarge(self) -> None:
        """
        A large event that a client has only begun to read counts, and at most a piece of it is
        copied for the client.
        """
        client = self.serve(maxPendingTotal=10**6)
        browsers = [client.get("/") for _ in range(3)]
        for browser in browsers:
            browser.stopReading(kernelBuffer=0)
        self.assertTrue(self.streams[0].send("x" * 400_000))
        self.assertTrue(self.streams[1].send("x" * 400_000))
        self.assertEqual([stream.bytesPending for stream in self.streams], [0, 0, 0])
        self.assertLess(browsers[0]._transport._held(), 2 * 2**16)
        self.streams[2].send("x" * 400_000)
        self.assertEqual(sum(stream.closed for stream in self.streams), 1)

    def test_oneLargeGoesFirst(self) -> None:
        """
        A client that has only begun to read a large event is disconnected before one with a shorter
        queue.
        """
        client = self.serve(maxPendingTotal=10**6)
        for size in (100_000, 800_000):
            client.get("/").stopReading(kernelBuffer=0)
            self.streams[-1].send("x" * size)
        self.streams[0].send("y" * 200_000)
        self.assertEqual([stream.closed for stream in self.streams], [False, True])

    def test_others(self) -> None:
        """
        An application may notify all other clients of a disconnection, which may exceed the limit
        again: the disconnections follow one another and are not nested.
        """
        count, size = 100, 20_000
        limit = count * (size + 2 * OVERHEAD)
        self.stalled(count, maxPending=10**9, maxPendingTotal=limit)
        depths: list[int] = []

        def closed(_: object) -> None:
            depths.append(len(inspect.stack(0)))
            for stream in self.streams:
                stream.send("z" * size)

        for stream in self.streams:
            stream.send("y" * size)
            stream.whenClosed().addCallback(closed)
        self.streams[0].send("y" * size)
        self.assertGreater(len(depths), count / 2)
        self.assertEqual(len(set(depths)), 1)
        self.assertLessEqual(self.resource._group.total.bytes, limit)

    def test_severalResources(self) -> None:
        """
        Resources may share a limit, and each has its own otherwise.
        """
        total = PendingTotal(100_000)
        for shared in (True, False):
            first = self.stalled(1, maxPendingTotal=total if shared else 100_000)
            streams = [*self.streams]
            second = self.stalled(1, maxPendingTotal=total if shared else 100_000)
            for stream, size in zip([*streams, *self.streams], (60_000, 50_000), strict=True):
                stream.send("y" * size)
            self.assertEqual([each.ended for each in (*first, *second)], [shared, False])
            streams[0].abort()
            self.streams[0].abort()

    def test_wrong(self) -> None:
        """
        The limit is a number of bytes.
        """
        self.assertRaises(ValueError, EventStreamResource, print, maxPendingTotal=0)
