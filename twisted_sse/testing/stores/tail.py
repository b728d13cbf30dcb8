"""
What tests of a store need in place of a channel.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred

from ...format.event import Event
from ...store.contract import EventLog, EventStore, Record
from ...store.identifiers import numbered

__all__ = ["MemoryTail", "OpenedLog", "nameOf"]

#: In how many pieces a log is read at most.  Without this, a log that never ends would hang a test.
MOST_PIECES = 100_000


def nameOf(record: Record) -> str:
    """
    @return: the name of the place after a record that is kept.
    """
    return record.place or record.event.id or ""


class MemoryTail:
    """
    A L{Tail<twisted_sse.store.contract.Tail>} that remembers what it receives.

    @ivar records: all records received.
    @ivar calls: how many calls they came in.
    @ivar origins: the argument of each call of C{broken}.
    @ivar reasons: the argument of each call of C{away}.

    @since: 0.2
    """

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.calls = 0
        self.origins: list[str] = []
        self.reasons: list[str | None] = []
        self._waiting: list[tuple[Callable[[], bool], Deferred[None]]] = []

    def received(self, records: Sequence[Record], /) -> None:
        """
        There are records.
        """
        self.records += records
        self.calls += 1
        self._look()

    def broken(self, origin: str, /) -> None:
        """
        Continuity is lost.
        """
        self.origins.append(origin)
        self._look()

    def away(self, why: str | None, /) -> None:
        """
        The store cannot be reached, or can be again.
        """
        self.reasons.append(why)
        self._look()

    def until(self, condition: Callable[[], bool]) -> Deferred[None]:
        """
        Wait until something is true of what the tail has received.
        """
        done: Deferred[None] = Deferred()
        self._waiting.append((condition, done))
        self._look()
        return done

    def _look(self) -> None:
        waiting, self._waiting = self._waiting, []
        for condition, done in waiting:
            if condition():
                done.callback(None)
            else:
                self._waiting.append((condition, done))


class OpenedLog:
    """
    A log that was opened, with its tail, and with what a channel does before it appends.

    @ivar log: the log.
    @ivar tail: its tail.

    @since: 0.2
    """

    def __init__(self, log: EventLog, tail: MemoryTail) -> None:
        self.log = log
        self.tail = tail
        self._number = 0

    @classmethod
    async def of(cls, store: EventStore, name: str = "news", recent: int = 1000) -> OpenedLog:
        """
        Open a log.
        """
        tail = MemoryTail()
        return cls(await store.open(name, tail, recent), tail)

    def prepared(self, records: Sequence[Record]) -> list[Record]:
        """
        Give records IDs and places, as a channel does if the log does not make the IDs.
        """
        if self.log.makesIDs:
            return list(records)
        done = []
        for record in records:
            self._number += 1
            own = numbered(self.log.prefix, self._number)
            if record.event.id is None:
                done.append(_identified(record, own))
            else:
                done.append(record._replace(place=own))
        return done

    def append(
        self, records: Sequence[Record], key: str | None = None
    ) -> Deferred[Sequence[Record]]:
        """
        Append records that have no IDs, or those of an application.

        @return: fires with the records as they are kept.
        """
        prepared = self.prepared(records)

        def appended(identifiers: Sequence[str]) -> Sequence[Record]:
            if len(identifiers) != len(prepared):
                raise AssertionError(f"{len(identifiers)} IDs of {len(prepared)} records")
            return [
                _identified(record, identifier)
                for record, identifier in zip(prepared, identifiers, strict=True)
            ]

        return self.log.append(prepared, key).addCallback(appended)

    async def write(self, *records: Record, key: str | None = None) -> Sequence[Record]:
        """
        Append records, and wait until they can be read.
        """
        kept = await self.append(records, key)
        await self.seen(kept)
        return kept

    async def seen(self, records: Sequence[Record]) -> None:
        """
        Wait until records can be read, which have been appended.
        """
        if self.log.makesIDs and records:
            tail = self.tail
            last = records[-1].event.id

            def isTold() -> bool:
                # Most often it is the newest.
                newest = reversed(tail.records)
                return bool(tail.origins) or any(each.event.id == last for each in newest)

            await tail.until(isTold)
            if tail.origins:
                raise AssertionError("the log lost its continuity")

    async def readAll(
        self,
        after: str | None = None,
        maxBytes: int = 2**16,
        topics: frozenset[str] | None = None,
    ) -> Sequence[Record]:
        """
        Read everything after a place, in pieces.
        """
        found: list[Record] = []
        for _ in range(MOST_PIECES):
            piece = await self.log.read(after, maxBytes, topics)
            if not piece:
                return found
            found += piece
            after = nameOf(piece[-1])
        raise AssertionError(f"after {len(found)} records there is still no end")


def _identified(record: Record, identifier: str) -> Record:
    event = record.event
    if event.id == identifier:
        return record
    return record._replace(
        event=Event(event.data, event.event, identifier, event.retry, event.comment)
    )
