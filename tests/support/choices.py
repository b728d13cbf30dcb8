"""
Custom choices for tests.
"""

from __future__ import annotations

from dataclasses import dataclass

from twisted_sse.channel.choice import Pattern
from twisted_sse.store.entry import Entry

__all__ = ["Beginning", "Reader"]


@dataclass(frozen=True)
class Beginning:
    """
    A pattern that matches the topics that begin and end with a text.
    """

    prefix: str
    end: str = ""

    def matches(self, topic: str) -> bool:
        """
        Compare a topic.
        """
        COMPARED.append((self, topic))
        return topic.startswith(self.prefix) and topic.endswith(self.end)


#: Each comparison of a L{Beginning} with a topic.
COMPARED: list[tuple[Beginning, str]] = []


class Reader:
    """
    Chooses topics and patterns, and may read some private events.

    @ivar may: the topics of the private events that it may read.
    @ivar asked: the data of the events that it was asked about.
    @ivar isTold: whether it receives the channel's own events.
    """

    asks = False
    guards = True

    def __init__(
        self,
        topics: list[str] | None = None,
        patterns: list[Pattern] | None = None,
        may: tuple[str, ...] = (),
        isTold: bool = True,
    ) -> None:
        self.topics = frozenset(topics or ()) if topics is not None or patterns else None
        self.patterns = frozenset(patterns or ())
        self.may = frozenset(may)
        self.isTold = isTold
        self.asked: list[str | None] = []

    def wants(self, entry: Entry) -> bool:
        """
        Whether it wants an event, and may read it.
        """
        self.asked.append(entry.event.data)
        if entry.private and self.may.isdisjoint(entry.topics):
            return False
        return (
            self.topics is None
            or not self.topics.isdisjoint(entry.topics)
            or any(pattern.matches(topic) for pattern in self.patterns for topic in entry.topics)
        )
