"""
A store whose operations take time, as those of a store with its own thread do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import Clock

from twisted_sse.store import EventLog, EventStore, NotStored, Record, StoreAway, Tail

__all__ = ["DelayedStore"]


class DelayedStore:
    """
    Passes calls on to another store, one by one, each in a separate reactor turn.
    """

    def __init__(
        self,
        store: EventStore,
        clock: IReactorTime | Clock,
        deliver: str = "at once",
        delay: float = 0.0,
    ) -> None:
        """
        @param deliver: see L{EventLog<twisted_sse.store.contract.EventLog>}.
        @param delay: the delay of each operation, in seconds.
        """
        self.deliver = deliver
        self._store = store
        self._clock = clock
        self._delay = delay
        self._waiting: deque[Callable[[], object]] = deque()

    def later(self, act: Callable[[], Deferred[Any]]) -> Deferred[Any]:
        """
        Do something after everything before it is done.
        """
        answer: Deferred[Any] = Deferred()
        self._waiting.append(lambda: maybeDeferred(act).chainDeferred(answer))
        if len(self._waiting) == 1:
            self._clock.callLater(self._delay, self._next)
        return answer

    def _next(self) -> None:
        self._waiting[0]()
        self._waiting.popleft()
        if self._waiting:
            self._clock.callLater(self._delay, self._next)

    def open(self, name: str, tail: Tail, recent: int) -> Deferred[EventLog]:
        """
        Open a log.
        """

        def opened(log: EventLog) -> EventLog:
            return DelayedLog(self, log)

        return self.later(lambda: self._store.open(name, tail, recent).addCallback(opened))

    def problem(self) -> str | None:
        """
        Report what is wrong.
        """
        return self._store.problem()

    def close(self) -> Deferred[None]:
        """
        Close the store, after all earlier calls have finished.
        """
        return self.later(self._store.close)


class DelayedLog:
    """
    A log whose operations take time.
    """

    def __init__(self, store: DelayedStore, log: EventLog) -> None:
        self.makesIDs = log.makesIDs
        self.prefix = log.prefix
        self.origin = log.origin
        self.deliver = store.deliver
        self._store = store
        self._log = log
        self._isClosed = False

    def append(
        self, records: Sequence[Record], idempotencyKey: str | None = None
    ) -> Deferred[Sequence[str]]:
        """
        Append records.
        """
        if self._isClosed:
            return fail(NotStored(why="the log is closed"))
        return self._store.later(lambda: self._log.append(records, idempotencyKey))

    def read(
        self, after: str | None, maxBytes: int, topics: frozenset[str] | None = None
    ) -> Deferred[Sequence[Record]]:
        """
        Read the records after a position.
        """
        if self._isClosed:
            return fail(StoreAway("the log is closed"))
        return self._store.later(lambda: self._log.read(after, maxBytes, topics))

    def close(self) -> Deferred[None]:
        """
        Close the log, after all earlier calls have finished.
        """
        if self._isClosed:
            return succeed(None)
        self._isClosed = True
        return self._store.later(self._log.close)
