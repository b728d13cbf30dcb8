"""
What all tests of a store have in common.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import TYPE_CHECKING

from ...format.event import Event
from ...store.contract import EventStore, NotKept, Record
from .tail import OpenedLog, nameOf

if TYPE_CHECKING:
    from twisted.trial.unittest import TestCase
else:
    # With TestCase as a base, the tests would be run wherever they are imported.
    TestCase = object

__all__ = ["TIME", "StoreCase", "about"]

#: When records are published.  A store may keep times as milliseconds.
TIME = 1_764_421_680.25


def about(data: str, *topics: str, id: str | None = None) -> Record:
    """
    Make a record.
    """
    return Record(Event(data, id=id), topics, time=TIME)


class StoreCase(TestCase):
    """
    What the tests of a store have in common.
    """

    #: trial's: in how many seconds each test must be done.
    timeout = 30

    def makeStore(self) -> EventStore:
        """
        Make a store that has no events yet: in a new file, a new database, under a new prefix.

        What it needs is cleaned up by C{self.addCleanup}.  Each test closes its stores.
        """
        raise NotImplementedError(f"{type(self).__name__} needs a method makeStore")

    def reopenStore(self, store: EventStore) -> EventStore:
        """
        Make another store with the events of one that is closed, as the next process would.
        """
        raise NotImplementedError(f"{type(self).__name__} needs a method reopenStore")

    def newStore(self) -> EventStore:
        """
        Make a store that is closed at the end.
        """
        return self.closedAtTheEnd(self.makeStore())

    def closedAtTheEnd(self, store: EventStore) -> EventStore:
        """
        Close a store at the end of the test, unless the test has closed it.
        """
        self.addCleanup(store.close)
        return store

    async def reopened(
        self, store: EventStore, name: str = "news", recent: int = 1000
    ) -> tuple[EventStore, OpenedLog]:
        """
        Close a store, and open a log of the next one.
        """
        await store.close()
        store = self.closedAtTheEnd(self.reopenStore(store))
        return store, await OpenedLog.of(store, name, recent)

    def assertKept(self, found: Sequence[Record], expected: Sequence[Record]) -> None:
        """
        Assert that records are those that were appended.
        """
        self.assertEqual([each.event for each in found], [each.event for each in expected])
        for one, other in zip(found, expected, strict=True):
            self.assertEqual(frozenset(one.topics), frozenset(other.topics), one)
            self.assertEqual((one.private, one.time), (other.private, other.time), one)
            if other.place:
                self.assertEqual(one.place, other.place)

    async def assertNotKept(
        self, opened: OpenedLog, after: str, topics: frozenset[str] | None = None
    ) -> None:
        """
        Assert that a log does not claim to have everything after a place.
        """
        await self.assertFailure(opened.log.read(after, 1000, topics), NotKept)

    async def failureOf(self, asked: Awaitable[object]) -> Exception | None:
        """
        Wait for the end of something.

        @return: how it failed; L{None} if it succeeded.
        """
        try:
            await asked
        except Exception as error:
            return error
        return None

    async def readUntilLost(
        self, opened: OpenedLog, after: str | None, maxBytes: int = 100
    ) -> tuple[Sequence[Record], bool]:
        """
        Read what follows a place, in pieces.

        @return: the records, and whether more are lost after them.
        """
        found: list[Record] = []
        while True:
            try:
                piece = await opened.log.read(after, maxBytes)
            except NotKept:
                return found, True
            if not piece:
                return found, False
            found += piece
            after = nameOf(piece[-1])
