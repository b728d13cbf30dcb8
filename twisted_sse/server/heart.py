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

#: A heartbeat is late by at most this part of its interval, so that one look over all
#: responses can send many of them.
ROUNDS = 32


class Heart:
    """
    The heartbeat, and the wheel, of all responses that go by the same clock.

    @ivar wheel: for what each response has to do at a time of its own.
    @ivar responses: how many responses there are.
    """

    def __init__(
        self, opened: Collection[Response], heartbeat: float | None, clock: IReactorTime
    ) -> None:
        """
        @param opened: the responses that are open, those with other clocks included.
        @param heartbeat: after how many seconds of silence a comment is sent; L{None} for
            never.
        """
        self._opened = opened
        self._heartbeat = heartbeat
        self._beat: IDelayedCall | None = None
        self.wheel = TimerWheel(clock)
        self.responses = 0

    def opened(self) -> None:
        """
        One more response is open: see that it gets its heartbeats.
        """
        if self._heartbeat is not None and self._beat is None:
            self._beat = self.wheel.callLater(self._heartbeat, self._beatAll, self._heartbeat)

    def stop(self) -> None:
        """
        There are no responses any more.
        """
        if self._beat is not None:
            self._beat.cancel()
            self._beat = None

    def _beatAll(self, heartbeat: float) -> None:
        """
        Send a heartbeat to each client that was sent nothing for so long, and find out when the
        next one is due.
        """
        self._beat = None
        now = self.wheel.seconds()
        next = now + heartbeat
        for response in [each for each in self._opened if each.wheel is self.wheel]:
            due = response.lastSent + heartbeat
            # A millisecond is nothing here, and a rounding error must not cost a round.
            if due - now < 0.001:
                if self.wheel.seconds() - now > SLICE:
                    # The rest in the next turn of the reactor.
                    next = now
                    break
                response.beat()
            elif due < next:
                next = due
        if not self.responses or self._beat is not None:
            # An observer that was told of a heartbeat has ended them, or begun anew.
            return
        delay = max(next - now, heartbeat / ROUNDS) if next > now else 0
        self._beat = self.wheel.callLater(delay, self._beatAll, heartbeat)
