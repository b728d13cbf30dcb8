"""
The measured server: a L{Channel} whose clients reconnect, with a history in memory or a store.

usage: replaying.py MODE PORT RATE STREAMS

    memory     everything is in memory
    sqlite     nearly everything is in an SQLite file
    redis      nearly everything is in the Redis server that REDIS_URL in the environment names

It prints the IDs of the first half of its events.  On SIGUSR1 it reports the longest time for which
the reactor was blocked.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from pace import makeData
from serving import say, serve
from turns import Hold
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.web.server import Site

from twisted_sse import Channel, Event, EventStreamResource, History
from twisted_sse.store import RedisStore, SQLiteStore

#: The number of kept events, and of those in memory, besides the store.
KEPT = 2000
WINDOW = 100

mode, port = sys.argv[1], int(sys.argv[2])


async def fill() -> None:
    """
    Publish, and print the IDs.
    """
    await channel.whenReady()
    ids = []
    for _ in range(KEPT):
        event = await channel.publishAndWait(Event(makeData(time.monotonic_ns()), event="message"))
        ids.append(event.id)
    say(ids=ids[: KEPT // 2])
    hold.begin()


with TemporaryDirectory() as folder:
    if mode == "memory":
        channel = Channel(History(maxEvents=KEPT))
    else:
        store = (
            SQLiteStore(Path(folder, "events.db"))
            if mode == "sqlite"
            else RedisStore(os.environ["REDIS_URL"])
        )
        channel = Channel(History(maxEvents=WINDOW), name="news", store=store)
    hold = Hold()
    reactor.callWhenRunning(lambda: Deferred.fromCoroutine(fill()))
    serve(Site(EventStreamResource(channel.subscribe)), port, lambda: say(held=hold.longest))
