"""
Which reactor is used for time, by which clock it goes, and which thread is its own.

Importing C{twisted.internet.reactor} installs one, so it is imported only when it is needed,
and only here.
"""

from __future__ import annotations

import sys
import time
from threading import get_ident
from typing import Any, cast

from twisted.internet.interfaces import IReactorTime
from twisted.python import runtime, threadable

__all__ = ["checkThread", "clockFor", "installedReactor", "isInstalled", "makeSteady"]


def installedReactor() -> Any:
    """
    Return the installed reactor, after installing the default one if there is none.
    """
    from twisted.internet import reactor

    return reactor


def isInstalled() -> bool:
    """
    Whether a reactor is installed already.
    """
    return "twisted.internet.reactor" in sys.modules


def clockFor(reactor: IReactorTime | None, request: object = None) -> IReactorTime:
    """
    Find the clock to use.

    @param reactor: the application's C{reactor} argument, if there was one.
    @param request: the request that is being answered.  Its site has a reactor, so that a
        C{MemoryClient} advances the clock of everything that answers it.
    @return: C{reactor}, else the site's, else the installed one.
    """
    clock = reactor or getattr(getattr(request, "site", None), "reactor", None)
    return clock if clock is not None else installedReactor()


def checkThread(home: int, call: str) -> None:
    """
    Refuse a call from another thread: the reactor would not wake up for it, and what it changes
    may be in use.

    @param home: the thread that counts as the reactor's while no reactor has run.
    @param call: the function that was called, as the caller would write it.
    @raise RuntimeError: if this is not the reactor's thread.
    """
    if get_ident() != (cast("int | None", threadable.ioThread) or home):
        raise RuntimeError(
            f"{call}() was called outside the reactor's thread:"
            f" use reactor.callFromThread({call}, ...)"
        )


def makeSteady(reactor: Any) -> None:
    """
    Let a reactor measure time with a clock that is never set.

    Twisted's reactors use the system's clock.  When that is set back by an hour, all their delayed
    calls are an hour late, and when it is set forward, they are early.

    The reactor's seconds go on from what they are, so calls that are pending already stay right.

    @param reactor: a reactor.  One that does not use the system's clock is left as it is.
    """
    if getattr(reactor, "seconds", None) is not runtime.seconds:
        return
    ahead: float = runtime.seconds() - time.monotonic()

    def seconds() -> float:
        return time.monotonic() + ahead

    reactor.seconds = seconds
    for call in reactor.getDelayedCalls():
        # It would add the system's time when it is reset.
        call.seconds = seconds
