"""
Sockets that another process has opened, and has, too: systemd, or the parent of several processes.
"""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet import tcp, unix
from twisted.internet.interfaces import IListeningPort, IProtocolFactory

__all__ = ["InheritedEndpoint", "SharedSocket", "adopt"]


class SharedSocket(socket.socket):
    """
    A socket that other processes have, too: Twisted would shut it down for all of them before it
    closes it.
    """

    def shutdown(self, how: int) -> None:
        """
        Leave it as it is.
        """


class _UNIXPort(unix.Port):
    """
    A UNIX socket whose file is another's.  Twisted would give it another mode, and remove it at the
    end.
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


def adopt(reactor: Any, descriptor: int, factory: Any) -> IListeningPort:
    """
    Listen on a socket that was inherited.

    @param descriptor: the socket, which is ours from now on.
    """
    inherited = SharedSocket(fileno=descriptor)
    inherited.setblocking(False)
    inherited.set_inheritable(False)
    if inherited.family == socket.AF_UNIX:
        port = _UNIXPort(inherited, factory, reactor)
        port.startListening()
        return port
    with inherited:
        adopted: IListeningPort = reactor.adoptStreamPort(
            inherited.fileno(), inherited.family, factory
        )
    return adopted


class InheritedEndpoint:
    """
    An endpoint that listens on a socket that was inherited.
    """

    def __init__(self, reactor: Any, descriptor: int) -> None:
        """
        @param descriptor: the socket.
        """
        self._reactor = reactor
        self._descriptor = descriptor

    def listen(self, factory: IProtocolFactory) -> IListeningPort:
        """
        See L{IStreamServerEndpoint<twisted.internet.interfaces.IStreamServerEndpoint>}.
        """
        return adopt(self._reactor, self._descriptor, factory)
