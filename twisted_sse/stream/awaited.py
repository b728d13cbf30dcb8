"""
Awaitables of the application: cancelling them, and a hint about those of asyncio.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

__all__ = ["cancel", "warnOfAsyncio"]

#: The errors of awaiting an asyncio future or asyncio.sleep(), and of libraries that ask sniffio or
#: anyio where they run, in a coroutine that Twisted runs.
OF_ASYNCIO = (
    "await wasn't used with future",
    "no running event loop",
    "unknown async library, or not in async context",
    "Not currently running on any asynchronous event loop.",
)


_log = Logger()


def cancel(deferred: Deferred[Any]) -> None:
    """
    Cancel one of the application's L{Deferred}s; log what its canceller raises.
    """
    try:
        deferred.cancel()
    except Exception:
        _log.failure("{deferred} could not be cancelled", deferred=deferred)


def warnOfAsyncio(failure: Failure) -> None:
    """
    Log what to do, if the failure comes from awaiting something of asyncio's.
    """
    if failure.check(RuntimeError) and failure.getErrorMessage().startswith(OF_ASYNCIO):
        _log.warn(
            "An asyncio object was awaited in a coroutine that Twisted runs: start twistd or"
            " trial with --reactor=asyncio, and pass it to twisted_sse.aio.fromAsyncio"
        )
