"""
Tests for L{twisted_sse.store.redis.log}: reading a lost stream, before the tail is notified.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from tests.support.stores import Keeper, contents
from twisted_sse.store import NotKept
from twisted_sse.store.redis.health import Health
from twisted_sse.store.redis.log import RedisLog
from twisted_sse.store.redis.places import readID

#: A stream before the loss, and on the other server.
OLD = ["1-0", "2-0", "3-0", "4-0"]
NEW = ["1-0", "2-0", "5-7", "6-0"]


def entry(identifier: str) -> list[Any]:
    """
    @return: an entry whose data are its ID.
    """
    return [identifier.encode(), [b"data", identifier.encode()]]


class Commands:
    """
    A server with one stream.

    @ivar kept: the IDs of its entries.
    """

    def __init__(self, kept: list[str]) -> None:
        self.kept = kept

    def ask(self, command: tuple[Any, ...], **options: Any) -> Deferred[list[Any]]:
        """
        Answer C{XRANGE} and C{XREVRANGE}.
        """
        name, _, start, _, _, count = command
        kept = self.kept if name == "XRANGE" else self.kept[::-1]
        if isinstance(start, bytes):
            start = start.decode()
        if start not in ("-", "+"):
            kept = [each for each in kept if readID(each.encode()) >= readID(start.encode())]
        return succeed([[entry(each) for each in kept[:count]]])


class LossTests(SynchronousTestCase):
    """
    Tests for a log whose stream was replaced, before its tail is notified.
    """

    def setUp(self) -> None:
        """
        Open a log, and replace its stream.
        """
        self.commands: Any = Commands(list(OLD))
        self.tail = Keeper()
        health = Health("redis://localhost")
        self.log = RedisLog(
            "sse:news", self.tail, self.commands, None, None, health, lambda log: None
        )
        self.successResultOf(Deferred.fromCoroutine(self.log.open(10)))
        self.commands.kept = list(NEW)

    def notice(self) -> None:
        """
        Notify the log of its new stream.
        """
        self.tail.told.clear()
        self.log.restart(entry(NEW[-1]))
        self.assertEqual(self.tail.told, [("broken", NEW[-1])])

    def test_lost(self) -> None:
        """
        A reader whose position is lost gets the error once the tail is notified.
        """
        reading = self.log.read("3-0", 2**16)
        self.assertNoResult(reading)
        self.notice()
        self.failureResultOf(reading, NotKept)

    def test_dropped(self) -> None:
        """
        A reader whose position was only dropped gets the error immediately.
        """
        self.commands.kept = OLD[2:]
        self.failureResultOf(self.log.read("1-0", 2**16), NotKept)

    def test_end(self) -> None:
        """
        A reader that has everything up to the loss gets no empty answer, but continues once the
        tail is notified.
        """
        reading = self.log.read("2-0", 2**16)
        self.assertNoResult(reading)
        self.notice()
        self.assertEqual(contents(self.successResultOf(reading)), ["5-7", "6-0"])

    def test_until(self) -> None:
        """
        A reader immediately gets the events that both streams have.
        """
        self.assertEqual(contents(self.successResultOf(self.log.read("1-0", 2**16))), ["2-0"])

    def test_theEnd(self) -> None:
        """
        Without a loss, a reader that has everything gets an empty answer immediately.
        """
        self.commands.kept = list(OLD)
        self.assertEqual(self.successResultOf(self.log.read("4-0", 2**16)), [])
