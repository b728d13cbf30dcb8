"""
Attacks on the daemon as a process: its memory stays small, and it still answers other clients.
"""

from __future__ import annotations

import signal
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from typing import Any

from tests.support.daemons import FOREGROUND, PATIENCE, DaemonMixin, freePort
from tests.support.memory_http2 import H2_MISSING
from tests.support.processes import residentMemory
from tests.support.requirements import needs

if H2_MISSING is None:
    import h2.config
    import h2.connection
    import h2.settings

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"

#: The duration of an attack, in seconds.
LASTS = 3.0

#: The longest wait of another client for its response meanwhile, in seconds.
WAIT = 1.5

MB = 2**20


@needs("network")
class AttackTests(DaemonMixin):
    """
    Tests with a daemon under attack.
    """

    def setUp(self) -> None:
        """
        Start a daemon on a port, a UNIX socket and a port with TLS.
        """
        super().setUp()
        self.writeKey()
        self.secure = freePort()
        listen = [
            f"ssl:{self.secure}:interface=127.0.0.1:privateKey=key.pem:certKey=cert.pem",
            "unix:sse.sock",
        ]
        options = [option for each in listen for option in ("--listen", each)]
        self.process = self.start(*FOREGROUND, "sse", *options)
        # It logs each request, and blocks if the log is not read.
        self.log: list[str] = []
        log = self.process.stdout
        assert log is not None
        self.reading = threading.Thread(target=lambda: self.log.extend(log))
        self.reading.start()

    def connect(self, kind: str, protocol: str = "http/1.1") -> Any:
        """
        Connect to the daemon.

        @param kind: C{"tcp"}, C{"unix"} or C{"tls"}.
        @param protocol: what to speak over TLS.
        @return: a socket that does not block.
        """
        if kind == "unix":
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(str(self.directory / "sse.sock"))
        else:
            port = self.secure if kind == "tls" else self.port
            connection = socket.create_connection(("127.0.0.1", port), PATIENCE)
        if kind == "tls":
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            context.set_alpn_protocols([protocol])
            connection = context.wrap_socket(connection)
        self.addCleanup(connection.close)
        connection.setblocking(False)
        return connection

    def send(self, connection: Any, data: bytes) -> int:
        """
        Send as much as the daemon accepts immediately.

        @return: the number of bytes; 0 if it accepts no more.
        """
        try:
            sent: int = connection.send(data)
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError, OSError):
            return 0
        return sent

    def askHealth(self) -> float:
        """
        @return: the duration of another client's request, in seconds.
        """
        started = time.monotonic()
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as other:
            other.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
            answer = b""
            while received := other.recv(1000):
                answer += received
        self.assertIn(b"HTTP/1.1 200 ", answer.replace(b"HTTP/1.0", b"HTTP/1.1"))
        return time.monotonic() - started

    def watch(self, most: int, attack: Callable[[], object]) -> None:
        """
        Repeat a part of an attack, and assert that the daemon's memory stays within a limit of what
        it was, that other clients get responses, and that it stops cleanly without a traceback in
        its log.

        @param most: the limit in bytes.
        @param attack: a function that does not block.
        """
        before = residentMemory(self.process.pid)
        ends = time.monotonic() + LASTS
        grown, slowest = 0, 0.0
        while time.monotonic() < ends:
            attack()
            slowest = max(slowest, self.askHealth())
            grown = max(grown, residentMemory(self.process.pid) - before)
        self.assertLess(grown / MB, most / MB)
        self.assertLess(slowest, WAIT)
        self.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.process.wait(PATIENCE), 0)
        self.reading.join(PATIENCE)
        self.assertEqual([line for line in self.log if "Traceback" in line], [])

    def pipeline(self, kind: str) -> None:
        """
        Attack with many requests, whose responses are not read.
        """
        connections = [self.connect(kind) for _ in range(80)]
        requests = b"GET /page/page.js HTTP/1.1\r\nHost: localhost\r\n\r\n" * 1400

        def attack() -> None:
            for connection in connections:
                self.send(connection, requests)

        self.watch(150 * MB, attack)

    def test_pipeline(self) -> None:
        """
        Many requests over TCP whose responses are not read cost little.
        """
        self.pipeline("tcp")

    def test_pipelineUNIX(self) -> None:
        """
        Many requests over a UNIX socket whose responses are not read cost little.
        """
        self.pipeline("unix")

    def test_pipelineTLS(self) -> None:
        """
        Many requests over TLS whose responses are not read cost little.
        """
        self.pipeline("tls")

    def flood(self, *data: bytes, begin: bytes = PREFACE) -> None:
        """
        Attack with bytes over HTTP/2, on a new connection whenever one is closed.
        """
        whole = b"".join(data)

        def attack() -> None:
            connection = self.connect("tls", "h2")
            self.send(connection, begin)
            for _ in range(50):
                if not self.send(connection, whole):
                    break

        self.watch(40 * MB, attack)

    def test_rubbish(self) -> None:
        """
        Bytes that are not frames cost little.
        """
        self.flood(b"\xff" * 2**18)

    def test_continuation(self) -> None:
        """
        Endless headers cost little.
        """
        frame = b"\x00\x40\x00\x09\0\0\0\0\1" + b"x" * 2**14
        self.flood(frame * 16, begin=PREFACE + b"\0\0\0\1\0\0\0\0\1")

    def test_ping(self) -> None:
        """
        Endless PINGs cost little.
        """
        self.flood(b"\0\0\x08\6\0\0\0\0\012345678" * 4000)

    def test_rapidReset(self) -> None:
        """
        Requests that are reset immediately cost little.
        """
        fields = b"\x82\x84\x87\x41\x09localhost"
        frames = b""
        for number in range(1, 8000, 2):
            stream = struct.pack(">I", number)
            frames += b"\0\0" + bytes((len(fields),)) + b"\1\5" + stream + fields
            frames += b"\0\0\4\3\0" + stream + b"\0\0\0\x08"
        self.flood(frames)

    def test_windows(self) -> None:
        """
        Many requests over HTTP/2 for whose responses the client's window leaves only a byte each
        cost little.
        """
        connections = [self.connect("tls", "h2") for _ in range(80)]
        waiting = []
        for connection in connections:
            http = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
            http.local_settings = h2.settings.Settings(
                client=True,
                initial_values={h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 1},
            )
            http.initiate_connection()
            for number in range(1, 201, 2):
                head = {":method": "GET", ":scheme": "https", ":authority": "localhost"}
                http.send_headers(number, [*head.items(), (":path", "/page/page.js")], True)
            waiting.append([connection, http.data_to_send()])

        def attack() -> None:
            for each in waiting:
                connection, data = each
                each[1] = data[self.send(connection, data) :] if data else data

        self.watch(150 * MB, attack)

    if H2_MISSING is not None:
        for _name in ("rubbish", "continuation", "ping", "rapidReset", "windows"):
            locals()[f"test_{_name}"].skip = H2_MISSING
