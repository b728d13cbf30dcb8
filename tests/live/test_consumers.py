"""
Tests for the example of a device, with the packages that home automation uses for such streams, and
for the documentation's claims about them.
"""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

from tests.support.documents import blocks
from tests.support.examples import example
from tests.support.live import Child, LiveTestCase, Server, until
from tests.support.requirements import needs
from twisted_sse import Channel, Event, EventStreamResource

#: The beginning of each consumer: C{tell} reports an event.
COMMON = """
import asyncio, json, sys

def tell(type, data):
    # Not so much that a pipe would not take it at once.
    print(json.dumps({"event": [type, data if len(data) < 1000 else len(data)]}), flush=True)

def ended(error=None):
    print(json.dumps({"ended": error and type(error).__name__ + ": " + str(error)}), flush=True)
"""

#: As in many integrations: lines, as split by aiohttp.
LINES = f"""{COMMON}
import aiohttp

async def main():
    async with aiohttp.ClientSession() as session, session.get(sys.argv[1]) as response:
        kind = "message"
        async for line in response.content:
            name, _, value = line.decode().rstrip("\\n").partition(": ")
            if name == "event":
                kind = value
            elif name == "data":
                tell(kind, value)
                kind = "message"

try:
    asyncio.run(main())
    ended()
except Exception as error:
    ended(error)
"""

AIOHTTP_SSE_CLIENT = f"""{COMMON}
import datetime
import aiohttp
from aiohttp_sse_client.client import EventSource

async def main():
    options = dict(timeout=aiohttp.ClientTimeout(total=None), max_connect_retry=5,
        reconnection_time=datetime.timedelta(seconds=0.1))
    async with EventSource(sys.argv[1], **options) as source:
        async for event in source:
            tell(event.type, event.data)

try:
    asyncio.run(main())
    ended()
except Exception as error:
    ended(error)
"""

AIOSSECLIENT = f"""{COMMON}
from aiosseclient import aiosseclient

async def main():
    async for event in aiosseclient(sys.argv[1]):
        tell(event.event, event.data)

asyncio.run(main())
ended()
"""

HTTPX_SSE = f"""{COMMON}
import httpx, httpx_sse

with httpx.Client(timeout=httpx.Timeout(10, read=45)) as client:
    with httpx_sse.connect_sse(client, "GET", sys.argv[1]) as source:
        for event in source.iter_sse():
            tell(event.event, event.data)
ended()
"""

DOCUMENTED = f"""{COMMON}
{blocks("howto-consumers.md", "py")[0]}

assert "twisted.internet.reactor" not in sys.modules
asyncio.run(follow(sys.argv[1], tell))
ended()
"""

CONSUMERS = {
    "lines": LINES,
    "aiohttp-sse-client": AIOHTTP_SSE_CLIENT,
    "aiosseclient": AIOSSECLIENT,
    "httpx-sse": HTTPX_SSE,
    "documented": DOCUMENTED,
}

#: The consumers that reconnect after a cut.
LASTING = ("aiohttp-sse-client", "documented")


@needs("network", "packages")
class ConsumerTests(LiveTestCase):
    """
    Tests for consumers.
    """

    def device(self) -> ModuleType:
        """
        Serve the example.
        """
        device = example("device_events")
        self.server = Server(self, device.app.resource())
        return device

    def follow(self, url: str, *names: str) -> dict[str, Child]:
        """
        Start consumers.

        @param names: their names; by default all.
        """
        return {name: Child(self, "-c", CONSUMERS[name], url) for name in names or CONSUMERS}

    async def get(self, consumers: dict[str, Child], *events: tuple[str, str]) -> None:
        """
        Assert that each consumer receives exactly these events.
        """
        for name, consumer in consumers.items():
            await consumer.wait("event", len(events))
            self.assertEqual(consumer.told("event"), [list(each) for each in events], name)

    async def test_device(self) -> None:
        """
        Each consumer receives all states of the device, then each change, and nothing else.
        """
        device = self.device()
        consumers = self.follow(f"{self.server.url}events")
        await until(lambda: len(device.channel.streams) == len(consumers), "all are connected")
        for each in device.channel.streams:
            for _ in range(3):
                each.comment("")
        device.toggle(None)
        states = [
            device.state("sensor-temperature"),
            Event.json({"id": "switch-lamp", "state": "OFF", "value": False}, event="state"),
            device.state("switch-lamp"),
        ]
        for name, consumer in consumers.items():
            await consumer.wait("event", 5)
            (ping, title), *rest = consumer.told("event")
            self.assertEqual((ping, json.loads(title)["title"]), ("ping", "Living room"))
            log = ("log", "[D][switch-lamp]: is True")
            expected = [*((each.event, each.data) for each in states), log]
            self.assertEqual(rest, [list(each) for each in expected], name)

    async def test_ended(self) -> None:
        """
        Consumers that reconnect when the server ends the stream then have all states.
        """
        device = self.device()
        consumers = self.follow(f"{self.server.url}events", *LASTING)
        await self.connected(device, consumers)
        for stream in device.channel.streams:
            stream.end()
        await self.again(device, consumers)

    async def test_cut(self) -> None:
        """
        When the connection is cut, the documented consumer reconnects; C{aiohttp-sse-client}
        raises.
        """
        device = self.device()
        consumers = self.follow(f"{self.server.url}events", *LASTING)
        await self.connected(device, consumers)
        for connection in self.server.connections:
            connection.abortConnection()
        error = await consumers.pop("aiohttp-sse-client").wait("ended")
        self.assertRegex(error, "^Client")
        await self.again(device, consumers)

    async def connected(self, device: ModuleType, consumers: dict[str, Child]) -> None:
        """
        Wait until consumers have all states.
        """
        await until(lambda: len(device.channel.streams) == len(consumers), "all are connected")
        for consumer in consumers.values():
            await consumer.wait("event", 3)

    async def again(self, device: ModuleType, consumers: dict[str, Child]) -> None:
        """
        Assert that consumers get all current states again.
        """
        device.values["switch-lamp"] = True
        for name, consumer in consumers.items():
            await consumer.wait("event", 6)
            event = consumer.told("event")[5]
            self.assertEqual(event, ["state", device.state("switch-lamp").data], name)

    async def test_position(self) -> None:
        """
        The events of a channel are events for each consumer, unless they are turned off.
        """
        for options, first in ({}, [("stream-position", "{}")]), ({"positionEvent": None}, []):
            channel = Channel(**options)
            server = Server(self, EventStreamResource(channel.subscribe))
            consumers = self.follow(server.url)
            await until(lambda c=channel: len(c.streams) == len(CONSUMERS), "all are connected")
            channel.publish("1", event="state")
            await self.get(consumers, *first, ("state", "1"))

    async def stream(self, *names: str) -> tuple[Any, dict[str, Child]]:
        """
        Connect consumers to a channel without its own events.
        """
        channel = Channel(positionEvent=None)
        server = Server(self, EventStreamResource(channel.subscribe))
        consumers = self.follow(server.url, *names)
        await until(lambda: len(channel.streams) == len(consumers), "all are connected")
        return channel, consumers

    async def test_long(self) -> None:
        """
        A line of 100,000 bytes is read by all; with one of 900,000, consumers that read lines by
        aiohttp fail, and the documented consumer does not.
        """
        channel, consumers = await self.stream()
        fits, big = 99_000 * "x", 900_000 * "x"
        channel.publish(fits)
        for name, consumer in consumers.items():
            await consumer.wait("event")
            self.assertEqual(consumer.told("event")[0][1], len(fits), name)
        channel.publish(big)
        for name in "documented", "httpx-sse":
            await consumers[name].wait("event", 2)
            self.assertEqual(consumers[name].told("event")[1][1], len(big))
        for name in "lines", "aiohttp-sse-client":
            self.assertRegex(await consumers[name].wait("ended"), "LineTooLong|Chunk too big")

    async def test_retry(self) -> None:
        """
        A C{retry} alone is an empty message for two of the packages.
        """
        channel, consumers = await self.stream()
        for stream in channel.streams:
            stream.send(Event(retry=1000))
        channel.publish("1", event="state")
        for name, consumer in consumers.items():
            empty = [["message", ""]] if name in ("aiosseclient", "httpx-sse") else []
            await consumer.wait("event", len(empty) + 1)
            self.assertEqual(consumer.told("event"), [*empty, ["state", "1"]], name)

    async def test_blanks(self) -> None:
        """
        One of the packages removes leading blanks of data.
        """
        channel, consumers = await self.stream()
        channel.publish("  x", event="log")
        for name, consumer in consumers.items():
            await consumer.wait("event")
            data = "x" if name == "aiohttp-sse-client" else "  x"
            self.assertEqual(consumer.told("event"), [["log", data]], name)

    async def test_end(self) -> None:
        """
        After the end of a finite stream, one of the packages raises, since the response is 204, and
        the documented consumer returns.
        """
        channel = Channel(positionEvent=None)
        server = Server(self, EventStreamResource(channel.subscribe, once=True))
        consumers = self.follow(server.url)
        await until(lambda: len(channel.streams) == len(consumers), "all are connected")
        channel.close()
        for name, consumer in consumers.items():
            error = await consumer.wait("ended")
            self.assertEqual(consumer.told("event"), [["end", "{}"]], name)
            if name == "aiohttp-sse-client":
                self.assertIn("ConnectionAbortedError", error)
            else:
                self.assertIsNone(error, name)

    def test_timeouts(self) -> None:
        """
        The timeouts in the warnings of the documentation are those of the packages.
        """
        import aiohttp
        import httpx

        self.assertEqual(aiohttp.client.DEFAULT_TIMEOUT.total, 300)
        self.assertEqual(httpx.Client().timeout.read, 5)
