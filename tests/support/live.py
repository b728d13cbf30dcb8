"""
Real sockets for tests: a server on the loopback interface, and clients that the test controls.
"""

from __future__ import annotations

import json
import os
import resource as limits
import socket
import ssl
import struct
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast
from unittest import SkipTest

import h11
from twisted.internet import reactor as _reactor
from twisted.internet import tcp
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.protocol import Factory, ProcessProtocol
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from twisted.web.resource import IResource
from twisted.web.server import Site
from zope.interface import implementer

from tests.support.certificates import serverContext
from tests.support.patience import PATIENCE
from tests.support.ports import freePort
from tests.support.requirements import ROOT
from twisted_sse import EventStreamParser, EventStreamResource, MessageEvent
from twisted_sse.guard import GuardedSite

__all__ = [
    "Child",
    "Client",
    "LiveTestCase",
    "Reasons",
    "Response",
    "Server",
    "allowDescriptors",
    "freePort",
    "openDescriptors",
    "until",
]

#: The installed reactor, whose declared type lacks most of its methods.
reactor = cast(Any, _reactor)

#: The headers of a client that requests events.
ACCEPT = {"Accept": "text/event-stream"}


def until(
    predicate: Callable[[], object], what: str = "", seconds: float = PATIENCE
) -> Deferred[None]:
    """
    Wait until something is true.

    @param predicate: called repeatedly, between other reactor calls, until it returns a true value.
    @param what: the message of the error if it does not become true.
    @param seconds: the timeout.
    @return: a L{Deferred} that fails with C{AssertionError} when it takes longer.
    """
    done: Deferred[None] = Deferred(lambda _: call.cancel())
    deadline = reactor.seconds() + seconds
    delay = 0.0

    def look() -> None:
        nonlocal call, delay
        try:
            enough = predicate()
        except Exception:
            done.errback(Failure())
            return
        if enough:
            done.callback(None)
        elif reactor.seconds() > deadline:
            done.errback(AssertionError(f"not within {seconds} s: {what or predicate}"))
        else:
            delay = min(delay + 0.0005, 0.01)
            call = reactor.callLater(delay, look)

    call = reactor.callLater(0, look)
    return done


def openDescriptors() -> int:
    """
    Count the file descriptors that this process has open.
    """
    return len(os.listdir("/dev/fd"))


def allowDescriptors(test: TestCase, count: int) -> None:
    """
    Allow this process a number of open files until a test ends, or skip the test.
    """
    soft, hard = limits.getrlimit(limits.RLIMIT_NOFILE)
    if soft == limits.RLIM_INFINITY or soft >= count:
        return
    if hard != limits.RLIM_INFINITY and hard < count:
        raise SkipTest(f"network ({count} open files needed: ulimit -Hn {count})")
    limits.setrlimit(limits.RLIMIT_NOFILE, (count, hard))
    test.addCleanup(limits.setrlimit, limits.RLIMIT_NOFILE, (soft, hard))


class Response:
    """
    A response, as far as it has arrived.

    @ivar status: L{None} before the headers.
    @ivar headers: by lower-case name.
    @ivar body: the body, with chunks decoded.
    @ivar events: the events, except those that only carry the client's position.
    @ivar complete: whether it has ended properly.
    @ivar broken: whether it was cut off before.
    """

    def __init__(self) -> None:
        self.status: int | None = None
        self.headers: dict[str, str] = {}
        self.body = bytearray()
        self.events: list[MessageEvent] = []
        self.comments: list[str] = []
        self.complete = False
        self.broken = False
        self.keepBody = True
        self.parser = EventStreamParser(onComment=self.comments.append)

    @property
    def data(self) -> list[str]:
        """
        List the data of the events.
        """
        return [event.data for event in self.events]

    def begin(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """
        Handle the status and the headers.
        """
        self.status = status
        self.headers = {name.decode().lower(): value.decode() for name, value in headers}

    def feed(self, data: bytes) -> None:
        """
        Handle some of the body.
        """
        if self.keepBody:
            self.body += data
        if self.headers.get("content-type", "").startswith("text/event-stream"):
            events = self.parser.feed(data)
            self.events += [event for event in events if event.type != "stream-position"]


@implementer(IReadDescriptor)
class Connection:
    """
    The client's end of a connection: a socket that is read only while C{reading} is true.

    @ivar wire: everything received, if C{record} is true.
    @ivar lost: L{None}, or how the other side ended the connection: C{"FIN"} or C{"RST"}.
    """

    def __init__(
        self,
        address: tuple[str, int] | socket.socket,
        *,
        receiveBuffer: int | None = None,
        tls: bool = False,
        protocols: Iterable[str] = ("http/1.1",),
        record: bool = False,
    ) -> None:
        """
        @param address: the server's address, or a connected socket.
        @param receiveBuffer: the size of the kernel's buffer in bytes, which the kernel doubles.
        @param tls: whether to use TLS.
        @param protocols: the protocols to offer with ALPN.
        @raise OSError: if the server does not listen.
        """
        self.wire = bytearray()
        self.lost: str | None = None
        self.reading = False
        self._record = record
        if isinstance(address, socket.socket):
            self.socket = address
        else:
            self.socket = socket.socket()
            if receiveBuffer is not None:
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receiveBuffer)
            # The kernel accepts the connection, so this does not wait for the reactor.
            try:
                self.socket.connect(address)
            except OSError:
                self.socket.close()
                raise
        self.socket.setblocking(False)
        if self.socket.family == socket.AF_INET:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._fileno = self.socket.fileno()
        self._tls: ssl.SSLObject | None = None
        self._unsent = b""
        if tls:
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            context.set_alpn_protocols(list(protocols))
            self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            self._tls = context.wrap_bio(self._incoming, self._outgoing)
            self._shaken = False
            self._shake()
        self.startReading()

    # Methods for tests

    def startReading(self) -> None:
        """
        Read everything that arrives.
        """
        if not self.reading and self._fileno != -1 and self.lost is None:
            self.reading = True
            reactor.addReader(self)

    def stopReading(self) -> None:
        """
        Leave what arrives in the kernel.
        """
        if self.reading:
            self.reading = False
            reactor.removeReader(self)

    def write(self, data: bytes) -> None:
        """
        Send bytes, few enough for the kernel to accept in one call.
        """
        if self._tls is not None:
            if not self._shaken:
                self._unsent += data
                return
            self._tls.write(data)
            data = self._outgoing.read()
        sent = self.socket.send(data)
        assert sent == len(data), "more than the kernel takes at once"

    def close(self) -> None:
        """
        Close with a FIN, or with a RST if anything is unread.
        """
        self.stopReading()
        self.socket.close()
        self._fileno = -1

    def halfClose(self) -> None:
        """
        Close the sending side, and continue to read.
        """
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """
        Close with a RST.
        """
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    # Methods for the reactor

    def fileno(self) -> int:
        """
        Return the file descriptor.
        """
        return self._fileno

    def logPrefix(self) -> str:
        """
        Return a name for the log.
        """
        return type(self).__name__

    def doRead(self, size: int = 2**16) -> None:
        """
        Read the received bytes.

        @param size: the most bytes to read.
        """
        try:
            data = self.socket.recv(size)
        except BlockingIOError:
            return
        except ConnectionError:
            self._end("RST")
            return
        if self._record:
            self.wire += data
        if not data:
            self._end("FIN")
        elif self._tls is None:
            self.received(data)
        else:
            self._incoming.write(data)
            self._decrypt()

    def connectionLost(self, reason: Failure) -> None:
        """
        Handle the end of the reactor, or an error in C{doRead}.
        """
        self._end("RST")

    def received(self, data: bytes) -> None:
        """
        Handle bytes received, after decryption.
        """

    def secured(self, protocol: str | None) -> None:
        """
        Handle the end of the TLS handshake.

        @param protocol: the protocol chosen with ALPN.
        """

    def ended(self) -> None:
        """
        Handle the end of the connection.
        """

    def _end(self, how: str) -> None:
        self.stopReading()
        if self.lost is None:
            self.lost = how
            self.ended()

    def _shake(self) -> None:
        assert self._tls is not None
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self.socket.send(self._outgoing.read())
            return
        self._shaken = True
        if self._outgoing.pending:
            self.socket.send(self._outgoing.read())
        self.secured(self._tls.selected_alpn_protocol())
        unsent, self._unsent = self._unsent, b""
        if unsent:
            self.write(unsent)

    def _decrypt(self) -> None:
        assert self._tls is not None
        if not self._shaken:
            self._shake()
        while self._shaken:
            try:
                data = self._tls.read(2**16)
            except ssl.SSLWantReadError:
                return
            except ssl.SSLZeroReturnError:
                # RFC 8446, 6.1: the peer closes, and Twisted waits for our close_notify.
                try:
                    self._tls.unwrap()
                    self.socket.send(self._outgoing.read())
                except OSError:
                    pass
                self._end("FIN")
                return
            self.received(data)


class Client(Connection):
    """
    An HTTP/1.1 client that makes one request after another.

    It parses responses with h11, an independent implementation of HTTP.
    """

    def __init__(self, address: tuple[str, int] | socket.socket, **options: Any) -> None:
        self._http = h11.Connection(h11.CLIENT)
        self._response: Response | None = None
        super().__init__(address, **options)

    def request(
        self,
        method: str = "GET",
        path: str = "/",
        headers: Mapping[str, str] = ACCEPT,
        version: str = "1.1",
        body: bytes = b"",
        behind: bytes = b"",
    ) -> Response:
        """
        Make a request.

        @param version: the version of HTTP.
        @param body: the body of the request.
        @param behind: bytes to send right after the request, in the same write.
        @return: the response, which is updated as it arrives.
        """
        if self._http.our_state is h11.DONE:
            self._http.start_next_cycle()
        head = [("Host", "localhost"), *headers.items()]
        if body:
            head.append(("Content-Length", str(len(body))))
        sent = cast(bytes, self._http.send(h11.Request(method=method, target=path, headers=head)))
        if body:
            sent += cast(bytes, self._http.send(h11.Data(data=body)))
        self._http.send(h11.EndOfMessage())
        if version != "1.1":
            sent = sent.replace(b" HTTP/1.1\r\n", f" HTTP/{version}\r\n".encode(), 1)
        self._response = response = Response()
        self.write(sent + behind)
        return response

    def received(self, data: bytes) -> None:
        """
        Handle bytes received.
        """
        self._http.receive_data(data)
        self._step()

    def ended(self) -> None:
        """
        Handle the end of the connection, which may end the response.
        """
        if self.lost == "FIN":
            self._http.receive_data(b"")
            self._step()
        if self._response is not None and not self._response.complete:
            self._response.broken = True

    def _step(self) -> None:
        response = self._response
        assert response is not None, "an answer to nothing"
        while not response.complete:
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError:
                # An incomplete body at the end of the connection also raises this.
                response.broken = True
                return
            if isinstance(event, h11.Response):
                response.begin(event.status_code, event.headers)
            elif isinstance(event, h11.Data):
                response.feed(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                response.complete = True
            else:
                return


class _KnowsConnections(Site):
    """
    A site that keeps track of its connections.
    """

    def __init__(self, *args: Any, **kw: Any) -> None:
        super().__init__(*args, **kw)
        self.protocols: set[Any] = set()
        self.displayTracebacks = False

    def buildProtocol(self, addr: Any) -> Any:
        protocol = super().buildProtocol(addr)
        # Forget closed connections, which would keep their requests alive.
        self.protocols = {each for each in self.protocols if _socketBelow(each) is not None}
        self.protocols.add(protocol)
        return protocol


class _GuardedSite(_KnowsConnections, GuardedSite):
    """
    A site with guarded connections.
    """


def _socketBelow(protocol: Any) -> tcp.Connection | None:
    """
    Find the transport with the socket, below TLS and the like, if it is connected.
    """
    # A negotiating protocol holds the channel that it chose.
    transport = getattr(protocol, "_channel", protocol).transport
    while transport is not None and not isinstance(transport, tcp.Connection):
        transport = getattr(transport, "transport", None)
    return transport if transport is not None and transport.connected else None


class Server:
    """
    A site on a free port of the loopback interface, and its clients.
    """

    def __init__(
        self,
        test: TestCase,
        resource: IResource,
        *,
        timeout: float | None = 60,
        tls: bool = False,
        sendBuffer: int | None = None,
        wrap: Callable[[Factory], Factory] | None = None,
        listening: socket.socket | None = None,
        guarded: bool = False,
    ) -> None:
        """
        @param test: the test whose cleanup stops the server.
        @param timeout: the timeout of idle connections, in seconds.
        @param tls: whether to use TLS, with HTTP/2 for clients that offer it.
        @param sendBuffer: the size of the kernel's buffer for each connection in bytes, which the
            kernel doubles.
        @param wrap: wraps the factory of the connections.
        @param listening: a listening socket to use instead of a new one.
        @param guarded: whether the site is a L{GuardedSite}.
        """
        kind = _GuardedSite if guarded else _KnowsConnections
        self.site = kind(resource, reactor=reactor, timeout=timeout)
        factory: Any = self.site if wrap is None else wrap(self.site)
        if listening is not None:
            self.port = reactor.adoptStreamPort(listening.fileno(), socket.AF_INET, factory)
        elif tls:
            self.port = reactor.listenSSL(0, factory, serverContext(), 256, "127.0.0.1")
        else:
            self.port = reactor.listenTCP(0, factory, 256, "127.0.0.1")
        if sendBuffer is not None:
            # Accepted sockets inherit it.
            self.port.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, sendBuffer)
        host = self.port.getHost()
        self.address = (host.host, host.port)
        self.url = f"http{'s' if tls else ''}://{host.host}:{host.port}/"
        self.clients: list[Connection] = []
        # Not the coroutine function itself: Twisted 24.3 does not wait for one.
        test.addCleanup(lambda: Deferred.fromCoroutine(self.stop()))

    def connect(self, kind: type[Any] = Client, **options: Any) -> Any:
        """
        Make a client.
        """
        client = kind(self.address, **options)
        self.clients.append(client)
        return client

    def get(
        self, path: str = "/", headers: Mapping[str, str] = ACCEPT, **options: Any
    ) -> tuple[Client, Response]:
        """
        Make a client and a GET request.
        """
        client = cast(Client, self.connect(Client, **options))
        return client, client.request("GET", path, headers)

    @property
    def connections(self) -> list[tcp.Connection]:
        """
        List the server's ends of all connections.
        """
        found = (_socketBelow(protocol) for protocol in self.site.protocols)
        return [each for each in found if each is not None]

    async def stop(self) -> None:
        """
        Stop the server, all connections and all clients.
        """
        await self.port.stopListening()
        for connection in self.connections:
            connection.abortConnection()
        for client in self.clients:
            client.close()
        await until(lambda: not self.connections, "all connections closed")
        self.site.protocols.clear()


class Reasons:
    """
    An observer that records what happens to streams without keeping them.
    """

    def __init__(self) -> None:
        self.closedFor: list[Any] = []
        self.lost = 0
        self.resets = 0
        self.size = 0

    def opened(self, stream: object) -> None:
        """
        Ignore an opened stream.
        """

    def closed(self, stream: object, reason: object) -> None:
        """
        Record why a stream was closed.
        """
        self.closedFor.append(reason)

    def sent(self, stream: object, events: int, size: int) -> None:
        """
        Count the bytes of a write.
        """
        self.size += size

    def dropped(self, stream: object, events: int) -> None:
        """
        Count dropped events.
        """
        self.lost += events

    def reset(self, stream: object) -> None:
        """
        Count a reset.
        """
        self.resets += 1


class LiveTestCase(TestCase):
    """
    Base class for tests on real sockets.
    """

    timeout = 3 * PATIENCE

    def serve(
        self,
        connected: Callable[[Any], object] | IResource,
        *,
        site: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Server:
        """
        Start a server.

        @param connected: the C{connected} of an L{EventStreamResource}, or any resource.
        @param site: the options of the L{Server}.
        @param options: the options of the L{EventStreamResource}, which becomes C{self.resource}.
        """
        if not IResource.providedBy(connected):
            self.reasons = options.setdefault("observer", Reasons())
            connected = self.resource = EventStreamResource(
                cast(Callable[[Any], object], connected), **options
            )
        return Server(self, cast(IResource, connected), **(site or {}))

    async def stream(self) -> Any:
        """
        Wait for the one open stream.
        """
        await until(lambda: self.resource.streams, "a stream is open")
        [stream] = self.resource.streams
        return stream


class Child(ProcessProtocol):
    """
    A process that reports what happens in it, one JSON value per line.

    @ivar news: the values reported.
    @ivar errors: its standard error.
    @ivar ended: whether it has ended.
    """

    def __init__(self, test: TestCase, *arguments: str, executable: str = sys.executable) -> None:
        """
        @param test: the test whose cleanup stops the process.
        @param arguments: the arguments of the interpreter.
        @param executable: the interpreter, by default Python.
        """
        self.news: list[Any] = []
        self.errors = bytearray()
        self.ended = False
        self._line = b""
        reactor.spawnProcess(
            self,
            executable,
            [executable, *arguments],
            env=None,
            path=str(ROOT),
        )
        # Not the coroutine function itself: Twisted 24.3 does not wait for one.
        test.addCleanup(lambda: Deferred.fromCoroutine(self.stop()))

    def outReceived(self, data: bytes) -> None:
        """
        Record values reported.
        """
        *lines, self._line = (self._line + data).split(b"\n")
        self.news += map(json.loads, lines)

    def errReceived(self, data: bytes) -> None:
        """
        Record standard error.
        """
        self.errors += data

    def processEnded(self, reason: Failure) -> None:
        """
        Record the end.
        """
        self.ended = True
        reason.trap(ProcessDone, ProcessTerminated)

    def told(self, name: str) -> list[Any]:
        """
        List the values reported under this name.
        """
        return [each[name] for each in self.news if name in each]

    async def wait(self, name: str, count: int = 1) -> Any:
        """
        Wait for a report.

        @param name: the name of the report.
        @param count: how many of them, in total.
        @return: the last of them.
        """
        await until(
            lambda: len(self.told(name)) >= count or self.ended,
            f"{count} x {name} reported by the child",
        )
        told = self.told(name)
        assert len(told) >= count, f"the child ended:\n{self.errors.decode()}"
        return told[-1]

    async def stop(self, signal: str = "TERM") -> None:
        """
        Stop the process.
        """
        if not self.ended:
            try:
                self.transport.signalProcess(signal)
            except ProcessExitedAlready:
                pass  # The reactor reports the end once the pipes are closed.
            await until(lambda: self.ended, "the child has ended")
