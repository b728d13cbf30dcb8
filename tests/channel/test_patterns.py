"""
Tests for L{twisted_sse.channel.patterns}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.support.choices import COMPARED, Beginning
from twisted_sse.channel import patterns
from twisted_sse.channel.patterns import Patterns


class PatternsTests(SynchronousTestCase):
    """
    Tests for L{Patterns}.
    """

    def setUp(self) -> None:
        """
        Begin without subscribers.
        """
        self.patterns: Patterns[str] = Patterns()
        COMPARED.clear()

    def find(self, topic: str) -> set[str]:
        """
        Find the subscribers of a topic.
        """
        return {each for subscribed in self.patterns.matching(topic) for each in subscribed}

    def test_matching(self) -> None:
        """
        Those are found whose pattern matches the topic, whatever its prefix.
        """
        for name, pattern in [
            ("all", Beginning("")),
            ("shop", Beginning("shop/")),
            ("order", Beginning("shop/order/")),
            ("paid", Beginning("shop/order/", "/paid")),
            ("too", Beginning("shop/order/", "/paid")),
            ("blog", Beginning("blog/")),
        ]:
            self.patterns.enter(pattern, name)
        self.assertEqual(self.find("shop/order/7/paid"), {"all", "shop", "order", "paid", "too"})
        self.assertEqual(self.find("shop/x"), {"all", "shop"})
        self.assertEqual(self.find("sho"), {"all"})
        self.assertEqual(self.find(""), {"all"})

    def test_exit(self) -> None:
        """
        One that has left is not found, and leaving twice changes nothing; those of the same pattern
        stay.
        """
        shop = Beginning("shop/")
        self.patterns.enter(shop, "a")
        self.patterns.enter(shop, "b")
        self.assertEqual(self.find("shop/1"), {"a", "b"})
        self.patterns.exit(shop, "a")
        self.patterns.exit(shop, "a")
        self.patterns.exit(Beginning("never"), "a")
        self.assertEqual(self.find("shop/1"), {"b"})
        self.assertTrue(self.patterns)
        self.patterns.exit(shop, "b")
        self.assertEqual(self.find("shop/1"), set())
        self.assertFalse(self.patterns)

    def test_comparedOnce(self) -> None:
        """
        A topic is compared once with each pattern that may match it, however often it is looked up
        and subscribers of the same patterns come and go; and never with one of another prefix.
        """
        shop, blog = Beginning("shop/"), Beginning("blog/")
        for round in range(3):
            self.patterns.enter(shop, "a")
            self.patterns.enter(blog, "b")
            self.assertEqual(self.find("shop/1"), {"a"}, round)
            self.patterns.exit(shop, "a")
            self.assertEqual(self.find("shop/1"), set())
            self.patterns.exit(blog, "b")
        self.assertEqual(COMPARED, [(shop, "shop/1")])

    def test_newPattern(self) -> None:
        """
        A pattern that nobody had before is found for topics that were looked up already.
        """
        self.assertEqual(self.find("shop/1"), set())
        self.patterns.enter(Beginning("shop/"), "a")
        self.assertEqual(self.find("shop/1"), {"a"})
        self.patterns.enter(Beginning("s"), "b")
        self.assertEqual(self.find("shop/1"), {"a", "b"})

    def test_bounded(self) -> None:
        """
        What nobody subscribes to any more, and what was found, is kept up to a limit.
        """
        self.patch(patterns, "MOST_IDLE", 10)
        self.patch(patterns, "MOST_TOPICS", 10)
        stays = Beginning("stays/")
        self.patterns.enter(stays, "a")
        for number in range(100):
            pattern = Beginning(f"{'x' * (number % 7)}{number}/")
            self.patterns.enter(pattern, "b")
            self.find(f"{number}/1")
            self.find("stays/1")
            self.patterns.exit(pattern, "b")
        for kept in ("_subscribed", "_idle", "_prefixed", "_found"):
            self.assertLessEqual(len(getattr(self.patterns, kept)), 11, kept)
        self.assertLessEqual(
            set(self.patterns._lengths), {len(each.prefix) for each in self.patterns._subscribed}
        )
        self.assertEqual(self.find("stays/1"), {"a"})

    def test_manyFound(self) -> None:
        """
        What was found is kept for fewer topics if many patterns match each.
        """
        self.patch(patterns, "MOST_FOUND", 100)
        names = {"x" * length for length in range(1, 21)}
        for name in names:
            self.patterns.enter(Beginning(name), name)
        topics = [f"{'x' * 20}{number}" for number in range(10)]
        for topic in topics:
            self.assertEqual(self.find(topic), names)
        self.assertEqual(list(self.patterns._found), topics[-5:])
        self.patterns.enter(Beginning("new"), "new")
        self.assertEqual(self.find("new"), {"new"})
        self.assertEqual(self.find(topics[-1]), names)

    def test_learning(self) -> None:
        """
        When there is a new pattern, a topic that was looked up is compared with it, and with no other.
        """
        one, other, blog = Beginning("shop/"), Beginning("s"), Beginning("blog/")
        self.patterns.enter(one, "a")
        self.find("shop/1")
        for pattern, name in (other, "b"), (blog, "c"):
            self.patterns.enter(pattern, name)
        self.assertEqual(self.find("shop/1"), {"a", "b"})
        self.assertEqual(self.find("shop/1"), {"a", "b"})
        self.assertEqual(COMPARED, [(one, "shop/1"), (other, "shop/1")])

    def test_steps(self) -> None:
        """
        With many patterns a topic is compared with some of them in each step; those that come or go
        meanwhile count, and then it is known.
        """
        self.patch(patterns, "STEP", 10)
        self.patch(patterns, "MOST_IDLE", 4)
        for number in range(50):
            self.patterns.enter(Beginning("", f"{number}"), f"{number}")
        steps = self.patterns.look("x7")
        for _ in range(2):
            next(steps)
        self.assertEqual(len(COMPARED), 20)
        self.patterns.enter(Beginning("x"), "new")
        for number in range(7, 12):
            self.patterns.exit(Beginning("", f"{number}"), f"{number}")
        self.patterns.enter(Beginning("", "07"), "other")
        for _ in steps:
            pass
        COMPARED.clear()
        self.assertEqual(self.find("x7"), {"new"})
        self.assertEqual(COMPARED, [])
        self.assertEqual(list(self.patterns.look("x7")), [])

    def test_fewSteps(self) -> None:
        """
        With few patterns, and for a topic that is too long to be remembered, nothing is done before.
        """
        self.patterns.enter(Beginning(""), "a")
        self.assertEqual(list(self.patterns.look("x")), [])
        self.patch(patterns, "STEP", 0)
        self.assertEqual(list(self.patterns.look("x" * (patterns.LONGEST_TOPIC + 1))), [])
        self.assertEqual(COMPARED, [])

    def test_longTopic(self) -> None:
        """
        A topic that is too long to be remembered is found all the same.
        """
        self.patterns.enter(Beginning("shop/"), "a")
        topic = "shop/" + "x" * patterns.LONGEST_TOPIC
        self.assertEqual(self.find(topic), {"a"})
        self.assertEqual(self.patterns._found, {})
