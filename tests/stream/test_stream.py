"""
Tests for L{twisted_sse.stream.stream}, in memory: sending, attributes and waiting.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IPushProducer
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import Request
from twisted.web.test.requesthelper import DummyChannel
from zope.interface.verify import verifyObject

from tests.support.streams import BIG, StreamTestCase
from tests.support.threads import assertRefusedInThreads, inThread
from twisted_sse import CloseReason, Event, EventStream, EventStreamResource, InvalidEvent
from twisted_sse.testing import MemoryClient


class ThreadTests(StreamTestCase):
    """
    Tests for calls from other threads than the reactor's.
    """

    def test_refused(self) -> None:
        """
        Every method raises an error that names C{reactor.callFromThread}, and does nothing.
        """
        stream = self.connect()
        before = self.browser.text
        calls: dict[str, Callable[[], object]] = {
            "stream.send": lambda: stream.send("x"),
            "stream.comment": lambda: stream.comment("x"),
            "stream.open": stream.open,
            "stream.every": lambda: stream.every(1, lambda: "x"),
            "stream.whenWritable": stream.whenWritable,
            "stream.whenClosed": stream.whenClosed,
            "stream.end": stream.end,
            "stream.abort": stream.abort,
            "setattr": lambda: setattr(stream, "key", "ada"),
            "resource.drain": lambda: self.resource.drain(1),
            "resource.disconnect": lambda: self.resource.disconnect("ada"),
        }
        for call, function in calls.items():
            assertRefusedInThreads(self, call, function)
        self.client.clock.advance(1)
        self.assertEqual(self.browser.text, before)
        self.assertFalse(stream.closed)
        self.assertTrue(stream.send("x"))
        self.assertEqual(self.data(), ["x"])

    def test_attributes(self) -> None:
        """
        Attributes can be read in any thread, for metrics.
        """
        stream = self.connect()
        stream.send("x")
        self.assertEqual(inThread(lambda: (stream.eventsSent, stream.closed)), (1, False))
        self.assertEqual(inThread(lambda: len(self.resource.streams)), 1)


class SendTests(StreamTestCase):
    """
    Tests for L{EventStream.send} and L{EventStream.comment}.
    """

    def test_event(self) -> None:
        """
        An event is sent unchanged, and counted.
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
        C{json} may be any value, including L{None}, and is sent as compact JSON.
        """
        stream = self.connect()
        stream.send(json={"a": [1, 2]}, event="note", id="3")
        stream.send(json=None)
        first, second = self.browser.events
        self.assertEqual((first.type, first.data, first.lastEventID), ("note", '{"a":[1,2]}', "3"))
        self.assertEqual(second.data, "null")

    def test_fieldsOnly(self) -> None:
        """
        Fields without data are sent, and do not count as an event.
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
        Arguments that do not make an event raise a L{TypeError} that lists what is allowed, and
        nothing is sent.
        """
        stream = self.connect()
        before = self.browser.text
        for arguments, fields, message in [
            ((b"bytes",), {}, "got b'bytes'"),
            ((5,), {}, "got 5"),
            (({"a": 1},), {}, "json=value"),
            (("text",), {"json": 1}, "either data or json"),
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
        An invalid field raises L{InvalidEvent}, and the stream stays open.
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
        C{send} and C{comment} return False on a stream that is ending or closed, and send nothing.
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
        Each line of a comment is sent, and a comment does not count as an event.
        """
        stream = self.connect()
        self.assertIs(stream.comment("one\ntwo"), True)
        self.assertEqual(self.browser.comments, ["", "one", "two"])
        self.assertEqual(stream.eventsSent, 0)

    def test_order(self) -> None:
        """
        Bytes are written in the order of the calls, queued or not.
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
    Tests for the attributes of a stream.
    """

    def test_attributes(self) -> None:
        """
        A new stream has its request, its client's address, and the last event ID.
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
        verifyObject(IPushProducer, stream._response)

    def test_noLastEventID(self) -> None:
        """
        Without a last event ID, C{lastEventID} is empty.
        """
        self.assertEqual(self.connect().lastEventID, "")

    def test_state(self) -> None:
        """
        Each stream has its own C{state} dictionary, which stays the same.
        """
        stream = self.connect()
        self.assertEqual(stream.state, {})
        stream.state["user"] = "me"
        self.assertEqual(stream.state, {"user": "me"})
        self.client.get("/")
        self.assertEqual(self.stream.state, {})

    def test_stateAfterEnd(self) -> None:
        """
        C{state}, C{eventsSent} and C{clientAddress} stay readable after the stream has closed.
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
        C{EventStream.of} returns the stream of a request while it is open.
        """
        stream = self.connect()
        request = stream.request
        assert request is not None
        self.assertIs(EventStream.of(request), stream)
        stream.abort()
        self.assertRaises(LookupError, EventStream.of, request)

    def test_ofAnother(self) -> None:
        """
        C{EventStream.of} of a request without a stream raises a L{LookupError} that names the
        request, without its query, which may have a token.
        """
        error = self.assertRaises(LookupError, EventStream.of, object())
        self.assertIn("object", str(error))
        request = Request(DummyChannel(), False)
        request.uri = b"/events?authorization=TOKEN"
        error = self.assertRaises(LookupError, EventStream.of, request)
        self.assertIn("/events", str(error))
        self.assertNotIn("TOKEN", str(error))

    def test_repr(self) -> None:
        """
        The repr shows the phase, the client and the counts.
        """
        stream = self.connect()
        stream.send("x")
        self.assertEqual(repr(stream), "<EventStream open to 127.0.0.1: 1 sent, 0 bytes pending>")
        stream.abort()
        self.assertIn("closed", repr(stream))


class WhenWritableTests(StreamTestCase):
    """
    Tests for L{EventStream.whenWritable}.
    """

    def test_atOnce(self) -> None:
        """
        C{whenWritable} fires immediately while the client reads.
        """
        self.assertIsNone(self.successResultOf(self.connect().whenWritable()))

    def test_beforeAnythingWasSent(self) -> None:
        """
        C{whenWritable} fires immediately before anything was sent, so that a coroutine may begin
        with it.
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
        C{whenWritable} fires when the client has read the events sent before.
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
        When a callback of C{whenWritable} fills the connection again, the next one fires only once
        there is room.
        """
        stream = self.connect()
        self.stall()
        fired: list[tuple[str, bool]] = []
        for name in ("first", "second"):
            stream.whenWritable().addCallback(
                lambda _, name=name: fired.append((name, stream._response._paused))
            ).addCallback(lambda _: stream.send(BIG))
        self.browser.resumeReading()
        self.assertEqual(fired, [("first", False), ("second", False)])
        self.assertEqual(self.data(), [BIG] * 3)

    def test_ended(self) -> None:
        """
        C{whenWritable} fires when the stream ends, so that no caller waits forever.
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
        C{whenWritable} fails on a stream that is ending or closed, so that no loop can spin.
        """
        stream = self.connect()
        self.stall()
        stream.end()
        self.failureResultOf(stream.whenWritable(), CancelledError)
        self.browser.disconnect()
        self.failureResultOf(stream.whenWritable(), CancelledError)

    def test_cancelled(self) -> None:
        """
        A Deferred of C{whenWritable} may be cancelled.
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
        Each call of C{whenClosed} returns a new Deferred, and all fire with the reason.
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
        C{whenClosed} fires immediately if the stream has closed.
        """
        stream = self.connect()
        stream.abort()
        self.assertIs(self.successResultOf(stream.whenClosed()), CloseReason.ENDED)
        self.assertIs(self.successResultOf(stream.whenClosed()), CloseReason.ENDED)

    def test_everythingIsDone(self) -> None:
        """
        When C{whenClosed} fires, the stream is closed and has left its resource.
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
        A Deferred of C{whenClosed} may be cancelled.
        """
        stream = self.connect()
        waiting = stream.whenClosed()
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.browser.disconnect()
        self.assertGone()

    def test_callbackFails(self) -> None:
        """
        A callback of C{whenClosed} that fails does not affect the others.
        """
        stream = self.connect()
        first = stream.whenClosed().addCallback(lambda _: 1 // 0)
        second = stream.whenClosed()
        self.browser.disconnect()
        self.failureResultOf(first, ZeroDivisionError)
        self.successResultOf(second)
        self.assertGone()


class TreeTests(SynchronousTestCase):
    """
    Tests for a resource in a tree of resources.
    """

    def test_child(self) -> None:
        """
        A child resource answers for any path below it.
        """
        root = Resource()
        streams: list[EventStream] = []
        root.putChild(b"events", EventStreamResource(streams.append))
        client = MemoryClient(root)
        first, second = client.get("/events"), client.get("/events/more/of/it")
        self.assertEqual([first.status, second.status], [200, 200])
