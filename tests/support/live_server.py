"""
A server in its own process, for clients that cannot run in the test's, and for tests that stop it:
C{python -m tests.support.live_server --port 0}.

It sends C{hello} with the ID 1, then every 0.1 s a number whose ID follows the client's last one.
It reports what happens, one JSON object per line: its port, the last event ID of each request, and
the reason for each end.  C{/channel} is a channel that publishes numbers from 0, one every 0.05 s.
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
    Report something to the test.
    """
    sys.stdout.write(json.dumps(news) + "\n")
    sys.stdout.flush()


class Teller:
    """
    Reports what happens to streams.
    """

    def opened(self, stream: EventStream) -> None:
        """
        Ignore an opened stream.
        """

    def closed(self, stream: EventStream, reason: Any) -> None:
        """
        Report why a stream was closed.
        """
        tell(closed=reason.name)

    def sent(self, stream: EventStream, events: int, size: int) -> None:
        """
        Ignore a write.
        """

    dropped = sent


def count(stream: EventStream) -> None:
    """
    Send C{hello}, then numbers.
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
    Send three events and end.
    """
    tell(lastEventID=stream.lastEventID)
    return [Event(str(number), id=number) for number in range(1, 4)]


class Page(Resource):
    """
    A page with an C{EventSource} for the path after its C{#}.
    """

    def render_GET(self, request: Any) -> bytes:
        """
        Return the page.
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
        # Shorter than in production.
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
