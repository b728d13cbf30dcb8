"""
The lock on a store's file.
"""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import suppress
from weakref import WeakSet

from .errors import StoreLocked

__all__ = ["Lock"]

#: The process that holds the lock, whether records are missing, and how many transactions were
#: committed.  The size never changes, so that it can be written on a full disk.
_FORM = "{:>20}\n{}\n{:>20}\n"
_SIZE = len(_FORM.format("", ".", ""))
_FLAG = 21
_COMMITS = 23


class Lock:
    """
    A lock on a file beside the store's: one process at a time uses the store.

    SQLite's own locks would let others write between our transactions.  The system releases this
    one when the process ends, however it ends.

    The file also keeps, in one byte, whether records could not be stored: where the store itself
    cannot be written, because the disk is full, this byte still can.  And it keeps how many
    transactions were committed: if the store knows of less, it has lost some, or is an old copy.
    """

    def __init__(self, path: str) -> None:
        """
        @param path: the store's file.
        @raise StoreLocked: if it is in use.
        @raise OSError: if there can be no lock.
        """
        self._path = path + "-lock"
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            self._take(path)
            before = os.pread(self._descriptor, _SIZE, 0)
            self._lost = before[_FLAG : _FLAG + 1] == b"!"
            commits = before[_COMMITS:_SIZE].strip()
            self._commits = int(commits) if commits.isdigit() else None
            kept = "" if self._commits is None else self._commits
            content = _FORM.format(os.getpid(), "!" if self._lost else ".", kept)
            try:
                os.pwrite(self._descriptor, content.encode(), 0)
            except OSError as error:
                error.filename = path
                raise
        except BaseException:
            os.close(self._descriptor)
            raise
        _held.add(self)

    def _take(self, path: str) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._descriptor, _SIZE, 0)[:20].decode("ascii", "replace").strip()
            own = holder == str(os.getpid())
            who = f"this process ({holder})" if own else f"process {holder or '?'}"
            raise StoreLocked(
                errno.EAGAIN,
                f"the store is in use by {who}: stop it first, or use another file",
                path,
            ) from None
        except OSError as error:
            raise OSError(
                error.errno,
                f"the file system cannot lock files ({error.strerror}): use a local disk",
                path,
            ) from error

    @property
    def lost(self) -> bool:
        """
        Whether records could not be stored, and the store does not know yet.
        """
        return self._lost

    @lost.setter
    def lost(self, lost: bool) -> None:
        if lost != self._lost:
            os.pwrite(self._descriptor, b"!" if lost else b".", _FLAG)
            os.fsync(self._descriptor)
            self._lost = lost

    @property
    def commits(self) -> int | None:
        """
        How many transactions were committed; L{None} if that is not known.
        """
        return self._commits

    @commits.setter
    def commits(self, commits: int) -> None:
        # It need not survive the machine: the store knows by other means if that was restarted.
        os.pwrite(self._descriptor, b"%20d" % commits, _COMMITS)
        self._commits = commits

    def release(self) -> None:
        """
        Let others use the store.

        The file stays: if it were deleted, two processes could hold locks on two files of the same
        name.
        """
        # Only for those who look into it.
        with suppress(OSError):
            os.pwrite(self._descriptor, b" " * 20, 0)
        self._letGo()

    def _letGo(self) -> None:
        _held.discard(self)
        os.close(self._descriptor)


# A child that goes on without exec, as those of multiprocessing, would hold the locks of its dead
# parent for as long as it lives.
_held: WeakSet[Lock] = WeakSet()


def _forked() -> None:
    for each in list(_held):
        each._letGo()


os.register_at_fork(after_in_child=_forked)
