"""
Tests for L{twisted_sse.stream.stream}: one open response, in memory.
"""

from __future__ import annotations

import gc
import random
import weakref
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.internet.task import LoopingCall
from twisted.logger import capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.error import Error
from twisted.web.resource import EncodingResourceWrapper, Resource
from twisted.web.server import GzipEncoderFactory
from zope.interface.verify import verifyObject

from twisted_sse import (
    CloseReason,
    Event,
    EventStream,
    EventStreamResource,
    InvalidEvent,
    SlowReader,
)
from twisted_sse.testing import MemoryClient, MemoryStream

#: More than a transport takes before it says pause.
BIG = "x" * 70_000


class StreamTestCase(SynchronousTestCase):
    """
    One resource, one client in memory, one stream.
    """

    resource: EventStreamResource
    client: MemoryClient
    browser: MemoryStream
    stream: EventStream

    def connect(
        self,
        connected: Callable[[EventStream], object] = lambda stream: None,
        headers: dict[str, str] | None = None,
        version: str = "HTTP/1.1",
        **options: Any,
    ) -> EventStream:
        """
        Open a stream.
        """

        def remember(stream: EventStream) -> object:
            self.stream = stream
            return connected(stream)

        self.resource = EventStreamResource(remember, **options)
        self.client = MemoryClient(self.resource)
        self.browser = self.client.request("GET", "/", headers, version=version)
        return self.stream

    def stall(self, kernelBuffer: int = 0) -> None:
        """
        Let the client stop reading, and fill the transport so that it says pause.
        """
        self.browser.stopReading(kernelBuffer=kernelBuffer)
        self.stream.send(BIG, event="big")

    def data(self) -> list[str]:
        """
        The data of the events that have come.
        """
        return [event.data for event in self.browser.events]

    def reasons(self) -> list[CloseReason]:
        """
        Where the reason appears when the stream closes.
        """
        reasons: list[CloseReason] = []
        self.stream.whenClosed().addCallback(reasons.append)
        return reasons

    def assertGone(self) -> None:
        """
        The stream is closed, and nothing of it is left.
        """
        self.assertTrue(self.stream.closed)
        self.assertIsNone(self.stream.request)
        self.assertEqual(self.stream.bytesPending, 0)
        self.assertEqual(self.resource.streams, frozenset())
        self.client.clock.settle()
        self.assertEqual(self.client.clock.getDelayedCalls(), [])


class SendTests(StreamTestCase):
    """
    Tests for L{EventStream.send} and L{EventStream.comment}.
    """

    def test_event(self) -> None:
        """
        An event is sent as it is, and counted.
        """
        stream = self.connect()
        self.assertIs(stream.send(Event("hi", event="note", id="7")), True)
        [event] = self.browser.events
        self.assertEqual((event.type, event.data, event.lastEventID), ("note", "hi", "7"))
        self.assertEqual(stream.eventsSent, 1)
        self.assertIn("event: note\nid: 7\ndata: hi\n\n", self.browser.text)

    def test_text(self) -> None:
        """
        A str is the data of an event, and may have other fields with it.
        """
        stream = self.connect()
        stream.send("one")
        stream.send("two", event="note", id="2")
        stream.send("")
        stream.send(data="three")
        self.assertEqual(self.data(), ["one", "two", "", "three"])
        self.assertEqual(self.browser.events[1].type, "note")

    def test_json(self) -> None:
        """
        C{json} is any value, None included, as compact JSON.
        """
        stream = self.connect()
        stream.send(json={"a": [1, 2]}, event="note", id="3")
        stream.send(json=None)
        first, second = self.browser.events
        self.assertEqual((first.type, first.data, first.lastEventID), ("note", '{"a":[1,2]}', "3"))
        self.assertEqual(second.data, "null")

    def test_fieldsOnly(self) -> None:
        """
        What has no data is sent, and is no event to the client.
        """
        stream = self.connect()
        stream.send(retry=700)
        stream.send(id="9")
        stream.send(comment="quiet")
        self.assertEqual(self.browser.events, [])
        self.assertEqual(self.browser.retry, 700)
        self.assertEqual(self.browser.comments, ["", "quiet"])
        self.assertEqual(stream.eventsSent, 0)

    def test_subclass(self) -> None:
        """
        An instance of a subclass of Event is an event.
        """

        class Mine(Event):
            __slots__ = ()

        self.connect().send(Mine("mine"))
        self.assertEqual(self.data(), ["mine"])

    def test_wrongArguments(self) -> None:
        """
        What is no event raises a TypeError that says what is allowed, and nothing is sent.
        """
        stream = self.connect()
        before = self.browser.text
        for arguments, fields, message in [
            ((b"bytes",), {}, "no event"),
            ((5,), {}, "5 is no event"),
            (({"a": 1},), {}, "json=value"),
            (("text",), {"json": 1}, "either the data or json"),
            ((Event("x"),), {"id": "1"}, "id cannot be added"),
            ((Event("x"),), {"json": 1}, "json cannot be added"),
            (("text",), {"nonsense": 1}, "nonsense"),
            ((), {"json": {1, 2}}, "JSON"),
        ]:
            error = self.assertRaises(TypeError, stream.send, *arguments, **fields)
            self.assertIn(message, str(error))
        self.assertEqual(self.browser.text, before)
        self.assertFalse(stream.closed)

    def test_invalidFields(self) -> None:
        """
        A field that is no good raises InvalidEvent, and the stream lives.
        """
        stream = self.connect()
        for fields in (
            {"data": "x", "id": "1\n2"},
            {"data": "x", "event": "a\rb"},
            {"data": "x", "id": "\0"},
            {"retry": -1},
            {"data": "\ud800"},
            {"json": float("nan")},
            {},
        ):
            self.assertRaises(InvalidEvent, stream.send, **fields)
        self.assertRaises(InvalidEvent, stream.comment, "\ud800")
        self.assertTrue(stream.send("fine"))

    def test_closed(self) -> None:
        """
        Send and comment return False on a stream that is over or ending, and send nothing.
        """
        stream = self.connect()
        stream.end()
        self.assertIs(stream.send("ending"), False)
        self.assertTrue(self.browser.complete)
        self.assertIs(stream.send("late"), False)
        self.assertIs(stream.comment("late"), False)
        self.assertIs(stream.send(json=1), False)
        self.assertEqual(self.browser.events, [])
        self.assertEqual(stream.eventsSent, 0)
        self.assertRaises(TypeError, stream.send, 5)

    def test_comment(self) -> None:
        """
        A comment goes out, each line of it, and counts as no event.
        """
        stream = self.connect()
        self.assertIs(stream.comment("one\ntwo"), True)
        self.assertEqual(self.browser.comments, ["", "one", "two"])
        self.assertEqual(stream.eventsSent, 0)

    def test_order(self) -> None:
        """
        Bytes leave in the order of the calls, waiting or not.
        """
        stream = self.connect()
        expected = []
        for number in range(200):
            if number == 50:
                self.browser.stopReading(kernelBuffer=100)
            if number == 120:
                self.browser.resumeReading()
            text = f"{number} " + "y" * 2000
            stream.send(text)
            expected.append(text)
            if number % 7 == 0:
                stream.comment(str(number))
        self.browser.resumeReading()
        self.assertEqual(self.data(), expected)
        self.assertEqual(stream.eventsSent, 200)
        self.assertEqual(
            self.browser.comments, ["", *(str(each) for each in range(200) if each % 7 == 0)]
        )


class AttributeTests(StreamTestCase):
    """
    Tests for what a stream says about itself.
    """

    def test_attributes(self) -> None:
        """
        A new stream knows its request, its client, and the last event ID.
        """
        stream = self.connect(headers={"Last-Event-ID": "42"})
        request = stream.request
        assert request is not None
        self.assertEqual(request.method, b"GET")
        self.assertEqual(stream.lastEventID, "42")
        self.assertEqual(stream.clientAddress, "127.0.0.1")
        self.assertIs(stream.closed, False)
        self.assertEqual(stream.bytesPending, 0)
        self.assertEqual(stream.eventsSent, 0)
        verifyObject(IPushProducer, stream)

    def test_noLastEventID(self) -> None:
        """
        Without a last event ID it is the empty text.
        """
        self.assertEqual(self.connect().lastEventID, "")

    def test_state(self) -> None:
        """
        C{state} is a dictionary of the stream's own, the same each time.
        """
        stream = self.connect()
        self.assertEqual(stream.state, {})
        stream.state["user"] = "me"
        self.assertEqual(stream.state, {"user": "me"})
        self.client.get("/")
        self.assertEqual(self.stream.state, {})

    def test_stateAfterEnd(self) -> None:
        """
        C{state}, C{eventsSent} and C{clientAddress} stay readable when the stream is over.
        """
        stream = self.connect()
        stream.state["user"] = "me"
        stream.send("x")
        self.browser.disconnect()
        self.assertEqual(stream.state, {"user": "me"})
        self.assertEqual(stream.eventsSent, 1)
        self.assertEqual(stream.clientAddress, "127.0.0.1")

    def test_of(self) -> None:
        """
        C{EventStream.of} finds the stream of a request while there is one.
        """
        stream = self.connect()
        request = stream.request
        assert request is not None
        self.assertIs(EventStream.of(request), stream)
        stream.abort()
        self.assertRaises(LookupError, EventStream.of, request)

    def test_ofAnother(self) -> None:
        """
        C{EventStream.of} of a request without a stream is a LookupError that shows it.
        """
        error = self.assertRaises(LookupError, EventStream.of, object())
        self.assertIn("object", str(error))

    def test_repr(self) -> None:
        """
        The repr tells the phase, the client, and the counts.
        """
        stream = self.connect()
        stream.send("x")
        self.assertEqual(repr(stream), "<EventStream open to 127.0.0.1: 1 sent, 0 bytes pending>")
        stream.abort()
        self.assertIn("closed", repr(stream))


class HeaderTests(StreamTestCase):
    """
    Tests for the headers of the response, and for L{EventStream.open}.
    """

    def test_headers(self) -> None:
        """
        An event stream has these headers, and never C{Connection}.
        """
        self.connect()
        headers = self.browser.headers
        self.assertEqual(self.browser.status, 200)
        self.assertEqual(headers["Content-Type"], "text/event-stream")
        self.assertEqual(headers["Cache-Control"], "no-cache, no-transform")
        self.assertEqual(headers["X-Accel-Buffering"], "no")
        self.assertEqual(headers["X-Content-Type-Options"], "nosniff")
        self.assertEqual(headers["Vary"], "Accept")
        self.assertNotIn("Connection", headers)
        self.assertNotIn("Content-Length", headers)

    def test_ofTheApplication(self) -> None:
        """
        The application's headers win, but for the type.
        """

        def connected(stream: EventStream) -> None:
            request = stream.request
            assert request is not None
            for name, value in [
                (b"content-type", b"text/plain"),
                (b"cache-control", b"no-store"),
                (b"x-accel-buffering", b"yes"),
                (b"x-content-type-options", b"mine"),
                (b"x-mine", b"1"),
            ]:
                request.setHeader(name, value)

        self.connect(connected)
        headers = self.browser.headers
        self.assertEqual(headers["Content-Type"], "text/event-stream")
        self.assertEqual(headers["Cache-Control"], "no-store")
        self.assertEqual(headers["X-Accel-Buffering"], "yes")
        self.assertEqual(headers["X-Content-Type-Options"], "mine")
        self.assertEqual(headers["X-Mine"], "1")

    def test_firstComment(self) -> None:
        """
        A comment goes out with the headers, before anything is sent.
        """
        self.connect()
        self.assertEqual(self.browser.comments, [""])
        self.assertTrue(self.browser.text.startswith(":"))

    def test_retry(self) -> None:
        """
        The resource's C{retry} is told with the headers.
        """
        self.connect(retry=1500)
        self.assertEqual(self.browser.retry, 1500)
        self.assertEqual(self.browser.events, [])

    def test_noRetry(self) -> None:
        """
        Without C{retry} clients are told none.
        """
        self.connect()
        self.assertIsNone(self.browser.retry)

    def test_openEarly(self) -> None:
        """
        C{open} sends the headers though nothing is decided yet, and once only.
        """

        def connected(stream: EventStream) -> Deferred[None]:
            stream.open()
            stream.open()
            return Deferred()

        self.connect(connected)
        self.assertEqual(self.browser.status, 200)
        self.assertEqual(self.browser.comments, [""])

    def test_openAfterEnd(self) -> None:
        """
        C{open} of a stream that is over does nothing.
        """
        stream = self.connect()
        stream.abort()
        stream.open()
        self.assertGone()

    def test_raisedAfterOpen(self) -> None:
        """
        What is raised after C{open} cannot become a status: the stream is cut.
        """

        def connected(stream: EventStream) -> None:
            stream.open()
            raise Error(403)

        self.connect(connected)
        self.assertEqual(self.browser.status, 200)
        self.assertTrue(self.browser.ended)
        self.assertFalse(self.browser.complete)
        self.assertEqual(len(self.flushLoggedErrors(Error)), 1)
        self.assertGone()

    def test_http10(self) -> None:
        """
        To HTTP/1.0 the body goes without chunks, and ends with the connection.
        """
        stream = self.connect(version="HTTP/1.0")
        stream.send("a")
        self.assertNotIn("Transfer-Encoding", self.browser.headers)
        self.assertEqual(self.browser.body, b": \n\ndata: a\n\n")
        self.assertFalse(self.browser.ended)
        stream.end()
        self.client.clock.advance(1)
        self.assertTrue(self.browser.complete)
        self.assertGone()

    def test_http10Error(self) -> None:
        """
        To HTTP/1.0 an end after an error is a reset: nothing else would look incomplete.
        """
        stream = self.connect(version="HTTP/1.0")
        stream._fail(Failure(ZeroDivisionError()))
        self.assertTrue(self.browser.ended)
        self.assertFalse(self.browser.complete)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertGone()

    def test_encoder(self) -> None:
        """
        A gzip encoder around the resource is taken off: it would swallow the events.
        """
        streams: list[EventStream] = []
        resource = EventStreamResource(streams.append)
        wrapped = EncodingResourceWrapper(resource, [GzipEncoderFactory()])
        client = MemoryClient(wrapped)
        browser = client.get("/", headers={"Accept-Encoding": "gzip"})
        streams[0].send("seen")
        self.assertEqual([event.data for event in browser.events], ["seen"])
        self.assertNotIn("Content-Encoding", browser.headers)

    def test_slim(self) -> None:
        """
        A slim stream forgets what has arrived in the request when the headers go out.
        """
        seen: list[object] = []

        def connected(stream: EventStream) -> None:
            request = stream.request
            assert request is not None
            seen.append(request.getHeader(b"user-agent"))

        stream = self.connect(connected, headers={"User-Agent": "me", "Cookie": "a=b"}, slim=True)
        request = stream.request
        assert request is not None
        self.assertEqual(seen, [b"me"])
        self.assertIsNone(request.getHeader(b"user-agent"))
        self.assertEqual(request.args, {})
        self.assertIsNone(request.getCookie(b"a"))
        assert request.content is not None
        self.assertTrue(request.content.closed)
        stream.send("still here")
        self.assertEqual(self.data(), ["still here"])
        stream.end()
        self.assertTrue(self.browser.complete)
        self.assertGone()

    def test_notSlim(self) -> None:
        """
        Otherwise the request keeps what it has.
        """
        stream = self.connect(headers={"User-Agent": "me"})
        request = stream.request
        assert request is not None
        self.assertEqual(request.getHeader(b"user-agent"), b"me")

    def test_contentLength(self) -> None:
        """
        An event stream has no length, whatever the application says: it would be cut off there.
        """

        def connected(stream: EventStream) -> None:
            stream.request.setHeader("content-length", "5")

        self.connect(connected)
        self.stream.send("all of it")
        self.assertEqual(self.browser.events[0].data, "all of it")
        self.assertNotIn("content-length", self.browser.headers)


class EveryTests(StreamTestCase):
    """
    Tests for L{EventStream.every}.
    """

    def test_loop(self) -> None:
        """
        It is a running LoopingCall, which sends first after one interval.
        """
        stream = self.connect()
        loop = stream.every(2, lambda: "tick")
        self.assertIsInstance(loop, LoopingCall)
        self.assertTrue(loop.running)
        self.assertEqual(self.data(), [])
        self.client.clock.advance(1.99)
        self.assertEqual(self.data(), [])
        self.client.clock.advance(0.01)
        self.assertEqual(self.data(), ["tick"])
        self.client.clock.advance(8)
        self.assertEqual(self.data(), ["tick"] * 5)

    def test_now(self) -> None:
        """
        With C{now} the first event is sent at once.
        """
        self.connect(lambda stream: stream.every(2, lambda: Event("tick"), now=True) and None)
        self.assertEqual(self.data(), ["tick"])
        self.client.clock.advance(2)
        self.assertEqual(self.data(), ["tick", "tick"])

    def test_everyResultThatIsAllowed(self) -> None:
        """
        The function may return an Event, a str, None for nothing, or a Deferred or coroutine of
        one of these.
        """
        waiting: Deferred[str] = Deferred()

        async def coroutine() -> Event:
            return Event("from a coroutine", event="note")

        async def nothing() -> None:
            return None

        results = iter([Event("an event"), "text", None, waiting, coroutine(), nothing(), "last"])
        stream = self.connect()
        stream.every(1, lambda: next(results))
        self.client.clock.advance(4)
        self.assertEqual(self.data(), ["an event", "text"])
        waiting.callback("later")
        self.assertEqual(self.data(), ["an event", "text", "later"])
        self.client.clock.advance(3)
        self.assertEqual(self.data()[3:], ["from a coroutine", "last"])

    def test_waits(self) -> None:
        """
        The next call waits for the Deferred, and comes at the next full interval.
        """
        calls: list[float] = []
        waiting: Deferred[None] = Deferred()

        def emit() -> Deferred[None] | None:
            calls.append(self.client.clock.seconds())
            return waiting if len(calls) == 1 else None

        stream = self.connect()
        stream.every(1, emit)
        self.client.clock.advance(3.5)
        self.assertEqual(calls, [1])
        waiting.callback(None)
        self.client.clock.advance(1)
        self.assertEqual(calls, [1, 4])

    def test_exception(self) -> None:
        """
        An exception is logged once with the client's address, and ends this stream only.
        """
        stream = self.connect()
        stream.every(1, lambda: "never" if self.client.clock.seconds() < 1 else str(1 // 0))
        stream.send("before")
        reasons = self.reasons()
        other = self.client.get("/")
        with capturedLogs() as logged:
            self.client.clock.advance(5)
        self.stream.send("to the other")
        self.assertEqual(reasons, [CloseReason.ERROR])
        self.assertTrue(self.browser.ended)
        self.assertFalse(self.browser.complete)
        self.assertEqual(self.data(), ["before"])
        self.assertFalse(other.ended)
        self.assertEqual([event.data for event in other.events], ["to the other"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        failures = [event for event in logged if "log_failure" in event]
        self.assertEqual(len(failures), 1)
        self.assertEqual(failures[0]["address"], "127.0.0.1")
        self.assertIn("{address}", failures[0]["log_format"])

    def test_exceptionBeforeHeaders(self) -> None:
        """
        What fails at once, inside C{connected}, is an HTTP answer like all else that does.
        """

        def connected(stream: EventStream) -> None:
            stream.every(1, lambda: 1 // 0, now=True)

        self.connect(connected)
        self.assertEqual(self.browser.status, 500)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertGone()

    def test_deferredFails(self) -> None:
        """
        A Deferred or coroutine that fails ends the stream in the same way.
        """

        async def failing() -> None:
            raise ZeroDivisionError

        for emit in (failing, lambda: Deferred.fromCoroutine(failing())):
            stream = self.connect()
            stream.every(1, emit)
            reasons = self.reasons()
            self.client.clock.advance(1)
            self.assertEqual(reasons, [CloseReason.ERROR])
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
            self.assertTrue(self.browser.ended)
            self.assertFalse(self.browser.complete)
            self.assertGone()

    def test_wrongResult(self) -> None:
        """
        A result that is no event ends the stream, with a TypeError in the log that shows it.
        """

        async def coroutine() -> object:
            return 5

        for emit in (lambda: 5, lambda: b"bytes", lambda: {"data": "x"}, coroutine, lambda: True):
            stream = self.connect()
            stream.every(1, emit)
            reasons = self.reasons()
            self.client.clock.advance(1)
            self.assertEqual(reasons, [CloseReason.ERROR])
            [failure] = self.flushLoggedErrors(TypeError)
            self.assertIn("it may return an Event, a str", failure.getErrorMessage())
            self.assertGone()

    def test_invalidText(self) -> None:
        """
        A text that cannot be sent ends the stream as an exception does.
        """
        stream = self.connect()
        stream.every(1, lambda: "\ud800")
        self.client.clock.advance(1)
        self.assertEqual(len(self.flushLoggedErrors(InvalidEvent)), 1)
        self.assertGone()

    def test_badInterval(self) -> None:
        """
        An interval that is no positive number of seconds is refused, by name and value.
        """
        stream = self.connect()
        for interval in (0, -1, None, "1", True, float("nan"), float("inf")):
            error = self.assertRaises(ValueError, stream.every, interval, lambda: "x")
            self.assertIn(f"interval is {interval!r}", str(error))
            self.assertIn("above 0", str(error))
        self.assertFalse(stream.closed)

    def test_badFunction(self) -> None:
        """
        What cannot be called is refused.
        """
        error = self.assertRaises(TypeError, self.connect().every, 1, "text")
        self.assertIn("emit is 'text'", str(error))

    def test_stop(self) -> None:
        """
        The loop may be stopped earlier: the stream goes on, and nothing is left of the loop.
        """
        stream = self.connect(heartbeat=None)
        loop = stream.every(1, lambda: "tick")
        self.client.clock.advance(2)
        loop.stop()
        self.client.clock.advance(5)
        self.assertEqual(self.data(), ["tick"] * 2)
        self.assertFalse(stream.closed)
        self.assertEqual(stream._feeds, ())
        self.assertEqual(self.client.clock.getDelayedCalls(), [])

    def test_several(self) -> None:
        """
        A stream may have several loops; its end stops all of them.
        """
        stream = self.connect()
        loops = [stream.every(1, lambda: "one"), stream.every(2.5, lambda: "two")]
        self.client.clock.advance(2.5)
        self.assertEqual(self.data(), ["one", "one", "two"])
        stream.end()
        self.client.clock.advance(10)
        self.assertEqual([loop.running for loop in loops], [False, False])
        self.assertEqual(self.data(), ["one", "one", "two"])
        self.assertGone()

    def test_stoppedByTheClient(self) -> None:
        """
        The loop ends with the connection, and its function is not called again.
        """
        calls: list[None] = []
        stream = self.connect()
        loop = stream.every(1, lambda: calls.append(None))
        self.client.clock.advance(2)
        self.browser.disconnect()
        self.assertFalse(loop.running)
        self.client.clock.advance(5)
        self.assertEqual(len(calls), 2)
        self.assertGone()

    def test_stoppedFromInside(self) -> None:
        """
        The function may end its own stream; what it then returns is not sent.
        """
        for act in (EventStream.end, EventStream.abort):
            for late in (None, "late", Event("late")):

                def emit(act: Callable[[EventStream], None] = act, late: object = late) -> object:
                    act(self.stream)
                    return late

                stream = self.connect()
                stream.every(1, emit)
                reasons = self.reasons()
                self.client.clock.advance(3)
                self.assertEqual(reasons, [CloseReason.ENDED])
                self.assertEqual(self.data(), [])
                self.assertGone()

    def test_waitingIsCancelled(self) -> None:
        """
        A Deferred that the loop waits for is cancelled as the stream ends, without a log.
        """
        cancelled: list[object] = []
        stream = self.connect()
        loop = stream.every(1, lambda: Deferred(cancelled.append))
        self.client.clock.advance(1)
        self.assertEqual(cancelled, [])
        self.browser.disconnect()
        self.assertEqual(len(cancelled), 1)
        self.assertFalse(loop.running)
        self.assertGone()

    def test_waitingCoroutineEndsItsStream(self) -> None:
        """
        A coroutine that ends its own stream and then waits for something is cancelled too.
        """
        for first in (None, Deferred()):
            second: Deferred[None] = Deferred()

            async def emit(
                first: Deferred[None] | None = first, second: Deferred[None] = second
            ) -> None:
                if first is not None:
                    await first
                self.stream.end()
                await second

            stream = self.connect()
            stream.every(1, emit)
            self.client.clock.advance(1)
            if first is not None:
                first.callback(None)
            self.client.clock.advance(1)
            self.assertTrue(second.called)
            self.assertGone()

    def test_cancellerRaises(self) -> None:
        """
        A canceller that raises is logged, and the stream goes all the same.
        """

        def canceller(_: object) -> None:
            raise ZeroDivisionError

        stream = self.connect()
        stream.every(1, lambda: Deferred(canceller))
        reasons = self.reasons()
        self.client.clock.advance(1)
        self.browser.disconnect()
        self.assertEqual(reasons, [CloseReason.CLIENT])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertGone()

    def test_lateResult(self) -> None:
        """
        What arrives when the stream is over is dropped.
        """
        waiting: Deferred[str] = Deferred(lambda _: None)
        stream = self.connect()
        stream.every(1, lambda: waiting)
        self.client.clock.advance(1)
        self.browser.disconnect()
        self.assertGone()
        if not waiting.called:
            waiting.callback("late")
        self.assertEqual(stream.eventsSent, 0)

    def test_afterEnd(self) -> None:
        """
        On a stream that is over or ending the loop is returned, not running, and never runs.
        """
        stream = self.connect()
        stream.end()
        ending = stream.every(1, lambda: 1 // 0, now=True)
        self.client.clock.advance(1)
        over = stream.every(1, lambda: 1 // 0, now=True)
        self.assertEqual([ending.running, over.running], [False, False])
        self.client.clock.advance(5)
        self.assertGone()

    def test_whileStalled(self) -> None:
        """
        The loop goes on while the client does not read; its events wait.
        """
        stream = self.connect()
        self.stall()
        stream.every(1, lambda: "tick")
        self.client.clock.advance(3)
        self.assertEqual(stream.bytesPending, 3 * len(Event("tick").encode()))
        self.browser.resumeReading()
        self.assertEqual(self.data(), [BIG, "tick", "tick", "tick"])

    def test_lostIsNot(self) -> None:
        """
        Of 1,000 ticks at a crooked time none is lost.
        """
        stream = self.connect()
        self.client.clock.rightNow = 1234567.891
        stream.every(0.05, lambda: "tick")
        for _ in range(100):
            self.client.clock.advance(0.5)
        self.client.clock.advance(0.01)
        self.assertEqual(len(self.data()), 1000)


class WhenWritableTests(StreamTestCase):
    """
    Tests for L{EventStream.whenWritable}.
    """

    def test_atOnce(self) -> None:
        """
        It fires at once while the client reads.
        """
        self.assertIsNone(self.successResultOf(self.connect().whenWritable()))

    def test_beforeAnythingWasSent(self) -> None:
        """
        It fires at once before anything was sent: a coroutine may begin with it.
        """

        async def connected(stream: EventStream) -> None:
            for number in range(3):
                await stream.whenWritable()
                stream.send(str(number))

        self.connect(connected)
        self.client.clock.advance(1)
        self.assertEqual(self.browser.status, 200)
        self.assertEqual(self.data(), ["0", "1", "2"])

    def test_later(self) -> None:
        """
        It fires when the client has read what was sent before.
        """
        stream = self.connect()
        self.stall()
        waiting = [stream.whenWritable(), stream.whenWritable()]
        for each in waiting:
            self.assertNoResult(each)
        stream.send("behind")
        self.client.clock.advance(1)
        self.assertNoResult(waiting[0])
        self.browser.resumeReading()
        for each in waiting:
            self.assertIsNone(self.successResultOf(each))
        self.assertEqual(stream.bytesPending, 0)
        self.assertEqual(self.data()[-1], "behind")

    def test_oneAtATime(self) -> None:
        """
        When one who waited fills the connection again, the others wait on.
        """
        stream = self.connect()
        self.stall()
        fired: list[tuple[str, bool]] = []
        for name in ("first", "second"):
            stream.whenWritable().addCallback(
                lambda _, name=name: fired.append((name, stream._paused))
            ).addCallback(lambda _: stream.send(BIG))
        self.browser.resumeReading()
        self.assertEqual(fired, [("first", False), ("second", False)])
        self.assertEqual(self.data(), [BIG] * 3)

    def test_ended(self) -> None:
        """
        It fires when the stream ends meanwhile, so that nobody waits for ever.
        """
        stream = self.connect()
        self.stall()
        waiting = stream.whenWritable()
        self.browser.disconnect()
        self.successResultOf(waiting)
        self.assertIs(stream.send("x"), False)
        self.assertGone()

    def test_afterEnd(self) -> None:
        """
        When the stream has ended already it fails, so that no loop can spin.
        """
        stream = self.connect()
        self.stall()
        stream.end()
        self.failureResultOf(stream.whenWritable(), CancelledError)
        self.browser.disconnect()
        self.failureResultOf(stream.whenWritable(), CancelledError)

    def test_cancelled(self) -> None:
        """
        Whoever waits may give up.
        """
        stream = self.connect()
        self.stall()
        waiting = stream.whenWritable()
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.browser.resumeReading()
        self.assertTrue(stream.send("x"))


class WhenClosedTests(StreamTestCase):
    """
    Tests for L{EventStream.whenClosed}.
    """

    def test_each(self) -> None:
        """
        Each call has a Deferred of its own; all fire with the reason.
        """
        stream = self.connect()
        first, second = stream.whenClosed(), stream.whenClosed()
        self.assertIsNot(first, second)
        self.assertNoResult(first)
        self.browser.disconnect()
        self.assertIs(self.successResultOf(first), CloseReason.CLIENT)
        self.assertIs(self.successResultOf(second), CloseReason.CLIENT)

    def test_afterwards(self) -> None:
        """
        It fires at once when the stream is over already.
        """
        stream = self.connect()
        stream.abort()
        self.assertIs(self.successResultOf(stream.whenClosed()), CloseReason.ENDED)
        self.assertIs(self.successResultOf(stream.whenClosed()), CloseReason.ENDED)

    def test_everythingIsDone(self) -> None:
        """
        When it fires, the stream is closed, and has left its resource.
        """
        seen: list[object] = []
        stream = self.connect()
        stream.whenClosed().addCallback(
            lambda _: seen.append((stream.closed, stream.request, stream in self.resource.streams))
        )
        self.browser.disconnect()
        self.assertEqual(seen, [(True, None, False)])

    def test_cancelled(self) -> None:
        """
        Whoever waits may give up.
        """
        stream = self.connect()
        waiting = stream.whenClosed()
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.browser.disconnect()
        self.assertGone()

    def test_callbackFails(self) -> None:
        """
        A callback that fails is its owner's affair: the others are told.
        """
        stream = self.connect()
        first = stream.whenClosed().addCallback(lambda _: 1 // 0)
        second = stream.whenClosed()
        self.browser.disconnect()
        self.failureResultOf(first, ZeroDivisionError)
        self.successResultOf(second)
        self.assertGone()


class EndTests(StreamTestCase):
    """
    Tests for the ways a stream ends.
    """

    def test_end(self) -> None:
        """
        C{end} completes the response, and its reason is ENDED.
        """
        stream = self.connect()
        stream.send("last")
        reasons = self.reasons()
        stream.end()
        self.assertTrue(self.browser.complete)
        self.assertEqual(self.data(), ["last"])
        self.assertEqual(reasons, [CloseReason.ENDED])
        self.assertGone()

    def test_endTwice(self) -> None:
        """
        Ending and aborting again does nothing.
        """
        stream = self.connect()
        reasons = self.reasons()
        stream.end()
        stream.end()
        self.client.clock.advance(1)
        stream.end()
        stream.abort()
        self.assertEqual(reasons, [CloseReason.ENDED])
        self.assertGone()

    def test_endBeforeHeaders(self) -> None:
        """
        C{end} inside C{connected} sends the headers, what was sent, and the end.
        """

        def connected(stream: EventStream) -> None:
            stream.send("all")
            stream.end()

        self.connect(connected)
        self.assertEqual(self.browser.status, 200)
        self.assertEqual(self.data(), ["all"])
        self.assertTrue(self.browser.complete)
        self.assertGone()

    def test_endWithPending(self) -> None:
        """
        C{end} lets out what is waiting first, and is closed only when the bytes have left.
        """
        stream = self.connect()
        self.stall()
        stream.send("waiting")
        reasons = self.reasons()
        stream.end()
        self.client.clock.advance(1)
        self.assertFalse(stream.closed)
        self.assertIs(stream.send("too late"), False)
        self.assertEqual(reasons, [])
        self.assertFalse(self.browser.ended)
        self.browser.resumeReading()
        self.client.clock.advance(1)
        self.assertEqual(self.data(), [BIG, "waiting"])
        self.assertTrue(self.browser.complete)
        self.assertEqual(reasons, [CloseReason.ENDED])
        self.assertGone()

    def test_endWithBytesInTheTransport(self) -> None:
        """
        Bytes that the transport holds are not gone yet: the stream is not closed before.
        """
        stream = self.connect()
        self.browser.stopReading(kernelBuffer=0)
        stream.send("held")
        stream.end()
        self.client.clock.advance(3)
        self.assertFalse(stream.closed)
        self.browser.resumeReading()
        self.client.clock.advance(0.2)
        self.assertTrue(stream.closed)
        self.assertEqual(self.data(), ["held"])
        self.assertTrue(self.browser.complete)
        self.assertGone()

    def test_endWithPendingThenDisconnect(self) -> None:
        """
        A client that goes while something waits for it has gone, though the stream was ending.
        """
        stream = self.connect()
        self.stall()
        stream.send("waiting")
        reasons = self.reasons()
        stream.end()
        self.browser.disconnect()
        self.assertEqual(reasons, [CloseReason.CLIENT])
        self.assertGone()

    def test_endThenAbort(self) -> None:
        """
        C{abort} acts on a stream that is ending and cannot.
        """
        stream = self.connect()
        self.stall()
        stream.end()
        self.assertFalse(stream.closed)
        stream.abort()
        self.assertTrue(self.browser.ended)
        self.assertFalse(self.browser.complete)
        self.assertGone()

    def test_endStalled(self) -> None:
        """
        A reader that stalls cannot keep an ending stream: C{stallTimeout} aborts it, whether
        the transport had said pause or not.
        """
        for data in (BIG, "a little"):
            stream = self.connect(stallTimeout=60)
            self.browser.stopReading(kernelBuffer=0)
            stream.send(data)
            reasons = self.reasons()
            stream.end()
            self.client.clock.advance(59)
            self.assertFalse(stream.closed)
            self.client.clock.advance(17)
            self.assertEqual(reasons, [CloseReason.STALLED], data[:8])
            self.assertTrue(self.browser.ended)
            self.assertFalse(self.browser.complete)
            self.assertGone()

    def test_endStalledForLong(self) -> None:
        """
        Without C{stallTimeout} an ending stream waits for its reader, however long.
        """
        stream = self.connect(stallTimeout=None)
        self.browser.stopReading(kernelBuffer=0)
        stream.send("a little")
        stream.end()
        for _ in range(4):
            self.client.clock.advance(100)
        self.assertFalse(stream.closed)
        self.browser.resumeReading()
        self.client.clock.advance(1)
        self.assertTrue(self.browser.complete)
        self.assertEqual(self.data(), ["a little"])
        self.assertGone()

    def test_endDrained(self) -> None:
        """
        A drain's deadline aborts a stream that is ending and cannot.
        """
        stream = self.connect()
        self.stall()
        stream.end()
        done = self.resource.drain(5)
        self.client.clock.advance(4.9)
        self.assertNoResult(done)
        self.client.clock.advance(0.2)
        self.successResultOf(done)
        self.assertTrue(stream.closed)
        self.assertGone()

    def test_abort(self) -> None:
        """
        C{abort} cuts the response at once; what is waiting is lost.
        """
        stream = self.connect()
        self.stall()
        stream.send("waiting")
        reasons = self.reasons()
        stream.abort()
        self.assertEqual(reasons, [CloseReason.ENDED])
        self.assertTrue(stream.closed)
        self.assertTrue(self.browser.ended)
        self.assertFalse(self.browser.complete)
        self.assertGone()

    def test_abortBeforeHeaders(self) -> None:
        """
        C{abort} inside C{connected} closes the connection without an answer.
        """
        self.connect(EventStream.abort)
        self.assertIsNone(self.browser.status)
        self.assertTrue(self.browser.ended)
        self.assertGone()

    def test_disconnect(self) -> None:
        """
        A client that goes closes the stream, properly or with a reset.
        """
        for reset in (False, True):
            self.connect()
            reasons = self.reasons()
            self.browser.disconnect(reset=reset)
            self.assertEqual(reasons, [CloseReason.CLIENT])
            self.assertGone()

    def test_disconnectBeforeHeaders(self) -> None:
        """
        A client that goes before the headers closes the stream too.
        """
        stream = self.connect(lambda stream: Deferred())
        reasons = self.reasons()
        self.browser.disconnect()
        self.assertEqual(reasons, [CloseReason.CLIENT])
        self.assertIs(stream.send("late"), False)
        self.assertGone()

    def test_errorHasNoLastChunk(self) -> None:
        """
        After an error what was sent arrives, but the response does not look complete.
        """
        stream = self.connect()
        stream.send("before")
        stream.every(1, lambda: 1 // 0)
        self.client.clock.advance(2)
        self.assertEqual(self.data(), ["before"])
        self.assertTrue(self.browser.ended)
        self.assertFalse(self.browser.complete)
        self.flushLoggedErrors(ZeroDivisionError)

    def test_errorWithPending(self) -> None:
        """
        After an error what was waiting still goes out, then the cut.
        """
        stream = self.connect()
        self.stall()
        stream.send("waiting")
        stream.every(1, lambda: 1 // 0)
        reasons = self.reasons()
        self.client.clock.advance(1)
        self.flushLoggedErrors(ZeroDivisionError)
        self.assertEqual(reasons, [])
        self.browser.resumeReading()
        self.client.clock.advance(1)
        self.assertEqual(self.data(), [BIG, "waiting"])
        self.assertEqual(reasons, [CloseReason.ERROR])
        self.assertTrue(self.browser.ended)
        self.assertFalse(self.browser.complete)
        self.assertGone()

    def test_errorStalled(self) -> None:
        """
        A reader that has stalled cannot keep a stream that failed.
        """
        stream = self.connect(stallTimeout=10)
        self.stall()
        stream.every(1, lambda: 1 // 0)
        reasons = self.reasons()
        self.client.clock.advance(20)
        self.flushLoggedErrors(ZeroDivisionError)
        self.assertEqual(reasons, [CloseReason.ERROR])
        self.assertGone()

    def test_shutdown(self) -> None:
        """
        A client that is cut because the reactor stops is no client that went.
        """
        self.connect()
        reasons = self.reasons()
        self.client.clock.running = False  # type: ignore[attr-defined]
        self.browser.disconnect()
        self.assertEqual(reasons, [CloseReason.SHUTDOWN])

    def test_reasons(self) -> None:
        """
        These are the reasons, and no others.
        """
        self.assertEqual(
            [reason.name for reason in CloseReason],
            ["CLIENT", "ENDED", "ERROR", "SLOW", "STALLED", "LIMIT", "DRAIN", "SHUTDOWN"],
        )

    def test_finishedByTheApplication(self) -> None:
        """
        An application that finishes the request itself closes the stream.
        """
        stream = self.connect()
        reasons = self.reasons()
        request = stream.request
        assert request is not None
        request.unregisterProducer()
        request.finish()
        self.assertEqual(reasons, [CloseReason.ENDED])
        self.assertTrue(self.browser.complete)
        self.assertGone()

    def test_once(self) -> None:
        """
        With C{once} the end is an event that tells the browser not to come back.
        """
        stream = self.connect(once=True)
        stream.send("x", id="1")
        stream.end()
        last = self.browser.events[-1]
        self.assertEqual((last.type, last.lastEventID), ("end", "end"))
        self.assertTrue(self.browser.complete)

    def test_onceAborted(self) -> None:
        """
        With C{once} an abort or an error is no end: there is no such event.
        """
        stream = self.connect(once=True)
        stream.abort()
        self.assertEqual(self.browser.events, [])
        stream = self.connect(once=True)
        stream.every(1, lambda: 1 // 0)
        self.client.clock.advance(1)
        self.assertEqual(self.browser.events, [])
        self.flushLoggedErrors(ZeroDivisionError)

    def test_endedFromWhenClosed(self) -> None:
        """
        Acting on the stream as it closes does nothing.
        """
        stream = self.connect()
        results: list[object] = []

        def act(_: object) -> None:
            stream.end()
            stream.abort()
            stream.open()
            results.append(stream.send("x"))
            results.append(stream.every(1, lambda: "x").running)

        stream.whenClosed().addCallback(act)
        self.browser.disconnect()
        self.assertEqual(results, [False, False])
        self.assertGone()

    def test_transportsCallsAfterEnd(self) -> None:
        """
        What a transport may still say to its producer after the end does nothing.
        """
        stream = self.connect()
        self.browser.disconnect()
        stream.stopProducing()
        self.assertGone()


class BackpressureTests(StreamTestCase):
    """
    Tests for clients that do not read.
    """

    def test_nothingMoreIsHandedOver(self) -> None:
        """
        Once the transport says pause, what is sent waits with us.
        """
        stream = self.connect()
        self.stall()
        self.assertEqual(stream.bytesPending, 0)
        held = self.browser._transport._held()
        self.assertIs(stream.send("waiting"), True)
        self.assertIs(stream.comment("too"), True)
        self.assertEqual(stream.bytesPending, len(b"data: waiting\n\n: too\n\n"))
        self.assertEqual(self.browser._transport._held(), held)
        self.assertEqual(stream.eventsSent, 1)
        self.browser.resumeReading()
        self.assertEqual(stream.bytesPending, 0)
        self.assertEqual(stream.eventsSent, 2)

    def test_kernelTakesSome(self) -> None:
        """
        Nothing waits while the kernel and the transport take what is sent.
        """
        stream = self.connect()
        self.browser.stopReading(kernelBuffer=2**20)
        for _ in range(10):
            stream.send(BIG)
            self.client.clock.advance(0)
        self.assertEqual(stream.bytesPending, 0)
        self.assertEqual(self.browser.events, [])
        self.browser.resumeReading()
        self.assertEqual(len(self.browser.events), 10)

    def test_disconnect(self) -> None:
        """
        Beyond C{maxPending} a slow reader is disconnected, and send says so.
        """
        stream = self.connect(maxPending=1000)
        self.stall()
        reasons = self.reasons()
        one = Event("y" * 400)
        self.assertIs(stream.send(one), True)
        self.assertIs(stream.send(one), True)
        self.assertEqual(reasons, [])
        self.assertIs(stream.send(one), False)
        self.assertEqual(reasons, [CloseReason.SLOW])
        self.assertTrue(self.browser.ended)
        self.assertFalse(self.browser.complete)
        self.assertGone()

    def test_exactlyMaxPending(self) -> None:
        """
        C{maxPending} bytes may wait, one more may not.
        """
        one = Event("y" * 92)
        self.assertEqual(len(one.encode()), 100)
        stream = self.connect(maxPending=200)
        self.stall()
        self.assertTrue(stream.send(one))
        self.assertTrue(stream.send(one))
        self.assertEqual(stream.bytesPending, 200)
        self.assertFalse(stream.send(comment=""))
        self.assertTrue(stream.closed)

    def test_oneBigEvent(self) -> None:
        """
        One event is always accepted, however big, whatever the policy.
        """
        for slow in SlowReader:
            stream = self.connect(maxPending=1000, slow=slow)
            self.stall()
            self.assertTrue(stream.send("z" * 100_000))
            self.assertFalse(stream.closed)
            self.browser.resumeReading()
            self.assertEqual(self.data(), [BIG, "z" * 100_000])

    def test_dropOldest(self) -> None:
        """
        DROP_OLDEST drops from the front, and the client is told the number before what is left.
        """
        stream = self.connect(maxPending=60, slow=SlowReader.DROP_OLDEST)
        self.stall()
        for number in range(10, 20):
            self.assertTrue(stream.send(str(number), id=number))
        self.assertLessEqual(stream.bytesPending, 60)
        self.browser.resumeReading()
        _, gap, *rest = self.browser.events
        self.assertEqual(gap.type, "stream-gap")
        self.assertEqual(int(gap.data), 10 - len(rest))
        self.assertEqual(
            [event.data for event in rest], [str(n) for n in range(20 - len(rest), 20)]
        )
        self.assertTrue(rest)
        self.assertFalse(stream.closed)

    def test_dropOldestAgain(self) -> None:
        """
        Each time that something was dropped there is one gap event with its own number.
        """
        stream = self.connect(maxPending=60, slow=SlowReader.DROP_OLDEST)
        for _ in range(2):
            self.stall()
            for number in range(10):
                stream.send(str(number))
            self.browser.resumeReading()
        gaps = [event for event in self.browser.events if event.type == "stream-gap"]
        kept = [event for event in self.browser.events if event.type == "message"]
        self.assertEqual(len(gaps), 2)
        self.assertEqual(sum(int(gap.data) for gap in gaps), 20 - len(kept))
        stream.send("after")
        self.assertEqual(self.data()[-1], "after")

    def test_gapHasNoID(self) -> None:
        """
        The gap event leaves the client's last event ID as it was.
        """
        stream = self.connect(maxPending=60, slow=SlowReader.DROP_OLDEST)
        stream.send("first", id="1")
        self.stall()
        for number in range(10):
            stream.send(str(number))
        self.browser.resumeReading()
        gap = next(event for event in self.browser.events if event.type == "stream-gap")
        self.assertEqual(gap.lastEventID, "1")

    def test_commentsAreNotCounted(self) -> None:
        """
        Comments that are dropped are no loss, and no gap.
        """
        stream = self.connect(maxPending=60, slow=SlowReader.DROP_OLDEST)
        self.stall()
        for _ in range(20):
            stream.comment("c" * 20)
        stream.send("event")
        self.browser.resumeReading()
        self.assertEqual(self.data(), [BIG, "event"])

    def test_latest(self) -> None:
        """
        LATEST keeps the newest event of each type, in order, and counts the rest.
        """
        stream = self.connect(maxPending=120, slow=SlowReader.LATEST)
        self.stall()
        for number in range(30):
            stream.send(str(number), event="abc"[number % 3])
        self.browser.resumeReading()
        _, gap, *rest = self.browser.events
        self.assertEqual(gap.type, "stream-gap")
        self.assertEqual(int(gap.data), 30 - len(rest))
        newest = {event.type: event.data for event in rest}
        self.assertEqual(newest, {"a": "27", "b": "28", "c": "29"})
        self.assertEqual([event.data for event in rest][-1], "29")

    def test_gapAtEnd(self) -> None:
        """
        A stream that is ended with a gap tells it when the client reads again.
        """
        stream = self.connect(maxPending=60, slow=SlowReader.DROP_OLDEST)
        self.stall()
        for number in range(10):
            stream.send(str(number))
        stream.end()
        self.browser.resumeReading()
        self.client.clock.advance(1)
        gap = self.browser.events[1]
        self.assertEqual(gap.type, "stream-gap")
        self.assertEqual(int(gap.data) + len(self.browser.events) - 2, 10)
        self.assertTrue(self.browser.complete)
        self.assertGone()

    def test_stall(self) -> None:
        """
        A stream of which no byte is taken for C{stallTimeout} is aborted.
        """
        stream = self.connect(stallTimeout=60)
        self.stall()
        stream.send("waiting")
        reasons = self.reasons()
        self.client.clock.advance(59.9)
        self.assertEqual(reasons, [])
        self.client.clock.advance(0.2)
        self.assertEqual(reasons, [CloseReason.STALLED])
        self.assertTrue(self.browser.ended)
        self.assertGone()

    def test_stallOfALittle(self) -> None:
        """
        Less than what makes the transport say pause is a stall too, found by the heartbeat.
        """
        stream = self.connect(stallTimeout=60, heartbeat=15)
        self.browser.stopReading(kernelBuffer=0)
        stream.send("a little")
        reasons = self.reasons()
        self.client.clock.advance(59)
        self.assertEqual(reasons, [])
        self.client.clock.advance(60)
        self.assertEqual(reasons, [CloseReason.STALLED])
        self.assertGone()

    def test_stallOfALittleIsOver(self) -> None:
        """
        Who takes that little after all is no longer watched.
        """
        stream = self.connect(stallTimeout=60, heartbeat=15)
        self.browser.stopReading(kernelBuffer=0)
        stream.send("a little")
        self.client.clock.advance(20)
        self.assertIsNotNone(stream._watch)
        self.browser.resumeReading()
        self.client.clock.advance(40)
        self.assertIsNone(stream._watch)
        self.client.clock.advance(200)
        self.assertFalse(stream.closed)
        self.assertGreater(len(self.browser.comments), 10)

    def test_stallNever(self) -> None:
        """
        Without C{stallTimeout} a stalled stream stays.
        """
        stream = self.connect(stallTimeout=None)
        self.stall()
        self.client.clock.advance(10_000)
        self.assertFalse(stream.closed)
        self.browser.resumeReading()
        self.assertEqual(self.data(), [BIG])

    def test_progress(self) -> None:
        """
        A reader that takes something now and then is slow, but has not stalled.
        """
        stream = self.connect(stallTimeout=10)
        self.stall()
        for step in range(1, 30):
            self.browser._transport.kernelBuffer = 100 * step
            self.client.clock.advance(5)
        self.assertFalse(stream.closed)
        self.client.clock.advance(4)
        self.assertFalse(stream.closed)
        self.client.clock.advance(7)
        self.assertTrue(stream.closed)
        self.assertIs(self.successResultOf(stream.whenClosed()), CloseReason.STALLED)

    def test_readAgain(self) -> None:
        """
        Who reads again is no longer watched.
        """
        stream = self.connect(stallTimeout=10, heartbeat=None)
        self.stall()
        self.client.clock.advance(9)
        self.browser.resumeReading()
        self.assertEqual(self.client.clock.getDelayedCalls(), [])
        self.client.clock.advance(20)
        self.assertFalse(stream.closed)
        self.stall()
        self.client.clock.advance(9)
        self.assertFalse(stream.closed)

    def test_endOverMaxPending(self) -> None:
        """
        The end itself is never too much: who was told to end, ends, and for that reason.
        """
        stream = self.connect(maxPending=1000, once=True)
        self.stall()
        stream.send("y" * 980)
        reasons = self.reasons()
        stream.end()
        stream.whenClosed().addCallback(reasons.append)
        self.browser.resumeReading()
        self.client.clock.advance(1)
        self.assertEqual(reasons, [CloseReason.ENDED] * 2)
        self.assertEqual(self.browser.events[-1].type, "end")
        self.assertTrue(self.browser.complete)

    def test_manyPieces(self) -> None:
        """
        A long queue is handed over piece by piece, as the client reads, and nothing is lost.
        """
        stream = self.connect(maxPending=2**22)
        self.stall()
        for number in range(300):
            stream.send(f"{number}:" + "p" * 10_000)
        self.assertGreater(stream.bytesPending, 3_000_000)
        last = stream.bytesPending
        for step in range(1, 12):
            self.browser._transport.kernelBuffer = 400_000 * step
            self.client.clock.advance(0.01)
            self.assertLessEqual(stream.bytesPending, last)
            self.assertLess(self.browser._transport._held(), 200_000)
            last = stream.bytesPending
        self.browser.resumeReading()
        self.assertEqual([int(data.partition(":")[0]) for data in self.data()[1:]], [*range(300)])

    def test_stallOfLittleEvents(self) -> None:
        """
        A client that takes nothing is stalled, however little it is sent and however often.
        """
        for heartbeat in (15, None):
            stream = self.connect(stallTimeout=60, heartbeat=heartbeat)
            reasons = self.reasons()
            self.browser.stopReading(kernelBuffer=10)
            stream.every(2, lambda: "x")
            self.client.clock.advance(70)
            self.assertEqual(reasons, [CloseReason.STALLED])

    def test_stallOfOneEvent(self) -> None:
        """
        It is stalled when C{stallTimeout} is over, to the second, without a heartbeat too.
        """
        stream = self.connect(stallTimeout=60, heartbeat=None)
        self.browser.stopReading(kernelBuffer=10)
        stream.send("a little more than that")
        self.client.clock.advance(59)
        self.assertFalse(stream.closed)
        self.client.clock.advance(1)
        self.assertTrue(stream.closed)


class CongestionTests(StreamTestCase):
    """
    Tests for a transport that never says pause, as that of HTTP/2 does not when TCP stalls: we
    look at what it holds ourselves.
    """

    def congest(self, **options: Any) -> EventStream:
        """
        Open such a stream.
        """
        self.patch(EventStream, "pauseProducing", lambda stream: None)
        waiting: Deferred[None] = Deferred()
        stream = self.connect(lambda stream: waiting, **options)
        request: Any = stream.request
        stream._http2 = True
        request.channel.abortConnection = request.transport.abortConnection
        waiting.callback(None)
        return stream

    def test_nothingMoreIsHandedOver(self) -> None:
        """
        While it holds more than 64 KiB, what is sent waits with us, in order.
        """
        stream = self.congest()
        self.browser.stopReading(kernelBuffer=0)
        stream.send(BIG)
        held = self.browser._transport._held()
        for number in range(5):
            stream.send(str(number))
        self.client.clock.advance(5)
        self.assertGreater(stream.bytesPending, 0)
        self.assertEqual(self.browser._transport._held(), held)
        self.assertNoResult(stream.whenWritable())
        self.browser.resumeReading()
        self.client.clock.advance(0.2)
        self.assertEqual(stream.bytesPending, 0)
        self.assertEqual(self.data(), [BIG, "0", "1", "2", "3", "4"])

    def test_pieces(self) -> None:
        """
        Of much that waits at most two pieces are handed over at a time.
        """
        stream = self.congest(maxPending=2**24)
        self.browser.stopReading(kernelBuffer=0)
        for number in range(100):
            stream.send(f"{number}:".ljust(50_000, "p"))
        self.assertLess(self.browser._transport._held(), 3 * 2**16)
        for step in range(1, 60):
            self.browser._transport.kernelBuffer = 100_000 * step
            self.client.clock.advance(0.2)
            self.assertLess(self.browser._transport._held(), 3 * 2**16)
        self.browser.resumeReading()
        self.client.clock.advance(1)
        self.assertEqual([int(data.partition(":")[0]) for data in self.data()], [*range(100)])

    def test_stalls(self) -> None:
        """
        A stall is noticed.
        """
        stream = self.congest(stallTimeout=60)
        self.browser.stopReading(kernelBuffer=0)
        stream.send(BIG)
        reasons = self.reasons()
        self.client.clock.advance(76)
        self.assertEqual(reasons, [CloseReason.STALLED])
        self.assertTrue(self.browser.ended)
        self.assertGone()

    def test_error(self) -> None:
        """
        An error resets the stream.
        """
        stream = self.congest()
        stream.every(1, lambda: 1 // 0)
        reasons = self.reasons()
        self.client.clock.advance(2)
        self.assertEqual(reasons, [CloseReason.ERROR])
        self.assertFalse(self.browser.complete)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertGone()

    def test_idleTimeout(self) -> None:
        """
        Of a heartbeat that is slower than the site's idle timeout the log warns, once.
        """
        for options, warned in [({}, 0), ({"heartbeat": None}, 1), ({"heartbeat": 60}, 1)]:
            with capturedLogs() as logged:
                self.congest(**options)
            warnings = [event for event in logged if event["log_level"].name == "warn"]
            self.assertEqual(len(warnings), warned)


class BeforeHeadersTests(StreamTestCase):
    """
    Tests for what is sent before the headers.
    """

    def test_queued(self) -> None:
        """
        What C{connected} sends is queued until it has returned.
        """
        seen: list[object] = []

        def connected(stream: EventStream) -> None:
            stream.send("one", id="1")
            stream.comment("two")
            seen.append((stream.bytesPending > 0, stream.eventsSent))

        self.connect(connected)
        self.assertEqual(seen, [(True, 0)])
        self.assertEqual(self.data(), ["one"])
        self.assertEqual(self.browser.comments, ["", "two"])

    def test_droppedOnRefusal(self) -> None:
        """
        It is dropped if the answer becomes a refusal.
        """

        def connected(stream: EventStream) -> None:
            stream.send("secret")
            raise Error(403)

        self.connect(connected)
        self.assertEqual(self.browser.status, 403)
        self.assertNotIn("secret", self.browser.text)
        self.assertEqual(self.stream.eventsSent, 0)
        self.assertGone()

    def test_sentFromOutside(self) -> None:
        """
        While a Deferred of C{connected} is pending, the first thing sent sends the headers.
        """
        self.connect(lambda stream: Deferred())
        self.assertIsNone(self.browser.status)
        self.stream.send("now")
        self.assertEqual(self.browser.status, 200)
        self.assertEqual(self.data(), ["now"])

    def test_tooMuch(self) -> None:
        """
        Beyond C{maxPending} it cannot be kept back any longer, and nothing is lost.
        """

        def connected(stream: EventStream) -> None:
            for number in range(10):
                self.assertTrue(stream.send(f"{number}" * 100))

        self.connect(connected, maxPending=250)
        self.assertEqual(self.browser.status, 200)
        self.assertEqual(self.data(), [f"{number}" * 100 for number in range(10)])


class HeartbeatTests(StreamTestCase):
    """
    Tests for heartbeats.
    """

    def beats(self) -> int:
        """
        The number of heartbeats that have come.
        """
        return len(self.browser.comments) - 1

    def test_default(self) -> None:
        """
        By default a comment comes when nothing was sent for 15 seconds, exactly when alone.
        """
        self.connect()
        self.client.clock.advance(14.999)
        self.assertEqual(self.beats(), 0)
        self.client.clock.advance(0.001)
        self.assertEqual(self.beats(), 1)
        self.client.clock.advance(150)
        self.assertEqual(self.beats(), 11)
        self.assertEqual(self.browser.events, [])

    def test_idleOnly(self) -> None:
        """
        Whatever is sent puts it off.
        """
        stream = self.connect(heartbeat=10)
        for send in (lambda: stream.send("x"), lambda: stream.send(retry=600)):
            self.client.clock.advance(9)
            send()
        self.assertEqual(self.beats(), 0)
        self.client.clock.advance(9.9)
        self.assertEqual(self.beats(), 0)
        self.client.clock.advance(0.1)
        self.assertEqual(self.beats(), 1)

    def test_none(self) -> None:
        """
        C{heartbeat=None} sends none, and needs no timer.
        """
        self.connect(heartbeat=None)
        self.assertEqual(self.client.clock.getDelayedCalls(), [])
        self.client.clock.advance(1000)
        self.assertEqual(self.beats(), 0)

    def test_oneTimer(self) -> None:
        """
        Many streams need one delayed call, and each gets its heartbeats, never early and at
        most a thirtieth late.
        """
        self.connect(heartbeat=15)
        browsers = [self.browser]
        for _ in range(99):
            self.client.clock.advance(0.1)
            browsers.append(self.client.get("/"))
        self.assertEqual(len(self.client.clock.getDelayedCalls()), 1)
        times: dict[int, list[float]] = {}
        for _ in range(5000):
            self.client.clock.advance(0.01)
            for number, browser in enumerate(browsers):
                known = times.setdefault(number, [])
                if len(browser._response.comments) - 1 > len(known):
                    known.append(self.client.clock.seconds())
        for number, beats in times.items():
            began = number * 0.1
            for last, beat in zip([began, *beats], beats, strict=False):
                # The clock goes in steps of a hundredth.
                self.assertGreaterEqual(beat - last, 15 - 0.011)
                self.assertLess(beat - last, 15 * (1 + 1 / 30) + 0.02)
            self.assertGreaterEqual(len(beats), 3)
        self.assertEqual(len(self.client.clock.getDelayedCalls()), 1)

    def test_notBeforeHeaders(self) -> None:
        """
        A stream that is not open yet has no heartbeat.
        """
        self.connect(lambda stream: Deferred(), heartbeat=1, openTimeout=None)
        self.client.clock.advance(10)
        self.assertIsNone(self.browser.status)

    def test_notWhileStalled(self) -> None:
        """
        A stream that is paused gets none: they would only wait.
        """
        stream = self.connect(heartbeat=1, stallTimeout=None)
        self.stall()
        self.client.clock.advance(100)
        self.assertEqual(stream.bytesPending, 0)
        self.browser.resumeReading()
        self.assertEqual(self.beats(), 0)
        self.client.clock.advance(2)
        self.assertGreaterEqual(self.beats(), 1)

    def test_notWhilePaused(self) -> None:
        """
        Neither does one that is paused though nothing waits, as for the flow control of HTTP/2.
        """
        stream = self.connect(heartbeat=1, stallTimeout=None)
        stream.pauseProducing()
        self.client.clock.advance(100)
        self.assertEqual(self.beats(), 0)
        stream.resumeProducing()
        self.client.clock.advance(2)
        self.assertGreaterEqual(self.beats(), 1)

    def test_afterwards(self) -> None:
        """
        With the last stream the timer goes; with the next it is there again.
        """
        self.connect(heartbeat=15)
        self.browser.disconnect()
        self.assertEqual(self.client.clock.getDelayedCalls(), [])
        self.browser = self.client.get("/")
        self.client.clock.advance(15)
        self.assertEqual(self.beats(), 1)


class ReleaseTests(StreamTestCase):
    """
    Tests that a stream which is over is let go of by everybody, without the collector.
    """

    def assertReleased(
        self,
        end: Callable[[ReleaseTests], object],
        connected: Callable[[EventStream], object] = lambda stream: None,
        **options: Any,
    ) -> None:
        """
        Open a stream, end it, and see that it is gone.
        """
        gc.collect()
        gc.disable()
        try:
            reference = weakref.ref(self.connect(connected, **options))
            request = weakref.ref(self.stream.request)
            end(self)
            self.client.clock.advance(1)
            self.assertGone()
            del self.stream
            self.flushLoggedErrors(ZeroDivisionError)
            self.assertIsNone(reference(), "the stream is still there")
            del self.browser
            self.assertIsNone(request(), "the request is still there")
        finally:
            gc.enable()

    def test_disconnect(self) -> None:
        """
        By the client.
        """
        self.assertReleased(lambda self: self.browser.disconnect())

    def test_reset(self) -> None:
        """
        By the client, with a reset.
        """
        self.assertReleased(lambda self: self.browser.disconnect(reset=True))

    def test_end(self) -> None:
        """
        By C{end}.
        """
        self.assertReleased(lambda self: self.stream.end())

    def test_abort(self) -> None:
        """
        By C{abort}.
        """
        self.assertReleased(lambda self: self.stream.abort())

    def test_stalled(self) -> None:
        """
        By a stall, with bytes pending.
        """

        def end(self: ReleaseTests) -> None:
            self.stall()
            self.stream.send("waiting")
            self.client.clock.advance(100)

        self.assertReleased(end)

    def test_slow(self) -> None:
        """
        By too much pending.
        """

        def end(self: ReleaseTests) -> None:
            self.stall()
            self.stream.send("y" * 100)
            self.stream.send("y" * 100)

        self.assertReleased(end, maxPending=100)

    def test_loop(self) -> None:
        """
        With a loop running.
        """
        self.assertReleased(
            lambda self: self.browser.disconnect(),
            lambda stream: stream.every(0.1, lambda: "x") and None,
        )

    def test_loopFails(self) -> None:
        """
        By a loop that fails.
        """
        self.assertReleased(
            lambda self: self.client.clock.advance(1),
            lambda stream: stream.every(0.1, lambda: 1 // 0) and None,
        )

    def test_drain(self) -> None:
        """
        By a drain.
        """
        self.assertReleased(lambda self: self.resource.drain(5))

    def test_waiting(self) -> None:
        """
        While somebody waits for it to be writable, or closed.
        """

        def end(self: ReleaseTests) -> None:
            self.stall()
            self.stream.whenWritable()
            self.stream.whenClosed()
            self.browser.disconnect()

        self.assertReleased(end)

    def test_notification(self) -> None:
        """
        After an abort nobody waits to be notified: of HTTP/2 nobody ever would be.
        """
        stream = self.connect()
        request = stream.request
        assert request is not None
        self.assertEqual(len(request.notifications), 1)
        stream.abort()
        self.assertEqual(request.notifications, [])
        self.assertIsNot(request.producer, stream)

    def test_requestThatIsKept(self) -> None:
        """
        A request that others keep does not keep the stream.
        """
        gc.disable()
        try:
            for end in ("end", "abort", "disconnect"):
                stream = self.connect()
                request = stream.request
                reference = weakref.ref(stream)
                getattr(self.browser if end == "disconnect" else stream, end)()
                self.client.clock.advance(1)
                del stream, self.stream
                self.assertIsNone(reference(), end)
                assert request is not None
                self.assertFalse(hasattr(request, "_eventStream"))
        finally:
            gc.enable()


#: What may happen to a stream: what, and how much.
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
    Tests that hold whatever happens to a stream, in whatever order.
    """

    def walk(self, steps: list[tuple[str, int]], last: str, **options: Any) -> list[str]:
        """
        Do these things to a stream, and end it.

        @return: the data of what was accepted.
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
        What the client has parsed is a prefix of what was sent; all of it after a clean end.
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
        With DROP_OLDEST the gaps' numbers are exactly what is missing, where it is missing.
        """
        accepted = self.walk(
            steps, "end", maxPending=50_000, slow=SlowReader.DROP_OLDEST, stallTimeout=None
        )
        position = 0
        for event in self.browser.events:
            if event.type == "stream-gap":
                position += int(event.data)
            else:
                self.assertEqual(event.data, accepted[position])
                position += 1
        self.assertEqual(position, len(accepted))
        self.assertTrue(self.browser.complete)

    @given(STEPS)
    @settings(max_examples=60)
    def test_latestPolicy(self, steps: list[tuple[str, int]]) -> None:
        """
        With LATEST the numbers add up, the order holds, and the newest always comes.
        """
        accepted = self.walk(
            steps, "end", maxPending=50_000, slow=SlowReader.LATEST, stallTimeout=None
        )
        events = [event.data for event in self.browser.events if event.type != "stream-gap"]
        gaps = [event for event in self.browser.events if event.type == "stream-gap"]
        self.assertEqual(len(events) + sum(int(gap.data) for gap in gaps), len(accepted))
        self.assertEqual(sorted(events, key=accepted.index), events)
        self.assertEqual(events[-1:], accepted[-1:])

    def test_manyStreams(self) -> None:
        """
        Streams of one resource do not disturb each other, however they behave.
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


class TreeTests(SynchronousTestCase):
    """
    Tests with resources around ours.
    """

    def test_child(self) -> None:
        """
        It answers as a child of other resources, whatever is behind it in the path.
        """
        root = Resource()
        streams: list[EventStream] = []
        root.putChild(b"events", EventStreamResource(streams.append))
        client = MemoryClient(root)
        first, second = client.get("/events"), client.get("/events/more/of/it")
        self.assertEqual([first.status, second.status], [200, 200])
