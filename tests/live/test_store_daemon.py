"""
Tests for a daemon with a store as a process: failures to start, and a full disk.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import time
import urllib.error
import urllib.request

from tests.support.daemons import (
    FOREGROUND,
    LOCAL,
    PATIENCE,
    SERVE,
    TWIST,
    TWISTD,
    Client,
    DaemonMixin,
    freePort,
    until,
)
from tests.support.requirements import needs

BACKGROUND = [*TWISTD, "--pidfile=a.pid", "--logfile=a.log"]


class StoreMixin(DaemonMixin):
    """
    Runs daemons with a store.
    """

    def serve(self, *options: str) -> subprocess.Popen[str]:
        """
        Start a daemon.
        """
        return self.start(*FOREGROUND, "sse", "post", "--store=events.db", *options)

    def ask(self, path: str, body: bytes | None = None, **headers: str) -> tuple[int, str]:
        """
        Make a request.

        @return: the status, and the body of the response.
        """
        url = f"http://localhost:{self.port}{path}"
        request = urllib.request.Request(url, body, {"Content-Type": "text/plain", **headers})
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as e:
            with e:
                return e.code, e.read().decode()

    def publish(self, text: str) -> str:
        """
        Publish an event.

        @return: its ID.
        """
        status, answer = self.ask("/", text.encode())
        self.assertEqual(status, 200, answer)
        identifier: str = json.loads(answer)["id"]
        return identifier

    def untilAnswered(self, status: int, path: str, body: bytes | None = None) -> None:
        """
        Repeat a request until it has this status.
        """

        def isAnswered() -> bool:
            # Each is a line of the log, which is not read yet.
            time.sleep(0.2)
            return self.ask(path, body)[0] == status

        until(isAnswered)

    def resume(self, lastEventID: str, data: str) -> bytes:
        """
        Resume from an ID, and read up to an event.

        @return: everything received.
        """
        connection = socket.create_connection(("127.0.0.1", self.port), PATIENCE)
        self.addCleanup(connection.close)
        client = Client(connection, LOCAL + f"Last-Event-ID: {lastEventID}\r\n".encode())
        client.readUntil(f"data: {data}\n".encode())
        return bytes(client.received)

    def isFree(self, port: int) -> bool:
        """
        Whether nothing listens on a port.
        """
        self.port = port
        return not self.isListening()


@needs("network")
class StopTests(StoreMixin):
    """
    Tests for publishers of a daemon that ends.
    """

    def test_inFlight(self) -> None:
        """
        A publisher gets its response when the event is stored, even if the daemon is asked to stop,
        and the rest of the event arrives only then; acknowledged events are there after a restart.
        """
        process = self.serve()
        begin = self.publish("begin")
        head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n"
        connections = [
            socket.create_connection(("127.0.0.1", self.port), PATIENCE) for _ in range(51)
        ]
        for connection in connections:
            self.addCleanup(connection.close)
            # Now it was accepted.
            connection.sendall(head + b"first")
            self.assertTrue(connection.recv(2**16).startswith(b"HTTP/1.1 200 OK"))
        for number, connection in enumerate(connections):
            connection.sendall(head + b"%05d" % number if number else head + b"sl")
        process.terminate()
        self.waitFor(process, "SIGTERM received")
        connections[0].sendall(b"ow!")
        for connection in connections:
            answer = b"".join(iter(lambda: connection.recv(2**16), b""))  # noqa: B023
            self.assertTrue(answer.startswith(b"HTTP/1.1 200 OK"), answer)
            self.assertIn(b'{"id": ', answer)
        self.finish(process)
        process = self.serve()
        data = self.resume(begin, "slow!")
        self.assertEqual(data.count(b"data: "), 102)
        process.terminate()
        self.finish(process)


@needs("network")
class RefusalTests(StoreMixin):
    """
    Tests for stores that cannot be used.
    """

    def test_inUse(self) -> None:
        """
        A second daemon on the same file is refused in one line with the number of the first, which
        continues.
        """
        process = self.serve()
        self.publish("one")
        first, second = self.port, freePort()
        before = sorted(self.directory.iterdir())
        for command in [*FOREGROUND, "sse"], [*TWIST, "sse"], SERVE, [*BACKGROUND, "sse"]:
            result = self.run_(*command, "post", "--store=events.db", "--port", str(second))
            self.assertEqual((result.returncode, result.stdout), (64, ""), command)
            name = "python -m twisted_sse serve" if command is SERVE else "sse"
            self.assertEqual(
                result.stderr,
                f"{name}: --store events.db: the store is in use by process {process.pid}: stop it"
                " first, or use another file\n",
            )
            self.assertTrue(self.isFree(second))
        self.assertEqual(sorted(self.directory.iterdir()), before)
        self.port = first
        self.publish("two")
        process.terminate()
        self.finish(process)

    def test_nowhere(self) -> None:
        """
        A missing directory is refused, and so is one where not even root can create files.
        """
        result = self.run_(*SERVE, "post", "--store=nowhere/events.db")
        self.assertEqual(result.returncode, 64)
        self.assertEqual(
            result.stderr,
            "python -m twisted_sse serve: --store nowhere/events.db: directory nowhere does not exist:"
            " create it first\n",
        )
        result = self.run_(*FOREGROUND, "sse", "post", "--store=/sys/events.db", f"-p{self.port}")
        self.assertEqual(result.returncode, 64, result)
        self.assertIn("cannot be written", result.stdout + result.stderr)
        self.assertNotIn("Traceback", result.stdout + result.stderr)
        self.assertTrue(self.isFree(self.port))

    def test_foreign(self) -> None:
        """
        A database of another program stays unchanged.  C{twistd} as a daemon reports this in one
        line of its log, and to its caller.
        """
        path = self.directory / "events.db"
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE people(name)")
        connection.close()
        before = path.read_bytes()
        options = ("sse", "post", "--store=events.db", "--port", str(self.port))
        result = self.run_(*FOREGROUND, *options)
        self.assertEqual(result.returncode, 64, result)
        self.assertEqual(result.stdout.count("The store cannot be used: "), 1)
        self.assertEqual(
            result.stderr,
            f"sse: --store: {path.resolve()} is a database of another program: use another file\n",
        )
        result = self.run_(*BACKGROUND, *options)
        self.assertEqual((result.returncode, result.stdout), (1, ""))
        self.assertIn("events.db", result.stderr)
        log = (self.directory / "a.log").read_text(encoding="utf-8")
        self.assertEqual(log.count("The store cannot be used: "), 1)
        self.assertNotIn("Traceback", log + result.stderr)
        self.assertFalse((self.directory / "a.pid").exists())
        until(lambda: self.isFree(self.port))
        self.assertEqual(path.read_bytes(), before)


@needs("network")
class BackgroundTests(StoreMixin):
    """
    Tests for C{twistd} that has become a daemon.
    """

    def test_background(self) -> None:
        """
        The store is opened by the daemon, which can be restarted.
        """
        ids = set()
        for _ in range(2):
            result = self.run_(
                *(*BACKGROUND, "sse", "post", "--store=events.db", "--port", str(self.port)),
                "--publish-token=file:token"
                if (self.directory / "token").exists()
                else "--drain=1",
            )
            self.assertEqual((result.returncode, result.stderr), (0, ""))
            pid = int((self.directory / "a.pid").read_text(encoding="ascii"))
            try:
                ids.add(self.publish("hello"))
                self.assertEqual(self.ask("/healthz/delivery"), (200, "ok"))
                lock = (self.directory / "events.db-lock").read_text(encoding="ascii")
                self.assertEqual(int(lock[:20]), pid)
            finally:
                os.kill(pid, signal.SIGTERM)
            until(lambda: not (self.directory / "a.pid").exists())
        self.assertEqual(len(ids), 2)
        log = (self.directory / "a.log").read_text(encoding="utf-8")
        self.assertNotIn("Traceback", log)


@needs("network", "root")
class JailTests(StoreMixin):
    """
    Tests for C{twistd --chroot}.
    """

    def test_jail(self) -> None:
        """
        The store is in the chroot, under its name, and available to the next daemon.
        """
        jail = self.directory / "jail"
        jail.mkdir()
        command = (*FOREGROUND, f"--chroot={jail}", "sse", "post")
        result = self.run_(*command, "--store=var/events.db", f"-p{self.port}")
        self.assertEqual(
            (result.returncode, result.stderr),
            (
                64,
                f"sse: --store {jail}/var/events.db: directory {jail}/var does not exist: create it first\n",
            ),
        )
        (jail / "var").mkdir()
        ids = []
        for _ in range(2):
            process = self.start(*command, "--store=var/events.db")
            ids.append(self.publish("hello"))
            process.terminate()
            self.assertNotIn("Traceback", self.finish(process))
        process = self.start(*command, "--store=var/events.db")
        self.assertNotIn(b"stream-reset", self.resume(ids[0], "hello"))
        process.terminate()
        self.finish(process)
        self.assertEqual(
            sorted(each.name for each in (jail / "var").iterdir()), ["events.db", "events.db-lock"]
        )


@needs("network", "root")
class FullDiskTests(StoreMixin):
    """
    Tests for a full disk.
    """

    def test_full(self) -> None:
        """
        Events are delivered while the disk is full, but publishers learn that they are not kept;
        when there is space again everything works, and clients of the next daemon are notified of
        missing events.  The log reports both once.
        """
        disk = self.directory / "disk"
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], check=True)
        self.addCleanup(subprocess.run, ["umount", disk], check=True)
        process = self.start(*FOREGROUND, "sse", "post", "--store=disk/events.db")
        first = self.publish("first")
        client = self.client()
        with open(disk / "filler", "wb", buffering=0) as filler:
            try:
                while True:
                    filler.write(b"x" * 1000)
            except OSError:
                pass
        count = 0
        while self.ask("/", f"full {count} {'x' * 2000}".encode())[0] == 200:
            count += 1
        client.readUntil(f"data: full {count} ".encode())
        status, text = self.ask("/readyz")
        self.assertEqual((status, text.startswith("degraded: ")), (200, True), text)
        self.untilAnswered(503, "/healthz/delivery")
        self.assertRegex(self.ask("/metrics")[1], r"sse_store_errors_total [1-9]")
        (disk / "filler").unlink()
        self.untilAnswered(200, "/", b"again")
        self.assertEqual(self.ask("/readyz"), (200, "ok"))
        self.untilAnswered(200, "/healthz/delivery")
        client.readUntil(b"data: again\n")
        # The memory still has the events that the store lacks.
        self.assertNotIn(b"event: stream-reset\n", self.resume(first, "again"))
        process.terminate()
        output = self.finish(process)
        self.start(*FOREGROUND, "sse", "post", "--store=disk/events.db")
        self.assertIn(b"event: stream-reset\n", self.resume(first, "again"))
        for said in "Events cannot be stored in ", "Events are stored in ":
            self.assertEqual(output.count(said), 1, output)
        for said in "Events are not delivered: ", "Events are delivered again":
            self.assertEqual(output.count(said), 1, output)


@needs("network")
class BrokenTests(StoreMixin):
    """
    Tests for a store that breaks.
    """

    def test_garbage(self) -> None:
        """
        A file that was corrupted while no daemon ran is set aside: this is reported once, in the
        log and in the metrics, and clients with its IDs are notified.
        """
        process = self.serve()
        identifier = self.publish("one")
        process.terminate()
        self.finish(process)
        (self.directory / "events.db").write_bytes(b"garbage" * 1000)
        process = self.serve()
        status, text = self.ask("/readyz")
        self.assertEqual((status, text.startswith("degraded: ")), (200, True), text)
        self.assertIn("corrupt", text)
        self.assertIn("sse_store_resets_total 1.0", self.ask("/metrics")[1])
        self.publish("two")
        self.assertIn(b"event: stream-reset\n", self.resume(identifier, "two"))
        process.terminate()
        output = self.finish(process)
        self.assertEqual(output.count(" is broken "), 1)
