"""
The heartbeat of many responses: one timer for all of them.
"""

from __future__ import annotations

from collections.abc import Collection

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from ..stream.response import Response
from ..timing.slices import SLICE
from ..timing.ticker import TimerWheel

__all__ = ["Heart"]

#: A heartbeat may be late by its interval divided by this, so that one round over all responses
#: can send many of them.
ROUNDS = 32


class Heart:
    """
    The heartbeat, and the timer wheel, of all responses that use the same clock.

    @ivar wheel: for the delayed calls of single responses.
    @ivar responses: how many responses there are.
    """

    def __init__(
        self, opened: Collection[Response], heartbeat: float | None, clock: IReactorTime
    ) -> None:
        """
        @param opened: the responses that are open, including those with other clocks.
        @param heartbeat: after how many seconds of silence to send a comment; L{None} for
            never.
        """
        self._opened = opened
        self._heartbeat = heartbeat
        self._beat: IDelayedCall | None = None
        self.wheel = TimerWheel(clock)
        self.responses = 0

    def opened(self) -> None:
        """
        A response has opened: start the heartbeat, if it is not running.
        """
        if self._heartbeat is not None and self._beat is None:
            self._beat = self.wheel.callLater(self._heartbeat, self._beatAll, self._heartbeat)

    def stop(self) -> None:
        """
        There are no more responses.
        """
        if self._beat is not None:
            self._beat.cancel()
            self._beat = None

    def _beatAll(self, heartbeat: float) -> None:
        """
        Send a heartbeat to each client that was sent nothing for so long, and schedule the next
        round.
        """
        self._beat = None
        now = self.wheel.seconds()
        next = now + heartbeat
        for response in [each for each in self._opened if each.wheel is self.wheel]:
            due = response.lastSent + heartbeat
            # A millisecond does not matter, and a rounding error must not cost a round.
            if due - now < 0.001:
                if self.wheel.seconds() - now > SLICE:
                    # The rest will follow in the next turn of the reactor.
                    next = now
                    break
                response.beat()
            elif due < next:
                next = due
        if not self.responses or self._beat is not None:
            # An observer that was told of a heartbeat has ended all responses, or new ones have
            # restarted the timer.
            return
        delay = max(next - now, heartbeat / ROUNDS) if next > now else 0
        self._beat = self.wheel.callLater(delay, self._beatAll, heartbeat)
