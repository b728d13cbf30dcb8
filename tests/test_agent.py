"""
Tests for L{twisted_sse.agent}, in memory.
"""

from __future__ import annotations

import sys
from typing import Any
from unittest import mock

from twisted.internet.error import ConnectionAborted
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.memory_reactor import MemoryNamesReactor
from twisted_sse.agent import MOST_HEAD, EventStreamAgent
from twisted_sse.clienterrors import EventSourceError, StreamBroken


class _Transport(StringTransport):
    """
    Notes what is done to it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """
        See L{ITCPTransport}.
        """
        self.calls.append(f"keepalive {enabled}")

    def abortConnection(self) -> None:
        """
        See L{ITCPTransport}.
        """
        self.calls.append("abort")


class AgentTests(SynchronousTestCase):
    """
    L{EventStreamAgent}.
    """

    def setUp(self) -> None:
        """
        Have a reactor.
        """
        self.reactor = MemoryNamesReactor()

    def request(self, uri: bytes = b"http://127.0.0.1:80/") -> tuple[Any, Any, _Transport]:
        """
        Make a request.

        @return: the L{Deferred} of its response, the protocol and its transport.
        """
        responding = EventStreamAgent(self.reactor).request(b"GET", uri)
        _, _, factory, _, _ = self.reactor.tcpClients[-1]
        transport = _Transport()
        protocol = factory.buildProtocol(None)
        protocol.makeConnection(transport)
        return responding, protocol, transport

    def test_request(self) -> None:
        """
        Each request has a connection of its own, with keepalive, which is closed after it.
        """
        for count in 1, 2:
            responding, protocol, transport = self.request()
            self.assertEqual(len(self.reactor.tcpClients), count)
            self.assertEqual(transport.calls, ["keepalive True"])
            self.assertIn(b"Connection: close", transport.value())
            protocol.dataReceived(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            self.assertEqual(self.successResultOf(responding).code, 200)

    def test_abort(self) -> None:
        """
        The connection of a response can be cut off, once.
        """
        responding, protocol, transport = self.request()
        protocol.dataReceived(b"HTTP/1.1 200 OK\r\n\r\n")
        response = self.successResultOf(responding)
        response.abort()
        self.assertEqual(transport.calls, ["keepalive True", "abort"])

    def test_head(self) -> None:
        """
        A head that is too large is cut off; a body may be as large as it likes.
        """
        responding, protocol, transport = self.request()
        protocol.dataReceived(b"HTTP/1.1 200 OK\r\n")
        field = b"X: " + b"y" * 9995 + b"\r\n"
        for _ in range(MOST_HEAD // len(field) + 1):
            protocol.dataReceived(field)
        self.assertEqual(transport.calls, ["keepalive True", "abort"])
        protocol.connectionLost(Failure(ConnectionAborted()))
        error = self.failureResultOf(responding, StreamBroken).value
        self.assertIn(f"larger than {MOST_HEAD} bytes", str(error))

        responding, protocol, transport = self.request()
        protocol.dataReceived(b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n")
        self.successResultOf(responding)
        protocol.dataReceived(b"x" * 2 * MOST_HEAD)
        self.assertEqual(transport.calls, ["keepalive True"])

    def test_noTLS(self) -> None:
        """
        Where TLS is not installed an https URL is refused in words, and an http one is not.
        """
        for policy in None, object():
            agent = EventStreamAgent(self.reactor, policy)  # type: ignore[arg-type]
            with mock.patch.dict(sys.modules, {"OpenSSL": None}):
                responding = agent.request(b"GET", b"https://sse.example/")
            error = self.failureResultOf(responding, EventSourceError).value
            self.assertIn("twisted-sse[tls]", str(error))
        self.request()
