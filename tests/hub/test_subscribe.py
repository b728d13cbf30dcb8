"""
Tests for L{twisted_sse.hub.subscribe}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from twisted_sse import Channel, EventStreamResource
from twisted_sse.hub.subscribe import byQuery
from twisted_sse.testing import MemoryClient, MemoryStream


def data(stream: MemoryStream) -> list[str]:
    """
    @return: the data of the published events.
    """
    return [event.data for event in stream.events if event.type == "message"]


class ByQueryTests(SynchronousTestCase):
    """
    Tests for C{byQuery}.
    """

    def test_topics(self) -> None:
        """
        A stream gets the events about its topics, live and in a replay; without topics it gets all.
        """
        channel = Channel()
        client = MemoryClient(EventStreamResource(byQuery(channel)))
        first = channel.publish("0")
        streams = [client.get(f"/{query}") for query in ("", "?topic=a", "?topic=a&topic=b%20c")]
        channel.publish("1", topics=["a"])
        channel.publish("2", topics=["b c"])
        channel.publish("3")
        self.assertEqual(list(map(data, streams)), [["1", "2", "3"], ["1"], ["1", "2"]])
        again = client.get(f"/?topic=b+c&lastEventId={first.id}")
        self.assertEqual(data(again), ["2"])

    def test_last(self) -> None:
        """
        A new client gets the newest events of its topics first.
        """
        channel = Channel()
        client = MemoryClient(EventStreamResource(byQuery(channel, last=1)))
        for number in range(4):
            channel.publish(str(number), topics=["odd" if number % 2 else "even"])
        self.assertEqual(data(client.get("/?topic=even")), ["2"])
        self.assertEqual(data(client.get("/")), ["3"])

    def test_refused(self) -> None:
        """
        The response to an empty or misspelt topic names the remedy.
        """
        client = MemoryClient(EventStreamResource(byQuery(Channel())))
        for query in ("?topic=", "?topics=a", "?topic=%ff"):
            response = client.get(f"/{query}")
            self.assertEqual(response.status, 400, query)
            self.assertIn("the query of the URL", response.text)
