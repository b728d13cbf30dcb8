"""
A store that keeps the events of all its channels in one list, and its tests.

    $ python -m twisted.trial examples/list_store.py
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import NamedTuple

from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import TestCase

from twisted_sse.store import (
    EventLog,
    KeyReused,
    NotKept,
    NotStored,
    Record,
    Repeated,
    StoreAway,
    Tail,
)
from twisted_sse.store.fingerprint import fingerprint
from twisted_sse.store.identifiers import newToken
from twisted_sse.testing.stores import EventStoreTests, FailingStoreTests


class Row(NamedTuple):
    channel: str
    place: str  # identifies the position after this row
    record: Record | None = None
    key: str | None = None
    isHole: bool = False  # a record is missing here


class ListLog:
    makesIDs = False

    def __init__(self, rows: list[Row], name: str, tail: Tail, recent: int) -> None:
        self.rows, self.name = rows, name
        self.problem: str | None = None
        self.isClosed = False
        self.prefix = newToken()
        rows.append(Row(name, self.prefix))  # a position before the first record
        mine = self.mine()
        newest: list[Record] = []
        index = len(mine) - 1
        while index and len(newest) < recent and not mine[index].isHole:
            newest = [*filter(None, [mine[index].record]), *newest]
            index -= 1
        self.origin = mine[index].place
        tail.received(newest)

    def mine(self) -> list[Row]:
        return [row for row in self.rows if row.channel == self.name]

    def append(self, records: Sequence[Record], key: str | None = None) -> Deferred[Sequence[str]]:
        if self.isClosed:
            return fail(NotStored(why="the log is closed"))
        known = [row.record for row in self.mine() if row.record and key == row.key is not None]
        if known and fingerprint(known) == fingerprint(records):
            return succeed(Repeated(map(idOf, known)))
        if known:
            return fail(KeyReused(f"{key!r} was the key of something else"))
        rows = [Row(self.name, each.place or idOf(each), each, key) for each in records]
        if self.problem is not None:
            rows.insert(0, Row(self.name, newToken(), isHole=True))
        try:
            self.rows.extend(rows)  # all or none
        except OSError as error:
            self.problem = str(error)
            return fail(NotStored(why=self.problem))
        self.problem = None
        return succeed([*map(idOf, records)])

    def read(
        self, after: str | None, maxBytes: int, topics: frozenset[str] | None = None
    ) -> Deferred[Sequence[Record]]:
        if self.isClosed:
            return fail(StoreAway("the log is closed"))
        rows = self.mine()
        start = 0
        for number, row in enumerate(rows, 1):
            if after == row.place or (row.record and after == idOf(row.record)):
                start = number  # the last one counts
        if after is not None and not start:
            return fail(NotKept(f"{after!r} is unknown"))
        found: list[Record] = []
        for row in rows[start:]:
            if row.isHole:
                return succeed(found) if found else fail(NotKept(f"{after!r} is before a hole"))
            if row.record and (topics is None or topics.intersection(row.record.topics)):
                maxBytes -= len(row.record.event.encode())
                if found and maxBytes < 0:
                    break
                found.append(row.record)
        return succeed(found)

    def close(self) -> Deferred[None]:
        self.isClosed = True
        return succeed(None)


class ListStore:
    def __init__(self, rows: list[Row]) -> None:
        self.rows = rows
        self.logs: list[ListLog] = []
        self.isClosed = False

    def open(self, name: str, tail: Tail, recent: int) -> Deferred[EventLog]:
        if self.isClosed:
            return fail(RuntimeError("the store is closed"))
        log = ListLog(self.rows, name, tail, recent)
        self.logs.append(log)
        return succeed(log)

    def problem(self) -> str | None:
        return next((log.problem for log in self.logs if log.problem and not log.isClosed), None)

    def close(self) -> Deferred[None]:
        self.isClosed = True
        for log in self.logs:
            log.close()
        return succeed(None)


def idOf(record: Record) -> str:
    return record.event.id or ""


class FullList(list[Row]):
    isFull = False

    def extend(self, rows: Iterable[Row]) -> None:
        if self.isFull:
            raise OSError("the list is full")
        super().extend(rows)


class ListStoreTests(EventStoreTests, FailingStoreTests, TestCase):
    def makeStore(self) -> ListStore:
        self.rows = FullList()
        return ListStore(self.rows)

    def reopenStore(self, store: object) -> ListStore:
        return ListStore(self.rows)

    def makeAppendsFail(self, store: object) -> Callable[[], None]:
        self.rows.isFull = True
        return partial(setattr, self.rows, "isFull", False)
