"""
Tests for L{twisted_sse.store.redis.commands}.
"""

from __future__ import annotations

import tracemalloc
from typing import Any

from hiredis import ReplyError
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.support.redis_memory import FakeConnection, FakeLink
from twisted_sse.store.redis.commands import Commands
from twisted_sse.store.redis.errors import Unanswered


class CommandsTests(SynchronousTestCase):
    """
    Tests for L{Commands}.
    """

    def setUp(self) -> None:
        """
        Make commands without a connection.
        """
        self.clock = Clock()
        self.changes = 0
        self.commands: Any = Commands(self.clock, 5, FakeLink, self.changed)
        self.link: FakeLink = self.commands.link

    def changed(self) -> None:
        """
        Count changes.
        """
        self.changes += 1

    def connect(self) -> FakeConnection:
        """
        Connect, and answer the first commands.
        """
        connection = self.link.connect()
        [(command,)] = [commands for commands, _ in connection.asked[:1]]
        self.assertEqual(command[:2], ("SCRIPT", "LOAD"))
        connection.answer(b"sha")
        return connection

    def ask(self, *names: str, **options: bool) -> list[Deferred[list[Any]]]:
        """
        Send each command.
        """
        return [self.commands.ask((name,), **options) for name in names]

    def asked(self, connection: FakeConnection) -> str:
        """
        @return: the unanswered commands.
        """
        return "".join(command[0] for (command, *_), _ in connection.asked)

    def assertUnanswered(self, asking: Deferred[Any], wasSent: bool, why: str = "") -> None:
        """
        Assert that a command fails as unanswered.
        """
        error = self.failureResultOf(asking, Unanswered).value
        self.assertEqual(error.wasSent, wasSent)
        self.assertIn(why, str(error))

    def test_connected(self) -> None:
        """
        Commands are sent immediately, in order, and answered.
        """
        connection = self.connect()
        self.assertEqual((self.link.done, self.changes), (["confirm"], 1))
        asking = self.ask("a", "b")
        self.assertEqual(self.asked(connection), "ab")
        for each, reply in zip(asking, b"xy", strict=True):
            connection.answer(reply)
            self.assertEqual(self.successResultOf(each), [reply])

    def test_waiting(self) -> None:
        """
        Without a connection commands wait for one.
        """
        self.ask("a", "b", isRepeatable=True)
        self.clock.advance(4)
        self.ask("c")
        connection = self.connect()
        self.ask("d")
        self.assertEqual(self.asked(connection), "abcd")

    def test_late(self) -> None:
        """
        A command that waits too long fails, each after its own timeout, with the reason for the
        missing connection; and it is not sent any more.
        """
        [first] = self.ask("a")
        self.clock.advance(1)
        [second] = self.ask("b")
        self.link.disconnect("no server")
        self.clock.advance(4)
        self.assertUnanswered(first, False, "no server")
        self.assertNoResult(second)
        self.assertEqual(self.asked(self.connect()), "b")

    def test_memory(self) -> None:
        """
        While there is no connection, for however long, expired commands take no memory.
        """

        def tooLate(count: int) -> None:
            for each in self.ask(*["a"] * count, isRepeatable=True):
                each.addErrback(lambda failure: failure.trap(Unanswered) and None)
            self.clock.advance(5)

        tooLate(100)
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        for _ in range(100):
            tooLate(100)
        self.assertLess(tracemalloc.get_traced_memory()[0], 50_000)

    def test_lateSent(self) -> None:
        """
        A sent command fails after the same timeout, even if it had waited before; a late answer is
        ignored.  The delay is reported until something is answered.
        """
        [first] = self.ask("a")
        self.clock.advance(4)
        connection = self.connect()
        self.changes = 0
        [second] = self.ask("b")
        self.clock.advance(1)
        self.assertUnanswered(first, True, "the server does not answer")
        self.assertEqual((self.commands.late, self.changes), ("the server does not answer", 1))
        connection.answer("x")
        self.assertEqual((self.commands.late, self.changes), (None, 2))
        connection.answer("y")
        self.assertEqual(self.successResultOf(second), ["y"])
        self.clock.advance(10)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_askedByFailure(self) -> None:
        """
        Commands sent by callbacks of a failure have their own timeout.
        """
        again: list[Deferred[Any]] = []
        for each in self.ask("a", "b"):
            each.addErrback(lambda _: again.extend(self.ask("c")))
        self.clock.advance(5)
        self.assertEqual(len(again), 2)
        self.clock.advance(4.9)
        self.assertNoResult(again[0])
        self.clock.advance(0.1)
        for each in again:
            self.assertUnanswered(each, False)

    def test_lost(self) -> None:
        """
        When the connection is lost, harmless commands are sent again, before later ones; and the
        others fail, because they may have been carried out.
        """
        connection = self.connect()
        a, b, c = self.ask("a"), self.ask("b", isRepeatable=True), self.ask("c")
        connection.lose()
        self.ask("d")
        self.link.disconnect()
        for each in a + c:
            self.assertUnanswered(each, True)
        self.assertNoResult(b[0])
        self.assertEqual(self.asked(self.connect()), "bd")

    def test_closing(self) -> None:
        """
        Nothing is sent over a connection that is being closed, and its commands do not fail.
        """
        connection = self.connect()
        connection.isOver = True
        [asking] = self.ask("a")
        self.link.disconnect()
        self.assertNoResult(asking)
        self.assertEqual(self.asked(self.connect()), "a")

    def test_refusedNow(self) -> None:
        """
        Commands that the server refuses for now are repeated after growing delays; later commands
        wait.
        """
        connection = self.connect()
        for error in "LOADING wait", "BUSY script", "CLUSTERDOWN", "TRYAGAIN", "ASK 1 h:1":
            [first] = self.ask("a", isOrdered=True)
            for _ in range(3):
                connection.answer(ReplyError(error))
                self.assertEqual(self.asked(connection), "")
                self.clock.advance(1)
                self.assertEqual(self.asked(connection), "a")
            connection.answer(ReplyError(error))
            [second] = self.ask("b")
            self.assertEqual(self.asked(connection), "")
            self.clock.advance(1)
            self.assertEqual(self.asked(connection), "ab")
            for asking in first, second:
                connection.answer("x")
                self.assertEqual(self.successResultOf(asking), ["x"])

    def test_refusedForLong(self) -> None:
        """
        If the server continues to refuse them, commands fail with the reason, and nothing was done.
        """
        connection = self.connect()
        [asking] = self.ask("a")
        while not asking.called:
            if connection.asked:
                connection.answer(ReplyError("LOADING wait"))
            self.clock.advance(0.1)
        self.assertUnanswered(asking, False, "LOADING wait")
        self.assertEqual(self.commands.late, "LOADING wait")

    def test_order(self) -> None:
        """
        If a command was refused, but not a later one, it is not repeated when the order matters.
        """
        connection = self.connect()
        [a] = self.ask("a", isOrdered=True)
        [b] = self.ask("b")
        [c] = self.ask("c", isOrdered=True)
        [d] = self.ask("d", isOrdered=True)
        connection.answer(ReplyError("LOADING wait"))
        connection.answer(ReplyError("LOADING wait"))
        self.assertNoResult(a)
        connection.answer("x")
        connection.answer(ReplyError("LOADING wait"))
        [error] = self.successResultOf(a)
        self.assertEqual(str(error), "LOADING wait")
        self.assertEqual(self.successResultOf(c), ["x"])
        self.clock.advance(1)
        self.assertEqual(self.asked(connection), "bd")
        for each in b, d:
            self.assertNoResult(each)

    def test_refusedAndLost(self) -> None:
        """
        Commands that were refused before the connection is lost are repeated, in order.
        """
        connection = self.connect()
        self.ask("a", isOrdered=True)
        self.ask("b", isRepeatable=True)
        connection.answer(ReplyError("LOADING wait"))
        self.link.disconnect()
        connection = self.connect()
        self.clock.advance(1)
        self.assertEqual(self.asked(connection), "ab")

    def test_transaction(self) -> None:
        """
        A transaction that is refused at its beginning was not carried out.
        """
        connection = self.connect()
        asking = self.commands.ask(("MULTI",), ("XADD",), ("EXEC",), isOrdered=True)
        connection.answer("OK", ReplyError("LOADING wait"), ReplyError("EXECABORT because"))
        self.assertNoResult(asking)
        self.clock.advance(1)
        self.assertEqual(connection.asked[0][0], (("MULTI",), ("XADD",), ("EXEC",)))

    def test_moved(self) -> None:
        """
        If another server has the keys, everything is sent to it, in order.  If that server refers
        to another one again, this is an answer.
        """
        connection = self.connect()
        asking = self.ask("a", "b", "c", isOrdered=True)
        for _ in range(3):
            connection.answer(ReplyError("MOVED 1 other:7"))
        self.assertEqual(self.link.done[-1], ("other", 7))
        self.ask("d")
        connection = self.connect()
        self.assertEqual(self.asked(connection), "abcd")
        for _ in range(4):
            connection.answer(ReplyError("MOVED 1 first:8"))
        self.assertNotIn(("first", 8), self.link.done)
        for each in asking:
            [error] = self.successResultOf(each)
            self.assertIn("MOVED", str(error))
        # Later the keys may move again.
        self.ask("e")
        connection.answer(ReplyError("MOVED 1 third:9"))
        self.assertEqual(self.link.done[-1], ("third", 9))

    def test_readOnly(self) -> None:
        """
        If the server has become a replica, the store reconnects: its name may now belong to another
        server.  If that is a replica, too, this is an answer.
        """
        connection = self.connect()
        self.clock.advance(10)
        [asking] = self.ask("a")
        connection.answer(ReplyError("READONLY You can't"))
        self.assertEqual(self.link.done[-1], "renew")
        connection = self.connect()
        self.assertEqual(self.asked(connection), "a")
        connection.answer(ReplyError("READONLY You can't"))
        [error] = self.successResultOf(asking)
        self.assertIn("READONLY", str(error))
        self.assertEqual(self.link.done.count("renew"), 1)

    def test_stop(self) -> None:
        """
        On a stop everything fails, and so do later commands; no delayed call is left.
        """
        connection = self.connect()
        asking = self.ask("a")
        connection.answer(ReplyError("LOADING wait"))
        asking += self.ask("b")
        self.commands.stop()
        self.assertEqual(self.link.done[-1], "stop")
        for each in asking + self.ask("c", isRepeatable=True):
            self.assertUnanswered(each, False, "the store was closed")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stopSent(self) -> None:
        """
        On a stop sent commands fail, too, immediately.
        """
        self.connect()
        [asking] = self.ask("a")
        self.commands.stop()
        self.assertUnanswered(asking, True, "the store was closed")

    def test_many(self) -> None:
        """
        Thousands of requests may wait, and be repeated after a loss.
        """
        asking = self.ask(*(["a"] * 5000), isRepeatable=True)
        for _ in range(2):
            connection = self.connect()
            self.assertEqual(len(connection.asked), 5000)
            self.link.disconnect()
        self.clock.advance(5)
        for each in asking:
            self.assertUnanswered(each, True)
