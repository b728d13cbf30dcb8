"""
Tests for L{twisted_sse.store.sqlite}: the process dies, or the disk is full, at every possible
moment.
"""

from __future__ import annotations

import os
import subprocess
import sys

from tests.support.requirements import ROOT
from tests.support.stores import SQLiteTestCase
from twisted_sse.store import NotKept


class MomentTests(SQLiteTestCase):
    """
    Tests for each statement of a store.
    """

    timeout = 60

    async def sweep(self, how: str) -> None:
        """
        Try all moments in turn.
        """
        command = [sys.executable, "-m", "tests.support.store_moments", self.folder, how]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT)
        stored: dict[str, dict[str, str]] = {}
        for line in done.stdout.splitlines():
            name, data, id = line.split()
            stored.setdefault(name, {})[data] = id
        before = stored.pop("before.db")
        moments = len([name for name in self.beside() if name.endswith(".db")]) - 1
        self.assertGreater(moments, 30)
        for moment in range(1, moments + 1):
            self.path = os.path.join(self.folder, f"{moment}.db")
            await self.check(before | stored.get(f"{moment}.db", {}))
        # The last process has finished.
        self.assertEqual(len(stored[f"{moments}.db"]), 8)

    async def check(self, stored: dict[str, str]) -> None:
        """
        Assert that a file has the expected content.
        """
        self.assertEqual(self.edit("PRAGMA quick_check"), [("ok",)])
        store = self.store(maxEvents=12)
        keeper = await self.keep(store, recent=12)
        kept = {str(each.event.data): str(each.event.id) for each in keeper.told[0][1]}
        self.assertEqual(len(set(kept.values())), len(keeper.told[0][1]))
        # Stored events are there, with the reported or an unknown ID, except for the oldest, since
        # more may have been stored without a report.
        for data in list(stored)[-8:]:
            self.assertIn(data, kept, self.path)
            if kept[data] != stored[data]:
                with self.assertRaises(NotKept):
                    await keeper.read(stored[data])
        [new] = await keeper.append()
        self.assertEqual(await keeper.read(new), [])
        await store.close()

    async def test_diesBefore(self) -> None:
        """
        A process that dies before any of its statements loses no stored events.
        """
        await self.sweep("before")
        self.flushLogged()

    async def test_diesAfter(self) -> None:
        """
        A process that dies after any of its statements loses no stored events.
        """
        await self.sweep("after")
        self.flushLogged()

    async def test_full(self) -> None:
        """
        A full disk at any statement loses no stored events.
        """
        await self.sweep("full")
        self.flushLogged()
