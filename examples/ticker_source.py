"""
A source of events for the daemon: a module in the current directory.

    $ cd examples
    $ twistd -n sse --port 8080 --source python:ticker_source:connected
    $ curl -N -H 'Accept: text/event-stream' http://127.0.0.1:8080/
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from twisted.internet.task import deferLater

from twisted_sse import Event, EventStream


async def connected(stream: EventStream) -> AsyncIterator[Event]:
    number = int(stream.lastEventID) if stream.lastEventID.isdecimal() else 0
    while True:
        number += 1
        yield Event(f"tick {number}", event="tick", id=number)
        await deferLater(stream.clock, 1)
