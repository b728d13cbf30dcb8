"""
What is queued for a client that does not read, and what is dropped when it becomes too much.
"""

from __future__ import annotations

from collections import deque
from enum import Enum

from ..format.encoded import Batch, Encoded
from ..format.event import Event

__all__ = ["Pending", "SlowReader"]


class SlowReader(Enum):
    """
    What happens to a client that reads more slowly than its events are sent, once more than
    C{maxPending} bytes are queued for it.

    @cvar DISCONNECT: the connection is aborted.  The client comes back with the last event ID
        that it has seen, so that it can be sent what it missed.
    @cvar DROP_OLDEST: the oldest events of the queue are dropped.
    @cvar LATEST: only the newest event of each type is kept in the queue.

    What the last two drop is lost for good, since the client's last event ID moves past it.
    When the client reads again, it first gets an event of type C{stream-gap}, whose data is
    the number of events dropped.

    @since: 0.1
    """

    DISCONNECT = "disconnect"
    DROP_OLDEST = "drop-oldest"
    LATEST = "latest"


class Pending:
    """
    The events that are queued for one client, in order.

    @ivar bytes: how many bytes are queued, without those of an event that has begun to leave.
    """

    __slots__ = ("_dropped", "_entries", "_rest", "bytes")

    def __init__(self) -> None:
        self._entries: deque[Encoded] = deque()
        # Of an event that is larger than what is handed over at a time, and has begun to
        # leave: no other may come between.
        self._rest: memoryview | None = None
        # How many events were dropped of which the client has not been told.
        self._dropped = 0
        self.bytes = 0

    def __bool__(self) -> bool:
        return bool(self._entries) or self._rest is not None

    def append(self, event: Encoded) -> None:
        """
        Queue an event behind all others.
        """
        self._entries.append(event)
        self.bytes += len(event.data)

    def extend(self, batch: Batch) -> None:
        """
        Queue many events behind all others.
        """
        self._entries.extend(batch.encoded)
        self.bytes += len(batch.data)

    def take(self, size: int) -> tuple[bytes, int]:
        """
        Take events from the front: whole ones, or a part of one that is larger than that.  If
        some were dropped, an event comes first that tells the client how many.

        @param size: how many bytes at most.
        @return: their bytes, and how many events begin in them.
        """
        entries = self._entries
        if self._dropped and self._rest is None:
            gap = Encoded(Event(str(self._dropped), event="stream-gap"))
            self._dropped = 0
            entries.appendleft(gap)
            self.bytes += len(gap.data)
        pieces: list[bytes] = []
        room = size
        events = 0
        if self._rest is None and entries and len(entries[0].data) > size:
            event = entries.popleft()
            self.bytes -= len(event.data)
            events = event.type is not None
            self._rest = memoryview(event.data)
        if self._rest is not None:
            piece = bytes(self._rest[:size])
            self._rest = self._rest[size:] or None
            return piece, events
        while entries and len(entries[0].data) <= room:
            event = entries.popleft()
            self.bytes -= len(event.data)
            events += event.type is not None
            pieces.append(event.data)
            room -= len(event.data)
        return b"".join(pieces), events

    def makeRoom(self, policy: SlowReader, coming: Encoded, limit: int) -> int:
        """
        Drop what the policy says, so that an event fits that is to be appended.

        @param limit: how many bytes may be queued, it included.
        @return: how many events were dropped.
        """
        size = len(coming.data)
        dropped = self._keepLatest(coming.type) if policy is SlowReader.LATEST else 0
        while self._entries and self.bytes + size > limit:
            old = self._entries.popleft()
            self.bytes -= len(old.data)
            dropped += old.type is not None
        self._dropped += dropped
        return dropped

    def _keepLatest(self, coming: str | None) -> int:
        """
        Keep the newest event of each type, and none of the type that is coming.
        """
        dropped = 0
        newest: deque[Encoded] = deque()
        seen = {None, coming}
        for event in reversed(self._entries):
            if event.type in seen:
                dropped += event.type is not None
                self.bytes -= len(event.data)
            else:
                seen.add(event.type)
                newest.appendleft(event)
        self._entries = newest
        return dropped
