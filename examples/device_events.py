"""
A device like those of ESPHome: its states, its log and a ping, for home automation and dashboards.

    $ python examples/device_events.py 8080
    $ curl -N http://127.0.0.1:8080/events

Or open http://127.0.0.1:8080/ in a browser.
"""

from __future__ import annotations

import random
import sys
import time

from klein import Klein
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.web.iweb import IRequest
from twisted.web.server import Request

from twisted_sse import Channel, Event, EventStream
from twisted_sse.klein import eventStream

log = Logger()
app = Klein()
# Simple consumers would misread the channel's own events, so it sends none.  A new consumer gets all
# states, so there is nothing to replay.
channel = Channel(history=None, resetEvent=None, name="device")
values: dict[str, float | bool] = {"sensor-temperature": 21.0, "switch-lamp": False}
started = time.monotonic()


@app.route("/events")
@eventStream
async def events(request: IRequest) -> None:
    stream = EventStream.of(request)
    stream.send(json={"title": "Living room", "uptime": uptime()}, event="ping")
    for name in values:
        stream.send(state(name))
    channel.subscribe(stream)


@app.route("/switch/lamp/toggle", methods=["POST"])
def toggle(request: Request) -> str:
    show("switch-lamp", not values["switch-lamp"])
    return ""


def show(name: str, value: float | bool) -> None:
    values[name] = value
    channel.publish(state(name))
    channel.publish(f"[D][{name}]: is {value}", event="log")


def state(name: str) -> Event:
    # JSON is always a single data line.
    value = values[name]
    text = ("ON" if value else "OFF") if isinstance(value, bool) else f"{value:.1f} °C"
    return Event.json({"id": name, "state": text, "value": value}, event="state")


def uptime() -> int:
    return round(time.monotonic() - started)


def begin(clock: IReactorTime) -> None:
    for interval, act in (
        (2, lambda: show("sensor-temperature", round(random.gauss(21, 0.4), 1))),
        (10, lambda: channel.publish(json={"uptime": uptime()}, event="ping")),
    ):
        loop = LoopingCall(act)
        loop.clock = clock
        loop.start(interval).addErrback(lambda failure: log.failure("No more events", failure))


PAGE = """<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><title>Living room</title><link rel="icon" href="data:,">
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }
body { max-width: 48rem; margin: 2rem auto; padding: 0 1rem }
dl { display: flex; flex-wrap: wrap; gap: 1rem }
div { flex: 1; min-width: 9rem; padding: .6rem 1rem; border: 1px solid #8886; border-radius: 8px }
dd { margin: 0; font-size: 1.8rem; font-variant-numeric: tabular-nums }
button { font: inherit; padding: .4rem .8rem; border-radius: 8px; border: 0; background: #4053d6; color: #fff }
pre { max-height: 12rem; overflow: auto; padding: .6rem 1rem; background: #8882; border-radius: 8px }
</style>
<h1>Living room</h1><dl></dl>
<button>Toggle the lamp</button> <small></small>
<pre aria-label="Log"></pre>
<script>
const [list, uptime, log] = ["dl", "small", "pre"].map((name) => document.querySelector(name));
const cards = new Map();
const source = new EventSource("events");
source.addEventListener("ping", ({ data }) => { uptime.textContent = `up for ${JSON.parse(data).uptime} s`; });
source.addEventListener("log", ({ data }) => { log.textContent = `${data}\\n${log.textContent}`.slice(0, 2000); });
source.addEventListener("state", ({ data }) => {
  const { id, state } = JSON.parse(data);
  if (!cards.has(id)) {
    const card = list.appendChild(document.createElement("div"));
    card.appendChild(document.createElement("dt")).textContent = id.split("-")[1];
    cards.set(id, card.appendChild(document.createElement("dd")));
  }
  cards.get(id).textContent = state;
});
document.querySelector("button").onclick = () => fetch("switch/lamp/toggle", { method: "POST" });
</script>
"""


@app.route("/")
def page(request: Request) -> str:
    request.setHeader("content-type", "text/html; charset=utf-8")
    return PAGE


if __name__ == "__main__":
    from twisted.internet import reactor

    begin(reactor)
    app.run("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 8080)
