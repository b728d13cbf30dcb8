"""
The orders of a kitchen, with Turbo Streams: each change appears on every screen.

    $ python examples/turbo_kitchen.py 8080

Then open http://127.0.0.1:8080/ in two windows.
"""

from __future__ import annotations

import sys
from html import escape
from itertools import count

from klein import Klein
from twisted.web.iweb import IRequest
from twisted.web.server import Request

from twisted_sse import Channel, EventStream
from twisted_sse.klein import eventStream

app = Klein()
# Turbo would ignore a stream-reset: `events` sends the state instead.
channel = Channel(name="kitchen", resetEvent=None)
orders: dict[int, tuple[str, bool]] = {}  # the dish, and whether it is being cooked
numbers = count(1)


@app.route("/events")
@eventStream
async def events(request: IRequest) -> None:
    stream = EventStream.of(request)
    if not await channel.resumes(stream.lastEventID):
        # A new page, or one that cannot resume, gets the whole state first.
        stream.send(turbo("update", "orders", "".join(map(item, orders))))
        stream.lastEventID = ""
    channel.subscribe(stream)


@app.route("/orders", methods=["POST"])
def order(request: Request) -> str:
    fields: dict[bytes, list[bytes]] = request.args or {}
    text = fields.get(b"text", [b""])[0].decode("utf-8", "replace").strip()[:100]
    request.setResponseCode(204 if text else 400)
    if text:
        add(text)
    return ""


@app.route("/orders/<int:number>", methods=["POST"])
def button(request: Request, number: int) -> str:
    request.setResponseCode(204 if number in orders else 404)
    if number in orders:
        advance(number)
    return ""


def add(text: str) -> None:
    number = next(numbers)
    orders[number] = text, False
    channel.publish(turbo("append", "orders", item(number)))


def advance(number: int) -> None:
    text, cooking = orders[number]
    if cooking:
        del orders[number]
        channel.publish(turbo("remove", f"order-{number}"))
    else:
        orders[number] = text, True
        channel.publish(turbo("replace", f"order-{number}", item(number)))


def turbo(action: str, target: str, html: str = "") -> str:
    return f"""<turbo-stream action="{action}" target="{target}">
  <template>{html}</template>
</turbo-stream>"""


def item(number: int) -> str:
    text, cooking = orders[number]
    return f"""<li id="order-{number}" data-cooking="{cooking}">
  <b>{number}</b> <span>{escape(text)}</span>
  <form method="post" action="orders/{number}"><button>{"Served" if cooking else "Cook"}</button></form>
</li>"""


PAGE = """<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><title>Kitchen</title><link rel="icon" href="data:,">
<meta name="viewport" content="width=device-width, initial-scale=1">
<script type="module" src="https://cdn.jsdelivr.net/npm/@hotwired/turbo@8.0.23/dist/turbo.es2017-esm.js"></script>
<script type="module">
// After a 502, the browser gives up. A new element reconnects, and gets the whole state.
setInterval(() => {
  const element = document.querySelector("turbo-stream-source");
  if (element?.streamSource?.readyState === EventSource.CLOSED) element.replaceWith(element.cloneNode());
}, 3000);
document.addEventListener("turbo:submit-end", ({ target }) => target.reset());
</script>
<style>
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }
body { max-width: 40rem; margin: 2rem auto; padding: 0 1rem }
#new { display: flex; gap: .5rem }
input, button { font: inherit; padding: .4rem .8rem; border-radius: 8px; border: 1px solid #8888 }
button { background: #4053d6; color: #fff; border-color: transparent }
input { flex: 1; min-width: 0 }
ul { padding: 0; list-style: none }
li { display: flex; align-items: center; gap: .8rem; padding: .5rem; border-top: 1px solid #8884 }
li[data-cooking=True] { background: #d9480f33 }
li span { flex: 1; overflow-wrap: anywhere }
li b { min-width: 2ch; text-align: end; opacity: .7; font-variant-numeric: tabular-nums }
ul:empty::after { content: "Nothing to cook"; opacity: .7 }
</style>
<h1>Kitchen</h1>
<turbo-stream-source src="events"></turbo-stream-source>
<form id="new" method="post" action="orders">
  <input name="text" placeholder="Noodles, no onions" aria-label="Order" autocomplete="off" maxlength="100" required>
  <button>Order</button>
</form>
<ul id="orders" aria-live="polite"></ul>
"""


@app.route("/")
def page(request: Request) -> str:
    request.setHeader("content-type", "text/html; charset=utf-8")
    return PAGE


if __name__ == "__main__":
    app.run("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 8080)
