"""
A program that runs a process with a store up to each of its statements in turn::

    python -m tests.support.store_moments FOLDER before|after|full

The process dies before or after the statement, or the statement fails because the disk is full.
The files are C{FOLDER/1.db} and so on, copies of C{FOLDER/before.db}; for each event that was
stored it prints the number, the data and the ID.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
from collections.abc import Callable, Sequence
from typing import Any

from twisted_sse import Event
from twisted_sse.store import Record
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
    A log without a reactor, which records what was stored.
    """

    def __init__(self, state: State, name: str) -> None:
        self.state = state
        self._name = name

    def settle(self, append: Any, found: Sequence[str] | Exception) -> None:
        """
        See L{Opened<twisted_sse.store.sqlite.items.Opened>}.
        """
        if not isinstance(found, Exception):
            for record in append.records:
                sys.stdout.write(f"{self._name} {record.event.data} {record.event.id}\n")
            # The process may end soon.
            sys.stdout.flush()

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


def _life(path: str, first: int) -> None:
    """
    Everything a store does, without threads: it opens, stores and drops something, and closes.
    """
    it = File(path, False)

    def tell(*calls: Callable[[], object]) -> None:
        for call in calls:
            call()

    health = Health(path)
    writer = Writer(it, lambda name: Limits(12, None, None), health, tell)
    assert it.writer is not None
    it.writer.execute("BEGIN IMMEDIATE")
    log = _Log(begin(it.writer, "news", it.breaks, 0, 5)[0], os.path.basename(path))
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


def live(path: str, first: int, stop: int, how: str) -> bool:
    """
    Run a process up to a statement.

    @param first: the beginning of the data of the events.
    @param stop: the number of the statement.
    @return: whether it got that far.
    """
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1] != 0
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
        _life(path, first)
    finally:
        os._exit(1 if 0 < stop <= count else 0)


def main() -> None:
    """
    Run the program.
    """
    folder, how = sys.argv[1:]
    before = os.path.join(folder, "before.db")
    live(before, 0, 0, how)
    stop, goesOn = 0, True
    while goesOn:
        stop += 1
        path = os.path.join(folder, f"{stop}.db")
        for part in "", "-lock":
            shutil.copyfile(before + part, path + part)
        goesOn = live(path, 100, stop, how)


if __name__ == "__main__":
    main()
