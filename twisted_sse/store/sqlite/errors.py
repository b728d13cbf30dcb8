"""
What can be wrong with a file, and how to say it.
"""

from __future__ import annotations

import errno
import sqlite3

__all__ = ["NotAStore", "StoreLocked", "isBusy", "isCorrupt", "isFull"]

# Codes of SQLite (https://www.sqlite.org/rescode.html), with the beginning of the text that it has
# for them.  Before Python 3.11 an error has only the text.
_BUSY = 5, ("database is locked", "database table is locked")
_FULL = 13, ("database or disk is full",)
_CORRUPT = 11, ("database disk image is malformed", "malformed database schema")
_NOT_A_DATABASE = 26, ("file is not a database", "file is encrypted")


class StoreLocked(OSError):
    """
    The file of a store is in use by another process, or by another store of this one.

    @since: 0.2
    """


class NotAStore(OSError):
    """
    A file cannot be used as a store, and was left as it is: it belongs to another program, or to a
    newer version of this one.

    @since: 0.2
    """


def isBusy(error: BaseException) -> bool:
    """
    Whether another program has locked the file for too long.
    """
    return _is(error, _BUSY)


def isFull(error: BaseException) -> bool:
    """
    Whether there is no space left.
    """
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return _is(error, _FULL)


def isCorrupt(error: BaseException) -> bool:
    """
    Whether the file is broken.
    """
    return _is(error, _CORRUPT) or _is(error, _NOT_A_DATABASE)


def _is(error: BaseException, kind: tuple[int, tuple[str, ...]]) -> bool:
    if not isinstance(error, sqlite3.Error):
        return False
    code, texts = kind
    found: int | None = getattr(error, "sqlite_errorcode", None)
    # The other bits of an extended code say more.
    return found & 0xFF == code if found is not None else str(error).startswith(texts)
