"""
Who has subscribed to which patterns.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from itertools import islice
from typing import Generic, NamedTuple, TypeVar, cast

from .choice import Pattern

__all__ = ["Patterns"]

#: For how many topics it is remembered which patterns match them, how long these may be, and how many
#: patterns that may be together: a topic may match thousands.
MOST_TOPICS = 10_000
LONGEST_TOPIC = 1000
MOST_FOUND = 1_000_000

#: How many patterns are kept that nobody subscribes to now: when a server is restarted, the same
#: come back.
MOST_IDLE = 1000

#: How many patterns are compared with a topic in a step: some need a fifth of a millisecond.
STEP = 64

_Subscriber = TypeVar("_Subscriber")


class _Found(NamedTuple):
    """
    The patterns that match a topic.

    @ivar learned: how many had been learned, of which these are.
    """

    patterns: tuple[Pattern, ...]
    learned: int


class Patterns(Generic[_Subscriber]):
    """
    Subscribers by pattern.

    A topic is compared only with patterns whose prefix it has, and once for many events.
    """

    def __init__(self) -> None:
        self._subscribed: dict[Pattern, dict[_Subscriber, None]] = {}
        # Those of them that nobody subscribes to; the longest without a subscriber first.
        self._idle: dict[Pattern, None] = {}
        self._prefixed: dict[str, dict[Pattern, None]] = {}
        # How many prefixes have each length.
        self._lengths: dict[int, int] = {}
        # The patterns that match a topic; the topic that was found first, first.
        self._found: dict[str, _Found] = {}
        # How many patterns that are, together.
        self._size = 0
        # How many patterns were learned.
        self._learned = 0

    def __bool__(self) -> bool:
        return len(self._subscribed) > len(self._idle)

    def enter(self, pattern: Pattern, subscriber: _Subscriber) -> None:
        """
        Add a subscriber of a pattern.
        """
        subscribed = self._subscribed.get(pattern)
        if subscribed is None:
            subscribed = self._subscribed[pattern] = {}
            self._learn(pattern)
        self._idle.pop(pattern, None)
        subscribed[subscriber] = None

    def exit(self, pattern: Pattern, subscriber: _Subscriber) -> None:
        """
        Remove a subscriber of a pattern, if it is there.
        """
        subscribed = self._subscribed.get(pattern)
        if subscribed is None or subscriber not in subscribed:
            return
        del subscribed[subscriber]
        if not subscribed:
            self._idle[pattern] = None
            if len(self._idle) > MOST_IDLE:
                # Many at once, since what is remembered about topics is lost with each.
                for idle in list(self._idle)[: MOST_IDLE // 2]:
                    self._forget(idle)
                self._forgetFound()

    def matching(self, topic: str) -> Iterator[dict[_Subscriber, None]]:
        """
        Find the subscribers of the patterns that match a topic.
        """
        found = self._found.get(topic)
        if found is None or found.learned != self._learned:
            steps = self._compare(topic, found)
            try:
                while True:
                    next(steps)
            except StopIteration as end:
                found = cast(_Found, end.value)
        for pattern in found.patterns:
            # A pattern that is forgotten is forgotten here, too.
            yield self._subscribed[pattern]

    def look(self, topic: str) -> Iterator[None]:
        """
        Find out in many steps, if there are many patterns, which of them match a topic, so that
        C{matching} knows it.
        """
        if len(self._subscribed) > STEP and len(topic) <= LONGEST_TOPIC:
            yield from self._compare(topic, self._found.get(topic))

    def _compare(self, topic: str, known: _Found | None) -> Generator[None, None, _Found]:
        """
        Find out which patterns match a topic.

        @param known: what is known already, perhaps of fewer patterns.
        """
        found: dict[Pattern, None] = {}
        learned = self._learned
        if known is None:
            compared = list(self._candidates(topic))
        else:
            found.update(dict.fromkeys(known.patterns))
            compared = self._newest(learned - known.learned)
        while compared:
            for number, pattern in enumerate(compared, 1):
                if topic.startswith(pattern.prefix) and pattern.matches(topic):
                    found[pattern] = None
                if not number % STEP:
                    yield
            # Others may have come meanwhile.
            compared, learned = self._newest(self._learned - learned), self._learned
        # And some may have been forgotten.
        result = _Found(tuple([each for each in found if each in self._subscribed]), learned)
        if len(topic) <= LONGEST_TOPIC:
            self._remember(topic, result)
        return result

    def _newest(self, count: int) -> list[Pattern]:
        """
        @return: at least the patterns that were learned last, so far as they were not forgotten.
        """
        return list(islice(reversed(self._subscribed), count))

    def _remember(self, topic: str, found: _Found) -> None:
        before = self._found.pop(topic, None)
        self._found[topic] = found
        self._size += len(found.patterns) - (len(before.patterns) if before is not None else 0)
        while len(self._found) > MOST_TOPICS or self._size > MOST_FOUND:
            self._size -= len(self._found.pop(next(iter(self._found))).patterns)

    def _candidates(self, topic: str) -> Iterator[Pattern]:
        for length in self._lengths:
            if length <= len(topic):
                yield from self._prefixed.get(topic[:length], ())

    def _learn(self, pattern: Pattern) -> None:
        prefix = pattern.prefix
        same = self._prefixed.get(prefix)
        if same is None:
            same = self._prefixed[prefix] = {}
            self._lengths[len(prefix)] = self._lengths.get(len(prefix), 0) + 1
        same[pattern] = None
        # What was found is of fewer patterns now.
        self._learned += 1

    def _forgetFound(self) -> None:
        self._found.clear()
        self._size = 0

    def _forget(self, pattern: Pattern) -> None:
        del self._idle[pattern], self._subscribed[pattern]
        prefix = pattern.prefix
        same = self._prefixed[prefix]
        del same[pattern]
        if not same:
            del self._prefixed[prefix]
            self._lengths[len(prefix)] -= 1
            if not self._lengths[len(prefix)]:
                del self._lengths[len(prefix)]
