"""
A stream that ends, and browsers that know it is complete.

With C{once=True} the last event is C{event: end}, C{id: end}.  A browser reconnects after
every end, and now sends that ID.  The response is 204, and the browser stops.

    $ python examples/countdown.py 8080
    $ curl -N http://127.0.0.1:8080/
    $ curl -i -H 'Last-Event-ID: end' http://127.0.0.1:8080/
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator

from twisted.internet.task import deferLater
from twisted.web.server import Site

from twisted_sse import Event, EventStream, EventStreamResource


async def countdown(stream: EventStream) -> AsyncIterator[Event]:
    start = int(stream.lastEventID) - 1 if stream.lastEventID.isdecimal() else 5
    for number in range(start, 0, -1):
        yield Event(str(number), event="count", id=number)
        await deferLater(stream.clock, 1)
    yield Event("lift-off", event="count", id=0)


resource = EventStreamResource(countdown, once=True)

if __name__ == "__main__":
    from twisted.internet import reactor

    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 8080
    port = reactor.listenTCP(wanted, Site(resource), interface="127.0.0.1")
    print(f"http://127.0.0.1:{port.getHost().port}/", flush=True)
    reactor.run()
