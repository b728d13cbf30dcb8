"""
Tests for L{twisted_sse.store.redis.places}.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_sse.store.redis.places import EntryID, Place, readID, readPlace

numbers = st.integers(0, 2**64 - 1)


class PlacesTests(SynchronousTestCase):
    """
    Tests for the text form of positions.
    """

    @given(numbers, numbers, st.booleans())
    def test_roundTrip(self, ms: int, seq: int, isBefore: bool) -> None:
        """
        Every position is read as it was written, and every ID in the server's form.
        """
        place = Place(isBefore, EntryID(ms, seq))
        self.assertEqual(readPlace(str(place)), place)
        self.assertEqual(readID(f"{ms}-{seq}".encode()), place.entry)

    @given(numbers, numbers, numbers, numbers)
    def test_order(self, a: int, b: int, c: int, d: int) -> None:
        """
        IDs are ordered as numbers.
        """
        self.assertEqual(EntryID(a, b) < EntryID(c, d), a < c or (a == c and b < d))

    @given(st.text())
    def test_text(self, text: str) -> None:
        """
        Only the canonical form is read: no other spelling of the same position.
        """
        place = readPlace(text)
        self.assertTrue(place is None or str(place) == text)

    def test_none(self) -> None:
        """
        Other spellings that Redis accepts as IDs are refused, too.
        """
        for text in (
            *("", "-", "+", "$", ">", "*", "0", "1700", "1-", "-1", "1-1-1", "(1-1", "<<1-1"),
            *("01-1", "1-01", " 1-1", "1-1 ", "1-1\n", "1-1\0", "+1-1", "1--1", "0x1-1", "1.0-1"),
            *("\u0661-1", "1-\u0661", "1\u20131", f"{2**64}-0", f"0-{2**64}", "9" * 10_000 + "-1"),
        ):
            self.assertIsNone(readPlace(text), text[:20])
