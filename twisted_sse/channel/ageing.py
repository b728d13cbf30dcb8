"""
What happens to a channel as time passes: events expire, and the last IDs of clients get old.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from ..store.memory import History
from .positions import Positions

__all__ = ["Ageing"]


class Ageing:
    """
    Looks after a store whose events expire, with one delayed call at most.

    @ivar clock: for the delayed call; L{None} if there is none yet.
    """

    def __init__(self, store: History, positions: Positions | None) -> None:
        """
        @param store: has a C{maxAge}.
        @param positions: which clients have old IDs, if they receive new ones.
        """
        self.clock: IReactorTime | None = None
        self._store = store
        self._positions = positions
        self._call: IDelayedCall | None = None
        # When it is due.
        self._time = 0.0

    def check(self, now: float, position: int, again: Callable[[], None]) -> bool:
        """
        Drop expired events, and arrange for the next check.

        @param now: the time, in the seconds of the clock.
        @param position: everything before this position has been handed to the live clients.
        @param again: called when it is time for the next check.
        @return: whether there are clients with an old ID.
        """
        next = self._store.expire(now)
        due = None if self._positions is None else self._positions.due(position)
        if due is not None and due > now:
            next = due - now if next is None else min(next, due - now)
        if next is not None and self.clock is not None:
            self._checkLater(self.clock, now, next, again)
        return due is not None and due <= now

    def _checkLater(
        self, clock: IReactorTime, now: float, delay: float, again: Callable[[], None]
    ) -> None:
        if self._call is not None:
            if self._time <= now + delay:
                return
            self._call.cancel()
        self._time = now + delay
        # It refers to the channel only while it is due: the two must not keep each other alive.
        self._call = clock.callLater(delay, self._checkAgain, again)

    def _checkAgain(self, again: Callable[[], None]) -> None:
        self._call = None
        again()

    def stop(self) -> None:
        """
        Cancel the delayed call, and make no more.
        """
        self.clock = None
        if self._call is not None:
            self._call.cancel()
            self._call = None
