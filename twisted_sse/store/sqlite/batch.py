"""
What one transaction stores.
"""

from __future__ import annotations

from collections.abc import Callable

from ..contract import NotStored
from .items import Append
from .rows import Row, numberOf, toRow
from .state import State

__all__ = ["Batch"]


class Batch:
    """
    What one transaction stores.
    """

    def __init__(self, now: float) -> None:
        self.now = now
        self.rows: list[Row] = []
        self.topics: list[tuple[int, str, int]] = []
        self.touched: dict[State, list[int | str | None]] = {}
        self.outcomes: list[Callable[[], object]] = []
        self.bytes = 0

    def touch(self, state: State) -> None:
        """
        A log is about to change.
        """
        if state not in self.touched:
            self.touched[state] = state.numbers()

    def rollBack(self) -> None:
        """
        No log has changed.
        """
        for state, numbers in self.touched.items():
            state.restore(numbers)

    def add(self, append: Append) -> list[str]:
        """
        Add the rows of some records.

        @return: their IDs.
        @raise NotStored: if they are not numbered as they should be.
        @raise UnicodeEncodeError: if a topic is not valid text.
        """
        state = append.log.state
        channel, last, base = state.channel, state.last, state.base
        numbers = [numberOf(append.prefix, each) for each in append.records[:-1]]
        numbers.append(append.last)
        ids = []
        size = 0
        for number, record in zip(numbers, append.records, strict=True):
            position = base + number
            if position <= last:
                raise NotStored(False, f"{record!r} does not have the expected number")
            row = toRow(channel, position, record)
            self.rows.append(row)
            ids.append(record.event.id or "")
            size += row[-1]
            for topic in set(record.topics) if record.topics else ():
                self.topics.append((channel, topic, position))
            last = position
        state.last = last
        state.count += len(ids)
        state.bytes += size
        self.bytes += size
        return ids

    def remove(self, rows: int, topics: int) -> None:
        """
        Go back to what there was before C{add} has failed.

        @param rows: how many rows there were.
        @param topics: and how many of topics.
        """
        del self.rows[rows:]
        del self.topics[topics:]
