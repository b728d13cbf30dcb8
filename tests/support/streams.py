"""
One open response in memory, and its client.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from twisted_sse import CloseReason, EventStream, EventStreamResource
from twisted_sse.testing import MemoryClient, MemoryStream

#: More than a transport accepts before it pauses its producer.
BIG = "x" * 70_000


class StreamTestCase(SynchronousTestCase):
    """
    Has one resource, one client in memory, and one stream.
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
        Stop the client from reading, and fill the transport until it pauses the stream.
        """
        self.browser.stopReading(kernelBuffer=kernelBuffer)
        self.stream.send(BIG, event="big")

    def data(self) -> list[str]:
        """
        List the data of the events received.
        """
        return [event.data for event in self.browser.events]

    def reasons(self) -> list[CloseReason]:
        """
        Return a list that receives the reason when the stream closes.
        """
        reasons: list[CloseReason] = []
        self.stream.whenClosed().addCallback(reasons.append)
        return reasons

    def assertGone(self) -> None:
        """
        Assert that the stream is closed and has left nothing behind.
        """
        self.assertTrue(self.stream.closed)
        self.assertIsNone(self.stream.request)
        self.assertEqual(self.stream.bytesPending, 0)
        self.assertEqual(self.resource.streams, frozenset())
        self.client.clock.settle()
        self.assertEqual(self.client.clock.getDelayedCalls(), [])
