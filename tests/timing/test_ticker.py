"""
Tests for L{twisted_sse.timing.ticker}: the cheap C{LoopingCall} and the timer wheel.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet import defer, task
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorCore
from twisted.internet.task import Clock, LoopingCall
from twisted.python.failure import Failure
from twisted.test import test_task
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from twisted_sse.testing import MemoryClock
from twisted_sse.timing import ticker
from twisted_sse.timing.ticker import Ticker, TimerWheel

#: A time at which a wheel that rounds times to slot numbers would lose ticks.
CROOKED = 1234567.891


class WheelTicker(Ticker):
    """
    A ticker that puts its clock on a wheel.
    """

    def start(self, interval: float, now: bool = True) -> Deferred[LoopingCall]:
        """
        Start the ticker on a wheel.
        """
        if not isinstance(self.clock, TimerWheel):
            self.clock = TimerWheel(self.clock)  # type: ignore[arg-type, assignment]
        return super().start(interval, now)


class TickerLoopTests(test_task.LoopTests):
    """
    Twisted's own tests of L{LoopingCall}, for L{Ticker}.
    """

    ticker: type[LoopingCall] = Ticker

    def setUp(self) -> None:
        """
        Replace Twisted's class with ours.
        """
        self.patch(task, "LoopingCall", self.ticker)


class WheelLoopTests(TickerLoopTests):
    """
    Twisted's own tests of L{LoopingCall}, for L{Ticker} on a L{TimerWheel}.
    """

    ticker = WheelTicker


class TickerTests(SynchronousTestCase):
    """
    Tests for the additional features of L{Ticker}.
    """

    def setUp(self) -> None:
        """
        Count the Deferreds made, and the calls of C{maybeDeferred}.
        """
        self.clock: Clock = Clock()
        self.calls = 0
        self.deferreds = 0
        maybeDeferred = ticker.maybeDeferred

        def counting(*args: Any) -> Any:
            self.calls += 1
            return maybeDeferred(*args)

        self.patch(ticker, "maybeDeferred", counting)
        create = defer.Deferred.__init__

        def counted(deferred: Deferred[Any], *args: Any, **kwargs: Any) -> None:
            self.deferreds += 1
            create(deferred, *args, **kwargs)

        self.patch(defer.Deferred, "__init__", counted)

    def loop(self, function: Callable[[], object]) -> Ticker:
        """
        Make a ticker with the test's clock.
        """
        loop = Ticker(function)
        loop.clock = self.clock
        return loop

    def test_noDeferredPerTick(self) -> None:
        """
        A tick makes no Deferred, unless its function returns something to wait for.
        """
        results = iter([None, 5, "text", object(), [], False] * 100)
        loop = self.loop(lambda: next(results))
        loop.start(1)
        self.deferreds = 0
        for _ in range(100):
            self.clock.advance(1)
        self.assertEqual((self.calls, self.deferreds), (0, 0))
        self.assertTrue(loop.running)

    def test_waits(self) -> None:
        """
        The next tick waits for a Deferred or a coroutine, as with L{LoopingCall}.
        """

        async def wait(waiting: Deferred[None]) -> None:
            await waiting

        for result in (lambda waiting: waiting, wait):
            waiting: Deferred[None] = Deferred()
            loop = self.loop(partial(result, waiting))
            loop.start(1)
            self.clock.advance(5)
            self.assertEqual(self.clock.getDelayedCalls(), [])
            waiting.callback(None)
            [call] = self.clock.getDelayedCalls()
            self.assertEqual(call.getTime(), self.clock.seconds() + 1)
            loop.stop()
        self.assertEqual(self.calls, 2)

    def test_failures(self) -> None:
        """
        An exception, a Failure, or a Deferred or coroutine that fails stops the ticker and fails
        its Deferred.
        """

        async def coroutine() -> None:
            raise ZeroDivisionError

        for function in (
            lambda: 1 // 0,
            lambda: Failure(ZeroDivisionError()),
            lambda: fail(ZeroDivisionError()),
            coroutine,
        ):
            loop = self.loop(function)
            done = loop.start(1)
            self.failureResultOf(done, ZeroDivisionError)
            self.assertFalse(loop.running)
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_baseException(self) -> None:
        """
        An exception that is not an L{Exception} also fails the ticker's Deferred.
        """

        class Severe(BaseException):
            pass

        def function() -> None:
            raise Severe

        self.failureResultOf(self.loop(function).start(1), Severe)

    def test_stoppedInside(self) -> None:
        """
        The ticker's function may stop it.
        """
        loop = self.loop(lambda: loop.stop())
        done = loop.start(1)
        self.assertIs(self.successResultOf(done), loop)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_zero(self) -> None:
        """
        With an interval of 0 the function is called in every turn.
        """
        calls: list[None] = []
        self.clock = MemoryClock()
        loop = self.loop(lambda: calls.append(None))
        loop.start(0)
        for _ in range(5):
            self.clock._turn()
        self.assertEqual(len(calls), 6)
        loop.stop()

    def test_zeroWithResult(self) -> None:
        """
        With an interval of 0, a function that returns a fired Deferred is called in every turn.
        """
        calls: list[None] = []
        self.clock = MemoryClock()
        loop = self.loop(lambda: succeed(calls.append(None)))
        loop.start(0)
        for _ in range(5):
            self.clock._turn()
        self.assertEqual(len(calls), 6)
        loop.stop()

    def test_late(self) -> None:
        """
        A ticker that is late skips the ticks it missed, and keeps its rhythm.
        """
        times: list[float] = []
        loop = self.loop(lambda: times.append(self.clock.seconds()))
        loop.start(1)
        for amount in (1, 2.5, 0.5, 1):
            self.clock.advance(amount)
        self.assertEqual(times, [0, 1, 3.5, 4, 5])

    def test_noTickIsLost(self) -> None:
        """
        None of 100 ticks is lost or repeated, even with an awkward start time, on a wheel or not.
        """
        for make in (Ticker, WheelTicker):
            clock = Clock()
            clock.rightNow = CROOKED
            times: list[float] = []
            loop = make(lambda: times.append(clock.seconds()))  # noqa: B023
            loop.clock = clock
            loop.start(0.05, now=False)
            for _ in range(10_000):
                clock.advance(0.0005)
            self.assertIn(len(times), (99, 100))
            for before, after in pairwise(times):
                self.assertTrue(0.049 < after - before < 0.056, after - before)
            loop.stop()
            self.assertEqual(clock.getDelayedCalls(), [])


class WheelTests(SynchronousTestCase):
    """
    Tests for L{TimerWheel}.
    """

    def setUp(self) -> None:
        """
        Make a wheel at an awkward time.
        """
        self.clock = Clock()
        self.clock.rightNow = CROOKED
        self.wheel = TimerWheel(self.clock)
        self.made: list[tuple[object, float]] = []

    def note(self, what: object) -> None:
        """
        Record a call.
        """
        self.made.append((what, self.clock.seconds()))

    def go(self) -> None:
        """
        Advance from one delayed call to the next until there is none.
        """
        while self.clock.getDelayedCalls():
            next = min(call.getTime() for call in self.clock.getDelayedCalls())
            self.clock.rightNow = max(next, self.clock.rightNow)
            self.clock.advance(0)

    def test_alone(self) -> None:
        """
        A single call is made exactly when the reactor would make it.
        """
        for delay in (0.05, 0.005, 0.0001, 1, 15, 3.3333333, 0):
            self.made.clear()
            reactors = self.clock.callLater(delay, lambda: None)
            due = reactors.getTime()
            reactors.cancel()
            call = self.wheel.callLater(delay, self.note, "x")
            self.assertEqual(call.getTime(), due)
            [delayed] = self.clock.getDelayedCalls()
            self.assertEqual(delayed.getTime(), due)
            self.go()
            self.assertEqual(self.made, [("x", due)])

    def test_arguments(self) -> None:
        """
        Arguments are passed on, and the time is the clock's.
        """
        got: list[object] = []
        self.wheel.callLater(1, lambda *args: got.extend(args), 1, "two")
        self.clock.advance(1)
        self.assertEqual(got, [1, "two"])
        self.assertEqual(self.wheel.seconds(), self.clock.seconds())

    @given(
        st.floats(0, 1e9),
        st.lists(st.floats(0, 1), min_size=1, max_size=50),
    )
    def test_neverEarly(self, began: float, delays: list[float]) -> None:
        """
        No call is early or more than 5 ms late, and there is one delayed call per slot.
        """
        self.clock.rightNow = began
        self.made.clear()
        due = {}
        for number, delay in enumerate(delays):
            due[number] = self.wheel.callLater(delay, self.note, number).getTime()
        slots = {
            int(time / self.wheel.resolution) for number, time in due.items() if delays[number] > 0
        }
        # Calls for the next turn do not go through the wheel.
        self.assertEqual(len(self.clock.getDelayedCalls()), len(slots) + delays.count(0))
        self.go()
        self.assertEqual(len(self.made), len(delays))
        for number, time in self.made:
            self.assertGreaterEqual(time, due[number])
            self.assertLessEqual(time, due[number] + 0.005 + 1e-6)
        self.assertEqual(self.wheel._slots, {})

    def test_oneDelayedCall(self) -> None:
        """
        A thousand calls in one slot need one delayed call, and are made in order.
        """
        self.clock.rightNow = 100.0001
        for number in range(1000):
            self.wheel.callLater(1 + number * 1e-6, self.note, number)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.go()
        self.assertEqual([what for what, _ in self.made], list(range(1000)))

    def test_cancel(self) -> None:
        """
        A cancelled call is not made and leaves nothing, and cancelling it again does nothing.
        """
        calls = [self.wheel.callLater(1, self.note, number) for number in range(3)]
        self.assertTrue(calls[1].active())
        calls[1].cancel()
        self.assertFalse(calls[1].active())
        calls[1].cancel()
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        calls[0].cancel()
        calls[2].cancel()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.wheel._slots, {})
        self.clock.advance(2)
        self.assertEqual(self.made, [])

    def test_cancelSome(self) -> None:
        """
        Cancelling one call of a slot leaves the others.
        """
        calls = [self.wheel.callLater(1, self.note, number) for number in range(3)]
        calls[1].cancel()
        self.go()
        self.assertEqual([what for what, _ in self.made], [0, 2])
        self.assertFalse(calls[0].active())
        calls[0].cancel()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_cancelFromACall(self) -> None:
        """
        A call may cancel another that is due at the same time.
        """
        self.wheel.callLater(1, lambda: later.cancel())
        later = self.wheel.callLater(1, self.note, "late")
        last = self.wheel.callLater(1, self.note, "last")
        self.go()
        self.assertEqual([what for what, _ in self.made], ["last"])
        self.assertFalse(last.active())
        self.assertEqual(self.wheel._slots, {})

    def test_cancelAllFromACall(self) -> None:
        """
        A call may cancel all others that are due at the same time.
        """
        others: list[Any] = []
        self.wheel.callLater(1, lambda: [other.cancel() for other in others])
        others += [self.wheel.callLater(1, self.note, number) for number in range(5)]
        self.go()
        self.assertEqual(self.made, [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_callLaterFromACall(self) -> None:
        """
        A call may schedule another for the same time, which is made in a later turn.
        """
        self.wheel.callLater(1, lambda: self.wheel.callLater(0, self.note, "next"))
        self.wheel.callLater(1, self.note, "first")
        self.go()
        self.assertEqual([what for what, _ in self.made], ["first", "next"])

    def test_failure(self) -> None:
        """
        A call that fails is logged, and does not affect the others.
        """
        self.wheel.callLater(1, self.note, "before")
        self.wheel.callLater(1, lambda: 1 // 0)
        self.wheel.callLater(1, self.note, "after")
        self.go()
        self.assertEqual([what for what, _ in self.made], ["before", "after"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_roundingIsNotEarly(self) -> None:
        """
        Rounding errors do not make the last call of a slot early.
        """
        chance = random.Random(2)
        for _ in range(2000):
            self.clock.rightNow = chance.random() * 10 ** chance.randrange(10)
            due = [
                self.wheel.callLater(chance.random() / 100, self.note, 0).getTime() for _ in "ab"
            ]
            self.made.clear()
            self.go()
            self.assertEqual(len(self.made), 2)
            self.assertGreaterEqual(min(time for _, time in self.made), min(due))
            self.assertGreaterEqual(max(time for _, time in self.made), max(due))

    def test_manyLoops(self) -> None:
        """
        A thousand tickers on a wheel keep their rate with few delayed calls.
        """
        chance = random.Random(1)
        counts = [0] * 1000

        def tick(number: int) -> None:
            counts[number] += 1

        loops = []
        for number in range(1000):
            loop = Ticker(tick, number)
            loop.clock = self.wheel  # type: ignore[assignment]
            loop.start(0.05, now=False)
            loops.append(loop)
            self.clock.advance(chance.random() / 10_000)
        most = 0
        end = self.clock.seconds() + 2
        while self.clock.seconds() < end:
            most = max(most, len(self.clock.getDelayedCalls()))
            self.clock.advance(0.001)
        self.assertLessEqual(most, 0.05 / 0.005 + 2)
        self.assertGreaterEqual(min(counts), 39)
        self.assertLessEqual(max(counts), 42)
        for loop in loops:
            loop.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_nextTurn(self) -> None:
        """
        A call without a delay is made in the next turn, whatever else is due soon.
        """
        # The start of a slot, so that both calls are in it.
        self.clock.rightNow = 1.0
        self.wheel.callLater(0.0049, self.note, "soon")
        self.wheel.callLater(0, self.note, "now")
        self.clock.advance(0)
        self.assertEqual([name for name, _ in self.made], ["now"])

    def test_systemExit(self) -> None:
        """
        C{SystemExit} in a call is logged and does not affect the others, as with the reactor.
        """

        def leave() -> None:
            raise SystemExit

        self.wheel.callLater(1, leave)
        self.wheel.callLater(1, self.note, "other")
        self.go()
        self.assertEqual([name for name, _ in self.made], ["other"])
        self.assertEqual(len(self.flushLoggedErrors(SystemExit)), 1)


@implementer(IReactorCore)
class SystemClock(Clock):
    """
    A reactor whose time is the system's clock, which can be set.
    """

    set = 0.0

    def seconds(self) -> float:
        """
        Return the time of the system's clock.
        """
        return super().seconds() + self.set

    def setBack(self, amount: float) -> None:
        """
        Set the clock back, so that pending calls are due later.
        """
        self.set -= amount


class SetBackTests(SynchronousTestCase):
    """
    Tests for setting the system's clock while calls are pending.
    """

    def setUp(self) -> None:
        """
        Make a reactor, and a monotonic clock.
        """
        self.reactor = SystemClock()
        steady = SimpleNamespace(monotonic=lambda: Clock.seconds(self.reactor))
        self.patch(ticker, "time", steady)
        self.wheel = TimerWheel(cast(Any, self.reactor))
        self.made: list[str] = []

    def test_seconds(self) -> None:
        """
        The wheel's time is not affected when the clock is set back or forward.
        """
        before = self.wheel.seconds()
        for amount in (3600, -7200):
            self.reactor.setBack(amount)
            self.reactor.advance(1)
        self.assertEqual(self.wheel.seconds(), before + 2)

    def test_setBack(self) -> None:
        """
        After the clock was set back, pending calls are on time once another is scheduled.
        """
        self.wheel.callLater(5, self.made.append, "old")
        self.reactor.advance(1)
        self.reactor.setBack(3600)
        self.wheel.callLater(1, self.made.append, "new")
        self.reactor.advance(1)
        self.assertEqual(self.made, ["new"])
        self.reactor.advance(3)
        self.assertEqual(self.made, ["new", "old"])
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_overdue(self) -> None:
        """
        Overdue calls are made immediately when another is scheduled.
        """
        self.wheel.callLater(5, self.made.append, "old")
        self.reactor.setBack(3600)
        self.reactor.advance(10)
        self.assertEqual(self.made, [])
        self.wheel.callLater(1, self.made.append, "new")
        self.reactor.advance(0)
        self.assertEqual(self.made, ["old"])

    def test_setForward(self) -> None:
        """
        No call is early when the clock is set forward.
        """
        self.wheel.callLater(5, self.made.append, "x")
        self.reactor.setBack(-3600)
        self.reactor.advance(4)
        self.assertEqual(self.made, [])
        self.reactor.advance(1)
        self.assertEqual(self.made, ["x"])

    def test_loop(self) -> None:
        """
        A ticker keeps its times after the clock was set back.
        """
        for interval in (1, 1.5):
            loop = Ticker(self.made.append, "tick")
            loop.clock = self.wheel
            loop.start(interval, now=False)
        self.reactor.advance(1)
        self.reactor.setBack(3600)
        self.wheel.callLater(0.1, lambda: None)
        for _ in range(20):
            self.reactor.advance(0.1)
        self.assertEqual(len(self.made), 3 + 2)
