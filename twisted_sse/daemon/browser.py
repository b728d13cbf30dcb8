"""
Opening the page in a browser, for C{--open}.
"""

from __future__ import annotations

import os
import webbrowser
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure

from .console import NAMESPACE

__all__ = ["openPage"]

_log = Logger(namespace=NAMESPACE)


class _NoBrowser(Exception):
    """
    No graphical browser could be started.
    """


def openPage(url: str, reactor: Any) -> Deferred[None]:
    """
    Open a page in the user's browser.

    @param reactor: its thread pool opens the page, since that may take seconds.
    @return: a L{Deferred} that fires when this is done.  A failure is logged.
    """

    def failed(failure: Failure) -> None:
        _log.warn(
            "No browser could be opened ({why}): open {url} yourself",
            why=failure.getErrorMessage(),
            url=url,
        )

    opening = deferToThreadPool(reactor, reactor.getThreadPool(), _open, url)
    return opening.addErrback(failed)


def _open(url: str) -> None:
    browser = webbrowser.get()
    # A text-mode browser would take over our terminal, so it must be the user's choice.
    if type(browser) is webbrowser.GenericBrowser and not os.environ.get("BROWSER"):
        raise _NoBrowser("no graphical browser found")
    if not browser.open(url):
        raise _NoBrowser("it did not start")
