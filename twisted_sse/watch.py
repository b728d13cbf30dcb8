"""
Whether a client takes anything of what it is sent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from .fastwrite import progress, unsent

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall
    from twisted.web.server import Request

    from .ticker import TimerWheel

__all__ = ["Watch"]

#: How often it is looked, in each timeout.
LOOKS = 4


class Watch:
    """
    Watches a connection that something waits for, until all has gone, or until nothing has
    gone for too long.
    """

    __slots__ = ("_call", "_request", "_stalled", "_taken", "_takenAt", "_timeout", "_wheel")

    def __init__(
        self,
        request: Request,
        wheel: TimerWheel,
        timeout: float,
        stalled: Callable[[bool], None],
    ) -> None:
        """
        @param timeout: in seconds.
        @param stalled: called once, when the watch is over, with whether the client is stalled.
        """
        self._request = request
        self._wheel = wheel
        self._timeout = timeout
        self._stalled = stalled
        self._taken = progress(request)
        self._takenAt = wheel.seconds()
        self._call: IDelayedCall = wheel.callLater(timeout / LOOKS, self._look)

    def stop(self) -> None:
        """
        Watch no longer.
        """
        self._call.cancel()

    def _look(self) -> None:
        now = self._wheel.seconds()
        taken = progress(self._request)
        if taken != self._taken:
            self._taken = taken
            self._takenAt = now
        if unsent(self._request) == 0:
            self._stalled(False)
        elif now - self._takenAt >= self._timeout:
            self._stalled(True)
        else:
            later = min(self._timeout / LOOKS, self._takenAt + self._timeout - now)
            self._call = self._wheel.callLater(later, self._look)
