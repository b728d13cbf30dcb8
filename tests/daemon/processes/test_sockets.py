"""
Tests for L{twisted_sse.daemon.processes.sockets}.
"""

from __future__ import annotations

import os
import socket
import stat
import tempfile
from shutil import rmtree
from typing import Any

from twisted.internet import tcp
from twisted.internet.defer import maybeDeferred
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import TestCase

from tests.support.live import reactor, until
from tests.support.requirements import needs
from twisted_sse.daemon.processes.sockets import Heir, handOver


class Greeting(Protocol):
    """
    Sends its name.
    """

    transport: Any

    def connectionMade(self) -> None:
        """
        Send the name, and disconnect.
        """
        self.transport.write(b"heir")
        self.transport.loseConnection()


class HeirTests(TestCase):
    """
    Tests for sockets that are handed over.
    """

    def setUp(self) -> None:
        """
        Make a directory.
        """
        self.directory = tempfile.mkdtemp()
        self.addCleanup(rmtree, self.directory)

    def handOver(self, port: IListeningPort) -> socket.socket:
        """
        Hand over a port, which is closed at the end.
        """
        self.addCleanup(port.stopListening)
        inherited = handOver(port)
        assert inherited is not None
        return inherited

    def adopt(self, inherited: socket.socket, description: str) -> Any:
        """
        Adopt a socket, as another process would.

        @return: the port.
        """
        heir = Heir([os.dup(inherited.fileno())])
        endpoint = heir.makeEndpoint(reactor, description)
        port = self.successResultOf(maybeDeferred(endpoint.listen, Factory.forProtocol(Greeting)))
        self.addCleanup(lambda: port.connected and port.stopListening())
        return port

    async def assertGreets(self, family: int, address: Any) -> None:
        """
        Assert that the heir answers.
        """
        with socket.socket(family) as connection:
            connection.setblocking(False)
            connection.connect_ex(address)
            received = bytearray()

            def read() -> bool:
                try:
                    received.extend(connection.recv(100))
                except BlockingIOError:
                    pass
                return bytes(received) == b"heir"

            await until(read, "it has answered")

    @needs("network")
    async def test_tcp(self) -> None:
        """
        The heir accepts connections that the first owner does not; after its end the socket still
        works.
        """
        owner: Any = reactor.listenTCP(0, Factory(), interface="127.0.0.1")
        inherited = self.handOver(owner)
        address = inherited.getsockname()
        for description in "tcp:0:interface=127.0.0.1", "systemd:domain=INET:index=7":
            port = self.adopt(inherited, description)
            self.assertEqual(port.getHost(), owner.getHost())
            await self.assertGreets(socket.AF_INET, address)
            await port.stopListening()

    @needs("network")
    async def test_haproxy(self) -> None:
        """
        A wrapped endpoint is adopted, too.
        """
        owner: Any = reactor.listenTCP(0, Factory(), interface="127.0.0.1")
        inherited = self.handOver(owner)
        for description in "haproxy:tcp:0", "haproxy:systemd:domain=INET:index=7":
            port = self.adopt(inherited, description)
            self.assertEqual(port.getHost(), owner.getHost())
            self.assertIn("HAProxy", type(port.factory).__name__)
            await port.stopListening()

    async def test_unix(self) -> None:
        """
        The file of a UNIX socket keeps its mode, and stays when the heir ends.
        """
        path = os.path.join(self.directory, "socket")
        inherited = self.handOver(reactor.listenUNIX(path, Factory(), mode=0o600, wantPID=True))
        for _ in range(2):
            port = self.adopt(inherited, f"unix:{path}")
            await self.assertGreets(socket.AF_UNIX, path)
            await port.stopListening()
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)

    @needs("network")
    async def test_ownerEnds(self) -> None:
        """
        When the first owner closes its socket, the heir still accepts.
        """
        owner: Any = reactor.listenTCP(0, Factory(), interface="127.0.0.1")
        inherited = handOver(owner)
        assert inherited is not None
        address = inherited.getsockname()
        self.adopt(inherited, "tcp:0")
        await owner.stopListening()
        await self.assertGreets(socket.AF_INET, address)

    def test_none(self) -> None:
        """
        An endpoint without a socket cannot be handed over.
        """
        port: Any = MemoryReactorClock().listenTCP(0, Factory())
        self.assertNotIsInstance(port, tcp.Port)
        self.assertIsNone(handOver(port))
