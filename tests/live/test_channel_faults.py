"""
Tests for channels on real sockets: a client that does not read does not affect the others.
"""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from typing import Any, cast

from tests.support.http2 import Client2, h2
from tests.support.live import Client, Response, Server, reactor, until
from tests.support.live_channels import ChannelTestCase, Progress, accept, told, turns
from tests.support.live_streams import NARROW, SMALL
from tests.support.requirements import needs
from tests.support.writes import hasTLS
from twisted_sse import CloseReason, SlowReader

#: The most that a connection may hold for a client that does not read: a piece of 64 KiB, its
#: framing and bytes sent along with it.
HELD = 2**17


@needs("network")
class FaultTests(ChannelTestCase):
    """
    Tests that a client that reads little or nothing does not affect the others.
    """

    async def begin(self, **options: Any) -> None:
        """
        Serve a channel to five clients that read and one that does not.
        """
        options = {"maxPending": 2**16, "site": NARROW, **options}
        server = self.open(**options)
        readers = await self.join(server, 5)
        self.readers = [response for _, response in readers]
        self.progress = [Progress(self.published, next=0) for _ in readers]
        [(self.client, self.response)] = await self.join(server, 1, receiveBuffer=SMALL)
        self.stream = self.streamOf(self.client)
        self.client.stopReading()

    async def publishTo(self, size: int = 2**12, **fields: Any) -> None:
        """
        Publish one event, and wait until all clients that read have it.
        """
        self.publish(size=size, **fields)
        last = len(self.published) - 1

        def come() -> bool:
            for progress, response in zip(self.progress, self.readers, strict=True):
                progress.follow(response)
            return all(progress.last == last for progress in self.progress)

        await until(come, "the reading clients have it")
        for progress in self.progress:
            self.assertEqual({*progress.seen} & {"stream-gap", "stream-reset"}, set())

    async def flood(
        self, enough: Callable[[], object], kinds: tuple[str, ...] = ("message",)
    ) -> None:
        """
        Publish event by event, until something is true.

        @param kinds: the types of the events, in turn.
        """
        for number in range(1000):
            await self.publishTo(event=kinds[number % len(kinds)])
            self.assertLessEqual(self.stream.bytesPending, 2**16)
            if enough():
                return
        self.fail("it takes everything")

    async def resume(self) -> None:
        """
        Reconnect the client that did not read, and assert that it gets its missed events.
        """
        self.client.startReading()
        await until(lambda: self.client.lost, "it is cut off")
        progress = Progress(self.published, next=0)
        progress.follow(self.response)
        self.assertLess(progress.last, len(self.published) - 1)
        server = Server(self, self.resource)
        _, again = server.get(headers=accept(told(self.response)))
        await self.publishTo()
        await self.assertAll([again], progress.last + 1)

    async def test_disconnect(self) -> None:
        """
        A client that never reads is disconnected when its queue is full, and misses nothing when it
        reconnects.
        """
        await self.begin()
        most = 0

        def closed() -> bool:
            nonlocal most
            most = max(most, self.stream.bytesPending)
            return self.stream.closed

        await self.flood(closed)
        self.assertGreater(most, 2**16 - 2**13)
        self.assertEqual(self.reasons.closedFor, [CloseReason.SLOW])
        await self.resume()

    async def test_trickle(self) -> None:
        """
        A client that reads a byte at a time is disconnected when its queue is full, and misses
        nothing when it reconnects.
        """
        await self.begin()

        def closed() -> bool:
            self.client.doRead(1)
            return self.stream.closed

        await self.flood(closed)
        self.assertEqual(self.reasons.closedFor, [CloseReason.SLOW])
        await self.resume()

    async def test_dropOldest(self) -> None:
        """
        With DROP_OLDEST, a client that reads a byte at a time receives the number of missed events,
        at the place where they are missing.
        """
        await self.begin(slow=SlowReader.DROP_OLDEST)

        def dropped() -> bool:
            self.client.doRead(1)
            return self.reasons.lost > 30

        await self.flood(dropped)
        self.client.startReading()
        progress = Progress(self.published, next=0)
        last = len(self.published) - 1
        await until(lambda: progress.follow(self.response) or progress.last == last)
        self.assertEqual(progress.seen, {"message": last + 1 - self.reasons.lost, "stream-gap": 1})
        # From here on it gets the same as the others.
        await self.publishTo()
        await self.assertAll([self.response], last + 1)

    async def test_dropBehindLargeEvent(self) -> None:
        """
        Every dropped event is reported to the client, even when more are dropped while the gap
        event waits behind a large one.
        """
        for policy in SlowReader.DROP_OLDEST, SlowReader.LATEST:
            await self.begin(slow=policy)
            await self.publishTo(size=300_000)
            for _ in range(3):
                lost = self.reasons.lost
                await self.flood(lambda lost=lost: self.reasons.lost > lost + 5)
                # A part of the large event leaves, and the gap event could leave with it.
                handed = self.reasons.size
                while self.reasons.size == handed:
                    self.client.doRead(2**12)
                    await turns(1)
            self.client.startReading()
            progress = Progress(self.published, next=0)
            last = len(self.published) - 1
            await until(lambda p=progress, n=last: p.follow(self.response) or p.last == n)
            self.assertEqual(progress.seen["message"], last + 1 - self.reasons.lost)

    async def test_latest(self) -> None:
        """
        With LATEST a client gets the newest event of each type in order, and receives the number of
        missed events.
        """
        await self.begin(slow=SlowReader.LATEST)
        await self.flood(lambda: self.stream.bytesPending)
        await self.publishTo(event="weather")
        rare = len(self.published) - 1
        await self.flood(lambda: self.reasons.lost > 100, ("price", "volume"))
        for kind in "price", "volume":
            await self.publishTo(event=kind)
        self.client.startReading()
        last = len(self.published) - 1
        await until(
            lambda: self.response.events and self.response.data[-1].startswith(f"{last} "),
            "it has caught up",
        )
        place = [event.type for event in self.response.events].index("stream-gap")
        gap = self.response.events.pop(place)
        numbers = [int(data.partition(" ")[0]) for data in self.response.data]
        self.assertEqual(numbers[:place], [*range(place)])
        # The weather is old, and so is the last event without a type, but none is newer.
        self.assertEqual(numbers[place : place + 2], [rare - 1, rare])
        self.assertEqual(numbers[-2:], [last - 1, last])
        self.assertEqual(numbers, sorted({*numbers}))
        self.assertEqual(gap.json()["dropped"], self.reasons.lost)
        self.assertEqual(len(numbers) + self.reasons.lost, last + 1)

    async def test_stallTimeout(self) -> None:
        """
        A client that reads nothing for C{stallTimeout} is aborted then, and not before, while
        events continue.
        """
        await self.begin(stallTimeout=0.4, maxPending=2**24)
        started = reactor.seconds()
        while not self.stream.closed:
            await self.publishTo(size=100 if self.stream.bytesPending else 2**12)
        self.assertEqual(self.reasons.closedFor, [CloseReason.STALLED])
        self.assertGreaterEqual(reactor.seconds() - started, 0.4)
        await self.resume()

    async def assertOthersUndisturbed(self, connect: Callable[[Server], Any]) -> None:
        """
        Stall a client of another kind, and assert that it is disconnected when its queue is full.

        @param connect: subscribes the client, and returns its connection and response.
        """
        self.open(maxPending=2**18)
        plain = await self.join(Server(self, self.resource), 5)
        self.readers = [response for _, response in plain]
        self.progress = [Progress(self.published, next=0) for _ in plain]
        server = Server(self, self.resource, tls=True, sendBuffer=SMALL)
        (connection, response) = await connect(server)
        self.stream = self.streamOf(connection)
        connection.stopReading()
        for _ in range(200):
            await self.publishTo(size=2**13)
            self.assertLessEqual(self.stream.bytesPending, 2**18)
            if self.stream.closed:
                break
        self.assertEqual(self.reasons.closedFor, [CloseReason.SLOW])
        connection.startReading()
        await until(lambda: response.broken, "it has noticed")
        # The received events are the published ones.
        progress = Progress(self.published, next=0)
        progress.follow(response)
        self.assertLess(progress.last, len(self.published) - 1)

    async def test_stalledTLS(self) -> None:
        """
        A TLS client that does not read is disconnected when its queue is full, and the others get
        everything.
        """

        async def connect(server: Server) -> tuple[Client, Response]:
            [joined] = await self.join(server, 1, tls=True, receiveBuffer=SMALL)
            return joined

        await self.assertOthersUndisturbed(connect)

    async def test_stalledHTTP2(self) -> None:
        """
        An HTTP/2 client that does not read is reset when its queue is full, and the others get
        everything.
        """

        async def connect(server: Server) -> tuple[Any, Response]:
            client = server.connect(Client2, receiveBuffer=SMALL)
            _, response = client.request()
            await until(lambda: told(response))
            return client, response

        await self.assertOthersUndisturbed(connect)

    if not hasTLS:
        test_stalledTLS.skip = "network (TLS needs the extra tls)"  # type: ignore[attr-defined]
    if h2 is None:
        test_stalledHTTP2.skip = "network (HTTP/2 needs the extra tls)"  # type: ignore[attr-defined]

    async def test_largeEvent(self) -> None:
        """
        Of an event of 1 MiB each stalled connection holds at most 128 KiB and shares the rest, and
        every client gets it whole.
        """
        size = 2**20 - 100
        server = self.open(site=NARROW)
        clients = await self.join(server, 50, receiveBuffer=SMALL)
        stalled, reading = clients[:10], clients[10:]
        for client, response in clients:
            response.keepBody = False
            if (client, response) in stalled:
                client.stopReading()
        streams = [self.streamOf(client) for client, _ in stalled]
        data = "0 " + "x" * size
        gc.collect()
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        before, _ = tracemalloc.get_traced_memory()
        self.published.append(self.channel.publish(data))
        await self.assertAll([response for _, response in reading])
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
        for stream in streams:
            transport: Any = cast(Any, stream.request).transport
            self.assertFalse(stream.closed)
            self.assertLessEqual(len(transport.dataBuffer) + transport._tempDataLen, HELD)
        # The event in the history, the buffers of the transports, and the clients' parsers.
        self.assertLess(after - before, size + len(stalled) * HELD + 2 * 2**20)
        # One more event is accepted, because only the rest of the first is queued.
        self.publish()
        for client, _ in stalled:
            client.startReading()
        await self.assertAll([response for _, response in stalled])
        await self.assertAll([response for _, response in reading], 1)
        self.assertEqual(self.reasons.closedFor, [])
