"""
The store over a list that the documentation shows, over a list that may be full.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

from tests.support.examples import example
from twisted_sse.store import EventStore

__all__ = ["Disk", "ListStoreHooks"]


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


class ListStoreHooks:
    """
    What L{twisted_sse.testing.stores} needs to know of the store over a list.
    """

    #: The module that has the store.
    module: ModuleType = example("list_store")

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
        made: EventStore = self.module.ListStore(self.disk)
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
