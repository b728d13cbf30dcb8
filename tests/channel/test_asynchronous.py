"""
Tests for L{twisted_sse.channel.subscription} with a store that takes its time, such as one on a
disk or in another process.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from tests.support.channels import ChannelTestCase, data, types
from twisted_sse import Channel, CloseReason, History, SlowReader
from twisted_sse.store import EventStore
from twisted_sse.testing import MemoryClock


class LateStore:
    """
    A history that answers a second later what has to be looked up.  It is no L{History}: it has
    the methods of the contract, and no others.

    @ivar failing: whether what is looked up cannot be found out.
    @ivar afterReading: called between the look and the answer.
    @ivar pending: how many answers are still to come.
    """

    maxAge = None

    def __init__(self, clock: IReactorTime, history: History) -> None:
        self._clock = clock
        self._history = history
        self.afterReading: Callable[[], object] = lambda: None
        self.failing = False
        self.pending = 0
        for name in (
            "claim",
            "identify",
            "mark",
            "beginAfter",
            "append",
            "get",
            "passed",
            "expire",
            "shift",
        ):
            setattr(self, name, getattr(self._history, name))

    @property
    def first(self) -> int:
        """
        See L{EventStore.first}.
        """
        return self._history.first

    @property
    def end(self) -> int:
        """
        See L{EventStore.end}.
        """
        return self._history.end

    def find(self, *arguments: Any) -> Deferred[Any]:
        """
        See L{EventStore.find}.
        """
        return self._later(lambda: self._history.find(*arguments))

    def read(self, *arguments: Any) -> Deferred[Any]:
        """
        See L{EventStore.read}.
        """
        return self._later(lambda: self._history.read(*arguments))

    def _later(self, ask: Callable[[], object]) -> Deferred[Any]:
        def answer() -> None:
            self.pending -= 1
            if self.failing:
                answered.errback(OSError("the disk is gone"))
            else:
                found = ask()
                self.afterReading()
                answered.callback(found)

        def cancel(_: object) -> None:
            self.pending -= 1
            call.cancel()

        self.pending += 1
        answered: Deferred[Any] = Deferred(cancel)
        call = self._clock.callLater(1, answer)
        return answered


class AsynchronousTests(ChannelTestCase):
    """
    Tests for subscriptions to a channel whose store answers later.
    """

    def serveLate(self, history: History | None = None, **options: Any) -> Channel:
        """
        Serve a channel with such a store.
        """
        clock = MemoryClock()
        self.store = LateStore(clock, History() if history is None else history)
        return self.serve(Channel(self.store), clock=clock, **options)

    def test_contract(self) -> None:
        """
        A store needs the methods of the contract, and need not be a History.
        """
        self.assertIsInstance(LateStore(MemoryClock(), History()), EventStore)
        self.assertRaises(TypeError, Channel, object())

    def test_resume(self) -> None:
        """
        A client that comes back gets what it has missed, then what was published while the store
        was looking, then what is new.
        """
        channel = self.serveLate()
        seen = channel.publish("seen").id or ""
        channel.publish("missed")
        browser = self.connect(seen)
        channel.publish("meanwhile")
        self.assertEqual(data(browser), [])
        self.clock.advance(1)
        self.assertEqual(data(browser), [])
        channel.publish("later")
        self.clock.advance(1)
        channel.publish("while it reads on")
        self.clock.advance(3)
        channel.publish("live")
        self.clock.settle()
        expected = ["missed", "meanwhile", "later", "while it reads on", "live"]
        self.assertEqual(data(browser), expected)
        self.assertEqual(self.told("reset"), [])

    def test_choice(self) -> None:
        """
        The same with topics, and with a function that chooses.
        """
        channel = self.serveLate()
        seen = channel.publish("seen").id or ""
        for number in range(10):
            channel.publish(str(number), topics=["even" if number % 2 == 0 else "odd"])
        topics = self.connect(seen, topics=["odd"])
        where = self.connect(seen, where=lambda event: event.data in "369")
        self.clock.advance(2)
        self.clock.advance(2)
        self.assertEqual(data(topics), ["1", "3", "5", "7", "9"])
        self.assertEqual(data(where), ["3", "6", "9"])

    def test_unknown(self) -> None:
        """
        A client whose ID is unknown is told so, once, and gets what is kept.
        """
        channel = self.serveLate()
        channel.publish("kept")
        browser = self.connect("unknown")
        for _ in range(5):
            self.clock.advance(1)
        self.assertEqual(types(browser), ["stream-reset", "message"])
        self.assertEqual(len(self.told("reset")), 1)

    def test_trimmed(self) -> None:
        """
        A client whose next event is dropped while the store is looking is told so.
        """
        channel = self.serveLate(History(maxEvents=3))
        seen = channel.publish("seen").id or ""
        channel.publish("missed")
        browser = self.connect(seen)
        self.clock.advance(1)
        for number in range(5):
            channel.publish(str(number))
        for _ in range(5):
            self.clock.advance(1)
        self.assertEqual(data(browser), ["{}", "2", "3", "4"])

    def test_disconnect(self) -> None:
        """
        When the client goes, what was asked for it is cancelled, and nothing is left.
        """
        channel = self.serveLate()
        seen = channel.publish("seen").id or ""
        channel.publish("missed")
        for wait in (0, 1):
            browser = self.connect(seen)
            self.clock.advance(wait)
            self.assertEqual(self.store.pending, 1)
            browser.disconnect()
            self.assertEqual(self.store.pending, 0)
        self.assertIdle(channel)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_end(self) -> None:
        """
        So it is when the stream is ended.
        """
        channel = self.serveLate()
        seen = channel.publish("seen").id or ""
        browser = self.connect(seen)
        self.streams[0].end()
        self.assertTrue(browser.ended)
        self.assertEqual(self.store.pending, 0)

    def test_unsubscribe(self) -> None:
        """
        A stream that is unsubscribed while the store is looking, and subscribes again, goes on
        where it was.
        """
        for wait in (0, 1):
            channel = self.serveLate()
            seen = channel.publish("seen").id or ""
            channel.publish("missed")
            browser = self.connect(seen)
            self.clock.advance(wait)
            [stream] = self.streams
            channel.unsubscribe(stream)
            self.assertEqual(self.store.pending, 0)
            channel.publish("meanwhile")
            channel.subscribe(stream)
            for _ in range(5):
                self.clock.advance(1)
            self.assertEqual(data(browser), ["missed", "meanwhile"])

    def test_changeChoice(self) -> None:
        """
        What is being read for the choice before is not sent.
        """
        for wait in (0, 1):
            channel = self.serveLate()
            seen = channel.publish("seen").id or ""
            channel.publish("a", topics=["a"])
            channel.publish("b", topics=["b"])
            browser = self.connect(seen, topics=["a"])
            self.clock.advance(wait)
            channel.subscribe(self.streams[0], topics=["b"])
            for _ in range(5):
                self.clock.advance(1)
            self.assertEqual(data(browser), ["b"])

    def test_fails(self) -> None:
        """
        When the store fails, the stream ends with an error, so that the client comes back and
        misses nothing.
        """
        channel = self.serveLate()
        seen = channel.publish("seen").id or ""
        channel.publish("missed")
        for wait in (0, 1):
            browser = self.connect(seen)
            self.clock.advance(wait)
            self.store.failing = True
            self.clock.advance(1)
            self.store.failing = False
            self.assertEqual(self.reason(self.streams[-1]), CloseReason.ERROR)
            self.assertFalse(browser.complete)
            self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        again = self.connect(seen)
        for _ in range(3):
            self.clock.advance(1)
        self.assertEqual(data(again), ["missed"])

    def test_close(self) -> None:
        """
        When the channel is closed, clients that are behind get what they have missed first.
        """
        channel = self.serveLate()
        seen = channel.publish("seen").id or ""
        channel.publish("missed")
        browser = self.connect(seen)
        channel.close()
        self.assertFalse(browser.ended)
        for _ in range(3):
            self.clock.advance(1)
        self.assertEqual(data(browser), ["missed"])
        self.assertTrue(browser.ended)

    def test_stalled(self) -> None:
        """
        While a client does not read, nothing more is read for it.
        """
        channel = self.serveLate()
        seen = channel.publish("seen").id or ""
        for number in range(200):
            channel.publish(f"{number:03} ".ljust(1000, "-"))
        browser = self.connect(seen)
        browser.stopReading(kernelBuffer=0)
        for _ in range(20):
            self.clock.advance(1)
        self.assertEqual(self.store.pending, 0)
        self.assertLess(self.streams[0].bytesPending, 2**15)
        browser.resumeReading()
        for _ in range(40):
            self.clock.advance(1)
        self.assertEqual([each[:3] for each in data(browser)], [f"{n:03}" for n in range(200)])

    def test_late(self) -> None:
        """
        What arrives when the client no longer reads is not queued: it is read again later.
        """
        for slow in SlowReader:
            channel = self.serveLate(maxPending=2000, slow=slow)
            seen = channel.publish("seen").id or ""
            for number in range(100):
                channel.publish(f"{number:02} ".ljust(100, "-"))
            browser = self.connect(seen)
            self.clock.advance(1)
            browser.stopReading(kernelBuffer=0)
            self.streams[0].send("x" * 70_000)
            self.clock.advance(3)
            browser.resumeReading()
            for _ in range(10):
                self.clock.advance(1)
            self.assertEqual(
                [each[:2] for each in data(browser)[1:]], [f"{n:02}" for n in range(100)]
            )
            self.assertFalse(self.streams[0].closed)

    def test_trimmedWhileChoosing(self) -> None:
        """
        A client that chooses is sent what was read for it, even if it was dropped meanwhile.
        """
        channel = self.serveLate(History(maxEvents=3))
        seen = channel.publish("seen").id or ""
        channel.publish("missed")
        browser = self.connect(seen, where=lambda event: True)
        self.clock.advance(1)
        self.store.afterReading = lambda: [channel.publish(str(number)) for number in range(4)]
        self.clock.advance(1)
        self.assertEqual(data(browser)[:1], ["missed"])

    @settings(deadline=None)
    @given(
        st.lists(
            st.one_of(
                st.tuples(st.just("publish"), st.integers(1, 3)),
                st.tuples(st.just("wait"), st.sampled_from([0, 0.5, 1])),
                st.tuples(st.just("connect"), st.integers(0, 20)),
                st.tuples(st.just("stall"), st.integers(0, 5)),
                st.tuples(st.just("read"), st.integers(0, 5)),
            ),
            max_size=40,
        )
    )
    def test_exact(self, steps: list[tuple[str, Any]]) -> None:
        """
        Whatever happens while the store is looking, each client gets what comes after its ID:
        no gap, no duplicate, in order.
        """
        channel = self.serveLate()
        published = 1
        channel.publish("0".ljust(5000), id="0")
        browsers = []
        for what, number in steps:
            if what == "publish":
                for _ in range(number):
                    channel.publish(str(published).ljust(5000), id=str(published))
                    published += 1
            elif what == "wait":
                self.clock.advance(number)
            elif what == "connect":
                after = min(number, published - 1)
                browsers.append((after, self.connect(str(after))))
            elif number < len(browsers):
                browser = browsers[number][1]
                if what == "stall":
                    browser.stopReading(kernelBuffer=0)
                else:
                    browser.resumeReading()
        for _, browser in browsers:
            browser.resumeReading()
        for _ in range(100):
            self.clock.advance(1)
        for after, browser in browsers:
            expected = [str(each) for each in range(after + 1, published)]
            self.assertEqual([each.strip() for each in data(browser)], expected)
        for _, browser in browsers:
            browser.disconnect()
        self.assertEqual(self.store.pending, 0)
        self.assertIdle(channel)
