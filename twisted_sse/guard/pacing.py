"""
HTTP/1: the answers of a connection are made no faster than its client takes them.

Clients may pipeline: send the next requests without waiting for answers (RFC 9112, 9.3.2).
Twisted answers all that it has received at once, and goes on reading while answers wait to be
sent, so a few kilobytes of requests become megabytes of answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.web.http import HTTPChannel

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall
    from twisted.python.failure import Failure
    from twisted.web.http import Request

__all__ = ["PacedChannel"]


class PacedChannel(HTTPChannel):
    """
    A connection that answers one request per turn of the reactor, and none while the transport
    has more to send than it likes (64 KiB).  Until then nothing more is read.

    @since: 0.2
    """

    _next: IDelayedCall | None = None

    def dataReceived(self, data: bytes) -> None:
        """
        Ignore what follows a bad request or the last one: TLS still delivers it, until the peer
        agrees to close.
        """
        transport: Any = self.transport
        if not transport.disconnecting:
            super().dataReceived(data)  # type: ignore[no-untyped-call]

    def headerReceived(self, line: bytes) -> bool:
        """
        See L{HTTPChannel}, which does not expect a C{Content-Length} with more digits than
        Python converts.
        """
        try:
            return bool(super().headerReceived(line))  # type: ignore[no-untyped-call]
        except ValueError:
            self._respondToBadRequestAndDisconnect()  # type: ignore[no-untyped-call]
            return False

    def lineLengthExceeded(self, line: bytes) -> None:
        """
        Refuse a line that is too long.  Twisted only asks the transport to close, which a TLS
        transport does not do while it has a producer.
        """
        self._respondToBadRequestAndDisconnect()  # type: ignore[no-untyped-call]

    def requestDone(self, request: Request) -> None:
        """
        See L{HTTPChannel}.
        """
        # For LineReceiver: what has been received already stays in its buffer.
        self.paused = True
        super().requestDone(request)  # type: ignore[no-untyped-call]
        if not self.persistent:
            # Twisted would wait forever for a client that neither reads nor closes.
            self.setTimeout(self._savedTimeOut)  # type: ignore[no-untyped-call]
        elif self._buffer or self._waitingForTransport:
            self._wait()
        else:
            self.paused = False

    def resumeProducing(self) -> None:
        """
        The transport has sent enough.
        """
        super().resumeProducing()  # type: ignore[no-untyped-call]
        if self.paused and self.persistent:
            self._wait()

    def _wait(self) -> None:
        self._networkProducer.pauseProducing()
        if self._next is None and not self._waitingForTransport:
            self._next = self.callLater(0, self._parse)  # type: ignore[no-untyped-call]

    def _parse(self) -> None:
        """
        Go on to the next request.
        """
        self._next = None
        if self._waitingForTransport:
            # It calls resumeProducing.
            return
        self.paused = False
        self._networkProducer.resumeProducing()
        self.dataReceived(b"")

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        """
        See L{HTTPChannel}.
        """
        if self._next is not None:
            self._next.cancel()
            self._next = None
        super().connectionLost(reason)  # type: ignore[no-untyped-call]
