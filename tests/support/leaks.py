"""
What is there before clients come and after they have gone.
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
