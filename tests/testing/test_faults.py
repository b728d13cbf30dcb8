"""
Tests for L{twisted_sse.testing.stores.faults}: its tests find stores that drop records silently,
and stores that do not recover.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from unittest import mock, result

from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.support.shared_store import Kept, Server, SharedLog, SharedStore, Stream
from twisted_sse.store import EventStore, NotKept, Record, StoreAway
from twisted_sse.testing.stores import AwayStoreTests, LimitedStoreTests


class SharedStoreHooks:
    """
    A store at its own server.
    """

    def makeStore(self) -> EventStore:
        """
        Make a server, and a store there.
        """
        return self.makeLimitedStore(10**6)

    def makeLimitedStore(self, maxEvents: int) -> EventStore:
        """
        Make a server with a limit, and a store there.
        """
        from twisted.internet import reactor

        self.server = Server(reactor, maxEvents)  # type: ignore[arg-type]
        return self.reopenStore()

    def reopenStore(self, store: object = None) -> EventStore:
        """
        Make another store there.
        """
        return SharedStore(self.server)

    def makeAway(self, store: object) -> Callable[[], None]:
        """
        Freeze the server.
        """
        self.server.isAway = True
        return partial(setattr, self.server, "isAway", False)


after, setAway, follow, add = Stream.after, SharedStore.setAway, SharedLog.follow, Stream.add


def fromTheOldest(self: Stream, place: str | None) -> list[Kept]:
    """
    After a dropped record follows the oldest one.
    """
    try:
        return after(self, place)
    except NotKept:
        return self.kept


def forgetsKeys(self: Stream, records: Sequence[Record], key: Any, most: int) -> Sequence[str]:
    """
    Keys are dropped with the records.
    """
    if self.number > most:
        self.keys.clear()
    return add(self, records, key, most)


def dropsNothing(self: Stream, records: Sequence[Record], key: Any, most: int) -> Sequence[str]:
    """
    The limit is ignored.
    """
    return add(self, records, key, 10**6)


def saysNothing(self: SharedStore) -> None:
    """
    The problem is not reported.
    """
    setAway(self)
    for log in self.logs:
        log.tail.away("")


def staysTroubled(self: SharedStore) -> str:
    """
    The recovered store does not report its recovery.
    """
    return "the server is away"


def repeats(self: SharedLog) -> None:
    """
    After a pause all notifications are repeated.
    """
    if self.number == self.stream.number and self.number:
        self.tail.received([each.record for each in self.stream.kept])
    follow(self)


def closesNot(self: SharedStore) -> Deferred[None]:
    """
    An unreachable store cannot be closed.
    """
    if not self.server.isAway:
        return succeed(self.kill())
    for request in self._requests:
        # The test ends before it checks them.
        request.addErrback(lambda failure: None)
    self.server.isAway = False
    return fail(StoreAway())


def opensEmpty(self: SharedStore, name: str, tail: Any, recent: int) -> Deferred[Any]:
    """
    An unreachable log is opened as if it were empty.
    """
    if self.server.isAway:
        return succeed(None)
    return self.ask(partial(SharedLog, self, name, tail, recent), StoreAway)


#: The replaced object, its replacement, and the tests that find it.
FAULTS: list[tuple[Any, str, Callable[..., Any], list[str]]] = [
    (
        Stream,
        "after",
        fromTheOldest,
        ["test_dropped", "test_droppedTopics", "test_droppedWhileReading"],
    ),
    (Stream, "add", forgetsKeys, ["test_keyOfDropped"]),
    (Stream, "add", dropsNothing, ["test_dropped"]),
    (SharedStore, "setAway", saysNothing, ["test_away"]),
    (SharedStore, "problem", staysTroubled, ["test_away"]),
    (SharedLog, "follow", repeats, ["test_away"]),
    (SharedStore, "close", closesNot, ["test_closeAway"]),
    (SharedStore, "open", opensEmpty, ["test_openAway"]),
]


class FaultTests(SynchronousTestCase):
    """
    Tests that faults are found.
    """

    def failures(self, names: Sequence[str]) -> set[str]:
        """
        Run tests.

        @return: those that fail.
        """

        class StoreTests(SharedStoreHooks, LimitedStoreTests, AwayStoreTests, TestCase):
            """
            Not in the module, where the test runner would find it.
            """

        found = set()
        for name in names:
            outcome = result.TestResult()
            StoreTests(name).run(outcome)
            if not outcome.wasSuccessful():
                found.add(name)
        return found

    def test_found(self) -> None:
        """
        Each faulty store fails the tests for its fault, and no other store does.
        """
        for cls, name, fault, tests in FAULTS:
            self.assertEqual(self.failures(tests), set(), "nothing is wrong")
            with mock.patch.object(cls, name, fault):
                self.assertEqual(self.failures(tests), set(tests), fault.__doc__)
