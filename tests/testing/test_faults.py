"""
Tests for L{twisted_sse.testing.stores.faults}: its tests find stores that drop silently, and stores
that do not reconnect.
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
    A store at a server of its own.
    """

    def makeStore(self) -> EventStore:
        """
        Make a server, and a store there.
        """
        return self.makeLimitedStore(10**6)

    def makeLimitedStore(self, maxEvents: int) -> EventStore:
        """
        The same, with a limit.
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
    After what was dropped follows the oldest.
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
    There is no limit.
    """
    return add(self, records, key, 10**6)


def saysNothing(self: SharedStore) -> None:
    """
    Nothing reports the problem.
    """
    setAway(self)
    for log in self.logs:
        log.tail.away("")


def staysTroubled(self: SharedStore) -> str:
    """
    The store that is back does not say so.
    """
    return "the server is away"


def repeats(self: SharedLog) -> None:
    """
    After a pause everything is reported again.
    """
    if self.number == self.stream.number and self.number:
        self.tail.received([each.record for each in self.stream.kept])
    follow(self)


def closesNot(self: SharedStore) -> Deferred[None]:
    """
    What is away cannot be closed.
    """
    if not self.server.isAway:
        return succeed(self.kill())
    for request in self._requests:
        # The test does not get as far as to look at them.
        request.addErrback(lambda failure: None)
    self.server.isAway = False
    return fail(StoreAway())


def opensEmpty(self: SharedStore, name: str, tail: Any, recent: int) -> Deferred[Any]:
    """
    A log that is away is opened as if it were empty.
    """
    if self.server.isAway:
        return succeed(None)
    return self.ask(partial(SharedLog, self, name, tail, recent), StoreAway)


#: What is replaced, by what, and which tests find it.
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
            Not in the module, where it would be run.
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
        Each faulty store fails the tests that are about what is wrong with it, and no other store
        does.
        """
        for cls, name, fault, tests in FAULTS:
            self.assertEqual(self.failures(tests), set(), "nothing is wrong")
            with mock.patch.object(cls, name, fault):
                self.assertEqual(self.failures(tests), set(tests), fault.__doc__)
