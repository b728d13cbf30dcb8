"""
What is known of one log while it is open.
"""

from __future__ import annotations

import sqlite3
from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from ..contract import Record
from ..identifiers import newToken, number, numbered
from .rows import toRecord
from .schema import COLUMNS

__all__ = ["Opened", "Run", "State", "begin", "discard", "load"]

#: How many runs without a record to remember: their IDs name places.
RUNS = 1000

_KEPT = ("count", "bytes", "last", "trimmed", "trimmedID", "forgotten", "markers", "breaks")
_SAVE = f"UPDATE channels SET {', '.join(f'{name} = ?' for name in _KEPT)} WHERE channel = ?"
_LOAD = f"SELECT channel, {', '.join(_KEPT)} FROM channels WHERE name = ?"
_ROW = ", ".join(COLUMNS[2:])


class Run(NamedTuple):
    """
    One opening of the log.

    @ivar number: from 1.
    @ivar token: what its IDs begin with.
    @ivar base: the position of its record C{n} is C{base + n}.
    @ivar survived: the last position of the run before that is still good.
    """

    number: int
    token: str
    base: int
    survived: int


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
        self.breaks = 0
        self.runs: list[Run] = []
        self.hole = 0
        self.generation = 0
        self.oldest: float | None = None
        self.keys: int | None = None
        self._bases: list[int] = []

    @property
    def token(self) -> str:
        """
        What the IDs of this run begin with.
        """
        return self.runs[-1].token

    @property
    def base(self) -> int:
        """
        The position of this run's record C{n} is C{base + n}.
        """
        return self.runs[-1].base

    def remember(self, runs: list[Run]) -> None:
        """
        Set C{runs}.
        """
        self.runs = runs
        self._bases = [run.base for run in runs]

    def own(self, position: int) -> str:
        """
        @return: the ID that was made for the record at a position.
        @raise ValueError: if no run is known that could have stored it.
        """
        index = bisect_left(self._bases, position) - 1
        if index < 0:
            raise ValueError(f"no run has the position {position}")
        run = self.runs[index]
        return numbered(run.token, position - run.base)

    def find(self, identifier: str) -> int | None:
        """
        Find the position of an ID that we made.

        @return: L{None} if it is none, or it cannot be known what followed it.
        """
        survived = None
        for run in reversed(self.runs):
            if identifier.startswith(run.token):
                found = number(run.token, identifier)
                if found is None:
                    return None
                position = run.base + found
                return position if survived is None or position <= survived else None
            survived = run.survived
        return None

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


class Opened(Protocol):
    """
    A log that is open, as the writer needs it.

    @ivar state: what is known of it.
    """

    state: State

    def broken(self, prefix: str, origin: str) -> None:
        """
        Tell the channel, in the reactor's thread.
        """

    def away(self, why: str | None) -> None:
        """
        Tell the channel, in the reactor's thread.
        """

    def end(self) -> None:
        """
        The file is closed.
        """


def load(connection: sqlite3.Connection, state: State) -> None:
    """
    Go back to what the file knows.
    """
    state.channel, *numbers = connection.execute(_LOAD, [state.name]).fetchone()
    state.restore(numbers)


def begin(
    connection: sqlite3.Connection, name: str, breaks: int, hole: int, recent: int, now: float
) -> tuple[State, list[Record], str]:
    """
    Begin a run, in the current transaction.

    @param name: of the channel.
    @param breaks: how often continuity was lost in all channels.
    @param hole: the position of a record of this channel that could not be stored, or 0.
    @param recent: how many of the newest records to return.
    @param now: the time.
    @return: the state, the newest records without a hole between them, and the place before these.
    """
    state = State(name)
    connection.execute("INSERT OR IGNORE INTO channels(name, breaks) VALUES(?, ?)", [name, breaks])
    load(connection, state)
    newest = connection.execute(
        "SELECT max(position) FROM events WHERE channel = ?", [state.channel]
    ).fetchone()[0]
    state.last = survived = max(state.last, newest or 0, hole)
    if state.breaks < breaks:
        # What was lost may have had the next positions.
        state.breaks = breaks
        state.last = hole = survived + 1
    if hole:
        connection.execute("INSERT OR IGNORE INTO holes VALUES(?, ?)", [state.channel, hole])
    _addRun(connection, state, survived, now)
    records, origin = _newest(connection, state, recent)
    # A file that is broken where trimming begins should say so now.
    connection.execute(
        f"SELECT {_ROW} FROM events WHERE channel = ? ORDER BY position LIMIT 1", [state.channel]
    ).fetchone()
    state.save(connection)
    return state, records, origin


def _addRun(connection: sqlite3.Connection, state: State, survived: int, now: float) -> None:
    runs = [
        Run(*row)
        for row in connection.execute(
            "SELECT run, token, base, survived FROM runs WHERE channel = ? ORDER BY run",
            [state.channel],
        )
    ]
    run = Run(runs[-1].number + 1 if runs else 1, newToken(), state.last, survived)
    runs.append(run)
    connection.execute(
        "INSERT INTO runs VALUES(?, ?, ?, ?, ?, ?)",
        [state.channel, run.number, run.token, run.base, run.survived, now],
    )
    if len(runs) > RUNS + RUNS // 10:
        runs = _prune(connection, state, runs)
    state.remember(runs)


def _prune(connection: sqlite3.Connection, state: State, runs: list[Run]) -> list[Run]:
    """
    Forget old runs of which no record is kept.
    """
    kept: list[Run] = []
    survived: int | None = None
    for index, run in enumerate(runs):
        if index < len(runs) - RUNS and max(run.base, state.trimmed) >= runs[index + 1].base:
            survived = run.survived if survived is None else min(survived, run.survived)
            connection.execute(
                "DELETE FROM runs WHERE channel = ? AND run = ?", [state.channel, run.number]
            )
            continue
        if survived is not None and survived < run.survived:
            # What a forgotten run did not find is still lost.
            run = run._replace(survived=survived)
            connection.execute(
                "UPDATE runs SET survived = ? WHERE channel = ? AND run = ?",
                [survived, state.channel, run.number],
            )
        survived = None
        kept.append(run)
    return kept


def _newest(connection: sqlite3.Connection, state: State, recent: int) -> tuple[list[Record], str]:
    floor: int = connection.execute(
        "SELECT ifnull(max(position), 0) FROM holes WHERE channel = ?", [state.channel]
    ).fetchone()[0]
    rows = connection.execute(
        f"SELECT position, {_ROW} FROM events WHERE channel = ? AND position > ?"
        # One more, to name the place before them.
        " ORDER BY position DESC LIMIT ?",
        [state.channel, floor, recent + 1],
    ).fetchall()
    records: list[tuple[int, Record]] = []
    for position, *row in rows:
        try:
            records.append((position, toRecord(row, state.own(position))))
        except ValueError:
            discard(connection, state, position)
            break
    records.reverse()
    if len(records) > recent:
        origin = state.own(records.pop(0)[0])
    elif records:
        # Not trimmed, and no record had this position.
        before = records[0][0] - 1
        run = next(run for run in reversed(state.runs) if run.base <= before)
        origin = numbered(run.token, before - run.base)
    else:
        origin = numbered(state.token, 0)
    return [record for _, record in records], origin


def discard(connection: sqlite3.Connection, state: State, position: int) -> None:
    """
    Drop a row that is no record, and remember that something is missing there.
    """
    found = connection.execute(
        "SELECT size FROM events WHERE channel = ? AND position = ?", [state.channel, position]
    ).fetchone()
    if found is None:
        return
    connection.execute(
        "DELETE FROM events WHERE channel = ? AND position = ?", [state.channel, position]
    )
    connection.execute("INSERT OR IGNORE INTO holes VALUES(?, ?)", [state.channel, position])
    state.count -= 1
    state.bytes -= found[0] if isinstance(found[0], int) else 0
