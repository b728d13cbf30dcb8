"""
Tests for L{twisted_sse.channel.subscription}: what a client gets that is new, and that comes
back, in memory.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from tests.support.channels import ChannelTestCase, data, heads, lastEventID
from twisted_sse import Channel, EventStream, EventStreamResource
from twisted_sse.testing import MemoryClient


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
