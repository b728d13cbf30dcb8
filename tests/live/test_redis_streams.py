"""
Tests for streams of Redis that other programs change, for large streams, and for closing a store.
"""

from __future__ import annotations

import time
from typing import Any

from twisted.internet import reactor
from twisted.internet.task import LoopingCall, deferLater

from tests.support.live import until
from tests.support.patience import PATIENCE
from tests.support.redis_sides import RESET, Side, SidesTestCase
from tests.support.requirements import needs
from twisted_sse import Event
from twisted_sse.store import NotStored, Record
from twisted_sse.store.redis.log import RedisLog
from twisted_sse.testing.stores import MemoryTail, OpenedLog

#: Entries that are not events.
RUBBISH: list[list[Any]] = [
    ["foo", "bar"],
    ["", ""],
    ["topic", "x"],
    ["data", b"\xff\xfe"],
    ["data", "x", "event", b"\xc3"],
    ["data", "x", "topic", b"\xed\xa0\x80"],
    ["data", "x", "event", "two\nlines"],
    ["data", "x", "data", "y"],
    ["data", "x", "retry", "-1"],
    ["data", "x", "retry", "1e3"],
    ["data", "x", "retry", "9" * 100],
    ["data", "x", "retry", "\u0663"],
    ["data", "x" * 40_000_000],
    ["DATA", "x"],
    ["sse", "begin"],
]

#: Entries that are events, even if in another form than ours.
STRANGE: list[list[Any]] = [
    ["data", "plain"],
    ["data", "", "event", ""],
    ["data", "NUL \0, CR \r, LF \n, U+2028 \u2028"],
    ["data", "with", "id", "own\0id", "foo", b"\xff", "foo", b"\xff"],
    ["data", "time", "time", "yesterday"],
    ["data", "time", "time", "nan"],
    ["data", "time", "time", "9" * 1000],
    ["event", "typed", "data", "retry", "retry", "9999999999"],
    ["data", "topics", *["topic", "a"] * 5000],
    ["data", "x" * 10_000_000],
    ["data", "private", "private", "no"],
]


@needs("network", "redis")
class ForeignTests(SidesTestCase):
    """
    Tests for entries of other programs.
    """

    async def test_rubbish(self) -> None:
        """
        Entries that are not events are skipped, with one line in the log, and everything else
        arrives: for connected clients, for those that resume, and when the log is opened.
        """
        await self.begin()
        resuming = await self.one.read()
        await self.one.write("first")
        await self.assertGot("first", readers=[resuming])
        resuming.leave()
        for fields in RUBBISH:
            self.server.ask("XADD", "t:news", "*", *fields)
            self.server.ask("XADD", "t:news", "*", "data", "between")
        await self.one.write("last")
        await self.assertGot("first", *["between"] * len(RUBBISH), "last")
        resuming.connect()
        await self.assertGot("first", *["between"] * len(RUBBISH), "last", readers=[resuming])
        third = Side(self)
        opened = await OpenedLog.of(third.store)
        self.assertEqual(len(opened.tail.records), len(RUBBISH) + 2)
        skipped = {
            figure.value
            for side in (self.one, self.two)
            for figure in side.store.figures()
            if figure.name == "skipped"
        }
        # An entry that only begins a stream is not counted.
        self.assertEqual(skipped, {len(RUBBISH) - 1})
        lines = self.flushLogged()
        self.assertEqual(len(lines), 3, lines)
        for line in lines:
            self.assertIn("is not an event", line)

    async def test_strange(self) -> None:
        """
        Entries that were made in other ways are events, too.
        """
        opened = await OpenedLog.of(self.store())
        ids = [self.server.ask("XADD", "t:news", "*", *fields) for fields in STRANGE]
        await opened.tail.until(lambda: len(opened.tail.records) == len(STRANGE))
        records = opened.tail.records
        self.assertEqual([record.event.id for record in records], ids)
        for record, fields in zip(records, STRANGE, strict=True):
            self.assertEqual(record.event.data, fields[fields.index("data") + 1])
            self.assertLess(abs(record.time - time.time()), 60)
        self.assertEqual(await opened.readAll(), records)
        self.assertEqual(self.flushLogged(), [])

    async def test_shell(self) -> None:
        """
        C{redis-cli} publishes.
        """
        await self.begin()
        self.server.cli(
            *("XADD", "t:news", "MAXLEN", "~", "10000", "*", "data", "hello", "event", "message")
        )
        await self.assertGot("hello")

    async def test_lastID(self) -> None:
        """
        If another program has used the last possible ID, publishing fails with the reason, and
        reading continues.
        """
        await self.begin()
        await self.one.write("a")
        last = f"{2**64 - 1}-{2**64 - 1}"
        self.server.ask("XADD", "t:news", last, "data", "last")
        await self.assertGot("a", "last")
        self.assertIn("last possible ID", str(await self.failed(self.one, "b")))
        reader = await self.one.read()
        self.assertEqual(reader.lastEventID, last)
        reader.leave()
        reader.connect()
        await until(lambda: reader.response.status == 200, "it is connected")
        self.server.ask("DEL", "t:news")
        await self.assertGot("a", "last", RESET)


@needs("network", "redis")
class LargeTests(SidesTestCase):
    """
    Tests for many events.
    """

    async def test_many(self) -> None:
        """
        A process that could not follow for 100,000 events gets all of them, while others publish,
        and its reactor is not blocked.
        """
        await self.begin(timeout=2, maxEvents=None)
        held = Held(self)
        await self.one.write("a")
        self.server.stop()
        await self.isAway()
        self.server.goOn()
        script = "for i = 1, 100000 do redis.call('XADD', KEYS[1], '*', 'data', i) end"
        self.server.ask("EVAL", script, 1, "t:news")
        await self.isAway(False)
        await self.two.write("b")
        await self.assertGot("a", *map(str, range(1, 100001)), "b")
        self.assertLess(held.longest, 1)

    async def test_trimmedWhileBehind(self) -> None:
        """
        If the stream is trimmed faster than a process follows, all its readers are notified.
        """
        await self.begin()
        await self.one.write("a")
        await self.assertGot("a")
        script = (
            "for i = 1, 30000 do redis.call('XADD', KEYS[1], 'MAXLEN', 100, '*', 'data', i) end"
        )
        self.server.ask("EVAL", script, 1, "t:news")
        await self.assertGot("a", RESET)
        await self.one.write("b")
        await self.assertGot("a", RESET, "b")

    async def test_topics(self) -> None:
        """
        Reading the few events about a topic out of 100,000 does not block the reactor for long, and
        requests no more pages than exist.
        """
        script = (
            "for i = 1, 100000 do redis.call('XADD', KEYS[1], '*', 'data', i, 'topic',"
            " i % 50000 == 0 and 'rare' or 'common') end"
        )
        self.server.ask("EVAL", script, 1, "t:news")
        opened = await OpenedLog.of(self.store(), recent=10)
        held = Held(self)
        self.server.ask("CONFIG", "RESETSTAT")
        found = await opened.readAll(topics=frozenset(["rare"]), maxBytes=60)
        self.assertEqual([record.event.data for record in found], ["50000", "100000"])
        calls = self.server.ask("INFO", "commandstats")
        asked = int(calls.partition("cmdstat_xrange:calls=")[2].partition(",")[0])
        self.assertLess(asked, 1000)
        self.assertLess(held.longest, 1)

    async def test_atOnce(self) -> None:
        """
        100,000 events that are published in one turn all arrive, in order.
        """
        await self.begin(timeout=PATIENCE, maxEvents=None)
        for number in range(100_000):
            self.one.channel.publish(f"{number}")
        await self.one.write("last")
        await self.assertGot(*map(str, range(100_000)), "last")

    async def test_batch(self) -> None:
        """
        A batch with a key is stored or refused as a whole, however many events and topics it has.
        """
        opened = await OpenedLog.of(self.store(timeout=PATIENCE, maxEvents=None), recent=0)
        many = [Record(Event(f"{number}")) for number in range(20_000)]
        for _ in range(2):
            self.assertEqual(len(await opened.append(many, "many")), 20_000)
        topics = tuple(f"{number}" for number in range(3000))
        await opened.write(Record(Event("a")), Record(Event("b"), topics), key="topics")
        before = self.server.ask("XLEN", "t:news")
        topics = tuple(f"{number}" for number in range(5000))
        await self.assertFailure(
            opened.append([Record(Event("a")), Record(Event("b"), topics)], "more"), NotStored
        )
        self.assertEqual(self.server.ask("XLEN", "t:news"), before)

    async def test_largeEvents(self) -> None:
        """
        Large events arrive, and are not requested by the hundred.
        """
        self.server.askAll(
            *(("XADD", "t:news", "*", "data", f"{number:10}" * 200_000) for number in range(50))
        )
        await self.begin()
        opened = await OpenedLog.of(self.store(), recent=50)
        self.assertEqual(len(opened.tail.records), 50)
        self.assertEqual(await opened.readAll(), opened.tail.records)
        # One reply was never more than some of them.
        clients = self.server.ask("INFO", "clients")
        largest = int(clients.partition("max_output_buffer:")[2].split()[0])
        self.assertLess(largest, 50_000_000)


@needs("network", "redis")
class ChannelTests(SidesTestCase):
    """
    Tests for several channels.
    """

    async def test_sameName(self) -> None:
        """
        Two channels of one name in one store are like those in two: each gets everything once.
        """
        await self.begin()
        third = Side(self, store=self.one.store)
        self.readers.append(await third.read())
        await third.write("a")
        await self.one.write("b")
        await self.two.write("c")
        await self.assertGot("a", "b", "c")
        third.channel.close()
        await self.one.write("d")
        await self.assertGot("a", "b", "c", "d", readers=self.readers[:2])

    async def test_many(self) -> None:
        """
        With hundreds of channels in a store, each is followed immediately when it is opened, and
        gets its own events.
        """
        store = self.store(timeout=5)
        began = time.monotonic()
        logs = [await OpenedLog.of(store, f"{number}") for number in range(300)]
        for number in range(300):
            self.server.ask("XADD", f"t:{number}", "*", "data", f"{number}")
        for number, opened in enumerate(logs):
            await opened.tail.until(lambda opened=opened: opened.tail.records)
            self.assertEqual([r.event.data for r in opened.tail.records], [f"{number}"])
        # None had to wait for the timeout.
        self.assertLess(time.monotonic() - began, 4)

    async def test_openedWhileWaiting(self) -> None:
        """
        A channel that is opened while others wait for news gets its events immediately.
        """
        store = self.store(timeout=10)
        for number in range(50):
            opened = await OpenedLog.of(store, f"{number}")
            began = time.monotonic()
            self.server.ask("XADD", f"t:{number}", "*", "data", "x")
            await opened.tail.until(lambda opened=opened: opened.tail.records)
            self.assertLess(time.monotonic() - began, 1, number)
            await deferLater(reactor, 0.001 * (number % 5))


@needs("network", "redis")
class ClosingTests(SidesTestCase):
    """
    Tests for closing a store, in every state.  trial checks that no connection or delayed call is
    left.
    """

    async def test_everyMoment(self) -> None:
        """
        A store can be closed at any moment: while it connects, opens, publishes, reads, waits, is
        unreachable, or recovers; then nothing is left waiting.
        """
        self.server.ask("XADD", "t:news", "*", "data", "x")
        for state in "there", "frozen", "gone":
            for turns in 0, 1, 2, 3, 5, 8, 13, 30:
                if state == "frozen":
                    self.server.stop()
                elif state == "gone":
                    self.server.kill()
                store = self.store()
                tail = MemoryTail()
                opening = store.open("news", tail, 10)
                asked: list[Any] = [opening]
                for _ in range(turns):
                    await deferLater(reactor, 0.0005)
                    if opening.called and isinstance(opening.result, RedisLog):
                        asked += [
                            opening.result.append([Record(Event("y"))]),
                            opening.result.append([Record(Event("y"))], f"{turns}"),
                            opening.result.read(None, 100),
                        ]
                closing = store.close()
                outcomes: list[object] = []
                for each in asked:
                    each.addBoth(outcomes.append)
                await closing
                self.assertEqual(len(outcomes), len(asked))
                self.assertIsNone(store._session)
                if state == "frozen":
                    self.server.goOn()
                elif state == "gone":
                    await self.server.start()
        await until(lambda: not self.server.connections(), "no connection is left")
        self.assertEqual([line for line in self.flushLogged() if "Traceback" in line], [])

    async def test_again(self) -> None:
        """
        A store that was closed can be opened again.
        """
        store = self.store()
        for number in range(3):
            opened = await OpenedLog.of(store)
            await opened.write(Record(Event(f"{number}")))
            self.assertEqual(len(opened.tail.records), number + 1)
            await store.close()
            await until(lambda: not self.server.connections(), "no connection is left")


class Held:
    """
    Measures the longest time for which the reactor is blocked.

    @ivar longest: in seconds of the processor, since the machine may be busy with other things.
    """

    def __init__(self, test: SidesTestCase) -> None:
        self.longest = 0.0
        self._last = time.thread_time()
        call = LoopingCall(self._look)
        call.start(0.001)
        test.addCleanup(call.stop)

    def _look(self) -> None:
        now = time.thread_time()
        self.longest = max(self.longest, now - self._last)
        self._last = now
