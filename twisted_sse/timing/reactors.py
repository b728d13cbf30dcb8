"""
Which reactor time comes from.

Importing C{twisted.internet.reactor} installs one, so it is looked up only when it is needed,
and here only.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IReactorTime

__all__ = ["clockFor", "installedReactor"]


def installedReactor() -> Any:
    """
    Look up the installed reactor; install the default one if there is none.
    """
    from twisted.internet import reactor

    return reactor


def clockFor(reactor: IReactorTime | None, request: object = None) -> IReactorTime:
    """
    Find where time comes from.

    @param reactor: the argument C{reactor} of the application, if it was given.
    @param request: a request that is being answered: its site has a reactor, so that a
        C{MemoryClient} moves the clock of everything that answers it.
    @return: the first of the two that there is, else the installed reactor.
    """
    clock = reactor or getattr(getattr(request, "site", None), "reactor", None)
    return clock if clock is not None else installedReactor()
