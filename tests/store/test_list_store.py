"""
Tests that the store of the documentation does what a store must.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from twisted.trial.unittest import TestCase

from tests.support.examples import example
from twisted_sse.store import EventStore
from twisted_sse.testing.stores import EventStoreTests, FailingStoreTests

module = example("list_store")


class Disk(list[Any]):
    """
    A list that may be full.
    """

    isFull = False

    def extend(self, items: Iterable[Any]) -> None:
        """
        Append items, unless the list is full.
        """
        if self.isFull:
            raise OSError("No space left on device")
        super().extend(items)


class ListStoreTests(EventStoreTests, FailingStoreTests, TestCase):
    """
    Tests for the store over a list.
    """

    def makeStore(self) -> EventStore:
        """
        Make a store over a new list.
        """
        self.disk = Disk()
        return self.reopenStore()

    def reopenStore(self, store: object = None) -> EventStore:
        """
        Make a store over the same list.
        """
        made: EventStore = module.ListStore(self.disk)
        return made

    def makeAppendsFail(self, store: object) -> Callable[[], None]:
        """
        Fill the list.
        """
        disk = self.disk
        disk.isFull = True

        def undo() -> None:
            disk.isFull = False

        return undo
