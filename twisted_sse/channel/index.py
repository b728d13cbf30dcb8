"""
Finding those who have chosen the topics of an event.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

from .choice import Choice
from .patterns import Patterns

__all__ = ["Index"]

_Subscriber = TypeVar("_Subscriber")


class Index(Generic[_Subscriber]):
    """
    Subscribers by the topics and the patterns that they have chosen; not those who want events
    about anything.

    @ivar patterns: those of the patterns.
    """

    def __init__(self) -> None:
        self._topics: dict[str, dict[_Subscriber, None]] = {}
        self.patterns: Patterns[_Subscriber] = Patterns()
        # The subscribers of a topic without subscribers.
        self._none: dict[_Subscriber, None] = {}

    def __bool__(self) -> bool:
        return bool(self._topics or self.patterns)

    def enter(self, choice: Choice, subscriber: _Subscriber) -> None:
        """
        Add a subscriber.
        """
        for topic in choice.topics or ():
            self._topics.setdefault(topic, {})[subscriber] = None
        for pattern in choice.patterns:
            self.patterns.enter(pattern, subscriber)

    def exit(self, choice: Choice, subscriber: _Subscriber) -> None:
        """
        Remove a subscriber, if it is there.
        """
        for topic in choice.topics or ():
            subscribed = self._topics.get(topic)
            if subscribed is not None:
                subscribed.pop(subscriber, None)
                if not subscribed:
                    del self._topics[topic]
        for pattern in choice.patterns:
            self.patterns.exit(pattern, subscriber)

    def find(self, topics: Iterable[str]) -> dict[_Subscriber, None]:
        """
        Find those who have chosen any of some topics.

        @return: each once, although it may have chosen several.
        """
        found: dict[_Subscriber, None] = {}
        # Each once, though it may match many of the topics.
        matching: dict[int, dict[_Subscriber, None]] = {}
        for topic in topics:
            found.update(self._topics.get(topic, self._none))
            if self.patterns:
                for subscribed in self.patterns.matching(topic):
                    matching[id(subscribed)] = subscribed
        for subscribed in matching.values():
            found.update(subscribed)
        return found

    def search(self, topics: Iterable[str]) -> Iterator[None]:
        """
        Do what takes time in finding them: see L{Patterns.search}.
        """
        if self.patterns:
            for topic in topics:
                yield from self.patterns.search(topic)
