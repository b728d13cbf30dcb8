"""
Tests for C{check-hub} of L{twisted_sse.cli}, without a hub.
"""

from __future__ import annotations

import io
import os
import re
import sys
from types import SimpleNamespace
from typing import Any
from unittest import mock

import twisted.internet
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectingCancelledError, ConnectionRefusedError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseNeverReceived

from tests.support.commands import ErrorMixin, FakeReactor
from tests.support.documents import table
from tests.support.keys import SECRET
from twisted_sse.cli import checkhub
from twisted_sse.cli.checkhub import parseCheck
from twisted_sse.cli.checking import Finding, Outcome
from twisted_sse.cli.commands import run
from twisted_sse.cli.probing import PATIENCE, Differs, Probe
from twisted_sse.cli.status import Status

URL = "http://localhost:1/hub"
NEW = ["--key", "env:KEY", "--protocol", "1.0"]


class ProbeTests(SynchronousTestCase):
    """
    Tests for requests to a hub.
    """

    def test_silent(self) -> None:
        """
        A hub that does not answer differs from one that does, whatever the cancelled request fails
        with.
        """

        def cancelled(asking: Deferred[Any]) -> None:
            asking.errback(error)

        for error in (ConnectingCancelledError(URL), ResponseNeverReceived([]), None):
            clock = Clock()
            never: Deferred[Any] = Deferred(cancelled if error is not None else None)
            agent: Any = SimpleNamespace(request=mock.Mock(return_value=never))
            asking = Deferred.fromCoroutine(Probe(URL, clock, agent).ask("GET"))
            self.assertNoResult(asking)
            clock.advance(PATIENCE)
            failure = self.failureResultOf(asking, Differs)
            self.assertEqual(str(failure.value), "it did not answer within 5 seconds")
            self.assertEqual(clock.getDelayedCalls(), [])


class CheckHubTests(ErrorMixin):
    """
    Tests for the command line and the report.
    """

    def report(self, found: list[Finding] | Exception, *options: str) -> tuple[int, str]:
        """
        Run the command.

        @param found: the findings about the hub.
        @return: its exit status and output.
        """

        async def checkURL(given: Any, reactor: Any) -> list[Finding]:
            if isinstance(found, Exception):
                raise found
            return found

        printed = io.StringIO()
        with (
            mock.patch.object(checkhub, "checkURL", checkURL),
            mock.patch.object(sys, "stdout", printed),
            mock.patch.object(twisted.internet, "reactor", FakeReactor(), create=True),
            mock.patch.dict(os.environ, {"KEY": SECRET}),
        ):
            try:
                status = run(["check-hub", *options, URL])
            except SystemExit as e:
                status = int(e.code or 0)
        return status, printed.getvalue()

    def test_report(self) -> None:
        """
        Each finding is one line, with which no hub can control the terminal; and the exit status
        reports whether there are violations.
        """
        good = [Finding(1, Outcome.OK, "200"), Finding(9, Outcome.NOT_TRIED, "it is\nnot seen")]
        status, printed = self.report(good)
        self.assertEqual(status, Status.ENDED)
        self.assertEqual(
            printed,
            "  1  ok         200\n  9  not tried  it is not seen\n1 ok, 0 differs, 1 not tried\n",
        )
        status, printed = self.report([*good, Finding(10, Outcome.DIFFERS, "\x1b[2J")])
        self.assertEqual(status, Status.FAILED)
        self.assertNotIn("\x1b", printed)
        self.assertIn("1 differs", printed)

    def test_unreachable(self) -> None:
        """
        A hub that cannot be reached is reported in one line.
        """
        status, printed = self.report(ConnectionRefusedError())
        self.assertEqual((status, printed), (Status.FAILED, ""))
        self.assertIn("refused", self.told())
        status, printed = self.report(checkhub.NoHub("it is not a hub"))
        self.assertEqual((status, printed), (Status.FAILED, ""))
        self.assertIn("it is not a hub", self.told())

    def test_wrong(self) -> None:
        """
        Errors in the command line are reported, without secrets.
        """
        for options, why in (
            (["--key", SECRET], "--key"),
            (["--key", "env:NO"], "NO"),
            (["--key", "file:/nothing"], "--key"),
            (NEW, "--issuer"),
            (["--protocol", "2.0"], "--protocol"),
            (["--publisher-token", "a b"], "--publisher-token"),
        ):
            status, printed = self.report([], *options)
            self.assertEqual((status, printed), (Status.USAGE, ""))
            told = self.told()
            self.assertIn(why, told)
            self.assertNotIn(SECRET, told)
        self.assertEqual(self.report([], *NEW, "--issuer", "https://x.example")[0], Status.ENDED)

    def test_url(self) -> None:
        """
        A URL may have characters beyond ASCII; a user and a password are refused, since a hub takes
        tokens.
        """
        self.assertEqual(
            parseCheck(["check-hub", "http://h\u00e4.example/\u20ac"]).url,
            "http://xn--h-0fa.example/%E2%82%AC",
        )
        self.assertRaises(SystemExit, parseCheck, ["check-hub", "http://me:secret@localhost/"])
        told = self.told()
        self.assertIn("a hub takes tokens", told)
        self.assertNotIn("secret", told)

    def test_documented(self) -> None:
        """
        The documented options and exit statuses are the actual ones.
        """
        with mock.patch.object(sys, "stdout", io.StringIO()) as printed:
            self.assertRaises(SystemExit, checkhub.parseCheck, ["check-hub", "--help"])
        options, _, statuses = printed.getvalue().partition("exit status:")
        actual = set(re.findall(r"--[a-z-]+", options))
        rows = table("ref-publish.md", "### Options of check-hub")
        documented = {name for row in rows for name in re.findall("--[a-z-]+", row[0])}
        self.assertEqual(documented, actual - {"--help"})
        rows = table("ref-publish.md", "### Exit status of check-hub")
        self.assertEqual([row[0] for row in rows], re.findall(r"(?m)^  (\d+) ", statuses))
