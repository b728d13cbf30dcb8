"""
Tests for L{twisted_sse.store.redis.log}.
"""

from __future__ import annotations

from typing import Any

from hiredis import ReplyError
from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from tests.support.redis_memory import Streams
from twisted_sse import Event
from twisted_sse.store import NotKept, NotStored, Record, StoreAway
from twisted_sse.store.redis import log
from twisted_sse.store.redis.errors import Unanswered
from twisted_sse.store.redis.health import Health
from twisted_sse.store.redis.log import RedisLog
from twisted_sse.testing.stores import MemoryTail


class LogTestCase(SynchronousTestCase):
    """
    A log of a stream in memory.
    """

    def setUp(self) -> None:
        """
        Make a stream with nine events.
        """
        self.streams: Any = Streams()
        for number in range(1, 10):
            self.add(number)
        self.health = Health("redis://host")
        self.closed: list[RedisLog] = []

    def add(self, number: int, *fields: bytes) -> None:
        """
        Add an event.
        """
        self.streams.add(b"data", b"%d" % number, *fields)

    def open(self, recent: int = 1000, **options: Any) -> RedisLog:
        """
        Open the log.
        """
        self.tail = MemoryTail()
        options = {"maxEvents": 100, "maxAge": None, **options}
        log = RedisLog(
            "news",
            self.tail,
            self.streams,
            health=self.health,
            closed=self.closed.append,
            **options,
        )
        self.successResultOf(Deferred.fromCoroutine(log.open(recent)))
        self.streams.asked.clear()
        return log

    def told(self) -> str:
        """
        @return: the data of the records that the tail received.
        """
        return "".join(str(record.event.data) for record in self.tail.records)

    def read(self, log: RedisLog, after: str | None, maxBytes: int = 2**20, *topics: str) -> str:
        """
        Read.

        @return: the data.
        """
        asking = log.read(after, maxBytes, frozenset(topics) if topics else None)
        return "".join(str(record.event.data) for record in self.successResultOf(asking))


class OpeningTests(LogTestCase):
    """
    Tests for opening.
    """

    def test_recent(self) -> None:
        """
        The newest events are passed on, across any number of pages, and the origin is the position
        before them.
        """
        self.patch(log, "PIECE", 3 * 2**14)
        for recent, told in (0, ""), (1, "9"), (3, "789"), (8, "23456789"), (9, "123456789"):
            opened = self.open(recent)
            self.assertEqual(self.told(), told)
            self.assertEqual(self.read(opened, opened.origin), told)
            self.assertEqual(opened.origin, f"1000-{9 - recent}" if recent < 9 else "<1000-1")

    def test_rubbish(self) -> None:
        """
        Entries that are not events do not count.
        """
        for _ in range(50):
            self.streams.add(b"foo", b"bar")
        opened = self.open(2)
        self.assertEqual(self.told(), "89")
        self.assertEqual(self.read(opened, opened.origin), "89")
        self.assertEqual(self.health.skipped, 100)

    def test_droppedMeanwhile(self) -> None:
        """
        If events are dropped during the reading, it stops there.
        """
        self.patch(log, "PIECE", 3 * 2**14)

        def drop() -> None:
            if len(self.streams.asked) == 2:
                del self.streams.entries[:5]

        self.streams.before = drop
        opened = self.open()
        self.assertIn(self.told(), ["6789", "56789", "456789"])
        self.assertEqual(opened.origin, f"<1000-{self.told()[0]}")

    def test_empty(self) -> None:
        """
        An empty stream gets a beginning, even if there were entries in the same second.
        """
        for last in (0, 0), (1000, 5):
            self.streams.entries.clear()
            self.streams._last = last
            opened = self.open()
            [(_, fields)] = self.streams.entries
            self.assertEqual(fields, [b"sse", b"begin"])
            self.assertEqual(self.told(), "")
            self.assertEqual(self.read(opened, opened.origin), "")
            self.assertTrue(opened.origin)

    def test_fails(self) -> None:
        """
        An error states whether a retry makes sense.
        """
        for refusal, kind in (
            ("WRONGTYPE Operation", ValueError),
            ("NOPERM this user", ValueError),
            ("ERR unknown command", ValueError),
            ("OOM command", StoreAway),
            ("LOADING data", StoreAway),
        ):
            self.streams.refusal = refusal
            opened = RedisLog("news", MemoryTail(), self.streams, 1, None, self.health, int)
            opening = Deferred.fromCoroutine(opened.open(1))
            self.assertIn("news: ", str(self.failureResultOf(opening, kind).value))
        self.streams.failure = Unanswered(False, "no server")
        opening = Deferred.fromCoroutine(opened.open(1))
        # Publishers that wait for the log receive this error.
        self.assertEqual(str(self.failureResultOf(opening, StoreAway).value), "Redis: no server")


class ReadingTests(LogTestCase):
    """
    Tests for C{read}.
    """

    def test_places(self) -> None:
        """
        The directly following events are read, after an ID or before one.
        """
        log = self.open()
        for after, found in (
            (None, "123456789"),
            ("1000-1", "23456789"),
            ("<1000-1", "123456789"),
            ("1000-8", "9"),
            ("1000-9", ""),
            ("<1000-9", "9"),
        ):
            self.assertEqual(self.read(log, after), found)

    def test_notKept(self) -> None:
        """
        A missing position is refused, and text that is not a position is refused without a request.
        """
        log = self.open()
        for after in "1000-10", "999-0", "0-0", "<0-0", f"{2**64 - 1}-0":
            self.failureResultOf(log.read(after, 100), NotKept)
        asked = len(self.streams.asked)
        for after in "", "x", "1000", "-", "+", "(1000-1", "$", "1000-1\n", f"{2**64}-0":
            self.failureResultOf(log.read(after, 100), NotKept)
        self.assertEqual(len(self.streams.asked), asked)

    def test_size(self) -> None:
        """
        About as many bytes are read as requested, and at least one event; the number of entries is
        chosen accordingly.
        """
        self.streams.entries.clear()
        for _ in range(100):
            self.streams.add(b"data", b"x" * 1000)
        log = self.open()
        for maxBytes, least, most in (1, 1, 1), (1044, 1, 1), (5300, 2, 6), (10**6, 60, 100):
            found = self.successResultOf(log.read(None, maxBytes))
            self.assertTrue(least <= len(found) <= most, len(found))
        for command in self.streams.asked:
            self.assertLessEqual(command[-1], 501)

    def test_rubbish(self) -> None:
        """
        Reading continues until there is an event, or until the end.
        """
        for _ in range(1000):
            self.streams.add(b"foo", b"bar")
        log = self.open()
        self.assertEqual(self.read(log, "1000-9", 100), "")
        self.add(7)
        log.advance([self.streams.entries[-1]])
        self.assertEqual(self.read(log, "1000-9", 100), "7")

    def test_topics(self) -> None:
        """
        Only events about one of the topics are found, in pages that do not depend on how few bytes
        are requested.
        """
        for number in range(2000):
            self.add(number % 10, b"topic", b"rare" if number % 1000 == 500 else b"common")
        log = self.open()
        self.assertEqual(self.read(log, None, 50, "rare"), "0")
        self.assertLess(len(self.streams.asked), 100)
        self.assertEqual(self.read(log, None, 10**6, "other"), "")

    def test_untold(self) -> None:
        """
        Only events that the tail has received are returned.
        """
        log = self.open()
        self.add(0)
        self.assertEqual(self.read(log, "1000-8"), "9")
        self.assertEqual(self.read(log, "1000-9"), "")

    def test_ahead(self) -> None:
        """
        Reading after an event that the tail has not received waits until it has.
        """
        log = self.open()
        for number in 1, 2:
            self.add(number)
        asking = log.read("1000-10", 100)
        self.assertNoResult(asking)
        log.advance(self.streams.entries[-2:-1])
        self.assertEqual(list(self.successResultOf(asking)), [])
        asking = log.read("1000-11", 100)
        log.advance(self.streams.entries[-1:])
        self.assertEqual(list(self.successResultOf(asking)), [])

    def test_aheadDeleted(self) -> None:
        """
        If that event is deleted, the position is refused as soon as it is known that there is no
        news.
        """
        log = self.open()
        self.add(1)
        asking = log.read("1000-10", 100)
        log.advance([])
        self.assertNoResult(asking)
        del self.streams.entries[-1]
        log.advance([])
        self.failureResultOf(asking, NotKept)

    def test_aheadLost(self) -> None:
        """
        The position is refused, too, if continuity is lost.
        """
        log = self.open()
        self.add(1)
        asking = log.read("1000-10", 100)
        self.streams.entries.clear()
        self.add(2)
        log.restart(self.streams.entries[-1])
        self.failureResultOf(asking, NotKept)
        self.assertEqual((self.tail.origins, self.health.resets), (["1000-11"], 1))

    def test_aheadAway(self) -> None:
        """
        Reading does not wait if nothing can be received, whether from the start or later.
        """
        log = self.open()
        self.add(1)
        asking = log.read("1000-10", 100)
        log.away("no server")
        self.assertIn("no server", str(self.failureResultOf(asking, StoreAway).value))
        self.failureResultOf(log.read("1000-10", 100), StoreAway)
        log.away(None)
        self.assertNoResult(log.read("1000-10", 100))
        self.assertEqual(self.tail.reasons, ["no server", None])

    def test_oldestDropped(self) -> None:
        """
        If the oldest events are dropped while it looks for one, the search begins again; if others
        were found, these are returned.
        """
        self.streams.entries[:] = []
        for _ in range(1000):
            self.streams.add(b"foo", b"bar")
        self.add(1)
        log = self.open()

        def drop() -> None:
            if len(self.streams.asked) == 3:
                del self.streams.entries[:900]

        self.streams.before = drop
        self.assertEqual(self.read(log, None, 100), "1")

    def test_away(self) -> None:
        """
        A read that is not answered, or is refused, fails with an error that allows a retry.
        """
        log = self.open()
        self.streams.refusal = "NOPERM this user"
        self.failureResultOf(log.read(None, 100), StoreAway)
        self.streams.failure = Unanswered(True, "no server")
        self.failureResultOf(log.read(None, 100), StoreAway)


class AppendingTests(LogTestCase):
    """
    Tests for C{append}.
    """

    def test_commands(self) -> None:
        """
        One event takes one command, several take a transaction, with the limit of the store.
        """
        log = self.open(maxEvents=7)
        one, two = Record(Event("a"), time=1.5), Record(Event("b"), ("x", "y"), True, 2)
        head = ("XADD", "news", "MAXLEN", "~", 7, "*")
        self.assertEqual(list(self.successResultOf(log.append([one]))), ["1000-10"])
        first = (*head, "data", "a", "time", "1.5")
        self.assertEqual(self.streams.asked, [first])
        self.streams.asked.clear()
        replies = ["OK", "QUEUED", "QUEUED", [b"1-0", b"2-0"]]
        self.patch(self.streams, "_do", lambda command: replies.pop(0))
        self.assertEqual(self.successResultOf(log.append([one, two])), ["1-0", "2-0"])
        second = ("data", "b", "topic", "x", "topic", "y", "private", "1", "time", "2.0")
        self.assertEqual(self.streams.asked, [("MULTI",), first, (*head, *second), ("EXEC",)])

    def test_unlimited(self) -> None:
        """
        A store may have no limit.
        """
        log = self.open(maxEvents=None)
        log.append([Record(Event("a"))])
        self.assertEqual(self.streams.asked[0][:3], ("XADD", "news", "*"))

    def test_refused(self) -> None:
        """
        The error states whether something may have been stored: not if the server refuses it, but
        if there is no answer, or a part was accepted.
        """
        log = self.open()
        wrong = ReplyError("WRONGTYPE Operation")
        said: list[str] = []
        for replies, maybe in (
            (
                ["OK", ReplyError("OOM used"), ReplyError("OOM used"), ReplyError("EXECABORT")],
                False,
            ),
            (["OK", "QUEUED", "QUEUED", [wrong, wrong]], False),
            (["OK", "QUEUED", "QUEUED", [b"1-0", wrong]], True),
        ):
            self.patch(self.streams, "ask", lambda *_, replies=replies, **__: succeed(replies))
            self.health.stored("news")
            appending = log.append([Record(Event("a")), Record(Event("b"))])
            error = self.failureResultOf(appending, NotStored).value
            self.assertEqual(error.maybe, maybe)
            self.assertTrue(str(error).startswith("Redis: news: "), str(error))
            said.append(str(self.health.problem()).partition(":")[0])
        # The memory is full for all streams, the wrong key belongs to this one.
        self.assertEqual(said, ["events are not stored"] + ["events of news are not stored"] * 2)
        self.patch(self.streams, "ask", lambda *_, **__: succeed([b"1-0"]))
        self.successResultOf(log.append([Record(Event("a"))]))
        self.assertIsNone(self.health.problem())
        self.assertEqual((self.health.errors, self.health.appends), (3, 4))
        self.assertEqual(len(self.flushLoggedErrors()), 0)

    def test_unanswered(self) -> None:
        """
        Without an answer a sent event may be stored.  A publisher, who has its own connection,
        learns that Redis did not answer.
        """
        log = self.open()
        for wasSent in False, True:
            self.streams.failure = Unanswered(wasSent, "no server")
            for key in None, "key":
                appending = log.append([Record(Event("a"))], key)
                error = self.failureResultOf(appending, NotStored).value
                self.assertEqual((error.maybe, str(error)), (wasSent, "Redis: no server"))

    def test_unknownScript(self) -> None:
        """
        If the server does not know the script, the script is sent.
        """
        log = self.open()
        content: list[bytes] = []

        def ask(*commands: Any, **options: bool) -> Any:
            [command] = commands
            self.assertEqual(options, {"isRepeatable": True, "isOrdered": True})
            if command[0] == "EVALSHA":
                return succeed([ReplyError("NOSCRIPT No matching script")])
            content.append(command[6])
            return succeed([[0, command[6] + b"1-0 1-1"]])

        self.patch(self.streams, "ask", ask)
        found = self.successResultOf(log.append([Record(Event("a")), Record(Event("b"))], "key"))
        self.assertEqual((found, len(content[0])), (["1-0", "1-1"], 32))

    def test_topics(self) -> None:
        """
        Events with too many topics for the script are refused, even without the script.
        """
        log = self.open()
        many = Record(Event("b"), tuple(map(str, range(4000))))
        for key in None, "key":
            appending = log.append([Record(Event("a")), many], key)
            self.assertFalse(self.failureResultOf(appending, NotStored).value.maybe)
        self.assertEqual(self.streams.asked, [])

    def test_strange(self) -> None:
        """
        After an answer that Redis never sends, it is unknown which events were stored.
        """
        log = self.open()
        for count, key, replies in (
            (1, None, [7]),
            (1, None, [None]),
            (2, None, ["OK", "QUEUED", "QUEUED", None]),
            (2, None, ["OK", "QUEUED", "QUEUED", [b"1-0", None]]),
            (1, "key", [None]),
            (1, "key", [[0]]),
            (1, "key", [[0, None]]),
        ):
            self.patch(self.streams, "ask", lambda *_, replies=replies, **__: succeed(replies))
            appending = log.append([Record(Event("a"))] * count, key)
            error = self.failureResultOf(appending, NotStored).value
            self.assertTrue(error.maybe)
            self.assertIn("news: the server returned ", str(error))

    def test_noText(self) -> None:
        """
        Events with a topic or a key that cannot be sent are refused.
        """
        log = self.open()
        for topics, key in (("a", "\ud800"), None), ((), "\ud800"):
            appending = log.append([Record(Event("a"), topics)], key)
            error = self.failureResultOf(appending, NotStored).value
            self.assertFalse(error.maybe)
            self.assertIn("is not valid text", str(error))
        self.assertEqual(self.streams.asked, [])


class ClosingTests(LogTestCase):
    """
    Tests for C{close}.
    """

    def test_waits(self) -> None:
        """
        Closing waits for earlier requests, and refuses later ones; it can be repeated.
        """
        log = self.open()
        answers: list[Deferred[Any]] = []

        def ask(*commands: Any, **options: bool) -> Deferred[Any]:
            answers.append(Deferred())
            return answers[-1]

        self.patch(self.streams, "ask", ask)
        appending, reading = log.append([Record(Event("a"))]), log.read(None, 100)
        closing = [log.close(), log.close()]
        self.failureResultOf(log.append([Record(Event("a"))]), NotStored)
        self.failureResultOf(log.read(None, 100), StoreAway)
        for each in closing:
            self.assertNoResult(each)
        for answer in answers:
            answer.errback(Unanswered(True, "no server"))
        self.failureResultOf(appending, NotStored)
        self.failureResultOf(reading, StoreAway)
        for each in [*closing, log.close()]:
            self.successResultOf(each)
        self.assertEqual(self.closed, [log])

    def test_answeredThen(self) -> None:
        """
        Requests that would have to wait for the tail do not keep it open.
        """
        log = self.open()
        self.add(1)
        entries = self.streams.entries[-1:]
        answer: Deferred[Any] = Deferred()
        self.patch(self.streams, "ask", lambda *_, **__: answer)
        reading = log.read("1000-10", 100)
        closing = log.close()
        answer.callback([entries])
        self.failureResultOf(reading, StoreAway)
        self.successResultOf(closing)

    def test_ahead(self) -> None:
        """
        Requests that wait for the tail fail with an error that allows a retry.
        """
        log = self.open()
        self.add(1)
        asking = log.read("1000-10", 100)
        self.successResultOf(log.close())
        self.failureResultOf(asking, StoreAway)
