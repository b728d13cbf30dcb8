"""
Tests for L{twisted_sse.channel.positions}: clients that receive their position.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from tests.support.channels import ChannelTestCase, data, lastEventID, types
from twisted_sse import Channel, EventStream, History, SlowReader
from twisted_sse.testing import MemoryStream


def positions(browser: MemoryStream) -> int:
    """
    Count how often a client received its position.
    """
    return [event.type for event in browser.events].count("stream-position")


class FirstTests(ChannelTestCase):
    """
    Tests for the beginning of a stream.
    """

    def test_order(self) -> None:
        """
        A response begins with a comment, the reconnection time and the position, before the newest
        events; and the position is the one before these.
        """
        channel = self.serve(retry=1234)
        for number in range(4):
            channel.publish(str(number))
        browser = self.connect(last=2)
        self.assertRegex(
            browser.text, r"\A:\nretry: 1234\nevent: stream-position\nid: [!-~]+\ndata: {}\n\nid: "
        )
        self.assertEqual(data(browser), ["2", "3"])
        [first, *_] = browser.events
        self.assertEqual(first.json(), {})
        self.assertEqual(data(self.connect(first.lastEventID)), ["2", "3"])

    def test_notIfItHasOne(self) -> None:
        """
        A client that resumes from a kept ID does not receive its position, and neither does a
        client notified of a loss.
        """
        channel = self.serve()
        seen = channel.publish("seen").id or ""
        for identifier in (seen, lastEventID(self.connect()), "unknown"):
            self.assertEqual(positions(self.connect(identifier)), 0, identifier)

    def test_lostWithoutReset(self) -> None:
        """
        A client with an unknown ID receives its position if it is not notified of the loss and
        there is nothing else to send.
        """
        channel = self.serve(Channel(resetEvent=None))
        browser = self.connect("unknown")
        self.assertEqual(positions(browser), 1)
        browser.disconnect()
        channel.publish("1")
        self.assertEqual(data(self.connect(lastEventID(browser))), ["1"])

    def test_name(self) -> None:
        """
        The type of the event can be set, and has to be valid.
        """
        self.serve(Channel(positionEvent="here"))
        self.assertEqual([event.type for event in self.connect().events], ["here"])
        self.assertRaises(ValueError, Channel, positionEvent="a\nb")

    def test_off(self) -> None:
        """
        The event can be turned off: then a new client has no ID, neither at first nor later.
        """
        channel = self.serve(Channel(History(maxEvents=2), positionEvent=None))
        browser = self.connect(topics=["mine"])
        for number in range(5):
            channel.publish(str(number), topics=["other"])
        self.clock.settle()
        self.assertEqual((browser.events, lastEventID(browser)), ([], ""))

    def test_noHistory(self) -> None:
        """
        Without a history there are no positions.
        """
        self.serve(Channel(None))
        self.assertEqual(self.connect().events, [])


class QuietTests(ChannelTestCase):
    """
    Tests for clients whose choice includes no events for a long time.
    """

    choices: list[dict[str, Any]] = [
        {"topics": ["mine"]},
        {"where": lambda event: event.data.startswith("mine")},
        {"topics": ["mine"], "where": lambda event: True},
    ]

    def others(self, count: int) -> None:
        """
        Publish events that these clients do not choose.
        """
        for number in range(count):
            self.channel.publish(str(number), topics=["other"])
            self.clock.settle()

    def test_half(self) -> None:
        """
        A client receives its position after half of the history has passed since its last ID, and
        not before; and again after another half.
        """
        for choice in self.choices:
            channel = self.serve(Channel(History(maxEvents=10)))
            browser = self.connect(**choice)
            self.others(4)
            self.assertEqual(positions(browser), 1)
            self.others(1)
            self.assertEqual(positions(browser), 2)
            self.others(4)
            channel.publish("mine", topics=["mine"])
            self.others(4)
            self.assertEqual(positions(browser), 2)
            self.others(1)
            self.assertEqual(positions(browser), 3)
            self.assertEqual(data(browser), ["mine"])

    def test_bytes(self) -> None:
        """
        The same holds for a limit in bytes.
        """
        self.serve(Channel(History(maxEvents=None, maxBytes=10_000)))
        browser = self.connect(topics=["mine"])
        for expected in (1, 1, 1, 1, 2, 2, 2, 2, 2, 3):
            size = len(self.channel.publish("x" * 980, topics=["other"]).encode())
            self.assertTrue(1000 <= size < 1100, size)
            self.clock.settle()
            self.assertEqual(positions(browser), expected)

    def test_resumes(self) -> None:
        """
        However much was published meanwhile, a client resumes exactly, without a notice of a loss.
        """
        for choice in self.choices:
            channel = self.serve(Channel(History(maxEvents=10)))
            browser = self.connect(**choice)
            for count in (1, 9, 10, 25, 200):
                self.others(count)
                browser.disconnect()
                channel.publish("mine again", topics=["mine"])
                self.others(4)
                browser = self.connect(lastEventID(browser), **choice)
                self.assertEqual(types(browser), ["message"], (choice, count))
            self.assertEqual(self.told("reset"), [])

    def test_burst(self) -> None:
        """
        A client receives its position after a burst larger than the history, all in one turn.
        """
        channel = self.serve(Channel(History(maxEvents=10)))
        browser = self.connect(topics=["mine"])
        for number in range(50):
            channel.publish(str(number), topics=["other"])
        self.clock.settle()
        self.assertEqual(positions(browser), 2)
        browser.disconnect()
        self.assertEqual(data(self.connect(lastEventID(browser), topics=["mine"])), [])
        self.assertEqual(self.told("reset"), [])

    def test_age(self) -> None:
        """
        A client receives its position when half of C{maxAge} has passed since the event after its
        last ID was published, even if nothing is published at that time.
        """
        for choice in self.choices:
            self.serve(Channel(History(maxAge=10)))
            browser = self.connect(**choice)
            self.clock.advance(100)
            self.others(1)
            self.clock.advance(4.9)
            self.assertEqual(positions(browser), 1)
            self.clock.advance(0.2)
            self.assertEqual(positions(browser), 2)
            self.clock.advance(30)
            self.assertEqual(positions(browser), 2)
            self.assertEqual(self.clock.getDelayedCalls()[1:], [], "only the heartbeat")
            browser.disconnect()
            self.assertEqual(types(self.connect(lastEventID(browser), **choice)), [])

    def test_ageOfAll(self) -> None:
        """
        Clients of an idle channel receive their position once, before the ID of its last event
        expires, whatever they choose.
        """
        channel = self.serve(Channel(History(maxAge=10)))
        browsers = [self.connect(), self.connect(), *(self.connect(**c) for c in self.choices)]
        for _ in range(2):
            channel.publish("mine", topics=["mine"])
            self.clock.advance(4.9)
            before = [positions(browser) for browser in browsers]
            self.clock.advance(0.2)
            self.assertEqual([positions(each) for each in browsers], [n + 1 for n in before])
            self.clock.advance(30)
            self.assertEqual([positions(each) for each in browsers], [n + 1 for n in before])
        for browser in browsers:
            browser.disconnect()
            self.assertEqual(types(self.connect(lastEventID(browser))), [])
        self.assertEqual(self.told("reset"), [])

    def test_ageOfOneThatResumes(self) -> None:
        """
        A client that reconnects with an ID that will soon expire gets another.
        """
        channel = self.serve(Channel(History(maxAge=10)))
        self.connect().disconnect()
        seen = channel.publish("mine", topics=["mine"]).id or ""
        self.clock.advance(7)
        for choice in ({}, {}, *self.choices):
            browser = self.connect(seen, **choice)
            self.clock.advance(0.1)
            self.assertEqual(positions(browser), 1, choice)
            browser.disconnect()
        self.clock.advance(10)
        self.assertEqual(types(self.connect(lastEventID(browser))), [])

    def test_ageOfAPlace(self) -> None:
        """
        The ID of a position does not expire with the event before it: a client that reconnects with
        it receives no notice.
        """
        channel = self.serve(Channel(History(maxAge=10)))
        self.connect().disconnect()
        channel.publish("x", topics=["other"])
        self.clock.advance(7)
        for choice in ({}, *self.choices):
            browser = self.connect(**choice)
            browser.disconnect()
            again = self.connect(lastEventID(browser), **choice)
            self.clock.advance(0.1)
            self.assertEqual([event.type for event in again.events], [], choice)
            again.disconnect()

    def test_ageOfGivenIDs(self) -> None:
        """
        The position after an event with an ID of the application has this ID, which a restarted
        application recognises; and it is known even after the event has been dropped.
        """
        channel = self.serve(Channel(History(maxAge=10)))
        browser = self.connect()
        channel.publish("x", id="mine")
        self.clock.advance(30)
        self.assertEqual(positions(browser), 2)
        self.assertEqual(browser.events[-1].lastEventID, "mine")
        self.assertEqual(types(self.connect("mine")), [])
        channel.publish("y", id="mine too")
        self.assertEqual(data(self.connect("mine")), ["y"])
        self.clock.advance(30)
        self.assertEqual(types(self.connect("mine")), ["stream-reset"])

    def test_otherChoice(self) -> None:
        """
        A stream that changes its choice receives its position no later.
        """
        channel = self.serve(Channel(History(maxEvents=10)))
        browser = self.connect()
        channel.publish("x", topics=["other"])
        self.clock.settle()
        [stream] = self.streams
        channel.subscribe(stream, topics=["mine"])
        self.others(5)
        self.assertEqual(positions(browser), 2)
        channel.subscribe(stream)
        self.others(20)
        self.assertEqual(positions(browser), 2)
        channel.subscribe(stream, where=lambda event: False)
        self.others(5)
        self.assertEqual(positions(browser), 3)

    def test_unsubscribed(self) -> None:
        """
        A stream that was unsubscribed while much was published gets its missed events; and one
        without any receives its position when it subscribes again.
        """
        channel = self.serve(Channel(History(maxEvents=10)))
        browser = self.connect(topics=["mine"])
        [stream] = self.streams
        self.others(4)
        channel.unsubscribe(stream)
        self.others(4)
        channel.publish("mine", topics=["mine"])
        channel.subscribe(stream, topics=["mine"])
        self.assertEqual((data(browser), positions(browser)), (["mine"], 1))
        channel.unsubscribe(stream)
        self.others(8)
        channel.subscribe(stream, topics=["mine"])
        self.assertEqual((data(browser), positions(browser)), (["mine"], 2))

    def test_behind(self) -> None:
        """
        A client that does not read receives its position after everything else.
        """
        channel = self.serve(Channel(History(maxEvents=10)), stallTimeout=None)
        browser = self.connect(topics=["mine"])
        browser.stopReading(kernelBuffer=0)
        big = "x" * 70_000
        channel.publish(big, topics=["mine"])
        self.others(30)
        browser.resumeReading()
        self.clock.advance(1)
        self.assertEqual(data(browser), [big])
        self.assertGreater(positions(browser), 1)
        self.assertEqual(browser.events[-1].type, "stream-position")
        self.assertEqual(data(self.connect(lastEventID(browser), topics=["mine"])), [])

    def test_dropped(self) -> None:
        """
        A position dropped because its client does not read does not count as a dropped event.
        """
        for policy in (SlowReader.DROP_OLDEST, SlowReader.LATEST):
            channel = self.serve(
                Channel(History(maxEvents=4)), maxPending=100, slow=policy, stallTimeout=None
            )
            browser = self.connect(topics=["mine"])
            browser.stopReading(kernelBuffer=0)
            channel.publish("x" * 70_000, topics=["mine"])
            self.others(8)
            for number in range(5):
                channel.publish(str(number), topics=["mine"])
                self.clock.settle()
            browser.resumeReading()
            self.clock.advance(1)
            gaps = [event for event in browser.events if event.type == "stream-gap"]
            dropped = sum(event.json()["dropped"] for event in gaps)
            numbers = [text for text in data(browser) if len(text) == 1]
            self.assertEqual(dropped + len(numbers), 5, policy)
            self.assertGreater(dropped, 0)
            self.assertEqual(numbers[-1], "4")

    def test_slices(self) -> None:
        """
        Sending positions to many clients does not block the reactor: events published meanwhile are
        sent in between.
        """
        channel = self.serve(Channel(History(maxEvents=10)))
        browsers = [self.connect(topics=["mine"]) for _ in range(100)]
        live = self.connect()
        for number in range(5):
            channel.publish(str(number), topics=["other"])
        self.recorder.cost = 0.001
        self.turn()
        told = sum(len(browser._response.events) for browser in browsers)
        self.assertTrue(100 < told < 150, told)
        channel.publish("meanwhile", topics=["mine", "other"])
        self.turn()
        self.turn()
        self.assertEqual(data(live)[-1], "meanwhile")
        self.clock.settle()
        self.assertEqual({tuple(data(browser)) for browser in browsers}, {("meanwhile",)})
        for browser in browsers:
            browser.disconnect()
        live.disconnect()
        self.assertIdle()

    def test_observerEndsThem(self) -> None:
        """
        An observer that ends streams while positions are sent does not affect other streams.
        """
        self.serve(Channel(History(maxEvents=10)))
        browsers = [self.connect(topics=["mine"]) for _ in range(4)]

        def act(*news: object) -> None:
            if news[0] == "sent" and self.armed:
                self.armed = False
                for stream in self.streams[1:3]:
                    stream.end()

        self.armed = False
        self.recorder.act = act
        self.others(4)
        self.armed = True
        self.others(1)
        self.assertEqual([browser.ended for browser in browsers], [False, True, True, False])
        self.assertEqual([positions(browsers[0]), positions(browsers[3])], [2, 2])

    def test_observerPublishes(self) -> None:
        """
        An observer that publishes while positions are sent, so that ages are checked in between,
        does not affect other streams.
        """
        self.serve(Channel(History(maxEvents=10, maxAge=10)))
        browsers = [self.connect(topics=["mine"]) for _ in range(4)]
        left = [*"abcd"]

        def act(*news: object) -> None:
            if news[0] == "sent" and left:
                self.channel.publish(left.pop(), topics=["mine"])

        self.others(4)
        self.recorder.act = act
        self.others(1)
        self.clock.settle()
        self.assertEqual([data(browser) for browser in browsers], [[*"dcba"]] * 4)
        self.assertEqual([positions(browser) for browser in browsers], [2] * 4)

    def test_comingAndGoing(self) -> None:
        """
        Clients that connect and disconnect while nothing is published leave nothing behind, even if
        another with an older ID stays.
        """
        channel = self.serve()
        self.connect(topics=["mine"])
        channel.publish("x", topics=["other"])
        self.clock.settle()
        for _ in range(20):
            self.connect(topics=["mine"]).disconnect()
        kept = self.channel._broadcast._positions
        assert kept is not None
        self.assertEqual(len(kept._lasts), len(set(kept._lasts)))
        self.assertLess(len(kept._lasts), 5)

    def test_ageAfterOtherChoice(self) -> None:
        """
        A client's ID does not become newer when it chooses all events, then chooses others again,
        or subscribes again.
        """
        mine = ["mine"]
        for number in range(3):
            channel = self.serve(Channel(History(maxAge=10)))
            browser = self.connect(topics=mine)
            [stream] = self.streams
            channel.publish("mine", topics=mine)
            self.clock.advance(4)
            self.others(1)
            channel.subscribe(stream)
            if number > 0:
                channel.subscribe(stream, topics=mine)
            if number > 1:
                channel.unsubscribe(stream)
                channel.subscribe(stream, topics=mine)
            self.clock.advance(0.9)
            self.assertEqual(positions(browser), 1, number)
            self.clock.advance(0.2)
            self.assertEqual(positions(browser), 2, number)
            self.clock.advance(20)
            browser.disconnect()
            self.assertEqual(types(self.connect(lastEventID(browser))), [], number)

    def test_ageTooLate(self) -> None:
        """
        Clients receive their position even if it is too late for their IDs, because the reactor was
        blocked or its clock was set back.
        """
        for choice in ({}, *self.choices):
            channel = self.serve(Channel(History(maxAge=10)))
            browsers = [self.connect(**choice) for _ in range(2)]
            channel.publish("mine", topics=["mine"])
            self.others(1)
            self.clock.rightNow += 100
            self.clock.settle()
            for browser in browsers:
                self.assertEqual(positions(browser), 2, choice)
                browser.disconnect()
                self.assertEqual(types(self.connect(lastEventID(browser), **choice)), [], choice)

    def test_ageOfNothing(self) -> None:
        """
        A new client of a channel with an empty history receives its position once.
        """
        for published in (0, 1):
            channel = self.serve(Channel(History(maxAge=10)))
            for _ in range(published):
                channel.publish("x")
            self.connect().disconnect()
            self.clock.advance(30)
            browsers = [self.connect(**choice) for choice in ({}, {}, *self.choices)]
            self.clock.advance(30)
            self.assertEqual([positions(browser) for browser in browsers], [1] * 5, published)

    def test_ageWhileConnecting(self) -> None:
        """
        A client whose ID expires before anything can be sent to it gets another.
        """
        for choice in ({}, *self.choices):
            channel = self.serve(Channel(History(maxAge=10)))
            self.connect().disconnect()
            seen = channel.publish("mine", topics=["mine"]).id or ""
            decided: Deferred[None] = Deferred()

            def connected(
                stream: EventStream,
                channel: Channel = channel,
                choice: dict[str, Any] = choice,
                decided: Deferred[None] = decided,
            ) -> object:
                channel.subscribe(stream, **choice)
                return decided

            self.clock.advance(9)
            browser = self.connect(seen, instead=connected)
            self.clock.advance(5)
            decided.callback(None)
            self.clock.advance(5)
            self.assertEqual(types(browser), [])
            browser.disconnect()
            self.assertEqual(types(self.connect(lastEventID(browser) or seen)), [], choice)

    def test_nothingIsLeft(self) -> None:
        """
        A disconnected client leaves nothing behind, not even a delayed call.
        """
        self.serve(Channel(History(maxEvents=None, maxAge=10)))
        browsers = [self.connect(**choice) for choice in ({}, *self.choices)]
        self.others(3)
        for browser in browsers:
            browser.disconnect()
        self.assertIdle()
        kept = self.channel._broadcast._positions
        assert kept is not None
        self.assertFalse(any(kept._listed.values()))
        self.assertEqual(kept._waiting, [])
        self.clock.advance(20)
        self.assertEqual(self.clock.getDelayedCalls(), [])
