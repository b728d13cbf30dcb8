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
    Tests for detecting children with too many connections.
    """

    def test_share(self) -> None:
        """
        A child with more than 1.2 times the mean has too many.
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
        Without children, or with a single one, none has too many.
        """
        self.assertEqual(surplus({}), set())
        self.assertEqual(surplus({1: 1000}), set())

    @given(dictionaries(integers(1, 9), integers(0, 10**6), min_size=1))
    def test_oneAccepts(self, connections: dict[int, int]) -> None:
        """
        At least one child always accepts connections.
        """
        self.assertLess(surplus(connections), connections.keys())
