"""
What is left of streams when they are over: nothing.

The garbage collector is off while streams come and go, so what is counted here was freed
because nobody refers to it any more, at once.
"""

from __future__ import annotations

import gc
import importlib.util
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.web.error import Error

from tests.live import Client, LiveTestCase, Response, Server, reactor, until
from tests.requirements import needs
from twisted_sse import CloseReason, EventStream

#: How many clients there are at a time.
AT_ONCE = 25

#: How many cycles each way to end is given.
CYCLES = 50


class Mistake(Exception):
    """
    What an application may raise.
    """


def streams() -> int:
    """
    Count the event streams that exist.
    """
    return sum(type(each) is EventStream for each in gc.get_objects())


def ownCleanFailure() -> Any:
    """
    Make what C{Failure.cleanFailure} is in Twisted: for pytest, which with Twisted before 24.10
    remembers the traceback once more.
    """
    spec = importlib.util.find_spec(Failure.__module__)
    assert spec is not None and spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def cleanFailure(self: Failure) -> None:
        module.Failure.cleanFailure(self)
        self.__dict__.pop("_twisted_raw_excinfo", None)

    return cleanFailure


class LeakTestCase(LiveTestCase):
    """
    Counts what is there before and after.
    """

    def setUp(self) -> None:
        """
        What others have left is none of our business.
        """
        # pytest-twisted has made it do nothing, so that each exception that was caught is a
        # cycle with the frames which it went through.
        self.patch(Failure, "cleanFailure", ownCleanFailure())
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        self.before = streams()

    async def watch(self, server: Server) -> None:
        """
        Remember what is there when the server is and no client.
        """
        self.server = server
        # The runner's own call, for when this takes too long, is made in this turn.
        await deferLater(reactor, 0)
        self.calls = set(reactor.getDelayedCalls())
        self.descriptors = {*reactor.getReaders(), *reactor.getWriters()}

    def forget(self) -> None:
        """
        Let go of what only the test itself keeps.
        """
        for client in self.server.clients:
            client.close()
        self.server.clients.clear()
        self.server.site.protocols.clear()

    async def assertNothingLeft(self, collect: bool = False) -> None:
        """
        Wait for the server's connections to be gone, and compare.

        @param collect: whether Twisted itself has made cycles.
        """
        await until(lambda: not self.server.connections, "no connection is left")
        await until(lambda: not self.resource._group.connecting, "none is being decided")
        self.assertEqual(self.resource.streams, frozenset())
        self.forget()
        # What was called in this turn of the reactor is still on its stack.
        await deferLater(reactor, 0)
        if collect:
            gc.collect()
        self.assertEqual(streams() - self.before, 0, "streams are left")
        calls = set(reactor.getDelayedCalls()) - self.calls
        # A site looks at the clock each second.
        clock = self.server.site._updateLogDateTime
        self.assertEqual({call for call in calls if call.func != clock}, set())
        left = {*reactor.getReaders(), *reactor.getWriters()} - self.descriptors
        self.assertEqual(left, set())

    async def cycle(
        self,
        connected: Callable[[Any], object],
        leave: Callable[[Any, Response], object] = lambda client, response: None,
        *,
        answered: Callable[[Response], object] = lambda response: response.events,
        cycles: int = CYCLES,
        collect: bool = False,
        expected: int = 0,
        mistake: type[Exception] = Mistake,
        reason: CloseReason | None = None,
        **options: Any,
    ) -> None:
        """
        Let clients come and go, and look what is left of them.

        @param connected: what is done with each.
        @param leave: how each goes, once it is answered.
        @param answered: whether it is.
        @param expected: how many mistakes are logged for each.
        @param mistake: which.
        @param reason: why each is closed.
        """
        await self.watch(self.serve(connected, **options))
        # The first brings with it what is made once.
        for count in 1, *[AT_ONCE] * (cycles // AT_ONCE):
            clients = [self.server.get() for _ in range(count)]
            await until(lambda clients=clients: all(answered(r) for _, r in clients), "answers")
            for client, response in clients:
                leave(client, response)
            await until(lambda: not self.resource.streams, "all streams are closed")
            del clients, client, response
            self.forget()
        # Whoever keeps these must not keep the streams with them.
        errors = self.flushLoggedErrors(mistake)
        await self.assertNothingLeft(collect)
        self.assertEqual(len(errors), expected * (1 + cycles))
        if reason is not None:
            self.assertEqual(self.reasons.closedFor, [reason] * (1 + cycles))


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
