"""
Tests for L{twisted_sse.store.memory}: what can be replayed.

Through its channel, as it is used; L{tests.channel} has what clients see of it.
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

#: What is known of IDs, so that nobody can mistake one for another.
MADE = r"\A[0-9a-f]{4,40}\Z"


def kept(history: History) -> list[str | None]:
    """
    The data of the events that are kept.
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
        1,000 events of 16 MiB together are kept, of any age.
        """
        history = History()
        self.assertEqual(
            (history.maxEvents, history.maxBytes, history.maxAge), (1000, 16 * 2**20, None)
        )
        self.assertEqual((len(history), history.bytes), (0, 0))

    def test_positional(self) -> None:
        """
        The bounds may be given by position.
        """
        history = History(1, 2, 3.5)
        self.assertEqual((history.maxEvents, history.maxBytes, history.maxAge), (1, 2, 3.5))

    def test_wrong(self) -> None:
        """
        What is out of range or no number is an error that names the argument.
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
        A history without any bound is refused, one with any bound is not.
        """
        error = self.assertRaises(ValueError, History, None, None, None)
        self.assertIn("maxEvents, maxBytes or maxAge", str(error))
        History(maxEvents=None, maxBytes=None, maxAge=1)
        History(maxEvents=None, maxBytes=1, maxAge=None)
        History(maxEvents=1, maxBytes=None, maxAge=None)

    def test_twoChannels(self) -> None:
        """
        A history that is given to a second channel is refused, and goes on with the first.
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
        A channel that could not be made has not taken the history.
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
        The repr tells how much is kept.
        """
        history = History()
        channel = Channel(history)
        channel.publish("x", id="1")
        size = len(Event("x", id="1").encode())
        self.assertEqual(repr(history), f"<History of 1 events, {size} bytes>")


class IdentifierTests(SynchronousTestCase):
    """
    Tests for the IDs that are made.
    """

    def test_form(self) -> None:
        """
        They are short, of printable ASCII, with nothing in them that HTTP takes off.
        """
        channel = Channel()
        for number in range(300):
            identifier = channel.publish(str(number)).id
            assert identifier is not None
            self.assertRegex(identifier, MADE)

    def test_increasing(self) -> None:
        """
        They ever increase, as text, at each power of the base too.
        """
        history = History()
        channel = Channel(history)
        identifiers = [channel.publish("x").id or "" for _ in range(5000)]
        edges = {2**power + step for power in range(13, 60) for step in (-1, 0, 1)}
        identifiers += [history.identify(each) for each in sorted(edges)]
        self.assertEqual(len(set(identifiers)), len(identifiers))
        self.assertEqual(sorted(identifiers), identifiers)

    def test_restart(self) -> None:
        """
        Those of a history that is made later are greater, and all are different.
        """
        now = time.time()
        seen: list[str] = []
        for later in (0, 0.002, 1, 100, 10**6, 10**8):
            self.patch(time, "time", lambda later=later: now + later)
            channel = Channel()
            seen += [channel.publish("x").id or "" for _ in range(300)]
        self.assertEqual(sorted(seen), seen)
        self.assertEqual(len(set(seen)), len(seen))

    def test_sameMoment(self) -> None:
        """
        Those of histories that are made at the same moment are not all the same.
        """
        self.patch(time, "time", lambda: 1.8e9)
        self.assertGreater(len({Channel().publish("x").id for _ in range(50)}), 5)

    def test_notMadeIfGiven(self) -> None:
        """
        An event that has an ID keeps it, an int as text, and is sent as it is.
        """
        channel = Channel()
        event = Event("x", id="mine")
        self.assertIs(channel.publish(event), event)
        self.assertEqual(channel.publish("x", id=7).id, "7")

    def test_empty(self) -> None:
        """
        An event whose ID is empty gets one: the client could not resume from it.
        """
        channel = Channel()
        self.assertRegex(channel.publish("x", id="").id or "", MADE)

    def test_otherFields(self) -> None:
        """
        An event that is given an ID keeps all else, and the one that was published is as it was.
        """
        event = Event("x", event="greeting", retry=700, comment="note")
        published = Channel().publish(event)
        self.assertIsNone(event.id)
        self.assertEqual(published, Event("x", "greeting", published.id, 700, "note"))

    def test_noHistory(self) -> None:
        """
        Without a history no ID is made, and the event is sent as it was given.
        """
        channel = Channel(None)
        event = Event("x")
        self.assertIs(channel.publish(event), event)
        self.assertEqual(channel.publish("x", id="").id, "")


class BoundTests(SynchronousTestCase):
    """
    Tests for the bounds.
    """

    def test_events(self) -> None:
        """
        Of the events the newest are kept, exactly so many.
        """
        history = History(maxEvents=3)
        channel = Channel(history)
        for number in range(10):
            channel.publish(str(number))
            self.assertEqual(len(history), min(number + 1, 3))
        self.assertEqual(kept(history), ["7", "8", "9"])

    def test_bytes(self) -> None:
        """
        The bytes are those on the wire; as many events are kept as fit exactly.
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
        A character counts as the bytes that it is sent as.
        """
        history = History()
        event = Channel(history).publish("\N{EURO SIGN}" * 100)
        self.assertEqual(history.bytes, len(event.encode()))
        self.assertGreater(history.bytes, 300)

    def test_tooLargeForIt(self) -> None:
        """
        An event that is larger than all that may be kept is not kept, nor is what was before.
        """
        history = History(maxBytes=100)
        channel = Channel(history)
        channel.publish("x")
        channel.publish("y" * 200)
        self.assertEqual((len(history), history.bytes), (0, 0))
        self.assertEqual(history._positions, {})
        channel.publish("z")
        self.assertEqual(kept(history), ["z"])

    def test_age(self) -> None:
        """
        An event is kept until it has its age, and not longer, though nothing is published.
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
        At each time and for each age that a float can have, an event goes when it has its age,
        by a handful of delayed calls.
        """

        class Counting(Clock):
            made = 0

            def callLater(self, *args: Any, **kwargs: Any) -> Any:
                self.made += 1
                if self.made > 1000:
                    # Instead of an endless loop.
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
        However many events there are, there is one delayed call for their age.
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
        When all are gone and others are published, these go in their turn.
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
        A channel that has no clock yet keeps nothing that is too old at the next publish.
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
        Whichever bound is reached first holds.
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
        When what was the oldest has been dropped for another reason, the rest goes in time.
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
        A closed channel leaves no delayed call for its history.
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
        Whatever is published, exactly the newest are kept that are within all bounds, and the
        size and the IDs are those of what is kept.
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
    Tests for what is taken out of a history at a time.
    """

    def test_piece(self) -> None:
        """
        It is as many events as fit, exactly, but at least one, and none beyond the end.
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
        What was taken last is not kept for that when it is dropped.
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
        How many there are.
        """
        return sum(type(each) is Entry for each in gc.get_objects())


class FindTests(SynchronousTestCase):
    """
    Tests for where an ID is in the sequence.
    """

    def setUp(self) -> None:
        """
        Make a history of five events, the first two of which are not kept.
        """
        self.history = History(maxEvents=3)
        self.channel = Channel(self.history)
        self.events = [self.channel.publish(str(number)) for number in range(5)]

    def test_after(self) -> None:
        """
        It goes on after an event that is kept, and the latest is no exception.
        """
        found = [self.history.find(event.id or "", None) for event in self.events]
        self.assertEqual(found, [None, None, 3, 4, 5])

    def test_latestOccurrence(self) -> None:
        """
        It goes on after the latest event of that ID, also when an earlier one is dropped.
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
        A place between two events can be found like an event, as long as what follows it is
        kept.
        """
        history = self.history
        found = [history.find(history.mark(position), None) for position in range(7)]
        self.assertEqual(found, [None, None, 2, 3, 4, 5, None])

    def test_markOfNothing(self) -> None:
        """
        The beginning of an empty history can be found, until what has followed it is dropped.
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
        A mark is short and of printable ASCII, and is never the ID of an event.
        """
        marks = {self.history.mark(position) for position in range(3000)}
        for mark in marks:
            self.assertRegex(mark, r"\A[!-~]{1,40}\Z")
        self.assertFalse(marks & {self.history.identify(each) for each in range(100_000)})

    def test_foreign(self) -> None:
        """
        What is no ID of ours, nor nearly one, is not found, and harmless.
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
        Whatever follows our own token, the place is within the history, or there is none.
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
    Tests for what a L{History} remembers of what it has dropped.
    """

    def setUp(self) -> None:
        """
        Publish to a channel that keeps two events.
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
        Whether a client with this ID has lost something about these topics.
        """
        chosen = frozenset(topics)
        after = self.history.find(lastEventID, chosen)
        return after is None or self.history._lostSince(after, chosen)

    def test_quietTopic(self) -> None:
        """
        Who wants to hear about something quiet has lost nothing when others were dropped.
        """
        mine = self.publish("mine")
        for _ in range(5):
            self.publish("other")
        self.assertFalse(self.lost(mine, "mine"))
        self.assertTrue(self.lost(mine, "mine", "other"))
        self.assertNotIn(mine, self.history)

    def test_dropped(self) -> None:
        """
        Who has not seen an event of his own that was dropped has lost it.
        """
        first = self.publish("mine")
        second = self.publish("mine", "other")
        for _ in range(5):
            self.publish("other")
        self.assertTrue(self.lost(first, "mine"))
        self.assertFalse(self.lost(second, "mine"))

    def test_unknown(self) -> None:
        """
        An ID that is not known has lost something, whatever was dropped.
        """
        self.publish("other")
        for forged in ("", "x", self.history.identify(7), self.history.mark(9)):
            self.assertTrue(self.lost(forged, "mine"))

    def test_manyTopics(self) -> None:
        """
        Of more topics than are remembered, those that were dropped longest ago are taken as lost.
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
        When there are too many topics, those are forgotten that were dropped longest ago, not
        those that were dropped first.
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
        An ID is in the history if a client that has it misses nothing that is not kept.
        """
        first, second, third = self.publish(), self.publish(), self.publish()
        self.assertNotIn(first, self.history)
        self.assertIn(second, self.history)
        self.assertIn(third, self.history)
        self.assertIn(self.history.mark(1), self.history)
        self.assertNotIn(self.history.mark(0), self.history)
        self.assertNotIn("", self.history)
        self.assertNotIn(5, self.history)
