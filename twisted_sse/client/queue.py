"""
The queue between a connection and the code that iterates over its events.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred

from ..format.parser import MessageEvent

__all__ = ["EventQueue"]

#: How many events make the queue full, and at how many there is room again.
MOST_QUEUED = 256
FEW_QUEUED = 64

#: How many bytes of the stream make the queue full.  Then there is room again when it is empty.
MOST_BYTES = 2**20


class EventQueue:
    """
    Events that have arrived and have not been taken yet.

    It always accepts more events: L{isFull} asks the producer to stop.

    @ivar onRoom: called when there is room again after the queue was full.
    @ivar onCancel: called when the caller that waits for the next event is cancelled.
    @ivar isFull: whether no more events should be put in for now.
    @ivar isClosed: whether L{close} was called, so that events are ignored.
    """

    def __init__(self, onRoom: Callable[[], object], onCancel: Callable[[], object]) -> None:
        self.onRoom = onRoom
        self.onCancel = onCancel
        self.isFull = False
        self.isClosed = False
        self._events: deque[MessageEvent] = deque()
        # How many bytes the events had that were put in since the queue was last empty.
        self._bytes = 0
        # At how many events there is room again.
        self._few = FEW_QUEUED
        self._waiting: Deferred[None] | None = None
        self._hasEnded = False
        self._error: BaseException | None = None

    @property
    def isAwaited(self) -> bool:
        """
        Whether a caller is waiting for the next event.
        """
        return self._waiting is not None

    def put(self, events: Sequence[MessageEvent], size: int) -> None:
        """
        Add events at the end.

        @param size: how many bytes of the stream they have taken.
        """
        if self.isClosed:
            return
        if not self._events:
            self._bytes = 0
        self._events.extend(events)
        self._bytes += size
        if self._bytes >= MOST_BYTES:
            self.isFull, self._few = True, 0
        elif len(self._events) >= MOST_QUEUED:
            self.isFull, self._few = True, FEW_QUEUED
        self._wake()

    def end(self, error: BaseException | None = None) -> None:
        """
        Mark the end: there will be no more events.

        @param error: what is raised after the last queued event; L{None} if the iteration is
            simply over.
        """
        self._hasEnded = True
        self._error = None if self.isClosed else error
        self._wake()

    def close(self) -> None:
        """
        Drop the queued events, and the error after them: the iteration is over.
        """
        self.isClosed = True
        self.isFull = False
        self._events.clear()
        self.end()

    def forget(self) -> None:
        """
        Wake no caller any more.  This is for a queue that no caller can refer to: one that seems to
        wait is being destroyed.
        """
        self._waiting = None

    def _wake(self) -> None:
        waiting = self._waiting
        if waiting is not None and (self._events or self._hasEnded):
            self._waiting = None
            waiting.callback(None)

    def _cancelled(self, waiting: Deferred[None]) -> None:
        self._waiting = None
        self.onCancel()

    async def take(self, holder: object) -> MessageEvent:
        """
        Take the next event; wait for it if there is none.

        @param holder: kept alive meanwhile: the object whose end closes this queue.
        @raise StopAsyncIteration: if there will be no more.
        @raise RuntimeError: if another caller is waiting already.
        """
        while not self._events:
            if self._hasEnded:
                error, self._error = self._error, None
                if error is not None:
                    raise error
                raise StopAsyncIteration
            if self.isAwaited:
                raise RuntimeError(
                    "another caller is already waiting for the next event: only one can iterate"
                )
            waiting = self._waiting = Deferred(self._cancelled)
            await waiting
        event = self._events.popleft()
        if self.isFull and len(self._events) <= self._few:
            self.isFull = False
            self.onRoom()
        return event
