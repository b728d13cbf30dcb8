"""
Tests for L{twisted_sse.channel.subscription}, in memory: how a replay is sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.support.channels import ChannelTestCase, data, heads, received
from tests.support.streams import BIG
from twisted_sse import Channel, Event, EventStream, History
from twisted_sse.channel.subscription import ASKED
from twisted_sse.format.encoded import PIECE
from twisted_sse.stream.turn import TURN
from twisted_sse.testing import MemoryStream

#: Ways to choose everything that L{PullTests.publishMany} publishes.
ALL: list[dict[str, Any]] = [
    {},
    {"topics": ["t"]},
    {"where": lambda event: True},
    {"topics": ["t"], "where": lambda event: True},
]


class PullTests(ChannelTestCase):
    """
    Tests for how a replay is sent.
    """

    def publishMany(self, number: int, size: int) -> tuple[str, list[str]]:
        """
        Publish many events after a first one.

        @return: the ID of the first one, and the data of the others.
        """
        first = self.channel.publish("first")
        sent = [str(each).ljust(size, "-") for each in range(number)]
        for each in sent:
            self.channel.publish(each, topics=["t"])
        return first.id or "", sent

    def quietly(self, lastEventID: str, **options: Any) -> MemoryStream:
        """
        Connect without running reactor turns.
        """
        settle = self.clock.settle
        self.clock.settle = lambda: None  # type: ignore[method-assign]
        try:
            return self.connect(lastEventID, **options)
        finally:
            self.clock.settle = settle  # type: ignore[method-assign]

    def test_pieces(self) -> None:
        """
        A replay is sent in pieces of at most 16 KiB, one per turn, each as full as its events
        allow.
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
            self.assertLessEqual(max(sizes), TURN)
            self.assertGreater(min(sizes[:-1]), TURN - 1100)

    def test_exactly(self) -> None:
        """
        Events that total exactly 16 KiB are one piece.
        """
        for options in ALL:
            channel = self.serve()
            first = channel.publish("first")
            empty = len(Event("", id="00").encode())
            for number in range(8):
                channel.publish("x" * (TURN // 4 - empty), id=f"{number:02}", topics=["t"])
            self.recorder.writes.clear()
            self.connect(first.id or "", **options)
            writes = [(events, size) for _, events, size in self.recorder.writes if events]
            self.assertEqual(writes, [(4, TURN)] * 2)

    def test_otherFeeds(self) -> None:
        """
        A replay sends one piece per turn, whatever else the stream receives.
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
        Unsubscribing in the middle of a replay cancels its delayed call.
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
        An event larger than a piece is sent on its own.
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
        Other streams, resuming or live, are served between two pieces of a replay.
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
        A slow reader gets a replay of 10 MB with C{maxPending} 1 MiB: it is not disconnected, and
        unread events are not queued.
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
            self.assertLess(most, 2 * PIECE + TURN)
            self.assertFalse(stream.closed)
            self.assertLess(stream.eventsSent, 1000)
            self.channel.publish("live")
            browser.resumeReading()
            self.clock.advance(1)
            self.assertEqual(heads(data(browser)), heads([*sent, "live"]))
            self.assertFalse(stream.closed)

    def test_tinyMaxPending(self) -> None:
        """
        A replay never disconnects a slow reader, however small C{maxPending} is.
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
        A client that reads nothing of its replay is aborted as stalled, and nothing remains.
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
        Events published during a replay follow it.
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
        When C{where} accepts few of very many events, each turn examines a limited number, and all
        accepted events are sent.
        """
        self.serve(Channel(History(maxEvents=None)))
        asked: list[str | None] = []

        def where(event: Event) -> bool:
            asked.append(event.data)
            return int(event.data or 0) % 1000 == 7

        first = self.channel.publish("-1")
        for number in range(5 * ASKED):
            self.channel.publish(str(number))
        browser = self.quietly(first.id or "", where=where)
        self.assertEqual(len(asked), ASKED)
        looked = []
        for _ in range(8):
            before = len(asked)
            self.turn()
            looked.append(len(asked) - before)
        self.assertLessEqual(max(looked), ASKED)
        self.assertEqual(data(browser), ["7", "1007", "2007", "3007", "4007"])
        self.assertEqual(len(asked), 5 * ASKED)

    def test_noneChosen(self) -> None:
        """
        A stream that chooses nothing from the backlog is live immediately.
        """
        self.serve()
        first, _ = self.publishMany(500, 10)
        browser = self.connect(first, topics=["other"])
        self.assertEqual(received(browser), [])
        self.channel.publish("x", topics=["other"])
        self.assertEqual(data(browser), ["x"])
        self.assertEqual(self.told("replayed", "reset"), [])

    def test_stalledAndLive(self) -> None:
        """
        A stream that has caught up with its last bytes still queued is live, and gets events in
        order.
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
        A coroutine that awaits C{whenWritable} gets its turn during a replay, and every event stays
        whole.
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
