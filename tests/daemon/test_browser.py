"""
Tests for L{twisted_sse.daemon.browser}: C{--open}.
"""

from __future__ import annotations

import os
import webbrowser
from typing import Any

from twisted.internet.defer import succeed
from twisted.logger import formatEvent, globalLogPublisher

from tests.support.options import DaemonReactor, OptionsMixin
from twisted_sse.daemon import browser, makeService
from twisted_sse.daemon.browser import openPage


class Window(webbrowser.BaseBrowser):
    """
    A browser with a window.
    """

    opened: list[str]

    def __init__(self, works: bool = True) -> None:
        super().__init__("window")
        self.opened = []
        self.works = works

    def open(self, url: str, new: int = 0, autoraise: bool = True) -> bool:
        """
        Keep the address.
        """
        self.opened.append(url)
        return self.works


class Pool:
    """
    A reactor whose threads run immediately.
    """

    def getThreadPool(self) -> None:
        """
        No browser is available.
        """


class OpenTests(OptionsMixin):
    """
    Tests for opening a page.
    """

    def open(self, found: Any) -> list[str]:
        """
        Open a page.

        @param found: the browser, or an exception.
        @return: the log messages.
        """

        def get() -> Any:
            if isinstance(found, Exception):
                raise found
            return found

        def now(reactor: Any, pool: Any, function: Any, *arguments: Any) -> Any:
            return succeed(None).addCallback(lambda _: function(*arguments))

        events: list[Any] = []
        self.patch(webbrowser, "get", get)
        self.patch(browser, "deferToThreadPool", now)
        globalLogPublisher.addObserver(events.append)
        try:
            self.successResultOf(openPage("http://localhost:8080/", Pool()))
        finally:
            globalLogPublisher.removeObserver(events.append)
        return [formatEvent(event) for event in events]

    def test_opened(self) -> None:
        """
        The page is opened in the user's browser.
        """
        window = Window()
        self.assertEqual(self.open(window), [])
        self.assertEqual(window.opened, ["http://localhost:8080/"])

    def test_none(self) -> None:
        """
        If there is no browser, or it does not start, that is one line with the address.
        """
        self.patch(os, "environ", {})
        for found in (
            webbrowser.Error("could not locate runnable browser"),
            Window(works=False),
            webbrowser.GenericBrowser("w3m"),
        ):
            (line,) = self.open(found)
            self.assertRegex(line, r"^No browser could be opened \(.+\): open http://localhost")

    def test_terminal(self) -> None:
        """
        A browser that runs in the terminal is used if the user has chosen it.
        """
        opened: list[str] = []
        text = webbrowser.GenericBrowser("w3m")
        self.patch(text, "open", lambda url, *more: opened.append(url) or True)
        self.patch(os, "environ", {"BROWSER": "w3m"})
        self.assertEqual(self.open(text), [])
        self.assertEqual(opened, ["http://localhost:8080/"])

    def test_option(self) -> None:
        """
        With C{--open} the page of the only source is opened, or the index of several, when the
        reactor runs.
        """
        for arguments, path in (
            (("tick",), ""),
            (("/vm=tick",), "vm"),
            (("/a=tick", "/b=tick"), ""),
        ):
            reactor: Any = DaemonReactor()
            called: list[Any] = []
            reactor.callWhenRunning = lambda *call, called=called: called.append(call)
            makeService(self.options("--open", *arguments), reactor)
            (opening,) = [call[1] for call in called if call[0] is openPage]
            self.assertEqual(opening, f"http://localhost:8080/{path}")
        self.assertIn("UNIX socket", self.refusal("--open", "--listen=unix:/nowhere/at/all"))
