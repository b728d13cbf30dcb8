"""
Tests for L{twisted_sse.channel.channel}: its arguments, and its reports to observers and the log.

L{tests.channel.test_subscription} tests clients that reconnect; L{tests.channel.test_model} does
everything in random order.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.logger import capturedLogs

from tests.support.channels import ChannelTestCase, data, received
from twisted_sse import Channel, Event, EventTooLarge, History, InvalidEvent
from twisted_sse.testing import MemoryStream


class ArgumentTests(ChannelTestCase):
    """
    Tests for the arguments of L{Channel} and C{subscribe}.
    """

    def test_defaults(self) -> None:
        """
        By default a channel has its own history and no name, and it is open.
        """
        one, two = Channel(), Channel()
        assert one.history is not None
        self.assertIsNot(one.history, two.history)
        self.assertEqual((one.history.maxEvents, one.history.maxBytes), (1000, 16 * 2**20))
        self.assertIsNone(one.name)
        self.assertIs(one.closed, False)
        self.assertEqual(one.streams, frozenset())
        self.assertIsNone(Channel(history=None).history)

    def test_positional(self) -> None:
        """
        The first four arguments may be positional, and no more.
        """
        history, clock = History(), Clock()
        channel = Channel(history, "news", 100, clock)
        self.assertIs(channel.history, history)
        self.assertEqual(channel.name, "news")
        self.assertRaises(EventTooLarge, channel.publish, "x" * 100)
        self.assertRaises(TypeError, Channel, None, None, 100, None, "stream-reset")

    def test_wrong(self) -> None:
        """
        A wrong argument raises an error that names the argument and shows its value.
        """
        for name, bad, error in [
            ("history", 5, TypeError),
            ("history", True, TypeError),
            ("history", History, TypeError),
            ("name", 5, TypeError),
            ("name", b"news", TypeError),
            ("maxEventSize", None, ValueError),
            ("maxEventSize", 0, ValueError),
            ("maxEventSize", -1, ValueError),
            ("maxEventSize", 1.5, ValueError),
            ("maxEventSize", True, ValueError),
            ("maxEventSize", "1", ValueError),
            ("reactor", 5, TypeError),
            ("reactor", object(), TypeError),
            ("resetEvent", "a\nb", InvalidEvent),
            ("resetEvent", "\ud800", InvalidEvent),
            ("resetEvent", 5, TypeError),
            ("observer", 5, TypeError),
            ("observer", object(), TypeError),
        ]:
            raised = self.assertRaises(error, Channel, **{name: bad})
            if name == "resetEvent":
                # The error is the one for an event type.
                self.assertIn("event", str(raised))
            else:
                self.assertTrue(str(raised).startswith(f"{name} is {bad!r}"), str(raised))

    def test_repr(self) -> None:
        """
        The repr shows the name, the number of streams and the history.
        """
        channel = self.serve(Channel(name="news"))
        self.connect()
        self.assertEqual(
            repr(channel), "<Channel 'news': 1 streams, <History of 0 events, 0 bytes>>"
        )
        self.assertEqual(repr(Channel(None)), "<Channel: 0 streams, None>")

    def test_subscribeWrong(self) -> None:
        """
        A wrong argument to C{subscribe} raises an error that names it, and nothing is subscribed.
        """
        channel = self.serve()
        self.connect(instead=lambda stream: None)
        [stream] = self.streams
        for arguments, error, message in [
            ({"stream": None}, TypeError, "stream is None"),
            ({"stream": "x"}, TypeError, "stream is 'x'"),
            ({"topics": "user:7"}, TypeError, "topics is 'user:7'"),
            ({"topics": b"user:7"}, TypeError, "topics is b'user:7'"),
            ({"topics": 5}, TypeError, "topics is 5"),
            ({"topics": ["a", 5]}, TypeError, "topics has 5"),
            ({"topics": [None]}, TypeError, "topics has None"),
            ({"topics": [b"a"]}, TypeError, "topics has b'a'"),
            ({"where": 5}, TypeError, "where is 5"),
            ({"where": "x"}, TypeError, "where is 'x'"),
            ({"last": -1}, ValueError, "last is -1"),
            ({"last": None}, ValueError, "last is None"),
            ({"last": 1.0}, ValueError, "last is 1.0"),
            ({"last": True}, ValueError, "last is True"),
            ({"last": "1"}, ValueError, "last is '1'"),
        ]:
            options: dict[str, Any] = {"stream": stream, **arguments}
            raised = self.assertRaises(error, channel.subscribe, **options)
            self.assertTrue(str(raised).startswith(message), str(raised))
            self.assertEqual(channel.streams, frozenset())
            self.assertEqual(stream._response.feeds, ())

    def test_wrongWhileSubscribed(self) -> None:
        """
        A wrong argument to C{subscribe} leaves an existing subscription unchanged.
        """
        channel = self.serve()
        browser = self.connect(topics=["a"])
        self.assertRaises(TypeError, channel.subscribe, self.streams[0], topics="b")
        self.assertRaises(ValueError, channel.subscribe, self.streams[0], last=-1)
        channel.publish("x", topics=["a"])
        self.assertEqual(data(browser), ["x"])

    def test_lastWithoutHistory(self) -> None:
        """
        Without a history, C{last} raises an error unless it is 0.
        """
        channel = self.serve(Channel(None))
        self.connect(instead=lambda stream: None)
        [stream] = self.streams
        error = self.assertRaises(ValueError, channel.subscribe, stream, last=1)
        self.assertIn("last needs a history", str(error))
        channel.subscribe(stream, last=0)
        self.assertEqual(channel.streams, {stream})

    def test_publishWrongTopics(self) -> None:
        """
        Wrong topics in C{publish} raise an error that shows them, and nothing is published.
        """
        channel = self.serve()
        browser = self.connect()
        for bad, message in [
            ("user:7", "topics is 'user:7'"),
            (b"user:7", "topics is b'user:7'"),
            (None, "topics is None"),
            (7, "topics is 7"),
            ([7], "topics has 7"),
            (["a", None], "topics has None"),
            ([["a"]], "topics has ['a']"),
        ]:
            error = self.assertRaises(TypeError, channel.publish, "x", topics=bad)
            self.assertTrue(str(error).startswith(message), str(error))
        self.assertNothingPublished(browser)

    def test_publishNoEvent(self) -> None:
        """
        Wrong arguments to C{publish} raise the same errors as those to C{send}, and nothing is
        published.
        """
        channel = self.serve()
        browser = self.connect()
        for arguments, fields, error in [
            ((), {}, InvalidEvent),
            ((5,), {}, TypeError),
            ((b"x",), {}, TypeError),
            ((Event("x"),), {"id": "1"}, TypeError),
            (("x",), {"json": 1}, TypeError),
            (("x",), {"nonsense": 1}, TypeError),
            (("x",), {"id": "1\n2"}, InvalidEvent),
            (("x",), {"id": "\0"}, InvalidEvent),
            (("x",), {"event": "\r"}, InvalidEvent),
            (("\ud800",), {}, InvalidEvent),
            ((), {"json": float("nan")}, InvalidEvent),
            ((), {"json": {1, 2}}, TypeError),
            ((), {"retry": -1}, InvalidEvent),
        ]:
            self.assertRaises(error, channel.publish, *arguments, **fields)
        self.assertNothingPublished(browser)

    def assertNothingPublished(self, browser: MemoryStream) -> None:
        """
        Assert that nothing was published, and that the channel still works.
        """
        self.assertEqual(len(self.channel.history or ()), 0)
        self.assertEqual(self.told("published"), [])
        self.assertEqual(received(browser), [])
        self.channel.publish("after")
        self.assertEqual(data(browser), ["after"])


class ObserverTests(ChannelTestCase):
    """
    Tests for the reports to observers.
    """

    def test_published(self) -> None:
        """
        Observers receive each published event with its size and its assigned ID.
        """
        channel = self.serve()
        events = [channel.publish("1"), channel.publish("2", topics=["t"])]
        self.assertEqual(
            self.told("published"),
            [("published", channel, event, len(event.encode())) for event in events],
        )

    def test_delivered(self) -> None:
        """
        Observers receive each round once, with its events, the number of streams that got any, and
        its duration.
        """
        channel = self.serve()
        for options in ({}, {}, {"topics": ["t"]}, {"topics": ["u"]}):
            self.connect(**options)
        self.connect(where=lambda event: event.data == "1")
        self.connect(where=lambda event: False)
        channel.publish("1", topics=["t"])
        channel.publish("2", topics=["t"])
        self.clock.rightNow += 0.25
        self.clock.settle()
        self.assertEqual(self.told("delivered"), [("delivered", channel, 2, 4, 0.25)])
        channel.publish("3")
        self.clock.settle()
        self.assertEqual(self.told("delivered")[1:], [("delivered", channel, 1, 2, 0.0)])

    def test_deliveredInSlices(self) -> None:
        """
        A round cut into slices is reported once, at its end, with its total duration.
        """
        channel = self.serve()
        for _ in range(100):
            self.connect()
        self.recorder.cost = 0.001
        channel.publish("x")
        self.clock.settle()
        [(_, _, events, streams, seconds)] = self.told("delivered")
        self.assertEqual((events, streams), (1, 100))
        self.assertAlmostEqual(float(str(seconds)), 0.1)

    def test_nobody(self) -> None:
        """
        Without subscribers, nothing is reported as delivered.
        """
        channel = self.serve()
        channel.publish("x")
        self.connect().disconnect()
        channel.publish("x")
        self.clock.settle()
        self.assertEqual(self.told("delivered"), [])
        self.assertEqual(len(self.told("published")), 2)

    def test_replayed(self) -> None:
        """
        A replay is reported piece by piece, and the counts add up.
        """
        channel = self.serve()
        first = channel.publish("0")
        for number in range(1, 51):
            channel.publish(str(number).ljust(2000, "-"))
        self.connect(first.id or "")
        counts = [int(str(news[2])) for news in self.told("replayed")]
        self.assertEqual(sum(counts), 50)
        self.assertGreater(len(counts), 5)
        self.recorder.told.clear()
        self.connect()
        self.assertEqual(self.told("replayed", "reset"), [])

    def test_reset(self) -> None:
        """
        A reset is reported once, even when the client is not notified.
        """
        for options in ({}, {"resetEvent": None}, {"history": None}):
            self.serve(Channel(**options))
            self.connect("forged")
            self.assertEqual(self.told("reset"), [("reset", self.streams[0])])
            self.connect()
            self.assertEqual(len(self.told("reset")), 1)


class LogTests(ChannelTestCase):
    """
    Tests that ordinary events are not logged as problems.
    """

    def test_quiet(self) -> None:
        """
        Forged IDs and disconnects are not logged as warnings or errors.
        """
        channel = self.serve()
        logged: list[Any]
        with capturedLogs() as logged:
            for _ in range(5):
                browser = self.connect("forged")
                channel.publish("x")
                browser.disconnect(reset=True)
                channel.publish("y")
                self.connect().disconnect()
        self.assertEqual(
            [event for event in logged if event["log_level"].name not in ("debug", "info")], []
        )
