"""
Tests for the daemon as a process: signals, errors at its start, and its clients' view.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.support.daemons import (
    FOREGROUND,
    FOREGROUND_TWIST,
    LOCAL,
    PATIENCE,
    REQUEST,
    SERVE,
    TWIST,
    TWISTD,
    Client,
    DaemonMixin,
    freePort,
    until,
)
from tests.support.heeded import heed
from tests.support.processes import isAlive, residentMemory
from tests.support.requirements import needs

#: A client in its own process, which reports when it has received an event.
CLIENT = f"""
import socket, sys
connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
connection.sendall({REQUEST % LOCAL!r})
received = b""
while b"hello" not in received:
    received += connection.recv(1000)
print("hello", flush=True)
sys.stdin.read()
"""

#: The number of lines in a flood: more than a connection's buffers and the history hold.
LINES = 200_000


@needs("network")
class StopTests(DaemonMixin):
    """
    Tests for how the daemon stops.
    """

    def assertEndsWell(self, number: signal.Signals, *command: str) -> None:
        """
        Assert that on this signal each client gets a C{retry} and a complete response, the port is
        closed, and the status is 0.
        """
        process = self.start(*command, "sse", "--interval", "0.01")
        clients = [self.client() for _ in range(3)]
        for client in clients:
            client.readUntil(b"event: message\nid: 1\ndata: hello\n\n")
        process.send_signal(number)
        for client in clients:
            self.assertRegex(bytes(client.readAll()), rb"\nretry: \d{4}\n\n\r\n0\r\n\r\n$")
        self.finish(process)
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", self.port), PATIENCE).close()

    def test_twistd(self) -> None:
        """
        C{twistd} stops cleanly on SIGTERM.
        """
        self.assertEndsWell(signal.SIGTERM, *FOREGROUND)

    def test_twist(self) -> None:
        """
        C{twist} stops cleanly on SIGTERM.
        """
        self.assertEndsWell(signal.SIGTERM, *FOREGROUND_TWIST)

    def test_interrupt(self) -> None:
        """
        C{twistd} stops cleanly on SIGINT.
        """
        self.assertEndsWell(signal.SIGINT, *FOREGROUND)

    def test_hangup(self) -> None:
        """
        C{twistd} stops cleanly on SIGHUP, as when its terminal is closed.
        """
        heed(self, signal.SIGHUP)
        self.assertEndsWell(signal.SIGHUP, *FOREGROUND)

    def test_asyncio(self) -> None:
        """
        C{twistd} stops cleanly on the asyncio reactor.
        """
        self.assertEndsWell(signal.SIGTERM, *FOREGROUND, "--reactor=asyncio")

    def test_again(self) -> None:
        """
        Further signals during a drain change nothing, and a slow client still gets everything.
        """
        (self.directory / "big.py").write_text(
            "def connected(stream):\n    return ['x' * 20_000_000]\n", encoding="ascii"
        )
        process = self.start(*FOREGROUND, "sse", "--source", "python:big:connected")
        assert process.stdout is not None
        client = self.client()
        client.readUntil(b"xxx")
        process.terminate()
        self.waitFor(process, "SIGTERM received: ")
        for number in signal.SIGTERM, signal.SIGINT, signal.SIGTERM:
            process.send_signal(number)
            self.waitFor(process, f"{number.name} received again; already shutting down")
        _, _, body = client.readAll().partition(b"\r\n\r\n")
        self.assertEqual((body.count(b"x"), body[-7:]), (20_000_000, b"\r\n0\r\n\r\n"))
        self.finish(process)

    def test_deadline(self) -> None:
        """
        A client that does not read cannot keep the daemon running.
        """
        (self.directory / "big.py").write_text(
            "def connected(stream):\n    return ['x' * 20_000_000]\n", encoding="ascii"
        )
        process = self.start(
            *FOREGROUND, "sse", "--source", "python:big:connected", "--drain", "0.2"
        )
        self.client().readUntil(b"xxx")
        process.terminate()
        self.assertIn("Aborting 1 stream", self.finish(process))


@needs("network")
class ServeTests(DaemonMixin):
    """
    Tests for the running daemon.
    """

    def test_clientKilled(self) -> None:
        """
        A client that is killed makes room for the next one.
        """
        self.start(*FOREGROUND, "sse", "--interval", "0.01", "--max-streams", "1")
        with subprocess.Popen(
            [sys.executable, "-c", CLIENT, str(self.port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as killed:
            assert killed.stdout is not None
            self.waitFor(killed, "hello")
            refused = self.client()
            refused.readUntil(b"\r\n0\r\n\r\n")
            self.assertIn(b"retry: ", refused.received)
            killed.kill()

        def hasRoom() -> bool:
            client = self.client()
            client.readUntil(b"\n\n")
            try:
                client.socket.settimeout(1)
                client.readUntil(b"hello")
            except (AssertionError, TimeoutError):
                return False
            return True

        until(hasRoom)

    def test_tls(self) -> None:
        """
        The daemon can listen on a TLS endpoint.
        """
        self.writeKey()
        secure = freePort()
        process = self.start(
            *FOREGROUND,
            "sse",
            "--listen",
            f"ssl:{secure}:interface=127.0.0.1:privateKey=key.pem:certKey=cert.pem",
            "--interval",
            "0.01",
        )
        context = ssl.create_default_context(cafile=str(self.directory / "cert.pem"))
        plain = socket.create_connection(("127.0.0.1", secure), PATIENCE)
        with context.wrap_socket(plain, server_hostname="localhost") as connection:
            client = Client(connection)
            client.readUntil(b"data: hello\n\n")
            process.terminate()
            self.assertEqual(client.readAll()[-7:], b"\r\n0\r\n\r\n")
        self.finish(process)

    def test_together(self) -> None:
        """
        Several daemons run in one directory, and leave no files there.
        """
        daemons = []
        for name in "one", "two":
            (self.directory / name).write_text(f"{name}\n", encoding="ascii")
            port = freePort()
            process = self.spawn(*SERVE, name, "--tail=1", "--port", str(port))
            daemons.append((name, port, process))
        for name, self.port, process in daemons:
            until(self.isListening)
            self.client().readUntil(f"data: {name}\n".encode())
            process.terminate()
            self.finish(process)
        self.assertEqual(sorted(path.name for path in self.directory.iterdir()), ["one", "two"])


@needs("network")
class RefusalTests(DaemonMixin):
    """
    Tests that a daemon that cannot start prints one line and exits with status 64.
    """

    #: The ways to start the daemon.
    ways = (FOREGROUND, TWIST, SERVE, [*TWISTD, "--pidfile=a.pid", "--logfile=a.log"])

    def assertRefused(
        self, says: str, *options: str, ways: Sequence[list[str]] = (FOREGROUND,)
    ) -> None:
        """
        Assert that the daemon reports why it cannot start, and leaves nothing behind.
        """
        for command in ways:
            result = self.run_(*command, *(() if command is SERVE else ("sse",)), *options)
            self.assertEqual(result.returncode, 64, (command, result))
            self.assertEqual(result.stdout, "", command)
            program = "python -m twisted_sse serve" if command is SERVE else "sse"
            self.assertRegex(result.stderr, rf"^{program}: {re.escape(says)}[^\n]*\n$")
            self.assertEqual(list(self.directory.iterdir()), [], command)

    def test_option(self) -> None:
        """
        A wrong option is refused.
        """
        options = ["--port", str(self.port), "--interval", "x"]
        self.assertRefused("--interval is 'x'", *options, ways=self.ways)

    def test_portInUse(self) -> None:
        """
        A port in use is refused, even if another one is free.
        """
        with socket.create_server(("127.0.0.1", 0)) as taken:
            number = taken.getsockname()[1]
            self.assertRefused(
                f"--listen tcp:{number}:interface=127.0.0.1: it is already in use",
                *("--port", str(self.port), "--listen", f"tcp:{number}:interface=127.0.0.1"),
                ways=self.ways,
            )
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", self.port), PATIENCE).close()

    def test_noCertificate(self) -> None:
        """
        A certificate that is missing or invalid is refused.
        """
        for key, why in ("/nosuch.pem", "/nosuch.pem: No such file"), ("/dev/null", "its key"):
            self.assertRefused(
                f"--listen ssl:0:privateKey={key}: {why}", "--listen", f"ssl:0:privateKey={key}"
            )

    def test_noSource(self) -> None:
        """
        A missing or failing module, a missing command and a directory are refused as sources.
        """
        modules = TemporaryDirectory()
        self.addCleanup(modules.cleanup)
        Path(modules.name, "failing.py").write_text("1 / 0\n", encoding="ascii")
        self.environment["PYTHONPATH"] += os.pathsep + modules.name
        for source, why in (
            ("python:nosuch_module:connected", "module 'nosuch_module' was found neither"),
            ("python:failing:connected", "importing failing failed in "),
            ("command:nosuch-command -x", "command 'nosuch-command' was not found"),
            ("file:/dev", "it is a directory"),
        ):
            self.assertRefused(f"--source {source}: {why}", "--source", source)


@needs("network")
class SourceTests(DaemonMixin):
    """
    Tests for sources that fail.
    """

    def serve(self, source: str, *options: str, **more: Any) -> subprocess.Popen[str]:
        """
        Start a daemon with a source.
        """
        return self.start(*FOREGROUND, "sse", "--source", source, "--tail=9", *options, **more)

    def end(self, process: subprocess.Popen[str], status: int = 0) -> str:
        """
        Wait for a daemon to end.

        @return: the rest of its output.
        """
        output, _ = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, status, output)
        self.assertNotIn("Traceback", output)
        return output

    def test_status(self) -> None:
        """
        With C{--once} the daemon exits with the status of its command, after clients have received
        everything.
        """
        command = shlex.join(["sh", "-c", "echo one; read line; echo two; exit 7"])
        for status in FOREGROUND, FOREGROUND_TWIST:
            # The command reads the daemon's standard input.
            process = self.start(
                *(*status, "sse", "--source", f"command:{command}", "--tail=9", "--once"),
                stdin=subprocess.PIPE,
            )
            client = self.client()
            client.readUntil(b"data: one\n")
            assert process.stdin is not None
            process.stdin.close()
            process.stdin = None
            self.assertIn(b"data: two\n", client.readAll())
            self.end(process, 7)

    def test_binary(self) -> None:
        """
        A command with binary output is followed.
        """
        process = self.serve("command:head -c 300000 /dev/urandom", "--once", "--drain=1")
        received = self.client().readAll()
        self.assertIn("\N{REPLACEMENT CHARACTER}", received.decode())
        self.end(process)

    def test_flood(self) -> None:
        """
        A command that writes as fast as it can uses bounded memory: one client misses nothing, and
        one that does not read is disconnected.
        """
        process = self.serve(f"command:seq -f '%.0f {'x' * 100}' 1000000000", "--stall-timeout=off")
        stalled = self.client()
        client = self.client()
        memory = residentMemory(process.pid)
        numbers: list[int] = []
        rest = b""
        while len(numbers) < LINES:
            *lines, rest = (rest + client.socket.recv(2**18)).split(b"\n")
            numbers += [int(line[6:].split()[0]) for line in lines if re.match(rb"data: \d", line)]
        self.assertEqual(numbers, list(range(numbers[0], numbers[0] + len(numbers))))
        self.assertLess(residentMemory(process.pid) - memory, 2**25)
        with self.assertRaises(ConnectionResetError):
            stalled.readAll()
        process.terminate()
        client.readAll()
        self.end(process)

    def test_stubborn(self) -> None:
        """
        A command that ignores SIGTERM is killed together with its child processes.
        """
        script = "trap '' TERM; sleep 1000 & echo $! $$ up; while :; do wait; done"
        process = self.serve(f"command:{shlex.join(['sh', '-c', script])}", "--drain=0.1")
        client = self.client()
        client.readUntil(b"up\n")
        (numbers,) = re.findall(rb"data: (\d+) (\d+) up\n", client.received)
        self.assertTrue(all(map(isAlive, numbers)))
        process.terminate()
        self.end(process)
        until(lambda: not any(map(isAlive, numbers)))

    def test_dies(self) -> None:
        """
        A command that exits is restarted after a second, and clients stay connected.
        """
        process = self.serve("command:date +%s.%N")
        client = self.client()
        while len(times := re.findall(rb"data: (\d.*)\n", client.received)) < 2:
            client.received += client.socket.recv(2**16)
        self.assertGreater(float(times[1]) - float(times[0]), 0.9)
        process.terminate()
        self.end(process)

    def test_noInput(self) -> None:
        """
        With an empty standard input the daemon keeps serving, and with C{--once} it exits.
        """
        process = self.serve("-", stdin=subprocess.DEVNULL)
        self.waitFor(process, "Standard input ended after 0 lines")
        self.client().readUntil(b"text/event-stream")
        process.terminate()
        self.end(process)
        result = self.run_(
            *(*FOREGROUND, "sse", "--port", str(self.port), "--source", "-", "--once"),
            stdin=subprocess.DEVNULL,
        )
        self.assertEqual(result.returncode, 0, result.stderr)

    def test_closedInput(self) -> None:
        """
        A closed standard input is refused.
        """
        result = self.run_(
            *("sh", "-c", 'exec "$@" <&-', "sh", *FOREGROUND, "sse", "--port", str(self.port)),
            *("--source", "-"),
        )
        self.assertEqual(result.returncode, 64)
        self.assertRegex(result.stderr, r"^sse: --source -: standard input is closed.*\n$")

    def test_file(self) -> None:
        """
        A file that is replaced by a directory for a while is followed again.
        """
        path = self.directory / "app.log"
        path.write_text("one\n")
        process = self.serve(f"file:{path}")
        client = self.client()
        client.readUntil(b"data: one\n")
        path.unlink()
        path.mkdir()
        self.waitFor(process, f"{path} cannot be read: it is a directory")
        path.rmdir()
        path.write_text("two\n")
        client.readUntil(b"data: two\n")
        self.assertEqual(re.findall(rb"data: (\w+)", client.received), [b"one", b"two"])
        process.terminate()
        self.end(process)

    def test_unreadable(self) -> None:
        """
        An unreadable file is refused at the start; later it is reported, and followed again once
        readable.
        """
        path = self.directory / "app.log"
        path.symlink_to(path)
        result = self.run_(*FOREGROUND, "sse", "--port", str(self.port), f"--source=file:{path}")
        self.assertEqual(result.returncode, 64)
        self.assertIn("Too many levels of symbolic links", result.stderr)
        path.unlink()
        process = self.serve(f"file:{path}")
        path.symlink_to(path)
        self.waitFor(process, "Too many levels of symbolic links")
        path.unlink()
        path.write_text("one\n")
        self.client().readUntil(b"data: one\n")
        process.terminate()
        self.end(process)

    def test_fullDisk(self) -> None:
        """
        A failure to write the access log is reported, and serving continues.
        """
        path = self.directory / "app.log"
        path.write_text("one\n")
        process = self.serve(f"file:{path}", "--access-log=/dev/full")
        for _ in range(3):
            client = self.client()
            client.readUntil(b"data: one\n")
            client.socket.close()
        self.waitFor(process, "No space left on device")
        self.client().readUntil(b"data: one\n")
        process.terminate()
        self.assertNotIn("No space left", self.end(process))

    def test_address(self) -> None:
        """
        C{X-Forwarded-For} from a client that is not a trusted proxy is ignored.
        """
        fields = LOCAL + b"X-Forwarded-For: 203.0.113.9\r\n"
        for options, address in ([], "127.0.0.1"), (["--trusted-proxy=127.0.0.1"], "203.0.113.9"):
            access = self.directory / address
            process = self.start(*FOREGROUND, "sse", f"--access-log={access}", *options)
            with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as connection:
                Client(connection, fields).readUntil(b"text/event-stream")
            until(access.read_text)
            self.assertEqual(access.read_text().split()[0], address)
            process.terminate()
            self.end(process)


@needs("network")
class BackgroundTests(DaemonMixin):
    """
    Tests for daemonising.
    """

    def test_background(self) -> None:
        """
        When C{twistd} returns the daemon listens and owns its UNIX socket, and on SIGTERM it leaves
        only its log.
        """
        listen = ["sse", "--listen", f"unix:{self.directory}/s", "--interval", "0.01"]
        result = self.run_(*TWISTD, "--pidfile=a.pid", "--logfile=a.log", *listen)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        pid = int((self.directory / "a.pid").read_text(encoding="ascii"))
        stopped = False
        try:
            self.assertEqual(os.readlink(self.directory / "s.lock"), str(pid))
            result = self.run_(*FOREGROUND, *listen)
            self.assertEqual(result.returncode, 64)
            self.assertIn("in use", result.stderr)
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(str(self.directory / "s"))
                client = Client(connection)
                client.readUntil(b"data: hello\n\n")
                os.kill(pid, signal.SIGTERM)
                stopped = True
                self.assertEqual(client.readAll()[-7:], b"\r\n0\r\n\r\n")
        finally:
            if not stopped:
                os.kill(pid, signal.SIGKILL)
        until(lambda: not (self.directory / "a.pid").exists())
        self.assertEqual([path.name for path in self.directory.iterdir()], ["a.log"])
        log = (self.directory / "a.log").read_text(encoding="utf-8")
        self.assertNotIn("Traceback", log)
