"""
The tests that every store passes.
"""

from __future__ import annotations

from .appending import AppendingTests
from .opening import OpeningTests
from .reading import ReadingTests

__all__ = ["EventStoreTests"]


class EventStoreTests(OpeningTests, AppendingTests, ReadingTests):
    """
    What every store must do::

        class MyStoreTests(EventStoreTests, TestCase):
            def makeStore(self) -> EventStore:
                self.path = self.mktemp()
                return MyStore(self.path)

            def reopenStore(self, store: EventStore) -> EventStore:
                return MyStore(self.path)

    Take L{LimitedStoreTests<twisted_sse.testing.stores.faults.LimitedStoreTests>} as well if the
    store drops old events, L{FailingStoreTests<twisted_sse.testing.stores.faults.FailingStoreTests>}
    if appending can fail, and L{AwayStoreTests<twisted_sse.testing.stores.faults.AwayStoreTests>} if
    it is in another process.

    @since: 0.2
    """
