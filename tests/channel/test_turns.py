"""
Tests for L{twisted_sse.channel.channel}, in memory: which reactor turn sends what.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IReactorCore
from twisted.python.failure import Failure
from zope.interface import alsoProvides

from tests.support.channels import ChannelTestCase, data, heads, types
from tests.support.choices import Beginning, Reader
from tests.support.streams import BIG
from twisted_sse import Channel, Event, EventStream, EventStreamResource, History
from twisted_sse.channel.fanout import ROUND
from twisted_sse.format.encoded import PIECE
from twisted_sse.store.entry import Entry
from twisted_sse.stream import transport as fastwrite
from twisted_sse.testing import MemoryClient, MemoryClock, MemoryStream
from twisted_sse.timing.slices import SLICE


class TurnTests(ChannelTestCase):
    """
    Tests for when events are sent.
    """

    def writes(self) -> list[tuple[int, int]]:
        """
        Return the events and bytes of each write since the last call.
        """
        writes, self.recorder.writes = self.recorder.writes, []
        return [(events, size) for _, events, size in writes]

    def test_nextTurn(self) -> None:
        """
        A published event is sent in the next reactor turn, not in the current one.
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
        Events published in one turn are sent to each stream in one write, however it chose them.
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
        A stream that ends in the turn of a C{publish} first gets those events.
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
        A stream that subscribes and ends in one turn gets only the events published in between.
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
        Events published in two turns are sent in two writes.
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
        More than 64 KiB is sent in several writes of at most 64 KiB, in order.
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
        An event larger than 64 KiB keeps its place and arrives whole.
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
        An event is encoded once and framed once for all streams, and not encoded again for a
        replay.
        """
        self.fastWrites()
        channel = self.serve()
        for _ in range(20):
            self.connect()
        # Let the streams finish with the bytes sent along with the headers.
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
        Streams that do not read share the bytes of their queued events.
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
        waiting = [stream._response._pending for stream in self.streams]
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
        For an event of 1 MB, each slow stream copies at most 64 KiB, and gets all of it when it
        reads.
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
                pending = stream._response._pending
                assert pending is not None
                if not stalledBefore:
                    assert pending._rest is not None and channel.history is not None
                    entry = channel.history.get(0)
                    assert entry is not None
                    self.assertIs(pending._rest.obj, entry.data)
            for browser in browsers:
                browser.resumeReading()
                self.assertEqual(data(browser)[-1], large)

    def test_interleaved(self) -> None:
        """
        Events stay in order for streams that stop and resume reading at any time.
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
        A stream that receives events gets no heartbeat.
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


class SliceTests(ChannelTestCase):
    """
    Tests that a round to many streams does not block the reactor for long.
    """

    #: How long a write takes, in seconds.
    COST = 0.0005

    def many(self, number: int = 300, **options: Any) -> list[MemoryStream]:
        """
        Connect many clients, where writing to each takes time.
        """
        self.serve()
        browsers = [self.connect(**options) for _ in range(number)]
        self.recorder.cost = self.COST
        self.recorder.writes.clear()
        return browsers

    def longest(self, between: Callable[[int], object] = lambda turn: None) -> tuple[float, int]:
        """
        Run turns until everything is sent.

        @param between: called after each turn with the number of turns so far.
        @return: the longest turn, in seconds, and how many turns sent something.
        """
        longest, turns, sending = 0.0, 0, 0
        while self.channel._broadcast._turn is not None:
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
        A round that takes 150 ms is cut into slices of 20 ms, and every stream gets the event.
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
        The time is checked after each stream that has its own C{where}.
        """
        self.many(100, where=lambda event: True)
        self.channel.publish("x")
        longest, _ = self.longest()
        self.assertLess(longest, SLICE + 2 * self.COST)

    def test_othersBetween(self) -> None:
        """
        A slice ends with its reactor turn, so that other calls run between two slices.
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
        Events published between two slices are sent later, in order for each stream.
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
        More than 64 KiB per stream, sent in several rounds, is sliced, too, and in order.
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
        Streams that end between two slices do not affect the others, and have received events
        without a gap.
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
        A stream that ends between two slices first gets everything published before, in order.
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
        A stream that ends between two pieces of a round first gets everything published before.
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
        Streams that end one by one, each partly served, get everything published before.
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
        Streams that join between two slices get exactly their backlog, if any, and new events.
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

    def test_matching(self) -> None:
        """
        An event with many topics is compared with many patterns in slices, between which others are
        served; subscribers that join and leave meanwhile get the same events as otherwise, and all
        get them in one order.
        """
        self.serve()
        clock, cost = self.clock, self.COST

        @dataclass(frozen=True)
        class Slow:
            end: str
            prefix: str = ""

            def matches(self, topic: str) -> bool:
                clock.rightNow += cost
                return topic.endswith(self.end)

        def reader(*ends: str) -> dict[str, Any]:
            return {"choice": Reader(patterns=[Slow(end) for end in ends])}

        browsers = [self.connect(**reader(f"-{number}")) for number in range(25)]
        browsers += [self.connect(), self.connect(topics=["5"]), self.connect(**reader("5", "6"))]
        leaves = self.connect(**reader("-3"))
        first = self.channel.publish("before")
        self.clock.settle()
        topics = [f"{number}{end}" for number in range(25) for end in ("", "-3")]
        self.channel.publish("0", topics=topics)
        later: list[MemoryStream] = []

        def others(turn: int) -> None:
            if turn > 40:
                return
            self.channel.publish(f"{turn}", topics=["5"])
            if turn == 3:
                quick = Reader(patterns=[Beginning("", "5"), Beginning("", "-3")])
                later.append(self._connectQuietly(choice=quick))
                later.append(self._connectQuietly(first.id or "", topics=["5"]))
                self.streams[28].end()
            elif turn == 5:
                self.channel.subscribe(self.streams[0], topics=["24"])

        longest, _ = self.longest(others)
        self.assertLess(longest, SLICE + 2 * self.COST)
        self.assertGreater(self.clock.rightNow, 26 * len(topics) * self.COST)
        turns = [str(turn) for turn in range(1, 41)]
        got = [data(browser) for browser in browsers]
        self.assertEqual(got[0], ["0"])
        self.assertEqual([each for number, each in enumerate(got[:25]) if each], [["0"], ["0"]])
        self.assertEqual(got[25], ["before", "0", *turns])
        self.assertEqual(got[26:], [["0", *turns]] * 2)
        self.assertEqual(data(leaves), ["0"])
        self.assertTrue(leaves.complete)
        self.assertEqual(data(later[0]), turns[3:])
        self.assertEqual(data(later[1]), ["0", *turns])

    def test_replayMatching(self) -> None:
        """
        A stream that resumes with slow patterns receives its missed events in slices, too.
        """
        self.serve()
        clock, cost = self.clock, self.COST

        class Slow(Reader):
            def wants(self, entry: Entry) -> bool:
                clock.rightNow += cost
                return super().wants(entry)

        first = self.channel.publish("0", topics=["t"])
        for number in range(300):
            self.channel.publish(f"{number}", topics=["t"])
        before, longest = clock.rightNow, 0.0
        browser = self._connectQuietly(first.id or "", choice=Slow(["t"]))
        for _ in range(20):
            longest = max(longest, clock.rightNow - before)
            before = clock.rightNow
            self.turn()
        self.assertLess(longest, SLICE + 2 * self.COST)
        self.assertEqual(data(browser), [f"{number}" for number in range(300)])

    def _connectQuietly(self, lastEventID: str = "", **options: Any) -> MemoryStream:
        """
        Connect without running reactor turns.
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
        Closing between two slices first sends the published events, then ends every stream.
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
        The streams of a closing channel are ended in slices, too.
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
        When every client disconnects between two slices, nothing remains, and the next client is
        served.
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
        When every client disconnects between two slices, the next is served by its own clock.
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
        self.assertEqual(self.channel._broadcast._fresh, [])
        self.recorder.cost = 0
        self.assertTrue(all(browser.ended for browser in browsers))


class AgeTests(ChannelTestCase):
    """
    Tests for a real reactor, whose clock can be set back.
    """

    def realClock(self) -> MemoryClock:
        """
        Make a clock that counts as a real reactor's, and make C{time.monotonic} return C{self.now}.
        """
        clock = MemoryClock()
        clock.rightNow = 1e9
        alsoProvides(clock, IReactorCore)
        self.now = 5.0
        self.patch(time, "monotonic", lambda: self.now)
        return clock

    def test_setBack(self) -> None:
        """
        Events expire even after the reactor's clock is set back.
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
        self.assertEqual(types(reset)[:1], ["stream-reset"])
        self.assertEqual(data(reset)[1:], ["2", "3"])

    def test_setForward(self) -> None:
        """
        After the reactor's clock is set forward nothing expires early, and calls do not repeat
        endlessly.
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
        The length of a slice is measured with the monotonic clock.
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
