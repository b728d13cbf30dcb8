"""
Running a command on the reactor.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from ..timing.reactors import installedReactor, makeSteady
from .status import Status

__all__ = ["run"]


def run(begin: Callable[[Any], Deferred[Status]]) -> int:
    """
    Run a command until it is done.

    @param begin: called with the reactor when it runs; returns a L{Deferred} of the exit status.
    @return: the exit status.
    """
    reactor = installedReactor()
    makeSteady(reactor)
    results: list[Any] = []

    def finished(result: object) -> None:
        results.append(result)
        reactor.stop()

    def start() -> None:
        begin(reactor).addBoth(finished)

    reactor.callWhenRunning(start)
    # Signals end the process at once: see interrupts.
    reactor.run(installSignalHandlers=False)
    (result,) = results
    if isinstance(result, Failure):
        result.raiseException()
    return int(result)
