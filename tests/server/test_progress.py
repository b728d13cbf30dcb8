"""
Tests for L{twisted_sse.server.progress}: how much of a request's body has arrived.
"""

from __future__ import annotations

from typing import Any

from klein import Klein
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import Site

from tests.support.channels import received
from tests.support.documents import runAll, table
from tests.support.memory_http2 import H2_MISSING, MemoryClient2
from twisted_sse.guard import GuardedSite
from twisted_sse.server.progress import Progress, ProgressRequest
from twisted_sse.testing import MemoryClient


class Receives(Resource):
    """
    Responds with the body, and keeps the reports up to then.
    """

    isLeaf = True

    def __init__(self, reports: list[Progress]) -> None:
        super().__init__()
        self.reports = reports
        self.before: list[str] = []

    def render_GET(self, request: Any) -> bytes:
        """
        Respond with the body.
        """
        self.before += [report.state for report in self.reports]
        body: bytes = request.content.read()
        return body

    render_POST = render_GET


class ProgressMixin(SynchronousTestCase):
    """
    Has a site with such requests.
    """

    siteFactory: type[Site] = Site

    def setUp(self) -> None:
        """
        Make the site.
        """
        self.clock = Clock()
        self.reports: list[Progress] = []
        self.names: list[str | None] = []
        test = self

        class Upload(ProgressRequest):
            maxBody = 1000
            progressInterval = 0.5

            def progressed(self, progress: Progress) -> None:
                test.reports.append(progress)
                test.names.append(self.getHeader("upload-id"))

        self.requestFactory = Upload
        self.resource = Receives(self.reports)

    def site(self, resource: Any = None) -> Site:
        """
        @return: a site with a resource.
        """
        return self.siteFactory(
            resource or self.resource, requestFactory=self.requestFactory, reactor=self.clock
        )

    def states(self) -> list[tuple[int, str]]:
        """
        @return: the reports since the last call.
        """
        reports = [(report.received, report.state) for report in self.reports]
        self.reports.clear()
        return reports


class HTTP1Tests(ProgressMixin):
    """
    Tests for HTTP/1.1.
    """

    def setUp(self) -> None:
        """
        Make a connection to the site.
        """
        super().setUp()
        self.connect()

    def connect(self, site: Site | None = None) -> None:
        """
        Make a connection.
        """
        self.transport = StringTransport()
        self.protocol: Any = (site or self.site()).buildProtocol(IPv4Address("TCP", "::1", 1))
        self.protocol.makeConnection(self.transport)
        self.transport.abortConnection = self.transport.loseConnection  # type: ignore[attr-defined]

    def begin(self, *fields: str, body: bytes = b"", method: str = "POST") -> None:
        """
        Send the head of a request, and the beginning of its body.
        """
        lines = [f"{method} / HTTP/1.1", "Host: a", "Upload-ID: x", *fields, "", ""]
        self.protocol.dataReceived("\r\n".join(lines).encode() + body)

    def more(self, body: bytes, after: float = 0) -> None:
        """
        Send more of the body.

        @param after: the delay in seconds.
        """
        self.clock.advance(after)
        self.protocol.dataReceived(body)

    def test_length(self) -> None:
        """
        Received bytes are reported with the total, and the end before the resource is rendered.
        """
        self.begin("Content-Length: 9", body=b"abc")
        self.more(b"def", after=1)
        self.more(b"ghi", after=1)
        self.assertEqual(
            self.reports,
            [
                Progress(3, 9, "receiving"),
                Progress(6, 9, "receiving"),
                Progress(9, 9, "received"),
            ],
        )
        self.assertEqual(self.names, ["x", "x", "x"])
        self.assertEqual(self.resource.before, ["receiving", "receiving", "received"])
        self.assertTrue(self.transport.value().endswith(b"\r\n\r\nabcdefghi"))

    def test_chunked(self) -> None:
        """
        Without a length there is no total.
        """
        self.begin("Transfer-Encoding: chunked", body=b"3\r\nabc\r\n")
        self.more(b"2\r\nde\r\n", after=1)
        self.more(b"0\r\n\r\n", after=1)
        self.assertEqual({report.total for report in self.reports}, {None})
        self.assertEqual(self.states(), [(3, "receiving"), (5, "receiving"), (5, "received")])

    def test_interval(self) -> None:
        """
        However many pieces arrive, there is one report per interval, of all bytes received by then.
        """
        self.begin("Content-Length: 900", body=b"a")
        for _ in range(100):
            self.more(b"bc", after=0.01)
        # The reports at 0, 0.5 and 1 s; the one at 0.5 s precedes the bytes that arrive then.
        self.assertEqual([size for size, _ in self.states()][:2], [1, 99])
        self.more(b"d" * 30)
        self.assertEqual(self.states(), [])
        self.clock.advance(0.5)
        self.assertEqual(self.states(), [(231, "receiving")])
        self.clock.advance(10)
        self.assertEqual(self.states(), [])

    def test_last(self) -> None:
        """
        The last report does not wait for the interval, and no other follows.
        """
        self.begin("Content-Length: 6", body=b"a")
        self.more(b"bc")
        self.more(b"def")
        self.assertEqual(self.states(), [(1, "receiving"), (6, "received")])
        self.clock.advance(1)
        self.assertEqual(self.states(), [])

    def test_lost(self) -> None:
        """
        A disconnect in the middle is reported once, and no timer is left.
        """
        self.begin("Content-Length: 6", body=b"a")
        self.more(b"b")
        self.protocol.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(self.states(), [(1, "receiving"), (2, "lost")])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_lostLater(self) -> None:
        """
        A disconnect after the upload is not reported as a loss.
        """
        self.begin("Content-Length: 1", body=b"a")
        self.protocol.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(self.states(), [(1, "received")])

    def test_refusedAtOnce(self) -> None:
        """
        An upload whose length is too large is refused.
        """
        self.begin("Content-Length: 1001", body=b"a")
        self.assertIn(b" 413 ", self.transport.value())
        self.more(b"b" * 1000)
        self.assertEqual(self.states(), [(1, "refused")])

    def test_refusedUnsent(self) -> None:
        """
        An upload that is refused before any of it has arrived is reported when the client
        disconnects.
        """
        self.begin("Content-Length: 1001", "Expect: 100-continue")
        self.protocol.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(self.states(), [(0, "refused")])

    def test_refusedLater(self) -> None:
        """
        An upload without a length is refused when too much has arrived.
        """
        self.begin("Transfer-Encoding: chunked", body=b"3e8\r\n" + b"a" * 1000 + b"\r\n")
        self.more(b"1\r\nb\r\n")
        self.more(b"0\r\n\r\n")
        self.assertEqual(self.states(), [(1000, "receiving"), (1001, "refused")])
        self.assertEqual(self.resource.before, [])

    def test_empty(self) -> None:
        """
        An empty upload is reported as received, and a request that is not an upload is not
        reported.
        """
        self.begin("Content-Length: 0")
        self.assertEqual(self.states(), [(0, "received")])
        self.begin(method="GET")
        self.protocol.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(self.states(), [])

    def test_several(self) -> None:
        """
        The next upload on a connection is counted from the beginning.
        """
        for _ in range(2):
            self.begin("Content-Length: 2", body=b"a")
            self.more(b"b")
            self.assertEqual(self.states(), [(1, "receiving"), (2, "received")])

    def test_fails(self) -> None:
        """
        An error of the report is logged once, and the request is answered.
        """

        class Broken(ProgressRequest):
            pass

        self.requestFactory = Broken  # type: ignore[assignment]
        self.connect()
        self.begin("Content-Length: 6", body=b"abc")
        self.more(b"def", after=1)
        self.assertTrue(self.transport.value().endswith(b"\r\n\r\nabcdef"))
        [failure] = self.flushLoggedErrors(NotImplementedError)
        self.assertIn("progressed()", str(failure.value))

    def test_klein(self) -> None:
        """
        The reports work with Klein.
        """
        app = Klein()

        @app.route("/", methods=["POST"])
        def receive(request: Any) -> bytes:
            body: bytes = request.content.read()
            return body

        self.connect(self.site(app.resource()))
        self.begin("Content-Length: 2", body=b"a")
        self.more(b"b")
        self.assertEqual(self.states(), [(1, "receiving"), (2, "received")])
        self.assertIn(b"\r\nab\r\n", self.transport.value())


class GuardedTests(HTTP1Tests):
    """
    The reports work with a guarded site.
    """

    siteFactory = GuardedSite


class HTTP2Tests(ProgressMixin):
    """
    Tests for HTTP/2, with a guarded site: Twisted's own would use the real reactor.
    """

    siteFactory = GuardedSite

    if H2_MISSING:
        skip = H2_MISSING

    def begin(self, **fields: str) -> tuple[MemoryClient2, int]:
        """
        Begin an upload.

        @return: the client, and the number of its request.
        """
        client = MemoryClient2(self.site(), self.clock)
        number = client.request(method="POST", end=False, **fields)
        return client, number

    def send(self, client: MemoryClient2, number: int, data: bytes, end: bool = False) -> None:
        """
        Send some of the body, a second later.
        """
        self.clock.advance(1)
        client.http.send_data(number, data, end_stream=end)
        client.flush()

    def test_length(self) -> None:
        """
        Received bytes are reported, even if the header that names the upload follows the length.
        """
        client, number = self.begin(content_length="6", upload_id="x")
        self.send(client, number, b"abc")
        self.send(client, number, b"def", end=True)
        self.assertEqual(self.reports, [Progress(3, 6, "receiving"), Progress(6, 6, "received")])
        self.assertEqual(self.names, ["x", "x"])
        self.assertEqual(client.body(number), b"abcdef")

    def test_withoutLength(self) -> None:
        """
        Without a length there is no total.
        """
        client, number = self.begin()
        self.send(client, number, b"abc")
        self.send(client, number, b"", end=True)
        self.assertEqual(
            self.reports, [Progress(3, None, "receiving"), Progress(3, None, "received")]
        )

    def test_refused(self) -> None:
        """
        An upload that is too large is refused.
        """
        client, number = self.begin(content_length="1001")
        self.send(client, number, b"a" * 1001, end=True)
        self.assertEqual(self.states(), [(1001, "refused")])
        self.assertEqual(client.statuses(), {number: 413})

    def test_reset(self) -> None:
        """
        An upload that the client resets is reported as lost, and the connection stays open.
        """
        client, number = self.begin(content_length="6")
        self.send(client, number, b"abc")
        client.http.reset_stream(number)
        client.flush()
        self.assertEqual(self.states(), [(3, "receiving"), (3, "lost")])
        again = client.request(method="POST", end=False, content_length="1")
        self.send(client, again, b"a", end=True)
        self.assertEqual(self.states(), [(1, "received")])


class PageTests(SynchronousTestCase):
    """
    Tests for the page about uploads.
    """

    def test_code(self) -> None:
        """
        The code of the page reports an upload to its watchers.
        """
        names, reactor = runAll("howto-upload.md")
        site = reactor.tcpServers[0][1]
        client = MemoryClient(names["app"].resource())
        client.site.requestFactory = site.requestFactory
        mine, other = client.get("/uploads/mine"), client.get("/uploads/other")
        client.post("/files", {"Upload-ID": "mine"}, b"hello")
        done = {"received": 5, "total": 5, "state": "received"}
        self.assertEqual([event.json() for event in received(mine)], [done, {"size": 5}])
        self.assertEqual(received(other), [])
        client.close()

    def test_defaults(self) -> None:
        """
        The table of the attributes has their defaults.
        """
        self.assertEqual(
            [row[:2] for row in table("howto-upload.md", "## Report what arrives")],
            [["`maxBody`", "1 MiB"], ["`progressInterval`", "`0.1`"]],
        )
        self.assertEqual((ProgressRequest.maxBody, ProgressRequest.progressInterval), (2**20, 0.1))
