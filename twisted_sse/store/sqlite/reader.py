"""
The thread that reads what follows a place.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from typing import Any

from twisted.logger import Logger
from twisted.python.failure import Failure

from ..contract import NotKept, Record, StoreAway
from .errors import isCorrupt
from .file import File
from .items import Barrier, Broken, Item, Question, Read, Repair, Stop
from .rows import toRecord
from .schema import COLUMNS
from .state import State

__all__ = ["Reader", "read"]

#: How many rows of topics to look at in one piece.
LOOKS = 1000

_ROW = ", ".join(COLUMNS[2:])

_log = Logger()


class _Invalid(Exception):
    """
    A row is not a record.

    @ivar position: which.
    @ivar why: what is wrong with it.
    """

    def __init__(self, position: int, why: str) -> None:
        super().__init__(position, why)
        self.position = position
        self.why = why


class Reader:
    """
    Answers questions, one after the other.
    """

    def __init__(
        self, file: File, write: Callable[[Item], object], tell: Callable[..., object]
    ) -> None:
        self._file = file
        self._write = write
        self._tell = tell

    def pause(self) -> None:
        """
        See L{Work.pause<twisted_sse.store.sqlite.worker.Work.pause>}.
        """

    def work(self, items: list[Question]) -> bool:
        """
        See L{Work.work<twisted_sse.store.sqlite.worker.Work.work>}.
        """
        while items:
            item = items[0]
            if isinstance(item, Read):
                self._answer(item)
            elif isinstance(item, Barrier):
                item.then()
            del items[0]
            if isinstance(item, Stop):
                self._tell(item.then)
                return False
        return True

    def died(self, items: list[Question], error: BaseException) -> None:
        """
        See L{Work.died<twisted_sse.store.sqlite.worker.Work.died>}.
        """
        failure = Failure(error)
        self._tell(partial(_log.failure, "The reader of a store failed", failure=failure))
        item = items.pop(0) if items else None
        if isinstance(item, Read):
            self._tell(partial(item.settle, StoreAway(f"the reader failed: {error!r}")))

    def _answer(self, question: Read) -> None:
        answer: Sequence[Record] | Exception
        with self._file.reading:
            # Under the lock: a broken file is not replaced meanwhile.
            state = question.log.state
            generation = self._file.generation
            try:
                if state.generation != generation:
                    raise StoreAway("the file was broken, and a new one is being created")
                answer = read(
                    self._file.reader(), state, question.after, question.maxBytes, question.topics
                )
            except _Invalid as error:
                answer = NotKept("the events that follow are damaged")
                then = partial(question.settle, answer)
                self._write(Repair(state, error.position, error.why, then))
                return
            except sqlite3.Error as error:
                answer = StoreAway(str(error))
                if isCorrupt(error):
                    then = partial(question.settle, answer)
                    self._write(Broken(generation, error, then))
                    return
            except (NotKept, StoreAway) as error:
                answer = error
        self._tell(partial(question.settle, answer))


def read(
    connection: sqlite3.Connection,
    state: State,
    after: str | None,
    maxBytes: int,
    topics: frozenset[str] | None,
) -> list[Record]:
    """
    Read what directly follows a place: see C{EventLog.read}.

    @raise NotKept: if it is not known what does.
    @raise _Invalid: if the first row is not a record.
    """
    # Before the transaction: what the file learns meanwhile is seen twice, not missed.
    hole = state.hole
    connection.execute("BEGIN")
    try:
        return _read(connection, state, after, maxBytes, topics, hole)
    finally:
        connection.execute("COMMIT")


def _read(
    connection: sqlite3.Connection,
    state: State,
    after: str | None,
    maxBytes: int,
    topics: frozenset[str] | None,
    hole: int,
) -> list[Record]:
    channel = state.channel
    if topics is not None:
        topics = frozenset(filter(_isText, topics))
    last, trimmed, trimmedID, forgotten, void = connection.execute(
        "SELECT last, trimmed, trimmedID, forgotten, void FROM channels WHERE channel = ?",
        [channel],
    ).fetchone()
    if after is None:
        # What is before a hole would be followed by another loss.
        place = connection.execute(
            "SELECT ifnull(max(position), 0) FROM holes WHERE channel = ?", [channel]
        ).fetchone()[0]
        place = max(place, hole)
    else:
        found = _find(connection, state, after, trimmed, trimmedID, void)
        if found is None or found > max(last, hole):
            raise NotKept(f"the place {after!r} is unknown")
        place = found
        if place < trimmed and (
            topics is None or place < forgotten or _isAbout(connection, channel, topics, place)
        ):
            raise NotKept(f"the events after {after!r} were dropped")
    end = connection.execute(
        "SELECT min(position) FROM holes WHERE channel = ? AND position > ?", [channel, place]
    ).fetchone()[0]
    if hole > place and (end is None or hole < end):
        end = hole
    rows = (
        _every(connection, channel, place, end)
        if topics is None
        else _about(connection, channel, topics, max(place, trimmed), end)
    )
    # A cursor that is open would go on with the transaction.
    with closing(rows):
        records = _records(state, rows, maxBytes)
    if not records and end is not None:
        raise NotKept("the events that follow could not be stored")
    return records


def _find(
    connection: sqlite3.Connection,
    state: State,
    identifier: str,
    trimmed: int,
    trimmedID: str | None,
    void: int,
) -> int | None:
    if not _isText(identifier):
        return None
    given = connection.execute(
        "SELECT max(position) FROM events WHERE channel = ? AND id = ?",
        [state.channel, identifier],
    ).fetchone()[0]
    if given is not None:
        # What had the ID may have been followed by what is lost.
        return int(given) if given > void else None
    found = state.runs.find(identifier)
    if found is None and trimmed > void and identifier == trimmedID:
        return trimmed
    return found


def _isText(text: str) -> bool:
    """
    Whether a file can have this.
    """
    return text.isascii() or not any("\ud800" <= each <= "\udfff" for each in text)


def _isAbout(
    connection: sqlite3.Connection, channel: int, topics: Iterable[str], place: int
) -> bool:
    """
    Whether any record after a place that was dropped was about one of the topics.
    """
    return any(
        connection.execute(
            "SELECT 1 FROM dropped WHERE channel = ? AND topic = ? AND position > ?",
            [channel, topic, place],
        ).fetchone()
        for topic in topics
    )


def _every(
    connection: sqlite3.Connection, channel: int, place: int, end: int | None
) -> Generator[Sequence[Any], None, None]:
    yield from connection.execute(
        f"SELECT position, CAST(size AS INTEGER), {_ROW} FROM events"
        " WHERE channel = ? AND position > ? AND position < ? ORDER BY position",
        [channel, place, 2**63 - 1 if end is None else end],
    )


def _about(
    connection: sqlite3.Connection,
    channel: int,
    topics: Iterable[str],
    place: int,
    end: int | None,
) -> Generator[Sequence[Any], None, None]:
    positions: set[int] = set()
    limit = 2**63 - 1 if end is None else end
    for topic in topics:
        positions.update(
            position
            for (position,) in connection.execute(
                "SELECT position FROM topics WHERE channel = ? AND topic = ? AND position > ?"
                " AND position < ? ORDER BY position LIMIT ?",
                [channel, topic, place, limit, LOOKS],
            )
        )
        if len(positions) > LOOKS:
            # The first of all are enough, and what comes after them is not looked at.
            limit = sorted(positions)[LOOKS]
            positions = {position for position in positions if position < limit}
    # Of each topic the first: so all of these are the first of all.
    for position in sorted(positions):
        yield from connection.execute(
            f"SELECT position, CAST(size AS INTEGER), {_ROW} FROM events WHERE channel = ? AND position = ?",
            [channel, position],
        )


def _records(state: State, rows: Iterator[Sequence[Any]], maxBytes: int) -> list[Record]:
    records: list[Record] = []
    left = maxBytes
    for row in rows:
        position, size = row[:2]
        try:
            left -= size
            if left < 0 and records:
                break
            records.append(toRecord(row[2:], state.runs.own(position)))
        except (TypeError, ValueError) as error:
            if records:
                break
            raise _Invalid(position, str(error)) from error
    return records
