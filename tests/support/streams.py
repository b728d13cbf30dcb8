"""
One open response in memory, and its client.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from twisted_sse import CloseReason, EventStream, EventStreamResource
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
