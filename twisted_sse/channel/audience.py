"""
Which subscribers want which events.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..store.entry import Entry
from ..stream.response import Response
from .subscription import Subscription

__all__ = ["Audience"]


class Audience:
    """
    The live subscribers, by what they have chosen.

    @ivar all: those that get all events.
    @ivar choosers: those with a C{where} function and no topics.
    @ivar topics: those that have chosen topics, by topic.
    """

    def __init__(self) -> None:
        self.all: dict[Response, None] = {}
        self.choosers: dict[Subscription, None] = {}
        self.topics: dict[str, dict[Subscription, None]] = {}

    def __bool__(self) -> bool:
        return bool(self.all or self.topics or self.choosers)

    def enter(self, subscription: Subscription) -> None:
        """
        Add a subscriber.
        """
        if subscription.topics is not None:
            for topic in subscription.topics:
                self.topics.setdefault(topic, {})[subscription] = None
        elif subscription.where is not None:
            self.choosers[subscription] = None
        else:
            self.all[subscription.response] = None

    def exit(self, subscription: Subscription) -> None:
        """
        Remove a subscriber, if it is there.
        """
        self.all.pop(subscription.response, None)
        self.choosers.pop(subscription, None)
        for topic in subscription.topics or ():
            subscribed = self.topics.get(topic)
            if subscribed is not None:
                subscribed.pop(subscription, None)
                if not subscribed:
                    del self.topics[topic]

    def interested(self, entries: Iterable[Entry]) -> dict[Subscription, list[Entry]]:
        """
        Find the subscribers that have chosen the topics of some events.

        @return: the events that each of them wants, or has to be asked about.
        """
        interested: dict[Subscription, list[Entry]] = {}
        for entry in entries if self.topics else ():
            # Each subscriber once, although it may have chosen several of the event's topics.
            for subscription in {
                each: None for topic in entry.topics for each in self.topics.get(topic, ())
            }:
                interested.setdefault(subscription, []).append(entry)
        return interested
