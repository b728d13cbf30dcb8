"""
The lines that C{publish} reads.
"""

from __future__ import annotations

import os
import select
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

__all__ = ["CannotRead", "Input"]

#: How much is read at a time, in bytes: the capacity of a pipe.
CHUNK = 2**16

#: How many lines are taken together, and of how many bytes about.
MOST_LINES = 1000
MOST_BYTES = 2**18

#: How long a line may be, in bytes.
LONGEST_LINE = 2**20


class CannotRead(Exception):
    """
    The input cannot be read, or has a line that is too long.
    """


@implementer(IReadDescriptor)
class Input:
    """
    The file descriptor that lines are read from.

    It does not use Twisted's C{StandardIO}, which makes the descriptor non-blocking.  A terminal
    shares that setting with the shell, and a pipe with other programs.
    """

    def __init__(self, reactor: Any, fd: int) -> None:
        self._reactor = reactor
        self._fd = fd
        self._data = b""
        self._isOver = False
        self._waiting: Deferred[None] | None = None
        # Without poll(), as on Windows, reading blocks the process.
        poll = getattr(select, "poll", None)
        self._poll: Any = None if poll is None else poll()
        if self._poll is not None:
            self._poll.register(fd, select.POLLIN)

    async def lines(self) -> list[bytes]:
        """
        Read lines: as many as there are, but at least one, and no more than can be published
        together.  The last line may have no end.

        @return: the lines without their ends, LF or CRLF; none at the end of the input.
        @raise CannotRead: if it cannot be read.
        """
        lines: list[bytes] = []
        size = 0
        while True:
            *whole, self._data = self._data.split(b"\n", MOST_LINES - len(lines))
            lines += whole
            size += sum(map(len, whole))
            if len(lines) >= MOST_LINES or size >= MOST_BYTES or self._isOver:
                break
            if len(self._data) > LONGEST_LINE and b"\n" not in self._data:
                if lines:
                    break
                raise CannotRead(f"a line is longer than {LONGEST_LINE} bytes")
            if not self._isReady():
                if lines:
                    break
                self._waiting = Deferred()
                self._reactor.addReader(self)
                await self._waiting
            self._read()
        if self._isOver and self._data and not lines:
            lines, self._data = [self._data], b""
        return [line.removesuffix(b"\r") for line in lines]

    def _isReady(self) -> bool:
        return self._poll is None or bool(self._poll.poll(0))

    def _read(self) -> None:
        try:
            data = os.read(self._fd, CHUNK)
        except BlockingIOError:
            # Another program has taken it.
            return
        except OSError as e:
            raise CannotRead(e.strerror) from e
        self._data += data
        self._isOver = not data

    # IReadDescriptor

    def fileno(self) -> int:
        """
        See L{IReadDescriptor}.
        """
        return self._fd

    def logPrefix(self) -> str:
        """
        See L{IReadDescriptor}.
        """
        return "stdin"

    def doRead(self) -> None:
        """
        There is something to read, or the end.
        """
        self._reactor.removeReader(self)
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)

    def connectionLost(self, reason: Failure) -> None:
        """
        The writer has closed its end: what it has written can still be read.
        """
        self.doRead()
