"""
Tests for a Redis server that has lost events, or whole streams.
"""

from __future__ import annotations

import contextlib

from hiredis import ReplyError
from twisted.internet import reactor
from twisted.internet.task import LoopingCall, deferLater

from tests.support.live import until
from tests.support.redis_sides import RESET, Side, SidesTestCase
from tests.support.requirements import needs
from twisted_sse import Event
from twisted_sse.store import NotStored

#: The wait until a loss is noticed: a store checks after its timeout.
NOTICED = 0.8

#: The log message about a loss.
LOST = "may be lost"


@needs("network", "redis")
class LossTests(SidesTestCase):
    """
    Tests for a stream that is deleted, or cut.
    """

    async def assertNoticed(self, *before: str) -> None:
        """
        Assert that all readers are soon notified that they may have missed events, even if nothing
        is published, and that publishing continues, with new IDs.
        """
        await self.assertGot(*before, RESET)
        [event] = await self.one.write("new")
        await self.two.write("newer")
        await self.assertGot(*before, RESET, "new", "newer")
        said = self.logged()
        self.assertEqual([line for line in said if LOST not in line], [])
        self.assertEqual(len(said), 2, "each process says it once")
        # There is one notice, and the reader continues from there.
        reader = self.readers[0]
        reader.leave()
        await self.one.write("newest")
        reader.connect(self.two.server)
        await self.assertGot(*before, RESET, "new", "newer", "newest")
        self.assertEqual(self.resets(), [1, 1])
        self.assertGreater(order(event.id), order(self.latest))

    def logged(self) -> list[str]:
        """
        @return: the log messages, except those about an unreachable server.
        """
        return [
            line
            for line in self.flushLogged()
            if "Cannot reach " not in line and "Connected to " not in line
        ]

    def resets(self) -> list[float]:
        """
        @return: the number of reset streams, in each process.
        """
        return [
            figure.value
            for side in (self.one, self.two)
            for figure in side.store.figures()
            if figure.name == "resets"
        ]

    async def write(self) -> None:
        """
        Start, and publish events.
        """
        await self.begin()
        *_, last = await self.one.write("a", "b")
        self.latest = last.id
        await self.assertGot("a", "b")

    async def test_flushed(self) -> None:
        """
        When everything is deleted, all clients are notified within the timeout.
        """
        await self.write()
        self.server.cli("FLUSHALL")
        await self.assertNoticed("a", "b")

    async def test_deleted(self) -> None:
        """
        Clients are notified when a key is deleted, even if there are constant news in another.
        """
        await self.write()
        others = [Side(self, name="other", store=side.store) for side in (self.one, self.two)]
        for other in others:
            await other.channel.whenReady()
        chatter = LoopingCall(others[0].channel.publish, "x")
        chatter.start(0.02)
        self.addCleanup(lambda: chatter.running and chatter.stop())
        self.server.cli("DEL", "t:news")
        await self.assertGot("a", "b", RESET)
        chatter.stop()

    async def test_restarted(self) -> None:
        """
        Clients are notified when the server restarts without its data.
        """
        await self.write()
        self.server.kill()
        await self.server.start()
        await self.assertNoticed("a", "b")

    async def test_newestDeleted(self) -> None:
        """
        Clients are notified when the newest entry is deleted.
        """
        await self.write()
        self.server.cli("XDEL", "t:news", self.latest)
        await self.assertNoticed("a", "b")

    async def test_trimmed(self) -> None:
        """
        Clients are notified when a stream is emptied.
        """
        await self.write()
        self.server.cli("XTRIM", "t:news", "MAXLEN", "0")
        await self.assertNoticed("a", "b")

    async def test_laterDeleted(self) -> None:
        """
        Clients are notified when a stream is emptied that has had greater IDs than they have seen;
        and then everything continues.
        """
        await self.write()
        ms = int(self.latest.partition("-")[0])
        self.server.askAll(
            ("MULTI",),
            ("XADD", "t:news", f"{ms + 10_000}-1", "data", "later"),
            ("XTRIM", "t:news", "MAXLEN", "0"),
            ("EXEC",),
        )
        await self.assertNoticed("a", "b")

    async def test_othersTrimmed(self) -> None:
        """
        Clients are not notified when events are dropped that all have received, except a client
        that was disconnected for longer.
        """
        await self.write()
        gone = await self.one.read()
        gone.leave()
        await self.one.write(*map(str, range(200)))
        await self.assertGot("a", "b", *map(str, range(200)))
        self.server.cli("XTRIM", "t:news", "MAXLEN", "1")
        await deferLater(reactor, NOTICED)
        await self.one.write("c")
        await self.assertGot("a", "b", *map(str, range(200)), "c")
        # The window has the newest 100.
        gone.connect()
        await until(lambda: RESET in gone.look(), "the notice of the loss")
        self.assertEqual(self.resets(), [0, 0])

    async def test_flushedWhilePublishing(self) -> None:
        """
        When everything is deleted while others publish, all clients are notified before they get
        later events, in order and each once.
        """
        await self.write()
        for number in range(300):
            (self.one, self.two)[number % 2].channel.publish(f"{number}")
            if number == 150:
                self.server.ask("FLUSHALL")
            await deferLater(reactor, 0)
        sides = self.one, self.two
        await until(lambda: not any(side.channel.unstored for side in sides), "all are stored")
        await self.one.write("last")
        begins = []
        for reader in self.readers:
            await until(lambda reader=reader: reader.look()[-1] == "last", "it has the last")
            self.assertEqual(reader.got.count(RESET), 1)
            at = reader.got.index(RESET)
            begin, rest = reader.got[2:at], reader.got[at + 1 :]
            stored = self.stored()
            self.assertEqual(rest, stored[len(stored) - len(rest) :])
            # Those of each process are in the order in which they were published.
            for which in 0, 1:
                own = [int(each) for each in begin if int(each) % 2 == which]
                self.assertEqual(own, list(range(which, 2 * len(own), 2)))
            begins.append(begin)
        shorter, longer = sorted(begins, key=len)
        self.assertEqual(shorter, longer[: len(shorter)])

    async def test_evicted(self) -> None:
        """
        When the server evicts the stream, since its memory is full, all clients are notified; and
        the log has warned about it.
        """
        self.server.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        await self.write()
        for line in self.flushLogged():
            self.assertIn("drops whole streams", line)
        self.server.ask("CONFIG", "SET", "maxmemory", "1mb")
        with contextlib.suppress(ReplyError):
            self.server.ask("SET", "big", "x" * 2**20)
        # While there is no memory at all nothing can be read, which is logged.
        await self.isAway()
        self.assertIn("t:news cannot be read: its memory is full", str(self.one.store.problem()))
        self.server.ask("CONFIG", "SET", "maxmemory", "0")
        await self.isAway(False)
        await self.assertGot("a", "b", RESET)
        await self.one.write("last")
        await self.assertGot("a", "b", RESET, "last")

    async def test_full(self) -> None:
        """
        While the memory is full publishing fails without useless retries; the log reports this
        once, and its end.
        """
        await self.write()
        self.server.ask("CONFIG", "SET", "maxmemory", "1")
        for number in range(3):
            error = await self.failed(self.one, f"{number}")
            self.assertFalse(error.maybe)
            self.assertIn("its memory is full", str(error))
            self.one.channel.publish("in vain")
            with self.assertRaises(NotStored):
                batch = [(Event(each), ()) for each in "xyz"]
                await self.one.channel.publishAllAndWait(batch)
            with self.assertRaises(NotStored):
                await self.one.channel.publishAllAndWait(batch, "key")
        self.assertIn("its memory is full", self.one.store.problem())
        self.assertIsNone(self.two.store.problem())
        self.server.ask("CONFIG", "SET", "maxmemory", "0")
        await self.one.channel.publishAllAndWait(batch, "key")
        self.assertIsNone(self.one.store.problem())
        await self.assertGot("a", "b", "x", "y", "z")
        self.assertSaid("events are not stored: ", "events are stored again")

    async def test_otherType(self) -> None:
        """
        A key of another type is reported, and the other channels of the store continue; after its
        deletion everything continues.
        """
        await self.write()
        other = Side(self, name="other", store=self.one.store)
        reader = await other.read()
        self.server.ask("SET", "t:news", "hello")
        await until(lambda: "not a stream" in str(self.one.store.problem()), "the message")
        await self.isAway()
        await other.write("fine")
        await self.assertGot("fine", readers=[reader])
        for events in ["x"], ["x", "y"]:
            with self.assertRaises(NotStored) as caught:
                batch = [(Event(each), ()) for each in events]
                await self.one.channel.publishAllAndWait(batch)
            self.assertFalse(caught.exception.maybe)
            self.assertIn("not a stream", str(caught.exception))
        self.server.ask("DEL", "t:news")
        await self.assertGot("a", "b", RESET)
        await self.one.write("new")
        await self.isAway(False)
        await self.assertGot("a", "b", RESET, "new")
        said = [line for line in self.flushLogged() if "t:news" in line]
        self.assertEqual(len([line for line in said if LOST in line]), 2, said)
        self.assertEqual(len(said), 8, said)


@needs("network", "redis")
class ClockTests(SidesTestCase):
    """
    Tests for a server whose clock was set back: the stream has an ID of the future, since Redis
    does not start with libfaketime.
    """

    async def addLater(self) -> str:
        """
        Add an event as ten days from now.
        """
        seconds, _ = self.server.ask("TIME")
        added = self.server.ask("XADD", "t:news", f"{int(seconds) + 864000}000-5", "data", "later")
        await self.assertGot("a", "later")
        return str(added)

    async def test_setBack(self) -> None:
        """
        The IDs still increase, and nothing is lost.
        """
        await self.begin()
        events = await self.one.write("a")
        ids = [events[0].id, await self.addLater()]
        for side in self.one, self.two:
            ids += [event.id for event in await side.write("x")]
        await self.assertGot("a", "later", "x", "x")
        orders = [order(id) for id in ids]
        self.assertEqual(orders, sorted(set(orders)))
        third = Side(self)
        self.assertEqual((await third.read()).lastEventID, ids[-1])

    async def test_setBackAndLost(self) -> None:
        """
        The IDs increase even if the stream is lost, too.
        """
        await self.begin()
        await self.one.write("a")
        before = await self.addLater()
        self.server.ask("FLUSHALL")
        await self.assertGot("a", "later", RESET)
        [after] = await self.two.write("c")
        await self.assertGot("a", "later", RESET, "c")
        self.assertGreater(order(after.id), order(before))


def order(id: str | None) -> tuple[int, ...]:
    """
    @return: the numbers of an ID, by which IDs are ordered.
    """
    return tuple(map(int, str(id).split("-")))
