"""
Timers that stay cheap when there are ten thousand of them.

L{LoopingCall} is the right tool for one timer per connection, but an expensive one: each tick
makes a L{Deferred}, two closures and a delayed call of the reactor, which has to keep all of
them sorted.  L{Ticker} is a L{LoopingCall} that makes no L{Deferred} unless its function
returns one, and L{TimerWheel} is a clock that puts all calls due within the same few
milliseconds into one delayed call.
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

#: The results that L{LoopingCall} waits for (see L{maybeDeferred}).
_ASYNCHRONOUS = (Deferred, CoroutineType, Failure)


#: Smaller steps back of the system clock are ignored, in seconds.
SET_BACK = 1.0


_log = Logger()


def steady(clock: IReactorTime) -> Callable[[], float]:
    """
    Choose how to measure time with a clock.

    @return: the clock's C{seconds}; for a reactor, whose C{seconds} are those of the system
        clock, which can be set, L{time.monotonic}.
    """
    return time.monotonic if IReactorCore.providedBy(clock) else clock.seconds


class Ticker(LoopingCall):
    """
    A L{LoopingCall} with a cheaper tick, and otherwise the same.

    If there are many, set C{clock} to a L{TimerWheel} before C{start}.

    @since: 0.2
    """

    def __call__(self) -> None:
        """
        Call the function, and schedule the next tick.
        """
        self.call = None
        try:
            result = self.tick()
        except BaseException:
            # BaseException, as in maybeDeferred.
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

        @return: its result; if that is a L{Deferred}, the next tick waits for it.
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
            # So close to the tick that rounding loses the difference: this is the tick that
            # has just happened, and the next is a whole interval away.
            delay = interval
        self.call = clock.callLater(delay, self.__call__)

    def _failed(self, failure: Failure) -> None:
        self.running = False
        done, self._deferred = self._deferred, None
        assert done is not None, "a LoopingCall that was started has a Deferred"
        done.errback(failure)


class WheelCall:
    """
    One call that a L{TimerWheel} will make: the part of L{IDelayedCall} that timers need.
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
        @return: when the call is due, in the wheel's seconds.
        """
        return self.time

    def active(self) -> bool:
        """
        @return: whether the call is pending.
        """
        return self._slot is not None

    def cancel(self) -> None:
        """
        Cancel the call.  Does nothing if it was made or cancelled already.
        """
        slot = self._slot
        if slot is not None:
            self._slot = self._function = None
            self._args = ()
            slot.cancelled()


class _Slot:
    """
    The calls that are due within the same few milliseconds.

    @ivar latest: when the last of them is due, and all of them are made.
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

    No call is made early.  A call that shares its slot with others is made at most C{resolution}
    late, a call that is alone in it exactly when the reactor would make it.  A cancelled call
    leaves nothing behind.

    A reactor uses the system clock: when that is set back by an hour, all delayed calls are an
    hour late.  The wheel notices when it opens its next slot, and reschedules its calls.

    @ivar clock: where time comes from.
    @ivar seconds: the time; see L{steady}.
    @ivar resolution: how far apart calls that are made together may be due, in seconds.

    @since: 0.2
    """

    def __init__(self, clock: IReactorTime, resolution: float = 0.005) -> None:
        """
        @param clock: where time comes from: a reactor, or a
            L{Clock<twisted.internet.task.Clock>}.
        @param resolution: in seconds.
        """
        self.clock = clock
        self.resolution = resolution
        # Bound once, since each call needs it.
        self.seconds: Callable[[], float] = steady(clock)
        self._ahead = clock.seconds() - self.seconds()
        self._slots: dict[int, _Slot] = {}

    def callLater(
        self, delay: float, function: Callable[..., object], *args: object
    ) -> IDelayedCall:
        """
        Call C{function(*args)} after C{delay} seconds.

        @return: the call, which can be cancelled.
        """
        if delay <= 0:
            # In the next turn of the reactor, not when a slot is due.
            return self.clock.callLater(0, function, *args)
        due = self.seconds() + delay
        number = int(due / self.resolution)
        slot = self._slots.get(number)
        if slot is None:
            # Scheduled with the given delay, not with a time computed from the slot's number:
            # a rounding error could make that early, and a timer that is early ticks once too
            # often.
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
        If the clock was set back, reschedule the calls so that they are not late.
        """
        now = self.seconds()
        ahead = self.clock.seconds() - now
        if ahead < self._ahead - SET_BACK:
            for slot in self._slots.values():
                slot.delayedCall.reset(max(0.0, slot.latest - now))
        self._ahead = ahead

    def _due(self, number: int) -> None:
        """
        The first call of a slot is due: make all of them, or wait until the last is due.
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
                # As in the reactor: the other calls are made even if one fails.
                _log.failure("A timed call failed")

    def _drop(self, slot: _Slot) -> None:
        # A slot whose calls are being made is no longer in the table.
        if self._slots.get(slot.number) is slot:
            del self._slots[slot.number]
            slot.delayedCall.cancel()
