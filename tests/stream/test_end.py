"""
Tests for L{twisted_sse.stream.stream}: the ways a stream ends, and who lets go of it then.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from tests.support.streams import BIG, StreamTestCase
from twisted_sse import CloseReason, EventStream


class EndTests(StreamTestCase):
    """
    Tests for the ways a stream ends.
    """

    def test_end(self) -> None:
        """
        C{end} completes the response, and its reason is ENDED.
        """
        stream = self.connect()
        stream.send("last")
        reasons = self.reasons()
        stream.end()
        self.assertTrue(self.browser.complete)
        self.assertEqual(self.data(), ["last"])
        self.assertEqual(reasons, [CloseReason.ENDED])
        self.assertGone()

    def test_endTwice(self) -> None:
        """
        Ending and aborting again does nothing.
        """
        stream = self.connect()
        reasons = self.reasons()
        stream.end()
        stream.end()
        self.client.clock.advance(1)
        stream.end()
        stream.abort()
        self.assertEqual(reasons, [CloseReason.ENDED])
        self.assertGone()

    def test_endBeforeHeaders(self) -> None:
        """
        C{end} inside C{connected} sends the headers, what was sent, and the end.
        """

        def connected(stream: EventStream) -> None:
            stream.send("all")
            stream.end()

        self.connect(connected)
        self.assertEqual(self.browser.status, 200)
        self.assertEqual(self.data(), ["all"])
        self.assertTrue(self.browser.complete)
        self.assertGone()

    def test_endWithPending(self) -> None:
        """
        C{end} lets out what is waiting first, and is closed only when the bytes have left.
        """
        stream = self.connect()
        self.stall()
        stream.send("waiting")
        reasons = self.reasons()
        stream.end()
        self.client.clock.advance(1)
        self.assertFalse(stream.closed)
        self.assertIs(stream.send("too late"), False)
        self.assertEqual(reasons, [])
        self.assertFalse(self.browser.ended)
        self.browser.resumeReading()
        self.client.clock.advance(1)
        self.assertEqual(self.data(), [BIG, "waiting"])
        self.assertTrue(self.browser.complete)
        self.assertEqual(reasons, [CloseReason.ENDED])
        self.assertGone()

    def test_endWithBytesInTheTransport(self) -> None:
        """
        Bytes that the transport holds are not gone yet: the stream is not closed before.
        """
        stream = self.connect()
        self.browser.stopReading(kernelBuffer=0)
        stream.send("held")
        stream.end()
        self.client.clock.advance(3)
        self.assertFalse(stream.closed)
        self.browser.resumeReading()
        self.client.clock.advance(0.2)
        self.assertTrue(stream.closed)
        self.assertEqual(self.data(), ["held"])
        self.assertTrue(self.browser.complete)
        self.assertGone()

    def test_endWithPendingThenDisconnect(self) -> None:
        """
        A client that goes while something waits for it has gone, though the stream was ending.
        """
        stream = self.connect()
        self.stall()
        stream.send("waiting")
        reasons = self.reasons()
        stream.end()
        self.browser.disconnect()
        self.assertEqual(reasons, [CloseReason.CLIENT])
        self.assertGone()

    def test_endThenAbort(self) -> None:
        """
        C{abort} acts on a stream that is ending and cannot.
        """
        stream = self.connect()
        self.stall()
        stream.end()
        self.assertFalse(stream.closed)
        stream.abort()
        self.assertTrue(self.browser.ended)
        self.assertFalse(self.browser.complete)
        self.assertGone()

    def test_endStalled(self) -> None:
        """
        A reader that stalls cannot keep an ending stream: C{stallTimeout} aborts it, whether
        the transport had said pause or not.
        """
        for data in (BIG, "a little"):
            stream = self.connect(stallTimeout=60)
            self.browser.stopReading(kernelBuffer=0)
            stream.send(data)
            reasons = self.reasons()
            stream.end()
            self.client.clock.advance(59)
            self.assertFalse(stream.closed)
            self.client.clock.advance(17)
            self.assertEqual(reasons, [CloseReason.STALLED], data[:8])
            self.assertTrue(self.browser.ended)
            self.assertFalse(self.browser.complete)
            self.assertGone()

    def test_endStalledForLong(self) -> None:
        """
        Without C{stallTimeout} an ending stream waits for its reader, however long.
        """
        stream = self.connect(stallTimeout=None)
        self.browser.stopReading(kernelBuffer=0)
        stream.send("a little")
        stream.end()
        for _ in range(4):
            self.client.clock.advance(100)
        self.assertFalse(stream.closed)
        self.browser.resumeReading()
        self.client.clock.advance(1)
        self.assertTrue(self.browser.complete)
        self.assertEqual(self.data(), ["a little"])
        self.assertGone()

    def test_endDrained(self) -> None:
        """
        A drain's deadline aborts a stream that is ending and cannot.
        """
        stream = self.connect()
        self.stall()
        stream.end()
        done = self.resource.drain(5)
        self.client.clock.advance(4.9)
        self.assertNoResult(done)
        self.client.clock.advance(0.2)
        self.successResultOf(done)
        self.assertTrue(stream.closed)
        self.assertGone()

    def test_abort(self) -> None:
        """
        C{abort} cuts the response at once; what is waiting is lost.
        """
        stream = self.connect()
        self.stall()
        stream.send("waiting")
        reasons = self.reasons()
        stream.abort()
        self.assertEqual(reasons, [CloseReason.ENDED])
        self.assertTrue(stream.closed)
        self.assertTrue(self.browser.ended)
        self.assertFalse(self.browser.complete)
        self.assertGone()

    def test_abortBeforeHeaders(self) -> None:
        """
        C{abort} inside C{connected} closes the connection without an answer.
        """
        self.connect(EventStream.abort)
        self.assertIsNone(self.browser.status)
        self.assertTrue(self.browser.ended)
        self.assertGone()

    def test_disconnect(self) -> None:
        """
        A client that goes closes the stream, properly or with a reset.
        """
        for reset in (False, True):
            self.connect()
            reasons = self.reasons()
            self.browser.disconnect(reset=reset)
            self.assertEqual(reasons, [CloseReason.CLIENT])
            self.assertGone()

    def test_disconnectBeforeHeaders(self) -> None:
        """
        A client that goes before the headers closes the stream too.
        """
        stream = self.connect(lambda stream: Deferred())
        reasons = self.reasons()
        self.browser.disconnect()
        self.assertEqual(reasons, [CloseReason.CLIENT])
        self.assertIs(stream.send("late"), False)
        self.assertGone()

    def test_errorHasNoLastChunk(self) -> None:
        """
        After an error what was sent arrives, but the response does not look complete.
        """
        stream = self.connect()
        stream.send("before")
        stream.every(1, lambda: 1 // 0)
        self.client.clock.advance(2)
        self.assertEqual(self.data(), ["before"])
        self.assertTrue(self.browser.ended)
        self.assertFalse(self.browser.complete)
        self.flushLoggedErrors(ZeroDivisionError)

    def test_errorWithPending(self) -> None:
        """
        After an error what was waiting still goes out, then the cut.
        """
        stream = self.connect()
        self.stall()
        stream.send("waiting")
        stream.every(1, lambda: 1 // 0)
        reasons = self.reasons()
        self.client.clock.advance(1)
        self.flushLoggedErrors(ZeroDivisionError)
        self.assertEqual(reasons, [])
        self.browser.resumeReading()
        self.client.clock.advance(1)
        self.assertEqual(self.data(), [BIG, "waiting"])
        self.assertEqual(reasons, [CloseReason.ERROR])
        self.assertTrue(self.browser.ended)
        self.assertFalse(self.browser.complete)
        self.assertGone()

    def test_errorStalled(self) -> None:
        """
        A reader that has stalled cannot keep a stream that failed.
        """
        stream = self.connect(stallTimeout=10)
        self.stall()
        stream.every(1, lambda: 1 // 0)
        reasons = self.reasons()
        self.client.clock.advance(20)
        self.flushLoggedErrors(ZeroDivisionError)
        self.assertEqual(reasons, [CloseReason.ERROR])
        self.assertGone()

    def test_shutdown(self) -> None:
        """
        A client that is cut because the reactor stops is no client that went.
        """
        self.connect()
        reasons = self.reasons()
        self.client.clock.running = False  # type: ignore[attr-defined]
        self.browser.disconnect()
        self.assertEqual(reasons, [CloseReason.SHUTDOWN])

    def test_reasons(self) -> None:
        """
        These are the reasons, and no others.
        """
        self.assertEqual(
            [reason.name for reason in CloseReason],
            ["CLIENT", "ENDED", "ERROR", "SLOW", "STALLED", "LIMIT", "DRAIN", "SHUTDOWN"],
        )

    def test_finishedByTheApplication(self) -> None:
        """
        An application that finishes the request itself closes the stream.
        """
        stream = self.connect()
        reasons = self.reasons()
        request = stream.request
        assert request is not None
        request.unregisterProducer()
        request.finish()
        self.assertEqual(reasons, [CloseReason.ENDED])
        self.assertTrue(self.browser.complete)
        self.assertGone()

    def test_once(self) -> None:
        """
        With C{once} the end is an event that tells the browser not to come back.
        """
        stream = self.connect(once=True)
        stream.send("x", id="1")
        stream.end()
        last = self.browser.events[-1]
        self.assertEqual((last.type, last.lastEventID), ("end", "end"))
        self.assertTrue(self.browser.complete)

    def test_onceAborted(self) -> None:
        """
        With C{once} an abort or an error is no end: there is no such event.
        """
        stream = self.connect(once=True)
        stream.abort()
        self.assertEqual(self.browser.events, [])
        stream = self.connect(once=True)
        stream.every(1, lambda: 1 // 0)
        self.client.clock.advance(1)
        self.assertEqual(self.browser.events, [])
        self.flushLoggedErrors(ZeroDivisionError)

    def test_endedFromWhenClosed(self) -> None:
        """
        Acting on the stream as it closes does nothing.
        """
        stream = self.connect()
        results: list[object] = []

        def act(_: object) -> None:
            stream.end()
            stream.abort()
            stream.open()
            results.append(stream.send("x"))
            results.append(stream.every(1, lambda: "x").running)

        stream.whenClosed().addCallback(act)
        self.browser.disconnect()
        self.assertEqual(results, [False, False])
        self.assertGone()

    def test_transportsCallsAfterEnd(self) -> None:
        """
        What a transport may still say to its producer after the end does nothing.
        """
        stream = self.connect()
        self.browser.disconnect()
        stream._response.stopProducing()
        self.assertGone()


class ReleaseTests(StreamTestCase):
    """
    Tests that a stream which is over is let go of by everybody, without the collector.
    """

    def assertReleased(
        self,
        end: Callable[[ReleaseTests], object],
        connected: Callable[[EventStream], object] = lambda stream: None,
        **options: Any,
    ) -> None:
        """
        Open a stream, end it, and see that it is gone.
        """
        gc.collect()
        gc.disable()
        try:
            reference = weakref.ref(self.connect(connected, **options))
            request = weakref.ref(self.stream.request)
            end(self)
            self.client.clock.advance(1)
            self.assertGone()
            del self.stream
            self.flushLoggedErrors(ZeroDivisionError)
            self.assertIsNone(reference(), "the stream is still there")
            del self.browser
            self.assertIsNone(request(), "the request is still there")
        finally:
            gc.enable()

    def test_disconnect(self) -> None:
        """
        By the client.
        """
        self.assertReleased(lambda self: self.browser.disconnect())

    def test_reset(self) -> None:
        """
        By the client, with a reset.
        """
        self.assertReleased(lambda self: self.browser.disconnect(reset=True))

    def test_end(self) -> None:
        """
        By C{end}.
        """
        self.assertReleased(lambda self: self.stream.end())

    def test_abort(self) -> None:
        """
        By C{abort}.
        """
        self.assertReleased(lambda self: self.stream.abort())

    def test_stalled(self) -> None:
        """
        By a stall, with bytes pending.
        """

        def end(self: ReleaseTests) -> None:
            self.stall()
            self.stream.send("waiting")
            self.client.clock.advance(100)

        self.assertReleased(end)

    def test_slow(self) -> None:
        """
        By too much pending.
        """

        def end(self: ReleaseTests) -> None:
            self.stall()
            self.stream.send("y" * 100)
            self.stream.send("y" * 100)

        self.assertReleased(end, maxPending=100)

    def test_loop(self) -> None:
        """
        With a loop running.
        """
        self.assertReleased(
            lambda self: self.browser.disconnect(),
            lambda stream: stream.every(0.1, lambda: "x") and None,
        )

    def test_loopFails(self) -> None:
        """
        By a loop that fails.
        """
        self.assertReleased(
            lambda self: self.client.clock.advance(1),
            lambda stream: stream.every(0.1, lambda: 1 // 0) and None,
        )

    def test_drain(self) -> None:
        """
        By a drain.
        """
        self.assertReleased(lambda self: self.resource.drain(5))

    def test_waiting(self) -> None:
        """
        While somebody waits for it to be writable, or closed.
        """

        def end(self: ReleaseTests) -> None:
            self.stall()
            self.stream.whenWritable()
            self.stream.whenClosed()
            self.browser.disconnect()

        self.assertReleased(end)

    def test_notification(self) -> None:
        """
        After an abort nobody waits to be notified: of HTTP/2 nobody ever would be.
        """
        stream = self.connect()
        request = stream.request
        assert request is not None
        self.assertEqual(len(request.notifications), 1)
        stream.abort()
        self.assertEqual(request.notifications, [])
        self.assertIsNot(request.producer, stream)

    def test_requestThatIsKept(self) -> None:
        """
        A request that others keep does not keep the stream.
        """
        gc.disable()
        try:
            for end in ("end", "abort", "disconnect"):
                stream = self.connect()
                request = stream.request
                reference = weakref.ref(stream)
                getattr(self.browser if end == "disconnect" else stream, end)()
                self.client.clock.advance(1)
                del stream, self.stream
                self.assertIsNone(reference(), end)
                assert request is not None
                self.assertFalse(hasattr(request, "_eventStream"))
        finally:
            gc.enable()
