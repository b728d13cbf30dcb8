"""
Tests for L{twisted_sse.client.body}, in memory: no turn of the reactor takes long, whatever the server
sends, and nothing gets lost or out of order between turns.
"""

from __future__ import annotations

import gzip
from typing import Any

from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.support.memory_agent import MemoryResponse, Taking, eventStream
from twisted_sse.client import ReadTimeout, StreamBroken, readEvents
from twisted_sse.format.parser import EventStreamParser

#: Limits for one turn: some milliseconds of work each.
MOST_EVENTS = 8000
MOST_COMMENTS = 4000
MOST_BYTES = 2**21


class TurnTests(SynchronousTestCase):
    """
    Tests for the turns that reading a body takes.
    """

    def setUp(self) -> None:
        """
        Make a clock, and count what is parsed.
        """
        self.clock = Clock()
        self.comments: list[str] = []
        self.parsed = 0
        feed = EventStreamParser.feed

        def counting(parser: EventStreamParser, data: bytes) -> Any:
            self.parsed += len(data)
            return feed(parser, data)

        self.patch(EventStreamParser, "feed", counting)

    def read(self, response: MemoryResponse, count: float = float("inf"), **options: Any) -> Taking:
        """
        Iterate over the events of a response.
        """
        self.parsed = 0
        self.comments.clear()
        self.events = readEvents(response, reactor=self.clock, **options)
        return Taking(self.events, count)

    def turn(self) -> bool:
        """
        Run the next turn of the reactor.

        @return: whether there was something to do.
        """
        # Not by advance(0): that also makes calls scheduled meanwhile.
        due = [call for call in self.clock.calls if call.getTime() <= self.clock.seconds()]
        for call in due:
            if call.active():
                self.clock.calls.remove(call)
                call.called = 1
                call.func(*call.args, **call.kw)
        return bool(due)

    def everyTurn(self, taking: Taking) -> int:
        """
        Run all turns, and check that none of them does too much.

        @return: the number of turns.
        """
        turns = 0
        # Counted from the start of the read.
        events = comments = parsed = 0
        while True:
            self.assertLessEqual(len(taking.data) - events, MOST_EVENTS)
            self.assertLessEqual(len(self.comments) - comments, MOST_COMMENTS)
            self.assertLessEqual(self.parsed - parsed, MOST_BYTES)
            events, comments, parsed = len(taking.data), len(self.comments), self.parsed
            if not self.turn():
                return turns
            turns += 1

    def test_bomb(self) -> None:
        """
        A body of comments that is small when compressed is read over many turns, and other code
        runs in between.
        """
        body = gzip.compress(b":\n" * 2**19)
        for onComment in None, self.comments.append:
            response = eventStream(body, end=True, encoding=b"gzip")
            taking = self.read(response, onComment=onComment)
            others: list[int] = []
            self.clock.callLater(0, others.append, self.parsed)
            self.assertGreater(self.everyTurn(taking), 9)
            self.assertEqual(len(others), 1)
            self.assertTrue(taking.hasEnded)
        self.assertEqual(len(self.comments), 2**19)

    def test_tinyEvents(self) -> None:
        """
        Thousands of tiny events in one read are delivered over several turns, in order, whether they
        are compressed or not, and whether their reader waits or not.
        """
        body = b"".join(b"data:%d\n\n" % n + b":\n" * (n % 97 == 0) for n in range(15_000))
        for encoding, sent in (b"gzip", gzip.compress(body)), (None, body):
            for waits in True, False:
                for onComment in None, self.comments.append:
                    response = eventStream(encoding=encoding)
                    taking = self.read(response, float("inf") if waits else 1, onComment=onComment)
                    response.write(sent)
                    response.end()
                    taking.take()
                    self.assertLess(len(taking.data), 9000)
                    self.assertGreater(self.everyTurn(taking), 2)
                    self.assertEqual(taking.data, [str(n) for n in range(15_000)])
                    self.assertTrue(taking.hasEnded)

    def test_members(self) -> None:
        """
        A compressed body that decodes to nothing is read over several turns.
        """
        response = eventStream(gzip.compress(b"") * 20_000, end=True, encoding=b"gzip")
        taking = self.read(response)
        self.assertGreater(self.everyTurn(taking), 9)
        self.assertTrue(taking.hasEnded)

    def test_usual(self) -> None:
        """
        The amount that a connection usually receives at a time is read in one turn, and an event of
        a megabyte, too.
        """
        event = b"id: 1234567\nevent: message\ndata: " + b"x" * 152 + b"\n\n"
        for body, count in (event * 350, 350), (b"data: " + b"x" * 2**20 + b"\n\n", 1):
            response = eventStream()
            taking = self.read(response)
            response.write(body)
            self.assertEqual((len(taking.data), response.calls), (count, []))
            self.assertEqual(self.clock.getDelayedCalls(), [])
            self.events.close()

    def test_pauses(self) -> None:
        """
        The connection is paused until the received data has been read, so that nothing piles up.
        """
        response = eventStream()
        taking = self.read(response)
        response.write(b"data:\n\n" * 20_000)
        self.assertEqual(response.calls, ["pause"])
        self.everyTurn(taking)
        self.assertEqual(response.calls, ["pause", "resume"])
        self.assertEqual(len(taking.data), 20_000)

    def test_backpressure(self) -> None:
        """
        While the queue is full nothing is read, however many turns there are.
        """
        for encoding in None, b"gzip":
            body = b"data:\n\n" * 20_000
            response = eventStream(gzip.compress(body) if encoding else body, encoding=encoding)
            taking = self.read(response, 1)
            self.everyTurn(taking)
            self.assertLess(self.parsed, 20_000)
            parsed = self.parsed
            self.everyTurn(taking)
            self.assertEqual(self.parsed, parsed)
            taking.take()
            self.everyTurn(taking)
            self.assertEqual(len(taking.data), 20_000)
            self.events.close()

    def test_end(self) -> None:
        """
        The end of the body is reported after its last event, even if the connection was lost long
        before.
        """
        for reason, kind in (None, type(None)), (ConnectionLost(), StreamBroken):
            response = eventStream()
            taking = self.read(response)
            response.write(b"data:\n\n" * 20_000)
            # The transport notifies the protocol immediately, paused or not.
            response.isPaused = False
            if reason is None:
                response.end()
            else:
                response.breakOff(reason)
            self.assertFalse(taking.hasEnded or taking.error)
            self.everyTurn(taking)
            self.assertEqual(len(taking.data), 20_000)
            self.assertIsInstance(taking.error, kind)

    def test_close(self) -> None:
        """
        After C{close} between two turns nothing more is read, and no delayed call is left.
        """
        response = eventStream()
        taking = self.read(response)
        response.write(b"data:\n\n" * 20_000)
        count = len(taking.data)
        self.events.close()
        self.assertTrue(response.isCut)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual((len(taking.data), taking.hasEnded), (count, True))

    def test_timeout(self) -> None:
        """
        Time in which the client has not yet read the received data does not count as silence of the
        server.
        """
        response = eventStream()
        taking = self.read(response, readTimeout=1)
        response.write(b"data:\n\n" * 20_000)
        # The next turn is late, as when other code blocks the reactor.
        for call in self.clock.calls:
            call.time += 5
        self.clock.rightNow += 5
        self.everyTurn(taking)
        self.assertEqual((len(taking.data), taking.error), (20_000, None))
        self.clock.advance(1)
        self.assertIsInstance(taking.error, ReadTimeout)
        self.assertEqual(self.clock.getDelayedCalls(), [])
