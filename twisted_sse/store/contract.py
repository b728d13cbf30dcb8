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

    @ivar isLost: whether something is missing before them that will not come back, and that
        was the client's business.
    @ivar start: the position where they begin, with or without an event of the client's there.
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
    Keeps the newest events of one channel, for the clients that come back for them.

    A store belongs to one channel, which calls it in the reactor's thread only.  Events have
    positions in the channel's sequence: 0, 1, 2 and so on, without gaps.  The channel appends
    them in this order; what the store drops, it drops from the front.

    What has to be looked up, by C{find} and C{read}, may come later: then a L{Deferred} is
    returned, and the channel asks nothing more for that client until it has fired.  The channel
    may cancel it.  If it fails, the client's stream ends with an error, which the client takes
    for a lost connection: it comes back, and asks again.  A store that has the events at hand
    returns them as they are, which is many times cheaper.

    Everything else is answered at once, and raises nothing, except C{claim}.

    @ivar maxAge: for how many seconds an event is kept at most; L{None} for ever.
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
        Called once, before all others.

        @raise ValueError: if the store belongs to another channel already.
        """

    def identify(self, position: int) -> str:
        """
        Make the ID of an event that was given none.

        @param position: that of the next event.
        @return: an ID that no other event of any process ever has.
        """

    def mark(self, position: int) -> str:
        """
        Make an ID for the place before a position: for a client that has got no event yet, and
        nevertheless is to miss none when it comes back.
        """

    def beginAfter(self, lastEventID: str) -> None:
        """
        Name the place before the next event: nothing is missing after the event with this ID,
        although it is not kept.
        """

    def append(self, entry: Entry) -> None:
        """
        Keep one more event, the newest, and drop old ones that are too many for it.
        """

    def find(
        self, lastEventID: str, topics: frozenset[str] | None
    ) -> int | Deferred[int | None] | None:
        """
        Find what comes after an ID.

        @param lastEventID: what a client says; it may be anything.
        @param topics: what the client wants to hear about: what was dropped may be none of its
            business.  L{None} for everything.
        @return: a position; L{None} if the ID is unknown, or no longer kept.
        """

    def read(
        self, position: int, end: int, size: int, topics: frozenset[str] | None
    ) -> Replay | Deferred[Replay]:
        """
        Read events from a position on, as many as are sent in one turn of the reactor.

        @param position: -1 if it is not known where the client was; then something is lost.
        @param end: the position before which to stop.
        @param size: how many bytes at most, unless the first event alone has more.
        @param topics: only those about any of these; L{None} for all.
        @return: the events; none if there is none of the client's in the part that was looked
            at, which is all there is only if C{next} is C{end}.
        """

    def get(self, position: int) -> Entry:
        """
        Get an event that has just been published or is at hand anyway.

        @param position: at least C{first}, and less than C{end}.
        """

    def expire(self, now: float) -> float | None:
        """
        Drop what is older than C{maxAge}, which is not L{None}.

        @param now: in the seconds of the channel's clock.
        @return: in how many seconds there will be more to drop; L{None} if nothing is kept.
        """

    def shift(self, seconds: float) -> None:
        """
        Go by another clock, which is ahead by so many seconds.
        """
