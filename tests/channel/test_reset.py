"""
Tests for L{twisted_sse.channel.subscription}: clients whose events are lost, and IDs that
nobody has been given.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs

from tests.support.channels import ChannelTestCase, data, heads, lastEventID
from twisted_sse import Channel, EventStream, History
from twisted_sse.testing import MemoryStream


def types(browser: MemoryStream) -> list[str]:
    """
    The types of the events that have come.
    """
    return [event.type for event in browser.events]


class ResetTests(ChannelTestCase):
    """
    Tests for what was lost.
    """

    def test_unknown(self) -> None:
        """
        Who comes with an ID that is unknown is told so, then gets what is kept.
        """
        channel = self.serve()
        channel.publish("1")
        channel.publish("2")
        browser = self.connect("unknown")
        channel.publish("3")
        self.assertEqual(types(browser), ["stream-reset", "message", "message", "message"])
        self.assertEqual(data(browser), ["", "1", "2", "3"])

    def test_nothingKept(self) -> None:
        """
        The same when nothing is kept.
        """
        channel = self.serve()
        browser = self.connect("unknown")
        channel.publish("1")
        self.assertEqual(data(browser), ["", "1"])
        self.assertEqual(types(browser), ["stream-reset", "message"])

    def test_noLongerKept(self) -> None:
        """
        Who has missed something that is no longer kept is told so; who has not, is not.
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
        Who was told is not told again when it comes back, at whatever event it was cut off.
        """
        channel = self.serve(Channel(History(maxEvents=3)))
        for number in range(6):
            channel.publish(str(number))
        browser = self.connect("unknown")
        self.assertEqual(data(browser), ["", "3", "4", "5"])
        for number, event in enumerate(browser.events):
            self.assertNotIn(event.lastEventID, ("", "unknown"))
            again = self.connect(event.lastEventID)
            self.assertEqual(data(again), [str(each) for each in range(number + 3, 6)])

    def test_onlyOnceWhenNothingIsKept(self) -> None:
        """
        The same when nothing was kept.
        """
        channel = self.serve()
        browser = self.connect("unknown")
        browser.disconnect()
        channel.publish("1")
        self.assertEqual(data(self.connect(lastEventID(browser))), ["1"])

    def test_againIfLost(self) -> None:
        """
        It is told again if it has lost something again.
        """
        channel = self.serve(Channel(History(maxEvents=2)))
        browser = self.connect("unknown")
        browser.disconnect()
        for number in range(3):
            channel.publish(str(number))
        again = self.connect(lastEventID(browser))
        self.assertEqual(types(again), ["stream-reset", "message", "message"])
        self.assertEqual(data(again), ["", "1", "2"])

    def test_name(self) -> None:
        """
        Its type can be set.
        """
        self.serve(Channel(resetEvent="begin-anew"))
        self.assertEqual(types(self.connect("unknown")), ["begin-anew"])

    def test_off(self) -> None:
        """
        It can be switched off: the client gets what is kept.
        """
        channel = self.serve(Channel(resetEvent=None))
        channel.publish("1")
        browser = self.connect("unknown")
        self.assertEqual(data(browser), ["1"])
        self.assertEqual(types(browser), ["message"])

    def test_noHistory(self) -> None:
        """
        Without a history who comes back is told that it may have missed something, and who is
        new is not.
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
        It is told whatever was chosen, and is not subject to the choice.
        """
        channel = self.serve()
        channel.publish("1", topics=["a"])
        channel.publish("2", topics=["b"])
        browser = self.connect("unknown", topics=["b"], where=lambda event: event.data == "2")
        self.assertEqual(data(browser), ["", "2"])

    def test_quietTopic(self) -> None:
        """
        Who wants to hear about something quiet is not told of what was dropped that is about
        something else, whether it comes with the ID of an event or with its first.
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
        The same when it is dropped under a replay, and for who is live or behind.
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
        # All that it has not got is still kept, and some of what it has got is not.
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
        With a history smaller than one event that goes out live, and who comes back is told.
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
        self.assertEqual(data(again), ["", "small"])
        self.assertEqual(data(self.connect(lastEventID(again))), [])

    def test_trimmedUnderAReplay(self) -> None:
        """
        Whose replay is overtaken by trimming is told so, in the place where something is
        missing, then gets what is kept.
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
                # Nobody reads, but somebody takes a byte now and then, lest it is stalled.
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
        A new client whose headers had to wait for longer than what it should get was kept is
        told so.
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
        self.assertEqual(data(browser), ["", "2", "3", "4"])
        self.assertEqual(types(browser)[0], "stream-reset")

    def test_trimmedToTheLive(self) -> None:
        """
        Who is live gets all, however little is kept.
        """
        channel = self.serve(Channel(History(maxEvents=1)))
        browsers = [self.connect(), self.connect(where=lambda event: True)]
        for number in range(10):
            channel.publish(str(number))
        for browser in browsers:
            self.assertEqual(data(browser), [str(number) for number in range(10)])

    def test_age(self) -> None:
        """
        Who comes when what it has missed is too old is told so, though nothing was published.
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
        Who has seen the last event is not told, when only its ID is kept no more but it was live
        until then.
        """
        channel = self.serve(Channel(History(maxAge=10)))
        browser = self.connect()
        channel.publish("1")
        self.clock.advance(30)
        channel.publish("2")
        self.assertEqual(types(browser), ["message", "message"])

    def test_restart(self) -> None:
        """
        Who comes with an ID, or a mark, of a channel that was there before is told so.
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
            self.assertEqual(data(browser), ["", "new"])


class ForgedTests(ChannelTestCase):
    """
    Tests for IDs that nobody has been given.
    """

    def test_forged(self) -> None:
        """
        Whatever comes as the last event ID, a client gets a C{stream-reset}, or a 400 if it is
        longer than 8 kB, and nothing is logged as an error.
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
            "a" * 8192,
        ]
        logged: list[Any]
        with capturedLogs() as logged:
            for identifier in forged:
                browser = self.connect(identifier)
                self.assertEqual(browser.status, 200)
                self.assertEqual(data(browser), ["", "1", "2"], identifier)
                self.assertEqual(types(browser)[0], "stream-reset")
                browser.disconnect()
            for binary in ("%ff%fe", "%00", "%0d%0a%0d%0adata:%20x", "%80" * 100, "%e2%82"):
                browser = self.client.get(f"/?lastEventID={binary}")
                self.assertEqual(data(browser), ["", "1", "2"], binary)
                browser.disconnect()
            for tooLong in ("a" * 8193, "a" * 9000):
                browser = self.connect(tooLong)
                self.assertEqual(browser.status, 400)
        self.assertEqual(
            [event for event in logged if event["log_level"].name not in ("debug", "info")], []
        )
        self.assertEqual(len(channel.streams), 1)

    def test_future(self) -> None:
        """
        An ID of an event that is still to come is unknown.
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
        With an ID that a client has not been given it gets nothing that was not chosen for it.
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
        An empty header is none: such a client is new.
        """
        channel = self.serve()
        channel.publish("1")
        self.instead, self.subscribe = None, {}
        browser = self.client.get("/", {"Last-Event-ID": ""})
        self.assertEqual(browser.events, [])
        self.assertNotEqual(lastEventID(browser), "")
