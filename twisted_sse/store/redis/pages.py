"""
How much of a stream to ask for at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .entries import sizeOf

__all__ = ["Entry", "Pages"]

#: An entry as the server sends it: its ID, and the names and values of its fields in turn.
Entry = Sequence[Any]

#: The most entries to ask for at once: their events are made in one turn of the reactor.
MOST = 500

#: How large an entry is at first believed to be, in bytes.  Most are smaller, but if a thousand
#: large ones were asked for at once, their server would have to have that much memory, and we as well.
LARGE = 2.0**14


class Pages:
    """
    Redis counts entries, not bytes: so we guess from those that have come how many entries have
    how many bytes.
    """

    def __init__(self) -> None:
        self._size = LARGE

    def count(self, maxBytes: int, most: int = MOST) -> int:
        """
        @return: how many entries to ask for to get about this number of bytes.
        """
        return max(1, min(most, int(maxBytes / self._size)))

    def learn(self, entries: Sequence[Entry]) -> None:
        """
        Take into account how large some entries are.
        """
        if entries:
            size = sum([sizeOf(fields) for _, fields in entries]) / len(entries)
            # Large ones at once, small ones by and by: too many are worse than too few.
            self._size = max(size, (3 * self._size + size) / 4)
