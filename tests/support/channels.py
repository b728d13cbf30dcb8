"""
A channel in memory, its clients, and what they received.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

import twisted_sse.stream.response
from twisted_sse import (
    Channel,
    CloseReason,
    Event,
    EventStream,
    EventStreamResource,
    MessageEvent,
)
from twisted_sse.observe import Observer
from twisted_sse.testing import MemoryClient, MemoryClock, MemoryStream
from twisted_sse.testing.transport import MemoryTransport


class Recorder(Observer):
    """
    Records the calls it receives, and passes each to C{act}.

    @ivar cost: how long each write takes, in seconds.
    """

    def __init__(self, clock: MemoryClock) -> None:
        self.clock = clock
        self.cost = 0.0
        self.writes: list[tuple[EventStream, int, int]] = []
        self.told: list[tuple[object, ...]] = []
        self.act: Callable[..., object] = lambda *news: None

    def _tell(self, *news: object) -> None:
        self.told.append(news)
        self.act(*news)

    def opened(self, stream: EventStream) -> None:
        """
        Record that a stream was opened.
        """
        self._tell("opened", stream)

    def closed(self, stream: EventStream, reason: CloseReason) -> None:
        """
        Record that a stream was closed.
        """
        self._tell("closed", stream, reason)

    def sent(self, stream: EventStream, events: int, size: int) -> None:
        """
        Record a write, and let time pass.
        """
        self.writes.append((stream, events, size))
        self.clock.rightNow += self.cost
        self.act("sent", stream, events, size)

    def dropped(self, stream: EventStream, events: int) -> None:
        """
        Record that events were dropped.
        """
        self._tell("dropped", stream, events)

    def published(self, channel: Channel, event: Event, size: int) -> None:
        """
        Record that an event was published.
        """
        self._tell("published", channel, event, size)

    def delivered(self, channel: Channel, events: int, streams: int, seconds: float) -> None:
        """
        Record that a round was delivered.
        """
        self._tell("delivered", channel, events, streams, seconds)

    def replayed(self, stream: EventStream, events: int) -> None:
        """
        Record a piece of a replay.
        """
        self._tell("replayed", stream, events)

    def reset(self, stream: EventStream) -> None:
        """
        Record a reset.
        """
        self._tell("reset", stream)


class DirectTransport:
    """
    A transport in memory that looks like a socket to L{twisted_sse.stream.transport}.
    """

    def __init__(self, transport: MemoryTransport) -> None:
        self._transport = transport
        self.socket = self
        self.write = transport.write

    @property
    def dataBuffer(self) -> bytes:
        """
        Return what the transport holds.
        """
        return self._transport.dataBuffer

    @property
    def _tempDataBuffer(self) -> list[bytes]:
        return self._transport._tempDataBuffer

    def send(self, data: bytes) -> int:
        """
        Take as many bytes as the kernel has room for.
        """
        if not self._transport.connected:
            raise OSError("closed")
        taken = self._transport.writeSomeData(data)
        if not taken:
            raise BlockingIOError
        return taken


def received(browser: MemoryStream) -> list[MessageEvent]:
    """
    List the events received, except those that only carry the client's position.
    """
    return [event for event in browser.events if event.type != "stream-position"]


def data(browser: MemoryStream) -> list[str]:
    """
    List the data of the events received.
    """
    return [event.data for event in received(browser)]


def types(browser: MemoryStream) -> list[str]:
    """
    List the types of the events received.
    """
    return [event.type for event in received(browser)]


def heads(texts: Iterable[str]) -> list[str]:
    """
    Shorten each text, so that a failure can be read.
    """
    return [f"{text[:8]} {len(text)}" for text in texts]


def lastEventID(browser: MemoryStream) -> str:
    """
    Return the ID with which a client would reconnect.
    """
    return browser._now().parser.lastEventID


class ChannelTestCase(SynchronousTestCase):
    """
    One channel, one resource, and clients.
    """

    channel: Channel
    resource: EventStreamResource
    client: MemoryClient
    clock: MemoryClock
    recorder: Recorder

    def serve(
        self, channel: Channel | None = None, clock: MemoryClock | None = None, **options: Any
    ) -> Channel:
        """
        Make a channel and a resource.
        """
        self.clock = clock or MemoryClock()
        self.recorder = Recorder(self.clock)
        self.channel = channel or Channel(observer=self.recorder)
        self.streams: list[EventStream] = []
        self.subscribe: dict[str, Any] = {}
        self.instead: Callable[[EventStream], object] | None = None
        options = {"observer": self.recorder, **options}
        self.resource = EventStreamResource(self._connected, **options)
        self.client = MemoryClient(self.resource, clock=self.clock)
        return self.channel

    def _connected(self, stream: EventStream) -> object:
        self.streams.append(stream)
        if self.instead is not None:
            return self.instead(stream)
        self.channel.subscribe(stream, **self.subscribe)
        return None

    def connect(
        self,
        lastEventID: str = "",
        version: str = "HTTP/1.1",
        instead: Callable[[EventStream], object] | None = None,
        **subscribe: Any,
    ) -> MemoryStream:
        """
        Connect a client.

        @param instead: called with the stream instead of subscribing it.
        @param subscribe: arguments of C{subscribe}.
        """
        self.subscribe = subscribe
        self.instead = instead
        headers = {"Last-Event-ID": lastEventID} if lastEventID else {}
        return self.client.request("GET", "/", headers, version=version)

    def fastWrites(self) -> None:
        """
        Let the streams of this test write directly, as to a socket.
        """

        def direct(request: Any) -> DirectTransport:
            return DirectTransport(request.transport)

        self.patch(twisted_sse.stream.response, "directTransport", direct)

    def turn(self) -> None:
        """
        Run one reactor turn.
        """
        self.clock._turn()

    def told(self, *names: str) -> list[tuple[object, ...]]:
        """
        List the calls of these kinds that the observer received.
        """
        return [news for news in self.recorder.told if news[0] in names]

    def reason(self, stream: EventStream) -> CloseReason:
        """
        Return why a stream was closed.
        """
        return self.successResultOf(stream.whenClosed())

    def assertIdle(self, channel: Channel | None = None) -> None:
        """
        Assert that a channel has no subscribers and nothing to do.
        """
        channel = channel or self.channel
        self.assertEqual(channel.streams, frozenset())
        self.assertEqual(channel._broadcast.subscriptions, {})
        self.assertEqual(channel._broadcast.audience.all, {})
        self.assertEqual(channel._broadcast.audience.choosers, {})
        self.assertEqual(channel._broadcast.audience.guarded, {})
        self.assertEqual(channel._broadcast.audience.index._topics, {})
        self.assertFalse(channel._broadcast.audience.index)
        self.assertEqual(channel._broadcast._joining, {})
        self.assertEqual(channel._broadcast._fresh, [])
        self.assertIsNone(channel._broadcast._fanOut)
        self.assertIsNone(channel._broadcast._turn)
