"""
What a token grants.
"""

from __future__ import annotations

from collections.abc import Iterable
from weakref import WeakKeyDictionary

from .selectors import Selector

__all__ = ["Grants"]

#: For how many topics an answer is kept, and how long these may be, in characters.
CACHED = 128
LONGEST_CACHED = 512

#: Of how many updates an answer is kept that have many topics, and how many that are: thousands may have
#: the same grants.
CACHED_UPDATES = 32
MANY_TOPICS = 32


class Grants:
    """
    The topics that a token grants.  Equal if their selectors are, so that they can be shared.

    @ivar selectors: each once, in order.
    """

    __slots__ = ("_exact", "_known", "_patterns", "_updates", "isEverything", "selectors")

    def __init__(self, selectors: Iterable[Selector] = ()) -> None:
        self.selectors = tuple(dict.fromkeys(selectors))
        self.isEverything = any(each.isEverything for each in self.selectors)
        exact = (each.exact for each in self.selectors)
        self._exact = frozenset(text for text in exact if text is not None)
        self._patterns = tuple(each for each in self.selectors if each.exact is None)
        self._known: dict[str, bool] = {}
        # By the topics, as long as something else keeps these.
        self._updates: WeakKeyDictionary[frozenset[str], bool] | None = None

    def permits(self, topic: str) -> bool:
        """
        Whether a topic is granted.
        """
        if self.isEverything or topic in self._exact:
            return True
        if not self._patterns:
            return False
        known = self._known.get(topic)
        if known is None:
            known = any(each.matches(topic) for each in self._patterns)
            if len(topic) <= LONGEST_CACHED:
                if len(self._known) >= CACHED:
                    self._known.clear()
                self._known[topic] = known
        return known

    def permitsAny(self, topics: frozenset[str]) -> bool:
        """
        Whether at least one of some topics is granted, which is enough to receive a private update.
        """
        if len(topics) < MANY_TOPICS or not self._patterns:
            return any(map(self.permits, topics))
        if self._updates is None:
            self._updates = WeakKeyDictionary()
        known = self._updates.get(topics)
        if known is None:
            known = any(map(self.permits, topics))
            if len(self._updates) >= CACHED_UPDATES:
                self._updates.clear()
            self._updates[topics] = known
        return known

    def __bool__(self) -> bool:
        return bool(self.selectors)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Grants):
            return NotImplemented
        return frozenset(self.selectors) == frozenset(other.selectors)

    def __hash__(self) -> int:
        return hash(frozenset(self.selectors))

    def __repr__(self) -> str:
        return f"<Grants {', '.join(f'{each.kind} {each.text!r}' for each in self.selectors)}>"
