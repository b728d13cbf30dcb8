"""
How long the reactor is held.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

from twisted.internet import reactor
from twisted.internet.task import LoopingCall

__all__ = ["Hold", "measureTurns"]

#: How long a turn takes when there is nothing to do, in seconds; so exact is the result.
PAUSE = 0.001

#: How often something is published.
TIMES = 5


class Hold:
    """
    How late a timer is at most, and for how long garbage is collected.

    @ivar longest: how late, in seconds.
    @ivar garbage: how long the longest collection took.
    """

    def __init__(self) -> None:
        self.longest = self.garbage = self._last = self._started = 0.0

    def begin(self) -> None:
        """
        Look from now on.
        """
        self.longest = self.garbage = 0.0
        self._last = time.perf_counter()
        gc.callbacks.append(self.collecting)
        self.look()

    def look(self) -> None:
        """
        Look now, and again.
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
    Publish some times, a second apart, and find the longest time between two turns of the
    reactor.

    @param publish: what is measured.
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
