"""
Tests for L{twisted_sse.store.sqlite}: the process dies, or the disk is full, at each possible moment.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

from tests.support.stores import SQLiteTestCase
from twisted_sse import Event
from twisted_sse.store import NotKept, Record, StoreAway
from twisted_sse.store.identifiers import numbered
from twisted_sse.store.sqlite import file
from twisted_sse.store.sqlite.file import File
from twisted_sse.store.sqlite.health import Health
from twisted_sse.store.sqlite.items import Append, Stop
from twisted_sse.store.sqlite.state import State, begin
from twisted_sse.store.sqlite.trimming import Limits
from twisted_sse.store.sqlite.writer import Writer


class _Log:
    """
    A log without a reactor, which writes down what was stored.
    """

    def __init__(self, state: State, said: int) -> None:
        self.state = state
        self._said = said

    def settle(self, append: Any, found: Sequence[str] | Exception) -> None:
        """
        See L{Opened<twisted_sse.store.sqlite.items.Opened>}.
        """
        if not isinstance(found, Exception):
            for record in append.records:
                os.write(self._said, f"{record.event.data} {record.event.id}\n".encode())

    def broken(self, prefix: str, origin: str) -> None:
        """
        See L{Opened<twisted_sse.store.sqlite.items.Opened>}.
        """

    def away(self, why: str | None) -> None:
        """
        See L{Opened<twisted_sse.store.sqlite.items.Opened>}.
        """

    def end(self) -> None:
        """
        See L{Opened<twisted_sse.store.sqlite.items.Opened>}.
        """


def _life(path: str, first: int, said: int) -> None:
    """
    All that a store does, without threads: it is opened, stores and drops something, and is closed.
    """
    it = File(path, False)

    def tell(*calls: Callable[[], object]) -> None:
        for call in calls:
            call()

    health = Health(path)
    writer = Writer(it, lambda name: Limits(12, None, None), health, tell)
    assert it.writer is not None
    it.writer.execute("BEGIN IMMEDIATE")
    log = _Log(begin(it.writer, "news", it.breaks, 0, 5)[0], said)
    it.commit()
    it.settle()
    writer.add(log)
    number = 0
    for size in 1, 3, 4:
        records = []
        for _ in range(size):
            number += 1
            event = Event(str(first + number), id=numbered(log.state.token, number))
            records.append(Record(event, ("topic", str(number)), time=1.0))
        outcome: Any = None
        key = str(first) if size == 3 else None
        writer.work([Append(log, log.state.token, number, records, key, outcome)])
    while writer.pause() == 0:
        writer.work([])
    writer.work([Stop(lambda: None)])


class MomentTests(SQLiteTestCase):
    """
    Tests for each statement of a store.
    """

    timeout = 60

    def live(self, first: int, stop: int, how: str) -> tuple[bool, dict[str, str]]:
        """
        Let a process live until a statement.

        @param stop: the number of the statement.
        @param how: whether the process dies C{"before"} or C{"after"} it, or that is C{"full"}.
        @return: whether it was that long, and what was stored.
        """
        read, said = os.pipe()
        child = os.fork()
        if not child:
            count = 0

            class Connection(sqlite3.Connection):
                def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
                    nonlocal count
                    count += 1
                    if count == stop and how == "full":
                        raise sqlite3.OperationalError("database or disk is full")
                    if count == stop and how == "before":
                        os._exit(1)
                    found = super().execute(sql, *values)
                    if count == stop:
                        os._exit(1)
                    return found

            def connect(path: str, patience: float) -> sqlite3.Connection:
                return sqlite3.connect(path, isolation_level=None, factory=Connection)

            file.connect = connect
            try:
                _life(self.path, first, said)
            except sqlite3.Error:
                os._exit(1)
            finally:
                os._exit(1 if count >= stop else 0)
        os.close(said)
        with os.fdopen(read) as source:
            lines = source.read().splitlines()
        _, status = os.waitpid(child, 0)
        return status != 0, dict(line.split() for line in lines)

    async def sweep(self, how: str) -> None:
        """
        Try all moments, one after the other.
        """
        stop, goesOn, last = 0, True, {}
        while goesOn:
            stop += 1
            self.path = os.path.join(self.folder, f"{stop}.db")
            stored: dict[str, str] = {}
            for first in 0, 100:
                goesOn, found = self.live(first, stop if first else 10**6, how)
                stored |= found
            self.assertEqual(self.edit("PRAGMA quick_check"), [("ok",)])
            store = self.store(maxEvents=12)
            try:
                keeper = await self.keep(store, recent=12)
            except StoreAway:
                self.fail(f"{stop}: it cannot be opened")
            records = keeper.told[0][1]
            kept = {record.event.data: record.event.id for record in records}
            self.assertEqual(len({record.event.id for record in records}), len(records))
            # What was stored is there, with the ID that was told, or that is unknown: but for the
            # oldest, since more may have been stored, and not told.
            for data in list(stored)[-8:]:
                self.assertIn(data, kept, f"statement {stop}")
                if kept[data] == stored[data]:
                    continue
                with self.assertRaises(NotKept):
                    await keeper.read(stored[data])
            new = await keeper.append()
            self.assertEqual(await keeper.read(new[0]), [])
            await store.close()
            last = kept
        self.assertGreater(stop, 30)
        self.assertEqual(len(last), 12)

    async def test_diesBefore(self) -> None:
        """
        A process that dies before any of its statements loses nothing that was stored.
        """
        await self.sweep("before")
        self.flushLogged()

    async def test_diesAfter(self) -> None:
        """
        A process that dies after any of its statements loses nothing that was stored.
        """
        await self.sweep("after")
        self.flushLogged()

    async def test_full(self) -> None:
        """
        A disk that is full at any statement costs nothing that was stored.
        """
        await self.sweep("full")
        self.flushLogged()
