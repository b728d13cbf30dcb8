"""
How much of one turn of the reactor a stream may use.
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["TURN", "Turn"]

#: How many bytes may be sent to one client in one turn, however fast it reads, from an endless
#: iterable, a coroutine that awaits C{whenWritable()}, or a replay.
TURN = 2**14

#: How long an iterable may take in one turn, in seconds.
LONGEST = 0.005


class Turn:
    """
    What is left of a stream's share of a turn of the reactor.
    """

    __slots__ = ("_bytes", "_end", "_seconds")

    def __init__(self, seconds: Callable[[], float]) -> None:
        """
        @param seconds: returns the time.
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
        Use some of the share.

        @param size: how many bytes were sent.
        @return: whether any of it is left.
        """
        self._bytes -= size
        return self._bytes > 0 and self._seconds() < self._end
