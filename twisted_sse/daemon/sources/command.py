"""
A command as a source: what it writes.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ProcessDone
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from ...channel.channel import Channel
from ...printable import shown
from .lines import Line, LineSplitter
from .linesource import LineSource

__all__ = ["Command"]

#: How long a command has for its end, in seconds, after it was asked for it.
PATIENCE = 5

#: After how many seconds a command that has ended is started again: at first, and at most.
#: It is twice as long each time, until it has run for the longest of these.
SHORTEST_WAIT = 1
LONGEST_WAIT = 60

#: How much of a line on its standard error is logged, in characters.
LONGEST_COMPLAINT = 2000

#: Makes a session, and with it a process group, for the command and all that it starts: to be
#: ended together, and not to be hit by a Ctrl-C that is for the daemon.  By a program of its
#: own, since Twisted has no option for it, and after fork() is too late to be safe.
SESSION = """\
import os, signal, sys
os.setsid()
# Python ignores these, and what is ignored stays so over exec().
for number in signal.SIGPIPE, signal.SIGXFSZ:
    signal.signal(number, signal.SIG_DFL)
try:
    os.execvp(sys.argv[1], sys.argv[1:])
except OSError as e:
    sys.exit(f"{sys.argv[1]}: {e.strerror}")
"""

_log = Logger()


class Command(LineSource, ProcessProtocol):
    """
    Runs a command, and publishes the lines of its standard output.  When it has ended it is
    started again.

    @since: 0.1
    """

    def __init__(
        self,
        channel: Channel,
        reactor: Any,
        arguments: Sequence[str],
        format: str = "text",
        ended: Callable[[int], None] | None = None,
    ) -> None:
        """
        @param arguments: the command, and its arguments.
        @param ended: if given, the command is not started again: this is called instead with
            its exit status, 128 and the signal's number if it was killed.
        """
        super().__init__(channel, format, ended)
        self._reactor = reactor
        self._arguments = list(arguments)
        self._wait = SHORTEST_WAIT
        self._restart: Any = None
        self._kill: Any = None
        self._pid = 0
        self._since = 0.0
        self._stopped: Deferred[None] | None = None
        self._exited = False
        self._transport: Any = None
        self._splitter = LineSplitter()
        self._errors = LineSplitter()

    @property
    def command(self) -> str:
        """
        Its name.
        """
        return os.path.basename(self._arguments[0])

    def startService(self) -> None:
        """
        Start it.
        """
        LineSource.startService(self)  # type: ignore[no-untyped-call]
        self._start()

    def stopService(self) -> Deferred[None]:
        """
        End it: by SIGTERM, and if that does not help within L{PATIENCE}, by SIGKILL.
        """
        LineSource.stopService(self)
        if self._restart is not None:
            self._restart.cancel()
            self._restart = None
        if not self._pid:
            return succeed(None)
        self._stopped = Deferred()
        # It may wait for us to read.
        self._transport.resumeProducing()
        self._terminate()
        return self._stopped

    def _start(self) -> None:
        self._restart = None
        self._splitter, self._errors = LineSplitter(), LineSplitter()
        self._since = self._reactor.seconds()
        trampoline = [sys.executable, "-I", "-S", "-c", SESSION, *self._arguments]
        try:
            self._transport = self._reactor.spawnProcess(self, sys.executable, trampoline, env=None)
        except OSError as e:
            # No process more, or no file.
            self._again(f"cannot be started: {e.strerror}")
            return
        self._pid = self._transport.pid
        self._transport.closeStdin()

    def _terminate(self) -> None:
        self._signal(signal.SIGTERM)
        if self._kill is None:
            self._kill = self._reactor.callLater(PATIENCE, self._killed)

    def _killed(self) -> None:
        self._kill = None
        _log.warn(
            "{command} did not end within {seconds} s", command=self.command, seconds=PATIENCE
        )
        self._signal(signal.SIGKILL)
        # Whoever holds its output still is none of ours: not to wait for that.
        self._transport.loseConnection()

    def _signal(self, number: int) -> None:
        """
        Send a signal to the command, and to all that it has started.
        """
        for send, target in ((os.killpg, self._pid), (os.kill, self._pid)):
            try:
                send(target, number)
                return
            except ProcessLookupError:
                # It has not made its group yet; or it has ended, and so have the others.
                if self._exited:
                    return
            except PermissionError as e:
                _log.error("{command} cannot be ended: {why}", command=self.command, why=e.strerror)
                return

    # ProcessProtocol

    def connectionMade(self) -> None:
        """
        See L{ProcessProtocol}.
        """
        self._exited = False

    def outReceived(self, data: bytes) -> None:
        """
        Publish what it writes, before it may write more.
        """
        self.publish(self._splitter.feed(data), _noID)
        if self._stopped is None and self.whenDelivered(self._transport.resumeProducing):
            self._transport.pauseProducing()

    def errReceived(self, data: bytes) -> None:
        """
        Log what it complains about.
        """
        self._logLines(self._errors.feed(data))

    def processExited(self, reason: Failure) -> None:
        """
        It has ended; what it has started may not have.
        """
        self._exited = True
        self._terminate()

    def processEnded(self, reason: Failure) -> None:
        """
        Nothing more comes.
        """
        if self._kill is not None:
            self._kill.cancel()
            self._kill = None
        self._pid = 0
        self.publish(self._splitter.finish(), _noID)
        self._logLines(self._errors.finish())
        status, how = _told(reason)
        stopped = self._stopped
        if stopped is not None:
            self._stopped = None
            stopped.callback(None)
        elif self._ended is not None:
            _log.info("{command} has ended: {how}", command=self.command, how=how)
            self.end(status)
        else:
            if self._reactor.seconds() - self._since >= LONGEST_WAIT:
                self._wait = SHORTEST_WAIT
            self._again(f"has ended: {how}")

    def _again(self, why: str) -> None:
        _log.warn(
            "{command} {why}. It is started again in {wait} s.",
            command=self.command,
            why=why,
            wait=self._wait,
        )
        self._restart = self._reactor.callLater(self._wait, self._start)
        self._wait = min(2 * self._wait, LONGEST_WAIT)

    def _logLines(self, lines: Sequence[Line]) -> None:
        for line in lines:
            text = shown(line.text[:LONGEST_COMPLAINT])
            _log.warn("{command}: {text}", command=self.command, text=text)


def _told(reason: Failure) -> tuple[int, str]:
    """
    @return: the exit status, as shells have it, and the same in words.
    """
    if reason.check(ProcessDone):
        return 0, "status 0"
    number = getattr(reason.value, "signal", None)
    if number is not None:
        return 128 + number, f"killed by {signal.Signals(number).name}"
    status = getattr(reason.value, "exitCode", None) or 1
    return status, f"status {status}"


def _noID(line: Line) -> None:
    return None
