"""
Tests for L{twisted_sse.store.memory}: keeping events and finding positions.

They publish through a channel, as users do; L{tests.channel} tests what clients see.
"""

from __future__ import annotations

import gc
import random
import time
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from twisted_sse import Channel, Event, History
from twisted_sse.store import memory as history
from twisted_sse.store.memory import Entry

#: The form of the IDs that a history makes.
MADE = r"\A[0-9a-f]{4,40}\Z"


def kept(history: History) -> list[str | None]:
    """
    List the data of the events that are kept.
    """
    entries = [history.get(position) for position in range(history.first, history.end)]
    assert None not in entries, "all between the first and the end are kept"
    return [entry.event.data for entry in entries if entry is not None]


class ArgumentTests(SynchronousTestCase):
    """
    Tests for the arguments of L{History}.
    """

    def test_defaults(self) -> None:
        """
        By default a history keeps 1,000 events of at most 16 MiB in total, of any age.
        """
        history = History()
        self.assertEqual(
            (history.maxEvents, history.maxBytes, history.maxAge), (1000, 16 * 2**20, None)
        )
        self.assertEqual((len(history), history.bytes), (0, 0))

    def test_positional(self) -> None:
        """
        The limits may be positional.
        """
        history = History(1, 2, 3.5)
        self.assertEqual((history.maxEvents, history.maxBytes, history.maxAge), (1, 2, 3.5))

    def test_wrong(self) -> None:
        """
        A limit that is out of range or not a number raises an error that names the argument.
        """
        for name, least in (("maxEvents", 1), ("maxBytes", 1)):
            for bad in (0, -1, 1.5, True, "10", b"", []):
                error = self.assertRaises(ValueError, History, **{name: bad})
                self.assertEqual(
                    str(error), f"{name} is {bad!r}: it must be an int of at least {least}, or None"
                )
        for bad in (0, -1, True, "10", float("inf"), float("nan"), []):
            error = self.assertRaises(ValueError, History, maxAge=bad)
            self.assertEqual(
                str(error), f"maxAge is {bad!r}: it must be a number of seconds above 0, or None"
            )

    def test_unbounded(self) -> None:
        """
        A history without any limit is refused, and one limit is enough.
        """
        error = self.assertRaises(ValueError, History, None, None, None)
        self.assertIn("maxEvents, maxBytes and maxAge", str(error))
        History(maxEvents=None, maxBytes=None, maxAge=1)
        History(maxEvents=None, maxBytes=1, maxAge=None)
        History(maxEvents=1, maxBytes=None, maxAge=None)

    def test_twoChannels(self) -> None:
        """
        Giving a history to a second channel raises, and the first keeps using it.
        """
        history = History()
        channel = Channel(history)
        channel.publish("x")
        error = self.assertRaises(ValueError, Channel, history)
        self.assertIn("another channel", str(error))
        channel.publish("y")
        self.assertEqual(kept(history), ["x", "y"])

    def test_notClaimedInVain(self) -> None:
        """
        A channel whose constructor fails has not claimed its history.
        """
        history = History()
        self.assertRaises(TypeError, Channel, history, name=5)
        self.assertRaises(ValueError, Channel, history, maxEventSize=0)
        self.assertRaises(TypeError, Channel, history, reactor=5)
        self.assertRaises(ValueError, Channel, history, resetEvent="a\nb")
        self.assertRaises(TypeError, Channel, history, observer=5)
        self.assertIs(Channel(history).history, history)

    def test_repr(self) -> None:
        """
        The repr shows the numbers of kept events and bytes.
        """
        history = History()
        channel = Channel(history)
        channel.publish("x", id="1")
        size = len(Event("x", id="1").encode())
        self.assertEqual(repr(history), f"<History of 1 events, {size} bytes>")


class IdentifierTests(SynchronousTestCase):
    """
    Tests for the IDs that a history makes.
    """

    def test_form(self) -> None:
        """
        IDs are short hexadecimal text, which HTTP never trims.
        """
        channel = Channel()
        for number in range(300):
            identifier = channel.publish(str(number)).id
            assert identifier is not None
            self.assertRegex(identifier, MADE)

    def test_increasing(self) -> None:
        """
        IDs always increase as text, also at each power of the base.
        """
        history = History()
        channel = Channel(history)
        identifiers = [channel.publish("x").id or "" for _ in range(5000)]
        edges = {2**power + step for power in range(13, 60) for step in (-1, 0, 1)}
        identifiers += [history.identify(each) for each in sorted(edges)]
        self.assertEqual(len(set(identifiers)), len(identifiers))
        self.assertEqual(sorted(identifiers), identifiers)

    def test_others(self) -> None:
        """
        Histories made at the same moment have different IDs, with 64 random bits: 10,000 of them
        share not even the first 40.
        """
        # Neither the time nor the process number distinguishes them.
        self.patch(time, "time", lambda: 1.8e9)
        starts = {Channel().publish("x").id[:10] for _ in range(10_000)}  # type: ignore[index]
        self.assertGreater(len(starts), 10_000 - 3)

    def test_random(self) -> None:
        """
        Every bit before the position is random.
        """
        same = ones = 2**64 - 1
        zeros = 0
        for _ in range(200):
            token = int((Channel().publish("x").id or "")[:16], 16)
            same &= token
            zeros |= token
        self.assertEqual((same, zeros), (0, ones))

    def test_notMadeIfGiven(self) -> None:
        """
        An event with an ID keeps it, an int as text, and is sent unchanged.
        """
        channel = Channel()
        event = Event("x", id="mine")
        self.assertIs(channel.publish(event), event)
        self.assertEqual(channel.publish("x", id=7).id, "7")

    def test_empty(self) -> None:
        """
        An event with an empty ID gets one, because a client could not resume from it.
        """
        channel = Channel()
        self.assertRegex(channel.publish("x", id="").id or "", MADE)

    def test_otherFields(self) -> None:
        """
        An event that gets an ID keeps its other fields, and the published object is unchanged.
        """
        event = Event("x", event="greeting", retry=700, comment="note")
        published = Channel().publish(event)
        self.assertIsNone(event.id)
        self.assertEqual(published, Event("x", "greeting", published.id, 700, "note"))

    def test_noHistory(self) -> None:
        """
        Without a history events get no ID, and are sent unchanged.
        """
        channel = Channel(None)
        event = Event("x")
        self.assertIs(channel.publish(event), event)
        self.assertEqual(channel.publish("x", id="").id, "")


class BoundTests(SynchronousTestCase):
    """
    Tests for the limits.
    """

    def test_events(self) -> None:
        """
        Exactly C{maxEvents} of the newest events are kept.
        """
        history = History(maxEvents=3)
        channel = Channel(history)
        for number in range(10):
            channel.publish(str(number))
            self.assertEqual(len(history), min(number + 1, 3))
        self.assertEqual(kept(history), ["7", "8", "9"])

    def test_bytes(self) -> None:
        """
        The limit is in bytes as sent, and events may fill it exactly.
        """
        size = len(Event("x" * 50, id="1").encode())
        history = History(maxBytes=3 * size)
        channel = Channel(history)
        for number in range(9):
            channel.publish("x" * 50, id=str(number))
            self.assertEqual(history.bytes, min(number + 1, 3) * size)
        self.assertEqual(len(history), 3)
        channel.publish("x" * 51, id="9")
        self.assertEqual(len(history), 2)
        self.assertEqual(history.bytes, 2 * size + 1)
        channel.publish("", id="a")
        self.assertEqual(len(history), 3)

    def test_bytesOfOthersThanASCII(self) -> None:
        """
        A character counts as the bytes that encode it.
        """
        history = History()
        event = Channel(history).publish("\N{EURO SIGN}" * 100)
        self.assertEqual(history.bytes, len(event.encode()))
        self.assertGreater(history.bytes, 300)

    def test_tooLargeForIt(self) -> None:
        """
        An event larger than the whole history is not kept, and empties it.
        """
        history = History(maxBytes=100)
        channel = Channel(history)
        channel.publish("x")
        channel.publish("y" * 200)
        self.assertEqual((len(history), history.bytes), (0, 0))
        self.assertEqual(history._positions, {})
        channel.publish("z")
        self.assertEqual(kept(history), ["z"])

    def test_names(self) -> None:
        """
        A position has the ID set by C{beginAfter}, even if the event before it has an ID of the
        application; and neither ID outlives the event after it.
        """
        history = History(maxEvents=3)
        channel = Channel(history)
        for number in range(20):
            if number % 2:
                channel.publish("x", id=f"event {number}")
            else:
                channel.publish("x")
            channel.beginAfter(f"place {number}")
            self.assertEqual(history.mark(number + 1), f"place {number}")
            self.assertEqual(history.find(f"place {number}", None), number + 1)
        self.assertLessEqual(len(history._positions), 2 * 3 + 1)
        self.assertLessEqual(len(history._named), 3 + 1)

    def test_age(self) -> None:
        """
        An event is dropped when it reaches C{maxAge}, even if nothing is published.
        """
        clock = Clock()
        history = History(maxAge=10)
        channel = Channel(history, reactor=clock)
        channel.publish("a")
        clock.advance(4)
        channel.publish("b")
        clock.advance(5.5)
        self.assertEqual(kept(history), ["a", "b"])
        clock.advance(0.5)
        self.assertEqual(kept(history), ["b"])
        clock.advance(3.9)
        self.assertEqual(kept(history), ["b"])
        clock.advance(0.2)
        self.assertEqual(kept(history), [])
        self.assertEqual(history.bytes, 0)
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_ageRounds(self) -> None:
        """
        At any time and for any age, an event is dropped when it reaches C{maxAge}, with a handful
        of delayed calls.
        """

        class Counting(Clock):
            made = 0

            def callLater(self, *args: Any, **kwargs: Any) -> Any:
                self.made += 1
                if self.made > 1000:
                    # Fail instead of looping forever.
                    raise RuntimeError("too many delayed calls")
                return super().callLater(*args, **kwargs)

        chance = random.Random(5)
        for _ in range(300):
            clock = Counting()
            clock.advance(chance.uniform(0, 10 ** chance.randrange(10)))
            age = chance.choice([0.1, 0.3, 1.1, 7.7, 3600.1])
            history = History(maxAge=age)
            channel = Channel(history, reactor=clock)
            channel.publish("a")
            clock.advance(age / 2)
            self.assertEqual(len(history), 1)
            clock.advance(age / 2)
            clock.advance(0.01)
            self.assertEqual(len(history), 0, (clock.seconds(), age))
            self.assertLess(clock.made, 10)

    def test_ageHasOneCall(self) -> None:
        """
        There is one delayed call for C{maxAge}, however many events are kept.
        """
        clock = Clock()
        history = History(maxAge=10)
        channel = Channel(history, reactor=clock)
        for number in range(50):
            channel.publish(str(number))
            clock.advance(0.5)
            self.assertEqual(len(clock.getDelayedCalls()), 1)
        self.assertEqual(len(history), 20 - 1)
        clock.advance(10)
        self.assertEqual(clock.getDelayedCalls(), [])
        self.assertEqual(len(history), 0)

    def test_ageAgain(self) -> None:
        """
        Events published after all others have expired expire in turn.
        """
        clock = Clock()
        history = History(maxAge=10)
        channel = Channel(history, reactor=clock)
        for _ in range(3):
            channel.publish("x")
            clock.advance(9)
            self.assertEqual(len(history), 1)
            clock.advance(2)
            self.assertEqual(len(history), 0)

    def test_ageWithoutClock(self) -> None:
        """
        Without a clock, a channel drops expired events at the next publish.
        """
        now = 1000.0
        self.patch(time, "monotonic", lambda: now)
        history = History(maxAge=10)
        channel = Channel(history)
        channel.publish("a")
        now += 9
        channel.publish("b")
        self.assertEqual(kept(history), ["a", "b"])
        now += 2
        channel.publish("c")
        self.assertEqual(kept(history), ["b", "c"])

    def test_allBounds(self) -> None:
        """
        The first limit that is reached applies.
        """
        clock = Clock()
        history = History(maxEvents=3, maxBytes=200, maxAge=10)
        channel = Channel(history, reactor=clock)
        for number in range(5):
            channel.publish(str(number))
        self.assertEqual(kept(history), ["2", "3", "4"])
        channel.publish("x" * 120)
        self.assertLess(len(history), 3)
        self.assertLessEqual(history.bytes, 200)
        clock.advance(10)
        self.assertEqual(len(history), 0)

    def test_ageOfWhatIsDropped(self) -> None:
        """
        The rest expires on time after the oldest event was dropped for another reason.
        """
        clock = Clock()
        history = History(maxEvents=1, maxAge=10)
        channel = Channel(history, reactor=clock)
        channel.publish("a")
        clock.advance(5)
        channel.publish("b")
        clock.advance(6)
        self.assertEqual(kept(history), ["b"])
        clock.advance(4)
        self.assertEqual(kept(history), [])
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_close(self) -> None:
        """
        Closing a channel cancels the delayed call of its history.
        """
        clock = Clock()
        channel = Channel(History(maxAge=10), reactor=clock)
        channel.publish("x")
        self.assertEqual(len(clock.getDelayedCalls()), 1)
        channel.close()
        self.assertEqual(clock.getDelayedCalls(), [])

    @given(
        st.lists(
            st.tuples(st.integers(0, 60), st.sampled_from(["", "a", "b", "c"]), st.integers(0, 3)),
            max_size=40,
        ),
        st.one_of(st.none(), st.integers(1, 8)),
        st.one_of(st.none(), st.integers(1, 400)),
        st.one_of(st.none(), st.integers(1, 6)),
    )
    def test_any(
        self,
        published: list[tuple[int, str, int]],
        maxEvents: int | None,
        maxBytes: int | None,
        maxAge: int | None,
    ) -> None:
        """
        For any sequence, exactly the newest events within all limits are kept, and the sizes and
        IDs match.
        """
        clock = Clock()
        history = History(maxEvents, maxBytes or 10**6, maxAge)
        channel = Channel(history, reactor=clock)
        expected: list[tuple[Event, float]] = []
        for size, identifier, wait in published:
            event = channel.publish("x" * size, id=identifier)
            expected.append((event, clock.seconds()))
            clock.advance(wait)
            while expected and (
                (maxEvents is not None and len(expected) > maxEvents)
                or sum(len(each.encode()) for each, _ in expected) > (maxBytes or 10**6)
                or (maxAge is not None and clock.seconds() - expected[0][1] >= maxAge)
            ):
                del expected[0]
            self.assertEqual(len(history), len(expected))
            self.assertEqual(history.bytes, sum(len(each.encode()) for each, _ in expected))
            first = history.end - len(expected)
            latest = {each.id: first + index for index, (each, _) in enumerate(expected)}
            self.assertEqual(history._positions, latest)


class PieceTests(SynchronousTestCase):
    """
    Tests for reading a piece of a history.
    """

    def test_piece(self) -> None:
        """
        A piece has as many events as fit exactly, but at least one, and none beyond the end.
        """
        history = History()
        channel = Channel(history)
        sizes = [len(channel.publish("x" * 100, id=str(number)).encode()) for number in range(9)]
        size = sizes[0]
        for first, end, most, expected in [
            (0, 9, 3 * size, [0, 1, 2]),
            (0, 9, 3 * size - 1, [0, 1]),
            (0, 9, 1, [0]),
            (2, 9, 10**6, [2, 3, 4, 5, 6, 7, 8]),
            (2, 4, 10**6, [2, 3]),
            (2, 9, 10**6, [2, 3, 4, 5, 6, 7, 8]),
            (2, 9, 2 * size, [2, 3]),
            (9, 9, 10**6, []),
            (12, 9, 10**6, []),
        ]:
            for _ in range(2):
                _, _, next, entries = history.read(first, end, most, None)
                self.assertEqual([entry.position for entry in entries], expected)
                self.assertEqual(next, first + len(expected))

    def test_dropped(self) -> None:
        """
        A history does not keep a dropped event alive because it was read last.
        """
        gc.collect()
        before = self.entries()
        history = History(maxEvents=3)
        channel = Channel(history)
        for number in range(3):
            channel.publish(str(number))
        history.read(0, 3, 1000, None)
        for number in range(3):
            channel.publish(str(number))
        self.assertEqual(self.entries() - before, 3)

    def entries(self) -> int:
        """
        Count the entries that exist.
        """
        return sum(type(each) is Entry for each in gc.get_objects())


class FindTests(SynchronousTestCase):
    """
    Tests for finding the position of an ID.
    """

    def setUp(self) -> None:
        """
        Make a history of five events that keeps the last three.
        """
        self.history = History(maxEvents=3)
        self.channel = Channel(self.history)
        self.events = [self.channel.publish(str(number)) for number in range(5)]

    def test_after(self) -> None:
        """
        A kept event's ID is found at the position after it.
        """
        found = [self.history.find(event.id or "", None) for event in self.events]
        self.assertEqual(found, [None, None, 3, 4, 5])

    def test_latestOccurrence(self) -> None:
        """
        A repeated ID is found after its latest event, even when an earlier one is dropped.
        """
        history = History(maxEvents=4)
        channel = Channel(history)
        for identifier in ("a", "b", "a", "c"):
            channel.publish("x", id=identifier)
        self.assertEqual(history.find("a", None), 3)
        channel.publish("x", id="d")
        self.assertEqual(history.find("a", None), 3)
        channel.publish("x", id="e")
        channel.publish("x", id="f")
        self.assertIsNone(history.find("a", None))

    def test_marks(self) -> None:
        """
        A mark between two events is found as long as the event after it is kept.
        """
        history = self.history
        found = [history.find(history.mark(position), None) for position in range(7)]
        self.assertEqual(found, [None, None, 2, 3, 4, 5, None])

    def test_markOfNothing(self) -> None:
        """
        The mark of an empty history is found until the event after it is dropped.
        """
        history = History(maxEvents=1)
        mark = history.mark(0)
        self.assertEqual(history.find(mark, None), 0)
        channel = Channel(history)
        channel.publish("x")
        self.assertEqual(history.find(mark, None), 0)
        channel.publish("y")
        self.assertIsNone(history.find(mark, None))

    def test_markIsPrintable(self) -> None:
        """
        A mark is short printable ASCII, and never the ID of an event.
        """
        marks = {self.history.mark(position) for position in range(3000)}
        for mark in marks:
            self.assertRegex(mark, r"\A[!-~]{1,40}\Z")
        self.assertFalse(marks & {self.history.identify(each) for each in range(100_000)})

    def test_foreign(self) -> None:
        """
        An ID that is foreign, or almost the history's own, is not found.
        """
        token = self.history._token
        newest = self.events[-1].id or ""
        for identifier in (
            "",
            "x",
            token,
            f"{token}.",
            f"{token}.-1",
            f"{token}.3.3",
            f"{token}.x",
            f"{token}.\udcff",
            f"{token}." + "0" * 17 + "3",
            f"{token}." + "f" * 8000,
            f"{token[:-1]}.3",
            ".3",
            "3",
            newest[:-1],
            newest + "0",
            newest.upper() + "!",
            History().mark(3)[:-3] + "zz.3",
            "\0",
            "\N{ARABIC-INDIC DIGIT THREE}",
        ):
            self.assertIsNone(self.history.find(identifier, None), identifier)

    @given(st.text(max_size=40))
    def test_forged(self, text: str) -> None:
        """
        Any text after the history's own token is either found within the history or not found.
        """
        history = History(maxEvents=3)
        channel = Channel(history)
        for number in range(5):
            channel.publish(str(number))
        for forged in (text, f"{history._token}.{text}", f"{history._token}{text}"):
            position = history.find(forged, None)
            self.assertTrue(position is None or 2 <= position <= 5)


class DroppedTests(SynchronousTestCase):
    """
    Tests for a L{History}'s memory of dropped events.
    """

    def setUp(self) -> None:
        """
        Make a channel that keeps two events.
        """
        self.history = History(maxEvents=2)
        self.channel = Channel(self.history)

    def publish(self, *topics: str) -> str:
        """
        Publish an event about topics.

        @return: its ID.
        """
        identifier = self.channel.publish("x", topics=topics).id
        assert identifier is not None
        return identifier

    def lost(self, lastEventID: str, *topics: str) -> bool:
        """
        Tell whether a client with this ID has lost an event about these topics.
        """
        chosen = frozenset(topics)
        after = self.history.find(lastEventID, chosen)
        return after is None or self.history._lostSince(after, chosen)

    def test_quietTopic(self) -> None:
        """
        A client has lost nothing when only events about other topics were dropped.
        """
        mine = self.publish("mine")
        for _ in range(5):
            self.publish("other")
        self.assertFalse(self.lost(mine, "mine"))
        self.assertTrue(self.lost(mine, "mine", "other"))
        self.assertNotIn(mine, self.history)

    def test_dropped(self) -> None:
        """
        A client has lost a dropped event about its topic that it had not received.
        """
        first = self.publish("mine")
        second = self.publish("mine", "other")
        for _ in range(5):
            self.publish("other")
        self.assertTrue(self.lost(first, "mine"))
        self.assertFalse(self.lost(second, "mine"))

    def test_unknown(self) -> None:
        """
        A client with an unknown ID has lost something, whatever was dropped.
        """
        self.publish("other")
        for forged in ("", "x", self.history.identify(7), self.history.mark(9)):
            self.assertTrue(self.lost(forged, "mine"))

    def test_manyTopics(self) -> None:
        """
        When more topics are dropped than are remembered, the ones dropped longest ago count as
        lost.
        """
        self.patch(history, "MOST_TOPICS", 3)
        mine = self.publish("mine")
        for number in range(6):
            self.publish(f"user:{number}")
        late = self.publish("mine")
        for number in range(2):
            self.publish(f"user:{number}")
        self.assertTrue(self.lost(mine, "quiet"))
        self.assertFalse(self.lost(late, "mine"))
        self.assertLessEqual(len(self.history._dropped), 3)

    def test_mostTopics(self) -> None:
        """
        The topics forgotten first are those whose latest drop is oldest, not those dropped first.
        """
        self.patch(history, "MOST_TOPICS", 2)
        for topic in ("a", "b", "a", "c"):
            last = self.publish(topic)
        self.publish("kept")
        self.publish("kept")
        self.assertEqual(set(self.history._dropped), {"a", "c"})
        self.assertFalse(self.lost(last, "quiet"))
        self.assertTrue(self.lost(self.history.mark(1), "quiet"))
        self.assertFalse(self.lost(self.history.mark(2), "quiet"))
        self.assertTrue(self.lost(self.history.mark(2), "a"))
        self.assertTrue(self.lost(self.history.mark(3), "c"))
        self.assertFalse(self.lost(self.history.mark(4), "c"))

    def test_contains(self) -> None:
        """
        An ID is in the history if its client has missed only events that are kept.
        """
        first, second, third = self.publish(), self.publish(), self.publish()
        self.assertNotIn(first, self.history)
        self.assertIn(second, self.history)
        self.assertIn(third, self.history)
        self.assertIn(self.history.mark(1), self.history)
        self.assertNotIn(self.history.mark(0), self.history)
        self.assertNotIn("", self.history)
        self.assertNotIn(5, self.history)
