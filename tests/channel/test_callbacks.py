"""
Tests for L{twisted_sse.channel.channel}, in memory: callbacks that re-enter the channel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tests.support.channels import ChannelTestCase, data, heads, types
from tests.support.resources import observe
from tests.support.streams import BIG
from twisted_sse import Channel, Event, EventStream, EventStreamResource, History
from twisted_sse.testing import MemoryClient


class CallbackTests(ChannelTestCase):
    """
    Tests for callbacks that publish, end streams or unsubscribe them.
    """

    def test_where(self) -> None:
        """
        Events that C{where} publishes reach every subscriber, after the current one.
        """
        channel = self.serve()

        def where(event: Event) -> bool:
            if event.data == "1":
                channel.publish("2")
            return True

        browsers = [self.connect(), self.connect(where=where), self.connect()]
        channel.publish("1")
        channel.publish("1.5")
        for browser in browsers:
            self.assertEqual(data(browser), ["1", "1.5", "2"])

    def test_whereInReplay(self) -> None:
        """
        Events that C{where} publishes during a replay follow the replayed ones.
        """
        channel = self.serve()
        first = channel.publish("0")
        channel.publish("1")
        channel.publish("2")

        def where(event: Event) -> bool:
            if event.data == "1":
                channel.publish("3")
            return True

        other = self.connect()
        browser = self.connect(first.id or "", where=where)
        self.assertEqual(data(browser), ["1", "2", "3"])
        self.assertEqual(data(other), ["3"])
        self.assertEqual(data(self.connect(where=where, last=3)), ["1", "2", "3", "3", "3"])

    def test_whereTrims(self) -> None:
        """
        When C{where} publishes enough for its stream's position to be dropped, the client gets the
        events read already, a C{stream-reset}, and the kept events.
        """
        channel = self.serve(Channel(History(maxEvents=10)))
        first = channel.publish("0")
        for number in range(1, 8):
            channel.publish(str(number))

        def where(event: Event) -> bool:
            if event.data == "2":
                for number in range(8, 30):
                    channel.publish(str(number))
            return True

        browser = self.connect(first.id or "", where=where)
        read = [str(number) for number in range(1, 8)]
        kept = [str(number) for number in range(20, 30)]
        self.assertEqual(data(browser), [*read, "{}", *kept])
        self.assertEqual(types(browser)[7], "stream-reset")

    def test_whereEnds(self) -> None:
        """
        A C{where} that ends or unsubscribes streams, its own or another, live or in a replay, does
        not affect the rest.
        """
        acts: list[Callable[[EventStream], object]] = [
            EventStream.end,
            EventStream.abort,
            lambda stream: self.channel.unsubscribe(stream),
        ]
        for act in acts:
            channel = self.serve()
            first = channel.publish("0")

            def where(event: Event, act: Callable[[EventStream], object] = act) -> bool:
                act(self.streams[0])
                act(self.streams[1])
                return True

            browsers = [
                self.connect(where=where),
                self.connect(),
                self.connect(),
                self.connect(where=lambda event: True),
            ]
            channel.publish("1")
            self.assertEqual([data(browser) for browser in browsers[2:]], [["1"]] * 2)
            self.assertEqual(channel.streams, set(self.streams[2:]))
            self.streams.clear()
            replayed = self.connect(
                first.id or "",
                where=lambda event: act(self.streams[0]) or True,  # noqa: B023
            )
            channel.publish("2")
            self.assertEqual(data(replayed), [])
            self.assertNotIn(self.streams[0], channel.streams)

    def test_whereSubscribesAgain(self) -> None:
        """
        A C{where} that subscribes its stream again during a replay loses no event.
        """
        channel = self.serve()
        first = channel.publish("0")
        for number in range(1, 6):
            channel.publish(str(number))

        def where(event: Event) -> bool:
            if event.data == "3":
                channel.subscribe(self.streams[0])
            return True

        browser = self.connect(first.id or "", where=where)
        channel.publish("6")
        self.assertEqual(data(browser), ["1", "2", "3", "4", "5", "6"])

    def test_observer(self) -> None:
        """
        An event that an observer publishes, whatever the notification, is sent exactly once.
        """
        for name in ("opened", "closed", "sent", "published", "delivered", "replayed", "reset"):
            channel = self.serve()
            first = channel.publish("0")
            channel.publish("1")
            witness = self.connect()

            done: list[str] = []

            def act(what: str, *news: object, name: str = name, done: list[str] = done) -> None:
                if what == name and not done:
                    done.append(what)
                    self.channel.publish("from the observer")

            self.recorder.act = act
            self.connect(first.id or "")
            self.connect("forged").disconnect()
            channel.publish("2")
            received = data(witness)
            self.assertEqual(sorted(received), ["2", "from the observer"], name)
            self.assertEqual(len(done), 1)

    def test_observerEnds(self) -> None:
        """
        An observer that ends or unsubscribes every stream reported to it leaves no subscription or
        delayed call.
        """
        acts: list[Callable[[EventStream], object]] = [
            EventStream.end,
            EventStream.abort,
            lambda stream: self.channel.unsubscribe(stream),
        ]
        for name in ("opened", "sent", "replayed", "reset"):
            for perform in acts:
                channel = self.serve()
                first = channel.publish("0")
                channel.publish("1")

                def act(
                    what: str,
                    stream: Any,
                    *news: object,
                    name: str = name,
                    perform: Callable[[EventStream], object] = perform,
                ) -> None:
                    if what == name:
                        perform(stream)

                self.recorder.act = act
                browsers = [self.connect(), self.connect(first.id or ""), self.connect("forged")]
                channel.publish("2")
                channel.publish("3")
                self.clock.advance(1)
                for browser, stream in zip(browsers, self.streams, strict=True):
                    if not stream.closed:
                        browser.disconnect()
                self.assertIdle()
                self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_observerEndsTheOthers(self) -> None:
        """
        When an observer reacts to the first write by publishing once more and ending all streams,
        each gets both events; streams that it unsubscribes instead get nothing more.
        """
        for fast in (False, True):
            if fast:
                self.fastWrites()
            for options in ({}, {"topics": ["t"]}, {"where": lambda event: True}):
                for perform in (EventStream.end, lambda stream: self.channel.unsubscribe(stream)):
                    channel = self.serve()
                    browsers = [self.connect(**options) for _ in range(10)]
                    self.clock.advance(1)
                    done: list[object] = []

                    def act(
                        what: str,
                        *news: Any,
                        done: list[object] = done,
                        perform: Callable[[EventStream], object] = perform,
                    ) -> None:
                        if what == "sent" and news[1] and not done:
                            done.append(news[0])
                            self.channel.publish("2", topics=["t"])
                            for stream in self.streams:
                                perform(stream)

                    self.recorder.act = act
                    channel.publish("1", topics=["t"])
                    self.clock.settle()
                    for browser, stream in zip(browsers, self.streams, strict=True):
                        if perform is EventStream.end:
                            self.assertEqual(data(browser), ["1", "2"])
                            self.assertTrue(browser.complete)
                        else:
                            self.assertEqual(data(browser), ["1"] if stream in done else [])
                    self.assertIdle()

    def test_observerEndsItself(self) -> None:
        """
        A stream that is ended at its first write still gets everything published before.
        """
        sent = [str(number).ljust(30_000, "-") for number in range(7)]
        for options in ({}, {"topics": ["t"]}, {"where": lambda event: True}):
            channel = self.serve()
            browser = self.connect(**options)

            def act(what: str, stream: EventStream, *news: Any) -> None:
                if what == "sent" and news[0]:
                    self.recorder.act = lambda *news: None
                    stream.end()

            self.recorder.act = act
            for each in sent:
                channel.publish(each, topics=["t"])
            self.clock.advance(1)
            self.assertEqual(heads(data(browser)), heads(sent))
            self.assertTrue(browser.complete)
            self.assertIdle()

    def test_observerEndsInALargeEvent(self) -> None:
        """
        A stream closed at its first write of a large event accepts nothing more, and the others get
        everything.
        """
        for perform in (EventStream.end, EventStream.abort):
            for options in ({}, {"topics": ["t"]}, {"where": lambda event: True}):
                channel = self.serve()
                browsers = [self.connect(**options), self.connect(**options)]
                victim = self.streams[0]

                def act(
                    what: str,
                    stream: EventStream,
                    *news: Any,
                    victim: EventStream = victim,
                    perform: Callable[[EventStream], object] = perform,
                ) -> None:
                    if what == "sent" and stream is victim:
                        perform(stream)

                self.recorder.act = act
                channel.publish("1".ljust(200_000, "-"), topics=["t"])
                channel.publish("2".ljust(200_000, "-"), topics=["t"])
                self.turn()
                self.assertIs(victim.send("late"), False)
                self.clock.advance(1)
                self.assertTrue(victim.closed)
                self.assertEqual(
                    heads(data(browsers[1])), heads(f"{each}".ljust(200_000, "-") for each in "12")
                )
                self.assertNotIn("late", data(browsers[0]))
                self.assertEqual(channel.streams, {self.streams[1]})

    def test_whereEndsItself(self) -> None:
        """
        A stream that its own C{where} ends has received the events without a gap.
        """
        channel = self.serve()

        def publishes(event: Event) -> bool:
            if event.data == "1":
                channel.publish("2")
            return True

        def ends(event: Event) -> bool:
            self.streams[1].end()
            return True

        browsers = [self.connect(where=publishes), self.connect(where=ends)]
        channel.publish("1")
        self.assertEqual(data(browsers[0]), ["1", "2"])
        self.assertIn(data(browsers[1]), ([], ["1"], ["1", "2"]))

    def test_observerRaises(self) -> None:
        """
        An exception in an observer is logged and has no other effect.
        """
        channel = self.serve()
        first = channel.publish("0")
        channel.publish("1")

        def act(*news: object) -> None:
            raise ZeroDivisionError

        self.recorder.act = act
        browsers = [self.connect(), self.connect(first.id or ""), self.connect("forged")]
        channel.publish("2")
        self.assertEqual(
            [data(browser) for browser in browsers], [["2"], ["1", "2"], ["{}", "0", "1", "2"]]
        )
        self.assertGreater(len(self.flushLoggedErrors(ZeroDivisionError)), 5)

    def test_whenClosed(self) -> None:
        """
        An event published from C{whenClosed} reaches the remaining subscribers.
        """
        channel = self.serve()
        browsers = [self.connect() for _ in range(4)]
        for stream in self.streams:
            stream.whenClosed().addCallback(lambda reason: channel.publish(reason.value))
        channel.publish("x")
        browsers[0].disconnect()
        self.streams[1].abort()
        self.streams[2].end()
        self.assertEqual(data(browsers[3]), ["x", "client", "ended", "ended"])
        browsers[3].disconnect()
        self.assertIdle()

    def test_connected(self) -> None:
        """
        A new client gets the events that C{connected} publishes after subscribing, and none from
        before.
        """
        for history in (None, History()):
            channel = self.serve(Channel(history))
            witness = self.connect()

            def connected(stream: EventStream) -> None:
                self.channel.publish("before")
                self.channel.subscribe(stream)
                self.channel.publish("after")

            browser = self.connect(instead=connected)
            channel.publish("later")
            self.assertEqual(data(browser), ["after", "later"])
            self.assertEqual(data(witness), ["before", "after", "later"])
            alone = self.serve(Channel(None if history is None else History()))
            browser = self.connect(instead=connected)
            alone.publish("later")
            self.assertEqual(data(browser), ["after", "later"])

    def test_generator(self) -> None:
        """
        A generator of events may publish to the channel.
        """
        channel = self.serve()
        witness = self.connect()

        def connected(stream: EventStream) -> Iterator[str]:
            channel.subscribe(stream)
            for number in range(3):
                channel.publish(f"published {number}")
                yield f"own {number}"

        browser = self.connect(instead=connected)
        self.assertEqual(data(witness), [f"published {number}" for number in range(3)])
        self.assertEqual(
            [each for each in data(browser) if "own" in each], ["own 0", "own 1", "own 2"]
        )

    def test_drain(self) -> None:
        """
        Publishing during a drain is safe, and reaches the streams of other resources.
        """
        channel = self.serve()
        other = MemoryClient(EventStreamResource(channel.subscribe), clock=self.clock)
        outside = other.get()
        browsers = [self.connect() for _ in range(3)]
        browsers[0].stopReading(kernelBuffer=0)
        channel.publish(BIG)
        self.clock.settle()
        for stream in self.streams:
            stream.whenClosed().addCallback(lambda reason: channel.publish(reason.value))
        drained: list[None] = []
        channel.publish("before")
        self.clock.settle()
        self.resource.drain(3).addCallback(drained.append)
        channel.publish("during")
        self.clock.advance(1)
        late = self.connect()
        self.assertTrue(late.complete)
        self.assertEqual(channel.streams, {next(iter(channel.streams))})
        self.clock.advance(5)
        self.assertEqual(drained, [None])
        self.assertEqual(data(outside)[1:3], ["before", "during"])
        self.assertEqual(data(outside)[3:], ["drain"] * 3)
        self.assertEqual(data(browsers[1]), [BIG, "before"])
        self.assertTrue(browsers[1].complete)


class ReplayTests(ChannelTestCase):
    """
    Tests for code that acts on a stream while it receives its missed events.
    """

    def missed(self, count: int = 10) -> str:
        """
        Publish events about two topics in turn.

        @return: the ID of an event before them.
        """
        first = self.channel.publish("first").id or ""
        for number in range(count):
            kind = "ab"[number % 2]
            self.channel.publish(f"{kind}{number}", topics=[kind])
        return first

    def test_whereChangesTheChoice(self) -> None:
        """
        When C{where} changes the choice, the events after that one are chosen by the new choice.
        """
        channel = self.serve()
        first = self.missed()

        def where(event: Event) -> bool:
            if event.data == "a4":
                channel.subscribe(self.streams[0], topics=["b"])
            return True

        browser = self.connect(first, topics=["a"], where=where)
        self.assertEqual(data(browser), ["a0", "a2", "a4", "b5", "b7", "b9"])

    def test_whereUnsubscribes(self) -> None:
        """
        When C{where} unsubscribes the stream, nothing is lost if it subscribes again.
        """
        channel = self.serve()
        first = self.missed()
        unsubscribed = []

        def where(event: Event) -> bool:
            if event.data == "a4" and not unsubscribed:
                unsubscribed.append(event)
                channel.unsubscribe(self.streams[0])
            return True

        browser = self.connect(first, where=where)
        self.clock.settle()
        channel.subscribe(self.streams[0])
        self.clock.settle()
        expected = [f"{'ab'[number % 2]}{number}" for number in range(10)]
        self.assertEqual(data(browser), expected)

    def test_observerEndsAReset(self) -> None:
        """
        Observers receive a replay with its stream, even if one of them has ended it.
        """
        told: list[tuple[str, object]] = []

        class Ender:
            def reset(self, stream: EventStream) -> None:
                told.append(("reset", stream))
                stream.abort()

            def replayed(self, stream: EventStream, events: int) -> None:
                told.append(("replayed", stream))

        self.serve(observer=Ender())
        self.missed()
        self.connect("unknown")
        [stream] = self.streams
        self.assertEqual(told, [("reset", stream), ("replayed", stream)])
        self.assertIdle()

    def test_observerEndsAResetWithoutHistory(self) -> None:
        """
        The same holds without a history, and the stream leaves nothing behind.
        """
        told = []

        class Ender:
            def reset(self, stream: EventStream) -> None:
                told.append(stream)
                stream.abort()

        self.serve(Channel(None), observer=Ender())
        self.connect("unknown")
        self.assertEqual(told, self.streams)
        self.assertIdle()

    def test_observerChangesAReset(self) -> None:
        """
        An observer that unsubscribes and subscribes a stream when it is reset neither repeats
        nor loses events.
        """
        channel = self.serve()
        resets = []

        class Changer:
            def reset(self, stream: EventStream) -> None:
                resets.append(stream)
                channel.unsubscribe(stream)
                channel.subscribe(stream)

        observe(self.resource, Changer())
        self.missed()
        browser = self.connect("unknown")
        self.clock.settle()
        expected = ["{}", "first", *(f"{'ab'[number % 2]}{number}" for number in range(10))]
        self.assertEqual(data(browser), expected)
        self.assertEqual(len(resets), 1)
