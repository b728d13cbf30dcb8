"""
Logs, tested without a channel.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Sequence
from tempfile import TemporaryDirectory
from typing import Any

from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.logger import LogEvent, eventAsText, globalLogPublisher
from twisted.trial.unittest import TestCase

from twisted_sse import Event
from twisted_sse.store import EventLog, Record, SQLiteStore
from twisted_sse.store.identifiers import numbered

__all__ = ["Keeper", "SQLiteTestCase", "contents"]


class Keeper:
    """
    Does with a log what a channel does: numbers records, and appends them.

    @ivar log: the log, when it is open.
    @ivar told: the notifications from the log, in order: C{("received", records)}, C{("broken",
        origin)}, C{("away", why)}.
    """

    log: EventLog

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []
        self._number = 0

    def received(self, records: Sequence[Record], /) -> None:
        """
        See L{Tail<twisted_sse.store.contract.Tail>}.
        """
        self.told.append(("received", list(records)))

    def broken(self, origin: str, /) -> None:
        """
        See L{Tail<twisted_sse.store.contract.Tail>}.
        """
        self.told.append(("broken", origin))

    def away(self, why: str | None, /) -> None:
        """
        See L{Tail<twisted_sse.store.contract.Tail>}.
        """
        self.told.append(("away", why))

    def restart(self) -> None:
        """
        Number from 1 again: the log has another prefix.
        """
        self._number = 0

    @property
    def recent(self) -> list[str | None]:
        """
        The data of the records that the log had at its opening.
        """
        found: list[Record] = next(what for how, what in self.told if how == "received")
        return contents(found)

    def record(
        self,
        data: str | None = None,
        *topics: str,
        id: str | None = None,
        private: bool = False,
        now: float | None = None,
        **fields: Any,
    ) -> Record:
        """
        Make the next record.

        @param data: its data; by default its number.
        @param id: the ID that the application sets, if any.
        """
        self._number += 1
        own = numbered(self.log.prefix, self._number)
        return Record(
            Event(str(self._number) if data is None else data, id=id or own, **fields),
            topics,
            private,
            time.time() if now is None else now,
            own if id else "",
        )

    async def append(self, *records: Record, key: str | None = None) -> list[str]:
        """
        Append some records, by default the next one.

        @return: their IDs.
        """
        return list(await self.log.append(records or [self.record()], key))

    async def fill(self, count: int) -> list[str]:
        """
        Append many records.
        """
        return await self.append(*[self.record() for _ in range(count)])

    async def read(self, after: str | None, size: int = 2**16, *topics: str) -> list[str | None]:
        """
        @return: the data of the records after a position.
        """
        return contents(await self.log.read(after, size, frozenset(topics) if topics else None))


def contents(records: Sequence[Record]) -> list[str | None]:
    """
    @return: the data of some records.
    """
    return [record.event.data for record in records]


class SQLiteTestCase(TestCase):
    """
    A test of stores in its own file.

    @ivar path: the path of the file.
    """

    timeout = 60

    def setUp(self) -> None:
        """
        Make a directory for the file.
        """
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.path = os.path.join(self.folder, "events.db")
        self._logged: list[LogEvent] = []
        globalLogPublisher.addObserver(self._observe)
        self.addCleanup(globalLogPublisher.removeObserver, self._observe)

    def _observe(self, event: LogEvent) -> None:
        if event["log_namespace"].startswith("twisted_sse.store"):
            self._logged.append(event)

    def store(self, **options: Any) -> SQLiteStore:
        """
        Make a store, which is closed when the test ends.
        """
        store = SQLiteStore(self.path, **options)
        self.addCleanup(store.close)
        return store

    async def keep(self, store: SQLiteStore, name: str = "news", recent: int = 10) -> Keeper:
        """
        Open a log.
        """
        keeper = Keeper()
        keeper.log = await store.open(name, keeper, recent)
        return keeper

    def edit(self, *statements: str) -> list[Any]:
        """
        Run SQL statements on the file, as a user may.

        @return: the rows that the last statement found.
        """
        connection = sqlite3.connect(self.path, isolation_level=None)
        try:
            found: list[Any] = []
            for statement in statements:
                found = connection.execute(statement).fetchall()
            return found
        finally:
            connection.close()

    async def leftOpen(self) -> tuple[int, int, int, list[object]]:
        """
        @return: the numbers of threads, descriptors and reactor triggers, and the delayed calls.
        """
        run: Any = reactor
        # SQLite opens a descriptor for itself at the start.
        await deferLater(run, 0)
        trigger = run.addSystemEventTrigger("after", "shutdown", int)
        triggers = len(run._eventTriggers["shutdown"].after)
        run.removeSystemEventTrigger(trigger)
        descriptors = len(os.listdir("/proc/self/fd"))
        return threading.active_count(), descriptors, triggers, run.getDelayedCalls()

    def flushLogged(self) -> list[str]:
        """
        @return: the log messages about stores since the last call.
        """
        logged, self._logged[:] = [eventAsText(event) for event in self._logged], []
        return logged

    def beside(self) -> list[str]:
        """
        @return: the names of the files in the directory.
        """
        return sorted(os.listdir(self.folder))
