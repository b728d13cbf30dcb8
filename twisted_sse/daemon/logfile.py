"""
The daemon's log files: the access log, and the log of C{twistd}.

A disk that is full takes only a part of a line.  When there is room again, the next line must not be
glued to that part: so it begins with a line end then.
"""

from __future__ import annotations

import os
import signal
import sys
from functools import partial
from typing import IO, Any, BinaryIO, cast

from twisted.logger import FileLogObserver, jsonFileLogObserver, textFileLogObserver
from twisted.python.logfile import LogFile

__all__ = ["ServerLog", "WatchedFile", "twistdLog"]

#: The file that C{twistd} logs to as a daemon, if C{--logfile} names none.
DEFAULT_LOG = "twistd.log"


class WatchedFile:
    """
    A log file that is opened again when another file has its name: so a rotation need not tell
    us.  Each line is one write.
    """

    def __init__(self, path: str) -> None:
        """
        @raise OSError: if it cannot be opened.
        """
        self._path = os.path.abspath(path)
        self._open()

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._fd = os.open(self._path, flags, 0o640)
        status = os.fstat(self._fd)
        self._key = status.st_dev, status.st_ino
        # Whether the last line has no line end.
        self._isTorn = status.st_size > 0 and self._lastByte(status.st_size) != b"\n"

    def _lastByte(self, size: int) -> bytes:
        """
        Read the end of a file that an earlier process may have left in the middle of a line.
        """
        try:
            fd = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            # It may be written only: take its last line for whole.
            return b"\n"
        try:
            return os.pread(fd, 1, size - 1)
        finally:
            os.close(fd)

    def write(self, line: str) -> None:
        """
        Write a line.

        @raise OSError: if it cannot be written.
        """
        try:
            status = os.stat(self._path)
            moved = (status.st_dev, status.st_ino) != self._key
        except FileNotFoundError:
            moved = True
        if moved:
            old = self._fd
            self._open()
            os.close(old)
        data = line.encode("utf-8", "backslashreplace")
        if self._isTorn:
            data = b"\n" + data
        while data:
            # If a line fits only in part, writing its rest raises, unless there is room by then.
            count = os.write(self._fd, data)
            self._isTorn = not data[:count].endswith(b"\n")
            data = data[count:]


class ServerLog(LogFile):
    """
    The log of C{twistd}, as C{twistd} itself would write it, but for a line that was cut off.

    Twisted's file does not notice that only a part was written.  So this looks at the file, and
    finds the end of a file that was truncated meanwhile, too.
    """

    # Twisted's, opened for reading, too.
    _file: BinaryIO

    def write(self, data: str | bytes) -> None:
        """
        See L{LogFile}.
        """
        end = self._file.seek(0, os.SEEK_END)
        if end and os.pread(self._file.fileno(), 1, end - 1) != b"\n":
            super().write(b"\n")  # type: ignore[no-untyped-call]
        super().write(data)  # type: ignore[no-untyped-call]


def twistdLog(parent: Any, reactor: Any, format: str | None = None) -> FileLogObserver | None:
    """
    Make the observer that writes the log of C{twistd}, in place of its own.

    @param parent: the options of C{twistd}; those of another program, or L{None}.
    @param reactor: the reactor that it is rotated in, on SIGUSR1.
    @param format: C{"text"}, C{"json"}, or L{None} for text.
    @return: L{None} if this is not C{twistd}, or if it logs to something else than a file.
    @raise OSError: if the file cannot be opened.
    """
    # Only twistd has this option.
    if parent is None or "nodaemon" not in parent or parent.get("syslog") or parent.get("logger"):
        return None
    path = parent.get("logfile") or ("-" if parent["nodaemon"] else DEFAULT_LOG)
    makeObserver: Any = textFileLogObserver
    if format == "json":
        makeObserver = partial(jsonFileLogObserver, recordSeparator="")
    if path == "-":
        # For text, twistd's own observer is right.
        return makeObserver(sys.stdout) if format == "json" else None
    file = ServerLog.fromFullPath(path)  # type: ignore[no-untyped-call]
    # As twistd does: a handler that is there already is there for a reason.
    number = getattr(signal, "SIGUSR1", None)
    if number is not None and not signal.getsignal(number):
        signal.signal(number, lambda *_: reactor.callFromThread(file.rotate))
    observer: FileLogObserver = makeObserver(cast(IO[Any], file))
    return observer
