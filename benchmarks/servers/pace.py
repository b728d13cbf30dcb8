"""
When an event is due, for servers that publish at a fixed rate.

A timer that is late and continues from there publishes less than it should, which would make an
overloaded server look better.  Here the clock decides, and an event carries the time at which it
was due, which reveals a late server.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

__all__ = ["STALLING", "Pace", "makeData"]

ZEROS = "0" * 64

#: The data of an event that does not fit into the buffers of a client that does not read.
STALLING = "0" * 2**17


def makeData(moment: int) -> str:
    """
    Make the data of an event.

    @param moment: in nanoseconds of the monotonic clock.
    """
    return f"{moment} {ZEROS}"


class Pace:
    """
    A fixed rate.
    """

    def __init__(self, rate: float) -> None:
        """
        @param rate: events per second.
        """
        self._interval = 1e9 / rate
        self._start = time.monotonic_ns()
        self._count = 0

    def _next(self) -> int:
        return self._start + int((self._count + 1) * self._interval)

    def due(self) -> Iterator[int]:
        """
        The moments that have passed since the last call, in nanoseconds.
        """
        now = time.monotonic_ns()
        while (moment := self._next()) <= now:
            self._count += 1
            yield moment

    def wait(self) -> float:
        """
        The time until the next moment, in seconds.
        """
        return max(0, self._next() - time.monotonic_ns()) / 1e9
