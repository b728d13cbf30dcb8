"""
The first client, which C{--once} waits for before it ends.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed

from ..stream.stream import EventStream

__all__ = ["FirstClient"]


class FirstClient:
    """
    Waits for the first stream, as an observer of resources.

    @ivar hasCome: whether a stream has been opened.
    """

    def __init__(self, reactor: Any, seconds: float) -> None:
        """
        @param seconds: the longest time to wait.
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
        Stop waiting.
        """
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.callback(None)

    def wait(self) -> Deferred[None]:
        """
        @return: fires when a client has connected, or the time is up.
        """
        if self.hasCome:
            return succeed(None)
        waiting: Deferred[None] = Deferred(self._waiting.remove)
        self._waiting.append(waiting)
        return waiting.addTimeout(self.seconds, self._reactor, lambda result, seconds: None)
