"""
How long the reactor is held by one publish.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from twisted.internet import reactor
from twisted.internet.task import LoopingCall

__all__ = ["measureTurns"]

#: How long a turn takes when there is nothing to do, in seconds; so exact is the result.
PAUSE = 0.001

#: How often something is published.
TIMES = 5


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
