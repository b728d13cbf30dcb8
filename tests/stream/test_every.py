"""
Tests for L{twisted_sse.stream.every}: a loop, and what becomes of what it makes.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from twisted_sse import Event
from twisted_sse.stream.every import Emission, cancel
from twisted_sse.timing.ticker import TimerWheel


class Recorder:
    """
    Records what an emission does.
    """

    def __init__(self) -> None:
        self.sent: list[object] = []
        self.ended: list[Failure | None] = []

    def send(self, what: Event | str, /) -> bool:
        """
        Record an event.
        """
        self.sent.append(what)
        return True

    def _emissionEnded(self, emission: Emission, failure: Failure | None) -> None:
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
        Events and texts are sent, as they are.
        """
        event = Event("x")
        results = iter([event, "text", None])
        self.emit(lambda: next(results), now=True)
        self.clock.pump([1, 1])
        self.assertEqual(self.recorder.sent, [event, "text"])
        self.assertIs(self.recorder.sent[0], event)
        self.assertEqual(self.recorder.ended, [])

    def test_loopStopped(self) -> None:
        """
        Whoever stops the loop ends the emission, without a failure.
        """
        emission = self.emit(lambda: "x")
        emission.stop()
        self.assertEqual(self.recorder.ended, [None])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_failure(self) -> None:
        """
        A failure ends it, and is told.
        """
        emission = self.emit(lambda: 1 // 0)
        self.clock.advance(1)
        [failure] = self.recorder.ended
        assert failure is not None
        failure.trap(ZeroDivisionError)
        self.assertFalse(emission.running)

    def test_stop(self) -> None:
        """
        A stream that stops it is not told so; stopping it again does nothing.
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
        What it waits for is cancelled: at once, or, where that may be the caller, in the next
        turn.
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
        A result that comes in spite of the cancellation is not sent.
        """
        waiting: Deferred[str] = Deferred(lambda deferred: deferred.callback("late"))
        emission = self.emit(lambda: waiting)
        self.clock.advance(1)
        emission.finish(True)
        self.assertEqual(self.recorder.sent, [])

    def test_failsAsItIsStopped(self) -> None:
        """
        What goes wrong as it is cancelled is logged; that it is cancelled is not.
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
        A wrong result is a TypeError that shows the function and the result.
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
        L{cancel} logs what a canceller raises.
        """

        def canceller(_: object) -> None:
            raise ZeroDivisionError

        cancel(Deferred(canceller))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        deferred: Deferred[None] = Deferred()
        cancel(deferred)
        self.failureResultOf(deferred, CancelledError)
