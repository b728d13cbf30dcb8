"""
A command as a source: the lines that it writes.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ProcessDone, ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from ...channel.channel import Channel
from ...printable import shown
from .keeper import GRACE, PATIENCE, PROGRAM
from .lines import Line, LineSplitter
from .linesource import LineSource, noID

__all__ = ["Command", "killedBy"]

#: After how many seconds a command is given up that should have ended.
LONGEST_END = PATIENCE + GRACE + 1

#: After how many seconds a command that has ended is started again: at first, and at most.
#: The time doubles with each start, until the command has run for the longer of the two.
SHORTEST_WAIT = 1
LONGEST_WAIT = 60

#: How much of a line on its standard error is logged, in characters.
LONGEST_COMPLAINT = 2000

_log = Logger()


class Command(LineSource):
    """
    Runs a command, and publishes the lines of its standard output.  When it has ended it is
    started again.

    @since: 0.2
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
        @param ended: if given, the command is run only once, and this is called with its exit
            status: 128 and the signal's number if a signal killed it.
        """
        super().__init__(channel, format, ended)
        self._reactor = reactor
        self._arguments = list(arguments)
        self._once = ended is not None
        self._wait = SHORTEST_WAIT
        self._restart: Any = None
        self._run: _Run | None = None
        self._stopped: Deferred[None] | None = None

    @property
    def command(self) -> str:
        """
        The name of the command.
        """
        return os.path.basename(self._arguments[0])

    def startService(self) -> None:
        """
        Start the command.
        """
        super().startService()  # type: ignore[no-untyped-call]
        self._start()

    def stopService(self) -> Deferred[None]:
        """
        End the command, and all that it has started: by SIGTERM, and by SIGKILL after L{PATIENCE}.

        @return: a L{Deferred} that fires when it has ended.
        """
        super().stopService()
        if self._restart is not None:
            self._restart.cancel()
            self._restart = None
        if self._run is None:
            return succeed(None)
        self._stopped = Deferred()
        # It may be waiting for us to read.
        self._run.resume()
        self._run.terminate()
        return self._stopped

    def _start(self) -> None:
        self._restart = None
        self._run = _Run(self, self._reactor)
        try:
            self._run.start(self._arguments)
        except OSError as e:
            # There are too many processes, or too many open files.
            self._run = None
            self._again(f"cannot be started: {e.strerror}")

    def _again(self, why: str) -> None:
        _log.warn(
            "{command} {why}; restarting in {wait} s",
            command=self.command,
            why=why,
            wait=self._wait,
        )
        self._restart = self._reactor.callLater(self._wait, self._start)
        self._wait = min(2 * self._wait, LONGEST_WAIT)

    # What happens to a run

    def _wrote(self, run: _Run, lines: Sequence[Line]) -> None:
        """
        Publish lines, and do not read more before they are delivered.
        """
        self.publish(lines, noID)
        if self._stopped is None and self.whenDelivered(run.resume):
            run.pause()

    def _complained(self, lines: Sequence[Line]) -> None:
        """
        Log lines from the standard error.
        """
        for line in lines:
            text = shown(line.text[:LONGEST_COMPLAINT])
            _log.warn("{command}: {text}", command=self.command, text=text)

    def _finished(self, run: _Run, status: int, how: str) -> None:
        """
        A run is over, and will write nothing more.

        @param status: the exit status, as a shell has it.
        @param how: the same in words.
        """
        self._run = None
        stopped, self._stopped = self._stopped, None
        if stopped is not None:
            stopped.callback(None)
        elif self._once:
            _log.info(
                "{command} has ended: {how}",
                command=self.command,
                how=how,
                terminal=f"{shown(self.command)} has ended: {how}.",
            )
            self.end(status)
        else:
            if self._reactor.seconds() - run.since >= LONGEST_WAIT:
                self._wait = SHORTEST_WAIT
            self._again(f"has ended: {how}")


class _Run(ProcessProtocol):
    """
    One run of the command: its L{keeper<twisted_sse.daemon.sources.keeper>}, which ends when the
    command and everything that it has started have.

    @ivar since: when it was started.
    """

    transport: Any

    def __init__(self, source: Command, reactor: Any) -> None:
        self.since = reactor.seconds()
        self._source = source
        self._reactor = reactor
        self._lines = LineSplitter()
        self._complaints = LineSplitter()
        self._kill: Any = None

    def start(self, arguments: Sequence[str]) -> None:
        """
        Start the process.

        @raise OSError: if it cannot be started.
        """
        program = [sys.executable, "-I", "-S", PROGRAM, *arguments]
        # Its standard input stays open as long as we want it to run, and live.
        self._reactor.spawnProcess(self, sys.executable, program, env=None)

    def pause(self) -> None:
        """
        Stop reading, so that it will soon block when it writes.
        """
        self.transport.pauseProducing()

    def resume(self) -> None:
        """
        Go on reading.
        """
        self.transport.resumeProducing()

    def terminate(self) -> None:
        """
        End it.
        """
        self.transport.closeStdin()
        self._giveUpLater()

    def _giveUpLater(self) -> None:
        if self._kill is None:
            self._kill = self._reactor.callLater(LONGEST_END, self._giveUp)

    def _giveUp(self) -> None:
        self._kill = None
        _log.warn(
            "{command} did not end within {seconds} s",
            command=self._source.command,
            seconds=LONGEST_END,
        )
        try:
            self.transport.signalProcess("KILL")
        except ProcessExitedAlready:
            pass
        # Where a process can leave its group, one may hold its output open: do not wait for that.
        self.transport.loseConnection()

    # ProcessProtocol

    def outReceived(self, data: bytes) -> None:
        """
        See L{ProcessProtocol}.
        """
        self._source._wrote(self, self._lines.feed(data))

    def errReceived(self, data: bytes) -> None:
        """
        See L{ProcessProtocol}.
        """
        self._source._complained(self._complaints.feed(data))

    def processExited(self, reason: Failure) -> None:
        """
        The command has ended, and its output should be closed.
        """
        self._giveUpLater()

    def processEnded(self, reason: Failure) -> None:
        """
        The command has ended, and its output is closed.
        """
        if self._kill is not None:
            self._kill.cancel()
            self._kill = None
        self._source.publish(self._lines.finish(), noID)
        self._source._complained(self._complaints.finish())
        self._source._finished(self, *_told(reason))


def killedBy(number: int) -> str:
    """
    Say which signal has ended a process.  Real-time signals have no names.
    """
    try:
        return f"killed by {signal.Signals(number).name}"
    except ValueError:
        return f"killed by signal {number}"


def _told(reason: Failure) -> tuple[int, str]:
    """
    @return: the exit status, as a shell has it, and the same in words.
    """
    if reason.check(ProcessDone):
        return 0, "status 0"
    number = getattr(reason.value, "signal", None)
    if number is not None:
        return 128 + number, killedBy(number)
    status = getattr(reason.value, "exitCode", None) or 1
    return status, f"status {status}"
