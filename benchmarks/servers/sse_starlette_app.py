"""
sse-starlette on uvicorn with uvloop and httptools.

usage: sse_starlette_app.py timer|fanout|idle PORT RATE STREAMS    (see ours.py)
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from pace import Pace, makeData
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

mode, port, rate, streams = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])

queues: set[asyncio.Queue[ServerSentEvent]] = set()


def makeEvent(moment: int) -> ServerSentEvent:
    """
    Make an event.
    """
    return ServerSentEvent(makeData(moment), event="message", id="1")


async def events() -> AsyncIterator[ServerSentEvent]:
    """
    Make the events of one stream.
    """
    if mode == "timer":
        while True:
            await asyncio.sleep(1 / rate)
            yield makeEvent(time.monotonic_ns())
    queue: asyncio.Queue[ServerSentEvent] = asyncio.Queue()
    queues.add(queue)
    try:
        while True:
            yield await queue.get()
    finally:
        queues.discard(queue)


async def stream(request: Request) -> EventSourceResponse:
    """
    Respond with the stream.
    """
    return EventSourceResponse(events())


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
            event = makeEvent(moment)
            for queue in queues:
                queue.put_nowait(event)


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    """
    Publish while the server runs.
    """
    app.state.publisher = asyncio.create_task(publish()) if mode == "fanout" else None
    yield


uvicorn.run(
    Starlette(routes=[Route("/", stream)], lifespan=lifespan),
    host="127.0.0.1",
    port=port,
    log_level="warning",
    loop="uvloop",
    http="httptools",
    backlog=4096,
)
