"""
Whether a client takes any of what it is sent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from .transport import outstanding

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall
    from twisted.web.server import Request

    from ..timing.ticker import TimerWheel

__all__ = ["Watch"]

#: How many times the connection is polled in each timeout.
LOOKS = 4

#: How long to wait before the first count, while the kernel takes what it can, in seconds.
SETTLING = 0.1


class Watch:
    """
    Watches a connection that holds something back, until the client has taken something, or has
    taken nothing for too long.

    @ivar given: how many bytes the connection was given since the first count, including framing.
    """

    __slots__ = (
        "_call",
        "_done",
        "_outstanding",
        "_request",
        "_since",
        "_timeout",
        "_wheel",
        "given",
    )

    def __init__(
        self,
        request: Request,
        wheel: TimerWheel,
        timeout: float,
        since: float,
        done: Callable[[bool], None],
    ) -> None:
        """
        @param timeout: in seconds.
        @param since: when the client last took something, as far as is known, in the wheel's
            seconds.
        @param done: called when the watch is over, with whether the client has stalled.
        """
        self._request = request
        self._wheel = wheel
        self._timeout = timeout
        self._since = since
        self._done = done
        self._outstanding = 0
        self.given = 0
        settling = min(SETTLING, timeout / 2 / LOOKS)
        self._call: IDelayedCall = wheel.callLater(settling, self._begin)

    def stop(self) -> None:
        """
        Stop watching.
        """
        self._call.cancel()

    def _begin(self) -> None:
        self._outstanding = outstanding(self._request)
        self.given = 0
        if self._outstanding:
            self._lookLater()
        else:
            # It has taken everything.
            self._done(False)

    def _lookLater(self) -> None:
        past = self._wheel.seconds() - self._since
        looks = min(int(past / self._timeout * LOOKS) + 1, LOOKS)
        later = max(0.0, looks * self._timeout / LOOKS - past)
        self._call = self._wheel.callLater(later, self._look)

    def _look(self) -> None:
        taken = self.given - (outstanding(self._request) - self._outstanding)
        if taken > 0:
            self._done(False)
        elif self._wheel.seconds() - self._since >= self._timeout:
            self._done(True)
        else:
            self._lookLater()
