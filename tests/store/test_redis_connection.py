"""
Tests for L{twisted_sse.store.redis.connection}.
"""

from __future__ import annotations

from typing import Any

from hiredis import ReplyError
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.support.redis_memory import Peer, encoded
from twisted_sse.store.redis.connection import Connection
from twisted_sse.store.redis.errors import Unanswered


class ConnectionTests(SynchronousTestCase):
    """
    Tests for L{Connection}.
    """

    def setUp(self) -> None:
        """
        Connect.
        """
        self.clock = Clock()
        self.connection = Connection(self.clock)
        self.peer = Peer(self.clock, self.connection)

    def assertUnanswered(self, asking: Deferred[Any], wasSent: bool, why: str) -> None:
        """
        Assert that a command fails as unanswered.
        """
        error = self.failureResultOf(asking, Unanswered).value
        self.assertEqual(error.wasSent, wasSent)
        self.assertIn(why, str(error))

    def test_answers(self) -> None:
        """
        Answers are in the order of the commands, and immediate for commands sent together; an error
        is an answer.
        """
        first = self.connection.ask(5, ("XADD", "\u00e9", 7, b"\xff"), ("PING",))
        second = self.connection.ask(5, ("GET", "x"))
        self.assertEqual(
            self.peer.asked, [["XADD", "\u00e9", "7", "\\xff"], ["PING"], ["GET", "x"]]
        )
        self.peer.answer("1-0")
        self.assertNoResult(first)
        self.peer.answer(ReplyError("ERR no"), None)
        replies = self.successResultOf(first)
        self.assertEqual(replies[0], b"1-0")
        self.assertEqual(str(replies[1]), "ERR no")
        self.assertEqual(self.successResultOf(second), [None])

    def test_delay(self) -> None:
        """
        Small packets are not delayed over TCP; the option is not set on a UNIX socket, where that
        would fail.
        """

        class Transport(StringTransport):
            def setTcpNoDelay(self, enabled: bool) -> None:
                asked.append(self.getPeer())

        for address in IPv4Address("TCP", "10.0.0.1", 6379), UNIXAddress("/run/redis.sock"):
            asked: list[object] = []
            transport = Transport(peerAddress=address)
            Connection(self.clock).makeConnection(transport)
            self.assertEqual(asked, [address] if isinstance(address, IPv4Address) else [])

    def test_noText(self) -> None:
        """
        If a command cannot be encoded, nothing is sent, and the answers to other commands are
        assigned correctly.
        """
        self.assertRaises(UnicodeEncodeError, self.connection.ask, 5, ("A",), ("B", "\ud800"))
        self.assertEqual(self.peer.asked, [])
        asking = self.connection.ask(5, ("C",))
        self.peer.answer("c")
        self.assertEqual(self.successResultOf(asking), [b"c"])

    def test_cuts(self) -> None:
        """
        Answers do not depend on how the bytes arrive.
        """
        reply = [[b"1-0", [b"data", b"x\r\n$5\r\n"]], [], 7, None, "\u00e9" * 100]
        asking = self.connection.ask(5, ("XRANGE",))
        for byte in encoded(reply):
            self.assertNoResult(asking)
            self.connection.dataReceived(bytes([byte]))
        self.assertEqual(self.successResultOf(asking), [[*reply[:4], ("\u00e9" * 100).encode()]])

    def test_silent(self) -> None:
        """
        If a server sends nothing for too long, the connection is closed, and the commands fail.
        """
        first, second = self.connection.ask(5, ("A",)), self.connection.ask(1, ("B",))
        self.clock.advance(4.9)
        self.assertFalse(self.peer.isClosed)
        self.clock.advance(0.1)
        self.assertTrue(self.peer.isClosed)
        self.assertTrue(self.connection.isOver)
        self.assertUnanswered(self.connection.ask(5, ("C",)), False, "does not answer")
        self.clock.advance(0)
        for asking in first, second:
            self.assertUnanswered(asking, True, "the server does not answer")
        self.assertEqual(self.successResultOf(self.connection.lost), "the server does not answer")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_slow(self) -> None:
        """
        A server that keeps sending has the time it needs.
        """
        asking = self.connection.ask(5, ("A",))
        for byte in encoded("x" * 20):
            self.clock.advance(4.9)
            self.connection.dataReceived(bytes([byte]))
        self.assertEqual(self.successResultOf(asking), [b"x" * 20])

    def test_deadlines(self) -> None:
        """
        An answer in time leaves no deadline, and the next command has its own.
        """
        for _ in range(5):
            asking = self.connection.ask(5, ("A",))
            self.clock.advance(4)
            self.peer.answer("x")
            self.successResultOf(asking)
        self.clock.advance(100)
        self.assertFalse(self.peer.isClosed)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_lost(self) -> None:
        """
        When the connection is lost all sent commands fail, and so do later ones.
        """
        asking = [self.connection.ask(5, ("A",), ("B",)) for _ in range(3)]
        self.peer.answer("x", "x", "x")
        self.peer.lose()
        self.assertEqual(self.successResultOf(asking[0]), [b"x", b"x"])
        for each in asking[1:]:
            self.assertUnanswered(each, True, "the server closed the connection")
        self.assertUnanswered(
            self.connection.ask(5, ("A",)), False, "the server closed the connection"
        )
        self.assertIn("closed", self.successResultOf(self.connection.lost))

    def test_broken(self) -> None:
        """
        A connection that was not closed cleanly was lost; the reason fits into a sentence.
        """
        lost = ConnectionLost("Connection reset by peer.")
        self.connection.connectionLost(Failure(lost))
        why = self.successResultOf(self.connection.lost)
        self.assertTrue(why.startswith("the connection was lost: "), why)
        self.assertTrue(why.endswith("Connection reset by peer"), why)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_strangers(self) -> None:
        """
        Answers of another kind of server, or unrequested ones, are rejected.
        """
        for said, why in (
            (b"HTTP/1.1 400 Bad Request\r\n", "this is not a Redis server"),
            (b"+OK\r\n+OK\r\n", "a reply without a request"),
        ):
            self.setUp()
            asking = self.connection.ask(5, ("A",))
            self.connection.dataReceived(said)
            self.assertTrue(self.peer.isClosed, said[:20])
            self.clock.advance(0)
            self.assertIn(why, self.successResultOf(self.connection.lost))
            asking.addErrback(lambda failure: failure.trap(Unanswered))

    def test_abort(self) -> None:
        """
        Of several reasons for closing a connection the first is reported.
        """
        self.connection.abort("one")
        self.connection.abort("two")
        self.clock.advance(0)
        self.assertEqual(self.successResultOf(self.connection.lost), "one")
