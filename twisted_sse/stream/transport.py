"""
A frame straight to the socket, when that is safe; and what has not left the process yet.

C{request.write} hands bytes to a transport that sends them in the next turn of the reactor:
each event of each client costs two C{epoll_ctl}, a wake-up and one C{send}.  The C{send} is
all that is needed when nothing is queued before it, which is nearly always.

This needs attributes of Twisted that are not public.  All that the server uses of them are in
this module and in L{headers<twisted_sse.stream.headers>}, so that it is clear where to look
when Twisted changes, and each function falls back to the ordinary way when they are gone.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Protocol, cast

from twisted.internet import tcp
from twisted.internet.abstract import FileDescriptor
from twisted.web.http import HTTPChannel
from twisted.web.server import Request

try:
    from twisted.internet import unix
except ImportError:  # pragma: no cover
    # A platform without UNIX sockets.
    unix = None  # type: ignore[assignment]

try:
    from fcntl import ioctl
    from termios import TIOCOUTQ
except ImportError:  # pragma: no cover
    # Not a UNIX: what waits in the kernel cannot be asked for.
    ioctl = None  # type: ignore[assignment]

from ..format.encoded import PIECE, Batch

if TYPE_CHECKING:
    from twisted.web.http import Request as HTTPRequest

__all__ = [
    "Recipient",
    "connectionOf",
    "directTransport",
    "heldBy",
    "outstanding",
    "sendToAll",
    "unsent",
    "writeNow",
]

#: The transports that are known to be a socket and nothing else.
_SOCKETS: tuple[type, ...] = (tcp.Server,)
if unix is not None:
    _SOCKETS += (unix.Server,)


def directTransport(request: HTTPRequest) -> tcp.Server | None:
    """
    Decide, once per stream and after the headers, whether its frames may be given to the
    socket directly.

    It is decided by exact types, never by looking for attributes: the transport of a TLS
    connection forwards every attribute that it lacks to the TCP transport below it, so
    C{hasattr(transport, "socket")} leads to plain text in a TLS session.  Throttling and PROXY
    protocol wrappers are the same.

    @return: the transport to be given to L{writeNow}; L{None} where only
        C{request.write} is right.
    """
    transport = request.transport
    if (
        type(transport) in _SOCKETS
        and not cast(tcp.Server, transport).TLS  # startTLS() leaves the type as it is.
        and type(request.channel) is HTTPChannel
        and getattr(request.write, "__func__", None) is Request.write
        and getattr(request, "_encoder", None) is None
        and hasattr(transport, "_tempDataBuffer")
        and hasattr(transport, "dataBuffer")
    ):
        return cast(tcp.Server, transport)
    return None


def _chunk(data: bytes) -> bytes:
    """
    Frame what is sent: RFC 9112, 7.1: the size in hexadecimal, the data, each followed by
    CRLF.
    """
    return b"%x\r\n%b\r\n" % (len(data), data)


def writeNow(request: HTTPRequest, transport: tcp.Server, data: bytes) -> bool:
    """
    The same as C{request.write(data)}, at once.

    Bytes keep their order: while the transport holds any, these go behind them.  Any error
    of the socket hands the whole frame to the transport, which meets the same error in the
    next turn of the reactor and tears the connection down as it always does.

    @param transport: what L{directTransport} returned.
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
            # Whatever it is: the transport is going to meet it too.
            sent = 0
    if sent == len(data):
        return True
    transport.write(data[sent:])
    return False


class Recipient(Protocol):
    """
    What L{sendToAll} needs of a response.

    It reads all of this for each response, one after the other; between two of them anything
    may have happened, since observers are called.
    """

    ready: bool
    """Whether an event may go straight to the connection: nothing is queued before it."""

    direct: tcp.Server | None
    """What L{directTransport} returned; L{None} where only C{push} is right."""

    lastSent: float
    """When something was sent last, in the seconds of the wheel."""

    eventsSent: int
    """The number of events that were handed to the connection."""

    @property
    def lag(self) -> object:
        """Whatever looks after a client that lags; L{None} for nearly all."""

    @property
    def request(self) -> Request | None:
        """The request; L{None} once the response is closed, which is not ready then."""

    @property
    def stream(self) -> object:
        """What observers are told it is."""

    @property
    def owner(self) -> Teller:
        """Tells the observer."""

    def push(self, batch: Batch, /) -> None:
        """
        Send a batch, however the client fares.  It raises nothing.
        """

    def lookLater(self) -> None:
        """
        The transport was given something that it has not sent.
        """


class Teller(Protocol):
    """
    What tells an observer of what was sent.
    """

    @property
    def sent(self) -> Callable[[Any, int, int], None] | None:
        """
        Called with the stream, the number of events and their bytes; it raises nothing.
        L{None} if nobody listens.
        """


def sendToAll(recipients: Iterable[Recipient], batch: Batch, now: float) -> None:
    """
    Send the same to many clients: C{recipient.push(batch)} for each, without the calls and the
    framing for each, which together cost as much as half a C{send}.

    @param recipients: each is taken when it is its turn.
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
    Count the bytes that were written to a request, and that this process still holds.

    @return: the number of bytes; L{None} where there is no way to know.
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
    # TLSMemoryBIOProtocol: plain bytes it could not encrypt yet, and below it a socket.
    below = _unsentBelow(transport.transport)
    if below is None:
        return None
    waiting = sum(map(len, transport._appSendBuffer))
    # BufferingTLSTransport: small writes that it joins in the next turn.
    small = sum(map(len, transport._aggregator._buffer))
    return below + waiting + small


def _unsentHTTP2(request: HTTPRequest) -> int:
    # Twisted pauses a producer for HTTP/2's flow control only: a peer with a large window
    # that stops reading TCP lets the queue of its stream grow without a word.
    stream = cast(Any, request.channel)
    queue = stream._conn._outboundStreamQueues[stream.streamID]
    return sum(len(chunk) for chunk in queue if isinstance(chunk, bytes))


def connectionOf(request: HTTPRequest) -> Any:
    """
    Find the transport of a request's connection, be it HTTP/1.1's or HTTP/2's.
    """
    if request.transport is not None:
        return request.transport
    return getattr(getattr(request.channel, "_conn", None), "transport", None)


def heldBy(transport: Any) -> int:
    """
    Count the bytes that a connection still holds; of one that is closed, none.
    """
    try:
        return 0 if transport.disconnected else _unsentBelow(transport) or 0
    except AttributeError:
        return 0


def outstanding(request: HTTPRequest) -> int:
    """
    Count the bytes that were written to a request, and that its client has not taken: those
    that wait in this process, and those that wait in the kernel.

    The kernel has to be asked as well: it wakes us only when a third of its buffer is free,
    and a slow client may take minutes for that.
    """
    waiting = unsent(request) or 0
    if request.transport is None and _isWindowShut(request):
        # What moves in the kernel belongs to other streams of the connection.
        return waiting
    transport = connectionOf(request)
    while type(transport) not in _SOCKETS and hasattr(transport, "transport"):
        transport = transport.transport
    inKernel = 0
    if type(transport) in _SOCKETS and ioctl is not None:
        try:
            answer = ioctl(transport.fileno(), TIOCOUTQ, b"\0\0\0\0")
        except (OSError, ValueError):
            # This kind of socket does not tell; or it is closed already.
            pass
        else:
            inKernel = struct.unpack("i", answer)[0]
    return waiting + inKernel


def _isWindowShut(request: HTTPRequest) -> bool:
    """
    Whether the client lets an HTTP/2 stream send nothing: RFC 9113, 5.2.
    """
    stream = cast(Any, request.channel)
    try:
        window = stream._conn.conn.local_flow_control_window(stream.streamID)
    except (AttributeError, KeyError):
        return False
    return bool(window <= 0)
