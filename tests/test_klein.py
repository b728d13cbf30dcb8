"""
Tests for L{twisted_sse.klein}: Klein routes that are event streams.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from klein import Klein
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import capturedLogs
from twisted.web.error import Error, PageRedirect
from twisted.web.iweb import IRequest
from werkzeug.exceptions import Forbidden, NotFound

from tests.support.klein_apps import KleinTestCase
from twisted_sse import CloseReason, Event, EventStream, EventStreamResource
from twisted_sse.klein import eventStream
from twisted_sse.testing import MemoryClient, MemoryStream


class KindTests(KleinTestCase):
    """
    Tests for each kind of function.
    """

    def test_asyncGenerator(self) -> None:
        """
        The events of an asynchronous generator are sent as they are yielded.
        """

        @self.app.route("/ticks")
        @eventStream(heartbeat=15)
        async def ticks(request: IRequest) -> AsyncIterator[Event]:
            while True:
                yield Event("tick")
                await self.wait()

        browser = self.client.get("/ticks")
        self.clock.advance(2)
        self.assertEqual(self.data(browser), ["tick"] * 3)
        self.assertEqual(browser.headers["Content-Type"], "text/event-stream; charset=utf-8")
        browser.disconnect()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_withoutParentheses(self) -> None:
        """
        The decorator works without options and parentheses.
        """

        @self.app.route("/")
        @eventStream
        def numbers(request: IRequest) -> Iterator[str]:
            yield "1"
            yield "2"

        browser = self.client.get("/")
        self.clock.advance(1)
        self.assertEqual(self.data(browser), ["1", "2"])
        self.assertTrue(browser.complete)

    def test_coroutine(self) -> None:
        """
        A coroutine gets its stream from the request, and may send to it.
        """

        @self.app.route("/")
        @eventStream()
        async def push(request: Any) -> None:
            await self.wait()
            EventStream.of(request).every(1, lambda: "tick")

        browser = self.client.get("/")
        self.assertIsNone(browser.status)
        self.clock.advance(3)
        self.assertEqual(browser.status, 200)
        self.assertEqual(self.data(browser), ["tick"] * 2)
        browser.disconnect()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_coroutineOfEvents(self) -> None:
        """
        A coroutine may return events.
        """

        @self.app.route("/")
        @eventStream
        async def some(request: IRequest) -> list[str]:
            return ["a", "b"]

        browser = self.client.get("/")
        self.clock.advance(1)
        self.assertEqual(self.data(browser), ["a", "b"])
        self.assertTrue(browser.complete)

    def test_wrong(self) -> None:
        """
        Decorating anything else raises a L{TypeError}.
        """

        def plain(request: IRequest) -> list[str]:
            return []

        class Thing:
            pass

        for wrong in (plain, Thing, 5, "text", lambda request: [], EventStreamResource(print)):
            error = self.assertRaises(TypeError, eventStream, wrong)
            self.assertIn("asynchronous generator function", str(error))
            self.assertRaises(TypeError, eventStream(heartbeat=5), wrong)

    def test_badOptions(self) -> None:
        """
        Invalid options are refused by the decorator, and C{methods} is left to the route.
        """

        async def fine(request: IRequest) -> None:
            pass

        self.assertIn(
            "heartbeat is 0", str(self.assertRaises(ValueError, eventStream(heartbeat=0), fine))
        )
        self.assertRaises(TypeError, eventStream(nonsense=1), fine)
        error = self.assertRaises(TypeError, eventStream(methods=["POST"]), fine)
        self.assertIn("@app.route", str(error))

    def test_name(self) -> None:
        """
        The function keeps its name and its docstring.
        """

        @eventStream
        async def ticks(request: IRequest) -> None:
            """
            Tick.
            """

        self.assertEqual(ticks.__name__, "ticks")
        self.assertIn("Tick.", ticks.__doc__ or "")


class RouteTests(KleinTestCase):
    """
    Tests for the features of routes.
    """

    def test_arguments(self) -> None:
        """
        The arguments of the route are passed on.
        """

        @self.app.route("/<topic>/<int:number>")
        @eventStream
        def about(request: IRequest, topic: str, number: int) -> Iterator[str]:
            yield f"{topic} {number!r}"

        self.assertEqual(self.data(self.client.get("/birds/7")), ["birds 7"])
        self.assertEqual(self.client.get("/birds/x").status, 404)

    def test_class(self) -> None:
        """
        In a class the function is a method with its own instance, and all instances share the
        streams.
        """

        class Shop:
            app = Klein()

            def __init__(self, name: str) -> None:
                self.name = name

            @app.route("/<what>")
            @eventStream(maxStreams=2)
            async def events(self, request: Any, what: str) -> AsyncIterator[str]:
                yield f"{self.name} {what} {EventStream.of(request).lastEventID}"
                await Deferred()

        first = MemoryClient(Shop("one").app.resource(), clock=self.clock)
        second = MemoryClient(Shop("two").app.resource(), clock=self.clock)
        one = first.get("/x", headers={"Last-Event-ID": "5"})
        two = second.get("/y")
        self.assertEqual(self.data(one) + self.data(two), ["one x 5", "two y "])
        self.assertEqual(len(Shop.events.resource.streams), 2)  # type: ignore[attr-defined]
        three = first.get("/z")
        self.clock.advance(0.1)
        self.assertTrue(three.complete)
        one.disconnect()
        two.disconnect()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_branch(self) -> None:
        """
        A route may be a branch, or in a subroute.
        """

        @self.app.route("/deep/", branch=True)
        @eventStream
        def deep(request: IRequest) -> Iterator[str]:
            yield "deep"

        with self.app.subroute("/sub") as app:

            @app.route("/way")
            @eventStream
            def way(request: IRequest) -> Iterator[str]:
                yield "way"

        self.assertEqual(self.data(self.client.get("/deep/er/and/deeper")), ["deep"])
        self.assertEqual(self.data(self.client.get("/sub/way")), ["way"])

    def test_post(self) -> None:
        """
        A POST route can read the body.
        """

        @self.app.route("/", methods=["POST"])
        @eventStream
        async def answer(request: Any) -> AsyncIterator[str]:
            for word in request.content.read().decode().split():
                yield word

        browser = self.client.post("/", body="what is it")
        self.clock.advance(1)
        self.assertEqual(self.data(browser), ["what", "is", "it"])
        self.assertTrue(browser.complete)
        self.assertEqual(self.client.get("/").status, 405)

    def test_anyMethod(self) -> None:
        """
        Any method in the route gets a stream.
        """

        @self.app.route("/", methods=["GET", "PUT", "DELETE"])
        @eventStream
        def method(request: Any) -> Iterator[str]:
            yield request.method.decode()

        for name in ("GET", "PUT", "DELETE"):
            self.assertEqual(self.data(self.client.request(name)), [name])
        self.assertEqual(self.client.request("PATCH").status, 405)

    def test_head(self) -> None:
        """
        HEAD gets the headers and ends, and the function is not called.
        """
        ran: list[None] = []

        @self.app.route("/")
        @eventStream
        async def push(request: IRequest) -> None:
            ran.append(None)

        browser = self.client.request("HEAD")
        self.assertEqual(browser.status, 200)
        self.assertEqual(browser.headers["Content-Type"], "text/event-stream; charset=utf-8")
        self.assertTrue(browser.complete)
        self.assertEqual(ran, [])

    def test_notAcceptable(self) -> None:
        """
        Requests that a resource would refuse are refused in a route, too.
        """

        @self.app.route("/")
        @eventStream
        async def push(request: IRequest) -> None:
            self.fail("this is run")

        self.assertEqual(self.client.get("/", headers={"Accept": "image/png"}).status, 406)

    def test_resource(self) -> None:
        """
        The function's C{resource} has the limits, the streams and C{drain}.
        """

        @self.app.route("/")
        @eventStream(maxStreams=1)
        async def push(request: IRequest) -> None:
            pass

        resource = push.resource  # type: ignore[attr-defined]
        self.assertIsInstance(resource, EventStreamResource)
        browser = self.client.get("/")
        [stream] = resource.streams
        stream.send("x")
        self.assertEqual(self.data(browser), ["x"])
        refused = self.client.get("/")
        self.clock.advance(0.1)
        self.assertTrue(refused.complete)
        self.assertGreaterEqual(refused.retry or 0, 5000)
        done = resource.drain(5)
        self.clock.advance(1)
        self.successResultOf(done)
        self.assertTrue(browser.complete)
        newcomer = self.client.get("/")
        self.clock.advance(0.1)
        self.assertTrue(newcomer.complete)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_disconnect(self) -> None:
        """
        The function's C{resource} disconnects by key.
        """

        @self.app.route("/<user>")
        @eventStream
        async def push(request: IRequest, user: str) -> None:
            EventStream.of(request).key = user

        ada, bob = self.client.get("/ada"), self.client.get("/bob")
        self.assertEqual(push.resource.disconnect("ada", retry=9000), 1)
        self.clock.advance(1)
        self.assertEqual((ada.complete, ada.retry, bob.ended), (True, 9000, False))

    def test_once(self) -> None:
        """
        With C{once} a browser that reconnects after the end gets a 204.
        """

        @self.app.route("/")
        @eventStream(once=True)
        def numbers(request: IRequest) -> Iterator[str]:
            yield "1"

        browser = self.client.get("/")
        self.clock.advance(1)
        self.assertEqual(browser.events[-1].lastEventID, "end")
        self.assertEqual(self.client.get("/", headers={"Last-Event-ID": "end"}).status, 204)


class ErrorTests(KleinTestCase):
    """
    Tests for exceptions and their handlers.
    """

    def raising(self, error: Exception) -> None:
        """
        Make routes that raise before their headers, in every possible way.
        """

        @self.app.route("/asyncGenerator")
        @eventStream
        async def asyncGenerator(request: IRequest) -> AsyncIterator[str]:
            raise error
            yield "never"

        @self.app.route("/generator")
        @eventStream
        def generator(request: IRequest) -> Iterator[str]:
            raise error
            yield "never"

        @self.app.route("/coroutine")
        @eventStream
        async def coroutine(request: IRequest) -> None:
            raise error

        @self.app.route("/later")
        @eventStream
        async def later(request: IRequest) -> None:
            await self.wait()
            raise error

    PATHS = ("/asyncGenerator", "/generator", "/coroutine", "/later")

    def get(self, path: str) -> MemoryStream:
        """
        Make a request, and wait for its response.
        """
        browser = self.client.get(path)
        self.clock.advance(1)
        self.assertTrue(browser.complete)
        self.assertNotIn("Traceback", browser.text)
        return browser

    def test_handler(self) -> None:
        """
        An exception before the headers reaches the app's error handlers.
        """
        self.raising(ZeroDivisionError("why"))

        @self.app.handle_errors(ZeroDivisionError)
        def handle(request: Any, failure: Any) -> str:
            request.setResponseCode(418)
            return f"handled {failure.value}"

        for path in self.PATHS:
            browser = self.get(path)
            self.assertEqual((browser.status, browser.text), (418, "handled why"))

    def test_handlerOfErrors(self) -> None:
        """
        A C{twisted.web.error.Error} before the headers reaches the app's error handlers.
        """
        self.raising(Error(403, b"no"))

        @self.app.handle_errors(Error)
        def handle(request: Any, failure: Any) -> str:
            request.setResponseCode(int(failure.value.status))
            return "handled"

        for path in self.PATHS:
            browser = self.get(path)
            self.assertEqual((browser.status, browser.text), (403, "handled"))

    def test_handlerOfItsOwn(self) -> None:
        """
        A subclass of C{Error} reaches its own error handler.
        """

        class Mine(Error):
            pass

        self.raising(Mine(403))
        got: list[type] = []

        @self.app.handle_errors(Mine)
        def handle(request: Any, failure: Any) -> str:
            got.append(failure.type)
            request.setResponseCode(403)
            return ""

        for path in self.PATHS:
            self.assertEqual(self.get(path).status, 403)
        self.assertEqual(got, [Mine] * 4)

    def test_withoutHandler(self) -> None:
        """
        Without a handler, C{Error(403)} becomes a 403 and is not logged.
        """
        self.raising(Error(403, b"keep out"))
        for path in self.PATHS:
            browser = self.get(path)
            self.assertEqual(browser.status, 403)
            self.assertIn("keep out", browser.text)

    def test_redirect(self) -> None:
        """
        Without a handler, a redirect has its C{Location}.
        """
        self.raising(PageRedirect(302, location=b"https://example.com/"))
        for path in self.PATHS:
            browser = self.get(path)
            self.assertEqual(browser.status, 302)
            self.assertEqual(browser.headers["Location"], "https://example.com/")

    def test_noContent(self) -> None:
        """
        C{Error(204)} makes a browser stop permanently.
        """
        self.raising(Error(204))
        for path in self.PATHS:
            browser = self.get(path)
            self.assertEqual(browser.status, 204)
            self.assertEqual(browser.body, b"")

    def test_werkzeug(self) -> None:
        """
        Werkzeug's exceptions become responses, as in all Klein routes.
        """
        self.raising(Forbidden())
        for path in self.PATHS:
            self.assertEqual(self.get(path).status, 403)

    def test_others(self) -> None:
        """
        Any other exception becomes a 500, and is logged once.
        """
        self.raising(ZeroDivisionError("secret"))
        for path in self.PATHS:
            browser = self.get(path)
            self.assertEqual(browser.status, 500)
            self.assertNotIn("secret", browser.text)
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_notFound(self) -> None:
        """
        Handlers for other errors still work.
        """

        @self.app.handle_errors(NotFound)
        def handle(request: Any, failure: Any) -> str:
            request.setResponseCode(404)
            return "nothing here"

        self.assertEqual(self.client.get("/nowhere").text, "nothing here")

    def test_afterwards(self) -> None:
        """
        An exception after the headers cuts the stream off, and no handler writes to it.
        """
        handled: list[object] = []

        @self.app.handle_errors(Exception)
        def handle(request: Any, failure: Any) -> str:
            handled.append(failure)
            return "handled"

        @self.app.route("/")
        @eventStream
        async def push(request: IRequest) -> AsyncIterator[str]:
            yield "one"
            await self.wait()
            raise ZeroDivisionError

        browser = self.client.get("/")
        self.clock.advance(1)
        self.assertEqual(self.data(browser), ["one"])
        self.assertTrue(browser.ended)
        self.assertFalse(browser.complete)
        self.assertNotIn("handled", browser.text)
        self.assertEqual(handled, [])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_openTimeout(self) -> None:
        """
        Without a result within C{openTimeout} the response is a 503.
        """

        @self.app.route("/")
        @eventStream(openTimeout=5)
        async def push(request: IRequest) -> None:
            await Deferred()

        browser = self.client.get("/")
        self.clock.advance(5)
        self.assertEqual(browser.status, 503)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class DisconnectTests(KleinTestCase):
    """
    Tests for clients that disconnect.
    """

    def test_cancels(self) -> None:
        """
        A disconnect cancels the function's pending wait, before and after the headers.
        """
        seen: list[str] = []

        @self.app.route("/coroutine")
        @eventStream
        async def coroutine(request: IRequest) -> None:
            try:
                await Deferred()
            except CancelledError:
                seen.append("coroutine")
                raise

        @self.app.route("/asyncGenerator")
        @eventStream
        async def asyncGenerator(request: IRequest) -> AsyncIterator[str]:
            try:
                yield "one"
                await Deferred()
            finally:
                seen.append("asyncGenerator")

        @self.app.route("/generator")
        @eventStream
        def generator(request: IRequest) -> Iterator[str]:
            try:
                while True:
                    yield "x" * 70_000
            finally:
                seen.append("generator")

        names = ["coroutine", "asyncGenerator", "generator"]
        for name in names:
            browser = self.client.get(f"/{name}")
            browser.disconnect()
            self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(seen, names)

    def test_reason(self) -> None:
        """
        The stream's close reason is CLIENT.
        """
        reasons: list[CloseReason] = []

        @self.app.route("/")
        @eventStream
        async def push(request: Any) -> None:
            EventStream.of(request).whenClosed().addCallback(reasons.append)

        self.client.get("/").disconnect()
        self.assertEqual(reasons, [CloseReason.CLIENT])


class ReturnedResourceTests(KleinTestCase):
    """
    Tests for routes that return an L{EventStreamResource}.
    """

    def test_madeOnce(self) -> None:
        """
        A route may return a resource that was made beforehand.
        """
        resource = EventStreamResource(lambda stream: None, maxStreams=1)

        @self.app.route("/")
        def events(request: IRequest) -> EventStreamResource:
            return resource

        browser = self.client.get("/")
        [stream] = resource.streams
        stream.send("x")
        self.assertEqual(self.data(browser), ["x"])
        refused = self.client.get("/")
        self.clock.advance(0.1)
        self.assertTrue(refused.complete)

    def test_madePerRequest(self) -> None:
        """
        A resource made for each request works too, and is logged once.
        """
        self.patch(EventStreamResource, "_dropped", False)

        @self.app.route("/")
        def events(request: IRequest) -> EventStreamResource:
            return EventStreamResource(lambda stream: stream.send("hi") and None)

        with capturedLogs() as logged:
            browsers = [self.client.get("/") for _ in range(3)]
        for browser in browsers:
            self.assertEqual(self.data(browser), ["hi"])
        warnings = [event for event in logged if event["log_level"].name == "warn"]
        self.assertEqual(len(warnings), 1)
