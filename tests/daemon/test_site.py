"""
Tests for L{twisted_sse.daemon.site}: limits on request bodies.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource

from twisted_sse.daemon.site import MOST_BODY, MOST_READ, SmallRequest, SmallSite

FORM = b"Content-Type: application/x-www-form-urlencoded\r\n"


class _Echo(Resource):
    """
    A resource that records its requests, and returns the size of their bodies.
    """

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[Any] = []

    def render_POST(self, request: SmallRequest) -> bytes:
        self.requests.append(request)
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
        site: Any = SmallSite(self.echo, reactor=MemoryReactorClock())
        self.transport = StringTransport()
        self.channel: Any = site.buildProtocol(None)
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

    def test_small(self) -> None:
        """
        A small body is read.
        """
        self.assertTrue(self.send(b"a=1&b=2").endswith(b"\r\n\r\n7"))

    def test_large(self) -> None:
        """
        A large body is refused, and nothing of it is kept.
        """
        kept = []
        process = SmallRequest.process

        def look(request: SmallRequest) -> None:
            kept.append((request.content.read(), request.args))
            process(request)

        self.patch(SmallRequest, "process", look)
        answer = self.send(b"a=1&" * (MOST_BODY // 4 + 1))
        self.assertTrue(answer.startswith(b"HTTP/1.1 413 "), answer)
        self.assertIn(b"must not have more than 16384 bytes", answer)
        self.assertEqual((kept, self.echo.requests), ([(b"", {})], []))
        self.assertFalse(self.transport.disconnecting)

    def test_huge(self) -> None:
        """
        A chunked body that is far too large is not read any further.
        """
        chunk = b"%x\r\n%s\r\n" % (MOST_READ + 1, b"x" * (MOST_READ + 1))
        self.send(chunk, head=b"Transfer-Encoding: chunked\r\n")
        self.assertTrue(self.transport.disconnecting)
        self.assertEqual(self.echo.requests, [])
