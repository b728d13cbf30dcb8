"""
Tests for L{twisted_sse.channel.subscription}: what a client gets that comes back, in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs

from tests.support.channels import ChannelTestCase, data, heads, lastEventID
from twisted_sse import Channel, Event, EventStream, EventStreamResource, History
from twisted_sse.channel.subscription import LOOKS, REPLAY
from twisted_sse.format.encoded import PIECE
from twisted_sse.testing import MemoryClient, MemoryStream

#: Ways to choose everything that L{PullTests.publishMany} publishes.
ALL: list[dict[str, Any]] = [
    {},
    {"topics": ["t"]},
    {"where": lambda event: True},
    {"topics": ["t"], "where": lambda event: True},
]

#: More than a transport takes before it says pause.
BIG = "x" * 70_000


def types(browser: MemoryStream) -> list[str]:
    """
    The types of the events that have come.
    """
    return [event.type for event in browser.events]


class NewTests(ChannelTestCase):
    """
    Tests for clients that have nothing yet.
    """

    def test_nothing(self) -> None:
        """
        A new client gets none of what was published before.
        """
        channel = self.serve()
        channel.publish("before")
        browser = self.connect()
        channel.publish("after")
        self.assertEqual(data(browser), ["after"])

    def test_identifier(self) -> None:
        """
        It gets an ID and no event, before anything else, so that it resumes from there though it
        has got no event.
        """
        channel = self.serve()
        channel.publish("before")
        browser = self.connect()
        self.assertRegex(browser.text, r"\A: \n\nid: [!-~]+\n\n\Z")
        self.assertEqual(browser.events, [])
        self.assertEqual(self.streams[0].eventsSent, 0)
        browser.disconnect()
        channel.publish("1")
        channel.publish("2")
        again = self.connect(lastEventID(browser))
        self.assertEqual(data(again), ["1", "2"])
        # The client has an ID: it needs no other.
        self.assertEqual(again.text.count("id: "), 2)

    def test_identifierOfNothing(self) -> None:
        """
        The same when nothing was ever published, and when nothing is until it comes back.
        """
        channel = self.serve()
        browser = self.connect()
        browser.disconnect()
        again = self.connect(lastEventID(browser))
        again.disconnect()
        self.assertEqual(again.events, [])
        self.assertEqual(self.told("reset"), [])
        channel.publish("1")
        self.assertEqual(data(self.connect(lastEventID(browser))), ["1"])

    def test_identifierOfAChoice(self) -> None:
        """
        One that chooses gets it too, and resumes from it what it has chosen.
        """
        channel = self.serve()
        browser = self.connect(topics=["a"])
        channel.publish("1", topics=["b"])
        browser.disconnect()
        channel.publish("2", topics=["a"])
        channel.publish("3", topics=["b"])
        self.assertEqual(data(self.connect(lastEventID(browser), topics=["a"])), ["2"])

    def test_identifierOfATurn(self) -> None:
        """
        Who comes after something was published in this turn, and goes at once, is to miss
        nothing of what is published after.
        """
        channel = self.serve()
        self.connect()
        settle = self.clock.settle
        self.clock.settle = lambda: None  # type: ignore[method-assign]
        channel.publish("1")
        browser = self.connect()
        browser._transport.move()
        mark = browser._response.parser.lastEventID
        self.streams[-1].abort()
        channel.publish("2")
        self.clock.settle = settle  # type: ignore[method-assign]
        self.assertNotEqual(mark, "")
        self.assertEqual(data(self.connect(mark)), ["2"])

    def test_noHistory(self) -> None:
        """
        Without a history there is nothing to resume from, and no ID.
        """
        channel = self.serve(Channel(None))
        browser = self.connect()
        channel.publish("1")
        self.assertEqual(browser.text, ": \n\ndata: 1\n\n")

    def test_last(self) -> None:
        """
        A new client gets so many of the newest events first, or all that there are.
        """
        channel = self.serve()
        for number in range(5):
            channel.publish(str(number))
        for last, expected in [
            (0, []),
            (1, ["4"]),
            (3, ["2", "3", "4"]),
            (5, ["0", "1", "2", "3", "4"]),
            (6, ["0", "1", "2", "3", "4"]),
            (10**9, ["0", "1", "2", "3", "4"]),
        ]:
            self.assertEqual(data(self.connect(last=last)), expected)
        channel.publish("5")
        self.assertEqual(data(self.connect(last=2)), ["4", "5"])

    def test_lastOfAChoice(self) -> None:
        """
        It is so many of those that were chosen.
        """
        channel = self.serve()
        for number in range(20):
            channel.publish(str(number), topics=["t"] if number % 3 == 0 else [])
        self.assertEqual(data(self.connect(last=3, topics=["t"])), ["12", "15", "18"])
        self.assertEqual(data(self.connect(last=2, topics=["none"])), [])
        self.assertEqual(
            data(self.connect(last=2, where=lambda event: int(event.data or 0) % 7 == 0)),
            ["7", "14"],
        )
        self.assertEqual(
            data(self.connect(last=1, topics=["t"], where=lambda event: event.data != "18")),
            ["15"],
        )

    def test_lastOfThisTurn(self) -> None:
        """
        What was published in this turn counts, and is not sent twice.
        """
        channel = self.serve()
        witness = self.connect()
        channel.publish("1")
        self.clock.settle()
        channel.publish("2")
        browser = self.connect(last=2)
        channel.publish("3")
        self.assertEqual(data(browser), ["1", "2", "3"])
        self.assertEqual(data(witness), ["1", "2", "3"])

    def test_lastIsForNewOnes(self) -> None:
        """
        Who comes back gets what it has missed, however much C{last} is.
        """
        channel = self.serve()
        events = [channel.publish(str(number)) for number in range(5)]
        self.assertEqual(data(self.connect(events[3].id or "", last=4)), ["4"])
        self.assertEqual(data(self.connect(events[0].id or "", last=1)), ["1", "2", "3", "4"])

    def test_lastIsResumed(self) -> None:
        """
        Who is disconnected in the middle of its first events resumes from there.
        """
        channel = self.serve()
        sent = [str(number).ljust(5000, "-") for number in range(40)]
        for each in sent:
            channel.publish(each)
        browser = self.connect(last=30)
        self.assertEqual(heads(data(browser)), heads(sent[10:]))
        # Each of them has one, and the client has got one before the first.
        self.assertEqual(browser.text.count("id: "), 31)
        half = browser.events[14].lastEventID
        self.assertEqual(heads(data(self.connect(half))), heads(sent[25:]))

    def test_identifierBeforeTheLast(self) -> None:
        """
        Who gets no further than to its first ID resumes with its first events.
        """
        channel = self.serve()
        for number in range(5):
            channel.publish(str(number), topics=["even"] if number % 2 == 0 else [])
        for arguments, expected in [
            ({"last": 2}, ["3", "4"]),
            ({"last": 2, "topics": ["even"]}, ["2", "4"]),
            ({"last": 9}, ["0", "1", "2", "3", "4"]),
            ({}, []),
        ]:
            options: dict[str, Any] = arguments
            browser = self.connect(**options)
            self.assertEqual(data(browser), expected)
            first = browser.text.split("\n\n")[1].removeprefix("id: ")
            options.pop("last", None)
            self.assertEqual(data(self.connect(first, **options)), expected)


class ResumeTests(ChannelTestCase):
    """
    Tests for clients that come back.
    """

    def test_missed(self) -> None:
        """
        A client gets what it has missed, then what is new, once each, in order.
        """
        channel = self.serve()
        browser = self.connect()
        for number in range(3):
            channel.publish(str(number))
        self.assertEqual(data(browser), ["0", "1", "2"])
        browser.disconnect()
        for number in range(3, 6):
            channel.publish(str(number))
        again = self.connect(lastEventID(browser))
        for number in range(6, 9):
            channel.publish(str(number))
        self.assertEqual(data(again), ["3", "4", "5", "6", "7", "8"])
        self.assertEqual(
            [event.lastEventID for event in again.events],
            sorted(event.lastEventID for event in again.events),
        )

    def test_fromAnyPlace(self) -> None:
        """
        From each event that is kept it goes on after that.
        """
        channel = self.serve()
        events = [channel.publish(str(number)) for number in range(30)]
        for number, event in enumerate(events):
            browser = self.connect(event.id or "")
            self.assertEqual(data(browser), [str(each) for each in range(number + 1, 30)])
            browser.disconnect()
        self.assertEqual(self.told("reset"), [])

    def test_query(self) -> None:
        """
        The ID may come in the query, as from a polyfill.
        """
        channel = self.serve()
        first = channel.publish("0")
        channel.publish("1")
        self.instead, self.subscribe = None, {}
        self.assertEqual(data(self.client.get(f"/?lastEventId={first.id}")), ["1"])

    def test_latestOccurrence(self) -> None:
        """
        From an ID that was published again it goes on after the latest.
        """
        channel = self.serve()
        for text, identifier in [("1", "a"), ("2", "b"), ("3", "a"), ("4", "c")]:
            channel.publish(text, id=identifier)
        self.assertEqual(data(self.connect("a")), ["4"])
        self.assertEqual(data(self.connect("b")), ["3", "4"])
        channel.publish("5", id="c")
        self.assertEqual(data(self.connect("c")), [])

    def test_anyCharacters(self) -> None:
        """
        An ID may be any text that a header can carry.
        """
        channel = self.serve()
        for identifier in ("7", "a b", "\N{EURO SIGN}", "x.y", "\x7f", "a:b", "%41", "0" * 8000):
            channel.publish("before", id=identifier)
            channel.publish("after")
            self.assertEqual(data(self.connect(identifier)), ["after"], identifier)

    def test_sameTurn(self) -> None:
        """
        Who catches up in the turn in which something is published gets it once.
        """
        channel = self.serve()
        witness = self.connect()
        first = channel.publish("0")
        channel.publish("1")
        self.clock.settle()
        channel.publish("2")
        browser = self.connect(first.id or "")
        channel.publish("3")
        self.turn()
        channel.publish("4")
        self.assertEqual(data(browser), ["1", "2", "3", "4"])
        self.assertEqual(data(witness), ["0", "1", "2", "3", "4"])

    def test_fromThisTurn(self) -> None:
        """
        Who comes back with the ID of what was published in this very turn gets the rest of it.
        """
        channel = self.serve()
        self.connect()
        events = [channel.publish(str(number)) for number in range(4)]
        settle = self.clock.settle
        self.clock.settle = lambda: None  # type: ignore[method-assign]
        browsers = [self.connect(event.id or "") for event in events]
        self.clock.settle = settle  # type: ignore[method-assign]
        channel.publish("4")
        self.assertEqual(
            [data(browser) for browser in browsers],
            [["1", "2", "3", "4"], ["2", "3", "4"], ["3", "4"], ["4"]],
        )

    def test_live(self) -> None:
        """
        Who has caught up is live in the same turn: it is handed what is published from there on.
        """
        channel = self.serve()
        first = channel.publish("0")
        channel.publish("1")
        self.connect(first.id or "")
        self.recorder.told.clear()
        self.recorder.writes.clear()
        channel.publish("2")
        self.turn()
        self.assertEqual([events for _, events, _ in self.recorder.writes], [1])
        self.assertEqual(self.told("replayed"), [])

    def test_lateSubscription(self) -> None:
        """
        A coroutine that subscribes its stream later misses nothing of what a client has missed.
        """
        channel = self.serve()
        first = channel.publish("0")
        channel.publish("1")
        session: Deferred[None] = Deferred()

        async def connected(stream: EventStream) -> None:
            await session
            channel.subscribe(stream)

        browser = self.connect(first.id or "", instead=connected)
        channel.publish("2")
        session.callback(None)
        channel.publish("3")
        self.assertEqual(data(browser), ["1", "2", "3"])

    def test_whileConnecting(self) -> None:
        """
        What is published while the headers have to wait is not lost and waits in the history,
        not with the stream.
        """
        channel = self.serve(maxPending=10)
        first = channel.publish("0")
        waiting: Deferred[None] = Deferred()

        def connected(stream: EventStream) -> Deferred[None]:
            channel.subscribe(stream)
            return waiting

        for identifier, before in ((first.id or "", 20), ("", 10)):
            waiting = Deferred()
            since = [str(number) for number in range(10)]
            for each in since[: 10 * (before == 20)]:
                channel.publish(each)
            browser = self.connect(identifier, instead=connected)
            for each in since:
                channel.publish(each)
            self.clock.settle()
            self.assertEqual(self.streams[-1].bytesPending, 0)
            self.assertIsNone(browser.status)
            waiting.callback(None)
            self.assertEqual(len(browser.events), before)
            self.assertFalse(browser.ended)

    def test_gone(self) -> None:
        """
        Who goes before the headers, or in the middle of a replay, leaves nothing.
        """
        channel = self.serve()
        first = channel.publish("0")
        for number in range(100):
            channel.publish(str(number).ljust(1000, "-"))
        waiting: Deferred[None] = Deferred()

        def connected(stream: EventStream) -> Deferred[None]:
            channel.subscribe(stream)
            return waiting

        self.connect(first.id or "", instead=connected).disconnect()
        settle = self.clock.settle
        self.clock.settle = lambda: None  # type: ignore[method-assign]
        browser = self.connect(first.id or "")
        self.turn()
        self.streams[-1].abort()
        self.clock.settle = settle  # type: ignore[method-assign]
        self.assertLess(len(browser.events), 50)
        self.assertIdle()
        self.assertEqual(self.clock.getDelayedCalls(), [])


class PullTests(ChannelTestCase):
    """
    Tests for how a replay is sent.
    """

    def publishMany(self, number: int, size: int) -> tuple[str, list[str]]:
        """
        Publish many.

        @return: the ID of what was before them, and their data.
        """
        first = self.channel.publish("first")
        sent = [str(each).ljust(size, "-") for each in range(number)]
        for each in sent:
            self.channel.publish(each, topics=["t"])
        return first.id or "", sent

    def quietly(self, lastEventID: str, **options: Any) -> MemoryStream:
        """
        Connect without making turns of the reactor.
        """
        settle = self.clock.settle
        self.clock.settle = lambda: None  # type: ignore[method-assign]
        try:
            return self.connect(lastEventID, **options)
        finally:
            self.clock.settle = settle  # type: ignore[method-assign]

    def test_pieces(self) -> None:
        """
        It is sent in pieces of at most 16 KiB, one in each turn, filled as far as events fit.
        """
        for options in ALL:
            self.serve()
            first, sent = self.publishMany(100, 1000)
            self.recorder.writes.clear()
            browser = self.quietly(first, **options)
            for turn in range(10):
                self.turn()
                self.assertLessEqual(len(self.recorder.writes), 2 + turn)
            self.assertEqual(heads(data(browser)), heads(sent))
            sizes = [size for _, events, size in self.recorder.writes if events]
            self.assertLessEqual(max(sizes), REPLAY)
            self.assertGreater(min(sizes[:-1]), REPLAY - 1100)

    def test_exactly(self) -> None:
        """
        Events of 16 KiB together are one piece.
        """
        for options in ALL:
            channel = self.serve()
            first = channel.publish("first")
            empty = len(Event("", id="00").encode())
            for number in range(8):
                channel.publish("x" * (REPLAY // 4 - empty), id=f"{number:02}", topics=["t"])
            self.recorder.writes.clear()
            self.connect(first.id or "", **options)
            writes = [(events, size) for _, events, size in self.recorder.writes if events]
            self.assertEqual(writes, [(4, REPLAY)] * 2)

    def test_otherFeeds(self) -> None:
        """
        It is one piece in each turn, whatever else the stream is sent meanwhile.
        """
        self.serve()
        first, sent = self.publishMany(100, 1000)

        def connected(stream: EventStream) -> Iterator[str]:
            self.channel.subscribe(stream)
            for number in range(100):
                yield f"own {number}".ljust(20_000, "-")

        browser = self.quietly(first, instead=connected)
        for _ in range(20):
            before = len(self.told("replayed"))
            self.turn()
            self.assertLessEqual(len(self.told("replayed")) - before, 1)
        received = [text for text in data(browser) if not text.startswith("own")]
        self.assertEqual(heads(received), heads(sent))

    def test_nothingLeft(self) -> None:
        """
        Who is unsubscribed in the middle of it leaves no delayed call.
        """
        self.serve()
        first, _ = self.publishMany(100, 1000)
        self.quietly(first)
        self.turn()
        before = len(self.clock.getDelayedCalls())
        self.channel.unsubscribe(self.streams[0])
        self.assertEqual(len(self.clock.getDelayedCalls()), before - 1)

    def test_largeEvents(self) -> None:
        """
        An event larger than a piece is a piece of its own.
        """
        for options in ALL:
            for size in (17_000, 100_000):
                self.serve()
                first, sent = self.publishMany(6, size)
                browser = self.connect(first, **options)
                self.assertEqual(heads(data(browser)), heads(sent))
                self.assertEqual([news[2] for news in self.told("replayed")], [1] * 6)

    def test_othersBetween(self) -> None:
        """
        Between two pieces it is the others' turn: whoever else is resuming, or live.
        """
        self.serve()
        first, sent = self.publishMany(200, 1000)
        witness = self.quietly("")
        self.clock.settle()
        browsers = [self.quietly(first) for _ in range(5)]
        for _ in range(3):
            self.turn()
        counts = [stream.eventsSent for stream in self.streams[1:]]
        self.assertEqual(len(set(counts)), 1)
        self.assertLess(counts[0], 100)
        self.channel.publish("x")
        self.turn()
        self.turn()
        self.assertEqual(witness._response.events[-1].data, "x")
        for browser in browsers:
            self.assertEqual(heads(data(browser)), heads([*sent, "x"]))

    def test_slowReader(self) -> None:
        """
        1,000 events of 10 kB go to a slow reader with C{maxPending} 1 MiB without a disconnect;
        what it has not read does not wait with us.
        """
        for fast in (False, True):
            if fast:
                self.fastWrites()
            self.serve(Channel(History(maxEvents=2000, maxBytes=2**25)))
            first, sent = self.publishMany(1000, 10_000)
            browser = self.quietly(first)
            stream = self.streams[0]
            browser._transport.reading = False
            browser._transport.kernelBuffer = 0
            most = 0
            for step in range(1, 110):
                self.clock.advance(0.5)
                most = max(most, browser._transport._held() + stream.bytesPending)
                browser._transport.kernelBuffer = 90_000 * step
            self.assertLess(most, 2 * PIECE + REPLAY)
            self.assertFalse(stream.closed)
            self.assertLess(stream.eventsSent, 1000)
            self.channel.publish("live")
            browser.resumeReading()
            self.clock.advance(1)
            self.assertEqual(heads(data(browser)), heads([*sent, "live"]))
            self.assertFalse(stream.closed)

    def test_tinyMaxPending(self) -> None:
        """
        A replay is never too much for C{maxPending}, however small that is.
        """
        self.serve(maxPending=1)
        for size in (100, 5000, 30_000, 200_000):
            first, sent = self.publishMany(20, size)
            browser = self.quietly(first)
            browser.stopReading(kernelBuffer=1000)
            self.clock.advance(1)
            browser.resumeReading()
            self.clock.advance(1)
            self.assertEqual(heads(data(browser)), heads(sent))
            browser.disconnect()

    def test_stalledReader(self) -> None:
        """
        Who reads nothing of its replay is stalled, and nothing is left.
        """
        self.serve(stallTimeout=60)
        first, _ = self.publishMany(200, 10_000)
        browser = self.quietly(first)
        browser._transport.reading = False
        browser._transport.kernelBuffer = 0
        self.clock.advance(70)
        self.assertEqual(self.reason(self.streams[0]).value, "stalled")
        self.assertIdle()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_published(self) -> None:
        """
        What is published while it is behind comes after what it has missed, and is not handed to
        it before.
        """
        self.serve()
        first, sent = self.publishMany(100, 2000)
        browser = self.quietly(first)
        for number in range(30):
            self.turn()
            sent.append(f"new {number}".ljust(1000, "-"))
            self.channel.publish(sent[-1])
        self.assertEqual(heads(data(browser)), heads(sent))

    def test_fewChosen(self) -> None:
        """
        When few events were chosen out of very many, no more than so many are looked at in one
        turn, and all that were chosen come.
        """
        self.serve(Channel(History(maxEvents=None)))
        asked: list[str | None] = []

        def where(event: Event) -> bool:
            asked.append(event.data)
            return int(event.data or 0) % 1000 == 7

        first = self.channel.publish("-1")
        for number in range(5 * LOOKS):
            self.channel.publish(str(number))
        browser = self.quietly(first.id or "", where=where)
        self.assertEqual(len(asked), LOOKS)
        looked = []
        for _ in range(8):
            before = len(asked)
            self.turn()
            looked.append(len(asked) - before)
        self.assertLessEqual(max(looked), LOOKS)
        self.assertEqual(data(browser), ["7", "1007", "2007", "3007", "4007"])
        self.assertEqual(len(asked), 5 * LOOKS)

    def test_noneChosen(self) -> None:
        """
        When none was chosen, it is live nevertheless.
        """
        self.serve()
        first, _ = self.publishMany(500, 10)
        browser = self.connect(first, topics=["other"])
        self.assertEqual(browser.events, [])
        self.channel.publish("x", topics=["other"])
        self.assertEqual(data(browser), ["x"])
        self.assertEqual(self.told("replayed", "reset"), [])

    def test_stalledAndLive(self) -> None:
        """
        Who has caught up while the last of it is still waiting is live, and in order.
        """
        self.serve()
        first = self.channel.publish("0")
        self.channel.publish(BIG)
        browser = self.quietly(first.id or "")
        browser._transport.reading = False
        browser._transport.kernelBuffer = 0
        self.clock.advance(1)
        for number in range(5):
            self.channel.publish(str(number))
            self.clock.advance(1)
        browser.resumeReading()
        self.assertEqual(heads(data(browser)), heads([BIG, "0", "1", "2", "3", "4"]))

    def test_whenWritable(self) -> None:
        """
        A coroutine that waits for room gets its turn, and no event of the replay is cut.
        """
        self.serve()
        first, sent = self.publishMany(100, 5000)

        async def connected(stream: EventStream) -> None:
            self.channel.subscribe(stream)
            for number in range(50):
                await stream.whenWritable()
                stream.send(f"own {number}".ljust(3000, "-"))

        browser = self.connect(first, instead=connected)
        self.clock.advance(1)
        own = [text for text in data(browser) if text.startswith("own")]
        others = [text for text in data(browser) if not text.startswith("own")]
        self.assertEqual(len(own), 50)
        self.assertEqual(heads(others), heads(sent))


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
        browser = self.connect(history._identify(5))
        self.assertEqual(types(browser), ["stream-reset", "message"])
        browser = self.connect(history._mark(2))
        self.assertEqual(types(browser), ["stream-reset", "message"])

    def test_otherTopics(self) -> None:
        """
        With an ID that a client has not been given it gets nothing that was not chosen for it.
        """
        channel = self.serve()
        secret = channel.publish("secret 1", topics=["other"])
        channel.publish("secret 2", topics=["other"])
        channel.publish("mine", topics=["me"])
        mark = channel.history._mark(0) if channel.history is not None else ""
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


class OnceTests(ChannelTestCase):
    """
    Tests for a channel with what else a resource can do.
    """

    def test_once(self) -> None:
        """
        A finite channel: when it is closed its clients are told the end, and those who come back
        with that are told to stop.
        """
        channel = Channel()
        client = MemoryClient(EventStreamResource(channel.subscribe, once=True))
        browser = client.get()
        channel.publish("x")
        channel.close()
        self.assertEqual(
            [(event.type, event.lastEventID) for event in browser.events][-1], ("end", "end")
        )
        self.assertEqual(data(browser), ["x", ""])
        self.assertEqual(client.get("/", {"Last-Event-ID": "end"}).status, 204)

    def test_limit(self) -> None:
        """
        Who is one too many is not subscribed.
        """
        channel = self.serve(maxStreams=1)
        self.connect()
        refused = self.connect()
        self.assertTrue(refused.complete)
        self.assertEqual(len(channel.streams), 1)

    def test_directly(self) -> None:
        """
        C{channel.subscribe} is all that a resource needs.
        """
        channel = Channel()
        client = MemoryClient(EventStreamResource(channel.subscribe))
        browser = client.get()
        event = channel.publish("hello", event="greeting")
        [received] = browser.events
        self.assertEqual(
            (received.type, received.data, received.lastEventID), ("greeting", "hello", event.id)
        )
