"""
Tests for L{twisted_sse.stream.stream}: how a stream ends, and what it releases.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.support.streams import BIG, StreamTestCase
from twisted_sse import CloseReason, EventStream, EventStreamResource, SlowReader
from twisted_sse.testing import MemoryClient


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
        Calling C{end} or C{abort} again does nothing.
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
        C{end} inside C{connected} sends the headers and the events so far, and completes the
        response.
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
        C{end} first sends the queue, and the stream is closed only after the bytes have been
        written.
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
        An ending stream is not closed while its transport still holds bytes.
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
        When the client disconnects before an ending stream is done, the reason is CLIENT.
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
        C{abort} aborts a stream that is ending but stalled.
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
        C{stallTimeout} aborts an ending stream whose client does not read, whether or not its
        transport has paused it.
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
        Without C{stallTimeout} an ending stream waits for its client indefinitely.
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
        A drain's deadline aborts a stream that is ending but stalled.
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
        C{abort} ends the response immediately, and the queue is lost.
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
        C{abort} inside C{connected} closes the connection without a response.
        """
        self.connect(EventStream.abort)
        self.assertIsNone(self.browser.status)
        self.assertTrue(self.browser.ended)
        self.assertGone()

    def test_disconnect(self) -> None:
        """
        A disconnect closes the stream, with or without a reset.
        """
        for reset in (False, True):
            self.connect()
            reasons = self.reasons()
            self.browser.disconnect(reset=reset)
            self.assertEqual(reasons, [CloseReason.CLIENT])
            self.assertGone()

    def test_disconnectBeforeHeaders(self) -> None:
        """
        A disconnect before the headers closes the stream, too.
        """
        stream = self.connect(lambda stream: Deferred())
        reasons = self.reasons()
        self.browser.disconnect()
        self.assertEqual(reasons, [CloseReason.CLIENT])
        self.assertIs(stream.send("late"), False)
        self.assertGone()

    def test_errorHasNoLastChunk(self) -> None:
        """
        After an error, events sent before arrive, but the response does not look complete.
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
        After an error, the queue is still sent, and then the response is cut off.
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
        A stream that failed is aborted even if its client has stalled.
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
        When the reactor stops, the reason of a disconnect is SHUTDOWN.
        """
        self.connect()
        reasons = self.reasons()
        self.client.clock.running = False  # type: ignore[attr-defined]
        self.browser.disconnect()
        self.assertEqual(reasons, [CloseReason.SHUTDOWN])

    def test_reasons(self) -> None:
        """
        C{CloseReason} has exactly these members.
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
        With C{once} the last event tells the browser not to reconnect.
        """
        stream = self.connect(once=True)
        stream.send("x", id="1")
        stream.end()
        last = self.browser.events[-1]
        self.assertEqual((last.type, last.lastEventID), ("end", "end"))
        self.assertTrue(self.browser.complete)

    def test_onceAborted(self) -> None:
        """
        With C{once}, an abort or an error sends no C{end} event.
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
        Methods called on a stream from C{whenClosed} do nothing.
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
        A transport's calls on its producer after the end do nothing.
        """
        stream = self.connect()
        self.browser.disconnect()
        stream._response.stopProducing()
        self.assertGone()


class ReleaseTests(StreamTestCase):
    """
    Tests that a closed stream is freed without the garbage collector.
    """

    def assertReleased(
        self,
        end: Callable[[ReleaseTests], object],
        connected: Callable[[EventStream], object] = lambda stream: None,
        **options: Any,
    ) -> None:
        """
        Open a stream, end it, and assert that it is freed.
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
        A stream is freed when the client disconnects.
        """
        self.assertReleased(lambda self: self.browser.disconnect())

    def test_reset(self) -> None:
        """
        A stream is freed when the client resets the connection.
        """
        self.assertReleased(lambda self: self.browser.disconnect(reset=True))

    def test_end(self) -> None:
        """
        A stream is freed after C{end}.
        """
        self.assertReleased(lambda self: self.stream.end())

    def test_abort(self) -> None:
        """
        A stream is freed after C{abort}.
        """
        self.assertReleased(lambda self: self.stream.abort())

    def test_stalled(self) -> None:
        """
        A stream that stalls with bytes queued is freed.
        """

        def end(self: ReleaseTests) -> None:
            self.stall()
            self.stream.send("waiting")
            self.client.clock.advance(100)

        self.assertReleased(end)

    def test_slow(self) -> None:
        """
        A stream disconnected for exceeding C{maxPending} is freed.
        """

        def end(self: ReleaseTests) -> None:
            self.stall()
            self.stream.send("y" * 100)
            self.stream.send("y" * 100)

        self.assertReleased(end, maxPending=100)

    def test_loop(self) -> None:
        """
        A stream with a running loop is freed.
        """
        self.assertReleased(
            lambda self: self.browser.disconnect(),
            lambda stream: stream.every(0.1, lambda: "x") and None,
        )

    def test_loopFails(self) -> None:
        """
        A stream is freed when its loop fails.
        """
        self.assertReleased(
            lambda self: self.client.clock.advance(1),
            lambda stream: stream.every(0.1, lambda: 1 // 0) and None,
        )

    def test_drain(self) -> None:
        """
        A stream is freed by a drain.
        """
        self.assertReleased(lambda self: self.resource.drain(5))

    def test_waiting(self) -> None:
        """
        A stream is freed while Deferreds of C{whenWritable} and C{whenClosed} are pending.
        """

        def end(self: ReleaseTests) -> None:
            self.stall()
            self.stream.whenWritable()
            self.stream.whenClosed()
            self.browser.disconnect()

        self.assertReleased(end)

    def test_notification(self) -> None:
        """
        C{abort} removes the stream's C{notifyFinish}, which HTTP/2 would never fire.
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
        A reference to the request does not keep the stream alive.
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


class ObserverTests(SynchronousTestCase):
    """
    Tests for observers that act while a stream ends.
    """

    def test_sendWhileItEnds(self) -> None:
        """
        An event sent while the headers of an ending stream are written is refused: nothing follows
        C{event: end}.
        """
        sent = []

        class Sender:
            def opened(self, stream: EventStream) -> None:
                sent.append(stream.send("late"))

        resource = EventStreamResource(EventStream.end, once=True, observer=Sender())
        browser = MemoryClient(resource).get("/")
        self.assertEqual(sent, [False])
        self.assertEqual([event.type for event in browser.events], ["end"])

    def test_endWhenDropped(self) -> None:
        """
        A stream that is aborted when events are dropped accepts no more events.
        """

        class Aborter:
            def dropped(self, stream: EventStream, events: int) -> None:
                stream.abort()

        streams: list[EventStream] = []
        resource = EventStreamResource(
            streams.append, maxPending=1000, slow=SlowReader.DROP_OLDEST, observer=Aborter()
        )
        browser = MemoryClient(resource).get("/")
        [stream] = streams
        browser.stopReading(kernelBuffer=0)
        while stream.send("x" * 500):
            pass
        self.assertTrue(stream.closed)
        self.assertEqual(stream.bytesPending, 0)
