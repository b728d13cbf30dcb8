"""
The file of the access log.
"""

from __future__ import annotations

import os

__all__ = ["WatchedFile"]


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
        while data:
            # If a line fits only in part, writing its rest raises, unless there is room by then.
            data = data[os.write(self._fd, data) :]
