"""
Tests for L{twisted_sse.stream.every}: loops, and the handling of their results.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock, LoopingCall
from twisted.logger import capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.support.streams import BIG, StreamTestCase
from twisted_sse import CloseReason, Event, EventStream, InvalidEvent
from twisted_sse.stream.asked import Asked
from twisted_sse.stream.every import Emission, cancel
from twisted_sse.stream.feed import Feed
from twisted_sse.timing.ticker import TimerWheel


class Recorder:
    """
    Records the calls of an emission.
    """

    def __init__(self) -> None:
        self.sent: list[object] = []
        self.ended: list[Failure | None] = []
        self.asked = Asked("192.0.2.1", b"GET", b"/", None)

    def send(self, event: Event, /) -> bool:
        """
        Record an event.
        """
        self.sent.append(event)
        return True

    def detach(self, feed: Feed, /) -> None:
        """
        Record the end, without a failure so far.
        """
        self.ended.append(None)

    def fail(self, failure: Failure, /) -> None:
        """
        Record a failure, which follows the end.
        """
        assert self.ended.pop() is None, "it was detached"
        self.ended.append(failure)


class EmissionTests(SynchronousTestCase):
    """
    Tests for L{Emission}.
    """

    def setUp(self) -> None:
        """
        Make a clock and a recorder.
        """
        self.clock = Clock()
        self.recorder = Recorder()

    def emit(self, function: Callable[[], object], now: bool = False) -> Emission:
        """
        Start an emission.
        """
        emission = Emission(self.recorder, function)
        emission.begin(TimerWheel(self.clock), 1, now)
        return emission

    def test_sends(self) -> None:
        """
        Events are sent unchanged, and text becomes the data of an event.
        """
        event = Event("x")
        results = iter([event, "text", None])
        self.emit(lambda: next(results), now=True)
        self.clock.pump([1, 1])
        self.assertEqual(self.recorder.sent, [event, Event("text")])
        self.assertIs(self.recorder.sent[0], event)
        self.assertEqual(self.recorder.ended, [])

    def test_loopStopped(self) -> None:
        """
        Stopping the loop ends the emission without a failure.
        """
        emission = self.emit(lambda: "x")
        emission.stop()
        self.assertEqual(self.recorder.ended, [None])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_failure(self) -> None:
        """
        A failure ends the emission and is reported.
        """
        emission = self.emit(lambda: 1 // 0)
        self.clock.advance(1)
        [failure] = self.recorder.ended
        assert failure is not None
        failure.trap(ZeroDivisionError)
        self.assertFalse(emission.running)

    def test_stop(self) -> None:
        """
        C{finish} stops the emission without reporting an end, and may be called twice.
        """
        for now in (True, False):
            emission = self.emit(lambda: "x")
            emission.finish(now)
            emission.finish(now)
            self.assertEqual(self.recorder.ended, [])
            self.clock.advance(5)
            self.assertEqual(self.recorder.sent, [])
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stopWaiting(self) -> None:
        """
        C{finish} cancels a pending result, immediately or in the next turn.
        """
        for now in (True, False):
            cancelled: list[object] = []
            emission = self.emit(lambda cancelled=cancelled: Deferred(cancelled.append))
            self.clock.advance(1)
            emission.finish(now)
            self.assertEqual(len(cancelled), int(now))
            self.clock.advance(0)
            self.assertEqual(len(cancelled), 1)
            self.assertEqual(self.recorder.ended, [])
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stopIgnored(self) -> None:
        """
        A result that arrives despite its cancellation is not sent.
        """
        waiting: Deferred[str] = Deferred(lambda deferred: deferred.callback("late"))
        emission = self.emit(lambda: waiting)
        self.clock.advance(1)
        emission.finish(True)
        self.assertEqual(self.recorder.sent, [])

    def test_failsAsItIsStopped(self) -> None:
        """
        An exception raised on cancellation is logged, but a L{CancelledError} is not.
        """

        async def fails() -> None:
            try:
                await Deferred()
            except CancelledError:
                raise ZeroDivisionError from None

        for function, errors in ((fails, 1), (lambda: Deferred(), 0)):
            emission = self.emit(function)
            self.clock.advance(1)
            emission.finish(True)
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), errors)
            self.assertEqual(self.recorder.ended, [])

    def test_wrong(self) -> None:
        """
        A wrong result raises a L{TypeError} that shows the function and the result.
        """

        def makesNumbers() -> int:
            return 5

        self.emit(makesNumbers)
        self.clock.advance(1)
        [failure] = self.recorder.ended
        assert failure is not None
        failure.trap(TypeError)
        self.assertIn("makesNumbers", failure.getErrorMessage())
        self.assertIn("returned 5", failure.getErrorMessage())

    def test_cancel(self) -> None:
        """
        L{cancel} logs the exception of a canceller.
        """

        def canceller(_: object) -> None:
            raise ZeroDivisionError

        cancel(Deferred(canceller))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        deferred: Deferred[None] = Deferred()
        cancel(deferred)
        self.failureResultOf(deferred, CancelledError)


class EveryTests(StreamTestCase):
    """
    Tests for L{EventStream.every}.
    """

    def test_loop(self) -> None:
        """
        C{every} returns a running L{LoopingCall} that first sends after one interval.
        """
        stream = self.connect()
        loop = stream.every(2, lambda: "tick")
        self.assertIsInstance(loop, LoopingCall)
        self.assertTrue(loop.running)
        self.assertEqual(self.data(), [])
        self.client.clock.advance(1.99)
        self.assertEqual(self.data(), [])
        self.client.clock.advance(0.01)
        self.assertEqual(self.data(), ["tick"])
        self.client.clock.advance(8)
        self.assertEqual(self.data(), ["tick"] * 5)

    def test_now(self) -> None:
        """
        With C{now} the first event is sent immediately.
        """
        self.connect(lambda stream: stream.every(2, lambda: Event("tick"), now=True) and None)
        self.assertEqual(self.data(), ["tick"])
        self.client.clock.advance(2)
        self.assertEqual(self.data(), ["tick", "tick"])

    def test_everyResultThatIsAllowed(self) -> None:
        """
        The function may return an Event, a str, None for nothing, or a Deferred or coroutine of one
        of these.
        """
        waiting: Deferred[str] = Deferred()

        async def coroutine() -> Event:
            return Event("from a coroutine", event="note")

        async def nothing() -> None:
            return None

        results = iter([Event("an event"), "text", None, waiting, coroutine(), nothing(), "last"])
        stream = self.connect()
        stream.every(1, lambda: next(results))
        self.client.clock.advance(4)
        self.assertEqual(self.data(), ["an event", "text"])
        waiting.callback("later")
        self.assertEqual(self.data(), ["an event", "text", "later"])
        self.client.clock.advance(3)
        self.assertEqual(self.data()[3:], ["from a coroutine", "last"])

    def test_waits(self) -> None:
        """
        The next call waits for the Deferred, and is made at the next full interval.
        """
        calls: list[float] = []
        waiting: Deferred[None] = Deferred()

        def emit() -> Deferred[None] | None:
            calls.append(self.client.clock.seconds())
            return waiting if len(calls) == 1 else None

        stream = self.connect()
        stream.every(1, emit)
        self.client.clock.advance(3.5)
        self.assertEqual(calls, [1])
        waiting.callback(None)
        self.client.clock.advance(1)
        self.assertEqual(calls, [1, 4])

    def test_exception(self) -> None:
        """
        An exception is logged once with the client's address, and ends only this stream.
        """
        stream = self.connect()
        stream.every(1, lambda: "never" if self.client.clock.seconds() < 1 else str(1 // 0))
        stream.send("before")
        reasons = self.reasons()
        other = self.client.get("/")
        with capturedLogs() as logged:
            self.client.clock.advance(5)
        self.stream.send("to the other")
        self.assertEqual(reasons, [CloseReason.ERROR])
        self.assertTrue(self.browser.ended)
        self.assertFalse(self.browser.complete)
        self.assertEqual(self.data(), ["before"])
        self.assertFalse(other.ended)
        self.assertEqual([event.data for event in other.events], ["to the other"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        failures = [event for event in logged if "log_failure" in event]
        self.assertEqual(len(failures), 1)
        self.assertEqual(failures[0]["address"], "127.0.0.1")
        self.assertIn("{address}", failures[0]["log_format"])

    def test_exceptionBeforeHeaders(self) -> None:
        """
        An exception raised inside C{connected} by a loop's first call becomes a 500.
        """

        def connected(stream: EventStream) -> None:
            stream.every(1, lambda: 1 // 0, now=True)

        self.connect(connected)
        self.assertEqual(self.browser.status, 500)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertGone()

    def test_deferredFails(self) -> None:
        """
        A Deferred or coroutine that fails ends the stream with an error.
        """

        async def failing() -> None:
            raise ZeroDivisionError

        for emit in (failing, lambda: Deferred.fromCoroutine(failing())):
            stream = self.connect()
            stream.every(1, emit)
            reasons = self.reasons()
            self.client.clock.advance(1)
            self.assertEqual(reasons, [CloseReason.ERROR])
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
            self.assertTrue(self.browser.ended)
            self.assertFalse(self.browser.complete)
            self.assertGone()

    def test_wrongResult(self) -> None:
        """
        A result that is not an event ends the stream and logs a L{TypeError}.
        """

        async def coroutine() -> object:
            return 5

        for emit in (lambda: 5, lambda: b"bytes", lambda: {"data": "x"}, coroutine, lambda: True):
            stream = self.connect()
            stream.every(1, emit)
            reasons = self.reasons()
            self.client.clock.advance(1)
            self.assertEqual(reasons, [CloseReason.ERROR])
            [failure] = self.flushLoggedErrors(TypeError)
            self.assertIn("it must return an Event, a str", failure.getErrorMessage())
            self.assertGone()

    def test_invalidText(self) -> None:
        """
        Text that cannot be sent ends the stream with an error.
        """
        stream = self.connect()
        stream.every(1, lambda: "\ud800")
        self.client.clock.advance(1)
        self.assertEqual(len(self.flushLoggedErrors(InvalidEvent)), 1)
        self.assertGone()

    def test_badInterval(self) -> None:
        """
        An interval that is not a positive number raises an error with its name and value.
        """
        stream = self.connect()
        for interval in (0, -1, None, "1", True, float("nan"), float("inf")):
            error = self.assertRaises(ValueError, stream.every, interval, lambda: "x")
            self.assertIn(f"interval is {interval!r}", str(error))
            self.assertIn("above 0", str(error))
        self.assertFalse(stream.closed)

    def test_badFunction(self) -> None:
        """
        A function that is not callable is refused.
        """
        error = self.assertRaises(TypeError, self.connect().every, 1, "text")
        self.assertIn("emit is 'text'", str(error))

    def test_stop(self) -> None:
        """
        Stopping the loop leaves the stream open and no trace of the loop.
        """
        stream = self.connect(heartbeat=None)
        loop = stream.every(1, lambda: "tick")
        self.client.clock.advance(2)
        loop.stop()
        self.client.clock.advance(5)
        self.assertEqual(self.data(), ["tick"] * 2)
        self.assertFalse(stream.closed)
        self.assertEqual(stream._response.feeds, ())
        self.assertEqual(self.client.clock.getDelayedCalls(), [])

    def test_several(self) -> None:
        """
        A stream may have several loops, and its end stops them all.
        """
        stream = self.connect()
        loops = [stream.every(1, lambda: "one"), stream.every(2.5, lambda: "two")]
        self.client.clock.advance(2.5)
        self.assertEqual(self.data(), ["one", "one", "two"])
        stream.end()
        self.client.clock.advance(10)
        self.assertEqual([loop.running for loop in loops], [False, False])
        self.assertEqual(self.data(), ["one", "one", "two"])
        self.assertGone()

    def test_stoppedByTheClient(self) -> None:
        """
        A disconnect stops the loop, and its function is not called again.
        """
        calls: list[None] = []
        stream = self.connect()
        loop = stream.every(1, lambda: calls.append(None))
        self.client.clock.advance(2)
        self.browser.disconnect()
        self.assertFalse(loop.running)
        self.client.clock.advance(5)
        self.assertEqual(len(calls), 2)
        self.assertGone()

    def test_stoppedFromInside(self) -> None:
        """
        The function may end its own stream, and its result is then not sent.
        """
        for act in (EventStream.end, EventStream.abort):
            for late in (None, "late", Event("late")):

                def emit(act: Callable[[EventStream], None] = act, late: object = late) -> object:
                    act(self.stream)
                    return late

                stream = self.connect()
                stream.every(1, emit)
                reasons = self.reasons()
                self.client.clock.advance(3)
                self.assertEqual(reasons, [CloseReason.ENDED])
                self.assertEqual(self.data(), [])
                self.assertGone()

    def test_waitingIsCancelled(self) -> None:
        """
        A pending Deferred of the loop is cancelled when the stream ends, and nothing is logged.
        """
        cancelled: list[object] = []
        stream = self.connect()
        loop = stream.every(1, lambda: Deferred(cancelled.append))
        self.client.clock.advance(1)
        self.assertEqual(cancelled, [])
        self.browser.disconnect()
        self.assertEqual(len(cancelled), 1)
        self.assertFalse(loop.running)
        self.assertGone()

    def test_waitingCoroutineEndsItsStream(self) -> None:
        """
        A coroutine that ends its own stream and then waits is cancelled.
        """
        for first in (None, Deferred()):
            second: Deferred[None] = Deferred()

            async def emit(
                first: Deferred[None] | None = first, second: Deferred[None] = second
            ) -> None:
                if first is not None:
                    await first
                self.stream.end()
                await second

            stream = self.connect()
            stream.every(1, emit)
            self.client.clock.advance(1)
            if first is not None:
                first.callback(None)
            self.client.clock.advance(1)
            self.assertTrue(second.called)
            self.assertGone()

    def test_cancellerRaises(self) -> None:
        """
        A canceller that raises is logged, and the stream is still released.
        """

        def canceller(_: object) -> None:
            raise ZeroDivisionError

        stream = self.connect()
        stream.every(1, lambda: Deferred(canceller))
        reasons = self.reasons()
        self.client.clock.advance(1)
        self.browser.disconnect()
        self.assertEqual(reasons, [CloseReason.CLIENT])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertGone()

    def test_lateResult(self) -> None:
        """
        A result that arrives after the stream has ended is dropped.
        """
        waiting: Deferred[str] = Deferred(lambda _: None)
        stream = self.connect()
        stream.every(1, lambda: waiting)
        self.client.clock.advance(1)
        self.browser.disconnect()
        self.assertGone()
        if not waiting.called:
            waiting.callback("late")
        self.assertEqual(stream.eventsSent, 0)

    def test_afterEnd(self) -> None:
        """
        On a stream that is ending or closed, C{every} returns a loop that never runs.
        """
        stream = self.connect()
        stream.end()
        ending = stream.every(1, lambda: 1 // 0, now=True)
        self.client.clock.advance(1)
        over = stream.every(1, lambda: 1 // 0, now=True)
        self.assertEqual([ending.running, over.running], [False, False])
        self.client.clock.advance(5)
        self.assertGone()

    def test_whileStalled(self) -> None:
        """
        The loop continues while the client does not read, and its events are queued.
        """
        stream = self.connect()
        self.stall()
        stream.every(1, lambda: "tick")
        self.client.clock.advance(3)
        self.assertEqual(stream.bytesPending, 3 * len(Event("tick").encode()))
        self.browser.resumeReading()
        self.assertEqual(self.data(), [BIG, "tick", "tick", "tick"])

    def test_lostIsNot(self) -> None:
        """
        None of 1,000 ticks is lost, even with an awkward start time.
        """
        stream = self.connect()
        self.client.clock.rightNow = 1234567.891
        stream.every(0.05, lambda: "tick")
        for _ in range(100):
            self.client.clock.advance(0.5)
        self.client.clock.advance(0.01)
        self.assertEqual(len(self.data()), 1000)
