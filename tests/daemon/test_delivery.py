"""
Tests for L{twisted_sse.daemon.delivery}: whether events are delivered, as C{/healthz/delivery}
reports.
"""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.support.shared_store import Server, SharedStore
from twisted_sse import Channel, Event, History
from twisted_sse.daemon import delivery
from twisted_sse.daemon.delivery import NAME, Delivery
from twisted_sse.daemon.health import makeProbes
from twisted_sse.store import NotStored
from twisted_sse.testing import MemoryClient, MemoryClock


class _Slow(Channel):
    """
    A channel whose store answers when the test lets it.
    """

    def __init__(self, clock: MemoryClock) -> None:
        super().__init__(History(maxEvents=1), name=NAME, reactor=clock)
        self.waiting: list[Deferred[Any]] = []
        self.raised: Exception | None = None

    def publishAndWait(self, *arguments: Any, **fields: Any) -> Deferred[Event]:
        if self.raised is not None:
            raise self.raised
        super().publishAndWait(*arguments, **fields)
        self.waiting.append(Deferred())
        return self.waiting[-1]


class DeliveryTests(SynchronousTestCase):
    """
    Tests for L{Delivery}.
    """

    def setUp(self) -> None:
        """
        Make a channel, and the check of its delivery.
        """
        self.clock = MemoryClock()
        self.channel = Channel(History(maxEvents=1), name=NAME, reactor=self.clock)
        self.delivery = Delivery(self.clock, lambda: self.channel)
        root = makeProbes(lambda: (True, "ok"), self.delivery.problem)
        self.client = MemoryClient(root, clock=self.clock)

    def start(self) -> None:
        """
        Start the service.
        """
        self.delivery.startService()
        self.addCleanup(self.delivery.stopService)
        self.clock.settle()

    def assertDelivery(self, status: int, text: str) -> None:
        """
        Assert the response of the URL.
        """
        answer = self.client.get(NAME)
        self.assertEqual((answer.status, answer.text), (status, text))

    def test_arrives(self) -> None:
        """
        While each event arrives the response is C{ok}, and no event is published for the check.
        """
        self.assertDelivery(503, "no event has been sent yet")
        self.assertEqual(self.channel.history.end, 0)
        self.start()
        for count in range(1, 5):
            for _ in range(3):
                self.assertDelivery(200, "ok")
                self.assertEqual(self.channel.history.end, count)
            self.clock.advance(10)
        self.assertEqual((len(self.channel.streams), len(self.channel.history)), (1, 1))

    def test_notReceived(self) -> None:
        """
        An event that is stored but does not arrive is reported after 5 seconds, and nothing more is
        published.
        """
        self.start()
        for stream in self.channel.streams:
            self.channel.unsubscribe(stream)
        self.clock.advance(10)
        self.assertDelivery(200, "ok")
        self.clock.advance(5)
        self.assertDelivery(200, "ok")
        self.clock.advance(1)
        self.assertDelivery(503, "an event has been on its way for 6 s")
        self.clock.advance(24)
        self.assertDelivery(503, "an event has been on its way for 30 s")
        self.assertEqual(self.channel.history.end, 2)

    def test_late(self) -> None:
        """
        An event that is stored late counts as undelivered, until the next is in time.
        """
        self.channel = slow = _Slow(self.clock)
        self.start()
        self.assertDelivery(503, "no event has been sent yet")
        self.clock.advance(7)
        slow.waiting[0].callback(None)
        self.assertDelivery(503, "the last event took 7 s")
        self.clock.advance(3)
        self.assertDelivery(503, "the last event took 7 s")
        slow.waiting[1].callback(None)
        self.assertDelivery(200, "ok")

    def test_notStored(self) -> None:
        """
        An event that is not stored counts as undelivered.
        """
        self.channel = slow = _Slow(self.clock)
        self.start()
        slow.waiting[0].errback(NotStored(True, "the disk is full"))
        self.assertDelivery(503, "an event was not stored: the disk is full")
        slow.raised = RuntimeError("too much is waiting")
        self.clock.advance(10)
        self.assertDelivery(503, "an event was not stored: too much is waiting")
        slow.raised = None
        self.clock.advance(10)
        slow.waiting[1].callback(None)
        self.assertDelivery(200, "ok")

    def test_disconnected(self) -> None:
        """
        A subscriber that was disconnected is replaced, and its missed events are noticed.
        """
        self.start()
        (stream,) = self.channel.streams
        stream.abort()
        self.clock.settle()
        self.assertEqual(len(self.channel.streams), 0)
        self.clock.advance(10)
        self.assertDelivery(200, "ok")
        slow = _Slow(self.clock)
        (stream,) = self.delivery._channel.streams  # type: ignore[union-attr]
        with patch.object(self.delivery, "_channel", slow):
            self.clock.advance(10)
        stream.abort()
        self.clock.settle()
        self.assertDelivery(503, "the subscriber was disconnected")
        slow.waiting[0].callback(None)
        self.clock.advance(10)
        self.assertDelivery(200, "ok")

    def test_lost(self) -> None:
        """
        An event that is pending when the store loses events may never arrive: C{stream-reset}
        stands for it, and the next is sent in time.
        """
        server = Server(self.clock)
        store = SharedStore(server)
        self.channel = Channel(History(maxEvents=1), name=NAME, reactor=self.clock, store=store)
        self.start()
        self.clock.advance(0)
        self.assertDelivery(200, "ok")
        [log] = store.logs

        def lose() -> None:
            log.number = log.stream.number
            log.tail.broken(f"<{log.number}-0")

        with patch.object(log, "follow", lose):
            self.clock.advance(10)
            self.clock.settle()
        self.assertEqual(log.stream.number, 2)
        self.clock.advance(9)
        self.assertDelivery(200, "ok")
        for number in 3, 4:
            self.clock.advance(10)
            self.clock.settle()
            self.assertEqual(log.stream.number, number)
            self.assertDelivery(200, "ok")

    def test_log(self) -> None:
        """
        The log reports once that events are not delivered, and once that they are again.
        """
        said: list[str] = []
        for level in "error", "info":
            self.patch(delivery._log, level, lambda text, **more: said.append(text))
        self.channel = slow = _Slow(self.clock)
        self.start()
        self.assertEqual(said, [])
        self.clock.pump([10, 10, 10])
        self.assertEqual(said, ["Events are not delivered: {problem}"])
        slow.waiting[0].callback(None)
        self.clock.advance(10)
        self.assertEqual(len(said), 1)
        slow.waiting[1].callback(None)
        self.assertEqual(said[1:], ["Events are delivered again"])
        self.clock.advance(10)
        slow.waiting[2].errback(NotStored(True, "the disk is full"))
        self.assertEqual(said[2:], ["Events are not delivered: {problem}"])

    def test_endsOnTheWay(self) -> None:
        """
        An event that is pending when the service stops does not count as missed.
        """
        said: list[str] = []
        self.patch(delivery._log, "error", lambda text, **more: said.append(text))
        self.channel = slow = _Slow(self.clock)
        self.start()
        self.delivery.stopService()
        slow.waiting[0].errback(NotStored(False, "the channel was closed"))
        self.clock.settle()
        self.assertEqual(said, [])

    def test_ends(self) -> None:
        """
        After the service has stopped nothing is left, and the response reports that nothing is
        sent.
        """
        self.start()
        self.assertDelivery(200, "ok")
        self.delivery.stopService()
        self.clock.settle()
        self.assertEqual((self.channel.closed, len(self.channel.streams)), (True, 0))
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.clock.advance(16)
        self.assertDelivery(503, "no event has been sent for 16 s")
        self.delivery.stopService()
