"""
A store in a file.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Callable
from typing import Any, Literal

from twisted.internet.base import ReactorBase
from twisted.internet.defer import Deferred, fail, succeed

from ...checks import InvalidOption, checkInteger, checkSeconds
from ...timing.reactors import installedReactor
from ..contract import EventLog, StoreAway, Tail
from ..figures import Figure
from .errors import isFull
from .file import bootID
from .health import Health
from .log import Counts
from .session import Session
from .trimming import Limits

__all__ = ["SQLiteStore"]


class SQLiteStore:
    """
    Keeps events in a file, so that channels survive their process::

        channel = Channel(store=SQLiteStore("events.db"), name="news")

    The file is an SQLite database in WAL mode, for one process at a time.  Any number of channels
    can share it.  Everything is written by a thread, in one transaction for all that is waiting.

    An event that was stored survives the end of the process, however it ends.  If the machine loses
    power, the events of the last seconds may be lost, unless C{synchronous} is C{"full"}; that is
    noticed, and then no client that reconnects is believed to have missed nothing.

    If the disk is full, events are still delivered.  Calls that wait for storage fail, the error is
    logged once, and storing is retried until there is space.  A file that is broken is kept under
    another name, C{PATH.corrupt-TIME}, and a new one is begun; also if the file is deleted while it
    is in use.  In all these cases a client that may have missed something receives a reset.

    Copy a file in use with SQLite's C{VACUUM INTO}, never by copying it: what is newest is in
    another file beside it.

    @ivar path: where the file is.

    @since: 0.2
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
        The file is opened with the first channel, when the reactor runs: not before twistd is in
        the background.

        @param path: where the file is.  Its directory must exist, on a local disk.
        @param maxEvents: how many events of each channel to keep at most; L{None} for no limit.
        @param maxBytes: how many bytes of events of each channel to keep at most, without what the
            file needs besides; L{None} for no limit.
        @param maxAge: for how many seconds to keep an event at most; L{None} for no limit.
        @param synchronous: C{"full"} to wait after each transaction until the disk has it, so that
            even a power cut loses nothing that was stored; C{"normal"} not to.
        @param deliver: when subscribers get an event: C{"at once"}, or when it is C{"stored"}, so
            that none gets an event that is lost later.
        @param reactor: the reactor; the installed one by default.
        @raise ValueError: if an argument is out of range.
        """
        found = os.fspath(path)
        if not isinstance(found, str):
            raise TypeError(f"path is {path!r}: it must be a str, or a path object of str")
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
        # After a chroot this can no longer be read.
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
        self._session: Session | None = None
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

    def figures(self) -> list[Figure]:
        """
        @return: what is counted.
        """
        return [
            Figure("size_bytes", "Size of the store's files.", self.size, False),
            Figure("commits", "Committed transactions.", self.commits),
            Figure("bytes", "Bytes of stored events.", self.bytesWritten),
            Figure("errors", "Failed transactions.", self.errors),
            Figure("resets", "Broken files that were replaced.", self.resets),
        ]

    # See EventStore

    def open(self, name: str, tail: Tail, recent: int) -> Deferred[EventLog]:
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
        Keep this number of events of one channel, however old or large they are, whatever is kept
        of the others.  To be called before the channel is opened.

        @param name: the name of the channel.
        @param maxEvents: how many events of it to keep at most.
        @raise ValueError: if it is less than 1.
        """
        checkInteger("maxEvents", maxEvents, 1, optional=False)
        self._special[name] = Limits(maxEvents, None, None)

    def _limitsOf(self, name: str) -> Limits:
        return self._special.get(name, self._limits)

    def willNotFork(self) -> None:
        """
        Open the file at once from now on, even before the reactor runs.  For a service that is
        being started: where the file cannot be used, its program can still say so.
        """
        self._mayFork = False

    def openNow(self) -> None:
        """
        Open at once the logs that wait for the reactor, since IDs are needed now.  Not in twistd,
        which loads an application before it forks.
        """
        if "twisted.scripts._twistd_unix" not in sys.modules:
            self.willNotFork()
            later, self._later = self._later, []
            for each in later:
                each.callback(None)

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
            maxAge = self._limitsOf(name).maxAge
            log = session.open(name, tail, recent, self.deliver, maxAge)
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

    def _begin(self) -> Session:
        reactor = self._reactor if isinstance(self._reactor, ReactorBase) else installedReactor()
        return Session(
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
