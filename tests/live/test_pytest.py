"""
Tests of streams, written as a user of pytest and pytest-twisted would: with functions and fixtures.

trial finds no tests in this module.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import treq
from klein import Klein
from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.task import deferLater
from twisted.web.client import Agent, HTTPConnectionPool
from twisted.web.server import Site

from tests.support.requirements import needs
from twisted_sse import CloseReason, Event, EventStreamParser, EventStreamResource
from twisted_sse.klein import eventStream

try:
    import pytest
    import pytest_twisted
except ImportError:
    pytest = None  # type: ignore[assignment]

#: The installed reactor.
reactor: Any = _reactor


def serve(resource: Any) -> Any:
    """
    Serve a resource on a free port.
    """
    return reactor.listenTCP(0, Site(resource, reactor=reactor), interface="127.0.0.1")


def urlOf(port: Any, path: str = "") -> str:
    """
    Return the URL of a port.
    """
    return f"http://127.0.0.1:{port.getHost().port}/{path}"


class Reader:
    """
    Reads events from a response.
    """

    def __init__(self, response: Any) -> None:
        self.events: list[Any] = []
        self._parser = EventStreamParser()
        self._waiting: list[tuple[int, Deferred[None]]] = []
        self.done = treq.collect(response, self._received)
        # A broken response is the result of C{done}, not an error.
        self.done.addErrback(lambda failure: failure.type)

    def _received(self, data: bytes) -> None:
        self.events += self._parser.feed(data)
        for count, waiting in self._waiting[:]:
            if len(self.events) >= count:
                self._waiting.remove((count, waiting))
                waiting.callback(None)

    def wait(self, count: int) -> Deferred[None]:
        """
        Wait until this many events have arrived.
        """
        enough: Deferred[None] = Deferred()
        self._waiting.append((count, enough))
        self._received(b"")
        return enough.addTimeout(10, reactor)


if pytest is not None:

    @pytest.fixture
    def agent() -> Iterator[Any]:
        """
        Make a client whose connections do not outlive the test.
        """
        pool = HTTPConnectionPool(reactor, persistent=False)
        yield treq.client.HTTPClient(Agent(reactor, pool=pool))
        pytest_twisted.blockon(pool.closeCachedConnections())

    @pytest_twisted.async_yield_fixture
    async def resource() -> Any:
        """
        Make a resource that sends C{hello}, and drain it after the test.
        """
        made = EventStreamResource(lambda stream: (stream.send("hello", id=1), None)[1])
        yield made
        await made.drain(1)

    @pytest_twisted.async_yield_fixture
    async def url(resource: Any) -> Any:
        """
        Serve the resource, and return its URL.
        """
        port = serve(resource)
        yield urlOf(port)
        await port.stopListening()

    @needs("network")
    @pytest_twisted.ensureDeferred
    async def test_stream(agent: Any, resource: Any, url: str) -> None:
        """
        A coroutine test receives events, and the stream ends when it is ended.
        """
        response = await agent.get(url, headers={"Accept": "text/event-stream"}, unbuffered=True)
        assert response.code == 200
        assert response.headers.getRawHeaders("content-type") == [
            "text/event-stream; charset=utf-8"
        ]
        reader = Reader(response)
        await reader.wait(1)
        [stream] = resource.streams
        stream.send(json={"n": 2}, event="number")
        await reader.wait(2)
        closed = stream.whenClosed()
        stream.end()
        assert await reader.done is None
        assert await closed is CloseReason.ENDED
        assert [event.type for event in reader.events] == ["message", "number"]
        assert reader.events[1].json() == {"n": 2}

    @needs("network")
    @pytest_twisted.inlineCallbacks
    def test_streamsAreApart(agent: Any, resource: Any, url: str) -> Any:
        """
        In a test with pytest-twisted's C{inlineCallbacks}, aborting one client leaves the other.
        """
        readers = []
        for _ in range(2):
            response = yield agent.get(url, unbuffered=True)
            readers.append(Reader(response))
        for reader in readers:
            yield reader.wait(1)
        one, other = resource.streams
        one.abort()
        other.send("still here")
        other.end()
        yield readers[0].done
        yield readers[1].done
        assert sorted(len(reader.events) for reader in readers) == [1, 2]

    @needs("network")
    @inlineCallbacks
    def test_plainInlineCallbacks(agent: Any, resource: Any, url: str) -> Any:
        """
        In a test with Twisted's own C{inlineCallbacks}, the client's last event ID reaches the
        stream.
        """
        response = yield agent.get(url, headers={"Last-Event-ID": "41"}, unbuffered=True)
        reader = Reader(response)
        yield reader.wait(1)
        [stream] = resource.streams
        assert stream.lastEventID == "41"
        stream.end()
        yield reader.done

    class Shop:
        """
        A Klein application.
        """

        app = Klein()

        def __init__(self) -> None:
            self.closed: list[str] = []

        @app.route("/ticks/<int:first>")
        @eventStream(heartbeat=0.05)
        async def ticks(self, request: Any, first: int) -> Any:
            """
            Count until the client disconnects.
            """
            if not first:
                raise KeyError(first)
            try:
                while True:
                    yield Event(str(first), id=first)
                    first += 1
                    await deferLater(reactor, 0.01)
            finally:
                self.closed.append(request.path.decode())

        @app.route("/rows", methods=["POST"])
        @eventStream
        def rows(self, request: Any) -> Any:
            """
            Return the words that were posted.
            """
            yield from request.content.read().decode().split()

        @app.handle_errors(KeyError)
        def missing(self, request: Any, failure: Any) -> str:
            """
            Return a 404.
            """
            request.setResponseCode(404)
            return "there is no such tick"

    @pytest_twisted.async_yield_fixture
    async def shop() -> Any:
        """
        Serve the application.
        """
        made = Shop()
        port = serve(made.app.resource())
        yield made, port
        await port.stopListening()

    @needs("network")
    @pytest_twisted.ensureDeferred
    async def test_klein(agent: Any, shop: Any) -> None:
        """
        A route sends what it yields, and its C{finally} runs when the client disconnects.
        """
        made, port = shop
        response = await agent.get(urlOf(port, "ticks/5"), unbuffered=True)
        reader = Reader(response)
        await reader.wait(4)
        assert [event.data for event in reader.events[:4]] == ["5", "6", "7", "8"]
        [stream] = made.ticks.resource.streams
        closed = stream.whenClosed()
        response.original._transport.loseConnection()
        assert await closed is CloseReason.CLIENT
        await reader.done
        while not made.closed:
            await deferLater(reactor, 0)
        assert made.closed == ["/ticks/5"]

    @needs("network")
    @pytest_twisted.ensureDeferred
    async def test_kleinError(agent: Any, shop: Any) -> None:
        """
        An exception in a route before its first event reaches the application's error handlers.
        """
        _, port = shop
        response = await agent.get(urlOf(port, "ticks/0"))
        assert response.code == 404
        assert await treq.text_content(response) == "there is no such tick"

    @needs("network")
    @pytest_twisted.ensureDeferred
    async def test_kleinPost(agent: Any, shop: Any) -> None:
        """
        A POST route responds with a stream.
        """
        _, port = shop
        response = await agent.post(urlOf(port, "rows"), data=b"one two", unbuffered=True)
        assert response.code == 200
        reader = Reader(response)
        assert await reader.done is None
        assert [event.data for event in reader.events] == ["one", "two"]

    @needs("network")
    @pytest_twisted.ensureDeferred
    async def test_kleinDrain(agent: Any, shop: Any) -> None:
        """
        The function's resource drains the streams of a route.
        """
        made, port = shop
        response = await agent.get(urlOf(port, "ticks/5"), unbuffered=True)
        reader = Reader(response)
        await reader.wait(1)
        resource = made.ticks.resource
        await resource.drain(2)
        assert await reader.done is None
        assert reader._parser.retry is not None
        assert resource.streams == frozenset()
        # The other tests use the same route.
        resource.service().startService()
