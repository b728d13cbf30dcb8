"""
A service that drains resources when the application stops.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Protocol

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList

__all__ = ["DrainService", "Drainable"]


class Drainable(Protocol):
    """
    What a L{DrainService} drains.
    """

    def admit(self) -> None:
        """
        Called when the service starts, possibly after a drain: accept clients.
        """

    def drain(self, seconds: float, /, *, farewell: Any) -> Deferred[None]:
        """
        Called when the service stops: end all streams, and refuse new ones.

        @param seconds: how long it may take.
        @param farewell: what was given to the service.
        @return: a L{Deferred} that fires when no stream is left.
        """


class DrainService(Service):
    """
    Drains when it is stopped.

    Add it to the application before the service that listens: services stop in reverse order,
    and the port should be closed first.
    """

    def __init__(
        self, drainables: Collection[Drainable], seconds: float, farewell: object = None
    ) -> None:
        """
        @param drainables: what to drain.
        @param seconds: how long the drain may take.
        @param farewell: passed on to C{drain}.
        """
        self._drainables = drainables
        self._seconds = seconds
        self._farewell = farewell

    def startService(self) -> None:
        """
        Accept clients.
        """
        super().startService()  # type: ignore[no-untyped-call]
        for drainable in self._drainables:
            drainable.admit()

    def stopService(self) -> Deferred[None]:
        """
        Drain.

        @return: a L{Deferred} that fires when no stream is left.
        """
        super().stopService()  # type: ignore[no-untyped-call]
        drains = [
            drainable.drain(self._seconds, farewell=self._farewell)
            for drainable in self._drainables
        ]
        return DeferredList(drains).addCallback(lambda _: None)
