"""
Try a resource, and its event streams, with no socket, no running reactor and no wall clock.

    >>> client = MemoryClient(resource)
    >>> stream = client.get("/", headers={"Accept": "text/event-stream"})
    >>> client.clock.advance(2)
    >>> stream.events
    [MessageEvent(type='message', data='hello', lastEventID='1')]
    >>> stream.disconnect()

It works in trial and in pytest, and for any L{IResource<twisted.web.resource.IResource>},
such as C{app.resource()} of Klein.
"""

from __future__ import annotations

from collections.abc import Mapping
from weakref import WeakSet

from twisted.internet.abstract import FileDescriptor
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IProtocol, ITCPTransport
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.web.http_headers import Headers
from twisted.web.resource import IResource
from twisted.web.server import Site
from zope.interface import implementer

from .format.parser import EventStreamParser, MessageEvent

__all__ = ["MemoryClient", "MemoryClock", "MemoryStream", "ResponseHeaders"]

Address = IPv4Address | IPv6Address

#: What the kernel takes for a client that does not read, unless told otherwise, in bytes.
KERNEL_BUFFER = 2**16

#: How many turns are made at one moment before time has to go on: something that wants
#: another turn for ever, such as an endless iterable, must not hang a test.
MOST_TURNS = 256


class MemoryClock(Clock):
    """
    A L{Clock} that moves bytes between the memory transports as it goes, and that does not
    jump: on C{advance(10)} a call that is due every 2 seconds is made five times, each at its
    time.

    @since: 0.1
    """

    def __init__(self) -> None:
        super().__init__()
        self._writers: dict[MemoryTransport, None] = {}

    def advance(self, amount: float) -> None:
        """
        Move on by so many seconds, and do what is due on the way.

        @param amount: in seconds; 0 does what is due now.
        """
        end = self.rightNow + amount
        self.settle()
        while True:
            coming = [call.getTime() for call in self.getDelayedCalls()]
            next = min((time for time in coming if time > self.rightNow), default=end)
            if next >= end:
                break
            self.rightNow = next
            self.settle()
        self.rightNow = end
        self.settle()

    def settle(self) -> None:
        """
        Make turns of the reactor until nothing is due any more.
        """
        for _ in range(MOST_TURNS):
            if not self._turn():
                break

    def _turn(self) -> bool:
        """
        Make the calls that are due, but not those that they add, and move bytes.

        @return: whether there was anything to do.
        """
        due = [call for call in self.calls if call.getTime() <= self.rightNow]
        for call in due:
            if call.active():
                self.calls.remove(call)
                call.called = 1
                assert call.func is not None, "what is active has something to call"
                call.func(*call.args or (), **call.kw or {})
        writable = [transport for transport in self._writers if transport.isWritable()]
        for transport in writable:
            if transport in self._writers:
                transport.move()
        return bool(due or writable)

    # The part of IReactorFDSet that a FileDescriptor asks for

    def addReader(self, reader: object) -> None:
        """
        Nothing to do: a memory transport is given what there is to be read.
        """

    def removeReader(self, reader: object) -> None:
        """
        Nothing to do.
        """

    def addWriter(self, writer: MemoryTransport) -> None:
        """
        A transport has something to write.
        """
        self._writers[writer] = None

    def removeWriter(self, writer: MemoryTransport) -> None:
        """
        A transport has nothing to write any more.
        """
        self._writers.pop(writer, None)


@implementer(ITCPTransport)
class MemoryTransport(FileDescriptor):
    """
    The server's end of a connection in memory: Twisted's own buffering, above a kernel
    buffer of limited size.
    """

    def __init__(self, clock: MemoryClock, client: MemoryStream, peer: Address) -> None:
        super().__init__(clock)  # type: ignore[arg-type]
        self.connected = 1
        self._clock = clock
        self._client = client
        self._peer = peer
        self._kernel = b""
        self._protocol: IProtocol | None = None
        self._aborting = False
        #: Set by the client.
        self.kernelBuffer = KERNEL_BUFFER
        self.reading = True

    def connect(self, protocol: IProtocol) -> None:
        """
        Give the connection to a protocol.
        """
        self._protocol = protocol
        protocol.makeConnection(self)

    def receive(self, data: bytes) -> None:
        """
        The client has sent something.
        """
        assert self._protocol is not None, "the connection is open"
        self._protocol.dataReceived(data)

    def isWritable(self) -> bool:
        """
        Whether the kernel has room, or there is nothing to be put there.
        """
        return self.reading or len(self._kernel) < self.kernelBuffer or not self._held()

    def _held(self) -> int:
        return len(self.dataBuffer) - self.offset + self._tempDataLen

    def move(self) -> None:
        """
        Move bytes to the kernel's buffer, and to the client if it reads.
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
        Give the client what has arrived, if it reads.
        """
        if self.reading and self._kernel:
            data, self._kernel = self._kernel, b""
            self._client._received(data)

    def connectionLost(self, reason: Failure) -> None:
        """
        The connection is over.
        """
        protocol, self._protocol = self._protocol, None
        if protocol is not None:
            super().connectionLost(reason)  # type: ignore[no-untyped-call]
            protocol.connectionLost(reason)
            self._client._lost(reset=bool(reason.check(ConnectionAborted)))

    def abortConnection(self) -> None:
        """
        Close the connection in the next turn; what was not sent is lost.
        """
        if self._protocol is not None and not self._aborting:
            self._aborting = True
            self.stopWriting()  # type: ignore[no-untyped-call]
            self._clock.callLater(0, self.connectionLost, Failure(ConnectionAborted()))

    def startWriting(self) -> None:
        if not self._aborting:
            super().startWriting()  # type: ignore[no-untyped-call]

    # ITCPTransport

    def getPeer(self) -> Address:
        return self._peer

    def getHost(self) -> Address:
        return IPv4Address("TCP", "127.0.0.1", 80)

    def getTcpNoDelay(self) -> bool:
        return True

    def setTcpNoDelay(self, enabled: bool) -> None:
        pass

    def getTcpKeepAlive(self) -> bool:
        return False

    def setTcpKeepAlive(self, enabled: bool) -> None:
        pass

    def loseWriteConnection(self) -> None:
        raise NotImplementedError("HTTP has no use for a half-closed connection")


class ResponseHeaders(Headers):
    """
    The headers of a response.  Besides the methods of L{Headers}, C{headers["Vary"]} is a
    header's value as text (several values joined by C{", "}), C{headers.get(name)} the same or
    L{None}, C{name in headers} whether it is there, and C{dict(headers)} all of them; case does
    not matter, and names may be C{bytes} too.
    """

    def __getitem__(self, name: str | bytes) -> str:
        values = self.getRawHeaders(name.encode() if isinstance(name, str) else name)
        if values is None:
            raise KeyError(name)
        return b", ".join(values).decode("utf-8", "replace")

    def __contains__(self, name: object) -> bool:
        if isinstance(name, str):
            return self.hasHeader(name)
        return isinstance(name, bytes) and self.hasHeader(name)

    def keys(self) -> list[str]:
        """
        The names of the headers.
        """
        return [name.decode("ascii") for name, _ in self.getAllRawHeaders()]

    def get(self, name: str | bytes, default: str | None = None) -> str | None:
        """
        A header's value as text.
        """
        try:
            return self[name]
        except KeyError:
            return default


class MemoryStream:
    """
    A request that a L{MemoryClient} has made, and its response as far as it has come.

    Reading any of the properties first does what is due now.

    @since: 0.1
    """

    def __init__(self, clock: MemoryClock, method: str, peer: Address) -> None:
        self._clock = clock
        self._transport = MemoryTransport(clock, self, peer)
        self._response = _Response(method)
        self._closed = False
        self._reset = False

    @property
    def status(self) -> int | None:
        """
        The status of the response; L{None} before it has come.
        """
        return self._now().status

    @property
    def headers(self) -> ResponseHeaders:
        """
        The headers of the response.
        """
        return self._now().headers

    @property
    def events(self) -> list[MessageEvent]:
        """
        All events that have come, as a client would see them.
        """
        return list(self._now().events)

    @property
    def comments(self) -> list[str]:
        """
        All comments that have come, without the space behind the colon.
        """
        return list(self._now().comments)

    @property
    def retry(self) -> int | None:
        """
        The reconnection time that the client was told last, in milliseconds.
        """
        return self._now().parser.retry

    @property
    def body(self) -> bytes:
        """
        All of the body that has come.
        """
        return bytes(self._now().body)

    @property
    def text(self) -> str:
        """
        All of the body that has come, as text.
        """
        return self.body.decode("utf-8", "replace")

    @property
    def ended(self) -> bool:
        """
        Whether nothing more will come: the response is complete, or the connection is closed.
        """
        return self._now().complete or self._closed

    @property
    def complete(self) -> bool:
        """
        Whether the response came to the end that its framing promised.  A body without a
        length, as in HTTP/1.0, is complete when the connection is closed, but not when it is
        reset.
        """
        response = self._now()
        return response.complete or (self._closed and response.untilClose and not self._reset)

    def disconnect(self, reset: bool = False) -> None:
        """
        Close the connection.

        @param reset: whether with a reset, rather than properly.
        """
        self._clock.settle()
        self._transport.connectionLost(Failure(ConnectionLost() if reset else ConnectionDone()))
        self._clock.settle()

    def stopReading(self, kernelBuffer: int = KERNEL_BUFFER) -> None:
        """
        Do not read any more.

        As with a socket, the kernel takes something nevertheless; then the transport's buffer
        fills, and the transport says pause.

        @param kernelBuffer: how much the kernel takes, in bytes.
        """
        self._clock.settle()
        self._transport.reading = False
        self._transport.kernelBuffer = kernelBuffer

    def resumeReading(self) -> None:
        """
        Read again.
        """
        self._transport.reading = True
        self._transport.deliver()
        self._clock.settle()

    def write(self, data: bytes) -> None:
        """
        Send more bytes on the connection, such as those of a request that does not wait for
        the response to the one before.
        """
        self._transport.receive(data)

    def _now(self) -> _Response:
        self._clock.settle()
        return self._response

    def _received(self, data: bytes) -> None:
        self._response.feed(data)
        if self._response.complete:
            # As most clients do that make one request.
            self._clock.callLater(0, self._transport.connectionLost, Failure(ConnectionDone()))

    def _lost(self, reset: bool) -> None:
        self._transport.deliver()
        self._closed = True
        self._reset = reset


class _Response:
    """
    A response of HTTP/1.0 or 1.1, as far as it has come: RFC 9112.
    """

    def __init__(self, method: str) -> None:
        self.status: int | None = None
        self.headers = ResponseHeaders()
        self.body = bytearray()
        self.events: list[MessageEvent] = []
        self.comments: list[str] = []
        self.complete = False
        self.untilClose = False
        self.parser = EventStreamParser(onComment=self._comment)
        self._method = method
        self._buffer = b""
        #: What is left of the chunk or body that is being read, and whether it is a chunk.
        self._left: int | None = None
        self._chunked = False

    def feed(self, data: bytes) -> None:
        """
        Take what has come.
        """
        self._buffer += data
        while self._buffer and not self.complete and self._step():
            pass

    def _step(self) -> bool:
        """
        @return: whether it is worth while to try again.
        """
        if self.status is None:
            return self._head()
        if self.untilClose:
            self._content(len(self._buffer))
            return True
        if self._left:
            self._left -= self._content(self._left)
            self.complete = not self._left and not self._chunked
            return True
        return self._chunkSize()

    def _head(self) -> bool:
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return False
        self._buffer = rest
        statusLine, *lines = head.split(b"\r\n")
        status = int(statusLine.split()[1])
        if status < 200:
            # An interim response: the final one follows.
            return True
        self.status = status
        for line in lines:
            name, _, value = line.partition(b":")
            self.headers.addRawHeader(name, value.strip())
        length = self.headers.get("content-length")
        if self._method == "HEAD" or status in (204, 304) or length == "0":
            self.complete = True
        elif self.headers.get("transfer-encoding") == "chunked":
            self._chunked = True
        elif length is not None:
            self._left = int(length)
        else:
            self.untilClose = True
        return True

    def _chunkSize(self) -> bool:
        # The CRLF behind the chunk before, if there was one.
        size, end, rest = self._buffer[2 if self._left == 0 else 0 :].partition(b"\r\n")
        if not end:
            return False
        self._left = int(size, 16)
        self._buffer = rest
        self.complete = self._left == 0
        return True

    def _content(self, most: int) -> int:
        data, self._buffer = self._buffer[:most], self._buffer[most:]
        self.body += data
        if (self.headers.get("content-type") or "").startswith("text/event-stream"):
            self.events += self.parser.feed(data)
        return len(data)

    def _comment(self, text: str) -> None:
        self.comments.append(text.removeprefix(" "))


class MemoryClient:
    """
    Makes requests of a resource, in memory.

    @ivar clock: the time that everything goes by which answers: a L{MemoryClock}.
    @ivar site: the L{Site} that was made for the resource.

    @since: 0.1
    """

    def __init__(self, resource: IResource, clock: MemoryClock | None = None) -> None:
        """
        @param resource: what is to be tried.
        @param clock: one to share with other clients, or with what is made before the client.
        """
        self.clock = clock if clock is not None else MemoryClock()
        self.site = Site(resource, reactor=self.clock)
        self._streams: WeakSet[MemoryStream] = WeakSet()

    def close(self) -> None:
        """
        Close all connections.  C{with MemoryClient(resource) as client} does it at the end.
        """
        for stream in list(self._streams):
            stream.disconnect()

    def __enter__(self) -> MemoryClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def get(
        self,
        path: str = "/",
        headers: Mapping[str, str] | None = None,
        address: str = "127.0.0.1",
    ) -> MemoryStream:
        """
        Make a GET request.  See L{request}.
        """
        return self.request("GET", path, headers, b"", address)

    def post(
        self,
        path: str = "/",
        headers: Mapping[str, str] | None = None,
        body: bytes | str = b"",
        address: str = "127.0.0.1",
    ) -> MemoryStream:
        """
        Make a POST request.  See L{request}.
        """
        return self.request("POST", path, headers, body, address)

    def request(
        self,
        method: str,
        path: str = "/",
        headers: Mapping[str, str] | None = None,
        body: bytes | str = b"",
        address: str = "127.0.0.1",
        version: str = "HTTP/1.1",
    ) -> MemoryStream:
        """
        Make a request, on a connection of its own.

        @param method: in capitals.
        @param path: with the query, if any.
        @param headers: besides C{Host} and C{Content-Length}; no others are sent.
        @param body: a C{str} is sent in UTF-8.
        @param address: the IP address of the client.
        @param version: C{"HTTP/1.1"} or C{"HTTP/1.0"}.
        @return: the request, and its response as far as it has come.
        """
        if isinstance(body, str):
            body = body.encode()
        sent = {"Host": "localhost", **(headers or {})}
        if body or method in ("POST", "PUT", "PATCH"):
            sent.setdefault("Content-Length", str(len(body)))
        head = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
        family = IPv6Address if ":" in address else IPv4Address
        peer = family("TCP", address, 50000)
        stream = MemoryStream(self.clock, method, peer)
        self._streams.add(stream)
        protocol = self.site.buildProtocol(peer)
        assert protocol is not None, "a Site takes every connection"
        stream._transport.connect(protocol)
        stream.write(f"{method} {path} {version}\r\n{head}\r\n".encode() + body)
        self.clock.settle()
        return stream
