"""
Tests for L{twisted_sse.stream.stream}: the headers of the response, and events sent before them.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web.error import Error
from twisted.web.resource import EncodingResourceWrapper
from twisted.web.server import GzipEncoderFactory

from tests.support.streams import StreamTestCase
from twisted_sse import EventStream, EventStreamResource
from twisted_sse.testing import MemoryClient


class HeaderTests(StreamTestCase):
    """
    Tests for the headers of the response, and for L{EventStream.open}.
    """

    def test_headers(self) -> None:
        """
        An event stream has these headers, and never C{Connection}.
        """
        self.connect()
        headers = self.browser.headers
        self.assertEqual(self.browser.status, 200)
        self.assertEqual(headers["Content-Type"], "text/event-stream; charset=utf-8")
        self.assertEqual(headers["Cache-Control"], "no-cache, no-transform")
        self.assertEqual(headers["X-Accel-Buffering"], "no")
        self.assertEqual(headers["X-Content-Type-Options"], "nosniff")
        self.assertEqual(headers["Vary"], "Accept")
        self.assertNotIn("Connection", headers)
        self.assertNotIn("Content-Length", headers)

    def test_ofTheApplication(self) -> None:
        """
        Headers that the application set take precedence, except another C{Content-Type}.
        """

        def connected(stream: EventStream) -> None:
            request = stream.request
            assert request is not None
            for name, value in [
                (b"content-type", b"text/plain"),
                (b"cache-control", b"no-store"),
                (b"x-accel-buffering", b"yes"),
                (b"x-content-type-options", b"mine"),
                (b"x-mine", b"1"),
            ]:
                request.setHeader(name, value)

        self.connect(connected)
        headers = self.browser.headers
        self.assertEqual(headers["Content-Type"], "text/event-stream; charset=utf-8")
        self.assertEqual(headers["Cache-Control"], "no-store")
        self.assertEqual(headers["X-Accel-Buffering"], "yes")
        self.assertEqual(headers["X-Content-Type-Options"], "mine")
        self.assertEqual(headers["X-Mine"], "1")

    def test_typeOfTheApplication(self) -> None:
        """
        A type that the application set is kept if it is an event stream's, whatever its parameters.
        """
        standard = "text/event-stream; charset=utf-8"
        for given, expected in (
            (["text/event-stream"], "text/event-stream"),
            (["Text/Event-Stream;charset=UTF-8"], "Text/Event-Stream;charset=UTF-8"),
            (["text/event-stream ; x=y"], "text/event-stream ; x=y"),
            (["text/event-stream2"], standard),
            (["text/html; x=text/event-stream"], standard),
            ([""], standard),
            ([], standard),
            (["text/plain", "text/event-stream"], "text/event-stream"),
            (["text/event-stream", "text/plain"], standard),
        ):

            def connected(stream: EventStream, given: list[str] = given) -> None:
                request = stream.request
                assert request is not None
                request.responseHeaders.setRawHeaders("content-type", given)

            self.connect(connected)
            self.assertEqual(self.browser.headers["Content-Type"], expected, given)
            self.stream.send("x")
            self.assertEqual(self.data(), ["x"])
            self.stream.abort()

    def test_firstComment(self) -> None:
        """
        A comment is sent with the headers, before any event.
        """
        self.connect()
        self.assertEqual(self.browser.comments, [""])
        self.assertTrue(self.browser.text.startswith(":"))

    def test_retry(self) -> None:
        """
        The resource's C{retry} is sent with the headers.
        """
        self.connect(retry=1500)
        self.assertEqual(self.browser.retry, 1500)
        self.assertEqual(self.browser.events, [])

    def test_noRetry(self) -> None:
        """
        Without C{retry} it is 3 seconds, which overrides any value that the browser received
        before.
        """
        self.connect()
        self.assertEqual(self.browser.retry, 3000)

    def test_openEarly(self) -> None:
        """
        C{open} sends the headers before C{connected} has a result, and only once.
        """

        def connected(stream: EventStream) -> Deferred[None]:
            stream.open()
            stream.open()
            return Deferred()

        self.connect(connected)
        self.assertEqual(self.browser.status, 200)
        self.assertEqual(self.browser.comments, [""])

    def test_openAfterEnd(self) -> None:
        """
        C{open} on a closed stream does nothing.
        """
        stream = self.connect()
        stream.abort()
        stream.open()
        self.assertGone()

    def test_raisedAfterOpen(self) -> None:
        """
        An exception after C{open} cannot become a status, and cuts the stream off.
        """

        def connected(stream: EventStream) -> None:
            stream.open()
            raise Error(403)

        self.connect(connected)
        self.assertEqual(self.browser.status, 200)
        self.assertTrue(self.browser.ended)
        self.assertFalse(self.browser.complete)
        self.assertEqual(len(self.flushLoggedErrors(Error)), 1)
        self.assertGone()

    def test_http10(self) -> None:
        """
        For HTTP/1.0 the body is not chunked, and ends with the connection.
        """
        stream = self.connect(version="HTTP/1.0")
        stream.send("a")
        self.assertNotIn("Transfer-Encoding", self.browser.headers)
        self.assertEqual(self.browser.body, b":\nretry: 3000\ndata: a\n\n")
        self.assertFalse(self.browser.ended)
        stream.end()
        self.client.clock.advance(1)
        self.assertTrue(self.browser.complete)
        self.assertGone()

    def test_http10Error(self) -> None:
        """
        For HTTP/1.0 an error resets the connection, because no other end would look incomplete.
        """
        stream = self.connect(version="HTTP/1.0")
        stream._response.fail(Failure(ZeroDivisionError()))
        self.assertTrue(self.browser.ended)
        self.assertFalse(self.browser.complete)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertGone()

    def test_encoder(self) -> None:
        """
        A gzip encoder around the resource is removed, because it would hold events back.
        """
        streams: list[EventStream] = []
        resource = EventStreamResource(streams.append)
        wrapped = EncodingResourceWrapper(resource, [GzipEncoderFactory()])
        client = MemoryClient(wrapped)
        browser = client.get("/", headers={"Accept-Encoding": "gzip"})
        streams[0].send("seen")
        self.assertEqual([event.data for event in browser.events], ["seen"])
        self.assertNotIn("Content-Encoding", browser.headers)

    def test_slim(self) -> None:
        """
        A slim stream drops the data of its request when the headers are sent.
        """
        seen: list[object] = []

        def connected(stream: EventStream) -> None:
            request = stream.request
            assert request is not None
            seen.append(request.getHeader(b"user-agent"))

        stream = self.connect(connected, headers={"User-Agent": "me", "Cookie": "a=b"}, slim=True)
        request = stream.request
        assert request is not None
        self.assertEqual(seen, [b"me"])
        self.assertIsNone(request.getHeader(b"user-agent"))
        self.assertEqual(request.args, {})
        self.assertIsNone(request.getCookie(b"a"))
        assert request.content is not None
        self.assertTrue(request.content.closed)
        stream.send("still here")
        self.assertEqual(self.data(), ["still here"])
        stream.end()
        self.assertTrue(self.browser.complete)
        self.assertGone()

    def test_notSlim(self) -> None:
        """
        A stream that is not slim keeps the data of its request.
        """
        stream = self.connect(headers={"User-Agent": "me"})
        request = stream.request
        assert request is not None
        self.assertEqual(request.getHeader(b"user-agent"), b"me")

    def test_contentLength(self) -> None:
        """
        C{Content-Length} is removed, even if the application set it, because the client would stop
        reading there.
        """

        def connected(stream: EventStream) -> None:
            stream.request.setHeader("content-length", "5")

        self.connect(connected)
        self.stream.send("all of it")
        self.assertEqual(self.browser.events[0].data, "all of it")
        self.assertNotIn("content-length", self.browser.headers)


class BeforeHeadersTests(StreamTestCase):
    """
    Tests for events sent before the headers.
    """

    def test_queued(self) -> None:
        """
        Events sent in C{connected} are queued until it has returned.
        """
        seen: list[object] = []

        def connected(stream: EventStream) -> None:
            stream.send("one", id="1")
            stream.comment("two")
            seen.append((stream.bytesPending > 0, stream.eventsSent))

        self.connect(connected)
        self.assertEqual(seen, [(True, 0)])
        self.assertEqual(self.data(), ["one"])
        self.assertEqual(self.browser.comments, ["", "two"])

    def test_droppedOnRefusal(self) -> None:
        """
        Events sent before a refusal are dropped.
        """

        def connected(stream: EventStream) -> None:
            stream.send("secret")
            raise Error(403)

        self.connect(connected)
        self.assertEqual(self.browser.status, 403)
        self.assertNotIn("secret", self.browser.text)
        self.assertEqual(self.stream.eventsSent, 0)
        self.assertGone()

    def test_sentFromOutside(self) -> None:
        """
        While a Deferred of C{connected} is pending, the first event sent sends the headers.
        """
        self.connect(lambda stream: Deferred())
        self.assertIsNone(self.browser.status)
        self.stream.send("now")
        self.assertEqual(self.browser.status, 200)
        self.assertEqual(self.data(), ["now"])

    def test_tooMuch(self) -> None:
        """
        When more than C{maxPending} is sent before the headers, the headers are sent, and nothing
        is lost.
        """

        def connected(stream: EventStream) -> None:
            for number in range(10):
                self.assertTrue(stream.send(f"{number}" * 100))

        self.connect(connected, maxPending=250)
        self.assertEqual(self.browser.status, 200)
        self.assertEqual(self.data(), [f"{number}" * 100 for number in range(10)])
