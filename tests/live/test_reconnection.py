"""
Tests for how clients reconnect: after which time, and with which ID.  Chromium and Firefox apply a
C{retry} for the life of the page, as soon as its line ends; Node's C{EventSource}, undici's, when a
blank line follows.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from typing import Any

from twisted.internet.threads import deferToThread
from twisted.web.resource import Resource
from twisted.web.static import Data

from tests.support.browsers import Browsing, Firefox
from tests.support.live import Child, LiveTestCase, reactor, until
from tests.support.requirements import needs
from twisted_sse import Channel, EventStream, EventStreamResource

#: Follows C{/events}, and reports each event to the server, one by one.
SCRIPT = """
const source = new EventSource(`${origin}/events`)
let reported = Promise.resolve()
const tell = body => reported = reported.then(() =>
    fetch(`${origin}/told`, { method: "POST", body }))
for (const type of ["message", "stream-position", "stream-reset"])
    source.addEventListener(type, e => tell(JSON.stringify([e.type, e.data, e.lastEventId])))
"""

PAGE = f"""<!doctype html><meta charset=utf-8><link rel=icon href="data:,"><title>-</title>
<script>const {{ origin }} = location; {SCRIPT}</script>"""

NODE = f"""
const {{ EventSource }} = require("undici")
const {{ origin }} = new URL(process.argv[1])
// The time until it connects again does not keep Node running.
setInterval(() => {{}}, 60_000)
{SCRIPT}"""

#: Reconnection times sent to the clients, in seconds.  Each differs enough from the others, and
#: from the defaults of clients (5 s in Firefox, 3 in others), even on a busy machine.
USUAL, LONG, DEFAULT = 0.6, 1.6, 3.0

#: The allowed excess of a client's wait over the sent time.
LATE = 1.3


class Told(Resource):
    """
    The target of the script's reports.
    """

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.events: list[list[str]] = []

    def render_POST(self, request: Any) -> bytes:
        """
        Receive a report.
        """
        self.events.append(json.loads(request.content.read()))
        return b""


class ReconnectionTests:
    """
    Tests for one client, mixed into a L{LiveTestCase}.

    @cvar greeting: the text sent to it immediately, if it does not apply a C{retry} before the
        first blank line.
    """

    greeting: str | None = None

    async def open(self, url: str) -> None:
        """
        Start the client.

        @param url: the URL of the page.
        """
        raise NotImplementedError

    def root(self, events: Resource) -> Resource:
        """
        Make the resource of a site.

        @param events: the stream that the client follows.
        """
        root = Resource()
        self.told = Told()
        root.putChild(b"events", events)
        root.putChild(b"told", self.told)
        root.putChild(b"page", Data(PAGE.encode(), "text/html"))
        return root

    async def test_retry(self: Any) -> None:
        """
        The client waits for the time it received last: at the beginning of the response; before the
        end, from a drain; and at the beginning of the next response.
        """
        arrivals: list[float] = []

        def connected(stream: EventStream) -> None:
            arrivals.append(reactor.seconds())
            if self.greeting is not None:
                stream.send(self.greeting)

        def serve(**options: Any) -> EventStreamResource:
            resource = EventStreamResource(connected, **options)
            root.putChild(b"events", resource)
            return resource

        async def absence(end: Callable[[], object]) -> float:
            ended = reactor.seconds()
            before = len(arrivals)
            end()
            await until(lambda: len(arrivals) > before, "the client has reconnected")
            return arrivals[-1] - ended

        def endAll(resource: EventStreamResource) -> None:
            for stream in resource.streams:
                stream.end()

        root = self.root(Resource())
        first = serve(retry=round(USUAL * 1000))
        await self.open(f"{self.serve(root).url}page")
        await until(lambda: first.streams, "the client is connected")

        usual = await absence(lambda: endAll(first))
        # As after a restart, the next one is ready.
        second = serve()
        long = await absence(lambda: first.drain(5, retry=(round(LONG * 1000),) * 2))
        default = await absence(lambda: endAll(second))
        for waited, told in (usual, USUAL), (long, LONG), (default, DEFAULT):
            self.assertTrue(told - 0.02 < waited < told + LATE, f"{waited} s in place of {told} s")

    async def test_position(self: Any) -> None:
        """
        A client of a channel that is cut off before its first event receives the events published
        meanwhile, and no others.
        """
        channel = Channel()
        came: list[str] = []

        def connected(stream: EventStream) -> None:
            came.append(stream.lastEventID)
            channel.subscribe(stream)

        resource = EventStreamResource(connected, retry=500)
        root = self.root(resource)
        channel.publish("not for it")
        await self.open(f"{self.serve(root).url}page")
        await until(lambda: self.told.events, "the client has its position")
        [stream] = resource.streams
        stream.abort()
        sent = [channel.publish(str(number)) for number in range(3)]
        await until(lambda: len(came) == 2, "the client has reconnected")
        sent.append(channel.publish("live"))
        await until(lambda: "live" in [data for _, data, _ in self.told.events])
        [_, data, place], *rest = self.told.events
        self.assertEqual((data, came), ("{}", ["", place]))
        self.assertEqual(rest, [["message", event.data, event.id] for event in sent])


@needs("network", "browser")
class ChromiumTests(ReconnectionTests, Browsing):
    """
    Tests for Chromium.
    """

    async def open(self, url: str) -> None:
        """
        Open the page.
        """
        browser = await self.browse()
        await deferToThread(browser.get, url)


@needs("network", "firefox")
class FirefoxTests(ReconnectionTests, LiveTestCase):
    """
    Tests for Firefox.
    """

    async def open(self, url: str) -> None:
        """
        Open the page.
        """
        Firefox(self, url)


@needs("network", "node")
class UndiciTests(ReconnectionTests, LiveTestCase):
    """
    Tests for undici.
    """

    greeting = "hello"

    async def open(self, url: str) -> None:
        """
        Start Node.
        """
        Child(self, "-e", NODE, url, executable=shutil.which("node") or "node")
