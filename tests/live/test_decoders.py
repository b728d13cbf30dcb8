"""
Tests with widely used decoders that make a message of every blank line: across many heartbeats they
receive each event, and nothing else.

Each decodes its messages as JSON, as many applications do: it reports the value of each message,
and fails at an empty one.
"""

from __future__ import annotations

import shutil
from typing import Any

from twisted.internet.defer import Deferred
from twisted.web.resource import Resource

from tests.support.live import Child, LiveTestCase, until
from tests.support.requirements import R3LABS, needs
from twisted_sse import Channel, EventStreamResource

#: Seconds of silence before a heartbeat, and their number before the end: as in five minutes with
#: one a second.  None of these decoders uses a clock.
HEARTBEAT = 0.005
HEARTBEATS = 300

#: The number of events between the heartbeats.
EVENTS = 5

#: Output of many servers, with blank lines after comments: an event, and a heartbeat.
BLANK_LINES = b': \n\nid: 1\ndata: {"n": 1}\n\n:\n\nid: 2\ndata: {"n": 2}\n\n'

FETCH_EVENT_SOURCE = """
// It is made for browsers.  Of these it uses timers, fetch, and whether the page is visible.
globalThis.window = globalThis
globalThis.document = { hidden: false, addEventListener() {}, removeEventListener() {} }
const { fetchEventSource } = require("@microsoft/fetch-event-source")
const tell = value => console.log(JSON.stringify(value))
fetchEventSource(process.argv[1], {
    onmessage: message => tell({ data: JSON.parse(message.data) }),
    onclose: () => tell({ ended: null }),
    // If this did not throw, it would connect again, and fail again.
    onerror: error => { tell({ ended: error.message }); throw error },
}).catch(() => {})
"""

PYTHON = """
import json, sys

def tell(**news):
    print(json.dumps(news), flush=True)

def follow(messages):
    try:
        for message in messages:
            tell(data=message)
    except json.JSONDecodeError as error:
        tell(ended=str(error))
    else:
        tell(ended=None)
"""

HTTPX_SSE = f"""{PYTHON}
import httpx, httpx_sse
with (
    httpx.Client(timeout=20) as client,
    httpx_sse.connect_sse(client, "GET", sys.argv[1]) as source,
):
    follow(event.json() for event in source.iter_sse())
"""

OPENAI = f"""{PYTHON}
import openai
base, _, path = sys.argv[1].rpartition("/")
with openai.OpenAI(base_url=base, api_key="-", max_retries=0) as client:
    follow(
        client.get(
            f"/{{path}}",
            cast_to=object,
            options={{"headers": {{"Accept": "text/event-stream"}}}},
            stream=True,
            stream_cls=openai.Stream[object],
        )
    )
"""


class BlankLines(Resource):
    """
    Responds like servers that end each comment with a blank line.
    """

    isLeaf = True

    def render_GET(self, request: Any) -> bytes:
        """
        Return two events and two comments.
        """
        request.setHeader(b"Content-Type", b"text/event-stream")
        return BLANK_LINES


class DecoderTests:
    """
    Tests for one decoder, mixed into a L{LiveTestCase}.
    """

    def decoder(self, url: str) -> Child:
        """
        Start the decoder: it reports C{data} for each message, and at last C{ended}, with the
        error if there was one.
        """
        raise NotImplementedError

    async def test_heartbeats(self: Any) -> None:
        """
        Across the heartbeats of five minutes, the decoder receives each event with an ID, and the
        end of a finite stream, and no empty message.
        """
        channel = Channel()
        root = Resource()
        served = {
            "stream": EventStreamResource(lambda stream: None, once=True, heartbeat=HEARTBEAT),
            "channel": EventStreamResource(channel.subscribe, once=True, heartbeat=HEARTBEAT),
        }
        for path, resource in served.items():
            root.putChild(path.encode(), resource)
        server = self.serve(root)
        decoders = [self.decoder(f"{server.url}{path}") for path in served]
        # These see the comments, which the decoders do not show.
        watching = [server.get(f"/{path}")[1] for path in served]
        await until(lambda: all(len(resource.streams) == 2 for resource in served.values()))

        def silence(beats: int) -> Deferred[None]:
            enough = min(len(each.comments) for each in watching) + beats
            return until(lambda: all(len(each.comments) >= enough for each in watching))

        for number in range(EVENTS):
            await silence(HEARTBEATS // EVENTS)
            for stream in served["stream"].streams:
                stream.comment("an application's own")
                stream.send(json={"n": number}, id=number)
                stream.comment("another")
            channel.publish(json={"n": number})
        channel.close()
        for stream in served["stream"].streams:
            stream.end()

        events: list[Any] = [{"n": number} for number in range(EVENTS)]
        for decoder, before in zip(decoders, ([], [{}]), strict=True):
            self.assertIsNone(await decoder.wait("ended"))
            # The position precedes the channel's events; the end follows them.
            self.assertEqual(decoder.told("data"), [*before, *events, {}])

    async def test_blankLines(self: Any) -> None:
        """
        Where comments are followed by blank lines, the decoder makes an empty message of one.
        """
        decoder = self.decoder(f"{self.serve(BlankLines()).url}old")
        self.assertRegex(await decoder.wait("ended"), "JSON|Expecting value")
        self.assertIn(decoder.told("data"), ([], [{"n": 1}]))


@needs("network", "node")
class FetchEventSourceTests(DecoderTests, LiveTestCase):
    """
    Tests for C{@microsoft/fetch-event-source}, of npm.
    """

    def decoder(self, url: str) -> Child:
        """
        Start Node.
        """
        node = shutil.which("node") or "node"
        return Child(self, "-e", FETCH_EVENT_SOURCE, url, executable=node)


@needs("network", "packages")
class HttpxSSETests(DecoderTests, LiveTestCase):
    """
    Tests for C{httpx-sse}, of PyPI.
    """

    def decoder(self, url: str) -> Child:
        """
        Start Python.
        """
        return Child(self, "-c", HTTPX_SSE, url)


@needs("network", "packages")
class OpenAITests(DecoderTests, LiveTestCase):
    """
    Tests for C{openai}, of PyPI, whose decoder other packages have copied.
    """

    def decoder(self, url: str) -> Child:
        """
        Start Python.
        """
        return Child(self, "-c", OPENAI, url)


@needs("network", "go")
class R3labsTests(DecoderTests, LiveTestCase):
    """
    Tests for C{github.com/r3labs/sse}, a Go module.
    """

    def decoder(self, url: str) -> Child:
        """
        Start the program.
        """
        return Child(self, url, executable=str(R3LABS))
