"""
A server in a process of its own, for clients that cannot be in the test's, and for tests
that stop it: C{python -m tests.support.live_server --port 0}.

It says C{hello} with the ID 1, then a number each 0.1 s, its ID one more than the last that
the client has. It tells what happens, one JSON object a line: the port it listens on, the
last event ID and the path of each request, the reason for each end. C{/channel} is a channel
in which numbers are published from 0 on, one each 0.05 s.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import sys
from typing import Any

from twisted.internet import reactor
from twisted.internet.task import LoopingCall
from twisted.logger import (
    FilteringLogObserver,
    LogLevel,
    LogLevelFilterPredicate,
    globalLogBeginner,
    textFileLogObserver,
)
from twisted.web.resource import Resource
from twisted.web.server import Site

from twisted_sse import Channel, Event, EventStream, EventStreamResource
from twisted_sse.server import resource

PAGE = b"""<!doctype html><meta charset=utf-8><link rel=icon href="data:,"><title>-</title>
<script>
window.told = []
const source = new EventSource(location.hash.slice(1))
for (const type of ["open", "message", "hello", "end", "error"])
    source.addEventListener(type, e => told.push(
        [type, e.data ?? null, e.lastEventId ?? null, source.readyState]))
</script>"""


def tell(**news: Any) -> None:
    """
    Tell the test something.
    """
    sys.stdout.write(json.dumps(news) + "\n")
    sys.stdout.flush()


class Teller:
    """
    Tells what happens to streams.
    """

    def opened(self, stream: EventStream) -> None:
        """
        Nothing of interest.
        """

    def closed(self, stream: EventStream, reason: Any) -> None:
        """
        A stream is over.
        """
        tell(closed=reason.name)

    def sent(self, stream: EventStream, events: int, size: int) -> None:
        """
        Nothing of interest.
        """

    dropped = sent


def count(stream: EventStream) -> None:
    """
    Say hello, then numbers.
    """
    tell(lastEventID=stream.lastEventID)
    last = int(stream.lastEventID or 0)

    def number() -> Event:
        nonlocal last
        last += 1
        return Event(str(last), id=last)

    if not last:
        last = 1
        stream.send("hello", id="1")
    stream.every(0.1, number)


def finite(stream: EventStream) -> list[Event]:
    """
    Three events, and the end.
    """
    tell(lastEventID=stream.lastEventID)
    return [Event(str(number), id=number) for number in range(1, 4)]


class Page(Resource):
    """
    A page with an C{EventSource}, for the path behind its C{#}.
    """

    def render_GET(self, request: Any) -> bytes:
        """
        The page.
        """
        return PAGE


def main() -> None:
    """
    Serve until stopped.
    """
    options = argparse.ArgumentParser()
    options.add_argument("--port", type=int, default=0)
    options.add_argument("--drain", action="store_true")
    options.add_argument("--leaks", action="store_true")
    options.add_argument("--max-streams", type=int)
    options.add_argument("--retry", type=int)
    options.add_argument("--limit-retry", type=int)
    chosen = options.parse_args()

    errors = FilteringLogObserver(
        textFileLogObserver(sys.stderr), [LogLevelFilterPredicate(LogLevel.warn)]
    )
    globalLogBeginner.beginLoggingTo([errors], redirectStandardIO=False)

    if chosen.limit_retry is not None:
        # Sooner than anybody should.
        resource.LIMIT_RETRY = (chosen.limit_retry, chosen.limit_retry)
    loop: Any = reactor
    if chosen.leaks:
        gc.disable()
    common: dict[str, Any] = {"observer": Teller(), "retry": chosen.retry}
    events = EventStreamResource(count, maxStreams=chosen.max_streams, **common)
    root = Resource()
    root.putChild(b"", events)
    root.putChild(b"once", EventStreamResource(finite, once=True, **common))
    root.putChild(b"page", Page())
    channel = Channel()
    root.putChild(b"channel", EventStreamResource(channel.subscribe, **common))
    numbers = itertools.count()
    publishing = LoopingCall(lambda: channel.publish(str(next(numbers))) and None)
    site = Site(root)
    port = loop.listenTCP(chosen.port, site, interface="127.0.0.1")
    if chosen.drain:
        service = events.service(5)
        service.startService()
        loop.addSystemEventTrigger("before", "shutdown", port.stopListening)
        loop.addSystemEventTrigger("before", "shutdown", service.stopService)
    publishing.start(0.05)
    tell(port=port.getHost().port)
    loop.run()
    if chosen.leaks:
        tell(left=sum(type(each) is EventStream for each in gc.get_objects()))


if __name__ == "__main__":
    main()
