"""
Tests for L{twisted_sse.stream.result}: exceptions before and after the headers.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator

from twisted.internet.defer import Deferred, fail
from twisted.logger import capturedLogs
from twisted.web.error import Error, PageRedirect

from tests.support.results import DriverTestCase, warnings
from twisted_sse import EventStream


class RefusalTests(DriverTestCase):
    """
    Tests for exceptions before the headers.
    """

    def ways(self, error: Exception) -> Iterator[Callable[[EventStream], object]]:
        """
        List all ways to raise an exception.
        """

        def function(stream: EventStream) -> None:
            stream.send("dropped")
            raise error

        def generator(stream: EventStream) -> Iterator[str]:
            stream.send("dropped")
            raise error
            yield "never"

        async def coroutine(stream: EventStream) -> None:
            raise error

        async def later(stream: EventStream) -> None:
            await self.wait()
            raise error

        async def asyncGenerator(stream: EventStream) -> AsyncIterator[str]:
            stream.send("dropped")
            raise error
            yield "never"

        yield function
        yield generator
        yield coroutine
        yield later
        yield asyncGenerator
        yield lambda stream: fail(error)

    def test_error(self) -> None:
        """
        C{Error(403)} becomes a 403, however it is raised, and nothing is logged.
        """
        for connected in self.ways(Error(403)):
            self.connect(connected)
            self.clock.advance(1)
            self.assertIn("Forbidden", self.browser.text)
            self.assertRefused(403)

    def test_errorWithText(self) -> None:
        """
        The message of an Error is the body, as plain text.
        """
        for error in (Error(401, b"Who are you?"), Error(401, None, b"Who are you?")):
            for connected in self.ways(error):
                self.connect(connected)
                self.clock.advance(1)
                self.assertIn("Who are you?", self.browser.text)
                self.assertEqual(self.browser.headers["Content-Type"], "text/plain; charset=utf-8")
                self.assertRefused(401)

    def test_noContent(self) -> None:
        """
        C{Error(204)} becomes a 204 without a body, so that a browser stops permanently.
        """
        for connected in self.ways(Error(204)):
            self.connect(connected)
            self.clock.advance(1)
            self.assertEqual(self.browser.body, b"")
            self.assertRefused(204)

    def test_redirect(self) -> None:
        """
        A redirect has its C{Location}.
        """
        for connected in self.ways(PageRedirect(302, location=b"https://example.com/other")):
            self.connect(connected)
            self.clock.advance(1)
            self.assertEqual(self.browser.headers["Location"], "https://example.com/other")
            self.assertRefused(302)

    def test_others(self) -> None:
        """
        Any other exception becomes a 500 without a traceback, and is logged once.
        """
        for connected in self.ways(ZeroDivisionError("secret")):
            self.connect(connected)
            self.clock.advance(1)
            self.assertNotIn("secret", self.browser.text)
            self.assertRefused(500)
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_headersOfTheApplication(self) -> None:
        """
        Headers that the application set are sent with the refusal.
        """

        def connected(stream: EventStream) -> None:
            assert stream.request is not None
            stream.request.setHeader(b"www-authenticate", b"Basic")
            raise Error(401)

        self.connect(connected)
        self.assertEqual(self.browser.headers["WWW-Authenticate"], "Basic")

    def test_openTimeout(self) -> None:
        """
        Without a result within C{openTimeout} the response is a 503, and the pending Deferred is
        cancelled.
        """
        cancelled: list[object] = []
        self.connect(lambda stream: Deferred(cancelled.append), openTimeout=30)
        with capturedLogs() as logged:
            self.clock.advance(29.9)
            self.assertIsNone(self.browser.status)
            self.clock.advance(0.1)
        self.assertEqual(len(cancelled), 1)
        self.assertEqual(len(warnings(logged)), 1)
        self.assertRefused(503)

    def test_openTimeoutOfAResult(self) -> None:
        """
        C{openTimeout} also applies to a coroutine.
        """

        async def connected(stream: EventStream) -> None:
            await Deferred()

        self.connect(connected, openTimeout=5)
        self.clock.advance(5)
        self.assertRefused(503)

    def test_openTimeoutNone(self) -> None:
        """
        Without C{openTimeout} the result may take any length of time.
        """
        self.connect(lambda stream: Deferred(), openTimeout=None)
        self.clock.advance(10_000)
        self.assertIsNone(self.browser.status)
        self.assertFalse(self.browser.ended)

    def test_openTimeoutIsOver(self) -> None:
        """
        C{openTimeout} no longer applies once the headers are sent.
        """

        async def connected(stream: EventStream) -> None:
            stream.open()
            await self.wait(1000)

        self.connect(connected, openTimeout=5)
        self.clock.advance(999)
        self.assertFalse(self.browser.ended)
        self.assertEqual(self.browser.status, 200)
        self.clock.advance(1)
        self.assertFalse(self.browser.ended)

    def test_openTimeoutAfterAPush(self) -> None:
        """
        C{openTimeout} no longer applies once another caller has sent an event.
        """
        self.connect(lambda stream: Deferred(), openTimeout=5)
        self.clock.advance(4)
        self.stream.send("x")
        self.clock.advance(100)
        self.assertFalse(self.browser.ended)
        self.assertEqual(self.data(), ["x"])


class FailureTests(DriverTestCase):
    """
    Tests for exceptions after the headers.
    """

    def test_generators(self) -> None:
        """
        An exception after an event ends the stream with an error, after that event.
        """

        def generator(stream: EventStream) -> Iterator[str]:
            yield "one"
            yield "two"
            raise ZeroDivisionError

        async def asyncGenerator(stream: EventStream) -> AsyncIterator[str]:
            yield "one"
            yield "two"
            raise ZeroDivisionError

        async def waiting(stream: EventStream) -> AsyncIterator[str]:
            yield "one"
            yield "two"
            await self.wait()
            raise ZeroDivisionError

        for connected in (generator, asyncGenerator, waiting):
            self.connect(connected)
            self.clock.advance(1)
            self.assertEqual(self.data(), ["one", "two"])
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
            self.assertCut()

    def test_errorIsNoStatusAnyMore(self) -> None:
        """
        After the first event, an Error is logged and cuts the stream off like any exception.
        """

        def connected(stream: EventStream) -> Iterator[str]:
            yield "one"
            raise Error(403)

        self.connect(connected)
        self.clock.advance(1)
        self.assertEqual(len(self.flushLoggedErrors(Error)), 1)
        self.assertCut()

    def test_coroutine(self) -> None:
        """
        A coroutine that fails after it has sent something ends the stream.
        """

        async def connected(stream: EventStream) -> None:
            stream.send("one")
            await self.wait()
            raise ZeroDivisionError

        self.connect(connected)
        self.clock.advance(1)
        self.assertEqual(self.data(), ["one"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertCut()

    def test_logged(self) -> None:
        """
        The log has the exception once, with the client's address.
        """

        def connected(stream: EventStream) -> Iterator[str]:
            yield "one"
            raise ZeroDivisionError

        with capturedLogs() as logged:
            self.connect(connected)
            self.clock.advance(1)
        [event] = [event for event in logged if "log_failure" in event]
        self.assertEqual(event["address"], "127.0.0.1")
        self.flushLoggedErrors(ZeroDivisionError)

    def test_noEvents(self) -> None:
        """
        Yielding something that is not an event ends the stream and logs a L{TypeError} that shows
        it.
        """

        for wrong in (5, b"bytes", None, {"data": "x"}, ["a"]):

            def generator(stream: EventStream, wrong: object = wrong) -> Iterator[object]:
                yield "fine"
                yield wrong

            async def asyncGenerator(
                stream: EventStream, wrong: object = wrong
            ) -> AsyncIterator[object]:
                yield "fine"
                yield wrong

            for connected in (generator, asyncGenerator):
                self.connect(connected)
                self.clock.advance(1)
                self.assertEqual(self.data(), ["fine"])
                [failure] = self.flushLoggedErrors(TypeError)
                self.assertIn(f"got {wrong!r}", failure.getErrorMessage())
                self.assertCut()

    def test_noEventAtFirst(self) -> None:
        """
        When the first item of an iterable is not an event, the response is a 500.
        """
        self.connect(lambda stream: [5])
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)
        self.assertRefused(500)

    def test_generatorIsClosedAfterNoEvent(self) -> None:
        """
        A generator that yields something that is not an event is closed, so that its C{finally}
        runs.
        """
        closed: list[str] = []

        def generator(stream: EventStream) -> Iterator[object]:
            try:
                yield 5
            finally:
                closed.append("generator")

        async def asyncGenerator(stream: EventStream) -> AsyncIterator[object]:
            try:
                yield 5
            finally:
                closed.append("asyncGenerator")

        for connected in (generator, asyncGenerator):
            self.connect(connected)
            self.flushLoggedErrors(TypeError)
            self.assertRefused(500)
        self.assertEqual(closed, ["generator", "asyncGenerator"])

    def test_others(self) -> None:
        """
        The other streams of the resource continue.
        """
        numbers = iter(range(10))

        def connected(stream: EventStream) -> Iterator[str] | None:
            return (str(1 // 0) for _ in "x") if next(numbers) else None

        first = self.connect(connected)
        stream = self.stream
        second = self.client.get("/")
        self.assertEqual(second.status, 500)
        self.flushLoggedErrors(ZeroDivisionError)
        stream.send("still here")
        self.assertEqual([event.data for event in first.events], ["still here"])

    def test_baseException(self) -> None:
        """
        Even a C{SystemExit} in a generator ends its stream with an error.
        """

        def connected(stream: EventStream) -> Iterator[str]:
            yield "x"
            raise SystemExit

        self.connect(connected)
        self.clock.advance(1)
        self.assertTrue(self.browser.ended)
        self.assertFalse(self.browser.complete)
        self.assertEqual(len(self.flushLoggedErrors(SystemExit)), 1)
