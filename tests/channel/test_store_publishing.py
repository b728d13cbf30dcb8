"""
Tests for L{twisted_sse.channel} with a store: publishing before it is open, when it fails in
unexpected ways, and at the end.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import LogEvent, eventAsText, globalLogPublisher

import twisted_sse.channel.channel
from tests.support.channels import data
from tests.support.examples import example
from tests.support.late_store import LateStore
from tests.support.store_case import StoreTestCase
from twisted_sse import Channel, Event, History, InvalidEvent
from twisted_sse.store import NotStored
from twisted_sse.testing import MemoryClock


class OpeningTests(StoreTestCase):
    """
    Tests for events published before the store is open.
    """

    def test_atOnce(self) -> None:
        """
        If the first event opens a store that opens immediately, the event has an ID already.
        """
        self.patch(twisted_sse.channel.channel, "isInstalled", lambda: False)
        module = example("list_store")
        rows = module.FullList()
        channel = Channel(History(), "news", reactor=self.time, store=module.ListStore(rows))
        event = channel.publish("a")
        self.assertTrue(event.id)
        self.serve(channel, self.time)
        browser = self.connect(last=1)
        self.settle()
        self.assertEqual(rows[-1].record.event, event)
        self.assertEqual(data(browser), ["a"])

    def test_givenID(self) -> None:
        """
        If the log turns out to make the IDs, only events with an ID of their own are refused.
        """
        channel = self.start(open=False, makesIDs=True)
        first = channel.publishAndWait("1")
        refused = channel.publishAndWait("2", id="mine")
        channel.publish("3", id="mine")
        last = channel.publishAndWait("4")
        self.settle()
        self.failureResultOf(refused, InvalidEvent)
        self.assertEqual(len(self.flushLoggedErrors(InvalidEvent)), 1)
        self.assertEqual(self.successResultOf(first).data, "1")
        self.assertEqual(self.successResultOf(last).data, "4")
        self.assertEqual([record.event.data for record in self.content.records], ["1", "4"])
        self.assertEqual(channel.unstored, 0)

    def test_nothingLeft(self) -> None:
        """
        If nothing remains to be delivered once the store is open, waiting callers are notified.
        """
        for makesIDs in True, False:
            channel = self.start(open=False, makesIDs=makesIDs)
            channel.publish("1", id="mine")
            waiting = channel.whenDelivered()
            self.assertNoResult(waiting)
            self.settle()
            self.successResultOf(waiting)
        self.assertEqual(len(self.flushLoggedErrors(InvalidEvent)), 1)

    def test_closedBefore(self) -> None:
        """
        A channel that is closed before its first use never opens its store.
        """
        self.patch(twisted_sse.channel.channel, "isInstalled", lambda: False)
        store = LateStore(self.time, delay=None)
        channel = Channel(name="news", reactor=self.time, store=store)
        channel.close()
        self.serve(channel, self.time)
        self.assertTrue(self.connect().ended)
        self.assertEqual(store.logs + store.closed, [])

    def test_otherClock(self) -> None:
        """
        Events published before the clock was known are stored with times from the clock of the
        first stream.
        """
        self.patch(twisted_sse.channel.broadcast, "installedReactor", MemoryClock)
        store = LateStore(self.time, self.kept, delay=None)
        channel = Channel(name="news", store=store)
        channel.publish("a")
        self.serve(channel, self.time)
        browser = self.connect(last=1)
        channel.publish("b")
        self.settle()
        self.assertEqual(data(browser), ["a", "b"])
        self.assertEqual(len(self.content.records), 2)

    def test_otherClockWhileAway(self) -> None:
        """
        A store that was unreachable is opened by the clock of the first stream, too.
        """
        self.patch(twisted_sse.channel.broadcast, "installedReactor", MemoryClock)
        store = LateStore(self.time, self.kept, delay=None, isAway=True)
        channel = Channel(name="news", store=store)
        channel.publish("a")
        self.serve(channel, self.time)
        browser = self.connect(last=1)
        store.isAway = False
        self.settle()
        self.assertEqual(data(browser), ["a"])


class FailingTests(StoreTestCase):
    """
    Tests for a log that fails in unexpected ways, and for one that answers immediately.
    """

    def test_appendRaises(self) -> None:
        """
        If the log raises, the event is not stored, and the next one can be.
        """
        channel = self.start()
        (log,) = self.store.logs
        self.patch(log, "append", lambda *args: 1 / 0)
        waiting = channel.publishAndWait("1")
        self.settle()
        self.failureResultOf(waiting, NotStored)
        del log.append
        waiting = channel.publishAndWait("2")
        self.settle()
        self.successResultOf(waiting)

    def test_wrongAnswer(self) -> None:
        """
        If the log does not answer with an ID for each event, publishing fails.
        """
        channel = self.start()
        (log,) = self.store.logs
        for answer in None, [], ["1", "2"]:
            for key in None, "k":
                self.patch(log, "append", lambda *args, answer=answer: succeed(answer))
                waiting = channel.publishAndWait("1", idempotencyKey=key)
                self.settle()
                self.assertTrue(self.failureResultOf(waiting, NotStored).value.maybe)
        del log.append
        waiting = channel.publishAndWait("2")
        self.settle()
        self.successResultOf(waiting)

    def test_readRaises(self) -> None:
        """
        If reading the log raises, the stream fails, and the next stream can read.
        """
        self.start(window=3)
        events = self.publish(*range(10))
        (log,) = self.store.logs
        self.patch(log, "read", lambda *args: 1 / 0)
        browser = self.connect(events[0].id or "")
        self.settle()
        self.assertTrue(browser.ended and not browser.complete)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        del log.read
        browser = self.connect(events[0].id or "")
        self.settle()
        self.assertEqual(data(browser), [str(n) for n in range(1, 10)])

    def test_tooMuch(self) -> None:
        """
        When too much is waiting to be stored, C{publishAndWait} fails as for any other reason, and
        the key may be used again.
        """
        channel = self.start()
        self.store.delay = 1
        text = "x" * (2**20 - 100)
        for _ in range(16):
            channel.publish(text)
        for key in None, "k":
            waiting = channel.publishAndWait(text, idempotencyKey=key)
            self.failureResultOf(waiting, NotStored)
        self.settle(300)
        waiting = channel.publishAndWait(text, idempotencyKey="k")
        self.settle(300)
        self.successResultOf(waiting)

    def test_veryMany(self) -> None:
        """
        Very many events of one turn are appended in several groups, but a batch in one; all are in
        order.
        """
        for open in True, False:
            self.kept.clear()
            channel = self.start(open=open)
            for number in range(2500):
                channel.publish(str(number))
            batch = [(Event(str(number)), ()) for number in range(2500, 5000)]
            waiting = channel.publishAllAndWait(batch)
            channel.publish("5000")
            self.settle()
            self.assertEqual(len(self.successResultOf(waiting)), 2500)
            (log,) = self.store.logs
            self.assertEqual([len(records) for records, _ in log.appends], [1000, 1000, 3000, 1])
            kept = [record.event.data for record in self.content.records]
            self.assertEqual(kept, [str(number) for number in range(5001)])
            self.assertEqual(channel.unstored, 0)

    def test_forEver(self) -> None:
        """
        Publishing again and again as soon as an event is stored does not block the reactor.
        """
        channel = self.start(delay=None)
        count = 0

        def again(_: Event) -> None:
            nonlocal count
            count += 1
            if count < 100:
                channel.publishAndWait("x").addCallback(again)

        channel.publishAndWait("x").addCallback(again)
        self.turn()
        self.turn()
        self.assertLess(count, 3)


class ClosingTests(StoreTestCase):
    """
    Tests for the end.
    """

    def test_readingWhenClosed(self) -> None:
        """
        If a read fails with C{StoreAway} after the channel was closed, it is not retried.
        """
        self.start(window=3)
        events = self.publish(*range(20))
        self.connect(events[0].id or "")
        self.channel.close()
        self.store.isAway = True
        self.time.advance(0.02)
        self.resource.drain(0)
        self.assertEqual(self.time.getDelayedCalls(), [])

    def test_deliversFirst(self) -> None:
        """
        Before the streams of a closed channel end, they receive the events that had to be stored
        first.
        """
        for deliver, key in ("stored", None), ("at once", "k"):
            channel = self.start(deliver=deliver)
            browser = self.connect()
            waiting = channel.publishAndWait("1", idempotencyKey=key)
            channel.publish("2")
            channel.close()
            self.settle()
            self.successResultOf(waiting)
            self.assertEqual(data(browser), ["1", "2"])
            self.assertTrue(browser.ended and browser.complete)

    def test_notDelivered(self) -> None:
        """
        The streams of a closed channel also end if the events cannot be stored.
        """
        channel = self.start(deliver="stored")
        browser = self.connect()
        self.store.failing = NotStored(False, "full")
        channel.publish("1")
        channel.close()
        self.settle()
        self.assertEqual(data(browser), [])
        self.assertTrue(browser.ended and browser.complete)

    def test_receivedAtTheEnd(self) -> None:
        """
        The streams of a closed channel also receive the last events of a log that makes the IDs, if
        it delivers them in time.
        """
        channel = self.start(makesIDs=True)
        browser = self.connect()
        channel.publish("1")
        channel.close()
        log = self.store.closed.pop()
        self.store.logs.append(log)
        self.settle()
        self.assertEqual(data(browser), ["1"])
        self.assertTrue(browser.ended and browser.complete)

    def test_whenDelivered(self) -> None:
        """
        C{whenDelivered} waits for events that must be stored first, with or without streams, and
        for the store to open.
        """
        channel = self.start(deliver="stored", open=False)

        def delivered() -> Deferred[None]:
            channel.publish("1")
            waiting = channel.whenDelivered()
            self.assertNoResult(waiting)
            self.settle()
            return waiting

        self.successResultOf(delivered())
        browser = self.connect()
        self.successResultOf(delivered())
        browser.disconnect()
        self.successResultOf(delivered())
        self.store.failing = NotStored(False, "full")
        self.successResultOf(delivered())
        self.successResultOf(channel.whenDelivered())


class LogTests(StoreTestCase):
    """
    Tests for the log messages when events cannot be stored.
    """

    def said(self, known: str | None) -> list[str]:
        """
        Publish while storing fails, and afterwards.

        @param known: the problem that the store reports.
        @return: the log messages.
        """
        said: list[str] = []

        def observe(event: LogEvent) -> None:
            if event["log_namespace"].startswith("twisted_sse.channel"):
                said.append(eventAsText(event, includeTimestamp=False, includeSystem=False))

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        self.start()
        self.store.failing = NotStored(False, "full")
        self.store.known = known
        self.publish(1)
        self.publish(2)
        self.store.failing = self.store.known = None
        self.publish(3)
        globalLogPublisher.removeObserver(observe)
        return said

    def test_once(self) -> None:
        """
        The failure is logged once, and its end once, with the number of events.
        """
        self.assertEqual(
            self.said(None),
            [
                "'news': an event could not be stored, and more may follow: full",
                "'news': events are stored again; 2 were not stored",
            ],
        )

    def test_saidByTheStore(self) -> None:
        """
        The store logs a problem that it knows: channels do not repeat it, but log the number of
        their affected events.
        """
        self.assertEqual(
            self.said("the disk is full"), ["'news': events are stored again; 2 were not stored"]
        )


class UnopenedTests(StoreTestCase):
    """
    Tests for events published while the store cannot be opened.
    """

    def test_away(self) -> None:
        """
        An event published while the store cannot be opened fails after at most ten seconds, and its
        publisher receives the reason; later events are stored once that is possible.
        """
        self.start(open=False, isAway=True)
        early = self.channel.publishAndWait("early")
        self.time.pump([0.5] * 8)
        late = self.channel.publishAndWait("late")
        self.assertNoResult(early)
        self.time.pump([0.5] * 3)
        self.assertEqual(str(self.failureResultOf(early, NotStored).value), "it is away")
        self.assertNoResult(late)
        self.store.isAway = False
        self.time.pump([0.5] * 12)
        self.assertEqual(self.successResultOf(late).data, "late")
        self.assertEqual([each.event.data for each in self.content.records], ["late"])
        self.channel.close()
        self.settle()
        self.assertEqual(self.time.getDelayedCalls(), [])

    def test_impossible(self) -> None:
        """
        If the store can never be opened, publishers get L{NotStored} with the reason.
        """
        self.start(open=False)
        self.patch(self.store, "open", lambda *_: fail(OSError("it is locked")))
        channel = Channel(name="news", reactor=self.time, store=self.store)
        self.flushLoggedErrors(OSError)
        waiting = channel.publishAndWait("a")
        self.assertEqual(str(self.failureResultOf(waiting, NotStored).value), "it is locked")
        error = self.assertRaises(NotStored, channel.publish, "a")
        self.assertFalse(error.maybe)

    def test_slow(self) -> None:
        """
        The channel waits for a store that takes long to open.
        """
        self.start(open=False, delay=8.0)
        waiting = self.channel.publishAndWait("x")
        self.time.pump([1.0] * 30)
        self.assertEqual(self.successResultOf(waiting).data, "x")
