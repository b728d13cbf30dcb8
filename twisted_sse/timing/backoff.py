"""
When a client that was cut off comes back.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from ..checks import checkInteger, checkSeconds

__all__ = ["Backoff"]

#: The least and the most that is waited, in seconds, whatever a server says: C{retry: 0} is not
#: to become an attack on it, and C{retry} may have hundreds of digits.
SHORTEST = 0.1
LONGEST = 86400.0


@dataclass(frozen=True)
class Backoff:
    """
    How long a client waits before it connects again (HTML standard, 9.2.3, "reestablish the
    connection").

    After a stream that came to its end it waits for the reconnection time: what the server has
    said by C{retry}, else C{initial}.  After a failure it waits for C{initial}, times C{factor}
    for each failure before, C{maximum} at most; a random part of that, so that not all clients
    come at the same time; and longer by the reconnection time if the server has said one.

    @ivar initial: seconds to wait after the first failure, and after the end of a stream whose
        server has said nothing.  If it is 0 a server may ask for less than a tenth of a second.
    @ivar factor: by how much it is longer after each failure.
    @ivar maximum: the most seconds that come of the two.
    @ivar jitter: how much of that is random: from 0, nothing, to 1, all of it.
    @ivar resetAfter: how many seconds a connection has to stay up for the failures before it to
        be forgotten.
    @ivar maxTries: after how many failures to give up, if no connection has stayed up for
        C{resetAfter} between them; L{None} for never.
    @ivar maxTime: after how many seconds since the first failure to give up; L{None} for never.

    @since: 0.1
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
        How long to wait after a stream that came to its end.

        @param retry: the reconnection time that the server has said, in milliseconds.
        @return: seconds.
        """
        return self._bounded(self.initial if retry is None else _seconds(retry))

    def afterFailure(self, failures: int, retry: int | None) -> float:
        """
        How long to wait after a failure.

        @param failures: how many there were, one after the other, with this one.
        @param retry: as for L{afterEnd}.
        @return: seconds.
        """
        wait = self.initial
        # Not by a power: after a thousand failures that is too large to be a number.
        for _ in range(failures - 1):
            if wait >= self.maximum or not wait:
                break
            wait *= self.factor
        wait = min(wait, self.maximum) * (1 - self.jitter * random.random())
        return self._bounded(wait + (0.0 if retry is None else _seconds(retry)))

    def _bounded(self, wait: float) -> float:
        return min(max(wait, SHORTEST if self.initial else 0.0), LONGEST)


def _seconds(retry: int) -> float:
    return min(retry, LONGEST * 1000) / 1000


def _isNumber(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
