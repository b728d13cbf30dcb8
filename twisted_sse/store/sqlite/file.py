"""
The file of a store: opened, used by two threads, set aside if it is broken.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from threading import Lock as ThreadLock

from .errors import isCorrupt
from .lock import Lock
from .schema import connect, prepare

__all__ = ["HASTE", "File", "bootID"]

#: How many seconds to wait for another program that has locked the file: in the reactor's thread,
#: and in the writer's.
HASTE = 1.0
PATIENCE = 10.0

#: What Linux calls the time since it was started.
BOOT = Path("/proc/sys/kernel/random/boot_id")

#: The file, and those that SQLite has beside it.
_PARTS = ("-wal", "-shm", "")


@cache
def bootID() -> str:
    """
    Find out which start of the machine this is.  It is read once, since it cannot be read after
    C{twistd --chroot}.

    @return: something else after each start of the machine; nothing if that is unknown.
    """
    with suppress(OSError):
        return BOOT.read_text(encoding="ascii").strip()
    return ""


class File:
    """
    The file of a store, which is open.

    @ivar path: where it is.
    @ivar lock: keeps others away.
    @ivar writing: is held by the thread that uses the connection for writing.
    @ivar reading: is held by the thread that uses the connection for reading.
    @ivar writer: the connection for writing; L{None} if the file was broken, and there is no new
        one yet.
    @ivar breaks: how often continuity was lost in all channels.
    @ivar generation: how often a broken file was replaced while this was open.
    @ivar broken: why continuity was lost at the opening; nothing if it was not.
    @ivar aside: where a broken file was put, and why, if one was found at the opening.
    """

    def __init__(self, path: str, full: bool) -> None:
        """
        Open the file, and make it if need be.

        @param path: where it is, without symbolic links.
        @param full: whether each transaction must survive a power cut.
        @raise OSError: if it cannot be used; L{StoreLocked
            <twisted_sse.store.sqlite.errors.StoreLocked>} if another has it.
        @raise sqlite3.Error: if it cannot be used at the moment.
        """
        self.path = path
        self.writing = ThreadLock()
        self.reading = ThreadLock()
        self.writer: sqlite3.Connection | None = None
        self.breaks = 0
        self.generation = 0
        self.broken = ""
        self.aside: tuple[str, str] | None = None
        self._reader: sqlite3.Connection | None = None
        self._full = full
        self._commits = 0
        self._identity: tuple[int, int] | None = None
        self._check()
        self.lock = self._locked()
        try:
            try:
                self.begin()
            except sqlite3.Error as error:
                if not isCorrupt(error):
                    raise
                self.aside = self._moveAway(), str(error)
                self.begin()
        except sqlite3.OperationalError as error:
            self._disconnect()
            self.lock.release()
            if "readonly" in str(error) or "unable to open" in str(error):
                raise OSError(
                    errno.EACCES, f"the store cannot be written: {error}", path
                ) from error
            raise
        except BaseException:
            self._disconnect()
            self.lock.release()
            raise

    def _check(self) -> None:
        folder = os.path.dirname(self.path)
        if not os.path.isdir(folder):
            raise FileNotFoundError(
                errno.ENOENT, "the directory does not exist: create it first", folder
            )
        if os.path.isdir(self.path):
            raise IsADirectoryError(
                errno.EISDIR, "it is a directory: a store must be a file", self.path
            )
        if os.path.exists(self.path) and not os.path.isfile(self.path):
            # A device that is not a database would be renamed.
            raise OSError(errno.EINVAL, "it is not a regular file: a store must be one", self.path)

    def _identify(self) -> tuple[int, int] | None:
        """
        @return: which file the path leads to now, if any.
        """
        try:
            found = os.stat(self.path)
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino

    @property
    def isThere(self) -> bool:
        """
        Whether the path still leads to the file that is in use.

        @raise OSError: if that cannot be known now.
        """
        return self._identify() == self._identity

    def _locked(self) -> Lock:
        try:
            return Lock(self.path)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise OSError(
                    error.errno,
                    f"the store cannot be written ({error.strerror}): SQLite must be "
                    "able to create files in its directory",
                    self.path,
                ) from error
            raise

    def begin(self) -> None:
        """
        Begin to use the file.
        """
        hadWAL = os.path.exists(f"{self.path}-wal")
        self.writer = connection = connect(self.path, HASTE)
        isNew = prepare(connection, self.path)
        state = connection.execute("SELECT open, boot, breaks, commits FROM state").fetchone()
        if state is None:
            raise sqlite3.DatabaseError("database disk image is malformed: it has no state")
        wasOpen, boot, self.breaks, self._commits = state
        now = bootID()
        self.broken = ""
        if self.lock.lost:
            self.broken = "the newest events could not be stored"
        elif self.lock.commits is not None and not isNew:
            if self._commits < self.lock.commits:
                self.broken = "it is older than before: its newest events are missing"
        elif wasOpen and not hadWAL:
            self.broken = "it was not closed, and its -wal file with the newest events is missing"
        if not self.broken and wasOpen == 1 and boot != now and boot and now:
            self.broken = "the machine went down before everything was on disk"
        if self.broken:
            self.breaks += 1
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(
            "UPDATE state SET open = ?, boot = ?, breaks = ?",
            [2 if self._full else 1, now, self.breaks],
        )
        self.commit()
        self._identity = self._identify()

    def commit(self) -> None:
        """
        Commit the transaction for writing.
        """
        assert self.writer is not None, "it was opened"
        commits = self._commits + 1
        self.writer.execute("UPDATE state SET commits = ?", [commits])
        self.writer.execute("COMMIT")
        self._commits = commits
        # After it: if the process dies in between, the file knows of more.
        with suppress(OSError):
            self.lock.commits = commits

    def settle(self) -> None:
        """
        Bring what was written at the opening to the disk, and into the main file, so that it is
        known without the file -wal that it was opened; and go over to the usual way of writing.
        """
        assert self.writer is not None, "it was opened"
        isBusy, *_ = self.writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if isBusy:
            # Another program is reading.  The disk has it after the next transaction.
            self.strain()
            self.writer.execute("UPDATE state SET breaks = breaks")
        self.relax()
        # What it tells is known now.
        with suppress(OSError):
            self.lock.lost = False

    def relax(self) -> None:
        """
        Go over to the usual way of writing.
        """
        assert self.writer is not None, "it was opened"
        self.writer.execute(f"PRAGMA synchronous = {'FULL' if self._full else 'NORMAL'}")
        self.writer.execute(f"PRAGMA busy_timeout = {PATIENCE * 1000:.0f}")

    def strain(self) -> None:
        """
        Make the next transaction survive a power cut, without much waiting.
        """
        assert self.writer is not None, "it was opened"
        self.writer.execute("PRAGMA synchronous = FULL")
        self.writer.execute(f"PRAGMA busy_timeout = {HASTE * 1000:.0f}")

    def reader(self) -> sqlite3.Connection:
        """
        @return: the connection for reading.
        """
        if self._reader is None:
            self._reader = connect(self.path, PATIENCE)
            self._reader.execute("PRAGMA query_only = ON")
        return self._reader

    def remove(self) -> str:
        """
        Set the file aside while it is in use.  The caller holds C{writing}.

        @return: where it is now.
        @raise OSError: if it cannot be moved.
        """
        with self.reading:
            self.generation += 1
            return self._moveAway()

    def _moveAway(self) -> str:
        """
        Move the file away.

        @return: where it is now.
        """
        # Else SQLite would delete the new file's -wal when it closes the old one.
        self._disconnect()
        stem = f"{self.path}.corrupt-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
        aside, tried = stem, 1
        while any(os.path.lexists(aside + part) for part in _PARTS):
            tried += 1
            aside = f"{stem}-{tried}"
        # The main file last: the old -wal must never be beside a new main file.
        for part in _PARTS:
            with suppress(FileNotFoundError):
                os.rename(self.path + part, aside + part)
        return aside

    def disconnect(self) -> None:
        """
        The new file cannot be used now.  The caller holds C{writing}.
        """
        with self.reading:
            self._disconnect()

    def _disconnect(self) -> None:
        for connection in self._reader, self.writer:
            if connection is not None:
                connection.close()
        self._reader = self.writer = None

    def close(self, complete: bool) -> None:
        """
        Let others use the file.

        @param complete: whether everything is stored.
        """
        with self.reading:
            if self._reader is not None:
                self._reader.close()
                self._reader = None
        try:
            if complete and self.writer is not None:
                self.writer.execute("PRAGMA synchronous = FULL")
                self.writer.execute("UPDATE state SET open = 0")
                self.writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        finally:
            try:
                self._disconnect()
            finally:
                self.lock.release()
