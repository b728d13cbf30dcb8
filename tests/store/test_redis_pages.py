"""
Tests for L{twisted_sse.store.redis.pages}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from twisted_sse.store.redis.pages import MOST, Pages


class PagesTests(SynchronousTestCase):
    """
    Tests for L{Pages}.
    """

    def test_unknown(self) -> None:
        """
        Few entries of unknown size are requested.
        """
        self.assertEqual(Pages().count(2**18), 16)
        self.assertEqual(Pages().count(1), 1)

    def test_learn(self) -> None:
        """
        After large entries few are requested immediately, after small ones gradually more.
        """
        pages = Pages()
        small, large = [b"1-0", [b"data", b"x"]], [b"1-0", [b"data", b"x" * 2**20]]
        counts = []
        for _ in range(30):
            pages.learn([small] * 10)
            counts.append(pages.count(2**18))
        self.assertEqual(counts, sorted(counts))
        self.assertEqual(counts[-1], MOST)
        self.assertEqual(pages.count(2**18, 7), 7)
        pages.learn([large])
        self.assertEqual(pages.count(2**18), 1)
        pages.learn([])
        self.assertEqual(pages.count(2**18), 1)
        pages.learn([[b"1-0", None]])
        self.assertEqual(pages.count(2**18), 1)
