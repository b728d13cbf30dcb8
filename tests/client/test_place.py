"""
Tests for L{twisted_sse.client.place}: URLs, redirects and other parts of a request.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers

from twisted_sse.client.errors import BadRedirect
from twisted_sse.client.place import Place, asHeaders, checkLastEventID, checkMethod


class PlaceTests(SynchronousTestCase):
    """
    Tests for L{Place}.
    """

    def test_uri(self) -> None:
        """
        The URI has neither the URL's fragment nor its user.
        """
        for url, uri in (
            ("http://sse.example", b"http://sse.example/"),
            ("http://sse.example?a=b", b"http://sse.example/?a=b"),
            ("HTTP://sse.example/a#b", b"http://sse.example/a"),
            ("http://me:secret@sse.example:81/a", b"http://sse.example:81/a"),
            ("https://sse.example:443/", b"https://sse.example/"),
            ("http://ünï.example/ä b?ö=%20", b"http://xn--n-nga1b.example/%C3%A4%20b?%C3%B6=%20"),
            ("HTTPS://ünï.example/", b"https://xn--n-nga1b.example/"),
            ("http://sse.example/a\r\nb", b"http://sse.example/a%0D%0Ab"),
            ("http://[::1]:81/a", b"http://[::1]:81/a"),
            ("http://me@[::1]/a", b"http://[::1]/a"),
            ("http://127.0.0.1/", b"http://127.0.0.1/"),
            ("http://my_container:81/", b"http://my_container:81/"),
            ("http://sse.example.:81/", b"http://sse.example.:81/"),
        ):
            self.assertEqual(Place(url).uri, uri)
            self.assertEqual(str(Place(url)), uri.decode("ascii"))

    def test_origin(self) -> None:
        """
        The origin is the scheme, host and port, however they are written.
        """
        origin = Place("http://SSE.example/a").origin
        for url in "HTTP://sse.example:80/b", "http://me@sse.EXAMPLE/":
            self.assertEqual(Place(url).origin, origin)
        for url in "https://sse.example/", "http://sse.example:81/", "http://example/":
            self.assertNotEqual(Place(url).origin, origin)

    def test_authorization(self) -> None:
        """
        User and password become HTTP Basic credentials in UTF-8.
        """
        for url, credentials in (
            ("http://sse.example/", None),
            ("http://@sse.example/", None),
            ("http://me:a:b@sse.example/", b"Basic bWU6YTpi"),
            ("http://me@sse.example/", b"Basic bWU6"),
            ("http://m%C3%BC:%40@sse.example/", b"Basic bcO8OkA="),
            ("http://mü:%40@sse.example/", b"Basic bcO8OkA="),
        ):
            self.assertEqual(Place(url).authorization, credentials)

    def test_none(self) -> None:
        """
        Anything but the URL of a web server raises an error with the reason and the URL.
        """
        for url, why in (
            ("", "must begin with http"),
            ("sse.example", "must begin with http"),
            ("ftp://sse.example/", "must begin with http"),
            ("http:///", "a host"),
            ("http://a b/", "is not a host name"),
            ("http://a..b/", "is not a host name"),
            (f"http://{'a' * 64}.example/", "is not a host name"),
            ("http://a\r\nb/", "is not a host name"),
            ("http://a\0b/", "is not a URL"),
            ("http://ü b.example/", "is not a URL"),
            ("http://[::1/", "is not a URL"),
            ("http://[::g]/", "is not a URL"),
            ("http://sse.example:port/", "is not a URL"),
            ("http://sse.example:0/", "1 to 65535"),
            ("http://sse.example:65536/", "1 to 65535"),
            ("http://sse.example/\ud800", "is not a URL"),
            (b"http://sse.example/", "is not a URL"),
            (None, "is not a URL"),
        ):
            error = self.assertRaises(ValueError, Place, url)
            self.assertIn(why, str(error))
            self.assertIn(repr(url), str(error))

    def test_resolve(self) -> None:
        """
        A redirect is resolved against the current URL, and refused from https to http or to
        anything but a web server.
        """
        place = Place("https://me:secret@sse.example/a/b?c")
        for location, uri in (
            ("d", b"https://sse.example/a/d"),
            ("/d?e#f", b"https://sse.example/d?e"),
            ("//other.example/", b"https://other.example/"),
            ("https://[::1]/", b"https://[::1]/"),
            ("/ä b", b"https://sse.example/%C3%A4%20b"),
            (b"/\xe4".decode("utf-8", "surrogateescape"), b"https://sse.example/%E4"),
        ):
            there = place.resolve(location)
            isOwn = there.origin == place.origin
            credentials = place.authorization if isOwn else None
            self.assertEqual(
                (there.uri, there.authorization, there.isOwn), (uri, credentials, isOwn)
            )
        back = place.resolve("//other.example/").resolve("https://sse.example/")
        self.assertEqual((back.authorization, back.isOwn), (None, False))
        for location in "http://sse.example/", "file:///etc/passwd", "https://a b/":
            error = self.assertRaises(BadRedirect, place.resolve, location)
            self.assertIn("redirects", str(error))

    def test_noQuery(self) -> None:
        """
        Errors do not show the query of a URL, which may have a token in it.
        """
        place = Place("https://sse.example/a?s3cret")
        for location in (
            "http://sse.example/b?s3cret",
            "https://a b/?s3cret",
            "ftp://other.example/?s3cret",
            "https://me:you@other.example/?s3cret",
        ):
            error = self.assertRaises(BadRedirect, place.resolve, location)
            self.assertNotIn("s3cret", f"{error} {error.__cause__}")
        for url in "https://a b/?s3cret", "ftp://a/?s3cret", "http://a:99999/?s3cret":
            self.assertNotIn("s3cret", str(self.assertRaises(ValueError, Place, url)))


class CheckTests(SynchronousTestCase):
    """
    Tests for the checks of the other parts of a request.
    """

    def test_method(self) -> None:
        """
        A method must be an HTTP token.
        """
        for method in "GET", "POST", "get", "M-SEARCH":
            checkMethod(method)
        for bad in "", "GET ", "GE\r\nT", "GÉT", "GET\0", "\ud800":
            self.assertIn(repr(bad), str(self.assertRaises(ValueError, checkMethod, bad)))
        self.assertRaises(TypeError, checkMethod, b"GET")

    def test_lastEventID(self) -> None:
        """
        A last event ID must be one that a server could have sent.
        """
        for lastEventID in "", "1", " ", "\N{SNOWMAN}\N{GRINNING FACE}", "x" * 8192:
            checkLastEventID(lastEventID)
        for bad in "a\0", "a\rb", "\n", "\ud83d":
            self.assertIn(repr(bad), str(self.assertRaises(ValueError, checkLastEventID, bad)))
        for other in 7, b"7", None:
            self.assertRaises(TypeError, checkLastEventID, other)
        for long in "x" * 8193, "\N{SNOWMAN}" * 2731:
            self.assertIn("8192", str(self.assertRaises(ValueError, checkLastEventID, long)))

    def test_headers(self) -> None:
        """
        Headers may be given in several forms, and text is encoded as UTF-8.
        """
        given: list[Any] = [
            {"X-Names": ["ä", b"\xff"], "x-one": "1"},
            {"X-NAMES": ("ä", b"\xff"), "X-One": b"1"},
            Headers({b"x-names": ["ä".encode(), b"\xff"], b"x-one": [b"1"]}),
        ]
        expected = {b"X-Names": [b"\xc3\xa4", b"\xff"], b"X-One": [b"1"]}
        for fields in given:
            self.assertEqual(dict(asHeaders(fields).getAllRawHeaders()), expected)
        self.assertIsNot(asHeaders(given[2]), given[2])
        self.assertEqual(list(asHeaders(None).getAllRawHeaders()), [])

    def test_badHeaders(self) -> None:
        """
        A bad header raises an error with its name but not its value, which may be a secret.
        """
        for name in "", "X Y", "X:", "Ä", "X\r\nY":
            error = self.assertRaises(ValueError, asHeaders, {name: "secret"})
            self.assertIn(repr(name), str(error))
            self.assertNotIn("secret", str(error))
        for value in "secret\r\nX: y", "secret\n", "secret\0":
            error = self.assertRaises(ValueError, asHeaders, {"X-Name": value})
            self.assertIn("X-Name", str(error))
            self.assertNotIn("secret", str(error))
        for fields in {"X-Name": 7}, {"X-Name": [7]}, {7: "x"}, [("X-Name", "x")], "X-Name: x":
            self.assertIn("header", str(self.assertRaises(TypeError, asHeaders, fields)))
