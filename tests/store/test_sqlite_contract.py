"""
Tests that a store in a file fulfils the contract of stores.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from typing import Any

from tests.support.stores import SQLiteTestCase
from twisted_sse.store import EventStore, SQLiteStore
from twisted_sse.store.sqlite import writer
from twisted_sse.testing.stores import EventStoreTests, FailingStoreTests, LimitedStoreTests


class SQLiteStoreTests(EventStoreTests, LimitedStoreTests, FailingStoreTests, SQLiteTestCase):
    """
    Tests for a store in a file.
    """

    #: The number of files.
    count = 0

    def makeStore(self) -> EventStore:
        """
        Make a store in a new file.
        """
        return self.makeLimitedStore(100_000)

    def makeLimitedStore(self, maxEvents: int) -> EventStore:
        """
        Make a store that keeps a limited number of events.
        """
        self.count += 1
        self.path = os.path.join(self.folder, f"{self.count}.db")
        self.limit = maxEvents
        return SQLiteStore(self.path, maxEvents=maxEvents)

    def reopenStore(self, store: EventStore) -> EventStore:
        """
        Make another store in the same file.
        """
        return SQLiteStore(self.path, maxEvents=self.limit)

    def makeAppendsFail(self, store: EventStore) -> Callable[[], None]:
        """
        Fail as on a full disk.
        """

        def full(*arguments: Any) -> None:
            raise sqlite3.OperationalError("database or disk is full")

        self.patch(writer, "PAUSE", 0.0)
        patch = self.patch(writer, "insert", full)
        return patch.restore
