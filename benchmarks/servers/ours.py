"""
What is measured: an L{EventStreamResource}.

usage: ours.py timer PORT EVENTS_PER_SECOND     each connection has a loop of its own
       ours.py idle PORT                        nothing but heartbeats

On SIGUSR1 it writes how many streams and delayed calls there are.
"""

from __future__ import annotations

import signal
import sys
import time

from twisted.internet import reactor
from twisted.web.server import Site

from twisted_sse import Event, EventStream, EventStreamResource

ZEROS = "0" * 64


def idle(stream: EventStream) -> None:
    """
    Send nothing.
    """


def timer(stream: EventStream) -> None:
    """
    Send a new event at each tick: 100 bytes that tell when they were made.
    """
    stream.every(1 / float(sys.argv[3]), event)


def event() -> Event:
    """
    Make an event.
    """
    return Event(f"{time.monotonic_ns()} {ZEROS}", event="message", id=1)


def report(*_: object) -> None:
    """
    Say what there is.
    """
    # A Site always has a call of its own, for the time of its log.
    calls = [call for call in reactor.getDelayedCalls() if call.func != site._updateLogDateTime]
    print(len(resource.streams), len(calls), flush=True)


resource = EventStreamResource({"timer": timer, "idle": idle}[sys.argv[1]])
site = Site(resource)
signal.signal(signal.SIGUSR1, lambda *_: reactor.callFromThread(report))
reactor.listenTCP(int(sys.argv[2]), site, backlog=4096, interface="127.0.0.1")
reactor.run()
