"""
Kinds of stores, as models see them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

from twisted.internet.interfaces import IDelayedCall

from tests.support.delayed_store import DelayedStore
from tests.support.examples import example
from tests.support.quiet_clock import QuietClock
from tests.support.shared_store import Server, SharedStore
from twisted_sse.store import EventStore
from twisted_sse.store.sqlite import SQLiteStore, session, store

__all__ = [
    "DelayedWorld",
    "LateWorld",
    "ListWorld",
    "SQLiteWorld",
    "SharedWorld",
    "SmallWorld",
    "World",
]


class World:
    """
    A kind of store, and the part of it that exists outside the processes.

    @ivar delivers: whether events are handed to subscribers before they are stored.
    """

    delivers = "at once"
    makesIDs = False

    def begin(self, clock: QuietClock) -> EventStore:
        """
        Make the store of a new process.
        """
        raise NotImplementedError

    def kill(self) -> None:
        """
        The process has ended without closing anything.
        """

    def stored(self) -> dict[str | None, str | None]:
        """
        Find the data of all events that were ever stored, with their IDs where those are known.
        """
        raise NotImplementedError

    def end(self) -> None:
        """
        Nothing more will happen.
        """

    def setFailing(self, fails: bool) -> None:
        """
        Make appending fail, or succeed.
        """
        raise NotImplementedError

    def setAway(self, isAway: bool) -> None:
        """
        Make the store unreachable, or reachable.
        """

    @property
    def dropped(self) -> int:
        """
        The number of events that were stored and have since been dropped.
        """
        return 0


class ListWorld(World):
    """
    A store over a list.
    """

    def __init__(self) -> None:
        self.module = example("list_store")
        self.rows = self.module.FullList()

    def begin(self, clock: QuietClock) -> EventStore:
        """
        Make a store over the list.
        """
        made: EventStore = self.module.ListStore(self.rows)
        return made

    def stored(self) -> dict[str | None, str | None]:
        """
        Read the list.
        """
        return {row.record.event.data: row.record.event.id for row in self.rows if row.record}

    def setFailing(self, fails: bool) -> None:
        """
        Fill the list.
        """
        self.rows.isFull = fails


class DelayedWorld(ListWorld):
    """
    The same store, with delays.
    """

    def begin(self, clock: QuietClock) -> EventStore:
        """
        Make a store over the list.
        """
        return DelayedStore(super().begin(clock), clock, self.delivers)


class LateWorld(DelayedWorld):
    """
    The same store, from which subscribers receive only stored events.
    """

    delivers = "stored"


class SharedWorld(World):
    """
    A store that makes the IDs.
    """

    delivers = "stored"
    makesIDs = True
    maxEvents = 10**6

    def __init__(self) -> None:
        self.server = Server(QuietClock(), self.maxEvents)
        self.store: SharedStore | None = None

    def begin(self, clock: QuietClock) -> EventStore:
        """
        Make a store on the server.
        """
        self.server.clock = clock
        self.store = SharedStore(self.server)
        return self.store

    def kill(self) -> None:
        """
        The connection is closed.
        """
        if self.store is not None:
            self.store.kill()

    def stored(self) -> dict[str | None, str | None]:
        """
        Read the server.
        """
        return {event.data: event.id for event in self.server.stream("news").all}

    def setFailing(self, fails: bool) -> None:
        """
        Fill the server.
        """
        self.server.isFull = fails

    def setAway(self, isAway: bool) -> None:
        """
        Freeze the server.
        """
        self.server.isAway = isAway

    @property
    def dropped(self) -> int:
        """
        The number of events that the server has dropped.
        """
        stream = self.server.stream("news")
        return stream.number - len(stream.kept)


class SmallWorld(SharedWorld):
    """
    The same store, which does not keep everything.
    """

    maxEvents = 40


class TurnWorker:
    """
    Does a thread's work in the turns of a clock, in place of L{Worker
    <twisted_sse.store.sqlite.worker.Worker>}.
    """

    clock: QuietClock

    def __init__(self, name: str, work: Any) -> None:
        self._work = work
        self._items: list[Any] = []
        self._call: IDelayedCall | None = None
        self._clock = self.clock
        self._isOver = False

    def start(self) -> None:
        """
        Start.
        """

    def put(self, item: Any) -> None:
        """
        Do something soon.
        """
        self._items.append(item)
        if self._call is None and not self._isOver:
            self._call = self._clock.callLater(0, self._run)

    def join(self, patience: float | None = None) -> bool:
        """
        Wait for the end: do the remaining work.
        """
        while self._items and not self._isOver:
            self._run()
        return True

    def _run(self) -> None:
        self._call = None
        while self._items and not self._isOver:
            self._isOver = not self._work.work(self._items)


class SQLiteWorld(World):
    """
    A store in a file, without threads.  A process that is killed leaves its files as they are.
    """

    maxEvents: int | None = None

    def __init__(self) -> None:
        # In memory, if possible: an example starts many processes, and each waits for the disk.
        memory = Path("/dev/shm")
        self._folder = TemporaryDirectory(dir=memory if memory.is_dir() else None)
        self._number = 0
        self._path = Path(self._folder.name, "0")
        #: The stored content when the last process ended; L{None} while a process runs.
        self._left: dict[str | None, str | None] | None = None
        self._store: SQLiteStore | None = None
        self._patches = [
            mock.patch.object(session, "Worker", TurnWorker),
            mock.patch.object(store, "installedReactor", self._reactor),
        ]
        for each in self._patches:
            each.start()

    def _reactor(self) -> mock.Mock:
        reactor = mock.Mock()
        clock = TurnWorker.clock

        def callFromThread(function: Callable[[], object]) -> None:
            clock.callLater(0, function)

        reactor.callFromThread = callFromThread
        return reactor

    def begin(self, clock: QuietClock) -> EventStore:
        """
        Make a store in the file.
        """
        self._closeOld()
        self._left = None
        TurnWorker.clock = self._clock = clock
        self._store = SQLiteStore(self._path, maxEvents=self.maxEvents)
        return self._store

    def kill(self) -> None:
        """
        Continue with a copy of the files.
        """
        self._left = self.stored()
        before = self._path
        self._number += 1
        self._path = Path(self._folder.name, str(self._number))
        for suffix in "", "-wal":
            if Path(f"{before}{suffix}").exists():
                copyfile(f"{before}{suffix}", f"{self._path}{suffix}")

    def _closeOld(self) -> None:
        """
        Close the store of the process before.  Changes to its own files do not matter.
        """
        if self._store is not None:
            self._store.close()
            self._clock.quiet = False
            self._clock.advance(1)
            self._store = None

    def stored(self) -> dict[str | None, str | None]:
        """
        Read the file.
        """
        if self._left is not None:
            # Opening the file would change it.
            return self._left
        with closing(sqlite3.connect(self._path)) as connection:
            return dict(connection.execute("SELECT data, id FROM events").fetchall())

    def setFailing(self, fails: bool) -> None:
        """
        Never fails.
        """

    def end(self) -> None:
        """
        Delete everything.
        """
        self._closeOld()
        for each in self._patches:
            each.stop()
        self._folder.cleanup()
