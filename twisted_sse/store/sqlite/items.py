"""
What the threads are asked to do.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeAlias

from ..contract import Record
from .state import Opened, State

__all__ = ["Append", "Barrier", "Broken", "Item", "Question", "Read", "Repair", "Stop", "leading"]

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


class Read(NamedTuple):
    """
    Read what follows a place: see C{EventLog.read}.

    @ivar settle: takes the records, or why there are none.
    """

    log: Opened
    after: str | None
    maxBytes: int
    topics: frozenset[str] | None
    settle: Callable[[Sequence[Record] | Exception], object]


class Barrier(NamedTuple):
    """
    Call a function in the thread that is asked, when all before is done.
    """

    then: Callable[[], object]


class Repair(NamedTuple):
    """
    Drop a row that is no record, then call a function in the reactor's thread.
    """

    state: State
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
    End.  The writer closes the file before it does; then a function is called in the reactor's
    thread.
    """

    then: Callable[[], object]


#: For the writer.
Item: TypeAlias = Append | Barrier | Repair | Broken | Stop

#: For the reader.
Question: TypeAlias = Read | Barrier | Stop


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
