"""
Tests for L{twisted_sse.observe}: the calls that observers receive.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.error import Error

from twisted_sse import CloseReason, Event, EventStream, EventStreamResource, SlowReader
from twisted_sse.observe import Observer
from twisted_sse.testing import MemoryClient, MemoryStream

#: More than a transport takes before it pauses its producer.
BIG = "x" * 70_000


class Recorder(Observer):
    """
    Records the calls it receives.
    """

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []

    def opened(self, stream: EventStream) -> None:
        """
        Record that a stream was opened.
        """
        self.told.append(("opened", stream))

    def closed(self, stream: EventStream, reason: CloseReason) -> None:
        """
        Record that a stream was closed.
        """
        self.told.append(("closed", stream, reason))

    def sent(self, stream: EventStream, events: int, size: int) -> None:
        """
        Record a write.
        """
        self.told.append(("sent", stream, events, size))

    def dropped(self, stream: EventStream, events: int) -> None:
        """
        Record that events were dropped.
        """
        self.told.append(("dropped", stream, events))


class ObserverTests(SynchronousTestCase):
    """
    Tests for L{Observer}.
    """

    def connect(
        self,
        connected: Callable[[EventStream], object] = lambda stream: None,
        observer: Any = None,
        **options: Any,
    ) -> MemoryStream:
        """
        Open a stream with an observer.
        """

        def remember(stream: EventStream) -> object:
            self.stream = stream
            return connected(stream)

        self.recorder = Recorder()
        resource = EventStreamResource(remember, observer=observer or self.recorder, **options)
        self.client = MemoryClient(resource)
        return self.client.get("/")

    def told(self, *names: str) -> list[tuple[object, ...]]:
        """
        List the recorded calls of these kinds, without the stream.
        """
        for what in self.recorder.told:
            self.assertIs(what[1], self.stream)
        return [(what[0], *what[2:]) for what in self.recorder.told if what[0] in names]

    def test_life(self) -> None:
        """
        The observer is called when a stream opens, sends and closes, once each and in order.
        """
        browser = self.connect()
        event = Event("hello", id=1)
        self.stream.send(event)
        self.stream.comment("c")
        browser.disconnect()
        self.assertEqual(
            self.told("opened", "sent", "closed", "dropped"),
            [
                ("opened",),
                ("sent", 1, len(event.encode())),
                ("sent", 0, len(b": c\n")),
                ("closed", CloseReason.CLIENT),
            ],
        )

    def test_opened(self) -> None:
        """
        C{opened} is called when the headers are sent.
        """
        waiting: Deferred[None] = Deferred()
        self.connect(lambda stream: waiting)
        self.assertEqual(self.told("opened"), [])
        waiting.callback(None)
        self.assertEqual(self.told("opened"), [("opened",)])

    def test_neverOpened(self) -> None:
        """
        Nothing is reported about a stream that was never opened.
        """

        def refuse(stream: EventStream) -> None:
            raise Error(403)

        self.connect(refuse)
        self.assertEqual(self.recorder.told, [])
        self.connect(lambda stream: Deferred()).disconnect()
        self.assertEqual(self.recorder.told, [])

    def test_heartbeat(self) -> None:
        """
        A heartbeat is reported as a write without events.
        """
        self.connect()
        self.client.clock.advance(15)
        self.assertEqual(self.told("sent"), [("sent", 0, len(b":\n"))])

    def test_sums(self) -> None:
        """
        The reported writes add up to everything sent, queued or not.
        """
        browser = self.connect()
        browser.stopReading(kernelBuffer=0)
        self.stream.send(BIG)
        for number in range(50):
            self.stream.send(str(number))
        before = len(self.told("sent"))
        browser.resumeReading()
        sent = self.told("sent")
        self.assertGreater(len(sent), before)
        self.assertEqual(sum(int(what[1]) for what in sent), 51)  # type: ignore[call-overload]
        self.assertEqual(self.stream.eventsSent, 51)
        size = sum(int(what[2]) for what in sent)  # type: ignore[call-overload]
        self.assertEqual(size, len(browser.body) - len(b":\nretry: 3000\n"))

    def test_dropped(self) -> None:
        """
        The reported drops add up to the number that the client receives.
        """
        browser = self.connect(maxPending=60, slow=SlowReader.DROP_OLDEST)
        browser.stopReading(kernelBuffer=0)
        self.stream.send(BIG)
        for number in range(20):
            self.stream.send(str(number))
        dropped = sum(int(what[1]) for what in self.told("dropped"))  # type: ignore[call-overload]
        browser.resumeReading()
        self.assertGreater(dropped, 0)
        self.assertEqual(browser.events[1].json(), {"dropped": dropped})

    def test_reasons(self) -> None:
        """
        C{closed} gets the reason of the stream.
        """

        def stall(browser: MemoryStream) -> None:
            browser.stopReading(kernelBuffer=0)
            self.stream.send(BIG)
            self.client.clock.advance(100)

        for act, reason in [
            (lambda browser: browser.disconnect(), CloseReason.CLIENT),
            (lambda browser: self.stream.end(), CloseReason.ENDED),
            (lambda browser: self.stream.abort(), CloseReason.ENDED),
            (stall, CloseReason.STALLED),
        ]:
            browser = self.connect()
            act(browser)
            self.client.clock.advance(1)
            self.assertEqual(self.told("closed"), [("closed", reason)])
            self.assertIs(self.successResultOf(self.stream.whenClosed()), reason)

    def test_raises(self) -> None:
        """
        An exception in an observer is logged, and does not affect its streams.
        """

        class Broken(Recorder):
            def opened(self, *news: object) -> None:
                raise ZeroDivisionError

            closed = sent = dropped = opened

        browser = self.connect(
            lambda stream: stream.every(1, lambda: "tick") and None,
            observer=Broken(),
            maxPending=30,
            slow=SlowReader.DROP_OLDEST,
        )
        self.client.clock.advance(2)
        browser.stopReading(kernelBuffer=0)
        self.stream.send(BIG)
        self.client.clock.advance(10)
        browser.resumeReading()
        self.assertIn("stream-gap", [event.type for event in browser.events])
        self.stream.end()
        self.client.clock.advance(1)
        self.assertTrue(browser.complete)
        self.assertEqual(self.client.clock.getDelayedCalls(), [])
        self.assertGreater(len(self.flushLoggedErrors(ZeroDivisionError)), 4)

    def test_partial(self) -> None:
        """
        A subclass of L{Observer} needs only the methods that it uses.
        """

        class OneMethod(Observer):
            def __init__(self) -> None:
                self.closings: list[CloseReason] = []

            def closed(self, stream: EventStream, reason: CloseReason) -> None:
                self.closings.append(reason)

        observer = OneMethod()
        browser = self.connect(observer=observer)
        self.stream.send("x")
        browser.disconnect()
        self.assertEqual(observer.closings, [CloseReason.CLIENT])

    def test_nothing(self) -> None:
        """
        A subclass of L{Observer} may have no methods.
        """

        class Deaf(Observer):
            pass

        browser = self.connect(observer=Deaf(), maxPending=1, slow=SlowReader.LATEST)
        browser.stopReading(kernelBuffer=0)
        for _ in range(3):
            self.stream.send(BIG)
        browser.resumeReading()
        self.assertEqual([event.type for event in browser.events][1], "stream-gap")
        browser.disconnect()

    def test_endsInTheMiddle(self) -> None:
        """
        An observer may end the stream in each of its methods.
        """
        for method in ("opened", "sent", "dropped"):
            for act in (EventStream.abort, EventStream.end):

                def told(
                    _: object,
                    stream: EventStream,
                    *news: object,
                    act: Callable[[EventStream], None] = act,
                ) -> None:
                    act(stream)

                observer = type("Ender", (Observer,), {method: told})()
                browser = self.connect(
                    lambda stream: (
                        stream.send("early" * 10_000) and stream.send("b" * 50_000) and None
                    ),
                    observer=observer,
                    maxPending=90_000,
                    slow=SlowReader.DROP_OLDEST,
                )
                browser.stopReading(kernelBuffer=0)
                for _ in range(10):
                    self.stream.send("x" * 50_000)
                browser.resumeReading()
                self.client.clock.advance(1)
                self.assertTrue(self.stream.closed, method)
                self.assertTrue(browser.ended, method)
                self.assertEqual(self.client.clock.getDelayedCalls(), [])
