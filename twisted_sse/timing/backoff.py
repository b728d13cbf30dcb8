"""
How long a client waits before it reconnects.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from ..checks import checkInteger, checkSeconds

__all__ = ["Backoff"]

#: The shortest and the longest wait, in seconds, whatever the server asks for: C{retry: 0} must
#: not become an attack on it, and C{retry} may have hundreds of digits.
SHORTEST = 0.1
LONGEST = 86400.0


@dataclass(frozen=True)
class Backoff:
    """
    How long a client waits before it reconnects (HTML standard, 9.2.3, "reestablish the
    connection").

    After a stream that ended normally it waits for the reconnection time, the server's C{retry}
    or else C{initial}, and somewhat longer.  After a failure, or a stream that ended without an
    event, it waits for C{initial}, multiplied by C{factor} for each earlier failure, but at most
    C{maximum}; jitter shortens that; the server's C{retry}, if there is one, is added.

    So every wait has a random part: without it, all clients of a server that restarts would
    reconnect at once.

    @ivar initial: seconds to wait after the first failure, and after the end of a stream whose
        server did not set C{retry}.  If it is 0, a server may ask for less than 0.1 seconds.
    @ivar factor: by how much the wait is multiplied after each failure.
    @ivar maximum: the longest wait that these two give, in seconds.
    @ivar jitter: how much of the wait is random, from 0 (nothing) to 1 (all of it).  What a server
        asks for is waited in full: C{jitter} says how much may be added, at 1 as much again, but
        no more than C{maximum}.
    @ivar resetAfter: how many seconds a connection must stay up for earlier failures to be
        forgotten.
    @ivar maxTries: after how many failures to give up, if no connection stayed up for
        C{resetAfter} between them; L{None} for never.
    @ivar maxTime: how many seconds after the first failure to give up; L{None} for never.

    @since: 0.2
    """

    initial: float = 1.0
    factor: float = 2.0
    maximum: float = 30.0
    jitter: float = 1.0
    resetAfter: float = 60.0
    maxTries: int | None = None
    maxTime: float | None = None

    def __post_init__(self) -> None:
        checkSeconds("initial", self.initial, optional=False, zero=True)
        checkSeconds("maximum", self.maximum, optional=False, zero=True)
        checkSeconds("resetAfter", self.resetAfter, optional=False, zero=True)
        checkSeconds("maxTime", self.maxTime)
        checkInteger("maxTries", self.maxTries, 1)
        if not _isNumber(self.factor) or not 1 <= self.factor < float("inf"):
            raise ValueError(f"factor is {self.factor!r}: it must be a number of at least 1")
        if not _isNumber(self.jitter) or not 0 <= self.jitter <= 1:
            raise ValueError(f"jitter is {self.jitter!r}: it must be a number from 0 to 1")

    def afterEnd(self, retry: int | None) -> float:
        """
        How long to wait after a stream that ended normally.

        @param retry: the reconnection time that the server set, in milliseconds; L{None} for none.
        @return: seconds.
        """
        return self._later(self._bounded(self.initial if retry is None else _seconds(retry)))

    def afterFailure(self, failures: int, retry: int | None, least: float = 0.0) -> float:
        """
        How long to wait after a failure.

        @param failures: how many there were in a row, including this one.
        @param retry: as for L{afterEnd}.
        @param least: how many seconds the server has asked for (C{Retry-After}).
        @return: seconds.
        """
        wait = self.initial
        # Not factor ** failures: after a thousand failures that would overflow.
        for _ in range(failures - 1):
            if wait >= self.maximum or not wait:
                break
            wait *= self.factor
        wait = min(wait, self.maximum) * (1 - self.jitter * random.random())
        wait = self._bounded(wait + (0.0 if retry is None else _seconds(retry)))
        return wait if wait >= least else self._later(least)

    def _later(self, wait: float) -> float:
        """
        Add a random part to a wait that must not be shortened.
        """
        most = min(max(wait, self.initial), self.maximum)
        return min(wait + self.jitter * random.random() * most, LONGEST)

    def _bounded(self, wait: float) -> float:
        return min(max(wait, SHORTEST if self.initial else 0.0), LONGEST)


def _seconds(retry: int) -> float:
    return min(retry, LONGEST * 1000) / 1000


def _isNumber(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
