"""
What the application awaits: how to cancel it, and what it cannot be.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

__all__ = ["cancel", "warnOfAsyncio"]

#: What is said when a future of asyncio, or asyncio.sleep(), is awaited without its reactor.
OF_ASYNCIO = ("await wasn't used with future", "no running event loop")


_log = Logger()


def cancel(deferred: Deferred[Any]) -> None:
    """
    Cancel a L{Deferred} of the application's, whatever its canceller does.
    """
    try:
        deferred.cancel()
    except Exception:
        _log.failure("{deferred} could not be cancelled", deferred=deferred)


def warnOfAsyncio(failure: Failure) -> None:
    """
    Say what to do if something has failed because it is asyncio's.
    """
    if failure.check(RuntimeError) and failure.getErrorMessage() in OF_ASYNCIO:
        _log.warn(
            "Something of asyncio was awaited, which this reactor cannot do: run twistd or"
            " trial with --reactor=asyncio, and await Deferred.fromFuture(future)"
        )
