"""
How long the reactor is blocked.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

from twisted.internet import reactor
from twisted.internet.task import LoopingCall

__all__ = ["Hold", "measureTurns"]

#: The duration of a turn without work, in seconds, which is the accuracy of the result.
PAUSE = 0.001

#: The number of published events.
TIMES = 5


class Hold:
    """
    The greatest delay of a timer, and the longest garbage collection.

    @ivar longest: the greatest delay, in seconds.
    @ivar garbage: the duration of the longest collection.
    """

    def __init__(self) -> None:
        self.longest = self.garbage = self._last = self._started = 0.0

    def begin(self) -> None:
        """
        Start measuring.
        """
        self.longest = self.garbage = 0.0
        self._last = time.perf_counter()
        gc.callbacks.append(self.collecting)
        self.look()

    def look(self) -> None:
        """
        Measure now, and repeatedly.
        """
        now = time.perf_counter()
        self.longest = max(self.longest, now - self._last - PAUSE)
        self._last = now
        reactor.callLater(PAUSE, self.look)

    def collecting(self, phase: str, about: object) -> None:
        """
        A collection of garbage begins or ends.
        """
        now = time.perf_counter()
        if phase == "start":
            self._started = now
        else:
            self.garbage = max(self.garbage, now - self._started)


def measureTurns(publish: Callable[[], object], done: Callable[[float], object]) -> None:
    """
    Publish several times, a second apart, and find the longest time between two turns of the
    reactor.

    @param publish: the function to measure.
    @param done: called with the longest time, in seconds.
    """
    longest = 0.0
    last = time.perf_counter()
    left = TIMES

    def turn() -> None:
        nonlocal longest, last
        now = time.perf_counter()
        longest = max(longest, now - last)
        last = now
        reactor.callLater(PAUSE, turn)

    def tick() -> None:
        nonlocal left
        left -= 1
        if left >= 0:
            publish()
        else:
            ticking.stop()
            done(longest)

    turn()
    ticking = LoopingCall(tick)
    ticking.start(1, now=False)
