"""
Closing the streams that nobody can iterate over any more.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import get_ident
from typing import Any

__all__ = ["closeAbandoned"]


def closeAbandoned(reactor: Any, thread: int, isBusy: bool, close: Callable[[], object]) -> None:
    """
    Close a stream whose last reference has gone.  This is for C{__del__}, which Python calls
    wherever that happens: in the middle of our own code, or in another thread.

    @param thread: the thread of the reactor.
    @param isBusy: whether code is running that must not be disturbed.
    @param close: what closes the stream.
    """
    if get_ident() != thread:
        reactor.callFromThread(close)
    elif isBusy:
        reactor.callLater(0, close)
    else:
        close()
