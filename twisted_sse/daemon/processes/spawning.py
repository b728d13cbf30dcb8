"""
How the parent starts the process of a child.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Sequence
from typing import Any

from twisted.internet.error import ProcessExitedAlready
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import Factory, ProcessProtocol
from twisted.python.failure import Failure

from ..sources.command import killedBy
from .supervisor import Child
from .wire import PROTOCOL, Wire

__all__ = ["CONTROL", "FIRST_SOCKET", "PARENTS", "PROGRAM", "Spawner"]

#: The descriptors of a child: the wire, and the first of the sockets.
CONTROL = 3
FIRST_SOCKET = 4

#: What a child runs.  It is a fresh process: one that has a reactor must not be forked.
PROGRAM = ["-m", "twisted_sse.daemon.processes.child"]

#: The signals that are the parent's affair.  A terminal sends some of them to all processes.
PARENTS = (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)

#: How long to wait for what a child has said, in seconds, when its process has ended.
LAST_WORDS = 1.0


class _Process(ProcessProtocol):
    """
    The process of a child.  It has ended when everything that it has said was heard, too.

    It is a L{Handle<twisted_sse.daemon.processes.supervisor.Handle>}.
    """

    transport: Any
    pid = 0

    def __init__(self, reactor: Any, child: Child) -> None:
        self._reactor = reactor
        self._child = child
        self._wire = Wire(child.heard, self._wireLost)
        self._isHeard = False
        self._how: tuple[str, int | None] | None = None
        self._giveUp: IDelayedCall | None = None

    def connect(self, end: socket.socket) -> None:
        """
        Take our end of the wire.
        """
        with end:
            self._reactor.adoptStreamConnection(
                end.fileno(), socket.AF_UNIX, Factory.forProtocol(lambda: self._wire)
            )

    def say(self, kind: str, fields: dict[str, Any] | None = None, needed: bool = True) -> None:
        """
        See L{Handle<twisted_sse.daemon.processes.supervisor.Handle>}.
        """
        self._wire.say(kind, fields, needed)

    def kill(self) -> None:
        """
        See L{Handle<twisted_sse.daemon.processes.supervisor.Handle>}.
        """
        try:
            self.transport.signalProcess("KILL")
        except ProcessExitedAlready:
            pass

    def _wireLost(self) -> None:
        self._isHeard = True
        self._endIfHeard()

    def makeConnection(self, transport: Any) -> None:
        """
        The process was started.
        """
        self.pid = transport.pid
        super().makeConnection(transport)  # type: ignore[no-untyped-call]

    def processEnded(self, reason: Failure) -> None:
        """
        The process has ended.
        """
        number = getattr(reason.value, "signal", None)
        status = getattr(reason.value, "exitCode", None)
        if number is None:
            self._how = f"status {status}", status
        else:
            self._how = killedBy(number), None
        # Something that it has started may have inherited its end of the wire.
        self._giveUp = self._reactor.callLater(LAST_WORDS, self._wire.close)
        self._endIfHeard()

    def _endIfHeard(self) -> None:
        if self._isHeard and self._how is not None:
            if self._giveUp is not None and self._giveUp.active():
                self._giveUp.cancel()
            how, self._how = self._how, None
            self._child.ended(*how)


class Spawner:
    """
    Starts processes that inherit sockets.
    """

    def __init__(
        self, reactor: Any, sockets: Sequence[socket.socket], about: dict[str, Any]
    ) -> None:
        """
        @param sockets: what the children are to accept from.
        @param about: what else they need to know.
        """
        self._reactor = reactor
        self._sockets = sockets
        self._about = about
        # Relative names in the options are meant from here.
        self._directory = os.getcwd()

    def start(self, child: Child) -> _Process:
        """
        Start a process.

        @raise OSError: if that is not possible now.
        """
        # First: a process that is never asked to begin waits forever.
        more = {"protocol": PROTOCOL, "wait": child.waits, "now": os.getcwd()}
        ours, theirs = socket.socketpair()
        with theirs:
            ours.setblocking(False)
            process = _Process(self._reactor, child)
            null = os.open(os.devnull, os.O_RDWR)
            try:
                files = {0: null, 1: _open(1, null), 2: _open(2, null), CONTROL: theirs.fileno()}
                for number, each in enumerate(self._sockets, FIRST_SOCKET):
                    files[number] = each.fileno()
                self._spawn(process, files)
            except BaseException:
                ours.close()
                raise
            finally:
                os.close(null)
        process.connect(ours)
        process.say("begin", {**self._about, **more})
        return process

    def _spawn(self, process: _Process, files: dict[int, int]) -> None:
        # The child inherits the mask: they wait until it has handlers.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, PARENTS)
        try:
            self._reactor.spawnProcess(
                process,
                sys.executable,
                [sys.executable, *PROGRAM],
                env=None,
                path=self._directory,
                childFDs=files,
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _open(number: int, instead: int) -> int:
    """
    @return: a descriptor of our own; another if it is closed.
    """
    try:
        os.fstat(number)
    except OSError:
        return instead
    return number
