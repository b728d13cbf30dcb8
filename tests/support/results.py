"""
A resource in memory with a given C{connected}, and its client.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.logger import LogEvent
from twisted.trial.unittest import SynchronousTestCase

from twisted_sse import CloseReason, EventStream, EventStreamResource
from twisted_sse.testing import MemoryClient, MemoryClock, MemoryStream


class DriverTestCase(SynchronousTestCase):
    """
    Has one resource, one client in memory, and one stream.
    """

    client: MemoryClient
    resource: EventStreamResource
    browser: MemoryStream
    stream: EventStream

    def setUp(self) -> None:
        """
        Make the clock, which C{connected} may use before there is a client.
        """
        self.clock = MemoryClock()

    def connect(self, connected: Callable[[EventStream], object], **options: Any) -> MemoryStream:
        """
        Connect to a resource with this C{connected}.
        """

        def remember(stream: EventStream) -> object:
            self.stream = stream
            self.reasons: list[CloseReason] = []
            stream.whenClosed().addCallback(self.reasons.append)
            return connected(stream)

        self.resource = EventStreamResource(remember, **options)
        self.client = MemoryClient(self.resource, clock=self.clock)
        self.browser = self.client.get("/")
        return self.browser

    def wait(self, seconds: float = 1) -> Deferred[None]:
        """
        Return something to await.
        """
        return deferLater(self.clock, seconds)  # type: ignore[arg-type]

    def data(self) -> list[str]:
        """
        List the data of the events received.
        """
        return [event.data for event in self.browser.events]

    def assertGone(self) -> None:
        """
        Assert that the stream is closed and has left nothing behind.
        """
        self.assertTrue(self.stream.closed)
        self.assertIsNone(self.stream.request)
        self.assertEqual(self.resource.streams, frozenset())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def assertRefused(self, status: int) -> None:
        """
        Assert that the response has this status, without a traceback or an event stream.
        """
        self.assertEqual(self.browser.status, status)
        self.assertTrue(self.browser.complete)
        self.assertNotIn("Traceback", self.browser.text)
        self.assertNotIn("File", self.browser.text)
        self.assertNotIn("event-stream", self.browser.headers.get("Content-Type", ""))
        self.assertEqual(self.browser.events, [])
        self.assertEqual(self.reasons, [CloseReason.ERROR])
        self.assertGone()

    def assertCut(self) -> None:
        """
        Assert that the stream ended with an error, so that it does not look complete.
        """
        self.assertEqual(self.browser.status, 200)
        self.assertTrue(self.browser.ended)
        self.assertFalse(self.browser.complete)
        self.assertEqual(self.reasons, [CloseReason.ERROR])
        self.assertGone()


def warnings(events: list[LogEvent]) -> list[str]:
    """
    List the formats of the warnings among log events.
    """
    return [event["log_format"] for event in events if event["log_level"].name == "warn"]
