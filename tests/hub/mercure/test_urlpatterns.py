r"""
Tests for L{twisted_sse.hub.mercure.urlpatterns}.
"""

from __future__ import annotations

import time
from typing import NoReturn

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from urlpattern import URLPattern

from twisted_sse.hub.mercure import urlpatterns
from twisted_sse.hub.mercure.urlpatterns import (
    LONGEST,
    MOST_GROUPS,
    InvalidPattern,
    Pattern,
    pathOf,
)

HUB = "https://hub.example/.well-known/mercure"

#: Pieces of patterns and topics.
PIECES = [*"/ab:*(){}?+\\|[]^.-#@=&% \t\n\0é", "%41", "%2e", "..", "://", "https", "urn:", "(a)"]
PIECES += [
    "{ }",
    "({2,}",
    "(\\d+)",
    "{/:b}",
    ":id",
    "[::1]",
    ":80",
    "\u202e",
    "\ud800",
    "\U0001f600",
]
PATTERNS = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)

#: Pieces of regular expressions.
REGEXPS = ["a", "-", ".", ".*", "|", "{2}", "+", "?", r"\-", r"\x41", r"\b"]
REGEXPS += [r"\d", r"\D", r"\w", r"\W", r"\s", r"\S", r"[^\d]", r"[\W_]", r"[^\W_]", r"[^\s\x41]"]
REGEXPS += ["[a-c]", "[^a-c]", "[^^]", "[]a]", "[^]a]", "[[^a]]", "[a-z&&[^b]]", "[^a-z&&b]"]
REGEXPS += [
    r"[-\d]",
    r"[\d-]",
    r"[a-c-\d]",
    r"[a\-\d]",
    r"[^a-\d]",
    r"[-\d-\w]",
    r"[+-.]",
    r"[.-a]",
]
REGEXPS += ["[.]", "[^.]", "[[a].]", "[].]", "[^].]", "[^[a].]", r"[[a]\W]", "]", "[^.&&[.a]]"]


class PatternTests(SynchronousTestCase):
    """
    Tests for L{Pattern}.
    """

    def check(self, text: str, fits: list[str], others: list[str], base: str = HUB) -> None:
        """
        Check that a pattern matches some topics, and not others.
        """
        pattern = Pattern(text, base)
        for topic in fits:
            self.assertTrue(pattern.fits(topic), (text, topic))
        for topic in others:
            self.assertFalse(pattern.fits(topic), (text, topic))

    def test_absolute(self) -> None:
        """
        An absolute pattern matches URLs, after they are parsed.
        """
        self.check(
            "https://example.com/books/:id",
            [
                "https://example.com/books/1",
                "HTTPS://EXAMPLE.com:443/books/a%20b",
                "https://example.com/x/../books/1",
                "https://example.com/books/é",
                "https://example.com/books/1?x#y",
                "https://user:password@example.com/books/1",
                "\\\\example.com\\books\\1",
            ],
            [
                "https://example.com/books/",
                "https://example.com/books",
                "https://example.com/books/1/2",
                "https://example.com/Books/1",
                "http://example.com/books/1",
                "https://example.com:8443/books/1",
                "https://example.org/books/1",
                "/books/1",
            ],
        )

    def test_relative(self) -> None:
        """
        Relative patterns and relative topics are resolved against the hub's URL.
        """
        here = ["/books/1", "https://hub.example/books/1", "//hub.example/books/1", "../books/1"]
        self.check("/books/:id", here, ["https://example.com/books/1", "books/1", "urn:books:1"])
        self.check("../books/:id", here, ["books/1"])
        uuid = "urn%3Auuid%3A0b3f5a1e-0000-4000-8000-000000000000"
        path = "/.well-known/mercure/subscriptions/exact"
        self.check(
            f"{path}/:topic/:subscriber", [f"{path}/https%3A%2F%2Fx%2Fy/{uuid}"], [f"{path}/{uuid}"]
        )
        self.check("news-*", ["news-1", "/.well-known/news-2/3"], ["/news-1"])
        self.check(
            "?day=:day", ["?day=monday", "/.well-known/mercure?day=1"], ["?week=1", "/?day=1"]
        )

    def test_otherBase(self) -> None:
        """
        The same pattern has another meaning on another hub.
        """
        base = "http://localhost:8080/hub"
        self.check(
            "/books/:id",
            ["/books/1", "http://localhost:8080/books/1"],
            ["http://localhost/books/1", "https://localhost:8080/books/1"],
            base,
        )

    def test_parts(self) -> None:
        """
        Query and fragment match anything, unless the pattern has its own; a port must be explicit.
        """
        self.check("/a", ["/a", "/a?b", "/a#c", "/a?b#c"], ["/a/", "/A"])
        self.check("/a?b=:x", ["/a?b=1", "/a?b=1#c"], ["/a", "/a?b=", "/a?c=1"])
        self.check("/a#:x", ["/a#1"], ["/a?b#1", "/a#", "/a"])
        self.check("https://x:*/", ["https://x/", "https://x:99"], ["https://x/y"])
        self.check("https://x:443/", ["https://x/", "https://x:443/"], ["https://x:444/"])
        self.check("http://x:443/", ["http://x:443/"], ["http://x/"])
        self.check(
            "http{s}?://*.x/*", ["http://a.x/", "https://a.b.x/y/z"], ["https://x/y", "ws://a.x/"]
        )

    def test_otherSchemes(self) -> None:
        r"""
        A pattern with its own scheme is absolute, even if such a URL has no slashes.  A colon
        before a letter would begin a name: it needs a backslash.
        """
        uuid = "urn:uuid:0b3f5a1e-0000-4000-8000-000000000000"
        self.check(r"urn\:uuid\:*", [uuid, "URN:uuid:x"], ["urn:isbn:1", "/uuid:x", "uuid:x"])
        self.check("urn:*", [uuid, "urn:"], ["https://hub.example/urn:x", "/urn:x"])
        self.check("foo://bar/*", ["foo://bar/", "foo://bar/x"], ["foo:bar/x", "/x"])
        self.check("urn:uuid:*", [], [uuid])

    def test_regularExpressions(self) -> None:
        """
        Groups may be regular expressions, with classes, repetitions and alternatives; they match the
        whole group.
        """
        self.check(r"/(\d+)", ["/1", "/12"], ["/", "/a", "/1a", "/\u0661", "/1/2"])
        self.check(r"/a/:id(\d+)?", ["/a/1", "/a", "/a/123"], ["/a/b", "/a/"])
        self.check(r"/(\w+)-([^-]*)", ["/a_1-b", "/a-"], ["/-b", "/é-b"])
        self.check(r"/([\w.-]{2,3})", ["/a.", "/a-1"], ["/a", "/a.-1", "/a!"])
        self.check("/(a|b)/((?:c|d)+)", ["/a/cd"], ["/a/e", "/ab/c"])
        self.check("/((?i:a)b)", ["/ab", "/Ab"], ["/AB"])
        self.check("/((?<n>a)(?i-s:b)(?:c))", ["/abc", "/aBc"], ["/Abc"])
        self.check(r"/(\(?a\)?)", ["/(a)", "/a"], ["/b"])
        self.check(r"/(\D\W\S)", ["/a-b"], ["/1-b", "/abb"])
        self.check(r"/([^\d])", ["/a"], ["/1", "/ab"])
        self.check(
            "/([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})",
            ["/0b3f5a1e-0000-4000-8000-000000000000"],
            ["/0b3f5a1e-0000-4000-8000-00000000000", "/0b3f5a1e-0000-4000-8000-00000000000g"],
        )
        self.check(r"/\(\d\)", ["/(d)"], ["/1", "/(1)"])

    def test_dotsInClasses(self) -> None:
        """
        A dot in a class is only a dot, even in a nested class.
        """
        for regexp in ["[.]", "[[a].]", "[].]", "[[a]&&[b].]|[.]"]:
            self.check(f"/x({regexp})", ["/x."], ["/xb", "/x-"])
        self.check("/x([^].])", ["/xb"], ["/x.", "/x]"])

    def test_case(self) -> None:
        """
        Patterns are case-sensitive, except for scheme and host.
        """
        self.check("https://Example.com/A", ["https://EXAMPLE.COM/A"], ["https://example.com/a"])

    def test_noURL(self) -> None:
        """
        Text that is not a URL matches no pattern, and raises no error.
        """
        for topic in [
            "http://[",
            "//",
            "https://a b/",
            "http://x:99999/",
            "https://x%00/",
            "\ud800",
        ]:
            for text in ["*://*:*/*", "/*", "*:*", "https://*"]:
                self.check(text, [], [topic])

    def test_strangeCharacters(self) -> None:
        """
        Non-ASCII characters are percent-encoded on both sides; the URL parser drops tabs, line ends
        and surrounding spaces.
        """
        self.check("/é", ["/é", "/%C3%A9"], ["/e\u0301", "/É"])
        self.check("/a/:b", ["/a/\u202e", "/a/b\0", " /a/b", "/\na/\tb\n"], ["/a/"])
        self.check("https://é.example/*", ["https://xn--9ca.example/", "https://É.example/"], [])

    def test_invalid(self) -> None:
        """
        Every pattern that cannot be compiled has the same message, without details of the library.
        """
        for text in [
            "(",
            "{",
            "/{a",
            "/a}",
            "/\\",
            "/:a/:a",
            "/(?=a)",
            "/(?<!a)",
            r"/(\1)",
            "({ }",
            "/({ , }){,}",
            "/((a+)+)",
            "/(é)",
            "/([)",
            "https://[",
            "https://a b/",
            "\ud800",
        ]:
            error = self.assertRaises(InvalidPattern, Pattern, text, HUB)
            self.assertEqual(str(error), "the URL pattern is not valid", text)

    def test_panic(self) -> None:
        """
        If the library panics, which is not an C{Exception} in Python, a pattern is invalid, and a
        topic does not match.
        """
        panic = type("PanicException", (BaseException,), {"__module__": "pyo3_runtime"})

        class Panicking:
            def __init__(self, *arguments: str) -> None:
                if arguments[0] == "/panic":
                    raise panic("index out of bounds")

            def test(self, *arguments: str) -> NoReturn:
                raise panic("index out of bounds")

            exec = test

        self.patch(urlpatterns, "URLPattern", Panicking)
        self.patch(urlpatterns, "_EVERY", Panicking("x"))
        self.assertRaises(InvalidPattern, Pattern, "/panic", HUB)
        self.assertFalse(Pattern("/other", HUB).fits("/other"))
        self.assertIsNone(pathOf("/other", HUB))

    def test_otherExceptions(self) -> None:
        """
        Exceptions that interrupt the program are passed on.
        """

        def interrupted(*arguments: str) -> NoReturn:
            raise KeyboardInterrupt

        self.patch(urlpatterns, "URLPattern", interrupted)
        self.assertRaises(KeyboardInterrupt, Pattern, "/x", HUB)

    @given(PATTERNS, st.lists(PATTERNS, max_size=3))
    def test_anything(self, text: str, topics: list[str]) -> None:
        """
        Any text is either a pattern or invalid; and it either matches a topic or does not.
        """
        try:
            pattern = Pattern(text, HUB)
        except InvalidPattern:
            return
        for topic in [text, *topics]:
            self.assertIsInstance(pattern.fits(topic), bool)

    def test_length(self) -> None:
        """
        A pattern that is too long is refused.
        """
        self.check("/" + "a" * (LONGEST - 1), [], ["/"])
        error = self.assertRaises(InvalidPattern, Pattern, "/" + "a" * LONGEST, HUB)
        self.assertIn("longer than 4096", str(error))

    def test_groups(self) -> None:
        """
        A pattern with too many names, wildcards and regular expressions is refused; a port, the
        scheme and escaped characters do not count.
        """
        names = "".join(f"{{:n{number}}}x" for number in range(MOST_GROUPS))
        self.check(f"https://x:8443/{names}", ["https://x:8443/" + "ax" * MOST_GROUPS], [])
        self.check("/" + r"\*\(" * 30, ["/" + "*(" * 30], [])
        for more in ["*", ":more", "(a)", ":$"]:
            error = self.assertRaises(InvalidPattern, Pattern, f"/{names}{more}", HUB)
            self.assertIn("more than 20 names", str(error))

    def test_cost(self) -> None:
        """
        A regular expression that would need much memory is refused before it is compiled: large
        repetitions, also in groups that are repeated themselves.
        """
        start = time.process_time()
        for regexp in [
            "a{500}b",
            ".{501}",
            "[^a]{501}",
            r"[\w-]{501}",
            "[[^a]]{51}",
            r"[\x{0}-\x{10FFFF}]{51}",
            "(?i:a{126})",
            "(?i-s:a{126})",
            "(?:a{23}){23}",
            "(?:(?:a{8}){8}){8}",
            "(?:a{0,9}{9}){,9}{9,99}",
            "(?:[a-z]{2,}){300}",
            "a{999999999999999999999}",
            "a{ , 501 }",
            "[^a]" * 501,
            r"\w" * 501,
            r"[[a]\w]\d",
            r"[\w][[a]\d]",
        ]:
            error = self.assertRaises(InvalidPattern, Pattern, f"/({regexp})", HUB)
            self.assertIn("too large", str(error), regexp)
        self.assertLess(time.process_time() - start, 5)
        error = self.assertRaises(InvalidPattern, Pattern, r"/(\p{L})", HUB)
        self.assertIn(r"\p", str(error))

    def test_allowedCost(self) -> None:
        """
        The most expensive allowed regular expressions compile in milliseconds.
        """
        for regexp in [
            r"\w{250}" * 2,
            ".{500}",
            "[^a]{499}",
            r"\W{499}",
            r"[^\w\-]{499}",
            "[[^a]]{43}",
            "(?:(?:a{7}){7}){7}",
            r"(?i:[^k]{124})",
            r"(?-i:\w{124})",
        ]:
            start = time.process_time()
            for _ in range(10):
                Pattern(f"/({regexp})", HUB)
            # Such an expression with the library's own \w takes 80 ms, and then exceeds its limit.
            self.assertLess((time.process_time() - start) / 10, 0.04, regexp)

    @given(
        st.lists(
            st.sampled_from(REGEXPS),
            max_size=5,
        ).map("".join),
        st.lists(st.sampled_from([*"aabcz-_.~1!*AZ@", "%20", "%C3%A9"]), max_size=4).map("".join),
    )
    def test_reduced(self, regexp: str, topic: str) -> None:
        """
        The matches of a regular expression stay the same when it is reduced to ASCII.
        """
        try:
            expected = URLPattern(f"/({regexp})", HUB).test(f"/{topic}", HUB)
        except ValueError:
            self.assertRaises(InvalidPattern, Pattern, f"/({regexp})", HUB)
            return
        try:
            pattern = Pattern(f"/({regexp})", HUB)
        except InvalidPattern as e:
            # Two of the Unicode classes that are not reduced.
            self.assertIn("too large", str(e))
        else:
            self.assertIs(pattern.fits(f"/{topic}"), expected)

    def test_linear(self) -> None:
        """
        Patterns that are exponential for a backtracking matcher take milliseconds.
        """
        start = time.process_time()
        for text in [
            "/((?:a+)+)b",
            "/((?:a|a)*)((?:a|a)*)((?:a|a)*)b",
            "/" + "{:a}*" + "*b" * 17,
            "/((?:.*a){18})",
            "/((?:a|b)*a(?:a|b){70})",
            "/" + "".join(f"{{:n{number}}}b" for number in range(MOST_GROUPS)),
        ]:
            pattern = Pattern(text, HUB)
            for topic in ["/" + "a" * 100_000, "/" + "ab" * 50_000, "/" + "b" * 100_000]:
                pattern.fits(topic)
        # A matcher that is not linear would need years.
        self.assertLess(time.process_time() - start, 60)


class PathTests(SynchronousTestCase):
    """
    Tests for L{pathOf}.
    """

    def test_resolved(self) -> None:
        """
        A topic is resolved as browsers resolve a link on the hub's page.
        """
        for topic, path in [
            ("", "/.well-known/mercure"),
            ("a", "/.well-known/a"),
            ("/a/./b/../c", "/a/c"),
            ("//host/a", "/a"),
            ("https:a", "/.well-known/a"),
            ("http:a", "/"),
            ("foo:/a/../b", "/b"),
            ("urn:a:b", "a:b"),
            ("\\a\\b", "/a/b"),
            (" /a\nb\t", "/ab"),
            ("/%61/é", "/%61/%C3%A9"),
            ("http://[", None),
            ("\ud800", None),
        ]:
            self.assertEqual(pathOf(topic, HUB), path, topic)
