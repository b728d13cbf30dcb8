"""
From a thread back to the reactor.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.logger import Logger

__all__ = ["Handover"]

#: For how long to hold the reactor at a time, in seconds.
TURN = 0.005

_log = Logger()


class Handover:
    """
    Calls functions in the reactor's thread, in order, and as many as there are in one turn.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._calls: deque[Callable[[], object]] = deque()
        self._scheduled = False

    def put(self, *calls: Callable[[], object]) -> None:
        """
        Call functions soon.  This may be called in any thread.
        """
        self._calls.extend(calls)
        if not self._scheduled:
            self._scheduled = True
            self._reactor.callFromThread(self._run)

    def _run(self) -> None:
        # First: what is put from now on may be too late for this turn.
        self._scheduled = False
        end = time.perf_counter() + TURN
        while self._calls:
            self._call()
            if time.perf_counter() > end:
                self.put()
                return

    def finish(self) -> None:
        """
        Call all that are left, at once.
        """
        while self._calls:
            self._call()

    def _call(self) -> None:
        call = self._calls.popleft()
        try:
            call()
        except Exception:
            _log.failure("A notification of a store failed")
