"""
Writing straight to the socket when that is safe, and counting what has not been sent.

C{request.write} hands bytes to a transport that sends them in the next turn of the reactor:
each event for each client costs two C{epoll_ctl}, a wake-up and one C{send}.  The C{send} alone
is enough if nothing is queued before it, which is nearly always so.

This needs private attributes of Twisted.  The server uses them only in this module and in
L{headers<twisted_sse.stream.headers>}, so that it is clear where to look when Twisted changes.
Where they are missing, each function falls back to the public API.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, cast

from twisted.internet import tcp
from twisted.internet.abstract import FileDescriptor
from twisted.web.http import HTTPChannel
from twisted.web.server import Request

try:
    from twisted.internet import unix
except ImportError:  # pragma: no cover
    # This platform has no UNIX sockets.
    unix = None  # type: ignore[assignment]

try:
    from fcntl import ioctl
    from termios import TIOCOUTQ
except ImportError:  # pragma: no cover
    # Not UNIX: the kernel cannot be asked how many bytes it holds.
    ioctl = None  # type: ignore[assignment]

from ..format.encoded import PIECE, Batch
from ..guard.pacing import PacedChannel

if TYPE_CHECKING:
    from twisted.web.http import Request as HTTPRequest

__all__ = [
    "Recipient",
    "connectionOf",
    "directTransport",
    "heldBy",
    "outstanding",
    "sendToAll",
    "socketBelow",
    "streamsOf",
    "unsent",
    "writeNow",
]

#: The transports that are known to be plain sockets.
_SOCKETS: tuple[type, ...] = (tcp.Server,)
if unix is not None:
    _SOCKETS += (unix.Server,)

#: The channels that are known to pass on what is written as it is.
_CHANNELS = (HTTPChannel, PacedChannel)


def directTransport(request: HTTPRequest) -> tcp.Server | None:
    """
    Decide whether a stream's frames may go straight to the socket: once per stream, after the
    headers.

    This compares exact types, and never relies on attributes alone: a TLS transport forwards
    every attribute that it lacks to the TCP transport below it, so C{hasattr(transport,
    "socket")} would lead to plain text in a TLS session.  Throttling and PROXY protocol wrappers
    do the same.

    @return: the transport for L{writeNow}; L{None} if only C{request.write} is safe.
    """
    transport = request.transport
    if (
        type(transport) in _SOCKETS
        and not cast(tcp.Server, transport).TLS  # startTLS() leaves the type as it is.
        and type(request.channel) in _CHANNELS
        and getattr(request.write, "__func__", None) is Request.write
        and getattr(request, "_encoder", None) is None
        and hasattr(transport, "_tempDataBuffer")
        and hasattr(transport, "dataBuffer")
    ):
        return cast(tcp.Server, transport)
    return None


def _chunk(data: bytes) -> bytes:
    """
    Frame a chunk (RFC 9112, 7.1): the size in hexadecimal, then the data, each followed by CRLF.
    """
    return b"%x\r\n%b\r\n" % (len(data), data)


def writeNow(request: HTTPRequest, transport: tcp.Server, data: bytes) -> bool:
    """
    Do the same as C{request.write(data)}, but at once.

    Bytes keep their order: if the transport holds any, these are queued after them.  On a socket
    error the whole frame goes to the transport, which meets the same error in the next turn of
    the reactor and closes the connection as usual.

    @param transport: the result of L{directTransport}.
    @param data: not empty.
    @return: whether the socket took all of it.
    """
    request.sentLength += len(data)
    if request.chunked:
        data = _chunk(data)
    sent = 0
    if not transport.dataBuffer and not transport._tempDataBuffer:
        try:
            sent = transport.socket.send(data)
        except OSError:
            # Of any kind: the transport will meet it too.
            sent = 0
    if sent == len(data):
        return True
    transport.write(data[sent:])
    return False


class Recipient(Protocol):
    """
    What L{sendToAll} needs of a response.

    All of this is read afresh for each response, since anything may have changed: observers are
    called in between.
    """

    ready: bool
    """Whether an event may go straight to the connection: nothing is queued before it."""

    direct: tcp.Server | None
    """The result of L{directTransport}; L{None} if only C{push} is safe."""

    lastSent: float
    """When something was last sent, in the wheel's seconds."""

    eventsSent: int
    """The number of events that were handed to the connection."""

    @property
    def lag(self) -> object:
        """Polls the connection of a client that lags; L{None} for nearly all."""

    @property
    def request(self) -> Request | None:
        """The request; L{None} once the response is closed, and so not ready."""

    @property
    def stream(self) -> object:
        """The stream that observers receive."""

    @property
    def owner(self) -> Teller:
        """Has the observer's callback."""

    def push(self, batch: Batch, /) -> None:
        """
        Send or queue a batch, whatever the response's state.  Does not raise.
        """

    def lookLater(self) -> None:
        """
        Poll the transport later: it has not sent all that it was given.
        """


class Teller(Protocol):
    """
    Has the callback that tells an observer what was sent.
    """

    @property
    def sent(self) -> Callable[[Any, int, int], None] | None:
        """
        Called with the stream, the number of events and their size in bytes; does not raise.
        L{None} if no observer wants it.
        """


def sendToAll(recipients: Iterable[Recipient], batch: Batch, now: float) -> None:
    """
    Send the same batch to many clients: C{recipient.push(batch)} for each, but without the calls
    and the framing, which together cost as much as half a C{send}.

    @param recipients: consumed one by one while sending.
    @param now: in the seconds of the recipients' wheel.
    """
    data, events = batch.data, batch.events
    if len(data) > PIECE:
        for recipient in recipients:
            recipient.push(batch)
        return
    framed = _chunk(data)
    for recipient in recipients:
        transport = recipient.direct
        if (
            transport is None
            or not recipient.ready
            or recipient.lag is not None
            or transport.dataBuffer
            or transport._tempDataBuffer
        ):
            recipient.push(batch)
            continue
        request = recipient.request
        assert request is not None, "a response that is ready has a request"
        frame = framed if request.chunked else data
        recipient.lastSent = now
        recipient.eventsSent += events
        request.sentLength += len(data)
        try:
            sent = transport.socket.send(frame)
        except OSError:
            # See writeNow.
            sent = 0
        if sent != len(frame):
            transport.write(frame[sent:])
            recipient.lookLater()
        told = recipient.owner.sent
        if told is not None:
            told(recipient.stream, events, len(data))


def unsent(request: HTTPRequest) -> int | None:
    """
    Count the bytes that were written to a request and are still in this process.

    @return: the number of bytes; L{None} if it cannot be known.
    """
    try:
        if request.transport is None:
            return _unsentHTTP2(request)
        return _unsentBelow(request.transport)
    except (AttributeError, KeyError):
        return None


def _unsentBelow(transport: Any) -> int | None:
    if isinstance(transport, FileDescriptor):
        buffered = len(transport.dataBuffer) - transport.offset
        return buffered + transport._tempDataLen
    # TLSMemoryBIOProtocol: plain bytes that it could not encrypt yet, above a socket.
    below = _unsentBelow(transport.transport)
    if below is None:
        return None
    waiting = sum(map(len, transport._appSendBuffer))
    # BufferingTLSTransport: small writes that it will join in the next turn.
    small = sum(map(len, transport._aggregator._buffer))
    return below + waiting + small


def _unsentHTTP2(request: HTTPRequest) -> int:
    # Twisted pauses a producer only for HTTP/2's flow control: if a peer with a large window
    # stops reading from TCP, the queue of its stream grows without a pause.
    stream = cast(Any, request.channel)
    queue = stream._conn._outboundStreamQueues[stream.streamID]
    return sum(len(chunk) for chunk in queue if isinstance(chunk, bytes))


def connectionOf(request: HTTPRequest) -> Any:
    """
    Find the transport of a request's connection, for HTTP/1.1 or HTTP/2.
    """
    if request.transport is not None:
        return request.transport
    # A request that is finished has no channel.
    channel = getattr(request, "channel", None)
    return getattr(getattr(channel, "_conn", None), "transport", None)


def socketBelow(request: HTTPRequest) -> Any:
    """
    Find the transport that has the socket of a request's connection, below TLS and the like.

    @return: L{None} if it is not known to be a plain socket.
    """
    transport = connectionOf(request)
    while type(transport) not in _SOCKETS and hasattr(transport, "transport"):
        transport = transport.transport
    return transport if type(transport) in _SOCKETS else None


def streamsOf(request: HTTPRequest) -> Mapping[int, object] | None:
    """
    Find the streams of a request's HTTP/2 connection, by their numbers.

    @return: what Twisted keeps, which changes as streams come and go; L{None} for HTTP/1.
    """
    return getattr(getattr(request.channel, "_conn", None), "streams", None)


def heldBy(transport: Any) -> int:
    """
    Count the bytes that a connection still holds: none if it is closed.
    """
    try:
        return 0 if transport.disconnected else _unsentBelow(transport) or 0
    except AttributeError:
        return 0


def outstanding(request: HTTPRequest) -> int:
    """
    Count the bytes that were written to a request and that its client has not taken: those in
    this process and those in the kernel.

    The kernel has to be asked too: it wakes us only when a third of its buffer is free, which
    may take minutes with a slow client.
    """
    waiting = unsent(request) or 0
    if request.transport is None and _isWindowShut(request):
        # What the kernel sends belongs to other streams of the connection.
        return waiting
    transport = socketBelow(request)
    inKernel = 0
    if transport is not None and ioctl is not None:
        try:
            answer = ioctl(transport.fileno(), TIOCOUTQ, b"\0\0\0\0")
        except (OSError, ValueError):
            # This kind of socket cannot tell, or it is closed already.
            pass
        else:
            inKernel = struct.unpack("i", answer)[0]
    return waiting + inKernel


def _isWindowShut(request: HTTPRequest) -> bool:
    """
    Whether the flow control window of an HTTP/2 stream is used up: RFC 9113, 5.2.
    """
    try:
        stream = cast(Any, request.channel)
        window = stream._conn.conn.local_flow_control_window(stream.streamID)
    except (AttributeError, KeyError):
        return False
    return bool(window <= 0)
