"""
Tests for L{twisted_sse.client.source}, on real sockets: requests, and the bodies of responses.
"""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Callable
from http.cookiejar import CookieJar
from typing import Any

from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.task import deferLater
from twisted.web.client import CookieAgent, ProxyAgent

from tests.support.certificates import serverContext, trusting
from tests.support.live import reactor, until
from tests.support.scripted import ScriptedServer, chunk, stream
from tests.support.sources import ONE, QUICK, TWO, ClientTestCase
from twisted_sse.client import (
    BadContentType,
    EventSource,
    EventSourceError,
    EventTooLarge,
    StreamBroken,
)
from twisted_sse.client.agent import EventStreamAgent


class Puller:
    """
    A producer that writes when there is room.
    """

    def __init__(self, resume: Callable[[], object]) -> None:
        self.resumeProducing = resume

    def stopProducing(self) -> None:
        """
        Do nothing when the client has disconnected.
        """


class RequestTests(ClientTestCase):
    """
    Tests for requests.
    """

    async def test_headers(self) -> None:
        """
        A request has the headers of the standard and our own, and its last event ID as UTF-8 unless
        that is empty.
        """
        server = ScriptedServer(
            self,
            stream(b"retry: 0\n\nid: gr\xc3\xbc\xc3\x9fe \xf0\x9f\x98\x80\n\n"),
            stream(b"id\n\n"),
        )
        await self.everything(self.source(server, "a?b#c", lastEventID="0"))
        first, second, third = server.requests
        self.assertEqual((first.method, first.target), ("GET", "/a?b"))
        self.assertEqual(first.headers["accept"], "text/event-stream")
        self.assertEqual(first.headers["cache-control"], "no-cache")
        self.assertIn("twisted-sse", first.headers["user-agent"])
        self.assertEqual(first.headers["last-event-id"], "0")
        found = second.headers["last-event-id"].encode("latin-1").decode()
        self.assertEqual(found, "gr\xfc\xdfe \U0001f600")
        self.assertNotIn("last-event-id", third.headers)

    async def test_body(self) -> None:
        """
        Any method may have a body, which is sent again on reconnection.
        """
        server = ScriptedServer(self, stream(b"retry: 0\n" + ONE), stream(TWO))
        source = self.source(
            server, method="REPORT", body=b"q", reconnect=True, headers={"Content-Type": "text/x"}
        )
        self.assertEqual(await self.everything(source), ["one", "two"])
        for asked in server.requests:
            self.assertEqual((asked.method, asked.body), ("REPORT", b"q"))
            self.assertEqual(asked.headers["content-type"], "text/x")

    async def test_proxy(self) -> None:
        """
        With an agent that uses a proxy, requests go to the proxy and everything else works the
        same.
        """
        proxy = ScriptedServer(
            self,
            lambda connection: connection.transport.write(stream(b"retry: 0\n" + ONE, end=False)),
            stream(TWO),
        )
        agent = ProxyAgent(TCP4ClientEndpoint(reactor, "127.0.0.1", proxy.port.getHost().port))
        source = EventSource("http://sse.example/a", agent=agent, backoff=QUICK)
        self.assertEqual((await source.__anext__()).data, "one")
        source.reconnectNow()
        self.assertEqual(await self.everything(source), ["two"])
        targets = [asked.target for asked in proxy.requests]
        self.assertEqual(targets, ["http://sse.example/a"] * 3)
        self.assertEqual(proxy.requests[1].headers["last-event-id"], "1")
        await until(lambda: not proxy.open, "nothing is left")

    async def test_cookies(self) -> None:
        """
        With an agent that keeps cookies, they are sent on reconnection.
        """
        first = stream(b"retry: 0\n" + ONE, fields=b"Set-Cookie: user=ada\r\n")
        server = ScriptedServer(self, first, stream(TWO))
        agent = CookieAgent(EventStreamAgent(reactor), CookieJar())
        source = self.source(server, agent=agent)
        self.assertEqual(await self.everything(source), ["one", "two"])
        self.assertEqual(server.requests[1].headers["cookie"], "user=ada")

    async def test_lazy(self) -> None:
        """
        Nothing happens before the first use.
        """
        server = ScriptedServer(self, stream(ONE))
        source = self.source(server)
        self.assertEqual(source.readyState, EventSource.CONNECTING)
        await deferLater(reactor, 0.05)
        self.assertEqual(server.connections, [])
        await source.close()
        self.assertEqual(await self.everything(source), [])
        self.assertEqual(server.connections, [])


class BodyTests(ClientTestCase):
    """
    Tests for the bodies of responses.
    """

    async def test_compressed(self) -> None:
        """
        gzip and deflate are decoded as they arrive, however they are cut, and other encodings are
        refused.
        """
        raw = zlib.compressobj(wbits=-15)
        data = ONE + TWO
        packed = {
            "gzip": gzip.compress(ONE) + gzip.compress(TWO),
            "x-gzip": gzip.compress(data),
            "deflate": zlib.compress(data),
            "Deflate": raw.compress(data) + raw.flush(),
            "identity": data,
        }
        for name, body in packed.items():
            pieces = [body[n : n + 1] for n in range(len(body))]
            fields = f"Content-Encoding: {name}\r\n".encode()
            server = ScriptedServer(self, stream(*pieces, fields=fields))
            self.assertEqual(await self.everything(self.source(server)), ["one", "two"], name)
        server = ScriptedServer(self, stream(b"", fields=b"Content-Encoding: br\r\n"))
        error = await self.raises(BadContentType, self.source(server))
        self.assertIn("br", str(error))
        server = ScriptedServer(self, stream(b"nonsense", fields=b"Content-Encoding: gzip\r\n"))
        await self.raises(StreamBroken, self.source(server, reconnect=False))

    async def test_flushed(self) -> None:
        """
        A compressed event is delivered when the server has flushed it.
        """
        packer = zlib.compressobj(wbits=31)
        connections: list[Any] = []

        def begin(connection: Any) -> None:
            data = packer.compress(ONE) + packer.flush(zlib.Z_SYNC_FLUSH)
            head = stream(data, end=False, fields=b"Content-Encoding: gzip\r\n")
            connection.transport.write(head)
            connections.append(connection)

        server = ScriptedServer(self, begin)
        async with self.source(server) as source:
            self.assertEqual((await source.__anext__()).data, "one")
            data = packer.compress(TWO) + packer.flush(zlib.Z_SYNC_FLUSH)
            connections[0].transport.write(chunk(data))
            self.assertEqual((await source.__anext__()).data, "two")

    async def test_bomb(self) -> None:
        """
        A small body that expands a lot is decoded only as its events are taken.
        """
        body = gzip.compress(b"data: x\n\n" * 300_000)
        server = ScriptedServer(self, stream(body, fields=b"Content-Encoding: gzip\r\n"))
        source = self.source(server, reconnect=False)
        await source.__anext__()
        await deferLater(reactor, 0.2)
        self.assertLess(len(source._queue._events), 20_000)
        count = 1
        async for _ in source:
            count += 1
        self.assertEqual(count, 300_000)

    async def test_backpressure(self) -> None:
        """
        The client pauses reading while no events are taken, and then all arrive in order.
        """
        number = 0

        class Producer:
            def resumeProducing(self) -> None:
                nonlocal number
                event = b"".join(b"data: %d\n\n" % n for n in range(number, number + 1000))
                number += 1000
                if number >= 3_000_000:
                    transport.unregisterProducer()
                transport.write(chunk(event))

            def stopProducing(self) -> None:
                pass

        transport: Any = None

        def begin(connection: Any) -> None:
            nonlocal transport
            transport = connection.transport
            transport.write(stream(end=False))
            transport.registerProducer(Producer(), False)

        server = ScriptedServer(self, begin)
        async with self.source(server) as source:
            self.assertEqual((await source.__anext__()).data, "0")
            await self.settled(lambda: number)
            self.assertLess(len(source._queue._events), 20_000)
            self.assertLess(number, 2_000_000)
            for expected in range(1, 200_000):
                event = await source.__anext__()
                self.assertEqual(event.data, str(expected))

    async def settled(self, look: Any) -> None:
        """
        Wait until a value no longer changes.
        """
        seen = [object()] * 20
        while len(set(seen)) > 1:
            await deferLater(reactor, 0.02)
            seen = [*seen[1:], look()]

    async def test_odd(self) -> None:
        """
        A body may be cut anywhere, be invalid UTF-8, and have many comments and unusual IDs.
        """
        comments: list[str] = []
        body = (
            b": c\n" * 1000
            + b"data: \xff\xc3\nid: a\x00b\n\n"
            + b"id: "
            + b"9" * 9000
            + b"\ndata: long\n\n"
            + "id: \U0001f600\ndata: \u2028\n\n".encode()
        )
        server = ScriptedServer(
            self, stream(*(body[n : n + 7] for n in range(0, len(body), 7)), fields=b"A: b\r\n")
        )
        source = self.source(server, onComment=comments.append)
        self.assertEqual(await self.everything(source), ["\ufffd\ufffd", "long", "\u2028"])
        self.assertEqual(comments, [" c"] * 1000)
        self.assertEqual(source.lastEventID, "\U0001f600")
        self.assertEqual(server.requests[-1].headers["last-event-id"], "\xf0\x9f\x98\x80")

    async def test_commentsInOrder(self) -> None:
        """
        C{onComment} and a listener are called in the order of the stream, even if it arrives in one
        piece.
        """
        told: list[str] = []
        body = ONE + b": a\n" + TWO.replace(b"\n", b"\r") + b": b\r\n:c\n\n" + ONE
        server = ScriptedServer(self, stream(body))
        source = self.source(server, onComment=told.append, reconnect=False)
        await source.listen(lambda event: told.append(event.data))
        self.assertEqual(told, ["one", " a", "two", " b", "c", "one"])

    async def test_endlessLine(self) -> None:
        """
        A line of 14 MB is an event, and one without an end is aborted at C{maxEventSize}.
        """
        line = os.urandom(7_000_000).hex().encode()
        pieces = [line[n : n + 16384] for n in range(0, len(line), 16384)]
        server = ScriptedServer(self, stream(b"data: ", *pieces, b"\n\n"))
        (data,) = await self.everything(self.source(server))
        self.assertEqual(data, line.decode())
        sent = 0

        def endless(connection: Any) -> None:
            class Producer:
                def resumeProducing(self) -> None:
                    nonlocal sent
                    sent += 2**16
                    connection.transport.write(chunk(b"x" * 2**16))

                def stopProducing(self) -> None:
                    pass

            connection.transport.write(stream(end=False))
            connection.transport.registerProducer(Producer(), False)

        server = ScriptedServer(self, endless)
        await self.raises(EventTooLarge, self.source(server, maxEventSize=2**20))
        await until(lambda: not server.open, "no connection")
        self.assertLess(sent, 2**25)

    test_endlessLine.timeout = 60  # type: ignore[attr-defined]

    async def test_endlessEvent(self) -> None:
        """
        An event without an end is aborted at C{maxEventSize}, whatever its lines are.
        """
        for line in b"data: " + b"x" * 1000 + b"\n", b": c\n" * 1000, b"x\r" * 1000:
            sent = 0

            def begin(connection: Any, line: bytes = line) -> None:
                def resume() -> None:
                    nonlocal sent
                    sent += len(line)
                    connection.transport.write(chunk(line))

                connection.transport.write(stream(ONE, end=False))
                connection.transport.registerProducer(Puller(resume), False)

            server = ScriptedServer(self, begin)
            source = self.source(server, maxEventSize=2**20)
            await self.raises(EventTooLarge, source)
            self.assertEqual(self.data, ["one"])
            await until(lambda server=server: not server.open, "no connection")
            self.assertLess(sent, 2**25)

    test_endlessEvent.timeout = 60  # type: ignore[attr-defined]

    async def test_cutAnywhere(self) -> None:
        """
        A body cut in a line, a character, a chunk or a TLS record keeps its earlier events and
        drops the unfinished one.
        """
        context = serverContext()
        head = stream(ONE, end=False)

        def record(connection: Any) -> None:
            def cut() -> None:
                # The start of a record on the wire: application data of 255 bytes.
                wire = connection.transport.transport
                wire.write(b"\x17\x03\x03\x00\xff" + b"x" * 9)
                wire.loseConnection()

            connection.transport.write(head)
            # TLS writes in the next reactor turn.
            reactor.callLater(0, cut)

        for script, tls in (
            (head + chunk(b"id: 9\ndata: ha"), None),
            (head + chunk(b"id: 9\ndata: \xe2\x82"), None),
            (head + chunk(b"id: 9\ndata: x\n\n")[:-3], None),
            (head + b"ff", None),
            (head + chunk(b"id: 9\n"), context),
            (record, context),
        ):
            server = ScriptedServer(self, script, stream(TWO), context=tls)
            agent = EventStreamAgent(reactor, trusting(context))
            source = self.source(server, agent=agent)
            found = await self.everything(source)
            asked = server.requests[1].headers["last-event-id"]
            self.assertEqual((found, asked), (["one", "two"], "1"))

    async def test_endlessHead(self) -> None:
        """
        Headers without an end are aborted.
        """

        def endless(connection: Any) -> None:
            class Producer:
                number = 0

                def resumeProducing(self) -> None:
                    self.number += 1
                    connection.transport.write(b"X-%d: %s\r\n" % (self.number, b"y" * 10000))

                def stopProducing(self) -> None:
                    pass

            connection.transport.write(b"HTTP/1.1 200 OK\r\n")
            connection.transport.registerProducer(Producer(), False)

        server = ScriptedServer(self, endless)
        error = await self.raises(StreamBroken, self.source(server, reconnect=False))
        self.assertIn("headers of the response are larger", str(error))
        await until(lambda: not server.open, "no connection")

    async def test_garbage(self) -> None:
        """
        Anything but HTTP is a broken connection.
        """
        for garbage in (
            b"SSH-2.0-x\r\n\r\n",
            b"\x16\x03\x01\x00",
            b"HTTP/1.1 200 OK\r\nno header\r\n\r\n",
            b"",
        ):
            server = ScriptedServer(self, garbage)
            await self.raises(EventSourceError, self.source(server, reconnect=False))
        broken = stream(end=False) + b"zz\r\n"
        await self.raises(StreamBroken, self.source(ScriptedServer(self, broken), reconnect=False))

    async def test_untilTheEnd(self) -> None:
        """
        Without chunks and a length, the stream ends with the connection.
        """
        head = b"HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
        server = ScriptedServer(self, head + ONE + b"data: half")
        self.assertEqual(await self.everything(self.source(server, reconnect=False)), ["one"])
