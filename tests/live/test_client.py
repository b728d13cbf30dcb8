"""
Tests for L{twisted_sse.client.source}, on real sockets: what happens when.
"""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import zlib
from collections.abc import Callable
from http.cookiejar import CookieJar
from typing import Any

from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import ConnectionRefusedError, DNSLookupError
from twisted.internet.task import deferLater
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import CookieAgent, ProxyAgent
from twisted.web.http_headers import Headers

from tests.support.documents import blocks
from tests.support.live import freePort, reactor, serverContext, trusting, until
from tests.support.requirements import ROOT, needs
from tests.support.scripted import ScriptedServer, answer, chunk, stream
from tests.support.sources import ONE, QUICK, TWO, ClientTestCase
from twisted_sse.client import (
    Backoff,
    BadCertificate,
    BadContentType,
    BadRedirect,
    BadStatus,
    EventSource,
    EventSourceError,
    EventTooLarge,
    GaveUp,
    ReadTimeout,
    StreamBroken,
)
from twisted_sse.client.agent import EventStreamAgent


def redirect(status: int, location: str) -> bytes:
    """
    @return: a response that sends elsewhere.
    """
    return answer(f"{status} Elsewhere", f"Location: {location}")


#: Programs of asyncio: what is before and behind the documentation's.
ASYNCIO_BEGIN = """
import asyncio
loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
from twisted.internet import asyncioreactor
asyncioreactor.install(loop)
from functools import partial
from twisted.internet import reactor
from twisted.web.server import Site
from twisted_sse import EventStreamResource, client

resource = EventStreamResource(lambda stream: stream.every(0.05, lambda: "hello"))
port = reactor.listenTCP(0, Site(resource), interface="127.0.0.1")
EventSource = lambda _: client.EventSource(f"http://127.0.0.1:{port.getHost().port}/")
"""


ASYNCIO_END = """
async def main():
    source = EventSource("")
    try:
        await source.__anext__()
    except RuntimeError as e:
        print("cannot:", str(e).partition(":")[0])
    source.close()
    queue = asyncio.Queue()
    future = following(queue)
    for _ in range(2):
        print((await queue.get()).data)
    future.cancel()
    try:
        await future
    except asyncio.CancelledError:
        print("cancelled")
    while resource.streams:
        await asyncio.sleep(0.01)
    print("nothing is left")
    reactor.stop()

task = loop.create_task(main())
reactor.run()
"""


class Puller:
    """
    Writes when there is room.
    """

    def __init__(self, resume: Callable[[], object]) -> None:
        self.resumeProducing = resume

    def stopProducing(self) -> None:
        """
        Nobody reads any more.
        """


class TableTests(ClientTestCase):
    """
    The table of the documentation, row by row: a source that comes back, one that is strict, and
    one that does not come back.
    """

    async def test_cleanEnd(self) -> None:
        """
        After the end of a stream it comes back, when the server has said, with the last event
        ID; or the iteration ends.
        """
        for options in {}, {"strict": True}:
            server = ScriptedServer(self, stream(b"retry: 0\n" + ONE), stream(TWO))
            self.assertEqual(await self.everything(self.source(server, **options)), ["one", "two"])
            first, second, third = server.requests
            self.assertNotIn("last-event-id", first.headers)
            self.assertEqual(second.headers["last-event-id"], "1")
            self.assertEqual(third.headers["last-event-id"], "2")
        for options in {"method": "POST"}, {"reconnect": False}:
            server = ScriptedServer(self, stream(ONE), stream(TWO))
            self.assertEqual(await self.everything(self.source(server, **options)), ["one"])
            self.assertEqual(len(server.requests), 1)
        self.assertEqual(self.errors, [])

    async def test_broken(self) -> None:
        """
        A body that is broken off is told of, and tried again; what was unfinished is no event,
        and its ID none.
        """
        broken = stream(ONE + b"id: 9\ndata: half", end=False)
        for options in {}, {"strict": True}:
            self.errors.clear()
            server = ScriptedServer(self, broken, stream(TWO))
            self.assertEqual(await self.everything(self.source(server, **options)), ["one", "two"])
            (error,) = self.errors
            self.assertIsInstance(error, StreamBroken)
            self.assertEqual(server.requests[1].headers["last-event-id"], "1")
        for options in {"method": "POST"}, {"reconnect": False}:
            server = ScriptedServer(self, broken)
            await self.raises(StreamBroken, self.source(server, **options))
            self.assertEqual(self.data, ["one"])

    async def test_readTimeout(self) -> None:
        """
        A server that says nothing for too long counts as broken: before the response, and in it.
        """

        def silent(connection: Any) -> None:
            pass

        def quiet(connection: Any) -> None:
            connection.transport.write(stream(ONE, end=False))

        server = ScriptedServer(self, silent, quiet, stream(TWO))
        source = self.source(server, readTimeout=0.1)
        self.assertEqual(await self.everything(source), ["one", "two"])
        self.assertEqual([type(each) for each in self.errors], [ReadTimeout] * 2)
        for step in silent, quiet:
            server = ScriptedServer(self, step)
            await self.raises(StreamBroken, self.source(server, readTimeout=0.1, method="POST"))
            await until(lambda server=server: not server.open, "no connection")

    async def test_noServer(self) -> None:
        """
        Where nobody listens it is told of, and tried again.
        """
        url = f"http://127.0.0.1:{freePort()}/"
        backoff = Backoff(initial=0, maxTries=3)
        error = await self.raises(GaveUp, self.source(url, backoff=backoff))
        self.assertIsInstance(error.lastError, ConnectionRefusedError)
        self.assertEqual([type(each) for each in self.errors], [ConnectionRefusedError] * 2)
        await self.raises(ConnectionRefusedError, self.source(url, method="POST"))

    async def test_noName(self) -> None:
        """
        A name that there is not is told of, and tried again.
        """
        backoff = Backoff(initial=0, maxTries=2)
        source = self.source("http://nosuch.invalid/", backoff=backoff)
        error = await self.raises(GaveUp, source)
        self.assertIsInstance(error.lastError, DNSLookupError)
        source = self.source("http://nosuch.invalid/", reconnect=False)
        await self.raises(DNSLookupError, source)

    async def test_noContent(self) -> None:
        """
        204 is the end.
        """
        for options in {}, {"strict": True}, {"method": "POST"}:
            server = ScriptedServer(self, answer("204 No Content"))
            self.assertEqual(await self.everything(self.source(server, **options)), [])
            self.assertEqual(len(server.requests), 1)

    async def test_busy(self) -> None:
        """
        What a server says that is away for a while is told of, and tried again; unless that is
        not wanted.
        """
        for status in 429, 500, 502, 503, 504:
            self.errors.clear()
            busy = answer(f"{status} Busy", body=b'{"wait": true}')
            server = ScriptedServer(self, busy, stream(ONE))
            self.assertEqual(await self.everything(self.source(server)), ["one"])
            (error,) = self.errors
            assert isinstance(error, BadStatus)
            self.assertEqual((error.status, error.json()), (status, {"wait": True}))
            for options in {"strict": True}, {"method": "POST"}, {"reconnect": False}:
                server = ScriptedServer(self, busy)
                error = await self.raises(BadStatus, self.source(server, **options))
                self.assertEqual(error.status, status)

    async def test_otherStatus(self) -> None:
        """
        Any other status is raised, with the beginning of what the server says about it.
        """
        for status in 201, 202, 206, 299, 304, 400, 401, 403, 404, 410, 451, 501, 505:
            body = b"" if status == 304 else b"x" * 100000
            server = ScriptedServer(self, answer(f"{status} No", "X-Why: because", body=body))
            error = await self.raises(BadStatus, self.source(server))
            self.assertEqual((error.status, error.body), (status, body[: 2**16]))
            self.assertEqual(error.headers.getRawHeaders("x-why"), ["because"])
            self.assertIn(f"{status} No", str(error))
        self.assertEqual(self.errors, [])
        server = ScriptedServer(self, answer("302 Nowhere"))
        self.assertEqual((await self.raises(BadStatus, self.source(server))).status, 302)
        server = ScriptedServer(self, redirect(307, ""))
        self.assertEqual((await self.raises(BadStatus, self.source(server))).status, 307)

    async def test_contentType(self) -> None:
        """
        Only an event stream is one, however that is written.
        """
        for name in "text/event-stream;", "Text/EVENT-Stream ; charset=windows-1252":
            body = stream(ONE).replace(b"text/event-stream", name.encode())
            server = ScriptedServer(self, body)
            self.assertEqual(await self.everything(self.source(server)), ["one"])
        for name in "text/plain", "text/event-streams", "", "application/json":
            body = stream(ONE, end=False).replace(b"text/event-stream", name.encode())
            server = ScriptedServer(self, body, close=False)
            error = await self.raises(BadContentType, self.source(server))
            self.assertEqual(error.contentType, name)
            await until(lambda server=server: not server.open, "no connection")
        missing = stream(ONE).replace(b"Content-Type", b"X-Type")
        error = await self.raises(BadContentType, self.source(ScriptedServer(self, missing)))
        self.assertEqual(error.contentType, None)

    async def test_redirects(self) -> None:
        """
        Redirects are followed, and the next request goes where they led to; as long as there is
        a stream.
        """
        for status in 301, 302, 303, 307, 308:
            server = ScriptedServer(
                self,
                *(redirect(status, "/there?x=1"), stream(b"retry: 0\n" + ONE), stream(TWO)),
                *(answer("404 Gone"), stream(b"data: three\n\n")),
            )
            self.assertEqual(await self.everything(self.source(server)), ["one", "two", "three"])
            targets = [each.target for each in server.requests]
            self.assertEqual(targets, ["/", *["/there?x=1"] * 3, "/", "/"])
            self.assertEqual(len(self.opened), 3)
            self.opened.clear()

    async def test_redirectedBody(self) -> None:
        """
        The body of a request goes along with 307 and 308; else it becomes a GET.
        """
        for status, method in (301, "GET"), (302, "GET"), (303, "GET"), (307, "POST"):
            server = ScriptedServer(self, redirect(status, "there"), stream(ONE))
            source = self.source(server, "a/b", method="POST", body=b"question")
            self.assertEqual(await self.everything(source), ["one"])
            asked = server.requests[1]
            self.assertEqual((asked.method, asked.target), (method, "/a/there"))
            self.assertEqual(asked.body, b"question" if method == "POST" else b"")

    async def test_redirectedElsewhere(self) -> None:
        """
        What is between the user and one server is not told to another.
        """
        other = ScriptedServer(self, stream(ONE))
        server = ScriptedServer(self, redirect(302, other.url))
        url = server.url.replace("//", "//alice:secret@")
        source = self.source(url, headers={"Cookie": "a=b", "X-Token": "t"}, lastEventID="7")
        self.assertEqual(await self.everything(source), ["one"])
        self.assertEqual(server.requests[0].headers["authorization"], "Basic YWxpY2U6c2VjcmV0")
        self.assertEqual(server.requests[0].headers["x-token"], "t")
        for name in "authorization", "cookie", "x-token":
            self.assertNotIn(name, other.requests[0].headers)
        self.assertEqual(other.requests[0].headers["last-event-id"], "7")

    async def test_badRedirects(self) -> None:
        """
        Not in circles, not for ever, and not to what is no web page.
        """
        for steps in (
            [redirect(302, "/")],
            [redirect(302, "/a"), redirect(302, "/b"), redirect(302, "/a")],
            [redirect(302, f"/{number}") for number in range(30)],
            [redirect(302, "ftp://127.0.0.1/")],
            [redirect(302, "http://[/")],
        ):
            server = ScriptedServer(self, *steps)
            await self.raises(BadRedirect, self.source(server))
            self.assertLessEqual(len(server.requests), 21)

    async def test_certificate(self) -> None:
        """
        A server that is not the one it should be, as far as its certificate says, is no server:
        one that nobody knows, another's, an old one, one of the future.
        """
        known = serverContext()
        for context, trusted in (
            (known, None),
            (serverContext("elsewhere.example"), True),
            (serverContext(begin=-9, end=-1), True),
            (serverContext(begin=1, end=9), True),
        ):
            server = ScriptedServer(self, stream(ONE), context=context)
            for options in {}, {"strict": True}, {"method": "POST"}:
                agent = EventStreamAgent(reactor, trusting(context)) if trusted else None
                source = self.source(server, agent=agent, **options)
                error = await self.raises(BadCertificate, source)
                self.assertIn("certificate", str(error))
            self.assertEqual((server.requests, self.errors), ([], []))
        server = ScriptedServer(self, stream(ONE), context=known)
        source = self.source(server, agent=EventStreamAgent(reactor, trusting(known)))
        self.assertEqual(await self.everything(source), ["one"])

    async def test_tooLarge(self) -> None:
        """
        An event that is too large is raised, after those before it.
        """
        for options in {}, {"strict": True}, {"method": "POST"}:
            server = ScriptedServer(self, stream(ONE + b"data: " + b"x" * 1000))
            await self.raises(EventTooLarge, self.source(server, maxEventSize=500, **options))
            self.assertEqual(self.data, ["one"])

    async def test_headers(self) -> None:
        """
        Headers that are made anew before each attempt; what making them raises is raised.
        """
        server = ScriptedServer(self, stream(b"retry: 0\n"), stream(b""), stream(b""))
        kinds: list[Any] = [
            {"X-N": "a"},
            Headers({"X-N": ["b"]}),
            deferLater(reactor, 0, lambda: {"X-N": ["c", "d"]}),
        ]

        async def last() -> Any:
            raise KeyError("no token")

        def headers() -> Any:
            return kinds.pop(0) if kinds else last()

        await self.raises(KeyError, self.source(server, headers=headers))
        values = [
            [value for name, value in each.fields if name.lower() == "x-n"]
            for each in server.requests
        ]
        self.assertEqual(values, [["a"], ["b"], ["c", "d"]])

    async def test_gaveUp(self) -> None:
        """
        After so many failures, or so much time, it gives up, and says what was wrong the last time.
        """
        broken = stream(ONE, end=False)
        server = ScriptedServer(self, broken, broken, answer("503 Busy"))
        error = await self.raises(GaveUp, self.source(server, backoff=Backoff(0, maxTries=3)))
        self.assertEqual(error.lastError.status, 503)
        self.assertIn("503 Busy", str(error))
        self.assertEqual(self.data, ["one", "one"])
        server = ScriptedServer(self, *[answer("503 Busy", "Retry-After: 10")] * 2)
        await self.raises(GaveUp, self.source(server, backoff=Backoff(0, maxTime=5)))
        self.assertEqual(len(server.requests), 1)

    async def test_otherScheme(self) -> None:
        """
        A redirect from http to https is followed, one from https to http is not: what was secret
        would not be any more.
        """
        context = serverContext()
        options = {"agent": EventStreamAgent(reactor, trusting(context))}
        secure = ScriptedServer(self, stream(ONE), context=context)
        server = ScriptedServer(self, redirect(307, secure.url))
        self.assertEqual(await self.everything(self.source(server, **options)), ["one"])
        plain = ScriptedServer(self, stream(ONE))
        server = ScriptedServer(self, redirect(307, plain.url), context=context)
        await self.raises(BadRedirect, self.source(server, **options))
        self.assertEqual(plain.requests, [])


class RequestTests(ClientTestCase):
    """
    What is asked for.
    """

    async def test_headers(self) -> None:
        """
        The standard's headers, ours, and the user's; an ID as UTF-8, and none if it is empty.
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
        Any method, with a body, which is sent again if it comes back.
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
        With an agent that has a proxy that is asked, and all else is as it is without.
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
        With an agent that has cookies they are sent when it comes back.
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
    What comes, however it comes.
    """

    async def test_compressed(self) -> None:
        """
        gzip and deflate are decoded as they come, however they are cut; with neither of them it
        is no stream.
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
        A compressed event is there when the server has flushed it.
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
        Of a small body that is large when decoded no more is decoded than is taken.
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
        Who does not take events is not sent any; afterwards all of them come, in order.
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
        Wait until something does not change any more.
        """
        seen = [object()] * 20
        while len(set(seen)) > 1:
            await deferLater(reactor, 0.02)
            seen = [*seen[1:], look()]

    async def test_odd(self) -> None:
        """
        A body may be cut anywhere, be no UTF-8, have comments only, and IDs of all kinds.
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
        Who waits for events gets those before a comment before the comment, and those behind it
        afterwards, also if all of them come at once.
        """
        told: list[str] = []
        body = ONE + b": a\n" + TWO.replace(b"\n", b"\r") + b": b\r\n:c\n\n" + ONE
        server = ScriptedServer(self, stream(body))
        source = self.source(server, onComment=told.append, reconnect=False)
        await source.listen(lambda event: told.append(event.data))
        self.assertEqual(told, ["one", " a", "two", " b", "c", "one"])

    async def test_endlessLine(self) -> None:
        """
        A line of 14 MB is an event; one without an end costs no more than is allowed.
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
        An event of lines without end costs no more than is allowed, whatever they are.
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
        A body that stops in the middle of a line, a character, a chunk or a TLS record is broken
        off: the events before are there, what is unfinished is not.
        """
        context = serverContext()
        head = stream(ONE, end=False)

        def record(connection: Any) -> None:
            def cut() -> None:
                # Its beginning as it is on the wire: application data, of 255 bytes.
                wire = connection.transport.transport
                wire.write(b"\x17\x03\x03\x00\xff" + b"x" * 9)
                wire.loseConnection()

            connection.transport.write(head)
            # TLS writes in the next turn of the reactor.
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
        Headers that do not end are cut off.
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
        self.assertIn("head of the response is larger", str(error))
        await until(lambda: not server.open, "no connection")

    async def test_garbage(self) -> None:
        """
        What is no HTTP at all is a broken connection.
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
        Without chunks and a length the end of the connection is that of the stream.
        """
        head = b"HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
        server = ScriptedServer(self, head + ONE + b"data: half")
        self.assertEqual(await self.everything(self.source(server, reconnect=False)), ["one"])


@needs("network")
class AsyncioTests(SynchronousTestCase):
    """
    The client in a program of asyncio, which is a process of its own: it has another reactor.
    """

    def test_following(self) -> None:
        """
        Events come into a queue of asyncio's, the future that is cancelled closes the source, and
        a task that iterates itself is told that it cannot.
        """
        [block] = [block for block in blocks("client.md", "python") if "asFuture" in block]
        program = f"{ASYNCIO_BEGIN}{block}{ASYNCIO_END}"
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", program],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        expected = "cannot: Task got bad yield\nhello\nhello\ncancelled\nnothing is left\n"
        self.assertEqual((done.stdout, done.stderr), (expected, ""))
