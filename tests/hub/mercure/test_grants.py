"""
Tests for L{twisted_sse.hub.mercure.grants}.
"""

from __future__ import annotations

import sys

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_sse.hub.mercure.grants import (
    CACHED,
    CACHED_UPDATES,
    LONGEST_CACHED,
    MANY_TOPICS,
    Grants,
)
from twisted_sse.hub.mercure.selectors import Selector, matcher, selector
from twisted_sse.hub.mercure.templates import template

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
        A topic is granted if a selector matches it, whether or not it was looked up before.
        """
        selectors = [selector(text) for text in texts]
        grants = Grants(selectors)
        for _ in range(2):
            for topic in topics:
                expected = any(each.matches(topic) for each in selectors)
                self.assertIs(grants.permits(topic), expected)
            some = frozenset(topics)
            self.assertIs(grants.permitsAny(some), any(map(grants.permits, some)))

    def test_nothing(self) -> None:
        """
        Without selectors nothing is granted.
        """
        self.assertFalse(Grants())
        self.assertFalse(Grants().permits("a"))
        self.assertFalse(Grants().permitsAny(frozenset("a")))
        self.assertFalse(Grants([selector("*")]).permitsAny(frozenset()))

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
        A grant with a selector's own text covers the selector, as if it were a topic.
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
        However many topics are looked up, and however long they are, little is cached.
        """
        grants = Grants([selector("a{x}")])
        for number in range(CACHED * 3):
            grants.permits(f"a{number}")
            grants.permits(f"a{number}" + "a" * LONGEST_CACHED)
        known = grants._known
        self.assertLessEqual(len(known), CACHED)
        self.assertLess(sum(map(sys.getsizeof, known)), CACHED * (LONGEST_CACHED + 100))

    def test_manyTopics(self) -> None:
        """
        The permission to read an update with many topics is computed once, even if thousands share
        the same grants; results are cached only for updates in use, up to a limit.
        """
        compared: list[str] = []

        class Counting(Selector):
            def matches(self, topic: str) -> bool:
                compared.append(topic)
                return topic == "b5"

        grants = Grants([Counting("topic", "x{y}", template("x{y}"))])
        read = frozenset(f"b{number}" for number in range(MANY_TOPICS))
        unread = frozenset(f"c{number}" * LONGEST_CACHED for number in range(MANY_TOPICS))
        for _ in range(3):
            self.assertTrue(grants.permitsAny(read))
            self.assertFalse(grants.permitsAny(unread))
        self.assertEqual(compared.count("b5"), 1)
        self.assertEqual(sum(topic in unread for topic in compared), MANY_TOPICS)
        del unread
        kept = [
            frozenset(f"d{number}-{each}" for number in range(MANY_TOPICS)) for each in range(99)
        ]
        for topics in kept:
            self.assertFalse(grants.permitsAny(topics))
            self.assertLessEqual(len(grants._updates or ()), CACHED_UPDATES)
        kept.clear()
        self.assertLessEqual(len(grants._updates or ()), 2)

    def test_many(self) -> None:
        """
        A grant of 10,000 topics is as fast as a grant of one.
        """
        grants = Grants(selector(f"urn:{number}") for number in range(10_000))
        self.assertTrue(grants.permits("urn:9999"))
        self.assertFalse(grants.permits("urn:10000"))
