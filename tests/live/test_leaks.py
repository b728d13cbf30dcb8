"""
What is left of streams when they are over: nothing.

The garbage collector is off while streams come and go, so what is counted here was freed
because nobody refers to it any more, at once.
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
    Say hello, and do everything that makes something that could be left.
    """
    stream.send("hello")
    stream.state["a"] = stream
    del stream.state["a"]
    stream.every(30, lambda: "tick")
    stream.whenClosed()


def fin(client: Client, response: Response) -> None:
    """
    The client closes the connection.
    """
    client.close()


def rst(client: Client, response: Response) -> None:
    """
    The client resets the connection.
    """
    client.reset()


@needs("network")
class CycleTests(LeakTestCase):
    """
    Clients come and go, a thousand of them.
    """

    async def test_thousand(self) -> None:
        """
        1,000 clients that connected, received an event and left leave nothing behind.
        """
        await self.cycle(greet, fin, cycles=1000, reason=CloseReason.CLIENT)

    async def test_fin(self) -> None:
        """
        Nothing is left when the client closes the connection.
        """
        await self.cycle(greet, fin, reason=CloseReason.CLIENT, slim=True)

    async def test_rst(self) -> None:
        """
        Nothing is left when the client resets the connection.
        """
        await self.cycle(greet, rst, reason=CloseReason.CLIENT)

    async def test_finWhileEventsWait(self) -> None:
        """
        Nothing is left when the client goes with events waiting for it.
        """

        def connected(stream: Any) -> None:
            for _ in range(20):
                stream.send("x" * 10_000)

        await self.cycle(connected, fin, site={"sendBuffer": 8192}, reason=CloseReason.CLIENT)

    async def test_finBeforeHeaders(self) -> None:
        """
        Nothing is left when the client goes before anything was decided.
        """
        await self.cycle(
            lambda stream: Deferred(),
            fin,
            answered=lambda response: self.resource._group.connecting,
        )


@needs("network")
class EndTests(LeakTestCase):
    """
    The application ends its streams.
    """

    def each(self, act: Callable[[Any], object]) -> Callable[[Client, Response], None]:
        """
        Make a way to go of something that is done to the stream.
        """

        def leave(client: Client, response: Response) -> None:
            for stream in self.resource.streams:
                act(stream)

        return leave

    async def test_end(self) -> None:
        """
        Nothing is left after C{end}.
        """
        await self.cycle(greet, self.each(lambda each: each.end()), reason=CloseReason.ENDED)

    async def test_endInConnected(self) -> None:
        """
        Nothing is left when a stream is ended while it is begun.
        """

        def connected(stream: Any) -> None:
            greet(stream)
            stream.end()

        await self.cycle(connected, reason=CloseReason.ENDED)

    async def test_abort(self) -> None:
        """
        Nothing is left after C{abort}.
        """
        await self.cycle(greet, self.each(lambda each: each.abort()), reason=CloseReason.ENDED)

    async def test_abortInConnected(self) -> None:
        """
        Nothing is left when a stream is aborted while it is begun.
        """
        await self.cycle(lambda stream: stream.abort(), answered=lambda response: response.broken)

    async def test_exhausted(self) -> None:
        """
        Nothing is left of an iterable that has come to its end.
        """
        await self.cycle(lambda stream: map(str, range(10)), reason=CloseReason.ENDED)

    async def test_slow(self) -> None:
        """
        Nothing is left of a client that was too slow.
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
        Nothing is left of a client that has stalled.
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
        Nothing is left after a drain.
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
        Nothing is left of those who were one too many, and of the one that was not.
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
    The application fails.
    """

    def status(self, code: int) -> Callable[[Response], bool]:
        """
        Make a check for a status.
        """
        return lambda response: response.complete and response.status == code

    async def test_function(self) -> None:
        """
        Nothing is left of a C{connected} that raises.
        """

        def connected(stream: Any) -> None:
            raise Mistake

        await self.cycle(connected, answered=self.status(500), expected=1)

    async def test_status(self) -> None:
        """
        Nothing is left of a C{connected} that refuses, even if it has sent something.
        """

        def connected(stream: Any) -> None:
            greet(stream)
            raise Error(403)

        await self.cycle(connected, answered=self.status(403))

    async def test_nonsense(self) -> None:
        """
        Nothing is left of a C{connected} that returns what it may not.
        """
        await self.cycle(lambda stream: 5, answered=self.status(500), expected=1, mistake=TypeError)

    async def test_generator(self) -> None:
        """
        Nothing is left of a generator that raises after its first event.
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
        Nothing is left of a loop that raises at its second event.
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
        Nothing is left of a Deferred that fails before the headers.
        """

        def connected(stream: Any) -> Deferred[None]:
            def fail(_: None) -> None:
                raise Mistake

            return deferLater(reactor, 0.001).addCallback(fail)

        await self.cycle(connected, answered=self.status(500), expected=1)

    async def test_openDeferred(self) -> None:
        """
        Nothing is left of a Deferred that fails after something was sent.
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
        Nothing is left of a coroutine that raises, but what Twisted leaves to the collector.
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
        The same of an asynchronous generator.
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
    The client leaves while a coroutine waits.  Twisted's own coroutines make cycles when they
    are cancelled, so the collector is asked once, before the count.
    """

    async def test_coroutine(self) -> None:
        """
        Nothing is left of a coroutine that was cancelled where it waited.
        """

        async def connected(stream: Any) -> None:
            stream.send("hello")
            await Deferred()

        await self.cycle(connected, fin, collect=True, reason=CloseReason.CLIENT)

    async def test_asyncGenerator(self) -> None:
        """
        Nothing is left of an asynchronous generator that was cancelled where it waited.
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
        Nothing is left of a generator that would never have ended: without the collector.
        """

        def connected(stream: Any) -> Any:
            while True:
                yield "hello"

        await self.cycle(connected, fin, reason=CloseReason.CLIENT)
