"""
Channels on real sockets: many clients, clients that come and go, and clients that do not read.

With C{SSE_LONG=1} in the environment clients come and go for a minute, rather than for a few
seconds: what to run after a change to C{channel.py}, C{subscription.py}, C{history.py} or
C{fastwrite.py}.
"""

from __future__ import annotations

import errno
import gc
import os
import random
import re
import shutil
import socket
import tempfile
import threading
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, cast

from klein import Klein
from twisted.internet import interfaces
from twisted.internet.defer import gatherResults
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.web.resource import EncodingResourceWrapper, Resource
from twisted.web.server import GzipEncoderFactory
from zope.interface import implementer

from tests.support.http2 import Client2, h2
from tests.support.leaks import LeakTestCase
from tests.support.live import (
    Child,
    Client,
    LiveTestCase,
    Response,
    Server,
    allowDescriptors,
    openDescriptors,
    reactor,
    until,
)
from tests.support.requirements import needs
from tests.support.writes import SlowResource, WriteCounter, hasTLS
from twisted_sse import (
    Channel,
    CloseReason,
    Event,
    EventStream,
    EventStreamResource,
    History,
    MessageEvent,
    SlowReader,
)
from twisted_sse.klein import eventStream

#: The kernel's buffers are kept small, so that a client that does not read is noticed after
#: some kilobytes rather than some megabytes.
SMALL = 8192
NARROW = {"sendBuffer": SMALL}

#: What a connection may hold of what its client does not read: a piece of 64 KiB, and what is
#: framed and sent with it.
HELD = 2**17

#: How long clients come and go, in seconds.
STORM = 60 if os.environ.get("SSE_LONG") == "1" else 3


def accept(lastEventID: str = "") -> dict[str, str]:
    """
    Make the headers of a client that resumes.
    """
    resuming = {"Last-Event-ID": lastEventID} if lastEventID else {}
    return {"Accept": "text/event-stream", **resuming}


async def turns(count: int = 3) -> None:
    """
    Let the reactor do what it has to do.
    """
    for _ in range(count):
        await deferLater(reactor, 0)


class Progress:
    """
    What one client has seen, looked at event by event: each as it was published, once, in
    order, unless the client is told that it has missed some.

    @ivar next: the number of the event that comes next; L{None} if the client was told that
        some are lost, and not how many.
    @ivar last: the number of the last.
    @ivar seen: how many there were, by event type.
    """

    def __init__(self, published: list[Event], step: int = 1, next: int | None = None) -> None:
        """
        @param published: all events, by number.
        @param step: the client has chosen those whose number can be divided by that.
        """
        self.published = published
        self.step = step
        self.next = next
        self.last = -1
        self.seen: Counter[str] = Counter()
        self.gap = 0

    def rounded(self, number: int) -> int:
        """
        Find the first event that was chosen, from a number on.
        """
        return -(-number // self.step) * self.step

    def follow(self, response: Response) -> None:
        """
        Look at what has come, and forget it.
        """
        events, response.events[:] = list(response.events), []
        for event in events:
            self.see(event)

    def see(self, event: MessageEvent) -> None:
        """
        Look at one event.
        """
        self.seen[event.type] += 1
        if event.type == "stream-gap":
            self.gap += int(event.data)
        elif event.type == "stream-reset":
            self.next, self.gap = None, 0
        else:
            number = int(event.data.partition(" ")[0])
            assert number > self.last, f"{number} came after {self.last}"
            assert number % self.step == 0, f"{number} was not chosen"
            if self.next is not None:
                expected = self.rounded(self.next) + self.gap * self.step
                assert number == expected, f"{number} came, not {expected}"
            original = self.published[number]
            assert (event.data, event.lastEventID) == (original.data, original.id), number
            self.last, self.next, self.gap = number, number + 1, 0


class ChannelTestCase(LiveTestCase):
    """
    Tests of a channel of numbered events.
    """

    def makeChannel(self, history: History | None = None, **options: Any) -> None:
        """
        Make a channel, which is C{self.channel}.
        """
        self.published: list[Event] = []
        if history is None:
            history = History(maxEvents=100_000)
        self.channel = Channel(history, **options)

    def open(self, history: History | None = None, *, clock: Any = None, **options: Any) -> Server:
        """
        Serve a channel.

        @param clock: the channel's.
        @param options: those of the resource; and C{site}, those of the server.
        """
        self.makeChannel(history, reactor=clock)
        return self.serve(self.channel.subscribe, **{"heartbeat": None, **options})

    def publish(self, count: int = 1, size: int = 0, **fields: Any) -> None:
        """
        Publish the next events.

        @param size: of each, in bytes, about.
        """
        for number in range(len(self.published), len(self.published) + count):
            data = f"{number} " + "x" * size
            self.published.append(self.channel.publish(data, **fields))

    async def join(
        self, server: Server, count: int, **options: Any
    ) -> list[tuple[Client, Response]]:
        """
        Let clients come, and wait until they are subscribed.
        """
        clients = [server.get(**options) for _ in range(count)]
        await until(lambda: all(told(response) for _, response in clients), "all are subscribed")
        return clients

    def streamOf(self, client: Any) -> EventStream:
        """
        Find the stream to a client.
        """
        port = client.socket.getsockname()[1]
        [found] = [each for each in self.channel.streams if portOf(each) == port]
        return found

    async def assertAll(
        self, responses: Iterable[Response], first: int | None = 0, *, step: int = 1
    ) -> None:
        """
        Wait until the last event has come, and look at what came before it: from the first on
        each once, and in order.
        """
        waiting = [(Progress(self.published, step, first), response) for response in responses]
        last = (len(self.published) - 1) // step * step

        def all_() -> bool:
            for progress, response in waiting:
                progress.follow(response)
            return all(progress.last == last for progress, _ in waiting)

        await until(all_, "the last event has come to all")
        for progress, _ in waiting:
            self.assertEqual(set(progress.seen), {"message"})


def told(response: Response) -> str:
    """
    Find the ID with which a client would come back: it has one as soon as it is subscribed.
    """
    return response.parser.lastEventID


def portOf(stream: EventStream) -> int:
    """
    Find the client's end of a connection.
    """
    assert stream.request is not None, "it is open"
    return cast(int, stream.request.getClientAddress().port)


class Viewer:
    """
    A client that is cut off, stops reading, and comes back with its last event ID.

    @ivar id: that.
    @ivar place: the number of the event that it is the ID of, or before which it is; L{None}
        if that is not known.
    """

    def __init__(self, storm: StormTests, path: str, step: int) -> None:
        self.storm = storm
        self.path = path
        self.progress = Progress(storm.published, step)
        self.client: Client | None = None
        self.id = ""
        self.place: int | None = None

    def connect(self) -> None:
        """
        Come, or come back.
        """
        self.number = len(self.storm.connects)
        self.storm.connects.append((self.progress.step, None, None))
        self.begun = False
        self.client, self.response = self.storm.server.get(
            f"/{self.path}?{self.number}", accept(self.id), receiveBuffer=SMALL
        )
        self.response.keepBody = False

    def look(self) -> None:
        """
        Look at what has come.
        """
        progress = self.progress
        if not told(self.response):
            # It has not got as far as to hear that anybody listens to it.
            return
        if not self.begun:
            self.begin()
        last = progress.last
        progress.follow(self.response)
        self.id = told(self.response)
        if progress.next is None:
            self.place = None
        elif progress.last != last:
            self.place = progress.last

    def begin(self) -> None:
        """
        Work out what has to come first.
        """
        self.begun = True
        progress = self.progress
        _, published, first = self.storm.connects[self.number]
        assert published is not None and first is not None, "answered without being asked"
        # What was announced on the last connection, and did not come, comes now.
        progress.gap = 0
        if not self.id:
            progress.next = self.place = published
            return
        isReset = [event.type for event in self.response.events[:1]] == ["stream-reset"]
        if self.place is not None and progress.next is not None:
            where = f"{self.place} was the last, {first} is the oldest that is kept"
            # It has to be told if there is one that it has chosen and will not get ...
            assert isReset or progress.rounded(progress.next) >= first, where
            # ... and must not be as long as the last that it has is kept.
            assert not isReset or self.place < first, where
        if isReset:
            progress.see(self.response.events.pop(0))
            progress.next = self.place = first

    def leave(self, how: str) -> None:
        """
        Go, or be cut off.
        """
        assert self.client is not None
        if how == "abort":
            port = self.client.socket.getsockname()[1]
            for stream in self.storm.channel.streams:
                if portOf(stream) == port:
                    stream.abort()
            # This side finds out later.
            return
        self.look()
        getattr(self.client, how)()
        self.forget()

    def forget(self) -> None:
        """
        The connection is over.
        """
        assert self.client is not None
        self.look()
        self.client.close()
        self.storm.server.clients.remove(self.client)
        self.client = None

    def act(self, choose: random.Random) -> str:
        """
        Do something or other.

        @return: what.
        """
        if self.client is None:
            if choose.random() < 0.5:
                self.connect()
            return "away"
        if self.client.lost:
            self.forget()
            return "lost"
        self.look()
        ways = {"reset": 2, "close": 2, "abort": 1, "stop": 4, "go": 3, "nothing": 12}
        [what] = choose.choices([*ways], [*ways.values()])
        if what == "stop":
            self.client.stopReading()
        elif what == "go":
            self.client.startReading()
        elif what != "nothing":
            self.leave(what)
        return what

    def isThere(self, last: int) -> bool:
        """
        See that it gets all there is.

        @return: whether it has.
        """
        if self.client is not None and self.client.lost:
            self.forget()
        if self.client is None:
            self.connect()
        assert self.client is not None
        self.client.startReading()
        self.look()
        # One that has come for the first time since then has nothing to see.
        return self.progress.next is not None and self.progress.next > last


@needs("network")
class StormTests(ChannelTestCase):
    """
    Clients come and go.

    @ivar connects: of each connection the step, how many events had been published when it
        was subscribed, and the number of the oldest that was kept then.
    """

    timeout = 120 + 2 * STORM

    def subscribe(self, stream: EventStream) -> None:
        """
        Subscribe a stream to all events, to a topic, or to those that a function chooses.
        """
        assert stream.request is not None
        number = int(stream.request.uri.partition(b"?")[2])
        step, _, _ = self.connects[number]
        published = len(self.published)
        self.connects[number] = step, published, published - len(self.kept)
        if step == 2:
            self.channel.subscribe(stream, topics=["even", "nothing"])
        elif step == 3:
            self.channel.subscribe(stream, where=lambda event: not numberOf(event) % 3)
        else:
            self.channel.subscribe(stream)

    def say(self, size: int) -> None:
        """
        Publish one event.
        """
        self.publish(size=size, topics=[] if len(self.published) % 2 else ["even", "any"])

    async def test_storm(self) -> None:
        """
        200 clients that are cut off, stall and resume at random while events are published get
        each event that they have chosen exactly once and in order, but for those of which they
        are told that they are lost, which are no more than has to be.
        """
        choose = random.Random(STORM)
        self.kept = History(maxEvents=120)
        self.makeChannel(self.kept)
        self.connects: list[tuple[int, int | None, int | None]] = []
        root = Resource()
        for policy in SlowReader:
            resource = EventStreamResource(
                self.subscribe, maxPending=2**14, slow=policy, heartbeat=0.5
            )
            root.putChild(policy.value.encode(), resource)
        self.server = self.serve(root, site=NARROW)
        viewers = [
            Viewer(self, policy.value, step)
            for policy in SlowReader
            for step in (1, 2, 3)
            for _ in range(22)
        ]
        viewers += [Viewer(self, "disconnect", 1), Viewer(self, "disconnect", 2)]
        done: Counter[str] = Counter()
        end = reactor.seconds() + STORM

        def enough() -> bool:
            seen: Counter[str] = Counter()
            for viewer in viewers:
                seen += viewer.progress.seen
            return (
                all(done[how] > 30 for how in ("reset", "close", "abort", "lost", "stop"))
                and seen["stream-reset"] > 10
                and seen["stream-gap"] > 10
            )

        for viewer in viewers:
            viewer.connect()
        while reactor.seconds() < end or not enough():
            for _ in range(choose.choice([0, 1, 1, 2, 5])):
                self.say(choose.choices([0, 100, 1000, 5000, 2**17], [5, 5, 5, 5, 1])[0])
            for viewer in choose.sample(viewers, 25):
                done[viewer.act(choose)] += 1
            await deferLater(reactor, choose.choice([0, 0, 0.001, 0.01]))
        while len(self.published) % 6 != 1:
            self.say(0)
        last = len(self.published) - 1

        def allThere() -> bool:
            there = [viewer.isThere(last) for viewer in viewers]
            return all(there)

        await until(allThere, "all have seen the last")
        await until(lambda: len(self.channel.streams) == 200, "all are here, and once")
        for viewer in viewers:
            viewer.leave(choose.choice(["reset", "close"]))
        await until(lambda: not self.channel.streams, "all are gone")


def numberOf(event: Event) -> int:
    """
    Find the number of an event.
    """
    return int((event.data or "").partition(" ")[0])


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

        self.resource._group.observer = Meddler()
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

        self.resource._group.observer = Leaver()
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
        self.resource._group.observer = Meddler(self)
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


@needs("network")
class FaultTests(ChannelTestCase):
    """
    One client does not read, or not enough; the others are as if it were not there.
    """

    async def begin(self, **options: Any) -> None:
        """
        Serve a channel to five clients that read, and to one that does not.
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
        Publish one event, and wait until it has come to all who read.
        """
        self.publish(size=size, **fields)
        last = len(self.published) - 1

        def come() -> bool:
            for progress, response in zip(self.progress, self.readers, strict=True):
                progress.follow(response)
            return all(progress.last == last for progress in self.progress)

        await until(come, "it has come to those who read")
        for progress in self.progress:
            self.assertEqual({*progress.seen} & {"stream-gap", "stream-reset"}, set())

    async def flood(
        self, enough: Callable[[], object], kinds: tuple[str, ...] = ("message",)
    ) -> None:
        """
        Publish, event by event, until something is so.

        @param kinds: the events' types, in turn.
        """
        for number in range(1000):
            await self.publishTo(event=kinds[number % len(kinds)])
            self.assertLessEqual(self.stream.bytesPending, 2**16)
            if enough():
                return
        self.fail("it takes everything")

    async def resume(self) -> None:
        """
        Let the one that did not read come back, and see that it gets what it has missed.
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
        One that never reads is disconnected when too much waits for it; it comes back, and
        misses nothing.
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
        So is one that reads a byte at a time.
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
        Where the oldest is dropped, one that reads a byte at a time is told how many it has
        missed, in their place, and gets what came after.
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
        # From here on it is as the others.
        await self.publishTo()
        await self.assertAll([self.response], last + 1)

    async def test_dropBehindLargeEvent(self) -> None:
        """
        It is told how many it has missed, too, when more is dropped while the news of it waits
        behind the rest of a large event.
        """
        for policy in SlowReader.DROP_OLDEST, SlowReader.LATEST:
            await self.begin(slow=policy)
            await self.publishTo(size=300_000)
            for _ in range(3):
                lost = self.reasons.lost
                await self.flood(lambda lost=lost: self.reasons.lost > lost + 5)
                # A part of the large event leaves, and with it the news could.
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
        Where the latest is kept, it gets the newest of each type, however old, in order, and is
        told how many it has missed.
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
        # The weather is old, and so is the last of no type, but there are none that are newer.
        self.assertEqual(numbers[place : place + 2], [rare - 1, rare])
        self.assertEqual(numbers[-2:], [last - 1, last])
        self.assertEqual(numbers, sorted({*numbers}))
        self.assertEqual(int(gap.data), self.reasons.lost)
        self.assertEqual(len(numbers) + self.reasons.lost, last + 1)

    async def test_stallTimeout(self) -> None:
        """
        One that takes no byte for C{stallTimeout} is aborted, not before, while events go on.
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
        Let a client of another kind stall: it is disconnected when too much waits for it.

        @param connect: subscribes it and returns the connection, once it is.
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
        # What did come is what was published.
        progress = Progress(self.published, next=0)
        progress.follow(response)
        self.assertLess(progress.last, len(self.published) - 1)

    async def test_stalledTLS(self) -> None:
        """
        A TLS client that does not read is disconnected when too much waits for it, and the
        others get everything meanwhile.
        """

        async def connect(server: Server) -> tuple[Client, Response]:
            [joined] = await self.join(server, 1, tls=True, receiveBuffer=SMALL)
            return joined

        await self.assertOthersUndisturbed(connect)

    async def test_stalledHTTP2(self) -> None:
        """
        An HTTP/2 client that does not read is reset when too much waits for it, and the
        others get everything meanwhile.
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
        Of an event of 1 MiB a connection that does not read it holds 128 KiB at most, and the
        rest is one copy for all; those who read get it whole, and so do the others later.
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
        # The event in the history; what the transports hold; the clients' parsers and so on.
        self.assertLess(after - before, size + len(stalled) * HELD + 2 * 2**20)
        # One more is accepted: nothing waits but the rest of the first.
        self.publish()
        for client, _ in stalled:
            client.startReading()
        await self.assertAll([response for _, response in stalled])
        await self.assertAll([response for _, response in reading], 1)
        self.assertEqual(self.reasons.closedFor, [])


@needs("network")
class ReplayTests(ChannelTestCase):
    """
    Clients come back.
    """

    async def test_slowReader(self) -> None:
        """
        1,000 events of 10 kB are replayed to a client that reads slowly, which is far more than
        may wait for it, as it reads; and what is published meanwhile comes behind.
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
        Clients that resume anywhere while events are published in each turn of the reactor
        get each event once, in order, without a gap, and become live.
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
        A client whose replay is overtaken by what the history drops is told once, where it is,
        and gets what is kept.
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
        # Whatever had been handed over before, and all that was kept.
        self.assertGreater(progress.seen["message"], 200)
        self.assertLess(progress.seen["message"], 400)

    async def test_resetOnce(self) -> None:
        """
        A client that is told that something is lost, and goes before the next event, is not
        told again when it comes back, and misses nothing of what was published meanwhile.
        """
        server = self.open()
        client, response = server.get(headers=accept("unknown"))
        await until(lambda: response.events, "it is told")
        self.assertEqual([event.type for event in response.events], ["stream-reset"])
        self.assertNotEqual(told(response), "")
        client.close()
        await until(lambda: not self.channel.streams, "it is gone")
        self.publish(3)
        _, again = server.get(headers=accept(told(response)))
        await self.assertAll([again])
        self.assertEqual(self.reasons.resets, 1)

    async def test_restart(self) -> None:
        """
        When the server has been started anew, an ID of the process before, of an event or of
        the beginning, is answered with C{stream-reset}, and then with what there is.
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
            # From the first that this process has published.
            self.assertEqual(again.data[1:4], ["0", "1", "2"])
            # And that is the end of it.
            _, third = server.get("/channel", accept(again.events[2].lastEventID))
            await until(lambda third=third: third.events)
            self.assertEqual((third.events[0].type, third.data[0]), ("message", "2"))
            self.assertGreater(told(third), before)

    async def test_close(self) -> None:
        """
        When a channel is closed, what was published before goes out, also to a client that
        does not read yet, and the responses end as they should.
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


@needs("network")
class TransportTests(ChannelTestCase):
    """
    Clients of all kinds.
    """

    async def assertSame(self, connect: Callable[[], Any], *, chunked: bool = True) -> None:
        """
        Publish events of all sizes to a plain client and to another, cut both off, let them
        come back and miss nothing: both get the same bytes.

        @param connect: makes a client of the other kind: a function that makes a request by it,
            with these headers.
        """
        plain = Server(self, self.resource)

        def begin(headers: dict[str, str]) -> tuple[Response, Response]:
            return plain.get(headers=headers)[1], connect()(headers)

        first = begin(accept())
        await until(lambda: all(map(told, first)), "both are subscribed")
        await self.publishAll()
        await self.assertAll(first)
        self.assertTrue(first[0].body == first[1].body)
        self.assertGreater(len(first[1].body), 400_000)
        resumed = begin(accept(self.published[5].id or ""))
        await until(lambda: len(self.channel.streams) == 4, "both are back")
        await self.publishAll()
        await self.assertAll(resumed, 6)
        self.assertTrue(resumed[0].body == resumed[1].body)
        self.assertEqual(first[1].headers["content-type"], "text/event-stream")
        self.assertNotIn("content-encoding", first[1].headers)

    async def publishAll(self) -> None:
        """
        Publish events of all sizes, one by one and together.
        """
        for size in 0, 1, 100, 2**14, 2**16 - 50, 2**16, 200_000:
            self.publish(size=size)
            await turns(2)
        for count in 2, 100, 3:
            self.publish(count, size=1000)
            await turns(2)

    async def test_tls(self) -> None:
        """
        A TLS client gets the same bytes as a plain one.
        """
        self.open()
        server = Server(self, self.resource, tls=True)
        await self.assertSame(
            lambda: lambda headers: server.get(headers=headers, tls=True)[1],
        )

    async def test_http2(self) -> None:
        """
        So does a client of HTTP/2, whose subscriptions share a connection.
        """
        self.open()
        server = Server(self, self.resource, tls=True)
        client = server.connect(Client2)

        def request(headers: dict[str, str]) -> Response:
            lower = {name.lower(): value for name, value in headers.items()}
            return cast(Response, client.request(headers=lower)[1])

        await self.assertSame(lambda: request)

    if not hasTLS:
        test_tls.skip = "network (TLS needs the extra tls)"  # type: ignore[attr-defined]
    if h2 is None:
        test_http2.skip = "network (HTTP/2 needs the extra tls)"  # type: ignore[attr-defined]

    async def test_unix(self) -> None:
        """
        So does a client on a UNIX socket.
        """
        server = self.open()
        folder = tempfile.mkdtemp(prefix="twisted-sse-")
        self.addCleanup(shutil.rmtree, folder)
        path = f"{folder}/socket"
        port = reactor.listenUNIX(path, server.site)
        self.addCleanup(port.stopListening)

        def request(headers: dict[str, str]) -> Response:
            connected = socket.socket(socket.AF_UNIX)
            connected.connect(path)
            client = Client(connected)
            server.clients.append(client)
            return client.request(headers=headers)

        await self.assertSame(lambda: request)

    async def test_http10(self) -> None:
        """
        So does a client of HTTP/1.0.
        """
        server = self.open()

        def request(headers: dict[str, str]) -> Response:
            return cast(Response, server.connect().request(headers=headers, version="1.0"))

        await self.assertSame(lambda: request)

    async def test_gzip(self) -> None:
        """
        So does a client that takes gzip, of a site that compresses what it can.
        """
        self.open()
        server = Server(self, EncodingResourceWrapper(self.resource, [GzipEncoderFactory()]))

        def request(headers: dict[str, str]) -> Response:
            return server.get(headers={**headers, "Accept-Encoding": "gzip, deflate"})[1]

        await self.assertSame(lambda: request)


class ChannelLeakTestCase(ChannelTestCase, LeakTestCase):
    """
    Counts what is there before and after.
    """

    async def begin(self, history: History | None = None, **options: Any) -> None:
        """
        Serve a channel, and let one client come and go, which brings with it what is made once.
        """
        self.makeChannel(history)
        self.server = self.serve(self.choose, **{"heartbeat": None, **options})
        await self.watch(self.server)
        await self.join(self.server, 1)
        self.publish()
        self.forget()
        await until(lambda: not self.channel.streams, "it is gone")
        self.opened = openDescriptors()

    def choose(self, stream: EventStream) -> None:
        """
        Subscribe a stream to what its client asks for.
        """
        assert stream.request is not None
        choices: dict[bytes, dict[str, Any]] = {
            b"/": {},
            b"/topics": {"topics": ["even", "prime"]},
            b"/where": {"where": lambda event: True},
        }
        self.channel.subscribe(stream, **choices[stream.request.uri])

    async def assertGone(self) -> None:
        """
        See that nothing is left of any client.
        """
        await until(lambda: not self.channel.streams, "all are gone")
        await turns()
        await self.assertNothingLeft()
        self.assertEqual(openDescriptors(), self.opened)


@needs("network")
class LeakTests(ChannelLeakTestCase):
    """
    What is left of clients that have gone: nothing.
    """

    async def test_comeAndGo(self) -> None:
        """
        300 clients that come and go in every way while events are published leave no stream,
        delayed call or file descriptor behind: without the garbage collector.
        """
        await self.begin(
            History(maxEvents=50), maxPending=2**14, stallTimeout=30, heartbeat=15, site=NARROW
        )
        choose = random.Random(7)
        options: dict[str, Any] = {"receiveBuffer": SMALL}
        here: list[Client] = []
        come, ids = 0, [""]
        while come < 300 or here:
            if come < 300:
                for _ in range(choose.randrange(10)):
                    headers = accept(choose.choice(ids))
                    path = choose.choice(["/", "/topics", "/where"])
                    client = self.server.get(path, headers, **options)[0]
                    come += 1
                    if choose.random() < 0.3:
                        client.stopReading()
                    here.append(client)
            topics = choose.choice([[], ["even"], ["odd", "prime"]])
            self.publish(choose.randrange(3), size=choose.randrange(5000), topics=topics)
            ids.append(self.published[-1].id or "")
            await turns(choose.randrange(4))
            choose.shuffle(here)
            for _ in range(min(len(here), choose.randrange(12))):
                client = here.pop()
                how = choose.choice(["close", "reset", "abort", "end", "unsubscribe"])
                if how in ("close", "reset"):
                    getattr(client, how)()
                    continue
                port = client.socket.getsockname()[1]
                for stream in self.channel.streams:
                    if portOf(stream) == port and how == "unsubscribe":
                        self.channel.unsubscribe(stream)
                    elif portOf(stream) == port:
                        getattr(stream, how)()
                    del stream
                # Some of these do not read, so that the end never comes.
                client.close()
            # It would keep the last one.
            client = None
        self.assertGreater(len(self.reasons.closedFor), 200)
        await self.assertGone()

    async def test_reconnecting(self) -> None:
        """
        A client that reconnects again and again, as fast as it can, gets each event once, and
        whatever there is does not grow: delayed calls, streams, file descriptors.
        """
        await self.begin(heartbeat=15)
        progress = Progress(self.published, next=1)
        last = self.published[0].id or ""
        sizes: list[tuple[int, int, int]] = []
        for _ in range(300):
            client, response = self.server.get(headers=accept(last))
            self.publish()
            await until(lambda response=response: response.events, "it is served")
            progress.follow(response)
            last = told(response)
            choice = len(sizes) % 3
            if choice:
                client.close()
            else:
                client.reset()
            self.server.clients.remove(client)
            del client, response
            await turns(1)
            calls = [each for each in reactor.getDelayedCalls() if each.active()]
            sizes.append((len(calls), len(self.channel.streams), openDescriptors()))
        self.assertEqual(progress.last, len(self.published) - 1)
        self.assertEqual(progress.seen, {"message": 300})
        for kind in range(3):
            early = max(size[kind] for size in sizes[:30])
            late = max(size[kind] for size in sizes[-30:])
            self.assertLessEqual(late, early + 3)
        await self.assertGone()


@needs("network")
class ThreadTests(ChannelTestCase):
    """
    Events from other threads.
    """

    async def test_callFromThread(self) -> None:
        """
        What threads publish by C{reactor.callFromThread} arrives, that of each in its order.
        """
        server = self.open()
        clients = await self.join(server, 5)

        def work(name: str) -> None:
            self.assertNotEqual(threading.get_ident(), main)
            for number in range(100):
                reactor.callFromThread(self.channel.publish, f"{name} {number}", event=name)

        main = threading.get_ident()
        await gatherResults([deferToThread(work, name) for name in ("one", "two", "three")])
        await until(lambda: all(len(response.events) == 300 for _, response in clients))
        for _, response in clients:
            self.assertEqual(response.data, clients[0][1].data)
            for name in "one", "two", "three":
                data = [event.data for event in response.events if event.type == name]
                self.assertEqual(data, [f"{name} {number}" for number in range(100)])

    async def test_directly(self) -> None:
        """
        Publishing in another thread raises, says what to do instead, and sends nothing.
        """
        server = self.open()
        [(_, response)] = await self.join(server, 1)
        error = await self.assertFailure(deferToThread(self.channel.publish, "no"), RuntimeError)
        self.assertIn("reactor.callFromThread", str(error))
        self.publish()
        await self.assertAll([response])


@needs("network")
class KleinTests(ChannelTestCase):
    """
    A chat in Klein.
    """

    async def assertChats(self, app: Klein) -> None:
        """
        Let three clients talk, one of which is away for a while.
        """
        self.channel = Channel()
        server = self.serve(app.resource())

        async def say(name: str, text: str) -> None:
            response = server.connect().request(
                "POST", f"/chat?name={name}", body=text.encode(), headers={}
            )
            await until(lambda: response.complete, "it is said")
            self.assertEqual((response.status, bytes(response.body)), (200, b"said"))

        clients = [server.get("/chat") for _ in range(3)]
        await until(lambda: all(told(response) for _, response in clients), "all are here")
        responses = [response for _, response in clients]
        await say("ann", "hello")
        await until(lambda: all(response.events for response in responses))
        away, before = clients[1]
        away.close()
        await until(lambda: len(self.channel.streams) == 2)
        await say("bob", "where is she?\nGr\u00fc\u00dfe")
        _, responses[1] = server.get("/chat", accept(told(before)))
        await say("ann", "back again")
        await until(lambda: [len(response.events) for response in responses] == [3, 2, 3])
        spoken = [(event.type, event.data) for event in responses[0].events]
        self.assertEqual(
            spoken,
            [
                ("ann", "hello"),
                ("bob", "where is she?\nGr\u00fc\u00dfe"),
                ("ann", "back again"),
            ],
        )
        self.assertEqual([(event.type, event.data) for event in responses[1].events], spoken[1:])
        self.assertEqual(responses[1].events, responses[2].events[1:])

    def chat(self) -> Klein:
        """
        Make an app in which one can say something.
        """
        app = Klein()

        @app.route("/chat", methods=["POST"])
        def say(request: Any) -> bytes:
            text = request.content.read().decode()
            self.channel.publish(text, event=request.args[b"name"][0].decode())
            return b"said"

        return app

    async def test_eventStream(self) -> None:
        """
        A route that subscribes its stream to a channel gets what others say, also what they
        said while it was away.
        """
        app = self.chat()

        @app.route("/chat", methods=["GET"])
        @eventStream(heartbeat=None)
        async def listen(request: Any) -> None:
            await deferLater(reactor, 0)
            self.channel.subscribe(EventStream.of(request))

        await self.assertChats(app)

    async def test_resource(self) -> None:
        """
        So does a route that returns a resource whose streams subscribe in C{connected}.
        """
        app = self.chat()
        resource = EventStreamResource(lambda stream: self.channel.subscribe(stream))

        @app.route("/chat", methods=["GET"])
        def listen(request: Any) -> EventStreamResource:
            return resource

        await self.assertChats(app)
