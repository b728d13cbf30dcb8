"""
Work on many streams, in slices that do not block the reactor for long.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from typing import TypeVar

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from .ticker import steady

__all__ = ["SLICE", "givingWay", "inSlices"]

#: How long one slice may block the reactor, in seconds.
SLICE = 0.02

_log = Logger()

_Each = TypeVar("_Each")


def inSlices(clock: IReactorTime, many: Iterable[_Each], act: Callable[[_Each], object]) -> None:
    """
    Call a function with each of many things, over as many turns of the reactor as that takes.
    """
    left = list(many)
    seconds = steady(clock)

    def go() -> None:
        started = seconds()
        while left:
            try:
                act(left.pop())
            except Exception:
                # Carry on with the others.
                _log.failure("A stream could not be ended")
            if left and seconds() - started > SLICE:
                clock.callLater(0, go)
                return

    go()


async def givingWay(clock: IReactorTime, many: Iterable[_Each]) -> AsyncIterator[_Each]:
    """
    Go through many things, and let the reactor do something else after each slice.
    """
    seconds = steady(clock)
    until = seconds() + SLICE
    for each in many:
        yield each
        if seconds() >= until:
            await deferLater(clock, 0)
            until = seconds() + SLICE
