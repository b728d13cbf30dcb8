"""
Workerman's example: C{hello} every two seconds for clients that accept an event stream, C{ok} for others.

    $ python examples/hello_resource.py 8080
    $ curl -N -H 'Accept: text/event-stream' http://127.0.0.1:8080/
    $ curl http://127.0.0.1:8080/
"""

from __future__ import annotations

import sys

from twisted.web.server import Site
from twisted.web.static import Data

from twisted_sse import Event, EventStream, EventStreamResource


def connected(stream: EventStream) -> None:
    stream.every(2, lambda: Event("hello", event="message", id=1))


resource = EventStreamResource(connected, fallback=Data(b"ok\n", "text/plain"))

if __name__ == "__main__":
    from twisted.internet import reactor

    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 8080
    port = reactor.listenTCP(wanted, Site(resource), interface="127.0.0.1")
    print(f"http://127.0.0.1:{port.getHost().port}/", flush=True)
    reactor.run()
