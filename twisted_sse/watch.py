"""
Whether a client takes anything of what it is sent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from .fastwrite import progress

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall
    from twisted.web.server import Request

    from .ticker import TimerWheel

__all__ = ["Watch"]

#: How often it is looked, in each timeout.
LOOKS = 4


class Watch:
    """
    Watches a connection that something waits for, until the client has taken something, or
    until it has taken nothing for too long.
    """

    __slots__ = ("_call", "_done", "_request", "_since", "_taken", "_timeout", "_wheel")

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
        @param since: when something was taken last, as far as is known, in the seconds of the
            clock.
        @param done: called when the watch is over, with whether the client is stalled.
        """
        self._request = request
        self._wheel = wheel
        self._timeout = timeout
        self._done = done
        self._taken = progress(request)
        self._since = since
        later = since + timeout / LOOKS - wheel.seconds()
        self._call: IDelayedCall = wheel.callLater(later, self._look)

    def stop(self) -> None:
        """
        Watch no longer.
        """
        self._call.cancel()

    def _look(self) -> None:
        now = self._wheel.seconds()
        if progress(self._request) != self._taken:
            self._done(False)
        elif now - self._since >= self._timeout:
            self._done(True)
        else:
            later = min(self._timeout / LOOKS, self._since + self._timeout - now)
            self._call = self._wheel.callLater(later, self._look)
