"""
Tests for L{twisted_sse.guard.pacing}: pipelined requests, and connections that are closing.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from twisted_sse.guard import GuardedSite

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class Transport(StringTransport):
    """
    A transport that asks its producer to pause once it holds a certain size, as Twisted's do.

    @ivar limit: the size in bytes.
    @ivar reading: whether the server reads.
    """

    limit = 2**16
    reading = True

    def write(self, data: bytes) -> None:
        """
        Hold data.
        """
        super().write(data)
        if self.producer is not None and len(self.value()) > self.limit:
            self.producer.pauseProducing()

    def take(self) -> bytes:
        """
        Let the client read everything.
        """
        taken = self.value()
        self.clear()
        if self.producer is not None:
            self.producer.resumeProducing()
        return taken

    def unregisterProducer(self) -> None:
        """
        Forget the producer, if there is one.
        """
        self.producer = None

    def pauseProducing(self) -> None:
        """
        The server pauses reading.
        """
        self.reading = False

    def resumeProducing(self) -> None:
        """
        The server resumes reading.
        """
        self.reading = True


class Answering(Resource):
    """
    A resource with a response of a certain size.

    @ivar calls: the number of its requests.
    @ivar pending: the requests to be answered later, if it is a list.
    """

    isLeaf = True

    def __init__(self, answer: bytes) -> None:
        super().__init__()
        self.answer = answer
        self.calls = 0
        self.pending: list[Any] | None = None

    def render_GET(self, request: Any) -> Any:
        """
        Respond.
        """
        self.calls += 1
        if self.pending is None:
            return self.answer
        self.pending.append(request)
        return NOT_DONE_YET

    def render_POST(self, request: Any) -> bytes:
        """
        Respond with the length of the body.
        """
        return b"%d" % len(request.content.read())


class PacingTestCase(SynchronousTestCase):
    """
    Base class for tests with a connection.
    """

    size = 20_000

    def setUp(self) -> None:
        """
        Make a connection.
        """
        self.clock = Clock()
        self.resource = Answering(b"x" * self.size)
        self.site = GuardedSite(self.resource, reactor=self.clock, timeout=60)
        self.transport = Transport()
        self.protocol: Any = self.site.buildProtocol(None)
        self.protocol.makeConnection(self.transport)

    def settle(self) -> None:
        """
        Let the server do its pending work.
        """
        for _ in range(100):
            self.clock.advance(0)

    def tearDown(self) -> None:
        """
        Nothing is left when the connection is closed.
        """
        self.protocol.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.clock.getDelayedCalls(), [])


class PipelineTests(PacingTestCase):
    """
    Tests for pipelined requests.
    """

    def test_unread(self) -> None:
        """
        A client that reads nothing gets no more responses than the transport holds without pausing,
        and nothing more is read.
        """
        self.protocol.dataReceived(GET * 2000)
        self.settle()
        self.assertEqual(self.resource.calls, 4)
        self.assertFalse(self.transport.reading)

    def test_read(self) -> None:
        """
        A client that reads gets all responses.
        """
        self.protocol.dataReceived(GET * 100)
        received = b""
        for _ in range(100):
            self.settle()
            received += self.transport.take()
        self.assertEqual(received.count(b"HTTP/1.1 200 "), 100)
        self.assertEqual(received.count(self.resource.answer), 100)
        self.assertTrue(self.transport.reading)

    def test_turns(self) -> None:
        """
        One request is answered per turn of the reactor, so that other connections are served in
        between.
        """
        self.protocol.dataReceived(GET * 3)
        self.assertEqual(self.resource.calls, 1)
        self.assertFalse(self.transport.reading)
        self.settle()
        self.assertEqual(self.resource.calls, 3)
        self.assertTrue(self.transport.reading)

    def test_separately(self) -> None:
        """
        A client that sends its requests one by one without reading is not read further, either.
        """
        sent = 0
        while self.transport.reading and sent < 100:
            self.protocol.dataReceived(GET)
            self.settle()
            sent += 1
        self.assertEqual((sent, self.resource.calls), (4, 4))
        self.transport.take()
        self.settle()
        self.assertTrue(self.transport.reading)

    def test_alone(self) -> None:
        """
        A request without others after it does not wait.
        """
        for calls in 1, 2, 3:
            self.protocol.dataReceived(GET)
            self.assertEqual(self.resource.calls, calls)
            self.assertTrue(self.transport.reading)
            self.transport.take()

    def test_cut(self) -> None:
        """
        Requests that arrive in pieces are answered like others.
        """
        whole = (GET + b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello") * 10
        received = b""
        for at in range(0, len(whole), 7):
            self.protocol.dataReceived(whole[at : at + 7])
            self.settle()
            received += self.transport.take()
            self.settle()
        self.assertEqual(received.count(b"HTTP/1.1 200 "), 20)

    def test_later(self) -> None:
        """
        While a response is being made, the next request waits, and is answered afterwards.
        """
        self.resource.pending = []
        self.protocol.dataReceived(GET * 3)
        for calls in 1, 2, 3:
            self.settle()
            self.assertEqual(self.resource.calls, calls)
            request = self.resource.pending.pop()
            request.write(b"ok")
            request.finish()
        self.assertEqual(self.transport.value().count(b"HTTP/1.1 200 "), 3)

    def test_timeout(self) -> None:
        """
        A client that reads nothing is disconnected after the timeout.
        """
        self.protocol.dataReceived(GET * 100)
        self.settle()
        self.clock.advance(61)
        self.assertTrue(self.transport.disconnecting)
        self.clock.advance(16)
        self.assertTrue(self.transport.disconnected)
        self.assertEqual(self.resource.calls, 4)

    def test_lost(self) -> None:
        """
        A connection that is lost while requests wait leaves nothing.
        """
        self.protocol.dataReceived(GET * 3)
        self.assertNotEqual(self.clock.getDelayedCalls(), [])
        # The rest is in tearDown.


class EndTests(PacingTestCase):
    """
    Tests for connections that are closing.
    """

    size = 10

    def test_last(self) -> None:
        """
        A client that does not close the connection after its last response is disconnected after
        the timeout.
        """
        self.protocol.dataReceived(b"GET / HTTP/1.0\r\n\r\n")
        self.assertTrue(self.transport.disconnecting)
        self.protocol.dataReceived(GET)
        self.assertEqual(self.resource.calls, 1)
        self.clock.advance(61)
        self.clock.advance(16)
        self.assertTrue(self.transport.disconnected)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_bad(self) -> None:
        """
        Nothing after a bad request is read, whether it arrives at the same time or later.
        """
        for bad in (
            b"GET\r\n",
            b"GET / HTTP/1.1\r\nno colon\r\n",
            b"GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
        ):
            self.setUp()
            self.protocol.dataReceived(bad + GET)
            self.protocol.dataReceived(GET)
            self.protocol.dataReceived(b"Content-Length: 5\r\n\r\nhello")
            self.settle()
            self.assertEqual(self.transport.value(), b"HTTP/1.1 400 Bad Request\r\n\r\n", bad)
            self.assertEqual(self.resource.calls, 0)
            self.protocol.connectionLost(Failure(ConnectionDone()))

    def test_hugeLength(self) -> None:
        """
        A length with more digits than Python converts is refused.
        """
        self.protocol.dataReceived(
            b"GET / HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n"
        )
        self.assertEqual(self.transport.value(), b"HTTP/1.1 400 Bad Request\r\n\r\n")

    def test_longLine(self) -> None:
        """
        A line that is too long is refused.
        """
        self.protocol.dataReceived(b"GET /" + b"a" * 20_000)
        self.assertEqual(self.transport.value(), b"HTTP/1.1 400 Bad Request\r\n\r\n")
        self.assertTrue(self.transport.disconnecting)
