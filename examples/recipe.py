"""
An event stream in plain Twisted.

    $ python examples/recipe.py 8080
    $ curl -N http://127.0.0.1:8080/
"""

from __future__ import annotations

import sys
from typing import Any

from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

log = Logger()


class Hello(Resource):
    isLeaf = True

    def render_GET(self, request: Any) -> bytes | int:
        request.setHeader(b"content-type", b"text/event-stream; charset=utf-8")
        if request.method == b"HEAD":
            return b""
        request.write(b":\n\n")
        loop = LoopingCall(request.write, b"event: message\nid: 1\ndata: hello\n\n")
        loop.clock = request.site.reactor
        loop.start(2, now=False).addErrback(failed, request)
        request.notifyFinish().addErrback(lambda _: loop.stop() if loop.running else None)
        return NOT_DONE_YET


def failed(failure: Failure, request: Any) -> None:
    log.failure("No more events for {who}", failure, who=request.getClientAddress())
    request.loseConnection()


if __name__ == "__main__":
    from twisted.internet import reactor

    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 8080
    port = reactor.listenTCP(wanted, Site(Hello()), interface="127.0.0.1")
    print(f"http://127.0.0.1:{port.getHost().port}/", flush=True)
    reactor.run()
