"""
Reading what follows a place.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from typing import Any

from ..contract import NotKept, Record
from .rows import toRecord
from .schema import COLUMNS
from .state import State

__all__ = ["Invalid", "read"]

#: How many rows of topics to look at in one piece.
LOOKS = 1000

_ROW = ", ".join(COLUMNS[2:])


class Invalid(Exception):
    """
    A row is no record.

    @ivar position: which.
    @ivar why: what is wrong with it.
    """

    def __init__(self, position: int, why: str) -> None:
        super().__init__(position, why)
        self.position = position
        self.why = why


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
    @raise Invalid: if the first row is no record.
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
    last, trimmed, trimmedID, forgotten = connection.execute(
        "SELECT last, trimmed, trimmedID, forgotten FROM channels WHERE channel = ?", [channel]
    ).fetchone()
    if after is None:
        # What is before a hole would be followed by another loss.
        place = connection.execute(
            "SELECT ifnull(max(position), 0) FROM holes WHERE channel = ?", [channel]
        ).fetchone()[0]
        place = max(place, hole)
    else:
        found = _find(connection, state, after, trimmed, trimmedID)
        if found is None or found > max(last, hole):
            raise NotKept(f"the place {after!r} is not known")
        place = found
        if place < trimmed and (
            topics is None
            or place < forgotten
            or _isAbout(connection, channel, topics, place, trimmed)
        ):
            raise NotKept(f"what follows {after!r} was dropped")
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
        raise NotKept("what follows could not be stored")
    return records


def _find(
    connection: sqlite3.Connection,
    state: State,
    identifier: str,
    trimmed: int,
    trimmedID: str | None,
) -> int | None:
    try:
        given = connection.execute(
            "SELECT max(position) FROM events WHERE channel = ? AND id = ?",
            [state.channel, identifier],
        ).fetchone()[0]
    except UnicodeEncodeError:
        return None
    if given is not None:
        return int(given)
    found = state.find(identifier)
    if found is None and trimmed and identifier == trimmedID:
        return trimmed
    return found


def _isAbout(
    connection: sqlite3.Connection, channel: int, topics: Iterable[str], place: int, trimmed: int
) -> bool:
    """
    Whether any record after a place that was dropped was about one of the topics.
    """
    return any(
        connection.execute(
            "SELECT 1 FROM topics WHERE channel = ? AND topic = ?"
            " AND position > ? AND position <= ? LIMIT 1",
            [channel, topic, place, trimmed],
        ).fetchone()
        for topic in topics
    )


def _every(
    connection: sqlite3.Connection, channel: int, place: int, end: int | None
) -> Generator[Sequence[Any], None, None]:
    yield from connection.execute(
        f"SELECT position, size, {_ROW} FROM events"
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
    for topic in topics:
        positions.update(
            position
            for (position,) in connection.execute(
                "SELECT position FROM topics WHERE channel = ? AND topic = ? AND position > ?"
                " AND position < ? ORDER BY position LIMIT ?",
                [channel, topic, place, 2**63 - 1 if end is None else end, LOOKS],
            )
        )
    # Of each topic the first: so all of these are the first of all.
    for position in sorted(positions)[:LOOKS]:
        yield from connection.execute(
            f"SELECT position, size, {_ROW} FROM events WHERE channel = ? AND position = ?",
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
            records.append(toRecord(row[2:], state.own(position)))
        except (TypeError, ValueError) as error:
            if records:
                break
            raise Invalid(position, str(error)) from error
    return records
