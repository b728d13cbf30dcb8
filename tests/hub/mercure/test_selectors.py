"""
Tests for L{twisted_sse.hub.mercure.selectors}.
"""

from __future__ import annotations

import re
import time
import tracemalloc
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support.documents import read
from tests.support.vectors import mercureCases
from twisted_sse.hub.mercure.selectors import InvalidSelector, Selector, matcher, selector

HUB = "https://hub.example/.well-known/mercure"

PIECES = [
    "a",
    "b",
    "/",
    "*",
    "{x}",
    "{+y}",
    "{/z*}",
    "{",
    ":id",
    "urn",
    ":",
    "https://x",
    "é",
    "%41",
]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=5).map("".join)
TOPICS = st.lists(st.sampled_from(["a", "b", "/", "*", ":", "urn", "https://x", "%41"]), max_size=6)


class SelectorTests(SynchronousTestCase):
    """
    Tests for L{selector}, of 0.x.
    """

    def test_observed(self) -> None:
        """
        A selector matches the topics that the deployed hub delivers.
        """
        for case in mercureCases("matching"):
            self.assertEqual(case["recommend"], "as observed")
            sent = case["input"]
            if "selector" in sent:
                delivered = selector(sent["selector"]).matches(sent["topic"])
                self.assertIs(delivered, case["observed"]["delivered"], case["name"])
            else:
                delivered = any(
                    selector(text).matches(topic)
                    for text in sent["selectors_of_one_connection"]
                    for topic in sent["topics_of_the_update"]
                )
                self.assertEqual(int(delivered), case["observed"]["copies"], case["name"])

    def test_everything(self) -> None:
        """
        C{*} is the only selector for everything.
        """
        everything = selector("*")
        self.assertTrue(everything.isEverything)
        self.assertIsNone(everything.exact)
        self.assertEqual(everything.prefix, "")
        for topic in ["", "*", "a\nb", "\ud800", "x" * 100_000]:
            self.assertTrue(everything.matches(topic))
        for text in ["**", " *", "*/", "{+x}", ""]:
            self.assertFalse(selector(text).isEverything)

    def test_exact(self) -> None:
        """
        Text that is not a template is a topic, whatever its content and length.
        """
        for text in [
            "urn:a",
            "",
            "a{",
            "{a b}",
            "\ud800{x}",
            "a\0\n",
            "x" * 100_000,
            "{" * 100_000,
        ]:
            found = selector(text)
            self.assertEqual((found.exact, found.prefix), (text, text))
            self.assertTrue(found.matches(text))
            self.assertFalse(found.matches(text + "x"))

    def test_template(self) -> None:
        """
        A template has no exact topic; it matches its expansions, and itself.
        """
        books = selector("https://example.com/{kind}/{id}")
        self.assertIsNone(books.exact)
        self.assertEqual(books.prefix, "https://example.com/")
        self.assertTrue(books.matches("https://example.com/books/1"))
        self.assertTrue(books.matches("https://example.com/{kind}/{id}"))
        self.assertFalse(books.matches("https://example.com/{kind}/1"))

    def test_tooLarge(self) -> None:
        """
        A template that is too large is refused, with the reason.
        """
        error = self.assertRaises(InvalidSelector, selector, "{a}" * 501)
        self.assertEqual(str(error), "the URI template has more than 500 variables")

    @given(TEXTS, TOPICS.map("".join))
    def test_prefix(self, text: str, topic: str) -> None:
        """
        Everything that a selector matches begins with its prefix, or is the selector itself.
        """
        found = selector(text)
        if found.matches(topic):
            self.assertTrue(topic.startswith(found.prefix) or topic == text)
            self.assertIn(found.exact, (None, topic))

    def test_many(self) -> None:
        """
        10,000 selectors are parsed and matched within seconds, and those that are not in use are
        forgotten.
        """
        start = time.process_time()
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        for number in range(10_000):
            found = selector(f"https://example.com/{number}/{{id}}")
            self.assertFalse(found.matches("https://example.com/x/1"))
        self.assertLess(tracemalloc.get_traced_memory()[0], 10 * 2**20)
        self.assertLess(time.process_time() - start, 30)


class MatcherTests(SynchronousTestCase):
    """
    Tests for L{matcher}, of 1.0.
    """

    def test_everything(self) -> None:
        """
        C{*} is everything, whatever the type; C{**} is not.
        """
        for kind in ["exact", "urlpattern", "regexp"]:
            found = matcher(kind, "*", HUB)
            self.assertTrue(found.isEverything)
            self.assertTrue(found.matches("http://["))
        self.assertFalse(matcher("exact", "**", HUB).matches("a"))
        self.assertFalse(matcher("urlpattern", "**", HUB).matches("http://["))
        self.assertFalse(matcher("urlpattern", "**", HUB).isEverything)

    def test_exact(self) -> None:
        """
        An exact matcher compares characters: without templates, a base, or normal forms.
        """
        for text in ["https://example.com/{id}", "/books/:id", "e\u0301", "urn:a%41"]:
            found = matcher("exact", text, HUB)
            self.assertEqual((found.exact, found.prefix, found.text), (text, text, text))
            self.assertTrue(found.matches(text))
        self.assertFalse(
            matcher("exact", "https://example.com/{id}", HUB).matches("https://example.com/1")
        )
        self.assertFalse(matcher("exact", "/a", HUB).matches("https://hub.example/a"))
        self.assertFalse(matcher("exact", "e\u0301", HUB).matches("\u00e9"))

    def test_pattern(self) -> None:
        """
        A URL pattern matches URLs, and not its own text as such.
        """
        books = matcher("urlpattern", "/books/:id(\\d+)", HUB)
        self.assertEqual((books.exact, books.prefix, books.isEverything), (None, "", False))
        self.assertTrue(books.matches("https://hub.example/books/1"))
        self.assertFalse(books.matches("/books/:id(\\d+)"))
        self.assertFalse(books.matches("/books/x"))

    def test_invalid(self) -> None:
        """
        Text that cannot be a matcher raises an error with the reason.
        """
        for kind, text, why in [
            ("regexp", "a", "unknown match type 'regexp': it must be one of exact, urlpattern"),
            ("Exact", "a", "unknown match type 'Exact'"),
            ("topic", "a", "unknown match type 'topic'"),
            ("exact", "", "it is empty"),
            ("urlpattern", "", "it is empty"),
            ("exact", "a\nb", "it contains U+000A, a control character"),
            ("urlpattern", "/a\u200b", "it contains U+200B, an invisible formatting character"),
            ("urlpattern", "(", "the URL pattern is not valid"),
            ("urlpattern", "/" + "a" * 5000, "the URL pattern is longer than 4096 characters"),
        ]:
            error = self.assertRaises(InvalidSelector, matcher, kind, text, HUB)
            self.assertIn(why, str(error))

    def test_base(self) -> None:
        """
        A relative pattern belongs to its hub, even if its compiled form is shared with others.
        """
        for base in [HUB, "https://other.example/hub"]:
            found = matcher("urlpattern", "/a/*", base)
            self.assertIs(found.matches("https://other.example/a/b"), base != HUB)

    @given(st.sampled_from(["exact", "urlpattern"]), TEXTS, TOPICS.map("".join))
    def test_prefix(self, kind: str, text: str, topic: str) -> None:
        """
        Everything that a matcher matches begins with its prefix.
        """
        try:
            found = matcher(kind, text, HUB)
        except InvalidSelector:
            return
        if found.matches(topic):
            self.assertTrue(topic.startswith(found.prefix))
            self.assertIn(found.exact, (None, topic))


class EqualityTests(SynchronousTestCase):
    """
    Tests for comparing selectors.
    """

    def test_kindAndText(self) -> None:
        """
        Selectors are equal if their kind and text are.
        """
        self.assertEqual(selector("a{x}"), selector("a{x}"))
        self.assertEqual(hash(selector("a{x}")), hash(selector("a{x}")))
        self.assertEqual(matcher("urlpattern", "/a/*", HUB), matcher("urlpattern", "/a/*", HUB))
        self.assertNotEqual(selector("a"), selector("b"))
        self.assertNotEqual(selector("a"), matcher("exact", "a", HUB))
        self.assertNotEqual(matcher("exact", "/a", HUB), matcher("urlpattern", "/a", HUB))
        self.assertNotEqual(selector("a"), "a")

    def test_base(self) -> None:
        """
        URL patterns of hubs with different URLs are different, since they match different topics.
        """
        one, same = (matcher("urlpattern", "/books/:id", HUB) for _ in range(2))
        other = matcher("urlpattern", "/books/:id", "https://other.example/hub")
        self.assertEqual((one == same, one == other), (True, False))
        self.assertNotEqual(one, matcher("exact", "/books/:id", HUB))

    def test_repr(self) -> None:
        """
        The repr of a selector shows its kind and text.
        """
        self.assertEqual(repr(Selector("topic", "a")), "<Selector topic 'a'>")


class PageTests(SynchronousTestCase):
    """
    Tests for the tables in the documentation.
    """

    def check(self, heading: str, make: Callable[[str], Selector]) -> None:
        """
        Check that a table lists correctly what is matched.

        @param heading: the text of its first column's heading.
        """
        table = read("ref-topics.md").partition(f"| {heading} | Matches |")[2].partition("\n\n")[0]
        rows = [row.split("|")[1:-1] for row in table.splitlines()[2:]]
        self.assertGreater(len(rows), 5)
        for first, *columns in rows:
            [sent] = re.findall("`(.+?)`", first)
            for column, expected in zip(columns, (True, False), strict=True):
                for topic in re.findall("`(.+?)`", column):
                    self.assertIs(make(sent).matches(topic), expected, (sent, topic))

    def test_selectors(self) -> None:
        """
        The examples of selectors in 0.x are correct.
        """
        self.check("Selector", selector)

    def test_patterns(self) -> None:
        """
        The examples of URL patterns in 1.0 are correct.
        """
        self.check("URL pattern", lambda text: matcher("urlpattern", text, HUB))
