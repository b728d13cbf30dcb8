"""
The openings of a log, and which IDs they gave.
"""

from __future__ import annotations

import sqlite3
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ..identifiers import newToken, number, numbered

__all__ = ["Run", "Runs", "extend", "loadRuns", "renew", "replacement", "saveRuns"]

#: How many runs without a record to remember: their IDs name places.
RUNS = 1000


class Run(NamedTuple):
    """
    One opening of the log.

    @ivar token: what its IDs begin with.
    @ivar base: the position of its record C{n} is C{base + n}.
    @ivar start: it has the positions after this.
    @ivar survived: the last position of the run before that is still good.
    """

    token: str
    base: int
    start: int
    survived: int


class Runs:
    """
    All openings of a log that are remembered, this one last.  It does not change, so any thread may
    use it.
    """

    def __init__(self, runs: Sequence[Run]) -> None:
        self._runs = runs
        self._starts = [run.start for run in runs]

    @property
    def current(self) -> Run:
        """
        This opening.
        """
        return self._runs[-1]

    def own(self, position: int) -> str:
        """
        @return: the ID that was made for the record at a position.
        @raise ValueError: if no run is known that could have stored it.
        """
        index = bisect_left(self._starts, position) - 1
        if index < 0:
            raise ValueError(f"no run has the position {position}")
        run = self._runs[index]
        return numbered(run.token, position - run.base)

    def before(self, position: int) -> str:
        """
        @return: an ID for the place before a record, where no record is.
        """
        index = bisect_left(self._starts, position) - 1
        run = self._runs[index]
        return numbered(run.token, position - 1 - run.base)

    def made(self, identifier: str) -> bool:
        """
        Whether an ID begins as those that we make, or have made.
        """
        return any(identifier.startswith(run.token) for run in self._runs)

    def find(self, identifier: str) -> int | None:
        """
        Find the position of an ID that we made.

        @return: L{None} if it is none, or it cannot be known what followed it.
        """
        survived = None
        for run in reversed(self._runs):
            if identifier.startswith(run.token):
                found = number(run.token, identifier)
                position = -1 if found is None else run.base + found
                if position < run.start or (survived is not None and position > survived):
                    return None
                return position
            survived = run.survived
        return None


def loadRuns(connection: sqlite3.Connection, channel: int) -> list[Run]:
    """
    Load the runs of a channel.
    """
    return [
        Run(*row)
        for row in connection.execute(
            "SELECT token, base, start, survived FROM runs WHERE channel = ? ORDER BY run",
            [channel],
        )
    ]


def saveRuns(connection: sqlite3.Connection, channel: int, runs: Iterable[Run]) -> None:
    """
    Write the runs of a channel down, in the current transaction.
    """
    connection.execute("DELETE FROM runs WHERE channel = ?", [channel])
    connection.executemany(
        "INSERT INTO runs VALUES(?, ?, ?, ?, ?, ?)",
        [(channel, index, *run) for index, run in enumerate(runs)],
    )


def renew(runs: Sequence[Run], trimmed: int, void: int, last: int) -> list[Run]:
    """
    Give new IDs to the records up to a hole, so that those from before are unknown.

    @param trimmed: the position after which there are records.
    @param void: the position of the hole.
    @param last: the last position.
    """
    kept = []
    ends = [run.start for run in runs[1:]]
    for run, end in zip(runs, [*ends, last], strict=True):
        if end >= void:
            kept.append(run._replace(start=max(run.start, void), survived=max(run.survived, void)))
    return [*replacement(trimmed), *kept]


def replacement(trimmed: int) -> list[Run]:
    """
    Give new IDs to all records.

    @param trimmed: the position after which there are records.
    """
    return [Run(newToken(), trimmed, trimmed, trimmed)]


def extend(runs: Sequence[Run], last: int, trimmed: int) -> list[Run]:
    """
    Begin a new run, and forget old ones without records.

    @param last: the last position.
    @param trimmed: the position after which there are records.
    """
    extended = [*runs, Run(newToken(), last, last, last)]
    return extended if len(extended) <= RUNS + RUNS // 10 else _prune(extended, trimmed)


def _prune(runs: Sequence[Run], trimmed: int) -> list[Run]:
    kept: list[Run] = []
    survived: int | None = None
    for index, run in enumerate(runs):
        if survived is not None:
            # What a forgotten run did not find is still lost.
            run = run._replace(survived=min(survived, run.survived))
            survived = None
        if index < len(runs) - RUNS and max(run.start, trimmed) >= runs[index + 1].start:
            survived = run.survived
        else:
            kept.append(run)
    return kept
