"""
Tests for L{twisted_sse.client.following} and L{twisted_sse.client.abandoned}, in memory: the URLs
of a source, and its end when nothing refers to it.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from threading import Thread
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import alsoProvides

from tests.support.memory_agent import MemoryAgent, MemoryResponse, Taking, eventStream
from twisted_sse.client import Backoff, EventSource, StreamBroken, readEvents
from twisted_sse.format.parser import MessageEvent

ONE = b"id: 1\ndata: one\n\n"
TWO = b"id: 2\ndata: two\n\n"

#: A backoff without randomness.
STEADY = Backoff(jitter=0)


class SourceTestCase(SynchronousTestCase):
    """
    Makes sources.
    """

    def setUp(self) -> None:
        """
        Make a clock.
        """
        self.clock = Clock()

    def source(
        self, url: Any = "http://sse.example/", *answers: Any, **options: Any
    ) -> EventSource:
        """
        Make a source.
        """
        self.agent = MemoryAgent(*answers)
        options.setdefault("backoff", STEADY)
        return EventSource(url, reactor=self.clock, agent=self.agent, **options)

    def asked(self) -> list[str]:
        """
        @return: the requested URLs.
        """
        return [request.uri for request in self.agent.requests]


class URLTests(SourceTestCase):
    """
    Tests for C{url}.
    """

    def test_function(self) -> None:
        """
        C{url} may be a function, which is called before each attempt, and may return a L{Deferred}
        or be a coroutine; the source reports the URL it has used.
        """
        numbers = iter(range(1, 9))

        def plain() -> str:
            return f"http://sse.example/?since={next(numbers)}"

        async def coroutine() -> str:
            return plain()

        for url in plain, coroutine, lambda: succeed(plain()):
            numbers = iter(range(1, 9))
            source = self.source(url, eventStream(ONE, end=True), ConnectionError(), None)
            self.assertEqual(source.url, "")
            taking = Taking(source)
            self.assertEqual(source.url, "http://sse.example/?since=1")
            self.clock.pump([1, 1])
            self.assertEqual(self.asked(), [f"http://sse.example/?since={n}" for n in (1, 2, 3)])
            self.assertEqual(source.url, "http://sse.example/?since=3")
            source.close()
            self.assertEqual((taking.data, taking.error), (["one"], None))

    def test_later(self) -> None:
        """
        A request is not made before its URL is available, and C{close} cancels the wait for it.
        """
        asking: Deferred[str] = Deferred()
        source = self.source(lambda: asking, eventStream(ONE))
        taking = Taking(source)
        self.assertEqual(self.asked(), [])
        asking.callback("http://sse.example/a")
        self.assertEqual((self.asked(), taking.data), (["http://sse.example/a"], ["one"]))
        source.close()
        asking = Deferred()
        source = self.source(lambda: asking)
        taking = Taking(source)
        source.close()
        self.assertEqual((taking.hasEnded, taking.error, self.asked()), (True, None, []))

    def test_wrong(self) -> None:
        """
        An exception in the function, or an invalid URL, ends the iteration.
        """

        def url() -> str:
            raise KeyError("no URL")

        for function, kind in (
            (url, KeyError),
            (lambda: "ftp://sse.example/", ValueError),
            (lambda: "", ValueError),
            (lambda: b"http://sse.example/", TypeError),
        ):
            self.assertIsInstance(Taking(self.source(function)).error, kind)
        for wrong in b"http://sse.example/", None, 7:
            with self.assertRaisesRegex(TypeError, "url"):
                self.source(wrong)

    def test_redirected(self) -> None:
        """
        The target of a redirect is remembered only while the function returns the same URL.
        """

        def redirect() -> MemoryResponse:
            return MemoryResponse(307, {b"Location": b"/there"}, end=True)

        urls = ["http://sse.example/a", "http://sse.example/a", "http://sse.example/b"]
        ends = [eventStream(ONE, end=True) for _ in range(3)]
        source = self.source(lambda: urls.pop(0), redirect(), *ends)
        Taking(source)
        self.clock.pump([1, 1])
        self.assertEqual(
            self.asked(), [f"http://sse.example/{path}" for path in ("a", "there", "there", "b")]
        )

    def test_readOnly(self) -> None:
        """
        C{url} is the argument with which the source was made, and cannot be set.
        """
        source = self.source("http://user:secret@sse.example/#a")
        self.assertEqual(source.url, "http://user:secret@sse.example/#a")
        with self.assertRaises(AttributeError):
            source.url = "http://other.example/"  # type: ignore[misc]


class AttributeTests(SourceTestCase):
    """
    Tests for the attributes of a source.
    """

    def test_retry(self) -> None:
        """
        C{retry} is the server's last value, from its arrival on, across connections.
        """
        stream = eventStream(ONE)
        source = self.source("http://sse.example/", stream, eventStream(ONE))
        self.assertIsNone(source.retry)
        Taking(source)
        self.assertIsNone(source.retry)
        stream.write(b"retry: 2000\n")
        self.assertEqual(source.retry, 2000)
        stream.write(b"retry: x\nretry: 1500\n")
        self.assertEqual(source.retry, 1500)
        stream.end()
        self.assertEqual(source.retry, 1500)
        self.clock.advance(1.5)
        self.assertEqual((len(self.agent.requests), source.retry), (2, 1500))

    def test_readyState(self) -> None:
        """
        The state is C{CONNECTING} before the first use, during a request and between two, C{OPEN}
        while there is a stream, C{onOpen} included, and then permanently C{CLOSED}.
        """
        self.assertEqual((EventSource.CONNECTING, EventSource.OPEN, EventSource.CLOSED), (0, 1, 2))
        states: list[int] = []
        stream = eventStream(ONE)
        source = self.source(
            "http://sse.example/", None, onOpen=lambda response: states.append(source.readyState)
        )
        self.assertEqual(source.readyState, EventSource.CONNECTING)
        Taking(source)
        self.assertEqual(source.readyState, EventSource.CONNECTING)
        self.agent.requests[0].responding.callback(stream)
        self.assertEqual((states, source.readyState), ([EventSource.OPEN], EventSource.OPEN))
        stream.end()
        self.assertEqual(source.readyState, EventSource.CONNECTING)
        source.close()
        self.assertEqual(source.readyState, EventSource.CLOSED)


class AbandonedTests(SourceTestCase):
    """
    Tests for sources and readers to which nothing refers any more.
    """

    def setUp(self) -> None:
        """
        Turn the collector off, so that only reference counting frees objects.
        """
        super().setUp()
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        self.response = eventStream(ONE + TWO)

    def assertClosed(self) -> None:
        """
        Assert that the connection is closed by the next turn, and nothing remains.
        """
        self.clock.advance(0)
        self.assertTrue(self.response.isCut)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def makers(self) -> list[Callable[[], Any]]:
        """
        @return: functions that make a source and a reader of the response.
        """
        return [
            lambda: self.source("http://sse.example/", self.response, readTimeout=9),
            lambda: readEvents(self.response, reactor=self.clock, readTimeout=9),
        ]

    def test_left(self) -> None:
        """
        The connection is closed when an C{async for} is left in its body: by C{break}, C{return} or
        an exception.
        """

        async def leave(events: Any, how: str) -> str:
            async for event in events:
                if how == "return":
                    return str(event.data)
                if how == "raise":
                    raise KeyError
                break
            return "left"

        for make in self.makers():
            for how in "break", "return", "raise":
                self.response = eventStream(ONE + TWO)
                leaving = Deferred.fromCoroutine(leave(make(), how))
                if how == "raise":
                    self.failureResultOf(leaving, KeyError)
                else:
                    self.successResultOf(leaving)
                self.assertClosed()

    def test_leftLater(self) -> None:
        """
        The connection is closed, too, when the event arrives later, in the middle of a read.
        """

        async def leave(events: Any) -> None:
            async for event in events:
                if event.data == "two":
                    return

        for make in self.makers():
            self.response = eventStream(ONE)
            leaving = Deferred.fromCoroutine(leave(make()))
            self.response.write(TWO + ONE * 1000)
            self.successResultOf(leaving)
            self.assertClosed()

    def test_waits(self) -> None:
        """
        Code that waits for the next event refers to its source, in C{async for} or by C{__anext__},
        so the source continues.
        """

        async def one(make: Callable[[], Any]) -> MessageEvent:
            event: MessageEvent = await make().__anext__()
            return event

        async def many(make: Callable[[], Any]) -> list[str]:
            return [event.data async for event in make()]

        for make in self.makers():
            self.response = eventStream()
            taking = Deferred.fromCoroutine(one(make))
            gc.collect()
            self.assertNoResult(taking)
            self.response.write(ONE)
            self.assertEqual(self.successResultOf(taking).data, "one")
            self.assertClosed()
        self.response = eventStream()
        every = Deferred.fromCoroutine(many(self.makers()[1]))
        gc.collect()
        self.response.write(ONE + TWO)
        self.response.end()
        self.assertEqual(self.successResultOf(every), ["one", "two"])

    def test_kept(self) -> None:
        """
        A source that is left by C{break} while a reference remains stays open, and iteration can
        continue.
        """

        async def first(events: Any) -> str:
            async for event in events:
                return str(event.data)
            raise AssertionError("no event")

        for make in self.makers():
            self.response = eventStream(ONE + TWO)
            events = make()
            for expected in "one", "two":
                taken = self.successResultOf(Deferred.fromCoroutine(first(events)))
                self.assertEqual(taken, expected)
                self.assertFalse(self.response.isCut)
            del events
            self.assertClosed()

    def test_listened(self) -> None:
        """
        A source with listeners stays open, even if only they refer to it; without them it is
        closed.
        """
        heard: list[str] = []
        ended = self.source("http://sse.example/", self.response).listen(
            lambda event: heard.append(event.data)
        )
        gc.collect()
        self.response.write(ONE)
        self.assertEqual(heard, ["one", "two", "one"])
        ended.addErrback(lambda failure: None)
        ended.cancel()
        self.assertClosed()

    def test_between(self) -> None:
        """
        A source without references neither reconnects nor keeps its timer.
        """
        source = self.source("http://sse.example/", ConnectionError(), backoff=STEADY)
        taking = Deferred.fromCoroutine(source.__anext__())
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        taking.addErrback(lambda failure: None)
        source.close()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.response = eventStream(ONE, end=True)
        source = self.source("http://sse.example/", self.response)
        self.successResultOf(Deferred.fromCoroutine(source.__anext__()))
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        del source
        self.clock.advance(0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_unused(self) -> None:
        """
        A source or reader that was never iterated over does nothing at its end, and leaves the
        response untouched.
        """
        for make in self.makers():
            make()
        self.assertFalse(self.response.isCut)
        self.assertRaises(ValueError, EventSource, "no URL")

    def test_otherThread(self) -> None:
        """
        If the last reference is dropped in another thread, the connection is closed in the
        reactor's thread.
        """
        calls: list[Callable[[], object]] = []
        self.clock.callFromThread = calls.append  # type: ignore[attr-defined]
        alsoProvides(self.clock, IReactorFromThreads)
        for make in self.makers():
            self.response = eventStream(ONE + TWO)
            held = [make()]
            self.successResultOf(Deferred.fromCoroutine(held[0].__anext__()))
            thread = Thread(target=held.clear)
            thread.start()
            thread.join()
            self.assertFalse(self.response.isCut)
            calls.pop()()
            self.assertClosed()

    def test_destroyed(self) -> None:
        """
        A coroutine that is destroyed while waiting, together with what it awaits, leaves no error.
        """

        async def follow(events: Any) -> None:
            async for _ in events:
                pass

        self.response = eventStream(ONE)
        Deferred.fromCoroutine(follow(self.source("http://sse.example/", self.response)))
        self.response = eventStream(ONE)
        Deferred.fromCoroutine(follow(readEvents(self.response, reactor=self.clock)))
        self.agent = self.response = None  # type: ignore[assignment]
        gc.collect()
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_error(self) -> None:
        """
        An error that occurs after the last reference was dropped is not reported as unhandled.
        """
        source = self.source("http://sse.example/", self.response, reconnect=False)
        self.successResultOf(Deferred.fromCoroutine(source.__anext__()))
        self.response.breakOff(ConnectionError())
        del source
        gc.collect()
        self.assertEqual(self.flushLoggedErrors(StreamBroken), [])
