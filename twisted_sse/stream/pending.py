"""
The queue of a client that does not read, and what is dropped when it is full.
"""

from __future__ import annotations

from collections import deque
from enum import Enum

from ..format.encoded import Batch, Encoded
from ..format.event import Event

__all__ = ["Pending", "SlowReader"]


class SlowReader(Enum):
    """
    What to do about a client that reads more slowly than its events are sent, once more than
    C{maxPending} bytes are queued for it.

    @cvar DISCONNECT: abort the connection.  The client reconnects with the last event ID that it
        has seen, so that it can be sent what it missed.
    @cvar DROP_OLDEST: drop the oldest events in the queue.
    @cvar LATEST: keep only the newest event of each type in the queue.

    Events dropped by the last two are lost for good, since the client's last event ID moves past
    them.  When the client reads again, it first gets an event of type C{stream-gap}, whose data
    is C{{"dropped": 5}}, with the number of dropped events.

    @since: 0.1
    """

    DISCONNECT = "disconnect"
    DROP_OLDEST = "drop-oldest"
    LATEST = "latest"


class Pending:
    """
    The events that are queued for one client, in order.

    @ivar bytes: how many bytes are queued, not counting an event that is partly sent.
    """

    __slots__ = ("_dropped", "_entries", "_rest", "bytes")

    def __init__(self) -> None:
        self._entries: deque[Encoded] = deque()
        # The rest of a large event that is partly sent: no other event may come in between.
        self._rest: memoryview | None = None
        # How many events were dropped that the client has not been told about.
        self._dropped = 0
        self.bytes = 0

    def __bool__(self) -> bool:
        return bool(self._entries) or self._rest is not None

    def append(self, event: Encoded) -> None:
        """
        Append an event.
        """
        self._entries.append(event)
        self.bytes += len(event.data)

    def extend(self, batch: Batch) -> None:
        """
        Append many events.
        """
        self._entries.extend(batch.encoded)
        self.bytes += len(batch.data)

    def take(self, size: int) -> tuple[bytes, int]:
        """
        Take events from the front: whole ones, or a part of one that is larger than C{size}.  If
        any were dropped, the first is a C{stream-gap} that tells the client how many.

        @param size: how many bytes to take at most.
        @return: their bytes, and how many events begin in them.
        """
        entries = self._entries
        if self._dropped and self._rest is None:
            gap = Encoded(Event.json({"dropped": self._dropped}, event="stream-gap"))
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
        Drop events as the policy says, to make room for one that will be appended.

        @param limit: how many bytes may be queued, including that event.
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
        Keep the newest event of each type, and none of the incoming type.
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
