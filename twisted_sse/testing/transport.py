"""
The server's end of an in-memory connection.
"""

from __future__ import annotations

from twisted.internet.abstract import FileDescriptor
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IProtocol, ITCPTransport
from twisted.python.failure import Failure
from zope.interface import implementer

from .clock import MemoryClock
from .response import ResponseReader

__all__ = ["KERNEL_BUFFER", "Address", "MemoryTransport"]

Address = IPv4Address | IPv6Address

#: How many bytes the kernel takes for a client that does not read, by default.
KERNEL_BUFFER = 2**16


@implementer(ITCPTransport)
class MemoryTransport(FileDescriptor):
    """
    A transport with Twisted's own buffering, on top of a kernel buffer of limited size.

    What Twisted has buffered is counted by attributes of L{FileDescriptor}, one of them private:
    C{dataBuffer}, C{offset} and C{_tempDataLen}.

    @ivar kernelBuffer: how many bytes the kernel takes while the client does not read.
    @ivar reading: whether the client is reading.
    """

    def __init__(self, clock: MemoryClock, response: ResponseReader, peer: Address) -> None:
        """
        @param response: the client's end, which is fed all data that arrives there.
        @param peer: the client's address.
        """
        super().__init__(clock)  # type: ignore[arg-type]
        self.connected = 1
        self.kernelBuffer = KERNEL_BUFFER
        self.reading = True
        self._clock = clock
        self._response = response
        self._peer = peer
        self._kernel = b""
        self._protocol: IProtocol | None = None
        self._aborting = False

    def connect(self, protocol: IProtocol) -> None:
        """
        Connect a protocol to the transport.
        """
        self._protocol = protocol
        protocol.makeConnection(self)

    def receive(self, data: bytes) -> None:
        """
        The client has sent something.
        """
        assert self._protocol is not None, "the connection is open"
        self._protocol.dataReceived(data)

    def disconnect(self, reset: bool = False) -> None:
        """
        The client closes the connection.

        @param reset: whether to reset it.
        """
        self._clock.settle()
        self.connectionLost(Failure(ConnectionLost() if reset else ConnectionDone()))
        self._clock.settle()

    def isWritable(self) -> bool:
        """
        Whether the kernel has room, or there is nothing to give it.
        """
        return self.reading or len(self._kernel) < self.kernelBuffer or not self._held()

    def _held(self) -> int:
        return len(self.dataBuffer) - self.offset + self._tempDataLen

    def move(self) -> None:
        """
        Move bytes to the kernel's buffer, and on to the client if it is reading.
        """
        why = self.doWrite()  # type: ignore[no-untyped-call]
        if why is not None:
            self.connectionLost(Failure(why))

    def writeSomeData(self, data: bytes) -> int:
        """
        Take what the kernel's buffer has room for.
        """
        room = self.SEND_LIMIT if self.reading else self.kernelBuffer - len(self._kernel)
        taken = bytes(data[: max(0, room)])
        self._kernel += taken
        self.deliver()
        return len(taken)

    def deliver(self) -> None:
        """
        Pass the kernel's buffer to the client, if it is reading.
        """
        if self.reading and self._kernel:
            data, self._kernel = self._kernel, b""
            self._response.feed(data)
            if self._response.complete:
                # As most clients that make a single request do.
                self._clock.callLater(0, self.connectionLost, Failure(ConnectionDone()))

    def connectionLost(self, reason: Failure) -> None:
        """
        The connection is closed.
        """
        protocol, self._protocol = self._protocol, None
        if protocol is not None:
            super().connectionLost(reason)  # type: ignore[no-untyped-call]
            protocol.connectionLost(reason)
            self.deliver()
            self._response.closed = True
            self._response.reset = bool(reason.check(ConnectionAborted))

    def abortConnection(self) -> None:
        """
        Close the connection in the next turn, without sending what is buffered.
        """
        if self._protocol is not None and not self._aborting:
            self._aborting = True
            self.stopWriting()  # type: ignore[no-untyped-call]
            self._clock.callLater(0, self.connectionLost, Failure(ConnectionAborted()))

    def startWriting(self) -> None:
        """
        Arrange for L{move} to be called, unless the connection is being aborted.
        """
        if not self._aborting:
            super().startWriting()  # type: ignore[no-untyped-call]

    # The rest of ITCPTransport

    def getPeer(self) -> Address:
        """
        See L{ITCPTransport}.
        """
        return self._peer

    def getHost(self) -> Address:
        """
        See L{ITCPTransport}.
        """
        return IPv4Address("TCP", "127.0.0.1", 80)

    def getTcpNoDelay(self) -> bool:
        """
        See L{ITCPTransport}.
        """
        return True

    def setTcpNoDelay(self, enabled: bool) -> None:
        """
        See L{ITCPTransport}.
        """

    def getTcpKeepAlive(self) -> bool:
        """
        See L{ITCPTransport}.
        """
        return False

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """
        See L{ITCPTransport}.
        """

    def loseWriteConnection(self) -> None:
        """
        See L{ITCPTransport}.
        """
        raise NotImplementedError("HTTP has no use for a half-closed connection")
