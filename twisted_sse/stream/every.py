"""
A loop that calls a function and sends what it returns, for
L{EventStream.every<twisted_sse.stream.stream.EventStream.every>}.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import iscoroutine
from typing import Any, Protocol, cast

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..format.event import Event
from ..timing.ticker import Ticker, TimerWheel
from .asked import Asked
from .awaited import cancel
from .feed import Feed

__all__ = ["Emission", "Emitter"]


_log = Logger()


class Emitter(Protocol):
    """
    What an emission needs of its response.
    """

    def send(self, event: Event, /) -> bool:
        """
        Send one event.  Does not raise; the result is ignored.
        """

    @property
    def asked(self) -> Asked:
        """For the log."""

    def detach(self, feed: Feed, /) -> None:
        """
        The loop has ended before the response.
        """

    def fail(self, failure: Failure, /) -> None:
        """
        The function failed: end the response.  Called after C{detach}.
        """


class Emission(Ticker, Feed):
    """
    A loop that sends what its function returns.
    """

    def __init__(self, emitter: Emitter, emit: Callable[[], object]) -> None:
        super().__init__(emit)
        self._emitter: Emitter | None = emitter
        # Once it is finished.
        self._asked: Asked | None = None
        self._waiting: Deferred[Any] | None = None

    def begin(self, wheel: TimerWheel, interval: float, now: bool) -> None:
        """
        Start the loop.
        """
        self.clock = cast(Any, wheel)
        self.start(interval, now).addCallbacks(self._stopped, self._end)

    def finish(self, now: bool) -> None:
        """
        The stream has ended: stop the loop.

        @param now: L{True} if this is certainly not called by the function itself.
        """
        if self._emitter is not None:
            self._asked = self._emitter.asked
            self._emitter = None
        if self.running:
            self.stop()
        if self._waiting is not None:
            if now:
                cancel(self._waiting)
            else:
                # A coroutine that may be running right now cannot be cancelled before it waits.
                self.clock.callLater(0, cancel, self._waiting)

    def tick(self) -> Deferred[Any] | None:
        """
        See L{Ticker.tick}.
        """
        result = self.f()
        if type(result) is Event:
            # Checked first: this is nearly every tick.
            emitter = self._emitter
            if emitter is not None:
                emitter.send(result)
            return None
        if result is None:
            return None
        if iscoroutine(result):
            result = Deferred.fromCoroutine(result)
        if isinstance(result, Deferred):
            # The next tick waits for this one.
            self._waiting = result
            result.addBoth(self._arrived)
            if self._emitter is None:
                # It has ended the stream, and is now waiting for something else.
                cancel(result)
            return result
        self._send(result)
        return None

    def _arrived(self, result: object) -> object:
        self._waiting = None
        if isinstance(result, Failure):
            return result
        if result is not None:
            self._send(result)
        return None

    def _send(self, result: object) -> None:
        if isinstance(result, str):
            result = Event(result)
        if not isinstance(result, Event):
            raise TypeError(
                f"{self.f!r} returned {result!r}: it must return an Event, a str (its "
                "data), None (nothing this time), or a Deferred or coroutine of one "
                "of these"
            )
        if self._emitter is not None:
            self._emitter.send(result)

    def _stopped(self, _: object) -> None:
        self._end(None)

    def _end(self, failure: Failure | None) -> None:
        emitter, self._emitter = self._emitter, None
        # After finish() the response takes no more failures; a cancellation is expected.
        if emitter is not None:
            emitter.detach(self)
            if failure is not None:
                emitter.fail(failure)
        elif failure is not None and not failure.check(CancelledError):
            assert self._asked is not None, "its stream has ended"
            _log.failure(
                "The function that makes events for {address} ({asked}) failed, and "
                "the stream has ended",
                failure,
                **self._asked.logged(),
            )
            failure.cleanFailure()
