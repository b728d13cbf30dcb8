"""
How C{get} formats events, and where it prints them.
"""

from __future__ import annotations

import json
import os
import select
import stat
import time
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReadDescriptor, IWriteDescriptor
from twisted.internet.main import CONNECTION_LOST
from twisted.python.failure import Failure
from zope.interface import implementer

from ..format.parser import MessageEvent
from ..printable import shown

__all__ = ["OUTPUTS", "CannotPrint", "Output", "asData", "asJSON", "asText"]

#: How much is written at a time, in bytes.  A pipe that is ready takes that much without
#: blocking.
PIECE = getattr(select, "PIPE_BUF", 512)


def asText(event: MessageEvent, isTerminal: bool) -> str:
    """
    Format an event for people: a line with the time, the type and the ID, then the lines of the
    data, indented.

    @param isTerminal: whether to use colours, if the environment allows them.
    """
    isColoured = isTerminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"

    def paint(code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if isColoured else text

    head = [paint("2", time.strftime("%H:%M:%S")), paint("36", shown(event.type))]
    if event.lastEventID:
        head.append(paint("2", f"id {shown(event.lastEventID)}"))
    data = (f"    {shown(line)}" for line in event.data.split("\n"))
    return "\n".join(["  ".join(head), *data])


def asJSON(event: MessageEvent, isTerminal: bool) -> str:
    """
    Format an event for programs: an object on one line.

    @param isTerminal: makes no difference.
    """
    fields = {"type": event.type, "data": event.data, "lastEventID": event.lastEventID}
    return shown(json.dumps(fields, ensure_ascii=False))


def asData(event: MessageEvent, isTerminal: bool) -> str:
    """
    Format the data of an event, unchanged.

    @param isTerminal: whether to make the data safe to show.
    """
    if isTerminal:
        return "\n".join(map(shown, event.data.split("\n")))
    return event.data


#: The values of C{--output}.
OUTPUTS: dict[str, Callable[[MessageEvent, bool], str]] = {
    "text": asText,
    "json": asJSON,
    "data": asData,
}


class CannotPrint(Exception):
    """
    The output cannot be written.  The cause is the C{OSError} that says why.
    """


@implementer(IReadDescriptor, IWriteDescriptor)
class Output:
    """
    The file descriptor that events are printed to.

    It does not use Twisted's C{StandardIO}, which makes the descriptor non-blocking.  A terminal
    shares that setting with the shell, and a pipe with other programs.
    """

    def __init__(self, reactor: Any, fd: int, onClosed: Callable[[], object]) -> None:
        """
        @param fd: the file descriptor.
        @param onClosed: called when the reader has closed its end, as far as that is noticed.
        """
        self._reactor = reactor
        self._fd = fd
        self._onClosed = onClosed
        self._waiting: Deferred[None] | None = None
        # Without poll(), as on Windows, a write blocks the process until the reader reads.
        poll = getattr(select, "poll", None)
        self._poll: Any = None if poll is None else poll()
        if self._poll is not None:
            self._poll.register(fd, select.POLLOUT)

    def start(self) -> None:
        """
        Begin to watch whether the reader closes its end, even while nothing is printed.
        """
        # The write end of a pipe becomes readable when the read end is closed.  Other
        # descriptors may be readable because there is something to read.
        if self._poll is not None and stat.S_ISFIFO(os.fstat(self._fd).st_mode):
            try:
                os.read(self._fd, 0)
            except OSError:
                self._reactor.addReader(self)

    def stop(self) -> None:
        """
        Stop watching.
        """
        self._reactor.removeReader(self)
        self._reactor.removeWriter(self)

    async def write(self, text: str) -> None:
        """
        Write text, no faster than it is read.

        @raise CannotPrint: if it cannot be written.
        """
        data = memoryview(text.encode())
        while data:
            if self._poll is not None and not self._poll.poll(0):
                self._waiting = Deferred()
                self._reactor.addWriter(self)
                await self._waiting
            try:
                data = data[os.write(self._fd, data[:PIECE]) :]
            except OSError as e:
                raise CannotPrint(e.strerror) from e

    # IReadDescriptor, IWriteDescriptor

    def fileno(self) -> int:
        """
        See L{IWriteDescriptor}.
        """
        return self._fd

    def logPrefix(self) -> str:
        """
        See L{IWriteDescriptor}.
        """
        return "stdout"

    def doWrite(self) -> None:
        """
        There is room again: continue to write.
        """
        self._reactor.removeWriter(self)
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)

    def doRead(self) -> Any:
        """
        The reader has closed its end: there cannot be anything to read.
        """
        return CONNECTION_LOST

    def connectionLost(self, reason: Failure) -> None:
        """
        The reader has closed its end.
        """
        self._onClosed()
        # A write that waits for room fails when it tries again.
        self.doWrite()
