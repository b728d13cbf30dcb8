"""
Tests for L{twisted_sse.store.sqlite}: keeping records and finding positions.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
from collections.abc import Callable
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from twisted.internet import reactor
from twisted.internet.defer import gatherResults
from twisted.trial.unittest import SynchronousTestCase

from tests.support.stores import Keeper, SQLiteTestCase, contents
from twisted_sse import Channel, Event
from twisted_sse.store import (
    KeyReused,
    NotKept,
    NotStored,
    Record,
    SQLiteStore,
    StoreAway,
)
from twisted_sse.store.identifiers import numbered
from twisted_sse.store.sqlite import keys, reader, runs

#: The module of twistd that forks.
TWISTD = "twisted.scripts._twistd_unix"


class ArgumentTests(SynchronousTestCase):
    """
    Tests for the arguments of L{SQLiteStore}.
    """

    def test_invalid(self) -> None:
        """
        An argument out of range is refused with an error that names it.
        """
        for name, value in (
            ("maxEvents", 0),
            ("maxEvents", 1.5),
            ("maxBytes", 0),
            ("maxAge", 0),
            ("maxAge", float("inf")),
            ("synchronous", "off"),
            ("deliver", "later"),
            ("path", ""),
            ("path", ":memory:"),
            ("path", "a\0b"),
        ):
            options = {"path": "events.db", name: value}
            error = self.assertRaises(ValueError, SQLiteStore, **options)  # type: ignore[arg-type]
            self.assertIn(name, str(error))

    def test_bytesPath(self) -> None:
        """
        A path of bytes is refused.
        """
        self.assertRaises(TypeError, SQLiteStore, b"events.db")

    def test_pathIsAbsolute(self) -> None:
        """
        A relative path refers to the directory in which the store was made, even if the daemon
        changes its directory.
        """
        self.assertEqual(SQLiteStore("events.db").path, os.path.abspath("events.db"))

    def test_noInputOrOutput(self) -> None:
        """
        Making a store opens nothing, and starts no thread.
        """
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = os.path.join(folder.name, "events.db")
        before = threading.active_count()
        store = SQLiteStore(path)
        self.assertFalse(os.path.exists(path))
        self.assertEqual(threading.active_count(), before)
        self.assertEqual((store.size, store.problem()), (0, None))

    def test_imports(self) -> None:
        """
        C{sqlite3} is imported only with L{SQLiteStore}.
        """
        program = (
            "import sys, twisted_sse, twisted_sse.store, twisted_sse.channel;"
            "assert 'sqlite3' not in sys.modules;"
            "from twisted_sse.store import SQLiteStore;"
            "assert 'sqlite3' in sys.modules"
        )
        subprocess.run([sys.executable, "-c", program], check=True)


class OpeningTests(SQLiteTestCase):
    """
    Tests for opening and closing logs.
    """

    async def test_atOnce(self) -> None:
        """
        While the reactor runs, a log opens immediately, so that a channel can publish.
        """
        store = self.store()
        keeper = await self.keep(store)
        self.assertTrue(store.open("another", keeper, 1).called)
        self.assertEqual(keeper.told[0], ("received", []))
        self.assertFalse(keeper.log.makesIDs)
        self.assertEqual(await keeper.read(keeper.log.origin), [])

    async def test_attributes(self) -> None:
        """
        A log has the attributes that a channel needs.
        """
        keeper = await self.keep(self.store(maxAge=60, deliver="stored"))
        self.assertEqual((keeper.log.deliver, keeper.log.maxAge), ("stored", 60))  # type: ignore[attr-defined]

    async def test_recent(self) -> None:
        """
        The newest records are passed to the channel unchanged, and the position before them can be
        read from.
        """
        store = self.store()
        first = await self.keep(store)
        ids = await first.fill(25)
        await store.close()
        keeper = await self.keep(store, recent=10)
        self.assertEqual(keeper.recent, [str(n) for n in range(16, 26)])
        self.assertEqual([record.event.id for record in keeper.told[0][1]], ids[15:])
        self.assertEqual(keeper.log.origin, ids[14])
        self.assertEqual(await keeper.read(keeper.log.origin), keeper.recent)

    async def test_recentAll(self) -> None:
        """
        If all records are recent, the position before them is the beginning.
        """
        store = self.store()
        first = await self.keep(store)
        await first.fill(3)
        await store.close()
        keeper = await self.keep(store, recent=10)
        self.assertEqual(keeper.recent, ["1", "2", "3"])
        self.assertEqual(await keeper.read(keeper.log.origin), ["1", "2", "3"])

    async def test_recentNone(self) -> None:
        """
        If no records are requested, the position before them is the end of the log.
        """
        store = self.store()
        await (await self.keep(store)).fill(3)
        await store.close()
        keeper = await self.keep(store, recent=0)
        self.assertEqual((keeper.recent, await keeper.read(keeper.log.origin)), ([], []))
        await keeper.append()
        self.assertEqual(await keeper.read(keeper.log.origin), ["1"])

    async def test_everyField(self) -> None:
        """
        A record is read exactly as it was stored, whatever its content.
        """
        store = self.store()
        keeper = await self.keep(store)
        records = [
            keeper.record("a\nb\0c \N{GRINNING FACE}\u2028", event="type", retry=2**80),
            keeper.record(""),
            keeper.record(None, "a topic", "\N{GRINNING FACE}", "nul\0", "", private=True),
            Record(
                Event(id=numbered(keeper.log.prefix, 9), comment="one\ntwo", event=""),
                time=1234567890.1234567,
            ),
        ]
        keeper._number = 9
        records.append(keeper.record("given", id="an ID"))
        await keeper.append(*records)
        self.assertEqual(await keeper.log.read(None, 2**20), records)
        await store.close()
        again = await self.keep(store)
        self.assertEqual(again.told[0][1], records)

    async def test_manyChannels(self) -> None:
        """
        Channels in one file are independent, and closing one does not affect another.
        """
        store = self.store()
        one, two = await self.keep(store, "one"), await self.keep(store, "two")
        await gatherResults([one.log.append([one.record("a")]), two.log.append([two.record("b")])])
        await one.log.close()
        await two.append(two.record("c"))
        self.assertEqual(await two.read(None), ["b", "c"])
        with self.assertRaises(NotKept):
            await two.read(one.log.prefix + "11")
        self.assertEqual((await self.keep(store, "one")).recent, ["a"])

    async def test_sameNameTwice(self) -> None:
        """
        A channel that is open cannot be opened again, and continues.
        """
        store = self.store()
        keeper = await self.keep(store)
        with self.assertRaises(ValueError):
            await self.keep(store)
        await keeper.append()
        self.assertEqual(await keeper.read(None), ["1"])

    async def test_lastLogClosesFile(self) -> None:
        """
        Closing the last log leaves nothing: no thread, no descriptor, no lock, no trigger.
        """
        before = await self.leftOpen()
        store = self.store()
        one, two = await self.keep(store, "one"), await self.keep(store, "two")
        await one.append()
        await one.read(None)
        await one.log.close()
        self.assertIn("events.db-wal", self.beside())
        await two.log.close()
        self.assertEqual(self.beside(), ["events.db", "events.db-lock"])
        self.assertEqual(await self.leftOpen(), before)

    async def test_closeKeepsEverything(self) -> None:
        """
        Everything appended before the end is stored, and confirmed, before the store is closed.
        """
        store = self.store()
        keeper = await self.keep(store)
        outcomes = [keeper.log.append([keeper.record()]) for _ in range(500)]
        question = keeper.log.read(None, 1)
        await store.close()
        self.assertTrue(all(outcome.called for outcome in outcomes))
        self.assertTrue(question.called)
        self.assertEqual(len(await gatherResults(outcomes)), 500)
        self.assertLessEqual(len(await question), 1)
        self.assertEqual((await self.keep(store)).recent[-1], "500")

    async def test_openWhileClosing(self) -> None:
        """
        A log that is opened while the file is being closed is opened afterwards.
        """
        store = self.store()
        keeper = await self.keep(store)
        await keeper.append()
        closed = store.close()
        again = await self.keep(store)
        self.assertTrue(closed.called)
        self.assertEqual(again.recent, ["1"])

    async def test_afterClose(self) -> None:
        """
        Requests to a log after the store was closed fail, and do not hang.
        """
        store = self.store()
        keeper = await self.keep(store)
        await store.close()
        await store.close()
        with self.assertRaises(NotStored):
            await keeper.append()
        with self.assertRaises(StoreAway):
            await keeper.read(None)

    async def test_logAfterStore(self) -> None:
        """
        A log can be closed after its store, while that is being closed, and twice.
        """
        store = self.store()
        one, two = await self.keep(store, "one"), await self.keep(store, "two")
        closed = store.close()
        await one.log.close()
        await closed
        await two.log.close()
        await two.log.close()

    async def test_closedLog(self) -> None:
        """
        Requests to a log after it was closed fail, even if the file is open.
        """
        store = self.store()
        one, _ = await self.keep(store, "one"), await self.keep(store, "two")
        await one.log.close()
        with self.assertRaises(NotStored):
            await one.append()

    async def test_beforeTheReactor(self) -> None:
        """
        While the reactor is not running yet nothing is opened; and never if the store is closed
        before.
        """
        self.patch(reactor, "running", False)
        run: Any = reactor
        later: list[Callable[[], object]] = []
        self.patch(run, "callWhenRunning", later.append)
        store = self.store()
        keeper = Keeper()
        never = store.open("news", keeper, 1)
        await store.close()
        opened = store.open("news", keeper, 1)
        self.assertEqual(self.beside(), [])
        with self.assertRaises(StoreAway):
            await never
        for each in later:
            each()
        keeper.log = await opened
        self.assertEqual(await keeper.append(), [numbered(keeper.log.prefix, 1)])

    async def test_publishedBeforeTheReactor(self) -> None:
        """
        An event published before the reactor runs has its ID at once, except in twistd, which may
        fork before.
        """
        later: list[Callable[[], object]] = []
        self.patch(reactor, "callWhenRunning", later.append)
        for isTwistd in False, True:
            with patch.object(reactor, "running", False), patch.dict(sys.modules):
                sys.modules.pop(TWISTD, None)
                if isTwistd:
                    sys.modules[TWISTD] = sys
                store = self.store()
                channel = Channel(store=store, name="news")
                event = channel.publish("a")
            self.assertEqual(event.id is None, isTwistd)
            for each in later:
                each()
            await channel.publishAndWait("b")
            self.assertEqual(len(channel.history), 2 + 2 * isTwistd)
            channel.close()
            await store.close()

    async def test_noLimit(self) -> None:
        """
        Any number of recent records may be asked for, even more than SQLite can count.
        """
        store = self.store()
        await (await self.keep(store)).fill(3)
        await store.close()
        keeper = Keeper()
        keeper.log = await self.store().open("news", keeper, sys.maxsize)
        self.assertEqual(keeper.recent, ["1", "2", "3"])

    async def test_tailRaises(self) -> None:
        """
        If a channel fails to accept the records, its log is not open.
        """
        store = self.store()
        await (await self.keep(store)).append()
        await store.close()

        class Bad:
            def received(self, records: object, /) -> None:
                raise ZeroDivisionError

        with self.assertRaises(ZeroDivisionError):
            await store.open("news", Bad(), 1)  # type: ignore[arg-type]
        await store.close()
        await self.keep(store)

    async def test_symbolicLink(self) -> None:
        """
        A symbolic link and what it points to are one store.
        """
        link = os.path.join(self.folder, "link.db")
        os.symlink("events.db", link)
        keeper = await self.keep(self.store())
        await keeper.append()
        with self.assertRaises(OSError) as caught:
            await SQLiteStore(link).open("news", keeper, 1)
        self.assertIn(f"in use by this process ({os.getpid()})", str(caught.exception))

    async def test_backup(self) -> None:
        """
        A copy made by C{VACUUM INTO} is a store, in which IDs made later are invalid.
        """
        store = self.store()
        keeper = await self.keep(store)
        ids = await keeper.fill(3)
        self.edit(f"VACUUM INTO '{self.path}.copy'")
        later = await keeper.append()
        await store.close()
        os.rename(f"{self.path}.copy", self.path)
        again = await self.keep(store)
        for place in *ids, later[0]:
            with self.assertRaises(NotKept):
                await again.read(place)
        self.assertEqual(await again.read(None), ["1", "2", "3"])
        self.assertEqual(again.recent, ["1", "2", "3"])
        [warning] = self.flushLogged()
        self.assertIn("Events may be missing", warning)


class PlaceTests(SQLiteTestCase):
    """
    Tests for reading after a position.
    """

    async def test_pieces(self) -> None:
        """
        Reading in pieces of any size returns every record once and in order, and at least one at a
        time.
        """
        keeper = await self.keep(self.store())
        ids = await keeper.append(*[keeper.record("x" * (n % 50)) for n in range(200)])
        for size in 1, 100, 1000, 2**20:
            place, found = keeper.log.origin, []
            while records := await keeper.log.read(place, size):
                place = str(records[-1].event.id)
                found += [record.event.id for record in records]
                if len(records) > 1:
                    self.assertLessEqual(sum(len(str(each)) for each in contents(records)), size)
            self.assertEqual(found, ids)

    async def test_everyPlace(self) -> None:
        """
        The rest follows after each ID; nothing follows the last one.
        """
        keeper = await self.keep(self.store())
        ids = await keeper.fill(20)
        for n, place in enumerate(ids, 1):
            self.assertEqual(await keeper.read(place), [str(each) for each in range(n + 1, 21)])

    async def test_unknown(self) -> None:
        """
        Any text from a client that is not a position raises L{NotKept}.
        """
        keeper = await self.keep(self.store())
        ids = await keeper.fill(20)
        prefix = keeper.log.prefix
        for place in (
            "",
            "1",
            "\0",
            "\ud800",
            "x" * 100_000,
            prefix,
            prefix + "215",
            prefix + "2ff",
            prefix + "8ffffffff",
            prefix + "-1",
            ids[4].upper(),
            ids[4] + " ",
            "0" + ids[4][1:],
        ):
            if place == ids[4]:
                continue
            with self.assertRaises(NotKept, msg=repr(place)):
                await keeper.read(place)

    async def test_onItsWay(self) -> None:
        """
        A position that is being stored is found once it is stored.
        """
        keeper = await self.keep(self.store())
        for _ in range(50):
            record = keeper.record()
            outcome = keeper.log.append([record])
            self.assertEqual(await keeper.read(str(record.event.id)), [])
            await outcome

    async def test_overRuns(self) -> None:
        """
        An ID is valid in all later runs, and no two records have the same.
        """
        store = self.store()
        ids: list[str] = []
        for run in range(20):
            keeper = await self.keep(store)
            ids += await keeper.fill(run % 4)
            await store.close()
        keeper = await self.keep(store)
        self.assertEqual(len(set(ids)), len(ids))
        for n, place in enumerate(ids, 1):
            records = await keeper.log.read(place, 2**16)
            self.assertEqual([record.event.id for record in records], ids[n:])

    async def test_made(self) -> None:
        """
        A log recognises the IDs that were made in it, in all runs, whether or not they are kept.
        """
        store = self.store(maxEvents=1)
        ids: list[str] = []
        for _ in range(3):
            keeper = await self.keep(store)
            ids += await keeper.fill(2)
            await store.close()
        keeper = await self.keep(store)
        log: Any = keeper.log
        next_ = numbered(log.prefix, 100)
        self.assertEqual([log.makes(each) for each in (*ids, next_)], [True] * 7)
        other: Any = (await self.keep(store, "other")).log
        self.assertEqual([other.makes(each) for each in (*ids, "", "urn:x")], [False] * 8)

    async def test_placesOfEmptyRuns(self) -> None:
        """
        The position at which a run began is valid, even if nothing was published in it.
        """
        store = self.store()
        places = []
        for run in range(5):
            keeper = await self.keep(store, recent=0)
            places.append(keeper.log.origin)
            if run == 2:
                await keeper.append(keeper.record("one"))
            await store.close()
        keeper = await self.keep(store)
        self.assertEqual(
            [await keeper.read(place) for place in places],
            [["one"], ["one"], ["one"], [], []],
        )

    async def test_manyRuns(self) -> None:
        """
        Thousands of runs with few records are remembered while they have records, and more only up
        to a limit.
        """
        self.patch(runs, "RUNS", 20)
        store = self.store(maxEvents=5)
        ids: list[str] = []
        places = []
        for run in range(100):
            keeper = await self.keep(store, recent=0)
            places.append(keeper.log.origin)
            if run % 10 == 0:
                ids += await keeper.append()
            await store.close()
        self.assertLess(self.edit("SELECT count(*) FROM runs")[0][0], 35)
        keeper = await self.keep(store)
        for n, place in enumerate(ids[-5:], 1):
            records = await keeper.log.read(place, 2**16)
            self.assertEqual([record.event.id for record in records], ids[-5:][n:])
        with self.assertRaises(NotKept):
            await keeper.read(places[3])
        self.assertEqual(await keeper.read(places[-1]), [])

    async def test_skippedNumbers(self) -> None:
        """
        Unused numbers are positions, too.
        """
        keeper = await self.keep(self.store())
        one, _, two, three = (keeper.record() for _ in range(4))
        ids = await keeper.append(one, two)
        ids += await keeper.append(three)
        self.assertEqual(await keeper.read(numbered(keeper.log.prefix, 2)), ["3", "4"])
        self.assertEqual(await keeper.read(ids[0]), ["3", "4"])

    async def test_wrongNumbers(self) -> None:
        """
        Records whose IDs do not increase, or have another prefix, are refused, and later records do
        not continue the earlier ones.
        """
        keeper = await self.keep(self.store())
        one, two, three = (keeper.record() for _ in range(3))
        ids = await keeper.append(two)
        for records in [one], [two], [three, three], [Record(Event("x", id="7"))]:
            with self.assertRaises(NotStored) as caught:
                await keeper.append(*records)
            self.assertFalse(caught.exception.maybe)
        await keeper.append()
        self.assertEqual(self.edit("SELECT count(*) FROM events"), [(2,)])
        with self.assertRaises(NotKept):
            await keeper.read(ids[0])

    async def test_given(self) -> None:
        """
        An ID set by the application is the position after its latest record, and each such record
        has its own position.
        """
        store = self.store()
        keeper = await self.keep(store)
        records = [keeper.record(data, id=id) for data, id in zip("abcde", "XYXZY", strict=True)]
        self.assertEqual(await keeper.append(*records), ["X", "Y", "X", "Z", "Y"])
        for _ in range(2):
            self.assertEqual(await keeper.read("X"), ["d", "e"])
            self.assertEqual(await keeper.read("Z"), ["e"])
            self.assertEqual(await keeper.read("Y"), [])
            kept = await keeper.log.read(None, 2**16)
            self.assertEqual(kept, records)
            self.assertEqual(await keeper.read(kept[0].place), ["b", "c", "d", "e"])
            await store.close()
            keeper = await self.keep(store)

    async def test_randomly(self) -> None:
        """
        For any records, runs, limits and positions, a read returns the following records, or
        L{NotKept}.
        """
        for seed in range(8):
            await self._randomly(random.Random(seed))

    async def _randomly(self, choice: random.Random) -> None:
        self.path += "x"
        limit = choice.choice([5, 30, 1000])
        topics = ["a", "b", "c"]
        store = self.store(maxEvents=limit)
        keeper = await self.keep(store)
        kept: list[tuple[str, tuple[str, ...], str]] = []
        for _ in range(choice.randrange(5, 40)):
            if choice.random() < 0.2:
                await store.close()
                keeper = await self.keep(store)
            records = [
                keeper.record(f"{choice.random()}", *choice.sample(topics, choice.randrange(3)))
                for _ in range(choice.randrange(1, 8))
            ]
            ids = await keeper.append(*records)
            kept += [
                (id, record.topics, str(record.event.data))
                for id, record in zip(ids, records, strict=True)
            ]
        for index, (place, _, _) in enumerate(kept):
            for wanted in None, frozenset("a"), frozenset("bc"), frozenset("z"):
                rest = [
                    (position, data)
                    for position, (_, about, data) in enumerate(kept)
                    if position > index and (wanted is None or wanted & {*about})
                ]
                lost = any(position < len(kept) - limit for position, _ in rest)
                try:
                    found = contents(await keeper.log.read(place, 2**16, wanted))
                except NotKept:
                    self.assertTrue(lost, (index, wanted))
                else:
                    self.assertFalse(lost, (index, wanted))
                    self.assertEqual(found, [data for _, data in rest])


class TopicTests(SQLiteTestCase):
    """
    Tests for reading records about some topics.
    """

    async def test_chosen(self) -> None:
        """
        Only records about one of the topics are read, each once, in order and in pieces.
        """
        keeper = await self.keep(self.store())
        await keeper.append(
            *[
                keeper.record(f"{n}", *[t for t in "abc" if n % (ord(t) - 95) == 0])
                for n in range(60)
            ]
        )
        wanted = [f"{n}" for n in range(60) if n % 2 == 0 or n % 3 == 0]
        self.assertEqual(await keeper.read(None, 2**16, "a", "b"), wanted)
        self.assertEqual(await keeper.read(None, 1, "b"), ["0"])
        self.assertEqual(await keeper.read(None, 2**16, "d", "\ud800"), [])

    async def test_strangeTopics(self) -> None:
        """
        A topic that is not text is refused together with its record, without affecting others.
        """
        keeper = await self.keep(self.store())
        good, bad, better = keeper.record(), keeper.record(None, "\ud800"), keeper.record()
        outcomes = [keeper.log.append([record]) for record in (good, bad, better)]
        await outcomes[0]
        with self.assertRaises(NotStored):
            await outcomes[1]
        await outcomes[2]
        with self.assertRaises(NotKept):
            await keeper.read(str(good.event.id))

    async def test_manyTopics(self) -> None:
        """
        A reader may request thousands of topics.
        """
        keeper = await self.keep(self.store())
        await keeper.append(*[keeper.record(f"{n}", f"topic {n}") for n in range(2000)])
        many = [f"topic {n}" for n in range(0, 2000, 2)]
        self.assertEqual(await keeper.read(None, 2**20, *many), [f"{n}" for n in range(0, 2000, 2)])

    async def test_manyTopicsInTurn(self) -> None:
        """
        Many topics with many records each are read in order, without examining more than needed.
        """
        self.patch(reader, "LOOKS", 5)
        keeper = await self.keep(self.store())
        names = [f"topic {n}" for n in range(10)]
        for n in range(200):
            await keeper.append(keeper.record(str(n), names[n % 10], names[n % 7]))
        place, found = keeper.log.origin, []
        while records := await keeper.log.read(place, 2**16, frozenset(names[:6])):
            self.assertLessEqual(len(records), 5)
            place = str(records[-1].event.id)
            found += contents(records)
        self.assertEqual(found, [str(n) for n in range(200) if n % 10 < 6 or n % 7 < 6])


class KeyTests(SQLiteTestCase):
    """
    Tests for idempotency keys.
    """

    async def test_again(self) -> None:
        """
        Records appended with the same key are stored once, and have the IDs from the first time,
        even after a restart, and in the same transaction.
        """
        store = self.store()
        keeper = await self.keep(store)
        outcomes = [
            keeper.log.append([keeper.record("a"), keeper.record("b", id="X")], "key")
            for _ in range(3)
        ]
        first = await outcomes[0]
        self.assertEqual([list(await each) for each in outcomes[1:]], [first, first])
        await store.close()
        keeper = await self.keep(store)
        again = await keeper.append(keeper.record("a"), keeper.record("b", id="X"), key="key")
        self.assertEqual(again, first)
        self.assertEqual(await keeper.read(None), ["a", "b"])

    async def test_otherContent(self) -> None:
        """
        The same key with other content is refused, and leaves no hole.
        """
        keeper = await self.keep(self.store())
        ids = await keeper.append(keeper.record("a"), key="key")
        for record in keeper.record("b"), keeper.record("a", "topic"), keeper.record("a", id="X"):
            with self.assertRaises(KeyReused):
                await keeper.append(record, key="key")
        await keeper.append(keeper.record("c"))
        self.assertEqual(await keeper.read(ids[0]), ["c"])

    async def test_channelsDiffer(self) -> None:
        """
        Each channel has its own keys.
        """
        store = self.store()
        one, two = await self.keep(store, "one"), await self.keep(store, "two")
        await one.append(one.record("a"), key="key")
        await two.append(two.record("b"), key="key")
        self.assertEqual(await two.read(None), ["b"])

    async def test_forgotten(self) -> None:
        """
        After an hour, or when there are too many newer ones, a key is forgotten.
        """
        self.patch(keys, "MOST", 5)
        keeper = await self.keep(self.store())
        for n in range(8):
            await keeper.append(keeper.record("a"), key=f"{n}")
        self.assertEqual(
            [key for (key,) in self.edit("SELECT key FROM keys ORDER BY key")], list("34567")
        )
        await keeper.append(keeper.record("a"), key="3")
        await keeper.append(keeper.record("b"), key="0")
        self.assertEqual(len(await keeper.read(None)), 9)
        self.edit("UPDATE keys SET time = time - 3601")
        await keeper.append(keeper.record("c"), key="7")
        self.assertEqual([key for (key,) in self.edit("SELECT key FROM keys")], ["7"])

    async def test_clockSetBack(self) -> None:
        """
        If the clock is set back by a year, the oldest keys are still the ones that are forgotten.
        """
        self.patch(keys, "MOST", 5)
        keeper = await self.keep(self.store())
        for n in range(5):
            await keeper.append(keeper.record("a"), key=f"{n}")
        self.edit("UPDATE keys SET time = time + 31536000")
        for n in range(5, 8):
            await keeper.append(keeper.record("a"), key=f"{n}")
        self.assertEqual(
            [key for (key,) in self.edit("SELECT key FROM keys ORDER BY key")], list("34567")
        )

    async def test_noText(self) -> None:
        """
        A key that is not text is refused.
        """
        keeper = await self.keep(self.store())
        with self.assertRaises(NotStored):
            await keeper.append(key="\ud800")


class MetricTests(SQLiteTestCase):
    """
    Tests for the metrics of a store.
    """

    async def test_counts(self) -> None:
        """
        Commits, bytes, waiting records, and the size are counted.
        """
        store = self.store()
        keeper = await self.keep(store)
        commits = store.commits
        outcomes = [keeper.log.append([keeper.record("x" * 100)]) for _ in range(50)]
        self.assertEqual(store.waiting, 50)
        await gatherResults(outcomes)
        self.assertEqual((store.waiting, store.bytesWritten), (0, 5000))
        self.assertTrue(commits < store.commits <= commits + 50)
        self.assertGreater(store.size, 5000)
        self.assertEqual((store.errors, store.resets, store.problem()), (0, 0, None))
        await store.close()
        self.assertEqual(store.bytesWritten, 5000)
        self.assertEqual(repr(store), f"<SQLiteStore {self.path}>")
