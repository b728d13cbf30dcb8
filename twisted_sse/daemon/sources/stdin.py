"""
The daemon's standard input as a source.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.main import CONNECTION_DONE
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from ...channel.channel import Channel
from .lines import LineSplitter
from .linesource import LineSource, noID

__all__ = ["StandardInput"]

#: How much is read at a time, in bytes: the capacity of a pipe.
CHUNK = 2**16

_log = Logger()


@implementer(IReadDescriptor)
class StandardInput(LineSource):
    """
    Publishes the lines that come from a file descriptor.

    It does not use Twisted's C{StandardIO}, which makes the descriptor non-blocking.  A terminal
    shares that setting with standard output, where our log goes, and a pipe with other programs.

    @since: 0.2
    """

    def __init__(
        self,
        channel: Channel,
        reactor: Any,
        format: str = "text",
        ended: Callable[[int], None] | None = None,
        fd: int = 0,
    ) -> None:
        """
        @param fd: what to read; standard input if not given.
        """
        super().__init__(channel, format, ended)
        self._reactor = reactor
        self._fd = fd
        self._splitter = LineSplitter()
        self._call: Any = None
        self._isFile = False

    def startService(self) -> None:
        """
        Begin to read.
        """
        super().startService()  # type: ignore[no-untyped-call]
        # A file is always ready, but epoll refuses to watch it.
        self._isFile = stat.S_ISREG(os.fstat(self._fd).st_mode)
        self._resume()

    def stopService(self) -> Any:
        """
        Stop reading.
        """
        self._pause()
        return super().stopService()

    def _resume(self) -> None:
        if self._isFile:
            self._call = self._reactor.callLater(0, self._readFile)
        else:
            self._reactor.addReader(self)

    def _pause(self) -> None:
        if self._call is not None:
            self._call.cancel()
            self._call = None
        elif not self._isFile:
            self._reactor.removeReader(self)

    def _readFile(self) -> None:
        self._call = None
        lost = self.doRead()
        if lost is not None:
            self.connectionLost(Failure(lost))
        elif not self.isDelivering:
            self._resume()

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

    def doRead(self) -> Any:
        """
        Read once.  That does not block, since the descriptor is ready.
        """
        try:
            data = os.read(self._fd, CHUNK)
        except BlockingIOError:
            return None
        except OSError as e:
            return e
        if not data:
            return CONNECTION_DONE
        self.publish(self._splitter.feed(data), noID)
        if self.whenDelivered(self._resume):
            self._pause()
        return None

    def connectionLost(self, reason: Failure) -> None:
        """
        There is nothing more to read.
        """
        self.publish(self._splitter.finish(), noID)
        if reason.check(ConnectionDone):
            count = f"{self.lines:,} line{'' if self.lines == 1 else 's'}"
            _log.info(
                "Standard input ended after {count}",
                count=count,
                terminal=f"Standard input ended after {count}.",
            )
            self.end(0)
        else:
            _log.error("Standard input cannot be read: {why}", why=reason.getErrorMessage())
            self.end(1)
