"""
How much of one turn of the reactor a stream may have.
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["TURN", "Turn"]

#: How much may be sent to one client in one turn, in bytes, however fast it reads: an endless
#: iterable, a coroutine that waits for room in between, a replay.
TURN = 2**14

#: How long an iterable may take in one turn, in seconds.
LONGEST = 0.005


class Turn:
    """
    What is left of a turn of the reactor.
    """

    __slots__ = ("_bytes", "_end", "_seconds")

    def __init__(self, seconds: Callable[[], float]) -> None:
        """
        @param seconds: tells the time.
        """
        self._seconds = seconds
        self.begin()

    def begin(self) -> None:
        """
        Begin the next turn.
        """
        self._bytes = TURN
        self._end = self._seconds() + LONGEST

    def spend(self, size: int) -> bool:
        """
        Spend some of it.

        @param size: how many bytes were sent.
        @return: whether anything is left.
        """
        self._bytes -= size
        return self._bytes > 0 and self._seconds() < self._end
