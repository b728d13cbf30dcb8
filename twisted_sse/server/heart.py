"""
The heartbeat of many responses, and the look after their peers: one timer for all of them.
"""

from __future__ import annotations

from collections.abc import Collection

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from ..stream.options import StreamOptions
from ..stream.peer import GRACE
from ..stream.response import Response
from ..timing.slices import SLICE, inSlices
from ..timing.ticker import TimerWheel

__all__ = ["Heart"]

#: A heartbeat may be late by its interval divided by this, so that one round over all responses
#: can send many of them.
ROUNDS = 32

#: How often in a C{stallTimeout} the kernel is asked which peers seem to have vanished; and at
#: least so often that we give them up before it does.
LOOKS = 5


class Heart:
    """
    The heartbeat, and the timer wheel, of all responses that use the same clock.

    @ivar wheel: for the delayed calls of single responses.
    @ivar responses: how many responses there are.
    """

    def __init__(
        self, opened: Collection[Response], options: StreamOptions, clock: IReactorTime
    ) -> None:
        """
        @param opened: the responses that are open, including those with other clocks.
        """
        self._opened = opened
        self._heartbeat = options.heartbeat
        self._stallTimeout = options.stallTimeout
        self._beat: IDelayedCall | None = None
        self._look: IDelayedCall | None = None
        self.wheel = TimerWheel(clock)
        self.responses = 0

    def opened(self, canVanish: bool) -> None:
        """
        A response has opened: start what is not running.

        @param canVanish: whether the kernel can be asked about its peer.
        """
        if self._heartbeat is not None and self._beat is None:
            self._beat = self.wheel.callLater(self._heartbeat, self._beatAll, self._heartbeat)
        if canVanish and self._stallTimeout is not None and self._look is None:
            interval = min(self._stallTimeout / LOOKS, GRACE * 0.8)
            self._look = self.wheel.callLater(interval, self._lookAtAll, interval)

    def stop(self) -> None:
        """
        There are no more responses.
        """
        if self._beat is not None:
            self._beat.cancel()
            self._beat = None
        if self._look is not None:
            self._look.cancel()
            self._look = None

    def _lookAtAll(self, interval: float) -> None:
        """
        Look for peers that seem to have vanished.
        """
        self._look = self.wheel.callLater(interval, self._lookAtAll, interval)
        responses = [each for each in self._opened if each.wheel is self.wheel]
        inSlices(self.wheel.clock, responses, Response.checkPeer)

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
            # An observer of heartbeats has ended all responses, or new ones have
            # restarted the timer.
            return
        delay = max(next - now, heartbeat / ROUNDS) if next > now else 0
        self._beat = self.wheel.callLater(delay, self._beatAll, heartbeat)
