"""
Tests for L{twisted_sse.hub.anonymous}: publishing without a token.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.test.requesthelper import DummyRequest

from twisted_sse.hub.anonymous import Anonymous, Everybody, ThisMachine
from twisted_sse.hub.refused import Refused

LOCAL: Any = IPv4Address("TCP", "127.0.0.1", 80)


class AnonymousTestCase(SynchronousTestCase):
    """
    Asks which requests may publish.
    """

    def refusal(
        self,
        anonymous: Anonymous,
        trusted: bool = False,
        here: Any = LOCAL,
        peer: Any = LOCAL,
        **fields: str,
    ) -> str | None:
        """
        @param here: the address that the client has connected to.
        @param peer: the client's address.
        @param fields: headers, with underscores.
        @return: the reason why a request may not publish; L{None} if it may.
        """
        request = DummyRequest([b""])  # type: ignore[no-untyped-call]
        request.client = peer
        self.patch(request, "getHost", lambda: here)
        for name, value in {"host": "localhost:8080", **fields}.items():
            request.requestHeaders.setRawHeaders(name.replace("_", "-"), [value])
        try:
            anonymous.check(request, trusted)
        except Refused as e:
            self.assertEqual(e.status, 403)
            return str(e)
        return None


class EverybodyTests(AnonymousTestCase):
    """
    Tests for L{Everybody}.
    """

    def test_table(self) -> None:
        """
        C{Sec-Fetch-Site} decides; without it C{Origin} is compared with C{Host}; without both the
        client is not a browser, or an older one.
        """
        for fields, may in (
            ({}, True),
            ({"sec_fetch_site": "same-origin"}, True),
            ({"sec_fetch_site": "none"}, True),
            ({"sec_fetch_site": "same-site"}, False),
            ({"sec_fetch_site": "cross-site"}, False),
            ({"sec_fetch_site": ""}, False),
            ({"sec_fetch_site": "same-origin", "origin": "https://behind-a-proxy"}, True),
            ({"sec_fetch_site": "cross-site", "origin": "http://localhost:8080"}, False),
            ({"origin": "http://localhost:8080"}, True),
            ({"origin": "https://localhost:8080"}, True),
            ({"origin": "http://localhost"}, False),
            ({"origin": "http://evil.example"}, False),
            ({"origin": "null"}, False),
            ({"origin": ""}, False),
            ({"origin": "localhost:8080"}, False),
        ):
            self.assertEqual(self.refusal(Everybody(), **fields) is None, may, fields)
            self.assertEqual(self.refusal(Everybody(), True, **fields), None)


class ThisMachineTests(AnonymousTestCase):
    """
    Tests for L{ThisMachine}.
    """

    def test_may(self) -> None:
        """
        Programs on this machine may publish.
        """
        rule = ThisMachine()
        self.assertEqual(self.refusal(rule), None)
        for name in ("localhost", "127.0.0.1:80", "[::1]:8080", "app.localhost"):
            self.assertEqual(self.refusal(rule, host=name), None)
        address: Any = IPv6Address("TCP", "::1", 1)
        self.assertEqual(self.refusal(rule, here=address, peer=address), None)
        address = UNIXAddress("/run/sse")
        self.assertEqual(self.refusal(rule, here=address, peer=UNIXAddress(None)), None)
        # Node's fetch.
        self.assertEqual(self.refusal(rule, sec_fetch_mode="cors"), None)

    def test_mayNot(self) -> None:
        """
        Other machines, web pages and proxies may not, and the response names the kind of client.
        """
        rule = ThisMachine()
        away = IPv4Address("TCP", "10.0.0.5", 80)
        self.assertIn("only from this machine", self.refusal(rule, here=away) or "")
        self.assertIn("only from this machine", self.refusal(rule, peer=away) or "")
        for name in ("Origin", "Sec-Fetch-Site"):
            for value in ("same-origin", "none", "http://localhost:8080", "null"):
                said = self.refusal(rule, **{name: value}) or ""
                self.assertIn("only by programs, not by web pages", said)
        for name in (
            "Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto",
            "x-forwarded", "X-Real-IP", "CF-Connecting-IP", "True-Client-IP", "X-Client-IP",
        ):  # fmt: skip
            self.assertIn("only without a proxy", self.refusal(rule, **{name: "x"}) or "", name)

    def test_names(self) -> None:
        """
        A name that does not belong to loopback may belong to a page (DNS rebinding).
        """
        for name in ("evil.example", "localhost.evil.example", "10.0.0.5", "", "localhost, x"):
            said = self.refusal(ThisMachine(), host=name) or ""
            self.assertIn("only under the name localhost", said, name)

    def test_trusted(self) -> None:
        """
        A page whose origin may publish can do so on this machine.
        """
        rule = ThisMachine()
        page = {"origin": "http://localhost:3000", "sec_fetch_site": "same-site"}
        self.assertEqual(self.refusal(rule, True, **page), None)
        self.assertNotEqual(self.refusal(rule, True, **page, via="1.1 proxy"), None)
