"""
Tests for L{twisted_sse.stream.asked}: the log's details about the stream in which an error
occurred.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import LogEvent, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from tests.support.streams import BIG, StreamTestCase
from twisted_sse import EventStream, EventStreamResource
from twisted_sse.stream.asked import LONGEST, Asked
from twisted_sse.testing import MemoryClient

#: The target of each test's request, and its form in the log.
URL = "/shop/news?token=secret&lastEventID=1"
ASKED = '(POST /shop/news, "news")'


class Boom(Exception):
    """
    The error under test.
    """


class LogTests(StreamTestCase):
    """
    Tests for the log messages about errors.
    """

    def logged(
        self,
        connected: Callable[[EventStream], object],
        after: Callable[[], object] = lambda: None,
        **options: Any,
    ) -> LogEvent:
        """
        Open a stream, cause an error, and return its only log event.
        """

        def remember(stream: EventStream) -> object:
            self.stream = stream
            return connected(stream)

        self.resource = EventStreamResource(
            remember, methods=["POST"], name="news", trustedProxies=["127.0.0.1"], **options
        )
        self.client = MemoryClient(self.resource)
        with capturedLogs() as logged:
            self.browser = self.client.post(URL, headers={"X-Forwarded-For": "192.0.2.7"})
            after()
            self.client.clock.advance(100)
        self.flushLoggedErrors(Boom)
        [event] = [each for each in logged if each["log_namespace"].startswith("twisted_sse")]
        return event

    def assertAsked(self, event: LogEvent) -> None:
        """
        Assert that a log event names the stream, in its text and its fields.
        """
        text = formatEvent(event)
        self.assertIn(f"192.0.2.7 {ASKED}", text)
        self.assertNotIn("secret", text)
        fields = {name: event[name] for name in ("address", "method", "path", "name")}
        expected = {"address": "192.0.2.7", "method": "POST", "path": "/shop/news", "name": "news"}
        self.assertEqual(fields, expected)

    def test_beforeTheHeaders(self) -> None:
        """
        An exception before the headers is logged with method, path and name.
        """

        def connected(stream: EventStream) -> None:
            raise Boom

        self.assertAsked(self.logged(connected))
        self.assertEqual(self.browser.status, 500)

    def test_afterwards(self) -> None:
        """
        An exception after the headers is logged with method, path and name, however it is raised,
        and with C{slim}, too.
        """

        def generator(stream: EventStream) -> Iterator[str]:
            yield "one"
            raise Boom

        async def asyncGenerator(stream: EventStream) -> AsyncIterator[str]:
            yield "one"
            raise Boom

        async def coroutine(stream: EventStream) -> None:
            stream.open()
            raise Boom

        def emit() -> str:
            raise Boom

        for connected in generator, asyncGenerator, coroutine, lambda s: s.every(1, emit):
            for slim in False, True:
                self.assertAsked(self.logged(connected, slim=slim))

    def test_afterTheEnd(self) -> None:
        """
        An exception in work that continues after the end of the stream is logged with method, path
        and name.
        """

        def generator(stream: EventStream) -> Iterator[str]:
            try:
                yield BIG
                yield BIG
            finally:
                raise Boom

        def ending(stream: EventStream) -> Iterator[str]:
            yield "one"
            stream.abort()
            raise Boom

        async def asyncGenerator(stream: EventStream) -> AsyncIterator[str]:
            try:
                yield "one"
                await Deferred()
            finally:
                raise Boom

        async def emit() -> None:
            try:
                await Deferred()
            except CancelledError:
                raise Boom from None

        for connected in generator, ending, asyncGenerator, lambda s: s.every(1, emit, now=True):
            self.assertAsked(self.logged(connected, lambda: self.browser.disconnect()))
            self.assertTrue(self.stream.closed)

    def test_abandoned(self) -> None:
        """
        An abandoned coroutine is logged with method, path and name.
        """

        async def connected(stream: EventStream) -> None:
            stream.open()
            while True:
                try:
                    await Deferred()
                except CancelledError:
                    continue

        self.assertAsked(self.logged(connected, lambda: self.browser.disconnect()))

    def test_openTimeout(self) -> None:
        """
        A stream that times out undecided is logged with method, path and name.
        """
        self.assertAsked(self.logged(lambda stream: Deferred(), openTimeout=5))

    def test_slow(self) -> None:
        """
        A client that does not read, or accepts nothing, is logged with method, path and name.
        """

        def fill() -> None:
            self.browser.stopReading()
            self.stream.send(BIG)
            self.stream.send(BIG)
            self.stream.send(BIG)

        self.assertAsked(self.logged(lambda stream: None, fill, maxPending=1000))
        self.assertAsked(self.logged(lambda stream: None, fill, stallTimeout=20))


class AskedTests(SynchronousTestCase):
    """
    Tests for L{Asked}.
    """

    def test_withoutName(self) -> None:
        """
        A resource without a name appears without one in the log.
        """
        fields = Asked("::1", b"GET", b"/", None).logged()
        self.assertEqual(fields["asked"], "GET /")
        self.assertIsNone(fields["name"])

    def test_untrusted(self) -> None:
        """
        Client input cannot harm a terminal, or pass as a separate line.
        """
        fields = Asked("::1", b"G\x1b[31m", b"/\r\nb\xff\xe2\x80\xa8", "n").logged()
        for text in fields["asked"], fields["method"], fields["path"]:
            self.assertTrue(text.isprintable(), text)

    def test_long(self) -> None:
        """
        A long path is cut.
        """
        client = MemoryClient(EventStreamResource(lambda stream: 1 / 0))
        with capturedLogs() as logged:
            client.get("/" + "p" * 2000)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(logged[0]["path"], "/" + "p" * (LONGEST - 1))
