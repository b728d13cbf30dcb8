"""
What most projects have that send events with Twisted: C{request.write} and a LoopingCall.

usage: plain.py timer PORT RATE      each connection has a loop that sends RATE events a second
       plain.py fanout PORT RATE     RATE events a second to all
       plain.py stalled PORT RATE    the same, and one that no client can take that does not read
       plain.py idle PORT            the headers and nothing else
       plain.py hold PORT STREAMS    publishes to so many, says how long that held the reactor

On SIGUSR1 it says how many streams there are, and how many of them have not taken
what was sent.
"""

from __future__ import annotations

import sys
import time

from pace import makeData
from serving import isFull, publishing, say, serve, stalling
from turns import measureTurns
from twisted.internet.task import LoopingCall
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

mode, port = sys.argv[1], int(sys.argv[2])
number = float(sys.argv[3]) if len(sys.argv) > 3 else 0.0

requests: set[Request] = set()


class Events(Resource):
    """
    Each request is answered with a stream.
    """

    isLeaf = True

    def render_GET(self, request: Request) -> int:
        """
        Answer with the stream.
        """
        request.setHeader(b"content-type", b"text/event-stream")
        request.write(b":\n\n")
        if mode == "timer":
            loop = LoopingCall(lambda: request.write(event(makeData(time.monotonic_ns()))))
            loop.start(1 / number, now=False)
            request.notifyFinish().addErrback(lambda _: loop.stop())
        else:
            requests.add(request)
            request.notifyFinish().addBoth(lambda _: requests.discard(request))
        return NOT_DONE_YET


def event(data: str) -> bytes:
    """
    Make an event.
    """
    return f"event: message\nid: 1\ndata: {data}\n\n".encode()


def publish(data: str) -> None:
    """
    Send an event to all.
    """
    written = event(data)
    for request in list(requests):
        request.write(written)


def report() -> None:
    """
    Say how we are.
    """
    say(streams=len(requests), waiting=sum(map(isFull, requests)))


if mode in ("fanout", "stalled"):
    publishing(number, lambda moment: publish(makeData(moment)))
    if mode == "stalled":
        stalling(publish)
elif mode == "hold":
    measureTurns(
        lambda: len(requests),
        int(number),
        lambda: publish(makeData(time.monotonic_ns())),
        lambda longest: say(held=longest),
    )
serve(Site(Events()), port, report, sendBuffer=1 if mode == "stalled" else None)
