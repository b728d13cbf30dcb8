"""
Tests that the store in Redis fulfils the contract of stores, with a real server.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

from tests.support.redis_server import RedisTestCase
from tests.support.requirements import needs
from twisted_sse.store import EventStore, RedisStore
from twisted_sse.testing.stores import (
    AwayStoreTests,
    EventStoreTests,
    FailingStoreTests,
    LimitedStoreTests,
)


@needs("network", "redis")
class RedisStoreTests(
    EventStoreTests, LimitedStoreTests, FailingStoreTests, AwayStoreTests, RedisTestCase
):
    """
    Tests for a store in Redis.
    """

    def setUp(self) -> object:
        """
        Start the server.
        """
        self._numbers = count()
        return super().setUp()

    def makeStore(self) -> EventStore:
        """
        Make a store with a new prefix.
        """
        return self.makeLimitedStore(10_000)

    def makeLimitedStore(self, maxEvents: int) -> EventStore:
        """
        Make a store that keeps a limited number of events.
        """
        self.prefix = f"{next(self._numbers)}:"
        self.limit = maxEvents
        return self.reopenStore()

    def reopenStore(self, store: EventStore | None = None) -> EventStore:
        """
        Make another store with the same prefix.
        """
        return RedisStore(self.server.url, prefix=self.prefix, timeout=0.5, maxEvents=self.limit)

    def makeAppendsFail(self, store: EventStore) -> Callable[[], object]:
        """
        Fill the server's memory.
        """
        self.server.ask("CONFIG", "SET", "maxmemory", "1")
        return lambda: self.server.ask("CONFIG", "SET", "maxmemory", "0")

    def makeAway(self, store: EventStore) -> Callable[[], None]:
        """
        Freeze the server.
        """
        self.server.stop()
        return self.server.goOn
