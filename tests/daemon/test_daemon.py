"""
Tests for L{twisted_sse.daemon.daemon}, L{twisted_sse.daemon.logfile} and
L{twisted_sse.daemon.limits}: how the daemon stops, and its files.
"""

from __future__ import annotations

import atexit
import errno
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from tests.support.options import ACCEPT, DaemonReactor, OptionsMixin, site
from twisted_sse.daemon import Options, feeding, limits, makeService, service
from twisted_sse.daemon.logfile import WatchedFile
from twisted_sse.daemon.signals import exitWith
from twisted_sse.testing import MemoryClient


class StopTests(OptionsMixin):
    """
    Tests for how the daemon stops.
    """

    def start(self, *arguments: str) -> MemoryClient:
        """
        Start a daemon.
        """
        self.reactor: Any = DaemonReactor()
        self.daemon: Any = makeService(self.options(*arguments), self.reactor)
        self.daemon.startService()
        return MemoryClient(site(self.reactor).resource, clock=self.reactor)

    def test_order(self) -> None:
        """
        Stopping makes the daemon unready immediately, and after the delay the port is closed and
        the streams are drained.
        """
        client = self.start("--drain-delay", "3", "--drain", "5")
        self.assertEqual(client.get("/readyz").text, "ok")
        stream = client.get("/", headers=ACCEPT)
        (port,) = self.daemon._listening.ports
        stopped = self.daemon.stopService()
        answer = client.get("/readyz")
        self.assertEqual((answer.status, answer.text), (503, "draining"))
        self.assertEqual(client.get("/healthz").text, "ok")
        newcomer = client.get("/", headers=ACCEPT)
        client.clock.advance(2.9)
        self.assertEqual(self.daemon._listening.ports, (port,))
        self.assertEqual((stream.ended, newcomer.ended), (False, False))
        self.assertNoResult(stopped)
        client.clock.advance(0.1)
        self.assertEqual(self.daemon._listening.ports, ())
        for each in stream, newcomer:
            self.assertTrue(each.ended)
            self.assertIn("retry: ", each.text)
        self.successResultOf(stopped)
        self.assertEqual(client.clock.getDelayedCalls(), [])

    def test_fails(self) -> None:
        """
        A part that cannot be stopped, such as a UNIX socket whose file was removed, is named in the
        log; everything else stops as usual, the store last.
        """
        client = self.start("--drain", "5", "post")
        (channel,) = self.daemon.channels
        stream = client.get("/", headers=ACCEPT)
        stream.stopReading()
        channel.publish("x" * 2**20)
        self.patch(self.daemon._listening, "stopService", lambda: fail(FileNotFoundError("x")))
        stopped = self.daemon.stopService()
        self.assertNoResult(stopped)
        self.assertFalse(channel.closed)
        client.clock.advance(5)
        self.successResultOf(stopped)
        self.assertTrue(channel.closed)
        self.assertEqual(len(self.flushLoggedErrors(FileNotFoundError)), 1)

    def test_inputEnds(self) -> None:
        """
        When the input ends, the daemon continues and serves the kept lines.
        """
        client = self.start("--source", "-")
        (source,) = self.daemon.sources
        source.publish(source._splitter.feed(b"one\n"), lambda line: None)
        source.end(0)
        stream = client.get("/", headers={**ACCEPT, "Last-Event-ID": "x"})
        self.assertEqual([event.data for event in stream.events], ["{}", "one"])
        self.assertFalse(stream.ended)
        self.assertEqual(self.reactor.stops, 0)
        stream.disconnect()
        self.assertTrue(source.running)
        self.successResultOf(self.daemon.stopService())
        self.assertFalse(source.running)

    def test_once(self) -> None:
        """
        With C{--once} clients get the rest and the C{end} event, and then the daemon stops with the
        first non-zero status.
        """
        statuses: list[int] = []
        self.patch(feeding, "exitWith", statuses.append)
        client = self.start(
            *("--source", "/a=-", "--source", "/b=command:true"),
            *("--source", "/c=command:true", "--once"),
        )
        a, b = (client.get(path, headers=ACCEPT) for path in ("/a", "/b"))
        first, second, third = self.daemon.sources
        for source in first, second:
            source.publish(source_lines(b"one\nlast\n"), lambda line: None)
        first.end(0)
        client.clock.settle()
        self.assertEqual([event.data for event in a.events], ["{}", "one", "last", "{}"])
        self.assertEqual(a.events[-1].type, "end")
        self.assertEqual((a.ended, b.ended, self.reactor.stops), (True, False, 0))
        second.end(7)
        client.clock.settle()
        self.assertEqual((b.ended, self.reactor.stops), (True, 0))
        third.end(8)
        client.clock.settle()
        self.assertEqual((self.reactor.stops, statuses), (1, [7]))

    def test_onceSlow(self) -> None:
        """
        With C{--once}, a client that does not read delays the stop by at most C{--drain}, and
        another stop meanwhile is harmless.
        """
        client = self.start("--source", "-", "--once", "--drain", "3")
        stream = client.get("/", headers=ACCEPT)
        stream.stopReading(kernelBuffer=5)
        (source,) = self.daemon.sources
        source.publish(source_lines(b"x" * 10000 + b"\n"), lambda line: None)
        source.end(0)
        client.clock.advance(2.9)
        self.assertEqual(self.reactor.stops, 0)
        self.reactor.stops = 1
        client.clock.advance(0.1)
        self.assertEqual(self.reactor.stops, 2)
        stream.disconnect()

    def test_status(self) -> None:
        """
        A non-zero status becomes that of the process, after everything else.
        """
        left: list[Any] = []
        self.patch(atexit, "register", left.append)
        exited: list[int] = []
        self.patch(os, "_exit", exited.append)
        exitWith(0)
        self.assertEqual(left, [])
        exitWith(7)
        self.assertEqual(exited, [])
        left[0]()
        self.assertEqual(exited, [7])


def source_lines(data: bytes) -> Any:
    """
    @return: the lines in some bytes.
    """
    from twisted_sse.daemon.sources.lines import LineSplitter

    return LineSplitter().feed(data)


class WatchedFileTests(SynchronousTestCase):
    """
    Tests for the file of the access log.
    """

    def setUp(self) -> None:
        """
        Make a directory for the file.
        """
        temporary = TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.path = Path(temporary.name, "access.log")

    def open(self) -> WatchedFile:
        """
        Open the file.
        """
        file = WatchedFile(str(self.path))
        self.addCleanup(lambda: os.close(file._fd))
        return file

    def test_rotated(self) -> None:
        """
        A line is written to the file that has the name now, whatever happened to the previous one.
        """
        before = len(os.listdir("/dev/fd"))
        file = self.open()
        file.write("one\n")
        old = self.path.rename(self.path.with_suffix(".1"))
        file.write("two\n")
        file.write("three\n")
        self.assertEqual(old.read_text(encoding="ascii"), "one\n")
        self.assertEqual(self.path.read_text(encoding="ascii"), "two\nthree\n")
        old.replace(self.path)
        file.write("four\n")
        self.assertEqual(self.path.read_text(encoding="ascii"), "one\nfour\n")
        self.assertEqual(len(os.listdir("/dev/fd")), before + 1)

    def test_full(self) -> None:
        """
        A full disk raises an error, and the next line is still tried, and does not continue the
        partly written one.
        """
        file = self.open()
        write = os.write

        def full(fd: int, data: bytes) -> int:
            if len(data) > 3:
                return write(fd, data[:3])
            raise OSError(errno.ENOSPC, "No space left on device")

        self.patch(os, "write", full)
        self.assertRaises(OSError, file.write, "line\n")
        self.patch(os, "write", write)
        file.write("next\n")
        self.assertEqual(self.path.read_text(encoding="ascii"), "lin\nnext\n")


class AccessLogTests(OptionsMixin):
    """
    Tests for the options of the access log.
    """

    def test_file(self) -> None:
        """
        Each stream is logged to the file when it opens and when it ends.
        """
        temporary = TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        path = Path(temporary.name, "access.log")
        client = self.client("--access-log", str(path), "--access-log-format", "json")
        client.get("/", headers=ACCEPT).disconnect()
        self.assertEqual(path.read_text(encoding="ascii").count('"resource": "/"'), 2)
        line = self.refusal("--access-log", f"{path}/x")
        self.assertIn("--access-log", line)

    def test_output(self) -> None:
        """
        C{-} logs to standard output.
        """
        written: list[str] = []

        class Output:
            def write(self, text: str) -> None:
                written.append(text)

        self.patch(sys, "stdout", Output())
        self.client("--access-log", "-").get("/", headers=ACCEPT).disconnect()
        self.assertEqual(len(written), 2)


class FewFilesTests(SynchronousTestCase):
    """
    Tests for the warning about the limit on open files.
    """

    def test_few(self) -> None:
        """
        A low limit is logged with the number of streams it allows.
        """
        resource = __import__("resource")
        logged: list[dict[str, Any]] = []
        self.patch(limits._log, "warn", lambda said, /, **fields: logged.append(fields))
        self.patch(resource, "getrlimit", lambda which: (1024, 1024))
        limits.raiseFileLimit()
        self.assertEqual(logged, [{"files": 1024, "streams": 960}])
        self.patch(resource, "getrlimit", lambda which: (8192, 8192))
        limits.raiseFileLimit()
        self.assertEqual(len(logged), 1)


class DeliveredTests(SynchronousTestCase):
    """
    Tests for L{Channel.whenDelivered}.
    """

    def test_whenDelivered(self) -> None:
        """
        C{whenDelivered} fires immediately if nothing is pending and otherwise when everything is
        delivered, and may be cancelled.
        """
        from twisted_sse import Channel, EventStreamResource

        channel = Channel()
        channel.publish("to nobody")
        self.successResultOf(channel.whenDelivered())
        client = MemoryClient(EventStreamResource(channel.subscribe))
        stream = client.get("/", headers=ACCEPT)
        channel.publish("one")
        waiting = [channel.whenDelivered(), channel.whenDelivered()]
        waiting[1].cancel()
        self.assertNoResult(waiting[0])
        client.clock.settle()
        self.assertEqual(stream.events[-1].data, "one")
        self.successResultOf(waiting[0])
        self.failureResultOf(waiting[1])
        again: list[Deferred[None]] = []
        channel.publish("two")
        channel.whenDelivered().addCallback(
            lambda _: (channel.publish("three"), again.append(channel.whenDelivered()))
        )
        client.clock.settle()
        self.successResultOf(again[0])
        self.assertEqual(stream.events[-1].data, "three")
        stream.disconnect()


class FileLimitTests(SynchronousTestCase):
    """
    Tests for the default limit on streams.
    """

    def limit(self, soft: int, hard: int) -> tuple[int | None, list[Any]]:
        """
        @return: the number of streams, and the limits that were set.
        """
        resource = __import__("resource")
        set: list[Any] = []
        self.patch(resource, "getrlimit", lambda which: (soft, hard))
        self.patch(resource, "setrlimit", lambda which, limits: set.append(limits))
        return limits.raiseFileLimit(), set

    def test_raised(self) -> None:
        """
        The soft limit is raised to the hard one, and some of it is kept for other files.
        """
        self.assertEqual(self.limit(1024, 16000), (15000, [(16000, 16000)]))

    def test_refused(self) -> None:
        """
        If the system refuses the limit, as macOS does, the largest that it permits is tried for.
        """
        resource = __import__("resource")
        set: list[int] = []

        def setrlimit(which: int, limits: tuple[int, int]) -> None:
            if limits[0] > most:
                raise ValueError("current limit exceeds maximum limit")
            set.append(limits[0])

        self.patch(resource, "getrlimit", lambda which: (2560, resource.RLIM_INFINITY))
        self.patch(resource, "setrlimit", setrlimit)
        for most, expected in (245_760, [2**17]), (61_440, [2**15]), (2560, []):
            set.clear()
            streams = limits.raiseFileLimit() or 0
            self.assertEqual(set, expected)
            self.assertLess(streams, most)
            self.assertGreater(streams, 2000)

    def test_high(self) -> None:
        """
        The soft limit is unchanged if it already is the hard one.
        """
        self.assertEqual(self.limit(1024, 1024), (960, []))

    def test_unlimited(self) -> None:
        """
        An unlimited number of files counts as about a million.
        """
        million = 2**20
        self.assertEqual(self.limit(1024, -1), (million - million // 16, [(million, -1)]))
        self.assertEqual(self.limit(-1, -1), (million - million // 16, []))

    def test_low(self) -> None:
        """
        At least one stream is allowed.
        """
        self.assertEqual(self.limit(20, 20), (1, []))

    def test_used(self) -> None:
        """
        The limit applies unless the options set one.
        """
        self.patch(service, "raiseFileLimit", lambda: 2)
        for arguments, most in ([], 2), (["--max-streams", "1"], 1):
            reactor = MemoryReactorClock()
            options = Options()
            options.parseOptions(arguments)
            makeService(options, reactor)
            client = MemoryClient(site(reactor).resource)
            streams = [client.get("/", headers=ACCEPT) for _ in range(3)]
            self.assertEqual([stream.ended for stream in streams].count(False), most)
            for stream in streams[:most]:
                stream.disconnect()
