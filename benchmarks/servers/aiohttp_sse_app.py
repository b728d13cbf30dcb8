"""
aiohttp-sse on aiohttp with uvloop.

usage: aiohttp_sse_app.py timer|fanout|idle PORT RATE STREAMS    (see ours.py)
"""

from __future__ import annotations

import asyncio
import sys
import time

import uvloop
from aiohttp import web
from aiohttp_sse import EventSourceResponse, sse_response
from pace import Pace, makeData

mode, port, rate, streams = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])

queues: set[asyncio.Queue[str]] = set()


async def stream(request: web.Request) -> EventSourceResponse:
    """
    Respond with the stream.
    """
    async with sse_response(request) as response:
        if mode == "timer":
            while response.is_connected():
                await asyncio.sleep(1 / rate)
                await response.send(makeData(time.monotonic_ns()), id="1", event="message")
        queue: asyncio.Queue[str] = asyncio.Queue()
        queues.add(queue)
        try:
            while response.is_connected():
                await response.send(await queue.get(), id="1", event="message")
        finally:
            queues.discard(queue)
    return response


async def publish() -> None:
    """
    Send events to all clients, once all are connected.
    """
    while len(queues) < streams:
        await asyncio.sleep(0.1)
    pace = Pace(rate)
    while True:
        await asyncio.sleep(pace.wait())
        for moment in pace.due():
            data = makeData(moment)
            for queue in queues:
                queue.put_nowait(data)


async def start(app: web.Application) -> None:
    """
    Begin to publish.
    """
    app["publisher"] = asyncio.create_task(publish())


app = web.Application()
app.router.add_get("/", stream)
if mode == "fanout":
    app.on_startup.append(start)
uvloop.install()
web.run_app(app, host="127.0.0.1", port=port, backlog=4096, print=None)
