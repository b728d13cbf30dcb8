"""
Tests for L{twisted_sse.testing.stores}: each test of a store finds faulty stores.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest import result

from twisted.internet.defer import fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from tests.support.examples import example
from twisted_sse import Event, EventStreamParser
from twisted_sse.store import NotKept, NotStored, Record, Repeated
from twisted_sse.testing.stores import EventStoreTests, FailingStoreTests

#: Makes a log faulty: takes the class of the log, and returns a subclass.
Fault = Callable[[Any], Any]

#: The faults, and the names of the tests that find each of them.
FAULTS: dict[Fault, tuple[str, ...]] = {}


def foundBy(*names: str) -> Callable[[Fault], Fault]:
    """
    Declare which tests find a fault.
    """

    def declare(fault: Fault) -> Fault:
        FAULTS[fault] = names
        return fault

    return declare


# Opening and closing


@foundBy("test_empty")
def hasRecordsFromTheBeginning(log: Any) -> Any:
    """
    A new log is not empty.
    """

    class Faulty(log):
        def __init__(self, rows: Any, name: str, tail: Any, recent: int) -> None:
            super().__init__(rows, name, tail, recent)
            if len(self.mine()) == 1:
                super().append([Record(Event("welcome", id="0"))])

    return Faulty


@foundBy("test_recent", "test_reopen")
def hasNoRecent(log: Any) -> Any:
    """
    The tail gets no records at the opening.
    """

    class Faulty(log):
        def __init__(self, rows: Any, name: str, tail: Any, recent: int) -> None:
            super().__init__(rows, name, tail, 0)

    return Faulty


@foundBy("test_recent")
def oneTooMany(log: Any) -> Any:
    """
    The tail gets one record more than requested.
    """

    class Faulty(log):
        def __init__(self, rows: Any, name: str, tail: Any, recent: int) -> None:
            super().__init__(rows, name, tail, recent + 1)

    return Faulty


@foundBy("test_recent", "test_origin")
def endIsTheOrigin(log: Any) -> Any:
    """
    The origin is the position after the recent records.
    """

    class Faulty(log):
        def __init__(self, rows: Any, name: str, tail: Any, recent: int) -> None:
            super().__init__(rows, name, tail, recent)
            self.origin = self.prefix

    return Faulty


@foundBy("test_origin")
def originIsForgotten(log: Any) -> Any:
    """
    The origin is known only until the log is closed.
    """

    class Faulty(log):
        def __init__(self, rows: Any, name: str, tail: Any, recent: int) -> None:
            super().__init__(rows, name, tail, recent)
            for index, row in enumerate(rows):
                if row.record is None and row.place != self.origin:
                    rows[index] = row._replace(place="forgotten")

    return Faulty


@foundBy("test_prefixes")
def samePrefix(log: Any) -> Any:
    """
    All openings have the same prefix.
    """

    class Faulty(log):
        def __init__(self, rows: Any, name: str, tail: Any, recent: int) -> None:
            super().__init__(rows, name, tail, recent)
            self.prefix = f"{name}-"

    return Faulty


@foundBy("test_prefixes")
def countedPrefix(log: Any) -> Any:
    """
    A prefix is the beginning of another.
    """

    class Faulty(log):
        def __init__(self, rows: Any, name: str, tail: Any, recent: int) -> None:
            super().__init__(rows, name, tail, recent)
            self.prefix = f"{len(rows):b}"

    return Faulty


@foundBy("test_channels")
def ignoresCase(log: Any) -> Any:
    """
    Names of channels are compared as some databases do.
    """

    class Faulty(log):
        def mine(self) -> Any:
            return [row for row in self.rows if row.channel.lower() == self.name.lower()]

    return Faulty


@foundBy("test_channels")
def oneChannel(log: Any) -> Any:
    """
    A channel has the events of all.
    """

    class Faulty(log):
        def mine(self) -> Any:
            return list(self.rows)

    return Faulty


@foundBy("test_closeLog", "test_reopen")
def beginsAnew(log: Any) -> Any:
    """
    No record is kept.
    """

    class Faulty(log):
        def __init__(self, rows: Any, name: str, tail: Any, recent: int) -> None:
            rows[:] = [row for row in rows if row.channel != name]
            super().__init__(rows, name, tail, recent)

    return Faulty


@foundBy("test_closeInTheMiddle", "test_closeLog")
def losesTheLast(log: Any) -> Any:
    """
    The last appended records are lost when the log is closed.
    """

    class Faulty(log):
        def close(self) -> Any:
            if not self.isClosed and self.rows and self.rows[-1].record:
                self.rows.pop()
            return super().close()

    return Faulty


@foundBy("test_closeInTheMiddle")
def talksOn(log: Any) -> Any:
    """
    The tail receives a notification after the end.
    """

    class Faulty(log):
        tails: list[Any] = []

        def __init__(self, rows: Any, name: str, tail: Any, recent: int) -> None:
            super().__init__(rows, name, tail, recent)
            for each in self.tails:
                each.received([])
            self.tails.append(tail)

    return Faulty


@foundBy("test_afterClose")
def goesOn(log: Any) -> Any:
    """
    A closed log continues.
    """

    class Faulty(log):
        def close(self) -> Any:
            return succeed(None)

    return Faulty


# Appending


@foundBy("test_received")
def echoes(log: Any) -> Any:
    """
    The tail receives the channel's own records.
    """

    class Faulty(log):
        def __init__(self, rows: Any, name: str, tail: Any, recent: int) -> None:
            super().__init__(rows, name, tail, recent)
            self.tail = tail

        def append(self, records: Any, key: Any = None) -> Any:
            self.tail.received(records)
            return super().append(records, key)

    return Faulty


@foundBy("test_order")
def newestFirst(log: Any) -> Any:
    """
    A batch is kept in the wrong order.
    """

    class Faulty(log):
        def append(self, records: Any, key: Any = None) -> Any:
            super().append(records[::-1], key)
            return succeed([each.event.id for each in records])

    return Faulty


@foundBy("test_identifiers")
def ownIDs(log: Any) -> Any:
    """
    The log returns IDs of its own.
    """

    class Faulty(log):
        def append(self, records: Any, key: Any = None) -> Any:
            return super().append(records, key).addCallback(lambda ids: [f"{id}." for id in ids])

    return Faulty


@foundBy("test_givenRefused", "test_given")
def refusesGiven(log: Any) -> Any:
    """
    The IDs of an application are refused.
    """

    class Faulty(log):
        def append(self, records: Any, key: Any = None) -> Any:
            if any(each.place for each in records):
                return fail(ValueError("no IDs, please"))
            return super().append(records, key)

    return Faulty


def altered(alter: Callable[[Record], Record]) -> Fault:
    """
    Make a fault in which records are altered when they are appended.
    """

    def fault(log: Any) -> Any:
        class Faulty(log):
            def append(self, records: Any, key: Any = None) -> Any:
                return super().append([alter(each) for each in records], key)

        return Faulty

    return fault


def _parsed(record: Record) -> Record:
    event = record.event
    parsed = EventStreamParser().feed(event.encode())
    if not parsed:
        return record
    [message] = parsed
    return record._replace(
        event=Event(message.data, event.event, event.id, event.retry, event.comment)
    )


def _withData(record: Record) -> Record:
    event = record.event
    return record._replace(
        event=Event(event.data or "", event.event, event.id, event.retry, event.comment)
    )


def _withoutComment(record: Record) -> Record:
    event = record.event
    if event.data is None:
        return record
    return record._replace(event=Event(event.data, event.event, event.id, event.retry))


for alter, name in [
    (_parsed, "test_events"),
    (_withData, "test_events"),
    (_withoutComment, "test_events"),
    (lambda record: record._replace(private=False), "test_records"),
    (lambda record: record._replace(time=round(record.time)), "test_records"),
    (lambda record: record._replace(topics=record.topics[:100]), "test_records"),
    (lambda record: record._replace(topics=tuple(map(str.strip, record.topics))), "test_records"),
]:
    foundBy(name)(altered(alter))


@foundBy("test_keys")
def ignoresKeys(log: Any) -> Any:
    """
    Keys are ignored.
    """

    class Faulty(log):
        def append(self, records: Any, key: Any = None) -> Any:
            return super().append(records)

    return Faulty


@foundBy("test_keys", "test_keysReused")
def forgetsKeys(log: Any) -> Any:
    """
    Keys are forgotten when the log is closed.
    """

    class Faulty(log):
        def __init__(self, rows: Any, name: str, tail: Any, recent: int) -> None:
            rows[:] = [row._replace(key=None) for row in rows]
            super().__init__(rows, name, tail, recent)

    return Faulty


@foundBy("test_keysReused")
def trustsKeys(log: Any) -> Any:
    """
    Records appended with a used key are not compared.
    """

    class Faulty(log):
        def append(self, records: Any, key: Any = None) -> Any:
            known = [row.record for row in self.mine() if key is not None and row.key == key]
            if known:
                return succeed(Repeated([each.event.id for each in known]))
            return super().append(records, key)

    return Faulty


@foundBy("test_keys")
def hidesRepetition(log: Any) -> Any:
    """
    The log does not report whether a key was used before.
    """

    class Faulty(log):
        def append(self, records: Any, key: Any = None) -> Any:
            return super().append(records, key).addCallback(list)

    return Faulty


@foundBy("test_identifiers")
def alwaysRepeated(log: Any) -> Any:
    """
    The log always reports that a key was used before.
    """

    class Faulty(log):
        def append(self, records: Any, key: Any = None) -> Any:
            return super().append(records, key).addCallback(Repeated)

    return Faulty


@foundBy("test_keysOfChannels")
def sharesKeys(log: Any) -> Any:
    """
    All channels have the same keys.
    """

    class Faulty(log):
        def append(self, records: Any, key: Any = None) -> Any:
            known = [row.record for row in self.rows if key is not None and row.key == key]
            if known:
                return succeed(Repeated([each.event.id for each in known]))
            return super().append(records, key)

    return Faulty


@foundBy("test_keysOfChannels")
def needsKeys(log: Any) -> Any:
    """
    The empty key counts as no key.
    """

    class Faulty(log):
        def append(self, records: Any, key: Any = None) -> Any:
            return super().append(records, key or None)

    return Faulty


# Reading


@foundBy("test_pieces")
def readsAll(log: Any) -> Any:
    """
    The limit of a read is ignored.
    """

    class Faulty(log):
        def read(self, after: Any, maxBytes: int, topics: Any = None) -> Any:
            return super().read(after, 2**30, topics)

    return Faulty


@foundBy("test_pieces")
def nothingTooLarge(log: Any) -> Any:
    """
    A record larger than the limit is not read.
    """

    class Faulty(log):
        def read(self, after: Any, maxBytes: int, topics: Any = None) -> Any:
            def cut(records: Any) -> Any:
                return [each for each in records if len(each.event.encode()) <= maxBytes]

            return super().read(after, maxBytes, topics).addCallback(cut)

    return Faulty


@foundBy("test_resume", "test_concurrent", "test_pieces")
def readsAgain(log: Any) -> Any:
    """
    A read begins with the named record itself.
    """

    class Faulty(log):
        def read(self, after: Any, maxBytes: int, topics: Any = None) -> Any:
            records = [row.record for row in self.mine() if row.record]
            for index, record in enumerate(records):
                if record.event.id == after and index < len(records) - 1:
                    return succeed(records[index : index + 2])
            return super().read(after, maxBytes, topics)

    return Faulty


@foundBy("test_topics")
def ignoresTopics(log: Any) -> Any:
    """
    A read ignores the topics.
    """

    class Faulty(log):
        def read(self, after: Any, maxBytes: int, topics: Any = None) -> Any:
            return super().read(after, maxBytes)

    return Faulty


@foundBy("test_topics")
def allTopics(log: Any) -> Any:
    """
    Only records about all the topics are read.
    """

    class Faulty(log):
        def read(self, after: Any, maxBytes: int, topics: Any = None) -> Any:
            def cut(records: Any) -> Any:
                return [each for each in records if (topics or set()) <= set(each.topics)]

            return super().read(after, 2**30, topics).addCallback(cut)

    return Faulty


@foundBy("test_topics")
def placesHaveTopics(log: Any) -> Any:
    """
    The ID of a record about other topics is unknown.
    """

    class Faulty(log):
        def read(self, after: Any, maxBytes: int, topics: Any = None) -> Any:
            for row in self.mine():
                if row.record and row.place == after and topics and after:
                    if not topics & set(row.record.topics):
                        return fail(NotKept())
            return super().read(after, maxBytes, topics)

    return Faulty


@foundBy("test_unknown", "test_channels")
def knowsEverything(log: Any) -> Any:
    """
    After an unknown ID everything is read.
    """

    class Faulty(log):
        def read(self, after: Any, maxBytes: int, topics: Any = None) -> Any:
            known = {row.place for row in self.mine()}
            known |= {row.record.event.id for row in self.mine() if row.record}
            return super().read(after if after in known else None, maxBytes, topics)

    return Faulty


@foundBy("test_unknown")
def trims(log: Any) -> Any:
    """
    Spaces around an ID do not count.
    """

    class Faulty(log):
        def read(self, after: Any, maxBytes: int, topics: Any = None) -> Any:
            return super().read(after and after.strip(" "), maxBytes, topics)

    return Faulty


@foundBy("test_unknown")
def looksAhead(log: Any) -> Any:
    """
    An ID that will be made later counts as the end.
    """

    class Faulty(log):
        def read(self, after: Any, maxBytes: int, topics: Any = None) -> Any:
            known = {row.place for row in self.mine()}
            if after and after.startswith(self.prefix) and after not in known:
                return succeed([])
            return super().read(after, maxBytes, topics)

    return Faulty


@foundBy("test_given")
def firstCounts(log: Any) -> Any:
    """
    A read after an ID used twice continues after the first.
    """

    class Faulty(log):
        def read(self, after: Any, maxBytes: int, topics: Any = None) -> Any:
            for row in self.mine():
                if row.record and row.record.event.id == after:
                    return super().read(row.place, maxBytes, topics)
            return super().read(after, maxBytes, topics)

    return Faulty


# Failing


@foundBy("test_notStored")
def keepsHalf(log: Any) -> Any:
    """
    A part of a failed batch is kept.
    """

    class Faulty(log):
        def append(self, records: Any, key: Any = None) -> Any:
            if self.rows.isFull:
                self.rows.isFull = False
                super().append(records[:1])
                self.rows.isFull = True
            return super().append(records, key)

    return Faulty


@foundBy("test_notStored")
def noProblem(log: Any) -> Any:
    """
    The store reports no problem.
    """

    class Faulty(log):
        def append(self, records: Any, key: Any = None) -> Any:
            done = super().append(records, key)
            if self.problem:
                self.rows.append(self.mine()[-1]._replace(record=None, place="hole", isHole=True))
                self.problem = None
            return done

    return Faulty


@foundBy("test_hole", "test_holeTopics", "test_recentAfterHole", "test_inFlight")
def noHole(log: Any) -> Any:
    """
    A failed record leaves no hole.
    """

    class Faulty(log):
        def append(self, records: Any, key: Any = None) -> Any:
            self.problem = None
            return super().append(records, key)

    return Faulty


@foundBy("test_hole", "test_inFlight", "test_recentAfterHole")
def holeIsForgotten(log: Any) -> Any:
    """
    Holes are known only until the log is closed.
    """

    class Faulty(log):
        def __init__(self, rows: Any, name: str, tail: Any, recent: int) -> None:
            rows[:] = [row._replace(isHole=False) for row in rows]
            super().__init__(rows, name, tail, recent)

    return Faulty


@foundBy("test_holeTopics")
def holesHaveNoTopics(log: Any) -> Any:
    """
    Holes do not count in reads with topics.
    """

    class Faulty(log):
        def mine(self) -> Any:
            rows = super().mine()
            return [row._replace(isHole=row.isHole and not self.chosen) for row in rows]

        chosen = False

        def read(self, after: Any, maxBytes: int, topics: Any = None) -> Any:
            self.chosen = topics is not None
            try:
                return super().read(after, maxBytes, topics)
            finally:
                self.chosen = False

    return Faulty


@foundBy("test_failedKey")
def usesKeysUp(log: Any) -> Any:
    """
    The key of a failed record counts as used.
    """

    class Faulty(log):
        used: frozenset[str] = frozenset()

        def append(self, records: Any, key: Any = None) -> Any:
            if key in self.used:
                return fail(NotStored(why="this key has failed"))
            if self.rows.isFull and key:
                self.used |= {key}
            return super().append(records, key)

    return Faulty


def failures(fault: Fault | None, names: list[str]) -> set[str]:
    """
    Run tests of a faulty store.

    @return: the names of those that fail.
    """
    module = example("list_store")
    if fault is not None:
        module.ListLog = fault(module.ListLog)

    found = set()
    for name in names:
        outcome = result.TestResult()
        module.ListStoreTests(name).run(outcome)
        if not outcome.wasSuccessful():
            found.add(name)
    return found


class FaultTests(SynchronousTestCase):
    """
    Tests that faults are found.
    """

    def test_found(self) -> None:
        """
        Each faulty store fails the tests for its fault.
        """
        for fault, names in FAULTS.items():
            found = failures(fault, list(names))
            self.assertEqual(set(names) - found, set(), f"{fault.__name__}: {fault.__doc__}")

    def test_all(self) -> None:
        """
        There is a faulty store for each test, and each test passes for a correct store.
        """
        tests = {
            name
            for cls in (EventStoreTests, FailingStoreTests)
            for name in dir(cls)
            if name.startswith("test_")
        }
        self.assertEqual(tests - {name for names in FAULTS.values() for name in names}, set())
        self.assertEqual(failures(None, sorted(tests)), set())
