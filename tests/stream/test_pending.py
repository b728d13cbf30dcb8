"""
Tests for L{twisted_sse.stream.pending}: the queue of a client that does not read.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_sse import Event, SlowReader
from twisted_sse.format.encoded import Batch, Encoded
from twisted_sse.stream.pending import OVERHEAD, Pending, PendingTotal


def waiting(*events: Event) -> Pending:
    """
    Queue these events.
    """
    pending = Pending(PendingTotal(None))
    for event in events:
        pending.append(Encoded(event))
    return pending


def gap(dropped: int) -> bytes:
    """
    Encode the gap event for this many dropped events.
    """
    return Event.json({"dropped": dropped}, event="stream-gap").encode()


class PendingTests(SynchronousTestCase):
    """
    Tests for L{Pending}.
    """

    def test_empty(self) -> None:
        """
        A new queue is empty.
        """
        pending = Pending(PendingTotal(None))
        self.assertFalse(pending)
        self.assertEqual(pending.bytes, 0)
        self.assertEqual(pending.take(100), (b"", 0))

    def test_order(self) -> None:
        """
        Events come out in order, and their bytes are counted.
        """
        events = [Event("a"), Event("b"), Event(comment="c")]
        pending = waiting(*events)
        everything = b"".join(Encoded(event).data for event in events)
        self.assertTrue(pending)
        self.assertEqual(pending.bytes, len(everything))
        self.assertEqual(pending.take(1000), (everything, 2))
        self.assertFalse(pending)
        self.assertEqual(pending.bytes, 0)

    def test_take(self) -> None:
        """
        As many whole events are taken as fit.
        """
        event = Event("x" * 92)
        self.assertEqual(len(event.encode()), 100)
        pending = waiting(*[event] * 10)
        self.assertEqual(pending.take(200)[1], 2)
        self.assertEqual(pending.take(299)[1], 2)
        self.assertEqual(pending.take(100)[1], 1)
        self.assertEqual(pending.bytes, 500)

    def test_takeParts(self) -> None:
        """
        An event larger than the limit is taken in parts, and nothing comes between them.
        """
        large, small = Event("x" * 92), Event("y")
        pending = waiting(large, small)
        self.assertEqual(pending.take(40), (large.encode()[:40], 1))
        self.assertEqual(pending.bytes, len(small.encode()))
        self.assertEqual(pending.makeRoom(SlowReader.DROP_OLDEST, Encoded(Event("z")), 1), 1)
        pending.append(Encoded(small))
        self.assertEqual(pending.take(40), (large.encode()[40:80], 0))
        self.assertEqual(pending.take(40), (large.encode()[80:], 0))
        self.assertEqual(pending.take(60), (gap(1) + small.encode(), 2))
        self.assertEqual((pending.bytes, bool(pending)), (0, False))

    def test_extend(self) -> None:
        """
        Queueing a batch is like queueing each of its events.
        """
        events = [Encoded(Event("a")), Encoded(Event(comment="b")), Encoded(Event("c"))]
        pending = waiting(Event("0"))
        pending.extend(Batch(events))
        self.assertEqual(pending.bytes, 9 + sum(len(each.data) for each in events))
        self.assertEqual(pending.take(1000)[1], 3)

    def test_gap(self) -> None:
        """
        The number of dropped events is sent once, before the other events but after the rest of one
        partly taken.
        """
        large, small = Event("x" * 92), Event("y")
        for taken in (0, 40):
            pending = waiting(small, small) if not taken else waiting(large, small, small)
            begun = pending.take(taken)[0] if taken else b""
            room = pending.bytes
            self.assertEqual(pending.makeRoom(SlowReader.DROP_OLDEST, Encoded(small), room), 1)
            pending.append(Encoded(small))
            if taken:
                begun += pending.take(60)[0]
                self.assertEqual(begun, large.encode())
            self.assertEqual(pending.take(1000), (gap(1) + small.encode() * 2, 3))
            self.assertEqual(pending.bytes, 0)
            pending.append(Encoded(small))
            self.assertEqual(pending.take(1000), (small.encode(), 1))

    def test_dropOldest(self) -> None:
        """
        DROP_OLDEST drops no more from the front than necessary.
        """
        event = Event("x" * 92)
        pending = waiting(*[event] * 5)
        self.assertEqual(pending.makeRoom(SlowReader.DROP_OLDEST, Encoded(event), 600), 0)
        self.assertEqual(pending.makeRoom(SlowReader.DROP_OLDEST, Encoded(event), 599), 1)
        self.assertEqual(pending.bytes, 400)
        self.assertEqual(pending.makeRoom(SlowReader.DROP_OLDEST, Encoded(event), 50), 4)
        self.assertFalse(pending)

    def test_commentsDoNotCount(self) -> None:
        """
        Anything but an event is dropped without being counted.
        """
        pending = waiting(Event(comment="c"), Event(retry=600), Event(id="1"), Event("x"))
        self.assertEqual(pending.makeRoom(SlowReader.DROP_OLDEST, Encoded(Event("y")), 1), 1)

    def test_latest(self) -> None:
        """
        LATEST keeps the newest event of each type, and none of the type about to be queued.
        """
        pending = waiting(
            Event("1", event="a"),
            Event("2", event="b"),
            Event("3"),
            Event("4", event="a"),
            Event(comment="c"),
            Event("5", event="message"),
        )
        coming = Event("6", event="b")
        self.assertEqual(pending.makeRoom(SlowReader.LATEST, Encoded(coming), 10_000), 3)
        kept = Event("4", event="a").encode() + Event("5", event="message").encode()
        self.assertEqual(pending.bytes, len(kept))
        self.assertEqual(pending.take(10_000), (gap(3) + kept, 3))

    def test_latestIsTooMuch(self) -> None:
        """
        When the newest of each type do not fit, either, the oldest of them are dropped.
        """
        pending = waiting(*(Event("x" * 50, event=kind) for kind in "abcd"))
        size = pending.bytes // 4
        dropped = pending.makeRoom(SlowReader.LATEST, Encoded(Event("y", event="e")), 2 * size + 30)
        self.assertEqual(dropped, 2)
        self.assertEqual(pending.take(len(gap(2))), (gap(2), 1))
        self.assertEqual(pending.take(1000)[1], 2)

    @given(
        st.sampled_from([SlowReader.DROP_OLDEST, SlowReader.LATEST]),
        st.lists(st.tuples(st.sampled_from(["a", "b", None]), st.integers(1, 300)), max_size=30),
        st.integers(1, 2000),
    )
    def test_account(
        self, policy: SlowReader, parts: list[tuple[str | None, int]], limit: int
    ) -> None:
        """
        Dropped and remaining events add up, and the remaining ones fit.
        """
        pending = waiting(*(Event("x" * size, event=kind) for kind, size in parts))
        coming = Event("y")
        dropped = pending.makeRoom(policy, Encoded(coming), limit)
        if pending:
            self.assertLessEqual(pending.bytes + len(coming.encode()), limit)
        size = pending.bytes
        if dropped:
            self.assertEqual(pending.take(len(gap(dropped))), (gap(dropped), 1))
        data, events = pending.take(10**9)
        self.assertEqual(len(data), size)
        self.assertEqual(dropped + events, len(parts))


class TotalTests(SynchronousTestCase):
    """
    Tests for L{PendingTotal}.
    """

    def test_account(self) -> None:
        """
        An event counts once, from when it is in the first queue until it has left the last one,
        however it leaves; an event that is partly sent counts until all of it has been sent.
        """
        total = PendingTotal(None)
        one, two, three = (Pending(total) for _ in range(3))
        small, large = Encoded(Event("x")), Encoded(Event("y" * 100))
        sizes = [len(each.data) + OVERHEAD for each in (small, large)]
        one.append(large)
        one.append(small)
        self.assertEqual(total.bytes, sum(sizes))
        two.extend(Batch([small, large]))
        three.append(large)
        three.append(large)
        self.assertEqual(total.bytes, sum(sizes))
        self.assertEqual(one.take(1000)[1], 2)
        self.assertEqual(two.makeRoom(SlowReader.LATEST, small, 1), 2)
        self.assertEqual(total.bytes, sizes[1])
        three.take(60)
        three.take(1000)
        self.assertEqual(total.bytes, sizes[1])
        three.take(60)
        self.assertEqual(total.bytes, sizes[1])
        three.take(60)
        self.assertEqual(total.bytes, 0)
        two.take(1000)
        self.assertEqual(total.bytes, 0)

    def test_clear(self) -> None:
        """
        Events left over after a client disconnects no longer count.
        """
        total = PendingTotal(None)
        pending = Pending(total)
        for _ in range(3):
            pending.append(Encoded(Event("y" * 100)))
        pending.take(60)
        pending.clear()
        self.assertEqual((total.bytes, pending.bytes, bool(pending)), (0, 0, False))

    def test_wrong(self) -> None:
        """
        A limit must be a positive number, or L{None}.
        """
        for bad in (0, -1, 1.5, True, "10"):
            self.assertRaises(ValueError, PendingTotal, bad)
