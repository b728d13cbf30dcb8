"""
The measured server: a L{Channel} on a L{RedisStore}, which several processes share.

usage: sharing.py MODE PORT RATE STREAMS URL

    serve      every client gets the stream, and posted events are published
    publish    RATE events a second are published
    plenty     publish as many events as possible: STREAMS of them in each turn of the reactor
    wait       the same, with STREAMS of them always in flight and awaited

On SIGUSR1, the last two report the number of published events, and the CPU time for them.
"""

from __future__ import annotations

import sys
import time

from pace import makeData
from serving import publishing, say, serve
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.web.server import Site

from twisted_sse import Channel, Event, EventStreamResource
from twisted_sse.guard import LimitedRequest
from twisted_sse.hub import PublishResource
from twisted_sse.store import RedisStore

#: The number of events that the server keeps: more than are ever in flight.
KEPT = 1_000_000

mode, port, rate, streams = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])


def event(moment: int) -> Event:
    """
    Make an event: 100 bytes with the time at which it was due.
    """
    return Event(makeData(moment), event="message")


class Publisher:
    """
    Publishes.

    @ivar published: the number of published events whose storing was awaited.
    """

    def __init__(self) -> None:
        self.published = 0

    async def begin(self) -> None:
        """
        Publish as soon as that is possible.
        """
        await channel.whenReady()
        if mode == "publish":
            publishing(rate, lambda moment: channel.publish(event(moment)))
        elif mode == "plenty":
            await self.publishPlenty()
        elif mode == "wait":
            for _ in range(streams):
                self.publishNext()

    async def publishPlenty(self) -> None:
        """
        Publish many events in each turn, and the next when they are stored.
        """
        while True:
            for _ in range(streams - 1):
                channel.publish(event(time.monotonic_ns()))
            await channel.publishAndWait(event(time.monotonic_ns()))
            self.published += streams

    def publishNext(self) -> None:
        """
        Publish one event after another.
        """
        channel.publishAndWait(event(time.monotonic_ns())).addCallback(self.stored)

    def stored(self, _: Event) -> None:
        """
        An event has been stored.
        """
        self.published += 1
        self.publishNext()


channel = Channel(store=RedisStore(sys.argv[5], maxEvents=KEPT), name="news")
resource = EventStreamResource(channel.subscribe)
publisher = Publisher()
reactor.callWhenRunning(lambda: Deferred.fromCoroutine(publisher.begin()))
serve(
    Site(PublishResource(channel, anonymous=True, reader=resource), requestFactory=LimitedRequest),
    port,
    lambda: say(published=publisher.published, cpu=time.process_time()),
)
