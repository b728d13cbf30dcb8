"""
The sockets that the parent opens, and its children inherit.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any

from twisted.internet import tcp, unix
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IListeningPort, IProtocolFactory
from twisted.protocols.haproxy import proxyEndpoint

__all__ = ["Heir", "handOver"]


class _Shared(socket.socket):
    """
    A socket that other processes have, too: Twisted would shut it down for all of them before it
    closes it.
    """

    def shutdown(self, how: int) -> None:
        """
        Leave it as it is.
        """


def handOver(port: IListeningPort) -> socket.socket | None:
    """
    Let a port accept nothing any more, because the children do.

    @return: its socket; L{None} if it has none that could be inherited.
    """
    if not isinstance(port, tcp.Port):
        return None
    port.stopReading()
    port.socket = shared = _Shared(fileno=port.socket.detach())
    port.fileno = shared.fileno  # type: ignore[method-assign]
    return shared


class _UNIXPort(unix.Port):
    """
    A UNIX socket whose file is the parent's: it must not be removed when a child ends, and has the
    mode that the parent gave it.
    """

    def __init__(self, inherited: socket.socket, factory: IProtocolFactory, reactor: Any) -> None:
        super().__init__(inherited.getsockname(), factory, reactor=reactor)
        self._inherited = inherited
        self._inheriting: Any = factory

    def startListening(self) -> None:
        """
        Accept from now on.
        """
        self._inheriting.doStart()
        self.connected = True
        self.socket = self._inherited
        self.fileno = self.socket.fileno  # type: ignore[method-assign]
        self.numberAccepts = 100
        self.startReading()  # type: ignore[no-untyped-call]

    def connectionLost(self, reason: Any) -> None:
        """
        Close the socket, and leave the file.
        """
        tcp.Port.connectionLost(self, reason)


class Heir:
    """
    What a child makes its endpoints with: a reactor that adopts the sockets that the parent has
    opened, in their order, where another would open new ones.
    """

    def __init__(self, descriptors: Sequence[int]) -> None:
        """
        @param descriptors: the sockets that were inherited.
        """
        self._descriptors = list(descriptors)
        self._reactor: Any = None

    def makeEndpoint(self, reactor: Any, description: str) -> Any:
        """
        Make an endpoint that adopts a socket.

        @param description: as for L{serverFromString}.
        """
        self._reactor = reactor
        kind, _, rest = description.partition(":")
        if kind == "haproxy":
            return proxyEndpoint(self.makeEndpoint(reactor, rest))
        if kind == "systemd":
            # What systemd has passed is for the parent.
            return _Adopting(self)
        return serverFromString(self, description)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def listenTCP(
        self, port: int, factory: Any, backlog: int = 50, interface: str = ""
    ) -> IListeningPort:
        """
        See L{IReactorTCP<twisted.internet.interfaces.IReactorTCP>}.
        """
        return self.adopt(factory)

    def listenSSL(
        self,
        port: int,
        factory: Any,
        contextFactory: Any,
        backlog: int = 50,
        interface: str = "",
    ) -> IListeningPort:
        """
        See L{IReactorSSL<twisted.internet.interfaces.IReactorSSL>}.
        """
        from twisted.protocols.tls import TLSMemoryBIOFactory

        return self.adopt(TLSMemoryBIOFactory(contextFactory, False, factory))

    def listenUNIX(
        self, address: str, factory: Any, backlog: int = 50, mode: int = 0o666, wantPID: int = 0
    ) -> IListeningPort:
        """
        See L{IReactorUNIX<twisted.internet.interfaces.IReactorUNIX>}.
        """
        return self.adopt(factory)

    def adopt(self, factory: Any) -> IListeningPort:
        """
        Listen on the next socket.
        """
        inherited = _Shared(fileno=self._descriptors.pop(0))
        inherited.setblocking(False)
        if inherited.family == socket.AF_UNIX:
            port = _UNIXPort(inherited, factory, self._reactor)
            port.startListening()
            return port
        with inherited:
            adopted: IListeningPort = self._reactor.adoptStreamPort(
                inherited.fileno(), inherited.family, factory
            )
        return adopted


class _Adopting:
    """
    An endpoint that adopts the next socket.
    """

    def __init__(self, heir: Heir) -> None:
        self._heir = heir

    def listen(self, factory: IProtocolFactory) -> Any:
        """
        See L{IStreamServerEndpoint<twisted.internet.interfaces.IStreamServerEndpoint>}.
        """
        return self._heir.adopt(factory)
