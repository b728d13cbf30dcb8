"""
Tests for L{twisted_sse.channel} with custom choices: patterns, and private events.
"""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any

from tests.support.channels import ChannelTestCase, data
from tests.support.choices import Beginning, Reader
from tests.support.late_store import LateStore
from tests.support.store_case import StoreTestCase
from twisted_sse import Channel, Event, History
from twisted_sse.store import StoreAway
from twisted_sse.testing import MemoryStream


class SelectingTests(ChannelTestCase):
    """
    Tests for the argument C{choice} of L{Channel.subscribe}, and for C{private}.
    """

    def begin(self) -> Channel:
        """
        Make a channel without its own events.
        """
        return self.serve(Channel(positionEvent=None, resetEvent=None))

    def reader(self, *arguments: Any, **more: Any) -> tuple[MemoryStream, Reader]:
        """
        Connect a client that chooses.
        """
        cursor = more.pop("cursor", "")
        choice = Reader(*arguments, **more)
        return self.connect(cursor, choice=choice), choice

    def fill(self, channel: Channel) -> list[str]:
        """
        Publish public and private events.

        @return: their IDs.
        """
        events = []
        for text, topics, private in [
            ("1", ["shop/1"], False),
            ("2", ["shop/2"], True),
            ("3", ["blog/1", "shop/1"], True),
            ("4", ["blog/1"], False),
            ("5", [], False),
            ("6", [], True),
        ]:
            events.append(channel.publish(text, topics=topics, private=private))
        self.clock.settle()
        return [event.id or "" for event in events]

    def test_live(self) -> None:
        """
        Each subscriber gets the events that it has chosen and may read: by topic, by pattern, or
        all.
        """
        channel = self.begin()
        readers = [
            self.reader(["shop/1"]),
            self.reader(["shop/1"], may=("blog/1",)),
            self.reader([], [Beginning("shop/")]),
            self.reader([], [Beginning("shop/")], may=("shop/2",)),
            self.reader(["blog/1"], [Beginning("shop/"), Beginning("", "/1")], may=("shop/1",)),
            self.reader(),
            self.reader(may=("shop/2", "shop/1")),
            self.reader([]),
        ]
        self.fill(channel)
        self.assertEqual(
            [data(browser) for browser, _ in readers],
            [
                ["1"],
                ["1", "3"],
                ["1"],
                ["1", "2"],
                ["1", "3", "4"],
                ["1", "4", "5"],
                ["1", "2", "3", "4", "5"],
                [],
            ],
        )
        for browser, _ in readers:
            browser.disconnect()
        self.assertIdle()

    def test_replay(self) -> None:
        """
        A replay has the same events that the subscriber would have received live.
        """
        channel = self.begin()
        first = channel.publish("0", topics=["other"])
        self.fill(channel)
        arguments: list[tuple[Any, ...]] = [
            (["shop/1"],),
            (["shop/1"], None, ("blog/1",)),
            ([], [Beginning("shop/")], ("shop/2",)),
            (None, None, ("shop/2", "shop/1")),
            (None, None),
        ]
        replayed = [data(self.reader(*each, cursor=first.id)[0]) for each in arguments]
        self.assertEqual(
            replayed,
            [["1"], ["1", "3"], ["1", "2"], ["1", "2", "3", "4", "5"], ["1", "4", "5"]],
        )

    def test_everybody(self) -> None:
        """
        Choices by C{topics} and C{where} are not asked about anything else.
        """
        channel = self.begin()
        all, some = self.connect(), self.connect(topics=["shop/2"])
        self.fill(channel)
        self.assertEqual(data(all), ["1", "2", "3", "4", "5", "6"])
        self.assertEqual(data(some), ["2"])

    def test_untold(self) -> None:
        """
        A subscriber's choice decides whether it receives the channel's own events: when it
        connects, when its last event has been dropped, when its last ID gets old, and whatever it
        has chosen.
        """
        for chosen in (["shop/1"], None):
            channel = self.serve(Channel(History(maxEvents=4, maxAge=60)))
            told = [self.reader(chosen, isTold=isTold)[0] for isTold in (True, False)]
            missed = [self.reader(chosen, isTold=each, cursor="gone")[0] for each in (True, False)]
            channel.publish("x", topics=["shop/1"])
            self.clock.advance(50)
            for _ in range(4):
                channel.publish("y", topics=["shop/2"], private=True)
            self.clock.advance(1)
            own = [
                [event.type for event in browser.events if event.type != "message"]
                for browser in [*told, *missed]
            ]
            place = "stream-position"
            self.assertEqual(
                own, [[place, place, place], [], ["stream-reset", place, place], []], chosen
            )
            self.assertEqual([data(told[1]), data(missed[1])], [["x"], ["x"]])

    def test_untoldOfAll(self) -> None:
        """
        The same holds for a subscriber that chooses all events, and may read all of them.
        """
        channel = self.serve(Channel(History(maxAge=60)))
        browser, choice = self.reader(isTold=False)
        choice.guards = False
        self.assertFalse(choice.patterns)
        channel.unsubscribe(self.streams[-1])
        channel.subscribe(self.streams[-1], choice=choice)
        channel.publish("x")
        self.clock.advance(50)
        self.clock.advance(20)
        self.assertEqual([event.type for event in browser.events], ["message"])

    def test_asked(self) -> None:
        """
        A choice with a guard is asked only about private events, and only about those that its
        topics include.
        """
        channel = self.begin()
        _, some = self.reader(["a"])
        _, all = self.reader()
        channel.publish("1", topics=["a"])
        channel.publish("2", topics=["b"])
        self.clock.settle()
        self.assertEqual((some.asked, all.asked), ([], []))
        channel.publish("3", topics=["b"], private=True)
        self.clock.settle()
        self.assertEqual((some.asked, all.asked), ([], ["3"]))
        channel.publish("4", topics=["a"], private=True)
        self.clock.settle()
        self.assertEqual((some.asked, all.asked), (["4"], ["3", "4"]))

    def test_change(self) -> None:
        """
        Subscribing again with another choice replaces the first, live and in a replay.
        """
        channel = self.begin()
        browser, _ = self.reader(["a"], [Beginning("b")])
        channel.publish("1", topics=["a"])
        self.clock.settle()
        channel.subscribe(self.streams[0], choice=Reader([], [Beginning("c")]))
        for topic in ("a", "b1", "c1"):
            channel.publish(topic, topics=[topic])
        self.clock.settle()
        channel.subscribe(self.streams[0])
        channel.publish("all", private=True)
        self.clock.settle()
        self.assertEqual(data(browser), ["1", "c1", "all"])

    def test_fails(self) -> None:
        """
        A choice that fails ends only its own stream.
        """
        channel = self.begin()

        class Fails(Reader):
            def wants(self, entry: object) -> bool:
                raise ZeroDivisionError

        broken = self.connect(choice=Fails())
        browser, _ = self.reader(may=("a",))
        channel.publish("1", topics=["a"], private=True)
        self.clock.settle()
        self.assertTrue(broken.ended)
        self.assertEqual(data(browser), ["1"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_contradiction(self) -> None:
        """
        Each sent event is reported once.
        """
        channel = self.begin()
        self.connect()
        (stream,) = self.streams
        for arguments in (
            {"choice": Reader(), "topics": ["a"]},
            {"choice": Reader(), "where": bool},
            {"earliest": True, "last": 3},
        ):
            error = self.assertRaises(ValueError, channel.subscribe, stream, **arguments)
            self.assertIn("either", str(error))
        silent = Channel(None)
        self.assertRaises(ValueError, silent.subscribe, stream, earliest=True)

    def test_publishAll(self) -> None:
        """
        Each of several events published together may be private; the same events with another
        privacy count as different content.
        """
        channel = self.begin()
        browser, _ = self.reader()
        together = [(Event("1"), ["a"]), (Event("2"), ["a"], True), (Event("3"), ["a"], False)]
        self.successResultOf(channel.publishAllAndWait(together, "key"))
        self.clock.settle()
        self.assertEqual(data(browser), ["1", "3"])
        once = channel.publishAndWait("4", private=True, idempotencyKey="another")
        self.successResultOf(once)
        self.assertRaises(
            ValueError, channel.publishAndWait, "4", private=False, idempotencyKey="another"
        )


class PlaceTests(StoreTestCase):
    """
    Tests for the positions of streams and clients: L{Channel.placeOf}, L{Channel.resumes},
    C{earliest}.
    """

    def test_placeOf(self) -> None:
        """
        With the ID of its position a client resumes with the events not sent to it yet: live,
        during a write, in a replay, before the first event and after the last.
        """
        channel = self.serve(Channel(positionEvent=None, resetEvent=None))
        browser = self.connect()
        (stream,) = self.streams
        places = [channel.placeOf(stream)]
        for number in range(3):
            channel.publish(str(number))
            places.append(channel.placeOf(stream))
            self.clock.settle()
        places.append(channel.placeOf(stream))
        resumed = [data(self.connect(place)) for place in places]
        self.assertEqual(resumed, [["0", "1", "2"], ["0", "1", "2"], ["1", "2"], ["2"], []])
        browser.disconnect()
        self.assertEqual(channel.placeOf(stream), "")
        channel.unsubscribe(self.streams[-1])
        self.assertEqual(channel.placeOf(self.streams[-1]), "")

    def test_placeOfFanOut(self) -> None:
        """
        The position of a stream that has not yet received the events being sent is before them.
        """
        channel = self.serve(Channel(positionEvent=None, resetEvent=None))
        self.recorder.cost = 1.0
        for _ in range(200):
            self.connect()
        channel.publish("0")
        channel.publish("1")
        self.turn()
        places = {channel.placeOf(stream) for stream in self.streams}
        self.assertEqual(len(places), 2)
        self.recorder.cost = 0.0
        resumed = [data(self.connect(place)) for place in places]
        self.assertEqual(sorted(resumed), [[], ["0", "1"]])

    def test_placeOfOlder(self) -> None:
        """
        A client that reads from the store has a position, too.
        """
        self.start(window=2)
        events = self.publish(*range(10))
        self.store.delay = 1.0
        self.connect(events[3].id or "")
        (stream,) = self.streams
        self.assertEqual(self.channel.placeOf(stream), events[3].id)

    def test_untoldByStore(self) -> None:
        """
        A subscriber that wants no notice of a loss receives none when reading from the store,
        either.
        """
        self.start(window=2)
        self.publish(*range(10))
        lost = [self.connect("unknown", choice=Reader(isTold=isTold)) for isTold in (True, False)]
        self.settle()
        own = [[event.type for event in each.events if event.type != "message"] for each in lost]
        self.assertEqual(own, [["stream-reset", "stream-position"], []])
        self.assertEqual(data(lost[1]), [str(number) for number in range(10)])

    def test_resumes(self) -> None:
        """
        Without a store, a client misses nothing if all events after its ID, or after the position
        it stands for, are still kept.
        """
        channel = self.serve(Channel(History(maxEvents=2)))
        self.assertFalse(self.successResultOf(channel.resumes("unknown")))
        ids = [channel.publish(str(number)).id or "" for number in range(5)]
        found = [self.successResultOf(channel.resumes(each)) for each in [*ids, "", "earliest"]]
        self.assertEqual(found, [False, False, False, True, True, False, False])
        self.assertFalse(self.successResultOf(Channel(None).resumes(ids[-1])))

    def test_resumesFromStore(self) -> None:
        """
        With a store, the store is asked about IDs that are not in memory, once it is open; after
        the channel has closed the answer is unknown.
        """
        self.start(window=2, open=False)
        early = self.channel.resumes("unknown")
        self.assertNoResult(early)
        self.settle()
        self.assertFalse(self.successResultOf(early))
        events = self.publish(*range(10))
        found = [self.channel.resumes(each.id or "") for each in events] + [
            self.channel.resumes("unknown")
        ]
        self.settle()
        self.assertEqual([self.successResultOf(each) for each in found], [True] * 10 + [False])
        waiting = self.channel.resumes(events[0].id or "")
        cancelled = self.channel.resumes(events[1].id or "")
        cancelled.cancel()
        self.failureResultOf(cancelled)
        self.channel.close()
        self.settle()
        self.failureResultOf(waiting, StoreAway)
        self.failureResultOf(self.channel.resumes("unknown"), StoreAway)

    def test_earliest(self) -> None:
        """
        With C{earliest} a new client gets all kept events, from memory or from the store, without a
        notice of missed events; a client with an ID resumes.
        """
        channel = self.serve(Channel(History(maxEvents=3), observer=None))
        ids = [channel.publish(str(number)).id or "" for number in range(5)]
        self.assertEqual(data(self.connect(earliest=True)), ["2", "3", "4"])
        self.assertEqual(data(self.connect(ids[3], earliest=True)), ["4"])
        self.start(window=3)
        self.assertEqual(data(self.connect(earliest=True)), [])
        self.publish(*range(10))
        browser = self.connect(earliest=True)
        self.publish(10)
        self.assertEqual(data(browser), [str(number) for number in range(11)])
        self.assertEqual(self.told("reset"), [])

    def test_lastEventID(self) -> None:
        """
        The ID from which a stream resumes can be set in place of the one that its client sent.
        """
        channel = self.serve(Channel(positionEvent=None))
        ids = [channel.publish(str(number)).id or "" for number in range(4)]
        for given, expected in [(ids[2], ["3"]), ("", [])]:
            subscribe = partial(channel.subscribe, lastEventID=given)
            self.assertEqual(data(self.connect(ids[0], instead=subscribe)), expected)


class ReceivedTests(StoreTestCase):
    """
    Tests for the events that an observer receives.
    """

    def observed(self) -> tuple[Any, list[tuple[str | None, bool]]]:
        """
        Make an observer.

        @return: the observer, and the list of its calls.
        """
        told: list[tuple[str | None, bool]] = []

        def received(channel: Channel, event: Event, isNew: bool) -> None:
            told.append((event.data, isNew))
            if event.data == "again":
                channel.publish("more")

        return SimpleNamespace(received=received), told

    def test_memory(self) -> None:
        """
        Without a store an observer receives each event when it is published, and may publish
        itself.
        """
        observer, told = self.observed()
        channel = Channel(observer=observer)
        channel.publish("a")
        self.assertEqual(told, [("a", True)])
        batch = [(Event(each), ()) for each in ("again", "b")]
        self.successResultOf(channel.publishAllAndWait(batch))
        self.assertEqual([data for data, _ in told], ["a", "again", "more", "b"])
        kept = [channel.history.get(position).event.data for position in range(4)]
        self.assertEqual(kept, ["a", "again", "b", "more"])

    def test_store(self) -> None:
        """
        With a store an observer receives the stored events, and then each new one when it may be
        sent.
        """
        self.start()
        self.publish(1, 2)
        observer, told = self.observed()
        store = LateStore(self.time, self.kept)
        channel = Channel(name="news", reactor=self.time, store=store, observer=observer)
        channel.publish("again")
        self.assertEqual(told, [])
        self.settle()
        expected = [("1", False), ("2", False), ("again", True), ("more", True)]
        self.assertEqual(told, expected)
