"""
Tests for channels on real sockets: clients that connect and disconnect at random.

With C{SSE_LONG=1} in the environment this takes a minute instead of a few seconds: run that after a
change to C{twisted_sse/channel}, C{store/memory.py} or C{stream/transport.py}.
"""

from __future__ import annotations

import os
import random
from collections import Counter

from twisted.internet.task import deferLater
from twisted.web.resource import Resource

from tests.support.live import Client, reactor, until
from tests.support.live_channels import ChannelTestCase, Progress, accept, portOf, told
from tests.support.live_streams import NARROW, SMALL
from tests.support.requirements import needs
from twisted_sse import Event, EventStream, EventStreamResource, History, SlowReader

#: The duration of connecting and disconnecting, in seconds.
STORM = 60 if os.environ.get("SSE_LONG") == "1" else 3


class Viewer:
    """
    A client that is cut off, stalls, and reconnects with its last event ID.

    @ivar id: its last event ID.
    @ivar place: the number of the event that the ID belongs to or precedes; L{None} if that is
        unknown.
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
        Connect or reconnect.
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
        Check what has arrived.
        """
        progress = self.progress
        if not told(self.response):
            # It has no ID yet, so it may not be subscribed.
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
        Work out which event must come first.
        """
        self.begun = True
        progress = self.progress
        _, published, first = self.storm.connects[self.number]
        assert published is not None and first is not None, "answered without being asked"
        # A gap announced on the last connection does not count on this one.
        progress.gap = 0
        if not self.id:
            progress.next = self.place = published
            return
        isReset = [event.type for event in self.response.events[:1]] == ["stream-reset"]
        if self.place is not None and progress.next is not None:
            where = f"{self.place} was the last, {first} is the oldest that is kept"
            # It must be reset if an event that it chose is no longer kept ...
            assert isReset or progress.rounded(progress.next) >= first, where
            # ... and must not be while its last event is kept.
            assert not isReset or self.place < first, where
        if isReset:
            progress.see(self.response.events.pop(0))
            progress.next = self.place = first

    def leave(self, how: str) -> None:
        """
        Disconnect, or be cut off.
        """
        assert self.client is not None
        if how == "abort":
            port = self.client.socket.getsockname()[1]
            for stream in self.storm.channel.streams:
                if portOf(stream) == port:
                    stream.abort()
            # The client notices later.
            return
        self.look()
        getattr(self.client, how)()
        self.forget()

    def forget(self) -> None:
        """
        Handle the end of the connection.
        """
        assert self.client is not None
        self.look()
        self.client.close()
        self.storm.server.clients.remove(self.client)
        self.client = None

    def act(self, choose: random.Random) -> str:
        """
        Do something at random.

        @return: the name of the action.
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
        Connect if necessary, and read.

        @return: whether everything has arrived.
        """
        if self.client is not None and self.client.lost:
            self.forget()
        if self.client is None:
            self.connect()
        assert self.client is not None
        self.client.startReading()
        self.look()
        # A client that first connected since then has nothing to receive.
        return self.progress.next is not None and self.progress.next > last


@needs("network")
class StormTests(ChannelTestCase):
    """
    Tests for clients that connect and disconnect at random.

    @ivar connects: for each connection its step, how many events had been published when it
        subscribed, and the number of the oldest kept then.
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
        200 clients that are cut off, stall and resume at random get each event they chose once and
        in order, unless a loss is reported, which happens no more often than necessary.
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
        await until(lambda: not self.channel.streams, "all streams are closed")


def numberOf(event: Event) -> int:
    """
    Return the number of an event.
    """
    return int((event.data or "").partition(" ")[0])
