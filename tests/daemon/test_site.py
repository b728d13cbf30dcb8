"""
Tests for L{twisted_sse.daemon.site}: limits on request bodies.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any

from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource

from twisted_sse.daemon.site import (
    MOST_BODY,
    MOST_PUBLISHED,
    PublishedRequest,
    SmallRequest,
    SmallSite,
)
from twisted_sse.hub.refused import Refused

FORM = b"Content-Type: application/x-www-form-urlencoded\r\n"


class _Echo(Resource):
    """
    A resource that records its requests, and returns the size of their bodies.
    """

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[Any] = []
        self.contents: list[type] = []

    def render_POST(self, request: SmallRequest) -> bytes:
        self.requests.append(request)
        self.contents.append(type(request.content))
        return b"%d" % len(request.content.read())


class SiteTests(SynchronousTestCase):
    """
    Tests for the bodies of requests.
    """

    def setUp(self) -> None:
        """
        Make a connection.
        """
        self.echo = _Echo()
        self.site: Any = SmallSite(self.echo, reactor=MemoryReactorClock())
        self.connect()

    def connect(self) -> None:
        """
        Make a connection.
        """
        self.transport = StringTransport()
        self.channel: Any = self.site.buildProtocol(None)
        self.channel.makeConnection(self.transport)

    def send(self, body: bytes, *, head: bytes = b"", end: bytes = b"") -> bytes:
        """
        @return: the response to a request.
        """
        head = head or b"Content-Length: %d\r\n" % len(body)
        self.channel.dataReceived(b"POST / HTTP/1.1\r\nHost: a\r\n" + FORM + head + b"\r\n")
        for at in range(0, len(body), 2**16):
            if self.transport.disconnecting:
                break
            self.channel.dataReceived(body[at : at + 2**16])
        self.channel.dataReceived(end)
        return self.transport.value()

    def test_quiet(self) -> None:
        """
        The site logs nothing when it starts and stops: Twisted logs the port.
        """
        said: list[object] = []
        globalLogPublisher.addObserver(said.append)
        self.addCleanup(globalLogPublisher.removeObserver, said.append)
        site = SmallSite(Resource())
        site.doStart()
        site.doStop()
        self.assertEqual(said, [])

    def test_small(self) -> None:
        """
        A small body is read.
        """
        self.assertTrue(self.send(b"a=1&b=2").endswith(b"\r\n\r\n7"))

    def test_large(self) -> None:
        """
        A large body is refused as soon as its size is known, and nothing of it is kept.
        """
        kept = []
        process = SmallRequest.process

        def look(request: SmallRequest) -> None:
            kept.append((request.content.read(), request.args))
            process(request)

        self.patch(SmallRequest, "process", look)
        body = b"a=1&" * (MOST_BODY // 4 + 1)
        answer = self.send(b"", head=b"Content-Length: %d\r\n" % len(body))
        self.assertTrue(answer.startswith(b"HTTP/1.1 413 "), answer)
        self.assertIn(b"larger than 16384 bytes", answer)
        self.channel.dataReceived(body)
        self.assertEqual((kept, self.echo.requests), ([(b"", {})], []))

    def test_memory(self) -> None:
        """
        A body is kept in memory, however its length is declared: files may not be writable.
        """
        self.send(b"hello")
        self.send(b"5\r\nhello\r\n0\r\n\r\n", head=b"Transfer-Encoding: chunked\r\n")
        self.assertEqual(self.echo.contents, [BytesIO, BytesIO])


class PublishedTests(SiteTests):
    """
    Tests for the bodies of requests where some senders may publish.
    """

    def setUp(self) -> None:
        """
        Make a connection to a site where only requests with a certain header may publish.
        """
        super().setUp()

        def check(request: Any) -> None:
            if request.getHeader("x-please") is None:
                raise Refused(401, "say please", {b"www-authenticate": b"Please"})

        self.site.requestFactory = PublishedRequest
        self.site.check = check
        self.connect()

    def test_large(self) -> None:
        """
        Nothing of a large body is kept if its sender may not publish, and the response has the
        reason.
        """
        body = b"a=1&" * (MOST_BODY // 4 + 1)
        answer = self.send(body)
        self.assertTrue(answer.startswith(b"HTTP/1.1 401 "), answer)
        self.assertIn(b"\r\nwww-authenticate: please\r\n", answer.lower())
        self.assertTrue(answer.endswith(b'{"error": "say please"}\n'), answer)
        self.assertEqual(self.echo.requests, [])

    def test_kept(self) -> None:
        """
        A large body is kept if its sender may publish, up to a limit.
        """
        for size, status in (MOST_PUBLISHED, b"200"), (MOST_PUBLISHED + 1, b"413"):
            self.connect()
            head = b"X-Please: 1\r\nContent-Length: %d\r\n" % size
            answer = self.send(b"x" * size, head=head)
            self.assertTrue(answer.startswith(b"HTTP/1.1 " + status), answer)
        self.assertEqual(len(self.echo.requests), 1)
