"""
Tests for direct writes: where they are used, and that they send the same bytes as the slow path.
"""

from __future__ import annotations

import errno
import os
import random
import shutil
import socket
import struct
import tempfile
from collections.abc import Callable
from typing import Any

from twisted.internet import tcp
from twisted.internet.task import deferLater
from twisted.protocols.haproxy._wrapper import HAProxyWrappingFactory
from twisted.protocols.policies import ThrottlingFactory, WrappingFactory
from twisted.web.http import HTTPChannel
from twisted.web.resource import EncodingResourceWrapper
from twisted.web.server import GzipEncoderFactory, Request

from tests.support.certificates import serverContext
from tests.support.live import Client, LiveTestCase, Response, reactor, until
from tests.support.requirements import needs
from tests.support.writes import SlowResource, WriteCounter, hasTLS
from twisted_sse import CloseReason, Event, EventStreamResource
from twisted_sse.stream.transport import directTransport

#: Text that occurs in the frames of events and in no handshake.
MARK = "plain-text-of-an-event"


def greet(stream: Any) -> None:
    """
    Send an event right after the headers.
    """
    stream.open()
    stream.send(f"{MARK} 0")


@needs("network")
class DecisionTests(LiveTestCase):
    """
    Tests for where direct writes are used.
    """

    async def decide(self, **site: Any) -> tuple[Any, Client, Response]:
        """
        Serve a stream, and return the transport of its direct writes.
        """
        server = self.serve(greet, site=site)
        client, response = server.get(tls=site.get("tls", False))
        await until(lambda: response.events)
        stream = await self.stream()
        self.assertIs(stream._response.direct, directTransport(stream.request))
        # The decision applies to events sent after it.
        stream.send("again")
        await until(lambda: response.data[-1] == "again")
        self.assertEqual(response.data, [f"{MARK} 0", "again"])
        return stream._response.direct, client, response

    async def test_tcp(self) -> None:
        """
        HTTP/1.1 on a TCP socket uses direct writes.
        """
        transport, _, _ = await self.decide()
        self.assertIs(type(transport), tcp.Server)

    async def test_unix(self) -> None:
        """
        A UNIX socket uses direct writes.
        """
        folder = tempfile.mkdtemp(prefix="twisted-sse-")
        self.addCleanup(shutil.rmtree, folder)
        path = f"{folder}/socket"
        self.resource = EventStreamResource(greet)
        server = self.serve(self.resource)
        port = reactor.listenUNIX(path, server.site)
        self.addCleanup(port.stopListening)
        connected = socket.socket(socket.AF_UNIX)
        connected.connect(path)
        client = Client(connected)
        self.addCleanup(client.close)
        response = client.request()
        await until(lambda: response.events)
        stream = await self.stream()
        self.assertIs(stream._response.direct, stream.request.transport)
        stream.abort()

    async def test_http10(self) -> None:
        """
        HTTP/1.0 uses direct writes, without chunks.
        """
        server = self.serve(greet)
        client = server.connect()
        response = client.request(version="1.0")
        await until(lambda: response.events)
        stream = await self.stream()
        self.assertIsNotNone(stream._response.direct)
        stream.send("again")
        await until(lambda: response.data[-1] == "again")
        self.assertTrue(bytes(response.body).endswith(b"\n\ndata: again\n\n"))

    async def test_tls(self) -> None:
        """
        A TLS connection does not use direct writes, though its transport has a socket's attributes.
        """
        transport, _, _ = await self.decide(tls=True)
        self.assertIsNone(transport)

    async def test_startTLS(self) -> None:
        """
        A connection switched to TLS does not use direct writes, though its type is the same.
        """
        decided: list[Any] = []

        def connected(stream: Any) -> None:
            greet(stream)
            # As at the start of a protocol with STARTTLS.
            stream.request.transport.startTLS(serverContext())
            decided.append((type(stream.request.transport), directTransport(stream.request)))
            stream.abort()

        server = self.serve(connected)
        server.get()
        await until(lambda: decided)
        self.assertEqual(decided, [(tcp.Server, None)])

    async def test_wrapped(self) -> None:
        """
        A connection inside a wrapper does not use direct writes.
        """

        def throttle(factory: Any) -> Any:
            throttled = ThrottlingFactory(factory, writeLimit=10**6)
            self.addCleanup(self.stopThrottling, throttled)
            return throttled

        for wrap in throttle, WrappingFactory:
            transport, _, _ = await self.decide(wrap=wrap)
            self.assertIsNone(transport)

    def stopThrottling(self, factory: Any) -> None:
        """
        Cancel the calls that a throttling factory leaves.
        """
        for name in "unthrottleReadsID", "checkReadBandwidthID":
            self.cancel(getattr(factory, name))
        for name in "unthrottleWritesID", "checkWriteBandwidthID":
            self.cancel(getattr(factory, name))

    def cancel(self, call: Any) -> None:
        """
        Cancel a call, if there is one.
        """
        if call is not None and call.active():
            call.cancel()

    async def test_proxied(self) -> None:
        """
        A connection with the PROXY protocol does not use direct writes, and has the client's
        address from it.
        """
        server = self.serve(greet, site={"wrap": HAProxyWrappingFactory})
        client = server.connect()
        client.write(b"PROXY TCP4 192.0.2.7 192.0.2.8 50000 80\r\n")
        response = client.request()
        await until(lambda: response.events)
        stream = await self.stream()
        self.assertIsNone(stream._response.direct)
        self.assertEqual(stream.clientAddress, "192.0.2.7")
        stream.send("again")
        await until(lambda: response.data == [f"{MARK} 0", "again"])

    async def decideFor(self, requestFactory: Any) -> Any:
        """
        Serve a stream with another class of requests.
        """
        server = self.serve(greet)
        server.site.requestFactory = requestFactory
        _, response = server.get()
        await until(lambda: response.events)
        return (await self.stream())._response.direct

    async def test_requests(self) -> None:
        """
        A request class with its own C{write} does not use direct writes, and another subclass does.
        """

        class Counting(Request):
            def write(self, data: bytes) -> None:
                super().write(data)

        class Harmless(Request):
            pass

        self.assertIsNone(await self.decideFor(Counting))
        self.assertIsNotNone(await self.decideFor(Harmless))

    async def test_requestInstance(self) -> None:
        """
        A request object with its own C{write} does not use direct writes.
        """

        def make(*args: Any) -> Request:
            request = Request(*args)
            write = request.write
            request.write = lambda data: write(data)
            return request

        self.assertIsNone(await self.decideFor(make))

    async def test_guarded(self) -> None:
        """
        The streams of a guarded site use direct writes.
        """
        self.assertIsNotNone((await self.decide(guarded=True))[0])

    async def test_channel(self) -> None:
        """
        A subclass of L{HTTPChannel} does not use direct writes.
        """

        class Channel(HTTPChannel):
            def writeSequence(self, iovec: Any) -> None:
                super().writeSequence(iovec)

        server = self.serve(greet)
        plain = server.site.buildProtocol

        def build(address: Any) -> Any:
            protocol = plain(address)
            protocol._channel.__class__ = Channel
            return protocol

        server.site.buildProtocol = build
        _, response = server.get()
        await until(lambda: response.events)
        self.assertIsNone((await self.stream())._response.direct)

    async def test_switchedOff(self) -> None:
        """
        A resource with direct writes turned off does not use them.
        """
        self.resource = SlowResource(greet)
        server = self.serve(self.resource)
        _, response = server.get()
        await until(lambda: response.events)
        self.assertIsNone((await self.stream())._response.direct)

    async def test_encoder(self) -> None:
        """
        A wrapper that compresses does not prevent direct writes, because its encoder is removed.
        """
        self.resource = EventStreamResource(greet)
        server = self.serve(EncodingResourceWrapper(self.resource, [GzipEncoderFactory()]))
        _, response = server.get(headers={"Accept": "text/event-stream", "Accept-Encoding": "gzip"})
        await until(lambda: response.events)
        self.assertIsNotNone((await self.stream())._response.direct)


@needs("network")
class SecrecyTests(LiveTestCase):
    """
    Tests for the bytes on the wire of a TLS connection.
    """

    if not hasTLS:
        skip = "network (TLS needs the extra tls)"

    async def test_noPlainText(self) -> None:
        """
        No part of a stream is sent as plain text.
        """

        def connected(stream: Any) -> None:
            greet(stream)
            stream.send(f"{MARK} 1")
            stream.every(0.01, lambda: f"{MARK} tick")

        server = self.serve(connected, heartbeat=0.05, maxPending=2**24, site={"tls": True})
        client, response = server.get(tls=True, record=True)
        await until(lambda: len(response.events) > 5)
        stream = await self.stream()
        for number in range(200):
            stream.send(f"{MARK} {number} " * (number * 10 + 1))
            if not number % 20:
                await deferLater(reactor, 0)
        stream.end()
        await until(lambda: response.complete or client.lost)
        self.assertTrue(response.complete)
        self.assertGreater(len(response.events), 200)
        self.assertGreater(len(client.wire), 10**6)
        for text in MARK, "data:", "event-stream", "\r\n0\r\n", "HTTP/1.1":
            self.assertNotIn(text.encode(), client.wire)
        # All of it is TLS (RFC 8446, 5.1).
        wire = memoryview(client.wire)
        while wire:
            kind, _, length = struct.unpack("!BHH", wire[:5])
            self.assertIn(kind, (20, 21, 22, 23))
            self.assertGreaterEqual(len(wire), 5 + length)
            wire = wire[5 + length :]


@needs("network")
class EqualityTests(LiveTestCase):
    """
    Tests that direct writes and the slow path look the same to a client.
    """

    def script(self, seed: int) -> list[tuple[str, int]]:
        """
        Make a random sequence of events, reactor turns, and a reader that stops and resumes.
        """
        choose = random.Random(seed)
        sizes = [0, 1, 15, 16, 100, 4095, 4096, 4097, 2**15, 2**16, 2**17, 2**20]
        weights = [4, 4, 8, 8, 16, 4, 4, 4, 2, 2, 1, 0.3]
        steps: list[tuple[str, int]] = []
        for _ in range(250):
            what = choose.choices(["send", "turn", "stop", "go", "write"], [12, 6, 1, 2, 1])[0]
            [size] = choose.choices(sizes, weights)
            steps.append((what, size))
        return steps

    async def play(self, steps: list[tuple[str, int]], kind: Callable[..., Any]) -> Response:
        """
        Run such a sequence.

        @return: the response.
        """
        self.resource = kind(lambda stream: None, maxPending=2**30, stallTimeout=None)
        server = self.serve(self.resource, site={"sendBuffer": 2**15})
        client, response = server.get(receiveBuffer=2**15)
        stream = await self.stream()
        self.assertEqual(stream._response.direct is None, kind is SlowResource)
        request = stream.request
        closed = stream.whenClosed()
        for number, (what, size) in enumerate(steps):
            if what == "send":
                self.assertTrue(stream.send("x" * size, id=str(number)))
                self.waited += bool(stream.bytesPending)
            elif what == "write" and not stream.bytesPending:
                # The application writes to the request itself, which must keep its place.
                request.write(b"id: %d\ndata:\n\n" % number)
            elif what == "turn":
                await deferLater(reactor, 0)
            elif what == "stop":
                client.stopReading()
            elif what == "go":
                client.startReading()
        client.startReading()
        stream.end()
        self.assertEqual(await closed, CloseReason.ENDED)
        await until(lambda: response.complete)
        self.assertEqual(request.sentLength, len(response.body))
        return response

    async def test_random(self) -> None:
        """
        Whatever the sizes and whenever the client stalls, the bytes are the same and in order.
        """
        self.waited = 0
        for seed in range(6):
            steps = self.script(seed)
            fast = await self.play(steps, EventStreamResource)
            # Bytes written to the request keep their place only if nothing is queued.
            alike = [step for step in steps if step[0] != "write"]
            ids = [int(event.lastEventID) for event in fast.events]
            self.assertEqual(ids, sorted(ids), f"seed {seed}")
            self.assertEqual(ids[-1:], [max(ids)])
            sizes = [size for what, size in steps if what == "send"]
            sent = [len(e.data) for e in fast.events if steps[int(e.lastEventID)][0] == "send"]
            self.assertEqual(sent, sizes, f"seed {seed}")
            fast = await self.play(alike, EventStreamResource)
            slow = await self.play(alike, SlowResource)
            self.assertTrue(fast.body == slow.body, f"seed {seed}")
        self.assertGreater(self.waited, 100)


@needs("network")
class CostTests(LiveTestCase):
    """
    Tests for the cost of one event.
    """

    async def counted(self, kind: Callable[..., Any] = EventStreamResource) -> Any:
        """
        Serve a stream, and start to count.
        """
        self.resource = kind(greet, heartbeat=None)
        server = self.serve(self.resource)
        _, response = server.get()
        await until(lambda: response.events)
        stream = await self.stream()
        transport = stream.request.transport
        counter = transport.socket = WriteCounter(transport.socket)
        self.armed: list[str] = []

        def count(name: str) -> None:
            real = getattr(reactor, name)

            def call(descriptor: Any) -> None:
                if descriptor is transport:
                    self.armed.append(name)
                real(descriptor)

            self.patch(reactor, name, call)

        for name in "addWriter", "removeWriter", "addReader", "removeReader":
            count(name)
        return stream, counter, response

    async def test_oneSend(self) -> None:
        """
        An event is one C{send}, and involves no call on the reactor.
        """
        stream, counter, response = await self.counted()
        calls = set(reactor.getDelayedCalls())
        for number in range(100):
            stream.send(str(number))
            # Before any other call runs.
            self.assertEqual(len(counter.sent), number + 1)
        self.assertEqual(set(reactor.getDelayedCalls()), calls)
        await until(lambda: len(response.events) == 101)
        self.assertEqual(self.armed, [])
        self.assertEqual(len(counter.sent), 100)
        # The whole frame: the size in hexadecimal and the data, each followed by CRLF.
        self.assertEqual(counter.sent[0], len(b"9\r\ndata: 0\n\n\r\n"))

    async def test_slowForComparison(self) -> None:
        """
        The slow path uses the reactor, which shows that the counters work.
        """
        stream, _, response = await self.counted(SlowResource)
        stream.send("one")
        await until(lambda: len(response.events) == 2)
        self.assertEqual(self.armed, ["addWriter", "removeWriter"])

    async def test_comment(self) -> None:
        """
        A comment, or an event of C{every}, is at most one C{send}, and involves no call on the
        reactor.
        """
        stream, counter, response = await self.counted()
        stream.comment("nothing")
        stream.every(0.005, lambda: Event("tick"))
        await until(lambda: len(response.events) >= 6)
        self.assertEqual(self.armed, [])
        self.assertLessEqual(len(counter.sent), stream.eventsSent)

    async def test_batch(self) -> None:
        """
        The events that a generator yields in one turn are one C{send}.
        """

        def connected(stream: Any) -> Any:
            yield "first"
            transport = stream.request.transport
            counters.append(WriteCounter(transport.socket))
            transport.socket = counters[0]
            for number in range(40):
                yield str(number)

        counters: list[WriteCounter] = []
        server = self.serve(connected)
        _, response = server.get()
        await until(lambda: response.complete)
        self.assertEqual(len(response.events), 41)
        # The first event is sent with the headers, the rest in one piece unless time runs out, then
        # the end.
        self.assertLess(len(counters[0].sent), 8)

    async def test_sentLength(self) -> None:
        """
        C{sentLength}, which the access log shows, is the length of the body.
        """
        stream, _, response = await self.counted()
        request = stream.request
        for number in range(10):
            stream.send("x" * number)
        stream.end()
        await until(lambda: response.complete)
        self.assertEqual(request.sentLength, len(response.body))


class FailingSocket(WriteCounter):
    """
    A socket that fails.
    """

    error = errno.ECONNRESET

    def send(self, data: bytes) -> int:
        """
        Fail.
        """
        self.sent.append(0)
        raise OSError(self.error, os.strerror(self.error))


@needs("network")
class BrokenTests(LiveTestCase):
    """
    Tests for connections that break during a direct write.
    """

    async def begin(self) -> tuple[Client, Any]:
        """
        Serve a stream.
        """
        server = self.serve(greet, heartbeat=None)
        client, response = server.get()
        await until(lambda: response.events)
        return client, await self.stream()

    async def test_reset(self) -> None:
        """
        After an unnoticed reset C{send} accepts events without raising, and the stream is closed in
        a later turn.
        """
        client, stream = await self.begin()
        ended: list[object] = []
        stream.whenClosed().addCallback(ended.append)
        client.reset()
        # ECONNRESET the first time, EPIPE the second.
        for _ in range(3):
            self.assertTrue(stream.send("into the void"))
        self.assertEqual(ended, [])
        await until(lambda: ended)
        self.assertEqual(ended, [CloseReason.CLIENT])
        self.assertEqual(self.resource.streams, frozenset())
        self.assertFalse(stream.send("too late"))

    async def test_errors(self) -> None:
        """
        On any socket error, the stream is closed as if the error had occurred in the transport.
        """
        for error in errno.ECONNRESET, errno.EPIPE, errno.ETIMEDOUT, errno.EHOSTUNREACH:
            _, stream = await self.begin()
            transport = stream.request.transport
            failing = FailingSocket(transport.socket)
            failing.error = error
            transport.socket = failing
            closed = stream.whenClosed()
            self.assertTrue(stream.send("lost"))
            self.assertFalse(closed.called)
            self.assertEqual(await closed, CloseReason.CLIENT)
            # Once by the stream, once by the transport.
            self.assertEqual(len(failing.sent), 2)

    async def test_full(self) -> None:
        """
        When a socket accepts only part of an event, the transport sends the rest.
        """
        server = self.serve(greet, heartbeat=None)
        _, response = server.get()
        await until(lambda: response.events)
        stream = await self.stream()
        transport = stream.request.transport

        class Narrow(WriteCounter):
            def send(self, data: bytes) -> int:
                if not len(self.sent) % 3:
                    self.sent.append(0)
                    raise BlockingIOError(errno.EAGAIN, "no room")
                self.sent.append(self.real.send(data[:7]))
                return self.sent[-1]

        transport.socket = Narrow(transport.socket)
        expected = [str(number) * number for number in range(30)]
        for data in expected:
            stream.send(data)
            if len(data) % 2:
                await deferLater(reactor, 0)
        await until(lambda: len(response.events) == 31)
        self.assertEqual(response.data[1:], expected)
