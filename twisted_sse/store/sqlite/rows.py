"""
Records as rows of a table, and back.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

from ...format.event import Event
from ..contract import Record
from .schema import COLUMNS

__all__ = ["Row", "insert", "toRecord", "toRow"]

#: An event as it is stored: its columns.
Row = tuple[Any, ...]

# A statement for many rows holds Python's lock once, not once for each row: a reactor that is busy
# hands the lock over only every few milliseconds.  Before 3.32, SQLite takes 999 parameters.
_MANY = (1000, 100, 10, 1) if sqlite3.sqlite_version_info >= (3, 32) else (80, 10, 1)
_ONE = f"({', '.join('?' * len(COLUMNS))})"
_INSERT = {
    many: f"INSERT INTO events({', '.join(COLUMNS)}) VALUES {', '.join([_ONE] * many)}"
    for many in _MANY
}


def _measure(text: str | None) -> int:
    if text is None:
        return 0
    return len(text) if text.isascii() else len(text.encode())


def toRow(channel: int, position: int, record: Record) -> Row:
    """
    Make the row of a record.

    @raise UnicodeEncodeError: if a topic is no text.
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
    @raise ValueError: if that is no record.
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


def insert(connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
    """
    Store some rows.
    """
    start = 0
    for many in _MANY:
        while len(rows) - start >= many:
            some: Iterable[Any] = chain.from_iterable(rows[start : start + many])
            connection.execute(_INSERT[many], tuple(some))
            start += many
