"""
Tests for L{twisted_sse.client.reader}, in memory: the events of one response.
"""

from __future__ import annotations

import gzip
from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IReactorCore
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss
from zope.interface import alsoProvides

from tests.support.memory_agent import MemoryResponse, Taking, eventStream
from twisted_sse.client import (
    BadContentType,
    BadStatus,
    EventTooLarge,
    ReadTimeout,
    StreamBroken,
    readEvents,
)
from twisted_sse.timing import ticker

ONE = b"id: 1\ndata: one\n\n"


def numbered(count: int) -> bytes:
    """
    @return: this many events.
    """
    return b"".join(b"data: %d\n\n" % number for number in range(count))


class ReadTests(SynchronousTestCase):
    """
    Tests for L{readEvents}.
    """

    def setUp(self) -> None:
        """
        Make a clock.
        """
        self.clock = Clock()

    def read(self, response: MemoryResponse, count: float = float("inf"), **options: Any) -> Taking:
        """
        Iterate over the events of a response.
        """
        self.events = readEvents(response, reactor=self.clock, **options)
        return Taking(self.events, count)

    def turns(self, most: int = 1000) -> int:
        """
        Run the reactor while its next turn has something to do.

        @return: the number of turns.
        """
        for turn in range(most):
            if not any(call.getTime() <= self.clock.seconds() for call in self.clock.calls):
                return turn
            self.clock.advance(0)
        raise AssertionError("there is no end to it")

    def test_lazy(self) -> None:
        """
        Nothing is read before the first event is requested.
        """
        response = eventStream(ONE)
        taking = self.read(response, 0)
        self.assertIsNone(response.protocol)
        taking.take()
        self.assertEqual(taking.data, ["one"])

    def test_ends(self) -> None:
        """
        Iteration ends when the body does, even if only a closed connection marks the end, and fails
        when the body is cut short.
        """
        for end in True, PotentialDataLoss():
            taking = self.read(eventStream(ONE + b"data: half", end=end))
            self.assertEqual((taking.data, taking.hasEnded), (["one"], True))
        response = eventStream(ONE)
        taking = self.read(response)
        response.breakOff(ConnectionLost())
        self.assertEqual(taking.data, ["one"])
        assert isinstance(taking.error, StreamBroken)
        self.assertIsInstance(taking.error.__cause__, ConnectionLost)

    def test_pauses(self) -> None:
        """
        Reading pauses with 256 events queued and resumes at 64, and events stay in order and
        complete.
        """
        response = eventStream(numbered(255))
        taking = self.read(response, 0)
        taking.take(1)
        # One of the 255 events was taken.
        self.assertEqual(response.calls, [])
        response.write(numbered(2))
        self.assertEqual(response.calls, ["pause"])
        response.write(b"data: last\n\n")
        taking.take(256 - 65)
        self.assertEqual(response.calls, ["pause"])
        taking.take(1)
        self.assertEqual(response.calls, ["pause", "resume"])
        response.end()
        taking.take()
        expected = [str(number) for number in range(255)] + ["0", "1", "last"]
        self.assertEqual((taking.data, taking.hasEnded), (expected, True))

    def test_unpacks(self) -> None:
        """
        A compressed body is decoded only as its events are taken, and its end is reported after the
        last.
        """
        body = gzip.compress(numbered(50_000))
        response = eventStream(body, end=True, encoding=b"gzip")
        taking = self.read(response, 1)
        self.assertLess(len(self.events._reading.queue._events), 2000)
        self.assertFalse(taking.hasEnded)
        taking.take()
        self.turns()
        self.assertEqual(taking.data, [str(number) for number in range(50_000)])
        self.assertTrue(taking.hasEnded)

    def test_unpacksInOrder(self) -> None:
        """
        Events stay in order when the reader frees room while a piece with comments is parsed.
        """
        body = b"".join(b"data: %d\n\n" % n + b":\n" * (n % 300 == 299) for n in range(40_000))
        for encoding, sent in (b"gzip", gzip.compress(body)), (None, body):
            response = eventStream(encoding=encoding)
            taking = self.read(response)
            response.write(sent)
            response.end()
            self.turns()
            self.assertEqual(taking.data, [str(number) for number in range(40_000)])
            self.assertTrue(taking.hasEnded)

    def test_largeEvents(self) -> None:
        """
        At most a million characters are queued, and reading resumes once the queue is empty.
        """
        response = eventStream()
        taking = self.read(response, 1)
        event = b"data: " + b"x" * 2**18 + b"\n\n"
        for _ in range(4):
            response.write(event)
        self.assertEqual(response.calls, [])
        response.write(event)
        self.assertEqual(response.calls, ["pause"])
        taking.take(3)
        self.assertEqual(response.calls, ["pause"])
        taking.take(1)
        self.assertEqual(response.calls, ["pause", "resume"])
        response.end()
        taking.take()
        self.assertEqual((len(taking.data), taking.hasEnded), (5, True))

    def test_afterError(self) -> None:
        """
        After an error, iteration ends.
        """
        taking = self.read(MemoryResponse(404, end=True))
        self.assertIsInstance(taking.error, BadStatus)
        self.assertTrue(Taking(self.events).hasEnded)

    def test_closedWhileChecked(self) -> None:
        """
        Closing while the body of an error response is read aborts it and ends iteration.
        """
        response = MemoryResponse(404)
        taking = self.read(response)
        self.events.close()
        self.assertEqual((response.isCut, taking.error, taking.hasEnded), (True, None, True))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_closedAfterError(self) -> None:
        """
        After C{close}, neither queued events nor an error are reported.
        """
        taking = self.read(eventStream(ONE * 3, end=ConnectionLost()), 1)
        self.events.close()
        taking.take()
        self.assertEqual((taking.data, taking.error, taking.hasEnded), (["one"], None, True))

    def test_leftBeforeTooLarge(self) -> None:
        """
        A caller that stops before an event that is too large does not get the error.
        """

        async def leave() -> None:
            async with self.events:
                await self.events.__anext__()

        response = eventStream()
        self.events = readEvents(response, reactor=self.clock, maxEventSize=50)
        left = Deferred.fromCoroutine(leave())
        response.write(ONE + b"data: " + b"x" * 100)
        self.assertIsNone(self.successResultOf(left))
        self.assertTrue(response.isCut)

    def test_inMemory(self) -> None:
        """
        A response that was already read, and so cannot be paused, is read to its end.
        """

        class Read(MemoryResponse):
            def deliverBody(self, protocol: Any) -> None:
                protocol.dataReceived(numbered(1000))
                protocol.connectionLost(Failure(ResponseDone()))

        taking = self.read(Read(200, {b"Content-Type": b"text/event-stream"}), 1)
        taking.take()
        self.assertEqual((len(taking.data), taking.hasEnded), (1000, True))

    def test_contentType(self) -> None:
        """
        Of several content types the last valid one counts, whatever its parameters.
        """
        for good in (
            b"text/event-stream",
            b"TEXT/Event-Stream ;Charset=x",
            b"text/event-stream;",
            b'text/event-stream; x="caf\xe9, text/plain"',
            b"text/plain, text/event-stream",
            b"text/event-stream, */*",
            b"text/event-stream, foo",
            b"text/event-stream,",
        ):
            taking = self.read(MemoryResponse(200, {b"Content-Type": good}, ONE, end=True))
            self.assertEqual((taking.data, taking.error), (["one"], None), good)
        for bad in (
            b"text/plain",
            b"text/event-stream;charset=utf-8, text/html",
            b"text/event-stream bogus",
            b"text/event-stream\xa0",
            b'text/plain; x="a, text/event-stream"',
            b"\xff",
            b"",
        ):
            response = MemoryResponse(200, {b"Content-Type": bad}, ONE)
            taking = self.read(response)
            self.clock.advance(5)
            assert isinstance(taking.error, BadContentType), bad
            self.assertEqual((taking.error.status, taking.error.body), (200, ONE))
            self.assertEqual(taking.error.headers, response.headers)
            self.assertTrue(response.isCut)

    def test_wrong(self) -> None:
        """
        A response that is not an event stream, or has too large an event, raises an error and is
        aborted.
        """
        plain = {b"Content-Type": b"text/plain"}
        for response, kind in (
            (MemoryResponse(200, plain, ONE), BadContentType),
            (MemoryResponse(200), BadContentType),
            (eventStream(ONE, encoding=b"br"), BadContentType),
            (eventStream(ONE, encoding=b"gzip"), StreamBroken),
            (eventStream(ONE + b"data: " + 100 * b"x"), EventTooLarge),
        ):
            taking = self.read(response, maxEventSize=99)
            self.clock.advance(5)
            self.assertIsInstance(taking.error, kind)
            self.assertTrue(response.isCut)
            self.assertEqual(taking.data, ["one"] if kind is EventTooLarge else [])

    def test_status(self) -> None:
        """
        For another status, at most 64 KiB of the body are read, for at most 5 seconds.
        """
        response = MemoryResponse(404, body=b"x" * 70_000)
        taking = self.read(response)
        assert isinstance(taking.error, BadStatus)
        self.assertEqual((taking.error.body, response.isCut), (b"x" * 65536, True))
        self.assertEqual(self.clock.getDelayedCalls(), [])
        for body, encoding, expected in (
            (gzip.compress(b'{"a": 1}'), b"gzip", b'{"a": 1}'),
            (gzip.compress(b"x" * 10**7), b"gzip", b"x" * 65536),
            (gzip.compress(b"because")[:-9], b"x-gzip", b"because"),
            (b"because", b"gzip", b"because"),
            (b"because", b"br", b"because"),
            (b"b", b"deflate", b""),
        ):
            response = MemoryResponse(404, {b"Content-Encoding": encoding}, body, end=True)
            taking = self.read(response)
            assert isinstance(taking.error, BadStatus)
            self.assertEqual(taking.error.body, expected)
        response = MemoryResponse(404, body=b"because")
        taking = self.read(response)
        self.clock.advance(4.9)
        self.assertIsNone(taking.error)
        self.clock.advance(0.1)
        assert isinstance(taking.error, BadStatus)
        self.assertEqual((taking.error.body, response.isCut), (b"because", True))

    def test_timeout(self) -> None:
        """
        A stream that is silent for C{readTimeout} raises L{ReadTimeout}.
        """
        response = eventStream(ONE)
        taking = self.read(response, readTimeout=10)
        self.clock.advance(9)
        response.write(b":")
        self.clock.advance(9)
        self.assertIsNone(taking.error)
        self.clock.advance(1)
        self.assertIsInstance(taking.error, ReadTimeout)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_clockSet(self) -> None:
        """
        A stream does not count as silent when the system's clock is set forward.
        """
        now = [0.0]
        self.patch(ticker, "time", SimpleNamespace(monotonic=lambda: now[0]))
        alsoProvides(self.clock, IReactorCore)
        response = eventStream(ONE)
        taking = self.read(response, readTimeout=10)
        now[0] = 8
        response.write(b":")
        self.clock.advance(3600)
        self.assertIsNone(taking.error)
        now[0] = 17.9
        self.clock.advance(9.9)
        self.assertIsNone(taking.error)
        now[0] = 18
        self.clock.advance(0.1)
        self.clock.advance(0)
        self.assertIsInstance(taking.error, ReadTimeout)

    def test_close(self) -> None:
        """
        C{close} before, during or after reading aborts the response and drops queued events.
        """
        for count in 0, 1, 2:
            response = eventStream(ONE + ONE)
            taking = self.read(response, count)
            self.events.close()
            self.assertEqual(response.isCut, True)
            taking.take()
            self.assertEqual((len(taking.data), taking.hasEnded), (count, True))
            self.events.close()

    def test_cancelled(self) -> None:
        """
        Cancelling the wait for an event closes the stream.
        """
        response = eventStream()
        events = readEvents(response, reactor=self.clock)
        waiting = Deferred.fromCoroutine(events.__anext__())
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.assertTrue(response.isCut)

    def test_cutOff(self) -> None:
        """
        The connection is aborted through the response or its transport, and otherwise closed.
        """
        aborted: list[str] = []
        response = eventStream(ONE)
        response.abort = lambda: aborted.append("response")  # type: ignore[attr-defined]
        self.read(response, 1)
        self.events.close()
        self.assertEqual((aborted, response.calls), (["response"], []))
        for canAbort, call in (True, "abort"), (False, "lose"):
            headers = {b"Content-Type": b"text/event-stream"}
            response = MemoryResponse(200, headers, ONE, canAbort=canAbort)
            self.read(response, 1)
            self.events.close()
            self.assertEqual(response.calls, [call])

    def test_comments(self) -> None:
        """
        C{onComment} gets each comment immediately, and its error is raised to the reader, or after
        C{close} to the transport.
        """
        told: list[str] = []
        taking = self.read(eventStream(b": a\n" + ONE + b": b\n"), onComment=told.append)
        self.assertEqual((told, taking.data), ([" a", " b"], ["one"]))

        def fail(text: str) -> None:
            raise KeyError(text)

        taking = self.read(eventStream(ONE + b": a\n"), onComment=fail)
        self.assertEqual(taking.data, ["one"])
        self.assertIsInstance(taking.error, KeyError)

        def closeAndFail(text: str) -> None:
            self.events.close()
            raise KeyError(text)

        response = eventStream()
        self.read(response, onComment=closeAndFail)
        with self.assertRaises(KeyError):
            response.write(b": a\n")
