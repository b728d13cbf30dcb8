"""
One resource in memory, which remembers its streams.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from twisted_sse import EventStream, EventStreamResource
from twisted_sse.stream.observer import StreamListeners
from twisted_sse.testing import MemoryClient, MemoryStream


class ResourceTestCase(SynchronousTestCase):
    """
    One resource, which remembers its streams.
    """

    resource: EventStreamResource
    client: MemoryClient

    def serve(
        self, connected: Callable[[EventStream], object] = lambda stream: None, **options: Any
    ) -> MemoryClient:
        """
        Make the resource.
        """
        self.streams: list[EventStream] = []

        def remember(stream: EventStream) -> object:
            self.streams.append(stream)
            return connected(stream)

        self.resource = EventStreamResource(remember, **options)
        self.client = MemoryClient(self.resource)
        return self.client

    def assertStream(self, browser: MemoryStream) -> None:
        """
        It is an open stream.
        """
        self.assertEqual(browser.status, 200)
        self.assertEqual(browser.headers["Content-Type"], "text/event-stream")
        self.assertFalse(browser.ended)

    def assertComeBack(self, browser: MemoryStream, least: int, most: int) -> None:
        """
        It was told to come back later: a stream with nothing but a reconnection time.
        """
        self.assertEqual(browser.status, 200)
        self.assertEqual(browser.headers["Content-Type"], "text/event-stream")
        retry = browser.retry
        assert retry is not None
        self.assertTrue(least <= retry <= most, retry)
        self.assertEqual(browser.events, [])
        self.client.clock.advance(0.1)
        self.assertTrue(browser.complete)

    def assertNothingLeft(self) -> None:
        """
        No stream and no delayed call is left.
        """
        self.assertEqual(self.resource.streams, frozenset())
        self.client.clock.settle()
        self.assertEqual(self.client.clock.getDelayedCalls(), [])


def observe(resource: EventStreamResource, observer: object) -> None:
    """
    Have an observer told of a resource that is there already.
    """
    group = resource._group
    group._listeners = StreamListeners(observer)
    group.sent = group._listeners.sent
