"""
Which reactor is used for time.

Importing C{twisted.internet.reactor} installs one, so it is imported only when it is needed,
and only here.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IReactorTime

__all__ = ["clockFor", "installedReactor"]


def installedReactor() -> Any:
    """
    Return the installed reactor, after installing the default one if there is none.
    """
    from twisted.internet import reactor

    return reactor


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
