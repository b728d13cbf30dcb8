"""
Tests for a daemon that is short of descriptors, while clients send their requests slowly.
"""

from __future__ import annotations

import resource
import selectors
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.support.daemons import FOREGROUND, LOCAL, PATIENCE, Client, DaemonMixin, freePort
from tests.support.processes import residentMemory
from tests.support.requirements import needs

#: The daemon's limit on open files, and the attacker's number of connections.
FILES = 256
ATTACKERS = 270

#: The duration of the attack, and the interval at which each connection adds a byte, in seconds.
ATTACK = 4.0
BYTE = 0.5

#: The longest response time meanwhile, in seconds, and the allowed additional memory, in bytes.
LONGEST = 1.5
MEMORY = 40 * 2**20

#: The beginning of a head that never ends.
HEAD = b"GET / HTTP/1.1\r\nHost: localhost\r\nX: "

#: The beginning of a TLS handshake that never ends: a record (RFC 8446, 5.1) of 512 bytes, in it a
#: ClientHello of 508.
HELLO = bytes.fromhex("1603010200010001fc0303")


class Attacker:
    """
    Many connections that each add a byte from time to time, and reconnect when they are closed.

    @ivar made: the number of connections made.
    """

    def __init__(self, address: Any, head: bytes) -> None:
        self.made = 0
        self._address = address
        self._head = head
        self._selector = selectors.DefaultSelector()
        self._next = time.monotonic()
        for _ in range(ATTACKERS):
            self._connect()

    def _connect(self) -> None:
        family = socket.AF_UNIX if isinstance(self._address, str) else socket.AF_INET
        connection = socket.socket(family)
        connection.setblocking(False)
        if connection.connect_ex(self._address) in (0, 115):
            self.made += 1
            self._selector.register(connection, selectors.EVENT_READ)
            try:
                connection.send(self._head)
            except OSError:
                # It is not connected yet: it sends nothing at first.
                pass
        else:
            # The backlog of a UNIX socket is full.
            connection.close()

    def step(self, seconds: float) -> None:
        """
        Continue for a moment.
        """
        for key, _ in self._selector.select(seconds):
            connection: Any = key.fileobj
            try:
                if connection.recv(2**16):
                    continue
            except BlockingIOError:
                continue
            except OSError:
                pass
            self._selector.unregister(connection)
            connection.close()
            self._connect()
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + BYTE
            for key in list(self._selector.get_map().values()):
                connection = key.fileobj
                try:
                    connection.send(b"x")
                except OSError:
                    pass

    def close(self) -> None:
        """
        End the attack.
        """
        for key in list(self._selector.get_map().values()):
            connection: Any = key.fileobj
            connection.close()
        self._selector.close()


@needs("network")
class SlowHeadTests(DaemonMixin):
    """
    Tests for a daemon with few descriptors.
    """

    def begin(self, *options: str, **more: Any) -> subprocess.Popen[str]:
        """
        Start a daemon.
        """

        def limit() -> None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES))

        return self.start(*FOREGROUND, "sse", "--interval=0.2", *options, preexec_fn=limit, **more)

    @contextmanager
    def attack(
        self, process: subprocess.Popen[str], address: Any, head: bytes
    ) -> Iterator[Callable[[Callable[[], object]], None]]:
        """
        Attack a daemon.

        @return: a function that runs for the duration of the attack, and repeatedly calls its
            argument, which must not take too long.
        """
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        before = residentMemory(process.pid)
        attacker = Attacker(address, head)

        def last(act: Callable[[], object]) -> None:
            end = time.monotonic() + ATTACK
            while time.monotonic() < end:
                began = time.monotonic()
                act()
                self.assertLess(time.monotonic() - began, LONGEST)
                for _ in range(10):
                    attacker.step(0.02)

        try:
            yield last
        finally:
            attacker.close()
        self.assertLess(residentMemory(process.pid) - before, MEMORY)

    def healthy(self) -> None:
        """
        Ask for C{/healthz}.
        """
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as connection:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            answer = connection.recv(2**16)
            while b"ok" not in answer:
                data = connection.recv(2**16)
                self.assertTrue(data, answer)
                answer += data

    def test_heads(self) -> None:
        """
        While one address holds more connections than the limit on files and adds a byte to each
        from time to time, requests of the same address are answered, streams stay open, passwords
        are read, and new streams open.
        """
        (self.directory / "users").write_text("a:b\n", encoding="ascii")
        process = self.begin("--auth", "file:users", "--access-log=access.log")
        login = LOCAL + b"Authorization: Basic YTpi\r\n"

        def stream() -> Client:
            connection = socket.create_connection(("127.0.0.1", self.port), PATIENCE)
            self.addCleanup(connection.close)
            client = Client(connection, login)
            client.readUntil(b"data: hello\n\n")
            return client

        before = stream()
        with self.attack(process, ("127.0.0.1", self.port), HEAD) as last:

            def ask() -> None:
                self.healthy()
                before.readUntil(b"data: hello\n\n")
                before.received.clear()
                stream().socket.close()
                (self.directory / "access.log").unlink()

            last(ask)
        process.terminate()
        output = self.finish(process)
        self.assertNotIn("EMFILE", output)
        self.assertNotIn(" 401 ", output)
        self.assertLess(output.count("without a complete request"), 3)

    def test_handshakes(self) -> None:
        """
        The same holds for TLS handshakes that arrive byte by byte.
        """
        self.writeKey()
        secure = freePort()
        process = self.begin(
            "--listen", f"ssl:{secure}:interface=127.0.0.1:privateKey=key.pem:certKey=cert.pem"
        )
        context = ssl.create_default_context(cafile=str(self.directory / "cert.pem"))

        def ask() -> None:
            self.healthy()
            plain = socket.create_connection(("127.0.0.1", secure), PATIENCE)
            with context.wrap_socket(plain, server_hostname="localhost") as connection:
                Client(connection).readUntil(b"data: hello\n\n")

        with self.attack(process, ("127.0.0.1", secure), HELLO) as last:
            last(ask)
        process.terminate()
        self.finish(process)

    def test_unix(self) -> None:
        """
        The same holds for a UNIX socket.
        """
        path = str(self.directory / "it.sock")
        process = self.begin("--listen", f"unix:{path}")

        def ask() -> None:
            self.healthy()
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(PATIENCE)
                connection.connect(path)
                Client(connection).readUntil(b"data: hello\n\n")

        with self.attack(process, path, HEAD) as last:
            last(ask)
        process.terminate()
        self.finish(process)

    def test_streams(self) -> None:
        """
        At the limit on streams, further clients close their connections immediately, and requests
        are answered, while others send their requests slowly.
        """
        process = self.begin("--interval=0.02")
        streams = []
        for _ in range(FILES):
            client = self.client()
            client.readUntil(b"\n\n")
            if client.received.count(b"retry: ") > 1:
                # It receives a C{retry}, and the connection is closed.
                self.assertTrue(client.readAll().endswith(b"\r\n0\r\n\r\n"))
                break
            streams.append(client)
        self.assertGreater(len(streams), FILES / 2)

        def ask() -> None:
            self.healthy()
            refused = self.client()
            self.assertIn(b"retry: ", refused.readAll())
            refused.socket.close()

        with self.attack(process, ("127.0.0.1", self.port), HEAD) as last:
            last(ask)
        process.terminate()
        for client in streams:
            self.assertTrue(client.readAll().endswith(b"\r\n0\r\n\r\n"))
        self.finish(process)
