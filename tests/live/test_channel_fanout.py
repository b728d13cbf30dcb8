"""
Tests for channels on real sockets: the cost of sending one event to many clients.
"""

from __future__ import annotations

import errno
import random
import re
import socket
from collections import Counter
from collections.abc import Callable
from typing import Any, cast

from twisted.internet import interfaces
from twisted.internet.task import deferLater
from zope.interface import implementer

from tests.support.live import Client, Response, Server, allowDescriptors, reactor, until
from tests.support.live_channels import ChannelTestCase, portOf, turns
from tests.support.live_streams import NARROW, SMALL
from tests.support.requirements import needs
from tests.support.resources import observe
from tests.support.writes import SlowResource, WriteCounter
from twisted_sse import CloseReason, EventStream, EventStreamResource


@implementer(interfaces.IReactorTime)
class CostlyClock:
    """
    The clock of a machine on which only C{send} takes time.

    @ivar held: how long each call blocked the reactor, in seconds.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self.held: list[float] = []

    def seconds(self) -> float:
        """
        Return the time.
        """
        return self.now

    def callLater(self, delay: float, function: Any, *args: Any, **kw: Any) -> Any:
        """
        Make a call in a later turn of the real reactor.
        """
        assert not delay, "this clock does not go by itself"

        def call() -> None:
            before = self.now
            function(*args, **kw)
            self.held.append(self.now - before)

        return reactor.callLater(0, call)

    def getDelayedCalls(self) -> Any:
        """
        Return those of the real reactor.
        """
        return reactor.getDelayedCalls()


class CountingPoller:
    """
    A poller that counts its calls to the kernel.
    """

    def __init__(self, real: Any, counted: Counter[str]) -> None:
        self.real = real
        self.counted = counted

    def __getattr__(self, name: str) -> Any:
        if name in ("modify", "register", "unregister"):
            self.counted[name] += 1
        return getattr(self.real, name)


@needs("network")
class FanOutTests(ChannelTestCase):
    """
    Tests for the cost of one event to many clients.
    """

    async def crowd(self, count: int, **options: Any) -> Server:
        """
        Connect many clients as plain sockets, which the reactor does not watch.
        """
        allowDescriptors(self, 2 * count + 200)
        server = self.open(**options)
        self.crowded: list[socket.socket] = []
        for number in range(count):
            client = socket.create_connection(server.address)
            self.addCleanup(client.close)
            client.setblocking(False)
            client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            self.crowded.append(client)
            if number % 100 == 99:
                # The kernel's backlog is limited.
                await until(lambda: len(self.channel.streams) == len(self.crowded), "all in")
        # Read the whole first event, so that nothing of it is left in the server.
        await self.received(lambda come: b"\nid: " in come and come.endswith(b"\n\n\r\n"))
        return server

    def count(self) -> None:
        """
        Start to count the writes and the calls of the reactor.
        """
        self.sockets: list[WriteCounter] = []
        self.asked: Counter[str] = Counter()
        for stream in self.channel.streams:
            assert stream.request is not None
            transport: Any = stream.request.transport
            transport.socket = WriteCounter(transport.socket)
            self.sockets.append(transport.socket)
        for name in "addReader", "removeReader", "addWriter", "removeWriter":
            self.patch(reactor, name, self.counting(name, getattr(reactor, name)))
        if hasattr(reactor, "_poller"):
            self.patch(reactor, "_poller", CountingPoller(reactor._poller, self.asked))

    def counting(self, name: str, real: Callable[[Any], None]) -> Callable[[Any], None]:
        """
        Make a function that counts its calls.
        """

        def call(descriptor: Any) -> None:
            self.asked[name] += 1
            real(descriptor)

        return call

    def sends(self) -> int:
        """
        Return the number of calls of C{send}.
        """
        return sum(len(each.sent) for each in self.sockets)

    async def assertArrived(self, *frames: bytes) -> None:
        """
        Assert that each client has received these frames, as chunks.
        """
        expected = b"".join(map(framed, frames))
        for come in await self.received(lambda come: len(come) >= len(expected)):
            self.assertEqual(come, expected)

    async def received(self, enough: Callable[[bytes], bool]) -> list[bytes]:
        """
        Read from each client until C{enough} is satisfied.
        """
        received: list[bytes] = []
        for client in self.crowded:
            come = bytearray()

            def look(client: socket.socket = client, come: bytearray = come) -> bool:
                come.extend(arrived(client))
                return enough(come)

            await until(look, "it has arrived")
            received.append(bytes(come))
        return received

    async def test_thousand(self) -> None:
        """
        An event for 1,000 streams takes 1,000 calls of C{send}, each with the whole frame, and no
        other system call of the reactor.
        """
        await self.crowd(1000)
        self.count()
        for number in range(3):
            self.publish(size=100)
            await until(lambda number=number: self.sends() >= 1000 * (number + 1), "it is sent")
            await turns()
            self.assertEqual(self.sends(), 1000 * (number + 1))
        self.assertEqual(self.asked, {})
        self.assertEqual({len(each.sent) for each in self.sockets}, {3})
        await self.assertArrived(*[event.encode() for event in self.published])

    async def test_together(self) -> None:
        """
        Events published in one reactor turn go to each stream in one C{send}, in the next turn.
        """
        await self.crowd(1000)
        self.count()
        self.publish(10)
        self.assertEqual(self.sends(), 0)
        await until(lambda: self.sends() >= 1000, "it is sent")
        await turns()
        self.assertEqual({len(each.sent) for each in self.sockets}, {1})
        self.assertEqual(self.asked, {})
        await self.assertArrived(b"".join(event.encode() for event in self.published))

    async def test_slowForComparison(self) -> None:
        """
        Without direct writes the reactor is called twice for each stream, which shows that the
        counters work.
        """
        self.patch(EventStreamResource, "fastWrite", False)
        await self.crowd(50)
        self.count()
        self.publish()
        await until(lambda: self.asked["removeWriter"] == 50)
        self.assertEqual(self.asked["addWriter"], 50)
        self.assertIn(self.asked["modify"], (0, 100))
        self.assertEqual(self.sends(), 50)

    async def costly(self, count: int, cost: float = 0.0002) -> CostlyClock:
        """
        Connect many clients to a channel for which C{send} takes a known time.
        """
        clock = CostlyClock()
        await self.crowd(count, clock=clock)
        self.count()
        clock.held.clear()

        class Costly(WriteCounter):
            def send(self, data: bytes) -> int:
                clock.now += cost
                return super().send(data)

        for each in self.sockets:
            each.__class__ = Costly
        return clock

    async def test_slices(self) -> None:
        """
        Sending an event that takes more than 20 ms is cut into slices of little more, with other
        calls between them.
        """
        clock = await self.costly(500)
        # 500 streams at 0.2 ms are 100 ms.
        self.publish()
        seen = [0]
        while seen[-1] < 500:
            await deferLater(reactor, 0)
            seen.append(self.sends())
            self.assertLess(len(seen), 100, "it does not get on")
        self.assertLess(max(clock.held), 0.03)
        self.assertGreater(min(clock.held[:-1]), 0.019)
        self.assertEqual(len(clock.held), len({*seen}) - 1, "others had a turn after each")
        await turns()
        self.assertEqual({len(each.sent) for each in self.sockets}, {1})

    async def test_betweenSlices(self) -> None:
        """
        Events published between two slices are sent later to each stream, and streams that then end
        do not affect the others.
        """
        clock = await self.costly(500)
        self.publish()
        await until(lambda: self.sends(), "the first slice is sent")
        self.assertLess(self.sends(), 250)
        self.publish()
        transports = {each.request.transport.socket: each for each in self.channel.streams}
        had = [each for each in self.sockets if each.sent]
        hadNot = [each for each in self.sockets if not each.sent]
        leaving = [*had[:10], *hadNot[:10], *hadNot[-10:]]
        ports = {portOf(transports[each]) for each in leaving}
        for each in leaving:
            transports[each].abort()
        self.crowded = [each for each in self.crowded if each.getsockname()[1] not in ports]
        self.publish()
        await until(lambda: len(clock.held) > 8 or self.sends() >= 2 * 470 + 10)
        self.assertLess(max(clock.held), 0.03)
        first, second, third = [event.encode() for event in self.published]
        await self.assertArrived(first, second + third)
        self.assertEqual([len(each.sent) for each in leaving], [1] * 10 + [0] * 20)

    async def ending(self, end: Callable[[list[EventStream]], object]) -> None:
        """
        End all streams between two slices, and assert that each gets everything published before,
        in order.
        """
        await self.costly(300)
        self.publish()
        await until(self.sends, "the first slice is sent")
        self.assertLess(self.sends(), 200)
        self.publish(2)
        end([*self.channel.streams])
        await until(lambda: not self.channel.streams, "all have ended")
        expected = b"".join(event.encode() for event in self.published)
        for come in await self.received(lambda come: come.endswith(b"\r\n0\r\n\r\n")):
            self.assertEqual(re.sub(rb"retry: .*\n\n", b"", unframed(come)), expected)

    async def test_endBetweenSlices(self) -> None:
        """
        A stream that ends between two slices gets everything published before, so that its last
        event ID skips nothing.
        """
        await self.ending(lambda streams: [stream.end() for stream in streams])

    async def test_drainBetweenSlices(self) -> None:
        """
        A stream drained between two slices gets everything published before.
        """
        await self.ending(lambda streams: self.resource.drain(5))

    async def test_unsubscribeBetweenSlices(self) -> None:
        """
        A stream unsubscribed between two slices receives nothing more, and continues where it
        stopped when it subscribes again.
        """
        await self.costly(300)
        self.publish()
        await until(self.sends, "the first slice is sent")
        sent, streams = self.sends(), self.channel.streams
        self.assertLess(sent, 200)
        for stream in streams:
            self.channel.unsubscribe(stream)
        self.publish()
        await turns(10)
        self.assertEqual(self.sends(), sent)
        for stream in streams:
            self.channel.subscribe(stream)
        self.publish()
        expected = b"".join(event.encode() for event in self.published)
        for come in await self.received(lambda come: len(unframed(come)) >= len(expected)):
            self.assertEqual(unframed(come), expected)

    async def test_burst(self) -> None:
        """
        A burst of more than C{maxPending} in one turn is sent in order, and does not disconnect
        clients that read.
        """
        self.makeChannel()

        def connected(stream: EventStream) -> None:
            assert stream.request is not None
            choice = (lambda event: True) if b"choose" in stream.request.uri else None
            self.channel.subscribe(stream, where=choice)

        # Large enough for a reactor turn to send a piece of 64 KiB.
        server = self.serve(connected, maxPending=2**18, heartbeat=None, site={"sendBuffer": 2**16})
        clients = await self.join(server, 5)
        clients += await self.join(server, 5, path="/choose")
        self.publish(100, size=10_000)
        await turns(2)
        self.publish(10)
        await self.assertAll([response for _, response in clients])
        self.assertEqual(self.reasons.closedFor, [])

    async def meddle(self, end: Callable[[EventStream], object]) -> list[Response]:
        """
        Publish an event, and in a callback while it is sent publish another and end 15 streams.

        @return: the responses that have ended.
        """
        clients = await self.join(self.open(), 20)
        streams = [*self.channel.streams]
        test = self

        class Meddler:
            def sent(self, stream: EventStream, events: int, size: int) -> None:
                if events and len(test.published) == 1:
                    test.publish()
                    for each in streams[:15]:
                        end(each)

        observe(self.resource, Meddler())
        self.publish()
        responses = [response for _, response in clients]
        await until(lambda: sum(each.complete or each.broken for each in responses) == 15)
        self.publish()
        await self.assertAll([each for each in responses if not (each.complete or each.broken)])
        return [each for each in responses if each.complete or each.broken]

    async def test_endsWhileSending(self) -> None:
        """
        Streams that a callback ends while an event is sent get everything published before.
        """
        for response in await self.meddle(EventStream.end):
            self.assertTrue(response.complete)
            self.assertEqual(response.data, [event.data for event in self.published[:2]])

    async def test_abortsWhileSending(self) -> None:
        """
        Streams that a callback aborts while an event is sent get that event or nothing.
        """
        for response in await self.meddle(EventStream.abort):
            self.assertTrue(response.broken)
            self.assertIn(response.data, ([], [self.published[0].data]))

    async def test_equal(self) -> None:
        """
        Streams with and without direct writes get the same bytes, whatever the sizes and whenever a
        client stalls.
        """
        choose = random.Random(3)
        options: dict[str, Any] = {"maxPending": 2**30, "stallTimeout": None, "heartbeat": None}
        self.makeChannel()
        clients: list[tuple[Client, Response]] = []
        for kind in EventStreamResource, SlowResource:
            server = self.serve(kind(self.channel.subscribe, **options), site=NARROW)
            clients += await self.join(server, 2, receiveBuffer=SMALL)
        waited = 0
        for _ in range(150):
            for _ in range(choose.choice([0, 1, 1, 2, 10])):
                self.publish(size=choose.choice([0, 100, 1000, 2**12, 2**15, 2**16, 2**17]))
            client, _ = choose.choice(clients)
            choose.choice([client.stopReading, client.startReading])()
            await turns(choose.choice([0, 1, 3]))
            waited += sum(stream.bytesPending > 0 for stream in self.channel.streams)
        for client, _ in clients:
            client.startReading()
        await self.assertAll([response for _, response in clients])
        bodies = [response.body for _, response in clients]
        self.assertTrue(all(body == bodies[0] for body in bodies))
        self.assertGreater(waited, 50)

    async def test_partly(self) -> None:
        """
        When a socket accepts only part of an event, the transport sends the rest in order, and
        other streams are not affected.
        """
        server = self.open()
        clients = await self.join(server, 20)

        class Narrow(WriteCounter):
            def send(self, data: bytes) -> int:
                self.sent.append(0)
                if not len(self.sent) % 3:
                    raise BlockingIOError(errno.EAGAIN, "no room")
                return self.real.send(data[:7])

        for client, _ in clients[::2]:
            transport: Any = cast(Any, self.streamOf(client).request).transport
            transport.socket = Narrow(transport.socket)
        for number in range(30):
            self.publish(number % 4, size=number)
            if number % 5:
                await turns(1)
        await self.assertAll([response for _, response in clients])

    async def test_reset(self) -> None:
        """
        Clients that disconnect unnoticed while an event is sent do not affect the others, and their
        streams are closed.
        """
        clients = await self.join(self.open(), 30)
        streams = self.channel.streams
        resetting = [client for client, _ in clients[::3]]
        closing = [client for client, _ in clients[1::3]]

        class Leaver:
            def sent(self, stream: EventStream, events: int, size: int) -> None:
                # In the middle of sending, before the reactor can notice.
                while resetting:
                    resetting.pop().reset()
                    closing.pop().close()

        observe(self.resource, Leaver())
        self.publish(3)
        await until(lambda: not resetting)
        self.publish()
        await self.assertAll([response for _, response in clients[2::3]])
        await until(lambda: len(self.channel.streams) == 10)
        reasons = [self.successResultOf(each.whenClosed()) for each in streams if each.closed]
        self.assertEqual(reasons, [CloseReason.CLIENT] * 20)

    async def test_publishesWhileSending(self) -> None:
        """
        An observer may publish and end streams while an event is sent.
        """
        server = self.open()

        class Meddler:
            def __init__(self, test: FanOutTests) -> None:
                self.test = test
                self.left = 10

            def sent(self, stream: EventStream, events: int, size: int) -> None:
                if events and self.left:
                    self.left -= 1
                    self.test.publish(2)
                    if self.left < 5:
                        stream.abort()

        clients = await self.join(server, 20)
        observe(self.resource, Meddler(self))
        self.publish()
        await until(lambda: sum(client.lost is not None for client, _ in clients) == 5)
        self.assertEqual(len(self.published), 21)
        await self.assertAll([response for client, response in clients if not client.lost])


def framed(data: bytes) -> bytes:
    """
    Make a chunk (RFC 9112, 7.1).
    """
    return b"%x\r\n%b\r\n" % (len(data), data)


def unframed(data: bytes) -> bytes:
    """
    Decode chunks.
    """
    body = b""
    while data:
        size, _, data = data.partition(b"\r\n")
        length = int(size, 16)
        body += data[:length]
        data = data[length + 2 :]
    return body


def arrived(client: socket.socket) -> bytes:
    """
    Read the available bytes.
    """
    data = b""
    try:
        while piece := client.recv(2**16):
            data += piece
    except BlockingIOError:
        pass
    return data
