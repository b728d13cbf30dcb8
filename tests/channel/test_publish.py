"""
Tests for L{twisted_sse.channel.channel}, in memory: publishing one event to many streams.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

from twisted.python import threadable

from tests.support.channels import ChannelTestCase, data, received
from tests.support.threads import assertRefusedInThreads, inThread
from twisted_sse import Channel, Event, EventTooLarge, History, InvalidEvent


class PublishTests(ChannelTestCase):
    """
    Tests for C{publish}.
    """

    def test_forms(self) -> None:
        """
        C{publish} accepts an event, text, JSON or fields, and returns the event as sent.
        """
        channel = self.serve()
        browser = self.connect()
        published = [
            channel.publish(Event("1", event="greeting")),
            channel.publish("2"),
            channel.publish("3", event="greeting", id="mine"),
            channel.publish(json={"a": [1]}, topics=("t",)),
            channel.publish(json=None),
            channel.publish(""),
            channel.publish(data="4", id=7),
        ]
        self.assertEqual(
            [(event.type, event.data, event.lastEventID) for event in received(browser)],
            [(event.event or "message", event.data, event.id) for event in published],
        )
        self.assertEqual(data(browser), ["1", "2", "3", '{"a":[1]}', "null", "", "4"])
        self.assertEqual((published[2].id, published[6].id), ("mine", "7"))

    def test_noEvent(self) -> None:
        """
        Comments and a C{retry} are sent to every subscriber, too.
        """
        channel = self.serve()
        browser = self.connect()
        channel.publish(comment="note")
        channel.publish(retry=1234)
        self.assertEqual(browser.comments, ["", "note"])
        self.assertEqual(browser.retry, 1234)
        self.assertEqual(received(browser), [])
        self.assertEqual(self.streams[0].eventsSent, 0)

    def test_topicsAreNotSent(self) -> None:
        """
        Topics are not sent to clients.
        """
        channel = self.serve()
        browser = self.connect(topics=["secret:7"])
        channel.publish("x", topics=["secret:7", "hidden"])
        self.assertEqual(data(browser), ["x"])
        self.assertNotIn("secret", browser.text)
        self.assertNotIn("hidden", browser.text)

    def test_noHistory(self) -> None:
        """
        Without a history an event is sent unchanged, and gets no ID.
        """
        channel = self.serve(Channel(None))
        browser = self.connect()
        channel.publish("1")
        channel.publish("2", id="mine")
        self.assertEqual(browser.text, ":\nretry: 3000\ndata: 1\n\nid: mine\ndata: 2\n\n")

    def test_tooLarge(self) -> None:
        """
        Publishing an event of 10 MB raises L{EventTooLarge}, which names the limit, and affects no
        subscriber.
        """
        channel = self.serve()
        browser = self.connect()
        channel.publish("before")
        error = self.assertRaises(EventTooLarge, channel.publish, "x" * 10_000_000)
        self.assertIn("1048576", str(error))
        channel.publish("after")
        self.assertEqual(data(browser), ["before", "after"])
        self.assertEqual(len(channel.history or ()), 2)
        self.assertEqual(len(self.told("published")), 2)
        again = self.connect(received(browser)[0].lastEventID)
        self.assertEqual(data(again), ["after"])

    def test_maxEventSize(self) -> None:
        """
        An event may have C{maxEventSize} bytes as sent, and not one more.
        """
        size = len(Event("\N{EURO SIGN}" * 10, id="1").encode())
        for history in (None, History()):
            self.serve(Channel(history, maxEventSize=size))
            browser = self.connect()
            self.channel.publish("\N{EURO SIGN}" * 10, id="1")
            self.assertRaises(
                EventTooLarge, self.channel.publish, "\N{EURO SIGN}" * 10 + "x", id="1"
            )
            self.assertEqual(len(received(browser)), 1)

    def test_madeIDCounts(self) -> None:
        """
        An assigned ID counts towards the size, because it is sent.
        """
        channel = Channel(maxEventSize=len(Event("x" * 50).encode()))
        self.assertRaises(EventTooLarge, channel.publish, "x" * 50)
        self.assertEqual(len(channel.history or ()), 0)

    def test_longestID(self) -> None:
        """
        With a history, an ID must fit in a header of 8,192 bytes; without one, any length is
        allowed.
        """
        channel = self.serve()
        browser = self.connect()
        channel.publish("1", id="\N{EURO SIGN}" * 2730 + "xx")
        error = self.assertRaises(InvalidEvent, channel.publish, "2", id="\N{EURO SIGN}" * 2731)
        self.assertEqual(error.field, "id")
        self.assertIn("8192", str(error))
        channel.publish("3")
        self.assertEqual(data(browser), ["1", "3"])
        again = self.client.get("/", {"Last-Event-ID": received(browser)[0].lastEventID})
        self.assertEqual(data(again), ["3"])
        Channel(None).publish("4", id="x" * 10_000)

    def test_thread(self) -> None:
        """
        A call from another thread raises an error that names C{reactor.callFromThread}, and changes
        nothing.
        """
        channel = self.serve()
        browser = self.connect()
        [stream] = self.streams
        calls: dict[str, Callable[[], object]] = {
            "channel.publish": lambda: channel.publish("x"),
            "channel.subscribe": lambda: channel.subscribe(stream, topics=["x"]),
            "channel.unsubscribe": lambda: channel.unsubscribe(stream),
            "channel.beginAfter": lambda: channel.beginAfter("x"),
            "channel.whenDelivered": channel.whenDelivered,
            "channel.close": channel.close,
        }
        for call, function in calls.items():
            assertRefusedInThreads(self, call, function)
        self.assertEqual(len(channel.history or ()), 0)
        self.assertFalse(channel.closed)
        self.assertEqual(data(browser), [])
        channel.publish("still subscribed")
        self.assertEqual(data(browser), ["still subscribed"])

    def test_reactorsThread(self) -> None:
        """
        The right thread is the reactor's, wherever the channel was made.
        """
        channel = Channel()

        def work() -> Event:
            self.patch(threadable, "ioThread", threading.get_ident())
            return channel.publish("x")

        self.assertIsInstance(inThread(work), Event)
        # The reactor's thread was that one.
        self.assertRaises(RuntimeError, channel.publish, "y")

    def test_nobody(self) -> None:
        """
        Without subscribers nothing is queued, and no call is delayed.
        """
        for history in (None, History()):
            self.serve(Channel(history))
            for _ in range(100):
                self.channel.publish("x")
            self.assertIdle()
            browser = self.connect()
            self.assertEqual(received(browser), [])
            browser.disconnect()
            for _ in range(100):
                self.channel.publish("x")
            self.assertIdle()
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_topicsFromAGenerator(self) -> None:
        """
        Topics may come from a generator that publishes itself: each event has its own ID.
        """
        channel = self.serve()
        browser = self.connect()

        def topics() -> Iterator[str]:
            channel.publish("inner")
            yield "t"

        outer = channel.publish("outer", topics=topics())
        identifiers = [event.lastEventID for event in received(browser)]
        self.assertEqual(len(set(identifiers)), 2)
        self.assertEqual(len(channel.history or ()), 2)
        self.assertEqual(outer.id, identifiers[data(browser).index("outer")])


class FreshTests(ChannelTestCase):
    """
    Tests for publishing from an observer in the middle of a round.
    """

    def test_leavesAndComesBack(self) -> None:
        """
        A stream that unsubscribes and subscribes again in the middle of a round gets every event
        once.
        """
        channel = self.serve()
        browser = self.connect()
        done: list[object] = []

        def act(what: str, *news: Any) -> None:
            if what == "sent" and news[1] and not done:
                done.append(what)
                channel.publish("2")
                channel.unsubscribe(self.streams[0])
                channel.publish("3")
                channel.subscribe(self.streams[0])
                channel.publish("4")

        self.recorder.act = act
        channel.publish("1")
        self.clock.advance(1)
        channel.publish("5")
        self.assertEqual(data(browser), ["1", "2", "3", "4", "5"])

    def test_publishedAtAReset(self) -> None:
        """
        An observer may publish to a full history when it receives a reset.
        """
        self.serve(Channel(History(maxEvents=2)))
        for number in range(3):
            self.channel.publish(str(number))
        done: list[object] = []

        def act(what: str, *news: Any) -> None:
            if what == "reset" and not done:
                done.append(what)
                self.channel.publish("late")

        self.recorder.act = act
        browser = self.connect("unknown")
        self.clock.advance(1)
        self.assertEqual(data(browser)[-2:], ["2", "late"])
