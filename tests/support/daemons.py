"""
The daemon in its own process, and a client of it.
"""

from __future__ import annotations

import datetime
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.request import urlopen

from twisted.trial.unittest import SynchronousTestCase

from tests.support.patience import PATIENCE
from tests.support.ports import freePort
from tests.support.requirements import ROOT

#: The commands, wherever pip put them.
# Restore SIGINT: a command that a shell runs in the background inherits it as ignored.
TWISTD = [
    sys.executable,
    "-c",
    (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
        " sys.argv[0] = 'twistd'; from twisted.scripts.twistd import run; run()"
    ),
]
TWIST = [sys.executable, "-m", "twisted"]

#: Our own command for the same.
SERVE = [sys.executable, "-m", "twisted_sse", "serve"]

#: The commands in the foreground, with their output on standard output.
FOREGROUND = [*TWISTD, "-n", "--pidfile="]
FOREGROUND_TWIST = [*TWIST, "--log-format=text"]

REQUEST = b"GET / HTTP/1.1\r\nAccept: text/event-stream\r\n%s\r\n"
LOCAL = b"Host: localhost\r\n"


def until(predicate: Callable[[], object], patience: float = PATIENCE) -> None:
    """
    Wait until something is true.

    @param predicate: returns whether it is true.
    @param patience: how long to wait, in seconds.
    """
    deadline = time.monotonic() + patience
    while not predicate():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {patience} s: {predicate}")
        time.sleep(0.01)


def writeCertificate(directory: Path) -> None:
    """
    Write C{key.pem} and C{cert.pem}.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    (directory / "cert.pem").write_bytes(certificate.public_bytes(encoding))
    (directory / "key.pem").write_bytes(
        key.private_bytes(
            encoding,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


class Client:
    """
    A client that has requested the stream.
    """

    def __init__(self, connection: socket.socket, fields: bytes = LOCAL) -> None:
        self.socket = connection
        self.received = bytearray()
        connection.settimeout(PATIENCE)
        connection.sendall(REQUEST % fields)

    def readUntil(self, wanted: bytes) -> None:
        """
        Read until something has arrived.
        """
        while wanted not in self.received:
            data = self.socket.recv(2**16)
            if not data:
                raise AssertionError(f"no {wanted!r} in {self.received!r}")
            self.received += data

    def readAll(self) -> bytearray:
        """
        Read to the end.

        @return: everything received.
        """
        patience = time.monotonic() + PATIENCE
        while data := self.socket.recv(2**16):
            self.received += data
            if time.monotonic() > patience:
                raise AssertionError(f"no end after {len(self.received)} bytes")
        return self.received


class DaemonMixin(SynchronousTestCase):
    """
    Runs daemons in their own directory.
    """

    def setUp(self) -> None:
        """
        Make the directory.
        """
        temporary = TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = Path(temporary.name)
        self.port = freePort()
        self.environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    def spawn(self, *command: str, **more: Any) -> subprocess.Popen[str]:
        """
        Run a command in the directory, until the test ends.

        @param more: further arguments for the process.
        """
        process = subprocess.Popen(
            command,
            cwd=self.directory,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **more,
        )
        assert process.stdout is not None
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def start(self, *command: str, listens: bool = False, **more: Any) -> subprocess.Popen[str]:
        """
        Start a daemon in the foreground, and wait until it logs that it runs.

        @param listens: whether the command itself sets C{self.port}.
        @param more: further arguments for the process.
        """
        if listens:
            said = f"Site starting on {self.port}"
        else:
            command = (*command, "--port", str(self.port))
            said = f"at http://localhost:{self.port}/"
        process = self.spawn(*command, **more)
        self.waitFor(process, said)
        # It listens already, but handles signals only once the reactor runs.
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as connection:
            connection.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
            connection.recv(1)
        return process

    def isListening(self) -> bool:
        """
        Whether something listens on C{self.port}.
        """
        try:
            socket.create_connection(("127.0.0.1", self.port), PATIENCE).close()
        except ConnectionRefusedError:
            return False
        return True

    def answers(self) -> bool:
        """
        Whether a daemon answers on C{self.port}: from then on, signals are the reactor's.
        """
        try:
            urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=PATIENCE).close()
        except OSError:
            return False
        return True

    def waitFor(self, process: subprocess.Popen[str], text: str) -> None:
        """
        Read the log until it has this text.
        """
        assert process.stdout is not None
        seen = []
        patience = threading.Timer(PATIENCE, process.kill)
        patience.start()
        self.addCleanup(patience.cancel)
        for line in process.stdout:
            seen.append(line)
            if text in line:
                patience.cancel()
                return
        raise AssertionError(f"no {text!r} in {seen!r}")

    def finish(self, process: subprocess.Popen[str]) -> str:
        """
        Wait for a process to end, and assert that it succeeded.

        @return: the rest of its output.
        """
        output, _ = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 0, output)
        self.assertNotIn("Traceback", output)
        return output

    def writeKey(self) -> None:
        """
        Write C{key.pem} and C{cert.pem}.
        """
        writeCertificate(self.directory)

    def client(self) -> Client:
        """
        @return: a client of the daemon.
        """
        connection = socket.create_connection(("127.0.0.1", self.port), PATIENCE)
        self.addCleanup(connection.close)
        return Client(connection)

    def run_(self, *command: str, **more: Any) -> subprocess.CompletedProcess[str]:
        """
        Run a command until it ends.

        @param more: further arguments for the process.
        """
        return subprocess.run(
            command,
            cwd=self.directory,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
            **more,
        )
