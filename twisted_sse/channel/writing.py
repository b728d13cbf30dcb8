"""
Publishing through a store.

Everything is appended in the order in which it was published, in one C{append} for each turn of the
reactor, or several for very many events; only what has an idempotency key is appended by itself.
When the subscribers are handed an event depends on the log:

  - Where the log makes the IDs, when the log says that it has received the event.
  - Else at once, before it is stored; or when it is stored, if the log says so.  While it is not
    known whether an idempotency key was used before, its event and all later ones wait.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Literal

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..format.event import Event, InvalidEvent, withID
from ..store.contract import EventLog, NotStored, Record, Repeated
from ..store.entry import Entry
from ..store.identifiers import numbered

__all__ = ["MOST", "Writing"]

#: How many bytes may wait to be stored.
MOST = 16 * 2**20

#: After this number of events the next begin another C{append}, unless they were published as one
#: batch: the store does nothing for others while it keeps what came with one.
MOST_TOGETHER = 1000

_log = Logger()


class _Write:
    """
    Events that are appended together.

    @ivar entries: the events.
    @ivar key: their idempotency key.
    @ivar isDelivered: whether they were handed to the subscribers before they were stored.
    @ivar waiting: those who wait for some of them: from which index on, up to which.
    @ivar outcome: the answer of the log: the IDs.
    """

    __slots__ = ("entries", "isDelivered", "key", "outcome", "times", "waiting")

    def __init__(self, key: str | None, isDelivered: bool) -> None:
        self.entries: list[Entry] = []
        self.times: list[float] = []
        self.key = key
        self.isDelivered = isDelivered
        self.waiting: list[tuple[Deferred[Sequence[Event]], int, int]] = []
        self.outcome: Sequence[str] | Failure | None = None


class Writing:
    """
    What is on its way into a log.

    @ivar events: how many events are not stored yet.
    @ivar size: how many bytes they have.
    """

    def __init__(
        self,
        where: str,
        problem: Callable[[], str | None],
        deliver: Callable[[Entry], None],
        settled: Callable[[Sequence[Entry], bool], None],
        released: Callable[[], None],
    ) -> None:
        """
        @param where: the channel, for the log.
        @param problem: the store's: what it knows to be the matter it has said itself.
        @param deliver: hands an event to the subscribers.
        @param settled: called with events that were delivered, when nothing up to the last of them
            is on its way into the log any more, and whether they are stored.
        @param released: called when C{isHolding} has become false.
        """
        self.events = 0
        self.size = 0
        self._where = where
        self._problem = problem
        self._deliver = deliver
        self._settled = settled
        self._released = released
        self._log: EventLog | None = None
        # How many entries were made.
        self._number = 0
        # What has to be appended, and what is being appended: the oldest first.
        self._waiting: deque[_Write] = deque()
        self._sent: deque[_Write] = deque()
        # How many writes in both are not delivered yet.
        self._held = 0
        # How many events could not be stored since one was.
        self._lost = 0

    @property
    def writes(self) -> int:
        """
        How many writes wait to be appended.
        """
        return len(self._waiting)

    @property
    def isHolding(self) -> bool:
        """
        Whether there are events that the subscribers have yet to be handed.
        """
        return self._held > 0

    def open(self, log: EventLog) -> None:
        """
        The log is open.  Give what was published before an ID.
        """
        self._log = log
        waiting, self._waiting = self._waiting, deque()
        wasHolding = self.isHolding
        self._held = self.events = self.size = 0
        refused: list[tuple[_Write, Failure]] = []
        for old in waiting:
            try:
                entries = [
                    self.entry(entry.event, entry.topics, entry.private) for entry in old.entries
                ]
            except InvalidEvent:
                refused.append((old, Failure()))
                continue
            write = self._writeFor(old.key)
            start = len(write.entries)
            for entry, time in zip(entries, old.times, strict=True):
                self._add(write, entry, time)
            write.waiting += [
                (each, first + start, end + start) for each, first, end in old.waiting
            ]
        for write, failure in refused:
            self._failed(write, failure)
        if wasHolding and not self.isHolding:
            self._released()

    def entry(self, event: Event, topics: frozenset[str], private: bool) -> Entry:
        """
        Make an entry of an event that is about to be published, with an ID if that is ours to make,
        and can be made already.

        @raise InvalidEvent: if it has an ID, and the log makes the IDs.
        """
        log = self._log
        if log is None:
            return Entry(event, topics, private=private)
        if log.makesIDs:
            if event.id:
                raise InvalidEvent(f"id is {event.id!r}: this store makes the IDs itself", "id")
            if event.id is not None:
                # A message that had no ID is relayed with an empty one.
                event = withID(event, None)
            return Entry(event, topics, private=private)
        # Each record takes a number.
        self._number += 1
        made = numbered(log.prefix, self._number)
        if event.id:
            return Entry(event, topics, place=made, private=private)
        return Entry(withID(event, made), topics, private=private)

    def publish(
        self,
        entries: Sequence[Entry],
        time: float,
        key: str | None = None,
        waiting: Deferred[Sequence[Event]] | None = None,
    ) -> None:
        """
        Publish some events: all, or none.

        @param entries: the events, made by C{entry}.
        @param time: the Unix time.
        @param key: their idempotency key.
        @param waiting: is fired with the events when they are stored.
        """
        write = self._writeFor(key)
        start = len(write.entries)
        for entry in entries:
            self._add(write, entry, time)
        if waiting is not None:
            write.waiting.append((waiting, start, len(write.entries)))

    def flush(self) -> None:
        """
        Append what was published until now.
        """
        log = self._log
        # What is published by those who are answered at once has to wait for the next turn.
        left = len(self._waiting)
        while left and self._waiting and log is not None:
            left -= 1
            write = self._waiting.popleft()
            self._sent.append(write)
            records = [
                Record(entry.event, tuple(entry.topics), entry.private, time, entry.place)
                for entry, time in zip(write.entries, write.times, strict=True)
            ]

            def settle(outcome: Sequence[str] | Failure | None, write: _Write = write) -> None:
                if not isinstance(outcome, Failure) and len(outcome or ()) != len(write.entries):
                    # Otherwise callers would wait forever.
                    why = f"the store returned {outcome!r:.100} for {len(write.entries)} events"
                    outcome = Failure(NotStored(True, why))
                write.outcome = outcome
                self._settle()

            maybeDeferred(log.append, records, write.key).addBoth(settle)

    def fail(self, why: str, most: int | None = None) -> None:
        """
        Nothing can be stored any more, or not soon enough.

        @param most: how many writes that wait to be appended fail, the oldest first; L{None} for all.
        """
        for _ in range(len(self._waiting) if most is None else min(most, len(self._waiting))):
            write = self._waiting.popleft()
            write.outcome = Failure(NotStored(False, why))
            self._sent.append(write)
        self._settle()

    def _writeFor(self, key: str | None) -> _Write:
        """
        Find or make the write for what is published now.
        """
        log = self._log
        isDelivered = not (
            log is None
            or log.makesIDs
            or key is not None
            or self._held
            or _deliversWhen(log) == "stored"
        )
        newest = self._waiting[-1] if self._waiting and log is not None else None
        if newest is not None and newest.key is None and key is None:
            if newest.isDelivered == isDelivered and len(newest.entries) < MOST_TOGETHER:
                return newest
        write = _Write(key, isDelivered)
        self._waiting.append(write)
        self._held += not isDelivered
        return write

    def _add(self, write: _Write, entry: Entry, time: float) -> None:
        write.entries.append(entry)
        write.times.append(time)
        self.events += 1
        self.size += len(entry.data)
        if write.isDelivered:
            self._deliver(entry)

    def _settle(self) -> None:
        """
        Go on with what the log has answered, in order.
        """
        while self._sent and self._sent[0].outcome is not None:
            write = self._sent.popleft()
            self.events -= len(write.entries)
            self.size -= sum([len(entry.data) for entry in write.entries])
            wasHeld = not write.isDelivered
            self._held -= wasHeld
            outcome = write.outcome
            if isinstance(outcome, Failure):
                self._failed(write, outcome)
            else:
                assert outcome is not None, "it was asked above"
                self._succeeded(write, outcome)
            if wasHeld and not self._held:
                self._released()

    def _succeeded(self, write: _Write, ids: Sequence[str]) -> None:
        log = self._log
        assert log is not None, "it has answered"
        if self._lost:
            _log.info(
                "{where}: events are stored again; {lost} were not stored",
                where=self._where,
                lost=self._lost,
            )
            self._lost = 0
        events = published = [entry.event for entry in write.entries]
        if write.key is not None or log.makesIDs:
            events = [
                event if event.id == id else withID(event, id)
                for event, id in zip(published, ids, strict=True)
            ]
        isRepeated = isinstance(ids, Repeated) or events != published
        if not (write.isDelivered or isRepeated or log.makesIDs):
            for entry in write.entries:
                self._deliver(entry)
            write.isDelivered = True
        if write.isDelivered:
            self._settled(write.entries, True)
        for waiting, start, end in write.waiting:
            waiting.callback(events[start:end])

    def _failed(self, write: _Write, failure: Failure) -> None:
        if write.isDelivered:
            self._settled(write.entries, False)
            why = failure.getErrorMessage()
            # Some subscribers have been sent it.
            failure = Failure(NotStored(True, why))
        if failure.check(NotStored):
            if not self._lost and self._problem() is None:
                _log.error(
                    "{where}: an event could not be stored, and more may follow: {why}",
                    where=self._where,
                    why=failure.getErrorMessage(),
                )
            self._lost += len(write.entries)
        elif not write.waiting:
            _log.failure("{where}: an event could not be stored", failure, where=self._where)
        for waiting, _, _ in write.waiting:
            waiting.errback(failure)


def _deliversWhen(log: EventLog) -> Literal["at once", "stored"]:
    """
    @return: when a log wants events to be handed to the subscribers.
    """
    deliver: Literal["at once", "stored"] = getattr(log, "deliver", "at once")
    return deliver
