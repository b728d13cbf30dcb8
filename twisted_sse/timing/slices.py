"""
Work on many streams, in slices that do not hold the reactor for long.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

__all__ = ["SLICE", "inSlices"]

#: How long the reactor may be held by one round over many streams, in seconds.
SLICE = 0.02

_log = Logger()

_Each = TypeVar("_Each")


def inSlices(clock: IReactorTime, many: Iterable[_Each], act: Callable[[_Each], object]) -> None:
    """
    Do something to each of many things, over as many turns of the reactor as it needs.
    """
    left = list(many)

    def go() -> None:
        started = clock.seconds()
        while left:
            try:
                act(left.pop())
            except Exception:
                # The others must not suffer for it.
                _log.failure("A stream could not be ended")
            if left and clock.seconds() - started > SLICE:
                clock.callLater(0, go)
                return

    go()
