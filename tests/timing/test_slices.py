"""
Tests for L{twisted_sse.timing.slices}: work on many streams, in slices.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from twisted_sse.timing import slices
from twisted_sse.timing.slices import givingWay, inSlices


class SliceTests(SynchronousTestCase):
    """
    Tests for L{inSlices}.
    """

    def test_atOnce(self) -> None:
        """
        A few items are processed immediately.
        """
        done: list[object] = []
        clock = Clock()
        inSlices(clock, [1, 2, 3], done.append)
        self.assertEqual(sorted(done), [1, 2, 3])
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_many(self) -> None:
        """
        Longer work is spread over several turns, and each item is processed once.
        """
        done: list[object] = []
        clock = Clock()

        def act(what: object) -> None:
            clock.rightNow += 0.009
            done.append(what)

        inSlices(clock, range(10), act)
        self.assertEqual(len(done), 3)
        turns = 0
        while clock.getDelayedCalls():
            before = len(done)
            call = clock.calls.pop()
            assert call.func is not None
            call.func()
            self.assertLessEqual(len(done) - before, 3)
            turns += 1
        self.assertEqual(sorted(done), list(range(10)))
        self.assertEqual(turns, 3)

    def test_setBack(self) -> None:
        """
        A slice does not last longer when the system's clock is set back meanwhile.
        """
        now = [0.0]
        self.patch(slices, "steady", lambda clock: lambda: now[0])
        done: list[int] = []
        clock = Clock()

        def act(item: int) -> None:
            done.append(item)
            now[0] += 0.015
            clock.rightNow -= 3600

        inSlices(clock, range(10), act)
        self.assertEqual(len(done), 2)

    def test_givingWay(self) -> None:
        """
        Between slices the reactor does other things, and the remaining items stay in order.
        """
        clock, done = Clock(), list[int]()

        async def go() -> None:
            async for each in givingWay(clock, range(10)):
                clock.rightNow += 0.009
                done.append(each)

        between: list[int] = []
        for seconds in (0.02, 0.05):
            clock.callLater(seconds, lambda: between.append(len(done)))
        going = Deferred.fromCoroutine(go())
        self.assertEqual(done, [0, 1, 2])
        self.assertNoResult(going)
        clock.advance(0)
        self.assertEqual(between, [3, 6])
        self.assertEqual(done, list(range(10)))
        self.successResultOf(going)
