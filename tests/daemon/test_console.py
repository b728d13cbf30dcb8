"""
Tests for L{twisted_sse.daemon.console}: the log on standard error.
"""

from __future__ import annotations

import io
import json
from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.logger import Logger, LogLevel
from twisted.python import log as legacy
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from twisted_sse.daemon import console
from twisted_sse.daemon.console import BOLD, PLAIN, Terminal, beginLogging


class File(io.StringIO):
    """
    A file that may be a terminal.
    """

    def __init__(self, isTerminal: bool) -> None:
        super().__init__()
        self.isatty = lambda: isTerminal  # type: ignore[method-assign]


class Beginner:
    """
    Keeps the observer, so that the tests' own log continues.
    """

    observer: Any = None

    def beginLoggingTo(self, observers: Any, redirectStandardIO: bool = True) -> None:
        """
        Keep it.
        """
        assert not redirectStandardIO, "what a source prints is no log"
        (self.observer,) = observers


def failure() -> Failure:
    """
    @return: a failure with a traceback.
    """
    try:
        raise ValueError("no\nsuch thing")
    except ValueError:
        return Failure()


class TerminalTests(SynchronousTestCase):
    """
    Tests for a log on a terminal.
    """

    def shown(self, *, styles: bool = True, **event: Any) -> str:
        """
        @return: the text shown for an event.
        """
        file = io.StringIO()
        logger = Logger("app", observer=Terminal(file, styles))
        level = event.pop("level", LogLevel.info)
        logger.emit(level, event.pop("format", "Something has {what}"), what="happened", **event)
        return file.getvalue()

    def test_lines(self) -> None:
        """
        Only warnings and errors are shown, in one line each, with the time of day; a name in
        capitals stays unchanged.
        """
        for level in LogLevel.debug, LogLevel.info:
            self.assertEqual(self.shown(level=level), "")
        for level, word in (
            (LogLevel.warn, "warning"),
            (LogLevel.error, "error"),
            (LogLevel.critical, "error"),
        ):
            line = self.shown(level=level)
            self.assertRegex(line, rf"^\d\d:\d\d:\d\d {word}: something has happened\n$")
        line = self.shown(level=LogLevel.warn, format="GET /a\n\nis\x1b[2J odd.")
        self.assertRegex(line, r"^[0-9:]+ warning: GET /a is\\u001b\[2J odd\n$")

    def test_failure(self) -> None:
        """
        A failure is one line, too: its message, and where it was raised.
        """
        line = self.shown(level=LogLevel.critical, format="It failed", log_failure=failure())
        expected = (
            r"error: it failed: ValueError: no such thing \(.*test_console\.py, line \d+\)\n$"
        )
        self.assertRegex(line, expected)

    def test_own(self) -> None:
        """
        An event may determine how it looks, with styles only if the terminal supports them, and
        whether it is shown at all.
        """
        own = f"{BOLD}three{PLAIN} clients"
        self.assertEqual(self.shown(terminal=own), f"{own}\n")
        self.assertEqual(self.shown(terminal=own, styles=False), "three clients\n")
        self.assertEqual(self.shown(terminal="", level=LogLevel.warn), "")

    def test_closed(self) -> None:
        """
        A terminal that was closed does not end the daemon.
        """

        class Closed(io.StringIO):
            def write(self, text: str) -> int:
                raise OSError(5, "Input/output error")

        Terminal(Closed(), True)({"terminal": "hello"})


class BeginTests(SynchronousTestCase):
    """
    Tests for the choice of the log format.
    """

    def begin(
        self, isTerminal: bool, format: str | None = None, **environ: str
    ) -> tuple[File, Any]:
        """
        @return: standard error, and the function that receives events.
        """
        beginner = Beginner()
        self.patch(console, "globalLogBeginner", beginner)
        file = File(isTerminal)
        beginLogging(file, format, environ)
        return file, beginner.observer

    def test_kinds(self) -> None:
        """
        A terminal gets lines for people, anything else Twisted's text, and an explicit format takes
        precedence.
        """
        for isTerminal, format, begin in (
            (True, None, "Stop"),
            (False, None, "20"),
            (False, "text", "20"),
            (True, "text", "20"),
            (True, "json", "{"),
            (False, "json", "{"),
        ):
            file, observer = self.begin(isTerminal, format)
            Logger("sse", observer=observer).info("Stopped", terminal="Stopped.")
            self.assertTrue(file.getvalue().startswith(begin), (isTerminal, format))
        self.assertEqual(json.loads(file.getvalue())["log_format"], "Stopped")
        file, observer = self.begin(False)
        Logger("sse", observer=observer).info("Stopped", terminal="Stopped.")
        self.assertRegex(file.getvalue(), r"^\S+ \[sse#info\] Stopped\n$")

    def test_noColour(self) -> None:
        """
        NO_COLOR turns styles off, unless it is empty.
        """
        for environ, styled in (
            ({}, True),
            ({"NO_COLOR": "1"}, False),
            ({"NO_COLOR": "0"}, False),
            ({"NO_COLOR": ""}, True),
        ):
            file, observer = self.begin(True, **environ)
            Logger("sse", observer=observer).info("x", terminal=f"{BOLD}x{PLAIN}")
            self.assertEqual(BOLD in file.getvalue(), styled, environ)

    def test_twisteds(self) -> None:
        """
        Twisted's messages about itself are omitted, but not its warnings, nor the messages of
        applications that use the old log.
        """
        file, observer = self.begin(False)
        publisher = legacy.LogPublisher(publishPublisher=observer)
        publisher.msg("(TCP Port 8080 Closed)")
        publisher.msg("Main loop terminated.")
        publisher.msg("Site starting on 8080", eventSource=MemoryReactorClock())
        Logger("twisted.internet", observer=observer).info("Starting factory")
        self.assertEqual(file.getvalue(), "")
        Logger("twisted.internet", observer=observer).warn("Careful")
        publisher.msg("mine")
        Logger("shop", observer=observer).info("also mine")
        texts = [line.partition("] ")[2] for line in file.getvalue().splitlines()]
        self.assertEqual(texts, ["Careful", "mine", "also mine"])
