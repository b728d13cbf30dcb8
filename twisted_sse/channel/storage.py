"""
A channel's store: opening it, what it tells, and closing it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..format.event import Event
from ..store.contract import EventLog, EventStore, NotStored, Record, StoreAway
from ..store.entry import Entry, entryOf
from ..store.memory import History
from ..timing.backoff import Backoff
from ..timing.slices import inSlices
from .older import Older
from .writing import MOST, Writing

__all__ = ["Storage"]

#: How many records are asked for at the opening if the history has no limit on events.
RECENT = 10_000

#: For how many seconds what is published waits for a store that is away to be opened.
PATIENCE = 5.0

#: How long to wait before opening a store that is away again, in seconds.
BACKOFF = Backoff(initial=0.1, maximum=5.0)

_log = Logger()


class Storage:
    """
    Stands between a channel and its store.  It is the L{Tail<twisted_sse.store.contract.Tail>}.

    @ivar log: what was opened; L{None} before.
    @ivar older: reads what only the store has; L{None} before the log is open, and after the end.
    @ivar writing: what is on its way into the log.
    """

    def __init__(
        self,
        store: EventStore,
        name: str,
        history: History,
        clock: Callable[[], IReactorTime],
        deliver: Callable[[Entry], None],
        opened: Callable[[Sequence[tuple[Entry, float]], float | None], None],
        broken: Callable[[str], None],
        released: Callable[[], None],
    ) -> None:
        """
        @param name: the name of the channel.
        @param history: the window in front of the store.
        @param clock: finds where time comes from.
        @param deliver: called with each event when subscribers may be sent it.
        @param opened: called when the log is open, with the newest events that it has, each with
            its age in seconds; and for how many seconds the log keeps an event at most.
        @param broken: called with the origin when continuity is lost.
        @param released: called when no event waits any more to be delivered.
        """
        self.log: EventLog | None = None
        self.older: Older | None = None
        self.writing = Writing(repr(name), store.problem, deliver, self._settled, released)
        self._store = store
        # A store that gives IDs as events are published may be waiting for the reactor to run.
        self._openNow: Callable[[], object] | None = getattr(store, "openNow", None)
        self._name = name
        self._history = history
        self._clock = clock
        self._deliver = deliver
        self._opened = opened
        self._broken = broken
        # What was received before the log was open.
        self._recent: list[Record] = []
        self._ready: dict[Deferred[None], None] = {}
        self._failure: Failure | None = None
        self._isClosed = False
        self._isAway = False
        self._tries = 0
        # Why the last try has failed.
        self._why: str | None = None
        self._call: IDelayedCall | None = None
        self._turn: IDelayedCall | None = None
        # When the queued writes have waited long enough.
        self._expiry: IDelayedCall | None = None

    # What the channel calls

    def open(self) -> None:
        """
        Open the log, if this was not called before.
        """
        if not (self._tries or self._isClosed):
            self._open()

    def whenReady(self) -> Deferred[None]:
        """
        @return: a new L{Deferred} each time, which fires when the log is open, or has failed
            permanently.
        """
        self.open()
        if self._failure is not None:
            return fail(self._failure)
        if self.log is not None:
            return succeed(None)
        ready = self._ready
        waiting: Deferred[None] = Deferred(lambda cancelled: ready.pop(cancelled, None))
        ready[waiting] = None
        return waiting

    def entry(self, event: Event, topics: frozenset[str], private: bool) -> Entry:
        """
        Make an entry of an event that is about to be published: see L{Writing.entry}.
        """
        # First, since a log that is opened at once knows the ID.
        self.open()
        if self.log is None and self._openNow is not None:
            self._openNow()
        return self.writing.entry(event, topics, private)

    def publish(
        self,
        entries: Sequence[Entry],
        key: str | None = None,
        waiting: Deferred[Sequence[Event]] | None = None,
    ) -> None:
        """
        Publish some events: see L{Writing.publish}.

        @raise NotStored: if too much is waiting to be stored, or the log could not be opened.
        """
        failure = self._failure
        if failure is not None:
            raise NotStored(False, failure.getErrorMessage()) from failure.value
        size = sum([len(entry.data) for entry in entries])
        if self.writing.size and self.writing.size + size > MOST:
            raise NotStored(
                False,
                f"{MOST >> 20} MiB of events are waiting to be stored: publish again later",
            )
        self.writing.publish(entries, time.time(), key, waiting)
        if self.older is not None:
            for entry in entries:
                if entry.place:
                    self.older.giveAgain(entry.event.id or "", entry.place)
        self._flushSoon()
        self._expireLater()

    def changeClock(self) -> None:
        """
        There is another clock: what was to happen later happens soon, by the new one.
        """
        turn, self._turn = self._turn, None
        if turn is not None:
            turn.cancel()
            self._flushSoon()
        if self._call is not None:
            self._call.cancel()
            self._call = self._clock().callLater(0, self._open)
        expiry, self._expiry = self._expiry, None
        if expiry is not None:
            expiry.cancel()
            self._expireLater()
        if self.older is not None:
            self.older.retry()

    def close(self) -> Deferred[None]:
        """
        Store what was published, and close the log.
        """
        if self._isClosed:
            return succeed(None)
        self._isClosed = True
        for call in (self._call, self._turn, self._expiry):
            if call is not None:
                call.cancel()
        self._call = self._turn = self._expiry = None
        if self.older is not None:
            self.older.close()
            self.older = None
        if self.log is None:
            self._end(Failure(StoreAway("the channel was closed before the store was open")))
            return succeed(None)
        self.writing.flush()
        return self.log.close()

    # Tail: what the log calls

    def received(self, records: Sequence[Record]) -> None:
        """
        See L{Tail<twisted_sse.store.contract.Tail>}.
        """
        if self.log is None:
            self._recent += records
            return
        for record in records:
            self._deliver(entryOf(record))
        self._history.settle(self._history.end, True)

    def broken(self, origin: str) -> None:
        """
        See L{Tail<twisted_sse.store.contract.Tail>}.
        """
        self._recent.clear()
        if self.log is None or self._isClosed:
            return
        if self.older is not None:
            self.older.restart()
        self._broken(origin)

    def away(self, why: str | None) -> None:
        """
        See L{Tail<twisted_sse.store.contract.Tail>}.
        """
        if why is not None:
            # What the store itself says is not repeated by each channel.
            if not self._isAway and self._store.problem() is None:
                self._isAway = True
                _log.warn(
                    "Channel {name!r}: the store is unavailable: {why}", name=self._name, why=why
                )
        else:
            if self._isAway:
                self._isAway = False
                _log.info("Channel {name!r}: the store is available again", name=self._name)
            if self.older is not None:
                self.older.retry()

    # Opening

    def _open(self) -> None:
        self._call = None
        self._tries += 1
        self._recent.clear()
        recent = self._history.maxEvents
        opening = maybeDeferred(
            self._store.open, self._name, self, RECENT if recent is None else recent
        )
        opening.addCallbacks(self._use, self._notOpened).addErrback(self._fail)

    def _use(self, log: EventLog) -> None:
        if self._isClosed:
            log.close()
            return
        self.away(None)
        self.log = log
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None
        self._history.front(log.origin)
        recent, self._recent = self._recent, []
        self.older = Older(log, self._history, self._clock)
        now = time.time()
        self._opened(
            [(entryOf(record), max(0.0, now - record.time)) for record in recent],
            getattr(log, "maxAge", None),
        )
        self._history.settle(self._history.end, True)
        self.writing.open(log)
        self._flushSoon()
        self._fire(None)

    def _notOpened(self, failure: Failure) -> None:
        if self._isClosed:
            return
        if not failure.check(StoreAway):
            self._fail(failure)
            return
        self._why = failure.getErrorMessage()
        self.away(self._why)
        self._call = self._clock().callLater(BACKOFF.afterFailure(self._tries, None), self._open)

    def _expireLater(self) -> None:
        """
        Publishing fails before long if a store cannot be opened now.
        """
        if self.log is None and self._expiry is None and self.writing.writes:
            self._expiry = self._clock().callLater(PATIENCE, self._expire, self.writing.writes)

    def _expire(self, most: int) -> None:
        self._expiry = None
        # A store that is being opened takes its time.
        if self._why is not None:
            self.writing.fail(self._why, most)
        self._expireLater()

    def _fail(self, failure: Failure) -> None:
        _log.failure("Channel {name!r}: the store cannot be opened", failure, name=self._name)
        self._end(failure)

    def _end(self, failure: Failure) -> None:
        """
        The log will never be open.
        """
        self._failure = failure
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None
        self.writing.fail(failure.getErrorMessage())
        self._fire(failure)

    def _fire(self, outcome: Failure | None) -> None:
        ready, self._ready = self._ready, {}

        def fire(each: Deferred[None]) -> None:
            # It may have been cancelled.
            if each in ready:
                del ready[each]
                each.callback(outcome)

        if ready:
            # Most are those of subscribers, which will all be sent something.
            inSlices(self._clock(), ready, fire)

    # Writing

    def _flushSoon(self) -> None:
        if self._turn is None and self.log is not None and self.writing.events:
            self._turn = self._clock().callLater(0, self._flush)

    def _flush(self) -> None:
        self._turn = None
        self.writing.flush()

    def _settled(self, entries: Sequence[Entry], isStored: bool) -> None:
        last = entries[-1].position
        # After broken() it may be about events before.
        if last >= self._history.settled:
            self._history.settle(last + 1, isStored)
        if self.older is not None:
            given = {entry.event.id or "" for entry in entries if entry.place}
            if given:
                self.older.forget(given)
