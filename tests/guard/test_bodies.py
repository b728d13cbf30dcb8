"""
Tests for L{twisted_sse.guard.bodies}: bodies of requests that are too large.
"""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from twisted.web import http
from twisted.web.resource import Resource
from twisted.web.server import Site

from tests.support.memory_http2 import H2_MISSING, MemoryClient2
from twisted_sse.guard import GuardedSite, LimitedRequest, bodies
from twisted_sse.guard.bodies import LINGER, MOST_READ


class Echo(Resource):
    """
    Responds with the length of a body.
    """

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.sizes: list[int] = []
        self.args: object = None
        self.kinds: object = None

    def render_POST(self, request: Any) -> bytes:
        """
        Remember the length, and return it.
        """
        self.sizes.append(len(request.content.read()))
        self.args = request.args
        self.kinds = request.requestHeaders.getRawHeaders(b"content-type")
        return b"%d" % self.sizes[-1]


class Small(LimitedRequest):
    """
    A request with few bytes.
    """

    maxBody = 100


class Transport(StringTransport):
    """
    A transport that records its end.
    """

    aborted = False

    def abortConnection(self) -> None:
        """
        Record that the connection was aborted.
        """
        self.aborted = self.disconnecting = True


def chunk(data: bytes) -> bytes:
    """
    Make one chunk of a body.
    """
    return b"%x\r\n%s\r\n" % (len(data), data)


class BodiesMixin:
    """
    The tests, for a site.
    """

    siteFactory: type[Site]
    patch: Any
    assertEqual: Any
    assertTrue: Any
    assertFalse: Any
    assertIn: Any

    def setUp(self) -> None:
        """
        Make a connection to a site.
        """
        self.clock = Clock()
        self.resource = Echo()
        self.site = self.siteFactory(
            self.resource, requestFactory=Small, timeout=None, reactor=self.clock
        )  # type: ignore[no-untyped-call]
        self.connect()

    def connect(self) -> None:
        """
        Make a connection.
        """
        self.transport = Transport()
        self.protocol = self.site.buildProtocol(IPv4Address("TCP", "192.0.2.1", 50000))
        self.protocol.makeConnection(self.transport)

    def send(self, *fields: bytes, body: bytes = b"") -> bytes:
        """
        Send the head of a request, and the beginning of its body.

        @return: the response.
        """
        lines = [b"POST / HTTP/1.1", b"Host: a", *fields, b"", b""]
        return self.more(b"\r\n".join(lines) + body)

    def more(self, data: bytes) -> bytes:
        """
        Send some bytes.

        @return: the response.
        """
        self.transport.clear()
        self.protocol.dataReceived(data)
        self.clock.advance(0)
        return self.transport.value()

    def assertTooLarge(self, answer: bytes) -> None:
        """
        Assert that a response is a complete 413 that closes the connection.
        """
        head, _, body = answer.partition(b"\r\n\r\n")
        self.assertTrue(head.startswith(b"HTTP/1.1 413 Content Too Large\r\n"), answer)
        self.assertIn(b"\r\nConnection: close", head)
        self.assertIn(b"\r\nContent-Length: %d" % len(body), head)
        self.assertEqual(
            json.loads(body), {"error": "the body is larger than 100 bytes: send less at a time"}
        )

    def test_fits(self) -> None:
        """
        A body of the allowed size reaches the resource, and the connection continues.
        """
        for _ in range(2):
            answer = self.send(b"Content-Length: 100", body=b"x" * 100)
            self.assertTrue(answer.endswith(b"\r\n\r\n100"), answer)
            answer = self.send(
                b"Transfer-Encoding: chunked", body=chunk(b"x" * 60) + chunk(b"y" * 40) + chunk(b"")
            )
            self.assertTrue(answer.endswith(b"\r\n\r\n100"), answer)
        self.assertFalse(self.transport.disconnecting)

    def test_forms(self) -> None:
        """
        Twisted still adds the fields of a form to those of the query, and of nothing else.
        """
        for kind, isForm in (
            (b"application/x-www-form-urlencoded", True),
            (b" Application/X-WWW-Form-Urlencoded; charset=utf-8", True),
            (b"application/x-www-form-urlencoded;Charset=UTF-8;x=y", True),
            (b"application/x-www-form-urlencodedx", False),
            (b"text/plain", False),
            (b"application/json", False),
        ):
            answer = self.send(b"Content-Type: " + kind, b"Content-Length: 3", body=b"a=b")
            self.assertTrue(answer.endswith(b"\r\n\r\n3"), answer)
            self.assertEqual(self.resource.args, {b"a": [b"b"]} if isForm else {}, kind)
        self.send(
            b"Content-Type: application/x-www-form-urlencoded",
            b"Content-Length: 8",
            body=b"a=%62&c=",
        )
        self.assertEqual(self.resource.args, {b"a": [b"b"], b"c": [b""]})
        body = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--x--\r\n'
        size = b"Content-Length: %d" % len(body)
        self.send(b"Content-Type: multipart/form-data; boundary=x", size, body=body)
        self.assertEqual(self.resource.args, {b"a": [b"b"]})

    def test_manyFields(self) -> None:
        """
        A form with very many fields is left to the resource, since reading it would take long; a
        form with fewer is read.
        """
        self.patch(bodies, "MOST_FIELDS", 10)
        form = b"application/x-www-form-urlencoded"
        for kinds, body, isRead in (
            ((form,), b"a&" * 10 + b"a=b", True),
            ((form,), b"a&" * 11 + b"a=b", False),
            ((form,), b"a;" * 11 + b"a=b", False),
            ((form, form), b"&" * 11 + b"a=b", False),
            ((form,), b"a=b" + b"-" * 50, True),
            ((b"multipart/form-data; boundary=x",), b"a&" * 8 + b"\r\n--x\r\n\r\n" * 8, False),
            ((b"text/plain",), b"&" * 20, False),
        ):
            fields = [b"Content-Type: " + kind for kind in kinds]
            answer = self.send(*fields, b"Content-Length: %d" % len(body), body=body)
            self.assertTrue(answer.endswith(b"\r\n\r\n%d" % len(body)), (body, answer))
            self.assertEqual(bool(self.resource.args), isRead, body)
            self.assertEqual(self.resource.kinds, list(kinds))

    def test_filesAreNotRead(self) -> None:
        """
        A body that is not a form is not looked at, since it may be a large file.
        """
        read: list[int] = []

        class File(BytesIO):
            def read(self, size: int | None = -1) -> bytes:
                read.append(len(self.getvalue()))
                return super().read(size)

        self.patch(bodies, "MOST_FIELDS", 10)
        self.site.getContentFile = lambda length: File()  # type: ignore[attr-defined]
        kind = b"Content-Type: application/octet-stream"
        self.send(kind, b"Content-Length: 20", body=b"&" * 20)
        self.assertEqual(read, [20])  # by the resource

    def test_formsAreQuick(self) -> None:
        """
        The slow mail parser is not used for the type of an ordinary form, except by a Twisted too
        old to be configured.
        """
        asked: list[bytes] = []
        self.patch(http, "_parseContentType", lambda line: asked.append(line) or b"")
        kind = b"Content-Type: application/x-www-form-urlencoded"
        self.send(kind, b"Content-Length: 3", body=b"a=b")
        self.assertEqual(self.resource.args, {b"a": [b"b"]})
        isOld = "_parsePOSTFormSubmission" not in http.Request.__annotations__
        self.assertEqual(len(asked), isOld)

    def test_formsOfOthers(self) -> None:
        """
        Where C{readsForms} is false, forms are left to Twisted.
        """
        self.patch(Small, "readsForms", False)
        for kind in b"application/x-www-form-urlencoded", b"text/plain":
            self.send(b"Content-Type: " + kind, b"Content-Length: 3", body=b"a=b")
            self.assertEqual(self.resource.args, {b"a": [b"b"]} if b"form" in kind else {})

    def test_declared(self) -> None:
        """
        A C{Content-Length} that is too large gets a response immediately, and the connection is
        closed when the body has arrived; nothing of it is kept.
        """
        self.assertTooLarge(self.send(b"Content-Length: 101"))
        request = self.protocol._channel.requests[0]
        self.assertFalse(self.transport.disconnecting)
        self.assertEqual(self.more(b"x" * 100), b"")
        self.assertEqual(request.content.read(), b"")
        self.assertEqual(self.more(b"x"), b"")
        self.assertTrue(self.transport.disconnecting)
        self.assertFalse(self.transport.aborted)
        self.assertEqual((self.resource.sizes, self.clock.getDelayedCalls()), ([], []))

    def test_chunked(self) -> None:
        """
        A chunked body is refused as soon as too much of it has arrived.
        """
        start = chunk(b"x" * 60)
        self.assertEqual(self.send(b"Transfer-Encoding: chunked", body=start), b"")
        self.assertTooLarge(self.more(chunk(b"y" * 41)))
        self.assertEqual(self.more(chunk(b"y" * 1000)), b"")
        self.assertFalse(self.transport.disconnecting)
        self.assertEqual(self.more(chunk(b"")), b"")
        self.assertTrue(self.transport.disconnecting)
        self.assertEqual(self.resource.sizes, [])

    def test_expect(self) -> None:
        """
        A client that sends C{Expect: 100-continue} is refused, instead of getting a 100.
        """
        answer = self.send(b"Content-Length: 101", b"Expect: 100-continue")
        self.assertTooLarge(answer)
        self.assertTrue(self.transport.disconnecting)
        self.connect()
        answer = self.send(b"Content-Length: 100", b"Expect: 100-continue")
        self.assertEqual(answer, b"HTTP/1.1 100 Continue\r\n\r\n")
        self.connect()
        answer = self.send(b"Transfer-Encoding: chunked", b"Expect: 100-continue")
        self.assertEqual(answer, b"HTTP/1.1 100 Continue\r\n\r\n")
        self.assertTooLarge(self.more(chunk(b"x" * 101)))
        self.assertFalse(self.transport.disconnecting)

    def test_endless(self) -> None:
        """
        An endless body is not read forever, and its connection is closed after a while.
        """
        self.assertTooLarge(
            self.send(b"Transfer-Encoding: chunked", body=chunk(b"x" * (MOST_READ + 100)))
        )
        self.assertEqual(self.transport.producerState, "producing")
        self.more(chunk(b"x"))
        self.assertEqual(self.transport.producerState, "paused")
        self.assertFalse(self.transport.aborted)
        self.clock.advance(LINGER)
        self.assertTrue(self.transport.aborted)

    def test_slow(self) -> None:
        """
        A client that sends a body that is too large slowly is cut off.
        """
        self.assertTooLarge(self.send(b"Content-Length: 101"))
        self.clock.advance(LINGER - 1)
        self.assertFalse(self.transport.aborted)
        self.clock.advance(1)
        self.assertTrue(self.transport.aborted)

    def test_disconnect(self) -> None:
        """
        Nothing is left when the client has disconnected.
        """
        self.assertTooLarge(self.send(b"Content-Length: 101"))
        self.protocol.connectionLost(None)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class SiteTests(BodiesMixin, SynchronousTestCase):
    """
    Tests with Twisted's site.
    """

    siteFactory = Site


class GuardedSiteTests(BodiesMixin, SynchronousTestCase):
    """
    Tests with our own site, which also uses this clock for HTTP/2.
    """

    siteFactory = GuardedSite

    def test_http2(self) -> None:
        """
        In HTTP/2 the response is sent when the request is complete, and the connection continues.
        """
        client = MemoryClient2(self.site, self.clock)
        number = client.request(method="POST", end=False)
        client.http.send_data(number, b"x" * 101, end_stream=True)
        client.flush()
        self.assertEqual(client.statuses(), {number: 413})
        self.assertIn(b"larger than 100 bytes", client.body(number))
        self.assertIn(number, client.ended())
        number = client.request(method="POST", end=False)
        client.http.send_data(number, b"x" * 100, end_stream=True)
        client.flush()
        self.assertEqual(client.body(number), b"100")
        client.close()

    def test_http2Endless(self) -> None:
        """
        In HTTP/2 a request with an endless body is reset, and the connection continues.
        """
        client = MemoryClient2(self.site, self.clock)
        number = client.request(method="POST", end=False)
        while number not in client.resets():
            size = min(2**14, client.http.local_flow_control_window(number))
            client.http.send_data(number, b"x" * size)
            client.flush()
        number = client.request(method="POST", end=False)
        client.http.send_data(number, b"x" * 100, end_stream=True)
        client.flush()
        self.assertEqual(client.body(number), b"100")
        self.assertEqual(self.resource.sizes, [100])
        client.close()

    if H2_MISSING is not None:
        test_http2.skip = H2_MISSING  # type: ignore[attr-defined]
        test_http2Endless.skip = H2_MISSING  # type: ignore[attr-defined]
