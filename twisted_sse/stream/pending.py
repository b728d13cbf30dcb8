"""
The queue of a client that does not read, and what is dropped when it is full.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import Enum

from ..checks import checkInteger
from ..format.encoded import Batch, Encoded
from ..format.event import Event

__all__ = ["Pending", "PendingTotal", "SlowReader"]

#: What a queued event costs besides its bytes: its object, and places in tables, in bytes.
OVERHEAD = 200


class SlowReader(Enum):
    """
    What to do about a client that reads more slowly than its events are sent, once more than
    C{maxPending} bytes are queued for it.

    @cvar DISCONNECT: abort the connection.  The client reconnects with the last event ID that it
        has seen, so that it can be sent what it missed.
    @cvar DROP_OLDEST: drop the oldest events in the queue.
    @cvar LATEST: keep only the newest event of each type in the queue.

    Events dropped by the last two are lost permanently, since the client's last event ID moves past
    them.  When the client reads again, it first gets an event of type C{stream-gap}, whose data
    is C{{"dropped": 5}}, with the number of dropped events.

    @since: 0.2
    """

    DISCONNECT = "disconnect"
    DROP_OLDEST = "drop-oldest"
    LATEST = "latest"


class PendingTotal:
    """
    Limits what is queued for all clients of a resource, or of several resources, together.

    It counts memory: an event that is queued for many clients counts once.  Beyond the limit, the
    client with the longest queue is disconnected, and the next, until what is left is within it.

    @ivar limit: how many bytes there may be; L{None} for any number.
    @ivar bytes: how many there are.

    @since: 0.2
    """

    def __init__(self, limit: int | None) -> None:
        """
        @param limit: how many bytes may be queued; L{None} for any number.
        @raise ValueError: if it is out of range.
        """
        checkInteger("maxPendingTotal", limit, 1)
        self.limit = limit
        self.bytes = 0
        # How many queues each event is in.
        self._events: dict[Encoded, int] = {}
        # For each queue: a function that disconnects its client.
        self._queues: dict[Pending, Callable[[], object]] = {}
        self._isEnforcing = False

    def enter(self, queue: Pending, disconnect: Callable[[], object]) -> None:
        """
        A client has a queue.

        @param disconnect: a function that disconnects the client, which empties the queue.
        """
        self._queues[queue] = disconnect

    def exit(self, queue: Pending) -> None:
        """
        A client has no queue any more.
        """
        del self._queues[queue]

    def add(self, event: Encoded) -> None:
        """
        An event is queued.
        """
        queues = self._events.get(event, 0)
        self._events[event] = queues + 1
        if not queues:
            self.bytes += len(event.data) + OVERHEAD

    def remove(self, event: Encoded) -> None:
        """
        An event has left a queue.
        """
        queues = self._events[event] - 1
        if queues:
            self._events[event] = queues
        else:
            del self._events[event]
            self.bytes -= len(event.data) + OVERHEAD

    def enforce(self) -> None:
        """
        Disconnect clients until the rest is within the limit.
        """
        # An application that reacts to the end of one client may send to others: then the loop
        # below goes on when it returns, rather than one call within the other for each client.
        limit = self.limit
        if limit is None or self.bytes <= limit or self._isEnforcing:
            return
        self._isEnforcing = True
        try:
            while self.bytes > limit and self._queues:
                longest = max(self._queues, key=lambda queue: queue.size)
                self._queues[longest]()
        finally:
            self._isEnforcing = False


class Pending:
    """
    The events that are queued for one client, in order.

    @ivar bytes: how many bytes are queued, not counting an event that is partly sent.
    """

    __slots__ = ("_dropped", "_entries", "_partly", "_rest", "_total", "bytes")

    def __init__(self, total: PendingTotal) -> None:
        """
        @param total: counts what is queued for all clients.
        """
        self._total = total
        self._entries: deque[Encoded] = deque()
        # A large event that is partly sent, and its rest: no other event may come in between.
        self._partly: Encoded | None = None
        self._rest: memoryview | None = None
        # How many events were dropped without a C{stream-gap} yet.
        self._dropped = 0
        self.bytes = 0

    def __bool__(self) -> bool:
        return bool(self._entries) or self._rest is not None

    @property
    def size(self) -> int:
        """
        How many bytes are kept in memory: all of an event that is partly sent, too.
        """
        return self.bytes + (len(self._partly.data) if self._partly is not None else 0)

    def append(self, event: Encoded) -> None:
        """
        Append an event.
        """
        self._entries.append(event)
        self._total.add(event)
        self.bytes += len(event.data)

    def extend(self, batch: Batch) -> None:
        """
        Append many events.
        """
        self._entries.extend(batch.encoded)
        for event in batch.encoded:
            self._total.add(event)
        self.bytes += len(batch.data)

    def clear(self) -> None:
        """
        Drop everything: the client is gone.
        """
        while self._entries:
            self._popped(self._entries.popleft())
        self._finishPart()

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
            self._total.add(gap)
            self.bytes += len(gap.data)
        pieces: list[bytes] = []
        room = size
        events = 0
        if self._rest is None and entries and len(entries[0].data) > size:
            event = self._partly = entries.popleft()
            self.bytes -= len(event.data)
            events = event.type is not None
            self._rest = memoryview(event.data)
        if self._rest is not None:
            piece = bytes(self._rest[:size])
            self._rest = self._rest[size:] or None
            if self._rest is None:
                self._finishPart()
            return piece, events
        while entries and len(entries[0].data) <= room:
            event = self._popped(entries.popleft())
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
            dropped += self._popped(self._entries.popleft()).type is not None
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
                dropped += self._popped(event).type is not None
            else:
                seen.add(event.type)
                newest.appendleft(event)
        self._entries = newest
        return dropped

    def _popped(self, event: Encoded) -> Encoded:
        """
        An event is not queued any more.
        """
        self.bytes -= len(event.data)
        self._total.remove(event)
        return event

    def _finishPart(self) -> None:
        partly, self._partly, self._rest = self._partly, None, None
        if partly is not None:
            self._total.remove(partly)
