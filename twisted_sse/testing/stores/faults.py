"""
Tests for what may happen to a store: old events are dropped, appending fails, its server is away.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...store.contract import EventStore, NotKept, NotStored, Record, StoreAway
from .case import StoreCase, about
from .tail import MemoryTail, OpenedLog, nameOf

__all__ = ["AwayStoreTests", "FailingStoreTests", "LimitedStoreTests"]

#: How many records are appended before a store must have dropped the first; and how many at a time:
#: fewer than are kept, since a log that makes the IDs tells its tail later.
ENOUGH = 5000
BATCH = 5


class LimitedStoreTests(StoreCase):
    """
    For a store that drops old events, besides L{EventStoreTests
    <twisted_sse.testing.stores.every.EventStoreTests>}.

    @since: 0.2
    """

    def makeLimitedStore(self, maxEvents: int) -> EventStore:
        """
        Make a store that has no events yet, and keeps at least C{maxEvents} of each channel.  It
        may keep more, but not all of 5,000.

        C{reopenStore} makes another one with the same limit.
        """
        raise NotImplementedError(f"{type(self).__name__} needs a method makeLimitedStore")

    async def fill(self, opened: OpenedLog, *topics: str) -> list[Record]:
        """
        Append records until the first two are dropped.

        @return: all that were appended.
        """
        before = await opened.readAll()
        records: list[Record] = []
        while len(records) < ENOUGH:
            numbers = range(len(records), len(records) + BATCH)
            records += await opened.write(*(about(f"{number}", *topics) for number in numbers))
            [oldest, *_] = await opened.log.read(None, 1)
            if oldest.event not in [each.event for each in [*before, *records[:2]]]:
                return records
        raise AssertionError(f"after {ENOUGH} records the first are still kept")

    async def test_dropped(self) -> None:
        """
        The newest records are kept; everything after the ID of any of them is there, and after
        that of a dropped one is not kept; also when the log is opened again.
        """
        store = self.closedAtTheEnd(self.makeLimitedStore(20))
        opened = await OpenedLog.of(store)
        records = await self.fill(opened)
        for recent in 1000, 3, 0:
            found = await opened.readAll()
            self.assertGreaterEqual(len(found), 20)
            self.assertKept(found, records[-len(found) :])
            for number, record in enumerate(found, 1):
                self.assertKept(await opened.readAll(nameOf(record), 500), found[number:])
            # The newest of those that were dropped may be remembered.
            for record in records[: -len(found) - 1]:
                await self.assertNotKept(opened, nameOf(record))
            store, opened = await self.reopened(store, recent=recent)
            self.assertKept(await opened.readAll(opened.log.origin), opened.tail.records)

    async def test_droppedTopics(self) -> None:
        """
        A client that has missed a dropped record about one of its topics is not told that it has
        everything.
        """
        store = self.closedAtTheEnd(self.makeLimitedStore(10))
        opened = await OpenedLog.of(store)
        records = await self.fill(opened, "topic")
        rest = await opened.write(about("other", "other"))
        chosen = frozenset({"topic", "other"})
        for _ in range(2):
            await self.assertNotKept(opened, nameOf(records[0]), chosen)
            found = await opened.readAll(None, 500, chosen)
            self.assertKept(found, [*records, *rest][-len(found) :])
            self.assertKept(await opened.readAll(nameOf(found[0]), 500, chosen), found[1:])
            store, opened = await self.reopened(store)

    async def test_droppedWhileReading(self) -> None:
        """
        A reader that is overtaken by dropping gets what directly follows, and then nothing that
        does not.
        """
        store = self.closedAtTheEnd(self.makeLimitedStore(10))
        opened = await OpenedLog.of(store)
        records: list[Record] = []
        found: list[Record] = []
        after = opened.log.origin
        while len(records) < ENOUGH:
            records += await opened.write(*(about(f"{number}") for number in range(BATCH)))
            try:
                found += await opened.log.read(after, 1)
            except NotKept:
                break
            self.assertKept(found, records[: len(found)])
            after = nameOf(found[-1])
        self.assertLess(len(records), ENOUGH, "it was never overtaken")

    async def test_droppedGiven(self) -> None:
        """
        An ID of an application is found for as long as its latest record is kept, and not longer.
        """
        store = self.closedAtTheEnd(self.makeLimitedStore(10))
        opened = await OpenedLog.of(store)
        if opened.log.makesIDs:
            return
        await opened.write(about("early", id="a"), about("early", id="b"))
        await self.fill(opened)
        await self.assertNotKept(opened, "a")
        await self.assertNotKept(opened, "b")
        kept = await opened.write(about("late", id="b"), about("last"))
        self.assertKept(await opened.readAll("b"), kept[1:])
        await self.assertNotKept(opened, "a")

    async def test_keyOfDropped(self) -> None:
        """
        A key is still known when what was appended with it is dropped.
        """
        store = self.closedAtTheEnd(self.makeLimitedStore(10))
        opened = await OpenedLog.of(store)
        first = await opened.write(about("first"), key="key")
        await self.fill(opened)
        before = await opened.readAll()
        again = await opened.append([about("first")], "key")
        self.assertEqual(again[0].event.id, first[0].event.id)
        self.assertKept(await opened.readAll(), before)


class FailingStoreTests(StoreCase):
    """
    For a store in which appending can fail, as on a full disk, besides L{EventStoreTests
    <twisted_sse.testing.stores.every.EventStoreTests>}.

    @since: 0.2
    """

    def makeAppendsFail(self, store: EventStore) -> Callable[[], None]:
        """
        Make all appending fail from now on, but not reading.

        @return: makes it succeed again.
        """
        raise NotImplementedError(f"{type(self).__name__} needs a method makeAppendsFail")

    async def appendInVain(self, opened: OpenedLog, *records: Record, key: str = "") -> bool:
        """
        Append records, which must fail.

        @return: whether they may be kept all the same.
        """
        error = await self.failureOf(opened.append(records, key or None))
        assert isinstance(error, NotStored), error
        self.assertTrue(str(error))
        return error.maybe

    async def assertHole(
        self, opened: OpenedLog, before: Sequence[Record], after: Sequence[Record]
    ) -> None:
        """
        Assert that a log does not claim that some records follow others.  If it makes the IDs
        nothing is missing in between: no subscriber has seen what was not stored.
        """
        for maxBytes in 1, 10_000:
            for number in range(len(before)):
                name = nameOf(before[number])
                found, isLost = await self.readUntilLost(opened, name, maxBytes)
                expected = before[number + 1 :]
                self.assertEqual(isLost, not opened.log.makesIDs)
                if not isLost:
                    # It may be unknown whether it was kept.
                    found = [each for each in found if each.event.data != "lost"]
                if isLost:
                    # It may be known at once.
                    expected = expected[: len(found)]
                else:
                    expected = [*expected, *after]
                self.assertKept(found, expected)
            for number in range(len(after)):
                found, isLost = await self.readUntilLost(opened, nameOf(after[number]), maxBytes)
                self.assertFalse(isLost)
                self.assertKept(found, after[number + 1 :])

    async def test_notStored(self) -> None:
        """
        What fails is not kept, not even in part; the store says that it has a problem, until
        appending succeeds again.
        """
        store = self.newStore()
        opened = await OpenedLog.of(store)
        kept = await opened.write(about("a"))
        undo = self.makeAppendsFail(store)
        maybe = await self.appendInVain(opened, about("b"), about("c"))
        problem = store.problem()
        self.assertTrue(problem)
        self.assertEqual(len(str(problem).splitlines()), 1)
        if not maybe:
            found, _ = await self.readUntilLost(opened, opened.log.origin)
            self.assertKept(found, kept)
        undo()
        await opened.write(about("d"))
        self.assertIsNone(store.problem())

    async def test_hole(self) -> None:
        """
        If the channel makes the IDs, subscribers may have been sent what then failed: so what is
        appended next does not follow what is kept, also when the log is opened again.
        """
        store = self.newStore()
        opened = await OpenedLog.of(store)
        before = await opened.write(about("a"), about("b"))
        undo = self.makeAppendsFail(store)
        await self.appendInVain(opened, about("lost"))
        await self.appendInVain(opened, about("lost"), about("lost"))
        undo()
        after = await opened.write(about("f"))
        after = [*after, *await opened.write(about("g"), about("h"))]
        for recent in 1000, 2, 0:
            await self.assertHole(opened, before, after)
            store, opened = await self.reopened(store, recent=recent)

    async def test_recentAfterHole(self) -> None:
        """
        The recent records follow each other: those before a hole have new IDs, or are not there.
        """
        store = self.newStore()
        opened = await OpenedLog.of(store)
        before = await opened.write(about("a"), about("b"))
        undo = self.makeAppendsFail(store)
        await self.appendInVain(opened, about("lost"))
        undo()
        after = await opened.write(about("d"), about("e"))
        store, opened = await self.reopened(store)
        recent = opened.tail.records
        self.assertKept(recent[-2:], after)
        self.assertKept(await opened.readAll(opened.log.origin), recent)
        if opened.log.makesIDs:
            self.assertKept(recent[:-2], before)
        else:
            await self.assertNotKept(opened, nameOf(before[-1]))
            ids = {nameOf(each) for each in before}
            self.assertTrue(ids.isdisjoint(map(nameOf, recent)))

    async def test_holeTopics(self) -> None:
        """
        It is not known whether what is missing was about the topics of a reader.
        """
        store = self.newStore()
        opened = await OpenedLog.of(store)
        before = await opened.write(about("a", "topic"), about("b", "topic"))
        undo = self.makeAppendsFail(store)
        await self.appendInVain(opened, about("c", "topic"))
        undo()
        after = await opened.write(about("d", "topic"))
        if not opened.log.makesIDs:
            chosen = frozenset({"topic"})
            read = opened.log.read(nameOf(before[0]), 10_000, chosen)
            self.assertKept(await read, before[1:])
            await self.assertNotKept(opened, nameOf(before[1]), chosen)
            self.assertKept(await opened.readAll(nameOf(after[0]), 1000, chosen), [])

    async def test_failedKey(self) -> None:
        """
        A key is not used up by what failed.
        """
        store = self.newStore()
        opened = await OpenedLog.of(store)
        undo = self.makeAppendsFail(store)
        await self.appendInVain(opened, about("a"), key="key")
        undo()
        kept = await opened.write(about("b"), key="key")
        again = await opened.append([about("b")], "key")
        self.assertEqual(again[0].event.id, kept[0].event.id)

    async def test_inFlight(self) -> None:
        """
        Of many that are being appended while it begins to fail, and while it ends, those that
        succeed are kept in order, and no reader gets past one that failed.
        """
        store = self.newStore()
        opened = await OpenedLog.of(store)
        batches = [opened.prepared([about(f"{each}: a"), about(f"{each}: b")]) for each in range(9)]
        appends = [opened.log.append(batch) for batch in batches[:3]]
        undo = self.makeAppendsFail(store)
        appends += [opened.log.append(batch) for batch in batches[3:6]]
        errors = [await self.failureOf(append) for append in appends]
        undo()
        appends = [opened.log.append(batch) for batch in batches[6:]]
        errors += [await self.failureOf(append) for append in appends]
        last = await opened.write(about("last"))
        failed = [error is not None for error in errors]
        self.assertEqual(failed, sorted(failed[:3]) + 3 * [True] + 3 * [False])
        before = [each for batch in batches[: failed.index(True)] for each in batch]
        after = [*(each for batch in batches[6:] for each in batch), *last]
        for _ in range(2):
            found, isLost = await self.readUntilLost(opened, opened.log.origin)
            self.assertFalse(isLost and opened.log.makesIDs)
            expected = before if isLost else after
            if opened.log.makesIDs:
                expected = [*before, *after]
            data = [each.event.data for each in found]
            self.assertEqual(data, [each.event.data for each in expected])
            self.assertKept(await opened.readAll(nameOf(last[0])), [])
            store, opened = await self.reopened(store)


class AwayStoreTests(StoreCase):
    """
    For a store that can be away and return, such as a server, besides L{EventStoreTests
    <twisted_sse.testing.stores.every.EventStoreTests>}.

    A store that waits for an answer must not wait longer in these tests than a few seconds.

    @since: 0.2
    """

    def makeAway(self, store: EventStore) -> Callable[[], None]:
        """
        Make the store unreachable, without losing what it has.

        @return: makes it reachable again, at once for whatever is opened then.
        """
        raise NotImplementedError(f"{type(self).__name__} needs a method makeAway")

    async def test_away(self) -> None:
        """
        While the store is away, reading fails with C{StoreAway} and appending with C{NotStored},
        and the tail and C{problem} say so; when it is back everything goes on, and nothing is
        missing or comes twice.
        """
        store = self.newStore()
        opened = await OpenedLog.of(store)
        tail = opened.tail
        before = await opened.write(about("a"), about("b"))
        for _ in range(2):
            undo = self.makeAway(store)
            await self.assertFailure(opened.log.read(None, 1000), StoreAway)
            await self.assertFailure(opened.append([about("lost")]), NotStored)
            await tail.until(lambda: bool(tail.reasons) and tail.reasons[-1] is not None)
            self.assertTrue(tail.reasons[-1])
            self.assertEqual(len(str(store.problem()).splitlines()), 1)
            self.assertIsNotNone(store.problem())
            undo()
            await tail.until(lambda: tail.reasons[-1] is None)
            self.assertIsNone(store.problem())
        after = await opened.write(about("c"))
        if opened.log.makesIDs:
            found = await opened.readAll()
            self.assertKept(tail.records, found)
            # It may be unknown whether it was kept.
            found = [each for each in found if each.event.data != "lost"]
            self.assertKept(found, [*before, *after])
        else:
            self.assertKept(await opened.readAll(nameOf(after[0])), [])
            found, isLost = await self.readUntilLost(opened, nameOf(before[0]))
            self.assertTrue(isLost)
            self.assertKept(found, before[1:])
        self.assertEqual(tail.origins, [], "nothing was lost")

    async def test_openAway(self) -> None:
        """
        A log cannot be opened while the store is away, and can be when it is back.
        """
        store = self.newStore()
        opened = await OpenedLog.of(store)
        kept = await opened.write(about("a"))
        await opened.log.close()
        undo = self.makeAway(store)
        await self.assertFailure(store.open("news", MemoryTail(), 10), StoreAway)
        undo()
        opened = await OpenedLog.of(store)
        self.assertKept(opened.tail.records, kept)

    async def test_closeAway(self) -> None:
        """
        A store that is away can be closed, and then nothing is left waiting.
        """
        store = self.newStore()
        opened = await OpenedLog.of(store)
        kept = await opened.write(about("a"))
        undo = self.makeAway(store)
        appends = [opened.append([about("b")]) for _ in range(3)]
        reads = [opened.log.read(None, 100) for _ in range(3)]
        await store.close()
        for asked in [*appends, *reads]:
            await self.failureOf(asked)
        undo()
        store, opened = await self.reopened(store)
        self.assertKept((await opened.readAll())[:1], kept)
