"""
Tests for streams on real sockets: HTTP/1 requests, and clients that disconnect.
"""

from __future__ import annotations

import itertools
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.web.resource import EncodingResourceWrapper, Resource
from twisted.web.server import GzipEncoderFactory

from tests.support.live import LiveTestCase, reactor, until
from tests.support.live_streams import NARROW, SMALL, greet
from tests.support.requirements import needs
from twisted_sse import CloseReason, EventStreamResource


@needs("network")
class RequestTests(LiveTestCase):
    """
    Tests for requests and their responses.
    """

    async def test_http11(self) -> None:
        """
        Over HTTP/1.1 events arrive in chunks as they are sent, and the response ends properly.
        """
        server = self.serve(greet)
        _, response = server.get()
        await until(lambda: response.events)
        stream = await self.stream()
        stream.send("again", event="greeting")
        await until(lambda: len(response.events) == 2)
        stream.end()
        await until(lambda: response.complete)
        self.assertEqual(response.status, 200)
        self.assertEqual(response.headers["content-type"], "text/event-stream; charset=utf-8")
        self.assertEqual(response.headers["transfer-encoding"], "chunked")
        self.assertNotIn("connection", response.headers)
        self.assertEqual(
            [(event.type, event.data, event.lastEventID) for event in response.events],
            [("message", "hello", "1"), ("greeting", "again", "1")],
        )
        self.assertEqual(self.reasons.closedFor, [CloseReason.ENDED])

    async def test_http10(self) -> None:
        """
        Over HTTP/1.0 events arrive without chunks, and the stream ends with the connection.
        """
        server = self.serve(greet)
        client = server.connect()
        response = client.request(version="1.0")
        await until(lambda: response.events)
        self.assertNotIn("transfer-encoding", response.headers)
        (await self.stream()).end()
        await until(lambda: client.lost)
        self.assertEqual(client.lost, "FIN")
        self.assertTrue(response.complete)
        self.assertEqual(bytes(response.body), b":\nretry: 3000\nid: 1\ndata: hello\n\n")

    async def test_errorHTTP11(self) -> None:
        """
        A stream that fails is cut off without the last chunk, so that it does not look complete.
        """

        def failing(stream: Any) -> Any:
            yield "first"
            raise RuntimeError("second")

        server = self.serve(failing)
        client, response = server.get()
        await until(lambda: client.lost)
        self.assertEqual(response.data, ["first"])
        self.assertTrue(response.broken)
        self.assertEqual(self.reasons.closedFor, [CloseReason.ERROR])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    async def test_errorHTTP10(self) -> None:
        """
        Over HTTP/1.0 a stream that fails is reset, because nothing else would look incomplete.
        """

        def failing(stream: Any) -> Any:
            yield "first"
            yield from ()
            raise RuntimeError("second")

        server = self.serve(failing)
        client = server.connect()
        client.request(version="1.0")
        await until(lambda: client.lost)
        self.assertEqual(client.lost, "RST")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    async def test_head(self) -> None:
        """
        HEAD gets only the headers, and the connection can be reused.
        """
        called: list[Any] = []
        server = self.serve(called.append)
        client = server.connect()
        response = client.request("HEAD")
        await until(lambda: response.complete)
        self.assertEqual(response.status, 200)
        self.assertEqual(response.headers["content-type"], "text/event-stream; charset=utf-8")
        self.assertEqual((bytes(response.body), called), (b"", []))
        again = client.request("HEAD")
        await until(lambda: again.complete)
        self.assertIsNone(client.lost)

    async def test_options(self) -> None:
        """
        OPTIONS gets a 204 with the allowed methods, and the connection can be reused.
        """
        server = self.serve(greet)
        client = server.connect()
        response = client.request("OPTIONS")
        await until(lambda: response.complete)
        self.assertEqual(response.status, 204)
        self.assertEqual(response.headers["allow"], "GET, HEAD, OPTIONS")
        again = client.request()
        await until(lambda: again.events)

    async def test_postRefused(self) -> None:
        """
        POST is refused unless it is allowed.
        """
        server = self.serve(greet)
        response = server.connect().request("POST", body=b"question")
        await until(lambda: response.complete)
        self.assertEqual(response.status, 405)
        self.assertEqual(response.headers["allow"], "GET, HEAD, OPTIONS")

    async def test_post(self) -> None:
        """
        Where POST is allowed, C{connected} can read the body, and the response is a stream.
        """

        def answer(stream: Any) -> list[str]:
            return [stream.request.content.read().decode()]

        server = self.serve(answer, methods=["POST"])
        response = server.connect().request("POST", body=b"question")
        await until(lambda: response.complete)
        self.assertEqual(response.data, ["question"])

    async def test_keptAlive(self) -> None:
        """
        After a stream has ended, the connection can be reused.
        """
        server = self.serve(lambda stream: ["one", "two"])
        client, first = server.get()
        await until(lambda: first.complete)
        second = client.request()
        await until(lambda: second.complete)
        self.assertEqual((first.data, second.data), (["one", "two"], ["one", "two"]))
        self.assertEqual(len(server.connections), 1)

    async def test_pipelined(self) -> None:
        """
        A pipelined request does not keep the stream before it from ending properly.
        """
        server = self.serve(greet)
        client, first = server.get()
        client.write(b"HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await until(lambda: first.events)
        self.assertFalse(first.complete)
        client.stopReading()
        (await self.stream()).end()
        client.startReading()
        await until(lambda: first.complete)

    async def test_silentStreamOutlivesIdleTimeout(self) -> None:
        """
        A site's idle timeout does not end a silent stream.
        """
        server = self.serve(greet, heartbeat=None, site={"timeout": 0.2})
        client, response = server.get()
        await until(lambda: response.events)
        await deferLater(reactor, 0.6)
        (await self.stream()).send("still here")
        await until(lambda: len(response.events) == 2)
        self.assertIsNone(client.lost)

    async def test_gzip(self) -> None:
        """
        Inside a wrapper that compresses, events still arrive immediately and uncompressed.
        """

        resource = EventStreamResource(greet)
        wrapped = EncodingResourceWrapper(resource, [GzipEncoderFactory()])
        server = self.serve(wrapped)
        _, response = server.get(
            headers={"Accept": "text/event-stream", "Accept-Encoding": "gzip, deflate"}
        )
        await until(lambda: response.events)
        self.assertNotIn("content-encoding", response.headers)
        [stream] = resource.streams
        stream.send("again")
        await until(lambda: response.data == ["hello", "again"])

    async def test_gzipKeepsOthers(self) -> None:
        """
        A wrapper that compresses still compresses other responses.
        """
        fallback = Resource()
        fallback.render_GET = lambda request: b"ok" * 1000  # type: ignore[attr-defined]
        resource = EventStreamResource(greet, fallback=fallback)
        server = self.serve(EncodingResourceWrapper(resource, [GzipEncoderFactory()]))
        _, response = server.get(headers={"Accept": "*/*", "Accept-Encoding": "gzip"})
        await until(lambda: response.complete)
        self.assertEqual(response.headers["content-encoding"], "gzip")

    async def test_heartbeat(self) -> None:
        """
        A silent stream gets a comment in each interval.
        """
        server = self.serve(lambda stream: None, heartbeat=0.05)
        _, response = server.get()
        started = reactor.seconds()
        await until(lambda: len(response.comments) >= 5)
        # One of the five was sent with the headers.
        self.assertGreaterEqual(reactor.seconds() - started, 0.19)
        self.assertEqual(response.events, [])

    async def test_every(self) -> None:
        """
        C{every} sends an event in each interval, until the client disconnects.
        """
        numbers = itertools.count()

        def connected(stream: Any) -> None:
            stream.every(0.02, lambda: str(next(numbers)), now=True)

        server = self.serve(connected)
        client, response = server.get()
        await until(lambda: len(response.events) >= 4)
        self.assertEqual(response.data[:4], ["0", "1", "2", "3"])
        client.close()
        await until(lambda: self.reasons.closedFor)
        self.assertEqual(self.reasons.closedFor, [CloseReason.CLIENT])


@needs("network")
class DepartureTests(LiveTestCase):
    """
    Tests that a disconnect closes the stream.
    """

    async def assertNoticed(self, leave: str, **options: Any) -> None:
        """
        Disconnect a client in this way, and assert that its stream is closed.
        """
        server = self.serve(greet, **options)
        client, response = server.get()
        await until(lambda: response.events)
        closed = (await self.stream()).whenClosed()
        getattr(client, leave)()
        self.assertEqual(await closed, CloseReason.CLIENT)
        self.assertEqual(self.resource.streams, frozenset())
        await until(lambda: not server.connections)

    async def test_fin(self) -> None:
        """
        A client that closes its connection is noticed without a heartbeat.
        """
        await self.assertNoticed("close", heartbeat=None)

    async def test_rst(self) -> None:
        """
        A client that resets its connection is noticed without a heartbeat.
        """
        await self.assertNoticed("reset", heartbeat=None)

    async def test_halfClosed(self) -> None:
        """
        A client that closes its half of the connection counts as disconnected.
        """
        await self.assertNoticed("halfClose", heartbeat=None)

    async def test_hiddenByJunk(self) -> None:
        """
        A reset behind more unread bytes than the server buffers is noticed by a heartbeat.
        """
        server = self.serve(greet, heartbeat=0.05)
        client = server.connect()
        response = client.request(behind=b"x" * 17 * 1024)
        await until(lambda: response.events)
        closed = (await self.stream()).whenClosed()
        # The server has stopped reading, and would not notice a disconnect.
        [connection] = server.connections
        self.assertNotIn(connection, reactor.getReaders())
        client.reset()
        self.assertEqual(await closed, CloseReason.CLIENT)

    async def test_hiddenByJunkAndClosed(self) -> None:
        """
        A FIN behind more unread bytes than the server buffers is noticed by a heartbeat.
        """
        server = self.serve(greet, heartbeat=0.05)
        client = server.connect()
        response = client.request(behind=b"x" * 17 * 1024)
        await until(lambda: response.events)
        closed = (await self.stream()).whenClosed()
        client.close()
        self.assertEqual(await closed, CloseReason.CLIENT)

    async def test_beforeHeaders(self) -> None:
        """
        A disconnect before the headers cancels the Deferred of C{connected}.
        """
        cancelled: list[bool] = []
        asked: list[Deferred[None]] = []

        def connected(stream: Any) -> Deferred[None]:
            asked.append(Deferred(lambda _: cancelled.append(True)))
            return asked[0]

        server = self.serve(connected)
        client, _ = server.get()
        await until(lambda: asked)
        client.close()
        await until(lambda: cancelled)
        await until(lambda: not server.connections)

    async def test_generators(self) -> None:
        """
        A disconnect closes a generator, and an asynchronous generator where it waits.
        """
        cleaned: list[str] = []

        def plain(stream: Any) -> Any:
            try:
                while True:
                    yield "x" * 4096
            finally:
                cleaned.append("plain")

        async def asynchronous(stream: Any) -> Any:
            try:
                yield "first"
                await Deferred()
            finally:
                await deferLater(reactor, 0)
                cleaned.append("asynchronous")

        kept: list[Any] = []

        def keeping(stream: Any) -> Any:
            # Without this reference the generator would be closed when it is freed.
            kept.append(plain(stream))
            return kept[0]

        for connected in keeping, asynchronous:
            server = self.serve(connected, site=NARROW)
            client, response = server.get(receiveBuffer=SMALL)
            await until(lambda response=response: response.events)
            client.close()
        await until(lambda: sorted(cleaned) == ["asynchronous", "plain"])

    async def test_othersStay(self) -> None:
        """
        A disconnect does not affect other clients.
        """
        server = self.serve(greet)
        clients = [server.get() for _ in range(10)]
        await until(lambda: all(response.events for _, response in clients))
        for client, _ in clients[::2]:
            client.reset()
        for client, _ in clients[1::4]:
            client.close()
        for stream in self.resource.streams:
            stream.send("after")
        stay = [response for client, response in clients if client.socket.fileno() != -1]
        self.assertEqual(len(stay), 2)
        await until(lambda: all(len(response.events) == 2 for response in stay))
        await until(lambda: len(self.resource.streams) == 2)

    async def test_toldBefore(self) -> None:
        """
        Code notified of a disconnect before the stream is may send to all streams, including that
        one.
        """
        told: list[bool] = []

        class Announcing(EventStreamResource):
            """
            Takes its own C{notifyFinish} of each request, before the stream does.
            """

            def render(self, request: Any) -> int:
                request.notifyFinish().addErrback(self.announce)
                return super().render(request)

            def announce(self, _: object) -> None:
                for stream in self.streams:
                    stream.send("somebody has left")
                told.append(True)

        resource = self.resource = Announcing(greet)
        server = self.serve(resource)
        (goes, first), (_, stays) = server.get(), server.get()
        await until(lambda: first.events and stays.events)
        goes.close()
        await until(lambda: told)
        await until(lambda: len(stays.events) == 2)
        await until(lambda: len(resource.streams) == 1)
