"""
Channels on real sockets: what one event costs that goes to many clients.
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
    The time of a machine on which nothing but C{send} takes any.

    @ivar held: how long each turn of the reactor was held, in seconds.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self.held: list[float] = []

    def seconds(self) -> float:
        """
        The time.
        """
        return self.now

    def callLater(self, delay: float, function: Any, *args: Any, **kw: Any) -> Any:
        """
        Call something in another turn of the real reactor.
        """
        assert not delay, "this clock does not go by itself"

        def call() -> None:
            before = self.now
            function(*args, **kw)
            self.held.append(self.now - before)

        return reactor.callLater(0, call)

    def getDelayedCalls(self) -> Any:
        """
        Those of the real reactor.
        """
        return reactor.getDelayedCalls()


class CountingPoller:
    """
    What asks the kernel, and counts what it tells it.
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
    What one event costs that goes to many.
    """

    async def crowd(self, count: int, **options: Any) -> Server:
        """
        Let many clients come, of which the reactor knows nothing: sockets and nothing else.
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
                # The kernel does not let any number of them wait.
                await until(lambda: len(self.channel.streams) == len(self.crowded), "all in")
        # To the end of the first event, so that nothing of it is left in the server.
        await self.received(lambda come: b"\nid: " in come and come.endswith(b"\n\n\r\n"))
        return server

    def count(self) -> None:
        """
        Count, from now on, what is sent and what the reactor is asked for.
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
        How often something was sent.
        """
        return sum(len(each.sent) for each in self.sockets)

    async def assertArrived(self, *frames: bytes) -> None:
        """
        Look at what has come to each client: chunks, framed as they are here.
        """
        expected = b"".join(map(framed, frames))
        for come in await self.received(lambda come: len(come) >= len(expected)):
            self.assertEqual(come, expected)

    async def received(self, enough: Callable[[bytes], bool]) -> list[bytes]:
        """
        Read what comes to each client, until it is enough.
        """
        received: list[bytes] = []
        for client in self.crowded:
            come = bytearray()

            def look(client: socket.socket = client, come: bytearray = come) -> bool:
                come.extend(arrived(client))
                return enough(come)

            await until(look, "it has come")
            received.append(bytes(come))
        return received

    async def test_thousand(self) -> None:
        """
        An event for 1,000 streams is 1,000 times C{send}, each of the whole frame, and the
        kernel is told nothing else.
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
        What is published in one turn of the reactor goes out in one C{send} for each stream,
        in the next turn.
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
        The count counts: in the ordinary way the reactor is asked twice for each stream.
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
        Let many clients come to a channel for which C{send} takes a time that is known.
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
        Sending an event that takes longer than 20 ms is cut into slices, each hardly longer
        than that, with turns for others between them.
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
        What is published between two slices comes behind, for each stream; streams that end
        then, those that have had the event and those that have not, disturb nobody.
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
        End all streams between two slices, of which there is more than one then: what was
        published before comes to each, in order.
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
        A stream that is ended between two slices gets what was published before, and all of it
        in order: else its client would come back with an ID behind what it has missed.
        """
        await self.ending(lambda streams: [stream.end() for stream in streams])

    async def test_drainBetweenSlices(self) -> None:
        """
        So does each when the resource is drained between two slices.
        """
        await self.ending(lambda streams: self.resource.drain(5))

    async def test_unsubscribeBetweenSlices(self) -> None:
        """
        A stream that is unsubscribed between two slices is sent nothing more; when it is
        subscribed again it goes on where it was.
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
        What is published in one turn and is more than may wait for a client goes out in order,
        and those who read are not disconnected for it, whether they get all or choose.
        """
        self.makeChannel()

        def connected(stream: EventStream) -> None:
            assert stream.request is not None
            choice = (lambda event: True) if b"choose" in stream.request.uri else None
            self.channel.subscribe(stream, where=choice)

        # Two sockets' worth, so that a turn of the reactor is enough for a piece of 64 KiB.
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
        Publish an event, and while it is sent, in a callback, another; and end 15 streams.

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
        Streams that a callback ends while an event is sent get that, and what was published
        before they were ended.
        """
        for response in await self.meddle(EventStream.end):
            self.assertTrue(response.complete)
            self.assertEqual(response.data, [event.data for event in self.published[:2]])

    async def test_abortsWhileSending(self) -> None:
        """
        Those that it aborts get no more, and no event behind one that they have missed.
        """
        for response in await self.meddle(EventStream.abort):
            self.assertTrue(response.broken)
            self.assertIn(response.data, ([], [self.published[0].data]))

    async def test_equal(self) -> None:
        """
        Whatever the sizes, and whenever a reader stalls: those who are sent to directly and
        those who are not get the same bytes.
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
        A socket that takes nothing, or not all, is no error: the rest goes by the transport,
        in order, and the others are not concerned.
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
        Clients that have gone when an event is sent, of which nobody has told us yet, disturb
        none of the others, and their streams are closed.
        """
        clients = await self.join(self.open(), 30)
        streams = self.channel.streams
        resetting = [client for client, _ in clients[::3]]
        closing = [client for client, _ in clients[1::3]]

        class Leaver:
            def sent(self, stream: EventStream, events: int, size: int) -> None:
                # In the middle of sending, before the reactor can look.
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
        An observer that publishes, and ends streams, while an event is sent disturbs nobody.
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
    Make a chunk: RFC 9112, 7.1.
    """
    return b"%x\r\n%b\r\n" % (len(data), data)


def unframed(data: bytes) -> bytes:
    """
    Take chunks apart.
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
    Read what there is.
    """
    data = b""
    try:
        while piece := client.recv(2**16):
            data += piece
    except BlockingIOError:
        pass
    return data
