"""
Tests for publishing that waits, in memory: C{publishAndWait} and C{publishAllAndWait}.
"""

from __future__ import annotations

import gc

from twisted.internet.task import Clock

from tests.support.channels import ChannelTestCase, data
from twisted_sse import Channel, Event, EventTooLarge, InvalidEvent
from twisted_sse.channel import keys
from twisted_sse.channel.keys import LIFETIME, MOST
from twisted_sse.store import KeyReused


class WaitTests(ChannelTestCase):
    """
    Tests for publishing that waits.
    """

    def test_atOnce(self) -> None:
        """
        In memory an event is kept immediately.
        """
        channel = self.serve()
        browser = self.connect()
        event = self.successResultOf(channel.publishAndWait(json=[1], event="t", topics=["a"]))
        self.assertEqual((event.data, event.event), ("[1]", "t"))
        self.assertIn(event.id, channel.history)
        self.turn()
        self.assertEqual(data(browser), ["[1]"])

    def test_allOrNone(self) -> None:
        """
        If one of several events is wrong, none is published.
        """
        channel = self.serve(Channel(maxEventSize=1000))
        good = Event("a"), ()
        for bad, error in (
            (Event("x" * 1000), EventTooLarge),
            (Event("b", id="9" * 10_000), InvalidEvent),
        ):
            self.assertRaises(error, channel.publishAllAndWait, [good, (bad, ())])
        self.assertRaises(TypeError, channel.publishAllAndWait, [good, (Event("b"), "topic")])
        self.assertEqual(len(channel.history), 0)

    def test_observersPublish(self) -> None:
        """
        An observer that publishes affects neither the order nor the IDs of several events.
        """
        channel = self.serve()
        browser = self.connect()
        self.recorder.act = lambda *news: (
            channel.publish("again") if news[0] == "published" and news[2].data == "a" else None
        )
        events = self.successResultOf(
            channel.publishAllAndWait([(Event("a"), ()), (Event("b"), ())])
        )
        self.turn()
        self.assertEqual(data(browser), ["a", "b", "again"])
        kept = [channel.history.get(position).event for position in range(3)]
        self.assertEqual(kept[:2], events)


class KeyTests(ChannelTestCase):
    """
    Tests for idempotency keys.
    """

    def setUp(self) -> None:
        """
        Make a channel.
        """
        self.time = Clock()
        self.news = Channel(reactor=self.time)

    def publish(self, text: str, key: str, **fields: object) -> str | None:
        """
        Publish with a key.

        @return: the ID.
        """
        waiting = self.news.publishAndWait(text, idempotencyKey=key, **fields)
        return self.successResultOf(waiting).id

    def test_once(self) -> None:
        """
        The same key publishes once, and later calls return the result of the first.
        """
        self.assertEqual(self.publish("a", "k"), self.publish("a", "k"))
        self.assertEqual(len(self.news.history), 1)
        self.assertNotEqual(self.publish("a", "other"), self.publish("a", "k"))

    def test_otherContent(self) -> None:
        """
        Every field and the topics count as content.
        """
        self.publish("a", "k", event="t", topics=["x", "y"])
        self.publish("a", "k", event="t", topics=["y", "x"])
        others: list[dict[str, object]] = [
            {"event": "u", "topics": ["x", "y"]},
            {"event": "t", "topics": ["x"]},
            {"event": "t", "topics": ["x", "y"], "id": "1"},
            {"event": "t", "topics": ["x", "y"], "retry": 1000},
            {"event": "t", "topics": ["x", "y"], "comment": "c"},
        ]
        for fields in others:
            self.assertRaises(KeyReused, self.publish, "a", "k", **fields)

    def test_hour(self) -> None:
        """
        A key is valid for an hour.
        """
        first = self.publish("a", "k")
        self.time.advance(LIFETIME - 1)
        self.assertEqual(self.publish("a", "k"), first)
        self.time.advance(1)
        self.assertNotEqual(self.publish("b", "k"), first)

    def test_newest(self) -> None:
        """
        Only the newest keys are remembered.
        """
        first = self.publish("a", "0")
        for number in range(1, MOST):
            self.publish("a", str(number))
        self.assertEqual(self.publish("a", "0"), first)
        self.publish("a", str(MOST))
        self.assertNotEqual(self.publish("a", "0"), first)

    def test_noCopies(self) -> None:
        """
        Of events published with a key only the IDs are remembered, and fewer of large batches.
        """
        text = "x" * 1000
        waiting = self.news.publishAndWait(text, idempotencyKey="k")
        event = self.successResultOf(waiting)
        for number in range(self.news.history.maxEvents):
            self.news.publish(str(number))
        alive = [each for each in gc.get_objects() if isinstance(each, Event)]
        self.assertEqual([each for each in alive if each.data == text], [event])
        again = self.news.publishAndWait(text, idempotencyKey="k")
        self.assertEqual(self.successResultOf(again), event)
        # As if that were many.
        self.patch(keys, "MOST_EVENTS", 1000)
        batch = [(Event("a"), ())] * (keys.MOST_EVENTS // 2)
        for key in "12":
            self.successResultOf(self.news.publishAllAndWait(batch, key))
        self.assertNotEqual(self.publish(text, "k"), event.id)

    def test_wrongType(self) -> None:
        """
        A key must be text.
        """
        self.assertRaises(TypeError, self.news.publishAndWait, "a", idempotencyKey=1)
