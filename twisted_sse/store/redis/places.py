"""
The IDs of entries in Redis' streams, and the places in a stream that they name.
"""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["LARGEST", "EntryID", "Place", "readID", "readPlace"]

#: The largest number in an ID.
LARGEST = 2**64 - 1

#: Nothing else: Redis takes C{1700}, C{01700-0}, C{(1700-0}, C{-} and C{+} for IDs, too.
_PLACE = re.compile(r"(<?)(0|[1-9][0-9]{0,19})-(0|[1-9][0-9]{0,19})", re.ASCII)


class EntryID(NamedTuple):
    """
    The ID of an entry.  IDs are ordered as the entries are: as numbers, not as text.

    @ivar ms: when it was made, in milliseconds of the server's clock since 1970, or later: they
        increase even if the clock is set back.
    @ivar seq: which it was of those in the same millisecond, from 0.
    """

    ms: int
    seq: int

    def __str__(self) -> str:
        return f"{self.ms}-{self.seq}"


class Place(NamedTuple):
    """
    A place in a stream.

    @ivar isBefore: whether it is before the entry, not after it.
    @ivar entry: the ID of the entry.
    """

    isBefore: bool
    entry: EntryID

    def __str__(self) -> str:
        return f"<{self.entry}" if self.isBefore else str(self.entry)


def readID(reply: bytes) -> EntryID:
    """
    Read an ID that the server has sent.
    """
    ms, _, seq = reply.partition(b"-")
    return EntryID(int(ms), int(seq))


def readPlace(text: str) -> Place | None:
    """
    Read what may name a place: the ID of an entry for the place after it, C{<} and the ID for
    that before it.

    @param text: any text, which comes from a client.
    @return: the place; L{None} if it is none.
    """
    found = _PLACE.fullmatch(text)
    if found is None:
        return None
    entry = EntryID(int(found[2]), int(found[3]))
    return Place(bool(found[1]), entry) if max(entry) <= LARGEST else None
