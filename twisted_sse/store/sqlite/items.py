"""
What the writer is asked to do.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeAlias

from ..contract import Record
from .state import Opened

__all__ = ["Append", "Barrier", "Broken", "Item", "Repair", "Stop", "leading"]

#: Takes the IDs of what was stored, or why it was not.
Settle: TypeAlias = Callable[["Sequence[str] | Exception"], object]


class Append(NamedTuple):
    """
    Store some records.

    @ivar prefix: what the IDs of the records begin with.
    @ivar last: the number of the last record.
    """

    log: Opened
    prefix: str
    last: int
    records: Sequence[Record]
    key: str | None
    settle: Settle


class Barrier(NamedTuple):
    """
    Call a function in the writer's thread when all before is done.
    """

    then: Callable[[], object]


class Repair(NamedTuple):
    """
    Drop a row that is no record, then call a function in the reactor's thread.
    """

    log: Opened
    position: int
    why: str
    then: Callable[[], object]


class Broken(NamedTuple):
    """
    The file is broken: set it aside, then call a function in the reactor's thread.

    @ivar generation: which file it is.
    """

    generation: int
    error: sqlite3.Error
    then: Callable[[], object]


class Stop(NamedTuple):
    """
    Close the file and end, then call a function in the reactor's thread.
    """

    then: Callable[[], object]


Item: TypeAlias = Append | Barrier | Repair | Broken | Stop


def leading(items: Iterable[Item]) -> list[Append]:
    """
    @return: what is to be stored first, and can be in one transaction.
    """
    appends: list[Append] = []
    for item in items:
        if not isinstance(item, Append):
            break
        appends.append(item)
    return appends
