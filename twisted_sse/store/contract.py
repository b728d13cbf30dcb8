"""
What a channel needs of the store that keeps its events.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from twisted.internet.defer import Deferred

from .entry import Entry

__all__ = ["EventStore", "Replay"]


class Replay(NamedTuple):
    """
    Events for a client that is behind.

    @ivar isLost: whether earlier events that the client wanted are lost for good.
    @ivar start: the position where reading began, whether or not the client wants the event there.
    @ivar next: the position to go on from.
    @ivar entries: the events, in order.
    """

    isLost: bool
    start: int
    next: int
    entries: Sequence[Entry]


@runtime_checkable
class EventStore(Protocol):
    """
    Keeps the newest events of one channel, for clients that reconnect.

    A store belongs to one channel, which calls it in the reactor's thread only.  Events have
    positions in the channel's sequence: 0, 1, 2 and so on, without gaps.  The channel appends
    them in this order; the store drops them from the front.

    C{find} and C{read} may return a L{Deferred}; then the channel asks nothing more for that
    client until it has fired.  The channel may cancel it.  If it fails, the client's stream ends
    with an error, which looks to the client like a lost connection: it reconnects and asks again.
    A store that has the events in memory returns them directly, which is many times cheaper.

    The other methods return their results at once.  None of them raises, except for C{claim}.

    @ivar maxAge: how many seconds an event is kept at most; L{None} for ever.
    """

    maxAge: float | None

    @property
    def first(self) -> int:
        """
        The position of the oldest event that is kept, or of the next one if there is none.
        """

    @property
    def end(self) -> int:
        """
        The position of the next event.
        """

    def claim(self) -> None:
        """
        Called once, before all other methods.

        @raise ValueError: if the store already belongs to another channel.
        """

    def identify(self, position: int) -> str:
        """
        Make the ID of an event that was published without one.

        @param position: the position of the next event.
        @return: an ID that is unique among all events of all processes.
        """

    def mark(self, position: int) -> str:
        """
        Make an ID for the place before a position, for a client that has not received an event
        yet and should miss none when it reconnects.
        """

    def beginAfter(self, lastEventID: str) -> None:
        """
        Name the place before the next event: no events between the one with this ID and the next
        are missing, although the one with this ID is not kept.
        """

    def append(self, entry: Entry) -> None:
        """
        Keep a new event, and drop old ones to stay within the limits.
        """

    def find(
        self, lastEventID: str, topics: frozenset[str] | None
    ) -> int | Deferred[int | None] | None:
        """
        Find the position after an ID.

        @param lastEventID: the ID from the client, which may be any text.
        @param topics: the client's topics, since dropped events may be about others; L{None} for
            all events.
        @return: a position; L{None} if the ID is unknown, or no longer kept.
        """

    def read(
        self, position: int, end: int, size: int, topics: frozenset[str] | None
    ) -> Replay | Deferred[Replay]:
        """
        Read some events from a position on.

        @param position: where to begin; -1 if it is unknown, and events are therefore lost.
        @param end: the position before which to stop.
        @param size: how many bytes to read at most, unless the first event alone is larger.
        @param topics: read only events about at least one of these; L{None} for all.
        @return: the events.  There may be none even before the end: everything was read only if
            C{next} is C{end}.
        """

    def get(self, position: int) -> Entry:
        """
        Return a recent event, which is in memory.

        @param position: at least C{first}, and less than C{end}.
        """

    def passed(self, position: int) -> float:
        """
        Find out how much was published from a position on.

        @return: the fraction that this is of what can be kept at most: 1 or more if the next event
            drops the first of it, or it was dropped already.
        """

    def expire(self, now: float) -> float | None:
        """
        Drop events that are older than C{maxAge}, which is not L{None}.

        @param now: the time, in the seconds of the channel's clock.
        @return: in how many seconds there will be more to drop; L{None} if no events are kept.
        """

    def shift(self, seconds: float) -> None:
        """
        Switch to a clock that is ahead by this many seconds.
        """
