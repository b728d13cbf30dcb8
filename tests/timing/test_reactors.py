"""
Tests for L{twisted_sse.timing.reactors}: a reactor whose time cannot be set.
"""

from __future__ import annotations

import time
from asyncio import new_event_loop
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from twisted.internet.asyncioreactor import AsyncioSelectorReactor
from twisted.internet.base import DelayedCall
from twisted.internet.pollreactor import PollReactor
from twisted.internet.selectreactor import SelectReactor
from twisted.internet.task import Clock
from twisted.python import runtime
from twisted.trial.unittest import SynchronousTestCase

try:
    from twisted.internet.epollreactor import EPollReactor
except ImportError:  # not Linux
    EPollReactor = PollReactor  # type: ignore[assignment,misc]

from twisted_sse.timing.reactors import makeSteady

#: A timeout in seconds that nothing here should reach, even on a busy machine.
PATIENCE = 10.0

#: The offset by which the system's clock is set, in seconds.
DAY = 86400.0


class SystemClock:
    """
    The system's clock, which can be set.
    """

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        """
        @return: the time of day, as it is set.
        """
        return time.time() + self.ahead


class SteadyTests(SynchronousTestCase):
    """
    Tests for L{makeSteady}, with each of Twisted's reactors for this platform.
    """

    def setUp(self) -> None:
        """
        Let the reactors use a clock that can be set.
        """
        self.system = SystemClock()
        self.patch(runtime, "seconds", self.system)

    @contextmanager
    def reactor(self, make: Callable[[], Any]) -> Iterator[Any]:
        """
        Make a reactor that is not installed, and close its descriptors in the end.
        """
        reactor = make()
        reactor.seconds = self.system
        try:
            yield reactor
        finally:
            for reader in reactor.removeAll() + list(reactor._internalReaders):
                reader.connectionLost(None)
            poller = getattr(reactor, "_poller", None)
            if hasattr(poller, "close"):
                poller.close()

    def every(self) -> Iterator[Any]:
        """
        @return: a reactor of each kind.
        """
        for make in (EPollReactor, PollReactor, SelectReactor):
            with self.reactor(make) as reactor:
                yield reactor
        loop = new_event_loop()
        with self.reactor(lambda: AsyncioSelectorReactor(loop)) as reactor:
            yield reactor
        loop.close()

    def later(self, reactor: Any, delay: float, made: list[float]) -> DelayedCall:
        """
        Record the duration of a call.
        """
        began = time.monotonic()
        call = reactor.callLater(delay, lambda: made.append(time.monotonic() - began))
        assert isinstance(call, DelayedCall)
        return call

    def turn(self, reactor: Any, done: Callable[[], bool]) -> None:
        """
        Run a reactor until something is true.
        """
        deadline = time.monotonic() + PATIENCE
        while not done():
            self.assertLess(time.monotonic(), deadline, f"the calls of {reactor} are late")
            reactor.iterate(0.01)

    def test_set(self) -> None:
        """
        Whether the clock is set back or forward, no call is late and none is early, including those
        that were pending before the reactor was made steady.
        """
        for sign in (-1, 1):
            for reactor in self.every():
                made: list[float] = []
                self.later(reactor, 0.06, made)
                makeSteady(reactor)
                self.later(reactor, 0.05, made)
                self.system.ahead += sign * DAY
                self.later(reactor, 0.05, made)
                self.turn(reactor, lambda made=made: len(made) == 3)  # type: ignore[misc]
                for took in made:
                    # The clock of asyncio's loop is rounded.
                    self.assertGreater(took, 0.049, reactor)

    def test_reset(self) -> None:
        """
        A call that was pending before and is postponed does not depend on the system's clock.
        """
        for reactor in self.every():
            made: list[float] = []
            call = self.later(reactor, 5, made)
            makeSteady(reactor)
            self.system.ahead += DAY
            call.reset(0.02)
            self.turn(reactor, lambda made=made: bool(made))  # type: ignore[misc]
            self.assertGreater(made[0], 0.019)

    def test_goesOn(self) -> None:
        """
        The seconds of a reactor continue from their current value, since programs take them for the
        time of day.
        """
        for reactor in self.every():
            makeSteady(reactor)
            self.assertApproximates(reactor.seconds(), self.system(), 1)

    def test_others(self) -> None:
        """
        A reactor that does not use the system's clock is unchanged: one in memory, or one that is
        steady already.
        """
        clock: Any = Clock()
        makeSteady(clock)
        self.assertEqual(clock.seconds(), 0)
        with self.reactor(SelectReactor) as reactor:
            reactor.seconds = time.monotonic
            makeSteady(reactor)
            self.assertIs(reactor.seconds, time.monotonic)
