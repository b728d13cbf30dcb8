"""
Tests for L{twisted_sse.daemon.storage}, and for the daemon with C{--store}.
"""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from twisted.internet.defer import Deferred, succeed
from twisted.logger import LogLevel, globalLogPublisher

from tests.support.late_store import Content, LateStore
from tests.support.options import ACCEPT, DaemonReactor, OptionsMixin, site
from twisted_sse import Channel, EventStream
from twisted_sse.daemon import Options, feeding, makeService, service
from twisted_sse.daemon.sources.lines import LineSplitter
from twisted_sse.daemon.storage import checkFile, inJail
from twisted_sse.store import NotStored
from twisted_sse.store.figures import Figure
from twisted_sse.store.sqlite.lock import Lock
from twisted_sse.testing import MemoryClient, MemoryStream


class _CountedStore(LateStore):
    """
    A store that counts events, and records its end.
    """

    told: str | None = None
    ended: Deferred[None] | None = None

    def keepOnly(self, name: str, maxEvents: int) -> None:
        self.kept = name, maxEvents, len(self.logs)

    def figures(self) -> list[Figure]:
        return [
            Figure("size_bytes", "Size.", 1, False),
            Figure("commits", "Transactions.", 2),
        ]

    def problem(self) -> str | None:
        return self.told

    def close(self) -> Deferred[None]:
        self.ended = Deferred()
        return self.ended


#: The arguments that C{connected} received.
channels: list[Channel] = []


def connected(stream: EventStream, channel: Channel) -> None:
    """
    A user's function that publishes in its channel.
    """
    channels.append(channel)
    channel.subscribe(stream, topics=[stream.request.args[b"user"][0].decode()])


class StorageTestCase(OptionsMixin):
    """
    Has a place for a store.
    """

    def setUp(self) -> None:
        """
        Make a directory.
        """
        super().setUp()
        temporary = TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = Path(temporary.name)
        self.path = str(self.directory / "events.db")
        self.opening: Exception | None = None
        self.parent: dict[str, Any] | None = None


class DaemonTests(StorageTestCase):
    """
    Tests for a daemon with a store, which is in memory here.
    """

    def start(self, *arguments: str, **options: Any) -> MemoryClient:
        """
        Start a daemon.

        @param options: those of the store.
        """
        self.reactor: Any = DaemonReactor()
        content = options.get("content", {}).copy()
        self.store = _CountedStore(self.reactor, **options)
        self.store.opening = self.opening
        self.patch(service, "makeStore", lambda options, reactor: self.store)
        parsed: Any = self.options(*arguments, "--store", self.path)
        parsed.parent = self.parent
        self.daemon: Any = makeService(parsed, self.reactor)
        self.assertEqual((self.store.content, self.reactor.getDelayedCalls()), (content, []))
        self.daemon.startService()
        return MemoryClient(site(self.reactor).resource, clock=self.reactor)

    def stop(self) -> None:
        """
        Stop the daemon.
        """
        stopped = self.daemon.stopService()
        self.reactor.settle()
        assert self.store.ended is not None, "the store is closed at the end"
        self.store.ended.callback(None)
        self.successResultOf(stopped)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def data(self, stream: MemoryStream) -> list[str]:
        """
        @return: the data of the events, except the channel's own.
        """
        return [event.data for event in stream.events if not event.type.startswith("stream-")]

    def test_function(self) -> None:
        """
        A function that asks for a channel gets that of its path, which is kept in the store.
        """
        content: dict[str, Content] = {}
        source = f"/mine=python:{__name__}:connected"
        client = self.start(source, content=content)
        self.reactor.advance(1)
        stream = client.get("/mine?user=7", ACCEPT)
        channels[-1].publish("for 7", topics=["7"])
        channels[-1].publish("for 8", topics=["8"])
        self.reactor.advance(1)
        self.assertEqual(self.data(stream), ["for 7"])
        last = stream.events[-1].lastEventID
        channels[-1].publish("missed", topics=["7"])
        self.reactor.advance(1)
        self.stop()
        client = self.start(source, content=content)
        self.reactor.advance(1)
        stream = client.get("/mine?user=7", {**ACCEPT, "Last-Event-ID": last})
        self.reactor.advance(1)
        self.assertEqual(self.data(stream), ["missed"])
        self.stop()
        del channels[:]

    def test_restart(self) -> None:
        """
        A client of the previous daemon resumes exactly, on each path separately.
        """
        content: dict[str, Content] = {}
        last = {}
        for run in "one", "two", "three":
            client = self.start("/a=post", "/b=post", content=content)
            self.reactor.advance(1)
            for path in "/a", "/b":
                if path in last:
                    headers = {**ACCEPT, "Last-Event-ID": last[path]}
                    stream = client.get(path, headers)
                    self.reactor.advance(1)
                    self.assertEqual(self.data(stream), [f"missed {path}"])
                answer = client.post(path, body=f"{run} {path}")
                self.assertIsNone(answer.status)
                self.reactor.advance(1)
                self.assertEqual(answer.status, 200)
                last[path] = json.loads(answer.text)["id"]
                client.post(path, body=f"missed {path}")
                self.reactor.advance(1)
            self.stop()
        self.assertEqual(sorted(content), ["/a", "/b", "/healthz/delivery"])

    def test_opening(self) -> None:
        """
        Nothing is opened before the daemon is started; clients, publishers and sources wait for the
        start.
        """
        client = self.start("/a=post", "/b=-", delay=3)
        answer = client.get("/readyz")
        self.assertEqual((answer.status, answer.text), (503, "starting: the store is not open yet"))
        self.store.told = "the server is away"
        self.assertEqual(client.get("/readyz").text, "starting: the server is away")
        self.store.told = None
        self.assertEqual(client.get("/healthz/delivery").status, 503)
        (source,) = self.daemon.sources
        self.assertFalse(source.running)
        stream = client.get("/a", ACCEPT)
        published = client.post("/a", body="hello")
        self.reactor.advance(2)
        self.assertEqual((self.data(stream), published.status), ([], None))
        self.reactor.advance(1)
        self.assertTrue(source.running)
        self.assertEqual(client.get("/readyz").text, "ok")
        self.assertEqual(self.data(stream), ["hello"])
        self.reactor.advance(3)
        self.assertEqual(published.status, 200)
        stream.disconnect()
        self.stop()

    def failures(self) -> list[Any]:
        """
        @return: a list that collects all logged errors.
        """
        said: list[Any] = []

        def observe(event: Any) -> None:
            if event["log_level"] >= LogLevel.error:
                said.append(event)

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        return said

    def test_unusable(self) -> None:
        """
        If the store can never be opened, that is one line in the log, and the daemon does not
        start: C{twistd} is notified, and leaves nothing behind.
        """
        said = self.failures()
        self.opening = OSError(11, "the store is in use by process 1", "/x/events.db")
        reading, writing = os.pipe()
        self.addCleanup(os.close, reading)
        self.addCleanup(os.close, writing)
        pid = self.directory / "twistd.pid"
        pid.touch()
        self.parent = {"statusPipe": writing, "pidfile": str(pid), "nodaemon": False}
        exit = self.assertRaises(SystemExit, self.start, "/a=post")
        self.assertEqual(exit.code, 64)
        (line,) = said
        self.assertEqual(line["log_format"], "The store cannot be used: {why}")
        self.assertEqual(line["why"], "/x/events.db: the store is in use by process 1")
        self.assertEqual(os.read(reading, 200), b"1 " + line["why"].encode())
        self.assertFalse(pid.exists())

    def test_unusableInForeground(self) -> None:
        """
        In the foreground the user gets one line on standard error.
        """
        self.failures()
        for opening, told in (
            (OSError(28, "No space left on device", "/x/events.db"), "/x/events.db: No space left"),
            (OSError(28, "No space left on device"), "No space left"),
            (ValueError("it is no store"), "it is no store"),
        ):
            stderr = io.StringIO()
            self.patch(sys, "__stderr__", stderr)
            self.opening = opening
            self.parent = {"nodaemon": True}
            exit = self.assertRaises(SystemExit, self.start, "/a=post")
            self.assertEqual(exit.code, 64)
            self.assertRegex(stderr.getvalue(), f"^sse: --store: {told}.*\n$")

    def test_unusableLater(self) -> None:
        """
        If that is known only later, the daemon ends with an exit status.
        """
        statuses: list[int] = []
        self.patch(feeding, "exitWith", statuses.append)
        said = self.failures()
        self.start("/a=post", "/b=-", isAway=True)
        self.store.isAway = False
        self.store.opening = ValueError("it is no store")
        self.reactor.advance(1)
        self.assertEqual((statuses, self.reactor.stops), ([64], 1))
        self.assertEqual([each["why"] for each in said], ["it is no store"])
        self.assertFalse(self.daemon.sources[0].running)
        self.stop()

    def test_away(self) -> None:
        """
        A store that is unreachable at the start is opened once it is reachable.
        """
        client = self.start("post", isAway=True)
        self.reactor.advance(60)
        self.assertEqual(client.get("/readyz").status, 503)
        self.store.isAway = False
        self.reactor.advance(60)
        self.assertEqual(client.get("/readyz").text, "ok")
        self.stop()

    def test_stoppedBefore(self) -> None:
        """
        A daemon that stops before its store is open closes it, and starts no source.
        """
        self.start("-", delay=3)
        self.reactor.advance(1)
        stopped = self.daemon.stopService()
        self.reactor.advance(3)
        cast(Any, self.store.ended).callback(None)
        self.successResultOf(stopped)
        (source,) = self.daemon.sources
        self.assertFalse(source.running)

    def test_degraded(self) -> None:
        """
        With a store that has a problem the daemon is ready, and reports it; events are still sent,
        but their way through the store is broken.
        """
        client = self.start("post")
        self.reactor.advance(1)
        self.assertEqual(client.get("/healthz/delivery").text, "ok")
        # It keeps one event, as configured before it was opened.
        self.assertEqual(self.store.kept, ("/healthz/delivery", 1, 0))
        self.store.told = "events cannot be stored: the disk is full"
        self.store.failing = NotStored(False, "the disk is full")
        answer = client.get("/readyz")
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.text, "degraded: events cannot be stored: the disk is full")
        stream = client.get("/", ACCEPT)
        answer = client.post("/", body="hello")
        self.reactor.advance(1)
        self.assertEqual((answer.status, self.data(stream)), (503, ["hello"]))
        self.reactor.advance(10)
        answer = client.get("/healthz/delivery")
        self.assertEqual(
            (answer.status, answer.text), (503, "an event was not stored: the disk is full")
        )
        self.store.told = self.store.failing = None
        self.reactor.advance(10)
        self.reactor.advance(1)
        self.assertEqual(client.get("/readyz").text, "ok")
        self.assertEqual(client.get("/healthz/delivery").text, "ok")
        stream.disconnect()
        self.stop()

    def test_lines(self) -> None:
        """
        A source reads no more until its lines are stored, or are known not to be.
        """
        self.start("-")
        self.reactor.advance(1)
        (source,) = self.daemon.sources
        for self.store.failing in None, NotStored(False, "the disk is full"):
            source.publish(LineSplitter().feed(b"one\ntwo\n"), lambda line: None)
            went: list[str] = []
            self.assertTrue(source.whenDelivered(lambda went=went: went.append("on")))
            self.reactor.advance(0)
            self.assertEqual(went, [])
            self.reactor.advance(1)
            self.assertEqual(went, ["on"])
        self.store.delay = 100
        source.publish(LineSplitter().feed(b"x" * 2**20 + b"\n"), lambda line: None)
        self.assertTrue(source.whenDelivered(lambda: went.append("never")))
        # It does not wait any more.
        self.successResultOf(succeed(source.stopService()))
        for _ in range(20):
            source.publish(LineSplitter().feed(b"x" * 2**20 + b"\n"), lambda line: None)
        self.assertEqual(went, ["on"])

    def test_stops(self) -> None:
        """
        At the end everything is in the store before it is closed.
        """
        client = self.start("post")
        self.reactor.advance(1)
        answer = client.post("/", body="last")
        stopped = self.daemon.stopService()
        newest = {log.appends[-1][0][-1].event.data for log in self.store.closed}
        [check] = newest - {"last"}
        self.assertTrue(check.endswith("-1"), check)
        self.reactor.advance(1)
        self.assertNoResult(stopped)
        cast(Any, self.store.ended).callback(None)
        self.successResultOf(stopped)
        self.assertEqual(answer.status, 200)

    def test_metrics(self) -> None:
        """
        The metrics include those of the store.
        """
        client = self.start("post")
        self.reactor.advance(1)
        for _ in range(3):
            client.post("/", body="x")
        text = client.get("/metrics").text
        for line in (
            "sse_store_waiting_events 3.0",
            "sse_store_size_bytes 1.0",
            "sse_store_commits_total 2.0",
        ):
            self.assertIn(f"\n{line}\n", text)
        self.assertNotIn("healthz", text)
        self.reactor.advance(1)
        self.stop()


class OptionTests(StorageTestCase):
    """
    Tests for the options of a store.
    """

    def test_suits(self) -> None:
        """
        A store is for events that are posted, or read from standard input or commands, and its
        options need a store.
        """
        store = f"--store={self.path}"
        for source in "file:x.log", "tick":
            line = self.refusal(source, store)
            self.assertIn(f"and {source} has none (a file is its own store)", line)
        for option in "--store-events=1", "--store-age=1", "--store-sync":
            self.assertIn("only applies to a store: add --store", self.refusal("post", option))
        for option in "--store-events=0", "--store-age=0":
            self.assertIn(f"sse: {option[:-2]} ", self.refusal("post", store, option))
        self.assertEqual(list(self.directory.iterdir()), [])

    def test_store(self) -> None:
        """
        The options are those of the store, which is not opened yet.
        """
        for source in "post", "-", "command:true":
            options = self.options(
                *(source, "--store", self.path, "--store-events=5", "--store-age=6"),
                "--store-sync",
            )
            makeService(options, cast(Any, DaemonReactor()))
            self.assertFalse(os.path.exists(self.path))
        store: Any = service.makeStore(options, DaemonReactor())
        self.assertEqual((store.path, store.maxAge, store._full), (self.path, 6, True))
        self.assertEqual(store._limits.maxEvents, 5)

    def assertTold(self, says: str, path: str | None = None) -> None:
        """
        Assert the error for a file that cannot be a store.
        """
        path = self.path if path is None else path
        self.assertIn(f"--store {path}: {says}", self.refusal("post", "--store", path))

    def test_wrong(self) -> None:
        """
        A file that cannot be used as a store is refused, and stays unchanged.
        """
        self.assertTold("directory /nowhere does not exist: create it", "/nowhere/events.db")
        self.assertTold("it is a directory", str(self.directory))
        Path(self.path).write_text("a letter\n", encoding="ascii")
        self.assertTold("it is not a store, but another file")
        self.assertEqual([each.name for each in self.directory.iterdir()], ["events.db"])
        for path in "", ":memory:":
            self.assertIn(f"--store is {path!r}", self.refusal("post", "--store", path))

    def test_jail(self) -> None:
        """
        With C{twistd --chroot}, the file is named as inside, and checked there.
        """
        for named, rundir, then in (
            ("/var/a.db", ".", "/var/a.db"),
            ("a.db", ".", "/a.db"),
            ("a.db", "/var", "/var/a.db"),
            ("a.db", "var", "/var/a.db"),
            ("../../a.db", "/var", "/a.db"),
        ):
            options = {"chroot": "/jail", "rundir": rundir}
            self.assertEqual(inJail(named, options), (f"/jail{then}", then))
        for free in None, {}, {"chroot": None, "rundir": "/var"}:
            self.assertEqual(inJail("a.db", free), ("a.db", "a.db"))
        options: Any = Options()
        options.parent = {"chroot": str(self.directory), "rundir": "."}
        options.parseOptions(["post", "--store", "a.db"])
        self.assertEqual(options["store"], "/a.db")

    def test_locked(self) -> None:
        """
        A file that another process uses is refused, with the number of that process.
        """
        lock = Lock(self.path)
        self.assertTold(f"the store is in use by this process ({os.getpid()}): stop it first")
        lock.release()
        checkFile(self.path)

    def test_readOnly(self) -> None:
        """
        A directory or a file that cannot be written is refused.
        """
        allowed = os.access
        for name in str(self.directory), self.path:
            self.patch(os, "access", lambda path, mode, name=name: path != name)
            self.assertTold(
                f"the directory {self.directory} must be writable"
                if name != self.path
                else "it cannot"
            )
            Path(self.path).touch()
        self.assertFalse(os.path.exists(f"{self.path}-lock"))
        Path(f"{self.path}-lock").touch()
        self.patch(os, "access", lambda path, mode: path != str(self.directory))
        self.assertTold(f"the directory {self.directory} must be writable")
        self.patch(os, "access", allowed)

    def test_broken(self) -> None:
        """
        A corrupt store is not refused: it will be set aside.
        """
        Lock(self.path).release()
        Path(self.path).write_bytes(b"garbage")
        checkFile(self.path)
        self.assertEqual(Path(self.path).read_bytes(), b"garbage")
