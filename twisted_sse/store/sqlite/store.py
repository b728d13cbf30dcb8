"""
A store in a file.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from typing import Any, Literal

from twisted.internet.base import ReactorBase
from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import Logger, LogLevel

from ...checks import InvalidOption, checkInteger, checkSeconds
from ...timing.reactors import installedReactor
from ..contract import EventLog, Record, StoreAway, Tail
from .errors import isCorrupt, isFull
from .file import HASTE, File, bootID
from .handover import Handover
from .health import Health
from .items import Barrier, Item, Question, Stop
from .log import Counts, SQLiteLog
from .reader import Reader
from .state import State, begin
from .trimming import Limits
from .worker import Worker
from .writer import Writer

__all__ = ["SQLiteStore"]

#: For how many seconds the program waits at its end for what is being stored.
PATIENCE = 60.0

_log = Logger()


class _Session:
    """
    The file of a store from its opening to its end, with its threads.
    """

    def __init__(
        self,
        path: str,
        full: bool,
        limits: Callable[[str], Limits],
        health: Health,
        counts: Counts,
        reactor: Any,
        ended: Callable[[], object],
    ) -> None:
        self._file = file = File(path, full)
        self._reactor = reactor
        self._ended = ended
        self._handover = handover = Handover(reactor)
        self._counts = counts
        health.begin(handover.put)
        self._closing = False
        self._isOver = False
        self._waiting: list[Deferred[None]] = []
        self._writing = Writer(file, limits, health, handover.put)
        self._writer: Worker[Item] = Worker(f"{path} writer", self._writing)
        self._reader: Worker[Question] = Worker(
            f"{path} reader", Reader(file, self._writer.put, handover.put)
        )
        if file.aside is not None:
            health.reset(*file.aside)
        if file.broken:
            health.say(
                LogLevel.warn,
                "Events may be missing in {path}: {why}.  Subscribers that come back are told so",
                why=file.broken,
            )
        try:
            self._reader.start()
            self._writer.start()
        except BaseException:
            self._reader.put(Stop(lambda: None))
            file.close(True)
            raise
        self._trigger = reactor.addSystemEventTrigger("after", "shutdown", self._finish)

    @property
    def isIdle(self) -> bool:
        """
        Whether no log is open.
        """
        return not self._writing.logs

    @property
    def isClosing(self) -> bool:
        """
        Whether no log can be opened any more.
        """
        return self._closing

    def open(
        self, name: str, tail: Tail, recent: int, deliver: str, maxAge: float | None
    ) -> SQLiteLog:
        """
        Open the log of a channel.
        """
        file = self._file
        if not file.writing.acquire(timeout=HASTE):
            raise StoreAway("another program has locked the file")
        try:
            state, records, origin = self._run(name, recent)
            log = SQLiteLog(
                state,
                tail,
                origin,
                deliver,
                maxAge,
                self._counts,
                self._writer.put,
                self._reader.put,
                self._close,
            )
            self._writing.add(log)
        finally:
            file.writing.release()
        # The writer may be waiting for less than the limits now ask for.
        self._writer.put(Barrier(lambda: None))
        try:
            tail.received(records)
        except BaseException:
            self._close(log)
            raise
        return log

    def _run(self, name: str, recent: int) -> tuple[State, list[Record], str]:
        """
        Begin a run of a log.
        """
        writing, file = self._writing, self._file
        if name in writing.logs:
            raise ValueError(f"the channel {name!r} is open already: each needs a name of its own")
        while True:
            generation = file.generation
            connection = file.writer
            if connection is None:
                raise StoreAway("the file was broken, and there is no new one yet")
            try:
                if writing.logs:
                    file.strain()
                connection.execute("BEGIN IMMEDIATE")
                found = begin(connection, name, file.breaks, writing.pendingHole(name), recent)
                file.commit()
                if writing.logs:
                    file.relax()
                else:
                    file.settle()
            except BaseException as error:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                if not isinstance(error, sqlite3.Error) or not isCorrupt(error):
                    file.relax()
                    raise
                # There is a new file now, or none.
                writing.replace(generation, error)
                continue
            found[0].generation = generation
            return found

    def _afterAll(self, then: Callable[[], object]) -> None:
        """
        Call a function in the writer's thread when all that was asked before is answered.
        """
        write, ask = self._writer.put, self._reader.put
        # The writer may have a question for the reader, and the reader something to be mended.
        write(Barrier(lambda: ask(Barrier(lambda: write(Barrier(then))))))

    def _close(self, log: SQLiteLog) -> Deferred[None]:
        """
        Close a log, and the file with the last one.
        """
        log.end()
        if self._closing:
            return self.close()
        closed: Deferred[None] = Deferred()

        def answered() -> None:
            # In the writer's thread, which holds no lock.
            with self._file.writing:
                if self._writing.logs.get(log.state.name) is log:
                    del self._writing.logs[log.state.name]
            self._handover.put(done)

        def done() -> None:
            if self._writing.logs:
                closed.callback(None)
            else:
                self.close().chainDeferred(closed)

        self._afterAll(answered)
        return closed

    def close(self) -> Deferred[None]:
        """
        Store what is waiting, and close the file.
        """
        if self._isOver:
            return succeed(None)
        closed: Deferred[None] = Deferred()
        self._waiting.append(closed)
        self._end()
        return closed

    def _end(self) -> None:
        if self._closing:
            return
        self._closing = True
        for log in list(self._writing.logs.values()):
            log.end()

        def answered() -> None:
            self._reader.put(Stop(lambda: None))
            self._writer.put(Stop(self._stopped))

        self._afterAll(answered)

    def _stopped(self) -> None:
        """
        The file is closed.
        """
        for worker in self._reader, self._writer:
            worker.join()
        self._isOver = True
        if self._trigger is not None:
            trigger, self._trigger = self._trigger, None
            self._reactor.removeSystemEventTrigger(trigger)
        self._ended()
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.callback(None)

    def _finish(self) -> None:
        """
        The reactor ends: nothing that threads ask for will be called any more.
        """
        self._trigger = None
        self._end()
        if not self._writer.join(PATIENCE):
            _log.critical("What waits to be stored in {path} is lost", path=self._file.path)
        self._handover.finish()


class SQLiteStore:
    """
    Keeps events in a file, so that channels survive their process::

        channel = Channel(store=SQLiteStore("events.db"), name="news")

    The file is an SQLite database in WAL mode, for one process at a time.  Any number of channels
    can share it.  Everything is written by a thread, in one transaction for all that is waiting.

    An event that was stored survives the end of the process, however it ends.  If the machine loses
    power, the events of the last seconds may be lost, unless C{synchronous} is C{"full"}; that is
    noticed, and then no client that comes back is believed to have missed nothing.

    If the disk is full, events are still delivered.  What waits for them to be stored fails, it is
    logged once, and it is tried again until there is space.  A file that is broken is kept under
    another name, C{PATH.corrupt-TIME}, and a new one is begun; also if the file is deleted while it
    is in use.  In all these cases a client that may have missed something is told so.

    Copy a file in use with SQLite's C{VACUUM INTO}, never by copying it: what is newest is in
    another file beside it.

    @ivar path: where the file is.

    @since: 0.1
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        maxEvents: int | None = 100_000,
        maxBytes: int | None = None,
        maxAge: float | None = None,
        synchronous: Literal["normal", "full"] = "normal",
        deliver: Literal["at once", "stored"] = "at once",
        reactor: Any = None,
    ) -> None:
        """
        The file is opened with the first channel, when the reactor runs: not before twistd has
        gone into the background.

        @param path: where the file is.  Its directory must exist, on a local disk.
        @param maxEvents: how many events of each channel to keep at most; L{None} for no limit.
        @param maxBytes: how many bytes of events of each channel to keep at most, without what the
            file needs besides; L{None} for no limit.
        @param maxAge: for how many seconds to keep an event at most; L{None} for ever.
        @param synchronous: C{"full"} to wait after each transaction until the disk has it, so that
            even a power cut loses nothing that was stored; C{"normal"} not to.
        @param deliver: when subscribers get an event: C{"at once"}, or when it is C{"stored"}, so
            that none gets an event that is lost later.
        @param reactor: the reactor; the installed one by default.
        @raise ValueError: if an argument is out of range.
        """
        found = os.fspath(path)
        if not isinstance(found, str):
            raise TypeError(f"path is {path!r}: it must be a str, or a path of text")
        if not found or "\0" in found or found == ":memory:":
            raise InvalidOption("path", f"is {found!r}: it must be the name of a file")
        checkInteger("maxEvents", maxEvents, 1)
        checkInteger("maxBytes", maxBytes, 1)
        checkSeconds("maxAge", maxAge)
        for name, value, choices in (
            ("synchronous", synchronous, ("normal", "full")),
            ("deliver", deliver, ("at once", "stored")),
        ):
            if value not in choices:
                raise InvalidOption(
                    name, f"is {value!r}: it must be {' or '.join(map(repr, choices))}"
                )
        # After a chroot, nobody could tell any more.
        bootID()
        self.path = os.path.abspath(found)
        self.deliver = deliver
        self.maxAge = maxAge
        self._limits = Limits(maxEvents, maxBytes, maxAge)
        # Those of channels that have their own.
        self._special: dict[str, Limits] = {}
        self._full = synchronous == "full"
        self._reactor = reactor
        self._mayFork = True
        self._session: _Session | None = None
        self._health = Health(self.path)
        # Why the last opening has failed, if it has.
        self._away: str | None = None
        self._counts = Counts()
        # What is opened later: when the reactor runs, or when the file is closed.
        self._later: list[Deferred[None]] = []

    def __repr__(self) -> str:
        return f"<SQLiteStore {self.path}>"

    # For metrics

    @property
    def commits(self) -> int:
        """
        How many transactions were committed.
        """
        return self._health.commits

    @property
    def bytesWritten(self) -> int:
        """
        How many bytes of events were stored.
        """
        return self._health.bytesWritten

    @property
    def waiting(self) -> int:
        """
        How many events are not stored yet.
        """
        return self._counts.waiting

    @property
    def errors(self) -> int:
        """
        How many transactions failed.
        """
        return self._health.errors

    @property
    def resets(self) -> int:
        """
        How many files were broken, and set aside.
        """
        return self._health.resets

    @property
    def size(self) -> int:
        """
        How many bytes the file has, with what SQLite keeps beside it.
        """
        size = 0
        for path in self.path, f"{self.path}-wal":
            try:
                size += os.stat(path).st_size
            except OSError:
                # There is none now.
                continue
        return size

    # See EventStore

    def open(self, name: str, tail: Tail, recent: int, /) -> Deferred[EventLog]:
        """
        See L{EventStore.open<twisted_sse.store.contract.EventStore.open>}.

        While the reactor runs the log is open when this returns.

        @return: fails with L{StoreLocked<twisted_sse.store.sqlite.StoreLocked>} if the file is in
            use, with L{NotAStore<twisted_sse.store.sqlite.NotAStore>} if it is of another kind, and
            with C{OSError} if it cannot be used.
        """
        reactor = self._reactor if self._reactor is not None else installedReactor()
        if not (self._mayFork and isinstance(reactor, ReactorBase) and not reactor.running):
            return self._open(name, tail, recent)
        # An application is loaded before twistd forks: neither a thread nor a connection may be
        # carried over.
        opened, go = self._openLater(name, tail, recent)
        reactor.callWhenRunning(go)
        return opened

    def keepOnly(self, name: str, maxEvents: int) -> None:
        """
        Keep fewer events of one channel.  To be called before the channel is opened.

        @param name: the name of the channel.
        @param maxEvents: how many events of it to keep at most.
        @raise ValueError: if it is less than 1.
        """
        checkInteger("maxEvents", maxEvents, 1, optional=False)
        self._special[name] = Limits(maxEvents, self._limits.maxBytes, self._limits.maxAge)

    def _limitsOf(self, name: str) -> Limits:
        return self._special.get(name, self._limits)

    def willNotFork(self) -> None:
        """
        Open the file at once from now on, even before the reactor runs.  For a service that is
        being started: where the file cannot be used, its program can still say so.
        """
        self._mayFork = False

    def _openLater(
        self, name: str, tail: Tail, recent: int
    ) -> tuple[Deferred[EventLog], Callable[..., None]]:
        """
        @return: an opening, unless the store is closed before; and what begins it.
        """
        later: Deferred[None] = Deferred()
        self._later.append(later)

        def go(_: object = None) -> None:
            if later in self._later:
                self._later.remove(later)
                later.callback(None)

        return later.addCallback(lambda _: self._open(name, tail, recent)), go

    def _open(self, name: str, tail: Tail, recent: int) -> Deferred[EventLog]:
        session = self._session
        if session is not None and session.isClosing:
            opened, go = self._openLater(name, tail, recent)
            session.close().addCallback(go)
            return opened
        try:
            if session is None:
                session = self._session = self._begin()
            log = session.open(name, tail, recent, self.deliver, self.maxAge)
            self._away = None
            return succeed(log)
        except (sqlite3.Error, OSError, StoreAway) as error:
            if isinstance(error, OSError) and not isFull(error):
                return fail()
            self._away = f"{self.path} cannot be opened: {error}"
            return fail(StoreAway(self._away))
        except Exception:
            return fail()
        finally:
            if session is not None and session.isIdle:
                session.close()

    def _begin(self) -> _Session:
        reactor = self._reactor if isinstance(self._reactor, ReactorBase) else installedReactor()
        return _Session(
            os.path.realpath(self.path),
            self._full,
            self._limitsOf,
            self._health,
            self._counts,
            reactor,
            self._ended,
        )

    def _ended(self) -> None:
        self._session = None

    def problem(self) -> str | None:
        """
        See L{EventStore.problem<twisted_sse.store.contract.EventStore.problem>}.

        A file that was set aside is mentioned for an hour.
        """
        return self._health.problem() or self._away

    def close(self) -> Deferred[None]:
        """
        See L{EventStore.close<twisted_sse.store.contract.EventStore.close>}.

        Closing the last log closes the file too, and so does the end of the reactor.
        """
        self._away = None
        laters, self._later = self._later, []
        for later in laters:
            later.errback(StoreAway("the store was closed before it was open"))
        return succeed(None) if self._session is None else self._session.close()
