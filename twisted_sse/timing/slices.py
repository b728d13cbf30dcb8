"""
Work on many streams, in slices that do not block the reactor for long.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from .ticker import steady

__all__ = ["SLICE", "inSlices"]

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
