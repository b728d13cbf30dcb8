"""
Which subscribers want which events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ..store.entry import Entry
from ..stream.response import Response
from .fanout import FanOut
from .index import Index
from .subscription import Subscription

__all__ = ["Audience"]


class Audience:
    """
    The live subscribers, by what they have chosen.

    @ivar all: those that get all events, and the channel's own.
    @ivar guarded: those that get all public events, and are asked about private ones.
    @ivar choosers: those that have to be asked about every event.
    @ivar index: those that have chosen topics or patterns.
    """

    def __init__(self) -> None:
        self.all: dict[Response, None] = {}
        self.guarded: dict[Subscription, None] = {}
        self.choosers: dict[Subscription, None] = {}
        self.index: Index[Subscription] = Index()
        # What is left to be done before the subscribers of the next event can be found.
        self._search: Iterator[None] | None = None

    def __bool__(self) -> bool:
        return bool(self.all or self.guarded or self.choosers or self.index)

    def enter(self, subscription: Subscription) -> None:
        """
        Add a subscriber.
        """
        choice = subscription.choice
        if choice.topics is not None:
            self.index.enter(choice, subscription)
        elif choice.asks:
            self.choosers[subscription] = None
        elif not subscription.choosesAll:
            self.guarded[subscription] = None
        else:
            self.all[subscription.response] = None

    def exit(self, subscription: Subscription) -> None:
        """
        Remove a subscriber, if it is there.
        """
        if subscription.choice.topics is not None:
            self.index.exit(subscription.choice, subscription)
        else:
            self.all.pop(subscription.response, None)
            self.guarded.pop(subscription, None)
            self.choosers.pop(subscription, None)

    def find(
        self, fresh: Sequence[Entry], isLate: Callable[[], bool]
    ) -> tuple[int, dict[Subscription, list[Entry]]]:
        """
        Find out who has chosen the topics of some events, and which patterns match them.

        @param isLate: returns whether this turn's time is used up.
        @return: with how many of the events that is done, and what each is interested in.
        """
        interested: dict[Subscription, list[Entry]] = {}
        if not self.index:
            self._search = None
            return len(fresh), interested
        for count, entry in enumerate(fresh):
            if count and isLate():
                return count, interested
            if self._search is None:
                self._search = self.index.search(entry.topics)
            for _ in self._search:
                if isLate():
                    return count, interested
            self._search = None
            for subscription in self.index.find(entry.topics):
                interested.setdefault(subscription, []).append(entry)
        return len(fresh), interested

    def send(
        self,
        fresh: Sequence[Entry],
        interested: dict[Subscription, list[Entry]],
        fanOut: FanOut,
    ) -> None:
        """
        Send events to all who want them.

        @param interested: from C{find}.
        """
        hasPrivate = any(entry.private for entry in fresh)
        if self.all:
            fanOut.give(list(self.all), fresh)
        for subscription in self.choosers:
            fanOut.ask(subscription, fresh)
        # Responses that are sent the same are served together.
        same: dict[tuple[int, ...], tuple[list[Response], Sequence[Entry]]] = {}
        if hasPrivate:
            for subscription in self.guarded:
                fanOut.ask(subscription, fresh)
        elif self.guarded:
            last = fresh[-1].position + 1, False
            for subscription in self.guarded:
                subscription.last = last
            fanOut.give([subscription.response for subscription in self.guarded], fresh)
        for subscription, entries in interested.items():
            choice = subscription.choice
            if choice.asks or (hasPrivate and choice.guards):
                fanOut.ask(subscription, entries)
            else:
                subscription.last = entries[-1].position + 1, False
                key = tuple([entry.position for entry in entries])
                same.setdefault(key, ([], entries))[0].append(subscription.response)
        for responses, wanted in same.values():
            fanOut.give(responses, wanted)
