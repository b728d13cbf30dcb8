"""
Tests for L{twisted_sse.store.sqlite}: closing logs and stores while they are busy, and traces left
by a process.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from tests.support.stores import Keeper, SQLiteTestCase, contents
from twisted_sse.store import NotStored, Record, StoreAway
from twisted_sse.store.sqlite import lock, reader, worker
from twisted_sse.store.sqlite.file import File


class BusyTests(SQLiteTestCase):
    """
    Tests for closing during reads and writes.
    """

    def slowly(self) -> None:
        """
        Make each read take a moment.
        """
        read = reader.read

        def slow(*arguments: Any) -> list[Record]:
            threading.Event().wait(0.1)
            return read(*arguments)

        self.patch(reader, "read", slow)

    async def test_readsAreAnswered(self) -> None:
        """
        Requests made before a log or store is closed have been answered when it is, even if reading
        takes longer than storing.
        """
        self.slowly()
        store = self.store()
        one, two = await self.keep(store, "one"), await self.keep(store, "two")
        await one.fill(3)
        reads = [one.log.read(None, 2**16) for _ in range(3)]
        await one.log.close()
        self.assertEqual(
            [contents(await each) for each in self.fired(reads)], [["1", "2", "3"]] * 3
        )
        reads = [two.log.read(None, 2**16) for _ in range(3)]
        await store.close()
        self.assertEqual([contents(await each) for each in self.fired(reads)], [[]] * 3)

    def fired(self, reads: Sequence[Deferred[Any]]) -> Sequence[Deferred[Any]]:
        """
        Assert that some L{Deferred}s have fired.
        """
        self.assertEqual([each.called for each in reads], [True] * len(reads))
        return reads

    async def test_reactorIsFree(self) -> None:
        """
        The reactor does not wait for a reader when the store is closed.
        """
        self.slowly()
        store = self.store()
        keeper = await self.keep(store)
        reads = [keeper.log.read(None, 2**16) for _ in range(3)]
        closed = store.close()
        turns = 0
        while not closed.called:
            turns += 1
            await deferLater(reactor, 0.01)  # type: ignore[arg-type]
        self.fired(reads)
        self.assertGreater(turns, 10)

    async def test_closedAtOnce(self) -> None:
        """
        Requests to a log after C{close} was called fail, even if it is not closed yet; and closing
        it again waits for the same end.
        """
        self.slowly()
        store = self.store()
        keeper, _ = await self.keep(store, "one"), await self.keep(store, "two")
        read = keeper.log.read(None, 2**16)
        first, second = keeper.log.close(), keeper.log.close()
        self.assertEqual((first.called, second.called), (False, False))
        with self.assertRaises(NotStored):
            await keeper.append()
        with self.assertRaises(StoreAway):
            await keeper.read(None)
        await second
        self.fired([read, first])
        self.assertEqual((await self.keep(store, "one")).recent, [])

    async def test_closedByStore(self) -> None:
        """
        Requests to the logs of a store that is being closed fail, too.
        """
        self.slowly()
        store = self.store()
        keeper = await self.keep(store)
        read = keeper.log.read(None, 2**16)
        closed = store.close()
        with self.assertRaises(NotStored):
            await keeper.append()
        await keeper.log.close()
        self.fired([read])
        await closed

    async def test_closeWhileOpening(self) -> None:
        """
        A log that waits to be opened when the store is closed again is not opened.
        """
        store = self.store()
        await self.keep(store)
        store.close()
        opened = store.open("news", Keeper(), 1)
        await store.close()
        with self.assertRaises(StoreAway):
            await opened
        self.assertEqual(self.beside(), ["events.db", "events.db-lock"])


class LeftTests(SQLiteTestCase):
    """
    Tests for traces left behind.
    """

    async def test_noThread(self) -> None:
        """
        If no thread can be started, the file is closed again.
        """
        before = await self.leftOpen()
        starts = 0

        class Thread(threading.Thread):
            def start(self) -> None:
                nonlocal starts
                starts += 1
                if starts == 2:
                    raise RuntimeError("can't start new thread")
                super().start()

        self.patch(worker, "Thread", Thread)
        store = self.store()
        with self.assertRaises(RuntimeError):
            await self.keep(store)
        await deferLater(reactor, 0.01)  # type: ignore[arg-type]
        self.assertEqual(await self.leftOpen(), before)
        await (await self.keep(store)).fill(3)
        await store.close()

    async def test_releaseFails(self) -> None:
        """
        A lock that cannot be written is still released.
        """
        file = File(self.path, False)
        written = os.pwrite

        def fail(*arguments: Any) -> int:
            raise OSError("no space")

        self.patch(lock.os, "pwrite", fail)
        file.close(True)
        self.patch(lock.os, "pwrite", written)
        await self.keep(self.store())

    async def test_forked(self) -> None:
        """
        A child process made by C{fork} does not hold the lock after its parent has died.
        """
        program = (
            "import os, sys, time; from twisted_sse.store.sqlite.file import File;"
            "it = File(sys.argv[1], False);"
            "os.fork() or (print(os.getpid(), flush=True), time.sleep(60));"
            "sys.stdin.read(); os._exit(0)"
        )
        with subprocess.Popen(
            [sys.executable, "-c", program, self.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as process:
            assert process.stdout is not None and process.stdin is not None
            child = int(process.stdout.readline())
            try:
                with self.assertRaises(OSError):
                    await self.keep(self.store())
                process.kill()
                process.wait()
                await self.keep(self.store())
            finally:
                os.kill(child, 9)
