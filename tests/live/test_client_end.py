"""
Tests for L{twisted_sse.client.source}, on real sockets: ending it at every stage, in every way.
"""

from __future__ import annotations

import gc
import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IHostnameResolver
from twisted.internet.task import deferLater
from twisted.web.client import Agent
from zope.interface import implementer

from tests.support.certificates import serverContext, trusting
from tests.support.live import reactor, until
from tests.support.requirements import needs
from tests.support.scripted import ScriptedServer, answer, chunk, stream
from tests.support.sources import ONE, TWO, ClientTestCase
from twisted_sse.client import Backoff, EventSource, StreamBroken, readEvents
from twisted_sse.client.agent import EventStreamAgent
from twisted_sse.format.parser import MessageEvent


@implementer(IHostnameResolver)
class _NoResolver:
    """
    A resolver that never finds anything.
    """

    def resolveHostName(self, receiver: Any, hostName: str, *rest: Any, **more: Any) -> Any:
        receiver.resolutionBegan(self)
        return self

    def cancel(self) -> None:
        """
        Accept a cancellation.
        """


class _Stage:
    """
    A stage of a source.

    @ivar name: the name of the stage.
    @ivar server: the server that it connects to.
    @ivar reached: returns whether the source has reached the stage.
    """

    def __init__(self, test: EndTests, name: str) -> None:
        self.test = test
        self.name = name
        self.server = ScriptedServer(test, close=False)
        self.reached: Callable[[], object] = lambda: True
        self.options: dict[str, Any] = {}
        self.undo: Callable[[], object] = lambda: None
        self.url = self.server.url

    def headers(self) -> None:
        """
        The source waits for its own headers.
        """
        first = [Deferred()]
        self.options["headers"] = lambda: first.pop() if first else None
        self.reached = lambda: not first

    def resolving(self) -> None:
        """
        The source waits for the address of a name.
        """
        before = reactor.installNameResolver(_NoResolver())
        self.undo = lambda: reactor.installNameResolver(before)
        self.test.addCleanup(self.undo)
        self.url = "http://sse.example/"

    def connecting(self) -> None:
        """
        The source waits for a connection, because the kernel's backlog is full.
        """
        listening = socket.socket()
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        self.test.addCleanup(listening.close)
        address = listening.getsockname()
        while True:
            # Connect until one has to wait.
            filling = socket.socket()
            self.test.addCleanup(filling.close)
            filling.settimeout(0.1)
            try:
                filling.connect(address)
            except TimeoutError:
                break
        self.url = f"http://127.0.0.1:{address[1]}/"

    def handshake(self) -> None:
        """
        The source waits for the server's part of the TLS handshake.
        """
        self.url = self.url.replace("http:", "https:")
        self.reached = lambda: self.server.connections and self.server.connections[0].data

    def response(self) -> None:
        """
        The source waits for the response.
        """
        self.server.script = [lambda connection: None]
        self.reached = lambda: self.server.requests

    def head(self) -> None:
        """
        The source has half of the response's headers.
        """
        self.server.script = [b"HTTP/1.1 200 OK\r\nContent-"]
        self.reached = lambda: self.server.requests

    def wrong(self) -> None:
        """
        The source reads the body of an error response.
        """
        self.server.script = [b"HTTP/1.1 404 Gone\r\nContent-Length: 99\r\n\r\nbecause"]
        self.reached = lambda: self.server.requests

    def body(self) -> None:
        """
        The source reads events.
        """
        self.server.script = [stream(ONE, b"data: half", end=False)]
        self.reached = lambda: self.test.data

    def secureBody(self) -> None:
        """
        The source reads events over TLS.
        """
        self.server.stop()
        self.server = ScriptedServer(
            self.test, stream(ONE, end=False), context=serverContext(), close=False
        )
        self.url = self.server.url
        self.options["agent"] = EventStreamAgent(reactor, trusting(self.server.context))
        self.reached = lambda: self.test.data

    def paused(self) -> None:
        """
        More events have arrived than were taken.
        """
        self.test.takes = False
        self.server.script = [stream(ONE * 100_000, end=False)]
        self.reached = lambda: self.test.source_._queue.isFull

    def waiting(self) -> None:
        """
        The source waits to reconnect after the end of a stream.
        """
        self.server.script = [stream(b"retry: 60000\n" + ONE)]
        self.reached = lambda: self.test.source_.readyState == 0 and self.test.data

    def waitingAfterFailure(self) -> None:
        """
        The source waits to reconnect after a failure.
        """
        self.options["backoff"] = Backoff(initial=20, jitter=0)
        self.server.script = [answer("503 Busy")]
        self.reached = lambda: self.test.errors


STAGES = [
    "headers", "resolving", "connecting", "handshake", "response", "head", "wrong", "body",
    "secureBody", "paused", "waiting", "waitingAfterFailure",
]  # fmt: skip


@needs("network")
class EndTests(ClientTestCase):
    """
    Tests that nothing is left behind, whenever and however the source ends.
    """

    takes = True
    source_: EventSource

    async def reach(self, name: str) -> tuple[_Stage, Deferred[None]]:
        """
        Bring a source to a stage.

        @return: the stage, and a Deferred of the iteration over the source.
        """
        self.data = []
        self.errors.clear()
        self.takes = True
        stage = _Stage(self, name)
        getattr(stage, name)()
        self.source_ = self.source(lambda: stage.url, **stage.options)
        self.begin = Deferred()

        async def iterate() -> None:
            async with self.source_ as source:
                async for event in source:
                    self.data.append(event.data)
                    if not self.takes:
                        await self.begin

        iterating = Deferred.fromCoroutine(iterate())
        await until(stage.reached, name)
        # Let it proceed no further.
        await deferLater(reactor, 0.01)
        return stage, iterating

    async def nothingLeft(self, stage: _Stage, before: tuple[Any, ...]) -> None:
        """
        Assert that no connection, delayed call or descriptor remains.
        """
        stage.undo()
        await until(lambda: not stage.server.open, f"{stage.name}: no connection")
        await until(lambda: self.state()[0] <= before[0], f"{stage.name}: nothing is watched")
        self.assertEqual(self.state()[1], before[1])
        self.assertEqual(self.source_.readyState, EventSource.CLOSED)
        gc.collect()

    async def before(self) -> tuple[Any, ...]:
        """
        @return: the expected state after the end, including the port of a server.
        """
        # The reactor creates its own descriptors when it runs.
        await deferLater(reactor, 0)
        watched, calls = self.state()
        return watched + 1, calls

    def state(self) -> tuple[Any, ...]:
        """
        @return: the numbers of descriptors and of delayed calls of the reactor.
        """
        calls = [
            each
            for each in reactor.getDelayedCalls()
            if "tests.support.live" not in repr(each.func)
        ]
        return len(reactor.getReaders() + reactor.getWriters()), len(calls)

    async def test_close(self) -> None:
        """
        C{close} leaves nothing behind at any stage.
        """
        for name in STAGES:
            before = await self.before()
            stage, iterating = await self.reach(name)
            await self.source_.close()
            if not self.takes:
                self.begin.callback(None)
            await iterating
            await self.nothingLeft(stage, before)
            await stage.server.stop()

    async def test_cancelled(self) -> None:
        """
        Cancelling the iteration leaves nothing behind at any stage.
        """
        for name in STAGES:
            before = await self.before()
            stage, iterating = await self.reach(name)
            iterating.cancel()
            with self.assertRaises(CancelledError):
                await iterating
            await self.nothingLeft(stage, before)
            await stage.server.stop()

    async def test_shutdown(self) -> None:
        """
        Stopping the reactor leaves nothing behind at any stage.
        """
        triggers: list[Callable[[], Any]] = []

        add, remove = reactor.addSystemEventTrigger, reactor.removeSystemEventTrigger

        def addOurs(phase: str, event: str, call: Callable[..., Any], *more: Any) -> Any:
            if phase != "before":
                return add(phase, event, call, *more)
            triggers.append(call)
            return call

        def removeOurs(trigger: Any) -> None:
            if trigger in triggers:
                triggers.remove(trigger)
            else:
                remove(trigger)

        self.patch(reactor, "addSystemEventTrigger", addOurs)
        self.patch(reactor, "removeSystemEventTrigger", removeOurs)
        for name in STAGES:
            before = await self.before()
            stage, iterating = await self.reach(name)
            (trigger,) = triggers
            await trigger()
            if not self.takes:
                self.begin.callback(None)
            await iterating
            self.assertEqual(triggers, [])
            await self.nothingLeft(stage, before)
            await stage.server.stop()

    async def test_reconnectNow(self) -> None:
        """
        C{reconnectNow} makes a new connection at any stage, and reports no error.
        """
        for name in STAGES:
            stage, iterating = await self.reach(name)
            failed = len(self.errors)
            asked = len(stage.server.requests)
            # Elsewhere it would wait forever.
            stage.url = stage.server.url
            stage.undo()
            stage.server.script = [stream(TWO, end=False)]
            self.source_.reconnectNow()
            if not self.takes:
                self.takes = True
                self.begin.callback(None)
            await until(lambda: "two" in self.data, name)
            self.assertEqual(len(self.errors), failed)
            last = stage.server.requests[asked].headers.get("last-event-id")
            hadOne = name in ("body", "secureBody", "paused", "waiting")
            self.assertEqual(last, "1" if hadOne else None, name)
            await self.source_.close()
            await iterating
            await stage.server.stop()
        with self.assertRaises(RuntimeError):
            self.source_.reconnectNow()

    async def test_closedBetween(self) -> None:
        """
        C{close} drops events that have arrived but were not taken.
        """
        server = ScriptedServer(self, stream(ONE + TWO))
        source = self.source(server)
        self.assertEqual((await source.__anext__()).data, "one")
        await source.close()
        self.assertEqual([event async for event in source], [])
        self.assertEqual((await source.close(), source.readyState), (None, 2))

    async def test_closedByCallback(self) -> None:
        """
        The source may be closed by its callbacks.
        """
        for name, script in (
            ("onOpen", stream(ONE)),
            ("onError", answer("503 Busy")),
            ("onComment", stream(b": c\n" + ONE, end=False)),
        ):
            server = ScriptedServer(self, script, stream(ONE), close=False)

            def close(_: object) -> None:
                self.source_.close()

            options: dict[str, Any] = {name: close}
            self.source_ = EventSource(server.url, backoff=Backoff(0), **options)
            self.assertEqual([event async for event in self.source_], [])
            self.assertEqual(len(server.requests), 1)
            await until(lambda server=server: not server.open, "no connection")

    async def test_raisedByCallback(self) -> None:
        """
        An exception in a callback is raised where the events are read.
        """

        def fail(*_: object) -> None:
            # The exception of a network that is down.
            raise OSError("the disk is full")

        for name, script in (
            ("headers", b""),
            ("onOpen", stream(ONE)),
            ("onError", answer("503 Busy")),
            ("onComment", stream(b": c\n" + ONE, end=False)),
        ):
            server = ScriptedServer(self, script, close=False)
            options: dict[str, Any] = {name: fail}
            source = EventSource(server.url, backoff=Backoff(0, maxTries=3), **options)
            error = await self.raises(OSError, source)
            self.assertEqual(str(error), "the disk is full")
            await until(lambda server=server: not server.open, "no connection")

    async def test_one(self) -> None:
        """
        Only one caller can wait for the next event.
        """
        server = ScriptedServer(self, stream(end=False), close=False)
        source = self.source(server)
        waiting = Deferred.fromCoroutine(source.__anext__())
        with self.assertRaises(RuntimeError):
            await source.__anext__()
        await source.close()
        with self.assertRaises(StopAsyncIteration):
            await waiting


@needs("network")
class ListenTests(ClientTestCase):
    """
    Tests for C{listen}.
    """

    async def test_listen(self) -> None:
        """
        Listeners are called with the events of their types, one after another and in order, and
        their Deferreds fire at the end.
        """
        body = b"data: 1\n\nevent: x\ndata: 2\n\ndata: 3\n\n"
        server = ScriptedServer(self, stream(body))
        source = self.source(server)
        told: list[str] = []

        def all_(event: MessageEvent) -> Deferred[None]:
            told.append(f"begin {event.data}")
            waiting: Deferred[None] = deferLater(reactor, 0.01, lambda: told.append("end"))
            return waiting

        async def some(event: MessageEvent) -> None:
            told.append(f"x {event.data}")

        ended = [source.listen(all_), source.listen(some, "x")]
        self.assertEqual([await each for each in ended], [None, None])
        self.assertEqual(told, ["begin 1", "end", "begin 2", "end", "x 2", "begin 3", "end"])
        # This one is too late.
        self.assertIsNone(await source.listen(some))

    async def test_fails(self) -> None:
        """
        An error fails the Deferred of every listener, and an exception in a listener closes the
        source.
        """
        server = ScriptedServer(self, answer("404 Gone"))
        source = self.source(server)
        for ended in [source.listen(print), source.listen(print)]:
            error = await self.assertFailure(ended, Exception)
            self.assertEqual(error.status, 404)
        server = ScriptedServer(self, stream(ONE, end=False), close=False)
        source = self.source(server)
        await self.assertFailure(source.listen(lambda event: 1 / 0), ZeroDivisionError)
        await until(lambda: not server.open, "no connection")

    async def test_forget(self) -> None:
        """
        Cancelling removes a listener, and removing the last one closes the source.
        """
        server = ScriptedServer(self, stream(ONE, end=False), close=False)
        source = self.source(server)
        told: list[str] = []
        one = source.listen(lambda event: told.append(event.data))
        two = source.listen(lambda event: told.append(event.data * 2))
        await until(lambda: len(told) == 2)
        two.cancel()
        await self.assertFailure(two, CancelledError)
        server.connections[0].transport.write(chunk(TWO))
        await until(lambda: len(told) == 3)
        self.assertEqual(told, ["one", "oneone", "two"])
        one.cancel()
        await self.assertFailure(one, CancelledError)
        await until(lambda: not server.open, "no connection")


@needs("network")
class ReadEventsTests(ClientTestCase):
    """
    Tests for L{readEvents} of a response.
    """

    async def get(self, server: ScriptedServer) -> Any:
        """
        Make a request with a plain L{Agent}.
        """
        return await Agent(reactor).request(b"GET", server.url.encode())

    async def test_reads(self) -> None:
        """
        The events of a response are read to its end.
        """
        server = ScriptedServer(self, stream(b"retry: 7\n", ONE, TWO))
        events = readEvents(await self.get(server))
        self.assertEqual([event.data async for event in events], ["one", "two"])
        self.assertEqual((events.lastEventID, events.retry), ("2", 7))
        self.assertEqual([event async for event in events], [])

    async def test_raises(self) -> None:
        """
        A response that is not an event stream, or is cut short, raises an error.
        """
        for script, kind in (
            (stream(ONE, end=False), StreamBroken),
            (answer("500 No", body=b"why"), Exception),
            (answer("200 OK", "Content-Type: text/plain"), Exception),
        ):
            server = ScriptedServer(self, script)
            with self.assertRaises(kind):
                async for event in readEvents(await self.get(server)):
                    self.assertEqual(event.data, "one")

    async def test_left(self) -> None:
        """
        Stopping the iteration before the end closes the connection.
        """

        async def early(events: Any) -> None:
            events.close()

        async def inside(events: Any) -> None:
            async with events as again:
                async for _ in again:
                    break

        async def between(events: Any) -> None:
            await events.__anext__()
            events.close()
            self.assertEqual([event async for event in events], [])

        async def cancelled(events: Any) -> None:
            await events.__anext__()
            await events.__anext__()
            waiting = Deferred.fromCoroutine(events.__anext__())
            waiting.cancel()
            await self.assertFailure(waiting, CancelledError)

        for leave in early, inside, between, cancelled:
            server = ScriptedServer(self, stream(ONE, TWO, end=False), close=False)
            await leave(readEvents(await self.get(server), readTimeout=60))
            await until(lambda server=server: not server.open, "no connection")
