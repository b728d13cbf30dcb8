"""
Tests for a daemon with several processes: how they begin, are replaced, and end.
"""

from __future__ import annotations

import os
import signal
import socket
import ssl
import stat
import time
from pathlib import Path

from twisted.internet.threads import deferToThread

from tests.support.daemons import REQUEST, SERVE, TWISTD, writeCertificate
from tests.support.heeded import heed
from tests.support.live import PATIENCE, freePort, until
from tests.support.processes import isAlive
from tests.support.requirements import needs
from tests.support.several import Several, SeveralTestCase, childrenOf, pause

#: The number of children replaced to find a leak: each start takes almost a second.
REPLACEMENTS = 50 if os.environ.get("SSE_LONG") else 15


def connected(port: int) -> socket.socket:
    """
    @return: a connection over which the stream was requested.
    """
    connection = socket.create_connection(("127.0.0.1", port), PATIENCE)
    connection.sendall(REQUEST % b"Host: localhost\r\n")
    return connection


def rest(connection: socket.socket) -> bytes:
    """
    Read a connection to its end.
    """
    with connection:
        return b"".join(iter(lambda: connection.recv(2**16), b""))


@needs("network", "processes")
class EndTests(SeveralTestCase):
    """
    Tests for the end of all processes.
    """

    async def assertEndsWell(self, daemon: Several, end: signal.Signals) -> None:
        """
        Assert that all streams end with a C{retry}, and all processes with status 0.
        """
        children = daemon.children()
        self.assertEqual(len(children), 2)
        streams = [connected(daemon.port) for _ in range(20)]
        for stream in streams:
            stream.recv(1)
        begun = [daemon.metrics("sse_open_streams")['{resource="/"}']]
        self.assertEqual(begun, [20])
        daemon.signal(end)
        for stream in streams:
            self.assertRegex(
                await deferToThread(rest, stream), rb"\nretry: \d{4}\n\n\r\n0\r\n\r\n$"
            )
        self.assertEqual(await daemon.ended(), 0)
        self.assertEqual([child for child in children if isAlive(child)], [])
        self.assertEqual(daemon.ask("/"), (0, ""))
        self.assertNotIn("Traceback", daemon.log())

    async def test_twistd(self) -> None:
        """
        On SIGTERM all children are drained together.
        """
        daemon = await self.several("--interval=0.05").ready()
        await self.assertEndsWell(daemon, signal.SIGTERM)
        self.assertRegex(daemon.log(), r"process 1 \(pid \d+\): ")
        self.assertRegex(daemon.log(), r"process 2 \(pid \d+\): ")

    async def test_twist(self) -> None:
        """
        C{twisted-sse serve} ends on Ctrl-C, which reaches all processes.
        """
        heed(self, signal.SIGINT)
        daemon = await self.several("--interval=0.05", command=SERVE).ready()
        for child in daemon.children():
            os.kill(child, signal.SIGINT)
        await self.assertEndsWell(daemon, signal.SIGINT)

    async def test_signalsAtStart(self) -> None:
        """
        Signals meant for the parent do not affect a child, not even while it starts.
        """
        daemon = self.several()
        await until(lambda: len(daemon.children()) == 2, "the children have begun")
        children = daemon.children()
        for _ in range(20):
            for child in children:
                for number in signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2:
                    os.kill(child, number)
            await pause(0.05)
        await daemon.ready()
        self.assertEqual(daemon.children(), children)
        self.assertNotIn("Traceback", daemon.log())
        self.assertEqual(await daemon.stop(), 0)

    async def test_delay(self) -> None:
        """
        With C{--drain-delay} all children report that they are not ready, and continue to serve for
        that time.
        """
        daemon = await self.several("--drain-delay=2").ready()
        stream = connected(daemon.port)
        self.assertEqual(daemon.ask("/readyz")[0], 200)
        began = time.monotonic()
        daemon.signal(signal.SIGTERM)
        await until(lambda: daemon.ask("/readyz") == (503, "draining"), "it is unready")
        answers = [daemon.ask("/readyz") for _ in range(10)]
        self.assertEqual(set(answers), {(503, "draining")})
        self.assertIn(b"hello", await deferToThread(rest, stream))
        self.assertGreater(time.monotonic() - began, 1.9)
        self.assertEqual(await daemon.ended(), 0)

    async def test_hangs(self) -> None:
        """
        A child that hangs when all are to end is killed after a while, and the others end
        immediately.
        """
        daemon = await self.several("--drain=1").ready()
        hangs, other = daemon.children()
        os.kill(hangs, signal.SIGSTOP)
        daemon.signal(signal.SIGTERM)
        await until(lambda: not isAlive(other), "the other has ended", 5)
        self.assertEqual(await daemon.ended(), 0)
        self.assertFalse(isAlive(hangs))
        self.assertIn(": it has not ended in time", daemon.log())

    async def test_orphans(self) -> None:
        """
        When the parent is killed its children end, with a C{retry} for each client, and the port is
        free.
        """
        daemon = await self.several("--interval=0.05").ready()
        children = daemon.children()
        streams = [connected(daemon.port) for _ in range(10)]
        for stream in streams:
            stream.recv(1)
        daemon.kill()
        for stream in streams:
            self.assertRegex(await deferToThread(rest, stream), rb"retry: \d{4}\n\n\r\n0\r\n\r\n$")
        await until(lambda: not any(map(isAlive, children)), "the children have ended")
        socket.create_server(("127.0.0.1", daemon.port)).close()


@needs("network", "processes")
class ReplacementTests(SeveralTestCase):
    """
    Tests for children that are replaced.
    """

    async def test_stopped(self) -> None:
        """
        A child that does not answer for ten seconds is killed and replaced; meanwhile the others
        serve, and the metrics show which are missing.
        """
        daemon = await self.several().ready()
        hangs, other = daemon.children()
        os.kill(hangs, signal.SIGSTOP)
        began = time.monotonic()
        states = daemon.metrics("sse_processes")
        self.assertLess(time.monotonic() - began, 4)
        self.assertEqual((states['{state="ready"}'], states['{state="silent"}']), (1, 1))
        await until(lambda: not isAlive(hangs), "it is killed", 20)
        self.assertGreater(time.monotonic() - began, 8)
        await daemon.ready()
        self.assertIn(other, daemon.children())
        self.assertIn(": it has not answered for 10 s", daemon.log())
        self.assertEqual(daemon.metrics("sse_processes_replaced_total"), {"": 1})
        self.assertEqual(await daemon.stop(), 0)

    async def test_metrics(self) -> None:
        """
        The counters are the sums of all processes, and do not go down when these are replaced or
        killed.
        """
        daemon = await self.several().ready()
        for _ in range(40):
            stream = connected(daemon.port)
            stream.recv(1)
            stream.close()
        opened = "sse_streams_opened_total"
        self.assertEqual(daemon.metrics(opened), {'{resource="/"}': 40})
        before = daemon.children()
        daemon.signal(signal.SIGUSR2)
        await until(lambda: "The processes were replaced" in daemon.log(), "they are replaced")
        self.assertEqual(daemon.metrics(opened), {'{resource="/"}': 40})
        after = daemon.children()
        self.assertEqual(set(before) & set(after), set())
        os.kill(after[0], signal.SIGKILL)
        await daemon.ready()
        self.assertEqual(daemon.metrics(opened), {'{resource="/"}': 40})
        self.assertEqual(daemon.metrics("sse_open_streams"), {'{resource="/"}': 0})
        self.assertEqual(await daemon.stop(), 0)

    async def test_terminated(self) -> None:
        """
        A child that is terminated from outside ends cleanly, and is replaced.
        """
        daemon = await self.several().ready()
        first, _ = daemon.children()
        os.kill(first, signal.SIGTERM)
        await until(lambda: not isAlive(first), "it has ended")
        await daemon.ready()
        self.assertIn("has ended: status 0", daemon.log())
        self.assertEqual(await daemon.stop(), 0)

    async def test_leaks(self) -> None:
        """
        The parent has the same number of descriptors after many replacements as before.
        """
        daemon = await self.several(processes=5).ready()
        files = Path(f"/proc/{daemon.pid}/fd")
        before = len(list(files.iterdir()))
        for number in range(REPLACEMENTS // 5):
            for child in daemon.children():
                os.kill(child, signal.SIGKILL)
            await until(lambda: daemon.log().count("killed by") == 5 * (number + 1), "all know")  # noqa: B023
            await daemon.ready()
        self.assertEqual(len(list(files.iterdir())), before)
        self.assertEqual(await daemon.stop(), 0)

    async def test_broken(self) -> None:
        """
        On SIGUSR2, the old children stay if new ones cannot start any more.
        """
        module = self.directory / "events.py"
        module.write_text("def connected(stream): return ['one']\n")
        daemon = await self.several("python:events:connected").ready()
        before = daemon.children()
        module.write_text("1 / 0\n")
        daemon.signal(signal.SIGUSR2)
        await until(lambda: "The processes were not replaced" in daemon.log(), "the error")
        self.assertIn("ZeroDivisionError", daemon.log())
        self.assertEqual(daemon.children(), before)
        module.write_text("def connected(stream): return ['two, that is']\n")
        daemon.signal(signal.SIGUSR2)
        await until(lambda: "The processes were replaced" in daemon.log(), "they are replaced")
        follower = self.follow(f"http://127.0.0.1:{daemon.port}/")
        await until(lambda: "two, that is" in follower.texts, "the new one serves")
        self.assertEqual(await daemon.stop(), 0)


@needs("network", "processes")
class StartTests(SeveralTestCase):
    """
    Tests for successful and failed starts.
    """

    async def refused(self, *options: str) -> tuple[int, list[str]]:
        """
        @return: the status of a daemon that cannot start, and its lines for the user.
        """
        daemon = self.several(*options)
        status = await daemon.ended()
        return status, [line for line in daemon.log().splitlines() if line.startswith("sse: ")]

    async def test_importFails(self) -> None:
        """
        A module that fails only in a child is reported once, with status 64.
        """
        (self.directory / "events.py").write_text(
            "import sys\n"
            "if 'twisted_sse.daemon.processes.child' in sys.orig_argv: 1 / 0\n"
            "def connected(stream): return ['one']\n"
        )
        status, (line,) = await self.refused("python:events:connected")
        self.assertEqual(status, 64)
        self.assertIn("ZeroDivisionError", line)

    async def test_dies(self) -> None:
        """
        A child that exits immediately is reported once, and its status becomes that of the daemon.
        """
        (self.directory / "events.py").write_text(
            "import os, sys\n"
            "if 'twisted_sse.daemon.processes.child' in sys.orig_argv: os._exit(7)\n"
            "def connected(stream): return ['one']\n"
        )
        status, (line,) = await self.refused("python:events:connected")
        self.assertEqual(status, 7)
        self.assertRegex(line, r"^sse: process \d \(pid \d+\) has ended: status 7$")

    async def test_inUse(self) -> None:
        """
        A port in use is reported in one line, as by a single process.
        """
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            daemon = self.several(f"--listen=tcp:{port}:interface=127.0.0.1", port=0)
            self.assertEqual(await daemon.ended(), 64)
        self.assertIn("is already in use", daemon.log())

    async def test_background(self) -> None:
        """
        C{twistd} in the background starts the children after it has become a daemon; its log has
        their lines, and is rotated on SIGUSR1.
        """
        options = (*TWISTD, "--pidfile=a.pid", "--logfile=a.log", "sse")
        daemon = self.several("--access-log=access.log", command=options)
        self.assertEqual(await daemon.ended(), 0, daemon.log())
        daemon.pid = int((self.directory / "a.pid").read_text())
        self.addCleanup(lambda: isAlive(daemon.pid) and os.kill(daemon.pid, signal.SIGKILL))
        log = self.directory / "a.log"
        await until(lambda: len(childrenOf(daemon.pid)) == 2, "the children are there")
        await until(
            lambda: daemon.metrics("sse_processes")['{state="ready"}'] == 2, "all are ready"
        )
        for _ in range(20):
            stream = connected(daemon.port)
            stream.recv(1)
            stream.close()
        access = self.directory / "access.log"
        await until(lambda: len(access.read_text().splitlines()) == 40, "all lines are there")
        for line in access.read_text().splitlines():
            self.assertRegex(line, r'^127\.0\.0\.1 - .* "/" (open|close .*)$')
        await until(lambda: '): "127.0.0.1"' in log.read_text(), "the children's lines are there")
        daemon.signal(signal.SIGUSR1)
        await until(lambda: (self.directory / "a.log.1").exists(), "it was rotated")
        daemon.ask("/")
        await until(lambda: "process " in log.read_text(), "the next lines are there")
        daemon.signal(signal.SIGTERM)
        await until(lambda: not isAlive(daemon.pid), "it has ended")
        self.assertFalse((self.directory / "a.pid").exists())

    async def test_brokenInBackground(self) -> None:
        """
        If the children cannot start in the background, C{twistd} reports it, and exits with status
        1.
        """
        options = (*TWISTD, "--pidfile=a.pid", "--logfile=a.log", "sse")
        (self.directory / "checked.py").write_text(
            "import os\n"
            "if 'processes.child' in ' '.join(open('/proc/self/cmdline').read().split(chr(0))):\n"
            "    raise ZeroDivisionError\n"
            "def connected(stream): return []\n"
        )
        daemon = self.several("python:checked:connected", command=options)
        self.assertEqual(await daemon.ended(), 1)
        self.assertIn("importing checked failed", daemon.log())
        await until(lambda: not (self.directory / "a.pid").exists(), "it has ended")


@needs("network", "processes")
class EndpointTests(SeveralTestCase):
    """
    Tests for sockets of all kinds.
    """

    async def test_unix(self) -> None:
        """
        The file of a UNIX socket has the configured mode, stays while children are replaced, and is
        removed with the parent.
        """
        path = self.directory / "sse.sock"
        daemon = await self.several(f"--listen=unix:{path}:mode=600").ready()

        def ask() -> bytes:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(PATIENCE)
                connection.connect(str(path))
                connection.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
                return b"".join(iter(lambda: connection.recv(2**16), b""))

        self.assertTrue(ask().endswith(b"ok"))
        daemon.signal(signal.SIGUSR2)
        await until(lambda: "The processes were replaced" in daemon.log(), "they are replaced")
        for _ in range(10):
            self.assertTrue(ask().endswith(b"ok"))
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        self.assertEqual(await daemon.stop(), 0)
        self.assertEqual([each.name for each in self.directory.glob("sse.sock*")], [])
        self.assertNotIn("Traceback", daemon.log())

    async def test_many(self) -> None:
        """
        Each endpoint gets its own socket, in order: IPv6, and a separate one for the metrics.
        """
        admin, six = freePort(), freePort()
        daemon = self.several(
            f"--listen=tcp6:{six}:interface=\\:\\:1", f"--admin=tcp:{admin}:interface=127.0.0.1"
        )
        client, daemon.port = daemon.port, admin
        await daemon.ready()
        self.assertEqual(daemon.ask("/")[0], 404)
        daemon.port = client
        self.assertEqual(daemon.ask("/"), (200, "ok"))
        self.assertEqual(daemon.ask("/metrics")[0], 404)
        with socket.create_connection(("::1", six), PATIENCE) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            self.assertIn(b" 200 OK", connection.recv(2**16))
        self.assertEqual(await daemon.stop(), 0)

    async def test_tls(self) -> None:
        """
        Each child handles TLS, with HTTP/2, and after SIGUSR2 with the new certificate.
        """
        files = ":privateKey=key.pem:certKey=cert.pem"
        writeCertificate(self.directory)
        secure = freePort()
        daemon = await self.several(
            f"--listen=ssl:{secure}:interface=127.0.0.1{files}", "--interval=0.05"
        ).ready()

        def certificate() -> bytes:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            context.set_alpn_protocols(["h2"])
            plain = socket.create_connection(("127.0.0.1", secure), PATIENCE)
            with context.wrap_socket(plain) as connection:
                self.assertEqual(connection.selected_alpn_protocol(), "h2")
                return connection.getpeercert(True) or b""

        first = await deferToThread(certificate)
        self.assertEqual({await deferToThread(certificate) for _ in range(5)}, {first})
        writeCertificate(self.directory)
        self.assertEqual(await deferToThread(certificate), first)
        daemon.signal(signal.SIGUSR2)
        await until(lambda: "The processes were replaced" in daemon.log(), "they are replaced")
        second = await deferToThread(certificate)
        self.assertNotEqual(second, first)
        self.assertEqual({await deferToThread(certificate) for _ in range(5)}, {second})
        self.assertEqual(await daemon.stop(), 0)


@needs("network", "processes", "redis")
class RedisTests(SeveralTestCase):
    """
    Tests for children with Redis.
    """

    async def test_unusable(self) -> None:
        """
        A store that can never be used is reported once, with status 64.
        """
        redis = await self.redis()
        redis.ask("SET", "sse:/", "no stream")
        for sources in ["post"], ["-"], ["post", "/time=command:date"]:
            daemon = self.several(*sources, f"--store={redis.url}")
            self.assertEqual(await daemon.ended(), 64)
            (line,) = [each for each in daemon.log().splitlines() if each.startswith("sse: ")]
            self.assertIn("--store: sse:/: ", line)
            (self.directory / "log").unlink()

    async def test_away(self) -> None:
        """
        A child is not ready while Redis is unreachable; a replacement waits for it, and the old
        children continue.
        """
        redis = await self.redis()
        daemon = await self.several("post", f"--store={redis.url}").ready()
        before = daemon.children()
        redis.kill()
        daemon.signal(signal.SIGUSR2)
        await until(lambda: len(daemon.children()) == 3, "a new one has begun")
        await pause(2)
        # A new connection never reaches the child that is not ready.
        for _ in range(20):
            self.assertEqual(daemon.ask("/readyz")[0], 200)
        self.assertEqual(daemon.metrics("sse_processes")['{state="starting"}'], 1)
        self.assertEqual(daemon.children()[:2], before)
        await redis.start()
        await until(lambda: "The processes were replaced" in daemon.log(), "they are replaced")
        self.assertEqual(daemon.ask("/", b"hello")[0], 200)
        self.assertEqual(await daemon.stop(), 0)
