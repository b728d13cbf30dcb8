"""
Tests for L{twisted_sse.channel.channel}, in memory: which subscriber gets which event, and how that
changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from twisted.internet.defer import Deferred

from tests.support.channels import ChannelTestCase, data, heads, lastEventID, received, types
from twisted_sse import Channel, CloseReason, Event, EventStream, History
from twisted_sse.channel.topics import Topics
from twisted_sse.testing import MemoryStream


class ChoiceTests(ChannelTestCase):
    """
    Tests for topics and C{where}.
    """

    def test_topics(self) -> None:
        """
        A subscriber to topics gets each event about any of them once, in order, and no other.
        """
        channel = self.serve()
        a = self.connect(topics=["a"])
        ab = self.connect(topics=("a", "b"))
        none = self.connect(topics=[])
        everything = self.connect()
        for text, topics in [
            ("1", ["a"]),
            ("2", []),
            ("3", ["a", "b"]),
            ("4", ("b",)),
            ("5", iter(["c"])),
            ("6", {"c", "a"}),
            ("7", ["a", "a"]),
        ]:
            channel.publish(text, topics=topics)
        self.assertEqual(data(a), ["1", "3", "6", "7"])
        self.assertEqual(data(ab), ["1", "3", "4", "6", "7"])
        self.assertEqual(data(none), [])
        self.assertEqual(data(everything), ["1", "2", "3", "4", "5", "6", "7"])

    def test_asManyOfOthers(self) -> None:
        """
        Subscribers that get the same number of events in a turn each get their own.
        """
        channel = self.serve()
        browsers = [self.connect(topics=[topic]) for topic in "abca"]
        for text, topic in [("1", "a"), ("2", "b"), ("3", "c"), ("4", "b"), ("5", "a"), ("6", "c")]:
            channel.publish(text, topics=[topic])
        self.assertEqual(
            [data(browser) for browser in browsers],
            [["1", "5"], ["2", "4"], ["3", "6"], ["1", "5"]],
        )

    def test_where(self) -> None:
        """
        C{where} is called with each event as it is sent.
        """
        channel = self.serve()
        asked: list[Event] = []

        def where(event: Event) -> object:
            asked.append(event)
            return int(event.data or 0) % 2

        browser = self.connect(where=where)
        published = [channel.publish(str(number)) for number in range(6)]
        self.assertEqual(data(browser), ["1", "3", "5"])
        self.assertEqual(asked, published)

    def test_both(self) -> None:
        """
        With topics and C{where} an event must pass both, and C{where} is called only for events
        about the topics.
        """
        channel = self.serve()
        asked: list[str | None] = []

        def where(event: Event) -> bool:
            asked.append(event.data)
            return event.event == "yes"

        browser = self.connect(topics=["t"], where=where)
        channel.publish("1", event="yes", topics=["t"])
        channel.publish("2", event="yes")
        channel.publish("3", event="no", topics=["t"])
        self.assertEqual(data(browser), ["1"])
        self.assertEqual(asked, ["1", "3"])

    def test_replayIsAlike(self) -> None:
        """
        A replay has the same events that the subscriber would have received live.
        """
        channel = self.serve()
        first = channel.publish("first")
        choices: list[dict[str, Any]] = [
            {},
            {"topics": ["a"]},
            {"topics": ["a", "c"]},
            {"topics": []},
            {"where": lambda event: "3" not in event.data},
            {"topics": ["b"], "where": lambda event: len(event.data) == 1},
        ]
        live = [self.connect(**choice) for choice in choices]
        for number in range(50):
            channel.publish(
                str(number),
                topics=[topic for bit, topic in enumerate("abc") if number >> bit & 1],
            )
        for browser, choice in zip(live, choices, strict=True):
            self.assertEqual(data(self.connect(first.id or "", **choice)), data(browser))

    def test_whereRaises(self) -> None:
        """
        When C{where} raises, the error is logged once, its stream ends with an error, and the
        others get the event.
        """

        def where(event: Event) -> object:
            return 1 // (event.data != "bad")

        for options in ({}, {"topics": ["t"]}):
            channel = self.serve()
            before, broken, after = (
                self.connect(where=lambda event: True),
                self.connect(where=where, **options),
                self.connect(),
            )
            channel.publish("good", topics=["t"])
            channel.publish("bad", topics=["t"])
            channel.publish("bad", topics=["t"])
            self.assertEqual(data(before), ["good", "bad", "bad"])
            self.assertEqual(data(after), ["good", "bad", "bad"])
            self.assertTrue(broken.ended)
            self.assertFalse(broken.complete)
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
            self.assertIs(self.reason(self.streams[1]), CloseReason.ERROR)
            self.assertEqual(channel.streams, {self.streams[0], self.streams[2]})
            channel.publish("bad", topics=["t"])
            self.clock.settle()
            self.assertEqual(self.flushLoggedErrors(), [])

    def test_whereRaisesWithMoreToCome(self) -> None:
        """
        After C{where} has raised, it is not called for later events of the same round.
        """
        channel = self.serve()

        def publishes(event: Event) -> bool:
            if event.data == "1":
                channel.publish("2")
            return True

        witness, broken = self.connect(where=publishes), self.connect(where=lambda event: 1 // 0)
        channel.publish("1")
        self.assertEqual(data(witness), ["1", "2"])
        self.assertTrue(broken.ended)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertIs(self.reason(self.streams[1]), CloseReason.ERROR)

    def test_whereRaisesAtTheEnd(self) -> None:
        """
        When C{where} raises for an event that is sent before its stream ends, the stream ends with
        an error.
        """
        channel = self.serve()
        broken = self.connect(where=lambda event: 1 // 0)
        channel.publish("1")
        self.streams[0].end()
        self.assertTrue(broken.ended)
        self.assertFalse(broken.complete)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertIs(self.reason(self.streams[0]), CloseReason.ERROR)
        self.assertIdle()

    def test_whereIsAsynchronous(self) -> None:
        """
        A C{where} that returns a coroutine or a L{Deferred} ends its stream with an error that
        explains why.
        """

        async def later(event: Event) -> bool:
            return False

        def deferred(event: Event) -> Deferred[bool]:
            return Deferred()

        for where in (later, deferred):
            channel = self.serve()
            browser = self.connect(where=where)
            channel.publish("x")
            self.assertEqual(data(browser), [])
            self.assertTrue(browser.ended)
            [failure] = self.flushLoggedErrors(TypeError)
            self.assertIn("where must return a bool", failure.getErrorMessage())

    def test_whereRaisesInReplay(self) -> None:
        """
        When C{where} raises in a replay, the error is logged once and its stream ends with an
        error.
        """
        channel = self.serve()
        first = channel.publish("0")
        channel.publish("1")
        broken: list[MemoryStream] = []

        async def connected(stream: EventStream) -> None:
            stream.open()
            channel.subscribe(stream, where=lambda event: 1 // 0)

        broken.append(self.connect(first.id or "", instead=connected))
        self.assertIs(self.reason(self.streams[0]), CloseReason.ERROR)
        self.assertFalse(broken[0].complete)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertIdle()
        self.assertEqual(data(self.connect(first.id or "")), ["1"])

    def test_whereRaisesForTheLast(self) -> None:
        """
        When C{where} raises in the search for the newest events, the stream ends with an error and
        is not subscribed.
        """
        channel = self.serve()
        channel.publish("1")
        self.connect(instead=lambda stream: None)
        [stream] = self.streams
        channel.subscribe(stream, where=lambda event: 1 // 0, last=1)
        self.clock.settle()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertIs(self.reason(stream), CloseReason.ERROR)
        self.assertIdle()

    def test_whereRaisesBeforeTheHeaders(self) -> None:
        """
        When C{where} raises before the headers are sent, the response is a 500.
        """
        channel = self.serve()
        channel.publish("1")
        for _ in range(2):
            browser = self.connect(where=lambda event: 1 // 0, last=1)
            self.assertEqual(browser.status, 500)
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertIdle()

    def test_unhashableTruth(self) -> None:
        """
        When C{bool} of the result of C{where} raises, the stream ends with that error.
        """

        class Neither:
            def __bool__(self) -> bool:
                raise ZeroDivisionError

        channel = self.serve()
        browser = self.connect(where=lambda event: Neither())
        channel.publish("x")
        self.assertTrue(browser.ended)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_index(self) -> None:
        """
        Publishing to one of 300 topics examines only the subscribers to that topic.
        """
        channel = self.serve()
        browsers = [self.connect(topics=[f"user:{number}"]) for number in range(300)]
        looked: list[object] = []
        wants = Topics.wants

        def counted(choice: Any, entry: Any) -> bool:
            looked.append(choice)
            return wants(choice, entry)

        self.patch(Topics, "wants", counted)
        self.recorder.writes.clear()
        channel.publish("x", topics=["user:7"])
        self.clock.settle()
        self.assertEqual([stream for stream, _, _ in self.recorder.writes], [self.streams[7]])
        self.assertEqual(looked, [])
        self.assertEqual(data(browsers[7]), ["x"])

    def test_indexIsCleared(self) -> None:
        """
        A topic is forgotten when its last subscriber leaves.
        """
        channel = self.serve()
        for number in range(50):
            self.connect(topics=[f"user:{number}", "all"]).disconnect()
        self.assertIdle()
        browsers = [self.connect(topics=["a", "b"]), self.connect(topics=["b", "c"])]
        browsers[0].disconnect()
        self.assertEqual(set(channel._broadcast.audience.index._topics), {"b", "c"})

    def test_topicsAreRead(self) -> None:
        """
        Changing the list of topics after C{subscribe} has no effect.
        """
        channel = self.serve()
        topics = ["a"]
        browser = self.connect(topics=topics)
        topics[:] = ["b"]
        channel.publish("1", topics=["a"])
        channel.publish("2", topics=["b"])
        self.assertEqual(data(browser), ["1"])


class ChangeTests(ChannelTestCase):
    """
    Tests for C{subscribe} on a subscribed stream, and for C{unsubscribe}.
    """

    def test_topics(self) -> None:
        """
        Subscribing again replaces the topics, and there is still one subscription.
        """
        channel = self.serve()
        browser = self.connect(topics=["a"])
        [stream] = self.streams
        channel.publish("1", topics=["a"])
        channel.publish("2", topics=["b"])
        self.clock.settle()
        channel.subscribe(stream, topics=["b"])
        channel.publish("3", topics=["a"])
        channel.publish("4", topics=["b"])
        self.clock.settle()
        channel.subscribe(stream)
        channel.publish("5", topics=["a"])
        channel.publish("6")
        self.clock.settle()
        channel.subscribe(stream, where=lambda event: event.data == "8")
        channel.publish("7")
        channel.publish("8")
        self.assertEqual(data(browser), ["1", "4", "5", "6", "8"])
        self.assertEqual(channel.streams, {stream})
        self.assertEqual(len(stream._response.feeds), 1)
        browser.disconnect()
        self.assertIdle()

    def test_nothingTwice(self) -> None:
        """
        Subscribing again, at any moment, neither loses nor repeats an event that both choices
        include.
        """
        for history in (None, History()):
            channel = self.serve(Channel(history))
            browser = self.connect(topics=["a"])
            for number in range(60):
                channel.publish(str(number), topics=["a", "b"])
                if number % 3 == 0:
                    channel.subscribe(self.streams[0], topics=["ab"[number % 2], "c"])
                if number % 4 == 0:
                    self.turn()
                if number % 6 == 0:
                    channel.subscribe(self.streams[0], where=lambda event: True)
            self.assertEqual(data(browser), [str(number) for number in range(60)])

    def test_behind(self) -> None:
        """
        A stream that is behind continues from its position with its new choice.
        """
        channel = self.serve()
        first = channel.publish("first")
        for number in range(100):
            channel.publish(
                f"{number} ".ljust(1000, "-"), topics=["even" if number % 2 == 0 else "odd"]
            )
        browser = self.connect(first.id or "", topics=["even"])
        self.assertEqual(len(received(browser)), 50)
        again = self.connect(
            first.id or "", topics=["even"], instead=lambda stream: channel.subscribe(stream)
        )
        self.assertEqual(len(received(again)), 100)

        stalled: list[MemoryStream] = []

        def stall(stream: EventStream) -> None:
            channel.subscribe(stream, topics=["even"])
            stream.open()
            channel.subscribe(stream, topics=["odd"])

        stalled.append(self.connect(first.id or "", instead=stall))
        numbers = [int(each.split()[0]) for each in data(stalled[0])]
        changed = next(index for index, number in enumerate(numbers) if number % 2)
        self.assertTrue(all(number % 2 == 0 for number in numbers[:changed]))
        # All odd numbers follow after the last even one.
        self.assertEqual(numbers[changed:], list(range(numbers[changed - 1] + 1, 100, 2)))

    def test_behindAndPublished(self) -> None:
        """
        A stream that subscribes again, while behind or in the turn that it joined, gets new events
        once, after its backlog.
        """
        for options in ({}, {"topics": ["t"]}, {"where": lambda event: True}):
            channel = self.serve()
            witness = self.connect()
            first = channel.publish("first")
            sent = [f"{number}".ljust(1000, "-") for number in range(60)]
            for each in sent:
                channel.publish(each, topics=["t"])
            self.clock.settle()
            settle = self.clock.settle
            self.clock.settle = lambda: None  # type: ignore[method-assign]
            behind = self.connect(first.id or "")
            channel.publish("now", topics=["t"])
            joining = self.connect()
            for stream in self.streams[1:]:
                channel.subscribe(stream, **options)
            for number in range(3):
                channel.publish(f"new {number}", topics=["t"])
                self.turn()
            self.clock.settle = settle  # type: ignore[method-assign]
            new = [f"new {number}" for number in range(3)]
            self.assertEqual(heads(data(behind)), heads([*sent, "now", *new]))
            self.assertEqual(data(joining), new)
            self.assertEqual(len(received(witness)), 65)

    def test_beforeTheHeaders(self) -> None:
        """
        When a stream subscribes again before the headers, a new client still gets an ID, and a
        reconnecting one its backlog.
        """
        channel = self.serve()
        first = channel.publish("first")

        def connected(stream: EventStream) -> None:
            channel.subscribe(stream, topics=["a"])
            channel.subscribe(stream, topics=["b"])

        channel.publish("1", topics=["a"])
        channel.publish("2", topics=["b"])
        self.assertEqual(data(self.connect(first.id or "", instead=connected)), ["2"])
        self.assertEqual(
            types(self.connect("forged", instead=connected)),
            ["stream-reset", "message"],
        )
        new = self.connect(instead=connected)
        self.assertNotEqual(lastEventID(new), "")
        new.disconnect()
        channel.publish("3", topics=["b"])
        self.assertEqual(data(self.connect(lastEventID(new), topics=["b"])), ["3"])

    def test_last(self) -> None:
        """
        C{last} has no effect on a stream that is already subscribed.
        """
        channel = self.serve()
        channel.publish("1")
        browser = self.connect(last=5)
        channel.subscribe(self.streams[0], last=5)
        self.assertEqual(data(browser), ["1"])

    def test_unsubscribe(self) -> None:
        """
        C{unsubscribe} leaves the stream open and no trace of it in the channel, and may be called
        twice.
        """
        channel = self.serve()
        for options in (
            {},
            {"topics": ["a", "b"]},
            {"where": lambda event: True},
            {"topics": ["a"], "where": lambda event: True},
        ):
            browser = self.connect(**options)
            stream = self.streams[-1]
            channel.publish("1", topics=["a"])
            self.clock.settle()
            channel.unsubscribe(stream)
            self.assertIdle()
            self.assertEqual(stream._response.feeds, ())
            channel.unsubscribe(stream)
            channel.publish("2", topics=["a"])
            stream.send("3")
            self.assertEqual(data(browser), ["1", "3"])
            self.assertFalse(stream.closed)
            browser.disconnect()

    def test_unsubscribeBehind(self) -> None:
        """
        A stream unsubscribed in the middle of its replay gets no more of it.
        """
        channel = self.serve()
        first = channel.publish("first")
        for number in range(50):
            channel.publish(str(number).ljust(5000, "-"))

        def connected(stream: EventStream) -> None:
            channel.subscribe(stream)
            stream.open()
            channel.unsubscribe(stream)

        browser = self.connect(first.id or "", instead=connected)
        self.assertEqual(len(received(browser)), 3)
        self.assertIdle()
        browser.disconnect()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_unsubscribeInTheSameTurn(self) -> None:
        """
        A stream unsubscribed in the turn of a C{publish} does not receive that event.
        """
        channel = self.serve()
        browsers = [self.connect(), self.connect()]
        channel.publish("1")
        channel.unsubscribe(self.streams[0])
        self.assertEqual([data(browser) for browser in browsers], [[], ["1"]])

    def test_unsubscribeInARound(self) -> None:
        """
        A stream unsubscribed while others are being served receives nothing more.
        """
        channel = self.serve()
        first: list[EventStream] = []

        def where(event: Event) -> bool:
            for stream in self.streams[1:]:
                channel.unsubscribe(stream)
            return True

        for options in ({}, {"where": lambda event: True}, {"topics": ["t"]}):
            browsers = [self.connect(where=where), self.connect(**options)]
            self.recorder.writes.clear()
            channel.publish("x", topics=["t"])
            self.clock.settle()
            self.assertEqual(data(browsers[0]), ["x"])
            # It has the event only if it was served first.
            order = [stream for stream, events, _ in self.recorder.writes if events]
            self.assertEqual(data(browsers[1]), ["x"] if order[0] is self.streams[1] else [])
            first.extend(order)
            for browser in browsers:
                browser.disconnect()
            self.streams.clear()
            self.recorder.writes.clear()

    def test_unknown(self) -> None:
        """
        Unsubscribing a stream that was never subscribed does nothing.
        """
        channel = self.serve()
        self.connect(instead=lambda stream: None)
        channel.unsubscribe(self.streams[0])
        self.assertFalse(self.streams[0].closed)

    def test_fromFinally(self) -> None:
        """
        Code may unsubscribe its stream in the C{finally} that runs when the stream ends.
        """
        channel = self.serve()

        async def coroutine(stream: EventStream) -> None:
            channel.subscribe(stream)
            try:
                await Deferred()
            finally:
                channel.unsubscribe(stream)

        async def asynchronous(stream: EventStream) -> Any:
            channel.subscribe(stream)
            try:
                await Deferred()
                yield "never"
            finally:
                channel.unsubscribe(stream)

        def generator(stream: EventStream) -> Iterator[str]:
            try:
                while True:
                    channel.subscribe(stream)
                    # One in each turn.
                    yield "x" * 20_000
            finally:
                channel.unsubscribe(stream)

        for connected in (coroutine, asynchronous, generator):
            for act in (
                lambda browser, stream: browser.disconnect(),
                lambda browser, stream: stream.end(),
                lambda browser, stream: stream.abort(),
            ):
                browser = self.connect(instead=connected)
                stream = self.streams[-1]
                self.assertIn(stream, channel.streams)
                act(browser, stream)
                self.clock.advance(1)
                self.assertTrue(stream.closed)
                self.reason(stream)
                self.assertIdle()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.resource.streams, frozenset())

    def test_subscribeAfterUnsubscribe(self) -> None:
        """
        A stream that subscribes again after C{unsubscribe} continues where it stopped.
        """
        for resumes in (True, False):
            channel = self.serve()
            first = channel.publish("0")
            channel.publish("1")
            browser = self.connect((resumes and first.id) or "", last=1)
            channel.publish("2")
            self.clock.settle()
            channel.unsubscribe(self.streams[0])
            channel.publish("3")
            self.clock.settle()
            self.assertEqual(data(browser), ["1", "2"])
            channel.subscribe(self.streams[0])
            channel.publish("4")
            self.assertEqual(data(browser), ["1", "2", "3", "4"])

    def test_unsubscribeBeforeTheHeaders(self) -> None:
        """
        A stream unsubscribed and subscribed again before its headers, or even its first ID, gets
        its backlog.
        """
        channel = self.serve()
        first = channel.publish("0")
        channel.publish("1")

        def connected(stream: EventStream) -> None:
            channel.subscribe(stream, last=5)
            channel.unsubscribe(stream)
            channel.subscribe(stream)

        browser = self.connect(instead=connected)
        self.assertEqual(data(browser), ["0", "1"])
        self.assertEqual(browser.events[0].type, "stream-position")
        self.assertEqual(data(self.connect(first.id or "", instead=connected)), ["1"])
        self.assertEqual(
            types(self.connect("forged", instead=connected)),
            ["stream-reset", "message", "message"],
        )

    def test_unsubscribeInAFanOut(self) -> None:
        """
        A stream unsubscribed before its turn in a round gets those events when it subscribes again.
        """
        for options in ({}, {"topics": ["t"]}, {"where": lambda event: True}):
            channel = self.serve()
            browsers = [self.connect(**options) for _ in range(100)]
            self.recorder.cost = 0.001
            channel.publish("1", topics=["t"])
            self.turn()
            channel.publish("2", topics=["t"])
            for stream in self.streams:
                channel.unsubscribe(stream)
            channel.publish("3", topics=["t"])
            self.turn()
            self.recorder.cost = 0
            self.clock.settle()
            self.assertEqual({len(data(browser)) for browser in browsers}, {0, 1})
            for stream in self.streams:
                channel.subscribe(stream)
            self.assertEqual({tuple(data(browser)) for browser in browsers}, {("1", "2", "3")})

    def test_unsubscribeAsksNobody(self) -> None:
        """
        C{where} is not called again after its stream is unsubscribed.
        """
        channel = self.serve()

        def first(event: Event) -> bool:
            channel.unsubscribe(self.streams[1])
            return True

        browsers = [self.connect(where=first), self.connect(where=lambda event: 1 // 0)]
        channel.publish("x")
        self.assertEqual(data(browsers[0]), ["x"])
        self.assertFalse(browsers[1].ended)
        self.assertEqual(self.flushLoggedErrors(), [])
