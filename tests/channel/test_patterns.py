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
        The subscribers whose pattern matches the topic are found, whatever its prefix.
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
        A removed subscriber is not found, and removing it twice changes nothing; others with the
        same pattern stay.
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
        and subscribers of the same patterns are added and removed; and never with a pattern of
        another prefix.
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
        A new pattern is found for topics that were looked up before; they are then compared with
        this pattern only.
        """
        self.assertEqual(self.find("shop/1"), set())
        shop, s = Beginning("shop/"), Beginning("s")
        self.patterns.enter(shop, "a")
        self.assertEqual(self.find("shop/1"), {"a"})
        self.patterns.enter(Beginning("blog/"), "c")
        self.patterns.enter(s, "b")
        self.assertEqual(self.find("shop/1"), {"a", "b"})
        self.assertEqual(COMPARED, [(shop, "shop/1"), (s, "shop/1")])

    def test_counted(self) -> None:
        """
        Lookups are counted, separately for topics that had to be compared and for those that did
        not.
        """
        self.patterns.enter(Beginning("shop/"), "a")

        def lookUp(topic: str) -> tuple[int, int]:
            for _ in self.patterns.search(topic):
                pass
            self.find(topic)
            return self.patterns.hits, self.patterns.misses

        counts = [lookUp(topic) for topic in ("shop/1", "shop/1", "shop/2", "shop/1")]
        self.assertEqual(counts, [(0, 1), (1, 1), (1, 2), (2, 2)])
        self.patterns.enter(Beginning("s"), "b")
        self.assertEqual([lookUp("shop/1"), lookUp("shop/1")], [(2, 3), (3, 3)])

    def test_search(self) -> None:
        """
        A search may pause after each pattern; subscribers added or removed meanwhile are found, or
        not, as if it had not paused, and nothing is compared twice.
        """
        self.patch(patterns, "MOST_IDLE", 2)
        kept = [Beginning("shop/", end) for end in ("/1", "", "/2")]
        gone = Beginning("shop", "/1")
        again = Beginning("sho", "/1")
        for number, pattern in enumerate([*kept, gone, again]):
            self.patterns.enter(pattern, f"{number}")
        search = self.patterns.search("shop/x/1")
        for _ in range(4):
            next(search)
        # These are forgotten, and one is learned again.
        for pattern in gone, again, Beginning("other/"):
            self.patterns.enter(pattern, "z")
            for name in "3", "4", "z":
                self.patterns.exit(pattern, name)
        self.patterns.enter(again, "back")
        self.patterns.enter(Beginning("s"), "new")
        for _ in search:
            pass
        self.assertEqual(self.find("shop/x/1"), {"0", "1", "back", "new"})
        count = len(COMPARED)
        self.assertEqual(list(self.patterns.search("shop/x/1")), [])
        self.assertEqual(self.find("shop/x/1"), {"0", "1", "back", "new"})
        self.assertEqual(len(COMPARED), count)

    def test_bounded(self) -> None:
        """
        Patterns without subscribers and cached results are kept up to a limit.
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
        for kept in ("_subscribed", "_idle", "_prefixed", "_found", "_numbers", "_numbered"):
            self.assertLessEqual(len(getattr(self.patterns, kept)), 11, kept)
        self.assertLessEqual(
            set(self.patterns._lengths), {len(each.prefix) for each in self.patterns._subscribed}
        )
        self.assertEqual(self.find("stays/1"), {"a"})

    def test_manyFound(self) -> None:
        """
        Results are cached for fewer topics if many patterns match each.
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
        self.assertEqual(list(self.patterns._found), [*topics[-4:], "new"])

    def test_longTopics(self) -> None:
        """
        Long topics are remembered up to a limit in bytes, and others are still found.
        """
        self.patch(patterns, "MOST_CHARACTERS", 100)
        self.patterns.enter(Beginning("shop/"), "a")
        for number in range(10):
            self.assertEqual(self.find(f"shop/{number}" + "x" * 30), {"a"})
            self.assertLessEqual(sum(map(len, self.patterns._found)), 100)
            self.patterns.enter(Beginning(f"shop/{number}", "y"), "b")
        self.assertEqual(len(self.patterns._found), 2)
        self.assertEqual(self.find("shop/" + "x" * 200), {"a"})
        self.assertEqual(len(self.patterns._found), 1)
        self.assertEqual(self.find("shop/1"), {"a"})
        self.assertEqual(list(self.patterns._found), ["shop/1"])
