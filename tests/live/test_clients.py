"""
Tests with clients of other projects.
"""

from __future__ import annotations

import json
import shutil
import threading
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.web.resource import EncodingResourceWrapper, Resource
from twisted.web.server import GzipEncoderFactory

try:
    import httpx
    import httpx_sse
except ImportError:
    httpx = None  # type: ignore[assignment]

from tests.support.live import Child, LiveTestCase, freePort, until
from tests.support.requirements import needs
from twisted_sse import CloseReason, Event, EventStreamResource

#: A program that uses the npm package C{eventsource}.
NODE = """
const { EventSource } = require("eventsource")
const source = new EventSource(process.argv[1])
const tell = value => console.log(JSON.stringify(value))
source.onopen = () => tell({ open: source.readyState })
source.onerror = event => tell({ error: source.readyState, code: event.code ?? null })
for (const type of ["message", "greeting", "end"])
    source.addEventListener(type, e => tell({ [type]: [e.data, e.lastEventId] }))
"""


@needs("network", "node")
class NodeTests(LiveTestCase):
    """
    Tests for the C{EventSource} of npm's C{eventsource}.
    """

    def client(self, url: str) -> Child:
        """
        Start a client.
        """
        return Child(self, "-e", NODE, url, executable=shutil.which("node") or "node")

    async def test_receives(self) -> None:
        """
        The client receives types, IDs, several lines and all kinds of text.
        """

        def connected(stream: Any) -> None:
            stream.send("hello", id="1")
            stream.send("two\nlines", event="greeting")
            stream.send("gr\u00fc\u00dfe \u2028 \U0001f600", id="\u00e9")

        server = self.serve(connected)
        client = self.client(server.url)
        await client.wait("open")
        await client.wait("message", 2)
        self.assertEqual(
            client.told("message"),
            [["hello", "1"], ["gr\u00fc\u00dfe \u2028 \U0001f600", "\u00e9"]],
        )
        # The ID of the event itself, not the last one as in the standard.
        self.assertEqual(client.told("greeting"), [["two\nlines", ""]])
        await client.stop()
        await until(lambda: self.reasons.closedFor)
        self.assertEqual(self.reasons.closedFor, [CloseReason.CLIENT])

    async def test_reconnects(self) -> None:
        """
        After a restart of the server the client reconnects with its last event ID, and continues
        there.
        """
        port = str(freePort())
        first = Child(self, "-m", "tests.support.live_server", "--port", port, "--retry", "500")
        await first.wait("port")
        client = self.client(f"http://127.0.0.1:{port}/")
        await client.wait("message", 3)
        await first.stop()
        await client.wait("error")
        received = client.told("message")
        second = Child(self, "-m", "tests.support.live_server", "--port", port, "--retry", "500")
        last = await second.wait("lastEventID")
        self.assertEqual(last, received[-1][1])
        await client.wait("message", len(received) + 2)
        ids = [int(number) for _, number in client.told("message")]
        self.assertEqual(ids, list(range(1, len(ids) + 1)))

    async def test_once(self) -> None:
        """
        A finite stream is received once, because the 204 stops the client.
        """

        asked: list[str] = []

        def connected(stream: Any) -> list[str]:
            asked.append(stream.lastEventID)
            return ["one", "two"]

        server = self.serve(connected, once=True, retry=500)
        client = self.client(server.url)
        await until(lambda: 204 in [error.get("code") for error in client.news])
        self.assertEqual([data for data, _ in client.told("message")], ["one", "two"])
        self.assertEqual(client.told("end"), [["{}", "end"]])
        self.assertEqual(asked, [""])
        # 2 is CLOSED.
        self.assertEqual(client.told("error")[-1], 2)


def greet(stream: Any) -> None:
    """
    Send an event of type C{greeting}.
    """
    stream.send("hello", id="1", event="greeting")


@needs("network", "packages")
class HttpxTests(LiveTestCase):
    """
    Tests for httpx-sse, a Python client.
    """

    async def test_receives(self) -> None:
        """
        The client receives events as they are sent.
        """
        received: list[Any] = []
        enough = threading.Event()

        def read(url: str) -> None:
            with (
                httpx.Client(timeout=20) as client,
                httpx_sse.connect_sse(client, "GET", url) as source,
            ):
                for event in source.iter_sse():
                    received.append((event.event, event.data, event.id))
                    if enough.is_set():
                        return

        server = self.serve(greet)
        reading = deferToThread(read, server.url)
        await until(lambda: received)
        stream = await self.stream()
        stream.send(json={"a": [1, 2]})
        await until(lambda: len(received) == 2)
        enough.set()
        stream.send("two\nlines")
        await reading
        self.assertEqual(
            received,
            [
                ("greeting", "hello", "1"),
                ("message", json.dumps({"a": [1, 2]}, separators=(",", ":")), "1"),
                ("message", "two\nlines", "1"),
            ],
        )
        await until(lambda: self.reasons.closedFor)

    async def test_end(self) -> None:
        """
        The client can tell a clean end from an error.
        """

        def failing() -> Any:
            yield "one"
            raise RuntimeError("two")

        def read(url: str) -> list[str]:
            received = []
            with (
                httpx.Client(timeout=20) as client,
                httpx_sse.connect_sse(client, "GET", url) as source,
            ):
                try:
                    # One by one, to keep the events before the error.
                    received.extend(event.data for event in source.iter_sse())
                except httpx.RemoteProtocolError:
                    received.append("broken")
            return received

        root = Resource()
        root.putChild(b"good", EventStreamResource(lambda stream: [Event("one"), Event("two")]))
        root.putChild(b"bad", EventStreamResource(lambda stream: failing()))
        server = self.serve(root)
        url = server.url
        self.assertEqual(await deferToThread(read, f"{url}good"), ["one", "two"])
        self.assertEqual(await deferToThread(read, f"{url}bad"), ["one", "broken"])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    async def test_compressed(self) -> None:
        """
        The client asks for compression, and a wrapper that compresses does not affect the stream.
        """
        asked: Deferred[str] = Deferred()

        def connected(stream: Any) -> None:
            asked.callback(stream.request.getHeader("accept-encoding"))
            stream.send("hello")

        def read(url: str) -> str:
            with (
                httpx.Client(timeout=20) as client,
                httpx_sse.connect_sse(client, "GET", url) as source,
            ):
                return str(next(source.iter_sse()).data)

        resource = EventStreamResource(connected)
        server = self.serve(EncodingResourceWrapper(resource, [GzipEncoderFactory()]))
        reading = deferToThread(read, server.url)
        self.assertIn("gzip", await asked)
        self.assertEqual(await reading, "hello")
        await until(lambda: not resource.streams)
