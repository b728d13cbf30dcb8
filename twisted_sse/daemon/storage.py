"""
The store behind the daemon's channels: whether it can be used, and when it is opened.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.python.failure import Failure
from twisted.python.usage import UsageError

from ..checks import InvalidOption
from ..store.contract import EventLog, EventStore, StoreAway, Tail

__all__ = ["LaterStore", "checkFile", "checkURL", "inJail", "isURL"]

#: How a database of SQLite begins (https://www.sqlite.org/fileformat.html, 1.3).
MAGIC = b"SQLite format 3\0"


def isURL(where: str) -> bool:
    """
    @return: whether a store is a server, not a file.
    """
    return "://" in where


def checkURL(where: str) -> None:
    """
    Check whether a server can be used as a store, without connecting to it.

    @raise UsageError: if not.
    """
    try:
        from ..store.redis.address import readAddress
    except ImportError as e:
        raise UsageError(
            f"--store: Redis support is not installed ({e}): pip install 'twisted-sse[redis]'"
        ) from e
    try:
        readAddress(where)
    except InvalidOption as e:
        raise UsageError(f"--store {e.why}") from e


def inJail(path: str, options: Mapping[str, Any] | None) -> tuple[str, str]:
    """
    Find a file that is opened after C{twistd --chroot}.

    @param path: its name there.
    @param options: those of C{twistd}, or of another program; L{None} for none.
    @return: its name now, and its name then.
    """
    if path == "" or options is None or options.get("chroot") is None:
        return path, path
    # twistd changes to its --rundir, which is "." if not given.
    then = os.path.normpath(os.path.join("/", options["rundir"], path))
    return os.path.join(options["chroot"], then.lstrip("/")), then


def checkFile(path: str) -> None:
    """
    Check whether a file can be used as a store now, without changing it.

    @raise UsageError: if not.
    """
    if path in ("", ":memory:"):
        raise UsageError(f"--store is {path!r}: it must be the name of a file")
    folder = os.path.dirname(path) or "."
    if not os.path.isdir(folder):
        raise UsageError(f"--store {path}: directory {folder} does not exist: create it first")
    if os.path.isdir(path):
        raise UsageError(f"--store {path}: it is a directory: name a file in it")
    try:
        with open(path, "rb") as file:
            begin = file.read(len(MAGIC))
    except FileNotFoundError:
        begin = b""
    except OSError as e:
        raise UsageError(f"--store {path}: {e.strerror}") from e
    else:
        if not os.access(path, os.W_OK):
            raise UsageError(f"--store {path}: it cannot be written")
    # A store that is broken is set aside, but this was none.
    if begin not in (b"", MAGIC) and not os.path.exists(f"{path}-lock"):
        raise UsageError(
            f"--store {path}: it is not a store, but another file: name one that does not exist"
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(
            f"--store {path}: the directory {folder} must be writable: the store "
            "creates files there"
        )
    if not os.path.exists(f"{path}-lock"):
        # Not made now: we may give up root's rights before it is needed.
        return
    from ..store.sqlite.lock import Lock

    try:
        Lock(path).release()
    except OSError as e:
        raise UsageError(f"--store {path}: {e.strerror}") from e


class _Opening(NamedTuple):
    """
    A call of C{open} that has to wait.
    """

    name: str
    tail: Tail
    recent: int
    opened: Deferred[EventLog]


class LaterStore:
    """
    A store that is opened only when the daemon has started: C{twistd} may be in the background by
    then, and no thread comes with it.

    It is an L{EventStore<twisted_sse.store.contract.EventStore>}.
    """

    def __init__(self, store: EventStore, failed: Callable[[Failure], object]) -> None:
        """
        @param store: the store itself.
        @param failed: called if it can never be opened.
        """
        self._store = store
        self._failed = failed
        self._hasBegun = False
        self._waiting: list[_Opening] = []

    def begin(self) -> None:
        """
        Open it: now the process is what it will be.
        """
        willNotFork = getattr(self._store, "willNotFork", None)
        if willNotFork is not None:
            willNotFork()
        self._hasBegun = True
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            self._open(each.name, each.tail, each.recent).chainDeferred(each.opened)

    def keepOnly(self, name: str, maxEvents: int) -> None:
        """
        Keep this number of events of one channel, whatever is kept of the others, if the store can
        do that.
        """
        keepOnly = getattr(self._store, "keepOnly", None)
        if keepOnly is not None:
            keepOnly(name, maxEvents)

    def open(self, name: str, tail: Tail, recent: int) -> Deferred[EventLog]:
        """
        See L{EventStore<twisted_sse.store.contract.EventStore>}.
        """
        if self._hasBegun:
            return self._open(name, tail, recent)
        opened: Deferred[EventLog] = Deferred()
        self._waiting.append(_Opening(name, tail, recent, opened))
        return opened

    def problem(self) -> str | None:
        """
        See L{EventStore<twisted_sse.store.contract.EventStore>}.
        """
        return self._store.problem()

    def close(self) -> Deferred[None]:
        """
        See L{EventStore<twisted_sse.store.contract.EventStore>}.
        """
        self._waiting.clear()
        return self._store.close()

    def _open(self, name: str, tail: Tail, recent: int) -> Deferred[EventLog]:
        opened: Deferred[EventLog] = Deferred()
        opening = maybeDeferred(self._store.open, name, tail, recent)
        opening.addCallbacks(opened.callback, lambda failure: self._notOpened(failure, opened))
        return opened

    def _notOpened(self, failure: Failure, opened: Deferred[EventLog]) -> None:
        if failure.check(StoreAway):
            opened.errback(failure)
        else:
            # The daemon ends: each channel would only say so again.
            self._failed(failure)
