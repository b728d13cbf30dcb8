"""
Timers that are cheap ten thousand times.

L{LoopingCall} is the right tool for one timer per connection, and its cost is what keeps
people from using it so: each tick makes a L{Deferred}, two closures and a delayed call of
the reactor, which has to keep all of them sorted.  L{Ticker} is a L{LoopingCall} that makes
no L{Deferred} for a function that returns none, and L{TimerWheel} is a clock for it that
puts all calls which are due within the same few milliseconds into one delayed call.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from types import CoroutineType
from typing import cast

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IDelayedCall, IReactorCore, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

__all__ = ["Ticker", "TimerWheel", "WheelCall", "steady"]

#: What a function may return that L{LoopingCall} waits for (see L{maybeDeferred}).
_ASYNCHRONOUS = (Deferred, CoroutineType, Failure)


#: By how much the system's clock must have been set back to be worth the trouble, in seconds.
SET_BACK = 1.0


_log = Logger()


def steady(clock: IReactorTime) -> Callable[[], float]:
    """
    Find out how to measure time with a clock.

    @return: the clock's C{seconds}; or, if it is a reactor, whose seconds are those of the
        system's clock, which people set, those of a clock that nobody sets.
    """
    return time.monotonic if IReactorCore.providedBy(clock) else clock.seconds


class Ticker(LoopingCall):
    """
    A L{LoopingCall} with a cheaper tick; in everything else the same.

    Set C{clock} to a L{TimerWheel} before C{start}, where there are many of them.

    @since: 0.1
    """

    def __call__(self) -> None:
        """
        One tick.
        """
        self.call = None
        try:
            result = self.tick()
        except BaseException:
            # All of them, as maybeDeferred does.
            self._failed(Failure())
            return
        if result is None or not isinstance(result, _ASYNCHRONOUS):
            self._ticked(result)
        else:
            ticked: Deferred[object] = maybeDeferred(lambda: result)
            ticked.addCallback(self._ticked)
            ticked.addErrback(self._failed)

    def tick(self) -> object:
        """
        Call the function.

        @return: what it returned: nothing more happens until that has fired, if it is a
            L{Deferred}.
        """
        return self.f(*self.a, **self.kw)

    def _ticked(self, result: object) -> None:
        if not self.running:
            done, self._deferred = self._deferred, None
            assert done is not None, "a LoopingCall that was started has a Deferred"
            done.callback(self)
            return
        clock, interval = self.clock, self.interval
        if not interval:
            self.call = clock.callLater(0, self.__call__)
            return
        now = clock.seconds()
        delay = interval - (now - self.starttime) % interval  # type: ignore[operator]
        if now + delay == now:
            # So close to the tick that the difference is lost in rounding: it is this one
            # that has just happened, the next is a whole interval away.
            delay = interval
        self.call = clock.callLater(delay, self.__call__)

    def _failed(self, failure: Failure) -> None:
        self.running = False
        done, self._deferred = self._deferred, None
        assert done is not None, "a LoopingCall that was started has a Deferred"
        done.errback(failure)


class WheelCall:
    """
    One call that a L{TimerWheel} is going to make: the part of L{IDelayedCall} that timers
    need.
    """

    __slots__ = ("_args", "_function", "_slot", "time")

    def __init__(
        self, time: float, slot: _Slot, function: Callable[..., object], args: tuple[object, ...]
    ) -> None:
        self.time = time
        self._slot: _Slot | None = slot
        self._function: Callable[..., object] | None = function
        self._args = args

    def getTime(self) -> float:
        """
        @return: when the call is due, in the seconds of the wheel's clock.
        """
        return self.time

    def active(self) -> bool:
        """
        @return: whether the call is still to come.
        """
        return self._slot is not None

    def cancel(self) -> None:
        """
        Do not make the call.  Does nothing when it was made or cancelled already.
        """
        slot = self._slot
        if slot is not None:
            self._slot = self._function = None
            self._args = ()
            slot.cancelled()


class _Slot:
    """
    The calls that are due within the same few milliseconds.

    @ivar latest: when the last of them is due: then all of them are made.
    @ivar waiting: how many of C{calls} are not cancelled.
    """

    __slots__ = ("_wheel", "calls", "delayedCall", "latest", "number", "waiting")

    def __init__(self, wheel: TimerWheel, number: int, delayedCall: IDelayedCall) -> None:
        self._wheel = wheel
        self.number = number
        self.calls: list[WheelCall] = []
        self.waiting = 0
        self.latest = 0.0
        self.delayedCall = delayedCall

    def cancelled(self) -> None:
        self.waiting -= 1
        if not self.waiting:
            self._wheel._drop(self)


class TimerWheel:
    """
    A clock for many timers: calls that are due within the same C{resolution} share one
    delayed call of the reactor.

    No call is made early; one that shares its slot with others is made at most
    C{resolution} late; one that is alone in it is made exactly when the reactor would make
    it.  What is cancelled leaves nothing behind.

    A reactor goes by the system's clock: when that is set back by an hour, all that is due is
    an hour late.  The wheel notices as soon as anybody asks it for another call, and puts all
    of its calls right.

    @ivar clock: where time comes from.
    @ivar seconds: the time; see L{steady}.
    @ivar resolution: how far apart calls may be that are made together, in seconds.

    @since: 0.1
    """

    def __init__(self, clock: IReactorTime, resolution: float = 0.005) -> None:
        """
        @param clock: where time comes from: a reactor, or a
            L{Clock<twisted.internet.task.Clock>}.
        @param resolution: in seconds.
        """
        self.clock = clock
        self.resolution = resolution
        # Looked up for each call: bound once.
        self.seconds: Callable[[], float] = steady(clock)
        self._ahead = clock.seconds() - self.seconds()
        self._slots: dict[int, _Slot] = {}

    def callLater(
        self, delay: float, function: Callable[..., object], *args: object
    ) -> IDelayedCall:
        """
        Call C{function(*args)} after C{delay} seconds.

        @return: the call, to be cancelled if need be.
        """
        if delay <= 0:
            # The next turn means the next turn, not when a slot is due.
            return self.clock.callLater(0, function, *args)
        due = self.seconds() + delay
        number = int(due / self.resolution)
        slot = self._slots.get(number)
        if slot is None:
            # Armed with the delay as it was given, not with a time made from the slot's
            # number: that would be early or late by a rounding error, and one tick early
            # is one tick too many.
            self._putRight()
            delayedCall = self.clock.callLater(delay, self._due, number)
            slot = self._slots[number] = _Slot(self, number, delayedCall)
        if due > slot.latest:
            slot.latest = due
        call = WheelCall(due, slot, function, args)
        slot.calls.append(call)
        slot.waiting += 1
        return cast(IDelayedCall, call)

    def _putRight(self) -> None:
        """
        If the clock was set back, have all calls made when they are due nevertheless.
        """
        now = self.seconds()
        ahead = self.clock.seconds() - now
        if ahead < self._ahead - SET_BACK:
            for slot in self._slots.values():
                slot.delayedCall.reset(max(0.0, slot.latest - now))
        self._ahead = ahead

    def _due(self, number: int) -> None:
        """
        The first call of a slot is due: make them all, or wait for the last.
        """
        slot = self._slots[number]
        now = self.seconds()
        if now < slot.latest:
            delay = slot.latest - now
            if now + delay < slot.latest:
                delay += math.ulp(slot.latest)
            slot.delayedCall = self.clock.callLater(delay, self._due, number)
            return
        del self._slots[number]
        for call in slot.calls:
            function, args = call._function, call._args
            if function is None:
                continue
            call._slot = call._function = None
            try:
                if args:
                    function(*args)
                else:
                    function()
            except BaseException:
                # As the reactor does: one call that fails must not take the others with it.
                _log.failure("A timed call failed")

    def _drop(self, slot: _Slot) -> None:
        # A slot that is being run is not in the table any more.
        if self._slots.get(slot.number) is slot:
            del self._slots[slot.number]
            slot.delayedCall.cancel()
