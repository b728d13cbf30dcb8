"""
Tests that the page about resuming is correct: which events can be lost, and what the client then
receives.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.support.channels import received
from tests.support.documents import tables
from twisted_sse import Channel, EventStream, EventStreamResource, History, SlowReader
from twisted_sse.testing import MemoryClient, MemoryClock


class LossTests(SynchronousTestCase):
    """
    Tests that clients are notified of lost events as the tables state.
    """

    def setUp(self) -> None:
        """
        Make a channel that keeps three events.
        """
        self.clock = MemoryClock()
        self.channel = Channel(History(maxEvents=3))

    def serve(
        self, connected: Callable[[EventStream], object] | None = None, **options: Any
    ) -> MemoryClient:
        """
        Serve a channel.
        """
        resource = EventStreamResource(connected or self.channel.subscribe, **options)
        return MemoryClient(resource, clock=self.clock)

    def publish(self, count: int, **fields: Any) -> None:
        """
        Publish events, one in each turn.
        """
        for number in range(count):
            self.channel.publish(str(number), **fields)
            self.clock.advance(0)

    def resume(self, client: MemoryClient, lastEventID: str, path: str = "/") -> list[str]:
        """
        Reconnect.

        @return: the types of the events received.
        """
        headers = {"Last-Event-ID": lastEventID} if lastEventID else {}
        return [event.type for event in received(client.get(path, headers=headers))]

    def away(self, missed: int, **choice: Any) -> list[str]:
        """
        Connect, get an event, disconnect, and reconnect after some more events.
        """
        client = self.serve(lambda stream: self.channel.subscribe(stream, **choice))
        stream = client.get("/")
        self.publish(1, topics=["mine"])
        last = received(stream)[-1].lastEventID
        stream.disconnect()
        self.publish(missed, topics=["others"])
        return self.resume(client, last)

    def slow(self, policy: SlowReader) -> list[str]:
        """
        Do not read for a while, and reconnect if the stream has ended.
        """
        self.channel = Channel()
        client = self.serve(slow=policy, maxPending=100_000)
        stream = client.get("/")
        self.publish(1)
        last = received(stream)[-1].lastEventID
        stream.stopReading(kernelBuffer=0)
        for _ in range(30):
            self.channel.publish(10_000 * "x")
            self.clock.advance(0)
        stream.resumeReading()
        if not stream.ended:
            return [event.type for event in received(stream)]
        types = self.resume(client, last)
        self.assertEqual(len(types), 30)
        return types

    def overtaken(self) -> list[str]:
        """
        Read a replay so slowly that trimming overtakes it.
        """
        self.channel = Channel(History(maxEvents=30))
        begin: Deferred[None] = Deferred()

        async def connected(stream: EventStream) -> None:
            stream.open()
            await begin
            self.channel.subscribe(stream)

        first = self.channel.publish("one")
        for _ in range(29):
            self.channel.publish(10_000 * "x")
        stream = self.serve(connected).get("/", headers={"Last-Event-ID": str(first.id)})
        stream.stopReading(kernelBuffer=0)
        begin.callback(None)
        self.publish(30)
        stream.resumeReading()
        return [event.type for event in received(stream)]

    def reloaded(self) -> list[str]:
        """
        Reconnect without an ID.
        """
        self.publish(2)
        return self.resume(self.serve(), "")

    def elsewhere(self) -> list[str]:
        """
        Reconnect to another channel.
        """
        other = Channel().publish("one")
        return self.resume(self.serve(), str(other.id))

    def stalled(self) -> list[str]:
        """
        Read nothing for more than a minute.
        """
        client = self.serve(stallTimeout=60, maxPending=2**24)
        stream = client.get("/")
        self.publish(1)
        last = received(stream)[-1].lastEventID
        stream.stopReading(kernelBuffer=0)
        self.channel.publish(100_000 * "x")
        self.clock.advance(100)
        self.assertTrue(stream.ended)
        return self.resume(client, last)

    def withoutHistory(self) -> list[str]:
        """
        Reconnect to a channel without a history.
        """
        self.channel = Channel(history=None)
        self.assertEqual(self.resume(self.serve(), ""), [])
        return self.resume(self.serve(), "1")

    def byQuery(self) -> list[str]:
        """
        Reconnect with the ID in the query.
        """
        first = self.channel.publish("one")
        self.channel.publish("two")
        types = self.resume(self.serve(), "", f"/?lastEventID={first.id}")
        self.assertEqual(types, ["message"])
        return self.reloaded()

    def severalChannels(self) -> list[str]:
        """
        Reconnect to two channels.
        """
        other = Channel()

        def both(stream: EventStream) -> None:
            self.channel.subscribe(stream)
            other.subscribe(stream)

        last = self.channel.publish("one")
        other.publish("two")
        return self.resume(self.serve(both), str(last.id))

    def test_told(self) -> None:
        """
        The client receives exactly the notices that the tables list.
        """
        scenarios: dict[str, Callable[[], list[str]]] = {
            "The connection broke": lambda: self.away(2),
            "The history was trimmed past its ID by": lambda: self.away(4),
            "The history was trimmed past its ID, but": lambda: self.away(4, topics=["mine"]),
            "During replay, the history drops": self.overtaken,
            "The client sends no ID": self.reloaded,
            "The client sends an ID that never": lambda: self.resume(self.serve(), "made up"),
            "`SlowReader.DISCONNECT`": lambda: self.slow(SlowReader.DISCONNECT),
            "`SlowReader.DROP_OLDEST`": lambda: self.slow(SlowReader.DROP_OLDEST),
            "The client reads nothing for `stallTimeout`": self.stalled,
            "The server restarted": self.elsewhere,
            "The client reconnects to another process": self.elsewhere,
            "`Channel(history=None)`": self.withoutHistory,
            "The stream is subscribed to several channels": self.severalChannels,
            "A polyfill": self.byQuery,
        }
        rows = tables("resuming.md", "## What can be lost, when", "Cause")
        for beginning, scenario in scenarios.items():
            [told] = [row[1] for row in rows if row[0].startswith(beginning)]
            self.setUp()
            came = {each for each in scenario() if each.startswith("stream-")}
            self.assertEqual(came, set(re.findall(r"stream-\w+", told)), beginning)

    def test_notKnown(self) -> None:
        """
        A client gets a C{stream-reset} if a function chose its events, or if its ID was not made by
        the channel and is dropped.
        """
        self.assertIn("stream-reset", self.away(4, where=lambda event: True))
        client = self.serve(lambda stream: self.channel.subscribe(stream, topics=["mine"]))
        self.channel.publish("mine", id="0", topics=["mine"])
        self.publish(4, topics=["others"])
        self.assertIn("stream-reset", self.resume(client, "0"))

    def test_latest(self) -> None:
        """
        LATEST reports a gap like DROP_OLDEST.
        """
        self.assertIn("stream-gap", self.slow(SlowReader.LATEST))
