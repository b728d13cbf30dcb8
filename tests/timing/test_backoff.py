"""
Tests for L{twisted_sse.timing.backoff}: how long a client waits.
"""

from __future__ import annotations

import random
from dataclasses import FrozenInstanceError
from math import inf, nan
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_sse.timing.backoff import Backoff

#: The largest number that L{random.random} returns.
ALMOST_1 = 1 - 2**-53

DAY = 86400.0


class DrawingTestCase(SynchronousTestCase):
    """
    Tests that replace the random numbers.
    """

    def draw(self, number: float) -> None:
        """
        Make C{random.random} return this number.
        """
        self.patch(random, "random", lambda: number)


class AfterEndTests(DrawingTestCase):
    """
    Tests for L{Backoff.afterEnd}.
    """

    def test_initial(self) -> None:
        """
        If the server has sent no C{retry}, the wait is C{initial}, even above C{maximum}.
        """
        self.assertEqual(Backoff(jitter=0).afterEnd(None), 1)
        self.assertEqual(Backoff(initial=50, maximum=3, jitter=0).afterEnd(None), 50)

    def test_retry(self) -> None:
        """
        The wait is the server's C{retry}, in milliseconds.
        """
        backoff = Backoff(initial=5, jitter=0)
        for retry, seconds in (100, 0.1), (1500, 1.5), (60_000, 60), (86_400_000, DAY):
            self.assertEqual(backoff.afterEnd(retry), seconds)

    def test_jitter(self) -> None:
        """
        The server's time is never shortened: the random part is added to it.  With full jitter that
        is up to the same time again, or up to C{initial} if that is more, and at most C{maximum}.
        """
        for jitter, retry, most in (
            (1, 4000, 8.0),
            (0.5, 4000, 6.0),
            (1, None, 2.0),
            (1, 0, 1.1),
            (0.25, 0, 0.35),
            (1, 60_000, 90.0),
            (0.5, 60_000, 75.0),
        ):
            backoff = Backoff(jitter=jitter)
            self.draw(0.0)
            least = backoff.afterEnd(retry)
            self.assertEqual(least, Backoff(jitter=0).afterEnd(retry))
            self.draw(ALMOST_1)
            self.assertAlmostEqual(backoff.afterEnd(retry), most)

    def test_spread(self) -> None:
        """
        Forty clients of a server that ends all streams at the same time reconnect over a second or
        more, whatever time it sends.
        """
        for retry in None, 0, 500, 3000:
            waits = [Backoff().afterEnd(retry) for _ in range(40)]
            self.assertEqual(len(set(waits)), 40)
            # By chance, one in a billion runs would have less.
            self.assertGreater(max(waits) - min(waits), 0.5)

    def test_shortest(self) -> None:
        """
        The wait is at least a tenth of a second, unless C{initial} is 0.
        """
        self.draw(0.0)
        for retry in 0, 1, 99:
            self.assertEqual(Backoff().afterEnd(retry), 0.1)
            self.assertEqual(Backoff(initial=0).afterEnd(retry), retry / 1000)
        self.assertEqual(Backoff(initial=0.01).afterEnd(None), 0.1)
        self.assertEqual(Backoff(initial=0).afterEnd(None), 0)

    def test_longest(self) -> None:
        """
        The wait is at most a day, however many digits C{retry} has.
        """
        for backoff in Backoff(), Backoff(initial=0):
            for retry in 86_400_001, 10**18, int("9" * 640):
                self.assertEqual(backoff.afterEnd(retry), DAY)
        self.assertEqual(Backoff(initial=1e300).afterEnd(None), DAY)


class AfterFailureTests(DrawingTestCase):
    """
    Tests for L{Backoff.afterFailure}.
    """

    def test_doubles(self) -> None:
        """
        Without jitter the wait doubles from C{initial} up to C{maximum}.
        """
        backoff = Backoff(jitter=0)
        waits = [backoff.afterFailure(failures, None) for failures in range(1, 9)]
        self.assertEqual(waits, [1, 2, 4, 8, 16, 30, 30, 30])

    def test_factor(self) -> None:
        """
        The wait grows by C{factor}, and stays the same if that is 1.
        """
        backoff = Backoff(initial=0.5, factor=3, maximum=10, jitter=0)
        waits = [backoff.afterFailure(failures, None) for failures in range(1, 6)]
        self.assertEqual(waits, [0.5, 1.5, 4.5, 10, 10])
        self.assertEqual(Backoff(factor=1, jitter=0).afterFailure(50, None), 1)

    def test_retry(self) -> None:
        """
        The server's C{retry} is added, and is not random.
        """
        self.draw(ALMOST_1)
        self.assertEqual(Backoff(jitter=0).afterFailure(2, 5000), 7)
        self.assertAlmostEqual(Backoff().afterFailure(2, 5000), 5)
        self.assertEqual(Backoff(jitter=0).afterFailure(1, int("9" * 640)), DAY)

    def test_least(self) -> None:
        """
        The time in C{Retry-After} is not shortened by jitter, which is added to it.
        """
        self.assertEqual(Backoff(jitter=0).afterFailure(1, None, 7), 7)
        self.assertEqual(Backoff(jitter=0).afterFailure(5, None, 7), 16)
        self.draw(ALMOST_1)
        self.assertAlmostEqual(Backoff().afterFailure(5, None, 7), 14)
        self.assertAlmostEqual(Backoff().afterFailure(5, None, 120), 150)
        self.draw(0.0)
        self.assertEqual(Backoff().afterFailure(5, None, 120), 120)

    def test_jitter(self) -> None:
        """
        C{jitter} is the share of the wait that is random, down from the full wait.
        """
        for jitter, least in (0, 8), (0.25, 6), (0.5, 4), (1, 0.1):
            backoff = Backoff(jitter=jitter)
            self.draw(0.0)
            self.assertEqual(backoff.afterFailure(4, None), 8)
            self.draw(ALMOST_1)
            self.assertAlmostEqual(backoff.afterFailure(4, None), least)

    def test_jitterOfMaximum(self) -> None:
        """
        The jitter applies to C{maximum}, too, so that clients do not reconnect together after a
        long outage.
        """
        self.draw(0.5)
        self.assertEqual(Backoff().afterFailure(100, None), 15)

    @given(st.integers(1, 12), st.floats(0, 1))
    def test_bounds(self, failures: int, jitter: float) -> None:
        """
        Every wait is between the full wait and what jitter leaves of it.
        """
        backoff = Backoff(jitter=jitter)
        most = min(2.0 ** (failures - 1), 30)
        for _ in range(20):
            wait = backoff.afterFailure(failures, None)
            self.assertLessEqual(wait, most)
            self.assertGreaterEqual(wait, max(0.1, most * (1 - jitter) - 1e-9))

    def test_spread(self) -> None:
        """
        With the default, full jitter, almost all waits differ.
        """
        waits = {Backoff().afterFailure(5, None) for _ in range(100)}
        self.assertGreater(len(waits), 90)

    def test_shortest(self) -> None:
        """
        The wait is at least a tenth of a second, unless C{initial} is 0: then it may be 0.
        """
        self.draw(ALMOST_1)
        self.assertEqual(Backoff().afterFailure(1, None), 0.1)
        self.assertEqual(Backoff(maximum=0).afterFailure(9, None), 0.1)
        self.assertEqual(Backoff(initial=0).afterFailure(9, None), 0)
        self.assertEqual(Backoff(initial=0).afterFailure(9, 20), 0.02)

    def test_initialAboveMaximum(self) -> None:
        """
        C{maximum} also limits C{initial}.
        """
        self.assertEqual(Backoff(initial=60, maximum=30, jitter=0).afterFailure(1, None), 30)

    def test_many(self) -> None:
        """
        The wait stays finite, after any number of failures.
        """
        for factor in 1, 1.5, 2, 1e308:
            wait = Backoff(factor=factor, jitter=0).afterFailure(10_000, None)
            self.assertEqual(wait, 1 if factor == 1 else 30)
        huge = Backoff(factor=1e308, maximum=1e308, jitter=0)
        self.assertEqual(huge.afterFailure(10_000, None), DAY)


class ArgumentTests(SynchronousTestCase):
    """
    Tests for the arguments of L{Backoff}.
    """

    def test_defaults(self) -> None:
        """
        By default the wait doubles from a second to half a minute, with full jitter, without a
        limit.
        """
        self.assertEqual(Backoff(), Backoff(1, 2, 30, 1, 60, None, None))

    def test_good(self) -> None:
        """
        The limits of every argument are allowed.
        """
        Backoff(0, 1, 0, 0, 0, 1, 0.001)
        Backoff(1e9, 1e308, 1e9, 1, 1e9, 10**9, 1e9)

    def test_bad(self) -> None:
        """
        A value out of range raises an error with the name and the value.
        """
        wrong: list[Any] = [-1, inf, nan, "1", True, b"1", [], -0.001]
        for name, values in {
            "initial": [*wrong, None],
            "maximum": [*wrong, None],
            "resetAfter": [*wrong, None],
            "factor": [*wrong, None, 0, 0.999],
            "jitter": [*wrong, None, 1.001, 2],
            "maxTries": [*wrong, 0, 1.0],
            "maxTime": [*wrong, 0],
        }.items():
            for value in values:
                error = self.assertRaises(ValueError, Backoff, **{name: value})
                self.assertIn(f"{name} is {value!r}: it must be", str(error))

    def test_frozen(self) -> None:
        """
        A backoff cannot be changed, so that several clients can share it.
        """
        backoff = Backoff()
        with self.assertRaises(FrozenInstanceError):
            backoff.initial = 5  # type: ignore[misc]
        self.assertEqual(hash(backoff), hash(Backoff()))
