"""
Tests for L{twisted_sse.daemon.sources.command}: events from the output of a command.
"""

from __future__ import annotations

import signal
import sys
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.support.live import reactor, until
from tests.support.processes import isAlive
from tests.support.published import Published
from tests.support.requirements import needs
from twisted_sse import Channel
from twisted_sse.daemon.sources import command
from twisted_sse.daemon.sources.command import LONGEST_END, Command


class _Process:
    """
    A process that does nothing.
    """

    pid = 4711

    def __init__(self) -> None:
        self.did: list[str] = []
        self.hasExited = False

    def __getattr__(self, name: str) -> Any:
        return lambda: self.did.append(name)

    def signalProcess(self, signal: str) -> None:
        if self.hasExited:
            raise ProcessExitedAlready
        self.did.append(signal)


class _Reactor(MemoryReactorClock):
    """
    A reactor that starts processes that do nothing.
    """

    def __init__(self) -> None:
        super().__init__()
        self.processes: list[_Process] = []
        self.arguments: list[str] = []
        self.run: Any = None
        self.refusal: OSError | None = None
        self.exitsAtOnce = False

    def spawnProcess(self, protocol: Any, executable: Any, args: Any = (), **more: Any) -> Any:
        if self.refusal is not None:
            raise self.refusal
        self.arguments = args
        self.run = protocol
        self.processes.append(_Process())
        protocol.makeConnection(self.processes[-1])
        if self.exitsAtOnce:
            protocol.processExited(Failure(ProcessDone(0)))
        return self.processes[-1]


class CommandTests(SynchronousTestCase):
    """
    Tests for a command, without processes.
    """

    def setUp(self) -> None:
        """
        Record events, log messages and signals.
        """
        self.reactor = _Reactor()
        self.published = Published()
        self.channel = Channel(history=None, observer=self.published)
        self.logged: list[str] = []
        for level in "warn", "info", "error":
            self.patch(
                command._log,
                level,
                lambda said, /, **fields: self.logged.append(said.format(**fields)),
            )
        self.ended: list[int] = []

    def start(self, **options: Any) -> Command:
        """
        Start the command.
        """
        source = Command(self.channel, self.reactor, ["/bin/cmd", "x"], **options)
        source.startService()
        return source

    def finish(self, source: Command, status: int | None = 0, number: int | None = None) -> None:
        """
        End the process.
        """
        error: Any = ProcessTerminated(status, number)
        reason = Failure(ProcessDone(0) if status == 0 else error)
        self.reactor.run.processExited(reason)
        self.reactor.run.processEnded(reason)

    def test_lines(self) -> None:
        """
        Lines of output are published, the last one whole or not, and lines of standard error are
        logged.
        """
        source = self.start()
        self.assertEqual(self.reactor.arguments[-2:], ["/bin/cmd", "x"])
        self.assertEqual(self.reactor.arguments[0], sys.executable)
        self.reactor.run.outReceived(b"one\ntw")
        self.reactor.run.errReceived(b"oh\nno")
        self.reactor.run.outReceived(b"o\nlast")
        self.finish(source)
        self.assertEqual(self.published.data, ["one", "two", "last"])
        self.assertEqual(self.logged[:2], ["cmd: oh", "cmd: no"])

    def test_restarted(self) -> None:
        """
        A command that ends is restarted after growing delays, which start over once it has run for
        a while.
        """
        source = self.start()
        waits = []
        for status in 0, 1, 1, 1, 1, 1, 1, 1:
            self.finish(source, status)
            (call,) = self.reactor.getDelayedCalls()
            waits.append(call.getTime() - self.reactor.seconds())
            self.reactor.advance(waits[-1])
        self.assertEqual(waits, [1, 2, 4, 8, 16, 32, 60, 60])
        self.assertEqual(len(self.reactor.processes), 9)
        self.reactor.advance(60)
        self.finish(source, None, signal.SIGSEGV)
        self.assertIn("killed by SIGSEGV", self.logged[-1])
        self.assertIn("restarting in 1 s", self.logged[-1])
        self.reactor.advance(1)
        # Real-time signals have no names.
        self.finish(source, None, signal.SIGRTMIN + 1)
        self.assertIn(f"killed by signal {signal.SIGRTMIN + 1}", self.logged[-1])
        source.stopService()
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_cannotStart(self) -> None:
        """
        A command that could not be started is retried.
        """
        self.reactor.refusal = OSError(11, "Resource temporarily unavailable")
        source = self.start()
        self.assertIn("cannot be started: Resource", self.logged[-1])
        self.reactor.refusal = None
        self.reactor.advance(1)
        self.assertEqual(len(self.reactor.processes), 1)
        self.gone = True
        self.finish(source)
        source.stopService()

    def test_once(self) -> None:
        """
        The exit status of a command that runs once is reported as a shell would.
        """
        for status, number, told in (0, None, 0), (7, None, 7), (None, signal.SIGTERM, 143):
            source = self.start(ended=self.ended.append)
            self.finish(source, status, number)
            self.assertEqual(self.ended.pop(), told)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_pauses(self) -> None:
        """
        The process is paused until its output has been delivered.
        """
        delivered: Deferred[None] = Deferred()
        self.patch(self.channel, "whenDelivered", lambda: delivered)
        source = self.start()
        self.reactor.run.outReceived(b"one\n")
        (process,) = self.reactor.processes
        self.assertEqual(process.did, ["pauseProducing"])
        delivered.callback(None)
        self.assertEqual(process.did[-1], "resumeProducing")
        self.finish(source)
        source.stopService()

    def test_stopped(self) -> None:
        """
        Stopping closes the input of the keeper, even while it is paused, which ends the command; if
        that takes too long, the keeper is killed.
        """
        self.patch(self.channel, "whenDelivered", Deferred)
        source = self.start()
        self.reactor.run.outReceived(b"one\n")
        stopped = source.stopService()
        (process,) = self.reactor.processes
        self.assertEqual(process.did[-2:], ["resumeProducing", "closeStdin"])
        self.reactor.run.outReceived(b"farewell\n")
        self.assertEqual(process.did[-1], "closeStdin")
        self.assertNotIn("loseConnection", process.did)
        self.reactor.advance(LONGEST_END)
        self.assertEqual(process.did[-2:], ["KILL", "loseConnection"])
        self.assertIn("cmd did not end within 8 s", self.logged)
        self.assertNoResult(stopped)
        self.finish(source, None, signal.SIGKILL)
        self.successResultOf(stopped)
        self.assertEqual(self.published.data, ["one", "farewell"])
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_outputHeld(self) -> None:
        """
        When the command has ended, the wait for its output is limited.
        """
        self.reactor.exitsAtOnce = True
        source = self.start()
        (process,) = self.reactor.processes
        process.hasExited = True
        self.reactor.advance(LONGEST_END)
        self.assertEqual(process.did[-1], "loseConnection")
        self.reactor.run.processEnded(Failure(ProcessDone(0)))
        source.stopService()
        self.assertEqual(self.reactor.getDelayedCalls(), [])


@needs("network")
class LiveCommandTests(TestCase):
    """
    Tests for a command with real processes.
    """

    def start(self, script: str, **options: Any) -> Command:
        """
        Run a script.
        """
        self.published = Published()
        channel = Channel(history=None, observer=self.published)
        source = Command(channel, reactor, ["sh", "-c", script], **options)
        source.startService()
        self.addCleanup(source.stopService)
        return source

    async def test_status(self) -> None:
        """
        A command's output is published, and its exit status reported.
        """
        ended: list[int] = []
        self.start("printf 'a\\nb'; exit 7", ended=ended.append)
        await until(lambda: ended)
        self.assertEqual((self.published.data, ended), (["a", "b"], [7]))

    async def test_ended(self) -> None:
        """
        Stopping ends the command and the processes it has started.
        """
        source = self.start("sh -c 'echo $$; sleep 100' & echo $$; wait")
        await until(lambda: len(self.published.data) == 2)
        pids = [int(each or 0) for each in self.published.data]
        await source.stopService()
        self.assertEqual([pid for pid in pids if isAlive(pid)], [])

    async def test_pipe(self) -> None:
        """
        A command does not ignore SIGPIPE and SIGXFSZ, so that a closed pipe ends its processes as
        in a shell.
        """
        source = self.start("grep SigIgn /proc/self/status")
        await until(lambda: self.published.data)
        ignored = int(str(self.published.data[0]).split()[1], 16)
        self.assertEqual(ignored & (1 << (signal.SIGPIPE - 1) | 1 << (signal.SIGXFSZ - 1)), 0)
        await source.stopService()

    async def test_escapes(self) -> None:
        """
        Control characters in a command's standard error are escaped in the log.
        """
        warnings: list[str] = []
        self.patch(
            command._log, "warn", lambda said, /, **fields: warnings.append(fields.get("text", ""))
        )
        self.start("printf '\\033[2Jgone\\n' >&2; sleep 100")
        await until(lambda: warnings)
        self.assertEqual(warnings, ["\\u001b[2Jgone"])

    async def test_notThere(self) -> None:
        """
        A command that cannot be run fails, and the log has the reason.
        """
        ended: list[int] = []
        warnings: list[str] = []
        self.patch(command._log, "warn", lambda said, /, **fields: warnings.append(fields["text"]))
        source = self.start("", ended=ended.append)
        await until(lambda: ended)
        source = Command(source.channel, reactor, ["/nowhere/x"], ended=ended.append)
        source.startService()
        await until(lambda: len(ended) == 2)
        self.assertEqual(ended, [0, 1])
        self.assertEqual(warnings, ["/nowhere/x: No such file or directory"])
