"""
Tests for L{twisted_sse.daemon.launch}.
"""

from __future__ import annotations

import os
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from twisted_sse.daemon.launch import LONGEST, Launch


class LaunchTests(SynchronousTestCase):
    """
    Tests for L{Launch}.
    """

    def begin(self) -> Launch:
        """
        Begin a launch with a process waiting for its outcome.
        """
        self.clock = Clock()
        self.reading, writing = os.pipe()
        self.addCleanup(os.close, self.reading)
        self.options: dict[str, Any] = {"statusPipe": writing}
        launch = Launch(self.clock, self.options)
        launch.begin()
        # Otherwise twistd would write to it.
        self.assertIsNone(self.options["statusPipe"])
        return launch

    def assertTold(self, expected: bytes) -> None:
        """
        Assert the message to the waiting process, and that nothing follows.
        """
        self.assertEqual(os.read(self.reading, 200), expected)
        self.assertEqual(os.read(self.reading, 200), b"")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_succeeded(self) -> None:
        """
        A success is reported once, in the same way as by C{twistd}.
        """
        launch = self.begin()
        launch.succeeded()
        launch.failed("later")
        self.assertTold(b"0")

    def test_failed(self) -> None:
        """
        A failure is reported with the reason, even if the process reads only a part of it.
        """
        launch = self.begin()
        launch.failed("\u00e9" + "x" * 200)
        launch.succeeded()
        self.assertTold(b"1 \\xe9" + b"x" * 94)

    def test_long(self) -> None:
        """
        The wait is limited to some seconds.
        """
        self.begin()
        self.clock.advance(LONGEST)
        self.assertTold(b"0")

    def test_gone(self) -> None:
        """
        If the process no longer waits, nothing happens.
        """
        launch = self.begin()
        with open(os.devnull, "rb") as null:
            os.dup2(null.fileno(), self.reading)
        launch.succeeded()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_nobody(self) -> None:
        """
        In the foreground no process waits.
        """
        for options in None, {"statusPipe": None}, {}:
            launch = Launch(None, options)
            launch.begin()
            launch.failed("why")
