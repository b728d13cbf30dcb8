"""
Tests for L{twisted_sse.guard.http2}: clients that break HTTP/2's rules, or obey them at a high
cost.
"""

from __future__ import annotations

import struct
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from tests.support.memory_http2 import H2_MISSING, MemoryClient2
from twisted_sse.guard import GuardedSite

if H2_MISSING is None:
    from twisted_sse.guard import http2

#: Types of frames.
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING = 0, 1, 2, 3, 4, 6
WINDOW_UPDATE, CONTINUATION = 8, 9

INITIAL_WINDOW_SIZE = 4


def frame(kind: int, payload: bytes = b"", stream: int = 0, flags: int = 0) -> bytes:
    """
    @return: a frame.
    """
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


class Answers(Resource):
    """
    A resource with a fixed response, which counts its requests.
    """

    isLeaf = True

    def __init__(self, answer: bytes) -> None:
        super().__init__()
        self.answer = answer
        self.calls = 0
        self.requests: list[Any] = []

    def render_GET(self, request: Any) -> Any:
        """
        Respond, or keep the request for the test.
        """
        self.calls += 1
        if request.path == b"/later":
            self.requests.append(request)
            return NOT_DONE_YET
        return b"ok" if request.path == b"/small" else self.answer

    def render_POST(self, request: Any) -> bytes:
        """
        Respond with the size of the body.
        """
        return b"%d" % len(request.content.read())


class HTTP2TestCase(SynchronousTestCase):
    """
    Base class for tests with a connection.
    """

    if H2_MISSING is not None:
        skip = H2_MISSING

    size = 20_000

    def setUp(self) -> None:
        """
        Make a site.
        """
        self.clock = Clock()
        self.resource = Answers(b"x" * self.size)
        self.site = GuardedSite(self.resource, reactor=self.clock, timeout=60)
        self.clients: list[MemoryClient2] = []

    def connect(self, *, hello: bool = True, **settings: int) -> MemoryClient2:
        """
        Make a connection.
        """
        client = MemoryClient2(self.site, self.clock, hello=hello, **settings)
        self.clients.append(client)
        return client

    def tearDown(self) -> None:
        """
        Nothing is left when the connections are closed.
        """
        for client in self.clients:
            client.close()
            self.assertEqual(client.connection.streams, {})
        self.assertEqual(self.clock.getDelayedCalls(), [])


class ErrorTests(HTTP2TestCase):
    """
    Tests for protocol errors.
    """

    def assertAborted(self, data: bytes) -> None:
        """
        Assert that a connection that sends this is aborted, its requests are notified, and nothing
        after it is kept or handled.
        """
        client = self.connect()
        client.request("/later")
        client.flush()
        lost = self.resource.requests[-1].notifyFinish()
        client.request("/small")
        request = client.http.data_to_send()
        client.send(data)
        self.assertTrue(client.transport.aborted)
        connection, calls = client.connection, self.resource.calls
        received: list[bytes] = []
        self.patch(connection.conn, "receive_data", lambda data: received.append(data) or [])
        client.protocol.dataReceived(request + b"\xff" * 2**16)
        client.settle()
        self.assertEqual((received, self.resource.calls), ([], calls))
        client.close()
        self.failureResultOf(lost)

    def test_rubbish(self) -> None:
        """
        Bytes that are not frames end the connection.
        """
        self.assertAborted(b"\xff" * 2**16)

    def test_h2(self) -> None:
        """
        An error that h2 finds ends the connection.
        """
        for wrong in (
            frame(DATA, b"x", 99),
            frame(HEADERS, b"\xff\xff\xff\xff", 99, 5),
            frame(PING, b"short"),
            frame(CONTINUATION, b"", 1),
            frame(WINDOW_UPDATE, b"\0\0\0\0", 0),
            frame(SETTINGS, b"x"),
            frame(RST_STREAM, b"\0\0\0\0", 0),
            frame(PRIORITY, struct.pack(">IB", 99, 1), 99),
        ):
            self.assertAborted(wrong)

    def test_headersFlood(self) -> None:
        """
        Endless headers end the connection, before much of them is kept.
        """
        self.assertAborted(frame(HEADERS, b"", 99) + frame(CONTINUATION, b"x" * 2**14, 99) * 1000)
        self.assertAborted(frame(HEADERS, b"", 99) + frame(CONTINUATION, b"", 99) * 1000)

    def test_bomb(self) -> None:
        """
        Headers that are small when compressed, and large when decompressed, end the connection.
        """
        # A literal of 4,000 bytes that enters the table, then references to it: RFC 7541, 6.
        block = b"\x40\x01a\x7f" + b"\xa1\x1e" + b"x" * 4000 + b"\xbe" * 1000
        self.assertAborted(frame(HEADERS, block, 99, 5))

    def test_preface(self) -> None:
        """
        Data that does not begin as HTTP/2 ends the connection.
        """
        client = self.connect(hello=False)
        client.send(b"GET / HTTP/1.1\r\n\r\n")
        self.assertTrue(client.transport.aborted)

    def test_goAway(self) -> None:
        """
        A client that sends GOAWAY is not aborted, and its later frames are ignored.
        """
        client = self.connect()
        client.http.close_connection()
        client.flush()
        self.assertFalse(client.transport.aborted)
        self.assertTrue(client.transport.disconnecting)
        client.protocol.dataReceived(b"\xff" * 100)
        self.assertFalse(client.transport.aborted)
        # If the client does not close then, the server does.
        self.clock.advance(61)
        self.clock.advance(16)
        self.assertTrue(client.transport.aborted)


class FloodTests(HTTP2TestCase):
    """
    Tests for frames that cost their sender nothing.
    """

    def assertFlooded(self, *sent: bytes) -> MemoryClient2:
        """
        Assert that a connection that sends this repeatedly is aborted soon.
        """
        client = self.connect()
        client.request("/later")
        client.flush()
        for _ in range(20):
            client.send(b"".join(sent) * 1000)
        self.assertTrue(client.transport.aborted)
        return client

    def test_kinds(self) -> None:
        """
        Floods of frames that are each within the rules end the connection.
        """
        self.assertFlooded(frame(PING, b"12345678"))
        self.assertFlooded(frame(PING, b"12345678", flags=1))
        self.assertFlooded(frame(SETTINGS))
        self.assertFlooded(frame(SETTINGS, struct.pack(">HI", INITIAL_WINDOW_SIZE, 1)))
        self.assertFlooded(frame(PRIORITY, struct.pack(">IB", 0, 1), 3))
        self.assertFlooded(frame(WINDOW_UPDATE, struct.pack(">I", 1)))
        self.assertFlooded(frame(WINDOW_UPDATE, struct.pack(">I", 1), 1))
        self.assertFlooded(frame(RST_STREAM, struct.pack(">I", 8), 1))
        self.assertFlooded(frame(77, b"grease"))

    def test_emptyData(self) -> None:
        """
        Endless empty data ends the connection.
        """
        client = self.connect()
        number = client.request(method="POST", end=False)
        client.flush()
        client.send(frame(DATA, b"", number) * 1000)
        self.assertTrue(client.transport.aborted)

    def test_rapidReset(self) -> None:
        """
        An endless sequence of requests that are opened and reset ends the connection, with hardly
        any responses.
        """
        client = self.connect()
        for _ in range(20):
            for _ in range(100):
                number = client.request("/small")
                client.http.reset_stream(number)
            client.flush()
        self.assertTrue(client.transport.aborted)
        self.assertLess(self.resource.calls, 600)

    def test_manyRequests(self) -> None:
        """
        A client that makes many requests one after another, as fast as it gets the responses, is
        served.
        """
        client = self.connect()
        for _ in range(500):
            client.request("/small")
            client.flush()
            self.clock.advance(0.001)
        self.assertEqual(len(client.ended()), 500)
        self.assertFalse(client.transport.aborted)

    def test_settings(self) -> None:
        """
        Unknown settings are not kept without a limit.
        """
        client = self.connect()
        unknown = b"".join(struct.pack(">HI", number, 1) for number in range(100, 2000))
        client.send(frame(SETTINGS, unknown))
        self.assertTrue(client.transport.aborted)

    def test_priorities(self) -> None:
        """
        Priorities of streams that are never opened are not kept, and do no harm.
        """
        client = self.connect()
        for number in range(3, 2003, 2):
            client.send(frame(PRIORITY, struct.pack(">IB", number - 2, 1), number))
            self.clock.advance(0.1)
        client.http.get_next_available_stream_id = lambda: 2003
        number = client.request("/small")
        client.flush()
        self.assertIn(number, client.ended())

    def test_table(self) -> None:
        """
        The table of our encoder does not grow with the client's allowance.
        """
        client = self.connect(HEADER_TABLE_SIZE=2**31)
        client.request("/small")
        client.flush()
        self.assertEqual(client.connection.conn.encoder.header_table_size, 4096)
        client.request("/small")
        client.flush()
        self.assertEqual(len(client.ended()), 2)

    def test_slices(self) -> None:
        """
        Many frames that arrive at once are handled in several turns, and nothing more is read
        meanwhile.
        """
        client = self.connect()
        client.flush()
        self.patch(http2, "SLICE", 0)
        for _ in range(5):
            client.request("/small")
        client.protocol.dataReceived(client.http.data_to_send())
        self.assertEqual(self.resource.calls, 1)
        self.assertTrue(client.transport.paused)
        client.settle()
        self.assertEqual(self.resource.calls, 5)
        self.assertFalse(client.transport.paused)


class BacklogTests(HTTP2TestCase):
    """
    Tests for many connections with much to read.
    """

    def setUp(self) -> None:
        """
        Let each connection read one frame at a time.
        """
        super().setUp()
        self.patch(http2, "SLICE", 0)
        self.answered: list[int] = []

    def begin(self) -> None:
        """
        Let three connections make three requests each, and record the order of the responses.
        """
        self.patch(
            http2.GuardedConnection,
            "_requestEnded",
            lambda connection, event: self.answered.append(connections.index(connection)),
        )
        clients = [self.connect() for _ in range(3)]
        for client in clients:
            client.flush()
        connections = [client.connection for client in clients]
        for client in clients:
            for _ in range(3):
                client.request("/small")
            client.protocol.dataReceived(client.http.data_to_send())

    def test_inTurn(self) -> None:
        """
        Connections read in turn, not one after another.
        """
        self.begin()
        self.assertEqual(self.answered, [0, 1, 2])
        self.clock.advance(0)
        self.assertEqual(self.answered, [0, 1, 2] * 3)

    def test_time(self) -> None:
        """
        A turn of the reactor ends after a certain time, for all connections together.
        """
        self.begin()
        now = iter(range(1000))
        self.patch(http2, "perf_counter", lambda: next(now))
        turns = []
        go = http2.Backlog._go

        def count(backlog: Any) -> None:
            before = len(self.answered)
            go(backlog)
            turns.append(len(self.answered) - before)

        self.patch(http2.Backlog, "_go", count)
        self.clock.advance(0)
        self.assertEqual(self.answered, [0, 1, 2] * 3)
        self.assertLessEqual(max(turns), 1)

    def test_lost(self) -> None:
        """
        A connection that is lost meanwhile does not stop the others.
        """
        self.begin()
        self.clients.pop(1).close()
        self.clock.advance(0)
        self.assertEqual(self.answered, [0, 1, 2, 0, 2, 0, 2])


class RequestTests(HTTP2TestCase):
    """
    Tests for requests that used to leave tracebacks: trial fails a test that logs one.
    """

    def test_resetAtOnce(self) -> None:
        """
        A request that arrives together with its reset is not answered, and the others are.
        """
        client = self.connect()
        first, second = client.request(), client.request("/small")
        client.http.reset_stream(first)
        client.flush()
        self.assertEqual(client.ended(), {second})

    def test_connect(self) -> None:
        """
        CONNECT, which has no path, is not implemented.
        """
        client = self.connect()
        ended, open_ = client.request(method="CONNECT"), client.request(method="CONNECT", end=False)
        client.flush()
        client.http.send_data(client.request("/small", end=False), b"x", end_stream=True)
        client.flush()
        self.assertEqual(client.statuses(), {ended: 501, open_: 501, 5: 200})
        self.assertEqual(client.resets(), {open_})

    def test_malformed(self) -> None:
        """
        A method, path or header name that is impossible in HTTP/1 is refused.
        """
        client = self.connect()
        for fields in (
            {"path": "/\xe9"},
            {"path": "/a b"},
            {"method": "G T"},
            {"method": "G\xe9T"},
        ):
            number = client.request(**fields)  # type: ignore[arg-type]
            client.flush()
            self.assertEqual(client.statuses()[number], 400, fields)
        number = client.request("/small", **{"a(b)": "c"})
        client.flush()
        # Some versions of Twisted accept that name.
        self.assertIn(client.statuses()[number], (200, 400))

    def test_closeEarly(self) -> None:
        """
        A request that is closed by its handler while its body arrives is reset, and the rest of the
        body does not use up the window of the others.
        """

        class Closing(self.site.requestFactory):  # type: ignore[misc,name-defined]
            def handleContentChunk(self, data: bytes) -> None:
                self.loseConnection()

        self.site.requestFactory = Closing
        client = self.connect()
        for _ in range(20):
            number = client.request(method="POST", end=False)
            client.flush()
            for _ in range(3):
                if client.http.local_flow_control_window(number) >= 10_000:
                    client.http.send_data(number, b"x" * 10_000)
            client.http.end_stream(number)
            client.flush()
            # It is returned in halves.
            self.assertGreater(client.http.outbound_flow_control_window, 2**15 - 10_000)
            self.assertIn(number, client.resets())

    def test_late(self) -> None:
        """
        Writing to, finishing and aborting a request that has been aborted do nothing.
        """
        client = self.connect()
        number = client.request("/later")
        client.flush()
        [request] = self.resource.requests
        request.channel.abortConnection()
        request.channel.abortConnection()
        request.write(b"late")
        request.finish()
        client.flush()
        self.assertEqual((client.resets(), client.statuses()), ({number}, {}))

    def test_endEachOther(self) -> None:
        """
        When a connection is lost, one request may abort the others.
        """
        client = self.connect()
        for _ in range(5):
            client.request("/later")
        client.flush()
        requests = self.resource.requests

        def abort(_: object) -> None:
            for request in requests:
                if request.channel is not None:
                    request.channel.abortConnection()

        for request in requests:
            request.notifyFinish().addErrback(abort)
        # The rest is in tearDown.


class WindowTests(HTTP2TestCase):
    """
    Tests for clients that do not read their responses.
    """

    def test_shut(self) -> None:
        """
        While the window of a client is closed, only as many of its requests are answered as the
        transport holds without pausing.
        """
        client = self.connect(INITIAL_WINDOW_SIZE=0)
        for _ in range(100):
            client.request()
        client.flush()
        self.assertEqual(self.resource.calls, 4)

    def test_opens(self) -> None:
        """
        When the windows open, all requests are answered completely.
        """
        client = self.connect(INITIAL_WINDOW_SIZE=1000)
        numbers = [client.request() for _ in range(10)]
        client.flush()
        for _ in range(30):
            for number in numbers:
                if number not in client.ended():
                    client.http.increment_flow_control_window(1000, number)
            client.http.increment_flow_control_window(10_000)
            client.flush()
        self.assertEqual(client.ended(), set(numbers))
        for number in numbers:
            self.assertEqual(client.body(number), self.resource.answer)

    def test_opensBySettings(self) -> None:
        """
        A window may open by a setting: RFC 9113, 6.9.2.
        """
        client = self.connect(INITIAL_WINDOW_SIZE=0)
        number = client.request()
        client.flush()
        self.assertEqual(client.body(number), b"")
        client.http.update_settings({INITIAL_WINDOW_SIZE: 100_000})
        client.flush()
        self.assertEqual(client.body(number), self.resource.answer)

    def test_negative(self) -> None:
        """
        A window may become negative: then nothing is sent until it is positive again.
        """
        client = self.connect(INITIAL_WINDOW_SIZE=10_000)
        number = client.request()
        client.flush()
        client.http.update_settings({INITIAL_WINDOW_SIZE: 0})
        client.flush()
        client.http.increment_flow_control_window(5000, number)
        client.flush()
        self.assertEqual(len(client.body(number)), 10_000)
        client.http.increment_flow_control_window(10_000, number)
        client.flush()
        self.assertEqual(len(client.body(number)), 15_000)

    def test_idle(self) -> None:
        """
        A closed window costs no turns of the reactor.
        """
        client = self.connect(INITIAL_WINDOW_SIZE=100)
        client.request()
        client.flush()
        [timeout] = self.clock.getDelayedCalls()
        self.assertGreater(timeout.getTime(), self.clock.seconds() + 50)

    def test_blocked(self) -> None:
        """
        While the transport has enough to send, requests wait, and afterwards they are answered.
        """
        client = self.connect()
        connection = client.connection
        connection.pauseProducing()
        numbers = [client.request("/small") for _ in range(50)]
        client.flush()
        self.assertEqual(self.resource.calls, 0)
        connection.resumeProducing()
        client.settle()
        client.settle()
        self.assertEqual(client.ended(), set(numbers))

    def test_waitingIsReset(self) -> None:
        """
        A request that is reset while it waits for others is not answered.
        """
        client = self.connect(INITIAL_WINDOW_SIZE=0)
        numbers = [client.request() for _ in range(5)]
        client.flush()
        client.http.reset_stream(numbers[4])
        client.http.increment_flow_control_window(100_000)
        for number in numbers[:4]:
            client.http.increment_flow_control_window(100_000, number)
        client.flush()
        self.assertEqual((self.resource.calls, client.ended()), (4, set(numbers[:4])))

    def test_timeout(self) -> None:
        """
        A client that leaves a response unread is disconnected after the timeout, even if it sends
        PINGs.
        """
        client = self.connect(INITIAL_WINDOW_SIZE=100)
        client.request()
        client.flush()
        for _ in range(10):
            client.send(frame(PING, b"12345678"))
            self.clock.advance(10)
        self.assertTrue(client.transport.aborted)

    def test_noTimeout(self) -> None:
        """
        PINGs keep a connection without unread responses open, and slow reading keeps others open.
        """
        idle, slow = self.connect(), self.connect(INITIAL_WINDOW_SIZE=100)
        number = slow.request()
        slow.flush()
        for _ in range(20):
            idle.send(frame(PING, b"12345678"))
            slow.http.increment_flow_control_window(100, number)
            slow.flush()
            self.clock.advance(10)
        self.assertFalse(idle.transport.aborted)
        self.assertFalse(slow.transport.aborted)
