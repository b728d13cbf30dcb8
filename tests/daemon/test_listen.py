"""
Tests for L{twisted_sse.daemon.listen}: why a port cannot be opened, and the options of real
sockets.
"""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.support.requirements import needs
from twisted_sse.daemon.listen import CannotListen, ListeningService
from twisted_sse.stream.peer import KEEPALIVE


class CannotListenTests(SynchronousTestCase):
    """
    Tests for L{ListeningService}'s explanations why it cannot listen.
    """

    def why(self, error: BaseException) -> str:
        """
        @return: the message for an error while listening.
        """

        def refuse(*arguments: object, **more: object) -> None:
            raise error

        reactor = MemoryReactorClock()
        self.patch(reactor, "listenTCP", refuse)
        service = ListeningService(reactor)
        return str(self.assertRaises(CannotListen, service.listen, "tcp:80", Factory()))

    def test_inUse(self) -> None:
        """
        An address in use is reported as such.
        """
        for cause in OSError(errno.EADDRINUSE, "In use"), "Cannot acquire lock":
            self.assertIn("already in use; stop", self.why(CannotListenError("", 80, cause)))

    def test_permission(self) -> None:
        """
        A denied port below 1024 is explained, and a denied file is only reported.
        """
        denied = OSError(errno.EACCES, "Denied")
        self.assertIn("below 1024", self.why(CannotListenError("", 80, denied)))
        self.assertEqual(self.why(CannotListenError(None, b"/run/x", denied)), "Denied")

    def test_address(self) -> None:
        """
        An address that the machine does not have is reported as such.
        """
        error = OSError(errno.EADDRNOTAVAIL, "Not available")
        self.assertIn("no such address", self.why(CannotListenError("10.0.0.1", 80, error)))
        error = socket.gaierror(-2, "Name or service not known")
        self.assertEqual(
            self.why(CannotListenError("nonsense", 80, error)), "Name or service not known"
        )

    def test_range(self) -> None:
        """
        A port out of range is reported as such.
        """
        error = OverflowError("bind(): port must be 0-65535.")
        self.assertRegex(self.why(error), "not a known endpoint .*port must be 0-65535")

    def test_systemd(self) -> None:
        """
        A socket that systemd has not passed is reported as such.
        """
        service = ListeningService(MemoryReactorClock())
        for description in "systemd:domain=INET:index=7", "systemd:domain=INET:name=nosuch":
            refusal = self.assertRaises(CannotListen, service.listen, description, Factory())
            self.assertIn("systemd passed no such socket", str(refusal))

    def test_noTLS(self) -> None:
        """
        Without TLS installed, the message names the extra.
        """
        self.assertIn("twisted-sse[tls]", self.why(ImportError("No module named 'OpenSSL'")))

    def test_link(self) -> None:
        """
        For a symbolic link, the message has its name and not its target.
        """
        error = OSError(errno.ENOENT, "No such file or directory", "1", None, "/x/y.lock")
        self.assertEqual(self.why(error), "/x/y.lock: No such file or directory")

    def test_late(self) -> None:
        """
        An endpoint may open its port later, and its failure is logged.
        """
        opening: list[Deferred[Any]] = []

        def listenLater(endpoint: object, factory: object) -> Deferred[Any]:
            opening.append(Deferred())
            return opening[-1]

        self.patch(TCP4ServerEndpoint, "listen", listenLater)
        service = ListeningService(MemoryReactorClock())
        for description in "tcp:80", "tcp:81":
            self.assertIsNone(service.listen(description, Factory()))
        self.assertEqual(service.ports, ())
        port = object()
        opening[0].callback(port)
        self.assertEqual(service.ports, (port,))
        opening[1].errback(ZeroDivisionError())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


@needs("network")
class SocketTests(TestCase):
    """
    Tests for the options of real sockets.
    """

    def listen(self, description: str, **options: Any) -> socket.socket:
        """
        @return: the listening socket.
        """
        from twisted.internet import reactor

        self.accepted: list[Protocol] = []

        class Accepting(Protocol):
            def connectionMade(accepting) -> None:  # noqa: N805
                self.accepted.append(accepting)
                transport: Any = accepting.transport
                transport.loseConnection()

        service = ListeningService(reactor, **options)
        service.privilegedStartService()
        service.startService()
        self.addCleanup(service.stopService)
        service.listen(description, Factory.forProtocol(Accepting))
        self.service = service
        (self.port,) = service.ports
        return self.port.socket  # type: ignore[attr-defined, no-any-return]

    def backlog(self, description: str) -> list[int]:
        """
        @return: the backlogs requested, including Twisted's own C{listen(50)}.
        """
        asked: list[int] = []

        class Watched(socket.socket):
            def listen(self, backlog: int = -1, /) -> None:
                asked.append(backlog)
                super().listen(backlog)

        self.patch(socket, "socket", Watched)
        self.listen(description)
        return asked

    def test_backlog(self) -> None:
        """
        The backlog is large, unless the description sets one.
        """
        self.assertEqual(self.backlog("tcp:0:interface=127.0.0.1"), [50, 4096])
        self.assertEqual(self.backlog("tcp:0:interface=127.0.0.1:backlog=7"), [7])

    def test_unix(self) -> None:
        """
        A UNIX socket gets the backlog, and no TCP options.
        """
        temporary = TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.assertEqual(self.backlog(f"unix:{temporary.name}/s"), [50, 4096])

    def test_daemonised(self) -> None:
        """
        After C{twistd} has daemonised, the lock of a UNIX socket names the new process.
        """
        temporary = TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.listen(f"unix:{temporary.name}/s")
        lock = Path(temporary.name, "s.lock")
        self.assertEqual(lock.readlink(), Path(str(os.getpid())))
        service = self.service
        service._process = 1
        lock.unlink()
        lock.symlink_to("1")
        service.privilegedStartService()
        self.assertEqual(lock.readlink(), Path(str(os.getpid())))

    def assertProbed(self, connection: socket.socket, userTimeout: int) -> None:
        """
        Assert that the options to detect a vanished peer are set.
        """
        self.assertTrue(connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))
        for name, value in (*KEEPALIVE, ("TCP_USER_TIMEOUT", userTimeout)):
            if hasattr(socket, name):
                option = getattr(socket, name)
                self.assertEqual(connection.getsockopt(socket.IPPROTO_TCP, option), value, name)

    def test_vanishedPeers(self) -> None:
        """
        The options to detect vanished peers are set on the listening socket.
        """
        description = "tcp:0:interface=127.0.0.1"
        self.assertProbed(self.listen(description, stallTimeout=1.5), 16_500)
        self.assertProbed(self.listen(description), 0)
        self.assertProbed(self.listen(description, stallTimeout=1e9), 2**31 - 1)

    async def test_inherited(self) -> None:
        """
        Accepted connections inherit the options.
        """
        from twisted.internet import reactor

        self.listen("tcp:0:interface=127.0.0.1", stallTimeout=2)
        gone: Deferred[Any] = Deferred()

        class Client(Protocol):
            def connectionLost(self, reason: object = None) -> None:
                gone.callback(None)

        accept = self.port.startReading  # type: ignore[attr-defined]
        self.port.stopReading()  # type: ignore[attr-defined]
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", self.port.getHost().port)  # type: ignore[attr-defined]
        await endpoint.connect(Factory.forProtocol(Client))
        connection, _ = self.port.socket.accept()  # type: ignore[attr-defined]
        with connection:
            self.assertProbed(connection, 17_000)
        accept()
        await gone
