"""
Tests for L{twisted_sse.testing}: the in-memory client itself.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from klein import Klein
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.task import LoopingCall, deferLater
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from zope.interface.verify import verifyObject

from twisted_sse import Event, EventStream, EventStreamResource, MessageEvent
from twisted_sse.testing import MemoryClient, MemoryClock, MemoryStream, ResponseHeaders
from twisted_sse.testing.response import ResponseReader


class Echo(Resource):
    """
    An ordinary resource that returns the request it received.
    """

    isLeaf = True

    def render(self, request: Any) -> bytes:
        """
        Return the request.
        """
        request.setHeader(b"x-seen", b"yes")
        request.responseHeaders.addRawHeader(b"x-several", b"a")
        request.responseHeaders.addRawHeader(b"x-several", b"b")
        host = request.getClientAddress().host
        parts = [request.method, request.uri, request.content.read(), host.encode()]
        answer: bytes = b"|".join([*parts, request.getHeader(b"x-mine") or b"-"])
        return answer


class Raw(Resource):
    """
    A resource that keeps its requests open for tests to write to.
    """

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[Any] = []

    def render(self, request: Any) -> int:
        """
        Keep the request.
        """
        self.requests.append(request)
        return NOT_DONE_YET


class RequestTests(SynchronousTestCase):
    """
    Tests for requests to ordinary resources.
    """

    def test_get(self) -> None:
        """
        A GET has its path, query and headers.
        """
        stream = MemoryClient(Echo()).get("/a/b?c=d", headers={"X-Mine": "mine"})
        self.assertEqual(stream.status, 200)
        self.assertEqual(stream.text, "GET|/a/b?c=d||127.0.0.1|mine")
        self.assertTrue(stream.ended)
        self.assertTrue(stream.complete)
        self.assertEqual(stream.events, [])

    def test_post(self) -> None:
        """
        A POST has its body: bytes, or text encoded as UTF-8.
        """
        client = MemoryClient(Echo())
        self.assertEqual(client.post("/", body=b"a=b").text, "POST|/|a=b|127.0.0.1|-")
        self.assertEqual(client.post("/", body="ä").text, "POST|/|ä|127.0.0.1|-")
        self.assertEqual(client.post("/").text, "POST|/||127.0.0.1|-")
        self.assertEqual(client.request("PUT", body=b"x" * 100_000).status, 200)

    def test_addresses(self) -> None:
        """
        The client may have any IPv4 or IPv6 address.
        """
        client = MemoryClient(Echo())
        for address in ("192.0.2.7", "2001:db8::7"):
            self.assertIn(f"|{address}|", client.get("/", address=address).text)

    def test_methods(self) -> None:
        """
        Any method is allowed, and the response to HEAD has no body.
        """
        client = MemoryClient(Echo())
        self.assertIn("DELETE|", client.request("DELETE").text)
        head = client.request("HEAD")
        self.assertEqual(head.body, b"")
        self.assertTrue(head.complete)

    def test_ownHost(self) -> None:
        """
        C{Host} and C{Content-Length} are sent once, however the test spells them.
        """
        for host, length in ("Host", "Content-Length"), ("host", "content-length"):
            raw = Raw()
            given = {host: "sse.example", length: "2"}
            MemoryClient(raw).request("POST", "/", headers=given, body="ab")
            [request] = raw.requests
            for name, value in (b"host", b"sse.example"), (b"content-length", b"2"):
                self.assertEqual(request.requestHeaders.getRawHeaders(name), [value])
            request.finish()

    def test_headers(self) -> None:
        """
        Response headers are case-insensitive.
        """
        headers = MemoryClient(Echo()).get("/").headers
        self.assertEqual(headers["X-Seen"], "yes")
        self.assertEqual(headers["x-seen"], "yes")
        self.assertEqual(headers.get("X-SEEN"), "yes")
        self.assertIn("x-Seen", headers)
        self.assertNotIn("X-Unseen", headers)
        self.assertEqual(headers[b"x-several"], "a, b")
        self.assertIn(b"x-seen", headers)
        self.assertEqual(dict(headers)["X-Seen"], "yes")
        self.assertNotIn(5, headers)
        self.assertIsNone(headers.get("X-Unseen"))
        self.assertEqual(headers.get("X-Unseen", "default"), "default")
        self.assertRaises(KeyError, lambda: headers["X-Unseen"])
        self.assertEqual(headers["X-Several"], "a, b")
        self.assertEqual(headers.getRawHeaders("X-Several"), ["a", "b"])
        self.assertIsInstance(headers, ResponseHeaders)

    def test_http10(self) -> None:
        """
        An HTTP/1.0 response lasts until the connection is closed.
        """
        resource = Raw()
        stream = MemoryClient(resource).request("GET", version="HTTP/1.0")
        [request] = resource.requests
        self.assertEqual(request.clientproto, b"HTTP/1.0")
        request.write(b"so far")
        self.assertEqual(stream.text, "so far")
        self.assertFalse(stream.ended)
        request.finish()
        self.assertTrue(stream.complete)

    def test_http10Reset(self) -> None:
        """
        An HTTP/1.0 response that is reset is not complete.
        """
        resource = Raw()
        stream = MemoryClient(resource).request("GET", version="HTTP/1.0")
        resource.requests[0].write(b"so far")
        self.assertEqual(stream.text, "so far")
        resource.requests[0].transport.abortConnection()
        self.assertTrue(stream.ended)
        self.assertFalse(stream.complete)

    def test_notYet(self) -> None:
        """
        Before the response has begun there is no status.
        """
        stream = MemoryClient(Raw()).get("/")
        self.assertIsNone(stream.status)
        self.assertEqual(stream.text, "")
        self.assertFalse(stream.ended)
        self.assertFalse(stream.complete)

    def test_klein(self) -> None:
        """
        Klein apps may use the client's clock.
        """
        app = Klein()
        clock = MemoryClock()

        @app.route("/hello/<name>")
        async def hello(request: Any, name: str) -> str:
            await deferLater(clock, 1)  # type: ignore[arg-type]
            return f"hello {name}"

        client = MemoryClient(app.resource(), clock=clock)
        stream = client.get("/hello/you")
        self.assertIsNone(stream.status)
        clock.advance(1)
        self.assertEqual(stream.text, "hello you")
        self.assertEqual(client.get("/nowhere").status, 404)

    def test_keptAlive(self) -> None:
        """
        A request pipelined after a stream is not handled before the stream ends.
        """
        resource = Raw()
        stream = MemoryClient(resource).get("/first")
        stream.write(b"GET /second HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertEqual([request.uri for request in resource.requests], [b"/first"])

    def test_fresh(self) -> None:
        """
        An ordinary response leaves no delayed call.
        """
        client = MemoryClient(Echo())
        client.get("/")
        client.clock.advance(0)
        self.assertEqual(client.clock.getDelayedCalls(), [])


class StreamTests(SynchronousTestCase):
    """
    Tests for streams.
    """

    def connect(self, **options: Any) -> MemoryStream:
        """
        Connect to an event stream.
        """
        streams: list[EventStream] = []
        self.client = MemoryClient(EventStreamResource(streams.append, **options))
        stream = self.client.get("/")
        [self.server] = streams
        return stream

    def test_events(self) -> None:
        """
        Events are parsed, in order, with their types and IDs.
        """
        stream = self.connect()
        self.server.send("one", id="1")
        self.server.send("two", event="note")
        self.server.comment("aside")
        self.assertEqual(
            stream.events,
            [
                MessageEvent(type="message", data="one", lastEventID="1"),
                MessageEvent(type="note", data="two", lastEventID="1"),
            ],
        )
        self.assertEqual(stream.comments, ["", "aside"])
        self.assertEqual(
            stream.text,
            ":\nretry: 3000\nid: 1\ndata: one\n\nevent: note\ndata: two\n\n: aside\n",
        )
        self.assertEqual(stream.retry, 3000)
        self.server.send(retry=700)
        self.assertEqual(stream.retry, 700)

    def test_listsOfItsOwn(self) -> None:
        """
        Changing a returned list does not change the stream's.
        """
        stream = self.connect()
        self.server.send("x")
        stream.events.clear()
        stream.comments.clear()
        self.assertEqual((len(stream.events), len(stream.comments)), (1, 1))

    def test_noEventStream(self) -> None:
        """
        A response of another type is not parsed.
        """

        class Text(Resource):
            isLeaf = True

            def render_GET(self, request: Any) -> bytes:
                return b"data: x\n\n"

        stream = MemoryClient(Text()).get("/")
        self.assertEqual(stream.events, [])
        self.assertEqual(stream.text, "data: x\n\n")

    def test_disconnect(self) -> None:
        """
        A disconnect of either kind reaches the server immediately, and only once.
        """
        for reset in (False, True):
            stream = self.connect()
            self.server.send("before")
            stream.disconnect(reset=reset)
            self.assertTrue(self.server.closed)
            self.assertTrue(stream.ended)
            self.assertFalse(stream.complete)
            self.assertEqual([event.data for event in stream.events], ["before"])
            stream.disconnect()
            self.assertEqual(self.client.clock.getDelayedCalls(), [])

    def test_close(self) -> None:
        """
        C{close}, or the end of a C{with} block, closes all connections of a client.
        """
        streams: list[EventStream] = []
        with MemoryClient(EventStreamResource(streams.append)) as client:
            browsers = [client.get("/") for _ in range(3)]
            self.assertFalse(browsers[0].ended)
        self.assertTrue(all(browser.ended for browser in browsers))
        self.assertTrue(all(stream.closed for stream in streams))
        self.assertEqual(client.clock.getDelayedCalls(), [])

    def test_stopReading(self) -> None:
        """
        The kernel accepts C{kernelBuffer} bytes, and then the transport pauses its producer.
        """
        for kernelBuffer in (0, 10_000, 2**20):
            stream = self.connect(stallTimeout=None)
            stream.stopReading(kernelBuffer=kernelBuffer)
            sent = 0
            while not self.server.bytesPending:
                self.server.send("x" * 1000)
                sent += 1000
                self.client.clock.advance(0)
            # Each event has 1,015 bytes with its framing.
            self.assertLess(abs(sent * 1.015 - kernelBuffer - 2**16), 10_000)
            self.assertEqual(stream.events, [])
            stream.resumeReading()
            self.assertEqual(len(stream.events), sent // 1000)
            self.assertEqual(self.server.bytesPending, 0)

    def test_stopReadingByDefault(self) -> None:
        """
        By default the kernel accepts 64 KiB.
        """
        stream = self.connect()
        stream.stopReading()
        self.server.send("x" * 50_000)
        self.client.clock.advance(0)
        self.assertEqual(stream._transport._held(), 0)
        self.server.send("x" * 50_000)
        self.client.clock.advance(0)
        self.assertGreater(stream._transport._held(), 0)

    def test_whatWasSentBefore(self) -> None:
        """
        Events sent before C{stopReading} are received.
        """
        stream = self.connect()
        self.server.send("before")
        stream.stopReading(kernelBuffer=0)
        self.server.send("after")
        self.assertEqual([event.data for event in stream.events], ["before"])

    def test_disconnectWithoutReading(self) -> None:
        """
        A client that disconnects without reading has not received the events sent.
        """
        stream = self.connect()
        stream.stopReading()
        self.server.send("unread")
        stream.disconnect()
        self.assertEqual(stream.events, [])
        self.assertTrue(self.server.closed)

    def test_abortedByTheServer(self) -> None:
        """
        A response that the server aborts ends incomplete, and aborting it again does nothing.
        """
        stream = self.connect()
        request = self.server.request
        assert request is not None
        transport = request.transport
        self.server.abort()
        transport.abortConnection()
        transport.startWriting()
        self.assertTrue(stream.ended)
        self.assertFalse(stream.complete)
        transport.abortConnection()
        self.assertEqual(self.client.clock.getDelayedCalls(), [])

    def test_transport(self) -> None:
        """
        The transport provides the TCP features that a server expects.
        """
        stream = self.connect()
        transport = stream._transport
        verifyObject(ITCPTransport, transport)
        self.assertEqual(transport.getPeer().host, "127.0.0.1")
        self.assertEqual(transport.getHost().port, 80)
        transport.setTcpNoDelay(True)
        transport.setTcpKeepAlive(1)
        self.assertTrue(transport.getTcpNoDelay())
        self.assertFalse(transport.getTcpKeepAlive())
        self.assertRaises(NotImplementedError, transport.loseWriteConnection)
        transport.stopReading()
        transport.startReading()


class ClockTests(SynchronousTestCase):
    """
    Tests for L{MemoryClock}.
    """

    def test_steps(self) -> None:
        """
        A loop of 2 seconds makes 5 calls in 10 seconds, each at its time.
        """
        clock = MemoryClock()
        times: list[float] = []
        loop = LoopingCall(lambda: times.append(clock.seconds()))
        loop.clock = clock
        loop.start(2, now=False)
        clock.advance(10)
        self.assertEqual(times, [2, 4, 6, 8, 10])
        clock.advance(1.9)
        self.assertEqual(len(times), 5)
        self.assertEqual(clock.seconds(), 11.9)

    def test_stream(self) -> None:
        """
        A stream's C{every} of 2 seconds sends 5 events in 10 seconds.
        """
        client = MemoryClient(
            EventStreamResource(lambda stream: stream.every(2, lambda: "hello") and None)
        )
        stream = client.get("/")
        client.clock.advance(10)
        self.assertEqual(len(stream.events), 5)

    def test_addedOnTheWay(self) -> None:
        """
        Calls scheduled during C{advance} are made within it.
        """
        clock = MemoryClock()
        times: list[float] = []

        def call() -> None:
            times.append(clock.seconds())
            if len(times) < 4:
                clock.callLater(1.5, call)

        clock.callLater(1, call)
        clock.advance(5)
        self.assertEqual(times, [1, 2.5, 4])
        clock.advance(0.5)
        self.assertEqual(times, [1, 2.5, 4, 5.5])

    def test_cancelled(self) -> None:
        """
        A call may cancel another that is due at the same time.
        """
        clock = MemoryClock()
        made: list[str] = []
        clock.callLater(1, lambda: second.cancel())
        second = clock.callLater(1, made.append, "second")
        clock.callLater(1, made.append, "third")
        clock.advance(1)
        self.assertEqual(made, ["third"])

    def test_endless(self) -> None:
        """
        Calls that reschedule themselves forever do not hang a test.
        """
        clock = MemoryClock()
        turns: list[None] = []

        def again() -> None:
            turns.append(None)
            clock.callLater(0, again)

        again()
        clock.advance(0)
        self.assertGreater(len(turns), 100)
        before = len(turns)
        clock.advance(1)
        self.assertGreater(len(turns), before)

    def test_exception(self) -> None:
        """
        An exception in a call reaches the test, as with any clock.
        """
        clock = MemoryClock()
        clock.callLater(1, lambda: 1 // 0)
        self.assertRaises(ZeroDivisionError, clock.advance, 2)

    def test_shared(self) -> None:
        """
        Several clients may share one clock.
        """
        clock = MemoryClock()
        resource = EventStreamResource(lambda stream: stream.every(1, lambda: "x") and None)
        streams = [MemoryClient(resource, clock=clock).get("/") for _ in range(2)]
        clock.advance(3)
        self.assertEqual([len(stream.events) for stream in streams], [3, 3])

    def test_readingDoesWhatIsDue(self) -> None:
        """
        Reading a property first makes the calls that are due.
        """
        client = MemoryClient(
            EventStreamResource(
                lambda stream: client.clock.callLater(0, stream.send, "now") and None
            )
        )
        stream = client.get("/")
        client.clock.callLater(0, lambda: None)
        self.assertEqual(len(stream.events), 1)
        waiting: Deferred[None] = Deferred()
        client.clock.callLater(0, waiting.callback, None)
        self.assertEqual(stream.status, 200)
        self.successResultOf(waiting)


class ResponseTests(SynchronousTestCase):
    """
    Tests for the parser of responses.
    """

    HEAD = (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    )

    @given(
        st.lists(st.text(st.characters(codec="utf-8"), max_size=30), max_size=10),
        st.randoms(use_true_random=False),
        st.booleans(),
    )
    def test_chunks(self, texts: list[str], chance: Any, end: bool) -> None:
        """
        However the body is cut into chunks and the bytes into pieces, the events are the same.
        """
        body = b"".join(Event(text).encode() for text in texts)
        data = self.HEAD
        position = 0
        while position < len(body):
            chunk = body[position : position + chance.randrange(1, 40)]
            data += b"%X\r\n%b\r\n" % (len(chunk), chunk)
            position += len(chunk)
        if end:
            data += b"0\r\n\r\n"
        response = ResponseReader("GET")
        while data:
            size = chance.randrange(1, 50)
            response.feed(data[:size])
            data = data[size:]
        self.assertEqual(response.status, 200)
        self.assertEqual(bytes(response.body), body)
        self.assertEqual(len(response.events), len(texts))
        self.assertEqual(response.complete, end)

    def test_interim(self) -> None:
        """
        An interim response is skipped.
        """
        response = ResponseReader("GET")
        response.feed(b"HTTP/1.1 100 Continue\r\n\r\n" + self.HEAD)
        self.assertEqual(response.status, 200)

    def test_length(self) -> None:
        """
        A body with a C{Content-Length} is complete when all of it has arrived.
        """
        response = ResponseReader("GET")
        response.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel")
        self.assertFalse(response.complete)
        response.feed(b"lo")
        self.assertTrue(response.complete)
        self.assertEqual(bytes(response.body), b"hello")

    def test_noBody(self) -> None:
        """
        Responses without a body are complete with their headers.
        """
        for method, head in [
            ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
            ("GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
            ("GET", b"HTTP/1.1 304 Not Modified\r\n\r\n"),
            ("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        ]:
            response = ResponseReader(method)
            response.feed(head)
            self.assertTrue(response.complete)
