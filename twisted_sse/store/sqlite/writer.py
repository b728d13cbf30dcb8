"""
The thread that writes.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial

from twisted.logger import Logger
from twisted.python.failure import Failure

from ..contract import KeyReused, NotStored
from ..fingerprint import fingerprint
from .batch import Batch
from .errors import isBusy, isCorrupt, isFull
from .file import File
from .health import Health
from .items import Append, Barrier, Broken, Item, Opened, Repair, Stop, leading
from .keys import findKey, keepKey
from .rows import EVENTS, TOPICS, insert
from .state import State, begin, discard, load
from .trimming import Limits, expires, trim

__all__ = ["Writer"]

#: How many seconds to wait after a failure, before something is tried again.
PAUSE = 1.0

#: How many seconds too late an event may be dropped for its age: each time is a transaction.
LATE = 0.2

#: After how many seconds to look again at a clock that may have been set.
LONGEST = 60.0

_log = Logger()


class Writer:
    """
    Stores what is appended: one transaction for all that is waiting.

    What fails leaves a hole.  The file learns of it with the next transaction that works; until
    then a flag in the lock's file has it, so that it is not forgotten if the process ends.

    @ivar logs: those that are open.  Others change this while they hold the file's C{writing}.
    """

    def __init__(
        self,
        file: File,
        limits: Callable[[str], Limits],
        health: Health,
        tell: Callable[..., object],
    ) -> None:
        """
        @param limits: returns what to keep of a channel.
        @param tell: calls functions in the reactor's thread.
        """
        self.logs: dict[str, Opened] = {}
        self._file = file
        self._limits = limits
        self._health = health
        self._tell = tell
        # Those with a hole that the file does not know, closed ones too.
        self._holes: set[State] = set()
        self._retryAt = 0.0
        # Those to trim even if nothing is appended, and when the next has something too old.
        self._full: set[str] = set()
        self._due: float | None = None
        self._isAway = False

    # Called by the one who opens logs, who holds the file's lock

    def add(self, log: Opened) -> None:
        """
        A log was opened, and the file knows of its holes.
        """
        name = log.state.name
        self.logs[name] = log
        self._holes = {state for state in self._holes if state.name != name}
        # The limits may have been higher before.
        self._full.add(name)

    def pendingHole(self, name: str) -> int:
        """
        @return: the position of a record that could not be stored when the log was open before,
            if the file does not know it; else 0.
        """
        return max((state.hole for state in self._holes if state.name == name), default=0)

    # The thread

    def pause(self) -> float | None:
        """
        See L{Work.pause<twisted_sse.store.sqlite.worker.Work.pause>}.
        """
        if self._health.trouble is not None:
            return max(self._retryAt - time.monotonic(), 0.01)
        if self._full:
            return 0.0
        if self._due is None:
            return None
        return min(max(self._due + LATE - time.time(), 0.01), LONGEST)

    def work(self, items: list[Item]) -> bool:
        """
        See L{Work.work<twisted_sse.store.sqlite.worker.Work.work>}.
        """
        if not items and (self._health.trouble or self._full or self._isDue(time.time())):
            self._store([])
        while items:
            appends = leading(items)
            if appends:
                self._store(appends)
                del items[: len(appends)]
                continue
            item = items[0]
            if isinstance(item, Stop):
                self._close(item)
                del items[0]
                return False
            if isinstance(item, Repair):
                self._repair(item)
            elif isinstance(item, Broken):
                with self._file.writing:
                    self.replace(item.generation, item.error)
                self._tell(item.then)
            elif isinstance(item, Barrier):
                item.then()
            del items[0]
        return True

    def died(self, items: list[Item], error: BaseException) -> None:
        """
        See L{Work.died<twisted_sse.store.sqlite.worker.Work.died>}.
        """
        self._health.errors += 1
        failure = Failure(error)
        self._tell(partial(_log.failure, "The writer of a store failed", failure=failure))
        with self._file.writing:
            self._restore()
        appends = leading(items)
        self._fail(appends, NotStored(True, f"the writer failed: {error!r}"))
        del items[: len(appends)]
        item = None if appends or not items else items.pop(0)
        if item is not None and not isinstance(item, Append):
            self._tell(item.then)
        # What it has left undone is done soon, but not at once and without end.
        self._full.clear()
        self._due = time.time() + PAUSE

    def _restore(self) -> None:
        """
        Go back to what the file knows.
        """
        connection = self._file.writer
        if connection is None:
            return
        try:
            connection.rollback()
            for log in self.logs.values():
                load(connection, log.state)
        except sqlite3.Error as error:
            self._health.failed(str(error))

    def _store(self, appends: Sequence[Append]) -> None:
        """
        Store what was appended, and trim, in one transaction.
        """
        if self._health.trouble is not None and time.monotonic() < self._retryAt:
            self._fail(appends, NotStored(False, self._health.trouble))
            return
        with self._file.writing:
            batch = Batch(time.time())
            maybe = False
            try:
                connection = self._connection()
                connection.execute("BEGIN IMMEDIATE")
                for state in self._holes:
                    batch.touch(state)
                    _fill(connection, state)
                for append in appends:
                    self._prepare(connection, batch, append)
                insert(connection, EVENTS, batch.rows)
                insert(connection, TOPICS, batch.topics)
                full = self._trim(connection, batch)
                for state in batch.touched:
                    state.save(connection)
                maybe = True
                self._file.commit()
            except (sqlite3.Error, OSError) as error:
                batch.rollBack()
                self._failed(appends, error, maybe)
                return
            self._full = full
        self._health.commits += 1
        self._health.bytesWritten += batch.bytes
        self._known()
        self._health.worked()
        self._tell(*batch.outcomes)

    def _isDue(self, now: float) -> bool:
        """
        Whether something is too old.
        """
        return self._due is not None and self._due + LATE <= now

    def _connection(self) -> sqlite3.Connection:
        if self._file.writer is None:
            self._beginAgain(None)
        elif not self._file.isThere:
            self._beginAgain("it was deleted, or replaced by another file")
        assert self._file.writer is not None, "there is a new one"
        return self._file.writer

    def _prepare(self, connection: sqlite3.Connection, batch: Batch, append: Append) -> None:
        """
        Make the rows of some records.
        """
        state = append.log.state
        batch.touch(state)
        mark = len(batch.rows), len(batch.topics)
        refused: Exception
        try:
            if append.prefix != state.token:
                raise NotStored(False, "the file was broken")
            if append.key is None:
                ids = batch.add(append)
            else:
                content = fingerprint(append.records)
                first = findKey(connection, state, append.key, content, batch.now)
                if first is not None:
                    batch.outcomes.append(partial(append.log.settle, append, first))
                    return
                ids = batch.add(append)
                keepKey(connection, state, append.key, content, ids, batch.now)
        except (KeyReused, NotStored) as error:
            refused = error
        except UnicodeEncodeError as error:
            refused = NotStored(False, f"a topic or key is not valid text: {error}")
        else:
            batch.outcomes.append(partial(append.log.settle, append, ids))
            return
        batch.remove(*mark)
        batch.outcomes.append(partial(append.log.settle, append, refused))
        if isinstance(refused, NotStored) and append.prefix == state.token:
            connection.execute(
                "INSERT OR IGNORE INTO holes VALUES(?, ?)",
                [state.channel, state.base + append.last],
            )
            state.last = max(state.last, state.base + append.last)

    def _trim(self, connection: sqlite3.Connection, batch: Batch) -> set[str]:
        """
        Trim the logs that have changed, and those whose time has come.

        @return: the names of those that may need more of it.
        """
        names = {state.name for state in batch.touched} | self._full
        if self._isDue(batch.now):
            self._due = None
            for name, each in self.logs.items():
                due = expires(connection, each.state, self._limits(name))
                if due is not None and due <= batch.now:
                    names.add(name)
                else:
                    self._wake(due)
        full = set()
        for name in names:
            log = self.logs.get(name)
            if log is None:
                continue
            state = log.state
            batch.touch(state)
            limits = self._limits(name)
            if trim(connection, state, limits, batch.now):
                full.add(name)
            self._wake(expires(connection, state, limits))
        return full

    def _wake(self, due: float | None) -> None:
        """
        Something becomes too old at this time.
        """
        if due is not None and (self._due is None or due < self._due):
            self._due = due

    def _failed(self, appends: Sequence[Append], error: Exception, maybe: bool) -> None:
        """
        The transaction has failed.
        """
        connection = self._file.writer
        if connection is not None and connection.in_transaction:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
        why = str(error)
        if isCorrupt(error):
            self._fail(appends, NotStored(maybe, f"the file was broken: {why}"))
            try:
                self._beginAgain(why)
            except (sqlite3.Error, OSError) as another:
                self._failed([], another, False)
            return
        self._retryAt = time.monotonic() + PAUSE
        self._health.failed(why)
        # What was not committed for want of space, or of a lock, is known not to be.
        maybe = maybe and not isFull(error) and not isBusy(error)
        self._fail(appends, NotStored(maybe, why))

    def _fail(self, appends: Iterable[Append], error: NotStored) -> None:
        for append in appends:
            self._lose(append)
        self._tell(*[partial(append.log.settle, append, error) for append in appends])

    def _lose(self, append: Append) -> None:
        """
        Remember a hole.
        """
        state = append.log.state
        if append.prefix != state.token:
            return
        state.hole = max(state.hole, state.base + append.last)
        self._holes.add(state)
        try:
            self._file.lock.lost = True
        except OSError as error:
            self._health.failed(str(error))

    def _known(self) -> None:
        """
        The file knows all holes.
        """
        for state in self._holes:
            state.hole = 0
        self._holes.clear()
        with suppress(OSError):
            self._file.lock.lost = False

    # A file that is broken

    def replace(self, generation: int, error: sqlite3.Error) -> None:
        """
        The file was found to be broken: replace it, unless that was done meanwhile.
        The caller holds the file's C{writing}.

        @param generation: which file it was.
        """
        if generation == self._file.generation and self._file.writer is not None:
            self._failed([], error, False)

    def _beginAgain(self, why: str | None) -> None:
        """
        Set the file aside, and begin a new one.  The caller holds the file's C{writing}.

        @param why: what is wrong with it; L{None} if that was done before, but there could be no
            new one.
        @raise OSError: if it cannot be moved.
        @raise sqlite3.Error: if there can be no new one now.
        """
        try:
            if why is not None:
                self._health.reset(self._file.remove(), why)
                self._holes.clear()
            self._file.begin()
            for name, log in self.logs.items():
                self._begin(name, log)
            self._file.settle()
        except (sqlite3.Error, OSError) as error:
            self._file.disconnect()
            if not self._isAway:
                self._isAway = True
                self._tell(*[partial(log.away, str(error)) for log in self.logs.values()])
            raise
        if self._isAway:
            self._isAway = False
            self._tell(*[partial(log.away, None) for log in self.logs.values()])

    def _begin(self, name: str, log: Opened) -> None:
        connection = self._file.writer
        assert connection is not None, "there is a new one"
        connection.execute("BEGIN IMMEDIATE")
        state, _, origin = begin(connection, name, self._file.breaks, 0, 0)
        self._file.commit()
        state.generation = self._file.generation
        log.state = state
        self._tell(partial(log.broken, state.token, origin))

    def _repair(self, item: Repair) -> None:
        state = item.state
        with self._file.writing:
            batch = Batch(time.time())
            try:
                connection = self._connection()
                if state.generation != self._file.generation:
                    # It was in a file that is gone.
                    self._tell(item.then)
                    return
                batch.touch(state)
                connection.execute("BEGIN IMMEDIATE")
                discard(connection, state, item.position)
                state.save(connection)
                self._file.commit()
            except (sqlite3.Error, OSError) as error:
                batch.rollBack()
                self._failed([], error, False)
        self._tell(
            lambda: _log.error(
                "The store {path} had a row of channel {name!r} that is not an "
                "event: {why}. It was dropped; subscribers that reach it receive a "
                "stream-reset",
                path=self._file.path,
                name=state.name,
                why=item.why,
            ),
            item.then,
        )

    # The end

    def _close(self, item: Stop) -> None:
        with self._file.writing:
            try:
                self._file.close(not self._holes or self._fillAll())
            except (sqlite3.Error, OSError) as error:
                self._health.failed(str(error))
        self._tell(item.then)

    def _fillAll(self) -> bool:
        """
        Let the file know of all holes.
        """
        connection = self._file.writer
        if connection is None:
            return False
        try:
            connection.execute("BEGIN IMMEDIATE")
            for state in self._holes:
                _fill(connection, state)
                state.save(connection)
            self._file.commit()
        except sqlite3.Error:
            return False
        self._known()
        return True


def _fill(connection: sqlite3.Connection, state: State) -> None:
    connection.execute("INSERT OR IGNORE INTO holes VALUES(?, ?)", [state.channel, state.hole])
    state.last = max(state.last, state.hole)
