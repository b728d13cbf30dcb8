"""
Tests for L{twisted_sse.daemon.processes.parent}, and for options that C{--processes} refuses.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import tempfile
from shutil import rmtree
from typing import Any

from twisted.internet.defer import fail
from twisted.logger import eventAsText, globalLogPublisher

from tests.support.options import SOURCE, DaemonReactor, OptionsMixin
from tests.support.shared_store import Server, SharedStore
from tests.support.supervised import FakeProcess
from twisted_sse import EventStream
from twisted_sse.daemon import Options, feeding, makeService
from twisted_sse.daemon.processes import parent
from twisted_sse.daemon.processes.supervisor import Child
from twisted_sse.store.figures import Figure

REDIS = "--store=redis://localhost"


def subscribing(stream: EventStream, channel: object) -> None:
    """
    Be a source that needs a channel.
    """


class CountedStore(SharedStore):
    """
    A store in memory whose metrics are empty.
    """

    def figures(self) -> list[Figure]:
        """
        @return: its metrics.
        """
        return []


class FakeSpawner:
    """
    Starts processes in memory.
    """

    def __init__(self, reactor: Any, sockets: Any, about: dict[str, Any]) -> None:
        self.sockets = sockets
        self.about = about
        self.processes: list[FakeProcess] = []

    def start(self, child: Child) -> FakeProcess:
        """
        Start one.
        """
        self.processes.append(FakeProcess(child))
        return self.processes[-1]


class ParentTestCase(OptionsMixin):
    """
    Makes parents in memory.
    """

    def setUp(self) -> None:
        """
        Start no real processes.
        """
        super().setUp()
        self.ports: list[Any] = []
        self.spawners: list[FakeSpawner] = []
        self.statuses: list[int] = []
        self.stderr = io.StringIO()
        self.patch(parent, "handOver", lambda port: self.ports.append(port) or port)
        self.patch(parent, "Spawner", self.spawner)
        self.patch(feeding, "exitWith", self.statuses.append)
        self.patch(sys, "__stderr__", self.stderr)

    def spawner(self, *arguments: Any) -> FakeSpawner:
        """
        Make one.
        """
        self.spawners.append(FakeSpawner(*arguments))
        return self.spawners[-1]

    def make(self, *arguments: str) -> Any:
        """
        Make a parent of two.
        """
        self.reactor: Any = DaemonReactor()
        made = makeService(self.options(*arguments, "--processes=2"), self.reactor)
        self.assertIsInstance(made, parent.Parent)
        return made

    def start(self, *arguments: str) -> list[FakeProcess]:
        """
        Make a parent of two, and start it.

        @return: the processes of its children, which are ready.
        """
        self.parent = self.make(*arguments)
        self.parent.startService()
        for process in self.processes:
            process.ready()
        for process in self.processes:
            process.said.clear()
        return self.processes

    @property
    def processes(self) -> list[FakeProcess]:
        """
        The started processes.
        """
        return self.spawners[0].processes


class ParentTests(ParentTestCase):
    """
    Tests for the parent.
    """

    def test_about(self) -> None:
        """
        The ports are open when the parent is made, and the children receive what they need; they
        are started with the service.
        """
        made = self.make("--port=8080", "--admin=tcp:9090", "--interval=7")
        (spawner,) = self.spawners
        self.assertEqual([port.getHost().port for port in spawner.sockets], [9090, 8080])
        arguments = ["--port=8080", "--admin=tcp:9090", "--interval=7", "--processes=2"]
        self.assertEqual(
            spawner.about,
            {
                "arguments": arguments,
                "reactor": DaemonReactor.__module__,
                "path": sys.path,
                "sockets": 2,
            },
        )
        self.assertEqual(spawner.processes, [])
        made.startService()
        self.assertEqual(len(spawner.processes), 2)

    def test_quiet(self) -> None:
        """
        The log names its ports, not its sites, which serve no requests.
        """
        self.make("tick", "--listen=tcp:0", "--admin=tcp:0")
        sites = [factory for _, factory, *_ in self.reactor.tcpServers]
        self.assertEqual([site.noisy for site in sites], [False, False])

    def test_one(self) -> None:
        """
        With one process the daemon is the same as without the option.
        """
        made = makeService(self.options("--processes=1"), DaemonReactor())
        self.assertNotIsInstance(made, parent.Parent)

    def test_stop(self) -> None:
        """
        After C{--drain-delay}, during which no child is ready, the ports are closed and all
        children are stopped.
        """
        first, second = self.start("--drain-delay=3")
        stopped = self.parent.stopService()
        self.reactor.advance(2.5)
        self.assertEqual((first.kinds, second.kinds), (["unready"], ["unready"]))
        self.assertEqual(len(self.parent._listening.ports), 1)
        self.reactor.advance(0.5)
        self.assertEqual((first.kinds[1:], second.kinds[1:]), (["stop"], ["stop"]))
        self.assertEqual(self.parent._listening.ports, ())
        first.exit()
        self.assertNoResult(stopped)
        second.exit()
        self.successResultOf(stopped)

    def test_stopFails(self) -> None:
        """
        If a port cannot be closed, the parent still waits for the children.
        """
        first, second = self.start()
        self.patch(self.parent._listening, "stopService", lambda: fail(FileNotFoundError("x")))
        stopped = self.parent.stopService()
        for process in first, second:
            self.assertNoResult(stopped)
            process.exit()
        self.successResultOf(stopped)
        self.assertEqual(len(self.flushLoggedErrors(FileNotFoundError)), 1)

    def test_roll(self) -> None:
        """
        On SIGUSR2 the children are replaced.
        """
        self.start()
        (handlers,) = [each for each in self.parent if hasattr(each, "_others")]
        handlers._others[signal.SIGUSR2]()
        self.assertEqual(len(self.processes), 3)

    def test_metrics(self) -> None:
        """
        A child that asks receives the sum, including the parent's own metrics.
        """
        first, second = self.start()
        first.child.heard("gather", {"number": 5})
        for process in first, second:
            ((kind, asked),) = process.said
            self.assertEqual(kind, "collect")
            families = [["opened", "counter", "Opened.", [["opened_total", {}, 1]]]]
            process.child.heard("metrics", {**asked, "families": families})
        kind, answer = first.said[-1]
        self.assertEqual((kind, answer["number"]), ("sum", 5))
        found = {family[0]: family[3] for family in answer["families"]}
        self.assertEqual(found["opened"], [["opened_total", {}, 2]])
        self.assertIn("process_cpu_seconds", found)
        self.assertIn("sse_processes", found)

    def test_noLibrary(self) -> None:
        """
        Without Prometheus' library there are no metrics of the parent.
        """
        self.patch(parent, "makeObserver", lambda options: (None, None))
        self.start()
        self.assertEqual(self.parent.describe(), [])

    def test_givesUp(self) -> None:
        """
        If the children cannot start, the user is notified once, and the process exits with their
        status.
        """
        self.parent = self.make("--drain-delay=3")
        self.parent.startService()
        for process in self.processes:
            process.child.heard("failed", {"why": "no\nmodule", "status": 64})
            process.exit(64)
        self.assertEqual(self.stderr.getvalue(), "sse: no module\n")
        self.assertEqual((self.statuses, self.reactor.stops), ([64], 1))
        self.successResultOf(self.parent.stopService())

    def test_givesUpInBackground(self) -> None:
        """
        In the background the reason is in the log.
        """
        events: list[Any] = []
        globalLogPublisher.addObserver(events.append)
        self.addCleanup(globalLogPublisher.removeObserver, events.append)
        self.patch(parent, "twistdLog", lambda *arguments: None)
        options = Options()
        options.parent = {"nodaemon": 0}
        options.parseOptions(["--processes=2"])
        made: Any = makeService(options, DaemonReactor())
        made.giveUp("no module", 64)
        self.assertEqual(self.stderr.getvalue(), "")
        self.assertIn("cannot be started: no module", eventAsText(events[-1]))

    def test_background(self) -> None:
        """
        The process that started C{twistd} in the background waits until the first child is ready,
        or until it is known that none will be.
        """
        for kind, told in ("ready", b"0"), ("failed", b"1 no module"):
            self.spawners.clear()
            reading, writing = os.pipe()
            self.addCleanup(os.close, reading)
            self.patch(parent, "twistdLog", lambda *arguments: None)
            options = Options()
            options.parent = {"nodaemon": 0, "statusPipe": writing}
            options.parseOptions(["--processes=2"])
            made: Any = makeService(options, DaemonReactor())
            made.startService()
            self.assertIsNone(options.parent["statusPipe"])
            child = self.processes[0].child
            child.heard(kind, {"why": "no module", "status": 64})
            if kind == "failed":
                child.ended("status 64", 64)
            self.assertEqual(os.read(reading, 100), told)

    def test_lines(self) -> None:
        """
        The lines of standard input are read by the parent, and stored.
        """
        server = Server(self.clock())
        self.patch(parent, "makeStore", lambda options, reactor: CountedStore(server))
        self.start("-", "/log=post", REDIS)
        self.clock().settle()
        (source,) = self.parent.sources
        self.assertTrue(source.running)
        source.publish(source._splitter.feed(b"one\ntwo\n"), lambda line: None)
        self.clock().settle()
        self.assertEqual([event.data for event in server.stream("/").all], ["one", "two"])
        self.assertEqual(list(server.streams), ["/"])
        (found,) = [
            samples for name, _, _, samples in self.parent.describe() if name == "sse_source_lines"
        ]
        self.assertEqual(found, [["sse_source_lines_total", {"channel": "/"}, 2]])
        stopped = self.parent.stopService()
        self.assertFalse(source.running)
        for process in self.processes:
            process.exit()
        self.clock().settle()
        self.successResultOf(stopped)

    def clock(self) -> Any:
        """
        @return: the one clock of this test.
        """
        if not hasattr(self, "_clock"):
            self._clock: Any = DaemonReactor()
            self.patch(sys.modules[__name__], "DaemonReactor", lambda: self._clock)
        return self._clock


class RefusalTests(ParentTestCase):
    """
    Tests for sources and stores that several processes cannot use.
    """

    def several(self, *arguments: str) -> str:
        """
        @return: the line printed for an invalid command line.
        """
        return self.refusal(*arguments, "--processes=2")

    def test_oneSequence(self) -> None:
        """
        Sources that need a single sequence need Redis.
        """
        wants = f"python:{__name__}:subscribing"
        for source in "post", "-", "command:true", wants:
            with self.subTest(source):
                why = f"several processes can share {source} only through Redis: add"
                self.assertIn(why, self.several(source))
                self.assertIn(why, self.several(source, "--store=events.db"))
                self.make(source, REDIS)

    def test_others(self) -> None:
        """
        Ticks, functions and files need no store.
        """
        for source in "tick", SOURCE, f"file:{__file__}":
            self.make(source)

    def test_once(self) -> None:
        """
        For the children, sources that the parent reads have no end.
        """
        for source in "-", "command:true":
            self.assertIn(
                f"--once: with --processes, {source} has no end",
                self.several(source, REDIS, "--once"),
            )
        self.make(SOURCE, "--once")

    def test_chroot(self) -> None:
        """
        Where no program can be found, starting a process is refused.
        """
        options = Options()
        options.parent = {"chroot": "/srv"}
        stderr = io.StringIO()
        self.patch(sys, "stderr", stderr)
        self.assertRaises(SystemExit, options.parseOptions, ["--processes=2"])
        self.assertEqual(
            stderr.getvalue(),
            "sse: --processes: no other process can be started after --chroot\n",
        )

    def test_numbers(self) -> None:
        """
        The number must be from 1 to 1000.
        """
        for text in "0", "-1", "two", "1001":
            self.assertIn(f"--processes is {text!r}", self.refusal(f"--processes={text}"))

    def test_noSocket(self) -> None:
        """
        An endpoint without its own socket cannot be shared.
        """
        self.patch(parent, "handOver", lambda port: None)
        self.assertIn(
            "--port 8080: --processes needs a socket that can be inherited", self.several()
        )

    def test_file(self) -> None:
        """
        A file that cannot be read is refused immediately, even if only children read it.
        """
        directory = tempfile.mkdtemp()
        self.addCleanup(rmtree, directory)
        self.assertIn("it is a directory", self.several(f"file:{directory}"))

    def test_fileIsClosed(self) -> None:
        """
        The parent does not keep a file open that only children read, or its space would not be
        freed when it is rotated.
        """
        before = os.listdir("/dev/fd")
        self.make(f"file:{__file__}")
        left = [os.fstat(int(each)) for each in {*os.listdir("/dev/fd")} - {*before}]
        self.assertFalse(any(os.path.samestat(each, os.stat(__file__)) for each in left))

    def test_private(self) -> None:
        """
        The user's own data is for this machine only, as with one process.
        """
        path = os.path.abspath(__file__)
        self.assertIn(
            "this address is reachable from other machines", self.several(path, "--listen=tcp:8080")
        )
