"""
Tests for L{twisted_sse.channel.channel}, in memory: direct writes to a socket, HTTP/1.0, HTTP/2 and
slim streams.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

import twisted_sse.stream.response
from tests.support.channels import ChannelTestCase, data, heads
from twisted_sse import CloseReason, EventStream
from twisted_sse.format.encoded import PIECE
from twisted_sse.stream.response import Response


class DirectTests(ChannelTestCase):
    """
    Tests for events written directly to a socket.
    """

    def setUp(self) -> None:
        """
        Enable direct writes.
        """
        self.fastWrites()

    def test_equal(self) -> None:
        """
        Direct writes send the same bytes as the slow path, for HTTP/1.1 and HTTP/1.0, and are
        counted.
        """
        channel = self.serve()
        browsers = [self.connect(version=version) for version in ("HTTP/1.1", "HTTP/1.0")]
        self.patch(twisted_sse.stream.response, "directTransport", lambda request: None)
        browsers.append(self.connect())
        marks = [browser.text for browser in browsers]
        events = [channel.publish(str(number)) for number in range(5)]
        self.clock.settle()
        expected = b"".join(event.encode() for event in events).decode()
        for browser, mark, stream in zip(browsers, marks, self.streams, strict=True):
            self.assertEqual(browser.text, mark + expected)
            self.assertEqual(stream.eventsSent, 5)
            request = stream.request
            assert request is not None
            # On the slow path, Twisted counts the framing, too.
            self.assertGreaterEqual(request.sentLength, len(browser.body))
        for browser in browsers:
            browser.disconnect()
            self.assertTrue(browser.ended)

    def test_partly(self) -> None:
        """
        Bytes that the socket does not accept follow in order, and a stall is detected.
        """
        channel = self.serve(stallTimeout=60)
        browser = self.connect()
        browser.stopReading(kernelBuffer=50)
        for number in range(30):
            channel.publish(str(number))
            self.turn()
        self.assertGreater(browser._transport._held(), 0)
        browser.resumeReading()
        self.assertEqual(data(browser), [str(number) for number in range(30)])
        browser.stopReading(kernelBuffer=5)
        channel.publish("x")
        self.clock.advance(62)
        self.assertIs(self.reason(self.streams[0]), CloseReason.STALLED)

    def test_behindWhatWaits(self) -> None:
        """
        A published event does not overtake queued events, in the stream or in its transport.
        """
        channel = self.serve()
        browser = self.connect()
        [stream] = self.streams
        stream._response.cork()
        stream.send("1")
        channel.publish("2")
        self.turn()
        stream._response.uncork()
        self.assertEqual(data(browser), ["1", "2"])
        browser.stopReading(kernelBuffer=20)
        channel.publish("3" * 100)
        self.turn()
        transport: Any = browser._transport
        transport.kernelBuffer += 30
        self.turn()
        self.assertTrue(transport.dataBuffer)
        self.assertFalse(transport._tempDataBuffer)
        channel.publish("4")
        transport.reading = True
        transport.deliver()
        self.assertEqual(data(browser), ["1", "2", "3" * 100, "4"])

    def test_stallsWithoutHeartbeat(self) -> None:
        """
        A stall is detected without a heartbeat, too.
        """
        channel = self.serve(stallTimeout=60, heartbeat=None)
        browser = self.connect()
        self.clock.advance(100)
        browser.stopReading(kernelBuffer=5)
        channel.publish("x")
        self.clock.advance(61)
        self.assertIs(self.reason(self.streams[0]), CloseReason.STALLED)

    def test_socketError(self) -> None:
        """
        A socket error ends only its own stream.
        """
        channel = self.serve()
        browsers = [self.connect() for _ in range(3)]

        def lost(*arguments: object) -> int:
            raise ConnectionResetError

        direct: Any = self.streams[1]._response.direct
        direct.send = lost
        channel.publish("x")
        self.turn()
        browsers[1].disconnect(reset=True)
        self.assertEqual([data(browser) for browser in browsers[::2]], [["x"]] * 2)
        self.assertEqual(channel.streams, set(self.streams[::2]))


class TransportTests(ChannelTestCase):
    """
    Tests for other kinds of connection.
    """

    def test_http10(self) -> None:
        """
        An HTTP/1.0 client gets replay and events like any other.
        """
        channel = self.serve()
        first = channel.publish("0")
        channel.publish("1")
        browser = self.connect(first.id or "", version="HTTP/1.0")
        channel.publish("2")
        self.assertEqual(data(browser), ["1", "2"])
        self.assertNotIn("transfer-encoding", browser.headers)
        channel.close()
        self.assertTrue(browser.complete)

    def test_http2(self) -> None:
        """
        On a transport that never pauses its producer, at most two pieces are handed over at a time,
        live or in a replay.
        """
        self.patch(Response, "pauseProducing", lambda stream: None)
        channel = self.serve(maxPending=2**24)
        waiting: list[Deferred[None]] = []

        def connected(stream: EventStream) -> Deferred[None]:
            stream._response.http2 = True
            request: Any = stream.request
            request.channel.abortConnection = request.transport.abortConnection
            waiting.append(Deferred())
            channel.subscribe(stream)
            return waiting[-1]

        first = channel.publish("first")
        sent = [f"{number} ".ljust(5000, "-") for number in range(200)]
        for each in sent[:100]:
            channel.publish(each)
        browsers = [self.connect(identifier, instead=connected) for identifier in ("", first.id)]
        for browser in browsers:
            browser.stopReading(kernelBuffer=0)
        for each in waiting:
            each.callback(None)
        for each in sent[100:]:
            channel.publish(each)
            self.turn()
        self.clock.advance(3)
        for browser in browsers:
            self.assertLess(browser._transport._held(), 2 * PIECE + 1000)
            browser.resumeReading()
        self.clock.advance(5)
        self.assertEqual(heads(data(browsers[0])), heads(sent[100:]))
        self.assertEqual(heads(data(browsers[1])), heads(sent))

    def test_slim(self) -> None:
        """
        A slim stream resumes like any other, even when it subscribes after its headers.
        """
        channel = self.serve(slim=True)
        first = channel.publish("0")
        channel.publish("1")
        later: Deferred[None] = Deferred()

        async def connected(stream: EventStream) -> None:
            stream.open()
            await later
            channel.subscribe(stream)

        browser = self.connect(first.id or "", instead=connected)
        later.callback(None)
        self.assertEqual(data(browser), ["1"])
