"""
Tests for L{twisted_sse.channel.channel}, in memory: closing a channel.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock

from tests.support.channels import ChannelTestCase, data, heads, types
from tests.support.streams import BIG
from twisted_sse import Channel, CloseReason, Event, EventStream, History
from twisted_sse.testing import MemoryStream


class CloseTests(ChannelTestCase):
    """
    Tests for C{close}.
    """

    def test_close(self) -> None:
        """
        Published events are sent first, then every stream ends cleanly.
        """
        channel = self.serve()
        browsers = [
            self.connect(),
            self.connect(topics=["t"]),
            self.connect(where=lambda event: True),
        ]
        channel.publish("bye", topics=["t"])
        channel.close()
        self.assertIs(channel.closed, True)
        for browser, stream in zip(browsers, self.streams, strict=True):
            self.assertEqual(data(browser), ["bye"])
            self.assertTrue(browser.complete)
            self.assertIs(self.reason(stream), CloseReason.ENDED)
        self.assertIdle()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_nothingPublished(self) -> None:
        """
        With nothing queued, the streams end immediately.
        """
        channel = self.serve()
        browser = self.connect()
        channel.close()
        self.assertTrue(browser.complete)
        self.assertIdle()

    def test_twice(self) -> None:
        """
        Closing a channel again, at any time, does nothing.
        """
        channel = self.serve()
        browser = self.connect()
        channel.publish("bye")
        channel.close()
        channel.close()
        self.assertEqual(data(browser), ["bye"])
        channel.close()
        self.assertTrue(browser.complete)

    def test_unused(self) -> None:
        """
        A channel that was never used can be closed.
        """
        for channel in (Channel(), Channel(None), Channel(reactor=Clock())):
            channel.publish("x")
            channel.close()
            self.assertIdle(channel)

    def test_publish(self) -> None:
        """
        Publishing to a closed channel raises an error that names it, and nothing is kept.
        """
        channel = self.serve(Channel(name="news"))
        channel.close()
        error = self.assertRaises(RuntimeError, channel.publish, "x")
        self.assertIn("'news'", str(error))
        self.assertIn("closed", str(error))
        self.assertEqual(len(channel.history or ()), 0)

    def test_subscribe(self) -> None:
        """
        A stream that subscribes to a closed channel gets its backlog, or a C{stream-reset}, and
        ends.
        """
        channel = self.serve()
        first = channel.publish("0")
        sent = [str(number).ljust(4000, "-") for number in range(20)]
        for each in sent:
            channel.publish(each)
        channel.close()
        for arguments, expected in [
            ({}, []),
            ({"lastEventID": first.id}, sent),
            ({"lastEventID": first.id, "topics": ["t"]}, []),
            ({"last": 3}, sent[-3:]),
            ({"lastEventID": "forged"}, ["{}", "0", *sent]),
        ]:
            options: dict[str, Any] = arguments
            browser = self.connect(**options)
            self.assertEqual(browser.status, 200)
            self.assertEqual(heads(data(browser)), heads(expected))
            self.assertTrue(browser.complete)
        self.assertIdle()
        none = self.serve(Channel(None))
        none.close()
        self.assertTrue(self.connect().complete)
        self.assertEqual(types(self.connect("x")), ["stream-reset"])
        self.assertIdle()

    def test_age(self) -> None:
        """
        A subscriber to a closed channel gets nothing that is too old, and leaves no delayed call.
        """
        channel = self.serve(Channel(History(maxAge=10)))
        self.connect()
        first = channel.publish("0")
        self.clock.advance(5)
        second = channel.publish("1")
        channel.publish("2")
        channel.close()
        self.clock.advance(4)
        self.assertEqual(data(self.connect(first.id or "")), ["1", "2"])
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.clock.advance(3)
        self.assertEqual(data(self.connect(first.id or "")), ["{}", "1", "2"])
        self.assertEqual(data(self.connect(second.id or "")), ["2"])
        self.clock.advance(5)
        self.assertEqual(types(self.connect(second.id or "")), ["stream-reset"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_subscribeWhileClosing(self) -> None:
        """
        A stream that subscribes while a closing channel sends its last events ends, too.
        """
        channel = self.serve()
        browser = self.connect()
        self.connect(instead=lambda stream: None)
        channel.publish("bye")
        channel.close()
        channel.subscribe(self.streams[1])
        channel.subscribe(self.streams[0], topics=["other"])
        self.clock.settle()
        self.assertTrue(browser.complete)
        self.assertTrue(self.streams[1].closed)
        self.assertIdle()

    def test_slowReader(self) -> None:
        """
        A client that stops reading gets everything once it reads again, and then its stream ends.
        """
        channel = self.serve()
        browser = self.connect()
        browser.stopReading(kernelBuffer=0)
        channel.publish(BIG)
        channel.publish("bye")
        channel.close()
        self.clock.advance(1)
        self.assertFalse(self.streams[0].closed)
        self.assertIdle()
        browser.resumeReading()
        self.clock.advance(1)
        self.assertEqual(data(browser), [BIG, "bye"])
        self.assertTrue(browser.complete)

    def test_behind(self) -> None:
        """
        A client in the middle of its replay gets all of it.
        """
        channel = self.serve()
        first = channel.publish("first")
        sent = [str(number).ljust(4000, "-") for number in range(60)]
        for each in sent:
            channel.publish(each)
        slow, fast = self.connect(first.id or ""), self.connect(first.id or "")
        del slow, fast
        self.streams.clear()
        browsers: list[MemoryStream] = []
        for reads in (True, False):

            def connected(stream: EventStream) -> None:
                channel.subscribe(stream)
                stream.whenWritable()

            settle = self.clock.settle
            self.clock.settle = lambda: None  # type: ignore[method-assign]
            browsers.append(self.connect(first.id or "", instead=connected))
            if not reads:
                browsers[-1].stopReading(kernelBuffer=0)
            self.clock.settle = settle  # type: ignore[method-assign]
        channel.close()
        self.clock.advance(1)
        browsers[1].resumeReading()
        self.clock.advance(1)
        for browser in browsers:
            self.assertEqual(heads(data(browser)), heads(sent))
            self.assertTrue(browser.complete)
        self.assertIdle()

    def test_fromCallbacks(self) -> None:
        """
        When a callback closes the channel in the middle of a round, every subscriber still gets the
        published events.
        """

        def whereCloses(event: Event) -> bool:
            self.channel.close()
            return True

        def observerCloses(what: str, *news: object) -> None:
            if what == "sent" and news[1]:
                self.channel.close()

        for where, act in [(whereCloses, None), (None, observerCloses)]:
            channel = self.serve()
            browsers = [
                self.connect(where=where),
                self.connect(),
                self.connect(where=lambda event: True),
                self.connect(topics=["t"]),
            ]
            if act is not None:
                self.recorder.act = act
            channel.publish("1", topics=["t"])
            channel.publish("2", topics=["t"])
            for browser in browsers:
                self.assertEqual(data(browser), ["1", "2"])
                self.assertTrue(browser.complete)
            self.assertIdle()

    def test_fromEnd(self) -> None:
        """
        Closing the channel from C{whenClosed} of one stream ends the others.
        """
        channel = self.serve()
        browsers = [self.connect() for _ in range(3)]
        self.streams[0].whenClosed().addCallback(lambda reason: channel.close())
        browsers[0].disconnect()
        self.assertTrue(all(browser.ended for browser in browsers))
        self.assertIdle()

    def test_historyStays(self) -> None:
        """
        The history of a closed channel can still be read.
        """
        channel = self.serve()
        channel.publish("x")
        channel.close()
        self.assertEqual(len(channel.history or ()), 1)
