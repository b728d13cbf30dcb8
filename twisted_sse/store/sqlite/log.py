"""
The log of one channel, as the channel sees it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure

from ..contract import NotKept, NotStored, Record, StoreAway, Tail
from ..identifiers import number
from .items import Append, Barrier, Item, Question, Read
from .rows import numberOf
from .state import State

__all__ = ["Counts", "SQLiteLog"]


class Counts:
    """
    What only the reactor's thread counts.

    @ivar waiting: how many records are not stored yet.
    """

    def __init__(self) -> None:
        self.waiting = 0


class SQLiteLog:
    """
    See L{EventLog<twisted_sse.store.contract.EventLog>}.

    @ivar state: what the writer knows of it.
    """

    makesIDs = False

    def __init__(
        self,
        state: State,
        tail: Tail,
        origin: str,
        deliver: str,
        maxAge: float | None,
        counts: Counts,
        write: Callable[[Item], object],
        ask: Callable[[Question], object],
        closed: Callable[[SQLiteLog], Deferred[None]],
    ) -> None:
        self.state = state
        self.prefix = state.token
        self.origin = origin
        self.deliver = deliver
        self.maxAge = maxAge
        self._tail = tail
        self._counts = counts
        self._write = write
        self._ask = ask
        self._closed = closed
        # The numbers of the last records that were appended, and whose outcome is known.
        self._appended = self._settled = 0
        self._isOver = False

    def append(
        self, records: Sequence[Record], idempotencyKey: str | None = None
    ) -> Deferred[Sequence[str]]:
        """
        See L{EventLog.append<twisted_sse.store.contract.EventLog.append>}.
        """
        if not records:
            return succeed(())
        if self._isOver:
            return fail(NotStored(False, "the store is closed"))
        prefix = self.prefix
        last = numberOf(prefix, records[-1])
        if last <= 0:
            return fail(NotStored(False, f"the IDs of records must begin with {prefix!r}"))
        self._appended = last
        self._counts.waiting += len(records)
        outcome: Deferred[Sequence[str]] = Deferred()
        self._write(Append(self, prefix, last, records, idempotencyKey, outcome))
        return outcome

    def makes(self, identifier: str) -> bool:
        """
        Whether an ID is one of those that the channel makes, or has made since there is the file: see
        L{Channel.makesID<twisted_sse.channel.channel.Channel.makesID>}.
        """
        return self.state.runs.made(identifier)

    def settle(self, append: Append, found: Sequence[str] | Exception) -> None:
        """
        It is known what has become of some records.
        """
        self._counts.waiting -= len(append.records)
        if append.prefix == self.prefix:
            self._settled = append.last
        if isinstance(found, Exception):
            append.outcome.errback(Failure(found))
        else:
            append.outcome.callback(found)

    def read(
        self, after: str | None, maxBytes: int, topics: frozenset[str] | None = None
    ) -> Deferred[Sequence[Record]]:
        """
        See L{EventLog.read<twisted_sse.store.contract.EventLog.read>}.
        """
        if self._isOver:
            return fail(StoreAway("the store is closed"))
        outcome: Deferred[Sequence[Record]] = Deferred()
        prefix = self.prefix

        def settle(found: Sequence[Record] | Exception) -> None:
            if prefix != self.prefix:
                found = NotKept("the file was broken, and a new one was begun")
            if isinstance(found, Exception):
                outcome.errback(Failure(found))
            else:
                outcome.callback(found)

        question = Read(self, after, maxBytes, topics, settle)
        place = None if after is None else number(prefix, after)
        if place is not None and self._settled < place <= self._appended:
            # It is on its way.
            self._write(Barrier(partial(self._ask, question)))
        else:
            self._ask(question)
        return outcome

    def close(self) -> Deferred[None]:
        """
        See L{EventLog.close<twisted_sse.store.contract.EventLog.close>}.
        """
        return self._closed(self)

    def end(self) -> None:
        """
        It is being closed: nothing more may be asked of it.
        """
        self._isOver = True

    def broken(self, prefix: str, origin: str) -> None:
        """
        The file was broken, and a new one was begun.
        """
        self.prefix = prefix
        self.origin = origin
        self._appended = self._settled = 0
        self._tail.broken(origin)

    def away(self, why: str | None) -> None:
        """
        The file was broken, and there can be no new one now.
        """
        self._tail.away(why)
