"""
Tests that the store of the documentation fulfils the contract of stores, with and without delays.
"""

from __future__ import annotations

from tests.support.delayed_store import DelayedStore
from tests.support.examples import example
from twisted_sse.store import EventStore

module = example("list_store")


class ListStoreTests(module.ListStoreTests):
    """
    Tests for the store over a list.
    """


class DelayedStoreTests(module.ListStoreTests):
    """
    Tests for the same store with delays.
    """

    def makeStore(self) -> EventStore:
        """
        Make a store over a new list.
        """
        return self.delayed(super().makeStore())

    def reopenStore(self, store: object) -> EventStore:
        """
        Make a store over the same list.
        """
        return self.delayed(super().reopenStore(store))

    def delayed(self, store: EventStore) -> EventStore:
        """
        Delay the operations of the store.
        """
        from twisted.internet import reactor

        return DelayedStore(store, reactor)  # type: ignore[arg-type]
