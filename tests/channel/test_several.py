"""
Tests for L{twisted_sse.channel.channel}, in memory: several channels, resources and clocks.
"""

from __future__ import annotations

import time
from typing import Any

from twisted.logger import capturedLogs

from tests.support.channels import ChannelTestCase, data, lastEventID, received, types
from twisted_sse import Channel, EventStream, EventStreamResource, History
from twisted_sse.testing import MemoryClient, MemoryClock


class SeveralTests(ChannelTestCase):
    """
    Tests for several channels, resources and clocks.
    """

    def test_channelsOnOneStream(self) -> None:
        """
        A stream may subscribe to several channels: it gets the events of all, and leaves them all
        when it disconnects.
        """
        one = self.serve(Channel(None))
        two, three = Channel(None), Channel(None)

        def connected(stream: EventStream) -> None:
            for channel in (one, two, three):
                channel.subscribe(stream)

        browser = self.connect(instead=connected)
        for number in range(3):
            for name, channel in (("one", one), ("two", two), ("three", three)):
                channel.publish(f"{name} {number}")
        self.assertEqual(len(data(browser)), 9)
        for name in ("one", "two", "three"):
            self.assertEqual(
                [each for each in data(browser) if each.startswith(name)],
                [f"{name} {number}" for number in range(3)],
            )
        two.unsubscribe(self.streams[0])
        two.publish("not this")
        three.publish("this")
        self.assertEqual(data(browser)[-1], "this")
        self.assertEqual(len(received(browser)), 10)
        browser.disconnect()
        for channel in (one, two, three):
            self.assertIdle(channel)

    def test_channelsWithHistories(self) -> None:
        """
        A reconnecting stream resumes the channel of its last event, and gets a reset from the
        others.
        """
        one = self.serve(Channel(resetEvent="one-reset"))
        two = Channel(resetEvent="two-reset")

        def connected(stream: EventStream) -> None:
            one.subscribe(stream)
            two.subscribe(stream)

        browser = self.connect(instead=connected)
        one.publish("1")
        self.clock.settle()
        two.publish("2")
        self.assertEqual(data(browser), ["1", "2"])
        browser.disconnect()
        one.publish("3")
        two.publish("4")
        again = self.connect(lastEventID(browser), instead=connected)
        self.assertEqual(
            sorted((event.type, event.data) for event in received(again)),
            [("message", "1"), ("message", "3"), ("message", "4"), ("one-reset", "{}")],
        )

    def test_severalHistoriesAreWarnedOf(self) -> None:
        """
        The log warns about a stream on several channels with histories, but not about one without
        histories.
        """
        self.assertWarned([Channel(), Channel()], True)
        self.assertWarned([Channel(None), Channel(None)], False)
        self.assertWarned([Channel()], False)

    def assertWarned(self, channels: list[Channel], warned: bool) -> None:
        """
        Subscribe a stream to channels, and check whether the log warns.
        """

        def connected(stream: EventStream) -> None:
            for channel in channels:
                channel.subscribe(stream)

        self.serve(channels[0])
        logged: list[Any]
        with capturedLogs() as logged:
            self.connect(instead=connected)
        warnings = [event for event in logged if event["log_level"].name == "warn"]
        self.assertEqual(bool(warnings), warned)

    def test_replaysOnOneStream(self) -> None:
        """
        Two long replays on one stream both finish, each in order.
        """
        one = self.serve(Channel())
        two = Channel()
        sent = [str(number).ljust(3000, "-") for number in range(100)]
        for each in sent:
            one.publish("1:" + each)
            two.publish("2:" + each)

        def connected(stream: EventStream) -> None:
            one.subscribe(stream, last=100)
            two.subscribe(stream, last=100)

        browser = self.connect(instead=connected)
        browser.stopReading(kernelBuffer=0)
        self.clock.advance(1)
        browser.resumeReading()
        one.publish("1:end")
        two.publish("2:end")
        self.clock.advance(1)
        for prefix in ("1:", "2:"):
            received = [each for each in data(browser) if each.startswith(prefix)]
            self.assertEqual(received, [prefix + each for each in [*sent, "end"]])

    def test_resources(self) -> None:
        """
        Streams of several resources may share one channel.
        """
        channel = self.serve()
        browser = self.connect()
        clients = [
            MemoryClient(EventStreamResource(channel.subscribe, heartbeat=beat), clock=self.clock)
            for beat in (None, 5)
        ]
        others = [client.get() for client in clients]
        channel.publish("x")
        for each in (browser, *others):
            self.assertEqual(data(each), ["x"])
        self.assertEqual(len(channel.streams), 3)
        others[0].disconnect()
        channel.publish("y")
        self.assertEqual(data(browser), ["x", "y"])
        self.assertEqual(data(others[1]), ["x", "y"])

    def test_clocks(self) -> None:
        """
        Streams may have different clocks: when all advance, every stream gets every event.
        """
        channel = self.serve(Channel())
        clients = [MemoryClient(EventStreamResource(channel.subscribe)) for _ in range(3)]
        browsers = [client.get() for client in clients]

        def advance() -> None:
            for client in clients:
                client.clock.advance(0.1)

        channel.publish("1")
        advance()
        browsers[0].disconnect()
        channel.publish("2")
        advance()
        browsers[0] = clients[0].get("/", {"Last-Event-ID": received(browsers[0])[-1].lastEventID})
        channel.publish("3")
        advance()
        for browser in browsers:
            browser.disconnect()
        channel.publish("4")
        again = clients[2].get("/", {"Last-Event-ID": received(browsers[2])[-1].lastEventID})
        channel.publish("5")
        self.assertEqual(
            [data(browser) for browser in browsers], [["2", "3"], ["1", "2", "3"], ["1", "2", "3"]]
        )
        self.assertEqual(data(again), ["4", "5"])
        again.disconnect()
        self.assertIdle()

    def test_firstClock(self) -> None:
        """
        A channel uses the clock of its first subscriber while there is one.
        """
        channel = self.serve(Channel())
        first, second = (MemoryClient(EventStreamResource(channel.subscribe)) for _ in range(2))
        browsers = [first.get(), second.get()]
        channel.publish("1")
        self.assertEqual(data(browsers[0]), ["1"])
        self.assertEqual(data(browsers[1]), ["1"])

    def test_clockOfItsOwn(self) -> None:
        """
        A channel that was given a clock uses it, whatever its subscribers have.
        """
        own = MemoryClock()
        channel = self.serve(Channel(reactor=own))
        browser = self.connect()
        channel.publish("x")
        self.assertEqual(data(browser), [])
        own.advance(0)
        self.assertEqual(data(browser), ["x"])

    def test_newClient(self) -> None:
        """
        After its last subscriber has disconnected, a channel uses the clock of the next.
        """
        channel = self.serve(Channel(History(maxAge=100)))
        for _ in range(3):
            client = MemoryClient(EventStreamResource(channel.subscribe))
            browser = client.get()
            channel.publish("x")
            self.assertEqual(data(browser), ["x"])
            browser.disconnect()
            self.assertIdle()

    def test_ageMoves(self) -> None:
        """
        Kept events keep their age when the channel switches to another clock.
        """
        now = 5000.0
        self.patch(time, "monotonic", lambda: now)
        channel = self.serve(Channel(History(maxAge=10)))
        channel.publish("1")
        now += 4
        channel.publish("2")
        now += 2
        self.clock.rightNow = 77.0
        browser = self.connect(last=10)
        self.assertEqual(data(browser), ["1", "2"])
        browser.disconnect()
        self.clock.advance(3.9)
        self.assertEqual(len(channel.history or ()), 2)
        self.clock.advance(0.2)
        self.assertEqual(len(channel.history or ()), 1)
        other = MemoryClient(EventStreamResource(channel.subscribe))
        other.get().disconnect()
        other.clock.advance(3.8)
        self.assertEqual(len(channel.history or ()), 1)
        other.clock.advance(0.2)
        self.assertEqual(len(channel.history or ()), 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(other.clock.getDelayedCalls(), [])

    def test_ageAtTheFirstStream(self) -> None:
        """
        Events that are too old when the first stream subscribes are not sent to it.
        """
        now = 5000.0
        self.patch(time, "monotonic", lambda: now)
        channel = self.serve(Channel(History(maxAge=10)))
        first = channel.publish("1")
        now += 20
        self.assertEqual(data(self.connect(last=10)), [])
        self.assertEqual(types(self.connect(first.id or "")), ["stream-reset"])
