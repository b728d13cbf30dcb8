"""
Tests for L{twisted_sse.store.sqlite}: which files can be opened, and detecting their losses.
"""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
import subprocess
import sys
from typing import Any

from tests.support.stores import Keeper, SQLiteTestCase
from twisted_sse.store import NotKept, SQLiteStore, StoreAway
from twisted_sse.store.sqlite import NotAStore, StoreLocked, file


class OpeningTests(SQLiteTestCase):
    """
    Tests for files that cannot be opened.
    """

    async def refused(self, error: type[Exception], *words: str) -> None:
        """
        Assert that the store cannot be opened, and leaves nothing open.
        """
        before = await self.leftOpen()
        with self.assertRaises(error) as caught:
            await SQLiteStore(self.path).open("news", Keeper(), 1)
        for word in words:
            self.assertIn(word, str(caught.exception))
        self.assertEqual(await self.leftOpen(), before)

    async def test_secondStore(self) -> None:
        """
        A second store of the same process is refused, and the first continues.
        """
        keeper = await self.keep(self.store())
        await self.refused(StoreLocked, "in use by this process", self.path)
        await keeper.append()
        self.assertEqual(await keeper.read(None), ["1"])

    async def test_secondProcess(self) -> None:
        """
        A store that another process uses is refused with the number of that process; after its
        death the store is free.
        """
        program = (
            "import sys; from twisted_sse.store.sqlite.file import File;"
            "it = File(sys.argv[1], False); print('open', flush=True); sys.stdin.read()"
        )
        with subprocess.Popen(
            [sys.executable, "-c", program, self.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            await self.refused(StoreLocked, f"in use by process {process.pid}:")
            process.kill()
            process.wait()
            assert process.stdin is not None
            process.stdin.close()
        await self.keep(self.store())

    async def test_noSpaceForLock(self) -> None:
        """
        If there is no space for the number of the process, opening can be retried; the error names
        the file.
        """

        def pwrite(descriptor: int, data: bytes, offset: int) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        self.patch(os, "pwrite", pwrite)
        await self.refused(StoreAway, "No space left on device", self.path)

    async def test_cannotLock(self) -> None:
        """
        A file system without locks is refused.
        """
        for code in errno.ENOLCK, errno.EOPNOTSUPP:

            def fail(*arguments: object, code: int = code) -> None:
                raise OSError(code, os.strerror(code))

            patch = self.patch(fcntl, "flock", fail)
            await self.refused(OSError, "cannot lock files", os.strerror(code), self.path)
            patch.restore()

    async def test_noDirectory(self) -> None:
        """
        A missing directory is named, and not created.
        """
        self.path = os.path.join(self.folder, "no", "events.db")
        await self.refused(FileNotFoundError, os.path.abspath(os.path.dirname(self.path)))

    async def test_isDirectory(self) -> None:
        """
        A directory is not accepted as a file.
        """
        os.mkdir(self.path)
        await self.refused(IsADirectoryError, self.path)

    async def test_noFile(self) -> None:
        """
        Anything but a regular file, such as a device, is refused, and stays in place.
        """
        os.mkfifo(self.path)
        await self.refused(OSError, "not a regular file", self.path)
        self.assertEqual(self.beside(), ["events.db"])

    async def test_strangeName(self) -> None:
        """
        A channel whose name is not text is refused, without affecting others.
        """
        store = self.store()
        keeper = await self.keep(store)
        with self.assertRaises(ValueError):
            await self.keep(store, "\ud800")
        await keeper.append()
        self.assertEqual(await keeper.read(None), ["1"])

    async def test_readOnlyDirectory(self) -> None:
        """
        A directory in which no file can be created is refused with a clear message.
        """
        opened = os.open

        def open(path: Any, *arguments: Any) -> int:
            if str(path).endswith("-lock"):
                raise OSError(errno.EROFS, os.strerror(errno.EROFS))
            return opened(path, *arguments)

        self.patch(os, "open", open)
        await self.refused(OSError, "cannot be written", "Read-only file system", self.path)

    async def test_fullDisk(self) -> None:
        """
        If there is no space for the lock, the store can be opened later.
        """

        def full(*arguments: Any) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        patch = self.patch(os, "pwrite", full)
        await self.refused(StoreAway, "No space left", self.path)
        patch.restore()
        await self.keep(self.store())

    async def test_foreignDatabase(self) -> None:
        """
        A database of another program is refused, and stays unchanged.
        """
        self.edit("CREATE TABLE mine(x)", "INSERT INTO mine VALUES(1)")
        await self.refused(NotAStore, "another program", self.path)
        self.assertEqual(self.edit("SELECT x FROM mine"), [(1,)])

    async def test_newerVersion(self) -> None:
        """
        A store of a newer version is refused, and stays unchanged.
        """
        store = self.store()
        await (await self.keep(store)).fill(3)
        await store.close()
        self.edit("PRAGMA user_version = 2")
        await self.refused(NotAStore, "newer")
        self.assertEqual(self.edit("SELECT count(*) FROM events"), [(3,)])

    async def test_lockedByOther(self) -> None:
        """
        If another program is writing, the store can be opened later.
        """
        store = self.store()
        await (await self.keep(store)).fill(3)
        await store.close()
        self.patch(file, "HASTE", 0.05)
        other = sqlite3.connect(self.path, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        with self.assertRaises(StoreAway):
            await self.keep(store)
        self.assertIn("locked", str(store.problem()))
        other.execute("COMMIT")
        other.close()
        self.assertEqual((await self.keep(store)).recent, ["1", "2", "3"])
        self.assertIsNone(store.problem())


class LossTests(SQLiteTestCase):
    """
    Tests for files that may have lost their end.
    """

    async def kill(self) -> None:
        """
        Leave the file as a killed process does.
        """
        for part in "", "-wal":
            with (
                open(self.path + part, "rb") as source,
                open(self.path + ".new" + part, "wb") as to,
            ):
                to.write(source.read())
        await self.dead.close()
        for part in "", "-wal":
            os.rename(self.path + ".new" + part, self.path + part)

    async def died(self, **options: Any) -> list[str]:
        """
        Fill a store, and kill it.

        @return: the IDs.
        """
        self.dead = self.store(**options)
        keeper = await self.keep(self.dead)
        ids = await keeper.fill(5)
        await self.kill()
        return ids

    async def test_killed(self) -> None:
        """
        After the death of the process all events are there, and all IDs are valid.
        """
        ids = await self.died()
        keeper = await self.keep(self.store())
        self.assertEqual(keeper.recent, ["1", "2", "3", "4", "5"])
        for n, place in enumerate(ids, 1):
            self.assertEqual(len(await keeper.read(place)), 5 - n)
        self.assertEqual(self.flushLogged(), [])

    async def test_walGone(self) -> None:
        """
        If the file -wal is missing, no client continues as if nothing were lost.
        """
        for _ in range(2):
            await self._walGone()
            # Now without the other record of its length.
            self.path += "x"
            self.forgets = True

    forgets = False

    async def _walGone(self) -> None:
        ids = await self.died()
        os.unlink(f"{self.path}-wal")
        if self.forgets:
            os.unlink(f"{self.path}-lock")
        keeper = await self.keep(self.store())
        self.assertEqual(keeper.recent, [])
        for place in ids:
            with self.assertRaises(NotKept):
                await keeper.read(place)
        await self.unsure(keeper)

    async def test_somebodyLooked(self) -> None:
        """
        If another program has opened the file after the death of the process, which removes the
        file -wal, nothing is lost.
        """
        ids = await self.died()
        self.assertEqual(self.edit("SELECT count(*) FROM events"), [(5,)])
        self.assertFalse(os.path.exists(f"{self.path}-wal"))
        keeper = await self.keep(self.store())
        self.assertEqual(await keeper.read(ids[3]), ["5"])
        self.assertEqual(self.flushLogged(), [])

    async def test_oldCopy(self) -> None:
        """
        If an old copy is restored, no client continues as if nothing were lost.
        """
        store = self.store()
        keeper = await self.keep(store)
        ids = await keeper.fill(5)
        await store.close()
        with open(self.path, "rb") as copied:
            copy = copied.read()
        await (await self.keep(store)).fill(5)
        await store.close()
        with open(self.path, "wb") as back:
            back.write(copy)
        keeper = await self.keep(store)
        for place in ids:
            with self.assertRaises(NotKept):
                await keeper.read(place)
        self.assertEqual(await keeper.read(None), ["1", "2", "3", "4", "5"])
        await self.unsure(keeper)

    async def test_rebooted(self) -> None:
        """
        If the machine was restarted while the store was open, kept events stay, but no client
        continues as if nothing were lost, not even with IDs of the application.
        """
        self.dead = self.store()
        keeper = await self.keep(self.dead)
        ids = await keeper.append(keeper.record("1"), keeper.record("2", id="X"))
        await self.kill()
        self.patch(file, "bootID", lambda: "another")
        store = self.store()
        keeper = await self.keep(store)
        self.assertEqual(keeper.recent, ["1", "2"])
        self.assertEqual(await keeper.read(None), ["1", "2"])
        for place in ids:
            with self.assertRaises(NotKept):
                await keeper.read(place)
        records = await keeper.log.read(None, 2**16)
        await keeper.append(keeper.record("3"))
        self.assertEqual(await keeper.read(str(records[0].event.id)), ["2", "3"])
        self.assertEqual(await keeper.read(records[1].place), ["3"])
        await self.unsure(keeper)
        await store.close()
        keeper = await self.keep(store)
        self.assertEqual(await keeper.read(records[1].place), ["3", "2"])
        self.assertEqual(self.flushLogged(), [])

    async def unsure(self, keeper: Keeper) -> None:
        """
        Assert that the loss was logged, and everything continues.
        """
        [line] = self.flushLogged()
        self.assertIn("Events may be missing", line)
        self.assertIn(self.path, line)
        [place] = await keeper.append()
        self.assertEqual(await keeper.read(place), [])

    async def test_rebootedFull(self) -> None:
        """
        With C{synchronous="full"} nothing is lost by a restart of the machine.
        """
        ids = await self.died(synchronous="full")
        self.patch(file, "bootID", lambda: "another")
        keeper = await self.keep(self.store(synchronous="full"))
        self.assertEqual(await keeper.read(ids[0]), ["2", "3", "4", "5"])
        self.assertEqual(self.flushLogged(), [])

    async def test_jail(self) -> None:
        """
        The current boot of the machine is identified when the store is made, so that it is known in
        a chroot, too, where it cannot be found out.
        """
        file.bootID.cache_clear()
        self.addCleanup(file.bootID.cache_clear)
        self.store()
        found = file.bootID()
        self.assertEqual(found, file.BOOT.read_text(encoding="ascii").strip())
        self.patch(file, "BOOT", file.BOOT / "no")
        self.assertEqual(file.bootID(), found)

    async def test_otherSystem(self) -> None:
        """
        If it is unknown whether the machine was restarted, that alone is not a loss.
        """
        file.bootID.cache_clear()
        self.addCleanup(file.bootID.cache_clear)
        self.patch(file, "BOOT", file.BOOT / "no")
        ids = await self.died()
        keeper = await self.keep(self.store())
        self.assertEqual(await keeper.read(ids[3]), ["5"])

    async def test_everyChannel(self) -> None:
        """
        A loss concerns all channels, including those that are opened later.
        """
        self.dead = self.store()
        one, two = await self.keep(self.dead, "one"), await self.keep(self.dead, "two")
        [first], [second] = await one.append(), await two.append()
        await self.kill()
        os.unlink(f"{self.path}-wal")
        store = self.store()
        one = await self.keep(store, "one")
        with self.assertRaises(NotKept):
            await one.read(first)
        [first] = await one.append()
        await store.close()
        one, two = await self.keep(store, "one"), await self.keep(store, "two")
        with self.assertRaises(NotKept):
            await two.read(second)
        self.assertEqual(await one.read(first), [])
