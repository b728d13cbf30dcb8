"""
What waits for a client that does not read, and what is dropped when it becomes too much.
"""

from __future__ import annotations

from collections import deque
from enum import Enum

from .event import Event

__all__ = ["Pending", "SlowReader"]


class SlowReader(Enum):
    """
    What happens to a client that reads more slowly than its events are sent, once more than
    C{maxPending} bytes wait for it.

    @cvar DISCONNECT: the connection is aborted.  The client comes back, and with it comes
        the last event ID that it has seen, so that it can be sent what it missed.
    @cvar DROP_OLDEST: what has waited longest is dropped.
    @cvar LATEST: of what is waiting only the newest event of each type is kept.

    What the last two drop is lost for good, since the client's last event ID moves past it.
    When the client reads again, it first gets an event of type C{stream-gap}, whose data is
    the number of events dropped.

    @since: 0.1
    """

    DISCONNECT = "disconnect"
    DROP_OLDEST = "drop-oldest"
    LATEST = "latest"


def _typeOf(event: Event) -> str | None:
    return None if event.data is None else event.event or "message"


class Pending:
    """
    The events that wait for one client, encoded, in order.

    Each is kept with its type; what is no event to the client (a comment, a reconnection
    time) has none, and is not counted.

    @ivar bytes: how many bytes are waiting.
    """

    __slots__ = ("_entries", "bytes")

    def __init__(self) -> None:
        self._entries: deque[tuple[str | None, bytes]] = deque()
        self.bytes = 0

    def __bool__(self) -> bool:
        return bool(self._entries)

    def append(self, event: Event) -> None:
        """
        Let an event wait behind all others.
        """
        data = event.encode()
        self._entries.append((_typeOf(event), data))
        self.bytes += len(data)

    def prepend(self, event: Event) -> None:
        """
        Let an event wait before all others.
        """
        data = event.encode()
        self._entries.appendleft((_typeOf(event), data))
        self.bytes += len(data)

    def take(self, size: int) -> tuple[bytes, int]:
        """
        Take whole events from the front: at least one, at most C{size} bytes if it can be.

        @return: their bytes, and how many events they are.
        """
        entries = self._entries
        pieces: list[bytes] = []
        taken = events = 0
        while entries and (not pieces or taken + len(entries[0][1]) <= size):
            eventType, data = entries.popleft()
            pieces.append(data)
            taken += len(data)
            events += eventType is not None
        self.bytes -= taken
        return b"".join(pieces), events

    def makeRoom(self, policy: SlowReader, event: Event, limit: int) -> int:
        """
        Drop what the policy says, so that an event fits that is to be appended.

        @param limit: how many bytes may wait, it included.
        @return: how many events were dropped.
        """
        size = len(event.encode())
        dropped = self._keepLatest(_typeOf(event)) if policy is SlowReader.LATEST else 0
        while self._entries and self.bytes + size > limit:
            oldType, data = self._entries.popleft()
            self.bytes -= len(data)
            dropped += oldType is not None
        return dropped

    def _keepLatest(self, coming: str | None) -> int:
        """
        Keep the newest event of each type, and none of the type that is coming.
        """
        dropped = 0
        newest: deque[tuple[str | None, bytes]] = deque()
        seen = {None, coming}
        for entry in reversed(self._entries):
            if entry[0] in seen:
                dropped += entry[0] is not None
            else:
                seen.add(entry[0])
                newest.appendleft(entry)
        self._entries = newest
        self.bytes = sum(len(data) for _, data in newest)
        return dropped
