"""
Streams, server scripts and certificates for the tests of C{twisted-sse get}.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.support.certificates import serverContext
from tests.support.live import LiveTestCase
from tests.support.scripted import stream

__all__ = ["ONE", "SOON", "TWO", "Certified", "quiet", "silent"]

ONE = b"id: 1\ndata: one\n\n"
TWO = b"event: order\nid: 2\ndata: two\n\n"

#: A short C{retry}, so that the tests are fast.
SOON = b"retry: 100\n"


def quiet(connection: Any) -> None:
    """
    Send an event, and then nothing.
    """
    connection.transport.write(stream(ONE, end=False))


def silent(connection: Any) -> None:
    """
    Send nothing.
    """


class Certified(LiveTestCase):
    """
    Has a file for a server's certificate.
    """

    def setUp(self) -> None:
        """
        Make a directory.
        """
        super().setUp()
        temporary = TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = Path(temporary.name)

    def certificate(self, context: Any) -> str:
        """
        @return: the path of a file with a server's certificate.
        """
        from twisted.internet.ssl import Certificate

        path = self.directory / "ca.pem"
        # After text and another certificate, as in real files.
        other = Certificate(serverContext("other.example").certificate).dumpPEM()
        path.write_bytes(b"# mine\n" + other + Certificate(context.certificate).dumpPEM())
        return str(path)
