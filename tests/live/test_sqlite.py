"""
Tests for L{twisted_sse.store.sqlite} with killed processes, full disks, and many events.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

from twisted.internet import reactor
from twisted.internet.defer import ensureDeferred, gatherResults
from twisted.internet.task import deferLater

from tests.support.requirements import ROOT, needs
from tests.support.stores import SQLiteTestCase, contents
from twisted_sse.store import NotKept, NotStored
from twisted_sse.store.sqlite import writer

#: The number of times the writer is killed.
KILLS = int(os.environ.get("SSE_KILLS", "30"))


@needs("network")
class KillTests(SQLiteTestCase):
    """
    Tests for processes that die.
    """

    timeout = 300

    def write(self, first: int, *more: str) -> subprocess.Popen[str]:
        """
        Start a process that stores events.
        """
        command = [sys.executable, "-m", "tests.support.store_writer", self.path, str(first), *more]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)

    async def test_killed(self) -> None:
        """
        Whenever the process is killed, all events that it reported as stored are there, in order
        and once, the file is intact, no ID is used twice, and clients can resume exactly from each
        ID of any run.
        """
        choice = random.Random(14)
        stored: dict[int, str] = {}
        prefixes = set()
        for _ in range(KILLS):
            with self.write(max(stored, default=0) + 1) as process:
                assert process.stdout is not None
                prefixes.add(process.stdout.readline())
                lines = [process.stdout.readline() for _ in range(choice.randrange(1, 500))]
                time.sleep(choice.random() / 100)
                process.kill()
                lines += process.stdout.read().splitlines(keepends=True)
            # Its last line may be cut.
            for line in lines:
                if line.endswith("\n"):
                    data, id = line.split()
                    stored[int(data)] = id
            self.assertEqual(self.edit("PRAGMA quick_check"), [("ok",)])
        self.assertEqual(len(prefixes), KILLS)
        keeper = await self.keep(self.store(maxEvents=None))
        records = await keeper.log.read(None, 2**30)
        ids = [str(record.event.id) for record in records]
        self.assertEqual(len(set(ids)), len(ids))
        found = {int(record.event.data or 0): id for record, id in zip(records, ids, strict=True)}
        self.assertEqual({data: found.get(data) for data in stored}, stored)
        for index in choice.sample(range(len(ids)), 200):
            follows = await keeper.log.read(ids[index], 1000)
            self.assertEqual(follows, records[index + 1 : index + 1 + len(follows)])
        # Each run counts up, and begins after the last report of the previous one.
        data = [int(each or 0) for each in contents(records)]
        again = sum(after != before + 1 for before, after in pairwise(data))
        self.assertLess(again, KILLS)
        self.assertEqual(self.flushLogged(), [])

    async def test_reactorEnds(self) -> None:
        """
        Events appended before the reactor ends are stored and reported, even if the store was not
        closed, and the file is closed.
        """
        with self.write(1, "1000") as process:
            output, _ = process.communicate()
        self.assertEqual(process.returncode, 0)
        self.assertEqual(len(output.splitlines()), 1001)
        self.assertEqual(self.beside(), ["events.db", "events.db-lock"])
        keeper = await self.keep(self.store())
        self.assertEqual(len(await keeper.log.read(None, 2**20)), 1000)


@contextmanager
def _mounted(path: str, options: str) -> Iterator[None]:
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", path], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", path], check=True)


@needs("root")
class DiskTests(SQLiteTestCase):
    """
    Tests for disks, simulated in memory.
    """

    async def test_fullAndFree(self) -> None:
        """
        A full disk loses only the events published meanwhile, which is reported.
        """
        self.patch(writer, "PAUSE", 0.05)
        with _mounted(self.folder, "size=2m"):
            store = self.store()
            keeper = await self.keep(store)
            stored = []
            with self.assertRaises(NotStored) as caught:
                for _ in range(100):
                    stored += await keeper.append(keeper.record("x" * 50_000))
            self.assertFalse(caught.exception.maybe)
            self.assertGreater(len(stored), 10)
            for _ in range(3):
                with self.assertRaises(NotStored):
                    await keeper.append(keeper.record("x" * 50_000))
            self.assertIn("full", str(store.problem()))
            self.assertEqual(len(await keeper.log.read(None, 2**22)), 0)
            self.assertEqual(len(await keeper.log.read(stored[0], 2**22)), len(stored) - 1)
            self.assertEqual(len(self.flushLogged()), 1)
            self.flushLoggedErrors()
            subprocess.run(["mount", "-o", "remount,size=8m", self.folder], check=True)
            while store.problem() is not None:
                await deferLater(reactor, 0.02)  # type: ignore[arg-type]
            [new] = await keeper.append(keeper.record("new"))
            with self.assertRaises(NotKept):
                await keeper.read(stored[-1])
            self.assertEqual(await keeper.read(new), [])
            self.assertIn("again", self.flushLogged()[0])
            await store.close()
            keeper = await self.keep(store, recent=1000)
            self.assertEqual(len(keeper.recent), len(stored) + 1)
            self.assertEqual(await keeper.read(new), [])
            await store.close()

    async def test_readOnly(self) -> None:
        """
        A disk that cannot be written is refused with a clear message, and works once it can.
        """
        with _mounted(self.folder, "size=2m"):
            subprocess.run(["mount", "-o", "remount,ro", self.folder], check=True)
            store = self.store()
            with self.assertRaises(OSError) as caught:
                await self.keep(store)
            self.assertIn("cannot be written", str(caught.exception))
            self.assertIn(self.path, str(caught.exception))
            subprocess.run(["mount", "-o", "remount,rw", self.folder], check=True)
            await self.keep(store)
            await store.close()


@needs("network")
class ManyTests(SQLiteTestCase):
    """
    Tests with many events.
    """

    timeout = 180

    async def test_opensQuickly(self) -> None:
        """
        A store with a million events opens almost as fast as an empty one: in less than a quarter
        of a second.
        """
        store = self.store(maxEvents=None)
        keeper = await self.keep(store)
        for _ in range(100):
            await keeper.append(*[keeper.record("x" * 100, now=1.0) for _ in range(10_000)])
        await store.close()
        took = []
        for _ in range(5):
            begun = time.perf_counter()
            keeper = await self.keep(store, recent=1000)
            took.append(time.perf_counter() - begun)
            await store.close()
        self.assertEqual(len(keeper.recent), 1000)
        self.assertLess(min(took), 0.25)

    async def test_readingWhileWriting(self) -> None:
        """
        Readers that begin while 40,000 events are stored and old ones dropped get each event once
        and in order, or a notice.
        """
        store = self.store(maxEvents=20_000)
        keeper = await self.keep(store)
        end = 40_000

        async def write() -> int:
            for _ in range(end // 100):
                await keeper.append(*[keeper.record() for _ in range(100)])
            return 0

        async def read() -> int:
            place: str | None = None
            last, losses = 0, 0
            while last < end:
                try:
                    records = await keeper.log.read(place, 2**16)
                except NotKept:
                    losses += 1
                    place = None
                    continue
                numbers = [int(data or 0) for data in contents(records)]
                if numbers and place is not None:
                    self.assertEqual(numbers[0], last + 1)
                if numbers:
                    self.assertEqual(numbers, list(range(numbers[0], numbers[-1] + 1)))
                    last, place = numbers[-1], records[-1].event.id
                await deferLater(reactor, 0.001)  # type: ignore[arg-type]
            return losses

        await gatherResults(
            [ensureDeferred(each) for each in (*(read() for _ in range(5)), write())],
            consumeErrors=True,
        )
        self.assertEqual(store.errors, 0)

    async def test_trimmingUnderReading(self) -> None:
        """
        A reader that is overtaken by the trimming gets a notice, and never events with a gap.
        """
        store = self.store(maxEvents=1000)
        keeper = await self.keep(store)
        ids = await keeper.fill(1000)
        place = ids[0]
        await keeper.fill(900)
        with self.assertRaises(NotKept):
            await keeper.read(place)
        records = await keeper.log.read(ids[900], 1)
        self.assertEqual(contents(records), ["902"])
