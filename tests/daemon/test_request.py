"""
Tests for L{twisted_sse.daemon.request}: targets, methods and bodies of the daemon's requests.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource

from tests.support.memory_http2 import H2_MISSING, MemoryClient2
from tests.support.options import OptionsMixin, site
from twisted_sse.daemon import makeService
from twisted_sse.daemon.site import MOST_BODY, SmallSite
from twisted_sse.guard.bodies import MOST_READ


class Recording(Resource):
    """
    A resource that records its requests.
    """

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[Any] = []
        self.bodies: list[bytes] = []

    def render(self, request: Any) -> bytes:
        """
        Record a request.
        """
        self.requests.append(request)
        self.bodies.append(request.content.read())
        return b"ok"


class RequestTests(SynchronousTestCase):
    """
    Tests for L{PlainRequest<twisted_sse.daemon.request.PlainRequest>}.
    """

    def setUp(self) -> None:
        """
        Make a site.
        """
        self.resource = Recording()
        self.clock = Clock()
        self.site: Any = SmallSite(self.resource, reactor=self.clock)

    def send(self, data: bytes) -> bytes:
        """
        @return: the response to the bytes that a connection sends.
        """
        transport = StringTransport()
        channel = self.site.buildProtocol(None)
        channel.makeConnection(transport)
        channel.dataReceived(data)
        return transport.value()

    def test_noForms(self) -> None:
        """
        Bodies are left to the resource, whatever their declared type, and the query is read.
        """
        for kind in (
            b"application/x-www-form-urlencoded",
            b"multipart/form-data; boundary=x",
            b"multipart/form-data",
            b"a\x1eb",
            b"\xff/\xff; charset=\xff",
            b"text/plain; a*=\xff''",
            b";;;",
        ):
            answer = self.send(
                b"POST /a?b=c&b=&d HTTP/1.1\r\nHost: a\r\nContent-Type: %s\r\nContent-Length: 7"
                b"\r\n\r\na=1&b=2" % kind
            )
            self.assertTrue(answer.startswith(b"HTTP/1.1 200 "), (kind, answer))
            request = self.resource.requests.pop()
            self.assertEqual(request.args, {b"b": [b"c", b""]})
            self.assertEqual(self.resource.bodies.pop(), b"a=1&b=2")

    def test_absolute(self) -> None:
        """
        A target may be a URL, whose host takes precedence: RFC 9112, 3.2.2.
        """
        self.send(b"GET http://b.example:80/c?d=e HTTP/1.1\r\nHost: a\r\n\r\n")
        [request] = self.resource.requests
        self.assertEqual(
            (request.uri, request.path, request.args), (b"/c?d=e", b"/c", {b"d": [b"e"]})
        )
        self.assertEqual(request.requestHeaders.getRawHeaders(b"host"), [b"b.example:80"])

    def test_refused(self) -> None:
        """
        An invalid target is refused, and reaches no resource.
        """
        for target, status in (
            (b"\x9fpage/page.js", b"400"),
            (b"page/page.js", b"400"),
            (b"/\x80", b"400"),
            (b"/\xff", b"400"),
            (b"http://user@a/", b"400"),
            (b"ftp://a/", b"400"),
        ):
            answer = self.send(b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % target)
            self.assertTrue(answer.startswith(b"HTTP/1.1 " + status), (target, answer))
        answer = self.send(b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertTrue(answer.startswith(b"HTTP/1.1 501 "), answer)
        self.assertEqual(self.resource.requests, [])

    def test_star(self) -> None:
        """
        C{OPTIONS *} asks about the server as a whole: RFC 9110, 9.3.7.
        """
        answer = self.send(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertTrue(answer.startswith(b"HTTP/1.1 200 "), answer)

    def test_http2(self) -> None:
        """
        Over HTTP/2 a body that is far too large is not read any further, and the connection
        continues.
        """
        client = MemoryClient2(self.site, self.clock)
        number = client.request(method="POST", end=False)
        sent = 0
        while sent <= MOST_BODY + MOST_READ:
            size = min(2**14, client.http.local_flow_control_window(number))
            client.http.send_data(number, b"x" * size)
            sent += size
            client.flush()
        self.assertEqual((client.resets(), client.statuses()), ({number}, {}))
        number = client.request("/again")
        client.flush()
        self.assertEqual(client.statuses(), {number: 200})
        client.close()

    if H2_MISSING is not None:
        test_http2.skip = H2_MISSING  # type: ignore[attr-defined]


class DaemonTests(OptionsMixin):
    """
    Tests for requests to the daemon.
    """

    def test_absolute(self) -> None:
        """
        A URL is answered like its path, if its host is known.
        """
        reactor = MemoryReactorClock()
        makeService(self.options("--source", "-"), reactor)
        for target, host, status in (
            (b"http://localhost/", b"evil.example", b"200"),
            (b"http://evil.example/", b"localhost", b"421"),
        ):
            transport = StringTransport()
            channel = site(reactor).buildProtocol(None)
            channel.makeConnection(transport)
            channel.dataReceived(b"GET %s HTTP/1.1\r\nHost: %s\r\n\r\n" % (target, host))
            self.assertTrue(transport.value().startswith(b"HTTP/1.1 " + status), target)
