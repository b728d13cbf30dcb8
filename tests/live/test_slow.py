"""
Tests for streams on real sockets: clients that do not read, and streams that do not block others.
"""

from __future__ import annotations

import itertools
import time
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.task import deferLater

from tests.support.live import LiveTestCase, reactor, until
from tests.support.live_streams import NARROW, SMALL, fill, greet
from tests.support.requirements import needs
from twisted_sse import CloseReason, Event, SlowReader


@needs("network")
class SlowReaderTests(LiveTestCase):
    """
    Tests for clients that do not read.
    """

    async def stalled(self, **options: Any) -> tuple[Any, Any, Any]:
        """
        Start a stream whose client stops reading after the first event.

        @return: the client, its response and the stream.
        """
        options = {"heartbeat": None, "maxPending": 64 * 1024, "site": NARROW, **options}
        server = self.serve(greet, **options)
        client, response = server.get(receiveBuffer=SMALL)
        await until(lambda: response.events)
        client.stopReading()
        return client, response, await self.stream()

    async def test_disconnect(self) -> None:
        """
        By default a client is disconnected when its queue is full, and not before.
        """
        client, response, stream = await self.stalled()
        fill(stream)
        highest = 0
        while stream.send("y" * 4096):
            highest = max(highest, stream.bytesPending)
            self.assertLessEqual(stream.bytesPending, 64 * 1024)
        self.assertGreater(highest, 56 * 1024)
        self.assertTrue(stream.closed)
        self.assertEqual(self.reasons.closedFor, [CloseReason.SLOW])
        self.assertEqual(stream.bytesPending, 0)
        client.startReading()
        await until(lambda: client.lost)
        self.assertTrue(response.broken)

    async def test_oneLargeEvent(self) -> None:
        """
        A single event is accepted however large it is, and arrives when the client reads.
        """
        client, response, stream = await self.stalled()
        self.assertTrue(stream.send("z" * 2**20))
        self.assertTrue(stream.send("behind"))
        client.startReading()
        await until(lambda: len(response.events) == 3)
        self.assertEqual(response.data, ["hello", "z" * 2**20, "behind"])

    async def test_dropOldest(self) -> None:
        """
        With DROP_OLDEST the client receives the number of missed events, where they are missing,
        and gets the rest in order.
        """
        client, response, stream = await self.stalled(slow=SlowReader.DROP_OLDEST)
        sent = fill(stream)
        for number in range(sent, sent + 100):
            self.assertTrue(stream.send("x" * 4096, id=str(number), event="fill"))
            self.assertLessEqual(stream.bytesPending, 64 * 1024)
        # Waiting while the client does not read changes nothing.
        await deferLater(reactor, 0.02)
        self.assertFalse(stream.closed)
        client.startReading()
        await until(lambda: response.events[-1].lastEventID == str(sent + 99))
        [gap] = [event for event in response.events if event.type == "stream-gap"]
        place = response.events.index(gap)
        before = [int(event.lastEventID) for event in response.events[1:place]]
        after = [int(event.lastEventID) for event in response.events[place + 1 :]]
        self.assertEqual(before, list(range(len(before))))
        self.assertEqual(after, list(range(after[0], sent + 100)))
        self.assertEqual(gap.json()["dropped"], after[0] - len(before))
        self.assertEqual(self.reasons.lost, gap.json()["dropped"])
        stream.send("live")
        await until(lambda: response.data[-1] == "live")

    async def test_latest(self) -> None:
        """
        With LATEST the client gets the newest event of each type.
        """
        client, response, stream = await self.stalled(slow=SlowReader.LATEST)
        fill(stream)
        for number in range(50):
            for kind in "price", "volume":
                self.assertTrue(stream.send(str(number) + "x" * 4096, event=kind))
        client.startReading()
        await until(lambda: response.data[-1].startswith("49x"))
        types = [event.type for event in response.events]
        self.assertEqual(types.count("stream-gap"), 1)
        behind = response.events[types.index("stream-gap") + 1 :]
        for kind in "price", "volume":
            newest = [event.data for event in behind if event.type == kind]
            self.assertTrue(newest[-1].startswith("49x"))
        self.assertLess(len(behind), 20)
        total = 1 + sum(1 for event in response.events if event.type != "stream-gap")
        self.assertGreater(total, 2)
        gap = response.events[types.index("stream-gap")]
        self.assertEqual(gap.json()["dropped"], self.reasons.lost)

    async def test_stallTimeout(self) -> None:
        """
        A client that reads nothing for C{stallTimeout} is disconnected, even with little queued.
        """
        started = reactor.seconds()
        client, response, stream = await self.stalled(stallTimeout=0.3)
        fill(stream)
        reason = await stream.whenClosed()
        self.assertEqual(reason, CloseReason.STALLED)
        self.assertGreaterEqual(reactor.seconds() - started, 0.3)
        client.startReading()
        await until(lambda: client.lost)
        self.assertTrue(response.broken)

    async def test_slowIsNotStalled(self) -> None:
        """
        A client that reads slowly is not disconnected by C{stallTimeout}.
        """
        wide = {"sendBuffer": 2**18}
        client, _, stream = await self.stalled(stallTimeout=0.3, maxPending=2**20, site=wide)
        fill(stream)
        for _ in range(16):
            await deferLater(reactor, 0.06)
            self.assertFalse(stream.closed)
            # In total less than the amount that makes the client's kernel advertise room to the
            # server.
            client.doRead(4096)
        client.startReading()
        await until(lambda: not stream.bytesPending)

    async def test_silentIsNotStalled(self) -> None:
        """
        A client that does not read has not stalled while nothing is sent to it.
        """
        _, _, stream = await self.stalled(stallTimeout=0.1)
        await deferLater(reactor, 0.4)
        self.assertFalse(stream.closed)

    async def test_whenWritable(self) -> None:
        """
        C{whenWritable} fires when the client has read, and not before.
        """
        client, _, stream = await self.stalled()
        self.assertTrue(stream.whenWritable().called)
        fill(stream)
        writable = stream.whenWritable()
        await deferLater(reactor, 0.02)
        self.assertFalse(writable.called)
        client.startReading()
        await writable
        self.assertEqual(stream.bytesPending, 0)

    async def test_pull(self) -> None:
        """
        A generator is pulled only as fast as the client reads.
        """
        pulled = 0

        def numbers(stream: Any) -> Any:
            nonlocal pulled
            for pulled in range(300):
                yield Event("x" * 4096, id=str(pulled))

        server = self.serve(numbers, site=NARROW, maxPending=4096)
        client = server.connect(receiveBuffer=SMALL)
        client.stopReading()
        response = client.request()
        stream = await self.stream()
        await until(lambda: stream.bytesPending or not stream._response.ready)
        before = pulled
        await deferLater(reactor, 0.05)
        self.assertEqual(pulled, before)
        self.assertLess(pulled, 100)
        client.startReading()
        await until(lambda: response.complete)
        self.assertEqual([event.lastEventID for event in response.events], [*map(str, range(300))])

    async def test_endWaits(self) -> None:
        """
        A stream that is ending is not closed until everything sent has been written, and all of it
        arrives.
        """
        client, response, stream = await self.stalled()
        sent = fill(stream)
        stream.end()
        self.assertFalse(stream.send("too late"))
        closed = stream.whenClosed()
        await deferLater(reactor, 0.1)
        self.assertFalse(closed.called)
        self.assertEqual(len(self.resource.streams), 1)
        client.startReading()
        self.assertEqual(await closed, CloseReason.ENDED)
        await until(lambda: response.complete)
        self.assertEqual(len(response.events), 1 + sent)

    async def test_endLargeEvent(self) -> None:
        """
        A stream that is ending is not closed while its transport still holds bytes.
        """
        client, response, stream = await self.stalled()
        stream.send("x" * 60_000)
        self.assertEqual(stream.bytesPending, 0)
        stream.end()
        closed = stream.whenClosed()
        await deferLater(reactor, 0.1)
        self.assertFalse(closed.called)
        client.startReading()
        self.assertEqual(await closed, CloseReason.ENDED)
        await until(lambda: response.complete)
        self.assertEqual(len(response.events), 2)

    async def test_endStalls(self) -> None:
        """
        A stream that is ending but stalled is aborted after C{stallTimeout}.
        """
        client, response, stream = await self.stalled(stallTimeout=0.2)
        fill(stream)
        stream.end()
        self.assertEqual(await stream.whenClosed(), CloseReason.STALLED)
        client.startReading()
        await until(lambda: client.lost)
        self.assertFalse(response.complete)

    async def test_endThenAbort(self) -> None:
        """
        A stream that is ending but stalled can be aborted.
        """
        client, response, stream = await self.stalled()
        fill(stream)
        stream.end()
        stream.abort()
        self.assertTrue(stream.closed)
        client.startReading()
        await until(lambda: client.lost)
        self.assertFalse(response.complete)


@needs("network")
class FairnessTests(LiveTestCase):
    """
    Tests that one stream does not block others.
    """

    async def assertFair(self, endless: Any) -> None:
        """
        Serve an endless stream, and assert that another client is served.
        """

        def connected(stream: Any) -> Any:
            return endless() if stream.lastEventID == "endless" else greet(stream)

        server = self.serve(connected)
        client, flood = server.get(headers={"Last-Event-ID": "endless"})
        # There is too much to keep.
        client._record = flood.keepBody = False
        await until(lambda: flood.events)
        # In CPU time, which no other process can add to.
        longest, last, ticks = 0.0, time.thread_time(), 0
        while ticks < 20:
            await deferLater(reactor, 0)
            now = time.thread_time()
            longest, last, ticks = max(longest, now - last), now, ticks + 1
            flood.events.clear()
        _, other = server.get()
        await until(lambda: flood.events.clear() or other.events, "the other is served")
        self.assertEqual(other.data, ["hello"])
        # A turn takes 5 ms or 16 KiB; the rest is for this test's client.
        self.assertLess(longest, 0.5)
        await until(lambda: flood.events, "the flood continues")
        client.close()
        await until(lambda: CloseReason.CLIENT in self.reasons.closedFor)

    async def test_iterable(self) -> None:
        """
        An endless iterable does not block others, however fast its client reads.
        """
        await self.assertFair(lambda: map(str, itertools.count()))

    async def test_asyncIterable(self) -> None:
        """
        An endless asynchronous generator that never waits does not block others.
        """

        async def endless() -> Any:
            for number in itertools.count():
                yield str(number)

        await self.assertFair(endless)

    async def test_silentIterable(self) -> None:
        """
        An endless generator of 64 KiB events does not block others.
        """

        def endless() -> Any:
            while True:
                yield "x" * 2**16

        await self.assertFair(endless)

    async def test_coroutine(self) -> None:
        """
        A coroutine that sends as fast as the client reads is cancelled when the client disconnects.
        """
        cancelled: list[bool] = []

        async def connected(stream: Any) -> None:
            try:
                while True:
                    stream.send("x" * 2**14)
                    await stream.whenWritable()
                    await deferLater(reactor, 0)
            except CancelledError:
                cancelled.append(True)
                raise

        server = self.serve(connected)
        client, response = server.get()
        await until(lambda: len(response.events) > 100)
        client.close()
        await until(lambda: cancelled)
