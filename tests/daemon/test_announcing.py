"""
Tests for L{twisted_sse.daemon.announcing}: the daemon's messages when it has started.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.logger import formatEvent, globalLogPublisher

from tests.support.options import SOURCE, OptionsMixin
from twisted_sse.daemon.announcing import Opened, announce, pageURL
from twisted_sse.daemon.listen import Endpoint
from twisted_sse.release import release


class Port:
    """
    A port that listens.
    """

    def __init__(self, address: Any) -> None:
        self._address = address

    def getHost(self) -> Any:
        """
        @return: the address.
        """
        return self._address


def tcp(host: str, number: int = 8080) -> Any:
    """
    @return: a port on an address.
    """
    make = IPv6Address if ":" in host else IPv4Address
    return Port(make("TCP", host, number))


class AnnounceTests(OptionsMixin):
    """
    Tests for the log messages.
    """

    def setUp(self) -> None:
        """
        Change to a directory with a log file, and observe our log.
        """
        super().setUp()
        temporary = TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(temporary.name)
        Path("app.log").touch()
        self.events: list[Any] = []
        globalLogPublisher.addObserver(self.events.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.events.append)

    def said(
        self, *arguments: str, host: str = "127.0.0.1", opened: list[Opened] | None = None
    ) -> tuple[str, list[str]]:
        """
        @return: the text on a terminal, without styles, and the lines of the log.
        """
        self.events.clear()
        announce(
            self.options(*arguments), opened or [(Endpoint("port", "8080", "tcp:8080"), tcp(host))]
        )
        # Checking the options may log something, too.
        self.events[:] = [each for each in self.events if each["log_namespace"] == "sse"]
        block = "\n".join(each["terminal"] for each in self.events if each.get("terminal"))
        return re.sub(r"\x1b\[\dm|\x1b\[33m", "", block), list(map(formatEvent, self.events))

    def test_file(self) -> None:
        """
        A file has a page and a stream, and is for this machine only.
        """
        block, lines = self.said("app.log")
        self.assertEqual(
            block,
            f"""\
twisted-sse {release()}   app.log

  Page     http://localhost:8080/
  Stream   twisted-sse get http://localhost:8080/
  Access   this machine only   (--auth or --public lets others in)

Press Ctrl-C to stop.""",
        )
        self.assertEqual(
            lines,
            [
                f"twisted-sse {release()}: serving file app.log at http://localhost:8080/",
                "Access: this machine only. Use --auth or --public to let others in.",
            ],
        )

    def test_styles(self) -> None:
        """
        The name is bold, labels are dim, and addresses underlined.
        """
        self.said("app.log")
        text = self.events[0]["terminal"]
        self.assertIn("\x1b[1mtwisted-sse\x1b[0m ", text)
        self.assertIn("  \x1b[2mPage     \x1b[0m\x1b[4mhttp://localhost:8080/\x1b[0m\n", text)
        self.said("app.log", "--public", host="0.0.0.0")
        self.assertIn("\x1b[33manyone who can reach", self.events[0]["terminal"])

    def test_several(self) -> None:
        """
        Several sources are counted, and each has a line.
        """
        block, lines = self.said("app.log", "later.log", "/load=command:true -x")
        self.assertTrue(block.startswith(f"twisted-sse {release()}   3 sources\n"))
        self.assertIn("  Page     http://localhost:8080/\n", block)
        self.assertIn("         http://localhost:8080/load   command true -x\n", block)
        self.assertIn("Stream   twisted-sse get http://localhost:8080/app.log\n", block)
        self.assertTrue(
            block.endswith("Waiting for later.log: no such file yet.\nPress Ctrl-C to stop.")
        )
        self.assertIn("serving command true -x at http://localhost:8080/load", lines[2])

    def test_access(self) -> None:
        """
        The permitted readers are described correctly.
        """
        Path("users").write_text("alice:wonderland\n", encoding="ascii")
        anyone = "anyone who can reach this machine, on 0.0.0.0:8080"
        for arguments, host, access in (
            (("app.log", "--public"), "0.0.0.0", anyone),
            ((SOURCE,), "0.0.0.0", anyone),
            ((SOURCE,), "127.0.0.1", "this machine only"),
            (
                ("app.log", "--auth=file:users"),
                "0.0.0.0",
                "anyone with a password, on 0.0.0.0:8080",
            ),
            (
                ("app.log", "--auth=file:users"),
                "::1",
                "anyone with a password, on [::1]:8080",
            ),
        ):
            block, lines = self.said(*arguments, host=host)
            self.assertIn(f"\n  Access   {access}\n", block)
            self.assertEqual(lines[1], f"Access: {access}.")

    def test_publishing(self) -> None:
        """
        If events can be posted, a command that does so is shown.
        """
        block, lines = self.said("post")
        self.assertIn("  Publish  curl -d hello http://localhost:8080/\n", block)
        self.assertIn("programs on this machine only. Use --publish-token", lines[-1])
        Path("token").write_text("swordfish", encoding="ascii")
        block, _ = self.said("post", "--publish-token=file:token")
        self.assertIn('curl -H "Authorization: Bearer $TOKEN" -d hello http', block)

    def test_where(self) -> None:
        """
        The address is one that a browser on this machine can open, if there is one.
        """
        for description, port, url in (
            ("tcp:8080", tcp("0.0.0.0"), "http://localhost:8080/"),
            ("tcp6:8080", tcp("::"), "http://localhost:8080/"),
            ("tcp:8080:interface=10.0.0.5", tcp("10.0.0.5"), "http://10.0.0.5:8080/"),
            ("tcp6:80:interface=fe80\\:\\:1", tcp("fe80::1", 80), "http://[fe80::1]:80/"),
            ("ssl:8443:privateKey=key.pem", tcp("0.0.0.0", 8443), "https://localhost:8443/"),
            ("unix:/run/sse.sock", Port(UNIXAddress("/run/sse.sock")), None),
            ("onion:80", None, None),
        ):
            opened: list[Opened] = [(Endpoint("listen", description, description), port)]
            self.assertEqual(pageURL(opened), url)
        opened = [(Endpoint("listen", "unix:a", "unix:a"), Port(UNIXAddress("a")))]  # type: ignore[list-item]
        block, lines = self.said("app.log", "--public", opened=opened)
        self.assertIn("serving file app.log at unix:a", lines[0])
        self.assertNotIn("Page", block)

    def test_untrusted(self) -> None:
        """
        The name of a file cannot control the terminal.
        """
        block, _ = self.said("file:a\x1b[2J.log")
        self.assertNotIn("\x1b", block)
