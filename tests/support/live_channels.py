"""
A channel of numbered events on real sockets, and what each client received from it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, cast

from twisted.internet.task import deferLater

from tests.support.live import Client, LiveTestCase, Response, Server, reactor, until
from twisted_sse import Channel, Event, EventStream, History, MessageEvent


def accept(lastEventID: str = "") -> dict[str, str]:
    """
    Make the headers of a client that resumes.
    """
    resuming = {"Last-Event-ID": lastEventID} if lastEventID else {}
    return {"Accept": "text/event-stream", **resuming}


async def turns(count: int = 3) -> None:
    """
    Let the reactor run a few turns.
    """
    for _ in range(count):
        await deferLater(reactor, 0)


class Progress:
    """
    Checks what one client receives: each event as published, once and in order, unless a
    C{stream-reset} reports missed events.

    @ivar next: the number of the next event; L{None} after a C{stream-reset}.
    @ivar last: the number of the last event.
    @ivar seen: how many events were received, by type.
    """

    def __init__(self, published: list[Event], step: int = 1, next: int | None = None) -> None:
        """
        @param published: all events, by number.
        @param step: the client subscribed to the events whose number is a multiple of this.
        """
        self.published = published
        self.step = step
        self.next = next
        self.last = -1
        self.seen: Counter[str] = Counter()
        self.gap = 0

    def rounded(self, number: int) -> int:
        """
        Find the number of the first subscribed event from this one on.
        """
        return -(-number // self.step) * self.step

    def follow(self, response: Response) -> None:
        """
        Check the received events, and forget them.
        """
        events, response.events[:] = list(response.events), []
        for event in events:
            self.see(event)

    def see(self, event: MessageEvent) -> None:
        """
        Check one event.
        """
        self.seen[event.type] += 1
        if event.type == "stream-gap":
            self.gap += event.json()["dropped"]
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
    Base class for tests of a channel of numbered events.
    """

    def makeChannel(self, history: History | None = None, **options: Any) -> None:
        """
        Make C{self.channel}.
        """
        self.published: list[Event] = []
        if history is None:
            history = History(maxEvents=100_000)
        self.channel = Channel(history, **options)

    def open(self, history: History | None = None, *, clock: Any = None, **options: Any) -> Server:
        """
        Serve a channel.

        @param clock: the channel's clock.
        @param options: the options of the resource, and C{site} with those of the server.
        """
        self.makeChannel(history, reactor=clock)
        return self.serve(self.channel.subscribe, **{"heartbeat": None, **options})

    def publish(self, count: int = 1, size: int = 0, **fields: Any) -> None:
        """
        Publish the next events.

        @param size: the approximate size of each, in bytes.
        """
        for number in range(len(self.published), len(self.published) + count):
            data = f"{number} " + "x" * size
            self.published.append(self.channel.publish(data, **fields))

    async def join(
        self, server: Server, count: int, **options: Any
    ) -> list[tuple[Client, Response]]:
        """
        Connect clients, and wait until they are subscribed.
        """
        clients = [server.get(**options) for _ in range(count)]
        await until(lambda: all(told(response) for _, response in clients), "all are subscribed")
        return clients

    def streamOf(self, client: Any) -> EventStream:
        """
        Find the stream of a client.
        """
        port = client.socket.getsockname()[1]
        [found] = [each for each in self.channel.streams if portOf(each) == port]
        return found

    async def assertAll(
        self, responses: Iterable[Response], first: int | None = 0, *, step: int = 1
    ) -> None:
        """
        Wait until each client has the last event, and check that it has every event from the first
        on, once and in order.
        """
        waiting = [(Progress(self.published, step, first), response) for response in responses]
        last = (len(self.published) - 1) // step * step

        def all_() -> bool:
            for progress, response in waiting:
                progress.follow(response)
            return all(progress.last == last for progress, _ in waiting)

        await until(all_, "all have the last event")
        for progress, _ in waiting:
            self.assertEqual(set(progress.seen), {"message"})


def told(response: Response) -> str:
    """
    Return the ID with which a client would reconnect; it has one once it is subscribed.
    """
    return response.parser.lastEventID


def portOf(stream: EventStream) -> int:
    """
    Return the client's port of a connection.
    """
    assert stream.request is not None, "it is open"
    return cast(int, stream.request.getClientAddress().port)
