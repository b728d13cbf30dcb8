"""
What the threads are asked to do.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol, TypeAlias

from twisted.internet.defer import Deferred

from ..contract import Record
from .state import State

__all__ = [
    "Append",
    "Barrier",
    "Broken",
    "Item",
    "Opened",
    "Question",
    "Read",
    "Repair",
    "Stop",
    "leading",
]


class Opened(Protocol):
    """
    A log that is open, as the threads need it.

    @ivar state: what is known of it.
    """

    state: State

    def settle(self, append: Append, found: Sequence[str] | Exception) -> None:
        """
        Say what has become of records, in the reactor's thread.

        @param found: their IDs, or why they were not stored.
        """

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
        It is being closed: nothing more may be asked of it.
        """


class Append(NamedTuple):
    """
    Store some records.

    @ivar prefix: what the IDs of the records begin with.
    @ivar last: the number of the last record.
    @ivar outcome: is fired by C{log.settle}.
    """

    log: Opened
    prefix: str
    last: int
    records: Sequence[Record]
    key: str | None
    outcome: Deferred[Sequence[str]]


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
    Drop a row that is not a record, then call a function in the reactor's thread.
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
