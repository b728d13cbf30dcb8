"""
Tests that the contract of stores suits a store that is shared and makes the IDs, as with Redis.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.trial.unittest import TestCase

from tests.support.shared_store import Server, SharedStore
from twisted_sse.store import EventStore
from twisted_sse.testing.stores import (
    AwayStoreTests,
    EventStoreTests,
    FailingStoreTests,
    LimitedStoreTests,
    OpenedLog,
)
from twisted_sse.testing.stores.case import about


class SharedStoreTests(
    EventStoreTests, LimitedStoreTests, FailingStoreTests, AwayStoreTests, TestCase
):
    """
    Tests for the store of one process.
    """

    def makeStore(self) -> EventStore:
        """
        Make a server, and a store there.
        """
        return self.makeLimitedStore(10**6)

    def makeLimitedStore(self, maxEvents: int) -> EventStore:
        """
        Make a server that keeps a limited number of events of each channel, and a store there.
        """
        from twisted.internet import reactor

        self.server = Server(reactor, maxEvents)  # type: ignore[arg-type]
        return self.reopenStore()

    def reopenStore(self, store: object = None) -> EventStore:
        """
        Make another store there.
        """
        return SharedStore(self.server)

    def makeAppendsFail(self, store: object) -> Callable[[], None]:
        """
        Fill the server.
        """
        self.server.isFull = True

        def undo() -> None:
            self.server.isFull = False

        return undo

    def makeAway(self, store: object) -> Callable[[], None]:
        """
        Freeze the server.
        """
        self.server.isAway = True

        def undo() -> None:
            self.server.isAway = False

        return undo

    async def test_processes(self) -> None:
        """
        Two processes receive the same notifications, in the same order.
        """
        first = await OpenedLog.of(self.newStore())
        second = await OpenedLog.of(self.closedAtTheEnd(self.reopenStore()))
        appends = [
            opened.append([about(f"{number}: {each}") for each in "ab"])
            for number in range(10)
            for opened in (first, second)
        ]
        kept = {record.event for append in appends for record in await append}
        for opened in first, second:
            await opened.tail.until(lambda opened=opened: len(opened.tail.records) == 40)  # type: ignore[misc]
            self.assertEqual({record.event for record in opened.tail.records}, kept)
            self.assertKept(opened.tail.records, await first.readAll())
            self.assertKept(opened.tail.records, await second.readAll(first.log.origin))
