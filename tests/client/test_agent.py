"""
Tests for L{twisted_sse.client.agent}, in memory: connections, TLS and limits.
"""

from __future__ import annotations

import socket
import sys
from typing import Any
from unittest import mock

import twisted.internet
from twisted.internet.error import ConnectionAborted
from twisted.internet.interfaces import ISystemHandle, ITCPTransport
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import StringTransport
from twisted.logger import globalLogPublisher
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from tests.support.certificates import serverContext, trusting
from tests.support.memory_reactor import MemoryNamesReactor
from twisted_sse.client import agent
from twisted_sse.client.agent import HANDSHAKE_TIMEOUT, MOST_HEAD, EventStreamAgent, _keepAlive
from twisted_sse.client.errors import EventSourceError, StreamBroken


@implementer(ITCPTransport, ISystemHandle)
class _Transport(StringTransport):
    """
    A transport that records the calls it receives.

    @ivar socket: a socket that is not connected.
    @ivar bufferSize: the number of bytes that Twisted reads at a time.
    """

    bufferSize = 2**16

    def __init__(self, socket: socket.socket) -> None:
        super().__init__()
        self.calls: list[str] = []
        self.socket = socket

    def getHandle(self) -> object:
        """
        See L{ISystemHandle}.
        """
        return self.socket

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """
        See L{ITCPTransport}.
        """
        self.calls.append(f"keepalive {enabled}")

    def setTcpNoDelay(self, enabled: bool) -> None:
        """
        See L{ITCPTransport}.
        """

    def abortConnection(self) -> None:
        """
        See L{ITCPTransport}.
        """
        self.calls.append("abort")


class AgentTests(SynchronousTestCase):
    """
    Tests for L{EventStreamAgent}.
    """

    def setUp(self) -> None:
        """
        Make a reactor and a socket.
        """
        self.reactor = MemoryNamesReactor()
        # Twisted's TLS uses the installed reactor.
        self.patch(twisted.internet, "reactor", self.reactor)
        self.socket = socket.socket()
        self.addCleanup(self.socket.close)

    def request(
        self, uri: bytes = b"http://127.0.0.1:80/", policy: Any = None
    ) -> tuple[Any, Any, _Transport]:
        """
        Make a request.

        @return: the L{Deferred} of its response, the protocol and its transport.
        """
        responding = EventStreamAgent(self.reactor, policy).request(b"GET", uri)
        _, _, factory, _, _ = self.reactor.tcpClients[-1]
        transport = _Transport(self.socket)
        protocol = factory.buildProtocol(None)
        protocol.makeConnection(transport)
        return responding, protocol, transport

    def test_quiet(self) -> None:
        """
        A connection is not logged when it begins, or when it ends.
        """
        said: list[Any] = []
        globalLogPublisher.addObserver(said.append)
        self.addCleanup(globalLogPublisher.removeObserver, said.append)
        self.request()[0].addErrback(lambda _: None)
        _, _, factory, _, _ = self.reactor.tcpClients[-1]
        # As a connector does.
        factory.doStart()
        factory.doStop()
        self.assertEqual([event.get("log_format") for event in said], [])

    def test_request(self) -> None:
        """
        Each request has its own connection, with keepalive, which is closed after the response.
        """
        for count in 1, 2:
            responding, protocol, transport = self.request()
            self.assertEqual(len(self.reactor.tcpClients), count)
            self.assertEqual(transport.calls, ["keepalive True"])
            self.assertIn(b"Connection: close", transport.value())
            protocol.dataReceived(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            self.assertEqual(self.successResultOf(responding).code, 200)

    def test_hosts(self) -> None:
        """
        A host may be a name with an underscore, such as a container's, or an IPv6 address.
        """
        for host, named in (b"my_container", b"my_container:81"), (b"[::1]", b"[::1]:81"):
            _, _, transport = self.request(b"http://%b:81/" % host)
            self.assertIn(b"Host: %b\r\n" % named, transport.value())
        responding = EventStreamAgent(self.reactor).request(b"GET", b"http://a~b/")
        self.assertIn("a~b", str(self.failureResultOf(responding, ValueError).value))

    def test_keepAlive(self) -> None:
        """
        The kernel probes an idle connection after a minute and gives up a minute later; where this
        cannot be set, the defaults stay.
        """
        for uri in b"http://localhost/", b"https://localhost/":
            self.request(uri)
            asked = [
                self.socket.getsockopt(socket.IPPROTO_TCP, option)
                for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
            ]
            self.assertEqual(asked, [60, 15, 4])
        _keepAlive(StringTransport())
        with mock.patch.object(agent, "KEEPALIVE", {"TCP_UNKNOWN": 1}):
            self.request()

    def test_noHandshake(self) -> None:
        """
        A peer that does not answer the TLS handshake is disconnected, and the error names the
        cause.
        """
        responding, protocol, transport = self.request(b"https://localhost/")
        self.reactor.advance(HANDSHAKE_TIMEOUT - 0.1)
        self.assertEqual(transport.calls, ["keepalive True"])
        self.reactor.advance(0.1)
        self.assertEqual(transport.calls, ["keepalive True", "abort"])
        protocol.connectionLost(Failure(ConnectionAborted()))
        error = self.failureResultOf(responding, StreamBroken).value
        self.assertIn("the TLS handshake did not finish within 30 seconds", str(error))
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_handshake(self) -> None:
        """
        The handshake timeout does not apply to the response.
        """
        context = serverContext()
        responding, protocol, transport = self.request(b"https://localhost/", trusting(context))
        accepting = Factory.forProtocol(Protocol)
        server = TLSMemoryBIOFactory(context, False, accepting).buildProtocol(None)
        below = StringTransport()
        server.makeConnection(below)

        def exchange() -> None:
            self.reactor.advance(0)
            for way, to in (transport, server), (below, protocol):
                said = way.value()
                way.clear()
                if said:
                    to.dataReceived(said)

        while transport.value() or below.value():
            exchange()
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertNoResult(responding)
        server.write(b"HTTP/1.1 200 OK\r\n\r\n")
        exchange()
        self.assertEqual(self.successResultOf(responding).code, 200)

    def test_lostInHandshake(self) -> None:
        """
        A connection lost during the handshake leaves no delayed call.
        """
        responding, protocol, _ = self.request(b"https://localhost/")
        protocol.connectionLost(Failure(ConnectionAborted()))
        self.failureResultOf(responding)
        self.reactor.advance(0)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_chunks(self) -> None:
        """
        Chunks that arrive in one read are delivered in one call.
        """
        responding, protocol, _ = self.request()
        protocol.dataReceived(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n")
        protocol.dataReceived(b"\r\n1\r\na\r\n2\r\nbc\r\n")
        pieces: list[bytes] = []
        body = Protocol()
        body.dataReceived = pieces.append  # type: ignore[method-assign]
        self.successResultOf(responding).deliverBody(body)
        protocol.dataReceived(b"1\r\nd\r\n1\r\ne\r\n")
        self.assertEqual(pieces, [b"abc", b"de"])

    def test_abort(self) -> None:
        """
        C{abort} of a response aborts its connection.
        """
        responding, protocol, transport = self.request()
        protocol.dataReceived(b"HTTP/1.1 200 OK\r\n\r\n")
        response = self.successResultOf(responding)
        response.abort()
        self.assertEqual(transport.calls, ["keepalive True", "abort"])

    def test_head(self) -> None:
        """
        A response whose headers are too large is aborted; its body has no limit.
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

    def test_longLine(self) -> None:
        """
        A single header may use up the whole limit of the head.
        """
        responding, protocol, _ = self.request()
        value = b"y" * (MOST_HEAD - 100)
        wire = b"HTTP/1.1 200 OK\r\nX: %b\r\n\r\n" % value
        for at in range(0, len(wire), 4096):
            protocol.dataReceived(wire[at : at + 4096])
        response = self.successResultOf(responding)
        self.assertEqual(response.headers.getRawHeaders(b"x"), [value])

    def test_pieces(self) -> None:
        """
        A head is read in small pieces, since its lines may be many, and the body in large ones.
        """
        for uri in b"http://localhost/", b"https://localhost/":
            responding, protocol, transport = self.request(uri)
            self.assertEqual(transport.bufferSize, 4096)
        responding, protocol, transport = self.request()
        protocol.dataReceived(b"HTTP/1.1 200 OK\r\nX: y\r\n")
        self.assertEqual(transport.bufferSize, 4096)
        protocol.dataReceived(b"\r\n")
        self.successResultOf(responding)
        self.assertEqual(transport.bufferSize, 2**16)

    def test_noTLS(self) -> None:
        """
        Without TLS installed, an https URL fails with an error that names the extra, and http still
        works.
        """
        for policy in None, object():
            agent = EventStreamAgent(self.reactor, policy)  # type: ignore[arg-type]
            with mock.patch.dict(sys.modules, {"OpenSSL": None}):
                responding = agent.request(b"GET", b"https://sse.example/")
            error = self.failureResultOf(responding, EventSourceError).value
            self.assertIn("twisted-sse[tls]", str(error))
        self.request()
