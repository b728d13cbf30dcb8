"""
Tests for L{twisted_sse.channel} with a store: the position of a client is never mistaken for
another.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest import mock

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from tests.support.channels import data, types
from tests.support.late_store import LateStore
from tests.support.store_case import StoreTestCase
from twisted_sse import Channel, Event, History
from twisted_sse.channel import older, storage
from twisted_sse.store import NotKept, StoreAway
from twisted_sse.store.entry import Entry
from twisted_sse.timing.slices import SLICE


class GivenIDTests(StoreTestCase):
    """
    Tests for IDs that the application uses several times: a position remains the same.
    """

    def test_unsubscribed(self) -> None:
        """
        A stream that subscribes again resumes where it stopped, even if the ID of the event before
        was reused, and the window has moved on.
        """
        self.start(window=3)
        browser = self.connect()
        self.publish(1, id="a")
        (stream,) = self.streams
        self.channel.unsubscribe(stream)
        self.publish(2)
        self.publish(3, id="a")
        self.publish(*range(4, 12))
        self.channel.subscribe(stream)
        self.settle()
        self.assertEqual(data(browser), [str(n) for n in range(1, 12)])

    def test_unread(self) -> None:
        """
        A client that connected with an ID, and has read nothing when that ID is reused, is notified
        of a possible loss, and gets all kept events.
        """
        self.start(window=1)
        self.publish(0, id="a")
        self.publish(1)
        self.store.delay = 1.0
        browser = self.connect("a")
        self.store.delay = 0.01
        # It is stored before the store is read.
        self.publish(2, id="a")
        self.settle(200)
        self.assertEqual(types(browser)[0], "stream-reset")
        self.assertEqual(data(browser)[1:], ["0", "1", "2"])
        # A client that connects now means the later event.
        self.publish(3)
        browser = self.connect("a")
        self.settle()
        self.assertEqual(data(browser), ["3"])

    def test_readLater(self) -> None:
        """
        The store is not asked for an ID that was reused after the client connected with it; nor for
        any, if more were reused than are remembered.
        """
        self.start(window=1)
        self.publish(0, id="a")
        self.publish(1, id="b")
        reader: Any = self.channel._storage.older  # type: ignore[union-attr]

        def isAsked(identifier: str, given: int | None) -> bool:
            found: list[Any] = []
            reading = reader.read(identifier, None, given).addBoth(found.append)
            reading.cancel()
            return not found[0].check(NotKept)

        given = reader.given
        self.publish(2, id="a")
        asked = isAsked("a", given), isAsked("a", reader.given), isAsked("a", None)
        self.assertEqual((*asked, isAsked("b", given)), (False, True, True, True))
        self.patch(older, "MOST_GIVEN", 1)
        self.publish(3, id="c")
        asked = isAsked("a", given), isAsked("b", given), isAsked("b", reader.given)
        self.assertEqual(asked, (False, False, True))
        self.settle()

    def test_notStoredYet(self) -> None:
        """
        A client that has read all stored events continues in the window, even if the ID of the
        event before was reused for one that is not stored yet.
        """
        self.start(window=1)
        (first,) = self.publish(0)
        self.publish(1, id="a")
        self.store.delay = 5
        self.channel.publish("2")
        self.channel.publish("3", id="a")
        self.turn()
        self.store.delay = 0.01
        browser = self.connect(first.id or "")
        self.settle()
        self.assertEqual(data(browser), ["1", "2", "3"])

    def readSlowly(self) -> None:
        """
        Let the store have the ID "a", and a client read from it endlessly: pages read for others
        are kept.
        """
        self.start(window=3)
        (first,) = self.publish(0)
        self.publish(1, id="a")
        self.publish(*[f"{number} {'x' * 20_000}" for number in range(2, 12)])
        self.connect(first.id or "").stopReading(0)
        self.settle()

    def test_again(self) -> None:
        """
        Events read for one client after an ID are not sent to the next if the ID was reused
        meanwhile.
        """
        self.readSlowly()
        browser = self.connect("a")
        self.settle()
        self.assertEqual(len(data(browser)), 10)
        self.publish(20, id="a")
        self.publish(*range(21, 30))
        browser = self.connect("a")
        self.settle()
        self.assertEqual(data(browser), [str(n) for n in range(21, 30)])

    def test_againWhileReading(self) -> None:
        """
        Nor are they if it is reused while the store is being read.
        """
        self.readSlowly()
        (log,) = self.store.logs
        read, delays = log.read, [5.0]

        def readNow(*args: Any) -> Deferred[Any]:
            self.store.delay = None
            found = self.successResultOf(read(*args))
            self.store.delay = delays.pop() if delays else 0.01
            answer = self.store.later(lambda: found)
            self.store.delay = 0.01
            return answer

        self.patch(log, "read", readNow)
        before = self.connect("a")
        self.publish(20, id="a")
        self.publish(*range(21, 30))
        self.assertEqual(data(before), [])
        self.settle(600)
        self.assertEqual(len(data(before)), 20)
        browser = self.connect("a")
        self.settle()
        self.assertEqual(data(browser), [str(n) for n in range(21, 30)])


class CallbackTests(StoreTestCase):
    """
    Tests for functions and observers that act on their stream, or on others.
    """

    def test_unsubscribesItself(self) -> None:
        """
        If a C{where} function unsubscribes the stream while it examines events from the store,
        events accepted before are not lost.
        """
        self.start(window=3)
        events = self.publish(*range(20))

        def where(event: Event) -> bool:
            if event.data == "3" and not resumed:
                self.channel.unsubscribe(self.streams[0])
            return True

        resumed: list[bool] = []
        browser = self.connect(events[0].id or "", where=where)
        self.settle()
        resumed.append(True)
        self.channel.subscribe(self.streams[0])
        self.settle()
        self.assertEqual(data(browser), [str(n) for n in range(1, 20)])

    def test_publishes(self) -> None:
        """
        If a C{where} function publishes enough for the window to move past the client, the client
        continues from the store, without a reset.
        """
        channel = self.start(window=3)
        events = self.publish(*range(4))
        asked: list[str] = []

        def where(event: Event) -> bool:
            asked.append(event.data or "")
            if len(asked) == 2:
                for number in range(4, 9):
                    channel.publish(str(number))
            return True

        browser = self.connect(events[0].id or "", where=where)
        self.settle()
        self.assertEqual(data(browser), [str(n) for n in range(1, 9)])

    def test_unsubscribedBeforeTheTurn(self) -> None:
        """
        A live stream that is unsubscribed with more events pending than the window holds gets them
        when it subscribes again, without a reset.
        """
        channel = self.start(window=1, deliver="stored")
        browser = self.connect()
        self.publish(0)
        for number in range(1, 4):
            channel.publish(str(number))
        while not channel.history.end > 1:
            self.time.rightNow += 0.01
            self.turn()
        channel.unsubscribe(self.streams[0])
        self.settle()
        channel.subscribe(self.streams[0])
        self.settle()
        self.assertEqual(data(browser), ["0", "1", "2", "3"])

    def test_unsubscribedBeforeTheReset(self) -> None:
        """
        A stream that is unsubscribed before a notice of missed events could be sent is notified
        when it subscribes again.
        """
        self.start(window=3)
        self.publish(*range(20))
        browser = self.connect("unknown")
        self.time.advance(0.01)
        self.time.advance(0.005)
        self.channel.unsubscribe(self.streams[0])
        self.settle()
        self.channel.subscribe(self.streams[0])
        self.settle()
        self.assertEqual(types(browser), ["stream-reset"] + ["message"] * 20)


class OrderTests(StoreTestCase):
    """
    Tests for a log that reads in a thread.
    """

    def test_readFirst(self) -> None:
        """
        An event that was read before the log reported it as stored is not sent again.
        """
        channel = self.start(window=1)
        events = self.publish(*range(3))
        (log,) = self.store.logs
        append = log.append
        self.store.delay = None
        answer: Deferred[Any] = Deferred()
        stored: list[Any] = []

        def appendNow(*args: Any) -> Deferred[Any]:
            append(*args).addCallback(stored.append)
            return answer

        self.patch(log, "append", appendNow)
        channel.publishAndWait("3", idempotencyKey="k")
        self.settle(3)
        read, reads = log.read, 0

        def lastLate(*args: Any) -> Deferred[Any]:
            nonlocal reads
            reads += 1
            self.store.delay = None if reads == 1 else 0.1
            return read(*args)

        self.patch(log, "read", lastLate)
        browser = self.connect(events[0].id or "")
        self.turn()
        self.turn()
        self.assertEqual(reads, 2)
        answer.callback(stored.pop())
        self.settle()
        self.assertEqual(data(browser), ["1", "2", "3"])


class SliceTests(StoreTestCase):
    """
    Tests for the turns of the reactor while many clients wait for the store.
    """

    def wait(self) -> Deferred[Any]:
        """
        Let a hundred clients reconnect with different IDs, before the store answers.

        @return: the result of the first read, to be fired with C{self.found}.
        """
        self.start(window=3)
        events = self.publish(*range(200))
        (log,) = self.store.logs
        answer: Deferred[Any] = Deferred()
        self.found = log.read(events[0].id, 2**16)
        self.settle()
        with mock.patch.object(log, "read", lambda *args: answer):
            self.browsers = [self.connect(event.id or "") for event in events[:100]]
            self.settle()
        return answer

    def assertSliced(self, act: Callable[[], object]) -> None:
        """
        Call a function, and run turns, which must each be short.
        """
        start = self.time.rightNow
        act()
        self.assertLess(self.time.rightNow - start, 2 * SLICE)
        for _ in range(1000):
            start = self.time.rightNow
            self.turn()
            self.assertLess(self.time.rightNow - start, 2 * SLICE)

    def test_answers(self) -> None:
        """
        One page may serve clients that wait with many different IDs.
        """
        answer = self.wait()
        self.recorder.cost = SLICE / 4
        self.assertSliced(lambda: answer.callback(self.successResultOf(self.found)))
        self.recorder.cost = 0
        self.settle()
        for start, browser in enumerate(self.browsers):
            self.assertEqual(data(browser), [str(n) for n in range(start + 1, 200)])

    def test_close(self) -> None:
        """
        When the channel is closed, all of them are ended.
        """

        def act(*news: object) -> None:
            if news[0] == "closed":
                self.time.rightNow += SLICE / 4

        answer = self.wait()
        self.recorder.act = act
        self.assertSliced(self.channel.close)
        answer.errback(StoreAway())
        for browser in self.browsers:
            self.assertTrue(browser.ended and browser.complete)
        self.assertIdle()


class BrokenTests(StoreTestCase):
    """
    Tests for a log that reports that continuity is lost.
    """

    def breakLog(self) -> None:
        """
        Lose all stored events.
        """
        self.content.__init__()  # type: ignore[misc]
        self.content.origins["new"] = 0
        self.store.logs[0].tail.broken("new")

    def test_unsubscribed(self) -> None:
        """
        A stream that was unsubscribed at that time is notified when it subscribes again.
        """
        self.start(window=3)
        browser = self.connect()
        self.publish(1)
        self.channel.unsubscribe(self.streams[0])
        self.breakLog()
        self.channel.subscribe(self.streams[0])
        self.publish(2)
        self.assertEqual(types(browser), ["message", "stream-reset", "message"])

    def read(self) -> Any:
        """
        Have a client read from the store, which answers later.
        """
        self.start(window=3)
        first, *_ = self.publish(*range(10))
        self.store.delay = 1
        browser = self.connect(first.id or "")
        self.turn()
        self.assertEqual(types(browser), [])
        return browser

    def test_reading(self) -> None:
        """
        A client that is reading from the store is not notified if the store has the next events.
        """
        browser = self.read()
        self.content.origins["new"] = len(self.content.records)
        self.store.logs[0].tail.broken("new")
        self.settle(1000)
        self.publish(10)
        self.assertEqual(data(browser), [str(number) for number in range(1, 11)])

    def test_readingLost(self) -> None:
        """
        A client that is reading from the store is notified once if the store lacks the next events.
        """
        browser = self.read()
        self.breakLog()
        self.settle(1000)
        self.publish(10)
        self.assertEqual(types(browser), ["stream-reset", "message"])

    def test_onItsWay(self) -> None:
        """
        An earlier answer of the store that arrives after the loss is ignored, whether it means that
        the client has everything or that something is missing.
        """
        for isLost, outcome in (True, []), (False, Failure(NotKept())):
            self.kept.clear()
            self.start(window=3)
            first, *_ = self.publish(*range(10))
            (log,) = self.store.logs
            answer: Deferred[Any] = Deferred()
            with mock.patch.object(log, "read", return_value=answer):
                browser = self.connect(first.id or "", topics=["none"])
            if isLost:
                self.breakLog()
            else:
                self.content.origins["new"] = len(self.content.records)
                log.tail.broken("new")
            answer.callback(outcome)
            self.settle()
            self.publish(10, topics=["none"])
            self.assertEqual(types(browser), ["stream-reset"] * isLost + ["message"])

    def test_whileSending(self) -> None:
        """
        Clients that are just receiving an event are notified immediately instead; and a stream that
        an observer then unsubscribes is not notified.
        """
        self.start(window=10)
        browsers = [self.connect(where=lambda event: True) for _ in range(4)]
        self.recorder.cost = SLICE
        self.channel.publish("1")
        self.turn()
        self.recorder.cost = 0
        self.recorder.act = lambda *news: (
            news == ("reset", self.streams[3]) and self.channel.unsubscribe(self.streams[0])
        )
        self.breakLog()
        self.publish(2)
        self.assertEqual(
            [data(browser) for browser in browsers],
            [["1"], ["{}", "2"], ["{}", "2"], ["{}", "2"]],
        )


class MemoryTests(StoreTestCase):
    """
    Tests for the memory of a channel with a store.
    """

    def test_fewPages(self) -> None:
        """
        Pages are kept only up to a limit, however much is replayed, and every client gets
        everything.
        """
        self.patch(older, "MOST", older.PAGE)
        self.start(window=3)
        events = [self.channel.publish(f"{number}".ljust(2000, "-")) for number in range(200)]
        self.settle()
        browsers = [self.connect(event.id or "") for event in events[:40:13]]
        most = 0
        for _ in range(200):
            self.time.advance(0.005)
            reader = self.channel._storage.older  # type: ignore[union-attr]
            most = max(most, len(reader._pages))  # type: ignore[union-attr]
            self.assertLessEqual(
                len(reader._places) + len(reader._asked),  # type: ignore[union-attr]
                40 * len(reader._pages),  # type: ignore[union-attr]
            )
        for browser, start in zip(browsers, range(0, 40, 13), strict=True):
            numbers = [int(each.split("-")[0]) for each in data(browser)]
            self.assertEqual(numbers, list(range(start + 1, 200)))
        self.assertIn(most, (1, 2))

    def test_maxAge(self) -> None:
        """
        Events that the store has dropped because of their age are not replayed from memory, either;
        and a history with a shorter limit continues to apply it.
        """
        self.start()
        self.publish(1)
        for maxAge, limit in ((100.0, None), (100.0, 50.0), (50.0, 100.0)):
            self.store = LateStore(self.time, self.kept, maxAge=maxAge)
            history = History(maxAge=limit)
            channel = Channel(history, name="news", reactor=self.time, store=self.store)
            self.serve(channel, self.time)
            self.successResultOf(self.opened())
            least = min(maxAge, limit or maxAge)
            self.assertEqual(history.maxAge, least)
            channel.publish("new")
            self.time.advance(least - 1)
            self.assertIn("new", [each.event.data for each in self._kept(history)])
            self.time.advance(2)
            self.assertEqual(len(history), 0)
            channel.close()
            channel.close()
            self.settle()
            self.assertEqual(len(self.store.closed), 1)

    def test_ageBeforeTheRestart(self) -> None:
        """
        The age of an event survives a restart: it counts from the time of its publication.
        """
        self.start()
        self.publish(1)
        published = self.content.records[0].time
        with mock.patch.object(storage.time, "time", lambda: published + 60):
            channel = self.start(maxAge=100.0)
        self.assertEqual(len(channel.history), 1)
        self.time.advance(39)
        self.assertEqual(len(channel.history), 1)
        self.time.advance(2)
        self.assertEqual(len(channel.history), 0)

    def test_placeIsGone(self) -> None:
        """
        A stream whose position no longer has an ID is notified when it subscribes again, and
        receives the kept events.
        """
        channel = self.start(window=1)
        browsers = [self.connect() for _ in range(40)]
        # Slow enough that the window moves on before all streams have received the first events.
        self.recorder.cost = SLICE / 20
        self.recorder.writes.clear()
        channel.publish("1")
        channel.publish("2")
        self.turn()
        served = {each for each, _, _ in self.recorder.writes}
        number = [each in served for each in self.streams].index(False)
        late, stream = browsers[number], self.streams[number]
        self.recorder.cost = 0.0
        channel.publish("3")
        channel.publish("4")
        # The store has all of them, so the window keeps only one.
        channel.history.settle(channel.history.end, True)
        channel.unsubscribe(stream)
        self.settle()
        channel.subscribe(stream)
        self.settle()
        self.assertEqual((types(late)[0], data(late)[1:]), ("stream-reset", ["1", "2", "3", "4"]))

    def test_unsubscribedBeforeTheFirst(self) -> None:
        """
        A stream that is unsubscribed while the very first events are pending, more than the window
        holds, resumes exactly.
        """
        channel = self.start(window=1)
        browser = self.connect()
        for number in range(3):
            channel.publish(str(number))
        channel.history.settle(channel.history.end, True)
        stream = self.streams[0]
        channel.unsubscribe(stream)
        self.settle()
        channel.subscribe(stream)
        self.settle()
        self.assertEqual(data(browser), ["0", "1", "2"])

    def _kept(self, history: History) -> list[Entry]:
        return [history.get(position) for position in range(history.first, history.end)]
