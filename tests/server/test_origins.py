"""
Tests for L{twisted_sse.server.origins}: which pages a pattern matches, in every disguise.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.server import Request
from twisted.web.test.requesthelper import DummyChannel

from tests.support.resources import ResourceTestCase
from twisted_sse.checks import InvalidOption
from twisted_sse.server.origins import OriginList, Origins
from twisted_sse.testing import MemoryStream

PATTERN = "https://*.shop.example"

#: Origins that a pattern does not match.
DISGUISES = (
    "https://shop.example",
    "https://.shop.example",
    "https://..shop.example",
    "https://a..shop.example",
    "http://a.shop.example",
    "wss://a.shop.example",
    "a.shop.example",
    "//a.shop.example",
    "https:a.shop.example",
    "https://a.shop.example:443",
    "https://a.shop.example:8443",
    "https://a.shop.example:",
    "https://a.shop.example.",
    "https://a.shop.example/",
    "https://a.shop.example?",
    "https://a.shop.example#",
    "https://a.shop.example.evil.example",
    "https://evilshop.example",
    "https://evil-shop.example",
    "https://evil.example/.shop.example",
    "https://evil.example?.shop.example",
    "https://evil.example#.shop.example",
    "https://evil.example\\.shop.example",
    "https://evil.example@a.shop.example",
    "https://a@b.shop.example",
    "https://evil.example:1.shop.example",
    "https://evil.example%2f.shop.example",
    "https://evil.example%00.shop.example",
    "https://[::1].shop.example",
    "https://a.shopXexample",
    "https://A.shop.example",
    "https://a.SHOP.example",
    "HTTPS://a.shop.example",
    "https://*.shop.example",
    "https://a.shop.example https://a.shop.example",
    "https://a.shop.example,https://a.shop.example",
    " https://a.shop.example",
    "https://a.shop.example\n",
    "https://m\u00fcnchen.shop.example",
    "https://a\u3002shop.example",
    "https://a.sh\u043ep.example",
    "null",
    "*",
    "",
    "https://" + "a." * 5000 + "shop.example.evil",
)


class OriginListTests(SynchronousTestCase):
    """
    Tests for L{OriginList}.
    """

    def test_pattern(self) -> None:
        """
        A star matches the hosts below one, at any depth, with the same scheme and port, and nothing
        that only looks similar.
        """
        origins = OriginList(
            "origins", [PATTERN, "http://*.dev.example:8080", "https://*.a.b."], True
        )
        for origin in (
            b"https://a.shop.example",
            b"https://a.b.c.shop.example",
            b"https://xn--mnchen-3ya.shop.example",
            b"https://a_b-1.shop.example",
            b"https://" + b"a." * 100 + b"shop.example",
            b"http://a.dev.example:8080",
            b"https://x.a.b.",
        ):
            self.assertIn(origin, origins)
        for other in (*DISGUISES, "http://a.dev.example", "https://x.a.b"):
            self.assertNotIn(other.encode(), origins, other)
        self.assertTrue(origins)
        self.assertFalse(OriginList("origins", []))

    def test_exact(self) -> None:
        """
        Without a star a pattern matches only the origin itself.
        """
        for origin in (
            "https://shop.example",
            "https://shop.example:8443",
            "http://localhost:3000",
            "http://127.0.0.1:8080",
            "http://[::1]:8080",
            "https://shop.example.",
            "chrome-extension://abcdefghijklmnop",
            "capacitor://localhost",
            "null",
        ):
            origins = OriginList("origins", [origin])
            self.assertIn(origin.encode(), origins)
            for other in (origin.upper(), origin + "0", origin + "/", "x" + origin, origin[:-1]):
                self.assertNotIn(other.encode(), origins)

    def test_senseless(self) -> None:
        """
        Patterns are refused if no page can have such an origin, or if they would include pages of
        arbitrary sites.
        """
        for origin in (
            "",
            "*",
            "https://*",
            "https://*.",
            "https://*.com",
            "https://*.com.",
            "https://*.localhost",
            "https://*.0.0.1",
            "https://*.a.1",
            "https://*.[::1]",
            "https://*.*.shop.example",
            "https://a*.shop.example",
            "https://a.*.example",
            "https://*shop.example",
            "https://*.shop.example:*",
            "https://*.shop.example/",
            "https://*..shop.example",
            "*://a.shop.example",
            "*.shop.example",
            "chrome-extension://*.a.b",
            "shop.example",
            "https://",
            "https://.",
            "https://a..b",
            "https://.a.b",
            "https://shop.example/",
            "https://shop.example:",
            "https://shop.example:443",
            "http://*.shop.example:80",
            "https://shop.example:0",
            "https://shop.example:08443",
            "https://shop.example:65536",
            "https://ada@shop.example",
            "https://Shop.example",
            "HTTPS://shop.example",
            "https://m\u00fcnchen.example",
            "https://shop.example\n",
            " https://shop.example",
            "Null",
            b"https://shop.example",
            None,
            5,
        ):
            wrong: Any = origin
            error = self.assertRaises(InvalidOption, OriginList, "theirs", [PATTERN, wrong], True)
            self.assertEqual(error.name, "theirs")
            self.assertIn(f"has {origin!r}: ", error.why)

    @given(st.binary() | st.text().map(lambda text: f"https://{text}.shop.example".encode()))
    def test_anything(self, origin: bytes) -> None:
        """
        A header of any content matches only if it has the scheme, some labels, and the host.
        """
        if origin in OriginList("origins", [PATTERN], True):
            self.assertRegex(origin, rb"^https://([a-z0-9_-]+\.)+shop\.example\Z")


class RequestTests(SynchronousTestCase):
    """
    Tests for strange requests.
    """

    def test_several(self) -> None:
        """
        A request with several origins, which browsers never send, matches none of them.
        """
        for values, isAllowed in (
            (["https://a.shop.example"], True),
            (
                ["https://a.shop.example", "https://evil.example"],
                False,
            ),
            (["https://a.shop.example"] * 2, False),
            ([], False),
        ):
            request = Request(DummyChannel(), False)
            for value in values:
                request.requestHeaders.addRawHeader("Origin", value)
            Origins([PATTERN], True, patterns=True).allow(request)
            allowed = request.responseHeaders.getRawHeaders("Access-Control-Allow-Origin")
            self.assertEqual(allowed, values if isAllowed else None)


class ResponseTests(ResourceTestCase):
    """
    Tests for the headers that a browser receives.
    """

    def assertAllowed(self, browser: MemoryStream, origin: str | None, credentials: bool) -> None:
        """
        Assert the headers that a browser receives for any request.

        @param origin: the origin that is allowed; L{None} for none.
        """
        self.assertEqual(browser.headers.get("Access-Control-Allow-Origin"), origin)
        allowed = browser.headers.get("Access-Control-Allow-Credentials")
        self.assertEqual(allowed, "true" if credentials else None)
        self.assertIn("Origin", browser.headers["Vary"].split(", "))

    def test_listed(self) -> None:
        """
        A listed origin is allowed, with cookies if the option is set; any other receives no header,
        and never its own origin.
        """
        good = "https://a.shop.example"
        for credentials in False, True:
            client = self.serve(origins=[good], credentials=credentials)
            for method in "GET", "HEAD", "OPTIONS", "PUT":
                browser = client.request(method, headers={"Origin": good})
                self.assertAllowed(browser, good, credentials)
                for origin in DISGUISES:
                    if origin.isascii() and origin.strip() == origin:
                        browser = client.request(method, headers={"Origin": origin})
                        self.assertAllowed(browser, None, False)
                        self.assertNotIn("Access-Control-Allow-Methods", browser.headers)
                self.assertAllowed(client.request(method), None, False)

    def test_null(self) -> None:
        """
        C{null}, which any page can have as its origin, may read if it is listed, but never with
        cookies.
        """
        client = self.serve(origins=["https://a.example", "null"], credentials=True)
        for method in "GET", "OPTIONS":
            browser = client.request(method, headers={"Origin": "null"})
            self.assertAllowed(browser, "null", False)
