"""
Tests for L{twisted_sse.server.resource}: which requests get a stream, and the responses to others.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.testing import StringTransport
from twisted.web.error import Error
from twisted.web.resource import EncodingResourceWrapper, Resource
from twisted.web.server import GzipEncoderFactory

from tests.support.resources import ResourceTestCase
from twisted_sse import EventStream, EventStreamResource
from twisted_sse.checks import InvalidOption
from twisted_sse.testing import MemoryClient, MemoryStream


class Text(Resource):
    """
    A resource that answers C{ok}.
    """

    isLeaf = True

    def render_GET(self, request: object) -> bytes:
        """
        Return C{ok}.
        """
        return b"ok"


class AcceptTests(ResourceTestCase):
    """
    Tests for content negotiation.
    """

    #: The C{Accept} header, whether it allows a stream, and whether it names C{text/event-stream}.
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
        Make a request with this C{Accept} header.
        """
        return client.get("/", headers={} if accept is None else {"Accept": accept})

    def test_withoutFallback(self) -> None:
        """
        Without a fallback, a request gets the stream unless its C{Accept} excludes it: then it gets
        a 406.
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

    def test_post(self) -> None:
        """
        A POST without a fallback gets the stream whatever its C{Accept}: SDKs of language models
        ask for C{application/json}.
        """
        for accept, _, _ in self.TABLE:
            client = self.serve(methods=["GET", "POST"])
            headers = {} if accept is None else {"Accept": accept}
            self.assertStream(client.post("/", headers=headers, body="{}"))

    def test_withFallback(self) -> None:
        """
        With a fallback, only a request that names the type gets the stream, and others get the
        fallback.
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
        Several C{Accept} headers are one list.
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
        With any method, a request that does not name the stream gets the fallback.
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
        Earlier values of C{Vary} are kept.
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
    Tests for the request methods.
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
        HEAD is negotiated like GET, and a refusal has no body.
        """
        head = self.serve().request("HEAD", headers={"Accept": "image/png"})
        self.assertEqual(head.status, 406)
        self.assertEqual(head.body, b"")
        self.assertTrue(head.complete)

    def test_options(self) -> None:
        """
        OPTIONS without CORS is a 204 that lists the allowed methods.
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
        Any other method is a 405 that lists the allowed methods.
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
        The configured C{methods} get a stream, and HEAD is allowed together with GET.
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
        HEAD has the headers of GET behind a gzip wrapper, too.
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
        Without C{origins} there are no CORS headers.
        """
        browser = self.serve().get("/", headers={"Origin": self.GOOD})
        self.assertNotIn("Access-Control-Allow-Origin", browser.headers)
        self.assertEqual(browser.headers["Vary"], "Accept")

    def test_listed(self) -> None:
        """
        A listed origin gets the CORS headers.
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
        An origin that is not listed is never reflected.
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
        C{"*"} allows any origin, without credentials.
        """
        browser = self.serve(origins="*").get("/", headers={"Origin": self.BAD})
        self.assertEqual(browser.headers["Access-Control-Allow-Origin"], "*")
        self.assertNotIn("Access-Control-Allow-Credentials", browser.headers)

    def test_credentials(self) -> None:
        """
        With C{credentials}, listed origins may send cookies.
        """
        client = self.serve(origins=[self.GOOD], credentials=True)
        browser = client.get("/", headers={"Origin": self.GOOD})
        self.assertEqual(browser.headers["Access-Control-Allow-Credentials"], "true")
        browser = client.get("/", headers={"Origin": self.BAD})
        self.assertNotIn("Access-Control-Allow-Credentials", browser.headers)

    def test_preflight(self) -> None:
        """
        A preflight response has the allowed methods and headers.
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
        for name in (
            "last-event-id",
            "content-type",
            "authorization",
            "cache-control",
            "x-requested-with",
        ):
            self.assertIn(name, allowed.split(", "))
        self.assertNotIn("Access-Control-Expose-Headers", browser.headers)
        self.assertEqual(self.streams, [])

    def test_headers(self) -> None:
        """
        C{allowHeaders} are added to those that a page may send, and it may read C{exposeHeaders}:
        only a page of a listed origin.
        """
        client = self.serve(
            origins=[self.GOOD], allowHeaders=["X-Token", "X-B3"], exposeHeaders=["X-Id", "Date"]
        )
        for origin, listed in (self.GOOD, True), (self.BAD, False):
            browser = client.request("OPTIONS", headers={"Origin": origin})
            allowed = browser.headers.get("Access-Control-Allow-Headers") or ""
            for name in "Last-Event-ID", "X-Token", "X-B3":
                self.assertEqual(name in allowed.split(", "), listed)
            for method, accept in ("GET", "*/*"), ("HEAD", "*/*"), ("PUT", "*/*"), ("GET", "a/b"):
                browser = client.request(method, headers={"Origin": origin, "Accept": accept})
                self.assertEqual(
                    browser.headers.get("Access-Control-Expose-Headers"),
                    "X-Id, Date" if listed else None,
                )

    def test_anyHeader(self) -> None:
        """
        C{"*"} stands for all headers, but only without credentials, as in the standard.
        """
        client = self.serve(origins="*", allowHeaders=["*"], exposeHeaders=["*"])
        browser = client.request("OPTIONS", headers={"Origin": self.BAD})
        self.assertTrue(browser.headers["Access-Control-Allow-Headers"].endswith(", *"))
        self.assertEqual(browser.headers["Access-Control-Expose-Headers"], "*")
        for option in "allowHeaders", "exposeHeaders":
            error = self.assertRaises(
                InvalidOption, self.serve, origins=[self.GOOD], credentials=True, **{option: ["*"]}
            )
            self.assertEqual(error.name, option)

    def test_badHeaders(self) -> None:
        """
        Anything but the name of a header is refused, with an error that names it.
        """
        for option in "allowHeaders", "exposeHeaders":
            for wrong in "", "X Y", "X:", "X\r\nY", "X,Y", "\u00e4", 5, None, b"X":
                error = self.assertRaises(InvalidOption, self.serve, **{option: ["X-Good", wrong]})
                self.assertEqual(error.name, option)
                self.assertIn(repr(wrong), str(error))
            for wrong in "X-Good", 5, None:
                error = self.assertRaises(TypeError, self.serve, **{option: wrong})
                self.assertIn(option, str(error))

    def test_refusals(self) -> None:
        """
        Refusals have CORS headers, too, whether C{connected} or the resource refuses.
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
        Make a request, and return the stream's last event ID.
        """
        headers = {} if header is None else {"Last-Event-ID": header}
        browser = self.serve().get(path, headers=headers)
        self.assertStream(browser)
        return self.streams[0].lastEventID

    def test_header(self) -> None:
        """
        The last event ID is taken from the header.
        """
        self.assertEqual(self.ask(header="42"), "42")
        self.assertEqual(self.ask(header="a b"), "a b")

    def test_query(self) -> None:
        """
        Without the header, the last event ID is taken from the query, under any of four names in
        any case.
        """
        for name in ("lastEventID", "lastEventId", "last_event_id", "Last-Event-ID"):
            for spelled in (name, name.lower(), name.upper(), name.replace("n", "%6E")):
                self.assertEqual(self.ask(f"/?{spelled}=4%202"), "4 2")
        for other in (
            "id=1",
            "lastEventIDs=1",
            "last%20event%20id=1",
            "a=lastEventID",
            "lastEventID",
        ):
            self.assertEqual(self.ask(f"/?{other}"), "")

    def test_headerWins(self) -> None:
        """
        The header takes precedence over the query, because it is newer on a reconnection.
        """
        self.assertEqual(self.ask("/?lastEventID=1", header="2"), "2")

    def test_severalInTheQuery(self) -> None:
        """
        Of several values in the query, under any of the names, the last that is not empty counts.
        """
        for query, expected in (
            ("lastEventID=1&lastEventID=2", "2"),
            ("lastEventID=1&lastEventId=3", "3"),
            ("lastEventId=3&lastEventID=1", "1"),
            ("lastEventID=&lastEventId=3", "3"),
            ("lastEventID=3&lastEventId=", "3"),
            ("last_event_id=3&topic=a&Last-Event-ID=&lastEventID", "3"),
            ("lastEventID=&lastEventId=", ""),
        ):
            self.assertEqual(self.ask(f"/?{query}"), expected, query)

    def test_polyfill(self) -> None:
        """
        A page that puts an ID into its URL resumes from the newer one that Yaffle's polyfill
        appends after a reconnection.
        """
        # https://github.com/Yaffle/EventSource 1.0.31: lastEventIdQueryParameterName.
        url = "/?lastEventID=1&topic=a"
        self.assertEqual(self.ask(url), "1")
        self.assertEqual(self.ask(f"{url}&lastEventId=4%2B2"), "4+2")

    def test_form(self) -> None:
        """
        A field of a posted form is not taken for the last event ID.
        """
        client = self.serve(methods=["POST"])
        for path, expected in (("/", ""), ("/?lastEventID=1", "1")):
            browser = client.post(
                path,
                headers={"Content-Type": "application/x-www-form-urlencoded"},
                body="lastEventID=2",
            )
            self.assertStream(browser)
            self.assertEqual(self.streams.pop().lastEventID, expected)

    def test_malformed(self) -> None:
        """
        A query that is not encoded properly still gets a stream.
        """
        for query, expected in (
            ("lastEventID=%zz%", "%zz%"),
            ("%FF=%FE&&=&=1&lastEventID=a?b=c", "a?b=c"),
            ("&".join(["lastEventID=7", *["a"] * 2000]), "7"),
        ):
            self.assertEqual(self.ask(f"/?{query}"), expected)

    def test_text(self) -> None:
        """
        The last event ID is decoded as UTF-8, and invalid bytes are replaced.
        """
        self.assertEqual(self.ask("/?lastEventID=%C3%A4%E2%98%83"), "ä☃")
        self.assertEqual(self.ask("/?lastEventID=a%FFb"), "a\ufffdb")
        self.assertEqual(self.ask(header="ä☃"), "ä☃")

    def test_long(self) -> None:
        """
        A last event ID of any length is accepted: any status but 200 would make a browser give up
        permanently.
        """
        self.assertEqual(self.ask(header="i" * 16_000), "i" * 16_000)
        self.assertEqual(self.ask("/?lastEventID=" + "i" * 16_000), "i" * 16_000)

    def test_emptyHeader(self) -> None:
        """
        With an empty header, the last event ID is taken from the query.
        """
        self.serve().get("/?lastEventId=7", headers={"Last-Event-ID": ""})
        self.assertEqual(self.streams[0].lastEventID, "7")
