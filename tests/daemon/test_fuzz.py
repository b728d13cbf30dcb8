"""
Random input for the daemon, in memory: requests of HTTP/1 and HTTP/2, and lines.

C{SSE_FUZZ=100} in the environment makes it a hundred times as long.
"""

from __future__ import annotations

import io
import struct
import sys
from random import Random
from typing import Any

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure

from tests.support.fuzz import FuzzMixin, cut, mutated, pick, rubbish
from tests.support.hubs import KEY, token
from tests.support.memory_http2 import H2_MISSING, MemoryClient2, Transport
from tests.support.options import OptionsMixin, site
from twisted_sse import Channel, History
from twisted_sse.daemon import makeService
from twisted_sse.daemon.sources.lines import LineSplitter
from twisted_sse.daemon.sources.linesource import LineSource, noID

METHODS = (
    *(b"GET", b"GET", b"GET", b"HEAD", b"POST", b"OPTIONS", b"PUT", b"CONNECT", b"PRI", b"get"),
    *(b"QUERY", b"POST"),
)

#: A token for the hub.
TOKEN = token({"mercure": {"publish": ["*"], "subscribe": ["*"]}}).encode()

TARGETS = (
    b"/",
    b"/?lastEventID=1-2&lastEventId=3",
    b"/page/page.js",
    b"/healthz",
    b"/metrics",
    b"/nowhere/%2e%2e/%00/%ff",
    b"http://localhost:80/page/page.css?a=b;c",
    b"*",
    b"localhost:80",
    b"/.well-known/mercure?topic=a&topic=https://a.example/{x}",
    b"/.well-known/mercure?match=a&match_urlpattern=(&last_event_id=earliest",
    b"/.well-known/mercure?topic=%ff&authorization=" + TOKEN,
    b"/.well-known/%6dercure",
    b"/.well-known/mercure/subscriptions/%2F/%ff",
)

#: Values of headers: some valid, some not.
FIELDS: dict[bytes, tuple[bytes, ...]] = {
    b"Host": (b"localhost", b"127.0.0.1:80", b"[::1]:8080", b"a.example", b"[::1%25eth0]"),
    b"Accept": (
        b"text/event-stream",
        b"text/html,application/xhtml+xml;q=0.9,*/*;q=0.8",
        b"text/*;q=0, text/event-stream;q=1.000",
        b"*/*",
    ),
    b"X-Forwarded-For": (
        b"192.0.2.1, 10.0.0.1",
        b"[2001:db8::1]:80, 192.0.2.1:99",
        b"::ffff:10.0.0.1",
        b"10.0.0.1," * 300,
        b"unknown",
    ),
    b"Forwarded": (b'for="[2001:db8::1]:80";proto=https', b"for=_x"),
    b"Cookie": (b"a=b; c=d", b"a", b"=;=;;", b'a="b\\"c"', b"TWISTED_SESSION=x"),
    b"Origin": (b"https://a.example", b"null", b"https://a.example:443/x"),
    b"Authorization": (
        b"Basic YTpi",
        b"Basic YQ==",
        b"Basic",
        b"basic  x",
        b"Bearer a.b.c",
        b"Bearer " + TOKEN,
    ),
    b"Last-Event-ID": (b"1-2", b"end", b"\xe2\x82\xac", b"9" * 300),
    b"Content-Type": (
        b"application/x-www-form-urlencoded",
        b"multipart/form-data; boundary=x",
        b"a\x1eb",
        b"text/plain; charset=\xff",
    ),
    b"Content-Length": (b"0", b"5", b"5", b"24", b"20013", b"-1", b"+5", b"5, 5", b"9" * 4400),
    b"Transfer-Encoding": (b"chunked", b"identity", b"gzip, chunked"),
    b"Expect": (b"100-continue",),
    b"Connection": (b"close", b"keep-alive", b"Upgrade, HTTP2-Settings"),
    b"Upgrade": (b"h2c", b"websocket"),
    b"Access-Control-Request-Method": (b"GET", b"PUT"),
    b"Access-Control-Request-Headers": (b"last-event-id", b"x" * 1000),
    b"If-None-Match": (b"*", b'"x"'),
    b"If-Modified-Since": (b"Thu, 01 Jan 1970 00:00:00 GMT", b"x, 99 Foo 9999 99:99:99 GMT"),
    b"Range": (b"bytes=0-1,5-", b"bytes=-0"),
    b"Accept-Encoding": (b"gzip", b"gzip;q=0"),
    b"User-Agent": (b"curl/8", b'"\\x"'),
    b"Referer": (b"http://localhost/?token=x",),
}

BODIES = (
    b"hello",
    b"5\r\nhello\r\n0\r\n\r\n",
    b"a=1&b=%zz",
    b"topic=a&data=b&private=1",
    b"topic=a&data=" + b"x" * 20_000,
    b"--x\r\n\r\n--x--\r\n",
    b"ffffffffff\r\n",
)

#: Daemons that read different parts of a request.
DAEMONS: tuple[tuple[str, ...], ...] = (
    ("--interval", "0.1"),
    ("--interval", "1", "--auth", "memory:a:b", "--origin", "https://a.example", "--credentials"),
    ("--interval", "1", "--trusted-proxy", "0.0.0.0/0", "--max-streams-per-address", "1"),
    ("--interval", "1", "--allow-host", "a.example", "--access-log", "-"),
    ("--interval", "1", "--access-log", "-", "--access-log-format", "json", "--max-streams", "1"),
    # Most of a hub's parsing happens in requests that are nearly valid.
    *3 * (("--mercure", "--anonymous", "--presence", "--public", f"--publisher-jwt-key={KEY}"),),
)


def fieldsOf(random: Random) -> list[tuple[bytes, bytes]]:
    """
    @return: some headers.
    """
    names = random.sample(list(FIELDS), random.randrange(8))
    return [(name, pick(random, FIELDS[name])) for name in names]


def head(random: Random) -> bytes:
    """
    @return: something close to a request of HTTP/1.1 without a body.
    """
    version = random.choice((b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0"))
    lines = [b" ".join((random.choice(METHODS), pick(random, TARGETS), version))]
    lines += [name + b": " + value for name, value in fieldsOf(random)]
    return b"\r\n".join((*lines, b"", b""))


class FuzzTestCase(OptionsMixin, FuzzMixin):
    """
    Base class for tests of daemons.
    """

    def setUp(self) -> None:
        """
        Make the daemons.
        """
        super().setUp()
        self.patch(sys, "stdout", io.StringIO())
        self.daemons: list[tuple[MemoryReactorClock, Any]] = []
        for arguments in DAEMONS:
            reactor = MemoryReactorClock()
            makeService(self.options(*arguments), reactor)
            self.daemons.append((reactor, site(reactor)))

    def settle(self, clock: Clock, random: Random) -> None:
        """
        Let some time pass.
        """
        sys.stdout.truncate(0)
        sys.stdout.seek(0)
        for _ in range(random.randrange(5)):
            clock.advance(random.choice((0, 0, 0.01, 1)))

    def assertIdle(self, clock: Clock) -> None:
        """
        Assert that nothing of a connection is left.
        """
        # Twisted's, and those of a shared wheel of timers.
        clock.advance(0)
        clock.advance(200)
        self.assertEqual(clock.getDelayedCalls(), [])


class HTTP1Tests(FuzzTestCase):
    """
    Tests for HTTP/1.
    """

    def begin(self, random: Random) -> tuple[Clock, Any, Transport]:
        """
        Connect to one of the daemons.
        """
        clock, server = random.choice(self.daemons)
        transport = Transport()
        transport.negotiatedProtocol = b"http/1.1"
        protocol: Any = server.buildProtocol(None)
        protocol.makeConnection(transport)
        return clock, protocol, transport

    def one(self, random: Random, data: bytes) -> None:
        """
        Send bytes, and close the connection.
        """
        clock, protocol, transport = self.begin(random)
        for piece in cut(random, data):
            if transport.aborted:
                break
            protocol.dataReceived(piece)
            self.settle(clock, random)
        protocol.connectionLost(Failure(random.choice((ConnectionDone, ConnectionLost))()))
        self.assertIdle(clock)

    def test_rubbish(self) -> None:
        """
        Random bytes leave nothing behind.
        """
        self.fuzz(150, lambda random: self.one(random, rubbish(random, 500)))

    def test_requests(self) -> None:
        """
        Requests that are nearly valid leave nothing behind.
        """

        def send(random: Random) -> None:
            data = b""
            for _ in range(random.randrange(1, 4)):
                data += head(random)
                if random.random() < 0.5:
                    data += pick(random, BODIES)
            if random.random() < 0.3:
                data = mutated(random, data, 10)
            self.one(random, data)

        self.fuzz(500, send)


class HTTP2Tests(FuzzTestCase):
    """
    Tests for HTTP/2.
    """

    if H2_MISSING is not None:
        skip = H2_MISSING

    def begin(self, random: Random) -> MemoryClient2:
        """
        Connect to one of the daemons.
        """
        clock, server = random.choice(self.daemons)
        window = random.choice((0, 1, 100, 2**16 - 1, 2**30))
        return MemoryClient2(server, clock, INITIAL_WINDOW_SIZE=window)

    def finish(self, client: MemoryClient2) -> None:
        """
        Close the connection.
        """
        client.close()
        self.assertEqual(client.connection.streams, {})
        self.assertIdle(client.clock)

    def frame(self, random: Random) -> bytes:
        """
        @return: a frame that is nearly valid.
        """
        kind = random.choice((0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 16, 200))
        flags = random.choice((0, 1, 4, 5, 8, 0x20, 0x2D, random.randrange(256)))
        stream = random.choice((0, 1, 3, 5, 7, 2, 2**31 - 1))
        payload = random.choice(
            (
                b"",
                struct.pack(">I", random.choice((0, 1, 2**31 - 1, 2**32 - 1))),
                struct.pack(
                    ">HI", random.choice((1, 2, 3, 4, 5, 6, 8, 99)), random.choice((0, 1, 2**31))
                ),
                struct.pack(">IB", random.choice((0, 1, 3, 99)), 7),
                b"12345678",
                # Fields of the static table: RFC 7541, A.
                b"\x82\x84\x87\x41\x01a",
                b"\x83\x85\x86",
                rubbish(random, 30),
            )
        )
        return (
            struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload
        )

    def test_frames(self) -> None:
        """
        Frames in any order leave nothing behind.
        """

        def send(random: Random) -> None:
            client = self.begin(random)
            data = b"".join(self.frame(random) for _ in range(random.randrange(1, 30)))
            if random.random() < 0.3:
                data = mutated(random, data)
            for piece in cut(random, data):
                if not client.transport.aborted:
                    client.protocol.dataReceived(piece)
                self.settle(client.clock, random)
            self.finish(client)

        self.fuzz(300, send)

    def test_requests(self) -> None:
        """
        Requests with any fields, bodies, resets and windows leave nothing behind.
        """

        def send(random: Random) -> None:
            client = self.begin(random)
            http, numbers = client.http, []
            for _ in range(random.randrange(1, 20)):
                what = random.randrange(5)
                if what <= 1 or not numbers:
                    number = http.get_next_available_stream_id()
                    fields = [
                        (b":method", pick(random, METHODS)),
                        (b":scheme", b"https"),
                        (b":authority", pick(random, FIELDS[b"Host"])),
                        (b":path", pick(random, TARGETS)),
                    ]
                    fields += [(name.lower(), value) for name, value in fieldsOf(random)]
                    if random.random() < 0.1:
                        random.shuffle(fields)
                    http.send_headers(number, fields, end_stream=random.random() < 0.7)
                    numbers.append(number)
                else:
                    number = random.choice(numbers)
                    stream = http.streams.get(number)
                    if stream is None:
                        continue
                    if what == 2:
                        if stream.open and not stream.closed:
                            http.reset_stream(number, random.randrange(14))
                        numbers.remove(number)
                    elif what == 3:
                        if stream.open and stream.state_machine.state.name == "OPEN":
                            room = min(100, http.local_flow_control_window(number))
                            data = random.randbytes(random.randrange(room + 1))
                            http.send_data(number, data, end_stream=random.random() < 0.5)
                    elif stream.open:
                        http.increment_flow_control_window(random.choice((1, 1000)), number)
                data = http.data_to_send()
                if not client.transport.aborted:
                    client.protocol.dataReceived(data)
                self.settle(client.clock, random)
                received = client.transport.value()
                client.transport.clear()
                if client.transport.aborted:
                    break
                http.receive_data(received)
            self.finish(client)

        self.fuzz(300, send)


class SourceTests(FuzzMixin):
    """
    Tests for lines.
    """

    def test_lines(self) -> None:
        """
        Lines of any bytes become events, whatever their format.
        """
        lines = (
            b'{"data": "x", "event": "e", "id": "1", "retry": 1000}\n',
            b'{"data": {"a": [1, 2]}}\n',
            b'{"retry": 1e400}\n',
            b'{"retry": true, "id": 5}\n',
            b"[" * 2000 + b"\n",
            b'{"data": ' + b"[" * 20_000 + b"\n",
            b'{"id": "\\u0000", "event": "\\ud800"}\n',
            b'{"data": NaN, "data": ' + b"9" * 5000 + b"}\n",
            b"plain\r\n",
            b"\n",
        )

        def send(random: Random) -> None:
            clock = Clock()
            channel = Channel(History(maxEvents=10), reactor=clock)
            source = LineSource(channel, random.choice(("text", "events")))
            splitter = LineSplitter()
            data = b"".join(pick(random, lines) for _ in range(random.randrange(1, 10)))
            for piece in cut(random, data):
                source.publish(splitter.feed(piece), noID)
                clock.advance(1)
            source.publish(splitter.finish(), noID)
            channel.close()
            clock.advance(100)
            self.assertEqual(clock.getDelayedCalls(), [])

        self.fuzz(100, send)
