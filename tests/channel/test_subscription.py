"""
Tests for L{twisted_sse.channel.subscription}, in memory: the events of new and reconnecting
clients.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from tests.support.channels import ChannelTestCase, data, heads, lastEventID, received
from twisted_sse import Channel, EventStream, EventStreamResource
from twisted_sse.testing import MemoryClient


class NewTests(ChannelTestCase):
    """
    Tests for clients without a last event ID.
    """

    def test_nothing(self) -> None:
        """
        A new client gets no events published before.
        """
        channel = self.serve()
        channel.publish("before")
        browser = self.connect()
        channel.publish("after")
        self.assertEqual(data(browser), ["after"])

    def test_identifier(self) -> None:
        """
        A new client first gets an event with the ID of its position, so that it can resume even
        without any other event.
        """
        channel = self.serve()
        channel.publish("before")
        browser = self.connect()
        self.assertRegex(
            browser.text, r"\A:\nretry: 3000\nevent: stream-position\nid: [!-~]+\ndata: {}\n\n\Z"
        )
        self.assertEqual(self.streams[0].eventsSent, 0)
        browser.disconnect()
        channel.publish("1")
        channel.publish("2")
        again = self.connect(lastEventID(browser))
        self.assertEqual(data(again), ["1", "2"])
        # The client has an ID and needs no other.
        self.assertEqual(again.text.count("id: "), 2)

    def test_identifierOfNothing(self) -> None:
        """
        A new client gets an ID, and can resume from it, even when nothing was ever published.
        """
        channel = self.serve()
        browser = self.connect()
        browser.disconnect()
        again = self.connect(lastEventID(browser))
        again.disconnect()
        self.assertEqual(received(again), [])
        self.assertEqual(self.told("reset"), [])
        channel.publish("1")
        self.assertEqual(data(self.connect(lastEventID(browser))), ["1"])

    def test_identifierOfAChoice(self) -> None:
        """
        A subscriber to topics gets a first ID, too, and resumes its topics from it.
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
        A client that subscribes after a C{publish} and disconnects in the same turn misses nothing
        published later.
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
        Without a history a new client gets no ID.
        """
        channel = self.serve(Channel(None))
        browser = self.connect()
        channel.publish("1")
        self.assertEqual(browser.text, ":\nretry: 3000\ndata: 1\n\n")

    def test_last(self) -> None:
        """
        A new client first gets the C{last} newest events, or as many as there are.
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
        C{last} counts only the events that the client chose.
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
        Events published in the same turn count for C{last} and are not sent twice.
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
        A reconnecting client gets its missed events, regardless of C{last}.
        """
        channel = self.serve()
        events = [channel.publish(str(number)) for number in range(5)]
        self.assertEqual(data(self.connect(events[3].id or "", last=4)), ["4"])
        self.assertEqual(data(self.connect(events[0].id or "", last=1)), ["1", "2", "3", "4"])

    def test_lastIsResumed(self) -> None:
        """
        A client disconnected in the middle of its first events resumes from there.
        """
        channel = self.serve()
        sent = [str(number).ljust(5000, "-") for number in range(40)]
        for each in sent:
            channel.publish(each)
        browser = self.connect(last=30)
        self.assertEqual(heads(data(browser)), heads(sent[10:]))
        # Each event has an ID, and there is one before the first.
        self.assertEqual(browser.text.count("id: "), 31)
        half = received(browser)[14].lastEventID
        self.assertEqual(heads(data(self.connect(half))), heads(sent[25:]))

    def test_identifierBeforeTheLast(self) -> None:
        """
        A client that got only its first ID resumes with its first events.
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
            first = browser.events[0].lastEventID
            options.pop("last", None)
            self.assertEqual(data(self.connect(first, **options)), expected)


class ResumeTests(ChannelTestCase):
    """
    Tests for clients that reconnect.
    """

    def test_missed(self) -> None:
        """
        A client gets its missed events, then new events, each once and in order.
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
            [event.lastEventID for event in received(again)],
            sorted(event.lastEventID for event in received(again)),
        )

    def test_fromAnyPlace(self) -> None:
        """
        A client can resume after any event that is kept.
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
        The ID may be in the query, where polyfills put it.
        """
        channel = self.serve()
        first = channel.publish("0")
        channel.publish("1")
        self.instead, self.subscribe = None, {}
        self.assertEqual(data(self.client.get(f"/?lastEventId={first.id}")), ["1"])

    def test_latestOccurrence(self) -> None:
        """
        An ID that was published more than once resumes after the latest.
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
        A client that catches up in the turn of a C{publish} gets that event once.
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
        A client with the ID of an event published in this turn gets the rest of the turn.
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
        A client that has caught up is live in the same turn.
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
        A stream that a coroutine subscribes later still gets everything the client missed.
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
        Events published before the headers are sent are not lost, and are not queued with the
        stream.
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
            self.assertEqual(len(received(browser)), before)
            self.assertFalse(browser.ended)

    def test_gone(self) -> None:
        """
        A client that disconnects before its headers, or in the middle of a replay, leaves nothing
        behind.
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
        self.assertLess(len(received(browser)), 50)
        self.assertIdle()
        self.assertEqual(self.clock.getDelayedCalls(), [])


class OnceTests(ChannelTestCase):
    """
    Tests for a channel together with other features of a resource.
    """

    def test_once(self) -> None:
        """
        With C{once}, clients of a closed channel get an C{end} event, and a 204 when they reconnect
        with its ID.
        """
        channel = Channel()
        client = MemoryClient(EventStreamResource(channel.subscribe, once=True))
        browser = client.get()
        channel.publish("x")
        channel.close()
        self.assertEqual(
            [(event.type, event.lastEventID) for event in received(browser)][-1], ("end", "end")
        )
        self.assertEqual(data(browser), ["x", "{}"])
        self.assertEqual(client.get("/", {"Last-Event-ID": "end"}).status, 204)

    def test_limit(self) -> None:
        """
        A client beyond C{maxStreams} is not subscribed.
        """
        channel = self.serve(maxStreams=1)
        self.connect()
        refused = self.connect()
        self.assertTrue(refused.complete)
        self.assertEqual(len(channel.streams), 1)

    def test_directly(self) -> None:
        """
        C{channel.subscribe} can be passed to a resource directly.
        """
        channel = Channel()
        client = MemoryClient(EventStreamResource(channel.subscribe))
        browser = client.get()
        event = channel.publish("hello", event="greeting")
        [greeting] = received(browser)
        self.assertEqual(
            (greeting.type, greeting.data, greeting.lastEventID), ("greeting", "hello", event.id)
        )
