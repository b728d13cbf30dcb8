"""
Tests for L{twisted_sse.format.encoded}: events as bytes.
"""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_sse import Event
from twisted_sse.format.encoded import PIECE, Batch, Encoded, cut


def ofSize(size: int, event: str | None = None) -> Encoded:
    """
    Make an event of this many bytes.
    """
    empty = len(Event("", event=event).encode())
    encoded = Encoded(Event("x" * (size - empty), event=event))
    assert len(encoded.data) == size
    return encoded


class EncodedTests(SynchronousTestCase):
    """
    Tests for L{Encoded} and L{Batch}.
    """

    def test_data(self) -> None:
        """
        The bytes are those of the encoded event.
        """
        event = Event("hello\nyou", event="greeting", id="1", retry=700, comment="note")
        self.assertEqual(Encoded(event).data, event.encode())

    def test_type(self) -> None:
        """
        The type is the one the client sees: C{"message"} if none or an empty one was given, and
        L{None} without data.
        """
        for event, type in [
            (Event("x"), "message"),
            (Event(""), "message"),
            (Event("x", event=""), "message"),
            (Event("x", event="greeting"), "greeting"),
            (Event(id="1"), None),
            (Event(event="greeting"), None),
            (Event(retry=5), None),
            (Event(comment="c"), None),
        ]:
            self.assertEqual(Encoded(event).type, type, event)

    def test_doesNotCount(self) -> None:
        """
        An event that only carries the client's position has no type of its own.
        """
        event = Event("{}", event="stream-position", id="1")
        encoded = Encoded(event, counts=False)
        self.assertEqual((encoded.data, encoded.type), (event.encode(), None))

    def test_commentAlone(self) -> None:
        """
        A comment alone is not ended by a blank line, since some clients would make a message of it;
        everything that needs the blank line keeps it.
        """
        self.assertEqual(Encoded(Event(comment="a\nb")).data, b": a\n: b\n")
        for event in (
            Event(comment="c", id="1"),
            Event(comment="c", retry=5),
            Event(comment="c", event="x"),
            Event("", comment="c"),
            Event(retry=5),
        ):
            self.assertEqual(Encoded(event).data, event.encode())

    def test_batch(self) -> None:
        """
        A batch has the bytes of its events in order, and counts those that a client sees as events.
        """
        encoded = [Encoded(Event("1")), Encoded(Event(comment="c")), Encoded(Event("2", id="2"))]
        batch = Batch(encoded)
        self.assertEqual(batch.data, b"data: 1\n\n: c\nid: 2\ndata: 2\n\n")
        self.assertEqual(batch.events, 2)
        self.assertEqual(list(batch.encoded), encoded)

    def test_batchOfOne(self) -> None:
        """
        A batch of one event shares its bytes without a copy.
        """
        encoded = ofSize(100_000)
        batch = Batch([encoded])
        self.assertIs(batch.data, encoded.data)
        self.assertEqual(batch.events, 1)
        self.assertEqual(Batch([Encoded(Event(comment="c"))]).events, 0)


class CutTests(SynchronousTestCase):
    """
    Tests for L{cut}.
    """

    def sizes(self, *sizes: int) -> list[list[int]]:
        """
        Cut events of these sizes, and return the sizes in each batch.
        """
        batches = list(cut([ofSize(size) for size in sizes]))
        return [[len(each.data) for each in batch.encoded] for batch in batches]

    def test_nothing(self) -> None:
        """
        No events make no batch.
        """
        self.assertEqual(self.sizes(), [])

    def test_fits(self) -> None:
        """
        Events of 64 KiB together are one batch, and with one byte more they are two.
        """
        self.assertEqual(self.sizes(PIECE - 10, 10), [[PIECE - 10, 10]])
        self.assertEqual(self.sizes(PIECE - 10, 11), [[PIECE - 10], [11]])
        self.assertEqual(self.sizes(10, PIECE - 10, 10), [[10, PIECE - 10], [10]])

    def test_large(self) -> None:
        """
        A larger event is a batch of its own, wherever it is.
        """
        large = PIECE + 1
        self.assertEqual(self.sizes(large), [[large]])
        self.assertEqual(self.sizes(10, large, 11), [[10], [large], [11]])
        self.assertEqual(self.sizes(large, large), [[large], [large]])

    def test_last(self) -> None:
        """
        The last batch is kept, however small it is.
        """
        self.assertEqual(self.sizes(PIECE, 9), [[PIECE], [9]])
        self.assertEqual(self.sizes(9), [[9]])

    @given(st.lists(st.one_of(st.integers(9, 200), st.integers(9, 150_000)), max_size=30))
    def test_any(self, sizes: list[int]) -> None:
        """
        No event is lost or reordered, only a single event may exceed the limit, and no batch has
        room for the next event.
        """
        encoded = [ofSize(size) for size in sizes]
        batches = list(cut(encoded))
        self.assertEqual([each for batch in batches for each in batch.encoded], encoded)
        for batch in batches:
            self.assertTrue(len(batch.data) <= PIECE or len(batch.encoded) == 1)
            self.assertEqual(batch.events, len(batch.encoded))
        for batch, after in pairwise(batches):
            self.assertGreater(len(batch.data) + len(after.encoded[0].data), PIECE)
