"""
What is measured: an L{EventStreamResource}, a L{Channel}.

usage: ours.py timer PORT RATE       each connection has a timer that sends RATE events a second
       ours.py fanout PORT RATE      RATE events a second to all
       ours.py stalled PORT RATE     the same, and one that no client can take that does not read
       ours.py idle PORT             nothing but heartbeats
       ours.py slim PORT             the same, and what came with the request is dropped
       ours.py channel PORT          subscribed to a channel that has a history
       ours.py storm PORT            the same; says the ID that is ten events from the end
       ours.py hold PORT STREAMS     publishes to so many, says how long that held the reactor

On SIGUSR1 it says how many streams there are, how many of them have not taken what was sent,
and how many delayed calls there are.
"""

from __future__ import annotations

import sys
import time

from pace import makeData
from serving import isFull, publishing, say, serve, stalling
from turns import measureTurns
from twisted.internet import reactor
from twisted.web.server import Site

from twisted_sse import Channel, Event, EventStream, EventStreamResource

mode, port = sys.argv[1], int(sys.argv[2])
number = float(sys.argv[3]) if len(sys.argv) > 3 else 0.0


def idle(stream: EventStream) -> None:
    """
    Send nothing.
    """


def timer(stream: EventStream) -> None:
    """
    Send a new event at each tick.
    """
    stream.every(1 / number, event)


def event() -> Event:
    """
    Make an event: 100 bytes that tell when they were made.
    """
    return Event(makeData(time.monotonic_ns()), event="message", id=1)


def publish(moment: int) -> Event:
    """
    Send an event to all.
    """
    return channel.publish(Event(makeData(moment), event="message"))


def report() -> None:
    """
    Say how we are.
    """
    # A Site always has a call of its own, for the time of its log.
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

if mode in ("fanout", "stalled"):
    publishing(number, publish)
    if mode == "stalled":
        stalling(channel.publish)
elif mode in ("channel", "storm"):
    published = [publish(time.monotonic_ns()) for _ in range(1000)]
    say(id=published[-11].id)
elif mode == "hold":
    measureTurns(
        lambda: len(resource.streams),
        int(number),
        lambda: publish(time.monotonic_ns()),
        lambda longest: say(held=longest),
    )
serve(site, port, report, sendBuffer=1 if mode == "stalled" else None)
