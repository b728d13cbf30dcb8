"""
Which subscribers want which events.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..store.entry import Entry
from ..stream.response import Response
from .fanout import FanOut
from .patterns import Patterns
from .subscription import Subscription

__all__ = ["Audience"]

#: The subscribers of a topic that nobody has chosen.
NOBODY: dict[Subscription, None] = {}


class Audience:
    """
    The live subscribers, by what they have chosen.

    @ivar all: those that get all events.
    @ivar guarded: those that get all public events, and have to be asked about private ones.
    @ivar choosers: those that have to be asked about every event.
    @ivar topics: those that have chosen topics, by topic.
    @ivar patterns: those that have chosen patterns, by pattern.
    """

    def __init__(self) -> None:
        self.all: dict[Response, None] = {}
        self.guarded: dict[Subscription, None] = {}
        self.choosers: dict[Subscription, None] = {}
        self.topics: dict[str, dict[Subscription, None]] = {}
        self.patterns: Patterns[Subscription] = Patterns()

    def __bool__(self) -> bool:
        return bool(self.all or self.topics or self.choosers or self.guarded or self.patterns)

    def enter(self, subscription: Subscription) -> None:
        """
        Add a subscriber.
        """
        choice = subscription.choice
        if choice.topics is not None:
            for topic in choice.topics:
                self.topics.setdefault(topic, {})[subscription] = None
            for pattern in choice.patterns:
                self.patterns.enter(pattern, subscription)
        elif choice.asks:
            self.choosers[subscription] = None
        elif choice.guards:
            self.guarded[subscription] = None
        else:
            self.all[subscription.response] = None

    def exit(self, subscription: Subscription) -> None:
        """
        Remove a subscriber, if it is there.
        """
        choice = subscription.choice
        if choice.topics is None:
            self.all.pop(subscription.response, None)
            self.guarded.pop(subscription, None)
            self.choosers.pop(subscription, None)
            return
        for topic in choice.topics:
            subscribed = self.topics.get(topic)
            if subscribed is not None:
                subscribed.pop(subscription, None)
                if not subscribed:
                    del self.topics[topic]
        for pattern in choice.patterns:
            self.patterns.exit(pattern, subscription)

    def send(self, fresh: Sequence[Entry], fanOut: FanOut) -> None:
        """
        Send events to all who want them.
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
        for subscription, entries in self._interested(fresh).items():
            choice = subscription.choice
            if choice.asks or (hasPrivate and choice.guards):
                fanOut.ask(subscription, entries)
            else:
                subscription.last = entries[-1].position + 1, False
                key = tuple([entry.position for entry in entries])
                same.setdefault(key, ([], entries))[0].append(subscription.response)
        for responses, wanted in same.values():
            fanOut.give(responses, wanted)

    def _interested(self, fresh: Sequence[Entry]) -> dict[Subscription, list[Entry]]:
        """
        Find the subscribers that have chosen the topics of some events.

        @return: the events that each of them wants, or has to be asked about.
        """
        interested: dict[Subscription, list[Entry]] = {}
        topics, patterns = self.topics, self.patterns
        for entry in fresh if topics or patterns else ():
            # Each subscriber once, although it may have chosen several of the event's topics.
            found: dict[Subscription, None] = {}
            for topic in entry.topics:
                found.update(topics.get(topic, NOBODY))
                if patterns:
                    for subscribed in patterns.matching(topic):
                        found.update(subscribed)
            for subscription in found:
                interested.setdefault(subscription, []).append(entry)
        return interested
