"""
Closing the streams that can no longer be iterated.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IReactorFromThreads

__all__ = ["closeAbandoned"]


def closeAbandoned(reactor: Any, close: Callable[[], object]) -> None:
    """
    Close a stream after its last reference was dropped, in the next turn of the reactor.  This is
    for C{__del__}, which Python calls wherever that happens: in the middle of our own code or of
    the reactor's, or in another thread.

    @param close: what closes the stream.
    """
    if IReactorFromThreads.providedBy(reactor):
        # The only method that may be called anywhere.
        reactor.callFromThread(close)
    else:
        # The clock of a test.
        reactor.callLater(0, close)
