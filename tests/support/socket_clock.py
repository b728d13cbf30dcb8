"""
A clock for models that talk to a real server: a small reactor that runs only on request.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable
from typing import Any

from twisted.internet.address import UNIXAddress
from twisted.internet.error import ConnectError, ConnectionAborted, ConnectionDone
from twisted.python.failure import Failure

from twisted_sse.testing import MemoryClock

__all__ = ["SocketClock"]


class _Transport:
    """
    A connection to the server.
    """

    def __init__(self, clock: SocketClock, connected: socket.socket, protocol: Any) -> None:
        self.clock = clock
        self.socket = connected
        self.protocol = protocol
        self.waiting = b""
        clock.transports[self] = None

    def write(self, data: bytes) -> None:
        """
        Send something.
        """
        self.waiting += data
        self.flush()

    def flush(self) -> None:
        """
        Send as much as there is room for.
        """
        try:
            sent = self.socket.send(self.waiting) if self.waiting else 0
        except BlockingIOError:
            return
        except OSError:
            # Reading reports it, too.
            return
        self.waiting = self.waiting[sent:]

    def read(self) -> None:
        """
        Receive the available bytes.
        """
        try:
            data = self.socket.recv(2**20)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self.protocol.dataReceived(data)
        else:
            self.lose(ConnectionDone())

    def abortConnection(self) -> None:
        """
        Close the connection, and report it in another turn.
        """
        self.clock.callLater(0, self.lose, ConnectionAborted())

    loseConnection = abortConnection

    def lose(self, why: Exception) -> None:
        """
        The connection has closed.
        """
        if self in self.clock.transports:
            del self.clock.transports[self]
            self.socket.close()
            self.protocol.connectionLost(Failure(why))


class _Connector:
    """
    An attempt to connect, which ends in the next turn.
    """

    def __init__(self, clock: SocketClock, address: str, factory: Any) -> None:
        self._clock = clock
        self._address = address
        self._factory = factory
        factory.doStart()
        factory.startedConnecting(self)
        self._call = clock.callLater(0, self._connect)

    def getDestination(self) -> UNIXAddress:
        """
        @return: the address to which it connects.
        """
        return UNIXAddress(self._address)

    def stopConnecting(self) -> None:
        """
        Give up.
        """
        if self._call.active():
            self._call.cancel()

    def _connect(self) -> None:
        connecting = socket.socket(socket.AF_UNIX)
        connecting.setblocking(False)
        try:
            connecting.connect(self._address)
        except OSError as error:
            connecting.close()
            self._factory.clientConnectionFailed(self, Failure(ConnectError(string=str(error))))
            return
        protocol = self._factory.buildProtocol(self.getDestination())
        protocol.makeConnection(_Transport(self._clock, connecting, protocol))


class SocketClock(MemoryClock):
    """
    A clock that also moves bytes between UNIX sockets, in real time.

    @ivar transports: the connections.
    @ivar answers: waits until the server has done everything requested so far.
    """

    def __init__(self, answers: Callable[[], object]) -> None:
        super().__init__()
        self.transports: dict[_Transport, None] = {}
        self.answers = answers

    def connectUNIX(
        self, address: str, factory: Any, timeout: float = 30, checkPID: bool = False
    ) -> _Connector:
        """
        See C{IReactorUNIX}.
        """
        return _Connector(self, address, factory)

    def advance(self, amount: float) -> None:
        """
        Let time pass.
        """
        end = self.rightNow + amount
        while self.rightNow < end:
            time.sleep(0.005)
            self.rightNow += 0.005
            self.settle()

    def settle(self) -> None:
        """
        Run turns until nothing is left to do and nothing more arrives.
        """
        for _ in range(1000):
            super().settle()
            self.answers()
            if not (self._poll() or self._turn()):
                return
        raise AssertionError("it never ends")

    def _poll(self) -> bool:
        """
        Receive the available bytes.
        """
        for transport in self.transports:
            transport.flush()
        ready, _, _ = select.select([each.socket for each in self.transports], [], [], 0)
        for transport in [each for each in self.transports if each.socket in ready]:
            if transport in self.transports:
                transport.read()
        return bool(ready)
