"""
What a subscriber chooses of the events: the application's arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from inspect import isawaitable, iscoroutine

from twisted.internet.defer import Deferred

from ..checks import checkList
from ..format.event import Event

__all__ = ["checkedTopics", "chooses"]


def chooses(where: Callable[[Event], object], event: Event) -> bool:
    """
    Ask an argument C{where} about an event.

    @raise TypeError: if it does not know at once.
    """
    answer = where(event)
    if isawaitable(answer) or isinstance(answer, Deferred):
        if iscoroutine(answer):
            answer.close()
        raise TypeError(f"{where!r} returned {answer!r}: where has to know at once")
    return bool(answer)


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
