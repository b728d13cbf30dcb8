"""
Tests for L{tests.support.contract_service} and L{twisted_sse.client.source}: the requirements of
LaunchDarkly's C{sse-contract-tests} for clients, checked over HTTP as in that suite.
"""

from __future__ import annotations

import base64
import json
from io import BytesIO
from itertools import product
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.web.client import Agent, FileBodyProducer, readBody
from twisted.web.http_headers import Headers
from twisted.web.resource import Resource
from twisted.web.server import Site

from tests.support.contract_service import CAPABILITIES, LISTENERS, ContractService
from tests.support.live import LiveTestCase, reactor, until
from tests.support.requirements import needs
from tests.support.scripted import HEAD, ScriptedServer, answer, chunk

BOM = b"\xef\xbb\xbf"

Told = dict[str, Any]


def event(data: str, type: str = "message", id: str = "") -> Told:
    """
    @return: the report of an event.
    """
    return {"kind": "event", "event": {"type": type, "data": data, "id": id}}


def comment(text: str) -> Told:
    """
    @return: the report of a comment.
    """
    return {"kind": "comment", "comment": text}


def cut(data: bytes, size: int) -> list[bytes]:
    """
    @return: the data in pieces of this size.
    """
    return [data[at : at + size] for at in range(0, len(data), size)]


A = b"data: Hello\n\n"
LARGE = base64.b64encode(bytes(range(256)) * 4096 * 5)
CHARACTERS = "olá 中 \U0001f642"

#: Streams in pieces, and their reports.
PARSING: dict[str, tuple[list[bytes], list[Told]]] = {
    "one": ([A], [event("Hello")]),
    "two in three": ([b"data: a\n", b"\ndata:", b" b\n\n"], [event("a"), event("b")]),
    "large": ([b"data: " + LARGE + b"\n\n"], [event(LARGE.decode())]),
    "large in two": ([b"data: " + LARGE, LARGE + b"\n\n"], [event((LARGE * 2).decode())]),
    "one in two": ([A[:8], A[8:]], [event("Hello")]),
    "two in one": ([b"data: a\n\ndata: b\n\n"], [event("a"), event("b")]),
    "two lines": ([b"data: a\ndata: b\n\n"], [event("a\nb")]),
    "empty": ([b"data:\n\n"], [event("")]),
    "type": ([b"event: x\n" + A], [event("Hello", "x")]),
    "default type": ([b"event:\n" + A], [event("Hello")]),
    "ID": ([b"id: 1\n" + A], [event("Hello", id="1")]),
    "type and ID": ([b"event: x\nid: 1\n" + A], [event("Hello", "x", "1")]),
    "ID with NUL": ([b"id: 1\n" + A + b"id: 2\x003\n" + A], [event("Hello", id="1")] * 2),
    "last ID": ([b"id: 1\n" + A + A], [event("Hello", id="1")] * 2),
    "ID reset": ([b"id: 1\n" + A + b"id:\n" + A], [event("Hello", id="1"), event("Hello")]),
    "reverse": ([b"data: Hello\nid: 1\nevent: x\n\n"], [event("Hello", "x", "1")]),
    "unknown": ([b"other: x\n" + A], [event("Hello")]),
    "no space": ([b"event:x\ndata:Hello\n\n"], [event("Hello", "x")]),
    "two spaces": ([b"event:  x\ndata:  Hello\n\n"], [event(" Hello", " x")]),
    "no colon": ([b"data\n\ndata\ndata\n\n"], [event(""), event("\n")]),
    "characters": ([f"data: {CHARACTERS}\n\n".encode()], [event(CHARACTERS)]),
    "hundred": (
        [b"".join(b"data: %d\n\n" % n for n in range(100))],
        [event(str(n)) for n in range(100)],
    ),
    "bytes": (cut(f"data: {CHARACTERS}\n\n".encode(), 1), [event(CHARACTERS)]),
    "BOM": ([BOM + A], [event("Hello")]),
    "BOM, type and ID": ([BOM + b"event: x\nid: 1\n" + A], [event("Hello", "x", "1")]),
    "BOM, two": ([BOM + A + A], [event("Hello")] * 2),
    "BOM later": ([b"data: a" + BOM + b"\n\n"], [event("a\ufeff")]),
    "BOM in two": ([BOM[:2], BOM[2:] + A], [event("Hello")]),
    "BOM in three": ([*cut(BOM, 1), A], [event("Hello")]),
    "BOM twice": ([BOM + b"data: " + BOM + b"\n\n"], [event("\ufeff")]),
    "no BOM": ([b"id: 1\n" + A], [event("Hello", id="1")]),
    "BOM, lines": ([BOM + b"data: a\ndata: b\n\n"], [event("a\nb")]),
    "BOM, comment": ([BOM + b":Hello\n" + A], [comment("Hello"), event("Hello")]),
    "BOM, empty": ([BOM + b"data\n\n"], [event("")]),
    "comment": ([b":Hello\n"], [comment("Hello")]),
    "two comments": ([b":Hello\n:you\n"], [comment("Hello"), comment("you")]),
    "comment before": ([b":Hello\n" + A], [comment("Hello"), event("Hello")]),
    "comment after": ([A + b":Hello\n"], [event("Hello"), comment("Hello")]),
}

#: Line ends, and sizes of pieces in bytes.
ENDS = list(product([b"\n", b"\r\n", b"\r"], [1000, 1, 2]))

#: Streams with LF, and their reports.
LINES: list[tuple[bytes, list[Told]]] = [
    (A, [event("Hello")]),
    (A + b"data: a\ndata: b\n\n", [event("Hello"), event("a\nb")]),
    (b"data:\ndata: a\ndata: b\n\n", [event("\na\nb")]),
    (b"data: a\ndata:\ndata: b\n\n", [event("a\n\nb")]),
    (A + b"\n" + A, [event("Hello")] * 2),
    (A + b"\n\n" + A, [event("Hello")] * 2),
]


class Callbacks(Resource):
    """
    Receives the reports of the service.

    @ivar told: the reports, in order.
    """

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.told: list[Told] = []
        self._early: dict[int, Told] = {}

    def render_POST(self, request: Any) -> bytes:
        """
        Receive a report.
        """
        self._early[int(request.postpath[-1])] = json.load(request.content)
        while len(self.told) + 1 in self._early:
            self.told.append(self._early.pop(len(self.told) + 1))
        request.setResponseCode(202)
        return b""


@needs("network")
class ContractTests(LiveTestCase):
    """
    Tests for the groups of the suite.
    """

    def setUp(self) -> None:
        """
        Start the service.
        """
        super().setUp()
        self.stopped: list[object] = []
        self.service = ContractService(reactor, lambda: self.stopped.append(None))
        self.addCleanup(self.service.pool.closeCachedConnections)
        self.url = self.serve(self.service)

    def serve(self, resource: Resource) -> str:
        """
        Serve a resource.

        @return: its URL.
        """
        port = reactor.listenTCP(0, Site(resource), 50, "127.0.0.1")
        self.addCleanup(port.stopListening)
        return f"http://127.0.0.1:{port.getHost().port}"

    async def ask(self, method: str, url: str, value: object = None) -> Any:
        """
        Make a request.

        @return: the response, and its body.
        """
        body = None if value is None else FileBodyProducer(BytesIO(json.dumps(value).encode()))
        response = await Agent(reactor).request(method.encode(), url.encode(), Headers(), body)
        return response, await readBody(response)

    async def create(self, url: str, **asked: Any) -> str:
        """
        Create a client.

        @return: the URL for its commands.
        """
        self.callbacks = Callbacks()
        asked |= {"tag": self.id(), "streamUrl": url, "callbackUrl": self.serve(self.callbacks)}
        # As the harness sends it.
        asked = {"readTimeoutMs": None, "initialDelayMs": 0, **asked}
        response, _ = await self.ask("POST", self.url, asked)
        self.assertEqual(response.code, 201)
        (location,) = response.headers.getRawHeaders("location")
        return self.url + str(location)

    async def expect(self, *told: Told) -> None:
        """
        Wait for these reports.

        @param told: all reports of this client.
        """
        await until(lambda: len(self.callbacks.told) >= len(told), f"told: {told}"[:200])
        self.assertEqual(self.callbacks.told, list(told))

    async def delete(self, location: str, server: ScriptedServer) -> None:
        """
        Close a client.
        """
        response, _ = await self.ask("DELETE", location)
        self.assertEqual(response.code, 200)
        await until(lambda: not server.open, "the connection is closed")
        response, _ = await self.ask("POST", location, {"command": "restart"})
        self.assertEqual(response.code, 404)

    async def parses(self, pieces: list[bytes], told: list[Told], what: str) -> None:
        """
        Let a client read a stream.

        @param what: the message of a failure.
        """

        def begin(connection: Any) -> None:
            async def send() -> None:
                connection.transport.write(HEAD % b"")
                for piece in pieces:
                    connection.transport.write(chunk(piece))
                    # Send each piece on its own, as far as possible.
                    await deferLater(reactor, 0)

            Deferred.fromCoroutine(send())

        server = ScriptedServer(self, begin, close=False)
        location = await self.create(server.url)
        await until(lambda: len(self.callbacks.told) >= len(told), what)
        self.assertEqual(self.callbacks.told, told, what)
        await self.delete(location, server)

    async def test_parsing(self) -> None:
        """
        Events, byte order marks and comments are reported exactly and in order.
        """
        for name, (pieces, told) in PARSING.items():
            await self.parses(pieces, told, name)

    test_parsing.timeout = 120  # type: ignore[attr-defined]

    async def test_lineEnds(self) -> None:
        """
        Any of the three line ends works, wherever the stream is cut, even within a CRLF.
        """
        for (end, size), (stream, told) in product(ENDS, LINES):
            what = f"{end!r} for LF, {size} bytes at a time: {stream!r}"
            await self.parses(cut(stream.replace(b"\n", end), size), told, what)
        pieces = [b"event: x\r", b"\nid: 1\r", b"\ndata: a\r", b"\ndata: b\r", b"\n\r", b"\n"]
        await self.parses(pieces, [event("a\nb", "x", "1")], "CRLF, cut in the middle")

    test_lineEnds.timeout = 120  # type: ignore[attr-defined]

    async def test_requests(self) -> None:
        """
        The request is made as specified, a 204 ends the client, and valid redirects are followed.
        """
        begun = HEAD % b"" + chunk(A)
        for asked, method, fields, body in (
            ({}, "GET", {}, b""),
            ({"headers": {"x-a": "1", "x-b": "2"}}, "GET", {"x-a": "1", "x-b": "2"}, b""),
            (
                {"method": "POST", "body": "{}", "headers": {"content-type": "text/x"}},
                "POST",
                {"content-type": "text/x"},
                b"{}",
            ),
            ({"method": "REPORT", "body": "{}"}, "REPORT", {}, b"{}"),
            ({"lastEventId": "7"}, "GET", {"last-event-id": "7"}, b""),
        ):
            server = ScriptedServer(self, begun, close=False)
            location = await self.create(server.url, **asked)
            await self.expect(event("Hello", id=fields.get("last-event-id", "")))
            (request,) = server.requests
            self.assertEqual((request.method, request.body), (method, body))
            expected = {"accept": "text/event-stream", "cache-control": "no-cache", **fields}
            self.assertEqual({**request.headers, **expected}, request.headers)
            self.assertEqual("last-event-id" in request.headers, "lastEventId" in asked)
            await self.delete(location, server)

        server = ScriptedServer(self, answer("204 No Content"))
        location = await self.create(server.url)
        source = self.service.streams[location.rpartition("/")[2].encode()].source
        await until(lambda: source.readyState == source.CLOSED, "it has ended")
        self.assertEqual((len(server.requests), self.callbacks.told), (1, []))

        for status, fields_ in product((301, 307), (["Location: /x"], ["Location:"], [])):
            elsewhere = answer(f"{status} Elsewhere", *fields_)
            server = ScriptedServer(self, elsewhere, begun, close=False)
            location = await self.create(server.url)
            if fields_ == ["Location: /x"]:
                await self.expect(event("Hello"))
                self.assertEqual(server.requests[-1].target, "/x")
            else:
                await until(lambda: self.callbacks.told, "the report of an error")
                self.assertEqual([each["kind"] for each in self.callbacks.told], ["error"])
                self.assertEqual(len(server.requests), 1)
            await self.delete(location, server)

    async def test_reconnection(self) -> None:
        """
        The client reconnects with its last event ID, method and body on command, after the end and
        after a timeout, which alone is reported as an error.
        """
        head = HEAD % b""
        one, two = head + chunk(b"id: 1\n" + A), head + chunk(b"data: you\n\n")
        for asked, first, told, lastEventID in (
            ({}, one, [event("Hello", id="1")], "1"),
            ({}, one + chunk(A), [event("Hello", id="1")] * 2, "1"),
            ({}, one + chunk(b"id\n" + A), [event("Hello", id="1"), event("Hello")], None),
            ({}, one + chunk(b"id: 2\ndata: half\n"), [event("Hello", id="1")], "1"),
            ({"method": "POST", "body": "{}"}, one, [event("Hello", id="1")], "1"),
        ):
            for isTold in True, False:
                server = ScriptedServer(self, first, two, close=False)
                location = await self.create(server.url, **asked)
                await self.expect(*told)
                self.assertEqual(len(server.requests), 1)
                if isTold:
                    response, _ = await self.ask("POST", location, {"command": "restart"})
                    self.assertEqual(response.code, 200)
                else:
                    server.connections[0].transport.write(chunk(b""))
                    server.connections[0].transport.loseConnection()
                await self.expect(*told, event("you", id=lastEventID or ""))
                before, after = server.requests
                self.assertEqual(after.headers.get("last-event-id"), lastEventID)
                self.assertEqual((after.method, after.body), (before.method, before.body))
                await self.delete(location, server)

        server = ScriptedServer(self, one, two, close=False)
        location = await self.create(server.url, readTimeoutMs=500)
        await until(lambda: len(self.callbacks.told) == 3, "it has reconnected")
        kinds = [each["kind"] for each in self.callbacks.told]
        self.assertEqual(kinds, ["event", "error", "event"])
        await self.delete(location, server)

    async def test_listeners(self) -> None:
        """
        A service with C{event-type-listeners} reports messages, and events of the requested types,
        each once and in order.
        """
        service = ContractService(reactor, lambda: None, hasListeners=True)
        self.addCleanup(service.pool.closeCachedConnections)
        self.url = self.serve(service)
        _, body = await self.ask("GET", self.url)
        self.assertEqual(json.loads(body)["capabilities"], [*CAPABILITIES, LISTENERS])
        connections: list[Any] = []
        server = ScriptedServer(self, connections.append, close=False)
        location = await self.create(server.url)
        await until(lambda: connections, "a request")
        connections[0].transport.write(HEAD % b"" + chunk(b"event: x\ndata: early\n\n" + A))
        await self.expect(event("Hello"))
        for name in "x", "y":
            command = {"command": "listen", "listen": {"type": name}}
            response, _ = await self.ask("POST", location, command)
            self.assertEqual(response.code, 200)
        events = b"event: y\n" + A + b"event: z\n" + A + A + b"event: x\n" + A
        connections[0].transport.write(chunk(events))
        await self.expect(event("Hello"), event("Hello", "y"), event("Hello"), event("Hello", "x"))
        await self.delete(location, server)

    async def test_service(self) -> None:
        """
        The service lists its capabilities, refuses unknown commands, and stops on request.
        """
        _, body = await self.ask("GET", self.url)
        self.assertEqual(json.loads(body)["capabilities"], CAPABILITIES)
        server = ScriptedServer(self, HEAD % b"" + chunk(A), close=False)
        location = await self.create(server.url)
        response, _ = await self.ask("POST", location, {"command": "dance"})
        self.assertEqual(response.code, 400)
        await self.delete(location, server)
        response, _ = await self.ask("DELETE", self.url)
        self.assertEqual(response.code, 200)
        await until(lambda: self.stopped, "the stop")
