"""
Tests for L{twisted_sse.channel} with a store behind the history: publishing, keeping, and
replaying.
"""

from __future__ import annotations

import gc
from weakref import ref

from tests.support.channels import data, lastEventID, types
from tests.support.late_store import LateStore
from tests.support.store_case import StoreTestCase
from twisted_sse import Channel, Event, InvalidEvent, MessageEvent
from twisted_sse.store import KeyReused, NotStored, StoreAway


class PublishTests(StoreTestCase):
    """
    Tests for publishing.
    """

    def test_stored(self) -> None:
        """
        Events published in one turn are appended together, with the IDs that clients see.
        """
        channel = self.start()
        browser = self.connect()
        events = [channel.publish("a", topics=["t"]), channel.publish("b")]
        self.settle()
        self.assertEqual([len(records) for records, _ in self.store.logs[0].appends], [2])
        self.assertEqual([record.event for record in self.content.records], events)
        self.assertEqual([record.topics for record in self.content.records], [("t",), ()])
        self.assertEqual(data(browser), ["a", "b"])
        self.assertEqual(lastEventID(browser), events[1].id)

    def test_givenID(self) -> None:
        """
        An ID that the application sets is kept, and its record has its own position.
        """
        self.start()
        self.publish(1, id="mine")
        (record,) = self.content.records
        self.assertEqual(record.event.id, "mine")
        self.assertNotIn(record.place, ("", "mine"))

    def test_wait(self) -> None:
        """
        C{publishAndWait} fires when the event is stored, and not before.
        """
        channel = self.start()
        waiting = channel.publishAndWait("a")
        self.time.advance(0)
        self.assertNoResult(waiting)
        self.settle()
        self.assertEqual(self.successResultOf(waiting).data, "a")

    def test_together(self) -> None:
        """
        Events that are published together are appended together.
        """
        channel = self.start()
        waiting = channel.publishAllAndWait([(Event("a"), ["t"]), (Event("b"), [])])
        self.settle()
        events = self.successResultOf(waiting)
        self.assertEqual([record.event for record in self.content.records], events)

    def test_beforeOpening(self) -> None:
        """
        Events published before the store is open wait for it.
        """
        channel = self.start(open=False)
        browser = self.connect()
        event = channel.publish("a")
        waiting = channel.publishAndWait("b", idempotencyKey="k")
        channel.publish("c")
        self.assertIsNone(event.id)
        self.settle()
        self.assertEqual(self.successResultOf(waiting).id, self.content.records[1].event.id)
        self.assertEqual([record.event.data for record in self.content.records], ["a", "b", "c"])
        self.assertEqual(data(browser), ["a", "b", "c"])

    def test_deliverStored(self) -> None:
        """
        If the log requires it, subscribers receive an event only after it is stored.
        """
        channel = self.start(deliver="stored")
        self.store.delay = 1
        browser = self.connect()
        channel.publish("a")
        self.time.advance(0)
        self.time.advance(0.5)
        self.assertEqual(data(browser), [])
        self.assertEqual(len(channel.history), 0)
        self.time.advance(0.5)
        self.time.advance(0)
        self.assertEqual(data(browser), ["a"])

    def test_deliverStoredFails(self) -> None:
        """
        An event that must be stored first, but could not be, is never sent.
        """
        channel = self.start(deliver="stored")
        browser = self.connect()
        self.store.failing = NotStored(False, "full")
        waiting = channel.publishAndWait("a")
        self.settle()
        self.assertFalse(self.failureResultOf(waiting, NotStored).value.maybe)
        self.store.failing = None
        self.publish(1)
        self.assertEqual(data(browser), ["1"])

    def test_failed(self) -> None:
        """
        If an event cannot be stored, its publisher learns that it may have been delivered;
        subscribers receive it, and a client that misses it is notified.
        """
        channel = self.start(window=3)
        first = self.publish(0)
        browser = self.connect()
        self.store.failing = NotStored(False, "full")
        waiting = channel.publishAndWait("lost")
        self.settle()
        self.assertTrue(self.failureResultOf(waiting, NotStored).value.maybe)
        self.store.failing = None
        self.publish(*range(1, 10))
        self.assertEqual(data(browser), ["lost", *map(str, range(1, 10))])
        late = self.connect(first[0].id or "")
        self.settle()
        self.assertEqual(types(late)[0], "stream-reset")
        self.assertEqual(data(late)[-3:], ["7", "8", "9"])

    def test_failedAtTheEnd(self) -> None:
        """
        While events cannot be stored, a client that reconnects gets them from memory; a client that
        needs dropped events is notified.
        """
        for lost, expected in (
            (2, ["message"] * 11),
            (3, ["message"] * 12),
            (4, [*["message"] * 9, "stream-reset", *["message"] * 3]),
        ):
            self.setUp()
            self.start(window=3)
            events = self.publish(*range(10))
            self.store.failing = NotStored(False, "full")
            self.publish(*range(10, 10 + lost))
            browser = self.connect(events[0].id or "")
            self.settle()
            self.assertEqual(types(browser), expected, lost)
            self.store.failing = None
            self.publish(99)
            self.assertEqual(data(browser)[-2:], [str(9 + lost), "99"])

    def test_tooMuch(self) -> None:
        """
        When too much is waiting to be stored, no more events are accepted.
        """
        self.start()
        self.store.delay = 1
        text = "x" * (2**20 - 100)
        published = 0
        while published < 20:
            try:
                self.channel.publish(text)
            except NotStored as e:
                self.assertFalse(e.maybe)
                break
            published += 1
        self.assertEqual(published, 16)
        self.time.pump([0, 1, 1])
        self.channel.publish(text)

    def test_closed(self) -> None:
        """
        C{close} appends the published events, and closes the log.
        """
        channel = self.start()
        channel.publish("a")
        (log,) = self.store.logs
        channel.close()
        self.settle()
        self.assertEqual([record.event.data for record in self.content.records], ["a"])
        self.assertEqual(self.store.closed, [log])

    def test_closedWhileReading(self) -> None:
        """
        When the channel is closed, the stream of a client that reads from the store ends, without a
        notice of a loss; so does that of a client waiting for the store.
        """
        self.start(window=3)
        events = self.publish(*range(20))
        self.store.isAway = True
        browser = self.connect(events[0].id or "")
        self.settle()
        self.channel.close()
        self.settle()
        self.assertTrue(browser.ended and browser.complete)
        self.assertEqual(types(browser), [])
        self.start(open=False, isAway=True)
        ready = self.channel.whenReady()
        browser = self.connect()
        self.channel.close()
        self.settle()
        self.assertTrue(browser.ended and browser.complete)
        self.failureResultOf(ready, StoreAway)

    def test_arguments(self) -> None:
        """
        A store needs a name and a history.
        """
        store = LateStore(self.time)
        self.assertRaises(ValueError, Channel, store=store)
        self.assertRaises(ValueError, Channel, None, name="news", store=store)
        self.start()
        self.assertRaises(ValueError, self.channel.beginAfter, "1")


class KeyTests(StoreTestCase):
    """
    Tests for idempotency keys.
    """

    def test_repeated(self) -> None:
        """
        The same key publishes once, whether or not the first call has finished.
        """
        channel = self.start()
        browser = self.connect()
        first = channel.publishAndWait("a", idempotencyKey="k")
        second = channel.publishAndWait("a", idempotencyKey="k")
        self.settle()
        third = channel.publishAndWait("a", idempotencyKey="k")
        results = [self.successResultOf(each) for each in (first, second, third)]
        self.assertEqual(len({event.id for event in results}), 1)
        self.assertEqual(data(browser), ["a"])
        self.assertEqual(len(self.content.records), 1)

    def test_otherContent(self) -> None:
        """
        The same key with other content is refused.
        """
        channel = self.start()
        channel.publishAndWait("a", idempotencyKey="k")
        self.assertRaises(KeyReused, channel.publishAndWait, "b", idempotencyKey="k")
        self.assertRaises(KeyReused, channel.publishAndWait, "a", idempotencyKey="k", topics=["t"])

    def test_restart(self) -> None:
        """
        A key is known after a restart: nothing is published again, with or without an ID set.
        """
        for identifier in (None, "mine"):
            key = f"key {identifier}"
            channel = self.start()
            first = channel.publishAndWait(Event("a", id=identifier), idempotencyKey=key)
            self.settle()
            channel = self.start()
            browser = self.connect()
            again = channel.publishAndWait(Event("a", id=identifier), idempotencyKey=key)
            channel.publish("c")
            self.settle()
            self.assertEqual(self.successResultOf(first).id, self.successResultOf(again).id)
            self.assertEqual(data(browser), ["c"])
            channel = self.start()
            other = channel.publishAndWait("b", idempotencyKey=key)
            self.settle()
            self.failureResultOf(other, KeyReused)

    def test_order(self) -> None:
        """
        Events published after an event with a key are sent after it.
        """
        channel = self.start()
        browser = self.connect()
        channel.publish("a")
        channel.publishAndWait("b", idempotencyKey="k")
        channel.publish("c")
        self.settle()
        self.assertEqual(data(browser), ["a", "b", "c"])
        self.assertEqual([record.event.data for record in self.content.records], ["a", "b", "c"])

    def test_failedOnce(self) -> None:
        """
        A key whose event was not stored may be used again.
        """
        channel = self.start()
        browser = self.connect()
        self.store.failing = NotStored(False, "full")
        failed = channel.publishAndWait("a", idempotencyKey="k")
        self.settle()
        self.failureResultOf(failed, NotStored)
        self.store.failing = None
        again = channel.publishAndWait("a", idempotencyKey="k")
        self.settle()
        self.successResultOf(again)
        self.assertEqual(data(browser), ["a"])


class ReplayTests(StoreTestCase):
    """
    Tests for clients that reconnect.
    """

    def test_fromTheStore(self) -> None:
        """
        A client receives its missed events from the store, then from memory, then live events: each
        once, in order.
        """
        self.start(window=10)
        events = self.publish(*range(100))
        starts = (0, 1, 50, 88, 89, 90, 91, 98, 99)
        browsers = [self.connect(events[start].id or "") for start in starts]
        self.settle()
        self.publish(100)
        for start, browser in zip(starts, browsers, strict=True):
            self.assertEqual(data(browser), [str(n) for n in range(start + 1, 101)])

    def test_restart(self) -> None:
        """
        After a restart a client resumes exactly.
        """
        self.start(window=10)
        events = self.publish(*range(50))
        self.start(window=10)
        self.publish(*range(50, 60))
        for start in (0, 30, 45, 49):
            browser = self.connect(events[start].id or "")
            self.settle()
            self.assertEqual(data(browser), [str(n) for n in range(start + 1, 60)])

    def test_liveWhileReading(self) -> None:
        """
        Events published while a client reads from the store are sent in order.
        """
        self.start(window=5)
        events = self.publish(*range(50))
        browser = self.connect(events[0].id or "")
        for number in range(50, 90):
            self.channel.publish(str(number))
            self.time.advance(0.003)
        self.settle()
        self.assertEqual(data(browser), [str(n) for n in range(1, 90)])

    def test_shared(self) -> None:
        """
        For hundreds of clients that reconnect at the same time, each event is read once.
        """
        self.start(window=10)
        events = self.publish(*range(800))
        browsers = [self.connect(event.id or "") for event in events[:400]]
        self.settle(400)
        for start, browser in enumerate(browsers):
            self.assertEqual(data(browser), [str(n) for n in range(start + 1, 800)])
        self.assertLess(len(self.store.logs[0].reads), 20)

    def test_unknown(self) -> None:
        """
        A client with an ID that the store does not know is notified, and receives the kept events.
        """
        self.start(window=3)
        self.publish(*range(10))
        browser = self.connect("unknown")
        self.settle()
        self.assertEqual(types(browser)[0], "stream-reset")
        self.assertEqual(data(browser)[1:], [str(n) for n in range(10)])

    def test_trimmed(self) -> None:
        """
        A client whose ID was trimmed is notified; with topics, only if events about them were
        trimmed.
        """
        self.start(window=3)
        events = self.publish(*range(5), topics=["a"])
        events += self.publish(*range(5, 20), topics=["b"])
        self.content.trim(10)
        browser = self.connect(events[2].id or "")
        self.settle()
        self.assertEqual(types(browser)[0], "stream-reset")
        self.assertEqual(data(browser)[1:], [str(n) for n in range(10, 20)])
        browser = self.connect(events[4].id or "", topics=["a"])
        self.settle()
        self.assertEqual(types(browser), [])
        browser = self.connect(events[3].id or "", topics=["a"])
        self.settle()
        self.assertEqual(types(browser), ["stream-reset"])

    def test_topics(self) -> None:
        """
        A client gets the events about its topics from the store, too.
        """
        self.start(window=5)
        events = []
        for number in range(60):
            events += self.publish(number, topics=["even" if number % 2 == 0 else "odd"])
        browser = self.connect(events[10].id or "", topics=["odd"])
        self.settle()
        self.assertEqual(data(browser), [str(n) for n in range(11, 60, 2)])
        self.publish(61, topics=["odd"])
        self.assertEqual(data(browser)[-1], "61")

    def test_where(self) -> None:
        """
        A client gets the events that its function chooses from the store, too.
        """
        self.start(window=5)
        events = self.publish(*range(60))
        browser = self.connect(events[10].id or "", where=lambda event: int(event.data) % 2)
        self.settle()
        self.assertEqual(data(browser), [str(n) for n in range(11, 60, 2)])

    def test_quietTopic(self) -> None:
        """
        A client for which there are no events receives its position, and resumes exactly.
        """
        self.start(window=10)
        browser = self.connect(topics=["quiet"])
        first = lastEventID(browser)
        self.publish(*range(30))
        second = lastEventID(browser)
        self.assertNotEqual(first, second)
        browser.disconnect()
        self.publish(1, topics=["quiet"])
        self.publish(*range(30))
        self.start(window=10)
        browser = self.connect(second, topics=["quiet"])
        self.settle()
        self.assertEqual(data(browser), ["1"])

    def test_newClientRestart(self) -> None:
        """
        A client that has received only its position resumes exactly after a restart.
        """
        self.start()
        browser = self.connect()
        place = lastEventID(browser)
        self.publish(*range(20))
        self.start()
        browser = self.connect(place)
        self.settle()
        self.assertEqual(data(browser), [str(n) for n in range(20)])

    def test_last(self) -> None:
        """
        A new client may get the newest events, from the window.
        """
        self.start(window=10)
        self.publish(*range(30))
        self.start(window=10)
        self.assertEqual(data(self.connect(last=3)), ["27", "28", "29"])

    def test_repeatedIDs(self) -> None:
        """
        IDs that are reused many times do not confuse a replay.
        """
        self.start(window=5)
        (first,) = self.publish(0)
        for number in range(1, 60):
            self.publish(number, id="same")
        browser = self.connect(first.id or "")
        self.settle()
        self.assertEqual(data(browser), [str(n) for n in range(1, 60)])
        self.publish(60)
        again = self.connect("same")
        self.settle()
        self.assertEqual(data(again), ["60"])

    def test_overtaken(self) -> None:
        """
        A client that reads slowly continues from the store when the window has moved on.
        """
        self.start(window=10)
        text = "x" * 5000
        events = [self.channel.publish(f"{n} {text}") for n in range(10)]
        self.settle()
        browser = self.connect(
            events[0].id or "",
        )
        browser.stopReading(0)
        for number in range(10, 40):
            self.channel.publish(f"{number} {text}")
            self.settle(2)
        browser.resumeReading()
        self.settle()
        self.assertEqual([each.split()[0] for each in data(browser)], list(map(str, range(1, 40))))


class AwayTests(StoreTestCase):
    """
    Tests for a store that cannot be reached.
    """

    def test_atStart(self) -> None:
        """
        Subscribers and events wait for a store that is unreachable at the start.
        """
        self.start(open=False, isAway=True)
        ready = self.channel.whenReady()
        browser = self.connect("unknown")
        self.settle(100)
        self.assertNoResult(ready)
        self.assertEqual(types(browser), [])
        self.store.isAway = False
        self.channel.publish("a")
        self.settle(1000)
        self.successResultOf(ready)
        self.assertEqual(types(browser), ["stream-reset", "message"])

    def test_reading(self) -> None:
        """
        A client that reads from an unreachable store waits, and is not reset.
        """
        self.start(window=3)
        events = self.publish(*range(20))
        self.store.isAway = True
        browser = self.connect(events[0].id or "")
        self.settle(100)
        self.assertEqual(types(browser), [])
        self.store.isAway = False
        self.settle(1000)
        self.assertEqual(data(browser), [str(n) for n in range(1, 20)])

    def test_back(self) -> None:
        """
        When the log reports that the store is reachable again, the store is read immediately.
        """
        self.start(window=3, delay=0)
        events = self.publish(*range(20))
        self.store.isAway = True
        browser = self.connect(events[0].id or "")
        self.settle(1000)
        self.store.isAway = False
        (log,) = self.store.logs
        log.tail.away(None)
        self.time.pump([0] * 10)
        self.assertEqual(data(browser), [str(n) for n in range(1, 20)])

    def test_neverOpens(self) -> None:
        """
        If the store can never be opened, publishers and clients receive the reason.
        """
        self.store = LateStore(self.time)
        self.store.opening = ValueError("no such store")
        channel = Channel(name="news", reactor=self.time, store=self.store)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.failureResultOf(channel.whenReady(), ValueError)
        error = self.assertRaises(NotStored, channel.publish, "a")
        self.assertEqual(str(error), "no such store")
        self.serve(channel, self.time)
        self.assertEqual(self.connect().status, 500)
        self.flushLoggedErrors(ValueError)

    def test_broken(self) -> None:
        """
        When continuity is lost every client is notified once, and continues.
        """
        self.start(window=3)
        events = self.publish(*range(10))
        live = self.connect()
        chooser = self.connect()
        self.channel.subscribe(self.streams[1], topics=["t"])
        (log,) = self.store.logs
        log.tail.broken("new origin")
        self.publish(10, topics=["t"])
        for browser in (live, chooser):
            self.assertEqual(types(browser), ["stream-reset", "message"])
        late = self.connect(events[9].id or "")
        self.settle()
        self.assertEqual(data(late), ["10"])


class SharedTests(StoreTestCase):
    """
    Tests for a log that makes the IDs.
    """

    def test_received(self) -> None:
        """
        Subscribers of all processes get the events of any of them, once the log has received them.
        """
        here = self.start(makesIDs=True)
        there = Channel(name="news", reactor=self.time, store=self.store)
        self.settle()
        browser = self.connect()
        event = there.publish("a")
        waiting = here.publishAndWait("b")
        self.assertIsNone(event.id)
        self.settle()
        self.assertEqual(data(browser), ["a", "b"])
        self.assertEqual(self.successResultOf(waiting).id, lastEventID(browser))

    def test_givenID(self) -> None:
        """
        The application cannot set an ID.
        """
        channel = self.start(makesIDs=True)
        self.assertRaises(InvalidEvent, channel.publish, "a", id="1")

    def test_emptyID(self) -> None:
        """
        An empty ID, which a relayed message has if its source sends none, gives way to the log's.
        """
        channel = self.start(makesIDs=True)
        browser = self.connect()
        channel.publish("a")
        channel.publish(Event.fromMessage(MessageEvent("message", "b", "")))
        waiting = channel.publishAndWait("c", id="")
        self.settle()
        self.assertEqual(data(browser), ["a", "b", "c"])
        self.assertEqual(self.successResultOf(waiting).id, lastEventID(browser))
        appended = [each for records, _ in self.store.logs[0].appends for each in records]
        self.assertEqual([each.event.id for each in appended], [None] * 3)

    def test_replay(self) -> None:
        """
        A client resumes exactly from the store, while others publish.
        """
        self.start(makesIDs=True, window=5)
        self.publish(*range(50))
        first = self.content.records[0].event.id
        browser = self.connect(first or "")
        for number in range(50, 90):
            self.channel.publish(str(number))
            self.time.advance(0.003)
        self.settle()
        self.assertEqual(data(browser), [str(n) for n in range(1, 90)])

    def test_failed(self) -> None:
        """
        Events that could not be appended were not delivered, unless the log reports that they may
        have been.
        """
        channel = self.start(makesIDs=True)
        browser = self.connect()
        self.store.failing = NotStored(False, "full")
        waiting = channel.publishAndWait("a")
        self.settle()
        self.assertFalse(self.failureResultOf(waiting, NotStored).value.maybe)
        self.assertEqual(data(browser), [])


class LeakTests(StoreTestCase):
    """
    Tests that nothing is left behind.
    """

    def test_nothingLeft(self) -> None:
        """
        After all clients have disconnected and the channel is closed, no delayed call or page
        remains.
        """
        self.start(window=3)
        events = self.publish(*range(200))
        browsers = [self.connect(event.id or "") for event in events[:50]]
        self.time.advance(0.011)
        for browser in browsers[:25]:
            browser.disconnect()
        self.settle()
        for browser in browsers[25:]:
            browser.disconnect()
        self.channel.close()
        self.settle()
        self.resource.drain(0)
        self.assertEqual(self.time.getDelayedCalls(), [])

    def test_freed(self) -> None:
        """
        With the garbage collector off, a stream is freed that ends while it waits for the store:
        before the store is open, while it is read, while it is unreachable, or later.
        """
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        self.start(window=3)
        events = self.publish(*range(200))
        for isAway, wait in (False, 0.0), (False, 0.005), (True, 1.0), (False, 1.0):
            self.store.isAway = isAway
            browser = self.connect(events[0].id or "", topics=["t"] if wait == 1 else None)
            self.time.advance(wait)
            reference = ref(self.streams.pop())
            browser.disconnect()
            self.recorder.told.clear()
            self.recorder.writes.clear()
            self.time.advance(10)
            self.assertIsNone(reference(), (isAway, wait))
            self.assertFalse(self.store.isAway and self.channel.streams)
        self.start(open=False)
        browser = self.connect()
        reference = ref(self.streams.pop())
        browser.disconnect()
        self.recorder.told.clear()
        self.assertIsNone(reference())

    def test_away(self) -> None:
        """
        Closing a channel whose store is unreachable leaves no delayed call.
        """
        self.start(open=False, isAway=True)
        waiting = self.channel.publishAndWait("a")
        self.settle()
        self.channel.close()
        self.settle()
        self.failureResultOf(waiting, NotStored)
        self.assertEqual(self.time.getDelayedCalls(), [])
