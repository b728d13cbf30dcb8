"""
Tests for L{twisted_sse.client}, in memory: when it comes back, and how it waits.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionLost, ConnectionRefusedError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.memory_agent import MemoryAgent, MemoryResponse, Taking, eventStream
from twisted_sse.client import (
    Backoff,
    BadStatus,
    EventSource,
    GaveUp,
    ReadTimeout,
    StreamBroken,
)
from twisted_sse.parser import MessageEvent

ONE = b"id: 1\ndata: one\n\n"

#: Without anything at random.
STEADY = Backoff(jitter=0)


class ClientTests(SynchronousTestCase):
    """
    A source with a clock and an agent that the test has.
    """

    def setUp(self) -> None:
        """
        Begin at some time that is not zero.
        """
        self.clock = Clock()
        self.clock.advance(1000)
        self.errors: list[Exception] = []

    def begin(self, *answers: Any, **options: Any) -> Taking:
        """
        Make a source, and iterate over it.
        """
        self.agent = MemoryAgent(*answers)
        options.setdefault("backoff", STEADY)
        self.source = EventSource(
            "http://sse.example/",
            reactor=self.clock,
            agent=self.agent,
            onError=self.errors.append,
            **options,
        )
        return Taking(self.source)

    def assertWaits(self, seconds: float) -> None:
        """
        Fail unless the next request is made exactly then.
        """
        (call,) = self.clock.getDelayedCalls()
        self.assertAlmostEqual(call.getTime() - self.clock.seconds(), seconds)
        count = len(self.agent.requests)
        self.clock.advance(seconds)
        self.assertEqual(len(self.agent.requests), count + 1)

    def test_afterEnd(self) -> None:
        """
        After the end of a stream it waits for what the server has said last, which holds for
        later connections too, and at least 100 ms; or for a second.
        """
        answers = [
            eventStream(ONE, end=True),
            eventStream(b"retry: 2500\n" + ONE, end=True),
            eventStream(ONE, end=True),
            eventStream(b"retry: 0\n", end=True),
            eventStream(b"retry: 99999999999999\n", end=True),
        ]
        taking = self.begin(*answers)
        for seconds in 1, 2.5, 2.5, 0.1, 86400:
            self.assertEqual(self.source.readyState, EventSource.CONNECTING)
            self.assertWaits(seconds)
        self.assertEqual((taking.data, self.errors), (["one"] * 3, []))

    def test_afterFailure(self) -> None:
        """
        After each failure it waits twice as long, thirty seconds at most.
        """
        self.begin(*[ConnectionRefusedError() for _ in range(7)])
        for seconds in 1, 2, 4, 8, 16, 30, 30:
            self.assertWaits(seconds)
        self.assertEqual(len(self.errors), 7)

    def test_forgets(self) -> None:
        """
        Failures are forgotten after a connection that stayed up for long enough, and only then.
        """
        stream = eventStream()
        self.begin(ConnectionRefusedError(), ConnectionRefusedError(), stream)
        self.assertWaits(1)
        self.assertWaits(2)
        self.clock.advance(59)
        self.agent.answers.append(stream := self.broken(stream))
        self.assertWaits(4)
        self.clock.advance(60)
        self.broken(stream)
        self.assertWaits(1)

    def broken(self, stream: MemoryResponse) -> MemoryResponse:
        """
        Break off a stream.

        @return: the next.
        """
        stream.breakOff(ConnectionLost())
        return eventStream()

    def test_retryAfter(self) -> None:
        """
        It waits for at least as long as a server says that is busy, as seconds or as a date by
        the server's clock; five minutes of it count, and nonsense does not.
        """
        date = {b"Date": b"Sun, 06 Nov 1994 08:49:37 GMT"}
        for fields, seconds in (
            ({b"Retry-After": b"7"}, 7.0),
            ({b"Retry-After": b"9999999999999"}, 300.0),
            ({b"Retry-After": b"Sun, 06 Nov 1994 08:50:37 GMT", **date}, 60.0),
            ({b"Retry-After": b"Sun, 06 Nov 1994 08:00:00 GMT", **date}, 1.0),
            ({b"Retry-After": b"soon"}, 1.0),
            ({b"Retry-After": b"-5"}, 1.0),
            ({}, 1.0),
        ):
            self.begin(MemoryResponse(503, fields, end=True))
            self.assertWaits(seconds)
            self.source.close()

    def test_gaveUp(self) -> None:
        """
        It gives up with the failure that uses up the tries; and before it would wait beyond the
        time.
        """
        taking = self.begin(
            *[ConnectionRefusedError() for _ in range(3)], backoff=Backoff(jitter=0, maxTries=3)
        )
        self.clock.pump([1, 2])
        assert isinstance(taking.error, GaveUp)
        self.assertIsInstance(taking.error.lastError, ConnectionRefusedError)
        self.assertEqual(len(self.errors), 2)
        taking = self.begin(
            *[ConnectionRefusedError() for _ in range(3)], backoff=Backoff(jitter=0, maxTime=3)
        )
        self.clock.advance(1)
        self.assertIsNone(taking.error)
        self.clock.advance(2)
        self.assertIsInstance(taking.error, GaveUp)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_readTimeout(self) -> None:
        """
        Each byte begins the time anew; not taking events does not use it up.
        """
        stream = eventStream()
        taking = self.begin(stream, readTimeout=10)
        for _ in range(5):
            self.clock.advance(9)
            stream.write(b":")
        self.clock.advance(9.9)
        self.assertEqual(self.errors, [])
        self.clock.advance(0.2)
        self.assertEqual([type(each) for each in self.errors], [ReadTimeout])
        self.assertTrue(stream.isCut)
        self.source.close()

        stream = eventStream(ONE * 1000)
        self.agent = MemoryAgent(stream)
        source = EventSource(
            "http://sse.example/", reactor=self.clock, agent=self.agent, readTimeout=10
        )
        taking = Taking(source, 1)
        self.assertEqual(stream.calls, ["pause"])
        self.clock.advance(1000)
        taking.take()
        self.assertEqual(len(taking.data), 1000)
        self.assertEqual(stream.calls, ["pause", "resume"])
        source.close()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_noAnswer(self) -> None:
        """
        So does a server that does not answer, and the request is given up.
        """
        self.begin(None, readTimeout=10)
        self.clock.advance(10)
        self.assertEqual([type(each) for each in self.errors], [ReadTimeout])
        self.assertTrue(self.agent.requests[0].isCancelled)
        self.source.close()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_lateAnswer(self) -> None:
        """
        A response that comes though nobody wants it any more is cut off.
        """
        responding: Deferred[Any] = Deferred(lambda _: responding.callback(stream))
        stream = eventStream(ONE)
        taking = self.begin(lambda request: responding)
        self.source.close()
        self.assertTrue(stream.isCut)
        self.assertEqual((taking.data, taking.error, taking.hasEnded), ([], None, True))
        self.assertEqual(self.source.readyState, EventSource.CLOSED)

    def test_otherError(self) -> None:
        """
        What the cancelled request makes of that is not taken for the network's.
        """
        responding: Deferred[Any] = Deferred(lambda _: responding.errback(ConnectionLost()))
        taking = self.begin(lambda request: responding)
        self.source.close()
        self.assertEqual((taking.error, taking.hasEnded, self.errors), (None, True, []))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_lastEventID(self) -> None:
        """
        The ID of a block without data counts, that of an unfinished one does not, an empty one
        takes the header away.
        """
        self.begin(
            eventStream(b"id: 1\n\nid: 2\n", end=True),
            eventStream(b"data: x\n\n", end=True),
            eventStream(b"id\n\n", end=True),
            lastEventID="0",
        )
        self.clock.pump([1, 1, 1])
        fields = [request.field(b"Last-Event-ID") for request in self.agent.requests]
        self.assertEqual(fields, [b"0", b"1", b"1", None])
        self.source.close()

    def test_once(self) -> None:
        """
        Who is not to come back raises what is wrong, and waits for nothing.
        """
        for answer, kind in (
            (eventStream(ONE, end=ConnectionLost()), StreamBroken),
            (MemoryResponse(503, end=True), BadStatus),
            (ConnectionRefusedError(), ConnectionRefusedError),
        ):
            taking = self.begin(answer, method="POST", body=b"?")
            self.assertIsInstance(taking.error, kind)
            self.assertEqual(self.agent.requests[0].body, b"?")
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_arguments(self) -> None:
        """
        What cannot be is refused when the source is made, by name.
        """
        for error, name, options in (
            (ValueError, "readTimeout", {"readTimeout": 0}),
            (TypeError, "body", {"body": "text"}),
            (ValueError, "maxEventSize", {"maxEventSize": 0}),
            (ValueError, "method", {"method": "GE T"}),
            (ValueError, "lastEventID", {"lastEventID": "a\nb"}),
            (ValueError, "X-Name", {"headers": {"X-Name": "a\nb"}}),
            (TypeError, "headers", {"headers": 7}),
        ):
            with self.assertRaisesRegex(error, name):
                EventSource("http://sse.example/", **options)
        for url in "", "sse.example", "ftp://sse.example/", "http://", "http://[/":
            with self.assertRaisesRegex(ValueError, "http|URL"):
                EventSource(url)


class ListenTests(SynchronousTestCase):
    """
    Functions that do something to the source, or to each other, while they are called.
    """

    def setUp(self) -> None:
        """
        Have a clock.
        """
        self.clock = Clock()

    def listen(self, response: MemoryResponse) -> None:
        """
        Have a source on which nobody iterates.
        """
        self.response = response
        self.told: list[str] = []
        agent = MemoryAgent(response)
        self.source = EventSource("http://sse.example/", reactor=self.clock, agent=agent)

    def tell(self, who: str) -> Any:
        """
        @return: a function that notes the events.
        """
        return lambda event: self.told.append(f"{who} {event.data}")

    def test_takenAway(self) -> None:
        """
        One that another has taken away is not called, not even with the same event.
        """
        self.listen(eventStream())
        ended: list[Deferred[None]] = []

        def first(event: MessageEvent) -> None:
            self.told.append(f"first {event.data}")
            ended[1].cancel()

        self.source.listen(first)
        ended += [self.source.listen(self.tell(who)) for who in ("second", "third")]
        self.response.write(b"data: 1\n\n")
        self.assertEqual(self.told, ["first 1", "second 1"])
        self.failureResultOf(ended[1], CancelledError)
        self.source.close()

    def test_added(self) -> None:
        """
        One that is added by another is called with the next event.
        """
        self.listen(eventStream())

        def first(event: MessageEvent) -> None:
            self.told.append(f"first {event.data}")
            if event.data == "1":
                self.source.listen(self.tell("second"))

        self.source.listen(first)
        self.response.write(b"data: 1\n\ndata: 2\n\n")
        self.assertEqual(self.told, ["first 1", "first 2", "second 2"])
        self.source.close()

    def test_closed(self) -> None:
        """
        When one closes the source, or takes itself away and was the only one, no more events come.
        """
        for isCancelled in False, True:
            self.listen(eventStream())

            def only(event: MessageEvent, isCancelled: bool = isCancelled) -> None:
                self.told.append(event.data)
                if isCancelled:
                    self.ended.cancel()
                else:
                    self.source.close()

            self.ended = self.source.listen(only)
            self.response.write(b"data: 1\n\ndata: 2\n\n")
            self.assertEqual((self.told, self.response.isCut), (["1"], True))
            if isCancelled:
                self.failureResultOf(self.ended, CancelledError)
            else:
                self.assertIsNone(self.successResultOf(self.ended))
            self.assertEqual(self.clock.getDelayedCalls(), [])
