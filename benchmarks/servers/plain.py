"""
The code of most projects that send events with Twisted: C{request.write} and a LoopingCall.

usage: plain.py MODE PORT RATE STREAMS

The modes are those of C{ours.py}, except those that only the package supports.  On SIGUSR1 it
reports the number of streams, and of those that have unsent data.
"""

from __future__ import annotations

import sys
import time

from pace import STALLING, makeData
from serving import isFull, publishing, say, serve, whenThere
from turns import measureTurns
from twisted.internet.task import LoopingCall
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

mode, port, rate, streams = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])

requests: set[Request] = set()


class Events(Resource):
    """
    Each response is a stream.
    """

    isLeaf = True

    def render_POST(self, request: Request) -> bytes:
        """
        Read a posted event, and respond as if it had been published.
        """
        body = request.content.read()
        request.setHeader(b"content-type", b"application/json")
        return b'{"id": "%020d"}\n' % len(body)

    def render_GET(self, request: Request) -> int:
        """
        Respond with the stream.
        """
        request.setHeader(b"content-type", b"text/event-stream")
        request.write(b":\n\n")
        if mode == "timer":
            loop = LoopingCall(lambda: request.write(event(makeData(time.monotonic_ns()))))
            loop.start(1 / rate, now=False)
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


def begin() -> None:
    """
    All clients are connected.
    """
    if mode == "hold":
        measureTurns(
            lambda: publish(makeData(time.monotonic_ns())), lambda longest: say(held=longest)
        )
        return
    if mode == "stalled":
        publish(STALLING)
    publishing(rate, lambda moment: publish(makeData(moment)))


def report() -> None:
    """
    Report the state.
    """
    say(streams=len(requests), waiting=sum(map(isFull, requests)))


if mode in ("fanout", "stalled", "hold"):
    whenThere(lambda: len(requests), streams, begin)
serve(Site(Events()), port, report, sendBuffer=1 if mode == "stalled" else None)
