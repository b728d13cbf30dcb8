"""
Tests for L{twisted_sse.server.resource}: limits, and client addresses behind a proxy.
"""

from __future__ import annotations

from twisted.internet.address import UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.testing import StringTransport
from twisted.web.error import Error
from twisted.web.resource import IResource, Resource
from twisted.web.util import DeferredResource

from tests.support.resources import ResourceTestCase
from twisted_sse import CloseReason, EventStream
from twisted_sse.observe import Observer
from twisted_sse.testing import MemoryClient


class LimitTests(ResourceTestCase):
    """
    Tests for C{maxStreams} and C{maxStreamsPerAddress}.
    """

    def test_maxStreams(self) -> None:
        """
        A client beyond C{maxStreams} gets a C{retry} of 5 to 15 seconds, and C{connected} is not
        called.
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
        Refused clients get different C{retry} times.
        """
        client = self.serve(maxStreams=1)
        client.get("/")
        self.assertGreater(len({client.get("/").retry for _ in range(20)}), 5)

    def test_connectingCount(self) -> None:
        """
        A stream counts before its headers, too.
        """
        client = self.serve(lambda stream: Deferred(), maxStreams=1)
        first = client.get("/")
        self.assertComeBack(client.get("/"), 5000, 15000)
        first.disconnect()
        self.assertIsNone(client.get("/").status)

    def test_refusedDoNotCount(self) -> None:
        """
        Refused clients that do not read do not count.
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
        A stream refused with a status no longer counts.
        """

        def connected(stream: EventStream) -> None:
            raise Error(403)

        client = self.serve(connected, maxStreams=1, maxStreamsPerAddress=1)
        for _ in range(3):
            self.assertEqual(client.get("/").status, 403)
        self.assertNothingLeft()

    def test_perAddress(self) -> None:
        """
        Each address has its own count, which decreases again.
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
        Observers receive the reason LIMIT.
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
        A refusal's C{retry} overrides that of the resource.
        """
        client = self.serve(maxStreams=1, retry=500)
        client.get("/")
        self.assertComeBack(client.get("/"), 5000, 15000)

    def test_once(self) -> None:
        """
        With C{once}, a refusal is not the end of the stream, so that the browser reconnects.
        """
        client = self.serve(maxStreams=1, once=True)
        client.get("/")
        self.assertComeBack(client.get("/"), 5000, 15000)

    def test_clientHasGoneBefore(self) -> None:
        """
        A client that disconnects before its resource is found gets no stream, and does not count.
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
        Make a request from this address, and return the client's address as the stream sees it.
        """
        headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
        self.serve(trustedProxies=proxies).get("/", headers=headers, address=address)
        return self.streams[0].clientAddress

    def test_notTrusted(self) -> None:
        """
        C{X-Forwarded-For} from an address that is not trusted is ignored.
        """
        self.assertEqual(self.ask("192.0.2.1"), "10.0.0.1")
        self.assertEqual(self.ask("192.0.2.1", "10.1.0.0/16"), "10.0.0.1")

    def test_trusted(self) -> None:
        """
        C{X-Forwarded-For} of a trusted proxy is used, and without it the proxy is the client.
        """
        self.assertEqual(self.ask("192.0.2.1", "10.0.0.0/8"), "192.0.2.1")
        self.assertEqual(self.ask("192.0.2.1", "10.0.0.1"), "192.0.2.1")
        self.assertEqual(self.ask(None, "10.0.0.0/8"), "10.0.0.1")
        self.assertEqual(self.ask("", "10.0.0.0/8"), "10.0.0.1")

    def test_chain(self) -> None:
        """
        In a chain, the last address that is not a trusted proxy is used.
        """
        self.assertEqual(self.ask("192.0.2.9, 192.0.2.1, 10.0.0.2", "10.0.0.0/8"), "192.0.2.1")
        self.assertEqual(self.ask("10.0.0.3,10.0.0.2", "10.0.0.0/8"), "10.0.0.3")
        self.assertEqual(self.ask("192.0.2.9, 192.0.2.1", "10.0.0.0/8", "192.0.2.1"), "192.0.2.9")

    def test_forms(self) -> None:
        """
        Addresses may have ports, and may be IPv6, with or without brackets.
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
        Anything but an address ends the chain, and the last valid address before it is used.
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
        A proxy may have an IPv6 address, or an IPv4 address mapped to IPv6.
        """
        self.assertEqual(self.ask("192.0.2.1", "2001:db8::/32", address="2001:db8::7"), "192.0.2.1")
        self.assertEqual(
            self.ask("192.0.2.1", "10.0.0.0/8", address="::ffff:10.0.0.1"), "192.0.2.1"
        )
        self.assertEqual(self.ask("192.0.2.1", "10.0.0.0/8", address="2001:db8::7"), "2001:db8::7")

    def test_severalHeaders(self) -> None:
        """
        Several headers form one chain, and the limits use its result.
        """
        client = self.serve(trustedProxies=["10.0.0.0/8"], maxStreamsPerAddress=1)
        client.get("/", headers={"X-Forwarded-For": "192.0.2.1"}, address="10.0.0.1")
        browser = client.get("/", headers={"X-Forwarded-For": "192.0.2.1"}, address="10.0.0.2")
        self.assertComeBack(browser, 5000, 15000)
        browser = client.get("/", headers={"X-Forwarded-For": "192.0.2.2"}, address="10.0.0.1")
        self.assertStream(browser)

    def test_unixSocket(self) -> None:
        """
        With trusted proxies, a UNIX socket counts as one.
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
        An IPv6 address with a zone is ignored, because the client can put any text there.
        """
        self.assertEqual(self.ask("fe80::1%evil", "10.0.0.0/8"), "10.0.0.1")

    def test_mapped(self) -> None:
        """
        An IPv4 address mapped to IPv6 is the same address.
        """
        self.assertEqual(self.ask("::ffff:192.0.2.1", "10.0.0.0/8"), "192.0.2.1")
