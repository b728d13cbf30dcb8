"""
Tests for L{twisted_sse.channel.channel}, in memory: nothing keeps closed streams alive.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from tests.support.channels import ChannelTestCase, data, lastEventID
from tests.support.streams import BIG
from twisted_sse import Channel, Event, EventStream, History
from twisted_sse.testing import MemoryStream


class LeakTests(ChannelTestCase):
    """
    Tests that closed streams are freed with the garbage collector off.
    """

    def setUp(self) -> None:
        """
        Turn the garbage collector off.
        """
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)

    def assertDies(
        self,
        act: Callable[[MemoryStream, EventStream], object],
        stall: bool = False,
        missed: int = 0,
        **options: Any,
    ) -> None:
        """
        Assert that a stream is freed after C{act} was called with it.
        """
        channel = self.serve(observer=None)
        witness = self.connect()
        first = channel.publish("first")
        for number in range(missed):
            channel.publish(f"{number}".ljust(1000, "-"))
        self.clock.settle()
        reference = weakref.ref(self.streams[0])
        self.streams.clear()
        browser = self.connect(first.id or "" if missed else "", **options)
        if stall:
            browser.stopReading(kernelBuffer=0)
        channel.publish("x", topics=["a"])
        if stall:
            channel.publish(BIG, topics=["a"])
            self.turn()
        reference = weakref.ref(self.streams[0])
        act(browser, self.streams.pop())
        for _ in range(3):
            channel.publish("y")
            self.clock.advance(1)
        for failure in self.flushLoggedErrors(ZeroDivisionError):
            # pytest keeps tracebacks in Failures to show them, and the log keeps the Failures.
            vars(failure).clear()
        self.assertIsNone(reference())
        self.assertEqual(len(channel.streams), 1)
        witness.disconnect()
        self.assertIdle()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_everyWay(self) -> None:
        """
        A live stream is freed however it ends.
        """
        acts: list[Callable[[MemoryStream, EventStream], object]] = [
            lambda browser, stream: browser.disconnect(),
            lambda browser, stream: browser.disconnect(reset=True),
            lambda browser, stream: stream.end(),
            lambda browser, stream: stream.abort(),
        ]
        for act in acts:
            for options in (
                {},
                {"topics": ["a", "b"]},
                {"where": lambda event: True},
                {"topics": ["a"], "where": lambda event: True},
                {"last": 1},
            ):
                self.assertDies(act, **options)
                self.assertDies(act, missed=100, **options)

    def test_stalled(self) -> None:
        """
        A stalled stream is freed, too, live or behind.
        """
        acts: list[Callable[[MemoryStream, EventStream], object]] = [
            lambda browser, stream: browser.disconnect(),
            lambda browser, stream: stream.abort(),
        ]
        for act in acts:
            for missed in (0, 500):
                self.assertDies(act, stall=True, missed=missed)

    def test_unsubscribed(self) -> None:
        """
        A stream is freed after it was unsubscribed or subscribed again.
        """

        def unsubscribe(browser: MemoryStream, stream: EventStream) -> None:
            self.channel.unsubscribe(stream)
            browser.disconnect()

        def again(browser: MemoryStream, stream: EventStream) -> None:
            self.channel.subscribe(stream, topics=["other"])
            self.channel.subscribe(stream, where=lambda event: True)
            browser.disconnect()

        for act in (unsubscribe, again):
            for missed in (0, 100):
                self.assertDies(act, missed=missed)

    def test_whereFails(self) -> None:
        """
        A stream is freed after its C{where} has raised.
        """

        def where(event: Event) -> object:
            return event.data != "y" or 1 // 0

        self.assertDies(lambda browser, stream: None, where=where)

    def test_joining(self) -> None:
        """
        A stream that subscribes after a C{publish} and disconnects in the same turn is released by
        the channel.
        """
        acts: list[Callable[[EventStream], object]] = [
            EventStream.abort,
            EventStream.end,
            lambda stream: self.channel.unsubscribe(stream),
        ]
        for history in (None, History()):
            for act in acts:
                channel = self.serve(Channel(history if history is None else History()))
                witness = self.connect()

                def connected(
                    stream: EventStream, act: Callable[[EventStream], object] = act
                ) -> None:
                    self.channel.publish("x")
                    self.channel.subscribe(stream)
                    stream.open()
                    act(stream)

                browser = self.connect(instead=connected)
                channel.publish("y")
                self.assertEqual(data(witness), ["x", "y"])
                self.assertEqual(data(browser), [])
                self.assertEqual(channel.streams, {self.streams[0]})
                witness.disconnect()
                self.assertIdle()

    def test_never(self) -> None:
        """
        A stream that subscribes and is disconnected before its headers is freed.
        """
        channel = self.serve()
        waiting: Deferred[None] = Deferred()

        def connected(stream: EventStream) -> Deferred[None]:
            channel.subscribe(stream)
            return waiting

        browser = self.connect(instead=connected)
        channel.publish("x")
        self.clock.settle()
        reference = weakref.ref(self.streams.pop())
        browser.disconnect()
        self.clock.advance(1)
        self.assertIsNone(reference())
        self.assertIdle()

    def test_close(self) -> None:
        """
        A channel is freed after it was closed, with its history and its streams.
        """
        self.serve(Channel(History(maxAge=10)), observer=None)
        self.connect()
        self.connect(where=lambda event: True)
        self.channel.publish("x")
        self.clock.settle()
        references = [weakref.ref(stream) for stream in self.streams]
        references += [weakref.ref(self.channel), weakref.ref(self.channel.history)]  # type: ignore[list-item, arg-type]
        self.channel.publish("y")
        self.channel.close()
        self.clock.advance(1)
        self.streams.clear()
        del self.channel
        self.assertEqual([reference() for reference in references], [None] * 4)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_reconnections(self) -> None:
        """
        A client that reconnects a hundred times a second gets every event, and nothing grows.
        """
        channel = self.serve(Channel(History(maxEvents=50)))
        witness = self.connect()
        received: list[str] = []
        last = ""
        for number in range(1000):
            browser = self.connect(last)
            channel.publish(str(number))
            received += data(browser)
            last = lastEventID(browser)
            browser.disconnect()
            self.clock.advance(0.01)
            self.assertEqual(len(channel.streams), 1)
            self.assertLess(len(self.clock.getDelayedCalls()), 5)
        self.assertEqual(received, [str(number) for number in range(1000)])
        self.assertEqual(data(witness), received)
        self.assertEqual(len(channel._broadcast.subscriptions), 1)
        self.assertEqual(len(channel.history or ()), 50)
