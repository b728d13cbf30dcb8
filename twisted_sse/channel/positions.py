"""
Telling clients their place in a channel's sequence, so that they can resume from it.

A client resumes from the ID of the last event that it was sent.  A new client has none; and that
of a client for which there was nothing for a long time is perhaps no longer kept: it would receive
a reset although it has missed none.  Both are sent an event of our own, with the ID of their place.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from heapq import heappop, heappush
from math import inf

from ..format.encoded import Encoded
from ..format.event import Event
from ..store.memory import History
from ..stream.response import Response
from .lastid import LastID
from .subscription import Subscription

__all__ = ["Positions"]

#: The last ID that a client was sent is old when this fraction of what is kept has passed since.
OLD = 0.5

#: Fractions are sums, which are not exact.
ROUNDING = 1e-6


class Positions:
    """
    The last IDs of the live clients.

    Subscriptions that choose among the events are listed by their last IDs.  All others were last
    sent the newest event, whose ID only gets old with time, if nothing is published.
    """

    def __init__(self, store: History, event: str, all: Collection[Response]) -> None:
        """
        @param event: the type of our events.
        @param all: the live responses that are sent all events.
        """
        self._store = store
        self._event = event
        self._all = all
        # The place that has been, or is being, sent to these; and those it is still to be sent to.
        self._toldAll = -1
        self._waiting: list[Response] = []
        # The others, by a last ID.  It is not moved each time that it is sent an event: when the
        # ID is old, it is seen whether there is a newer one.
        self._listed: dict[LastID, dict[Subscription, None]] = {}
        # A heap of these IDs.
        self._lasts: list[LastID] = []

    def event(self, place: int) -> Encoded:
        """
        Make the event that tells a client its place.

        It has data, since an event without is none (HTML standard, 9.2.6, "dispatch the event",
        2), and Firefox keeps an ID only with an event.
        """
        event = Event("{}", event=self._event, id=self._store.mark(place) or None)
        return Encoded(event, counts=False)

    def enter(self, subscription: Subscription, position: int) -> None:
        """
        A subscription is live.

        @param position: everything before this has been handed to the live clients.
        """
        last = subscription.last
        if subscription.choosesAll and last >= (position, False):
            # It has the newest ID, and goes on to be sent the newest.
            if last == (position, True) and len(self._all) == 1:
                self._toldAll = position
            return
        if last not in self._listed:
            self._listed[last] = {}
            heappush(self._lasts, last)
        self._listed[last][subscription] = None
        subscription.listed = last

    def exit(self, subscription: Subscription) -> None:
        """
        Remove a subscription, if it is there.
        """
        if subscription.listed is not None:
            del self._listed[subscription.listed][subscription]
            subscription.listed = None

    def isOldAtStart(self, subscription: Subscription, position: int, now: float) -> bool:
        """
        Whether the client of a subscription that goes live needs a newer ID at once.
        """
        last, newest = subscription.last, (position, False)
        if subscription.choosesAll and last >= newest:
            # It has the newest ID, which only gets old with time.
            if self._store.maxAge is None:
                return False
            if self._toldAll != position and self._due(newest) is not None:
                # It will be sent with all others.
                return False
        return self.isOld(last, now)

    def isOld(self, last: LastID, now: float) -> bool:
        """
        Whether a client with this last ID needs a newer one.
        """
        due = self._due(last)
        if due is not None and due <= now:
            return True
        return self._store.passed(last[0]) >= OLD - ROUNDING

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
            # One at a time: an observer may remove any of them, and look for the oldest ID.
            while same := self._listed.get(last):
                subscription = next(iter(same))
                self.exit(subscription)
                if self.isOld(subscription.last, now):
                    event = event or self.event(position)
                    subscription.last = here
                    self.enter(subscription, position)
                    subscription.response.enqueue(event)
                else:
                    self.enter(subscription, position)
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
        if self._store.maxAge is None or not self._all or self._toldAll == position:
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
        if needed < store.first:
            return -inf
        if store.maxAge is None or needed >= store.end:
            return None
        return store.get(needed).time + store.maxAge * OLD

    def _oldest(self) -> LastID | None:
        """
        @return: the oldest ID that subscriptions are listed by.
        """
        while self._lasts and not self._listed[self._lasts[0]]:
            del self._listed[heappop(self._lasts)]
        return self._lasts[0] if self._lasts else None
