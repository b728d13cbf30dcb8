"""
The heartbeat of many streams: one timer for all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from ..timing.slices import SLICE
from ..timing.ticker import TimerWheel

if TYPE_CHECKING:
    from .group import StreamGroup

__all__ = ["Heart"]

#: A heartbeat is late by at most this part of its interval, so that one look over all
#: streams can send many of them.
ROUNDS = 32


class Heart:
    """
    The heartbeat, and the wheel, of all streams of a group that go by the same clock.

    @ivar wheel: for what each stream has to do at a time of its own.
    @ivar streams: how many streams there are.
    """

    def __init__(self, group: StreamGroup, clock: IReactorTime) -> None:
        self._group = group
        self._beat: IDelayedCall | None = None
        self.wheel = TimerWheel(clock)
        self.streams = 0

    def opened(self) -> None:
        """
        There is one more stream: see that it gets its heartbeats.
        """
        heartbeat = self._group.heartbeat
        if heartbeat is not None and self._beat is None:
            self._beat = self.wheel.callLater(heartbeat, self._beatAll, heartbeat)

    def stop(self) -> None:
        """
        There are no streams any more.
        """
        if self._beat is not None:
            self._beat.cancel()
            self._beat = None

    def _beatAll(self, heartbeat: float) -> None:
        """
        Send a heartbeat to each stream that was silent for so long, and find out when the
        next one is due.
        """
        self._beat = None
        now = self.wheel.seconds()
        next = now + heartbeat
        for stream in [each for each in self._group.streams if each._wheel is self.wheel]:
            due = stream._lastSent + heartbeat
            # A millisecond is nothing here, and a rounding error must not cost a round.
            if due - now < 0.001:
                if self.wheel.seconds() - now > SLICE:
                    # The rest in the next turn of the reactor.
                    next = now
                    break
                stream._beat()
            elif due < next:
                next = due
        if not self.streams or self._beat is not None:
            # Somebody has ended them, or begun anew, while he was told of a heartbeat.
            return
        delay = max(next - now, heartbeat / ROUNDS) if next > now else 0
        self._beat = self.wheel.callLater(delay, self._beatAll, heartbeat)
