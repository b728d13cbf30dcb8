"""
Tests for L{twisted_sse.daemon.connections}: connections that have not sent a complete request.
"""

from __future__ import annotations

import os
import socket
from typing import Any

from twisted.internet import tcp
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.logger import capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from tests.support.options import OptionsMixin, site
from twisted import internet
from twisted_sse.daemon import connections, limits, makeService
from twisted_sse.daemon.connections import (
    COUNTED,
    HANDSHAKE,
    KEPT,
    LEAVING,
    LOOK_AGAIN,
    PAUSE,
    SPARE,
    Connections,
)
from twisted_sse.daemon.site import SmallSite
from twisted_sse.server.address import checkedNetworks

try:
    import h2.config
    import h2.connection
except ImportError:
    h2 = None  # type: ignore[assignment]

REQUEST = b"GET /%s HTTP/1.1\r\nHost: localhost\r\n\r\n"

#: The time for a request, and the idle timeout of a connection, in seconds.
TIMEOUT = 10
IDLE = 40


class Transport(StringTransport):
    """
    A connection in memory.

    @ivar aborted: whether it was aborted.
    @ivar negotiatedProtocol: the protocol, as TLS has it.
    """

    aborted = False
    negotiatedProtocol: bytes | None = None

    def abortConnection(self) -> None:
        """
        Record the abort.
        """
        self.aborted = True

    @property
    def isOpen(self) -> bool:
        """
        Whether the connection is open.
        """
        return not self.aborted and not self.disconnecting


class Root(Resource):
    """
    Answers immediately, or on demand.
    """

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.held: list[Any] = []

    def render_GET(self, request: Any) -> Any:
        """
        Answer C{ok}, or hold the request.
        """
        if request.path == b"/hold":
            self.held.append(request)
            return NOT_DONE_YET
        return b"ok"

    render_POST = render_GET


class ConnectionTestCase(SynchronousTestCase):
    """
    Has a site, and connections to it.
    """

    def setUp(self) -> None:
        """
        Make the site.
        """
        self.clock = MemoryReactorClock()
        self.root = Root()
        self.site: Any = SmallSite(self.root, reactor=self.clock, timeout=1000)
        self.limit()

    def limit(self, most: int = 100, mostPerAddress: int = 100, **options: Any) -> None:
        """
        Limit the connections.
        """
        timeout = options.pop("timeout", TIMEOUT)
        self.connections = Connections(self.clock, timeout, IDLE, most, mostPerAddress, **options)
        self.site.connections = self.connections

    def connect(self, address: str = "192.0.2.1", h2: bool = False) -> tuple[Any, Transport]:
        """
        Make a connection.
        """
        protocol = self.site.buildProtocol(IPv4Address("TCP", address, 1))
        transport = Transport()
        transport.negotiatedProtocol = b"h2" if h2 else None
        protocol.makeConnection(transport)
        return protocol, transport

    def lose(self, protocol: Any) -> None:
        """
        Lose a connection.
        """
        protocol.connectionLost(Failure(ConnectionDone()))

    def assertForgotten(self) -> None:
        """
        Assert that nothing of any connection is kept.
        """
        kept = self.connections
        self.assertEqual((kept._all, dict(kept._waiting), kept._byAddress), ({}, {}, {}))
        self.assertEqual(self.clock.getDelayedCalls(), [])


class TimeoutTests(ConnectionTestCase):
    """
    Tests for the time limit of a complete request.
    """

    def test_dribble(self) -> None:
        """
        A connection that adds to its request is closed when the time for the whole has passed,
        whatever part of the request it is.
        """
        for start in (
            b"",
            b"GET /",
            b"GET / HTTP/1.1\r\nX: ",
            b"POST / HTTP/1.1\r\nContent-Length: 1000\r\n\r\n",
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1000\r\n",
        ):
            protocol, transport = self.connect()
            protocol.dataReceived(start)
            for _ in range(TIMEOUT - 1):
                self.clock.advance(1)
                protocol.dataReceived(b"x")
                self.assertTrue(transport.isOpen, start)
            self.clock.advance(1)
            self.assertTrue(transport.aborted, start)
            self.lose(protocol)
        self.assertForgotten()

    def test_silent(self) -> None:
        """
        A connection on which nothing arrives is closed after the same time: a TLS handshake is
        invisible here.
        """
        protocol, transport = self.connect()
        self.clock.advance(TIMEOUT)
        self.assertTrue(transport.aborted)
        self.lose(protocol)
        self.assertForgotten()

    def test_answering(self) -> None:
        """
        While a request is answered, the time does not count, whatever arrives after it.
        """
        protocol, transport = self.connect()
        protocol.dataReceived(REQUEST % b"hold" + b"GET / HT")
        self.clock.advance(10 * IDLE)
        protocol.dataReceived(b"T")
        self.clock.advance(10 * IDLE)
        self.assertTrue(transport.isOpen)
        # Bytes that arrived meanwhile are the beginning of a request.
        self.root.held.pop().finish()
        self.clock.advance(TIMEOUT - 1)
        self.assertTrue(transport.isOpen)
        self.clock.advance(1)
        self.assertTrue(transport.aborted)
        self.lose(protocol)
        self.assertForgotten()

    def test_keepAlive(self) -> None:
        """
        After a response the connection may be idle for longer, and the time for the next request
        begins with its first byte.
        """
        protocol, transport = self.connect()
        for _ in range(3):
            protocol.dataReceived(REQUEST % b"")
            self.clock.advance(IDLE - 1)
            protocol.dataReceived(b"G")
            self.clock.advance(TIMEOUT - 1)
            self.assertTrue(transport.isOpen)
            protocol.dataReceived((REQUEST % b"")[1:])
        self.assertEqual(transport.value().count(b"\r\n\r\nok"), 6)
        protocol.dataReceived(b"G")
        self.clock.advance(TIMEOUT)
        self.assertTrue(transport.aborted)
        self.lose(protocol)
        self.assertForgotten()

    def test_idle(self) -> None:
        """
        A connection that stays idle after a response is closed cleanly, and aborted if that takes
        too long.
        """
        protocol, transport = self.connect()
        protocol.dataReceived(REQUEST % b"")
        self.clock.advance(IDLE)
        self.assertEqual((transport.disconnecting, transport.aborted), (True, False))
        # It is too late for another request.
        protocol.dataReceived(REQUEST % b"")
        self.assertEqual(transport.value().count(b"\r\n\r\nok"), 1)
        self.clock.advance(LEAVING)
        self.assertTrue(transport.aborted)
        self.lose(protocol)
        self.assertForgotten()

    def test_last(self) -> None:
        """
        A connection that should close after a response is aborted if its peer keeps it open.
        """
        protocol, transport = self.connect()
        protocol.dataReceived(b"GET / HTTP/1.0\r\n\r\n")
        self.assertEqual((transport.disconnecting, transport.aborted), (True, False))
        self.clock.advance(IDLE)
        self.clock.advance(LEAVING)
        self.assertTrue(transport.aborted)
        self.lose(protocol)
        self.assertForgotten()

    def test_off(self) -> None:
        """
        Without a limit a request may take any length of time.
        """
        self.limit(timeout=None)
        protocol, transport = self.connect()
        protocol.dataReceived(b"GET ")
        self.clock.advance(900)
        self.assertTrue(transport.isOpen)
        protocol.dataReceived((REQUEST % b"")[4:])
        self.assertIn(b"\r\n\r\nok", transport.value())
        self.lose(protocol)
        self.assertForgotten()

    def test_lost(self) -> None:
        """
        A lost connection leaves nothing behind, in any state.
        """
        for data in (b"", b"GET /", REQUEST % b"", REQUEST % b"hold"):
            protocol, _ = self.connect()
            protocol.dataReceived(data)
            self.lose(protocol)
            self.assertForgotten()
            self.assertEqual((protocol.transport, protocol._protocol), (None, None))

    def test_others(self) -> None:
        """
        A site without limits behaves as before.
        """
        self.site.connections = None
        protocol, transport = self.connect()
        protocol.dataReceived(REQUEST % b"")
        self.assertIn(b"\r\n\r\nok", transport.value())


class DrainTests(ConnectionTestCase):
    """
    Tests for the end of connections when the daemon stops.
    """

    def test_answered(self) -> None:
        """
        A request that is being answered, or is still arriving, is answered before its connection is
        closed; other connections are closed immediately.
        """
        new, newTransport = self.connect()
        idle, idleTransport = self.connect()
        idle.dataReceived(REQUEST % b"")
        held, heldTransport = self.connect()
        held.dataReceived(REQUEST % b"hold")
        begun, begunTransport = self.connect()
        begun.dataReceived(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\na")
        late, lateTransport = self.connect()
        drained = self.connections.drain(5)
        late.dataReceived(REQUEST % b"")
        self.clock.advance(LOOK_AGAIN)
        self.assertIn(b"\r\n\r\nok", lateTransport.value())
        self.assertFalse(newTransport.aborted)
        self.assertEqual((idleTransport.disconnecting, idleTransport.aborted), (True, False))
        self.assertTrue(heldTransport.isOpen)
        self.assertTrue(begunTransport.isOpen)
        begun.dataReceived(b"b")
        self.root.held.pop().finish()
        self.clock.advance(LOOK_AGAIN)
        for transport in (heldTransport, begunTransport):
            self.assertTrue(transport.value().startswith(b"HTTP/1.1 200 OK"))
            self.assertEqual((transport.disconnecting, transport.aborted), (True, False))
        self.clock.advance(HANDSHAKE)
        self.assertTrue(newTransport.aborted)
        for each in (new, idle, late, held):
            self.lose(each)
        self.assertNoResult(drained)
        self.lose(begun)
        self.successResultOf(drained)
        self.assertForgotten()

    def test_farAway(self) -> None:
        """
        A client that was accepted, and has not finished its handshake, is answered.
        """
        protocol, transport = self.connect()
        drained = self.connections.drain(5)
        self.clock.advance(HANDSHAKE - 0.1)
        protocol.dataReceived(REQUEST % b"")
        self.clock.advance(LOOK_AGAIN)
        self.assertIn(b"\r\n\r\nok", transport.value())
        self.assertEqual((transport.disconnecting, transport.aborted), (True, False))
        self.lose(protocol)
        self.successResultOf(drained)
        self.clock.advance(1)
        self.assertForgotten()

    def test_pipelined(self) -> None:
        """
        Pipelined requests are all answered.
        """
        protocol, transport = self.connect()
        protocol.dataReceived(REQUEST % b"hold" + REQUEST % b"hold" + REQUEST % b"")
        self.connections.drain(5)
        for _ in range(2):
            self.assertTrue(transport.isOpen)
            self.root.held.pop().finish()
            self.clock.pump([0, 0, LOOK_AGAIN])
        self.assertEqual(transport.value().count(b"HTTP/1.1 200 OK"), 3)
        self.assertTrue(transport.disconnecting)
        self.lose(protocol)
        self.assertForgotten()

    def test_time(self) -> None:
        """
        Stopping takes no longer than allowed.
        """
        protocol, _ = self.connect()
        protocol.dataReceived(b"GET /")
        drained = self.connections.drain(5)
        self.clock.advance(4.9)
        self.assertNoResult(drained)
        self.clock.advance(0.1)
        self.successResultOf(drained)
        self.lose(protocol)
        self.assertForgotten()

    def test_none(self) -> None:
        """
        Without connections there is nothing to wait for.
        """
        self.successResultOf(self.connections.drain(5))


class HTTP2Tests(ConnectionTestCase):
    """
    Tests for connections of HTTP/2.
    """

    if h2 is None:
        skip = "HTTP/2 needs the extra tls"

    def setUp(self) -> None:
        """
        Make a client.
        """
        super().setUp()
        # Twisted's HTTP/2 does not call its site.
        self.patch(internet, "reactor", self.clock)
        self.client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        self.protocol, self.transport = self.connect(h2=True)
        self.client.initiate_connection()
        self.flush()

    def flush(self) -> None:
        """
        Exchange the pending data of both sides.
        """
        self.protocol.dataReceived(self.client.data_to_send())
        self.clock.advance(0)
        self.clock.advance(0)
        self.client.receive_data(self.transport.value())
        self.transport.clear()

    def request(self, path: str, end: bool = True) -> int:
        """
        Begin a request.

        @return: its number.
        """
        number: int = self.client.get_next_available_stream_id()
        head = {":method": "GET", ":path": path, ":scheme": "https", ":authority": "localhost"}
        self.client.send_headers(number, list(head.items()), end_stream=end)
        self.flush()
        return number

    def ping(self, seconds: int) -> None:
        """
        Let time pass, with data from the client in each second.
        """
        for _ in range(seconds):
            self.client.ping(b"12345678")
            self.protocol.dataReceived(self.client.data_to_send())
            self.clock.advance(1)

    def test_drain(self) -> None:
        """
        A connection is closed once its last request is answered completely, and not earlier; the
        client's other frames do not matter.
        """
        number = self.request("/hold")
        drained = self.connections.drain(5)
        self.ping(1)
        self.assertTrue(self.transport.isOpen)
        request = self.root.held.pop()
        request.write(b"x" * 100_000)
        request.finish()
        self.clock.advance(LOOK_AGAIN)
        self.assertTrue(self.transport.isOpen)
        self.client.receive_data(self.transport.value())
        self.transport.clear()
        for stream in (number, None):
            self.client.increment_flow_control_window(100_000, stream)
        self.flush()
        self.clock.advance(LOOK_AGAIN)
        self.assertFalse(self.transport.isOpen)
        self.assertNoResult(drained)
        self.lose(self.protocol)
        self.successResultOf(drained)

    def test_noStream(self) -> None:
        """
        A connection without a stream is closed in time, whatever else it sends.
        """
        self.ping(TIMEOUT - 1)
        self.assertTrue(self.transport.isOpen)
        self.ping(1)
        self.assertTrue(self.transport.aborted)
        self.lose(self.protocol)

    def test_unfinished(self) -> None:
        """
        A stream whose request is incomplete does not count.
        """
        self.request("/", end=False)
        self.ping(TIMEOUT)
        self.assertTrue(self.transport.aborted)

    def test_streams(self) -> None:
        """
        While one of its streams is answered, a connection may stay; after the last the time for a
        request begins.
        """
        numbers = [self.request("/hold") for _ in range(3)]
        self.ping(10 * TIMEOUT)
        self.assertTrue(self.transport.isOpen)
        self.root.held.pop().finish()
        self.client.reset_stream(numbers[0])
        self.flush()
        self.ping(10 * TIMEOUT)
        self.assertTrue(self.transport.isOpen)
        self.root.held.pop().finish()
        self.flush()
        self.ping(TIMEOUT - 1)
        self.assertTrue(self.transport.isOpen)
        self.ping(2)
        self.assertTrue(self.transport.aborted)

    def test_reset(self) -> None:
        """
        A stream that the server resets itself, which Twisted does not report, does not count.
        """
        self.request("/hold")
        self.root.held.pop().channel.abortConnection()
        self.flush()
        self.ping(TIMEOUT + 1)
        self.assertTrue(self.transport.aborted)


class CountTests(ConnectionTestCase):
    """
    Tests for the number of connections waiting for a request.
    """

    def test_most(self) -> None:
        """
        If there are too many, each new connection closes the one that has waited longest.
        """
        self.limit(3)
        transports = [self.connect(f"192.0.2.{number}")[1] for number in range(5)]
        self.assertEqual([each.isOpen for each in transports], [False, False, True, True, True])

    def test_perAddress(self) -> None:
        """
        If one address has too many, its own longest-waiting connection is closed.
        """
        self.limit(100, 2)
        other = self.connect("192.0.2.9")[1]
        transports = [self.connect()[1] for _ in range(4)]
        self.assertEqual([each.isOpen for each in transports], [False, False, True, True])
        self.assertTrue(other.isOpen)

    def test_streams(self) -> None:
        """
        Connections that are being answered do not count, whatever their number.
        """
        self.limit(2, 2)
        streams = []
        for _ in range(10):
            protocol, transport = self.connect()
            protocol.dataReceived(REQUEST % b"hold")
            streams.append(transport)
        waiting = self.connect()[1]
        self.assertTrue(all(each.isOpen for each in (*streams, waiting)))

    def test_turn(self) -> None:
        """
        After a complete request a connection begins to wait anew: it is the last to be closed.
        """
        self.limit(2)
        first, one = self.connect()
        _, two = self.connect()
        first.dataReceived(REQUEST % b"")
        _, three = self.connect()
        self.assertEqual([one.isOpen, two.isOpen, three.isOpen], [True, False, True])

    def test_answersLeave(self) -> None:
        """
        When many responses end at the same time, as in a drain, none of them is cut off.
        """
        self.limit(2, 2)
        transports = []
        for _ in range(6):
            protocol, transport = self.connect()
            protocol.dataReceived(REQUEST % b"hold")
            transports.append(transport)
        for request in self.root.held:
            request.write(b"last")
            request.finish()
        for transport in transports:
            self.assertFalse(transport.aborted)
            self.assertTrue(transport.value().endswith(b"last\r\n0\r\n\r\n"))
        self.assertEqual([each.disconnecting for each in transports], [True] * 4 + [False] * 2)

    def test_proxies(self) -> None:
        """
        Connections of trusted proxies do not count; those over a UNIX socket count as one address,
        unless proxies are trusted.
        """
        for proxies, isOpen in ((), False), (("192.0.2.0/24",), True):
            self.limit(2, 2, proxies=checkedNetworks(proxies))
            tcps = [self.connect()[1] for _ in range(4)]
            self.assertEqual(tcps[0].isOpen, isOpen)
            units = []
            for _ in range(4):
                protocol = self.site.buildProtocol(UNIXAddress(b"/run/it"))
                units.append(Transport())
                protocol.makeConnection(units[-1])
            self.assertEqual(units[0].isOpen, isOpen)
            other = [self.connect("198.51.100.1")[1] for _ in range(3)]
            self.assertFalse(other[0].isOpen)

    def test_told(self) -> None:
        """
        Closed connections are logged, at most once a minute.
        """
        self.limit(1, timeout=None)
        with capturedLogs() as logged:
            for _ in range(5):
                self.connect()
            self.clock.advance(connections.TELL)
            self.connect()
        told = [event["count"] for event in logged if "count" in event]
        self.assertEqual(told, [1, 5])


class DescriptorTests(ConnectionTestCase):
    """
    Tests for a shortage of descriptors.
    """

    def setUp(self) -> None:
        """
        Listen, with a given number of descriptors.
        """
        super().setUp()
        self.free = 1000
        self.counted: list[int] = []
        self.patch(connections, "_count", self.count)
        self.accepted: list[int] = []
        self.port: Any = tcp.Port(0, self.site, reactor=self.clock)
        self.patch(tcp.Port, "doRead", lambda port: self.accepted.append(port.numberAccepts))
        self.port.numberAccepts = 100
        self.port.connected = True
        self.port.fileno = lambda: 0
        self.reading: list[str] = []
        self.port.startReading = lambda: self.reading.append("start")
        self.port.stopReading = lambda: self.reading.append("stop")
        self.connections.guard(self.port)

    def count(self, fd: int, most: int) -> int:
        """
        @return: the number of free descriptors.
        """
        self.counted.append(most)
        return min(self.free, most)

    def test_plenty(self) -> None:
        """
        While there are enough, they are counted again only after that number of connections was
        accepted.
        """
        for _ in range(10):
            self.port.doRead()
        self.assertEqual(self.accepted, [COUNTED] * 10)
        self.assertEqual(len(self.counted), 1)
        for _ in range(COUNTED - SPARE):
            self.connect()
        self.port.doRead()
        self.assertEqual(len(self.counted), 2)
        self.clock.advance(connections.RECOUNT)
        self.port.doRead()
        self.assertEqual(len(self.counted), 3)

    def test_short(self) -> None:
        """
        In a shortage, the longest-waiting connections are closed, no more are accepted than there
        is room for, and some descriptors are kept for other files.
        """
        transports = [self.connect()[1] for _ in range(SPARE)]
        self.free = KEPT + 3
        self.port.doRead()
        self.assertEqual(self.accepted, [3])
        closed = SPARE - 3
        self.assertEqual([each.aborted for each in transports], [True] * closed + [False] * 3)
        self.free = KEPT
        self.port.doRead()
        self.assertEqual(self.accepted, [3])
        self.assertTrue(all(each.aborted for each in transports))
        self.assertEqual(self.reading, [])

    def test_idle(self) -> None:
        """
        In a shortage, a connection that was answered is closed cleanly.
        """
        protocol, transport = self.connect()
        protocol.dataReceived(REQUEST % b"")
        self.free = 0
        self.port.doRead()
        self.assertEqual((transport.disconnecting, transport.aborted), (True, False))

    def test_holds(self) -> None:
        """
        If the response has not been sent completely, the connection is aborted.
        """
        self.patch(connections, "heldBy", lambda transport: 1)
        protocol, transport = self.connect()
        protocol.dataReceived(REQUEST % b"")
        self.free = 0
        self.port.doRead()
        self.assertTrue(transport.aborted)

    def test_none(self) -> None:
        """
        Without a free descriptor or a waiting connection, nothing is accepted for a while, unless
        the port is closed meanwhile.
        """
        self.free = KEPT
        with capturedLogs() as logged:
            self.port.doRead()
            self.assertEqual((self.accepted, self.reading), ([], ["stop"]))
            self.clock.advance(PAUSE)
            self.assertEqual(self.reading, ["stop", "start"])
            self.port.doRead()
        self.assertEqual(len(logged), 1)
        self.port.disconnecting = True
        self.clock.advance(PAUSE)
        self.assertEqual(self.reading, ["stop", "start", "stop"])

    def test_other(self) -> None:
        """
        Ports of another type are not guarded.
        """
        port: Any = object()
        self.connections.guard(port)


class CountDescriptorsTests(SynchronousTestCase):
    """
    Tests for counting descriptors.
    """

    def test_count(self) -> None:
        """
        Free descriptors are counted, up to a number, and nothing is left open.
        """
        before = len(os.listdir("/dev/fd"))
        with socket.socket() as some:
            self.assertEqual(connections._count(some.fileno(), 5), 5)
            given: list[int] = []
            dup = os.dup

            def give(fd: int) -> int:
                if len(given) == 3:
                    raise OSError(24, "Too many open files")
                given.append(fd)
                return dup(fd)

            self.patch(os, "dup", give)
            self.assertEqual(connections._count(some.fileno(), 5), 3)
        self.assertEqual(len(os.listdir("/dev/fd")), before)


class OptionTests(OptionsMixin):
    """
    Tests for the options that limit connections.
    """

    def made(self, *arguments: str) -> Connections:
        """
        @return: the limits of a daemon.
        """
        reactor = MemoryReactorClock()
        makeService(self.options(*arguments), reactor)
        found = site(reactor).connections
        assert isinstance(found, Connections)
        return found

    def test_default(self) -> None:
        """
        By default the limit on open files sets the number of connections, half of them for one
        address, and a request may take 30 seconds.
        """
        import resource

        for soft, most in (256, 256), (2**20, 10_000), (resource.RLIM_INFINITY, 10_000):
            self.patch(resource, "getrlimit", lambda which, soft=soft: (soft, soft))
            made = self.made()
            self.assertEqual((made._most, made._mostPerAddress), (most, most // 2))
        self.assertEqual((made.timeout, made.idleTimeout), (30, 60))
        self.assertEqual(limits.MOST_WAITING, 10_000)

    def test_given(self) -> None:
        """
        The command line takes precedence.
        """
        made = self.made("--max-connections", "9", "--request-timeout", "2.5")
        self.assertEqual((made._most, made._mostPerAddress, made.timeout), (9, 4, 2.5))
        made = self.made("--max-connections-per-address", "7", "--request-timeout", "off")
        self.assertEqual((made._mostPerAddress, made.timeout), (7, None))
        for name in "max-connections", "max-connections-per-address", "request-timeout":
            self.assertIn(f"--{name} is '0'", self.refusal(f"--{name}", "0"))
