"""
Tests for L{twisted_sse.observe.Observers}: several observers as one.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.support import typed
from tests.support.typed import Bytes, Words
from twisted_sse import EventStream, EventStreamResource
from twisted_sse.observe import Observer, Observers
from twisted_sse.stream.stream import CloseReason
from twisted_sse.testing import MemoryClient


class Recorder(Observer):
    """
    Records the calls it receives in a shared list.
    """

    def __init__(self, name: str, told: list[tuple[str, str]]) -> None:
        self.name = name
        self.told = told

    def opened(self, stream: EventStream) -> None:
        """
        Record that a stream was opened.
        """
        self.told.append((self.name, "opened"))

    def sent(self, stream: EventStream, events: int, size: int) -> None:
        """
        Record a write.
        """
        self.told.append((self.name, f"sent {events} {size}"))


class Closings(Observer):
    """
    Records only why streams were closed.
    """

    def __init__(self) -> None:
        self.closings: list[CloseReason] = []

    def closed(self, stream: EventStream, reason: CloseReason) -> None:
        """
        Record the reason.
        """
        self.closings.append(reason)


class ObserversTests(SynchronousTestCase):
    """
    Tests for L{Observers}.
    """

    def setUp(self) -> None:
        """
        Make the shared list.
        """
        self.told: list[tuple[str, str]] = []

    def run_(self, observer: Any) -> None:
        """
        Let a stream open, send and close.
        """
        resource = EventStreamResource(lambda stream: stream.send("x") and None, observer=observer)
        with MemoryClient(resource) as client:
            self.assertEqual([event.data for event in client.get("/").events], ["x"])

    def test_order(self) -> None:
        """
        Each observer receives all calls, in the given order, and L{None} is ignored.
        """
        observers = Observers(Recorder("a", self.told), None, Recorder("b", self.told))
        self.run_(observers)
        sent = "sent 1 9"
        self.assertEqual(self.told, [("a", "opened"), ("b", "opened"), ("a", sent), ("b", sent)])
        self.assertNotIn("None", repr(observers))

    def test_partial(self) -> None:
        """
        Each observer receives only the calls it has methods for.
        """
        closings = Closings()
        self.run_(Observers(closings, Recorder("a", self.told)))
        self.assertEqual(self.told, [("a", "opened"), ("a", "sent 1 9")])
        self.assertEqual(closings.closings, [CloseReason.CLIENT])

    def test_raises(self) -> None:
        """
        When one observer raises, the others are still called, and the error is logged.
        """

        class Broken(Recorder):
            def opened(self, stream: EventStream) -> None:
                raise ZeroDivisionError

            def __repr__(self) -> str:
                return "the broken one"

        observers = Observers(Broken("broken", []), Recorder("a", self.told))
        self.run_(observers)
        self.assertEqual(self.told, [("a", "opened"), ("a", "sent 1 9")])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertIn("the broken one", repr(observers))

    def test_direct(self) -> None:
        """
        If one observer has a method, it is called directly; if none does, nothing is called.
        """
        recorder = Recorder("a", self.told)
        observers = Observers(Closings(), recorder, Observers())
        self.assertEqual(observers.sent, recorder.sent)
        self.assertNotIn("dropped", vars(observers))

    def test_nested(self) -> None:
        """
        An L{Observers} may contain another.
        """
        inner = Observers(Recorder("a", self.told), Recorder("b", self.told))
        self.run_(Observers(inner, Recorder("c", self.told)))
        self.assertEqual([name for name, _ in self.told], ["a", "b", "c"] * 2)

    def test_refused(self) -> None:
        """
        Each observer must have at least one of the methods.
        """
        error = self.assertRaises(TypeError, Observers, Closings(), object())
        self.assertIn("observer is <object", str(error))

    def test_parts(self) -> None:
        """
        An observer with only some of the methods type-checks, and receives the calls for these.
        """
        sizes, closings, words = Bytes(), typed.Closings(), Words()
        several, one, channel = typed.observed(sizes, closings, words)
        browsers = [MemoryClient(resource).get("/") for resource in (several, one)]
        channel.publish("x")
        for browser in browsers:
            browser.disconnect()
        self.assertGreater(sizes.total, 0)
        self.assertEqual(closings.reasons, [CloseReason.CLIENT])
        self.assertEqual(words.words, ["x"])
