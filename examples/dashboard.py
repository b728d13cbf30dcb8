"""
A dashboard of this process, with several event types, each at its own rate.  For a slow client
only the newest event of each type is queued; the client receives the number of those it missed.

    $ python examples/dashboard.py 8080

Then open http://127.0.0.1:8080/ in a browser.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.web.server import Site
from twisted.web.static import Data

from twisted_sse import Channel, Event, EventStream, EventStreamResource, SlowReader

log = Logger()
# It shows the present state, so there is nothing to replay.
channel = Channel(history=None, resetEvent=None, name="dashboard")
newest: dict[str, Event] = {}
started = time.monotonic()
gauges: dict[
    str, tuple[float, Callable[[], float]]
] = {  # event type: interval in seconds, and the measurement
    "waiting": (0.5, lambda: sum(stream.bytesPending for stream in channel.streams)),
    "streams": (1, lambda: len(channel.streams)),
    "uptime": (0.1, lambda: round(time.monotonic() - started, 1)),
    "cpu": (5, lambda: round(time.process_time(), 2)),
}


def begin(clock: IReactorTime) -> None:
    for name, (interval, measure) in gauges.items():
        loop = LoopingCall(show, name, measure)
        loop.clock = clock
        loop.start(interval).addErrback(lambda failure: log.failure("No more values", failure))


def show(name: str, measure: Callable[[], float]) -> None:
    newest[name] = channel.publish(json=measure(), event=name)


def connected(stream: EventStream) -> None:
    # First the present values, then the changes.
    for event in newest.values():
        stream.send(event)
    channel.subscribe(stream)


PAGE = """<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><title>Dashboard</title><link rel="icon" href="data:,">
<style>
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }
body { max-width: 48rem; margin: 2rem auto; padding: 0 1rem }
dl { display: flex; flex-wrap: wrap; gap: 1rem }
div { flex: 1; min-width: 6rem; padding: .6rem 1rem; border: 1px solid #8886; border-radius: 8px }
dd { margin: 0; font-size: 1.8rem; font-variant-numeric: tabular-nums }
</style>
<h1>Dashboard</h1><dl></dl><p></p>
<script>
const make = (parent, name) => parent.appendChild(document.createElement(name));
const source = new EventSource("");
for (const name of ["uptime", "cpu", "streams", "waiting"]) {
  const card = make(document.querySelector("dl"), "div");
  make(card, "dt").textContent = name;
  const value = make(card, "dd");
  source.addEventListener(name, (event) => { value.textContent = JSON.parse(event.data); });
}
let skipped = 0, say = (text) => { document.querySelector("p").textContent = text; };
source.onopen = () => say("connected");
source.onerror = () => say("reconnecting");
source.addEventListener("stream-gap", ({ data }) => say(`${skipped += JSON.parse(data).dropped} skipped`));
</script>
"""

page = Data(PAGE.encode(), "text/html; charset=utf-8")
# A short queue for each client, so that it never gets old values.
resource = EventStreamResource(connected, fallback=page, slow=SlowReader.LATEST, maxPending=4096)

if __name__ == "__main__":
    from twisted.internet import reactor

    begin(reactor)
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 8080
    port = reactor.listenTCP(wanted, Site(resource), interface="127.0.0.1")
    print(f"http://127.0.0.1:{port.getHost().port}/", flush=True)
    reactor.run()
