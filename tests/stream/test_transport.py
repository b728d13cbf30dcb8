"""
Tests for L{twisted_sse.stream.transport}, in memory: when it writes directly, and how it handles
each result of a socket.
"""

from __future__ import annotations

import errno
import struct
from types import MethodType, SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet import tcp
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http import HTTPChannel
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from twisted_sse import CloseReason, EventStream, EventStreamResource
from twisted_sse.guard.pacing import PacedChannel
from twisted_sse.stream import response
from twisted_sse.stream import transport as fastwrite
from twisted_sse.stream.headers import removeEncoder
from twisted_sse.stream.transport import (
    directTransport,
    outstanding,
    unsent,
    writeNow,
)
from twisted_sse.testing import MemoryClient, MemoryStream

try:
    from twisted.internet import unix
except ImportError:  # pragma: no cover
    unix = None  # type: ignore[assignment]


class Socket:
    """
    A socket that accepts a given number of bytes.
    """

    def __init__(self, *takes: int | OSError) -> None:
        self.takes = list(takes)
        self.sent = b""
        self.sends = 0

    def send(self, data: bytes) -> int:
        """
        Accept some bytes, or fail.
        """
        self.sends += 1
        take = self.takes.pop(0) if self.takes else len(data)
        if isinstance(take, OSError):
            raise take
        self.sent += data[:take]
        return min(take, len(data))


def makeTransport(cls: Any, *takes: int | OSError) -> Any:
    """
    Make a server transport with our socket.
    """
    transport = cls.__new__(cls)
    transport.reactor = SimpleNamespace(addWriter=lambda _: None, removeWriter=lambda _: None)
    tcp.abstract.FileDescriptor.__init__(transport, transport.reactor)
    transport.connected = 1
    transport.socket = Socket(*takes)
    return transport


def makeRequest(transport: Any) -> Any:
    """
    Make a chunked request on a transport.
    """
    channel = HTTPChannel()
    channel.transport = StringTransport()
    channel.site = channel.factory = Site(Resource(), reactor=Clock())
    request = Request(channel)
    channel.transport = request.transport = transport
    request.chunked = 1
    request.startedWriting = 1
    return request


def buffered(transport: Any) -> bytes:
    """
    Return the bytes that a transport holds.
    """
    data: bytes = transport.dataBuffer[transport.offset :] + b"".join(transport._tempDataBuffer)
    return data


class DirectTransportTests(SynchronousTestCase):
    """
    Tests for L{directTransport}, which decides by exact types.
    """

    def test_sockets(self) -> None:
        """
        TCP and UNIX socket connections are written to directly.
        """
        for cls in (tcp.Server, unix.Server) if unix is not None else (tcp.Server,):
            transport = makeTransport(cls)
            self.assertIs(directTransport(makeRequest(transport)), transport)

    def test_memory(self) -> None:
        """
        A connection in memory is not written to directly.
        """
        streams: list[EventStream] = []
        MemoryClient(EventStreamResource(streams.append)).get("/")
        self.assertIsNone(streams[0]._response.direct)
        request = streams[0].request
        assert request is not None
        self.assertIsNone(directTransport(request))

    def test_lookAlikes(self) -> None:
        """
        An object with the same attributes is not written to directly, because a TLS transport
        forwards them all.
        """
        transport = makeTransport(tcp.Server)

        class Wrapper:
            def __getattr__(self, name: str) -> Any:
                return getattr(transport, name)

        class Mine(tcp.Server):
            pass

        self.assertIsNone(directTransport(makeRequest(Wrapper())))
        self.assertIsNone(directTransport(makeRequest(makeTransport(Mine))))
        self.assertIsNone(directTransport(makeRequest(None)))

    def test_startedTLS(self) -> None:
        """
        A connection that has switched to TLS is not written to directly, though its type is the
        same.
        """
        transport = makeTransport(tcp.Server)
        transport.TLS = True
        self.assertIsNone(directTransport(makeRequest(transport)))

    def test_channel(self) -> None:
        """
        A request on another channel, such as that of HTTP/2, is not written to directly.
        """

        class Mine(HTTPChannel):
            pass

        request = makeRequest(makeTransport(tcp.Server))
        request.channel = Mine()
        self.assertIsNone(directTransport(request))

    def test_guarded(self) -> None:
        """
        A request on the channel of a guarded site is written to directly.
        """
        request = makeRequest(makeTransport(tcp.Server))
        request.channel = PacedChannel()
        self.assertIs(directTransport(request), request.transport)

    def test_write(self) -> None:
        """
        A request with another C{write}, in its class or itself, is not written to directly.
        """

        class Mine(Request):
            def write(self, data: bytes) -> None:
                pass

        transport = makeTransport(tcp.Server)
        request = makeRequest(transport)
        request.__class__ = Mine
        self.assertIsNone(directTransport(request))
        for write in (lambda data: None, MethodType(lambda self, data: None, request)):
            request = makeRequest(transport)
            request.write = write
            self.assertIsNone(directTransport(request))

    def test_encoder(self) -> None:
        """
        A request with an encoder is written to directly only when that is removed.
        """
        request = makeRequest(makeTransport(tcp.Server))
        request._encoder = object()
        request.responseHeaders.setRawHeaders(b"content-encoding", [b"gzip"])
        self.assertIsNone(directTransport(request))
        removeEncoder(request)
        self.assertIsNotNone(directTransport(request))
        self.assertFalse(request.responseHeaders.hasHeader(b"content-encoding"))

    def test_headerWithoutEncoder(self) -> None:
        """
        Without an encoder to remove, C{Content-Encoding} is left to the application.
        """
        request = makeRequest(makeTransport(tcp.Server))
        request.responseHeaders.setRawHeaders(b"content-encoding", [b"identity"])
        removeEncoder(request)
        self.assertTrue(request.responseHeaders.hasHeader(b"content-encoding"))

    def test_attributesAreGone(self) -> None:
        """
        If Twisted drops the private attributes, the ordinary path is used.
        """
        for name in ("_tempDataBuffer", "dataBuffer"):
            transport = makeTransport(tcp.Server)
            transport.__dict__.pop(name, None)
            if hasattr(tcp.Server, name):
                continue
            self.assertIsNone(directTransport(makeRequest(transport)))


class WriteNowTests(SynchronousTestCase):
    """
    Tests for L{writeNow}.
    """

    def write(self, *takes: int | OSError, chunked: int = 1) -> bool:
        """
        Write C{hello} to a socket that accepts this many bytes.
        """
        self.transport = makeTransport(tcp.Server, *takes)
        self.request = makeRequest(self.transport)
        self.request.chunked = chunked
        return writeNow(self.request, self.transport, b"hello")

    def test_all(self) -> None:
        """
        A frame that the socket accepts needs one C{send}, and the transport holds nothing.
        """
        self.assertIs(self.write(), True)
        self.assertEqual(self.transport.socket.sent, b"5\r\nhello\r\n")
        self.assertEqual(self.transport.socket.sends, 1)
        self.assertEqual(buffered(self.transport), b"")
        self.assertEqual(self.request.sentLength, 5)

    def test_notChunked(self) -> None:
        """
        Without chunked encoding there is no frame.
        """
        self.assertIs(self.write(chunked=0), True)
        self.assertEqual(self.transport.socket.sent, b"hello")
        self.assertEqual(self.request.sentLength, 5)

    def test_some(self) -> None:
        """
        Bytes that the socket does not accept are passed to the transport.
        """
        self.assertIs(self.write(4), False)
        self.assertEqual(self.transport.socket.sent, b"5\r\nh")
        self.assertEqual(buffered(self.transport), b"ello\r\n")

    def test_errors(self) -> None:
        """
        On any socket error the whole frame is passed to the transport.
        """
        for number in (errno.EAGAIN, errno.EPIPE, errno.ECONNRESET, errno.ENOBUFS, errno.EINTR):
            self.assertIs(self.write(OSError(number, "no")), False)
            self.assertEqual(self.transport.socket.sent, b"")
            self.assertEqual(buffered(self.transport), b"5\r\nhello\r\n")
            self.assertEqual(self.request.sentLength, 5)

    def test_behind(self) -> None:
        """
        While the transport holds anything, the socket is not used.
        """
        for hold in ("temporary", "buffer"):
            self.write()
            if hold == "temporary":
                self.transport.write(b"before")
            else:
                self.transport.dataBuffer = b"before"
            self.assertIs(writeNow(self.request, self.transport, b"after"), False)
            self.assertEqual(self.transport.socket.sends, 1)
            self.assertEqual(buffered(self.transport), b"before5\r\nafter\r\n")

    @given(
        st.lists(st.binary(min_size=1, max_size=50), min_size=1, max_size=30),
        st.lists(st.one_of(st.integers(0, 60), st.just(-1)), max_size=30),
        st.lists(st.booleans(), min_size=30, max_size=30),
    )
    def test_order(self, frames: list[bytes], takes: list[int], drains: list[bool]) -> None:
        """
        Whatever the socket accepts and whenever the transport sends, the bytes are the same and in
        order.
        """
        answers = [OSError(errno.EAGAIN, "no") if take < 0 else take for take in takes]
        transport = makeTransport(tcp.Server, *answers)
        request = makeRequest(transport)
        for frame, drain in zip(frames, drains, strict=False):
            writeNow(request, transport, frame)
            if drain:
                transport.socket.sent += buffered(transport)
                transport.dataBuffer, transport.offset = b"", 0
                transport._tempDataBuffer, transport._tempDataLen = [], 0
        ordinary = b"".join(b"%x\r\n%b\r\n" % (len(frame), frame) for frame in frames)
        self.assertEqual(transport.socket.sent + buffered(transport), ordinary)
        self.assertEqual(request.sentLength, sum(map(len, frames)))


class UnsentTests(SynchronousTestCase):
    """
    Tests for L{unsent} and L{outstanding}.
    """

    def test_socket(self) -> None:
        """
        Bytes held by a transport are counted.
        """
        transport = makeTransport(tcp.Server)
        request = makeRequest(transport)
        self.assertEqual(unsent(request), 0)
        transport.write(b"12345")
        self.assertEqual(unsent(request), 5)
        transport.dataBuffer = b"abcdef"
        transport.offset = 2
        self.assertEqual(unsent(request), 9)

    def test_layers(self) -> None:
        """
        Bytes held by each layer of TLS are counted, too.
        """
        below = makeTransport(tcp.Server)
        below.write(b"123")
        tls = SimpleNamespace(
            transport=below,
            _appSendBuffer=[b"ab", b"c"],
            _aggregator=SimpleNamespace(_buffer=[b"x"]),
        )
        self.assertEqual(unsent(makeRequest(tls)), 7)

    def test_http2(self) -> None:
        """
        For HTTP/2 the bytes in the stream's queue are counted, without its end mark.
        """
        queues = {1: [b"abc", b"de", object()]}
        channel = SimpleNamespace(streamID=1, _conn=SimpleNamespace(_outboundStreamQueues=queues))
        request: Any = SimpleNamespace(transport=None, channel=channel)
        self.assertEqual(unsent(request), 5)
        del queues[1]
        self.assertIsNone(unsent(request))

    def test_finished(self) -> None:
        """
        A request over HTTP/2 that is finished, and so has no channel, holds nothing.
        """
        request: Any = SimpleNamespace(transport=None)
        self.assertIsNone(unsent(request))
        self.assertEqual(outstanding(request), 0)

    def test_unknown(self) -> None:
        """
        The result is L{None} where it is unknown.
        """
        self.assertIsNone(unsent(makeRequest(object())))
        below = SimpleNamespace(transport=object())
        self.assertIsNone(unsent(makeRequest(below)))
        request: Any = SimpleNamespace(transport=None, channel=object())
        self.assertIsNone(unsent(request))

    def test_outstanding(self) -> None:
        """
        In memory, C{outstanding} counts the bytes that the client has not received.
        """
        streams: list[EventStream] = []
        browser = MemoryClient(EventStreamResource(streams.append)).get("/")
        browser.stopReading(kernelBuffer=0)
        streams[0].send("x")
        request = streams[0].request
        assert request is not None
        before = outstanding(request)
        self.assertEqual(before, unsent(request))
        self.assertGreater(unsent(request) or 0, 0)
        browser._transport.kernelBuffer = 3
        browser._clock.settle()
        self.assertEqual(outstanding(request), before - 3)

    def test_outstandingOfASocketThatDoesNotTell(self) -> None:
        """
        If the kernel does not report its buffered bytes, C{outstanding} counts the unsent bytes.
        """

        def noAnswer(*_: object) -> bytes:
            raise OSError(errno.ENOTTY, "no")

        self.patch(fastwrite, "ioctl", noAnswer)
        transport = makeTransport(tcp.Server)
        transport.fileno = lambda: 0
        transport.write(b"123")
        self.assertEqual(outstanding(makeRequest(transport)), 3)

    def test_outstandingOfASocket(self) -> None:
        """
        For a socket, or TLS over one, C{outstanding} counts the unsent bytes and those the kernel
        holds.
        """
        self.patch(fastwrite, "ioctl", lambda *_: struct.pack("i", 4711))
        transport = makeTransport(tcp.Server)
        transport.fileno = lambda: 0
        transport.write(b"123")
        self.assertEqual(outstanding(makeRequest(transport)), 4714)
        tls = SimpleNamespace(
            transport=transport, _appSendBuffer=[], _aggregator=SimpleNamespace(_buffer=[])
        )
        self.assertEqual(outstanding(makeRequest(tls)), 4714)


class StreamTests(SynchronousTestCase):
    """
    Tests for streams with direct writes.
    """

    def connect(self, refuses: bool, **options: Any) -> MemoryStream:
        """
        Open a stream whose socket accepts everything, or nothing.
        """

        def direct(request: Any) -> Any:
            transport = request.transport

            def send(data: bytes) -> int:
                self.sends += 1
                if refuses:
                    raise OSError(errno.EAGAIN, "no")
                return transport.writeSomeData(data)  # type: ignore[no-any-return]

            transport.socket = SimpleNamespace(send=send)
            return transport

        self.sends = 0
        self.patch(response, "directTransport", direct)
        streams: list[EventStream] = []
        self.client = MemoryClient(EventStreamResource(streams.append, **options))
        browser = self.client.get("/")
        [self.stream] = streams
        return browser

    def test_same(self) -> None:
        """
        The same events arrive, whatever the socket accepts and however the client reads.
        """
        for refuses in (True, False):
            browser = self.connect(refuses, maxPending=2**22)
            expected = []
            for number in range(300):
                if number % 50 == 20:
                    browser.stopReading(kernelBuffer=10_000)
                if number % 50 == 45:
                    browser.resumeReading()
                text = f"{number}:".ljust(number * 20, "f")
                self.stream.send(text)
                expected.append(text)
            browser.resumeReading()
            self.stream.end()
            self.client.clock.advance(1)
            self.assertEqual([event.data for event in browser.events], expected)
            self.assertTrue(browser.complete)
            self.assertGreater(self.sends, 10)

    def test_oneSend(self) -> None:
        """
        An event for a client that reads takes one C{send}, made immediately.
        """
        browser = self.connect(False)
        for number in range(10):
            self.stream.send(str(number))
            self.assertEqual(self.sends, number + 1)
        self.assertEqual(len(browser.events), 10)

    def test_stalls(self) -> None:
        """
        A client whose socket accepts nothing is watched immediately, with or without a heartbeat.
        """
        browser = self.connect(True, heartbeat=None, stallTimeout=60)
        browser.stopReading(kernelBuffer=0)
        reasons: list[CloseReason] = []
        self.stream.whenClosed().addCallback(reasons.append)
        self.stream.send("a little")
        self.client.clock.advance(76)
        self.assertEqual(reasons, [CloseReason.STALLED])
        self.assertEqual(self.client.clock.getDelayedCalls(), [])


class SwitchTests(SynchronousTestCase):
    """
    Tests for C{fastWrite}.
    """

    def test_off(self) -> None:
        """
        Direct writes can be turned off for a class of resources.
        """

        class Slow(EventStreamResource):
            fastWrite = False

        self.assertFalse(Slow(print)._group.options.fastWrite)
        self.assertTrue(EventStreamResource(print)._group.options.fastWrite)
