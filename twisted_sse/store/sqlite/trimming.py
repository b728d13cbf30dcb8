"""
Dropping the oldest events.
"""

from __future__ import annotations

import json
import sqlite3
from typing import NamedTuple

from .state import State

__all__ = ["Limits", "expires", "trim"]

#: How many events to drop in one transaction: 900,000 at once would hold everything up for half a
#: second.
SLICE = 1000

#: For how many topics the newest dropped event is remembered; and how many topics there may be in
#: one slice, before the last event of it.
MOST_TOPICS = 10_000


class Limits(NamedTuple):
    """
    What to keep of each channel.

    @ivar maxEvents: how many events at most.
    @ivar maxBytes: how many bytes of events at most.
    @ivar maxAge: for how many seconds at most.
    """

    maxEvents: int | None
    maxBytes: int | None
    maxAge: float | None


def expires(connection: sqlite3.Connection, state: State, limits: Limits) -> float | None:
    """
    @return: when the oldest event becomes too old; L{None} if it never does.
    """
    if limits.maxAge is None or state.count <= 0:
        return None
    if state.oldest is None:
        found = connection.execute(
            "SELECT CAST(time AS REAL) FROM events WHERE channel = ? ORDER BY position LIMIT 1",
            [state.channel],
        ).fetchone()
        if found is None:
            return None
        state.oldest = float(found[0])
    return state.oldest + limits.maxAge


def trim(connection: sqlite3.Connection, state: State, limits: Limits, now: float) -> bool:
    """
    Drop what is too much or too old, in the current transaction.

    @return: whether there is more to drop.
    """
    excess, isTooMuch = _excess(connection, state, limits, now)
    if excess <= 0 and not isTooMuch:
        return False
    oldest, newest = connection.execute(
        "SELECT (SELECT min(position) FROM events WHERE channel = ?),"
        " (SELECT max(position) FROM events WHERE channel = ?)",
        [state.channel, state.channel],
    ).fetchone()
    if oldest is None or newest - oldest + 1 < state.count:
        _recount(connection, state)
        return state.count > 0
    boundary = 0
    if excess > 0:
        boundary = connection.execute(
            "SELECT ifnull(max(position), 0) FROM"
            " (SELECT position FROM events WHERE channel = ? ORDER BY position LIMIT ?)",
            [state.channel, min(excess, SLICE)],
        ).fetchone()[0]
    if isTooMuch:
        boundary = max(boundary, _search(connection, state, limits, now))
    if boundary:
        _drop(connection, state, boundary)
    excess, isTooMuch = _excess(connection, state, limits, now)
    return excess > 0 or isTooMuch


def _excess(
    connection: sqlite3.Connection, state: State, limits: Limits, now: float
) -> tuple[int, bool]:
    """
    @return: how many events there are too many; and whether some are too old, or too many bytes.
    """
    end = expires(connection, state, limits)
    excess = 0 if limits.maxEvents is None else state.count - limits.maxEvents
    isTooLarge = limits.maxBytes is not None and state.bytes > limits.maxBytes
    return excess, isTooLarge or (end is not None and end <= now)


def _recount(connection: sqlite3.Connection, state: State) -> None:
    """
    Count again: another program has deleted events.
    """
    state.count, state.bytes = connection.execute(
        "SELECT count(*), CAST(total(size) AS INTEGER) FROM events WHERE channel = ?",
        [state.channel],
    ).fetchone()
    state.oldest = None


def _search(connection: sqlite3.Connection, state: State, limits: Limits, now: float) -> int:
    """
    @return: the position up to which events are too old, or too many bytes.
    """
    boundary = 0
    left = state.bytes
    rows = connection.execute(
        "SELECT position, CAST(time AS REAL), CAST(size AS INTEGER) FROM events"
        " WHERE channel = ? ORDER BY position LIMIT ?",
        [state.channel, SLICE],
    )
    for position, time, size in rows:
        isOld = limits.maxAge is not None and time + limits.maxAge <= now
        if not isOld and (limits.maxBytes is None or left <= limits.maxBytes):
            break
        boundary = position
        left -= size
    rows.close()
    if not boundary:
        _recount(connection, state)
    return boundary


def _drop(connection: sqlite3.Connection, state: State, boundary: int) -> None:
    if connection.execute(
        "SELECT 1 FROM events WHERE channel = ? AND position <= ? AND topics IS NOT NULL LIMIT 1",
        [state.channel, boundary],
    ).fetchone():
        boundary = _mark(connection, state, boundary)
    which = "channel = ? AND position <= ?", [state.channel, boundary]
    count, size = connection.execute(
        f"SELECT count(*), CAST(total(size) AS INTEGER) FROM events WHERE {which[0]}", which[1]
    ).fetchone()
    state.trimmedID = connection.execute(
        "SELECT id FROM events WHERE channel = ? AND position = ?", which[1]
    ).fetchone()[0]
    connection.execute(f"DELETE FROM events WHERE {which[0]}", which[1])
    if connection.execute(f"DELETE FROM holes WHERE {which[0]}", which[1]).rowcount:
        # It is not known what was missing there.
        state.forgotten = boundary
    state.count -= count
    state.bytes -= size
    state.trimmed = boundary
    state.oldest = None


def _mark(connection: sqlite3.Connection, state: State, boundary: int) -> int:
    """
    Remember of each topic the newest position that is dropped: a reader who is behind, but not that
    far, has missed nothing about it.

    @return: the position up to which to drop: less, if there are very many topics.
    """
    newest: dict[str, int] = {}
    rows = 0
    for position, topics in connection.execute(
        "SELECT position, topics FROM events"
        " WHERE channel = ? AND position <= ? AND topics IS NOT NULL ORDER BY position",
        [state.channel, boundary],
    ).fetchall():
        try:
            found = set(map(str, json.loads(topics)))
        except (TypeError, ValueError):
            state.forgotten = position
            continue
        rows += len(found)
        newest.update(dict.fromkeys(found, position))
        if rows >= MOST_TOPICS:
            boundary = position
            break
    channel = state.channel
    connection.executemany(
        "DELETE FROM topics WHERE channel = ? AND topic = ? AND position <= ?",
        [(channel, topic, boundary) for topic in newest],
    )
    again = connection.executemany(
        "DELETE FROM dropped WHERE channel = ? AND topic = ?",
        [(channel, topic) for topic in newest],
    ).rowcount
    connection.executemany(
        "INSERT INTO dropped VALUES(?, ?, ?)",
        [(channel, topic, position) for topic, position in newest.items()],
    )
    state.markers += len(newest) - again
    if state.markers > MOST_TOPICS + SLICE:
        _forget(connection, state)
    return boundary


def _forget(connection: sqlite3.Connection, state: State) -> None:
    """
    Forget the topics that have been quiet for longest.
    """
    found = connection.execute(
        "SELECT position FROM dropped WHERE channel = ? ORDER BY position DESC LIMIT 1 OFFSET ?",
        [state.channel, MOST_TOPICS],
    ).fetchone()
    if found is not None:
        state.forgotten = max(state.forgotten, found[0])
        state.markers -= connection.execute(
            "DELETE FROM dropped WHERE channel = ? AND position <= ?", [state.channel, found[0]]
        ).rowcount
