"""
Tests for L{twisted_sse.daemon.processes.wire}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from twisted_sse.daemon.processes import wire
from twisted_sse.daemon.processes.wire import Wire, readMessage, writeMessage


class WireTests(SynchronousTestCase):
    """
    Tests for one end of the connection.
    """

    def setUp(self) -> None:
        """
        Connect one.
        """
        self.heard: list[tuple[str, dict[str, Any]]] = []
        self.lost = 0
        self.wire = Wire(lambda kind, fields: self.heard.append((kind, fields)), self.count)
        self.transport: Any = StringTransport()
        self.wire.makeConnection(self.transport)

    def count(self) -> None:
        """
        The connection is lost.
        """
        self.lost += 1

    def test_cuts(self) -> None:
        """
        However the bytes are cut, each message is received once, in order.
        """
        data = writeMessage("one", {}) + writeMessage("two", {"text": "a\nb é \ud800"})
        for size in (1, 2, 7, len(data)):
            self.heard.clear()
            for start in range(0, len(data), size):
                self.wire.dataReceived(data[start : start + size])
            self.assertEqual(self.heard, [("one", {}), ("two", {"text": "a\nb é \ud800"})])

    def test_said(self) -> None:
        """
        A message is one line.
        """
        self.wire.say("log", {"text": "a\nb"})
        self.wire.say("ready")
        first, second = self.transport.value().splitlines()
        self.assertEqual(readMessage(first), ("log", {"text": "a\nb"}))
        self.assertEqual(readMessage(second), ("ready", {}))

    def test_notRead(self) -> None:
        """
        While the other side does not read, only necessary messages are sent.
        """
        self.wire.pauseProducing()
        self.assertFalse(self.wire.say("log", needed=False))
        self.assertTrue(self.wire.say("ready"))
        self.assertEqual(self.transport.value(), writeMessage("ready", {}))
        self.wire.resumeProducing()
        self.assertTrue(self.wire.say("log", needed=False))
        self.assertEqual(len(self.transport.value().splitlines()), 2)

    def test_lost(self) -> None:
        """
        When the other end is closed that is reported, and nothing more is sent.
        """
        closed = self.wire.close()
        self.assertNoResult(closed)
        self.assertTrue(self.transport.disconnecting)
        self.wire.connectionLost(Failure(Exception()))
        self.successResultOf(closed)
        self.assertEqual(self.lost, 1)
        self.wire.say("ready")
        self.assertEqual(self.transport.value(), b"")
        self.successResultOf(self.wire.close())

    def test_neverConnected(self) -> None:
        """
        A wire that was never connected is closed immediately.
        """
        self.successResultOf(Wire(lambda kind, fields: None, self.count).close())

    def test_tooLong(self) -> None:
        """
        An endless message ends the connection.
        """
        self.patch(wire, "LONGEST_MESSAGE", 10)
        self.wire.dataReceived(b"x" * 10)
        self.assertFalse(self.transport.disconnected)
        self.wire.dataReceived(b"x")
        self.assertTrue(self.transport.disconnected)
