"""
Tests of a stream, for trial.

    $ python -m twisted.trial examples/trial_hello.py
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from twisted_sse import Event, EventStream, EventStreamResource
from twisted_sse.testing import MemoryClient


def connected(stream: EventStream) -> None:
    stream.every(2, lambda: Event("hello", event="message", id=1))


class HelloTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.resource = EventStreamResource(connected)
        self.client = MemoryClient(self.resource)

    def test_everyTwoSeconds(self) -> None:
        stream = self.client.get("/")
        self.assertEqual(stream.status, 200)
        self.assertEqual(stream.headers["Content-Type"], "text/event-stream; charset=utf-8")
        self.client.clock.advance(6)
        self.assertEqual([event.data for event in stream.events], ["hello"] * 3)
        self.assertEqual(stream.events[0].lastEventID, "1")

    def test_nothingIsLeftBehind(self) -> None:
        stream = self.client.get("/")
        self.client.clock.advance(2)
        stream.disconnect()
        self.assertEqual(self.client.clock.getDelayedCalls(), [])
        self.assertEqual(self.resource.streams, set())
