"""
The sockets that the parent opens, and its children inherit.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any

from twisted.internet import tcp
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IListeningPort
from twisted.protocols.haproxy import proxyEndpoint

from ..inherited import InheritedEndpoint, SharedSocket, adopt

__all__ = ["Heir", "handOver"]


def handOver(port: IListeningPort) -> socket.socket | None:
    """
    Let a port accept nothing any more, because the children do.

    @return: its socket; L{None} if it has none that could be inherited.
    """
    if not isinstance(port, tcp.Port):
        return None
    port.stopReading()
    port.socket = shared = SharedSocket(fileno=port.socket.detach())
    port.fileno = shared.fileno  # type: ignore[method-assign]
    return shared


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
            return InheritedEndpoint(reactor, self._descriptors.pop(0))
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
        return adopt(self._reactor, self._descriptors.pop(0), factory)
