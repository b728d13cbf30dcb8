"""
Tests for L{twisted_sse.daemon.sources.command}.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.support.live import reactor, until
from tests.support.requirements import needs
from twisted_sse import Channel
from twisted_sse.daemon.sources import command
from twisted_sse.daemon.sources.command import Command


class _Process:
    """
    A process that does nothing.
    """

    pid = 4711

    def __init__(self) -> None:
        self.did: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return lambda: self.did.append(name)


class _Reactor(MemoryReactorClock):
    """
    Starts such processes.
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
    A command, without processes.
    """

    def setUp(self) -> None:
        """
        Start one.
        """
        self.reactor = _Reactor()
        self.data: list[str | None] = []
        self.channel = Channel(history=None)
        publish = self.channel.publish
        self.patch(
            self.channel, "publish", lambda event: (self.data.append(event.data), publish(event))
        )
        self.logged: list[str] = []
        for level in "warn", "info", "error":
            self.patch(
                command._log,
                level,
                lambda said, /, **fields: self.logged.append(said.format(**fields)),
            )
        self.signals: list[tuple[int, int]] = []
        self.gone = False
        self.patch(os, "killpg", self.kill)
        self.ended: list[int] = []

    def kill(self, pid: int, number: int) -> None:
        """
        Take a signal.
        """
        if self.gone:
            raise ProcessLookupError
        self.signals.append((pid, number))

    def start(self, **options: Any) -> Command:
        """
        Start the command.
        """
        source = Command(self.channel, self.reactor, ["/bin/cmd", "x"], **options)
        source.startService()
        return source

    def finish(self, source: Command, status: int | None = 0, number: int | None = None) -> None:
        """
        Let the process end.
        """
        error: Any = ProcessTerminated(status, number)
        reason = Failure(ProcessDone(0) if status == 0 else error)
        self.reactor.run.processExited(reason)
        self.reactor.run.processEnded(reason)

    def test_lines(self) -> None:
        """
        What it writes are lines, the last one whole or not; what it complains about is logged.
        """
        source = self.start()
        self.assertEqual(self.reactor.arguments[-2:], ["/bin/cmd", "x"])
        self.assertEqual(self.reactor.arguments[0], sys.executable)
        self.reactor.run.outReceived(b"one\ntw")
        self.reactor.run.errReceived(b"oh\nno")
        self.reactor.run.outReceived(b"o\nlast")
        self.finish(source)
        self.assertEqual(self.data, ["one", "two", "last"])
        self.assertEqual(self.logged[:2], ["cmd: oh", "cmd: no"])

    def test_restarted(self) -> None:
        """
        It is started again, after ever more time, until it has run for a while.
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
        self.assertIn("again in 1 s", self.logged[-1])
        source.stopService()
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_cannotStart(self) -> None:
        """
        When there can be no process, it is tried again, too.
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
        If it is run once, its exit status is told, as a shell would.
        """
        for status, number, told in (0, None, 0), (7, None, 7), (None, signal.SIGTERM, 143):
            source = self.start(ended=self.ended.append)
            self.finish(source, status, number)
            self.assertEqual(self.ended.pop(), told)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_pauses(self) -> None:
        """
        It may write no more before what it has written has gone out.
        """
        delivered: Deferred[None] = Deferred()
        self.patch(self.channel, "whenDelivered", lambda: delivered)
        source = self.start()
        self.reactor.run.outReceived(b"one\n")
        (process,) = self.reactor.processes
        self.assertEqual(process.did, ["closeStdin", "pauseProducing"])
        delivered.callback(None)
        self.assertEqual(process.did[-1], "resumeProducing")
        self.gone = True
        self.finish(source)
        source.stopService()

    def test_stopped(self) -> None:
        """
        It is asked to end, with all that it has started, and then killed; even while it is paused.
        """
        self.patch(self.channel, "whenDelivered", Deferred)
        source = self.start()
        self.reactor.run.outReceived(b"one\n")
        stopped = source.stopService()
        (process,) = self.reactor.processes
        self.assertEqual(process.did[-1], "resumeProducing")
        self.assertEqual(self.signals, [(4711, signal.SIGTERM)])
        self.reactor.run.outReceived(b"farewell\n")
        self.assertEqual(process.did[-1], "resumeProducing")
        # What it has started goes on for a while.
        self.reactor.run.processExited(Failure(ProcessDone(0)))
        self.assertEqual(len(self.reactor.getDelayedCalls()), 1)
        self.reactor.advance(5)
        self.assertEqual(self.signals[2:], [(4711, signal.SIGKILL)])
        self.assertEqual(process.did[-1], "loseConnection")
        self.assertNoResult(stopped)
        self.finish(source, None, signal.SIGKILL)
        self.successResultOf(stopped)
        self.assertEqual(self.data, ["one", "farewell"])
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_offspring(self) -> None:
        """
        When it has ended, what it has started is ended, too.
        """
        source = self.start()
        self.reactor.run.processExited(Failure(ProcessDone(0)))
        self.assertEqual(self.signals, [(4711, signal.SIGTERM)])
        self.reactor.advance(5)
        self.assertEqual(self.signals[1:], [(4711, signal.SIGKILL)])
        self.reactor.run.processEnded(Failure(ProcessDone(0)))
        source.stopService()

    def test_exitsAtOnce(self) -> None:
        """
        When it has ended before Twisted returns from starting it, the signal goes to its own
        group: to group 0 it would be for the daemon's.
        """
        self.reactor.exitsAtOnce = True
        source = self.start()
        self.assertEqual(self.signals, [(4711, signal.SIGTERM)])
        self.reactor.run.processEnded(Failure(ProcessDone(0)))
        source.stopService()
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_noGroup(self) -> None:
        """
        A process that has made no group yet gets the signal alone; one that we may not end is
        told of.
        """
        alone: list[int] = []
        self.patch(os, "kill", lambda pid, number: alone.append(pid))
        source = self.start()
        self.gone = True
        self.reactor.run.terminate()
        self.assertEqual(alone, [4711])

        def refuse(pid: int, number: int) -> None:
            raise PermissionError(1, "Operation not permitted")

        self.patch(os, "killpg", refuse)
        self.reactor.run.terminate()
        self.assertIn("cannot be ended: Operation not permitted", self.logged[-1])
        self.finish(source)
        source.stopService()


@needs("network")
class LiveCommandTests(TestCase):
    """
    A command, with processes.
    """

    def start(self, script: str, **options: Any) -> Command:
        """
        Run a script.
        """
        self.data: list[str | None] = []
        channel = Channel(history=None)
        publish = channel.publish
        self.patch(channel, "publish", lambda event: (self.data.append(event.data), publish(event)))
        source = Command(channel, reactor, ["sh", "-c", script], **options)
        source.startService()
        self.addCleanup(source.stopService)
        return source

    async def test_status(self) -> None:
        """
        Its output is published, and its exit status told.
        """
        ended: list[int] = []
        self.start("printf 'a\\nb'; exit 7", ended=ended.append)
        await until(lambda: ended)
        self.assertEqual((self.data, ended), (["a", "b"], [7]))

    async def test_group(self) -> None:
        """
        It has a session of its own, and those that ignore SIGTERM are killed, children first or
        last.
        """
        self.patch(command, "PATIENCE", 0.2)
        # What is ignored, is ignored by children, too.
        source = self.start("trap '' TERM; sh -c 'echo $$; sleep 100' & echo $$; wait")
        await until(lambda: len(self.data) == 2)
        pids = [int(each or 0) for each in self.data]
        self.assertEqual({os.getsid(pid) for pid in pids}, {source._run and source._run._pid})
        await source.stopService()

        def isGone(pid: int) -> bool:
            try:
                with open(f"/proc/{pid}/stat", encoding="ascii") as file:
                    return file.read().split(")")[-1].split()[0] == "Z"
            except FileNotFoundError:
                return True

        await until(lambda: all(map(isGone, pids)))

    async def test_pipe(self) -> None:
        """
        Who writes for somebody who has had enough is ended by that, as in a shell.
        """
        source = self.start("grep SigIgn /proc/self/status")
        await until(lambda: self.data)
        ignored = int(str(self.data[0]).split()[1], 16)
        self.assertEqual(ignored & (1 << (signal.SIGPIPE - 1) | 1 << (signal.SIGXFSZ - 1)), 0)
        await source.stopService()

    async def test_escapes(self) -> None:
        """
        What it says on its standard error does not act on the terminal that shows the log.
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
        What cannot be run is said on its standard error, and is a failure.
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
