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

#: The largest that L{random.random} returns.
ALMOST_1 = 1 - 2**-53

DAY = 86400.0


class AfterEndTests(SynchronousTestCase):
    """
    Tests for L{Backoff.afterEnd}.
    """

    def test_initial(self) -> None:
        """
        Where the server has said nothing it is C{initial}, whatever the rest says.
        """
        self.assertEqual(Backoff().afterEnd(None), 1)
        self.assertEqual(Backoff(initial=50, maximum=3).afterEnd(None), 50)

    def test_retry(self) -> None:
        """
        What the server says counts, in milliseconds, and is not random.
        """
        backoff = Backoff(initial=5)
        for retry, seconds in (100, 0.1), (1500, 1.5), (60_000, 60), (86_400_000, DAY):
            self.assertEqual(backoff.afterEnd(retry), seconds)

    def test_shortest(self) -> None:
        """
        It is never less than a tenth of a second, unless C{initial} is 0.
        """
        for retry in 0, 1, 99:
            self.assertEqual(Backoff().afterEnd(retry), 0.1)
            self.assertEqual(Backoff(initial=0).afterEnd(retry), retry / 1000)
        self.assertEqual(Backoff(initial=0.01).afterEnd(None), 0.1)
        self.assertEqual(Backoff(initial=0).afterEnd(None), 0)

    def test_longest(self) -> None:
        """
        It is never more than a day: a number may have as many digits as the parser takes.
        """
        for backoff in Backoff(), Backoff(initial=0):
            for retry in 86_400_001, 10**18, int("9" * 640):
                self.assertEqual(backoff.afterEnd(retry), DAY)
        self.assertEqual(Backoff(initial=1e300).afterEnd(None), DAY)


class AfterFailureTests(SynchronousTestCase):
    """
    Tests for L{Backoff.afterFailure}.
    """

    def draw(self, number: float) -> None:
        """
        Have every random number be this one.
        """
        self.patch(random, "random", lambda: number)

    def test_doubles(self) -> None:
        """
        Without anything random it doubles from C{initial} until it is C{maximum}.
        """
        backoff = Backoff(jitter=0)
        waits = [backoff.afterFailure(failures, None) for failures in range(1, 9)]
        self.assertEqual(waits, [1, 2, 4, 8, 16, 30, 30, 30])

    def test_factor(self) -> None:
        """
        It grows by C{factor}; by nothing if that is 1.
        """
        backoff = Backoff(initial=0.5, factor=3, maximum=10, jitter=0)
        waits = [backoff.afterFailure(failures, None) for failures in range(1, 6)]
        self.assertEqual(waits, [0.5, 1.5, 4.5, 10, 10])
        self.assertEqual(Backoff(factor=1, jitter=0).afterFailure(50, None), 1)

    def test_retry(self) -> None:
        """
        What the server has said comes on top, and is not random.
        """
        self.draw(ALMOST_1)
        self.assertEqual(Backoff(jitter=0).afterFailure(2, 5000), 7)
        self.assertAlmostEqual(Backoff().afterFailure(2, 5000), 5)
        self.assertEqual(Backoff(jitter=0).afterFailure(1, int("9" * 640)), DAY)

    def test_jitter(self) -> None:
        """
        Of the time, as much as C{jitter} is random: from all of it down to what is left.
        """
        for jitter, least in (0, 8), (0.25, 6), (0.5, 4), (1, 0.1):
            backoff = Backoff(jitter=jitter)
            self.draw(0.0)
            self.assertEqual(backoff.afterFailure(4, None), 8)
            self.draw(ALMOST_1)
            self.assertAlmostEqual(backoff.afterFailure(4, None), least)

    def test_jitterOfMaximum(self) -> None:
        """
        The random part is one of C{maximum} too, so that clients that have waited for long do not
        come together.
        """
        self.draw(0.5)
        self.assertEqual(Backoff().afterFailure(100, None), 15)

    @given(st.integers(1, 12), st.floats(0, 1))
    def test_bounds(self, failures: int, jitter: float) -> None:
        """
        Whatever is drawn, it is between the two.
        """
        backoff = Backoff(jitter=jitter)
        most = min(2.0 ** (failures - 1), 30)
        for _ in range(20):
            wait = backoff.afterFailure(failures, None)
            self.assertLessEqual(wait, most)
            self.assertGreaterEqual(wait, max(0.1, most * (1 - jitter) - 1e-9))

    def test_spread(self) -> None:
        """
        With all of it random, as it is if nothing is said, no two clients come at the same time.
        """
        waits = {Backoff().afterFailure(5, None) for _ in range(100)}
        self.assertGreater(len(waits), 90)

    def test_shortest(self) -> None:
        """
        It is never less than a tenth of a second, unless C{initial} is 0: then it is nothing.
        """
        self.draw(ALMOST_1)
        self.assertEqual(Backoff().afterFailure(1, None), 0.1)
        self.assertEqual(Backoff(maximum=0).afterFailure(9, None), 0.1)
        self.assertEqual(Backoff(initial=0).afterFailure(9, None), 0)
        self.assertEqual(Backoff(initial=0).afterFailure(9, 20), 0.02)

    def test_initialAboveMaximum(self) -> None:
        """
        C{maximum} holds for C{initial} too.
        """
        self.assertEqual(Backoff(initial=60, maximum=30, jitter=0).afterFailure(1, None), 30)

    def test_many(self) -> None:
        """
        However many failures there are, it is a number.
        """
        for factor in 1, 1.5, 2, 1e308:
            wait = Backoff(factor=factor, jitter=0).afterFailure(10_000, None)
            self.assertEqual(wait, 1 if factor == 1 else 30)
        huge = Backoff(factor=1e308, maximum=1e308, jitter=0)
        self.assertEqual(huge.afterFailure(10_000, None), DAY)


class ArgumentTests(SynchronousTestCase):
    """
    Tests for what L{Backoff} is made with.
    """

    def test_defaults(self) -> None:
        """
        If nothing is said it is x2 from a second up to half a minute, all of it random, for ever.
        """
        self.assertEqual(Backoff(), Backoff(1, 2, 30, 1, 60, None, None))

    def test_good(self) -> None:
        """
        The least and the most of everything are allowed.
        """
        Backoff(0, 1, 0, 0, 0, 1, 0.001)
        Backoff(1e9, 1e308, 1e9, 1, 1e9, 10**9, 1e9)

    def test_bad(self) -> None:
        """
        What is out of bounds is refused, and the error has the name and the value.
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
        It does not change, so that several clients can have the same.
        """
        backoff = Backoff()
        with self.assertRaises(FrozenInstanceError):
            backoff.initial = 5  # type: ignore[misc]
        self.assertEqual(hash(backoff), hash(Backoff()))
