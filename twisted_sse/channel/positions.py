"""
Telling clients their place in a channel's sequence, so that they can resume from it.

A client resumes from the ID of the last event that it was sent.  A new client has none; and that
of a client for which there was nothing for a long time is perhaps no longer kept: it would be told
that it has lost events although it has missed none.  Both are sent an event of our own, with the
ID of their place.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from heapq import heappop, heappush

from ..format.encoded import Encoded
from ..format.event import Event
from ..store.contract import EventStore
from ..stream.response import Response
from .subscription import NO_ID, LastID, Subscription

__all__ = ["Positions"]

#: The last ID that a client was sent is old when this fraction of what is kept has passed since.
OLD = 0.5

#: Fractions are sums, which are not exact.
ROUNDING = 1e-6


class Positions:
    """
    The last IDs of the live clients.

    Subscriptions that choose among the events are listed one by one.  All others were last sent
    the newest event, whose ID only gets old with time, if nothing is published.
    """

    def __init__(self, store: EventStore, event: str, all: Collection[Response]) -> None:
        """
        @param event: the type of our events.
        @param all: the live responses that are sent all events.
        """
        self._store = store
        self._event = event
        self._all = all
        # The place that these have been told, or are being told; and those still to be told.
        self._toldAll = -1
        self._waiting: list[Response] = []
        # The subscriptions that choose, by C{last}.
        self._choosers: dict[LastID, dict[Subscription, None]] = {}
        # A heap of these keys, and of some that no subscription has any more.
        self._lasts: list[LastID] = []

    def event(self, place: int) -> Encoded:
        """
        Make the event that tells a client its place.

        It has data, since an event without is none (HTML standard, 9.2.6, "dispatch the event",
        2), and Firefox keeps an ID only with an event.
        """
        event = Event("{}", event=self._event, id=self._store.mark(place))
        return Encoded(event, counts=False)

    def enter(self, subscription: Subscription) -> None:
        """
        A subscription that chooses among the events is live.
        """
        last = subscription.last
        same = self._choosers.get(last)
        if same is None:
            same = self._choosers[last] = {}
            heappush(self._lasts, last)
        same[subscription] = None

    def exit(self, subscription: Subscription) -> None:
        """
        Remove a subscription, if it is there.
        """
        last = subscription.last
        same = self._choosers.get(last)
        if same is not None and subscription in same:
            del same[subscription]
            if not same:
                del self._choosers[last]

    def tell(self, subscription: Subscription, last: LastID) -> None:
        """
        A subscription that chooses is being sent an ID.
        """
        self.exit(subscription)
        subscription.last = last
        self.enter(subscription)

    def isOldAtStart(self, subscription: Subscription, position: int, now: float) -> bool:
        """
        Whether the client of a subscription that goes live needs a newer ID at once.
        """
        last = subscription.last
        if subscription.choosesAll and last != NO_ID and self._toldAll != position:
            # It will be told with all others.
            return False
        return self.isOld(last, now)

    def isOld(self, last: LastID, now: float) -> bool:
        """
        Whether a client with this last ID needs a newer one.
        """
        next, _ = last
        if next < 0 or self._store.passed(next) >= OLD - ROUNDING:
            return True
        due = self._due(last)
        return due is not None and due <= now

    def remind(self, position: int, now: float, isLate: Callable[[], bool]) -> bool:
        """
        Send the clients that need a newer ID that of a place.

        @param position: the position after the place: everything before it has been handed to all
            live clients.
        @param isLate: returns whether this turn's time is used up.
        @return: whether all have been sent it.
        """
        event: Encoded | None = None
        here: LastID = position, True
        while (last := self._oldest()) is not None and last < here and self.isOld(last, now):
            event = event or self.event(position)
            # One at a time: an observer may remove any of them.
            while (same := self._choosers.get(last)) is not None:
                subscription = next(iter(same))
                self.tell(subscription, here)
                subscription.response.enqueue(event)
                if isLate():
                    return False
        due = self._dueForAll(position)
        if due is not None and due <= now:
            self._toldAll = position
            self._waiting = list(self._all)
        elif self._toldAll != position:
            # They have been sent something newer.
            self._waiting.clear()
        while self._waiting:
            event = event or self.event(position)
            response = self._waiting.pop()
            if response in self._all:
                response.enqueue(event)
            if isLate():
                return False
        return True

    def due(self, position: int) -> float | None:
        """
        Find out when the next client needs a newer ID, if nothing is published until then.

        @param position: see C{remind}.
        @return: the time, in the seconds of the channel's clock; L{None} for never.
        """
        dues = [self._dueForAll(position)]
        last = self._oldest()
        if last is not None and last < (position, True):
            dues.append(self._due(last))
        return min([due for due in dues if due is not None], default=None)

    def _dueForAll(self, position: int) -> float | None:
        if not self._all or self._toldAll == position:
            return None
        return self._due((position, False))

    def _due(self, last: LastID) -> float | None:
        """
        Find out when a last ID gets old, if nothing is published until then.
        """
        store = self._store
        next, isPlace = last
        # The first event that has to be kept for this ID to be of use.
        needed = next if isPlace else next - 1
        if store.maxAge is None or not store.first <= needed < store.end:
            return None
        return store.get(needed).time + store.maxAge * OLD

    def _oldest(self) -> LastID | None:
        """
        @return: the oldest ID of the subscriptions that choose.
        """
        while self._lasts and self._lasts[0] not in self._choosers:
            heappop(self._lasts)
        return self._lasts[0] if self._lasts else None
