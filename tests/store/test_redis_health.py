"""
Tests for L{twisted_sse.store.redis.health}.
"""

from __future__ import annotations

from twisted.logger import LogEvent, eventAsText, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from twisted_sse.store.redis.health import Health
from twisted_sse.store.redis.link import Server


class HealthTests(SynchronousTestCase):
    """
    Tests for L{Health}.
    """

    def setUp(self) -> None:
        """
        Watch the log.
        """
        self.logged: list[LogEvent] = []
        globalLogPublisher.addObserver(self.logged.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.logged.append)
        self.health = Health("redis://host")

    def assertSaid(self, *expected: str) -> None:
        """
        Assert the log messages.
        """
        lines = [eventAsText(event, includeTimestamp=False) for event in self.logged]
        self.logged.clear()
        self.assertEqual([line.partition("] ")[2] for line in lines], list(expected))

    def test_away(self) -> None:
        """
        An unreachable server is logged once, and so is its recovery.
        """
        self.health.setAway(None)
        self.assertSaid()
        for why in "one", "two", "two":
            self.health.setAway(why)
            self.assertEqual(self.health.problem(), f"redis://host cannot be reached: {why}")
        self.assertSaid("Cannot reach redis://host: one")
        for _ in range(2):
            self.health.setAway(None)
            self.assertIsNone(self.health.problem())
        self.assertSaid("Connected to redis://host again")

    def test_stored(self) -> None:
        """
        Failures to store events, and their end, are logged once, too.
        """
        for why in "one", "two":
            self.health.unstored(why, None)
            self.assertEqual(self.health.problem(), f"events are not stored: {why}")
        self.assertSaid("redis://host: events are not stored: one")
        for _ in range(2):
            self.health.stored("a")
            self.assertIsNone(self.health.problem())
        self.assertSaid("redis://host: events are stored again")
        self.assertEqual((self.health.appends, self.health.errors), (2, 2))

    def test_storedElsewhere(self) -> None:
        """
        A problem with one stream is logged once, too, regardless of events in others, until it is
        solved or the stream is closed.
        """
        for end in self.health.stored, self.health.closed:
            for _ in range(3):
                self.health.unstored("why", "a")
                self.health.stored("b")
                self.assertEqual(self.health.problem(), "events of a are not stored: why")
            self.assertSaid("redis://host: events of a are not stored: why")
            end("a")
            self.assertIsNone(self.health.problem())
            self.logged.clear()

    def test_followed(self) -> None:
        """
        A stream that cannot be read is logged once, too.
        """
        for _ in range(2):
            self.health.followed("a", "why")
        self.health.followed("b", "other")
        self.assertEqual(self.health.problem(), "a cannot be read: why")
        self.health.followed("a", None)
        self.assertEqual(self.health.problem(), "b cannot be read: other")
        for _ in range(2):
            self.health.followed("b", None)
        self.assertIsNone(self.health.problem())
        self.assertSaid(
            "redis://host: a cannot be read: why",
            "redis://host: b cannot be read: other",
            "redis://host: a can be read again",
            "redis://host: b can be read again",
        )

    def test_skip(self) -> None:
        """
        Of each stream one invalid entry is logged.
        """
        for key in "a", "a", "b", "a":
            self.health.skip(key, "1-0", "why")
        rest = " is not an event: why. It is skipped; further ones are skipped without a log line"
        self.assertSaid(f"a: the entry 1-0{rest}", f"b: the entry 1-0{rest}")
        self.assertEqual(self.health.skipped, 4)

    def test_policy(self) -> None:
        """
        A policy that evicts whole streams causes a warning, once for each change.
        """
        for policy, isTold in (
            ("noeviction", False),
            ("volatile-lru", False),
            ("allkeys-lru", True),
            ("allkeys-lru", False),
            ("", False),
            ("allkeys-random", True),
        ):
            self.health.reached(Server(f"maxmemory_policy:{policy}\r\n".encode()))
            self.assertEqual(len(self.logged), isTold, policy)
            self.logged.clear()
