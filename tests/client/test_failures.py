"""
Tests for L{twisted_sse.client.failures}: the messages for an agent's errors.

L{tests.live.test_get} provokes them with real servers.
"""

from __future__ import annotations

from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseNeverReceived

from twisted_sse.client import StreamBroken
from twisted_sse.client.failures import explained


class SchemeTests(SynchronousTestCase):
    """
    Tests for servers that expect the other scheme.
    """

    def told(self, reason: Exception, isSecure: bool) -> str:
        """
        @return: the message for a response that never arrived.
        """
        error = ResponseNeverReceived([Failure(reason)])
        broken = explained(error, isSecure)
        self.assertIsInstance(broken, StreamBroken)
        return str(broken)

    def test_http(self) -> None:
        """
        Where an C{https} server does not speak TLS, C{http} is suggested, whatever this version of
        OpenSSL calls the error.
        """
        for said in ("wrong version number", "packet length too long"):
            reason = Exception([("SSL routines", "", said)])
            self.assertIn("perhaps it expects http://", self.told(reason, True))
            self.assertNotIn("perhaps", self.told(reason, False))
        self.assertNotIn("perhaps", self.told(Exception("no certificate"), True))

    def test_https(self) -> None:
        """
        Where an C{http} server closes the connection without an answer, C{https} is suggested.
        """
        self.assertIn("perhaps it expects https://", self.told(ConnectionDone(), False))
        self.assertNotIn("perhaps", self.told(ConnectionDone(), True))
