"""
Two Redis servers, a master and a replica, behind one address.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from tempfile import mkdtemp
from typing import Any

from twisted.internet.defer import Deferred
from twisted.protocols.portforward import ProxyFactory, ProxyServer
from twisted.python.failure import Failure
from twisted.python.filepath import FilePath
from twisted.trial.unittest import TestCase

from tests.support.live import freePort, reactor, until

__all__ = ["Pair", "Server"]

#: An entry: its ID, and its fields.
Entry = tuple[str, dict[str, str]]


class Server:
    """
    A Redis server with an append-only file, so that it has everything again after it was killed.

    @ivar port: where it listens.
    """

    def __init__(self, test: TestCase) -> None:
        directory = FilePath(mkdtemp(prefix="twisted-sse-"))
        test.addCleanup(directory.remove)
        test.addCleanup(self.kill)
        self.port = freePort()
        self._directory = directory.path
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self, master: Server | None = None) -> None:
        """
        Start it, and wait until it has loaded what it has.

        @param master: what it is a replica of, if it is one.
        """
        options = ["--bind", "127.0.0.1", "--port", str(self.port), "--dir", self._directory]
        # A killed process loses nothing that was written, whether or not it is on the disk.
        options += ["--save", "", "--appendonly", "yes", "--appendfsync", "no"]
        options += ["--repl-diskless-sync-delay", "0", "--client-output-buffer-limit"]
        options += ["normal", "0", "0", "0"]
        if master is not None:
            options += ["--replicaof", "127.0.0.1", str(master.port)]
        self._process = subprocess.Popen(
            ["redis-server", *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        await until(self._isReady, "Redis is ready")

    def _isReady(self) -> bool:
        try:
            return self.ask("PING") == "PONG"
        except subprocess.CalledProcessError:
            # It does not listen yet, or loads what it has.
            return False

    def ask(self, *command: str) -> str:
        """
        @return: the answer to a command.
        """
        done = subprocess.run(
            ["redis-cli", "-e", "-p", str(self.port), *command],
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        )
        return done.stdout.rstrip("\n")

    def replication(self) -> dict[str, str]:
        """
        @return: what it says of its master and replicas.
        """
        lines = self.ask("INFO", "replication").splitlines()
        return {name: value for name, _, value in (line.partition(":") for line in lines)}

    def entries(self, key: str, after: str = "-") -> list[Entry]:
        """
        @param after: the ID of an entry.
        @return: the entries of a stream that follow that one.
        """
        lines = self.ask("--json", "XRANGE", key, after if after == "-" else f"({after}", "+")
        return [
            (identifier, dict(zip(fields[::2], fields[1::2], strict=True)))
            for identifier, fields in json.loads(lines)
        ]

    def last(self, key: str) -> str:
        """
        @return: the ID of the last entry of a stream.
        """
        return self.ask("XREVRANGE", key, "+", "-", "COUNT", "1").partition("\n")[0]

    def signal(self, name: str) -> None:
        """
        Send the process a signal.
        """
        assert self._process is not None, "it was started"
        os.kill(self._process.pid, getattr(signal, f"SIG{name}"))

    def kill(self) -> None:
        """
        End it at once, if it runs.
        """
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


class _Forwarder(ProxyServer):
    """
    One connection.
    """

    factory: Any
    peer: Any
    transport: Any

    def connectionMade(self) -> None:
        """
        Connect to the master.
        """
        if self.factory.isShut:
            self.transport.abortConnection()
            return
        self.factory.connections.add(self)
        super().connectionMade()

    def connectionLost(self, reason: Failure | None = None) -> None:
        """
        Forget it.
        """
        self.factory.connections.discard(self)
        super().connectionLost(reason)

    def abort(self) -> None:
        """
        Cut it off, in both directions.
        """
        for end in (self, self.peer):
            if end is not None and end.transport is not None:
                end.transport.abortConnection()


class _Forwarding(ProxyFactory):
    """
    Connects to the master.
    """

    protocol = _Forwarder
    noisy = False

    def __init__(self, port: int) -> None:
        super().__init__("127.0.0.1", port)
        self.connections: set[_Forwarder] = set()
        self.isShut = False


class Pair:
    """
    A master and a replica, and an address that leads to the master.

    @ivar master: the master.
    @ivar replica: the replica.
    @ivar url: the address.
    """

    def __init__(self, test: TestCase) -> None:
        self.master, self.replica = Server(test), Server(test)
        self._forwarding = _Forwarding(self.master.port)
        listening = reactor.listenTCP(0, self._forwarding, interface="127.0.0.1")
        # Not the coroutine function itself: Twisted 24.3 does not wait for one.
        test.addCleanup(lambda: Deferred.fromCoroutine(self._end(listening)))
        self.url = f"redis://127.0.0.1:{listening.getHost().port}"

    async def start(self) -> None:
        """
        Start both.
        """
        await self.master.start()
        await self.replicate()

    async def replicate(self) -> None:
        """
        Start the replica, and wait until it has everything.
        """
        await self.replica.start(self.master)
        await self.inSync()

    async def inSync(self) -> None:
        """
        Wait until the replica has what the master has, and is sent what comes.
        """
        master = self.master.replication()["master_repl_offset"]

        def isReady() -> bool:
            replica = self.replica.replication()
            isUp = replica["master_link_status"] == "up"
            return isUp and int(replica["slave_repl_offset"]) >= int(master)

        await until(isReady, "the replica is in sync")

    def cut(self) -> None:
        """
        Cut off all connections.
        """
        for connection in list(self._forwarding.connections):
            connection.abort()

    def shut(self) -> None:
        """
        Cut off all connections, and let nobody in.
        """
        self._forwarding.isShut = True
        self.cut()

    def reopen(self) -> None:
        """
        Let everybody in again.
        """
        self._forwarding.isShut = False

    def swap(self) -> None:
        """
        Kill the master, and lead to the replica from now on, which is to be the master already.
        """
        self.cut()
        self.master.kill()
        self.master, self.replica = self.replica, self.master
        self._forwarding.port = self.master.port
        self.reopen()

    async def _end(self, listening: Any) -> None:
        self.shut()
        await listening.stopListening()
        await until(lambda: not self._forwarding.connections, "all connections are closed")
