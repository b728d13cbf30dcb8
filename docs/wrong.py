"""
Common versions of the recipe, each with one mistake.  Tests show the effect of each.
"""

# ruff: noqa: D102 -- the methods look as they do elsewhere

from __future__ import annotations

from twisted.internet.task import LoopingCall
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

HELLO = b"event: message\nid: 1\ndata: hello\n\n"


class NeverRemoved(Resource):
    """
    A set of requests.  notifyFinish passes None or a Failure to its callbacks, not the request.
    """

    isLeaf = True

    def __init__(self):
        super().__init__()
        self.requests = set()

    def render_GET(self, request):
        request.setHeader(b"content-type", b"text/event-stream")
        request.write(b":\n\n")
        self.requests.add(request)
        request.notifyFinish().addBoth(self.remove)
        return NOT_DONE_YET

    def remove(self, request):
        self.requests.discard(request)

    def publish(self, data):
        for request in self.requests:
            request.write(data)


class NeverStopped(Resource):
    """
    Ignores notifyFinish.  Writing to a disconnected client raises nothing.
    """

    isLeaf = True

    def render_GET(self, request):
        request.setHeader(b"content-type", b"text/event-stream")
        request.write(b":\n\n")
        loop = LoopingCall(request.write, HELLO)
        loop.clock = request.site.reactor
        loop.start(2, now=False)
        return NOT_DONE_YET


class DiesSilently(Resource):
    """
    An exception ends a LoopingCall, and reaches the Deferred of start().  This version keeps it,
    and never checks it.
    """

    isLeaf = True

    def __init__(self, measure):
        super().__init__()
        self.measure = measure

    def render_GET(self, request):
        request.setHeader(b"content-type", b"text/event-stream")
        request.write(b":\n\n")
        loop = LoopingCall(lambda: request.write(b"data: %d\n\n" % self.measure()))
        loop.clock = request.site.reactor
        request.done = loop.start(2, now=False)
        request.notifyFinish().addErrback(lambda _: loop.stop())
        return NOT_DONE_YET


class HeadNeverEnds(Resource):
    """
    Resource answers HEAD by calling render_GET.
    """

    isLeaf = True

    def render_GET(self, request):
        request.setHeader(b"content-type", b"text/event-stream")
        request.write(b":\n\n")
        return NOT_DONE_YET


class NoFirstByte(Resource):
    """
    Headers are sent with the first write, and the first write is an event.
    """

    isLeaf = True

    def render_GET(self, request):
        request.setHeader(b"content-type", b"text/event-stream")
        loop = LoopingCall(request.write, HELLO)
        loop.clock = request.site.reactor
        loop.start(60, now=False)
        request.notifyFinish().addErrback(lambda _: loop.stop())
        return NOT_DONE_YET


def unescaped(text):
    """
    A newline in the text is a newline in the stream.
    """
    return f"data: {text}\n\n".encode()


class NobodyPauses(Resource):
    """
    Without a producer, nothing reports that the client does not read.
    """

    isLeaf = True

    def render_GET(self, request):
        request.setHeader(b"content-type", b"text/event-stream")
        loop = LoopingCall(request.write, b"data: " + 10_000 * b"x" + b"\n\n")
        loop.clock = request.site.reactor
        loop.start(0.1)
        request.notifyFinish().addErrback(lambda _: loop.stop())
        return NOT_DONE_YET
