"""
Tests for the logs of a daemon in its own process: their content, and a full disk.
"""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
from pathlib import Path

from tests.support.daemons import FOREGROUND, FOREGROUND_TWIST, PATIENCE, TWISTD, DaemonMixin, until
from tests.support.requirements import needs

#: Requests with a secret in their queries: answered, refused, and malformed ones.
SECRET = b"s3cret"
REQUESTS = [
    b"GET /healthz?token=%s HTTP/1.1\r\nHost: localhost\r\nReferer: http://a/?b=%s\r\n",
    b"GET /none?%s HTTP/1.0\r\nReferer: /a?%s\r\n",
    b"HEAD /?token=%s HTTP/1.0\r\n",
    b"POST /?%s HTTP/1.0\r\nContent-Length: 2\r\n",
    b"GET /?lastEventID=%s HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n",
    b"GET /failing?%s HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n",
    b"GET ?%s HTTP/1.0\r\n",
    b"GET /?%s HTTP/9\r\n",
    b"GET /?%s\r\n",
]

#: A source that fails.
SOURCE = "def connected(stream):\n    raise RuntimeError('broken')\n"


@needs("network")
class QueryTests(DaemonMixin):
    """
    Tests that no log contains the query of a URL.
    """

    def assertQuiet(self, *command: str) -> None:
        """
        Assert that a daemon logs no query.
        """
        (self.directory / "broken.py").write_text(SOURCE, encoding="ascii")
        process = self.start(
            *command,
            *("sse", "--access-log", "access.log", "--drain", "0.2"),
            *("--source", "tick", "--source", "/failing=python:broken:connected"),
        )
        for request in REQUESTS:
            said = request.replace(b"%s", SECRET)
            with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as connection:
                connection.sendall(said + b"Connection: close\r\n\r\nxx")
                self.assertTrue(connection.recv(2**16), said)
        process.terminate()
        output, _ = process.communicate(timeout=PATIENCE)
        log = (self.directory / "access.log").read_text(encoding="ascii")
        self.assertIn("GET /healthz HTTP/1.1", output)
        self.assertIn("RuntimeError: broken", output)
        self.assertIn("GET / HTTP/1.1", log)
        self.assertNotIn(SECRET.decode(), output + log)

    def test_twistd(self) -> None:
        """
        No query of a URL or of a referring page is in the logs of C{twistd}.
        """
        self.assertQuiet(*FOREGROUND)

    def test_twist(self) -> None:
        """
        The logs of C{twist} contain no query, either.
        """
        self.assertQuiet(*FOREGROUND_TWIST)


@needs("network")
class FullDiskTests(DaemonMixin):
    """
    Tests for logs on a full disk, simulated by a limit on the size of files.
    """

    def ask(self) -> None:
        """
        Open a stream, and close it.
        """
        client = self.client()
        client.readUntil(b"data: hello")
        client.socket.close()

    def test_full(self) -> None:
        """
        When there is room again, the next line of C{twistd}'s log, and of the access log, does not
        continue a partly written one.
        """
        subprocess.run(
            [
                *(*TWISTD, "--pidfile=it.pid", "--logfile=it.log"),
                *("sse", f"--port={self.port}", "--interval=0.01", "--access-log=access.log"),
            ],
            cwd=self.directory,
            env=self.environment,
            timeout=PATIENCE,
            check=True,
        )
        until((self.directory / "it.pid").exists)
        pid = int((self.directory / "it.pid").read_text(encoding="ascii"))
        self.addCleanup(until, lambda: not Path(f"/proc/{pid}").exists())
        self.addCleanup(os.kill, pid, signal.SIGTERM)
        for name, again in ("it.log", "GET /healthz"), ("access.log", "GET / "):
            file = self.directory / name
            until(lambda: self.answers() and file.exists())  # noqa: B023
            self.ask()
            whole = file.stat().st_size + 20
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (whole, resource.RLIM_INFINITY))
            until(lambda: self.answers() and self.ask() is None and file.stat().st_size == whole)  # noqa: B023
            unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
            resource.prlimit(pid, resource.RLIMIT_FSIZE, unlimited)
            until(lambda: self.answers() and self.ask() is None and file.stat().st_size > whole)  # noqa: B023
            text = file.read_text(encoding="ascii")
            self.assertEqual(text[whole], "\n")
            self.assertIn(again, text[whole:])

    def answers(self) -> bool:
        """
        Ask for C{/healthz}, which C{twistd} logs.
        """
        try:
            with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as connection:
                connection.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
                return bool(connection.recv(2**16))
        except ConnectionRefusedError:
            return False
