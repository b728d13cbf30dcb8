"""
Two Redis servers, a master and a replica, behind one address.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.protocols.portforward import ProxyFactory, ProxyServer
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from tests.support.live import reactor, until
from tests.support.redis_server import RedisServer

__all__ = ["Pair"]

#: A killed process loses nothing that it has written, whether or not it is on the disk.  A replica
#: receives everything immediately, however much that is.
LASTING = (
    *("--appendonly", "yes", "--appendfsync", "no", "--repl-diskless-sync-delay", "0"),
    *("--client-output-buffer-limit", "normal", "0", "0", "0"),
)


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
        Forget the connection.
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
    Connects clients to the master.
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
        self.master, self.replica = [RedisServer(test, *LASTING, tcp=True) for _ in range(2)]
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
        follows = ("--replicaof", "127.0.0.1", str(self.master.port))
        self.replica.arguments = [*LASTING, *follows]
        await self.replica.start()
        await self.inSync()

    async def inSync(self) -> None:
        """
        Wait until the replica has all data of the master, and follows it.
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
        Cut off all connections, and accept no others.
        """
        self._forwarding.isShut = True
        self.cut()

    def reopen(self) -> None:
        """
        Accept connections again.
        """
        self._forwarding.isShut = False

    def swap(self) -> None:
        """
        Kill the master, and connect to the replica from now on, which must be the master already.
        """
        self.cut()
        self.master.kill()
        self.master, self.replica = self.replica, self.master
        self.master.arguments = [*LASTING]
        self._forwarding.port = self.master.port
        self.reopen()

    async def _end(self, listening: Any) -> None:
        self.shut()
        await listening.stopListening()
        await until(lambda: not self._forwarding.connections, "all connections are closed")
