"""
Tests for L{twisted_sse.client.retrying}, in memory: whether a source reconnects, and when.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.support.memory_agent import MemoryAgent, MemoryResponse, Taking, eventStream
from twisted_sse.client import Backoff, BadStatus, EventSource, EventSourceError, GaveUp
from twisted_sse.client.retrying import PASSING

ONE = b"id: 1\ndata: one\n\n"

#: A backoff without randomness.
STEADY = Backoff(jitter=0)


def refusal(status: int, **fields: bytes) -> MemoryResponse:
    """
    @return: a response that is not a stream.
    """
    headers = {name.encode(): value for name, value in fields.items()}
    return MemoryResponse(status, headers, b'{"error": 1}', end=True)


class RetryTestCase(SynchronousTestCase):
    """
    Makes sources.
    """

    def setUp(self) -> None:
        """
        Make a clock.
        """
        self.clock = Clock()
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
        self.addCleanup(self.source.close)
        return Taking(self.source)

    def wait(self) -> float:
        """
        Wait for the next request.

        @return: the duration of the wait, in seconds.
        """
        (call,) = self.clock.getDelayedCalls()
        seconds = call.getTime() - self.clock.seconds()
        count = len(self.agent.requests)
        self.clock.advance(seconds)
        self.assertEqual(len(self.agent.requests), count + 1)
        return seconds


class RetryOnTests(RetryTestCase):
    """
    Tests for C{retryOn}.
    """

    def test_default(self) -> None:
        """
        By default the source retries after the statuses of servers and proxies that are busy or
        temporarily unavailable, and no others.
        """
        expected = {408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529, 530}
        self.assertEqual(PASSING, expected)
        for status in range(400, 600):
            self.errors.clear()
            taking = self.begin(refusal(status), eventStream(ONE))
            if status in expected:
                self.assertEqual(self.wait(), 1)
                self.assertEqual([type(each) for each in self.errors], [BadStatus])
                self.assertEqual(taking.data, ["one"])
            else:
                self.assertIsInstance(taking.error, BadStatus)
            self.source.close()

    def test_statuses(self) -> None:
        """
        C{retryOn} replaces the statuses after which the source retries.
        """
        taking = self.begin(refusal(404), eventStream(ONE), retryOn=[404])
        self.wait()
        self.assertEqual(taking.data, ["one"])
        taking = self.begin(refusal(503), retryOn=[404])
        self.assertIsInstance(taking.error, BadStatus)
        taking = self.begin(refusal(503), retryOn=())
        self.assertIsInstance(taking.error, BadStatus)

    def test_function(self) -> None:
        """
        A function decides about a status, and may return a L{Deferred} or be a coroutine: it can
        fix a 401 with a new token.
        """
        tokens = ["old"]

        def refreshed(error: BadStatus) -> bool:
            if error.status == 401 and len(tokens) < 2:
                tokens.append("new")
                return True
            return False

        async def coroutine(error: BadStatus) -> bool:
            return refreshed(error)

        for retryOn in refreshed, coroutine, lambda error: succeed(refreshed(error)):
            tokens[1:] = []
            taking = self.begin(
                refusal(401),
                eventStream(ONE, end=True),
                refusal(401),
                retryOn=retryOn,
                headers=lambda: {"Authorization": f"Bearer {tokens[-1]}"},
            )
            self.wait()
            sent = [request.field(b"Authorization") for request in self.agent.requests]
            self.assertEqual(sent, [b"Bearer old", b"Bearer new"])
            self.assertEqual(taking.data, ["one"])
            self.wait()
            assert isinstance(taking.error, BadStatus)
            self.assertEqual((taking.error.status, taking.error.json()), (401, {"error": 1}))

    def test_functionRaises(self) -> None:
        """
        An exception in the function ends the iteration.
        """

        def retryOn(error: BadStatus) -> bool:
            raise KeyError("no token")

        self.assertIsInstance(self.begin(refusal(401), retryOn=retryOn).error, KeyError)

    def test_closedMeanwhile(self) -> None:
        """
        C{close} cancels the function that decides, and nothing is raised.
        """
        deciding: Deferred[bool] = Deferred()
        taking = self.begin(refusal(401), retryOn=lambda error: deciding)
        self.source.close()
        self.assertEqual((taking.hasEnded, taking.error), (True, None))
        self.assertTrue(deciding.called)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_notAsked(self) -> None:
        """
        C{retryOn} makes no difference if the source is strict or does not reconnect.
        """
        for options in {"strict": True}, {"reconnect": False}, {"method": "POST"}:
            taking = self.begin(refusal(503), retryOn=self.fail, **options)
            self.assertIsInstance(taking.error, BadStatus)

    def test_wrong(self) -> None:
        """
        Anything other than statuses or a function raises an error when the source is made.
        """
        for kind, retryOn in (
            (TypeError, 503),
            (TypeError, "503"),
            (TypeError, None),
            (ValueError, ["503"]),
            (ValueError, [True]),
            (ValueError, [7]),
        ):
            with self.assertRaisesRegex(kind, "retryOn"):
                EventSource("http://sse.example/", retryOn=retryOn)  # type: ignore[arg-type]


class EndTests(RetryTestCase):
    """
    Tests for streams that end properly.
    """

    def test_emptyEnds(self) -> None:
        """
        A server that ends each stream immediately, without an event, is retried less and less
        often, and given up after C{maxTries}, even if it sends C{retry: 0}.
        """
        empty = [eventStream(b"retry: 0\n: hello\n\nid: 7\n\n", end=True) for _ in range(5)]
        taking = self.begin(*empty, backoff=Backoff(jitter=0, maxTries=5))
        self.assertEqual([self.wait() for _ in range(4)], [1, 2, 4, 8])
        assert isinstance(taking.error, GaveUp)
        self.assertEqual(taking.error.failures, 5)
        self.assertIsInstance(taking.error.lastError, EventSourceError)
        self.assertIn("without an event", str(taking.error))
        # It is still not an error.
        self.assertEqual(self.errors, [])

    def test_emptyWaits(self) -> None:
        """
        The server's C{retry} is added to the wait after a stream without an event.
        """
        self.begin(*[eventStream(b"retry: 5000\n", end=True) for _ in range(3)])
        self.assertEqual([self.wait() for _ in range(2)], [6, 7])

    def test_withEvents(self) -> None:
        """
        A stream that has delivered an event does not count as a failure, however short it was.
        """
        streams = [eventStream(b"retry: 100\n" + ONE, end=True) for _ in range(9)]
        taking = self.begin(*streams, backoff=Backoff(jitter=0, maxTries=1))
        for _ in range(8):
            self.assertAlmostEqual(self.wait(), 0.1)
        self.assertEqual((len(taking.data), taking.error), (9, None))

    def test_once(self) -> None:
        """
        Without reconnecting, a stream without an event just ends.
        """
        taking = self.begin(eventStream(end=True), reconnect=False)
        self.assertEqual((taking.hasEnded, taking.error), (True, None))

    def test_forgotten(self) -> None:
        """
        An empty stream that stayed open for a minute resets the count of failures.
        """
        stream = eventStream()
        self.begin(ConnectionRefusedError(), ConnectionRefusedError(), stream, None)
        self.assertEqual([self.wait(), self.wait()], [1, 2])
        self.clock.advance(60)
        stream.end()
        self.assertEqual(self.wait(), 1)

    def test_random(self) -> None:
        """
        Clients whose streams end at the same time reconnect at spread times, with and without
        C{retry}, and after a C{Retry-After}.
        """
        for answer in (
            lambda: eventStream(ONE, end=True),
            lambda: eventStream(b"retry: 3000\n" + ONE, end=True),
            lambda: eventStream(b"retry: 0\n" + ONE, end=True),
            lambda: eventStream(end=True),
            lambda: refusal(503, **{"Retry-After": b"7"}),
        ):
            waits = []
            for _ in range(40):
                self.begin(answer(), backoff=Backoff())
                waits.append(self.wait())
                self.source.close()
            # By chance, one run in a million would have less.
            self.assertGreater(max(waits) - min(waits), 0.5)
