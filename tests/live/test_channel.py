"""
Tests for channels on real sockets: clients of all kinds, other threads, and Klein.
"""

from __future__ import annotations

import shutil
import socket
import tempfile
import threading
from collections.abc import Callable
from typing import Any, cast

from klein import Klein
from twisted.internet.defer import gatherResults
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.web.resource import EncodingResourceWrapper
from twisted.web.server import GzipEncoderFactory

from tests.support.http2 import Client2, h2
from tests.support.live import Client, Response, Server, reactor, until
from tests.support.live_channels import ChannelTestCase, accept, told, turns
from tests.support.requirements import needs
from tests.support.writes import hasTLS
from twisted_sse import Channel, EventStream, EventStreamResource
from twisted_sse.klein import eventStream


@needs("network")
class TransportTests(ChannelTestCase):
    """
    Tests for clients of all kinds.
    """

    async def assertSame(self, connect: Callable[[], Any], *, chunked: bool = True) -> None:
        """
        Assert that a client of another kind gets the same bytes as a plain one, before and after
        both reconnect.

        @param connect: connects a client of the other kind, and returns a function that makes a
            request with these headers.
        """
        plain = Server(self, self.resource)

        def begin(headers: dict[str, str]) -> tuple[Response, Response]:
            return plain.get(headers=headers)[1], connect()(headers)

        first = begin(accept())
        await until(lambda: all(map(told, first)), "both are subscribed")
        await self.publishAll()
        await self.assertAll(first)
        self.assertTrue(first[0].body == first[1].body)
        self.assertGreater(len(first[1].body), 400_000)
        resumed = begin(accept(self.published[5].id or ""))
        await until(lambda: len(self.channel.streams) == 4, "both have reconnected")
        await self.publishAll()
        await self.assertAll(resumed, 6)
        self.assertTrue(resumed[0].body == resumed[1].body)
        self.assertEqual(first[1].headers["content-type"], "text/event-stream; charset=utf-8")
        self.assertNotIn("content-encoding", first[1].headers)

    async def publishAll(self) -> None:
        """
        Publish events of all sizes, one by one and together.
        """
        for size in 0, 1, 100, 2**14, 2**16 - 50, 2**16, 200_000:
            self.publish(size=size)
            await turns(2)
        for count in 2, 100, 3:
            self.publish(count, size=1000)
            await turns(2)

    async def test_tls(self) -> None:
        """
        A TLS client gets the same bytes as a plain one.
        """
        self.open()
        server = Server(self, self.resource, tls=True)
        await self.assertSame(
            lambda: lambda headers: server.get(headers=headers, tls=True)[1],
        )

    async def test_http2(self) -> None:
        """
        An HTTP/2 client, whose subscriptions share a connection, gets the same bytes as a plain
        one.
        """
        self.open()
        server = Server(self, self.resource, tls=True)
        client = server.connect(Client2)

        def request(headers: dict[str, str]) -> Response:
            lower = {name.lower(): value for name, value in headers.items()}
            return cast(Response, client.request(headers=lower)[1])

        await self.assertSame(lambda: request)

    if not hasTLS:
        test_tls.skip = "network (TLS needs the extra tls)"  # type: ignore[attr-defined]
    if h2 is None:
        test_http2.skip = "network (HTTP/2 needs the extra tls)"  # type: ignore[attr-defined]

    async def test_unix(self) -> None:
        """
        A client on a UNIX socket gets the same bytes as a plain one.
        """
        server = self.open()
        folder = tempfile.mkdtemp(prefix="twisted-sse-")
        self.addCleanup(shutil.rmtree, folder)
        path = f"{folder}/socket"
        port = reactor.listenUNIX(path, server.site)
        self.addCleanup(port.stopListening)

        def request(headers: dict[str, str]) -> Response:
            connected = socket.socket(socket.AF_UNIX)
            connected.connect(path)
            client = Client(connected)
            server.clients.append(client)
            return client.request(headers=headers)

        await self.assertSame(lambda: request)

    async def test_http10(self) -> None:
        """
        An HTTP/1.0 client gets the same bytes as a plain one.
        """
        server = self.open()

        def request(headers: dict[str, str]) -> Response:
            return cast(Response, server.connect().request(headers=headers, version="1.0"))

        await self.assertSame(lambda: request)

    async def test_gzip(self) -> None:
        """
        A client that accepts gzip gets the same bytes as a plain one, even from a site that
        compresses.
        """
        self.open()
        server = Server(self, EncodingResourceWrapper(self.resource, [GzipEncoderFactory()]))

        def request(headers: dict[str, str]) -> Response:
            return server.get(headers={**headers, "Accept-Encoding": "gzip, deflate"})[1]

        await self.assertSame(lambda: request)


@needs("network")
class ThreadTests(ChannelTestCase):
    """
    Tests for events from other threads.
    """

    async def test_callFromThread(self) -> None:
        """
        Events published from threads with C{reactor.callFromThread} arrive, in order for each
        thread.
        """
        server = self.open()
        clients = await self.join(server, 5)

        def work(name: str) -> None:
            self.assertNotEqual(threading.get_ident(), main)
            for number in range(100):
                reactor.callFromThread(self.channel.publish, f"{name} {number}", event=name)

        main = threading.get_ident()
        await gatherResults([deferToThread(work, name) for name in ("one", "two", "three")])
        await until(lambda: all(len(response.events) == 300 for _, response in clients))
        for _, response in clients:
            self.assertEqual(response.data, clients[0][1].data)
            for name in "one", "two", "three":
                data = [event.data for event in response.events if event.type == name]
                self.assertEqual(data, [f"{name} {number}" for number in range(100)])

    async def test_directly(self) -> None:
        """
        Publishing from another thread raises an error with the remedy, and sends nothing.
        """
        server = self.open()
        [(_, response)] = await self.join(server, 1)
        error = await self.assertFailure(deferToThread(self.channel.publish, "no"), RuntimeError)
        self.assertIn("reactor.callFromThread", str(error))
        self.publish()
        await self.assertAll([response])


@needs("network")
class KleinTests(ChannelTestCase):
    """
    Tests for a chat in Klein.
    """

    async def assertChats(self, app: Klein) -> None:
        """
        Let three clients talk, while one is disconnected for some time.
        """
        self.channel = Channel()
        server = self.serve(app.resource())

        async def say(name: str, text: str) -> None:
            response = server.connect().request(
                "POST", f"/chat?name={name}", body=text.encode(), headers={}
            )
            await until(lambda: response.complete, "the message")
            self.assertEqual((response.status, bytes(response.body)), (200, b"said"))

        clients = [server.get("/chat") for _ in range(3)]
        await until(lambda: all(told(response) for _, response in clients), "all are connected")
        responses = [response for _, response in clients]
        await say("ann", "hello")
        await until(lambda: all(response.events for response in responses))
        away, before = clients[1]
        away.close()
        await until(lambda: len(self.channel.streams) == 2)
        await say("bob", "where is she?\nGr\u00fc\u00dfe")
        _, responses[1] = server.get("/chat", accept(told(before)))
        await say("ann", "back again")
        await until(lambda: [len(response.events) for response in responses] == [3, 2, 3])
        spoken = [(event.type, event.data) for event in responses[0].events]
        self.assertEqual(
            spoken,
            [
                ("ann", "hello"),
                ("bob", "where is she?\nGr\u00fc\u00dfe"),
                ("ann", "back again"),
            ],
        )
        self.assertEqual([(event.type, event.data) for event in responses[1].events], spoken[1:])
        self.assertEqual(responses[1].events, responses[2].events[1:])

    def chat(self) -> Klein:
        """
        Make an app with a route to publish messages.
        """
        app = Klein()

        @app.route("/chat", methods=["POST"])
        def say(request: Any) -> bytes:
            text = request.content.read().decode()
            self.channel.publish(text, event=request.args[b"name"][0].decode())
            return b"said"

        return app

    async def test_eventStream(self) -> None:
        """
        A route that subscribes its stream to a channel gets all messages, and those it missed when
        it reconnects.
        """
        app = self.chat()

        @app.route("/chat", methods=["GET"])
        @eventStream(heartbeat=None)
        async def listen(request: Any) -> None:
            await deferLater(reactor, 0)
            self.channel.subscribe(EventStream.of(request))

        await self.assertChats(app)

    async def test_resource(self) -> None:
        """
        A route that returns a resource with subscribed streams gets all messages, and those it
        missed when it reconnects.
        """
        app = self.chat()
        resource = EventStreamResource(lambda stream: self.channel.subscribe(stream))

        @app.route("/chat", methods=["GET"])
        def listen(request: Any) -> EventStreamResource:
            return resource

        await self.assertChats(app)
