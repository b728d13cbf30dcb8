"""
Tests for L{twisted_sse.channel.channel}: one event to many streams, in memory.

L{tests.channel.test_subscription} has what a client gets that comes back; L{tests.channel.test_model}
does all of it in random order.
"""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IReactorCore
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.python import threadable
from twisted.python.failure import Failure
from zope.interface import alsoProvides

import twisted_sse.stream.stream
from tests.support.channels import BIG, ChannelTestCase, data, heads, lastEventID
from twisted_sse import (
    Channel,
    CloseReason,
    Event,
    EventStream,
    EventStreamResource,
    EventTooLarge,
    History,
    InvalidEvent,
    SlowReader,
)
from twisted_sse.channel.fanout import ROUND
from twisted_sse.channel.subscription import Subscription
from twisted_sse.format.encoded import PIECE
from twisted_sse.stream import transport as fastwrite
from twisted_sse.testing import MemoryClient, MemoryClock, MemoryStream
from twisted_sse.timing.slices import SLICE


class ArgumentTests(ChannelTestCase):
    """
    Tests for the arguments of L{Channel} and C{subscribe}.
    """

    def test_defaults(self) -> None:
        """
        A channel has a history of its own, no name, and is not closed.
        """
        one, two = Channel(), Channel()
        assert one.history is not None
        self.assertIsNot(one.history, two.history)
        self.assertEqual((one.history.maxEvents, one.history.maxBytes), (1000, 16 * 2**20))
        self.assertIsNone(one.name)
        self.assertIs(one.closed, False)
        self.assertEqual(one.streams, frozenset())
        self.assertIsNone(Channel(history=None).history)

    def test_positional(self) -> None:
        """
        The first four arguments may be given by position.
        """
        history, clock = History(), Clock()
        channel = Channel(history, "news", 100, clock)
        self.assertIs(channel.history, history)
        self.assertEqual(channel.name, "news")
        self.assertRaises(EventTooLarge, channel.publish, "x" * 100)
        self.assertRaises(TypeError, Channel, None, None, 100, None, "stream-reset")

    def test_wrong(self) -> None:
        """
        What is no such thing is an error that names the argument and shows what it was.
        """
        for name, bad, error in [
            ("history", 5, TypeError),
            ("history", True, TypeError),
            ("history", History, TypeError),
            ("name", 5, TypeError),
            ("name", b"news", TypeError),
            ("maxEventSize", None, ValueError),
            ("maxEventSize", 0, ValueError),
            ("maxEventSize", -1, ValueError),
            ("maxEventSize", 1.5, ValueError),
            ("maxEventSize", True, ValueError),
            ("maxEventSize", "1", ValueError),
            ("reactor", 5, TypeError),
            ("reactor", object(), TypeError),
            ("resetEvent", "a\nb", InvalidEvent),
            ("resetEvent", "\ud800", InvalidEvent),
            ("resetEvent", 5, TypeError),
            ("observer", 5, TypeError),
            ("observer", object(), TypeError),
        ]:
            raised = self.assertRaises(error, Channel, **{name: bad})
            if name == "resetEvent":
                # It says what is wrong with it as an event type.
                self.assertIn("event", str(raised))
            else:
                self.assertTrue(str(raised).startswith(f"{name} is {bad!r}"), str(raised))

    def test_repr(self) -> None:
        """
        The repr tells the name, the number of streams, and the history.
        """
        channel = self.serve(Channel(name="news"))
        self.connect()
        self.assertEqual(
            repr(channel), "<Channel 'news': 1 streams, <History of 0 events, 0 bytes>>"
        )
        self.assertEqual(repr(Channel(None)), "<Channel: 0 streams, None>")

    def test_subscribeWrong(self) -> None:
        """
        A wrong argument of C{subscribe} is an error that names it; then nothing is subscribed.
        """
        channel = self.serve()
        self.connect(instead=lambda stream: None)
        [stream] = self.streams
        for arguments, error, message in [
            ({"stream": None}, TypeError, "stream is None"),
            ({"stream": "x"}, TypeError, "stream is 'x'"),
            ({"topics": "user:7"}, TypeError, "topics is 'user:7'"),
            ({"topics": b"user:7"}, TypeError, "topics is b'user:7'"),
            ({"topics": 5}, TypeError, "topics is 5"),
            ({"topics": ["a", 5]}, TypeError, "topics has 5"),
            ({"topics": [None]}, TypeError, "topics has None"),
            ({"topics": [b"a"]}, TypeError, "topics has b'a'"),
            ({"where": 5}, TypeError, "where is 5"),
            ({"where": "x"}, TypeError, "where is 'x'"),
            ({"last": -1}, ValueError, "last is -1"),
            ({"last": None}, ValueError, "last is None"),
            ({"last": 1.0}, ValueError, "last is 1.0"),
            ({"last": True}, ValueError, "last is True"),
            ({"last": "1"}, ValueError, "last is '1'"),
        ]:
            options: dict[str, Any] = {"stream": stream, **arguments}
            raised = self.assertRaises(error, channel.subscribe, **options)
            self.assertTrue(str(raised).startswith(message), str(raised))
            self.assertEqual(channel.streams, frozenset())
            self.assertEqual(stream._feeds, ())

    def test_wrongWhileSubscribed(self) -> None:
        """
        A wrong argument of C{subscribe} leaves a stream that is subscribed as it is.
        """
        channel = self.serve()
        browser = self.connect(topics=["a"])
        self.assertRaises(TypeError, channel.subscribe, self.streams[0], topics="b")
        self.assertRaises(ValueError, channel.subscribe, self.streams[0], last=-1)
        channel.publish("x", topics=["a"])
        self.assertEqual(data(browser), ["x"])

    def test_lastWithoutHistory(self) -> None:
        """
        C{last} without a history is an error; 0 is not.
        """
        channel = self.serve(Channel(None))
        self.connect(instead=lambda stream: None)
        [stream] = self.streams
        error = self.assertRaises(ValueError, channel.subscribe, stream, last=1)
        self.assertIn("last needs a history", str(error))
        channel.subscribe(stream, last=0)
        self.assertEqual(channel.streams, {stream})

    def test_publishWrongTopics(self) -> None:
        """
        Wrong topics of C{publish} are an error that names them, and nothing is published.
        """
        channel = self.serve()
        browser = self.connect()
        for bad, message in [
            ("user:7", "topics is 'user:7'"),
            (b"user:7", "topics is b'user:7'"),
            (None, "topics is None"),
            (7, "topics is 7"),
            ([7], "topics has 7"),
            (["a", None], "topics has None"),
            ([["a"]], "topics has ['a']"),
        ]:
            error = self.assertRaises(TypeError, channel.publish, "x", topics=bad)
            self.assertTrue(str(error).startswith(message), str(error))
        self.assertNothingPublished(browser)

    def test_publishNoEvent(self) -> None:
        """
        What is no event, or no good, is the error that C{send} has for it, and nothing is
        published.
        """
        channel = self.serve()
        browser = self.connect()
        for arguments, fields, error in [
            ((), {}, InvalidEvent),
            ((5,), {}, TypeError),
            ((b"x",), {}, TypeError),
            ((Event("x"),), {"id": "1"}, TypeError),
            (("x",), {"json": 1}, TypeError),
            (("x",), {"nonsense": 1}, TypeError),
            (("x",), {"id": "1\n2"}, InvalidEvent),
            (("x",), {"id": "\0"}, InvalidEvent),
            (("x",), {"event": "\r"}, InvalidEvent),
            (("\ud800",), {}, InvalidEvent),
            ((), {"json": float("nan")}, InvalidEvent),
            ((), {"json": {1, 2}}, TypeError),
            ((), {"retry": -1}, InvalidEvent),
        ]:
            self.assertRaises(error, channel.publish, *arguments, **fields)
        self.assertNothingPublished(browser)

    def assertNothingPublished(self, browser: MemoryStream) -> None:
        """
        Nothing was published, and the channel is as good as new.
        """
        self.assertEqual(len(self.channel.history or ()), 0)
        self.assertEqual(self.told("published"), [])
        self.assertEqual(browser.events, [])
        self.channel.publish("after")
        self.assertEqual(data(browser), ["after"])


class PublishTests(ChannelTestCase):
    """
    Tests for C{publish}.
    """

    def test_forms(self) -> None:
        """
        An event, text, JSON or fields are published, and the event is returned as it is sent.
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
            [(event.type, event.data, event.lastEventID) for event in browser.events],
            [(event.event or "message", event.data, event.id) for event in published],
        )
        self.assertEqual(data(browser), ["1", "2", "3", '{"a":[1]}', "null", "", "4"])
        self.assertEqual((published[2].id, published[6].id), ("mine", "7"))

    def test_noEvent(self) -> None:
        """
        A comment and a reconnection time go to all, too.
        """
        channel = self.serve()
        browser = self.connect()
        channel.publish(comment="note")
        channel.publish(retry=1234)
        self.assertEqual(browser.comments, ["", "note"])
        self.assertEqual(browser.retry, 1234)
        self.assertEqual(browser.events, [])
        self.assertEqual(self.streams[0].eventsSent, 0)

    def test_topicsAreNotSent(self) -> None:
        """
        Topics are not on the wire.
        """
        channel = self.serve()
        browser = self.connect(topics=["secret:7"])
        channel.publish("x", topics=["secret:7", "hidden"])
        self.assertEqual(data(browser), ["x"])
        self.assertNotIn("secret", browser.text)
        self.assertNotIn("hidden", browser.text)

    def test_noHistory(self) -> None:
        """
        Without a history an event is sent as it is: without an ID, if it has none.
        """
        channel = self.serve(Channel(None))
        browser = self.connect()
        channel.publish("1")
        channel.publish("2", id="mine")
        self.assertEqual(browser.text, ": \n\ndata: 1\n\nid: mine\ndata: 2\n\n")

    def test_tooLarge(self) -> None:
        """
        An event of 10 MB raises in C{publish}, says why, and nobody else notices.
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
        again = self.connect(browser.events[0].lastEventID)
        self.assertEqual(data(again), ["after"])

    def test_maxEventSize(self) -> None:
        """
        As large as C{maxEventSize} is allowed, counted in bytes as it is sent, and one byte
        more is not.
        """
        size = len(Event("\N{EURO SIGN}" * 10, id="1").encode())
        for history in (None, History()):
            self.serve(Channel(history, maxEventSize=size))
            browser = self.connect()
            self.channel.publish("\N{EURO SIGN}" * 10, id="1")
            self.assertRaises(
                EventTooLarge, self.channel.publish, "\N{EURO SIGN}" * 10 + "x", id="1"
            )
            self.assertEqual(len(browser.events), 1)

    def test_madeIDCounts(self) -> None:
        """
        An ID that is made counts, since it is sent.
        """
        channel = Channel(maxEventSize=len(Event("x" * 50).encode()))
        self.assertRaises(EventTooLarge, channel.publish, "x" * 50)
        self.assertEqual(len(channel.history or ()), 0)

    def test_longestID(self) -> None:
        """
        With a history an ID must be one that a client can come back with; without, it may be
        any.
        """
        channel = self.serve()
        browser = self.connect()
        channel.publish("1", id="\N{EURO SIGN}" * 2730 + "xx")
        error = self.assertRaises(InvalidEvent, channel.publish, "2", id="\N{EURO SIGN}" * 2731)
        self.assertEqual(error.field, "id")
        self.assertIn("8192", str(error))
        channel.publish("3")
        self.assertEqual(data(browser), ["1", "3"])
        again = self.client.get("/", {"Last-Event-ID": browser.events[0].lastEventID})
        self.assertEqual(data(again), ["3"])
        Channel(None).publish("4", id="x" * 10_000)

    def test_thread(self) -> None:
        """
        In another thread it raises, names C{reactor.callFromThread}, and nothing is published.
        """
        channel = self.serve()
        browser = self.connect()
        errors: list[str] = []

        def work() -> None:
            try:
                channel.publish("x")
            except RuntimeError as error:
                errors.append(str(error))

        for ioThread in (threadable.ioThread, None, threading.get_ident()):
            self.patch(threadable, "ioThread", ioThread)
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
        self.assertEqual(len(errors), 3)
        self.assertIn("reactor.callFromThread(channel.publish", errors[0])
        self.assertEqual(len(channel.history or ()), 0)
        self.assertEqual(browser.events, [])

    def test_reactorsThread(self) -> None:
        """
        The right thread is that of the reactor, wherever the channel was made.
        """
        channel = Channel()
        published: list[Event] = []

        def work() -> None:
            self.patch(threadable, "ioThread", threading.get_ident())
            published.append(channel.publish("x"))

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        self.assertEqual(len(published), 1)
        # That was then the reactor's.
        self.assertRaises(RuntimeError, channel.publish, "y")

    def test_nobody(self) -> None:
        """
        When nobody has subscribed nothing waits, and there is no delayed call.
        """
        for history in (None, History()):
            self.serve(Channel(history))
            for _ in range(100):
                self.channel.publish("x")
            self.assertIdle()
            browser = self.connect()
            self.assertEqual(browser.events, [])
            browser.disconnect()
            for _ in range(100):
                self.channel.publish("x")
            self.assertIdle()
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_topicsFromAGenerator(self) -> None:
        """
        Topics may come from a generator, even one that publishes: each event has its own place.
        """
        channel = self.serve()
        browser = self.connect()

        def topics() -> Iterator[str]:
            channel.publish("inner")
            yield "t"

        outer = channel.publish("outer", topics=topics())
        identifiers = [event.lastEventID for event in browser.events]
        self.assertEqual(len(set(identifiers)), 2)
        self.assertEqual(len(channel.history or ()), 2)
        self.assertEqual(outer.id, identifiers[data(browser).index("outer")])


class TurnTests(ChannelTestCase):
    """
    Tests for what is sent when.
    """

    def writes(self) -> list[tuple[int, int]]:
        """
        The writes since the last time: how many events and bytes.
        """
        writes, self.recorder.writes = self.recorder.writes, []
        return [(events, size) for _, events, size in writes]

    def test_nextTurn(self) -> None:
        """
        What is published goes out in the next turn of the reactor, not in this.
        """
        for fast in (False, True):
            if fast:
                self.fastWrites()
            channel = self.serve()
            self.connect()
            self.writes()
            channel.publish("x")
            self.assertEqual(self.writes(), [])
            self.turn()
            self.assertEqual([events for events, _ in self.writes()], [1])

    def test_oneWrite(self) -> None:
        """
        What is published in one turn goes out in one write to each stream, whatever chooses it.
        """
        for fast in (False, True):
            if fast:
                self.fastWrites()
            channel = self.serve()
            browsers = [
                self.connect(),
                self.connect(topics=["t", "u"]),
                self.connect(where=lambda event: True),
                self.connect(topics=["t"], where=lambda event: True),
            ]
            self.writes()
            size = sum(
                len(channel.publish(str(number), topics=["t", "u"]).encode())
                for number in range(20)
            )
            self.clock.settle()
            self.assertEqual(self.writes(), [(20, size)] * 4)
            for browser in browsers:
                self.assertEqual(data(browser), [str(number) for number in range(20)])

    def test_endInTheSameTurn(self) -> None:
        """
        A stream that ends in the turn in which something was published gets it before.
        """
        for options in ({}, {"topics": ["t"]}, {"where": lambda event: True}):
            channel = self.serve()
            browser = self.connect(**options)
            channel.publish("1", topics=["t"])
            channel.publish("2", topics=["t"])
            self.streams[0].end()
            self.assertEqual(data(browser), ["1", "2"])
            self.assertTrue(browser.complete)
            self.assertIdle()

    def test_endAfterJoining(self) -> None:
        """
        One that has subscribed in that turn gets only what was published after.
        """
        for history in (None, History()):
            channel = self.serve(Channel(history))
            witness = self.connect()

            def connected(stream: EventStream) -> None:
                self.channel.publish("before")
                self.channel.subscribe(stream)
                stream.open()
                self.channel.publish("after")
                stream.end()

            browser = self.connect(instead=connected)
            self.assertEqual(data(browser), ["after"])
            self.assertEqual(data(witness), ["before", "after"])
            self.assertTrue(browser.complete)
            self.assertEqual(channel.streams, {self.streams[0]})

    def test_turns(self) -> None:
        """
        What is published in two turns goes out in two writes.
        """
        channel = self.serve()
        self.connect()
        self.writes()
        channel.publish("1")
        self.turn()
        channel.publish("2")
        channel.publish("3")
        self.turn()
        self.assertEqual([events for events, _ in self.writes()], [1, 2])

    def test_moreThanAPiece(self) -> None:
        """
        More than 64 KiB goes out in several writes, in order, and each of at most 64 KiB.
        """
        for options in ({}, {"where": lambda event: True}, {"topics": ["t"]}):
            channel = self.serve()
            browser = self.connect(**options)
            self.writes()
            sent = [f"{number}".ljust(9000, "-") for number in range(30)]
            for each in sent:
                channel.publish(each, topics=["t"])
            self.clock.settle()
            sizes = [size for _, size in self.writes()]
            self.assertGreaterEqual(len(sizes), 5)
            self.assertLess(len(sizes), 10)
            self.assertLessEqual(max(sizes), PIECE)
            self.assertEqual(heads(data(browser)), heads(sent))

    def test_largeAmongSmall(self) -> None:
        """
        An event larger than 64 KiB keeps its place, and arrives whole.
        """
        for fast in (False, True):
            if fast:
                self.fastWrites()
            channel = self.serve()
            browsers = [self.connect(), self.connect(where=lambda event: True)]
            for each in ("a", "b" * 200_000, "c", "d" * 70_000, "e"):
                channel.publish(each)
            for browser in browsers:
                self.assertEqual(data(browser), ["a", "b" * 200_000, "c", "d" * 70_000, "e"], fast)
            self.assertEqual([stream.eventsSent for stream in self.streams], [5, 5])

    def test_encodedOnce(self) -> None:
        """
        An event is encoded once, and framed once, for all streams and for the replay.
        """
        self.fastWrites()
        channel = self.serve()
        for _ in range(20):
            self.connect()
        # Until what went out with the headers has been looked after.
        self.clock.advance(60)
        counts = {"encode": 0, "chunk": 0}
        encode, chunk = Event.encode, fastwrite._chunk

        def countedEncode(event: Event) -> bytes:
            counts["encode"] += 1
            return encode(event)

        def countedChunk(piece: bytes) -> bytes:
            counts["chunk"] += 1
            return chunk(piece)

        self.patch(Event, "encode", countedEncode)
        self.patch(fastwrite, "_chunk", countedChunk)
        first = channel.publish("x")
        self.clock.settle()
        self.assertEqual(counts, {"encode": 1, "chunk": 1})
        channel.publish("y")
        self.clock.settle()
        self.assertEqual(counts, {"encode": 2, "chunk": 2})
        again = [self.connect(first.id or "") for _ in range(5)]
        self.assertEqual(counts["encode"], 2)
        self.assertEqual([data(browser) for browser in again], [["y"]] * 5)

    def test_sharedBytes(self) -> None:
        """
        What waits for streams that do not read is the same bytes for all of them.
        """
        channel = self.serve()
        browsers = [self.connect() for _ in range(10)]
        for browser in browsers:
            browser.stopReading(kernelBuffer=0)
        channel.publish(BIG)
        self.clock.settle()
        for number in range(20):
            channel.publish(str(number))
        self.clock.settle()
        waiting = [stream._pending for stream in self.streams]
        pieces = {
            id(entry.data)
            for pending in waiting
            if pending is not None
            for entry in pending._entries
        }
        self.assertEqual([len(each._entries) for each in waiting if each is not None], [20] * 10)
        self.assertEqual(len(pieces), 20)

    def test_largeIsNotCopied(self) -> None:
        """
        Of an event of 1 MB each slow stream has a copy of 64 KiB, no more, and gets it all when
        it reads.
        """
        for fast, stalledBefore in [(False, False), (True, False), (False, True), (True, True)]:
            if fast:
                self.fastWrites()
            channel = self.serve()
            browsers = [self.connect() for _ in range(40)]
            for browser in browsers:
                browser.stopReading(kernelBuffer=0)
            if stalledBefore:
                channel.publish(BIG)
                self.clock.settle()
            large = "x" * 1_000_000
            channel.publish(large)
            self.clock.advance(5)
            for browser, stream in zip(browsers, self.streams, strict=True):
                self.assertLess(browser._transport._held(), PIECE + 100)
                pending = stream._pending
                assert pending is not None
                if not stalledBefore:
                    assert pending._rest is not None and channel.history is not None
                    entry = channel.history._get(0)
                    assert entry is not None
                    self.assertIs(pending._rest.obj, entry.data)
            for browser in browsers:
                browser.resumeReading()
                self.assertEqual(data(browser)[-1], large)

    def test_interleaved(self) -> None:
        """
        What is published keeps its order with all that is published before and after, to
        streams that stop reading and go on at any time.
        """
        channel = self.serve(maxPending=2**24)
        browsers = [self.connect(), self.connect(where=lambda event: True)]
        sent = []
        for number in range(300):
            if number % 50 == 10:
                browsers[number // 50 % 2].stopReading(kernelBuffer=1000)
            if number % 50 == 40:
                browsers[number // 50 % 2].resumeReading()
            sent.append(f"{number} ".ljust(number * number % 3000, "-"))
            channel.publish(sent[-1])
            if number % 3:
                self.turn()
        for browser in browsers:
            browser.resumeReading()
            self.assertEqual(heads(data(browser)), heads(sent))

    def test_noHeartbeatBetween(self) -> None:
        """
        A stream that is published to gets no heartbeat.
        """
        for fast in (False, True):
            if fast:
                self.fastWrites()
            channel = self.serve(heartbeat=10)
            browser = self.connect()
            for _ in range(20):
                self.clock.advance(4)
                channel.publish("x")
            self.assertEqual(browser.comments, [""])
            self.clock.advance(15)
            self.assertEqual(len(browser.comments), 2)


class DirectTests(ChannelTestCase):
    """
    Tests for what goes straight to a socket.
    """

    def setUp(self) -> None:
        """
        Write as to sockets.
        """
        self.fastWrites()

    def test_equal(self) -> None:
        """
        The bytes are those of the slow path, framed for HTTP/1.1 and not for 1.0, and counted.
        """
        channel = self.serve()
        browsers = [self.connect(version=version) for version in ("HTTP/1.1", "HTTP/1.0")]
        self.patch(twisted_sse.stream.stream, "directTransport", lambda request: None)
        browsers.append(self.connect())
        marks = [browser.text for browser in browsers]
        events = [channel.publish(str(number)) for number in range(5)]
        self.clock.settle()
        expected = b"".join(event.encode() for event in events).decode()
        for browser, mark, stream in zip(browsers, marks, self.streams, strict=True):
            self.assertEqual(browser.text, mark + expected)
            self.assertEqual(stream.eventsSent, 5)
            request = stream.request
            assert request is not None
            # Twisted counts the framing of what goes the slow way.
            self.assertGreaterEqual(request.sentLength, len(browser.body))
        for browser in browsers:
            browser.disconnect()
            self.assertTrue(browser.ended)

    def test_partly(self) -> None:
        """
        What the socket does not take follows in order, and a stall is noticed.
        """
        channel = self.serve(stallTimeout=60)
        browser = self.connect()
        browser.stopReading(kernelBuffer=50)
        for number in range(30):
            channel.publish(str(number))
            self.turn()
        self.assertGreater(browser._transport._held(), 0)
        browser.resumeReading()
        self.assertEqual(data(browser), [str(number) for number in range(30)])
        browser.stopReading(kernelBuffer=5)
        channel.publish("x")
        self.clock.advance(62)
        self.assertIs(self.reason(self.streams[0]), CloseReason.STALLED)

    def test_behindWhatWaits(self) -> None:
        """
        What is published does not overtake what waits: with the stream, or in its transport
        though the socket has room again.
        """
        channel = self.serve()
        browser = self.connect()
        [stream] = self.streams
        stream._cork()
        stream.send("1")
        channel.publish("2")
        self.turn()
        stream._uncork()
        self.assertEqual(data(browser), ["1", "2"])
        browser.stopReading(kernelBuffer=20)
        channel.publish("3" * 100)
        self.turn()
        transport: Any = browser._transport
        transport.kernelBuffer += 30
        self.turn()
        self.assertTrue(transport.dataBuffer)
        self.assertFalse(transport._tempDataBuffer)
        channel.publish("4")
        transport.reading = True
        transport.deliver()
        self.assertEqual(data(browser), ["1", "2", "3" * 100, "4"])

    def test_stallsWithoutHeartbeat(self) -> None:
        """
        That a client takes nothing is noticed without a heartbeat, too.
        """
        channel = self.serve(stallTimeout=60, heartbeat=None)
        browser = self.connect()
        self.clock.advance(100)
        browser.stopReading(kernelBuffer=5)
        channel.publish("x")
        self.clock.advance(61)
        self.assertIs(self.reason(self.streams[0]), CloseReason.STALLED)

    def test_socketError(self) -> None:
        """
        An error of one socket ends that stream only.
        """
        channel = self.serve()
        browsers = [self.connect() for _ in range(3)]

        def lost(*arguments: object) -> int:
            raise ConnectionResetError

        direct: Any = self.streams[1]._direct
        direct.send = lost
        channel.publish("x")
        self.turn()
        browsers[1].disconnect(reset=True)
        self.assertEqual([data(browser) for browser in browsers[::2]], [["x"]] * 2)
        self.assertEqual(channel.streams, set(self.streams[::2]))


class TransportTests(ChannelTestCase):
    """
    Tests for other connections.
    """

    def test_http10(self) -> None:
        """
        A client of HTTP/1.0 gets replay and events like any other.
        """
        channel = self.serve()
        first = channel.publish("0")
        channel.publish("1")
        browser = self.connect(first.id or "", version="HTTP/1.0")
        channel.publish("2")
        self.assertEqual(data(browser), ["1", "2"])
        self.assertNotIn("transfer-encoding", browser.headers)
        channel.close()
        self.assertTrue(browser.complete)

    def test_http2(self) -> None:
        """
        Where the transport never says pause, no more than two pieces are handed over at a time,
        live or replayed.
        """
        self.patch(EventStream, "pauseProducing", lambda stream: None)
        channel = self.serve(maxPending=2**24)
        waiting: list[Deferred[None]] = []

        def connected(stream: EventStream) -> Deferred[None]:
            stream._http2 = True
            request: Any = stream.request
            request.channel.abortConnection = request.transport.abortConnection
            waiting.append(Deferred())
            channel.subscribe(stream)
            return waiting[-1]

        first = channel.publish("first")
        sent = [f"{number} ".ljust(5000, "-") for number in range(200)]
        for each in sent[:100]:
            channel.publish(each)
        browsers = [self.connect(identifier, instead=connected) for identifier in ("", first.id)]
        for browser in browsers:
            browser.stopReading(kernelBuffer=0)
        for each in waiting:
            each.callback(None)
        for each in sent[100:]:
            channel.publish(each)
            self.turn()
        self.clock.advance(3)
        for browser in browsers:
            self.assertLess(browser._transport._held(), 2 * PIECE + 1000)
            browser.resumeReading()
        self.clock.advance(5)
        self.assertEqual(heads(data(browsers[0])), heads(sent[100:]))
        self.assertEqual(heads(data(browsers[1])), heads(sent))

    def test_slim(self) -> None:
        """
        A slim stream resumes like any other, also when its headers go out before.
        """
        channel = self.serve(slim=True)
        first = channel.publish("0")
        channel.publish("1")
        later: Deferred[None] = Deferred()

        async def connected(stream: EventStream) -> None:
            stream.open()
            await later
            channel.subscribe(stream)

        browser = self.connect(first.id or "", instead=connected)
        later.callback(None)
        self.assertEqual(data(browser), ["1"])


class ChoiceTests(ChannelTestCase):
    """
    Tests for topics and C{where}.
    """

    def test_topics(self) -> None:
        """
        Who wants topics gets what is about one of them, once, in order, and nothing else.
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
        Who gets as many events of a turn as somebody else gets nevertheless its own.
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
        C{where} is asked about each event, with the event as it is sent.
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
        With topics and C{where} an event must pass both, and C{where} is asked only about what
        is about the topics.
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
        What is chosen in replay is what would have been chosen live.
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
                str(number), topics=[topic for topic in "abc" if hash((topic, number)) % 2]
            )
        for browser, choice in zip(live, choices, strict=True):
            self.assertEqual(data(self.connect(first.id or "", **choice)), data(browser))

    def test_whereRaises(self) -> None:
        """
        When C{where} raises, that is logged once, that subscriber ends with an error, and the
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
        That C{where} would raise about what was published meanwhile, too, is not logged again.
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
        When C{where} raises about what has to go out before its stream ends, that is an error.
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
        A C{where} that has to be waited for is an error that says so, not a yes.
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
            self.assertIn("where has to know at once", failure.getErrorMessage())

    def test_whereRaisesInReplay(self) -> None:
        """
        When C{where} raises in replay the same happens.
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
        When C{where} raises while the newest events are looked for, the stream ends with an
        error, and is not subscribed.
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
        When C{where} raises before the headers, the answer is a 500.
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
        When the truth of what C{where} returns cannot be told, that is an error of C{where}.
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
        To publish to one of ten thousand topics nobody else is looked at.
        """
        channel = self.serve()
        browsers = [self.connect(topics=[f"user:{number}"]) for number in range(300)]
        looked: list[object] = []
        wants = Subscription.wants

        def counted(subscription: Any, entry: Any) -> bool:
            looked.append(subscription)
            return wants(subscription, entry)

        self.patch(Subscription, "wants", counted)
        self.recorder.writes.clear()
        channel.publish("x", topics=["user:7"])
        self.clock.settle()
        self.assertEqual([stream for stream, _, _ in self.recorder.writes], [self.streams[7]])
        self.assertEqual(looked, [])
        self.assertEqual(data(browsers[7]), ["x"])

    def test_indexIsCleared(self) -> None:
        """
        A topic that nobody wants any more is forgotten.
        """
        channel = self.serve()
        for number in range(50):
            self.connect(topics=[f"user:{number}", "all"]).disconnect()
        self.assertIdle()
        browsers = [self.connect(topics=["a", "b"]), self.connect(topics=["b", "c"])]
        browsers[0].disconnect()
        self.assertEqual(set(channel._topics), {"b", "c"})

    def test_topicsAreRead(self) -> None:
        """
        A list of topics that changes afterwards changes nothing.
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
    Tests for C{subscribe} again, and C{unsubscribe}.
    """

    def test_topics(self) -> None:
        """
        To subscribe again changes the topics; there is one subscription.
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
        self.assertEqual(len(stream._feeds), 1)
        browser.disconnect()
        self.assertIdle()

    def test_nothingTwice(self) -> None:
        """
        To subscribe again loses nothing and repeats nothing that both choices have, at any
        moment.
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
        A stream that is behind goes on from where it is, by the new choice.
        """
        channel = self.serve()
        first = channel.publish("first")
        for number in range(100):
            channel.publish(
                f"{number} ".ljust(1000, "-"), topics=["even" if number % 2 == 0 else "odd"]
            )
        browser = self.connect(first.id or "", topics=["even"])
        self.assertEqual(len(browser.events), 50)
        again = self.connect(
            first.id or "", topics=["even"], instead=lambda stream: channel.subscribe(stream)
        )
        self.assertEqual(len(again.events), 100)

        stalled: list[MemoryStream] = []

        def stall(stream: EventStream) -> None:
            channel.subscribe(stream, topics=["even"])
            stream.open()
            channel.subscribe(stream, topics=["odd"])

        stalled.append(self.connect(first.id or "", instead=stall))
        numbers = [int(each.split()[0]) for each in data(stalled[0])]
        changed = next(index for index, number in enumerate(numbers) if number % 2)
        self.assertTrue(all(number % 2 == 0 for number in numbers[:changed]))
        # All the odd ones follow that come after the last even one.
        self.assertEqual(numbers[changed:], list(range(numbers[changed - 1] + 1, 100, 2)))

    def test_behindAndPublished(self) -> None:
        """
        A stream that is behind, or has subscribed in this turn, and chooses anew gets what is
        published then once, and after what it has missed.
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
            self.assertEqual(len(witness.events), 65)

    def test_beforeTheHeaders(self) -> None:
        """
        When it happens before the headers, a new client gets an ID all the same, and one that
        comes back gets what it has missed.
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
            [event.type for event in self.connect("forged", instead=connected).events],
            ["stream-reset", "message"],
        )
        new = self.connect(instead=connected)
        self.assertNotEqual(lastEventID(new), "")
        new.disconnect()
        channel.publish("3", topics=["b"])
        self.assertEqual(data(self.connect(lastEventID(new), topics=["b"])), ["3"])

    def test_last(self) -> None:
        """
        C{last} is for the beginning: a stream that is subscribed gets nothing again.
        """
        channel = self.serve()
        channel.publish("1")
        browser = self.connect(last=5)
        channel.subscribe(self.streams[0], last=5)
        self.assertEqual(data(browser), ["1"])

    def test_unsubscribe(self) -> None:
        """
        To unsubscribe leaves the stream open, and the channel has nothing of it any more; to do
        it again does nothing.
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
            self.assertEqual(stream._feeds, ())
            channel.unsubscribe(stream)
            channel.publish("2", topics=["a"])
            stream.send("3")
            self.assertEqual(data(browser), ["1", "3"])
            self.assertFalse(stream.closed)
            browser.disconnect()

    def test_unsubscribeBehind(self) -> None:
        """
        A stream that is behind gets no more of what it has missed.
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
        self.assertEqual(len(browser.events), 3)
        self.assertIdle()
        browser.disconnect()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_unsubscribeInTheSameTurn(self) -> None:
        """
        What was published in the same turn before it is not sent after it.
        """
        channel = self.serve()
        browsers = [self.connect(), self.connect()]
        channel.publish("1")
        channel.unsubscribe(self.streams[0])
        self.assertEqual([data(browser) for browser in browsers], [[], ["1"]])

    def test_unsubscribeInARound(self) -> None:
        """
        Who is unsubscribed while the others are served is sent nothing more.
        """
        channel = self.serve()
        first: list[EventStream] = []

        def where(event: Event) -> bool:
            for stream in self.streams[1:]:
                channel.unsubscribe(stream)
            return True

        for options in ({}, {"where": lambda event: True}, {"topics": ["t"]}):
            browsers = [self.connect(where=where), self.connect(**options)]
            channel.publish("x", topics=["t"])
            self.clock.settle()
            self.assertEqual(data(browsers[0]), ["x"])
            # Only if it was served before.
            order = [stream for stream, events, _ in self.recorder.writes if events]
            self.assertEqual(data(browsers[1]), ["x"] if order[0] is self.streams[1] else [])
            first.extend(order)
            for browser in browsers:
                browser.disconnect()
            self.streams.clear()
            self.recorder.writes.clear()

    def test_unknown(self) -> None:
        """
        To unsubscribe what was never subscribed does nothing.
        """
        channel = self.serve()
        self.connect(instead=lambda stream: None)
        channel.unsubscribe(self.streams[0])
        self.assertFalse(self.streams[0].closed)

    def test_fromFinally(self) -> None:
        """
        Code that unsubscribes its stream as it is cancelled by the end of it does no harm.
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
        A stream that subscribes again after it was unsubscribed goes on where it was.
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
        The same when it has got nothing yet, not even the first ID.
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
        self.assertRegex(browser.text, r"\A: \n\nid: [!-~]+\n\n")
        self.assertEqual(data(self.connect(first.id or "", instead=connected)), ["1"])
        self.assertEqual(
            [event.type for event in self.connect("forged", instead=connected).events],
            ["stream-reset", "message", "message"],
        )

    def test_unsubscribeInAFanOut(self) -> None:
        """
        The same when it is unsubscribed before it was served what was published: it gets that
        when it subscribes again.
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
            self.assertEqual({stream.eventsSent for stream in self.streams}, {0, 1})
            for stream in self.streams:
                channel.subscribe(stream)
            self.assertEqual({tuple(data(browser)) for browser in browsers}, {("1", "2", "3")})

    def test_unsubscribeAsksNobody(self) -> None:
        """
        C{where} is not asked any more by its being unsubscribed.
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


class SliceTests(ChannelTestCase):
    """
    Tests for many streams: nobody holds the reactor for long.
    """

    #: How long a write takes, in seconds.
    COST = 0.0005

    def many(self, number: int = 300, **options: Any) -> list[MemoryStream]:
        """
        Connect many, to whom writing takes time.
        """
        self.serve()
        browsers = [self.connect(**options) for _ in range(number)]
        self.recorder.cost = self.COST
        self.recorder.writes.clear()
        return browsers

    def longest(self, between: Callable[[int], object] = lambda turn: None) -> tuple[float, int]:
        """
        Make turns until all is sent.

        @param between: what to do between two of them; it is told which number it is.
        @return: the longest of them, in seconds, and how many sent something.
        """
        longest, turns, sending = 0.0, 0, 0
        while self.channel._turn is not None:
            self.assertLess(turns, 500, "it never ends")
            before, writes = self.clock.rightNow, len(self.recorder.writes)
            self.turn()
            longest = max(longest, self.clock.rightNow - before)
            sending += len(self.recorder.writes) > writes
            turns += 1
            self.recorder.cost = 0
            between(turns)
            self.recorder.cost = self.COST
        self.recorder.cost = 0
        return longest, sending

    def test_slices(self) -> None:
        """
        A round that takes 150 ms is cut into slices of 20 ms, and everybody gets everything.
        """
        for options in ({}, {"topics": ["t"]}, {"where": lambda event: True}):
            browsers = self.many(**options)
            self.channel.publish("x", topics=["t"])
            longest, turns = self.longest()
            self.assertLessEqual(longest, SLICE + ROUND * self.COST)
            self.assertTrue(5 <= turns <= 10, turns)
            self.assertEqual({tuple(data(browser)) for browser in browsers}, {("x",)})

    def test_chosenApart(self) -> None:
        """
        Between those who choose for themselves it is looked at the time each time.
        """
        self.many(100, where=lambda event: True)
        self.channel.publish("x")
        longest, _ = self.longest()
        self.assertLess(longest, SLICE + 2 * self.COST)

    def test_othersBetween(self) -> None:
        """
        Between two slices it is the others' turn: a slice ends with the turn of the reactor.
        """
        self.many()
        self.channel.publish("x")
        others: list[int] = []

        def other() -> None:
            others.append(len(self.recorder.writes))
            self.clock.callLater(0, other)

        other()
        self.longest()
        self.assertGreater(len(set(others)), 4)
        [call] = [call for call in self.clock.getDelayedCalls() if call.func is other]
        call.cancel()

    def test_order(self) -> None:
        """
        What is published between two slices goes out after, in order for each stream.
        """
        browsers = self.many()
        sent = ["0"]

        def publish(turn: int) -> None:
            if turn < 20:
                sent.append(str(turn))
                self.channel.publish(sent[-1])

        self.channel.publish("0")
        longest, _ = self.longest(publish)
        self.assertLessEqual(longest, SLICE + ROUND * self.COST)
        self.assertEqual({tuple(data(browser)) for browser in browsers}, {tuple(sent)})

    def test_severalPieces(self) -> None:
        """
        When more than 64 KiB goes to each, in several rounds, it is sliced too, in order.
        """
        browsers = self.many(100)
        sent = [f"{number}".ljust(30_000, "-") for number in range(7)]
        for each in sent:
            self.channel.publish(each)
        longest, turns = self.longest()
        self.assertLessEqual(longest, SLICE + ROUND * self.COST)
        self.assertGreaterEqual(turns, 5)
        for browser in browsers:
            self.assertEqual(heads(data(browser)), heads(sent))

    def test_ending(self) -> None:
        """
        Streams that end between two slices, served or not, disturb nobody, and what they have
        got has no gap.
        """
        browsers = self.many()
        others = set(range(300))

        def gone(browser: MemoryStream, stream: EventStream) -> None:
            browser._transport.connectionLost(Failure(ConnectionDone()))

        def end(turn: int) -> None:
            if turn > 20:
                return
            self.channel.publish(str(turn))
            for number, act in [
                (turn * 5, gone),
                (299 - turn * 5, gone),
                (turn * 5 + 1, lambda browser, stream: stream.end()),
                (299 - turn * 5 - 1, lambda browser, stream: stream.end()),
                (turn * 5 + 2, lambda browser, stream: stream.abort()),
                (299 - turn * 5 - 2, lambda browser, stream: stream.abort()),
                (turn * 5 + 3, lambda browser, stream: self.channel.unsubscribe(stream)),
                (299 - turn * 5 - 3, lambda browser, stream: self.channel.unsubscribe(stream)),
            ]:
                act(browsers[number], self.streams[number])
                others.discard(number)

        self.channel.publish("0")
        self.longest(end)
        received = {tuple(data(browsers[number])) for number in others}
        self.assertEqual(received, {tuple(str(turn) for turn in range(21))})
        for number in set(range(300)) - others:
            got = data(browsers[number])
            self.assertEqual(got, [str(turn) for turn in range(len(got))])

    def test_endGetsWhatWasPublished(self) -> None:
        """
        A stream that ends between two slices gets what was published before, served or not:
        all of it, in order.
        """
        for options in ({}, {"topics": ["t"]}, {"where": lambda event: True}):
            browsers = self.many(200, **options)
            self.channel.publish("1", topics=["t"])
            self.channel.publish("2", topics=["t"])
            self.turn()
            self.channel.publish("3", topics=["t"])
            for stream in self.streams:
                stream.end()
            self.longest()
            self.clock.advance(1)
            self.assertEqual({tuple(data(browser)) for browser in browsers}, {("1", "2", "3")})
            self.assertTrue(all(browser.complete for browser in browsers))
            self.assertIdle()

    def test_endBetweenPieces(self) -> None:
        """
        The same when one round is more than a connection takes at a time.
        """
        sent = [str(number).ljust(30_000, "-") for number in range(10)]
        for options in ({}, {"topics": ["t"]}, {"where": lambda event: True}):
            [browser] = self.many(1, **options)
            self.recorder.cost = 0
            for each in sent:
                self.channel.publish(each, topics=["t"])
            self.turn()
            self.channel.publish("end", topics=["t"])
            self.streams[0].end()
            self.clock.advance(1)
            self.assertEqual(heads(data(browser)), heads([*sent, "end"]))
            self.assertTrue(browser.complete)

    def test_endAfterOthers(self) -> None:
        """
        The same when they end one after the other, each when it was served a part.
        """
        sent = [str(number).ljust(30_000, "-") for number in range(10)]
        for options in ({}, {"topics": ["t"]}, {"where": lambda event: True}):
            browsers = self.many(5, **options)
            self.recorder.cost = SLICE
            for each in sent:
                self.channel.publish(each, topics=["t"])
            for stream in self.streams:
                self.turn()
                self.recorder.cost = 0
                stream.end()
                self.recorder.cost = SLICE
            self.recorder.cost = 0
            self.clock.advance(1)
            for browser in browsers:
                self.assertEqual(heads(data(browser)), heads(sent))
                self.assertTrue(browser.complete)
            self.assertIdle()

    def test_joining(self) -> None:
        """
        Streams that come between two slices get what is published from then on, or what they
        have missed, no more and no less.
        """
        self.many()
        first = self.channel.publish("0")
        joined: list[tuple[MemoryStream, list[str]]] = []
        published = [("0", False)]

        def publish(topics: list[str]) -> None:
            published.append((str(len(published)), bool(topics)))
            self.channel.publish(published[-1][0], topics=topics)
            for _, expected in joined:
                if topics or expected[:1] != ["topics"]:
                    expected.append(published[-1][0])

        def join(turn: int) -> None:
            if turn > 20:
                return
            publish([])
            choice: dict[str, Any] = [{}, {"where": lambda event: True}, {"topics": ["t"]}][
                turn % 3
            ]
            expected = ["topics" if "topics" in choice else "all"]
            joined.append((self._connectQuietly(**choice), expected))
            missed = ["all", *(text for text, _ in published[1:])]
            joined.append((self._connectQuietly(first.id or ""), missed))
            publish(["t"])

        self.longest(join)
        self.clock.advance(1)
        self.assertEqual(len(joined), 40)
        for number, (browser, expected) in enumerate(joined):
            self.assertEqual(data(browser), expected[1:], number)

    def _connectQuietly(self, lastEventID: str = "", **options: Any) -> MemoryStream:
        """
        Connect without making turns of the reactor.
        """
        settle = self.clock.settle
        self.clock.settle = lambda: None  # type: ignore[method-assign]
        try:
            return self.connect(lastEventID, **options)
        finally:
            self.clock.settle = settle  # type: ignore[method-assign]

    def test_changing(self) -> None:
        """
        Streams that subscribe again between two slices lose nothing and get nothing twice.
        """
        browsers = self.many()
        self.channel.publish("0", topics=["t"])
        sent = 1

        def change(turn: int) -> None:
            nonlocal sent
            if turn < 15:
                for stream in self.streams[turn::10]:
                    if turn % 2:
                        self.channel.subscribe(stream, topics=["t"])
                    else:
                        self.channel.subscribe(stream, where=lambda event: True)
                self.channel.publish(str(sent), topics=["t"])
                sent += 1

        self.longest(change)
        expected = tuple(str(each) for each in range(sent))
        self.assertEqual({tuple(data(browser)) for browser in browsers}, {expected})

    def test_close(self) -> None:
        """
        To close between two slices lets what was published go out first, then ends all of them,
        in slices.
        """
        browsers = self.many()
        self.channel.publish("x")
        self.turn()
        self.channel.publish("y")
        self.channel.close()
        self.assertRaises(RuntimeError, self.channel.publish, "z")
        longest, _ = self.longest()
        self.assertLessEqual(longest, SLICE + ROUND * self.COST)
        self.clock.advance(1)
        for browser in browsers:
            self.assertEqual(data(browser), ["x", "y"])
            self.assertTrue(browser.complete)
        self.assertIdle()

    def test_closeInSlices(self) -> None:
        """
        The streams are ended in slices, too.
        """

        class SlowEnd(MemoryClock):
            def seconds(self) -> float:
                self.rightNow += cost
                return super().seconds()

        cost = 0.0
        self.serve(clock=SlowEnd())
        browsers = [self.connect() for _ in range(100)]
        cost = SLICE / 10
        self.channel.close()
        ended = sum(stream.closed for stream in self.streams)
        self.assertLess(ended, 30)
        cost = 0
        self.clock.advance(1)
        self.assertTrue(all(browser.complete for browser in browsers))

    def test_everybodyLeaves(self) -> None:
        """
        When all leave between two slices nothing is left, and the next who comes is served.
        """
        browsers = self.many()
        self.channel.publish("x")
        self.turn()
        self.recorder.cost = 0
        for browser in browsers:
            browser.disconnect()
        self.clock.advance(1)
        self.assertIdle()
        newcomer = self.connect()
        self.channel.publish("y")
        self.assertEqual(data(newcomer), ["y"])

    def test_everybodyLeavesAnotherClockComes(self) -> None:
        """
        When all leave between two slices and who comes then goes by another clock, it is served
        by that.
        """
        browsers = self.many()
        self.channel.publish("x")
        self.turn()
        for stream in self.streams:
            stream.abort()
        other = MemoryClient(EventStreamResource(self.channel.subscribe))
        newcomer = other.get()
        self.channel.publish("y")
        self.assertEqual(data(newcomer), ["y"])
        self.assertEqual(self.channel._fresh, [])
        self.recorder.cost = 0
        self.assertTrue(all(browser.ended for browser in browsers))


class CallbackTests(ChannelTestCase):
    """
    Tests for code that is called in the middle of things, and publishes.
    """

    def test_where(self) -> None:
        """
        What C{where} publishes goes out after, to all.
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
        What C{where} publishes in replay comes after what is replayed.
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
        When C{where} publishes so much that what is being replayed is dropped, the client is
        told so, and gets what is kept.
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
        self.assertEqual(data(browser), ["1", "2", "", *(str(number) for number in range(20, 30))])
        self.assertEqual(browser.events[2].type, "stream-reset")

    def test_whereEnds(self) -> None:
        """
        A C{where} that ends its stream, or another's, or unsubscribes them, live or in replay,
        disturbs nobody.
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
        A C{where} that subscribes its stream again in replay loses nothing.
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
        What an observer publishes, whatever it was told, goes out once, after.
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
        An observer that ends or unsubscribes every stream it is told of leaves nothing, whatever
        it is told.
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
        When an observer, told of the first write, ends or unsubscribes all, those who end get
        all that was published, and those who are unsubscribed nothing more.
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
        A stream that ends as it is sent the first of what was published gets the rest.
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
        A stream that ends as the first piece of a large event is sent takes nothing more, and
        the others get it all.
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
        A stream that its own C{where} ends has no gap in what it has got.
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
        An observer that raises is logged, and harmless.
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
            [data(browser) for browser in browsers], [["2"], ["1", "2"], ["", "0", "1", "2"]]
        )
        self.assertGreater(len(self.flushLoggedErrors(ZeroDivisionError)), 5)

    def test_whenClosed(self) -> None:
        """
        What is published as a stream is closed goes to the others.
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
        What C{connected} publishes before it subscribes is not for the new client, what it
        publishes after is.
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
        A generator of events may publish.
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
        What is published while a resource is being drained does no harm, and goes to the streams
        of another.
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


class FreshTests(ChannelTestCase):
    """
    Tests for what is published while nobody listens, and more is to be sent.
    """

    def test_leavesAndComesBack(self) -> None:
        """
        Who leaves and comes back in the middle of sending gets everything once.
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
        An observer that publishes when it is told of a reset, into a history that is full, breaks
        nothing.
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


class CloseTests(ChannelTestCase):
    """
    Tests for C{close}.
    """

    def test_close(self) -> None:
        """
        What was published goes out, then the streams end as they should.
        """
        channel = self.serve()
        browsers = [
            self.connect(),
            self.connect(topics=["t"]),
            self.connect(where=lambda event: True),
        ]
        channel.publish("bye", topics=["t"])
        channel.close()
        self.assertIs(channel.closed, True)
        for browser, stream in zip(browsers, self.streams, strict=True):
            self.assertEqual(data(browser), ["bye"])
            self.assertTrue(browser.complete)
            self.assertIs(self.reason(stream), CloseReason.ENDED)
        self.assertIdle()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_nothingPublished(self) -> None:
        """
        When nothing was published they end at once.
        """
        channel = self.serve()
        browser = self.connect()
        channel.close()
        self.assertTrue(browser.complete)
        self.assertIdle()

    def test_twice(self) -> None:
        """
        To close again, at any time, does nothing.
        """
        channel = self.serve()
        browser = self.connect()
        channel.publish("bye")
        channel.close()
        channel.close()
        self.assertEqual(data(browser), ["bye"])
        channel.close()
        self.assertTrue(browser.complete)

    def test_unused(self) -> None:
        """
        A channel that nobody has used can be closed.
        """
        for channel in (Channel(), Channel(None), Channel(reactor=Clock())):
            channel.publish("x")
            channel.close()
            self.assertIdle(channel)

    def test_publish(self) -> None:
        """
        To publish on a closed channel raises, and is told nobody.
        """
        channel = self.serve(Channel(name="news"))
        channel.close()
        error = self.assertRaises(RuntimeError, channel.publish, "x")
        self.assertIn("'news'", str(error))
        self.assertIn("closed", str(error))
        self.assertEqual(len(channel.history or ()), 0)

    def test_subscribe(self) -> None:
        """
        A stream that subscribes to a closed channel gets what it has missed, as it should, and
        ends.
        """
        channel = self.serve()
        first = channel.publish("0")
        sent = [str(number).ljust(4000, "-") for number in range(20)]
        for each in sent:
            channel.publish(each)
        channel.close()
        for arguments, expected in [
            ({}, []),
            ({"lastEventID": first.id}, sent),
            ({"lastEventID": first.id, "topics": ["t"]}, []),
            ({"last": 3}, sent[-3:]),
            ({"lastEventID": "forged"}, ["", "0", *sent]),
        ]:
            options: dict[str, Any] = arguments
            browser = self.connect(**options)
            self.assertEqual(browser.status, 200)
            self.assertEqual(heads(data(browser)), heads(expected))
            self.assertTrue(browser.complete)
        self.assertIdle()
        none = self.serve(Channel(None))
        none.close()
        self.assertTrue(self.connect().complete)
        self.assertEqual([event.type for event in self.connect("x").events], ["stream-reset"])
        self.assertIdle()

    def test_age(self) -> None:
        """
        Who subscribes to a closed channel gets nothing that is too old, and leaves no delayed
        call.
        """
        channel = self.serve(Channel(History(maxAge=10)))
        self.connect()
        first = channel.publish("0")
        self.clock.advance(5)
        second = channel.publish("1")
        channel.publish("2")
        channel.close()
        self.clock.advance(4)
        self.assertEqual(data(self.connect(first.id or "")), ["1", "2"])
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.clock.advance(3)
        self.assertEqual(data(self.connect(first.id or "")), ["", "1", "2"])
        self.assertEqual(data(self.connect(second.id or "")), ["2"])
        self.clock.advance(5)
        self.assertEqual([e.type for e in self.connect(second.id or "").events], ["stream-reset"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_subscribeWhileClosing(self) -> None:
        """
        The same while what was published before is still going out.
        """
        channel = self.serve()
        browser = self.connect()
        self.connect(instead=lambda stream: None)
        channel.publish("bye")
        channel.close()
        channel.subscribe(self.streams[1])
        channel.subscribe(self.streams[0], topics=["other"])
        self.clock.settle()
        self.assertTrue(browser.complete)
        self.assertTrue(self.streams[1].closed)
        self.assertIdle()

    def test_slowReader(self) -> None:
        """
        A client that does not read gets all when it reads, and is closed then.
        """
        channel = self.serve()
        browser = self.connect()
        browser.stopReading(kernelBuffer=0)
        channel.publish(BIG)
        channel.publish("bye")
        channel.close()
        self.clock.advance(1)
        self.assertFalse(self.streams[0].closed)
        self.assertIdle()
        browser.resumeReading()
        self.clock.advance(1)
        self.assertEqual(data(browser), [BIG, "bye"])
        self.assertTrue(browser.complete)

    def test_behind(self) -> None:
        """
        A client that is still being sent what it has missed gets all of it.
        """
        channel = self.serve()
        first = channel.publish("first")
        sent = [str(number).ljust(4000, "-") for number in range(60)]
        for each in sent:
            channel.publish(each)
        slow, fast = self.connect(first.id or ""), self.connect(first.id or "")
        del slow, fast
        self.streams.clear()
        browsers: list[MemoryStream] = []
        for reads in (True, False):

            def connected(stream: EventStream) -> None:
                channel.subscribe(stream)
                stream.whenWritable()

            settle = self.clock.settle
            self.clock.settle = lambda: None  # type: ignore[method-assign]
            browsers.append(self.connect(first.id or "", instead=connected))
            if not reads:
                browsers[-1].stopReading(kernelBuffer=0)
            self.clock.settle = settle  # type: ignore[method-assign]
        channel.close()
        self.clock.advance(1)
        browsers[1].resumeReading()
        self.clock.advance(1)
        for browser in browsers:
            self.assertEqual(heads(data(browser)), heads(sent))
            self.assertTrue(browser.complete)
        self.assertIdle()

    def test_fromCallbacks(self) -> None:
        """
        To close in the middle of sending, from whatever is called there, lets everybody have
        what was published before.
        """

        def whereCloses(event: Event) -> bool:
            self.channel.close()
            return True

        def observerCloses(what: str, *news: object) -> None:
            if what == "sent" and news[1]:
                self.channel.close()

        for where, act in [(whereCloses, None), (None, observerCloses)]:
            channel = self.serve()
            browsers = [
                self.connect(where=where),
                self.connect(),
                self.connect(where=lambda event: True),
                self.connect(topics=["t"]),
            ]
            if act is not None:
                self.recorder.act = act
            channel.publish("1", topics=["t"])
            channel.publish("2", topics=["t"])
            for browser in browsers:
                self.assertEqual(data(browser), ["1", "2"])
                self.assertTrue(browser.complete)
            self.assertIdle()

    def test_fromEnd(self) -> None:
        """
        To close as a stream is closed ends the others.
        """
        channel = self.serve()
        browsers = [self.connect() for _ in range(3)]
        self.streams[0].whenClosed().addCallback(lambda reason: channel.close())
        browsers[0].disconnect()
        self.assertTrue(all(browser.ended for browser in browsers))
        self.assertIdle()

    def test_historyStays(self) -> None:
        """
        The history of a closed channel can still be looked at.
        """
        channel = self.serve()
        channel.publish("x")
        channel.close()
        self.assertEqual(len(channel.history or ()), 1)


class SeveralTests(ChannelTestCase):
    """
    Tests for several channels, resources and clocks.
    """

    def test_channelsOnOneStream(self) -> None:
        """
        A stream may have several channels: it gets the events of all, and leaves all.
        """
        one = self.serve(Channel(None))
        two, three = Channel(None), Channel(None)

        def connected(stream: EventStream) -> None:
            for channel in (one, two, three):
                channel.subscribe(stream)

        browser = self.connect(instead=connected)
        for number in range(3):
            for name, channel in (("one", one), ("two", two), ("three", three)):
                channel.publish(f"{name} {number}")
        self.assertEqual(len(data(browser)), 9)
        for name in ("one", "two", "three"):
            self.assertEqual(
                [each for each in data(browser) if each.startswith(name)],
                [f"{name} {number}" for number in range(3)],
            )
        two.unsubscribe(self.streams[0])
        two.publish("not this")
        three.publish("this")
        self.assertEqual(data(browser)[-1], "this")
        self.assertEqual(len(browser.events), 10)
        browser.disconnect()
        for channel in (one, two, three):
            self.assertIdle(channel)

    def test_channelsWithHistories(self) -> None:
        """
        A stream that comes back resumes the channel whose event it has seen last, and is told
        that the others cannot be resumed.
        """
        one = self.serve(Channel(resetEvent="one-reset"))
        two = Channel(resetEvent="two-reset")

        def connected(stream: EventStream) -> None:
            one.subscribe(stream)
            two.subscribe(stream)

        browser = self.connect(instead=connected)
        one.publish("1")
        self.clock.settle()
        two.publish("2")
        self.assertEqual(data(browser), ["1", "2"])
        browser.disconnect()
        one.publish("3")
        two.publish("4")
        again = self.connect(lastEventID(browser), instead=connected)
        self.assertEqual(
            sorted((event.type, event.data) for event in again.events),
            [("message", "1"), ("message", "3"), ("message", "4"), ("one-reset", "")],
        )

    def test_severalHistoriesAreWarnedOf(self) -> None:
        """
        Of a stream with several channels that have histories the log warns; of one with
        channels that have none not.
        """
        self.assertWarned([Channel(), Channel()], True)
        self.assertWarned([Channel(None), Channel(None)], False)
        self.assertWarned([Channel()], False)

    def assertWarned(self, channels: list[Channel], warned: bool) -> None:
        """
        Subscribe a stream to channels, and see whether the log warns.
        """

        def connected(stream: EventStream) -> None:
            for channel in channels:
                channel.subscribe(stream)

        self.serve(channels[0])
        logged: list[Any]
        with capturedLogs() as logged:
            self.connect(instead=connected)
        warnings = [event for event in logged if event["log_level"].name == "warn"]
        self.assertEqual(bool(warnings), warned)

    def test_replaysOnOneStream(self) -> None:
        """
        Two long replays on one stream both come to their end, each in order.
        """
        one = self.serve(Channel())
        two = Channel()
        sent = [str(number).ljust(3000, "-") for number in range(100)]
        for each in sent:
            one.publish("1:" + each)
            two.publish("2:" + each)

        def connected(stream: EventStream) -> None:
            one.subscribe(stream, last=100)
            two.subscribe(stream, last=100)

        browser = self.connect(instead=connected)
        browser.stopReading(kernelBuffer=0)
        self.clock.advance(1)
        browser.resumeReading()
        one.publish("1:end")
        two.publish("2:end")
        self.clock.advance(1)
        for prefix in ("1:", "2:"):
            received = [each for each in data(browser) if each.startswith(prefix)]
            self.assertEqual(received, [prefix + each for each in [*sent, "end"]])

    def test_resources(self) -> None:
        """
        Streams of several resources may have one channel.
        """
        channel = self.serve()
        browser = self.connect()
        clients = [
            MemoryClient(EventStreamResource(channel.subscribe, heartbeat=beat), clock=self.clock)
            for beat in (None, 5)
        ]
        others = [client.get() for client in clients]
        channel.publish("x")
        for each in (browser, *others):
            self.assertEqual(data(each), ["x"])
        self.assertEqual(len(channel.streams), 3)
        others[0].disconnect()
        channel.publish("y")
        self.assertEqual(data(browser), ["x", "y"])
        self.assertEqual(data(others[1]), ["x", "y"])

    def test_clocks(self) -> None:
        """
        Streams may go by different clocks: when all of them go on, everybody gets everything.
        """
        channel = self.serve(Channel())
        clients = [MemoryClient(EventStreamResource(channel.subscribe)) for _ in range(3)]
        browsers = [client.get() for client in clients]

        def advance() -> None:
            for client in clients:
                client.clock.advance(0.1)

        channel.publish("1")
        advance()
        browsers[0].disconnect()
        channel.publish("2")
        advance()
        browsers[0] = clients[0].get("/", {"Last-Event-ID": browsers[0].events[-1].lastEventID})
        channel.publish("3")
        advance()
        for browser in browsers:
            browser.disconnect()
        channel.publish("4")
        again = clients[2].get("/", {"Last-Event-ID": browsers[2].events[-1].lastEventID})
        channel.publish("5")
        self.assertEqual(
            [data(browser) for browser in browsers], [["2", "3"], ["1", "2", "3"], ["1", "2", "3"]]
        )
        self.assertEqual(data(again), ["4", "5"])
        again.disconnect()
        self.assertIdle()

    def test_firstClock(self) -> None:
        """
        A channel goes by the clock of who has come first, as long as somebody is there.
        """
        channel = self.serve(Channel())
        first, second = (MemoryClient(EventStreamResource(channel.subscribe)) for _ in range(2))
        browsers = [first.get(), second.get()]
        channel.publish("1")
        self.assertEqual(data(browsers[0]), ["1"])
        self.assertEqual(data(browsers[1]), ["1"])

    def test_clockOfItsOwn(self) -> None:
        """
        A channel that was given a clock goes by that, whoever subscribes.
        """
        own = MemoryClock()
        channel = self.serve(Channel(reactor=own))
        browser = self.connect()
        channel.publish("x")
        self.assertEqual(data(browser), [])
        own.advance(0)
        self.assertEqual(data(browser), ["x"])

    def test_newClient(self) -> None:
        """
        A channel that has gone by one client's clock goes by that of the next when the first
        has gone.
        """
        channel = self.serve(Channel(History(maxAge=100)))
        for _ in range(3):
            client = MemoryClient(EventStreamResource(channel.subscribe))
            browser = client.get()
            channel.publish("x")
            self.assertEqual(data(browser), ["x"])
            browser.disconnect()
            self.assertIdle()

    def test_ageMoves(self) -> None:
        """
        What is kept keeps its age when the channel goes by another clock.
        """
        now = 5000.0
        self.patch(time, "monotonic", lambda: now)
        channel = self.serve(Channel(History(maxAge=10)))
        channel.publish("1")
        now += 4
        channel.publish("2")
        now += 2
        self.clock.rightNow = 77.0
        browser = self.connect(last=10)
        self.assertEqual(data(browser), ["1", "2"])
        browser.disconnect()
        self.clock.advance(3.9)
        self.assertEqual(len(channel.history or ()), 2)
        self.clock.advance(0.2)
        self.assertEqual(len(channel.history or ()), 1)
        other = MemoryClient(EventStreamResource(channel.subscribe))
        other.get().disconnect()
        other.clock.advance(3.8)
        self.assertEqual(len(channel.history or ()), 1)
        other.clock.advance(0.2)
        self.assertEqual(len(channel.history or ()), 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(other.clock.getDelayedCalls(), [])

    def test_ageAtTheFirstStream(self) -> None:
        """
        What is too old when the first stream comes is not sent to it.
        """
        now = 5000.0
        self.patch(time, "monotonic", lambda: now)
        channel = self.serve(Channel(History(maxAge=10)))
        first = channel.publish("1")
        now += 20
        self.assertEqual(data(self.connect(last=10)), [])
        self.assertEqual(
            [event.type for event in self.connect(first.id or "").events], ["stream-reset"]
        )


class AgeTests(ChannelTestCase):
    """
    Tests for the time that a real reactor has.
    """

    def realClock(self) -> MemoryClock:
        """
        Make a clock that is one of a reactor, and can be set back.
        """
        clock = MemoryClock()
        clock.rightNow = 1e9
        alsoProvides(clock, IReactorCore)
        self.now = 5.0
        self.patch(time, "monotonic", lambda: self.now)
        return clock

    def test_setBack(self) -> None:
        """
        When the clock is set back, what is too old goes nevertheless.
        """
        channel = self.serve(Channel(History(maxAge=10)), clock=self.realClock())
        browser = self.connect()
        first = channel.publish("1")
        self.clock.settle()
        self.clock.rightNow -= 3600
        self.now += 8
        second = channel.publish("2")
        self.assertEqual(len(channel.history or ()), 2)
        self.now += 5
        channel.publish("3")
        self.assertEqual(len(channel.history or ()), 2)
        self.assertEqual(data(browser), ["1", "2", "3"])
        self.assertEqual(data(self.connect(second.id or "")), ["3"])
        reset = self.connect(first.id or "")
        self.assertEqual([event.type for event in reset.events][:1], ["stream-reset"])
        self.assertEqual(data(reset)[1:], ["2", "3"])

    def test_setForward(self) -> None:
        """
        When it is set forward, nothing goes too early, and there is no call after call.
        """
        channel = self.serve(Channel(History(maxAge=10)), clock=self.realClock())
        self.connect()
        channel.publish("1")
        self.clock.settle()
        self.clock.rightNow += 3600
        turns = 0
        while self.clock._turn():
            turns += 1
            self.assertLess(turns, 50)
        self.assertEqual(len(channel.history or ()), 1)
        self.now += 10
        self.clock.advance(10)
        self.assertEqual(len(channel.history or ()), 0)

    def test_slice(self) -> None:
        """
        How long the reactor is held is measured by what nobody sets back.
        """
        channel = self.serve(Channel(), clock=self.realClock())
        browsers = [self.connect(where=lambda event: True) for _ in range(20)]
        served: list[object] = []

        def act(what: str, stream: EventStream, events: int, size: int) -> None:
            if events:
                served.append(stream)
                self.now += SLICE / 4
                self.clock.rightNow -= 3600

        channel.publish("x")
        self.recorder.act = act
        self.turn()
        self.assertEqual(len(served), 4)
        self.recorder.act = lambda *news: None
        self.clock.rightNow = 2e9
        self.assertTrue(all(data(browser) == ["x"] for browser in browsers))


class ObserverTests(ChannelTestCase):
    """
    Tests for what the observers are told.
    """

    def test_published(self) -> None:
        """
        Each event that was published is told, with its ID and its size.
        """
        channel = self.serve()
        events = [channel.publish("1"), channel.publish("2", topics=["t"])]
        self.assertEqual(
            self.told("published"),
            [("published", channel, event, len(event.encode())) for event in events],
        )

    def test_delivered(self) -> None:
        """
        Each round is told once, with its events, the streams that got something, and its time.
        """
        channel = self.serve()
        for options in ({}, {}, {"topics": ["t"]}, {"topics": ["u"]}):
            self.connect(**options)
        self.connect(where=lambda event: event.data == "1")
        self.connect(where=lambda event: False)
        channel.publish("1", topics=["t"])
        channel.publish("2", topics=["t"])
        self.clock.rightNow += 0.25
        self.clock.settle()
        self.assertEqual(self.told("delivered"), [("delivered", channel, 2, 4, 0.25)])
        channel.publish("3")
        self.clock.settle()
        self.assertEqual(self.told("delivered")[1:], [("delivered", channel, 1, 2, 0.0)])

    def test_deliveredInSlices(self) -> None:
        """
        A round that is cut into slices is told at its end, with all of its time.
        """
        channel = self.serve()
        for _ in range(100):
            self.connect()
        self.recorder.cost = 0.001
        channel.publish("x")
        self.clock.settle()
        [(_, _, events, streams, seconds)] = self.told("delivered")
        self.assertEqual((events, streams), (1, 100))
        self.assertAlmostEqual(float(str(seconds)), 0.1)

    def test_nobody(self) -> None:
        """
        When nobody has subscribed nothing is delivered.
        """
        channel = self.serve()
        channel.publish("x")
        self.connect().disconnect()
        channel.publish("x")
        self.clock.settle()
        self.assertEqual(self.told("delivered"), [])
        self.assertEqual(len(self.told("published")), 2)

    def test_replayed(self) -> None:
        """
        What is replayed is told, piece by piece, and adds up.
        """
        channel = self.serve()
        first = channel.publish("0")
        for number in range(1, 51):
            channel.publish(str(number).ljust(2000, "-"))
        self.connect(first.id or "")
        counts = [int(str(news[2])) for news in self.told("replayed")]
        self.assertEqual(sum(counts), 50)
        self.assertGreater(len(counts), 5)
        self.recorder.told.clear()
        self.connect()
        self.assertEqual(self.told("replayed", "reset"), [])

    def test_reset(self) -> None:
        """
        A reset is told once, also when the client is not.
        """
        for options in ({}, {"resetEvent": None}, {"history": None}):
            self.serve(Channel(**options))
            self.connect("forged")
            self.assertEqual(self.told("reset"), [("reset", self.streams[0])])
            self.connect()
            self.assertEqual(len(self.told("reset")), 1)


class SlowReaderTests(ChannelTestCase):
    """
    Tests for clients that do not read what is published.
    """

    def test_disconnect(self) -> None:
        """
        Who is too slow is disconnected, and has lost nothing when it comes back.
        """
        channel = self.serve(maxPending=50_000)
        browser, witness = self.connect(), self.connect()
        browser.stopReading(kernelBuffer=30_000)
        sent = [str(number).ljust(2000, "-") for number in range(200)]
        for each in sent:
            channel.publish(each)
            self.turn()
        self.assertIs(self.reason(self.streams[0]), CloseReason.SLOW)
        browser.resumeReading()
        received = data(browser)
        self.assertLess(len(received), 100)
        again = self.connect(lastEventID(browser))
        self.assertEqual(heads(received + data(again)), heads(sent))
        self.assertEqual(heads(data(witness)), heads(sent))

    def test_dropOldest(self) -> None:
        """
        Where the oldest are dropped, the client is told how many, in the place where they are
        missing.
        """
        channel = self.serve(maxPending=1000, slow=SlowReader.DROP_OLDEST)
        browser = self.connect()
        browser.stopReading(kernelBuffer=0)
        channel.publish(BIG)
        self.clock.settle()
        for number in range(100):
            channel.publish(str(number))
            self.turn()
        browser.resumeReading()
        self.assertEqual(browser.events[0].data, BIG)
        self.assertEqual(browser.events[1].type, "stream-gap")
        dropped = int(browser.events[1].data)
        self.assertGreater(dropped, 50)
        self.assertEqual(data(browser)[2:], [str(number) for number in range(dropped, 100)])

    def test_dropOldestAtOnce(self) -> None:
        """
        The same when all of them are published in one turn.
        """
        channel = self.serve(maxPending=1000, slow=SlowReader.DROP_OLDEST)
        browser = self.connect()
        browser.stopReading(kernelBuffer=0)
        channel.publish(BIG)
        for number in range(100):
            channel.publish(str(number))
        self.clock.settle()
        browser.resumeReading()
        self.assertEqual(browser.events[1].type, "stream-gap")
        dropped = int(browser.events[1].data)
        self.assertEqual(data(browser)[2:], [str(number) for number in range(dropped, 100)])

    def test_latest(self) -> None:
        """
        Where the latest are kept, the client gets the latest of each type.
        """
        channel = self.serve(maxPending=500, slow=SlowReader.LATEST)
        browser = self.connect()
        browser.stopReading(kernelBuffer=0)
        channel.publish(BIG)
        self.clock.settle()
        for number in range(100):
            channel.publish(str(number), event=f"type{number % 3}")
            self.turn()
        browser.resumeReading()
        self.assertEqual(browser.events[1].type, "stream-gap")
        kept = browser.events[2:]
        self.assertEqual(len(kept) + int(browser.events[1].data), 100)
        self.assertEqual({event.data for event in kept} & {"97", "98", "99"}, {"97", "98", "99"})

    def test_gapThenResume(self) -> None:
        """
        Who goes before it was told of what was dropped gets it when it comes back.
        """
        channel = self.serve(maxPending=500, slow=SlowReader.DROP_OLDEST)
        browser = self.connect()
        channel.publish("first")
        self.clock.settle()
        browser.stopReading(kernelBuffer=0)
        channel.publish(BIG)
        self.clock.settle()
        for number in range(100):
            channel.publish(str(number))
            self.turn()
        browser.disconnect()
        again = self.connect(lastEventID(browser))
        self.assertEqual(data(again), [BIG, *(str(number) for number in range(100))])

    def test_oneLarger(self) -> None:
        """
        One event larger than C{maxPending} disconnects nobody.
        """
        channel = self.serve(maxPending=1000)
        browser = self.connect()
        browser.stopReading(kernelBuffer=0)
        channel.publish("x" * 500_000)
        self.clock.advance(1)
        browser.resumeReading()
        self.assertEqual(data(browser), ["x" * 500_000])

    def test_burst(self) -> None:
        """
        Much more than C{maxPending} may be published in one turn, and nobody who reads is
        disconnected.
        """
        channel = self.serve(maxPending=200_000)
        browsers = [
            self.connect(),
            self.connect(topics=["t"]),
            self.connect(where=lambda event: True),
            self.connect(topics=["t"], where=lambda event: True),
        ]
        sent = [str(number).ljust(50_000, "-") for number in range(40)]
        for each in sent:
            channel.publish(each, topics=["t"])
        for browser in browsers:
            self.assertEqual(heads(data(browser)), heads(sent))


class LeakTests(ChannelTestCase):
    """
    Tests that nothing is left: the collector of garbage is off.
    """

    def setUp(self) -> None:
        """
        Switch the collector off.
        """
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)

    def assertDies(
        self,
        act: Callable[[MemoryStream, EventStream], object],
        stall: bool = False,
        missed: int = 0,
        **options: Any,
    ) -> None:
        """
        A stream dies when something has been done to it.
        """
        channel = self.serve(observer=None)
        witness = self.connect()
        first = channel.publish("first")
        for number in range(missed):
            channel.publish(f"{number}".ljust(1000, "-"))
        self.clock.settle()
        reference = weakref.ref(self.streams[0])
        self.streams.clear()
        browser = self.connect(first.id or "" if missed else "", **options)
        if stall:
            browser.stopReading(kernelBuffer=0)
        channel.publish("x", topics=["a"])
        if stall:
            channel.publish(BIG, topics=["a"])
            self.turn()
        reference = weakref.ref(self.streams[0])
        act(browser, self.streams.pop())
        for _ in range(3):
            channel.publish("y")
            self.clock.advance(1)
        for failure in self.flushLoggedErrors(ZeroDivisionError):
            # pytest keeps tracebacks in Failures, to show them; and the log keeps these.
            vars(failure).clear()
        self.assertIsNone(reference())
        self.assertEqual(len(channel.streams), 1)
        witness.disconnect()
        self.assertIdle()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_everyWay(self) -> None:
        """
        However a stream ends that is live, nothing holds it.
        """
        acts: list[Callable[[MemoryStream, EventStream], object]] = [
            lambda browser, stream: browser.disconnect(),
            lambda browser, stream: browser.disconnect(reset=True),
            lambda browser, stream: stream.end(),
            lambda browser, stream: stream.abort(),
        ]
        for act in acts:
            for options in (
                {},
                {"topics": ["a", "b"]},
                {"where": lambda event: True},
                {"topics": ["a"], "where": lambda event: True},
                {"last": 1},
            ):
                self.assertDies(act, **options)
                self.assertDies(act, missed=100, **options)

    def test_stalled(self) -> None:
        """
        The same when it is stalled, live or behind.
        """
        acts: list[Callable[[MemoryStream, EventStream], object]] = [
            lambda browser, stream: browser.disconnect(),
            lambda browser, stream: stream.abort(),
        ]
        for act in acts:
            for missed in (0, 500):
                self.assertDies(act, stall=True, missed=missed)

    def test_unsubscribed(self) -> None:
        """
        The same when it was unsubscribed, or has subscribed again.
        """

        def unsubscribe(browser: MemoryStream, stream: EventStream) -> None:
            self.channel.unsubscribe(stream)
            browser.disconnect()

        def again(browser: MemoryStream, stream: EventStream) -> None:
            self.channel.subscribe(stream, topics=["other"])
            self.channel.subscribe(stream, where=lambda event: True)
            browser.disconnect()

        for act in (unsubscribe, again):
            for missed in (0, 100):
                self.assertDies(act, missed=missed)

    def test_whereFails(self) -> None:
        """
        The same when its C{where} fails.
        """

        def where(event: Event) -> object:
            return event.data != "y" or 1 // 0

        self.assertDies(lambda browser, stream: None, where=where)

    def test_joining(self) -> None:
        """
        The same when it goes in the turn in which it has come, and something was published
        before.
        """
        acts: list[Callable[[EventStream], object]] = [
            EventStream.abort,
            EventStream.end,
            lambda stream: self.channel.unsubscribe(stream),
        ]
        for history in (None, History()):
            for act in acts:
                channel = self.serve(Channel(history if history is None else History()))
                witness = self.connect()

                def connected(
                    stream: EventStream, act: Callable[[EventStream], object] = act
                ) -> None:
                    self.channel.publish("x")
                    self.channel.subscribe(stream)
                    stream.open()
                    act(stream)

                browser = self.connect(instead=connected)
                channel.publish("y")
                self.assertEqual(data(witness), ["x", "y"])
                self.assertEqual(browser.events, [])
                self.assertEqual(channel.streams, {self.streams[0]})
                witness.disconnect()
                self.assertIdle()

    def test_never(self) -> None:
        """
        A stream that was refused after it had subscribed is not held.
        """
        channel = self.serve()
        waiting: Deferred[None] = Deferred()

        def connected(stream: EventStream) -> Deferred[None]:
            channel.subscribe(stream)
            return waiting

        browser = self.connect(instead=connected)
        channel.publish("x")
        self.clock.settle()
        reference = weakref.ref(self.streams.pop())
        browser.disconnect()
        self.clock.advance(1)
        self.assertIsNone(reference())
        self.assertIdle()

    def test_close(self) -> None:
        """
        A channel that was closed and dropped is gone, with its history and its streams.
        """
        self.serve(Channel(History(maxAge=10)), observer=None)
        self.connect()
        self.connect(where=lambda event: True)
        self.channel.publish("x")
        self.clock.settle()
        references = [weakref.ref(stream) for stream in self.streams]
        references += [weakref.ref(self.channel), weakref.ref(self.channel.history)]  # type: ignore[list-item, arg-type]
        self.channel.publish("y")
        self.channel.close()
        self.clock.advance(1)
        self.streams.clear()
        del self.channel
        self.assertEqual([reference() for reference in references], [None] * 4)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_reconnections(self) -> None:
        """
        A client that reconnects a hundred times a second is served, and nothing grows.
        """
        channel = self.serve(Channel(History(maxEvents=50)))
        witness = self.connect()
        received: list[str] = []
        last = ""
        for number in range(1000):
            browser = self.connect(last)
            channel.publish(str(number))
            received += data(browser)
            last = lastEventID(browser)
            browser.disconnect()
            self.clock.advance(0.01)
            self.assertEqual(len(channel.streams), 1)
            self.assertLess(len(self.clock.getDelayedCalls()), 5)
        self.assertEqual(received, [str(number) for number in range(1000)])
        self.assertEqual(data(witness), received)
        self.assertEqual(len(channel._subscriptions), 1)
        self.assertEqual(len(channel.history or ()), 50)


class LogTests(ChannelTestCase):
    """
    Tests that nothing is logged which is not worth it.
    """

    def test_quiet(self) -> None:
        """
        Of forged IDs, disconnections and the like nothing is logged as an error.
        """
        channel = self.serve()
        logged: list[Any]
        with capturedLogs() as logged:
            for _ in range(5):
                browser = self.connect("forged")
                channel.publish("x")
                browser.disconnect(reset=True)
                channel.publish("y")
                self.connect().disconnect()
        self.assertEqual(
            [event for event in logged if event["log_level"].name not in ("debug", "info")], []
        )
