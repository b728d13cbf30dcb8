"""
Tests for L{twisted_sse.guard.targets}: methods and targets of requests.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from twisted_sse.guard.targets import BadTarget, Target, isMethod, isTarget, readTarget


class TargetTests(SynchronousTestCase):
    """
    Tests for targets.
    """

    def test_origin(self) -> None:
        """
        A path is used unchanged.
        """
        for target in b"/", b"/a/b%20c?d=e&f", b"//a", b'/"<>{}|^`', b"*":
            self.assertEqual(readTarget(target), Target(None, target))

    def test_absolute(self) -> None:
        """
        A URL contains the host and the path: RFC 9112, 3.2.2.
        """
        for target, host, uri in (
            (b"http://a/b?c", b"a", b"/b?c"),
            (b"HTTPS://a.example:8443/b", b"a.example:8443", b"/b"),
            (b"http://[::1]:80/", b"[::1]:80", b"/"),
            (b"http://a", b"a", b"/"),
            (b"http://a?b", b"a", b"/?b"),
            (b"http://a/b@c", b"a", b"/b@c"),
        ):
            self.assertEqual(readTarget(target), Target(host, uri))

    def test_bad(self) -> None:
        """
        Anything else is refused.
        """
        for target in (
            b"",
            b"a",
            b"a:80",
            b"\x9fpage/page.js",
            b"/\xe9",
            b"/\0",
            b"/a b",
            b"/\x7f",
            b"http://",
            b"http:///a",
            b"http://user@a/",
            b"http://a/#b",
            b"ftp://a/",
            b"**",
        ):
            self.assertRaises(BadTarget, readTarget, target)

    def test_isTarget(self) -> None:
        """
        A target consists of visible ASCII characters.
        """
        self.assertTrue(isTarget(b"/a"))
        for target in b"", b"/ ", b"/\x80", b"/\n":
            self.assertFalse(isTarget(target))

    def test_isMethod(self) -> None:
        """
        A method is a token: RFC 9110, 5.6.2.
        """
        for method in b"GET", b"get", b"M-SEARCH", b"!#$%&'*+-.^_`|~0":
            self.assertTrue(isMethod(method))
        for method in b"", b"G T", b"G\x9fT", b"G(T", b"GET\n":
            self.assertFalse(isMethod(method))
