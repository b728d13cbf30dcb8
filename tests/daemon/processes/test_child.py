"""
Tests for L{twisted_sse.daemon.processes.child}.
"""

from __future__ import annotations

import io
import os
import signal
import socket
import sys
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from tests.support.options import SOURCE, DaemonReactor, OptionsMixin
from twisted_sse.daemon.processes import child
from twisted_sse.daemon.processes.member import Member
from twisted_sse.daemon.processes.spawning import PARENTS
from twisted_sse.daemon.processes.wire import PROTOCOL, readMessage, writeMessage


class ChildReactor(DaemonReactor):
    """
    A reactor in memory that returns immediately when it runs.
    """

    def __init__(self) -> None:
        super().__init__()
        self.running = False
        self.whenRunning: list[Any] = []
        self.triggers: list[Any] = []
        self.transport: Any = StringTransport()

    def callWhenRunning(self, call: Any, *arguments: Any) -> None:
        """
        Record the call.
        """
        self.whenRunning.append((call, arguments))

    def addSystemEventTrigger(self, phase: str, event: str, call: Any) -> None:
        """
        Record the call.
        """
        self.triggers.append((phase, event, call))

    def adoptStreamConnection(self, fd: int, family: int, factory: Any) -> None:
        """
        Connect in memory.
        """
        factory.buildProtocol(None).makeConnection(self.transport)

    def run(self) -> None:
        """
        Begin to run.
        """
        self.running = True

    def said(self) -> list[Any]:
        """
        @return: the messages to the parent.
        """
        return [readMessage(line) for line in self.transport.value().splitlines()]


class ChildTestCase(OptionsMixin):
    """
    A child with a parent in memory.
    """

    def setUp(self) -> None:
        """
        Make the wire.
        """
        super().setUp()
        self.parent, self.wire = socket.socketpair()
        self.parent.settimeout(5)
        self.addCleanup(self.parent.close)
        self.addCleanup(self.wire.close)
        for number in PARENTS:
            self.addCleanup(signal.signal, number, signal.getsignal(number))
        self.reactor: Any = ChildReactor()
        self.patch(child, "installedReactor", lambda: self.reactor)
        self.beginning: list[Any] = []

        class Beginner:
            def beginLoggingTo(inner, observers: Any) -> None:  # noqa: N805
                self.beginning.append(observers)

        self.patch(child, "globalLogBeginner", Beginner())

    def begin(self, *arguments: str, sockets: int = 0, protocol: int = PROTOCOL) -> None:
        """
        Ask the child to begin.
        """
        about = {
            "arguments": arguments,
            "reactor": "math",
            "path": sys.path,
            "sockets": sockets,
            "protocol": protocol,
            "wait": False,
            "now": os.getcwd(),
        }
        self.patch(child, "CONTROL", self.wire.detach())
        self.parent.sendall(writeMessage("begin", about) + writeMessage("ping", {}))

    def failed(self) -> tuple[str, int]:
        """
        @return: the reason and the status that the child has reported.
        """
        kind, fields = readMessage(self.parent.recv(2**16).rstrip())
        self.assertEqual(kind, "failed")
        return fields["why"], fields["status"]


class StartTests(ChildTestCase):
    """
    Tests for a child that cannot start.
    """

    def assertFails(self, status: int, why: str) -> None:
        """
        Assert that it exits, and reports why.
        """
        error = self.assertRaises(SystemExit, child.main)
        self.assertEqual(error.code, status)
        told, its = self.failed()
        self.assertEqual(its, status)
        self.assertIn(why, told)
        self.assertNotIn("sse: ", told)

    def test_options(self) -> None:
        """
        An option that has become invalid is reported to the parent, not to the user.
        """
        stderr = io.StringIO()
        self.patch(sys, "stderr", stderr)
        self.begin("--publish-token=file:/nonexistent", "post")
        self.assertFails(64, "/nonexistent")
        self.assertEqual(stderr.getvalue(), "")

    def test_daemon(self) -> None:
        """
        A source or store that cannot be used is reported with status 64.
        """

        def fail(options: Any, reactor: Any, member: Any) -> None:
            raise child.UsageError("--access-log x: Is a directory")

        self.patch(child, "makeDaemon", fail)
        self.begin(SOURCE)
        self.assertFails(64, "--access-log x: Is a directory")

    def test_error(self) -> None:
        """
        Any other error has its traceback on standard error, and is reported with status 1.
        """
        stderr = io.StringIO()
        self.patch(sys, "stderr", stderr)
        self.patch(child, "makeDaemon", lambda options, reactor, member: 1 / 0)
        self.begin(SOURCE)
        self.assertFails(1, "ZeroDivisionError: division by zero")
        self.assertIn("Traceback", stderr.getvalue())

    def test_version(self) -> None:
        """
        A child of another version than its parent, whose messages it may not understand, reports
        this.
        """
        self.begin(SOURCE, protocol=PROTOCOL - 1)
        self.assertFails(1, "restart the daemon")

    def test_parentGone(self) -> None:
        """
        If the parent has already ended, there is nothing to do.
        """
        self.patch(child, "CONTROL", self.wire.detach())
        self.parent.sendall(b'["beg')
        self.parent.close()
        self.assertEqual(self.assertRaises(SystemExit, child.main).code, 1)

    def test_starts(self) -> None:
        """
        A child that can start reports that it is ready when its reactor runs, and leaves the
        messages after the first to the wire.
        """
        made: list[Any] = []

        def make(options: Any, reactor: Any, member: Member) -> Any:
            made.append(options)
            return FakeDaemon()

        self.patch(child, "makeDaemon", make)
        self.begin(SOURCE, "--processes=2")
        child.main()
        self.assertEqual(made[0].sources["/"].text, SOURCE)
        self.assertTrue(self.reactor.running)
        ((call, arguments),) = self.reactor.whenRunning
        call(*arguments)
        self.assertEqual(self.reactor.said(), [("ready", {})])
        self.assertEqual(len(self.beginning), 1)

    def test_sockets(self) -> None:
        """
        A process that the user's module starts on import inherits none of the sockets.
        """
        inherited = os.dup(self.parent.fileno())
        self.addCleanup(os.close, inherited)
        os.set_inheritable(inherited, True)
        self.patch(child, "FIRST_SOCKET", inherited)
        seen: list[bool] = []

        def make(options: Any, reactor: Any, member: Member) -> Any:
            seen.append(os.get_inheritable(inherited))
            return FakeDaemon()

        self.patch(child, "makeDaemon", make)
        self.begin(SOURCE, "--processes=2", sockets=1)
        child.main()
        self.assertEqual(seen, [False])


class FakeDaemon:
    """
    A daemon that starts immediately, unless its store fails.
    """

    opened: Any = None
    failed: Any = None
    why: str | None = None

    def __init__(self) -> None:
        self.stopped: Deferred[None] = Deferred()

    def privilegedStartService(self) -> None:
        """
        Do nothing.
        """

    def startService(self) -> None:
        """
        Be open, or fail.
        """
        if self.why is not None:
            self.failed(self.why)
        self.opened()

    def stopService(self) -> Deferred[None]:
        """
        Stop later.
        """
        return self.stopped


class RunTests(ChildTestCase):
    """
    Tests for a child that runs.
    """

    def setUp(self) -> None:
        """
        Make one.
        """
        super().setUp()
        self.member = Member(self.reactor, [])
        self.daemon: Any = FakeDaemon()

    def test_end(self) -> None:
        """
        At its end the child sends its metrics once more, and closes the wire after that.
        """
        child.run(self.wire, self.member, self.daemon, self.reactor)
        ((phase, event, stop),) = self.reactor.triggers
        self.assertEqual((phase, event), ("before", "shutdown"))
        stopping = stop()
        self.assertEqual(self.reactor.said(), [])
        self.daemon.stopped.callback(None)
        self.assertEqual(self.reactor.said(), [("metrics", {"round": 0, "families": []})])
        self.assertTrue(self.reactor.transport.disconnecting)
        self.assertNoResult(stopping)
        self.member.wire.connectionLost(Failure(Exception()))
        self.successResultOf(stopping)

    def test_storeFails(self) -> None:
        """
        A store that can never be used is reported at the start, or later.
        """
        self.daemon.why = "--store: wrong password"
        error = self.assertRaises(
            SystemExit, child.run, self.wire, self.member, self.daemon, self.reactor
        )
        self.assertEqual(error.code, 64)
        self.assertEqual(self.failed(), ("--store: wrong password", 64))
        self.reactor.running = True
        self.daemon.failed("--store: it is no store")
        self.assertEqual(
            self.reactor.said(), [("failed", {"why": "--store: it is no store", "status": 64})]
        )
