"""
Tests for L{twisted_sse.channel.subscription}: clients that have lost events, and forged IDs.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs

from tests.support.channels import ChannelTestCase, data, heads, lastEventID, types
from twisted_sse import Channel, EventStream, History


class ResetTests(ChannelTestCase):
    """
    Tests for clients that have lost events.
    """

    def test_unknown(self) -> None:
        """
        A client with an unknown ID gets a C{stream-reset}, then all kept events.
        """
        channel = self.serve()
        channel.publish("1")
        channel.publish("2")
        browser = self.connect("unknown")
        channel.publish("3")
        self.assertEqual(types(browser), ["stream-reset", "message", "message", "message"])
        self.assertEqual(data(browser), ["{}", "1", "2", "3"])

    def test_nothingKept(self) -> None:
        """
        A client with an unknown ID gets a C{stream-reset} even when nothing is kept.
        """
        channel = self.serve()
        browser = self.connect("unknown")
        channel.publish("1")
        self.assertEqual(data(browser), ["{}", "1"])
        self.assertEqual(types(browser), ["stream-reset", "message"])

    def test_noLongerKept(self) -> None:
        """
        A client gets a C{stream-reset} exactly when an event that it missed is no longer kept.
        """
        channel = self.serve(Channel(History(maxEvents=3)))
        events = [channel.publish(str(number)) for number in range(6)]
        for number, event in enumerate(events):
            browser = self.connect(event.id or "")
            if number < 3:
                self.assertEqual(types(browser)[0], "stream-reset")
                self.assertEqual(data(browser)[1:], ["3", "4", "5"])
            else:
                self.assertEqual(data(browser), [str(each) for each in range(number + 1, 6)])

    def test_onlyOnce(self) -> None:
        """
        A client is not notified of the same loss again, wherever in the backlog it was
        disconnected.
        """
        channel = self.serve(Channel(History(maxEvents=3)))
        for number in range(6):
            channel.publish(str(number))
        browser = self.connect("unknown")
        self.assertEqual(data(browser), ["{}", "3", "4", "5"])
        for number, event in enumerate(browser.events):
            self.assertNotIn(event.lastEventID, ("", "unknown"))
            again = self.connect(event.lastEventID)
            self.assertEqual(data(again), [str(each) for each in range(number + 3, 6)])

    def test_onlyOnceWhenNothingIsKept(self) -> None:
        """
        A client that was reset before anything was kept is not notified again.
        """
        channel = self.serve()
        browser = self.connect("unknown")
        browser.disconnect()
        channel.publish("1")
        self.assertEqual(data(self.connect(lastEventID(browser))), ["1"])

    def test_againIfLost(self) -> None:
        """
        A client is notified again after it has lost more events.
        """
        channel = self.serve(Channel(History(maxEvents=2)))
        browser = self.connect("unknown")
        browser.disconnect()
        for number in range(3):
            channel.publish(str(number))
        again = self.connect(lastEventID(browser))
        self.assertEqual(types(again), ["stream-reset", "message", "message"])
        self.assertEqual(data(again), ["{}", "1", "2"])

    def test_name(self) -> None:
        """
        The type of the reset event can be set.
        """
        self.serve(Channel(resetEvent="begin-anew"))
        self.assertEqual(types(self.connect("unknown")), ["begin-anew"])

    def test_off(self) -> None:
        """
        The reset event can be turned off: the client gets only the kept events.
        """
        channel = self.serve(Channel(resetEvent=None))
        channel.publish("1")
        browser = self.connect("unknown")
        self.assertEqual(data(browser), ["1"])
        self.assertEqual(types(browser), ["message"])

    def test_noHistory(self) -> None:
        """
        Without a history a reconnecting client gets a C{stream-reset}, and a new one does not.
        """
        channel = self.serve(Channel(None))
        self.assertEqual(types(self.connect()), [])
        browser = self.connect("5")
        channel.publish("1")
        self.assertEqual(types(browser), ["stream-reset", "message"])
        self.serve(Channel(None, resetEvent=None))
        self.assertEqual(types(self.connect("5")), [])
        self.serve(Channel(None, resetEvent="x"))
        self.assertEqual(types(self.connect("5")), ["x"])

    def test_chosen(self) -> None:
        """
        The reset event is sent regardless of topics and C{where}.
        """
        channel = self.serve()
        channel.publish("1", topics=["a"])
        channel.publish("2", topics=["b"])
        browser = self.connect("unknown", topics=["b"], where=lambda event: event.data == "2")
        self.assertEqual(data(browser), ["{}", "2"])

    def test_quietTopic(self) -> None:
        """
        A subscriber to a quiet topic is not notified of dropped events about other topics, whether
        it has an event's ID or only its first one.
        """
        channel = self.serve(Channel(History(maxEvents=3)))
        mark = lastEventID(self.connect(topics=["mine"]))
        mine = channel.publish("mine", topics=["mine", "ours"]).id or ""
        for number in range(10):
            channel.publish(str(number), topics=["other"])
        channel.publish("late", topics=["mine"])
        self.assertEqual(data(self.connect(mine, topics=["mine"])), ["late"])
        self.assertEqual(data(self.connect(mine, topics=["mine", "nobody's"])), ["late"])
        self.assertEqual(data(self.connect(mine, topics=[])), [])
        self.assertEqual(data(self.connect(mark, topics=["nobody's"])), [])
        for identifier, options in [
            (mark, {"topics": ["mine"]}),
            (mark, {"topics": ["ours"]}),
            (mine, {"topics": ["mine", "other"]}),
            (mine, {}),
            (mine, {"where": lambda event: event.data == "late"}),
        ]:
            arguments: dict[str, Any] = options
            browser = self.connect(identifier, **arguments)
            self.assertEqual(types(browser)[:1], ["stream-reset"], options)

    def test_quietTopicUnderAReplay(self) -> None:
        """
        A subscriber to a quiet topic is not notified when events about it that it already has are
        dropped during its replay.
        """
        channel = self.serve(Channel(History(maxEvents=50)))
        first = channel.publish("first", topics=["mine"])
        for number in range(40):
            channel.publish(f"{number}".ljust(5000, "-"), topics=["mine"])
        browser = self.connect(first.id or "", instead=lambda stream: None)
        browser.stopReading(kernelBuffer=0)
        channel.subscribe(self.streams[0], topics=["mine"])
        self.clock.advance(1)
        behind = self.streams[0].eventsSent
        self.assertLess(behind, 40)
        # All events that it has not received are still kept, and some that it has received are not.
        for number in range(behind):
            channel.publish(str(number), topics=["other"])
        channel.publish("late", topics=["mine"])
        browser.resumeReading()
        self.clock.advance(1)
        self.assertEqual(self.told("reset"), [])
        self.assertEqual(len(browser.events), 41)
        self.assertEqual(data(browser)[-1], "late")

    def test_smallerThanOneEvent(self) -> None:
        """
        An event larger than the whole history is sent live, and a reconnecting client gets a
        C{stream-reset}.
        """
        channel = self.serve(Channel(History(maxBytes=100)))
        browser = self.connect()
        channel.publish("x" * 1000)
        channel.publish("y" * 1000)
        self.assertEqual(heads(data(browser)), heads(["x" * 1000, "y" * 1000]))
        browser.disconnect()
        again = self.connect(lastEventID(browser))
        self.assertEqual(types(again), ["stream-reset"])
        channel.publish("small")
        self.assertEqual(data(again), ["{}", "small"])
        self.assertEqual(data(self.connect(lastEventID(again))), [])

    def test_trimmedUnderAReplay(self) -> None:
        """
        When trimming overtakes a replay, the client gets a C{stream-reset} where events are
        missing, then the kept events.
        """
        for byTime in (False, True):
            history = History(maxEvents=100, maxBytes=None, maxAge=1000)
            channel = self.serve(Channel(history))
            first = channel.publish("first")
            for number in range(99):
                channel.publish(f"{number}".ljust(5000, "-"))
            browser = self.connect(first.id or "", instead=lambda stream: None)
            browser.stopReading(kernelBuffer=0)
            channel.subscribe(self.streams[0])
            self.clock.advance(50)
            got = self.streams[0].eventsSent
            self.assertTrue(0 < got < 90, got)
            if byTime:
                self.clock.advance(5)
                # The kernel accepts a byte now and then, so that the stream does not count as
                # stalled.
                for step in range(40):
                    browser._transport.kernelBuffer = step + 1
                    self.clock.advance(25)
                self.assertEqual(len(history), 0)
                kept = []
            else:
                kept = [str(number) for number in range(99, 199)]
                for each in kept:
                    channel.publish(each)
            browser.resumeReading()
            channel.publish("live")
            self.clock.advance(1)
            received = data(browser)
            gap = types(browser).index("stream-reset")
            self.assertLess(gap, 50)
            self.assertEqual(
                heads(received[:gap]), heads(f"{each}".ljust(5000, "-") for each in range(gap))
            )
            self.assertEqual(received[gap + 1 :], [*kept, "live"])
            self.assertEqual(types(browser).count("stream-reset"), 1)
            self.assertEqual(self.told("reset"), [("reset", self.streams[0])])

    def test_trimmedWhileConnecting(self) -> None:
        """
        A new client gets a C{stream-reset} when events published since it subscribed are dropped
        before its headers.
        """
        channel = self.serve(Channel(History(maxEvents=3)))
        waiting: Deferred[None] = Deferred()

        def connected(stream: EventStream) -> Deferred[None]:
            channel.subscribe(stream)
            return waiting

        browser = self.connect(instead=connected)
        for number in range(5):
            channel.publish(str(number))
        waiting.callback(None)
        self.assertEqual(data(browser), ["{}", "2", "3", "4"])
        self.assertEqual(types(browser)[0], "stream-reset")

    def test_trimmedToTheLive(self) -> None:
        """
        A live subscriber gets everything, however little is kept.
        """
        channel = self.serve(Channel(History(maxEvents=1)))
        browsers = [self.connect(), self.connect(where=lambda event: True)]
        for number in range(10):
            channel.publish(str(number))
        for browser in browsers:
            self.assertEqual(data(browser), [str(number) for number in range(10)])

    def test_age(self) -> None:
        """
        A client gets a C{stream-reset} when its missed events are too old, even if nothing was
        published since.
        """
        channel = self.serve(Channel(History(maxAge=10)))
        browser = self.connect()
        browser.disconnect()
        event = channel.publish("1")
        self.clock.advance(9)
        self.assertEqual(data(self.connect(lastEventID(browser))), ["1"])
        self.clock.advance(2)
        self.assertEqual(types(self.connect(lastEventID(browser))), ["stream-reset"])
        self.assertEqual(types(self.connect(event.id or "")), ["stream-reset"])

    def test_nothingMissedByAge(self) -> None:
        """
        A live subscriber is not notified when events that it has received expire.
        """
        channel = self.serve(Channel(History(maxAge=10)))
        browser = self.connect()
        channel.publish("1")
        self.clock.advance(30)
        channel.publish("2")
        self.assertEqual(types(browser), ["message", "message"])

    def test_restart(self) -> None:
        """
        A client with an ID from before a restart, of an event or its first one, gets a
        C{stream-reset}.
        """
        channel = self.serve()
        browser = self.connect()
        mark = lastEventID(browser)
        event = channel.publish("old")
        for identifier in (mark, event.id or ""):
            again = self.serve()
            again.publish("new")
            browser = self.connect(identifier)
            self.assertEqual(types(browser), ["stream-reset", "message"])
            self.assertEqual(data(browser), ["{}", "new"])


class ForgedTests(ChannelTestCase):
    """
    Tests for IDs that the channel never sent.
    """

    def test_forged(self) -> None:
        """
        Any forged ID gets a C{stream-reset}, and nothing is logged as a warning or an error.
        """
        channel = self.serve()
        ancient = Channel().publish("x").id or ""
        channel.publish("1")
        newest = channel.publish("2").id or ""
        mark = lastEventID(self.connect())
        forged = [
            "x",
            "0",
            "-1",
            ancient,
            newest[:-1],
            newest + "0",
            newest + ".",
            mark + "0",
            mark[:-1] + "ffffffffffffffff",
            mark[:-1] + "-1",
            "." + mark,
            "\N{SNOWMAN}",
            "a" * 8193,
            "7" * 16_000,
        ]
        logged: list[Any]
        with capturedLogs() as logged:
            for identifier in forged:
                browser = self.connect(identifier)
                self.assertEqual(browser.status, 200)
                self.assertEqual(data(browser), ["{}", "1", "2"], identifier)
                self.assertEqual(types(browser)[0], "stream-reset")
                browser.disconnect()
            for binary in ("%ff%fe", "%00", "%0d%0a%0d%0adata:%20x", "%80" * 100, "%e2%82"):
                browser = self.client.get(f"/?lastEventID={binary}")
                self.assertEqual(data(browser), ["{}", "1", "2"], binary)
                browser.disconnect()
        self.assertEqual(
            [event for event in logged if event["log_level"].name not in ("debug", "info")], []
        )
        self.assertEqual(len(channel.streams), 1)

    def test_future(self) -> None:
        """
        The ID of an event not yet published is unknown.
        """
        channel = self.serve()
        history = channel.history
        assert history is not None
        channel.publish("1")
        browser = self.connect(history.identify(5))
        self.assertEqual(types(browser), ["stream-reset", "message"])
        browser = self.connect(history.mark(2))
        self.assertEqual(types(browser), ["stream-reset", "message"])

    def test_otherTopics(self) -> None:
        """
        With an ID that was never sent to it, a client still gets only its own topics.
        """
        channel = self.serve()
        secret = channel.publish("secret 1", topics=["other"])
        channel.publish("secret 2", topics=["other"])
        channel.publish("mine", topics=["me"])
        mark = channel.history.mark(0) if channel.history is not None else ""
        for identifier in (secret.id or "", mark, "forged"):
            browser = self.connect(identifier, topics=["me"])
            self.assertNotIn("secret", browser.text)
            self.assertEqual(data(browser)[-1], "mine")

    def test_empty(self) -> None:
        """
        A client with an empty C{Last-Event-ID} header is a new one.
        """
        channel = self.serve()
        channel.publish("1")
        self.instead, self.subscribe = None, {}
        browser = self.client.get("/", {"Last-Event-ID": ""})
        self.assertEqual(data(browser), [])
        self.assertNotEqual(lastEventID(browser), "")
