"""
Tests for L{twisted_sse.server.resource} and L{twisted_sse.server.group}: who gets a stream, and who what
else.
"""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Callable
from typing import Any

from twisted.application.service import IService, MultiService
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import LogEvent, capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.error import Error
from twisted.web.resource import EncodingResourceWrapper, IResource, Resource
from twisted.web.server import GzipEncoderFactory, Site
from twisted.web.util import DeferredResource
from zope.interface.verify import verifyObject

from twisted_sse import CloseReason, EventStream, EventStreamResource, SlowReader
from twisted_sse.observe import Observer
from twisted_sse.store.memory import LONGEST_ID
from twisted_sse.testing import MemoryClient, MemoryStream
from twisted_sse.timing.reactors import clockFor

#: More than a transport takes before it says pause.
BIG = "x" * 70_000


class Text(Resource):
    """
    A resource that answers C{ok}.
    """

    isLeaf = True

    def render_GET(self, request: object) -> bytes:
        """
        Answer.
        """
        return b"ok"


class ResourceTestCase(SynchronousTestCase):
    """
    One resource, which remembers its streams.
    """

    resource: EventStreamResource
    client: MemoryClient

    def serve(
        self, connected: Callable[[EventStream], object] = lambda stream: None, **options: Any
    ) -> MemoryClient:
        """
        Make the resource.
        """
        self.streams: list[EventStream] = []

        def remember(stream: EventStream) -> object:
            self.streams.append(stream)
            return connected(stream)

        self.resource = EventStreamResource(remember, **options)
        self.client = MemoryClient(self.resource)
        return self.client

    def assertStream(self, browser: MemoryStream) -> None:
        """
        It is an open stream.
        """
        self.assertEqual(browser.status, 200)
        self.assertEqual(browser.headers["Content-Type"], "text/event-stream")
        self.assertFalse(browser.ended)

    def assertComeBack(self, browser: MemoryStream, least: int, most: int) -> None:
        """
        It was told to come back later: a stream with nothing but a reconnection time.
        """
        self.assertEqual(browser.status, 200)
        self.assertEqual(browser.headers["Content-Type"], "text/event-stream")
        retry = browser.retry
        assert retry is not None
        self.assertTrue(least <= retry <= most, retry)
        self.assertEqual(browser.events, [])
        self.client.clock.advance(0.1)
        self.assertTrue(browser.complete)

    def assertNothingLeft(self) -> None:
        """
        No stream and no delayed call is left.
        """
        self.assertEqual(self.resource.streams, frozenset())
        self.client.clock.settle()
        self.assertEqual(self.client.clock.getDelayedCalls(), [])


class InterfaceTests(ResourceTestCase):
    """
    Tests for what the resource is to Twisted.
    """

    def test_resource(self) -> None:
        """
        It is a resource, and a leaf.
        """
        self.serve()
        verifyObject(IResource, self.resource)
        self.assertTrue(self.resource.isLeaf)

    def test_streams(self) -> None:
        """
        C{streams} are the open ones; whoever has got the set cannot change ours.
        """
        client = self.serve()
        self.assertEqual(self.resource.streams, frozenset())
        first, _second = client.get("/"), client.get("/")
        streams = self.resource.streams
        self.assertEqual(streams, set(self.streams))
        first.disconnect()
        self.assertEqual(self.resource.streams, {self.streams[1]})
        self.assertEqual(len(streams), 2)

    def test_deepPath(self) -> None:
        """
        It answers whatever is behind it in the path.
        """
        root = Resource()
        self.serve()
        root.putChild(b"events", self.resource)
        client = MemoryClient(root)
        self.assertStream(client.get("/events"))
        self.assertStream(client.get("/events/a/b?c=d"))


class AcceptTests(ResourceTestCase):
    """
    Tests for the negotiation of the type.
    """

    #: Accept, whether a stream may be sent, whether it is asked for by name.
    TABLE = [
        (None, True, False),
        ("text/event-stream", True, True),
        ("TEXT/Event-Stream", True, True),
        (" text/event-stream ; q=0.1 ", True, True),
        ("text/event-stream;charset=utf-8", True, True),
        ("text/html, text/event-stream", True, True),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", True, False),
        ("*/*", True, False),
        ("text/*", True, False),
        ("TEXT/*", True, False),
        ("text/html", False, False),
        ("application/json, image/*", False, False),
        ("text/event-stream;q=0", False, False),
        ("text/event-stream; Q=0.000, */*", False, False),
        ("*/*, text/event-stream;q=0", False, False),
        ("text/*;q=0, */*", False, False),
        ("text/event-stream, text/*;q=0, */*;q=0", True, True),
        ("*/*;q=0", False, False),
        ("text/event-stream;q=0.001", True, True),
        ("", True, False),
        (" , ,", True, False),
        ("*", True, False),
        ("garbage", True, False),
        (";q=0", True, False),
        ("text/event-stream;q=banana", True, True),
        ("text/event-stream;;;q", True, True),
        ("text/event-stream2", False, False),
        (",".join(["a/b"] * 1500), False, False),
    ]

    def ask(self, client: MemoryClient, accept: str | None) -> MemoryStream:
        """
        Make a request with this Accept.
        """
        return client.get("/", headers={} if accept is None else {"Accept": accept})

    def test_withoutFallback(self) -> None:
        """
        Without a fallback all get the stream but those who exclude it: they get 406.
        """
        for accept, acceptable, _ in self.TABLE:
            browser = self.ask(self.serve(), accept)
            if acceptable:
                self.assertStream(browser)
            else:
                self.assertEqual(browser.status, 406, accept)
                self.assertIn("text/event-stream", browser.text)
                self.assertEqual(self.streams, [])
            self.assertEqual(browser.headers["Vary"], "Accept")

    def test_withFallback(self) -> None:
        """
        With a fallback only those get the stream who name it; all others get the fallback.
        """
        for accept, _, named in self.TABLE:
            browser = self.ask(self.serve(fallback=Text()), accept)
            if named:
                self.assertStream(browser)
            else:
                self.assertEqual((browser.status, browser.text), (200, "ok"), accept)
                self.assertEqual(self.streams, [])
            self.assertEqual(browser.headers["Vary"], "Accept")

    def test_severalHeaders(self) -> None:
        """
        Several Accept headers are one list.
        """
        client = self.serve()
        transport = StringTransport()
        protocol = client.site.buildProtocol(IPv4Address("TCP", "127.0.0.1", 1))
        assert protocol is not None
        protocol.makeConnection(transport)
        protocol.dataReceived(
            b"GET / HTTP/1.1\r\nHost: a\r\nAccept: text/html\r\nAccept: text/event-stream\r\n\r\n"
        )
        self.assertIn(b"text/event-stream", transport.value())
        self.assertEqual(len(self.streams), 1)
        self.streams[0].abort()

    def test_fallbackHasTheOtherMethods(self) -> None:
        """
        Whatever the method, who does not name the stream gets the fallback.
        """

        class Form(Resource):
            isLeaf = True

            def render_POST(self, request: object) -> bytes:
                return b"posted"

            def render_GET(self, request: object) -> bytes:
                return b"got"

        client = self.serve(fallback=Form())
        self.assertEqual(client.post("/", body="a=b").text, "posted")
        self.assertEqual(client.get("/").text, "got")
        self.assertEqual(client.request("HEAD").status, 200)
        browser = client.post("/", headers={"Accept": "text/event-stream"})
        self.assertEqual(browser.status, 405)

    def test_varyOfTheApplication(self) -> None:
        """
        What was in Vary before stays.
        """
        streams: list[EventStream] = []
        inner = EventStreamResource(streams.append)

        class Outer(Resource):
            isLeaf = True

            def render(self, request: Any) -> Any:
                request.setHeader(b"vary", b"Cookie")
                return inner.render(request)

        self.assertEqual(MemoryClient(Outer()).get("/").headers["Vary"], "Cookie, Accept")


class MethodTests(ResourceTestCase):
    """
    Tests for the methods.
    """

    def test_head(self) -> None:
        """
        HEAD has the headers of the stream, without a stream.
        """
        client = self.serve()
        head = client.request("HEAD")
        self.assertEqual(head.status, 200)
        self.assertTrue(head.complete)
        self.assertEqual(head.body, b"")
        self.assertEqual(self.streams, [])
        get = client.get("/")
        names = ("Content-Type", "Cache-Control", "X-Accel-Buffering", "X-Content-Type-Options")
        for name in (*names, "Vary"):
            self.assertEqual(head.headers[name], get.headers[name])
        self.assertNotIn("Content-Length", head.headers)

    def test_headNotAcceptable(self) -> None:
        """
        HEAD is negotiated as GET is, and a refusal has no body.
        """
        head = self.serve().request("HEAD", headers={"Accept": "image/png"})
        self.assertEqual(head.status, 406)
        self.assertEqual(head.body, b"")
        self.assertTrue(head.complete)

    def test_options(self) -> None:
        """
        OPTIONS without CORS is a 204 that says what is allowed.
        """
        browser = self.serve().request("OPTIONS", headers={"Origin": "https://example.com"})
        self.assertEqual(browser.status, 204)
        self.assertEqual(browser.headers["Allow"], "GET, HEAD, OPTIONS")
        self.assertEqual(browser.body, b"")
        self.assertTrue(browser.complete)
        for name in ("Access-Control-Allow-Origin", "Access-Control-Allow-Methods"):
            self.assertNotIn(name, browser.headers)
        self.assertEqual(self.streams, [])

    def test_others(self) -> None:
        """
        Any other method is a 405 that says what is allowed.
        """
        client = self.serve()
        for method in ("POST", "PUT", "DELETE", "PATCH", "BREW"):
            browser = client.request(method)
            self.assertEqual(browser.status, 405)
            self.assertEqual(browser.headers["Allow"], "GET, HEAD, OPTIONS")
            self.assertTrue(browser.complete)
        self.assertEqual(self.streams, [])

    def test_methods(self) -> None:
        """
        C{methods} are answered with a stream; HEAD goes with GET.
        """
        client = self.serve(methods=("POST", "PUT"))
        body: list[bytes] = []
        self.assertStream(client.post("/", body="question"))
        request = self.streams[0].request
        assert request is not None and request.content is not None
        body.append(request.content.read())
        self.assertEqual(body, [b"question"])
        self.assertStream(client.request("PUT"))
        for method in ("GET", "HEAD"):
            browser = client.request(method)
            self.assertEqual(browser.status, 405)
            self.assertEqual(browser.headers["Allow"], "POST, PUT, OPTIONS")
        client = self.serve(methods=["GET", "POST"])
        self.assertStream(client.get("/"))
        self.assertStream(client.post("/"))
        self.assertEqual(client.request("HEAD").status, 200)

    def test_headEncoded(self) -> None:
        """
        HEAD has the headers of GET, behind a gzip wrapper too.
        """
        self.serve()
        client = MemoryClient(EncodingResourceWrapper(self.resource, [GzipEncoderFactory()]))
        for method in ("GET", "HEAD"):
            browser = client.request(method, headers={"Accept-Encoding": "gzip"})
            self.assertNotIn("content-encoding", browser.headers)
        for method in ("OPTIONS",):
            browser = client.request(method, headers={"Accept-Encoding": "gzip"})
            self.assertEqual(browser.status, 204)
            self.assertNotIn("content-encoding", browser.headers)


class CrossOriginTests(ResourceTestCase):
    """
    Tests for CORS.
    """

    GOOD = "https://example.com"
    BAD = "https://evil.example"

    def test_none(self) -> None:
        """
        Without C{origins} nothing is said.
        """
        browser = self.serve().get("/", headers={"Origin": self.GOOD})
        self.assertNotIn("Access-Control-Allow-Origin", browser.headers)
        self.assertEqual(browser.headers["Vary"], "Accept")

    def test_listed(self) -> None:
        """
        A listed origin is told that it may read.
        """
        client = self.serve(origins=[self.GOOD, "http://localhost:8080"])
        for origin in (self.GOOD, "http://localhost:8080"):
            browser = client.get("/", headers={"Origin": origin})
            self.assertEqual(browser.headers["Access-Control-Allow-Origin"], origin)
            self.assertEqual(browser.headers["Vary"], "Accept, Origin")
            self.assertNotIn("Access-Control-Allow-Credentials", browser.headers)
            self.assertStream(browser)

    def test_unlisted(self) -> None:
        """
        No other origin is ever reflected.
        """
        client = self.serve(origins=[self.GOOD])
        for origin in (
            self.BAD,
            "https://example.com.evil.example",
            "https://EXAMPLE.com",
            "http://example.com",
            "https://example.com:444",
            "null",
            "*",
            "",
        ):
            for method in ("GET", "OPTIONS", "HEAD", "POST"):
                browser = client.request(method, headers={"Origin": origin})
                self.assertNotIn("Access-Control-Allow-Origin", browser.headers)
                self.assertNotIn("Access-Control-Allow-Methods", browser.headers)
                self.assertIn("Origin", browser.headers["Vary"])
        browser = client.get("/")
        self.assertNotIn("Access-Control-Allow-Origin", browser.headers)

    def test_any(self) -> None:
        """
        C{"*"} is for all, and without credentials.
        """
        browser = self.serve(origins="*").get("/", headers={"Origin": self.BAD})
        self.assertEqual(browser.headers["Access-Control-Allow-Origin"], "*")
        self.assertNotIn("Access-Control-Allow-Credentials", browser.headers)

    def test_credentials(self) -> None:
        """
        With C{credentials} the listed origins may send cookies.
        """
        client = self.serve(origins=[self.GOOD], credentials=True)
        browser = client.get("/", headers={"Origin": self.GOOD})
        self.assertEqual(browser.headers["Access-Control-Allow-Credentials"], "true")
        browser = client.get("/", headers={"Origin": self.BAD})
        self.assertNotIn("Access-Control-Allow-Credentials", browser.headers)

    def test_preflight(self) -> None:
        """
        A preflight is told the methods, and the headers that may be sent.
        """
        client = self.serve(origins=[self.GOOD], methods=("GET", "POST"))
        browser = client.request(
            "OPTIONS",
            headers={
                "Origin": self.GOOD,
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "last-event-id",
            },
        )
        self.assertEqual(browser.status, 204)
        self.assertEqual(browser.headers["Access-Control-Allow-Origin"], self.GOOD)
        self.assertEqual(browser.headers["Access-Control-Allow-Methods"], "GET, POST")
        allowed = browser.headers["Access-Control-Allow-Headers"].lower()
        for name in ("last-event-id", "content-type", "authorization"):
            self.assertIn(name, allowed)
        self.assertEqual(self.streams, [])

    def test_refusals(self) -> None:
        """
        A page may read a refusal too: what is raised, and what the resource itself refuses.
        """

        def connected(stream: EventStream) -> None:
            raise Error(403)

        client = self.serve(connected, origins=[self.GOOD])
        for browser, status in (
            (client.get("/", headers={"Origin": self.GOOD}), 403),
            (client.post("/", headers={"Origin": self.GOOD}), 405),
            (client.get("/", headers={"Origin": self.GOOD, "Accept": "a/b"}), 406),
        ):
            self.assertEqual(browser.status, status)
            self.assertEqual(browser.headers["Access-Control-Allow-Origin"], self.GOOD)


class LastEventIDTests(ResourceTestCase):
    """
    Tests for the last event ID.
    """

    def ask(self, path: str = "/", header: str | None = None) -> str:
        """
        Make a request, and see what the stream has got.
        """
        headers = {} if header is None else {"Last-Event-ID": header}
        browser = self.serve().get(path, headers=headers)
        self.assertStream(browser)
        return self.streams[0].lastEventID

    def test_header(self) -> None:
        """
        It is what the header says.
        """
        self.assertEqual(self.ask(header="42"), "42")
        self.assertEqual(self.ask(header="a b"), "a b")

    def test_query(self) -> None:
        """
        Without the header it is what the query says, by each of three names.
        """
        for name in ("lastEventID", "lastEventId", "last_event_id"):
            self.assertEqual(self.ask(f"/?{name}=4%202"), "4 2")
        self.assertEqual(self.ask("/?lasteventid=1"), "")

    def test_headerWins(self) -> None:
        """
        The header wins over the query: it is newer on a reconnection.
        """
        self.assertEqual(self.ask("/?lastEventID=1", header="2"), "2")

    def test_severalInTheQuery(self) -> None:
        """
        Of several values the first counts.
        """
        self.assertEqual(self.ask("/?lastEventID=1&lastEventID=2"), "1")

    def test_text(self) -> None:
        """
        It is UTF-8, and what is not is replaced rather than refused.
        """
        self.assertEqual(self.ask("/?lastEventID=%C3%A4%E2%98%83"), "ä☃")
        self.assertEqual(self.ask("/?lastEventID=a%FFb"), "a\ufffdb")
        self.assertEqual(self.ask(header="ä☃"), "ä☃")

    def test_tooLong(self) -> None:
        """
        One of more than 8192 bytes is a 400; one of 8192 is fine.
        """
        self.assertEqual(LONGEST_ID, 8192)
        self.assertEqual(self.ask(header="i" * 8192), "i" * 8192)
        for path, headers in (
            ("/", {"Last-Event-ID": "i" * 8193}),
            ("/?lastEventID=" + "i" * 8193, {}),
        ):
            browser = self.serve().get(path, headers=headers)
            self.assertEqual(browser.status, 400)
            self.assertIn("too long", browser.text)
            self.assertEqual(self.streams, [])

    def test_emptyHeader(self) -> None:
        """
        An empty header says nothing: the query does.
        """
        self.serve().get("/?lastEventId=7", headers={"Last-Event-ID": ""})
        self.assertEqual(self.streams[0].lastEventID, "7")


class LimitTests(ResourceTestCase):
    """
    Tests for C{maxStreams} and C{maxStreamsPerAddress}.
    """

    def test_maxStreams(self) -> None:
        """
        One too many is told to come back in 5 to 15 seconds, and does not run C{connected}.
        """
        client = self.serve(maxStreams=2)
        first, _ = client.get("/"), client.get("/")
        for _ in range(5):
            self.assertComeBack(client.get("/"), 5000, 15000)
        self.assertEqual(len(self.streams), 2)
        self.assertEqual(len(self.resource.streams), 2)
        first.disconnect()
        self.assertStream(client.get("/"))
        self.assertComeBack(client.get("/"), 5000, 15000)

    def test_random(self) -> None:
        """
        Not all are told the same time.
        """
        client = self.serve(maxStreams=1)
        client.get("/")
        self.assertGreater(len({client.get("/").retry for _ in range(20)}), 5)

    def test_connectingCount(self) -> None:
        """
        A stream whose headers are not out yet counts as well.
        """
        client = self.serve(lambda stream: Deferred(), maxStreams=1)
        first = client.get("/")
        self.assertComeBack(client.get("/"), 5000, 15000)
        first.disconnect()
        self.assertIsNone(client.get("/").status)

    def test_refusedDoNotCount(self) -> None:
        """
        Those who were refused and do not read do not keep others out.
        """
        client = self.serve(maxStreams=1, maxStreamsPerAddress=1)
        first = client.get("/")
        refused = [client.get("/") for _ in range(3)]
        for browser in refused:
            browser.stopReading(kernelBuffer=0)
        blocked = client.get("/")
        blocked.stopReading(kernelBuffer=0)
        first.disconnect()
        self.assertStream(client.get("/"))

    def test_refusals(self) -> None:
        """
        What was refused with a status is counted no longer.
        """

        def connected(stream: EventStream) -> None:
            raise Error(403)

        client = self.serve(connected, maxStreams=1, maxStreamsPerAddress=1)
        for _ in range(3):
            self.assertEqual(client.get("/").status, 403)
        self.assertNothingLeft()

    def test_perAddress(self) -> None:
        """
        Each address has its own count, which goes down again.
        """
        client = self.serve(maxStreamsPerAddress=2)
        mine = [client.get("/", address="192.0.2.1") for _ in range(2)]
        self.assertComeBack(client.get("/", address="192.0.2.1"), 5000, 15000)
        self.assertStream(client.get("/", address="192.0.2.2"))
        self.assertStream(client.get("/", address="2001:db8::1"))
        mine[0].disconnect()
        self.assertStream(client.get("/", address="192.0.2.1"))
        self.assertComeBack(client.get("/", address="192.0.2.1"), 5000, 15000)
        for stream in self.resource.streams:
            stream.abort()
        client.clock.advance(1)
        self.assertEqual(len(self.resource._group._addresses), 0)
        self.assertNothingLeft()

    def test_limitReason(self) -> None:
        """
        An observer is told that it was the limit.
        """
        told: list[object] = []

        class Mine(Observer):
            def closed(self, stream: EventStream, reason: CloseReason) -> None:
                told.append(reason)

        client = self.serve(maxStreams=1, observer=Mine())
        client.get("/")
        client.get("/")
        client.clock.advance(1)
        self.assertEqual(told, [CloseReason.LIMIT])

    def test_withRetry(self) -> None:
        """
        The resource's own C{retry} is not what remains of a refusal.
        """
        client = self.serve(maxStreams=1, retry=500)
        client.get("/")
        self.assertComeBack(client.get("/"), 5000, 15000)

    def test_once(self) -> None:
        """
        A refusal of a finite stream is not its end: the browser is to come back.
        """
        client = self.serve(maxStreams=1, once=True)
        client.get("/")
        self.assertComeBack(client.get("/"), 5000, 15000)

    def test_clientHasGoneBefore(self) -> None:
        """
        A request whose client went while its resource was looked for gets no stream, and counts
        for nothing.
        """
        self.serve(maxStreams=1)
        found: list[Deferred[IResource]] = []

        class Late(Resource):
            def getChild(self, path: bytes, request: object) -> DeferredResource:
                found.append(Deferred())
                return DeferredResource(found[-1])

        client = MemoryClient(Late())
        client.get("/late").disconnect()
        found[0].callback(self.resource)
        self.assertEqual(self.streams, [])
        browser = client.get("/here")
        found[1].callback(self.resource)
        self.assertStream(browser)
        browser.disconnect()
        self.successResultOf(self.resource.drain(1))
        self.assertEqual(client.clock.getDelayedCalls(), [])


class ProxyTests(ResourceTestCase):
    """
    Tests for C{trustedProxies}.
    """

    def ask(self, forwarded: str | None, *proxies: str, address: str = "10.0.0.1") -> str:
        """
        Make a request from there, and see where the stream thinks that its client is.
        """
        headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
        self.serve(trustedProxies=proxies).get("/", headers=headers, address=address)
        return self.streams[0].clientAddress

    def test_notTrusted(self) -> None:
        """
        Nobody is believed who is not named.
        """
        self.assertEqual(self.ask("192.0.2.1"), "10.0.0.1")
        self.assertEqual(self.ask("192.0.2.1", "10.1.0.0/16"), "10.0.0.1")

    def test_trusted(self) -> None:
        """
        A trusted proxy is believed; without the header it is the client.
        """
        self.assertEqual(self.ask("192.0.2.1", "10.0.0.0/8"), "192.0.2.1")
        self.assertEqual(self.ask("192.0.2.1", "10.0.0.1"), "192.0.2.1")
        self.assertEqual(self.ask(None, "10.0.0.0/8"), "10.0.0.1")
        self.assertEqual(self.ask("", "10.0.0.0/8"), "10.0.0.1")

    def test_chain(self) -> None:
        """
        Of a chain the last address counts that no trusted proxy has.
        """
        self.assertEqual(self.ask("192.0.2.9, 192.0.2.1, 10.0.0.2", "10.0.0.0/8"), "192.0.2.1")
        self.assertEqual(self.ask("10.0.0.3,10.0.0.2", "10.0.0.0/8"), "10.0.0.3")
        self.assertEqual(self.ask("192.0.2.9, 192.0.2.1", "10.0.0.0/8", "192.0.2.1"), "192.0.2.9")

    def test_forms(self) -> None:
        """
        Addresses may have ports, and be of IPv6, with brackets or without.
        """
        for forwarded, expected in [
            ("192.0.2.1:4711", "192.0.2.1"),
            ("2001:db8::1", "2001:db8::1"),
            ("2001:db8::a:b", "2001:db8::a:b"),
            ("2001:DB8:0::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:4711", "2001:db8::1"),
            ("  192.0.2.1  ", "192.0.2.1"),
            ("::1", "::1"),
        ]:
            self.assertEqual(self.ask(forwarded, "10.0.0.0/8"), expected)

    def test_garbage(self) -> None:
        """
        What is no address ends the chain: the last one that was understood counts.
        """
        for forwarded in (
            "unknown",
            "_hidden",
            "1.2.3",
            "192.0.2.1.5",
            "a:b:c",
            "[",
            "[]",
            "]",
            ":",
            ":80",
            "<script>",
            "\xff",
            "192.0.2.1 192.0.2.2",
            ",,,",
            "999.1.1.1",
        ):
            self.assertEqual(self.ask(forwarded, "10.0.0.0/8"), "10.0.0.1", forwarded)
        self.assertEqual(self.ask("192.0.2.1, unknown, 10.0.0.2", "10.0.0.0/8"), "10.0.0.2")

    def test_ipv6Proxy(self) -> None:
        """
        A proxy may have an address of IPv6, or one of IPv4 in it.
        """
        self.assertEqual(self.ask("192.0.2.1", "2001:db8::/32", address="2001:db8::7"), "192.0.2.1")
        self.assertEqual(
            self.ask("192.0.2.1", "10.0.0.0/8", address="::ffff:10.0.0.1"), "192.0.2.1"
        )
        self.assertEqual(self.ask("192.0.2.1", "10.0.0.0/8", address="2001:db8::7"), "2001:db8::7")

    def test_severalHeaders(self) -> None:
        """
        Several headers are one chain; the limits go by its result.
        """
        client = self.serve(trustedProxies=["10.0.0.0/8"], maxStreamsPerAddress=1)
        client.get("/", headers={"X-Forwarded-For": "192.0.2.1"}, address="10.0.0.1")
        browser = client.get("/", headers={"X-Forwarded-For": "192.0.2.1"}, address="10.0.0.2")
        self.assertComeBack(browser, 5000, 15000)
        browser = client.get("/", headers={"X-Forwarded-For": "192.0.2.2"}, address="10.0.0.1")
        self.assertStream(browser)

    def test_unixSocket(self) -> None:
        """
        Behind a UNIX socket there can only be a proxy.
        """
        for proxies, expected in (((), "unix"), (("10.0.0.0/8",), "192.0.2.1")):
            client = self.serve(trustedProxies=proxies)
            transport = StringTransport(peerAddress=UNIXAddress(None))
            protocol = client.site.buildProtocol(None)
            assert protocol is not None
            protocol.makeConnection(transport)
            protocol.dataReceived(
                b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n"
            )
            self.assertEqual(self.streams[0].clientAddress, expected)
            self.streams[0].abort()

    def test_zone(self) -> None:
        """
        The zone of an IPv6 address is any text of the client's: it is not believed.
        """
        self.assertEqual(self.ask("fe80::1%evil", "10.0.0.0/8"), "10.0.0.1")

    def test_mapped(self) -> None:
        """
        An IPv4 address is the same in IPv6's clothes.
        """
        self.assertEqual(self.ask("::ffff:192.0.2.1", "10.0.0.0/8"), "192.0.2.1")


class OnceTests(ResourceTestCase):
    """
    Tests for C{once}.
    """

    def test_comesBack(self) -> None:
        """
        A browser that comes back with the ID of the end gets a 204, and C{connected} is not run.
        """
        client = self.serve(lambda stream: ["a"], once=True)
        browser = client.get("/")
        client.clock.advance(1)
        last = browser.events[-1]
        self.assertEqual((last.type, last.lastEventID), ("end", "end"))
        again = client.get("/", headers={"Last-Event-ID": last.lastEventID})
        self.assertEqual(again.status, 204)
        self.assertEqual(again.body, b"")
        self.assertEqual(len(self.streams), 1)
        self.assertEqual(client.get("/?lastEventID=end").status, 204)

    def test_comesBackBefore(self) -> None:
        """
        One that comes back with another ID is served.
        """
        client = self.serve(once=True)
        self.assertStream(client.get("/", headers={"Last-Event-ID": "ending"}))

    def test_not(self) -> None:
        """
        Without C{once} that ID is one like others, and no such event is sent.
        """
        client = self.serve(lambda stream: ["a"])
        browser = client.get("/", headers={"Last-Event-ID": "end"})
        client.clock.advance(1)
        self.assertEqual([event.type for event in browser.events], ["message"])


class DrainTests(ResourceTestCase):
    """
    Tests for C{drain}.
    """

    def test_drain(self) -> None:
        """
        Each client is told a random reconnection time, and its stream ends.
        """
        client = self.serve()
        browsers = [client.get("/") for _ in range(50)]
        reasons: list[CloseReason] = []
        for stream in self.streams:
            stream.send("before")
            stream.whenClosed().addCallback(reasons.append)
        done = self.resource.drain(5)
        client.clock.advance(1)
        self.assertIsNone(self.successResultOf(done))
        self.assertEqual(reasons, [CloseReason.DRAIN] * 50)
        for browser in browsers:
            self.assertEqual([event.data for event in browser.events], ["before"])
            self.assertTrue(browser.complete)
            retry = browser.retry
            assert retry is not None
            self.assertTrue(1000 <= retry <= 5000)
        self.assertGreater(len({browser.retry for browser in browsers}), 20)
        self.assertNothingLeft()

    def test_retry(self) -> None:
        """
        The range of the reconnection times may be given.
        """
        client = self.serve()
        browsers = [client.get("/") for _ in range(20)]
        self.resource.drain(5, retry=(100, 102))
        client.clock.advance(1)
        self.assertEqual({browser.retry for browser in browsers} | {101}, {100, 101, 102})

    def test_none(self) -> None:
        """
        Without streams it is done at once.
        """
        self.serve()
        self.successResultOf(self.resource.drain(5))
        self.assertNothingLeft()

    def test_connectionIsClosed(self) -> None:
        """
        The connection is closed after the last chunk; after another end it is kept.
        """
        for end, closed in ((lambda: self.streams[0].end(), False), (self.drain, True)):
            client = self.serve()
            transport = StringTransport()
            protocol = client.site.buildProtocol(IPv4Address("TCP", "127.0.0.1", 1))
            assert protocol is not None
            protocol.makeConnection(transport)
            protocol.dataReceived(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            end()
            client.clock.advance(1)
            self.assertTrue(transport.value().endswith(b"\r\n0\r\n\r\n"))
            self.assertEqual(transport.disconnecting, closed)

    def drain(self) -> None:
        """
        Drain the resource.
        """
        self.resource.drain(5)

    def test_newcomers(self) -> None:
        """
        Who comes while it drains, and afterwards, is told to come back, in the same range.
        """
        client = self.serve()
        browser = client.get("/")
        browser.stopReading(kernelBuffer=0)
        self.streams[0].send(BIG)
        done = self.resource.drain(5, retry=(2000, 3000))
        for _ in range(5):
            self.assertComeBack(client.get("/"), 2000, 3000)
        self.assertEqual(len(self.streams), 1)
        browser.resumeReading()
        client.clock.advance(1)
        self.successResultOf(done)
        self.assertComeBack(client.get("/"), 2000, 3000)
        self.assertNothingLeft()

    def test_deadline(self) -> None:
        """
        What does not read is aborted at the deadline.
        """
        client = self.serve()
        browser = client.get("/")
        browser.stopReading(kernelBuffer=0)
        self.streams[0].send(BIG)
        reasons: list[CloseReason] = []
        self.streams[0].whenClosed().addCallback(reasons.append)
        done = self.resource.drain(5)
        client.clock.advance(4.9)
        self.assertNoResult(done)
        self.assertFalse(browser.ended)
        client.clock.advance(0.2)
        self.successResultOf(done)
        self.assertEqual(reasons, [CloseReason.DRAIN])
        self.assertTrue(browser.ended)
        self.assertFalse(browser.complete)
        self.assertNothingLeft()

    def test_atOnce(self) -> None:
        """
        With 0 seconds nobody is waited for.
        """
        client = self.serve()
        browser = client.get("/")
        browser.stopReading(kernelBuffer=0)
        self.streams[0].send(BIG)
        done = self.resource.drain(0)
        client.clock.settle()
        self.successResultOf(done)
        self.assertNothingLeft()

    def test_full(self) -> None:
        """
        One who is behind by C{maxPending} is drained like all: he gets what is waiting.
        """
        client = self.serve(maxPending=100)
        browser = client.get("/")
        browser.stopReading(kernelBuffer=0)
        self.streams[0].send(BIG)
        self.streams[0].send("y" * 90)
        self.resource.drain(5)
        client.clock.advance(1)
        browser.resumeReading()
        client.clock.advance(1)
        self.assertEqual([len(event.data) for event in browser.events], [len(BIG), 90])
        self.assertIsNotNone(browser.retry)
        self.assertTrue(browser.complete)

    def test_connecting(self) -> None:
        """
        A stream that is still connecting is answered, and what it waits for cancelled.
        """
        cancelled: list[object] = []
        client = self.serve(lambda stream: Deferred(cancelled.append))
        browser = client.get("/")
        done = self.resource.drain(5)
        self.assertComeBack(browser, 1000, 5000)
        self.successResultOf(done)
        self.assertEqual(len(cancelled), 1)
        self.assertNothingLeft()

    def test_twice(self) -> None:
        """
        Draining again while it drains is one drain with two who wait; the earlier deadline
        counts.
        """
        client = self.serve()
        browser = client.get("/")
        browser.stopReading(kernelBuffer=0)
        self.streams[0].send(BIG)
        first = self.resource.drain(10)
        client.clock.advance(1)
        second = self.resource.drain(5)
        client.clock.advance(4.9)
        self.assertNoResult(first)
        self.assertNoResult(second)
        client.clock.advance(0.2)
        self.successResultOf(first)
        self.successResultOf(second)
        self.assertNothingLeft()
        self.successResultOf(self.resource.drain(1))

    def test_ending(self) -> None:
        """
        A stream that is ending already is waited for.
        """
        client = self.serve()
        browser = client.get("/")
        browser.stopReading(kernelBuffer=0)
        self.streams[0].send(BIG)
        self.streams[0].end()
        done = self.resource.drain(5)
        client.clock.advance(1)
        self.assertNoResult(done)
        browser.resumeReading()
        client.clock.advance(1)
        self.successResultOf(done)
        self.assertTrue(browser.complete)
        self.assertNothingLeft()

    def test_slices(self) -> None:
        """
        Draining very many does not hold the reactor for long: the rest is for later turns.
        """
        client = self.serve()
        for _ in range(10):
            client.get("/")
        clock = client.clock
        settle, clock.settle = clock.settle, lambda: None  # type: ignore[method-assign]
        seconds = clock.seconds
        time = [0.0]

        def later() -> float:
            time[0] += 0.015
            return seconds() + time[0]

        patched = self.patch(clock, "seconds", later)
        self.resource.drain(5)
        left = [stream for stream in self.streams if stream._living]
        self.assertTrue(left)
        self.assertLess(len(left), 10)
        patched.restore()
        clock.settle = settle  # type: ignore[method-assign]
        clock.advance(20)
        self.assertEqual([stream for stream in self.streams if not stream.closed], [])

    def test_badArguments(self) -> None:
        """
        Bad arguments are refused, each by its name and value.
        """
        self.serve()
        for arguments, message in [
            ((-1,), "seconds is -1"),
            ((None,), "seconds is None"),
            (("5",), "seconds is '5'"),
            ((5, 1000), "retry is 1000"),
            ((5, (1, 2, 3)), "retry is (1, 2, 3)"),
            ((5, (2, 1)), "retry is 1"),
            ((5, (-1, 1)), "retry is -1"),
            ((5, ("a", "b")), "retry is 'a'"),
            ((5, None), "retry is None"),
        ]:
            error = self.assertRaises((ValueError, TypeError), self.resource.drain, *arguments)
            self.assertIn(message, str(error))
        self.assertFalse(self.resource._group.draining)

    def test_waitsForCleaningUp(self) -> None:
        """
        A drain waits for the C{finally} of a generator, but not longer than it may take.
        """
        for seconds, tidy in ((5, True), (0.2, False)):
            finished: list[str] = []

            async def connected(
                stream: EventStream, finished: list[str] = finished
            ) -> AsyncIterator[str]:
                try:
                    yield "x"
                    await Deferred()
                finally:
                    later: Deferred[None] = Deferred()
                    self.client.clock.callLater(1, later.callback, None)
                    await later
                    finished.append("tidy")

            client = self.serve(connected)
            client.get("/")
            drained = self.resource.drain(seconds)
            client.clock.advance(0.1)
            self.assertNoResult(drained)
            client.clock.advance(0.5)
            if not tidy:
                self.successResultOf(drained)
            client.clock.advance(1)
            self.assertEqual(finished, ["tidy"])
            if tidy:
                self.successResultOf(drained)

    def test_afterWhenClosed(self) -> None:
        """
        Who waits for the end of a stream is told before who waits for the end of all.
        """
        client = self.serve()
        client.get("/")
        told: list[str] = []
        self.streams[0].whenClosed().addCallback(lambda _: told.append("stream"))
        self.resource.drain(5).addCallback(lambda _: told.append("all"))
        client.clock.advance(1)
        self.assertEqual(told, ["stream", "all"])

    def test_oneFails(self) -> None:
        """
        A stream that cannot be ended does not keep the others from it.
        """
        client = self.serve()
        browsers = [client.get("/") for _ in range(3)]

        def fail(*_: object, **__: object) -> None:
            raise ZeroDivisionError

        real = EventStream._end

        def end(stream: EventStream, *arguments: Any, **options: Any) -> None:
            (fail if stream is self.streams[1] else real)(stream, *arguments, **options)

        self.patch(EventStream, "_end", end)
        self.resource.drain(1)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual([browser.ended for browser in browsers], [True, False, True])
        client.clock.advance(1)
        self.assertTrue(browsers[1].ended)


class ServiceTests(ResourceTestCase):
    """
    Tests for C{service}.
    """

    def test_stop(self) -> None:
        """
        It is a service, and stopping it drains the resource.
        """
        client = self.serve()
        service = self.resource.service()
        verifyObject(IService, service)
        service.startService()
        browser = client.get("/")
        self.assertStream(browser)
        done = service.stopService()
        self.assertComeBack(browser, 1000, 5000)
        self.successResultOf(done)
        self.assertComeBack(client.get("/"), 1000, 5000)

    def test_seconds(self) -> None:
        """
        How long it may take can be given.
        """
        client = self.serve()
        service = self.resource.service(2)
        service.startService()
        browser = client.get("/")
        browser.stopReading(kernelBuffer=0)
        self.streams[0].send(BIG)
        done = service.stopService()
        client.clock.advance(1.9)
        self.assertNoResult(done)
        client.clock.advance(0.2)
        self.successResultOf(done)
        self.assertRaises(ValueError, self.resource.service, -1)

    def test_again(self) -> None:
        """
        A service that is started again serves again.
        """
        client = self.serve()
        service = self.resource.service()
        service.startService()
        service.stopService()
        self.assertComeBack(client.get("/"), 1000, 5000)
        service.startService()
        self.assertStream(client.get("/"))

    def test_parent(self) -> None:
        """
        An application that stops waits for it.
        """
        client = self.serve()
        application = MultiService()
        self.resource.service().setServiceParent(application)
        application.startService()
        browser = client.get("/")
        done = application.stopService()
        client.clock.advance(1)
        self.successResultOf(done)
        self.assertTrue(browser.complete)


class ArgumentTests(SynchronousTestCase):
    """
    Tests for bad arguments: one exception that names the argument, the value, and what is
    allowed.
    """

    def refused(self, name: str, values: list[object], allowed: str, **others: Any) -> None:
        """
        Each of these values is refused.
        """
        for value in values:
            error = self.assertRaises(
                (ValueError, TypeError),
                EventStreamResource,
                lambda stream: None,
                **{name: value},
                **others,
            )
            self.assertIn(name, str(error))
            self.assertIn(repr(value), str(error))
            self.assertIn(allowed, str(error))

    def test_connected(self) -> None:
        """
        C{connected} must be callable.
        """
        for value in (None, "text", Deferred()):
            error = self.assertRaises(TypeError, EventStreamResource, value)
            self.assertIn(f"connected is {value!r}", str(error))

    def test_seconds(self) -> None:
        """
        Times must be positive and finite; most may be None.
        """
        bad: list[object] = [0, -1, "15", True, float("nan"), float("inf"), [1]]
        for name in ("heartbeat", "stallTimeout", "openTimeout"):
            self.refused(name, bad, "above 0, or None")
            EventStreamResource(lambda stream: None, **{name: None})
            EventStreamResource(lambda stream: None, **{name: 0.5})
        self.refused("closeTimeout", [*bad, None], "above 0")

    def test_integers(self) -> None:
        """
        Counts must be whole and at least 1.
        """
        bad: list[object] = [0, -1, 1.5, "2", True]
        for name in ("maxStreams", "maxStreamsPerAddress"):
            self.refused(name, bad, "at least 1, or None")
        self.refused("maxPending", [*bad, None], "at least 1")

    def test_retry(self) -> None:
        """
        C{retry} below 500 ms is refused.
        """
        self.refused("retry", [499, 0, -1, 1000.0, "1000", True], "at least 500, or None")
        EventStreamResource(lambda stream: None, retry=500)

    def test_flags(self) -> None:
        """
        Flags must be True or False.
        """
        for name in ("once", "credentials", "slim"):
            self.refused(name, ["no", 1, None], "True or False")

    def test_slow(self) -> None:
        """
        C{slow} must be a SlowReader.
        """
        self.refused("slow", ["disconnect", None, 1], "SlowReader")
        for slow in SlowReader:
            EventStreamResource(lambda stream: None, slow=slow)

    def test_fallback(self) -> None:
        """
        C{fallback} must be a resource.
        """
        self.refused("fallback", ["text", b"ok", Resource], "IResource")

    def test_observer(self) -> None:
        """
        C{observer} must have something that it can be told.
        """
        self.refused("observer", [5, object()], "method")

    def test_name(self) -> None:
        """
        C{name} must be text.
        """
        self.refused("name", [5, b"ticks"], "str")

    def test_reactor(self) -> None:
        """
        C{reactor} must tell the time.
        """
        self.refused("reactor", [5, object()], "reactor")
        EventStreamResource(lambda stream: None, reactor=Clock())

    def test_origins(self) -> None:
        """
        Origins must be origins, in a list; C{"*"} goes without credentials only.
        """
        self.refused("origins", [5, None, "https://example.com", b"*"], 'or "*"')
        for origin in (
            "example.com",
            "https://example.com/",
            "https://EXAMPLE.com",
            "https://example.com/path",
            "https://",
            "*",
            "https://*.example.com",
            "https://a\r\nb",
            b"https://example.com",
            5,
        ):
            error = self.assertRaises(
                (ValueError, TypeError),
                EventStreamResource,
                lambda stream: None,
                origins=[origin],
            )
            self.assertIn(f"origins has {origin!r}", str(error))
        error = self.assertRaises(
            ValueError, EventStreamResource, print, origins="*", credentials=True
        )
        self.assertIn("credentials is True", str(error))

    def test_methods(self) -> None:
        """
        Methods must be words in capitals, in a list, and none that is answered otherwise.
        """
        self.refused("methods", [5, None, "GET", b"GET"], "list of methods")
        for method in ("get", "", "GE T", "GET\r\n", "ÄH", b"GET", 5, "HEAD", "OPTIONS"):
            error = self.assertRaises(
                (ValueError, TypeError),
                EventStreamResource,
                lambda stream: None,
                methods=["POST", method],
            )
            self.assertIn(f"methods has {method!r}", str(error))
        error = self.assertRaises(ValueError, EventStreamResource, print, methods=[])
        self.assertIn("methods is empty", str(error))

    def test_trustedProxies(self) -> None:
        """
        Proxies must be networks, in a list.
        """
        self.refused("trustedProxies", [5, None, "10.0.0.0/8"], "list of networks")
        self.refused("trustedProxies", [["nonsense"], [None], [5], ["10.0.0.1/8"]], "10.0.0.0/8")

    def test_positional(self) -> None:
        """
        Options are named.
        """
        self.assertRaises(TypeError, EventStreamResource, print, None)
        self.assertRaises(TypeError, EventStreamResource, print, nonsense=1)


class PerRequestTests(SynchronousTestCase):
    """
    Tests for resources that are made for one request.
    """

    def test_told(self) -> None:
        """
        It works, and the log says once that limits and drain are void.
        """
        self.patch(EventStreamResource, "_dropped", False)

        class Parent(Resource):
            def getChild(self, path: bytes, request: object) -> IResource:
                return EventStreamResource(lambda stream: stream.send("hi") and None)

        client = MemoryClient(Parent())
        with capturedLogs() as logged:
            browsers = [client.get("/events") for _ in range(3)]
            gc.collect()
        for browser in browsers:
            self.assertEqual([event.data for event in browser.events], ["hi"])
            browser.disconnect()
        warnings = [event["log_format"] for event in logged if event["log_level"].name == "warn"]
        self.assertEqual(len(warnings), 1)
        self.assertIn("not for each request", warnings[0])
        self.assertEqual(client.clock.getDelayedCalls(), [])

    def test_notTold(self) -> None:
        """
        A resource that goes with no stream open is none of these.
        """
        gc.collect()
        self.patch(EventStreamResource, "_dropped", False)
        logged: list[LogEvent]
        with capturedLogs() as logged:
            resource = EventStreamResource(lambda stream: ["done"])
            client = MemoryClient(resource)
            client.get("/")
            client.clock.advance(1)
            del resource, client
            gc.collect()
        self.assertEqual([event for event in logged if event["log_level"].name == "warn"], [])


class ClockTests(SynchronousTestCase):
    """
    Tests for where time comes from.
    """

    def test_site(self) -> None:
        """
        Without C{reactor} it comes from the site.
        """
        resource = EventStreamResource(lambda stream: stream.every(1, lambda: "x") and None)
        first, second = MemoryClient(resource), MemoryClient(resource)
        one, two = first.get("/"), second.get("/")
        first.clock.advance(3)
        self.assertEqual((len(one.events), len(two.events)), (3, 0))
        second.clock.advance(20.5)
        self.assertEqual((len(one.events), len(two.events)), (3, 20))
        self.assertEqual(one.comments, [""])
        one.disconnect()
        self.assertEqual(first.clock.getDelayedCalls(), [])
        self.assertEqual(len(second.clock.getDelayedCalls()), 2)
        two.disconnect()
        self.assertEqual(second.clock.getDelayedCalls(), [])

    def test_reactor(self) -> None:
        """
        With C{reactor} it comes from there.
        """
        clock = Clock()
        resource = EventStreamResource(
            lambda stream: stream.every(1, lambda: "x") and None, reactor=clock
        )
        client = MemoryClient(resource)
        browser = client.get("/")
        client.clock.advance(5)
        self.assertEqual(browser.events, [])
        clock.advance(1)
        self.assertEqual(len(browser.events), 1)
        browser.disconnect()
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_installedReactor(self) -> None:
        """
        Without either it is the installed reactor, looked up late.
        """
        from twisted.internet import reactor

        self.assertIs(clockFor(None), reactor)

    def test_siteOfTheTransport(self) -> None:
        """
        A site that was made with a clock is enough.
        """
        clock = Clock()
        streams: list[EventStream] = []
        site = Site(EventStreamResource(streams.append), reactor=clock)
        transport = StringTransport()
        protocol = site.buildProtocol(IPv4Address("TCP", "127.0.0.1", 1))
        assert protocol is not None
        protocol.makeConnection(transport)
        protocol.dataReceived(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        transport.clear()
        clock.advance(15)
        self.assertEqual(transport.value(), b"3\r\n:\n\n\r\n")
        streams[0].abort()
        self.assertTrue(transport.disconnected or transport.disconnecting)
