"""
The choice of most applications: topics, and a function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from inspect import isawaitable, iscoroutine

from twisted.internet.defer import Deferred

from ..checks import checkList
from ..format.event import Event
from ..store.entry import Entry
from .choice import Pattern

__all__ = ["Topics", "checkedTopics", "choiceOf"]


class Topics:
    """
    The choice of an application: the arguments C{topics} and C{where} of L{Channel.subscribe
    <twisted_sse.channel.channel.Channel.subscribe>}.
    """

    __slots__ = ("topics", "where")

    patterns: frozenset[Pattern] = frozenset()
    #: Whether an event is private means nothing here: everyone may read it.
    guards = False
    isTold = True

    def __init__(
        self, topics: frozenset[str] | None, where: Callable[[Event], object] | None
    ) -> None:
        self.topics = topics
        self.where = where

    @property
    def asks(self) -> bool:
        """
        See L{Choice}.
        """
        return self.where is not None

    def wants(self, entry: Entry) -> bool:
        """
        See L{Choice}.

        @raise TypeError: if the function does not know at once.
        """
        if self.topics is not None and self.topics.isdisjoint(entry.topics):
            return False
        return self.where is None or _chooses(self.where, entry.event)


#: The choice of most.
EVERYTHING = Topics(None, None)


def choiceOf(topics: Iterable[str] | None, where: Callable[[Event], object] | None) -> Topics:
    """
    Validate the arguments C{topics} and C{where}.

    @raise TypeError: if one has the wrong type.
    """
    if where is not None and not callable(where):
        raise TypeError(f"where is {where!r}: it must be a function of an Event, or None")
    if topics is None and where is None:
        return EVERYTHING
    return Topics(None if topics is None else checkedTopics(topics), where)


def checkedTopics(topics: Iterable[str]) -> frozenset[str]:
    """
    Validate an argument C{topics}.

    @raise TypeError: if it is not a list of C{str}.
    """
    checked = checkList("topics", topics, "topics such as 'user:7'")
    for topic in checked:
        if not isinstance(topic, str):
            raise TypeError(f"topics has {topic!r}: a topic must be a str")
    return frozenset(checked)


def _chooses(where: Callable[[Event], object], event: Event) -> bool:
    """
    Ask an argument C{where} about an event.

    @raise TypeError: if it does not know at once.
    """
    answer = where(event)
    if isawaitable(answer) or isinstance(answer, Deferred):
        if iscoroutine(answer):
            answer.close()
        raise TypeError(
            f"{where!r} returned {answer!r}: where must return a bool, not wait for one"
        )
    return bool(answer)
