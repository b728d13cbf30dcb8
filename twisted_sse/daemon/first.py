"""
The first client of a source that has an end: C{--once} waits for it.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed

from ..stream.stream import EventStream

__all__ = ["FirstClient"]


class FirstClient:
    """
    Waits for the first stream.  It is an observer of resources.

    @ivar hasCome: whether there was one.
    """

    def __init__(self, reactor: Any, seconds: float) -> None:
        """
        @param seconds: how long to wait at most.
        """
        self.hasCome = False
        self._reactor = reactor
        self.seconds = seconds
        self._waiting: list[Deferred[None]] = []

    def opened(self, stream: EventStream) -> None:
        """
        See L{StreamObserver<twisted_sse.observe.Observer>}.
        """
        if not self.hasCome:
            self.hasCome = True
            self.stop()

    def stop(self) -> None:
        """
        Wait no longer.
        """
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.callback(None)

    def wait(self) -> Deferred[None]:
        """
        @return: fires when there was a client, or the time is over.
        """
        if self.hasCome:
            return succeed(None)
        waiting: Deferred[None] = Deferred(self._waiting.remove)
        self._waiting.append(waiting)
        return waiting.addTimeout(self.seconds, self._reactor, lambda result, seconds: None)
