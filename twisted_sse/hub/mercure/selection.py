"""
What a subscriber of a hub gets.
"""

from __future__ import annotations

from collections.abc import Iterable

from ...channel.choice import Pattern
from ...store.entry import Entry
from .grants import Grants
from .selectors import Selector

__all__ = ["Selection"]

#: One for all: each would need 200 bytes.
NO_PATTERNS: frozenset[Pattern] = frozenset()


class Selection:
    """
    The topics that a subscriber has selected, and the private updates that it may read.  It is the
    L{Choice<twisted_sse.channel.choice.Choice>} of its subscription.

    @ivar selectors: what it has selected.
    @ivar grants: the topics of the private updates that it may read.
    """

    __slots__ = ("grants", "isTold", "patterns", "selectors", "topics")

    asks = False
    guards = True

    def __init__(self, selectors: Iterable[Selector], grants: Grants, isTold: bool = False) -> None:
        self.selectors = tuple(selectors)
        self.grants = grants
        self.isTold = isTold
        self.topics: frozenset[str] | None = None
        self.patterns: frozenset[Pattern] = NO_PATTERNS
        if not any(each.isEverything for each in self.selectors):
            exact = [each.exact for each in self.selectors if each.exact is not None]
            self.topics = frozenset(exact)
            patterns = [each for each in self.selectors if each.exact is None]
            if patterns:
                self.patterns = frozenset(patterns)

    def wants(self, entry: Entry) -> bool:
        """
        Whether an update is one that it has selected, and may read.
        """
        if entry.private and not self.grants.permitsAny(entry.topics):
            return False
        return any(map(self.selects, entry.topics))

    def selects(self, topic: str) -> bool:
        """
        Whether a topic is one that it has selected.
        """
        if self.topics is None or topic in self.topics:
            return True
        return any(pattern.matches(topic) for pattern in self.patterns)
