"""
Tests for L{twisted_sse.store.redis.following}.
"""

from __future__ import annotations

from typing import Any

from hiredis import ReplyError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.support.redis_memory import FakeConnection, FakeLink
from twisted_sse.store.redis.following import Follower
from twisted_sse.store.redis.pages import Entry, Pages

WRONGTYPE = ReplyError("WRONGTYPE Operation against a key")


def entry(number: int, data: bytes = b"x") -> list[Any]:
    """
    Make an entry.
    """
    return [b"%d-0" % number, [b"data", data]]


class FakeStream:
    """
    A stream that records its notifications.
    """

    def __init__(self, key: str, number: int = 1) -> None:
        self.key = key
        self.newest: Entry = entry(number)
        self.pages = Pages()
        self.told: list[Any] = []

    def advance(self, entries: Any) -> None:
        """
        Entries have arrived.
        """
        self.told.append([each[0].decode() for each in entries])
        if entries:
            self.newest = entries[-1]

    def restart(self, newest: Entry) -> None:
        """
        Continuity is lost.
        """
        self.told.append(("restart", newest[0].decode()))
        self.newest = newest

    def refuse(self, why: str | None) -> None:
        """
        The stream cannot be read.
        """
        self.told.append(("refused", why and why[-11:]))


class FollowerTests(SynchronousTestCase):
    """
    Tests for L{Follower}.
    """

    def setUp(self) -> None:
        """
        Make a follower.
        """
        self.clock = Clock()
        self.changes = 0
        self.follower: Any = Follower(self.clock, 5, FakeLink, self.changed)
        self.link: FakeLink = self.follower.link

    def changed(self) -> None:
        """
        Count changes.
        """
        self.changes += 1

    def connect(self, *streams: FakeStream) -> FakeConnection:
        """
        Follow streams, until the follower waits for news.
        """
        for stream in streams:
            self.follower.add(stream)
        connection = self.link.connect()
        for start in range(0, len(streams), 10):
            connection.answer(*([stream.newest] for stream in streams[start : start + 10]))
        if streams:
            [command] = connection.answer(None)
            self.assertEqual(command[3:5], ("BLOCK", 1))
        for stream in streams:
            stream.told.clear()
        return connection

    def asked(self, connection: FakeConnection) -> Any:
        """
        @return: the commands that were sent together last.
        """
        [(commands, _)] = connection.asked
        return commands

    def news(self, connection: FakeConnection, *streams: FakeStream) -> Any:
        """
        Report new entries.

        @return: the resulting commands.
        """
        connection.answer([[stream.key.encode(), [entry(99)]] for stream in streams])
        return self.asked(connection)

    def test_begin(self) -> None:
        """
        The follower reads from the newest entry of each stream on, then waits briefly for news as a
        test, and only after that succeeds, it reports that it works, and waits.
        """
        one, two = FakeStream("one"), FakeStream("two", 7)
        self.follower.add(one)
        self.follower.add(two)
        connection = self.link.connect()
        commands = connection.answer([entry(1), entry(2)], [entry(7)])
        self.assertEqual(
            [command[:4] for command in commands],
            [("XRANGE", "one", b"1-0", "+"), ("XRANGE", "two", b"7-0", "+")],
        )
        self.assertEqual((one.told, two.told), ([["2-0"]], [[]]))
        self.assertEqual((self.link.done, self.changes), ([], 0))
        command = ("XREAD", "COUNT", 1, "BLOCK", 1, "STREAMS", "one", "two", b"2-0", b"7-0")
        self.assertEqual(connection.answer(None), (command,))
        self.assertEqual((self.link.done, self.changes), (["confirm"], 1))
        [command] = self.asked(connection)
        self.assertEqual(command[:5], ("XREAD", "COUNT", 1, "BLOCK", 5000))
        self.assertEqual(connection.patience, 8)

    def test_news(self) -> None:
        """
        New entries are read from the newest known entry on, from the streams that have news.
        """
        one, two = FakeStream("one"), FakeStream("two")
        connection = self.connect(one, two)
        for number in range(2, 5):
            [command] = self.news(connection, two)
            self.assertEqual(command[:3], ("XRANGE", "two", b"%d-0" % (number - 1)))
            connection.answer([entry(number - 1), entry(number)])
            self.assertEqual(two.told[-1], [f"{number}-0"])
        self.assertEqual(one.told, [])

    def test_full(self) -> None:
        """
        If there are more entries than requested, it continues reading.
        """
        stream = FakeStream("one")
        connection = self.connect(stream)
        [command] = self.news(connection, stream)
        count = command[-1] - 1
        connection.answer([entry(number) for number in range(1, count + 2)])
        [command] = self.asked(connection)
        self.assertEqual(command[:3], ("XRANGE", "one", b"%d-0" % (count + 1)))
        # They were small: it requests more.
        self.assertGreater(command[-1], count + 1)
        connection.answer([entry(count + 1)])
        self.assertEqual(self.asked(connection)[0][0], "XREAD")

    def test_lost(self) -> None:
        """
        If the answer does not begin with the newest known entry, another is added, above all IDs,
        and the stream receives a notice to continue from the newest existing entry.
        """
        for answer in (
            [],
            None,
            [entry(2), entry(3)],
            [entry(1, b"another"), entry(2)],
            [[b"1-0", None]],
        ):
            self.setUp()
            stream = FakeStream("one")
            connection = self.connect(stream)
            self.news(connection, stream)
            connection.answer(answer)
            begin, newest = self.asked(connection)
            self.assertEqual(begin[:2], ("XADD", "one"))
            self.assertEqual(begin[2].partition("-")[0], "2")
            self.assertEqual(newest, ("XREVRANGE", "one", "+", "-", "COUNT", 1))
            connection.answer(b"2-7", [entry(9)])
            self.assertEqual(stream.told, [("restart", "9-0")])
            # From here on continuity is proved again.
            [command] = self.asked(connection)
            self.assertEqual(command[:3], ("XRANGE", "one", b"9-0"))

    def test_lostAgain(self) -> None:
        """
        If the stream is deleted again before the notification, this is retried; and if nothing can
        be added, the stream receives the reason.
        """
        stream = FakeStream("one")
        connection = self.connect(stream)
        self.news(connection, stream)
        for _ in range(3):
            connection.answer([])
            connection.answer(b"2-7", [])
        connection.answer([])
        for _ in range(2):
            connection.answer(ReplyError("OOM command not allowed"), [])
        self.assertEqual(stream.told, [("refused", "vents (OOM)")])

    def test_greaterIDs(self) -> None:
        """
        If the stream has had greater IDs, and is now empty, the server chooses the ID.
        """
        stream = FakeStream("one")
        connection = self.connect(stream)
        self.news(connection, stream)
        connection.answer([])
        connection.answer(ReplyError("ERR The ID specified in XADD is equal or smaller"), [])
        begin, newest = self.asked(connection)
        self.assertEqual(begin[:3], ("XADD", "one", "*"))
        self.assertEqual(newest, ("XREVRANGE", "one", "+", "-", "COUNT", 1))
        connection.answer(b"99-0", [entry(99)])
        self.assertEqual(stream.told, [("restart", "99-0")])

    def test_lastID(self) -> None:
        """
        If the newest entry had the last possible ID, the server chooses the ID.
        """
        stream = FakeStream("one", 2**64 - 1)
        connection = self.connect(stream)
        self.news(connection, stream)
        connection.answer([])
        self.assertEqual(self.asked(connection)[0][2], "*")

    def test_checked(self) -> None:
        """
        All streams are read once per timeout, whatever the news of others: one may have been
        deleted.
        """
        one, two = FakeStream("one"), FakeStream("two")
        connection = self.connect(one, two)
        for number in range(2, 12):
            self.clock.advance(1)
            commands = self.news(connection, two)
            if len(commands) == 2:
                break
            self.assertLessEqual(number, 5)
            connection.answer([entry(number - 1), entry(number)])
            [command] = self.asked(connection)
            self.assertEqual(command[4], 5000 - 1000 * (number - 1))
        self.assertEqual([command[1] for command in commands], ["one", "two"])

    def test_unblocked(self) -> None:
        """
        An added stream is read as soon as the server stops waiting; the others are not.
        """
        one, two = FakeStream("one"), FakeStream("two")
        connection = self.connect(one)
        waits = self.follower.waits
        self.assertTrue(self.follower.isWaiting)
        self.follower.add(two)
        connection.answer(None)
        self.assertFalse(self.follower.isWaiting)
        [command] = self.asked(connection)
        self.assertEqual(command[1], "two")
        connection.answer([entry(1)])
        self.assertIn("two", self.asked(connection)[0])
        self.assertEqual(self.follower.waits, waits + 1)

    def test_removed(self) -> None:
        """
        A removed stream receives no more notifications, at any moment.
        """
        for moment in range(3):
            self.setUp()
            one, two = FakeStream("one"), FakeStream("two")
            connection = self.connect(one, two)
            if moment == 0:
                self.follower.remove(one)
            self.news(connection, *(one, two)[moment == 0 :])
            if moment == 1:
                self.follower.remove(one)
            if moment == 2:
                connection.answer([], [entry(1), entry(2)])
                self.follower.remove(one)
                connection.answer(b"2-7", [entry(9)])
            else:
                connection.answer(*([[], [entry(1), entry(2)]][moment == 0 :]))
            self.assertEqual(one.told, [])

    def test_empty(self) -> None:
        """
        Without streams the follower waits for one, and reports that it works.
        """
        connection = self.link.connect()
        self.assertEqual((self.link.done, connection.asked), (["confirm"], []))
        self.assertEqual(self.follower.behind, 0)
        stream = FakeStream("one")
        self.follower.add(stream)
        self.assertEqual(self.asked(connection)[0][0], "XRANGE")
        self.clock.advance(3)
        self.assertEqual(self.follower.behind, 3)

    def test_many(self) -> None:
        """
        Many streams are read in groups, with few entries of each.
        """
        streams = [FakeStream(f"{number}") for number in range(25)]
        connection = self.connect(*streams)
        commands = self.news(connection, *streams)
        self.assertEqual(len(commands), 10)
        self.assertLessEqual(sum(command[-1] for command in commands), 500 + 10)

    def test_fair(self) -> None:
        """
        Streams that never reach their end do not block others.
        """
        streams = [FakeStream(f"s{number}") for number in range(11)]
        for stream in streams:
            self.follower.add(stream)
        connection = self.link.connect()

        def answer() -> None:
            pages = []
            for name, _, start, _, _, count in self.asked(connection):
                self.assertEqual(name, "XRANGE")
                number = int(start.partition(b"-")[0])
                pages.append([entry(each) for each in range(number, number + count)])
            connection.answer(*pages)

        for _ in range(4):
            answer()
        self.assertEqual([len(stream.told) for stream in streams], [2] * 11)

    def test_strange(self) -> None:
        """
        A server whose answers no real server would send is left each time, and the log has the
        reason once.
        """
        stream = FakeStream("one")
        self.follower.add(stream)
        for _ in range(3):
            connection = self.link.connect()
            connection.answer(7)
            self.assertTrue(connection.isOver)
            self.link.disconnect()
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)

    def test_refused(self) -> None:
        """
        A stream that cannot be read is notified once, the others continue, and reading is retried
        once per timeout.
        """
        one, two = FakeStream("one"), FakeStream("two")
        connection = self.connect(one, two)
        self.news(connection, one, two)
        connection.answer(WRONGTYPE, [entry(1), entry(2)])
        self.assertEqual((one.told, two.told), ([("refused", "(WRONGTYPE)")], [["2-0"]]))
        [command] = self.asked(connection)
        self.assertEqual(command[6:], ("two", b"2-0"))
        for _ in range(2):
            self.clock.advance(5)
            connection.answer(None)
            self.assertEqual(len(self.asked(connection)), 2)
            connection.answer(WRONGTYPE, [entry(2)])
        self.clock.advance(5)
        connection.answer(None)
        connection.answer([entry(1), entry(2)], [entry(2)])
        self.assertEqual(one.told, [("refused", "(WRONGTYPE)"), ("refused", None), ["2-0"]])
        self.assertIn("one", self.asked(connection)[0])

    def test_allRefused(self) -> None:
        """
        If no stream can be read, the follower waits for the timeout, or for another stream; and
        nothing is left after a stop.
        """
        one, two = FakeStream("one"), FakeStream("two")
        connection = self.connect(one)
        self.news(connection, one)
        connection.answer(WRONGTYPE)
        self.assertEqual(connection.asked, [])
        self.clock.advance(5)
        connection.answer(WRONGTYPE)
        self.follower.add(two)
        connection.answer(WRONGTYPE, [entry(1)])
        self.follower.remove(two)
        connection.answer(None)
        self.follower.stop()
        self.clock.advance(0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_waitRefused(self) -> None:
        """
        If waiting is refused because of one stream, that stream is identified.
        """
        one, two = FakeStream("one"), FakeStream("two")
        connection = self.connect(one, two)
        connection.answer(WRONGTYPE)
        self.assertEqual(len(self.asked(connection)), 2)
        connection.answer([entry(1)], WRONGTYPE)
        self.assertEqual(two.told, [("refused", "(WRONGTYPE)")])
        self.assertEqual(self.asked(connection)[0][6:], ("one", b"1-0"))

    def test_waitForbidden(self) -> None:
        """
        If waiting is refused regardless of the streams, the connection is unusable.
        """
        one = FakeStream("one")
        self.follower.add(one)
        connection = self.link.connect()
        connection.answer([entry(1)])
        [command] = connection.answer(ReplyError("NOPERM xread"))
        # A proxy that refuses to wait may accept the command without waiting.
        self.assertIn("BLOCK", command)
        connection.answer([entry(1)])
        self.assertIn("not allowed to do this", str(connection.why))
        self.assertEqual(self.link.done, [])

    def test_passing(self) -> None:
        """
        If the server is temporarily unable to answer, the connection is closed; if it has become a
        replica, the follower reconnects; and if another has the keys, to that one.
        """
        for error, done, why in (
            ("LOADING data", [], "LOADING data"),
            ("MASTERDOWN link", [], "MASTERDOWN link"),
            ("UNBLOCKED role changed", ["renew"], "UNBLOCKED role changed"),
            ("MOVED 1 10.0.0.1:7", [("10.0.0.1", 7)], "moved"),
        ):
            self.setUp()
            one = FakeStream("one")
            connection = self.connect(one)
            self.link.done.clear()
            connection.answer(ReplyError(error))
            self.assertEqual((self.link.done, connection.why), (done, why))
            self.assertEqual(one.told, [])

    def test_lostConnection(self) -> None:
        """
        After a reconnection everything is read again.
        """
        one, two = FakeStream("one"), FakeStream("two")
        self.connect(one, two)
        self.changes = 0
        self.link.disconnect()
        self.assertEqual(self.changes, 1)
        self.clock.advance(2)
        self.assertEqual(self.follower.behind, 2)
        connection = self.link.connect()
        self.assertEqual(len(self.asked(connection)), 2)
