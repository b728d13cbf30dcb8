"""
Tests for L{twisted_sse.store.redis.session} and L{twisted_sse.store.redis.store}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.base import ReactorBase
from twisted.trial.unittest import SynchronousTestCase

from tests.support.memory_reactor import MemoryNamesReactor
from tests.support.redis_memory import Peer
from twisted_sse.store import RedisStore, StoreAway
from twisted_sse.store.redis.log import RedisLog
from twisted_sse.testing.stores import MemoryTail


class SessionTests(SynchronousTestCase):
    """
    Tests for the connections of a store.
    """

    def setUp(self) -> None:
        """
        Prepare a reactor.
        """
        self.reactor: Any = MemoryNamesReactor()

    def open(self, *names: str, **options: Any) -> list[RedisLog]:
        """
        Open logs, each of a stream with one entry, and wait until they are followed.
        """
        options = {"maxEvents": 50, **options}
        self.store = RedisStore("redis://host", reactor=self.reactor, **options)
        opening: list[Any] = [self.store.open(name, MemoryTail(), 10) for name in names]
        self.commands, self.follower = [
            Peer(self.reactor, factory.buildProtocol(None))
            for _, _, factory, *_ in self.reactor.tcpClients
        ]
        self.reactor.tcpClients.clear()
        self.commands.enter()
        self.follower.enter()
        self.commands.answer("sha")
        entry = [["1000-7", ["data", "x"]]]
        self.commands.answer(*[entry] * len(names))
        logs = [self.successResultOf(each) for each in opening]
        self.answerFollower(names, entry)
        return logs

    def answerFollower(self, names: Any, entry: Any) -> None:
        """
        No news arrive.
        """
        while self.follower.asked and self.follower.asked[0][4:5] in (["COUNT"], ["1"]):
            isRange = self.follower.asked[0][0] == "XRANGE"
            self.follower.answer(entry if isRange else None)

    def advance(self, seconds: int) -> list[list[str]]:
        """
        Let time pass, while the server answers.

        @return: the commands, except for waiting.
        """
        asked = []
        for _ in range(seconds):
            self.reactor.advance(1)
            for command in list(self.commands.asked):
                asked += self.commands.answer(["2000", "0"] if command == ["TIME"] else 0)
            if self.follower.asked and self.reactor.seconds() % 4 == 0:
                self.follower.answer(None)
                self.answerFollower((), [["1000-7", ["data", "x"]]])
        return asked

    def test_trimming(self) -> None:
        """
        Every minute surplus entries are dropped, over the existing connection.
        """
        self.open("one", "two")
        self.assertEqual(self.advance(59), [])
        trims = [["XTRIM", f"sse:{name}", "MAXLEN", "~", "50"] for name in ("one", "two")]
        trim = [["PING"], *trims]
        self.assertEqual(self.advance(2), trim)
        self.assertEqual(self.advance(60), trim)

    def test_noLimit(self) -> None:
        """
        Without a limit nothing is dropped.
        """
        self.open("one", maxEvents=None)
        self.assertEqual(self.advance(200), [["PING"]] * 3)

    def test_age(self) -> None:
        """
        Entries that are too old are dropped by the clock of the server, but never the newest one.
        """
        for maxAge, pause, oldest in (100, 10, "1000-7"), (1999, 60, "1000-0"), (5, 1, "1000-7"):
            self.setUp()
            self.open("one", maxEvents=None, maxAge=maxAge)
            self.assertEqual(
                self.advance(pause + 1)[1:3],
                [["TIME"], ["XTRIM", "sse:one", "MINID", oldest]],
            )

    def test_nudge(self) -> None:
        """
        When a log is opened the follower is woken, even if it had not yet begun to wait again.
        """
        self.open("one")
        opening: Any = self.store.open("two", MemoryTail(), 10)
        self.commands.answer([["1-0", ["data", "x"]]])
        self.successResultOf(opening)
        for _ in range(2):
            self.assertEqual(self.commands.answer(0), [["CLIENT", "UNBLOCK", "7"]])
        self.commands.answer(1)
        self.assertEqual(self.commands.asked, [])
        # The follower sees it the same way.
        self.follower.answer(None)
        self.assertEqual(self.follower.asked[0][:2], ["XRANGE", "sse:two"])

    def test_nudgeInVain(self) -> None:
        """
        Waking is not retried forever.
        """
        self.open("one")
        self.store.open("two", MemoryTail(), 10)
        self.commands.answer([["1-0", ["data", "x"]]])
        tries = 0
        while self.commands.asked:
            self.commands.answer(0)
            tries += 1
            self.assertLess(tries, 100)

    def test_away(self) -> None:
        """
        Each log is notified that the server is unreachable, whichever connection is lost, and so
        are logs opened meanwhile; and that it is reachable when both connections work.
        """
        [log] = self.open("one")
        self.follower.lose()
        self.assertEqual(len(log.tail.reasons), 1)
        opening: Any = self.store.open("two", MemoryTail(), 10)
        self.commands.answer([["1-0", ["data", "x"]]])
        other = self.successResultOf(opening)
        self.assertEqual(other.tail.reasons, log.tail.reasons)
        self.failureResultOf(self.read(other, "1-0"), StoreAway)
        self.commands.lose()
        self.assertEqual(len(log.tail.reasons), 1)
        self.assertIn("cannot be reached", str(self.store.problem()))
        figures = {figure.name: figure.value for figure in self.store.figures()}
        self.assertEqual(figures["losses"], 2)

    def read(self, log: RedisLog, after: str) -> Any:
        """
        Reading after an entry that the tail has not received waits for it.
        """
        asking = log.read("2-0", 100)
        self.commands.answer([["2-0", ["data", "x"]]])
        return asking

    def test_closeLast(self) -> None:
        """
        When the last log is closed both connections are closed, and nothing is left.
        """
        logs = self.open("one", "two")
        logs[0].close()
        self.assertFalse(self.commands.isClosed or self.follower.isClosed)
        logs[1].close()
        self.assertTrue(self.commands.isClosed and self.follower.isClosed)
        self.reactor.advance(0)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_closeWhileOpening(self) -> None:
        """
        A log that is being opened when the store is closed does not open.
        """
        self.open("one")
        opening: Any = self.store.open("two", MemoryTail(), 10)
        self.successResultOf(self.store.close())
        self.failureResultOf(opening, StoreAway)
        self.reactor.advance(0)
        self.assertEqual(self.reactor.getDelayedCalls(), [])


class StoreTests(SynchronousTestCase):
    """
    Tests for L{RedisStore}.
    """

    def test_arguments(self) -> None:
        """
        Arguments out of range are refused.
        """
        for error, options in (
            (ValueError, {"url": "http://host"}),
            (TypeError, {"url": None}),
            (TypeError, {"prefix": None}),
            (ValueError, {"maxEvents": 0}),
            (ValueError, {"maxAge": 0}),
            (ValueError, {"timeout": 0}),
            (ValueError, {"timeout": None}),
        ):
            with self.assertRaises(error):
                RedisStore(**{"url": "redis://host", **options})
        self.assertRaises(ValueError, RedisStore("redis://host").keepOnly, "name", 0)

    def test_password(self) -> None:
        """
        The password is not shown.
        """
        store = RedisStore("redis://joe:secret@host")
        self.assertEqual(repr(store), "<RedisStore redis://joe:***@host>")

    def test_unused(self) -> None:
        """
        A store that was never opened can be closed, and has metrics.
        """
        store = RedisStore("redis://host")
        self.successResultOf(store.close())
        self.assertIsNone(store.problem())
        self.assertEqual({figure.value for figure in store.figures()}, {0})
        for figure in store.figures():
            self.assertTrue(figure.meaning.endswith("."))

    def test_keepOnly(self) -> None:
        """
        A channel may keep fewer events than the others, or more, however old they are.
        """
        reactor: Any = MemoryNamesReactor()
        store = RedisStore("redis://host", reactor=reactor, maxEvents=50, maxAge=60)
        store.keepOnly("one", 1)
        limits = []

        class Session:
            def open(self, key: str, tail: Any, recent: int, *kept: float | None) -> Any:
                limits.append((key, *kept))
                raise StoreAway

        store._session = Session()  # type: ignore[assignment]
        for name in "one", "two":
            self.assertRaises(StoreAway, store.open, name, MemoryTail(), 1)
        self.assertEqual(limits, [("sse:one", 1, None), ("sse:two", 50, 60)])

    def test_fork(self) -> None:
        """
        Before the reactor runs no connection is made, since the process may fork, unless it is
        known not to.
        """

        class Reactor(MemoryNamesReactor, ReactorBase):  # type: ignore[misc]
            def __init__(self) -> None:
                super().__init__()
                self.started: list[Any] = []

            def callWhenRunning(self, function: Any, *arguments: Any) -> None:
                self.started.append(function)

        for willFork in True, False:
            reactor: Any = Reactor()
            reactor.running = False
            store = RedisStore("redis://host", reactor=reactor)
            if not willFork:
                store.willNotFork()
            opening: Any = store.open("news", MemoryTail(), 1)
            self.assertEqual(len(reactor.tcpClients), 0 if willFork else 2)
            for each in reactor.started:
                each()
            self.assertEqual(len(reactor.tcpClients), 2)
            self.successResultOf(store.close())
            self.failureResultOf(opening, StoreAway)
