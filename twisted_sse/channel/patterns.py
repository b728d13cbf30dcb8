"""
Who has subscribed to which patterns.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, NamedTuple, TypeVar

from .choice import Pattern

__all__ = ["Patterns"]

#: For how many topics it is remembered which patterns match them; and how many characters these may have
#: together, and how many patterns that may be: a topic may match thousands.
MOST_TOPICS = 10_000
MOST_CHARACTERS = 4_000_000
MOST_FOUND = 1_000_000

#: How many patterns without subscribers are kept: after a restart of a server, its clients select
#: the same ones again.
MOST_IDLE = 1000

_Subscriber = TypeVar("_Subscriber")


class _Found(NamedTuple):
    """
    What matches a topic.

    @ivar patterns: the patterns.
    @ivar learned: how many patterns were known then.
    """

    patterns: tuple[Pattern, ...]
    learned: int


class Patterns(Generic[_Subscriber]):
    """
    Subscribers by pattern.

    A topic is compared only with patterns whose prefix it has, and once for many events.

    @ivar hits: how often C{search} had nothing to do.
    @ivar misses: how often it had.
    """

    def __init__(self) -> None:
        self.hits = 0
        self.misses = 0
        self._subscribed: dict[Pattern, dict[_Subscriber, None]] = {}
        # Each has a number, by the order in which they were learned.
        self._numbers: dict[Pattern, int] = {}
        self._numbered: dict[int, Pattern] = {}
        self._learned = 0
        # Those without subscribers; the longest without one first.
        self._idle: dict[Pattern, None] = {}
        self._prefixed: dict[str, dict[Pattern, None]] = {}
        # How many prefixes have each length.
        self._lengths: dict[int, int] = {}
        # What was found last is last.
        self._found: dict[str, _Found] = {}
        self._characters = 0
        # How many patterns that is, together.
        self._size = 0

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
        if found is None or found.learned < self._learned:
            for _ in self.search(topic):
                pass
            found = self._found[topic]
        for pattern in found.patterns:
            subscribed = self._subscribed.get(pattern)
            # It may have been forgotten in the midst of a search.
            if subscribed is not None:
                yield subscribed

    def search(self, topic: str) -> Iterator[None]:
        """
        Compare a topic with the patterns that it was not compared with yet, so that this need not be
        done when its subscribers are wanted.

        @return: goes on to the next pattern.  Subscribers may come and go meanwhile.
        """
        before = self._found.get(topic)
        learned = self._learned
        if before is None:
            candidates = list(self._candidates(topic))
            found = []
        elif before.learned < learned:
            candidates = list(self._since(before.learned, topic))
            found = list(before.patterns)
        else:
            self.hits += 1
            return
        self.misses += 1
        for pattern in candidates:
            if pattern.matches(topic):
                found.append(pattern)
            yield
        self._remember(topic, _Found(tuple(found), learned))

    def _remember(self, topic: str, found: _Found) -> None:
        self._drop(topic)
        self._found[topic] = found
        self._characters += len(topic)
        self._size += len(found.patterns)
        # What was found now is needed.
        while len(self._found) > 1 and (
            len(self._found) > MOST_TOPICS
            or self._characters > MOST_CHARACTERS
            or self._size > MOST_FOUND
        ):
            self._drop(next(iter(self._found)))

    def _drop(self, topic: str) -> None:
        found = self._found.pop(topic, None)
        if found is not None:
            self._characters -= len(topic)
            self._size -= len(found.patterns)

    def _forgetFound(self) -> None:
        self._found.clear()
        self._characters = self._size = 0

    def _candidates(self, topic: str) -> Iterator[Pattern]:
        for length in self._lengths:
            if length <= len(topic):
                yield from self._prefixed.get(topic[:length], ())

    def _since(self, learned: int, topic: str) -> Iterator[Pattern]:
        """
        @return: those of the patterns after the first C{learned} that may match a topic.
        """
        for number in range(learned, self._learned):
            pattern = self._numbered.get(number)
            if pattern is not None and topic.startswith(pattern.prefix):
                yield pattern

    def _learn(self, pattern: Pattern) -> None:
        prefix = pattern.prefix
        same = self._prefixed.get(prefix)
        if same is None:
            same = self._prefixed[prefix] = {}
            self._lengths[len(prefix)] = self._lengths.get(len(prefix), 0) + 1
        same[pattern] = None
        self._numbers[pattern] = self._learned
        self._numbered[self._learned] = pattern
        self._learned += 1

    def _forget(self, pattern: Pattern) -> None:
        del self._idle[pattern], self._subscribed[pattern]
        del self._numbered[self._numbers.pop(pattern)]
        prefix = pattern.prefix
        same = self._prefixed[prefix]
        del same[pattern]
        if not same:
            del self._prefixed[prefix]
            self._lengths[len(prefix)] -= 1
            if not self._lengths[len(prefix)]:
                del self._lengths[len(prefix)]
