"""
Records as rows of a table, and back.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from itertools import chain
from typing import Any

from ...format.event import Event
from ..contract import Record
from .schema import COLUMNS

__all__ = ["EVENTS", "TOPICS", "Row", "insert", "numberOf", "toRecord", "toRow"]

#: An event as it is stored: its columns.
Row = tuple[Any, ...]

# A statement for many rows holds Python's lock once, not once for each row: a reactor that is busy
# hands the lock over only every few milliseconds.  Before 3.32, SQLite takes 999 parameters.
_MANY = (1000, 100, 10, 1) if sqlite3.sqlite_version_info >= (3, 32) else (80, 10, 1)


def _statements(table: str, columns: int) -> dict[int, str]:
    one = f"({', '.join('?' * columns)})"
    return {many: f"INSERT INTO {table} VALUES {', '.join([one] * many)}" for many in _MANY}


#: What stores some rows of a table, by their number.
EVENTS = _statements("events", len(COLUMNS))
TOPICS = _statements("topics", 3)


def _measure(text: str | None) -> int:
    if text is None:
        return 0
    return len(text) if text.isascii() else len(text.encode())


def numberOf(prefix: str, record: Record) -> int:
    """
    Find the number that the channel gave a record.  Unlike
    L{number<twisted_sse.store.identifiers.number>} this believes what it sees: it is done for each
    record, and twice.

    @param prefix: what the channel's IDs begin with.
    @return: 0 if there is none.
    """
    text = record.place or record.event.id or ""
    if not text.startswith(prefix):
        return 0
    try:
        return int(text[len(prefix) + 1 :], 16)
    except ValueError:
        return 0


def toRow(channel: int, position: int, record: Record) -> Row:
    """
    Make the row of a record.

    @raise UnicodeEncodeError: if a topic is not valid text.
    """
    event, topics, private, time, place = record
    data = event.data
    size = len(data) if data is not None and data.isascii() else _measure(data)
    comment = event.comment
    if comment is not None:
        size += _measure(comment)
    kept = None
    if topics:
        kept = json.dumps(topics)
        size += sum(len(topic.encode()) for topic in topics)
    retry = event.retry
    return (
        channel,
        position,
        time,
        event.id if place else None,
        event.event,
        data,
        None if retry is None else str(retry),
        comment,
        kept,
        1 if private else 0,
        size,
    )


def toRecord(row: Sequence[Any], own: str) -> Record:
    """
    Make the record of a row.

    @param row: of the columns, those from C{time} on.
    @param own: the ID of the record, if it was given no other.
    @raise ValueError: if that is not a record.
    """
    time, given, event, data, retry, comment, topics, private = row[:8]
    try:
        return Record(
            Event(
                data,
                event,
                own if given is None else given,
                None if retry is None else int(retry),
                comment,
            ),
            () if topics is None else tuple(map(str, json.loads(topics))),
            bool(private),
            float(time),
            "" if given is None else own,
        )
    except TypeError as error:
        raise ValueError(str(error)) from error


def insert(connection: sqlite3.Connection, table: dict[int, str], rows: Sequence[Row]) -> None:
    """
    Store some rows.

    @param table: L{EVENTS} or L{TOPICS}.
    """
    start = 0
    for many, statement in table.items():
        while len(rows) - start >= many:
            connection.execute(statement, tuple(chain.from_iterable(rows[start : start + many])))
            start += many
