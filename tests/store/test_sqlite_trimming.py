"""
Tests for L{twisted_sse.store.sqlite}: dropping records, and remembering that they were dropped.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from twisted.internet import reactor
from twisted.internet.task import deferLater

from tests.support.stores import SQLiteTestCase
from twisted_sse.store import NotKept
from twisted_sse.store.sqlite import trimming


async def until(isSo: Callable[[], Awaitable[bool]]) -> None:
    """
    Wait for a change that takes a moment.
    """
    end = time.monotonic() + 10
    while not await isSo():
        assert time.monotonic() < end, "it takes too long"
        await deferLater(reactor, 0.01)  # type: ignore[arg-type]


class TrimmingTests(SQLiteTestCase):
    """
    Tests for limits.
    """

    async def test_maxEvents(self) -> None:
        """
        Exactly C{maxEvents} are kept of each channel, and the position before the oldest is valid.
        """
        store = self.store(maxEvents=7)
        one, two = await self.keep(store, "one"), await self.keep(store, "two")
        await two.fill(3)
        ids = [(await one.append())[0] for _ in range(20)]
        self.assertEqual(await one.read(None), [str(n) for n in range(14, 21)])
        self.assertEqual(await one.read(ids[12]), [str(n) for n in range(14, 21)])
        for place in ids[0], ids[11], one.log.origin:
            with self.assertRaises(NotKept):
                await one.read(place)
        self.assertEqual(await two.read(None), ["1", "2", "3"])

    async def test_keepOnly(self) -> None:
        """
        A channel may keep fewer events than the others.
        """
        store = self.store(maxEvents=7)
        store.keepOnly("one", 1)
        self.assertRaises(ValueError, store.keepOnly, "one", 0)
        one, two = await self.keep(store, "one"), await self.keep(store, "two")
        for keeper in one, two:
            ids = [(await keeper.append())[0] for _ in range(10)]
            await keeper.read(ids[-1])
        self.assertEqual((await one.read(None), len(await two.read(None))), (["10"], 7))

    async def test_keepMore(self) -> None:
        """
        A channel may keep more events than the others, however old and large it is, even across a
        restart.
        """
        now = time.time()
        store = self.store(maxEvents=3, maxBytes=20, maxAge=10)
        store.keepOnly("more", 5)
        more, others = await self.keep(store, "more"), await self.keep(store, "others")
        for keeper in more, others:
            ids = [
                (await keeper.append(keeper.record(f"{number}" * 9, now=now - age)))[0]
                for number, age in enumerate((100, 90, 80, 0))
            ]
            await keeper.read(ids[-1])
        self.assertEqual(len(await more.read(None)), 4)
        self.assertEqual(await others.read(None), ["3" * 9])
        await store.close()
        store = self.store(maxEvents=3, maxBytes=20, maxAge=10)
        store.keepOnly("more", 5)
        more = await self.keep(store, "more")
        self.assertEqual((len(await more.read(None)), len(more.recent)), (4, 4))

    async def test_maxBytes(self) -> None:
        """
        At most C{maxBytes} are kept, in UTF-8, whatever the sizes; an event that is larger is not
        kept, but its position is.
        """
        keeper = await self.keep(self.store(maxEvents=None, maxBytes=100))
        for _ in range(5):
            await keeper.append(keeper.record("x" * 30))
        self.assertEqual(len(await keeper.read(None)), 3)
        await keeper.append(keeper.record("\N{GRINNING FACE}" * 24))
        self.assertEqual(len(await keeper.read(None)), 1)
        [large] = await keeper.append(keeper.record("x" * 101))
        self.assertEqual(await keeper.read(None), [])
        await keeper.append(keeper.record("y"))
        self.assertEqual(await keeper.read(large), ["y"])

    async def test_maxAge(self) -> None:
        """
        Events that are too old are dropped, even if nothing more is published.
        """
        store = self.store(maxAge=10)
        keeper = await self.keep(store)
        now = time.time()
        ids = await keeper.append(
            keeper.record(now=now - 20), keeper.record(now=now - 9.7), keeper.record(now=now)
        )
        self.assertEqual(await keeper.read(None), ["2", "3"])

        async def isDropped() -> bool:
            return await keeper.read(None) == ["3"]

        await until(isDropped)
        self.assertGreater(time.time(), now + 0.3)
        self.assertEqual(await keeper.read(ids[1]), ["3"])
        await store.close()

    async def test_lowerLimit(self) -> None:
        """
        With lower limits than before, surplus events are dropped in slices without a new event, and
        appended events do not wait for the end.
        """
        self.patch(trimming, "SLICE", 10)
        store = self.store(maxEvents=None)
        await (await self.keep(store)).fill(500)
        await store.close()
        store = self.store(maxEvents=20)
        keeper = await self.keep(store)
        await keeper.append(keeper.record("new"))

        async def isDropped() -> bool:
            return len(await keeper.read(None)) == 20

        await until(isDropped)
        self.assertGreater(store.commits, 40)
        self.assertEqual((await keeper.read(None))[-2:], ["500", "new"])

    async def test_oneTransaction(self) -> None:
        """
        In the long run, when each new event drops an old one, this takes no additional transaction.
        """
        store = self.store(maxEvents=5, maxBytes=4, maxAge=1000)
        keeper = await self.keep(store)
        await keeper.fill(6)
        before = store.commits
        for _ in range(20):
            await keeper.append()
        await store.close()
        self.assertLess(store.commits - before, 23)

    async def test_longAge(self) -> None:
        """
        An age of thousands of years is accepted.
        """
        store = self.store(maxAge=1e12)
        keeper = await self.keep(store)
        await keeper.append()
        await deferLater(reactor, 0.05)  # type: ignore[arg-type]
        await keeper.append()
        await store.close()
        self.assertEqual(self.flushLogged(), [])
        self.assertEqual(store.errors, 0)

    async def test_agesOfOthers(self) -> None:
        """
        When an event of one channel is too old, the others are not written.
        """
        store = self.store(maxAge=10)
        one, two = await self.keep(store, "one"), await self.keep(store, "two")
        now = time.time()
        await two.append(two.record(now=now))
        await deferLater(reactor, 0.05)  # type: ignore[arg-type]
        self.edit("UPDATE channels SET last = 77 WHERE name = 'two'")
        await one.append(one.record(now=now - 9.8))

        async def isDropped() -> bool:
            return await one.read(None) == []

        await until(isDropped)
        self.assertEqual(self.edit("SELECT last FROM channels WHERE name = 'two'"), [(77,)])

    async def test_foreignDeletion(self) -> None:
        """
        If another program deletes events, the others are kept, as many as before.
        """
        keeper = await self.keep(self.store(maxEvents=10))
        await keeper.fill(10)
        self.edit("DELETE FROM events")
        for _ in range(15):
            await keeper.append()
        self.assertEqual(len(await keeper.read(None)), 10)

    async def test_givenID(self) -> None:
        """
        An ID of the application names the position before the oldest kept event, even if its own
        event is dropped.
        """
        store = self.store(maxEvents=2)
        keeper = await self.keep(store)
        for id in "ABCD":
            await keeper.append(keeper.record(id=id))
        self.assertEqual(await keeper.read("B"), ["3", "4"])
        with self.assertRaises(NotKept):
            await keeper.read("A")
        await store.close()
        keeper = await self.keep(store)
        self.assertEqual(await keeper.read("B"), ["3", "4"])


class TopicTests(SQLiteTestCase):
    """
    Tests for dropped events that were about other topics.
    """

    async def test_quietTopic(self) -> None:
        """
        An old position is valid for topics about which no event was dropped since, even across
        restarts, and for no others.
        """
        store = self.store(maxEvents=5)
        keeper = await self.keep(store)
        [start] = await keeper.append(keeper.record("start"))
        [quiet] = await keeper.append(keeper.record("quiet", "quiet", "both"))
        for n in range(20):
            await keeper.append(keeper.record(f"{n}", "loud"))
        for _ in range(2):
            self.assertEqual(await keeper.read(quiet, 2**16, "quiet"), [])
            self.assertEqual(await keeper.read(quiet, 2**16, "never"), [])
            for place, topic in (start, "quiet"), (start, "both"), (quiet, "loud"):
                with self.assertRaises(NotKept):
                    await keeper.read(place, 2**16, topic)
            with self.assertRaises(NotKept):
                await keeper.read(quiet)
            await store.close()
            keeper = await self.keep(store)
        await keeper.append(keeper.record("news", "quiet"))
        self.assertEqual(await keeper.read(quiet, 2**16, "quiet"), ["news"])
        with self.assertRaises(NotKept):
            await keeper.read(quiet, 2**16, "quiet", "loud")

    async def test_tooManyTopics(self) -> None:
        """
        If dropped events were about very many topics, only the newest are remembered, and no
        position counts as valid wrongly.
        """
        self.patch(trimming, "MOST_TOPICS", 20)
        self.patch(trimming, "SLICE", 5)
        keeper = await self.keep(self.store(maxEvents=5))
        ids = [
            (await keeper.append(keeper.record(None, f"topic {n}", "all")))[0] for n in range(100)
        ]
        [(dropped,)] = self.edit("SELECT count(*) FROM dropped")
        self.assertLess(dropped, 30)
        self.assertEqual(self.edit("SELECT markers FROM channels"), [(dropped,)])
        self.assertEqual(self.edit("SELECT count(*) FROM topics"), [(10,)])
        self.assertEqual(await keeper.read(ids[90], 2**16, "topic 3"), [])
        with self.assertRaises(NotKept):
            await keeper.read(ids[1], 2**16, "topic 3")
        with self.assertRaises(NotKept):
            await keeper.read(ids[10], 2**16, "topic 3")

    async def test_markersAreCounted(self) -> None:
        """
        However often topics are repeated, no more rows are kept about them than there are topics
        and events.
        """
        keeper = await self.keep(self.store(maxEvents=10))
        for _ in range(30):
            await keeper.append(*[keeper.record(None, "a", f"b{n}") for n in range(5)])
        self.assertEqual(self.edit("SELECT count(*) FROM topics"), [(20,)])
        self.assertEqual(self.edit("SELECT count(*) FROM dropped"), [(6,)])
        self.assertEqual(self.edit("SELECT markers FROM channels"), [(6,)])

    async def test_manyTopicsInASlice(self) -> None:
        """
        Events with thousands of topics are dropped a few at a time.
        """
        self.patch(trimming, "MOST_TOPICS", 100)
        store = self.store(maxEvents=None)
        keeper = await self.keep(store)
        topics = [f"topic {n}" for n in range(60)]
        await keeper.append(*[keeper.record(None, *topics) for _ in range(40)])
        await store.close()
        store = self.store(maxEvents=1)
        before = store.commits
        keeper = await self.keep(store)
        await store.close()
        keeper = await self.keep(store)

        async def isDropped() -> bool:
            return len(await keeper.read(None)) == 1

        await until(isDropped)
        self.assertGreater(store.commits - before, 15)
        self.assertEqual(self.edit("SELECT count(*) FROM topics"), [(60,)])
