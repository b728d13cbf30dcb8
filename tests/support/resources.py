"""
A resource in memory that remembers its streams.
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
    Has a resource that remembers its streams.
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
        Assert that a response is an open stream.
        """
        self.assertEqual(browser.status, 200)
        self.assertEqual(browser.headers["Content-Type"], "text/event-stream; charset=utf-8")
        self.assertFalse(browser.ended)

    def assertComeBack(self, browser: MemoryStream, least: int, most: int) -> None:
        """
        Assert that a response is a stream with only a C{retry} in this range.
        """
        self.assertEqual(browser.status, 200)
        self.assertEqual(browser.headers["Content-Type"], "text/event-stream; charset=utf-8")
        retry = browser.retry
        assert retry is not None
        self.assertTrue(least <= retry <= most, retry)
        self.assertEqual(browser.events, [])
        self.client.clock.advance(0.1)
        self.assertTrue(browser.complete)

    def assertNothingLeft(self) -> None:
        """
        Assert that no stream or delayed call is left.
        """
        self.assertEqual(self.resource.streams, frozenset())
        self.client.clock.settle()
        self.assertEqual(self.client.clock.getDelayedCalls(), [])


def observe(resource: EventStreamResource, observer: object) -> None:
    """
    Set the observer of an existing resource.
    """
    group = resource._group
    group._listeners = StreamListeners(observer)
    group.sent = group._listeners.sent
