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
from ..contract import EventLog, NotStored, Record, StoreAway, Tail
from .errors import isCorrupt
from .file import HASTE, File, bootID
from .handover import Handover
from .health import Health
from .items import Append, Barrier, Item, Stop
from .log import Counts, Read, Reading, SQLiteLog
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
        ended: Callable[[], list[Deferred[None]]],
    ) -> None:
        self._file = file = File(path, full)
        self._reactor = reactor
        self._ended = ended
        self._handover = handover = Handover(reactor)
        self._counts = counts
        health.begin(handover.put)
        self._closing = False
        self._waiting: list[Deferred[None]] = []
        self._writing = Writer(file, limits, health, handover.put)
        self._writer: Worker[Item] = Worker(f"{path} writer", self._writing)
        reading = Reading(file, self._writer.put, handover.put)
        self._reader: Worker[Read] = Worker(f"{path} reader", reading)
        if file.aside is not None:
            health.reset(*file.aside)
        if file.broken:
            health.say(
                LogLevel.warn,
                "Events may be missing in {path}: {why}.  Subscribers that come back are told so",
                why=file.broken,
            )
        self._trigger = reactor.addSystemEventTrigger("after", "shutdown", self._finish)
        self._reader.start()
        self._writer.start()

    @property
    def isIdle(self) -> bool:
        """
        Whether no log is open.
        """
        return not self._writing.logs

    @property
    def isOver(self) -> bool:
        """
        Whether it is being closed.
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
            except sqlite3.Error as error:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                if not isCorrupt(error):
                    file.relax()
                    raise
                # There is a new file now, or none.
                writing.replace(generation, error)
                continue
            found[0].generation = generation
            return found

    def _close(self, log: SQLiteLog) -> Deferred[None]:
        closed: Deferred[None] = Deferred()

        def stored() -> None:
            # In the writer's thread, which holds no lock.
            with self._file.writing:
                self._writing.logs.pop(log.state.name, None)
            self._handover.put(done)

        def done() -> None:
            log.end()
            if self._writing.logs or self._closing:
                closed.callback(None)
            else:
                self.close().chainDeferred(closed)

        self._writer.put(Barrier(stored))
        return closed

    def close(self) -> Deferred[None]:
        """
        Store what is waiting, and close the file.
        """
        closed: Deferred[None] = Deferred()
        self._waiting.append(closed)
        self._end()
        return closed

    def _end(self) -> None:
        if not self._closing:
            self._closing = True
            self._reader.put(Read(None, None, 0, None, lambda answer: None))
            self._writer.put(Stop(self._stopped))

    def _stopped(self) -> None:
        """
        The writer has nothing more to do.
        """
        for worker in self._reader, self._writer:
            if not worker.join(PATIENCE):
                _log.critical("A thread of the store {path} does not end", path=self._file.path)
        for log in self._writing.logs.values():
            log.end()
        for question in self._reader.left():
            question.settle(StoreAway("the store is closed"))
        for item in self._writer.left():
            if isinstance(item, Append):
                item.settle(NotStored(False, "the store is closed"))
            else:
                item.then()
        if self._trigger is not None:
            trigger, self._trigger = self._trigger, None
            self._reactor.removeSystemEventTrigger(trigger)
        for each in [*self._waiting, *self._ended()]:
            each.callback(None)

    def _finish(self) -> None:
        """
        The reactor ends: nothing that threads ask for will be called any more.
        """
        self._trigger = None
        self._end()
        self._writer.join(PATIENCE)
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
    another name, C{PATH.corrupt-TIME}, and a new one is begun.  In all these cases a client that
    may have missed something is told so.

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
        self._counts = Counts()
        # Those who wait for the reactor, and those who wait until the file is closed.
        self._early: list[Deferred[EventLog]] = []
        self._waiting: list[Deferred[None]] = []

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
        if self._mayFork and isinstance(reactor, ReactorBase) and not reactor.running:
            # An application is loaded before twistd forks: neither a thread nor a connection may
            # be carried over.
            opened: Deferred[EventLog] = Deferred()

            def begin() -> None:
                if opened in self._early:
                    self._early.remove(opened)
                    self._open(name, tail, recent).chainDeferred(opened)

            self._early.append(opened)
            reactor.callWhenRunning(begin)
            return opened
        return self._open(name, tail, recent)

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

    def _open(self, name: str, tail: Tail, recent: int) -> Deferred[EventLog]:
        session = self._session
        if session is not None and session.isOver:
            closed: Deferred[None] = Deferred()
            self._waiting.append(closed)
            return closed.addCallback(lambda _: self._open(name, tail, recent))
        try:
            if session is None:
                session = self._session = self._begin()
            return succeed(session.open(name, tail, recent, self.deliver, self.maxAge))
        except sqlite3.Error as error:
            return fail(StoreAway(f"{self.path}: {error}"))
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

    def _ended(self) -> list[Deferred[None]]:
        self._session = None
        waiting, self._waiting = self._waiting, []
        return waiting

    def problem(self) -> str | None:
        """
        See L{EventStore.problem<twisted_sse.store.contract.EventStore.problem>}.

        A file that was set aside is mentioned for an hour.
        """
        return self._health.problem()

    def close(self) -> Deferred[None]:
        """
        See L{EventStore.close<twisted_sse.store.contract.EventStore.close>}.

        Closing the last log closes the file too, and so does the end of the reactor.
        """
        early, self._early = self._early, []
        for opened in early:
            opened.errback(StoreAway("the store was closed before the reactor was running"))
        return succeed(None) if self._session is None else self._session.close()
