"""
Tests for L{twisted_sse.daemon.processes.balance}.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis.strategies import dictionaries, integers
from twisted.trial.unittest import SynchronousTestCase

from twisted_sse.daemon.processes.balance import surplus


class SurplusTests(SynchronousTestCase):
    """
    Tests for who has too many connections.
    """

    def test_share(self) -> None:
        """
        Who has more than 1.2 times the mean has too many.
        """
        self.assertEqual(surplus({1: 121, 2: 79}), {1})
        self.assertEqual(surplus({1: 120, 2: 80}), set())
        self.assertEqual(surplus({1: 200, 2: 200, 3: 0}), {1, 2})

    def test_few(self) -> None:
        """
        Fifty are never too many.
        """
        self.assertEqual(surplus({1: 50, 2: 0}), set())
        self.assertEqual(surplus({1: 51, 2: 0}), {1})

    def test_none(self) -> None:
        """
        Of none, and of one alone, no one has too many.
        """
        self.assertEqual(surplus({}), set())
        self.assertEqual(surplus({1: 1000}), set())

    @given(dictionaries(integers(1, 9), integers(0, 10**6), min_size=1))
    def test_oneAccepts(self, connections: dict[int, int]) -> None:
        """
        There is always one that accepts.
        """
        self.assertLess(surplus(connections), connections.keys())
