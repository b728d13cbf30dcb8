"""
Tests for L{twisted_sse.store.sqlite}: failures.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import gatherResults
from twisted.internet.task import deferLater

from tests.support.stores import Keeper, SQLiteTestCase
from twisted_sse.store import NotKept, NotStored, SQLiteStore, StoreAway
from twisted_sse.store.sqlite import file, writer
from twisted_sse.store.sqlite.errors import isBusy, isCorrupt, isFull
from twisted_sse.store.sqlite.file import File


async def until(isSo: Callable[[], object], what: str) -> None:
    """
    Wait for a change made by a thread.
    """
    for _ in range(1000):
        if isSo():
            return
        await deferLater(reactor, 0.01)  # type: ignore[arg-type]
    raise AssertionError(what)


class FullDiskTests(SQLiteTestCase):
    """
    Tests for transactions that fail.  They limit the size of the file, which SQLite reports as a
    full disk.
    """

    def setUp(self) -> None:
        """
        Shorten the delay before a retry.
        """
        super().setUp()
        self.patch(writer, "PAUSE", 0.05)

    def fill(self, pages: int) -> None:
        """
        Set or remove the limit on the size of the file.
        """
        for connection in self.connections:
            connection.execute(f"PRAGMA max_page_count = {pages}")

    async def keepLimited(self, **options: Any) -> tuple[SQLiteStore, Keeper]:
        """
        Open a store whose connections are accessible.
        """
        self.connections: list[sqlite3.Connection] = []
        connect = file.connect

        def connected(path: str, patience: float) -> sqlite3.Connection:
            self.connections.append(connect(path, patience))
            return self.connections[-1]

        patch = self.patch(file, "connect", connected)
        store = self.store(**options)
        keeper = await self.keep(store)
        patch.restore()
        return store, keeper

    async def test_fullAndFree(self) -> None:
        """
        On a full disk storing fails, which is logged once; reading continues; when there is space
        again storing continues, which is logged, too; and no client passes the missing events
        without a notice.
        """
        store, keeper = await self.keepLimited()
        ids = await keeper.fill(5)
        self.fill(1)
        failed = keeper.record("x" * 100_000)
        for record in failed, keeper.record(), keeper.record():
            with self.assertRaises(NotStored) as caught:
                await keeper.append(record)
            self.assertFalse(caught.exception.maybe)
            self.assertIn("full", str(caught.exception))
        self.assertEqual(await keeper.read(ids[0]), ["2", "3", "4", "5"])
        with self.assertRaises(NotKept):
            await keeper.read(ids[4])
        self.assertIn("full", str(store.problem()))
        self.assertIn(self.path, str(store.problem()))
        self.assertEqual(len(self.flushLoggedOf("cannot be stored")), 1)
        self.assertGreater(store.errors, 0)
        self.fill(10**6)
        await until(lambda: store.problem() is None, "it is tried again")
        self.assertEqual(len(self.flushLoggedOf("are stored in")), 1)
        [new] = await keeper.append(keeper.record("new"))
        for place in ids[4], str(failed.event.id):
            with self.assertRaises(NotKept):
                await keeper.read(place)
        self.assertEqual(await keeper.read(ids[3]), ["5"])
        # The last of the failed events: a client that has it has missed nothing.
        self.assertEqual(await keeper.read(str(record.event.id)), ["new"])
        self.assertEqual(await keeper.read(None), ["new"])
        self.assertEqual(await keeper.read(new), [])
        await store.close()
        keeper = await self.keep(store)
        self.assertEqual(keeper.recent, ["1", "2", "3", "4", "5", "new"])
        for place in ids:
            with self.assertRaises(NotKept):
                await keeper.read(place)
        self.assertEqual(await keeper.read(new), [])

    def flushLoggedOf(self, words: str) -> list[str]:
        """
        @return: the log messages, which must all contain some words.
        """
        self.flushLoggedErrors()
        lines = self.flushLogged()
        for line in lines:
            self.assertIn(words, line)
        return lines

    async def test_allOrNothing(self) -> None:
        """
        If a transaction fails, nothing in it is stored, including events and keys of other
        channels.
        """
        store, one = await self.keepLimited()
        two = await self.keep(store, "two")
        self.fill(1)
        outcomes = [
            one.log.append([one.record("a")], "key"),
            two.log.append([two.record("x" * 100_000)]),
        ]
        for outcome in outcomes:
            with self.assertRaises(NotStored):
                await outcome
        self.fill(10**6)
        await until(lambda: store.problem() is None, "it is tried again")
        await one.append(one.record("a"), key="key")
        self.assertEqual((await one.read(None), await two.read(None)), (["a"], []))
        self.flushLoggedOf("")

    async def test_neverMended(self) -> None:
        """
        If the process ends before anything can be stored again, the next process knows that events
        are missing.
        """
        store, keeper = await self.keepLimited()
        ids = await keeper.fill(5)
        self.fill(1)
        with self.assertRaises(NotStored):
            await keeper.append(keeper.record("x" * 100_000))
        # SQLite's own way to report that nothing can be written.
        self.connections[0].execute("PRAGMA query_only = ON")
        await store.close()
        self.flushLoggedOf("cannot be stored")
        keeper = await self.keep(store)
        for place in ids:
            with self.assertRaises(NotKept):
                await keeper.read(place)
        self.assertEqual(await keeper.read(None), ["1", "2", "3", "4", "5"])
        self.flushLoggedOf("could not be stored")
        await keeper.append()
        [place] = await keeper.append()
        await store.close()
        keeper = await self.keep(store)
        self.assertEqual(await keeper.read(place), [])

    async def test_reopened(self) -> None:
        """
        If only one log is closed and opened again, it knows its missing events.
        """
        store, keeper = await self.keepLimited()
        other = await self.keep(store, "other")
        [kept] = await other.append()
        ids = await keeper.fill(5)
        self.fill(1)
        with self.assertRaises(NotStored):
            await keeper.append(keeper.record("x" * 100_000))
        await keeper.log.close()
        self.fill(10**6)
        keeper = await self.keep(store)
        self.assertEqual(keeper.recent, ["1", "2", "3", "4", "5"])
        for place in ids:
            with self.assertRaises(NotKept):
                await keeper.read(place)
        self.assertEqual(await other.read(kept), [])
        self.flushLoggedOf("")

    async def test_lockedByOther(self) -> None:
        """
        If another program locks the file for too long, that is treated like a full disk.
        """
        store, keeper = await self.keepLimited()
        self.connections[0].execute("PRAGMA busy_timeout = 10")
        other = sqlite3.connect(self.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with self.assertRaises(NotStored) as caught:
            await keeper.append()
        self.assertFalse(caught.exception.maybe)
        self.assertIn("locked", str(caught.exception))
        other.execute("COMMIT")
        other.close()
        await until(lambda: store.problem() is None, "it is tried again")
        await keeper.append()
        self.flushLoggedOf("")


class CorruptionTests(SQLiteTestCase):
    """
    Tests for corrupt files.
    """

    async def full(self, **options: Any) -> tuple[SQLiteStore, Keeper, list[str]]:
        """
        Open a store with some pages.
        """
        store = self.store(**options)
        keeper = await self.keep(store)
        ids = [(await keeper.append(keeper.record("x" * 1000)))[0] for _ in range(200)]
        return store, keeper, ids

    def spoil(self, begin: int, end: int | None = None) -> None:
        """
        Write garbage into a part of the file.
        """
        size = os.path.getsize(self.path)
        with open(self.path, "r+b") as where:
            where.seek(begin)
            where.write(b"\xa5" * ((size if end is None else end) - begin))

    def setAside(self) -> str:
        """
        @return: the name of the file that was set aside.
        """
        [name] = [each for each in self.beside() if ".corrupt-" in each]
        self.assertRegex(name, r"\Aevents\.db\.corrupt-\d{8}T\d{6}Z\Z")
        return name

    async def test_header(self) -> None:
        """
        If the file is not a database when it is opened, it is set aside under a name that is
        logged, and a new one begins.
        """
        store, _, ids = await self.full()
        await store.close()
        self.spoil(0, 200)
        with open(self.path, "rb") as broken:
            before = broken.read()
        keeper = await self.keep(store)
        self.assertEqual(keeper.recent, [])
        with self.assertRaises(NotKept):
            await keeper.read(ids[-1])
        aside = self.setAside()
        with open(os.path.join(self.folder, aside), "rb") as kept:
            self.assertEqual(kept.read(), before)
        [line] = self.flushLogged()
        self.assertIn(aside, line)
        self.assertIn(aside, str(store.problem()))
        self.assertEqual(store.resets, 1)
        await keeper.append()
        await store.close()
        self.assertEqual((await self.keep(store)).recent, ["1"])

    async def test_middleAtOpening(self) -> None:
        """
        If the newest or the oldest events are garbage on opening, the file is set aside.
        """
        store, _, _ = await self.full()
        await store.close()
        self.spoil(4096 * 4)
        keeper = await self.keep(store)
        self.assertEqual(keeper.recent, [])
        self.setAside()
        await keeper.append()

    async def test_middleWhileRunning(self) -> None:
        """
        If garbage is found while the store is in use, all channels are notified, old IDs become
        invalid, and new events are kept.
        """
        store, keeper, ids = await self.full()
        other = await self.keep(store, "other")
        old = keeper.log.prefix
        self.edit("PRAGMA wal_checkpoint")
        self.spoil(4096 * 12)
        waiting = keeper.record()
        with self.assertRaises((NotKept, StoreAway)):
            for _ in range(1000):
                await keeper.read(ids[50])
                await deferLater(reactor, 0.01)  # type: ignore[arg-type]
        await until(lambda: store.resets, "the file is set aside")
        self.assertEqual(keeper.told[-1], ("broken", keeper.log.origin))
        self.assertEqual(other.told[-1], ("broken", other.log.origin))
        self.assertNotEqual(keeper.log.prefix, old)
        with self.assertRaises(NotStored):
            await keeper.append(waiting)
        with self.assertRaises(NotKept):
            await keeper.read(ids[-1])
        keeper.restart()
        place = keeper.log.origin
        await keeper.append(keeper.record("new"))
        self.assertEqual(await keeper.read(place), ["new"])
        self.setAside()
        await store.close()
        self.assertEqual((await self.keep(store)).recent, ["new"])

    async def test_whileWriting(self) -> None:
        """
        If garbage is found while storing, the records being stored fail, and the next are kept.
        """
        store, keeper, _ = await self.full(maxEvents=200)
        self.edit("PRAGMA wal_checkpoint")
        self.spoil(4096 * 3)
        # Now no channel trusts its memory any more.
        self.edit("PRAGMA user_version = 1")
        failures = 0
        for _ in range(1000):
            if store.resets:
                break
            try:
                await keeper.append()
            except NotStored:
                failures += 1
        self.assertGreater(failures, 0)
        await until(lambda: keeper.told[-1][0] == "broken", "the channel is told")
        keeper.restart()
        await keeper.append(keeper.record("new"))
        self.assertEqual(await keeper.read(None), ["new"])
        self.setAside()

    async def test_noNewFile(self) -> None:
        """
        While no new file can be made the store is unavailable; afterwards everything continues.
        """
        self.patch(writer, "PAUSE", 0.05)
        store, keeper, _ = await self.full(maxEvents=200)
        self.edit("PRAGMA wal_checkpoint")
        self.spoil(4096 * 3)
        # Now no channel trusts its memory any more.
        self.edit("PRAGMA user_version = 1")

        def fail(self: File) -> None:
            raise sqlite3.OperationalError("database or disk is full")

        patch = self.patch(File, "begin", fail)
        with self.assertRaises(NotStored):
            for _ in range(1000):
                await keeper.append()
        await until(lambda: keeper.told[-1][0] == "away", "the channel is told")
        self.assertIn("full", keeper.told[-1][1])
        with self.assertRaises(StoreAway):
            await keeper.read(None)
        with self.assertRaises(StoreAway):
            await self.keep(store, "another")
        self.assertIn("full", str(store.problem()))
        patch.restore()
        await until(lambda: keeper.told[-1] == ("away", None), "there is a new file")
        self.assertEqual(keeper.told[-2:], [("broken", keeper.log.origin), ("away", None)])
        keeper.restart()
        await keeper.append(keeper.record("new"))
        self.assertEqual(await keeper.read(None), ["new"])
        self.flushLoggedErrors()

    async def test_deleted(self) -> None:
        """
        If the file is deleted or replaced while in use, that is noticed: a new one begins, all
        channels are notified, and the other file is kept.
        """
        store = self.store()
        keeper = await self.keep(store)
        [old] = await keeper.append()
        for isReplaced in False, True:
            if isReplaced:
                os.rename(self.path, self.path + ".mine")
                with open(self.path, "w") as other:
                    other.write("other")
            else:
                os.unlink(self.path)
            with self.assertRaises(NotStored):
                await keeper.append()
            self.assertEqual(keeper.told[-1], ("broken", keeper.log.origin))
            keeper.restart()
            [new] = await keeper.append()
            with self.assertRaises(NotKept):
                await keeper.read(old)
            self.assertEqual(await keeper.read(keeper.log.origin), ["1"])
            self.assertEqual(self.edit("SELECT count(*) FROM events"), [(1,)])
            old = new
        aside = [name for name in self.beside() if "corrupt" in name and name.endswith(("Z", "-2"))]
        with open(os.path.join(self.folder, *aside)) as kept:
            self.assertEqual(kept.read(), "other")
        self.assertEqual(store.resets, 2)
        self.assertIn("deleted", str(store.problem()))
        self.flushLoggedErrors()

    async def test_neverOverwritten(self) -> None:
        """
        Files that are set aside in the same second have different names.
        """
        self.patch(file.time, "strftime", lambda *arguments: "20300101T000000Z")
        store = self.store()
        for _ in range(3):
            await (await self.keep(store)).append()
            await store.close()
            self.spoil(0, 100)
        await self.keep(store)
        names = [name for name in self.beside() if ".corrupt-" in name]
        stem = "events.db.corrupt-20300101T000000Z"
        self.assertEqual(names, [stem, f"{stem}-2", f"{stem}-3"])

    async def test_tablesAreGone(self) -> None:
        """
        A file without one of its tables is broken.
        """
        store = self.store()
        await (await self.keep(store)).append()
        await store.close()
        self.edit("DROP TABLE runs")
        keeper = await self.keep(store)
        self.setAside()
        await keeper.append()

    async def test_rowsOfOthers(self) -> None:
        """
        A row that is not an event is dropped, which is logged; readers that would pass it are
        notified, and the rest is read.
        """
        for column, value in (
            ("id", "'a' || char(10)"),
            ("data", "x'ff'"),
            ("retry", "'soon'"),
            ("topics", "'['"),
            ("topics", "'5'"),
            ("time", "'now'"),
        ):
            self.path += "x"
            store = self.store()
            keeper = await self.keep(store)
            ids = await keeper.fill(5)
            self.edit(f"UPDATE events SET {column} = {value} WHERE position = 3")
            self.assertEqual(await keeper.read(ids[0]), ["2"])
            with self.assertRaises(NotKept):
                await keeper.read(ids[1])
            self.assertEqual(await keeper.read(None), ["4", "5"])
            self.assertEqual(await keeper.read(ids[2]), ["4", "5"])
            self.assertIn("not an event", self.flushLogged()[0])
            self.flushLoggedErrors()
            self.edit(f"UPDATE events SET {column} = {value} WHERE position = 4")
            await store.close()
            keeper = await self.keep(store)
            self.assertEqual(keeper.recent, ["5"])
            self.assertEqual(await keeper.read(ids[3]), ["5"])

    async def test_numbersOfOthers(self) -> None:
        """
        Sizes and times that are not numbers do not stop anything.
        """
        for options in {"maxBytes": 3}, {"maxAge": 100}, {"maxEvents": 3}:
            self.path += "x"
            store = self.store(**options)
            keeper = await self.keep(store)
            await keeper.fill(3)
            self.edit("UPDATE events SET size = 'big', time = 'now' WHERE position = 2")
            for _ in range(5):
                await keeper.append(keeper.record("x"))
            await store.close()
            keeper = await self.keep(store)
            self.assertEqual(keeper.recent[-2:], ["x", "x"])


class ThreadTests(SQLiteTestCase):
    """
    Tests for threads that fail in unexpected ways.
    """

    async def test_writerFails(self) -> None:
        """
        Whatever exception ends the writer's thread, the records being stored fail as possibly
        stored, and storing continues, with a log message.
        """
        insert = writer.insert
        for error in MemoryError(), SystemExit(), ZeroDivisionError():
            self.path += "x"
            store = self.store()
            keeper = await self.keep(store)
            ids = await keeper.fill(2)
            raised = error

            def fail(*arguments: Any, raised: BaseException = raised) -> None:
                writer.insert = insert
                raise raised

            self.patch(writer, "insert", fail)
            outcomes = [keeper.log.append([keeper.record()]) for _ in range(3)]
            failures = await gatherResults(
                [outcome.addErrback(lambda failure: failure.value) for outcome in outcomes]
            )
            self.assertIsInstance(failures[0], NotStored)
            self.assertTrue(failures[0].maybe)
            self.assertEqual(len(self.flushLoggedErrors(type(error))), 1)
            await keeper.append(keeper.record("new"))
            with self.assertRaises(NotKept):
                await keeper.read(ids[-1])
            self.assertEqual((await keeper.read(None))[-1], "new")
            self.assertGreater(store.errors, 0)
            await store.close()

    async def test_readerFails(self) -> None:
        """
        Whatever exception ends the reader's thread, the read can be repeated.
        """
        from twisted_sse.store.sqlite import reader

        keeper = await self.keep(self.store())
        await keeper.append()
        read = reader.read

        def fail(*arguments: Any) -> None:
            self.patch(reader, "read", read)
            raise SystemExit

        self.patch(reader, "read", fail)
        with self.assertRaises(StoreAway):
            await keeper.read(None)
        self.assertEqual(await keeper.read(None), ["1"])
        self.assertEqual(len(self.flushLoggedErrors(SystemExit)), 1)

    async def test_channelRaises(self) -> None:
        """
        An exception in a channel's handling of a result does not affect others.
        """
        keeper = await self.keep(self.store())
        first = keeper.log.append([keeper.record()])
        first.addCallback(lambda ids: 1 / 0)
        await keeper.append()
        self.assertFailure(first, ZeroDivisionError)

    async def test_cancelled(self) -> None:
        """
        A caller that cancels a result is not notified of it.
        """
        keeper = await self.keep(self.store())
        outcome = keeper.log.append([keeper.record()])
        question = keeper.log.read(None, 1)
        outcome.addErrback(lambda failure: None)
        question.addErrback(lambda failure: None)
        outcome.cancel()
        question.cancel()
        await keeper.append()
        self.assertEqual(await keeper.read(None), ["1", "2"])


class ErrorTests(SQLiteTestCase):
    """
    Tests for distinguishing errors.
    """

    def test_kinds(self) -> None:
        """
        Errors are distinguished by their codes, and before Python 3.11 by their texts.
        """
        corrupt = sqlite3.DatabaseError("database disk image is malformed")
        self.assertTrue(isCorrupt(corrupt))
        self.assertTrue(isCorrupt(sqlite3.DatabaseError("file is not a database")))
        self.assertTrue(isFull(sqlite3.OperationalError("database or disk is full")))
        self.assertTrue(isBusy(sqlite3.OperationalError("database is locked")))
        self.assertFalse(isCorrupt(sqlite3.OperationalError("disk I/O error")))
        self.assertFalse(isCorrupt(ValueError("file is not a database")))
        for code, kind in (267, isCorrupt), (26, isCorrupt), (13, isFull), (261, isBusy):
            error = sqlite3.DatabaseError("x")
            error.sqlite_errorcode = code
            self.assertTrue(kind(error))
