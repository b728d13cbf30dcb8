"""
Tests for L{twisted_sse.stream.stream}: properties that hold for any sequence of operations.
"""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.streams import StreamTestCase
from twisted_sse import EventStream, EventStreamResource, SlowReader
from twisted_sse.testing import MemoryClient

#: What may happen to a stream: the operation, and its amount.
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.integers(1, 60_000)),
        st.tuples(st.just("send"), st.integers(1, 200)),
        st.tuples(st.just("comment"), st.integers(1, 300)),
        st.tuples(st.just("stop"), st.integers(0, 30_000)),
        st.tuples(st.just("resume"), st.just(0)),
        st.tuples(st.just("advance"), st.integers(0, 20)),
    ),
    max_size=60,
)


class WalkTests(StreamTestCase):
    """
    Tests of random sequences of operations.
    """

    def walk(self, steps: list[tuple[str, int]], last: str, **options: Any) -> list[str]:
        """
        Apply these operations to a stream, and end it.

        @return: the data of the accepted events.
        """
        stream = self.connect(**options)
        accepted: list[str] = []
        pending = 0
        for number, (what, size) in enumerate(steps):
            if stream.closed:
                break
            if what == "send":
                text = f"{number}:".ljust(size, "d")
                if stream.send(text, event="ab"[number % 2]):
                    accepted.append(text)
            elif what == "comment":
                stream.comment("c" * size)
            elif what == "stop":
                self.browser.stopReading(kernelBuffer=size)
            elif what == "resume":
                self.browser.resumeReading()
            else:
                self.client.clock.advance(size)
            pending = max(pending, stream.bytesPending)
        self.assertLessEqual(pending, 100_000 + 60_100)
        if last == "disconnect":
            self.browser.disconnect()
        else:
            stream.end()
            self.browser.resumeReading()
        self.client.clock.advance(1)
        self.assertGone()
        return accepted

    @given(STEPS, st.sampled_from(["end", "disconnect"]))
    @settings(max_examples=60)
    def test_disconnectPolicy(self, steps: list[tuple[str, int]], last: str) -> None:
        """
        The received events are a prefix of the accepted ones, and all of them after a clean end.
        """
        accepted = self.walk(steps, last, maxPending=100_000)
        data = self.data()
        self.assertEqual(data, accepted[: len(data)])
        if self.browser.complete:
            self.assertEqual(data, accepted)

    @given(STEPS)
    @settings(max_examples=60)
    def test_dropOldestPolicy(self, steps: list[tuple[str, int]]) -> None:
        """
        With DROP_OLDEST each gap event has exactly the number of events missing at its place.
        """
        accepted = self.walk(
            steps, "end", maxPending=50_000, slow=SlowReader.DROP_OLDEST, stallTimeout=None
        )
        position = 0
        for event in self.browser.events:
            if event.type == "stream-gap":
                position += event.json()["dropped"]
            else:
                self.assertEqual(event.data, accepted[position])
                position += 1
        self.assertEqual(position, len(accepted))
        self.assertTrue(self.browser.complete)

    @given(STEPS)
    @settings(max_examples=60)
    def test_latestPolicy(self, steps: list[tuple[str, int]]) -> None:
        """
        With LATEST the numbers add up, the order is kept, and the newest event always arrives.
        """
        accepted = self.walk(
            steps, "end", maxPending=50_000, slow=SlowReader.LATEST, stallTimeout=None
        )
        events = [event.data for event in self.browser.events if event.type != "stream-gap"]
        gaps = [event for event in self.browser.events if event.type == "stream-gap"]
        self.assertEqual(len(events) + sum(gap.json()["dropped"] for gap in gaps), len(accepted))
        self.assertEqual(sorted(events, key=accepted.index), events)
        self.assertEqual(events[-1:], accepted[-1:])

    def test_manyStreams(self) -> None:
        """
        Streams of one resource do not affect each other.
        """
        chance = random.Random(5)
        streams: list[EventStream] = []
        client = MemoryClient(EventStreamResource(streams.append, maxPending=2**24))
        browsers = [client.get("/") for _ in range(20)]
        sent: list[list[str]] = [[] for _ in browsers]
        for step in range(1500):
            number = chance.randrange(len(browsers))
            what = chance.random()
            if what < 0.7:
                text = f"{number} {step} " + "m" * chance.randrange(5000)
                streams[number].send(text)
                sent[number].append(text)
            elif what < 0.8:
                browsers[number].stopReading(kernelBuffer=chance.randrange(10_000))
            elif what < 0.9:
                browsers[number].resumeReading()
            else:
                client.clock.advance(chance.random() / 10)
        for number, browser in enumerate(browsers):
            browser.resumeReading()
            streams[number].end()
        client.clock.advance(1)
        for number, browser in enumerate(browsers):
            self.assertTrue(browser.complete)
            self.assertEqual([event.data for event in browser.events], sent[number])
        self.assertEqual(client.clock.getDelayedCalls(), [])
