"""
Tests for L{twisted_sse.hub.mercure.grants}.
"""

from __future__ import annotations

import sys

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_sse.hub.mercure.grants import CACHED, LONGEST_CACHED, Grants
from twisted_sse.hub.mercure.selectors import matcher, selector

HUB = "https://hub.example/.well-known/mercure"

TEXTS = st.sampled_from(["*", "a", "b", "a/{x}", "{x}", "{+x}", "{?x}", "", "b/{/y}"])
TOPICS = st.sampled_from(["a", "b", "a/1", "a/b/c", "", "?x", "b/", "b//1", "{x}", "\n", "c" * 600])


class GrantsTests(SynchronousTestCase):
    """
    Tests for L{Grants}.
    """

    @given(st.lists(TEXTS), st.lists(TOPICS))
    def test_permits(self, texts: list[str], topics: list[str]) -> None:
        """
        A topic is granted if a selector matches it, whether it was asked for before or not.
        """
        selectors = [selector(text) for text in texts]
        grants = Grants(selectors)
        for _ in range(2):
            for topic in topics:
                expected = any(each.matches(topic) for each in selectors)
                self.assertIs(grants.permits(topic), expected)
            self.assertIs(grants.permitsAny(topics), any(map(grants.permits, topics)))

    def test_nothing(self) -> None:
        """
        Without selectors nothing is granted.
        """
        self.assertFalse(Grants())
        self.assertFalse(Grants().permits("a"))
        self.assertFalse(Grants().permitsAny(["a"]))
        self.assertFalse(Grants([selector("*")]).permitsAny([]))

    def test_both(self) -> None:
        """
        Matchers of 1.0 are selectors like any other.
        """
        grants = Grants([matcher("urlpattern", "/a/*", HUB), matcher("exact", "urn:x", HUB)])
        self.assertTrue(grants.permits("https://hub.example/a/b"))
        self.assertTrue(grants.permits("urn:x"))
        self.assertFalse(grants.permits("urn:y"))

    def test_ofASelector(self) -> None:
        """
        A grant of a selector's own text covers the selector, as if it was a topic.
        """
        self.assertTrue(Grants([selector("a/{x}")]).permits("a/{x}"))
        self.assertTrue(Grants([selector("*")]).permits("a/{x}"))
        self.assertFalse(Grants([selector("a/1")]).permits("a/{x}"))

    def test_equality(self) -> None:
        """
        Grants are equal if their selectors are, in any order, so that equal tokens can share them.
        """
        a, b = selector("a"), selector("b/{x}")
        self.assertEqual(Grants([a, b]), Grants([b, a, a]))
        self.assertEqual(hash(Grants([a, b])), hash(Grants([b, a, a])))
        self.assertEqual(Grants([a, b, a]).selectors, (a, b))
        self.assertNotEqual(Grants([a]), Grants([b]))
        self.assertNotEqual(Grants([a]), [a])
        self.assertEqual(repr(Grants([a])), "<Grants topic 'a'>")

    def test_bounded(self) -> None:
        """
        However many topics are asked for, and however long they are, little is kept.
        """
        grants = Grants([selector("a{x}")])
        for number in range(CACHED * 3):
            grants.permits(f"a{number}")
            grants.permits(f"a{number}" + "a" * LONGEST_CACHED)
        known = grants._known
        self.assertLessEqual(len(known), CACHED)
        self.assertLess(sum(map(sys.getsizeof, known)), CACHED * (LONGEST_CACHED + 100))

    def test_many(self) -> None:
        """
        A grant of 10,000 topics is not slower than one of one.
        """
        grants = Grants(selector(f"urn:{number}") for number in range(10_000))
        self.assertTrue(grants.permits("urn:9999"))
        self.assertFalse(grants.permits("urn:10000"))
