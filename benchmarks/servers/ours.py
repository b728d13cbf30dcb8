"""
The measured server: an L{EventStreamResource}, a L{Channel}.

usage: ours.py MODE PORT RATE STREAMS

    timer      each connection has a timer that sends RATE events a second
    fanout     when there are STREAMS clients, RATE events a second to all
    stalled    the same, but the kernel buffers little for each client, and the first event fills
               the buffers of a client that does not read
    hold       when there are STREAMS clients, an event to all, repeatedly; prints how long that
               blocked the reactor
    idle       only heartbeats
    slim       the same, and the data of the request is dropped
    channel    the same, subscribed to a channel that has a history
    storm      the same; prints the ID that is ten events from the end
    post       posted events are published, with or without a token

On SIGUSR1 it reports the number of streams, the number of those with unsent data, and the number of
delayed calls.
"""

from __future__ import annotations

import sys
import time

from pace import STALLING, makeData
from serving import isFull, publishing, say, serve, whenThere
from turns import measureTurns
from twisted.internet import reactor
from twisted.web.server import Site

from twisted_sse import Channel, Event, EventStream, EventStreamResource
from twisted_sse.guard import LimitedRequest
from twisted_sse.hub import PublishResource

mode, port, rate, streams = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])


def idle(stream: EventStream) -> None:
    """
    Send nothing.
    """


def timer(stream: EventStream) -> None:
    """
    Send a new event at each tick.
    """
    stream.every(1 / rate, event)


def event() -> Event:
    """
    Make an event: 100 bytes with the time of their making.
    """
    return Event(makeData(time.monotonic_ns()), event="message", id=1)


def publish(moment: int) -> Event:
    """
    Send an event to all.
    """
    return channel.publish(Event(makeData(moment), event="message"))


def begin() -> None:
    """
    All clients are connected.
    """
    if mode == "hold":
        measureTurns(lambda: publish(time.monotonic_ns()), lambda longest: say(held=longest))
        return
    if mode == "stalled":
        channel.publish(STALLING)
    publishing(rate, publish)


def report() -> None:
    """
    Report the state.
    """
    # A Site always has its own delayed call, for the time of its log.
    calls = [call for call in reactor.getDelayedCalls() if call.func != site._updateLogDateTime]
    say(
        streams=len(resource.streams),
        waiting=sum(isFull(stream.request) for stream in resource.streams),
        calls=len(calls),
    )


channel = Channel()
connected = {"timer": timer, "idle": idle, "slim": idle}.get(mode, channel.subscribe)
resource = EventStreamResource(connected, slim=mode == "slim")
site = Site(resource)
if mode == "post":
    publisher = PublishResource(channel, tokens=["token"], anonymous=True, reader=resource)
    site = Site(publisher, requestFactory=LimitedRequest)

if mode in ("fanout", "stalled", "hold"):
    whenThere(lambda: len(resource.streams), streams, begin)
elif mode in ("channel", "storm"):
    published = [publish(time.monotonic_ns()) for _ in range(1000)]
    say(id=published[-11].id)
serve(site, port, report, sendBuffer=1 if mode == "stalled" else None)
