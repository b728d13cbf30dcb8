"""
Tests that closed streams leave nothing behind, on real sockets.

The garbage collector is off, so a stream must be freed by reference counting alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.web.error import Error

from tests.support.leaks import AT_ONCE, CYCLES, LeakTestCase, Mistake
from tests.support.live import Client, Response, reactor, until
from tests.support.requirements import needs
from twisted_sse import CloseReason


def greet(stream: Any) -> None:
    """
    Send C{hello}, and create everything that could be left behind.
    """
    stream.send("hello")
    stream.state["a"] = stream
    del stream.state["a"]
    stream.every(30, lambda: "tick")
    stream.whenClosed()


def fin(client: Client, response: Response) -> None:
    """
    Close the connection from the client.
    """
    client.close()


def rst(client: Client, response: Response) -> None:
    """
    Reset the connection from the client.
    """
    client.reset()


@needs("network")
class CycleTests(LeakTestCase):
    """
    Tests for clients that connect and disconnect.
    """

    async def test_thousand(self) -> None:
        """
        1,000 clients that connect, receive an event and disconnect leave nothing.
        """
        await self.cycle(greet, fin, cycles=1000, reason=CloseReason.CLIENT)

    async def test_fin(self) -> None:
        """
        A client that closes its connection leaves nothing.
        """
        await self.cycle(greet, fin, reason=CloseReason.CLIENT, slim=True)

    async def test_rst(self) -> None:
        """
        A client that resets its connection leaves nothing.
        """
        await self.cycle(greet, rst, reason=CloseReason.CLIENT)

    async def test_finWhileEventsWait(self) -> None:
        """
        A client that disconnects with events queued leaves nothing.
        """

        def connected(stream: Any) -> None:
            for _ in range(20):
                stream.send("x" * 10_000)

        await self.cycle(connected, fin, site={"sendBuffer": 8192}, reason=CloseReason.CLIENT)

    async def test_finBeforeHeaders(self) -> None:
        """
        A client that disconnects before the headers leaves nothing.
        """
        await self.cycle(
            lambda stream: Deferred(),
            fin,
            answered=lambda response: self.resource._group.connecting,
        )


@needs("network")
class EndTests(LeakTestCase):
    """
    Tests for streams that the server ends.
    """

    def each(self, act: Callable[[Any], object]) -> Callable[[Client, Response], None]:
        """
        Make a function that ends a client by acting on its stream.
        """

        def leave(client: Client, response: Response) -> None:
            for stream in self.resource.streams:
                act(stream)

        return leave

    async def test_end(self) -> None:
        """
        A stream leaves nothing after C{end}.
        """
        await self.cycle(greet, self.each(lambda each: each.end()), reason=CloseReason.ENDED)

    async def test_endInConnected(self) -> None:
        """
        A stream that ends inside C{connected} leaves nothing.
        """

        def connected(stream: Any) -> None:
            greet(stream)
            stream.end()

        await self.cycle(connected, reason=CloseReason.ENDED)

    async def test_abort(self) -> None:
        """
        A stream leaves nothing after C{abort}.
        """
        await self.cycle(greet, self.each(lambda each: each.abort()), reason=CloseReason.ENDED)

    async def test_abortInConnected(self) -> None:
        """
        A stream that is aborted inside C{connected} leaves nothing.
        """
        await self.cycle(lambda stream: stream.abort(), answered=lambda response: response.broken)

    async def test_exhausted(self) -> None:
        """
        An exhausted iterable leaves nothing.
        """
        await self.cycle(lambda stream: map(str, range(10)), reason=CloseReason.ENDED)

    async def test_slow(self) -> None:
        """
        A client that was too slow leaves nothing.
        """

        def flood(stream: Any) -> None:
            while stream.send("x" * 10_000):
                pass

        await self.cycle(
            greet,
            self.each(flood),
            maxPending=4096,
            site={"sendBuffer": 8192},
            reason=CloseReason.SLOW,
        )

    async def test_stalled(self) -> None:
        """
        A client that has stalled leaves nothing.
        """

        def leave(client: Client, response: Response) -> None:
            client.stopReading()
            for stream in self.resource.streams:
                while not stream.bytesPending and not stream.closed:
                    stream.send("x" * 2**18)

        await self.cycle(
            greet, leave, stallTimeout=0.1, site={"sendBuffer": 8192}, reason=CloseReason.STALLED
        )

    async def test_drain(self) -> None:
        """
        A drain leaves nothing.
        """
        await self.watch(self.serve(greet))
        for _ in range(CYCLES // AT_ONCE):
            self.resource._group.draining = False
            clients = [self.server.get() for _ in range(AT_ONCE)]
            await until(lambda clients=clients: all(r.events for _, r in clients), "answers")
            await self.resource.drain(5)
            await until(lambda clients=clients: all(c.lost for c, _ in clients), "closed")
            del clients
            self.forget()
        await self.assertNothingLeft()
        self.assertEqual(self.reasons.closedFor, [CloseReason.DRAIN] * CYCLES)

    async def test_refused(self) -> None:
        """
        Clients beyond the limit, and the one within it, leave nothing.
        """
        await self.watch(self.serve(greet, maxStreams=1))
        first, _ = self.server.get()
        await until(lambda: self.resource.streams)
        for _ in range(CYCLES // AT_ONCE):
            clients = [self.server.get() for _ in range(AT_ONCE)]
            await until(lambda clients=clients: all(r.complete for _, r in clients), "answers")
            for client, _ in clients:
                client.close()
            del clients, client
        first.close()
        del first
        await until(lambda: not self.resource.streams)
        await self.assertNothingLeft()


@needs("network")
class ErrorTests(LeakTestCase):
    """
    Tests for applications that fail.
    """

    def status(self, code: int) -> Callable[[Response], bool]:
        """
        Make a check for a complete response with this status.
        """
        return lambda response: response.complete and response.status == code

    async def test_function(self) -> None:
        """
        A C{connected} that raises leaves nothing.
        """

        def connected(stream: Any) -> None:
            raise Mistake

        await self.cycle(connected, answered=self.status(500), expected=1)

    async def test_status(self) -> None:
        """
        A C{connected} that refuses leaves nothing, even after it has sent something.
        """

        def connected(stream: Any) -> None:
            greet(stream)
            raise Error(403)

        await self.cycle(connected, answered=self.status(403))

    async def test_nonsense(self) -> None:
        """
        A C{connected} with an invalid result leaves nothing.
        """
        await self.cycle(lambda stream: 5, answered=self.status(500), expected=1, mistake=TypeError)

    async def test_generator(self) -> None:
        """
        A generator that raises after its first event leaves nothing.
        """

        def connected(stream: Any) -> Any:
            yield "hello"
            raise Mistake

        await self.cycle(
            connected,
            answered=lambda response: response.broken,
            expected=1,
            reason=CloseReason.ERROR,
        )

    async def test_every(self) -> None:
        """
        A loop that raises at its second event leaves nothing.
        """

        def connected(stream: Any) -> None:
            ticks = iter(["hello"])

            def emit() -> str:
                for tick in ticks:
                    return tick
                raise Mistake

            stream.every(0.01, emit, now=True)

        await self.cycle(
            connected,
            answered=lambda response: response.broken,
            expected=1,
            reason=CloseReason.ERROR,
        )

    async def test_deferred(self) -> None:
        """
        A Deferred that fails before the headers leaves nothing.
        """

        def connected(stream: Any) -> Deferred[None]:
            def fail(_: None) -> None:
                raise Mistake

            return deferLater(reactor, 0.001).addCallback(fail)

        await self.cycle(connected, answered=self.status(500), expected=1)

    async def test_openDeferred(self) -> None:
        """
        A Deferred that fails after something was sent leaves nothing.
        """

        def connected(stream: Any) -> Deferred[None]:
            def fail(_: None) -> None:
                raise Mistake

            stream.send("hello")
            return deferLater(reactor, 0.001).addCallback(fail)

        await self.cycle(
            connected,
            answered=lambda response: response.broken,
            expected=1,
            reason=CloseReason.ERROR,
        )

    async def test_coroutine(self) -> None:
        """
        A coroutine that raises leaves only cycles of Twisted.
        """

        async def connected(stream: Any) -> None:
            stream.send("hello")
            await deferLater(reactor, 0.001)
            raise Mistake

        await self.cycle(
            connected,
            answered=lambda response: response.broken,
            expected=1,
            collect=True,
            reason=CloseReason.ERROR,
        )

    async def test_asyncGenerator(self) -> None:
        """
        An asynchronous generator that raises leaves only cycles of Twisted.
        """

        async def connected(stream: Any) -> Any:
            yield "hello"
            await deferLater(reactor, 0.001)
            raise Mistake

        await self.cycle(
            connected,
            answered=lambda response: response.broken,
            expected=1,
            collect=True,
            reason=CloseReason.ERROR,
        )


@needs("network")
class CoroutineTests(LeakTestCase):
    """
    Tests for clients that disconnect while a coroutine waits.  Cancelled coroutines leave cycles in
    Twisted, so the collector is run once before the count.
    """

    async def test_coroutine(self) -> None:
        """
        A cancelled coroutine leaves nothing.
        """

        async def connected(stream: Any) -> None:
            stream.send("hello")
            await Deferred()

        await self.cycle(connected, fin, collect=True, reason=CloseReason.CLIENT)

    async def test_asyncGenerator(self) -> None:
        """
        A cancelled asynchronous generator leaves nothing.
        """

        async def connected(stream: Any) -> Any:
            try:
                yield "hello"
                await Deferred()
            finally:
                await deferLater(reactor, 0)

        await self.cycle(connected, fin, collect=True, reason=CloseReason.CLIENT)

    async def test_generator(self) -> None:
        """
        An endless generator leaves nothing, even without a collection.
        """

        def connected(stream: Any) -> Any:
            while True:
                yield "hello"

        await self.cycle(connected, fin, reason=CloseReason.CLIENT)
