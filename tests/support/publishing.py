"""
Publishing over HTTP, in memory.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from twisted_sse import Channel, MessageEvent
from twisted_sse.hub import PublishResource
from twisted_sse.testing import MemoryClient, MemoryStream

#: A token that allows publishing, and the header that carries it.
TOKEN = "dG9rZW4.1-_~+/=="
BEARER = {"Authorization": f"Bearer {TOKEN}"}

TEXT = {"Content-Type": "text/plain; charset=UTF-8"}
JSON = {"Content-Type": "application/json"}
LINES = {"Content-Type": "application/x-ndjson"}


def answered(response: MemoryStream) -> dict[str, Any]:
    """
    @return: the JSON of a complete response.
    """
    assert response.complete, response.text
    assert response.headers["Content-Type"] == "application/json", response.headers
    assert response.text.endswith("}\n"), response.text
    value: dict[str, Any] = json.loads(response.text)
    return value


class PublishTestCase(SynchronousTestCase):
    """
    Has a resource to publish through, and a subscriber.
    """

    resource: PublishResource
    client: MemoryClient
    channel: Channel

    def serve(self, channel: Channel | None = None, **options: Any) -> MemoryClient:
        """
        Make the resource.

        @param options: its options; without any, C{anonymous} is true.
        """
        self.channel = Channel() if channel is None else channel
        self.resource = PublishResource(self.channel, **options or {"anonymous": True})
        self.client = MemoryClient(self.resource)
        self.subscriber = self.client.get("/")
        self.assertEqual(self.subscriber.status, 200)
        return self.client

    def published(self) -> list[MessageEvent]:
        """
        @return: the events that the subscriber has received.
        """
        return [event for event in self.subscriber.events if event.type != "stream-position"]

    def data(self) -> list[str]:
        """
        @return: the data of the events that the subscriber has received.
        """
        return [event.data for event in self.published()]

    def post(
        self,
        body: bytes | str = "hello",
        headers: Mapping[str, str] = TEXT,
        query: str = "",
        **more: Any,
    ) -> MemoryStream:
        """
        Publish something.
        """
        return self.client.post(f"/{query}", headers, body, **more)

    def assertPublished(self, response: MemoryStream, *data: str) -> None:
        """
        Assert that the response has the IDs of the events that the request published, and that
        nothing else was published so far.
        """
        self.assertEqual(response.status, 200, response.text)
        published = self.published()
        self.assertEqual([event.data for event in published], list(data))
        answer = answered(response)
        ids = answer["ids"] if "ids" in answer else [answer["id"]]
        self.assertEqual(ids, [event.lastEventID for event in published][-len(ids) :])

    def assertRefused(self, response: MemoryStream, status: int, *said: str) -> dict[str, Any]:
        """
        Assert that nothing was published.

        @param said: the text of the response.
        @return: the response.
        """
        self.assertEqual(response.status, status, response.text)
        answer = answered(response)
        for each in said:
            self.assertIn(each, answer["error"])
        self.assertEqual(answer["error"], " ".join(answer["error"].split()))
        self.assertFalse(answer["error"].endswith("."))
        self.assertEqual(self.published(), [])
        return answer
