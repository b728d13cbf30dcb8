"""
What a subscriber chooses of the events.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Protocol

from ..store.entry import Entry

__all__ = ["Choice", "Pattern"]


class Pattern(Hashable, Protocol):
    """
    Matches topics.  Equal patterns match the same.

    @since: 0.2
    """

    @property
    def prefix(self) -> str:
        """
        What every topic that it matches begins with; empty if that is not known.
        """

    def matches(self, topic: str, /) -> bool:
        """
        Whether it matches a topic.  The answer is remembered, so it must not change.
        """


class Choice(Protocol):
    """
    What a subscriber chooses of the events of a channel.  It does not change: to choose something
    else, subscribe again with another.

    A channel finds those who want an event by its topics, so that publishing costs what is
    delivered, not what is asked.

    @since: 0.2
    """

    @property
    def topics(self) -> frozenset[str] | None:
        """
        The events that it wants are about at least one of these, or match a pattern; L{None} for
        events about anything.
        """

    @property
    def patterns(self) -> frozenset[Pattern]:
        """
        See C{topics}; none if that is L{None}.
        """

    @property
    def asks(self) -> bool:
        """
        Whether C{wants} has to be asked about each of these events.
        """

    @property
    def guards(self) -> bool:
        """
        Whether C{wants} has to be asked about the private ones.
        """

    @property
    def isTold(self) -> bool:
        """
        Whether the subscriber is sent the events of the channel's own, such as C{stream-reset}.
        """

    def wants(self, entry: Entry, /) -> bool:
        """
        Whether it wants an event.  If this fails, the stream ends.
        """
