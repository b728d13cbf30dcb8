"""
Tests for channels on real sockets: clients that reconnect.
"""

from __future__ import annotations

import random

from tests.support.live import Child, until
from tests.support.live_channels import ChannelTestCase, Progress, accept, told, turns
from tests.support.live_streams import NARROW, SMALL
from tests.support.requirements import needs
from twisted_sse import CloseReason, History


@needs("network")
class ReplayTests(ChannelTestCase):
    """
    Tests for clients that reconnect.
    """

    async def test_slowReader(self) -> None:
        """
        A replay of 10 MB to a slow reader is never queued in full, and events published during it
        follow it.
        """
        server = self.open(maxPending=2**20, site=NARROW)
        self.publish(1, id="start")
        self.publish(1000, size=10_000)
        client, response = server.get(headers=accept("start"), receiveBuffer=SMALL)
        response.keepBody = False
        client.stopReading()
        await until(lambda: self.channel.streams, "it is subscribed")
        [stream] = self.channel.streams
        progress, reads = Progress(self.published, next=1), 0
        while progress.last < len(self.published) - 1:
            client.doRead(2**14)
            progress.follow(response)
            reads += 1
            if not reads % 10 and len(self.published) < 1100:
                self.publish(size=5000)
            self.assertLessEqual(stream.bytesPending, 2**16)
            self.assertFalse(stream.closed)
            self.assertLess(reads, 100_000, "it does not get on")
            await turns(1)
        self.assertEqual(progress.seen, {"message": len(self.published) - 1})
        self.assertGreater(reads, 600)

    async def test_whilePublishing(self) -> None:
        """
        Clients that resume anywhere while events are published get each event once, in order, and
        become live.
        """
        server = self.open(site=NARROW)
        self.publish(3000, size=200)
        choose = random.Random(5)
        after = [*choose.sample(range(3000), 8), 0, 2999]
        clients = [
            server.get(headers=accept(self.published[each].id or ""), receiveBuffer=SMALL)
            for each in after
        ]
        waiting = [
            (Progress(self.published, next=each + 1), response)
            for each, (_, response) in zip(after, clients, strict=True)
        ]
        await until(lambda: len(self.channel.streams) == len(clients), "all are subscribed")
        begun = len(self.published)
        while not all(progress.last >= begun for progress, _ in waiting):
            self.publish(choose.randrange(12), size=choose.randrange(400))
            await turns(1)
            for progress, response in waiting:
                progress.follow(response)
            self.assertLess(len(self.published), 60_000, "they do not catch up")
        last = len(self.published) - 1
        for progress, response in waiting:
            await until(lambda p=progress, r=response: p.follow(r) or p.last == last, "the last")
            self.assertEqual({*progress.seen}, {"message"})

    async def test_overtaken(self) -> None:
        """
        A client whose replay is overtaken by trimming gets one C{stream-reset}, and then the kept
        events.
        """
        server = self.open(History(maxEvents=200), site=NARROW)
        self.publish(1, id="start")
        self.publish(199, size=5000)
        client, response = server.get(headers=accept("start"), receiveBuffer=SMALL)
        client.stopReading()
        await until(lambda: self.channel.streams, "it is subscribed")
        await turns(5)
        self.publish(1000)
        client.startReading()
        progress = Progress(self.published, next=1)
        last = len(self.published) - 1
        await until(lambda: progress.follow(response) or progress.last == last, "the last")
        self.assertEqual(progress.seen["stream-reset"], 1)
        self.assertEqual(self.reasons.resets, 1)
        # The events passed on before, and all kept ones.
        self.assertGreater(progress.seen["message"], 200)
        self.assertLess(progress.seen["message"], 400)

    async def test_resetOnce(self) -> None:
        """
        A client that disconnects right after its C{stream-reset} gets no second one, and misses
        nothing published since.
        """
        server = self.open()
        client, response = server.get(headers=accept("unknown"))
        await until(lambda: response.events, "the notice of the loss")
        self.assertEqual([event.type for event in response.events], ["stream-reset"])
        self.assertNotEqual(told(response), "")
        client.close()
        await until(lambda: not self.channel.streams, "its stream is closed")
        self.publish(3)
        _, again = server.get(headers=accept(told(response)))
        await self.assertAll([again])
        self.assertEqual(self.reasons.resets, 1)

    async def test_restart(self) -> None:
        """
        After a restart, an ID of the earlier process, of an event or a first one, gets a
        C{stream-reset} and then all kept events.
        """
        server = self.serve(lambda stream: None)

        async def start() -> Child:
            child = Child(self, "-m", "tests.support.live_server")
            server.address = ("127.0.0.1", await child.wait("port"))
            return child

        child = await start()
        _, response = server.get("/channel")
        await until(lambda: told(response), "it is subscribed")
        beginning = told(response)
        await until(lambda: len(response.events) > 3)
        before = told(response)
        await child.stop()
        await start()
        for lastEventID in beginning, before:
            _, again = server.get("/channel", accept(lastEventID))
            await until(lambda again=again: len(again.events) > 3)
            self.assertEqual(again.events[0].type, "stream-reset")
            self.assertEqual([event.type for event in again.events[1:4]], ["message"] * 3)
            # From the first event that this process published.
            self.assertEqual(again.data[1:4], ["0", "1", "2"])
            # The client is not reset again.
            _, third = server.get("/channel", accept(again.events[2].lastEventID))
            await until(lambda third=third: third.events)
            self.assertEqual((third.events[0].type, third.data[0]), ("message", "2"))
            self.assertNotIn(told(third), (beginning, before))

    async def test_close(self) -> None:
        """
        When a channel is closed, published events reach even a client that stalls, and the
        responses end properly.
        """
        server = self.open(site=NARROW)
        clients = await self.join(server, 10, receiveBuffer=SMALL)
        slow, _ = clients[0]
        slow.stopReading()
        self.publish(20, size=10_000)
        self.channel.close()
        await until(lambda: all(response.complete for _, response in clients[1:]))
        slow.startReading()
        await self.assertAll([response for _, response in clients])
        await until(lambda: all(response.complete for _, response in clients))
        self.assertEqual(self.reasons.closedFor, [CloseReason.ENDED] * 10)
