"""
Tests for L{twisted_sse.observe.Observers}: several who are told.
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
    Records in a list shared with others what it is told.
    """

    def __init__(self, name: str, told: list[tuple[str, str]]) -> None:
        self.name = name
        self.told = told

    def opened(self, stream: EventStream) -> None:
        """
        Record it.
        """
        self.told.append((self.name, "opened"))

    def sent(self, stream: EventStream, events: int, size: int) -> None:
        """
        Record it.
        """
        self.told.append((self.name, f"sent {events} {size}"))


class Closings(Observer):
    """
    Records only what is closed.
    """

    def __init__(self) -> None:
        self.closings: list[CloseReason] = []

    def closed(self, stream: EventStream, reason: CloseReason) -> None:
        """
        Record it.
        """
        self.closings.append(reason)


class ObserversTests(SynchronousTestCase):
    """
    Tests for L{Observers}.
    """

    def setUp(self) -> None:
        """
        Make a list for what is told.
        """
        self.told: list[tuple[str, str]] = []

    def run_(self, observer: Any) -> None:
        """
        Let a stream open, send and be closed.
        """
        resource = EventStreamResource(lambda stream: stream.send("x") and None, observer=observer)
        with MemoryClient(resource) as client:
            self.assertEqual([event.data for event in client.get("/").events], ["x"])

    def test_order(self) -> None:
        """
        Each is told everything, in the order in which they were given; None is nobody.
        """
        observers = Observers(Recorder("a", self.told), None, Recorder("b", self.told))
        self.run_(observers)
        sent = "sent 1 9"
        self.assertEqual(self.told, [("a", "opened"), ("b", "opened"), ("a", sent), ("b", sent)])
        self.assertNotIn("None", repr(observers))

    def test_partial(self) -> None:
        """
        Each is told only what it listens to.
        """
        closings = Closings()
        self.run_(Observers(closings, Recorder("a", self.told)))
        self.assertEqual(self.told, [("a", "opened"), ("a", "sent 1 9")])
        self.assertEqual(closings.closings, [CloseReason.CLIENT])

    def test_raises(self) -> None:
        """
        When one raises, the others are told all the same, and the log names it.
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
        What only one listens to is told to it directly, and what nobody listens to, to nobody.
        """
        recorder = Recorder("a", self.told)
        observers = Observers(Closings(), recorder, Observers())
        self.assertEqual(observers.sent, recorder.sent)
        self.assertNotIn("dropped", vars(observers))

    def test_nested(self) -> None:
        """
        One of them may be several again.
        """
        inner = Observers(Recorder("a", self.told), Recorder("b", self.told))
        self.run_(Observers(inner, Recorder("c", self.told)))
        self.assertEqual([name for name, _ in self.told], ["a", "b", "c"] * 2)

    def test_refused(self) -> None:
        """
        Each must have something that it can be told.
        """
        error = self.assertRaises(TypeError, Observers, Closings(), object())
        self.assertIn("observer is <object", str(error))

    def test_parts(self) -> None:
        """
        An observer with only some of the methods type-checks, and is told what it listens to.
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
