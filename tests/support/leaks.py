"""
What exists before clients connect and after they have disconnected.
"""

from __future__ import annotations

import gc
import importlib.util
from collections.abc import Callable
from typing import Any

from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from tests.support.live import LiveTestCase, Response, Server, reactor, until
from twisted_sse import CloseReason, EventStream

#: The number of simultaneous clients.
AT_ONCE = 25

#: The number of clients for each way to end a stream.
CYCLES = 50


class Mistake(Exception):
    """
    An exception that an application may raise.
    """


def streams() -> int:
    """
    Count the event streams that exist.
    """
    return sum(type(each) is EventStream for each in gc.get_objects())


def ownCleanFailure() -> Any:
    """
    Make the original C{Failure.cleanFailure}: with Twisted before 24.10, pytest keeps the traceback
    in another attribute.
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
    Counts what exists before and after.
    """

    def setUp(self) -> None:
        """
        Collect the garbage of earlier tests, and turn the collector off.
        """
        # pytest-twisted makes it do nothing, and then each caught exception forms a cycle with its
        # frames.
        self.patch(Failure, "cleanFailure", ownCleanFailure())
        gc.collect()
        # What is alive now is not looked at again, which otherwise takes most of the time.
        gc.freeze()
        gc.disable()
        self.addCleanup(gc.enable)
        self.before = streams()

    async def watch(self, server: Server) -> None:
        """
        Record what exists with a server and no client.
        """
        self.server = server
        # The test runner schedules its timeout in this turn.
        await deferLater(reactor, 0)
        self.calls = set(reactor.getDelayedCalls())
        self.descriptors = {*reactor.getReaders(), *reactor.getWriters()}

    def forget(self) -> None:
        """
        Drop references that only the test itself holds.
        """
        for client in self.server.clients:
            client.close()
        self.server.clients.clear()
        self.server.site.protocols.clear()

    async def assertNothingLeft(self, collect: bool = False) -> None:
        """
        Wait until the server's connections have closed, and compare.

        @param collect: whether to run the collector, where Twisted itself makes cycles.
        """
        await until(lambda: not self.server.connections, "no connection is left")
        await until(lambda: not self.resource._group.connecting, "none is being decided")
        self.assertEqual(self.resource.streams, frozenset())
        self.forget()
        # What was called in this reactor turn is still on its stack.
        await deferLater(reactor, 0)
        if collect:
            gc.collect()
        self.assertEqual(streams() - self.before, 0, "streams are left")
        calls = set(reactor.getDelayedCalls()) - self.calls
        # A site updates its log date every second.
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
        Connect and disconnect clients, and check that they leave nothing behind.

        @param connected: called with each stream.
        @param leave: disconnects each client, once it has a response.
        @param answered: returns whether a client has its response.
        @param expected: the number of errors logged for each client.
        @param mistake: the class of these errors.
        @param reason: the reason for which each stream is closed.
        """
        await self.watch(self.serve(connected, **options))
        # The first client creates objects that are created only once.
        for count in 1, *[AT_ONCE] * (cycles // AT_ONCE):
            clients = [self.server.get() for _ in range(count)]
            await until(lambda clients=clients: all(answered(r) for _, r in clients), "answers")
            for client, response in clients:
                leave(client, response)
            await until(lambda: not self.resource.streams, "all streams are closed")
            del clients, client, response
            self.forget()
        # A reference to the errors must not keep the streams alive.
        errors = self.flushLoggedErrors(mistake)
        await self.assertNothingLeft(collect)
        self.assertEqual(len(errors), expected * (1 + cycles))
        if reason is not None:
            self.assertEqual(self.reasons.closedFor, [reason] * (1 + cycles))
