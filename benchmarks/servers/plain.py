"""
What most projects have that send events with Twisted: C{request.write} and a LoopingCall.

usage: plain.py timer PORT EVENTS_PER_SECOND
       plain.py idle PORT
"""

from __future__ import annotations

import sys
import time

from twisted.internet import reactor
from twisted.internet.task import LoopingCall
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

ZEROS = b"0" * 64


class Events(Resource):
    """
    Each connection has a loop of its own.
    """

    isLeaf = True

    def render_GET(self, request: Request) -> int:
        """
        Answer with the stream.
        """
        request.setHeader(b"content-type", b"text/event-stream")
        request.write(b":\n\n")
        if sys.argv[1] == "timer":
            loop = LoopingCall(lambda: request.write(event()))
            loop.start(1 / float(sys.argv[3]), now=False)
            request.notifyFinish().addErrback(lambda _: loop.stop())
        return NOT_DONE_YET


def event() -> bytes:
    """
    Make an event.
    """
    return b"event: message\nid: 1\ndata: %d %b\n\n" % (time.monotonic_ns(), ZEROS)


reactor.listenTCP(int(sys.argv[2]), Site(Events()), backlog=4096, interface="127.0.0.1")
reactor.run()
