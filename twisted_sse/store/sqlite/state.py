"""
What is known of one log while it is open.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from ..contract import Record
from ..identifiers import numbered
from .rows import toRecord
from .runs import Runs, extend, loadRuns, renew, replacement, saveRuns
from .schema import COLUMNS

__all__ = ["State", "begin", "discard", "load"]

_KEPT = ("count", "bytes", "last", "trimmed", "trimmedID", "forgotten", "markers", "void", "breaks")
_SAVE = f"UPDATE channels SET {', '.join(f'{name} = ?' for name in _KEPT)} WHERE channel = ?"
_LOAD = f"SELECT channel, {', '.join(_KEPT)} FROM channels WHERE name = ?"
_ROW = ", ".join(COLUMNS[2:])

#: More records than a file can have: SQLite's numbers have 64 bits.
_MOST = 2**62


class State:
    """
    What is known of one log.  The writer changes it; a reader may look at C{runs} and C{hole}.

    For its numbers see L{schema<twisted_sse.store.sqlite.schema>}.

    @ivar runs: the openings that are remembered, this one last.
    @ivar hole: the position of the newest record that could not be stored, if the file does not
        know it yet; else 0.
    @ivar oldest: the time of the oldest record; L{None} if it is not known.
    @ivar generation: in which file it is, if a broken one was replaced.
    @ivar keys: how many idempotency keys are remembered; L{None} if it is not known.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.channel = 0
        self.count = 0
        self.bytes = 0
        self.last = 0
        self.trimmed = 0
        self.trimmedID: str | None = None
        self.forgotten = 0
        self.markers = 0
        self.void = 0
        self.breaks = 0
        self.runs = Runs(())
        self.hole = 0
        self.generation = 0
        self.oldest: float | None = None
        self.keys: int | None = None

    @property
    def token(self) -> str:
        """
        What the IDs of this run begin with.
        """
        return self.runs.current.token

    @property
    def base(self) -> int:
        """
        The position of this run's record C{n} is C{base + n}.
        """
        return self.runs.current.base

    def save(self, connection: sqlite3.Connection) -> None:
        """
        Write it down, in the current transaction.
        """
        connection.execute(_SAVE, [*self.numbers(), self.channel])

    def numbers(self) -> list[int | str | None]:
        """
        @return: what C{save} writes.
        """
        return [getattr(self, name) for name in _KEPT]

    def restore(self, numbers: Sequence[int | str | None]) -> None:
        """
        Go back to what C{numbers} returned.
        """
        for name, value in zip(_KEPT, numbers, strict=True):
            setattr(self, name, value)
        self.oldest = self.keys = None


def load(connection: sqlite3.Connection, state: State) -> None:
    """
    Go back to what the file knows.
    """
    state.channel, *numbers = connection.execute(_LOAD, [state.name]).fetchone()
    state.restore(numbers)


def begin(
    connection: sqlite3.Connection, name: str, breaks: int, hole: int, recent: int
) -> tuple[State, list[Record], str]:
    """
    Begin a run, in the current transaction.

    @param name: of the channel.
    @param breaks: how often continuity was lost in all channels.
    @param hole: the position of a record of this channel that could not be stored, or 0.
    @param recent: how many of the newest records to return.
    @return: the state, the newest records without a hole between them, and the place before these.
    """
    state = State(name)
    connection.execute("INSERT OR IGNORE INTO channels(name, breaks) VALUES(?, ?)", [name, breaks])
    load(connection, state)
    newest = connection.execute(
        "SELECT max(position) FROM events WHERE channel = ?", [state.channel]
    ).fetchone()[0]
    state.last = max(state.last, newest or 0, hole)
    _beginRun(connection, state, breaks, hole)
    records, origin = _newest(connection, state, recent)
    # A file that is broken where trimming begins should say so now.
    connection.execute(
        f"SELECT {_ROW} FROM events WHERE channel = ? ORDER BY position LIMIT 1", [state.channel]
    ).fetchone()
    state.save(connection)
    return state, records, origin


def _beginRun(connection: sqlite3.Connection, state: State, breaks: int, hole: int) -> None:
    """
    Begin a run, after closing holes.
    """
    known = loadRuns(connection, state.channel)
    found = connection.execute(
        "SELECT ifnull(max(position), 0) FROM holes WHERE channel = ?", [state.channel]
    ).fetchone()[0]
    void = max(found, hole)
    if state.breaks < breaks:
        state.breaks = breaks
        void = state.last
        known = replacement(state.trimmed)
    elif void:
        known = renew(known, state.trimmed, void, state.last)
    if void:
        state.void = void
        connection.execute("DELETE FROM holes WHERE channel = ?", [state.channel])
    known = extend(known, state.last, state.trimmed)
    saveRuns(connection, state.channel, known)
    state.runs = Runs(known)


def _newest(connection: sqlite3.Connection, state: State, recent: int) -> tuple[list[Record], str]:
    floor: int = connection.execute(
        "SELECT ifnull(max(position), 0) FROM holes WHERE channel = ?", [state.channel]
    ).fetchone()[0]
    rows = connection.execute(
        f"SELECT position, {_ROW} FROM events WHERE channel = ? AND position > ?"
        # One more, to name the place before them.
        " ORDER BY position DESC LIMIT ?",
        [state.channel, floor, min(recent, _MOST) + 1],
    ).fetchall()
    records: list[tuple[int, Record]] = []
    for position, *row in rows:
        try:
            records.append((position, toRecord(row, state.runs.own(position))))
        except ValueError:
            discard(connection, state, position)
            break
    records.reverse()
    if len(records) > recent:
        origin = state.runs.own(records.pop(0)[0])
    elif records:
        # Not trimmed, and no record had this position.
        origin = state.runs.before(records[0][0])
    else:
        origin = numbered(state.token, 0)
    return [record for _, record in records], origin


def discard(connection: sqlite3.Connection, state: State, position: int) -> None:
    """
    Drop a row that is not a record, and remember that something is missing there.
    """
    found = connection.execute(
        "SELECT CAST(size AS INTEGER) FROM events WHERE channel = ? AND position = ?",
        [state.channel, position],
    ).fetchone()
    if found is None:
        return
    connection.execute(
        "DELETE FROM events WHERE channel = ? AND position = ?", [state.channel, position]
    )
    connection.execute("INSERT OR IGNORE INTO holes VALUES(?, ?)", [state.channel, position])
    state.count -= 1
    state.bytes -= found[0]
