"""
A store in memory whose answers take time, and which fails on demand.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from twisted_sse.format.event import withID
from twisted_sse.store import (
    KeyReused,
    NotKept,
    NotStored,
    Record,
    Repeated,
    StoreAway,
    Tail,
)
from twisted_sse.store.fingerprint import fingerprint
from twisted_sse.store.identifiers import numbered


class Content:
    """
    The content that outlives the process.

    @ivar records: the records, in order, with C{place}.
    @ivar places: their places.
    @ivar origins: the indexes of the records after each origin.
    @ivar holes: the indexes of records before which one is missing.
    @ivar dropped: the number of trimmed records.
    @ivar keys: the fingerprints and the IDs of idempotency keys.
    """

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.places: list[str] = []
        self.holes: set[int] = set()
        self.origins: dict[str, int] = {}
        self.dropped = 0
        self.keys: dict[str, tuple[bytes, Repeated]] = {}
        self.runs = 0
        self.trimmedTopics: dict[str, int] = {}

    def trim(self, count: int) -> None:
        """
        Drop the oldest records.
        """
        for record in self.records[self.dropped : self.dropped + count]:
            for topic in record.topics:
                self.trimmedTopics[topic] = self.records.index(record)
        self.dropped += count


class LateLog:
    """
    A log of a L{LateStore}.

    @ivar deliver: see L{EventLog<twisted_sse.store.EventLog>}.
    @ivar appends: all calls of C{append}.
    @ivar reads: all calls of C{read}.
    """

    def __init__(self, store: LateStore, content: Content, tail: Tail, recent: int) -> None:
        content.runs += 1
        self.makesIDs = store.makesIDs
        self.deliver = store.deliver
        self.maxAge = store.maxAge
        self.prefix = "" if self.makesIDs else f"run{content.runs}."
        self.appends: list[tuple[Sequence[Record], str | None]] = []
        self.reads: list[tuple[str | None, int, frozenset[str] | None]] = []
        self._store = store
        self._content = content
        self._tail = tail
        first = max(content.dropped, len(content.records) - recent)
        self.origin = content.places[first - 1] if first else numbered(self.prefix or "o", 0)
        content.origins[self.origin] = first
        self._hole = False
        tail.received(content.records[first:])

    def append(
        self, records: Sequence[Record], idempotencyKey: str | None = None
    ) -> Deferred[Sequence[str]]:
        """
        See L{EventLog.append<twisted_sse.store.EventLog>}.
        """
        self.appends.append((records, idempotencyKey))
        return self._store.later(lambda: self._append(list(records), idempotencyKey))

    def _append(self, records: list[Record], key: str | None) -> Sequence[str]:
        content = self._content
        if self._store.failing:
            self._hole = True
            raise self._store.failing
        known = None if key is None else content.keys.get(key)
        if known is not None:
            if known[0] != fingerprint(records):
                raise KeyReused("other content")
            return known[1]
        if self._hole:
            content.holes.add(len(content.records))
            self._hole = False
        kept = []
        for record in records:
            event = record.event
            if self.makesIDs:
                assert not event.id, "the log makes the IDs"
                event = withID(event, f"{len(content.records) + len(kept) + 1}-0")
            kept.append(record._replace(event=event))
        ids = [record.event.id or "" for record in kept]
        content.records += kept
        content.places += [record.place or record.event.id or "" for record in kept]
        if key is not None:
            content.keys[key] = fingerprint(records), Repeated(ids)
        if self.makesIDs:
            self._store.receive(kept)
        return ids

    def makes(self, identifier: str) -> bool:
        """
        Whether an ID is from this run, or from one before.
        """
        runs = range(1, self._content.runs + 1)
        return any(identifier.startswith(f"run{number}.") for number in runs)

    def read(
        self, after: str | None, maxBytes: int, topics: frozenset[str] | None = None
    ) -> Deferred[Sequence[Record]]:
        """
        See L{EventLog.read<twisted_sse.store.EventLog>}.
        """
        self.reads.append((after, maxBytes, topics))
        return self._store.later(lambda: self._read(after, maxBytes, topics), reading=True)

    def _read(
        self, after: str | None, maxBytes: int, topics: frozenset[str] | None
    ) -> Sequence[Record]:
        content = self._content
        if self._store.isAway:
            raise StoreAway("it is away")
        if after is None:
            start = content.dropped
        else:
            start = self._find(after)
            if start < content.dropped:
                about = [content.trimmedTopics.get(topic, -1) for topic in topics or ()]
                if topics is None or any(each >= start for each in about):
                    raise NotKept(after)
                start = content.dropped
            elif start in content.holes:
                raise NotKept(after)
        records: list[Record] = []
        size = 0
        for index in range(start, len(content.records)):
            record = content.records[index]
            if index in content.holes and index > start:
                if not records:
                    raise NotKept(after or "")
                break
            if topics is not None and topics.isdisjoint(record.topics):
                continue
            size += len(record.event.encode())
            if records and size > maxBytes:
                break
            records.append(record)
        return records

    def _find(self, after: str) -> int:
        content = self._content
        if after in content.origins:
            return content.origins[after]
        if after in content.places:
            return content.places.index(after) + 1
        ids = [record.event.id for record in content.records]
        if after in ids:
            return len(ids) - ids[::-1].index(after)
        raise NotKept(after)

    def close(self) -> Deferred[None]:
        """
        See L{EventLog.close<twisted_sse.store.EventLog>}.
        """
        if self in self._store.logs:
            self._store.logs.remove(self)
            self._store.closed.append(self)
        return succeed(None)

    @property
    def tail(self) -> Tail:
        """
        The channel's tail.
        """
        return self._tail


class LateStore:
    """
    Stores records in memory, and answers when the clock is advanced.

    @ivar content: the stored content, by channel name.
    @ivar delay: how many seconds an answer takes; L{None} to answer immediately.
    @ivar maxAge: see L{EventLog<twisted_sse.store.EventLog>}.
    @ivar failing: the exception with which appending fails.
    @ivar known: the problem that the store reports.
    @ivar isAway: whether it cannot be read or opened.
    @ivar opening: the exception with which opening fails.
    """

    def __init__(
        self,
        clock: Clock,
        content: dict[str, Content] | None = None,
        makesIDs: bool = False,
        deliver: str = "at once",
        delay: float | None = 0.01,
        isAway: bool = False,
        maxAge: float | None = None,
    ) -> None:
        self.content: dict[str, Content] = {} if content is None else content
        self.makesIDs = makesIDs
        self.deliver = deliver
        self.delay = delay
        self.failing: Exception | None = None
        self.known: str | None = None
        self.opening: Exception | None = None
        self.isAway = isAway
        self.maxAge = maxAge
        self.logs: list[LateLog] = []
        self.closed: list[LateLog] = []
        self._clock = clock

    def later(self, act: Callable[[], Any], reading: bool = False) -> Deferred[Any]:
        """
        Do something, and answer later.
        """
        answer: Deferred[Any] = Deferred()

        def go() -> None:
            try:
                result = act()
            except (NotStored, NotKept, StoreAway, KeyReused) as e:
                answer.errback(Failure(e))
            else:
                answer.callback(result)

        if self.delay is None:
            go()
        else:
            self._clock.callLater(self.delay, go)
        return answer

    def receive(self, records: Sequence[Record]) -> None:
        """
        Pass appended records to all channels.
        """
        for log in self.logs:
            log.tail.received(records)

    def open(self, name: str, tail: Tail, recent: int) -> Deferred[LateLog]:
        """
        See L{EventStore.open<twisted_sse.store.EventStore>}.
        """
        if self.opening is not None:
            return fail(self.opening)
        if self.isAway:
            return fail(StoreAway("it is away"))

        def opened() -> LateLog:
            content = self.content.setdefault(name, Content())
            log = LateLog(self, content, tail, recent)
            self.logs.append(log)
            return log

        return self.later(opened)

    def problem(self) -> str | None:
        """
        See L{EventStore.problem<twisted_sse.store.EventStore>}.
        """
        return "it is away" if self.isAway else self.known

    def close(self) -> Deferred[None]:
        """
        See L{EventStore.close<twisted_sse.store.EventStore>}.
        """
        return succeed(None)
