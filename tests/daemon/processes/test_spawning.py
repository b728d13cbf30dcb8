"""
Tests for L{twisted_sse.daemon.processes.spawning}.
"""

from __future__ import annotations

import os
import signal
import socket
from tempfile import mkdtemp
from typing import Any

from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from twisted_sse.daemon.processes import spawning
from twisted_sse.daemon.processes.spawning import (
    CONTROL,
    FIRST_SOCKET,
    LAST_WORDS,
    PARENTS,
    Spawner,
)
from twisted_sse.daemon.processes.wire import PROTOCOL, readMessage, writeMessage


class SpawnReactor(Clock):
    """
    A reactor whose processes do nothing.
    """

    def __init__(self) -> None:
        super().__init__()
        self.wire: Any = None
        self.transport: Any = StringTransport()
        self.signals: list[str] = []
        self.hasEnded = False
        self.fails = False

    def spawnProcess(self, process: Any, executable: str, arguments: Any, **more: Any) -> None:
        """
        Record the call.
        """
        if self.fails:
            raise OSError(11, "Resource temporarily unavailable")
        self.mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        self.process, self.arguments, self.more = process, arguments, more
        self.statuses = {each: os.fstat(fd) for each, fd in more["childFDs"].items()}
        self.pid = 1234
        process.makeConnection(self)

    def signalProcess(self, name: str) -> None:
        """
        Record the call.
        """
        if self.hasEnded:
            raise ProcessExitedAlready
        self.signals.append(name)

    def adoptStreamConnection(self, fd: int, family: int, factory: Any) -> None:
        """
        Connect our end of the wire in memory.
        """
        self.transport = StringTransport()
        self.wire = factory.buildProtocol(None)
        self.wire.makeConnection(self.transport)


class Child:
    """
    The child of a process.
    """

    waits = True

    def __init__(self) -> None:
        self.messages: list[tuple[str, Any]] = []
        self.ends: list[tuple[str, int | None]] = []

    def heard(self, kind: str, fields: Any) -> None:
        """
        Record it.
        """
        self.messages.append((kind, fields))

    def ended(self, how: str, status: int | None) -> None:
        """
        Record it.
        """
        self.ends.append((how, status))


class SpawnerTests(SynchronousTestCase):
    """
    Tests for starting processes.
    """

    def setUp(self) -> None:
        """
        Start one.
        """
        self.reactor = SpawnReactor()
        self.child: Any = Child()
        self.socket = socket.socket()
        self.addCleanup(self.socket.close)
        self.spawner = Spawner(self.reactor, [self.socket], {"arguments": ["--id", "secret"]})
        self.files = len(os.listdir("/proc/self/fd"))
        self.process = self.spawner.start(self.child)

    def test_inherited(self) -> None:
        """
        A child inherits only its output, the wire and the sockets, and has no input.
        """
        self.assertEqual(set(self.reactor.statuses), {0, 1, 2, CONTROL, FIRST_SOCKET})
        null = os.stat(os.devnull)
        self.assertTrue(os.path.samestat(self.reactor.statuses[0], null))
        self.assertTrue(
            os.path.samestat(self.reactor.statuses[FIRST_SOCKET], os.fstat(self.socket.fileno()))
        )
        self.assertEqual(self.reactor.more["path"], os.getcwd())
        # Here nothing is left open.
        self.assertEqual(len(os.listdir("/proc/self/fd")), self.files)

    def test_begin(self) -> None:
        """
        A child receives the options over the wire, not on its command line.
        """
        kind, about = readMessage(self.reactor.transport.value().rstrip())
        self.assertEqual(
            (kind, about),
            (
                "begin",
                {
                    "arguments": ["--id", "secret"],
                    "protocol": PROTOCOL,
                    "wait": True,
                    "now": os.getcwd(),
                },
            ),
        )
        self.assertNotIn("secret", " ".join(self.reactor.arguments))
        self.assertEqual(self.process.pid, 1234)

    def test_mask(self) -> None:
        """
        Signals sent to the parent reach a child only after it handles them, and the parent
        immediately.
        """
        self.assertLessEqual(set(PARENTS), self.reactor.mask)
        self.assertEqual(set(PARENTS) & signal.pthread_sigmask(signal.SIG_BLOCK, ()), set())

    def test_closedOutput(self) -> None:
        """
        If the output of the parent is closed, the child has none.
        """
        real = os.fstat

        def fstat(fd: int) -> os.stat_result:
            if fd == 1:
                raise OSError(9, "Bad file descriptor")
            return real(fd)

        self.patch(spawning.os, "fstat", fstat)
        self.spawner.start(self.child)
        files = self.reactor.more["childFDs"]
        self.assertEqual(files[1], files[0])
        self.assertEqual(files[2], 2)

    def test_fails(self) -> None:
        """
        If no process can be started, nothing is left open.
        """
        self.reactor.fails = True
        self.assertRaises(OSError, self.spawner.start, self.child)
        self.assertEqual(len(os.listdir("/proc/self/fd")), self.files)

    def test_noDirectory(self) -> None:
        """
        If the current directory was removed, no process is started, since it would wait for the
        options.
        """
        self.patch(self.reactor, "spawnProcess", self.fail)
        there = os.open(".", os.O_RDONLY)
        self.addCleanup(os.close, there)
        self.addCleanup(os.fchdir, there)
        gone = mkdtemp()
        os.chdir(gone)
        os.rmdir(gone)
        self.assertRaises(FileNotFoundError, self.spawner.start, self.child)

    def end(self, failure: Exception) -> None:
        """
        The process ends.
        """
        self.reactor.hasEnded = True
        self.process.processEnded(Failure(failure))

    def test_ended(self) -> None:
        """
        A process counts as ended only after its messages were received, too.
        """
        self.end(ProcessTerminated(None, signal.SIGKILL))
        self.assertEqual(self.child.ends, [])
        self.reactor.wire.dataReceived(writeMessage("log", {}))
        self.reactor.wire.connectionLost(Failure(Exception()))
        self.assertEqual(self.child.messages, [("log", {})])
        self.assertEqual(self.child.ends, [("killed by SIGKILL", None)])
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_wireFirst(self) -> None:
        """
        The end of the wire alone is not the end of the process.
        """
        self.reactor.wire.connectionLost(Failure(Exception()))
        self.assertEqual(self.child.ends, [])
        self.end(ProcessDone(None))
        self.assertEqual(self.child.ends, [("status 0", 0)])
        self.reactor.advance(LAST_WORDS)
        self.assertEqual(len(self.child.ends), 1)

    def test_wireStays(self) -> None:
        """
        If another process still holds the wire when the process has ended, this does not delay the
        end.
        """
        self.end(ProcessTerminated(64))
        self.reactor.advance(LAST_WORDS)
        self.assertTrue(self.reactor.transport.disconnecting)
        self.reactor.wire.connectionLost(Failure(Exception()))
        self.assertEqual(self.child.ends, [("status 64", 64)])

    def test_kill(self) -> None:
        """
        The process is killed while it runs.
        """
        self.process.kill()
        self.reactor.hasEnded = True
        self.process.kill()
        self.assertEqual(self.reactor.signals, ["KILL"])
