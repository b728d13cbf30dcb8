"""
Tests for L{twisted_sse.server.hosts}.
"""

from __future__ import annotations

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.test.requesthelper import DummyRequest

from twisted_sse.server.hosts import isLoopback, isLoopbackName, nameOf


class LoopbackTests(SynchronousTestCase):
    """
    Tests for the addresses and names of this machine.
    """

    def test_addresses(self) -> None:
        """
        Loopback addresses, and UNIX sockets, can be reached from this machine only.
        """
        for host in ("127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"):
            self.assertTrue(isLoopback(IPv4Address("TCP", host, 1)), host)
            self.assertTrue(isLoopback(host), host)
        self.assertTrue(isLoopback(IPv6Address("TCP", "::1", 1)))
        self.assertTrue(isLoopback(UNIXAddress("/x")))
        for host in ("0.0.0.0", "10.0.0.5", "::", "::ffff:10.0.0.5", "", "localhost"):
            self.assertFalse(isLoopback(IPv4Address("TCP", host, 1)), host)
            self.assertFalse(isLoopback(host), host)
        for address in (None, object()):
            self.assertFalse(isLoopback(address))

    def test_names(self) -> None:
        """
        C{localhost}, names ending with it, and the loopback addresses are names of this machine.
        """
        for name in ("localhost", "a.localhost", "127.0.0.1", "[::1]"):
            self.assertTrue(isLoopbackName(name), name)
        for name in (None, "", "example.com", "localhost.example.com", "notlocalhost", "10.0.0.5"):
            self.assertFalse(isLoopbackName(name), name)

    def test_nameOf(self) -> None:
        """
        The name in C{Host} excludes the port and a final dot, and is case-insensitive.
        """
        for hosts, name in (
            (["LocalHost:8080"], "localhost"),
            (["localhost."], "localhost"),
            (["[::1]:80"], "[::1]"),
            (["example.com"], "example.com"),
            ([], None),
            (["a", "a"], None),
            (["a b"], None),
            (["user@localhost"], None),
            (["localhost:80:80"], None),
            ([""], None),
        ):
            request = DummyRequest([b""])  # type: ignore[no-untyped-call]
            request.clientproto = b"HTTP/1.1"
            request.requestHeaders.setRawHeaders("host", hosts)
            self.assertEqual(nameOf(request), name, hosts)

    def test_nameInHTTP2(self) -> None:
        """
        Over HTTP/2 the name may be both in C{:authority} and in C{host}, if they agree.
        """
        for hosts, name in ((["a", "a"], "a"), (["a", "b"], None)):
            request = DummyRequest([b""])  # type: ignore[no-untyped-call]
            request.clientproto = b"HTTP/2"
            request.requestHeaders.setRawHeaders("host", hosts)
            self.assertEqual(nameOf(request), name)
