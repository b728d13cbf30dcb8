"""
Tests for L{twisted_sse.client.source}, in memory: reconnecting, waiting and closing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionLost, ConnectionRefusedError
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseFailed
from twisted.web.error import InfiniteRedirection

from tests.support.memory_agent import MemoryAgent, MemoryResponse, Taking, eventStream
from tests.support.threads import assertRefusedInThreads
from twisted_sse.client import (
    Backoff,
    BadRedirect,
    BadStatus,
    EventSource,
    GaveUp,
    ReadTimeout,
    StreamBroken,
)
from twisted_sse.format.parser import MessageEvent

ONE = b"id: 1\ndata: one\n\n"

#: A backoff without randomness.
STEADY = Backoff(jitter=0)


class ClientTests(SynchronousTestCase):
    """
    Tests for a source with the test's clock and agent.
    """

    def setUp(self) -> None:
        """
        Start the clock at a time other than zero.
        """
        self.clock = Clock()
        self.clock.advance(1000)
        self.errors: list[Exception] = []

    def begin(self, *answers: Any, **options: Any) -> Taking:
        """
        Make a source and iterate over it.
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
        Assert that the next request is made after exactly this time.
        """
        (call,) = self.clock.getDelayedCalls()
        self.assertAlmostEqual(call.getTime() - self.clock.seconds(), seconds)
        count = len(self.agent.requests)
        self.clock.advance(seconds)
        self.assertEqual(len(self.agent.requests), count + 1)

    def test_afterEnd(self) -> None:
        """
        After a stream ends, the source waits for the server's last C{retry}, also of an earlier
        connection, and at least 100 ms; or for a second.
        """
        answers = [
            eventStream(ONE, end=True),
            eventStream(b"retry: 2500\n" + ONE, end=True),
            eventStream(ONE, end=True),
            eventStream(b"retry: 0\n" + ONE, end=True),
            eventStream(b"retry: 99999999999999\n" + ONE, end=True),
        ]
        taking = self.begin(*answers)
        for seconds in 1, 2.5, 2.5, 0.1, 86400:
            self.assertEqual(self.source.readyState, EventSource.CONNECTING)
            self.assertWaits(seconds)
        self.assertEqual((taking.data, self.errors), (["one"] * 5, []))

    def test_afterFailure(self) -> None:
        """
        After each failure the source waits twice as long, up to thirty seconds.
        """
        self.begin(*[ConnectionRefusedError() for _ in range(7)])
        for seconds in 1, 2, 4, 8, 16, 30, 30:
            self.assertWaits(seconds)
        self.assertEqual(len(self.errors), 7)

    def test_forgets(self) -> None:
        """
        Failures are forgotten only after a connection that stayed up for long enough.
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
        Break a stream.

        @return: the next stream.
        """
        stream.breakOff(ConnectionLost())
        return eventStream()

    def test_retryAfter(self) -> None:
        """
        The source honours C{Retry-After}, in seconds or as a date by the server's clock, up to five
        minutes, and ignores invalid values.
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
        The source gives up when it has used its tries, or when its next wait would exceed
        C{maxTime}.
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
        Each byte restarts the read timeout, and time in which the program takes no events does not
        count.
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
        The read timeout also covers the wait for a response, and then cancels the request.
        """
        self.begin(None, readTimeout=10)
        self.clock.advance(10)
        self.assertEqual([type(each) for each in self.errors], [ReadTimeout])
        self.assertTrue(self.agent.requests[0].isCancelled)
        self.source.close()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_lateAnswer(self) -> None:
        """
        A response that arrives after C{close} is aborted.
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
        The error of a request cancelled by C{close} is not reported.
        """
        responding: Deferred[Any] = Deferred(lambda _: responding.errback(ConnectionLost()))
        taking = self.begin(lambda request: responding)
        self.source.close()
        self.assertEqual((taking.error, taking.hasEnded, self.errors), (None, True, []))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_lastEventID(self) -> None:
        """
        A block without data sets the last event ID, an unfinished one does not, and an empty ID
        removes the header.
        """
        self.begin(
            eventStream(b"id: 1\n\nid: 2\n", end=True),
            eventStream(b"data: x\n\n", end=True),
            eventStream(b"id\n\n", end=True),
            lastEventID="0",
        )
        self.clock.pump([1, 1, 2])
        fields = [request.field(b"Last-Event-ID") for request in self.agent.requests]
        self.assertEqual(fields, [b"0", b"1", b"1", None])
        self.source.close()

    def test_once(self) -> None:
        """
        A source that does not reconnect raises its first error, and leaves no delayed call.
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

    def test_waitsForRoom(self) -> None:
        """
        The source does not reconnect while the queue is full, not even for C{reconnectNow}.
        """
        body = b"retry: 100\n" + b"".join(b"data: %d\n\n" % number for number in range(300))
        answers = [eventStream(body, end=True) for _ in range(3)]
        self.agent = MemoryAgent(*answers)
        self.source = EventSource("http://sse.example/", reactor=self.clock, agent=self.agent)
        taking = Taking(self.source, 1)
        self.clock.advance(100)
        self.source.reconnectNow()
        self.assertEqual(len(self.agent.requests), 1)
        taking.take(300 - 66)
        self.assertEqual(len(self.agent.requests), 1)
        taking.take(1)
        self.assertEqual(len(self.agent.requests), 2)
        self.source.close()
        self.assertTrue(Taking(self.source).hasEnded)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_closedWithoutRoom(self) -> None:
        """
        A source with a full queue can be closed.
        """
        taking = self.begin(eventStream(ONE * 300, end=True))
        self.source.close()
        self.assertTrue(taking.hasEnded)
        self.agent = MemoryAgent(eventStream(ONE * 300, end=True))
        self.source = EventSource("http://sse.example/", reactor=self.clock, agent=self.agent)
        taking = Taking(self.source, 1)
        self.clock.advance(10)
        closed = self.source.close()
        self.assertIsNone(self.successResultOf(closed))
        taking.take()
        self.assertEqual((len(taking.data), taking.hasEnded), (1, True))

    def test_closedAfterEnd(self) -> None:
        """
        C{close} drops queued events, and the stream's error, even after the stream has ended.
        """
        for end in True, ConnectionLost():
            self.agent = MemoryAgent(eventStream(ONE * 100, end=end))
            self.source = EventSource(
                "http://sse.example/", reactor=self.clock, agent=self.agent, reconnect=False
            )
            taking = Taking(self.source, 1)
            self.assertEqual(self.source.readyState, EventSource.CLOSED)
            self.source.close()
            taking.take()
            self.assertEqual((taking.data, taking.error, taking.hasEnded), (["one"], None, True))

    def test_closedInOnOpen(self) -> None:
        """
        When C{onOpen} closes the source, no event and no comment is delivered.
        """
        response = eventStream(b": c\n" + ONE)
        comments: list[str] = []
        taking = self.begin(
            response, onOpen=lambda _: self.source.close(), onComment=comments.append
        )
        self.assertEqual((taking.data, taking.hasEnded, comments), ([], True, []))
        self.assertTrue(response.isCut)

    def test_closedBeforeComment(self) -> None:
        """
        When an event handler closes the source, the comments after that event are not delivered.
        """
        comments: list[str] = []
        response = eventStream()
        agent = MemoryAgent(response)
        source = EventSource(
            "http://sse.example/", reactor=self.clock, agent=agent, onComment=comments.append
        )
        source.listen(lambda event: source.close())
        response.write(ONE + b": a\n: b\n")
        self.assertEqual(comments, [])

    def test_busy(self) -> None:
        """
        Data that arrived in time while the program was busy does not count as silence.
        """
        response = eventStream()
        taking = self.begin(response, readTimeout=1)
        # The timeout is called late, as when other code blocks the reactor; then the reactor reads.
        self.clock.calls[0].delay(4)
        self.clock.callLater(5, response.write, ONE)
        self.clock.advance(5)
        self.assertEqual((taking.data, self.errors), (["one"], []))
        self.clock.advance(0.9)
        self.assertEqual(self.errors, [])
        self.clock.advance(0.1)
        self.assertIsInstance(self.errors[0], ReadTimeout)
        self.source.close()

    def test_oddHeaders(self) -> None:
        """
        Invalid values of C{Retry-After} or C{Date} are ignored.
        """
        for date in (
            b"Fri, 31 Dec 99999999999999999999 23:59:59 GMT",
            b"Fri, 31 Dec 2027 23:59:59 +99999999999999999999",
            b"\xe9",
        ):
            for fields in {b"Retry-After": date}, {b"Retry-After": b"x", b"Date": date}:
                self.begin(MemoryResponse(503, fields, end=True))
                self.assertWaits(1)
                self.source.close()
        self.assertEqual(len(self.errors), 6)

    def test_redirectAgent(self) -> None:
        """
        When an agent that follows redirects reports an endless loop, the source fails with
        L{BadRedirect}.
        """
        problem = InfiniteRedirection(302, b"Infinite redirection detected", None, b"/")
        taking = self.begin(ResponseFailed([Failure(problem)], None))
        self.assertIsInstance(taking.error, BadRedirect)

    def test_redirectedToError(self) -> None:
        """
        An error after a redirect is final, unless there was a stream before: then the source
        retries from the original URL.
        """

        def redirect(location: bytes) -> MemoryResponse:
            return MemoryResponse(302, {b"Location": location}, end=True)

        taking = self.begin(redirect(b"/login"), MemoryResponse(403, end=True))
        self.assertIsInstance(taking.error, BadStatus)
        self.begin(
            redirect(b"/there"),
            eventStream(ONE, end=True),
            MemoryResponse(403, end=True),
            eventStream(),
        )
        self.assertWaits(1)
        self.assertWaits(1)
        paths = [request.uri.rpartition("/")[2] for request in self.agent.requests]
        self.assertEqual(paths, ["", "there", "there", ""])
        self.source.close()

    def test_redirectedPost(self) -> None:
        """
        A POST redirected to a GET loses its body and content type, and the next attempt is a POST
        again.
        """
        see = MemoryResponse(303, {b"Location": b"/result"}, end=True)
        again = MemoryResponse(303, {b"Location": b"/result"}, end=True)
        self.begin(
            see,
            eventStream(ONE, end=True),
            again,
            eventStream(),
            method="POST",
            body=b"{}",
            reconnect=True,
            headers={"Content-Type": "application/json", "X-Own": "1"},
        )
        self.clock.advance(1)
        asked = [
            (each.method, each.body, each.field(b"Content-Type"), each.field(b"X-Own"))
            for each in self.agent.requests
        ]
        post = (b"POST", b"{}", b"application/json", b"1")
        self.assertEqual(asked[:3], [post, (b"GET", None, None, b"1"), post])
        self.source.close()

    def test_redirectedElsewhere(self) -> None:
        """
        A POST redirected to another origin keeps its body and the headers that describe it, and no
        other header of the application.
        """
        self.begin(
            MemoryResponse(308, {b"Location": b"https://other.example/"}, end=True),
            eventStream(ONE),
            method="POST",
            body=b"{}",
            headers={"content-type": "application/json", "X-Own": "1", "Authorization": "x"},
        )
        last = self.agent.requests[-1]
        self.assertEqual((last.method, last.body), (b"POST", b"{}"))
        names = (b"Content-Type", b"X-Own", b"Authorization")
        self.assertEqual([last.field(name) for name in names], [b"application/json", None, None])
        self.source.close()

    def test_redirectedBack(self) -> None:
        """
        Credentials removed for another origin stay removed when it redirects back.
        """
        locations = [b"/same", b"http://other.example/", b"http://sse.example/chosen"]
        self.agent = MemoryAgent(
            *(MemoryResponse(302, {b"Location": each}, end=True) for each in locations),
            eventStream(ONE, end=True),
            eventStream(),
        )
        self.source = EventSource(
            "http://me:secret@sse.example/",
            reactor=self.clock,
            agent=self.agent,
            headers={"X-Own": "1"},
            backoff=STEADY,
        )
        Taking(self.source)
        self.assertWaits(1)
        sent = [
            (each.field(b"Authorization"), each.field(b"X-Own")) for each in self.agent.requests
        ]
        own = (b"Basic bWU6c2VjcmV0", b"1")
        self.assertEqual(sent, [own, own, (None, None), (None, None), (None, None)])
        self.source.close()

    def test_cookieWall(self) -> None:
        """
        A redirect to the same URL is followed if it sets a cookie, but only a limited number of
        times.
        """

        def wall(_: object = None) -> MemoryResponse:
            return MemoryResponse(302, {b"Location": b"/", b"Set-Cookie": b"a=b"}, end=True)

        taking = self.begin(wall(), eventStream(ONE))
        self.assertEqual((taking.data, taking.error), (["one"], None))
        self.source.close()
        taking = self.begin(*[wall] * 30)
        self.assertIsInstance(taking.error, BadRedirect)
        self.assertEqual(len(self.agent.requests), 21)

    def test_arguments(self) -> None:
        """
        A wrong argument raises an error that names it when the source is made.
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


class ThreadTests(ClientTests):
    """
    Tests for calls from other threads than the reactor's.
    """

    def test_refused(self) -> None:
        """
        Calls from other threads raise an error that names C{reactor.callFromThread}, and change
        nothing.
        """
        self.begin(eventStream(ONE))
        source = self.source
        calls: dict[str, Callable[[], object]] = {
            "source.listen": lambda: source.listen(lambda event: None),
            "source.reconnectNow": source.reconnectNow,
            "source.close": source.close,
        }
        for call, function in calls.items():
            assertRefusedInThreads(self, call, function)
        self.assertEqual(source.readyState, EventSource.OPEN)
        self.successResultOf(source.close())


class ListenTests(SynchronousTestCase):
    """
    Tests for listeners that change the source or each other while they are called.
    """

    def setUp(self) -> None:
        """
        Make a clock.
        """
        self.clock = Clock()

    def listen(self, response: MemoryResponse) -> None:
        """
        Make a source that is not iterated over.
        """
        self.response = response
        self.told: list[str] = []
        agent = MemoryAgent(response)
        self.source = EventSource("http://sse.example/", reactor=self.clock, agent=agent)

    def tell(self, who: str) -> Any:
        """
        @return: a listener that records events.
        """
        return lambda event: self.told.append(f"{who} {event.data}")

    def test_iterating(self) -> None:
        """
        C{listen} raises while the source is iterated over, and iteration continues.
        """
        self.listen(eventStream())
        taking = Taking(self.source)
        self.assertRaises(RuntimeError, self.source.listen, self.tell("first"))
        self.response.write(b"data: 1\n\n")
        self.assertEqual((taking.data, self.told), (["1"], []))
        self.source.close()

    def test_takenAway(self) -> None:
        """
        A listener that another one cancels is not called, not even for the current event.
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
        A listener added by another one is called from the next event on.
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
        When a listener closes the source, or the only one cancels itself, no more events are
        delivered.
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

    def test_othersAfterClose(self) -> None:
        """
        When a listener closes the source the ones after it are not called, and a callback may
        cancel another listener.
        """
        self.listen(eventStream())
        first = self.source.listen(lambda event: self.source.close())
        second = self.source.listen(self.tell("second"))
        first.addCallback(lambda _: second.cancel())
        self.response.write(b"data: 1\n\n")
        self.assertEqual(self.told, [])
        self.assertIsNone(self.successResultOf(first))
        self.failureResultOf(second, CancelledError)
