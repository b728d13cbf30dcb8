"""
A status board in HTML: the server sends fragments, and htmx puts them into the page.

    $ python examples/htmx_board.py 8080

Then open http://127.0.0.1:8080/ in two windows, and http://127.0.0.1:8080/4 for htmx 4.
"""

from __future__ import annotations

import sys
from html import escape
from time import strftime

from klein import Klein
from twisted.web.iweb import IRequest
from twisted.web.server import Request

from twisted_sse import Channel, EventStream
from twisted_sse.klein import eventStream

STATES = ("Investigating", "Monitoring", "Resolved")

app = Klein()
channel = Channel(name="board")


# With `once`, the stream ends with an `end` event, and htmx closes its connection.
@app.route("/events")
@eventStream(once=True)
async def events(request: IRequest) -> None:
    channel.subscribe(EventStream.of(request), last=20)


@app.route("/updates", methods=["POST"])
def update(request: Request) -> str:
    state, text = field(request, b"state"), field(request, b"text")[:500]
    if state not in STATES or not text:
        return refuse(request, 400, "an update has a state and a text\n")
    if channel.closed:
        return refuse(request, 409, "the board is closed\n")
    channel.publish(fragment(state, text))
    channel.publish(state, event="status")
    request.setResponseCode(204)
    return ""


@app.route("/close", methods=["POST"])
def close(request: Request) -> str:
    if not channel.closed:
        channel.publish("Closed", event="status")
        channel.close()
    request.setResponseCode(204)
    return ""


def fragment(state: str, text: str) -> str:
    # Without escape(), scripts that users type would run.
    return f"""<li>
  <b data-state="{state}">{state}</b> <time>{strftime("%H:%M:%S")}</time>
  <p>{escape(text)}</p>
</li>"""


def refuse(request: Request, status: int, why: str) -> str:
    request.setResponseCode(status)
    return why


def field(request: Request, name: bytes) -> str:
    fields: dict[bytes, list[bytes]] = request.args or {}
    return fields.get(name, [b""])[0].decode("utf-8", "replace").strip()


OPTIONS = "".join(f"<option>{state}</option>" for state in STATES)

FORM = f"""\
<form hx-post="updates" hx-swap="none">
  <select name="state" aria-label="State">{OPTIONS}</select>
  <input name="text" placeholder="What is going on?" autocomplete="off" maxlength="500" required>
  <button>Post</button>
  <button type="button" hx-post="close" hx-swap="none">Close the board</button>
</form>"""

HTMX2 = """
<script src="https://cdn.jsdelivr.net/npm/htmx.org@2.0.11/dist/htmx.min.js"></script>
<script src="https://cdn.jsdelivr.net/npm/htmx-ext-sse@2.2.4/sse.js"></script>
<main hx-ext="sse" sse-connect="events" sse-close="end">
  <h1>Status <output sse-swap="status">All is well</output></h1>
  $form
  <ul id="updates" sse-swap="message" hx-swap="afterbegin" aria-live="polite"></ul>
</main>
<script>
// After a 502, htmx creates a new EventSource. This passes on the last event ID.
let last = "";
document.addEventListener("htmx:sseMessage", ({ detail }) => { last = detail.lastEventId; });
htmx.createEventSource = (url) => {
  const source = new EventSource(last ? url + "?lastEventID=" + encodeURIComponent(last) : url);
  // Some events were lost. Everything that the server still has follows.
  source.addEventListener("stream-reset", () => document.querySelector("#updates").replaceChildren());
  return source;
};
</script>"""

HTMX4 = """
<script src="https://cdn.jsdelivr.net/npm/htmx.org@4.0.1/dist/htmx.min.js"></script>
<script src="https://cdn.jsdelivr.net/npm/htmx.org@4.0.1/dist/ext/hx-sse.min.js"></script>
<main hx-sse:connect="events" hx-sse:close="end" hx-target="#updates" hx-swap="afterbegin"
    hx-trigger="load, htmx:response:error target:main delay:3s, htmx:error target:main delay:3s"
    hx-status:5xx="swap:none"
    hx-on:status="document.querySelector('output').textContent = event.detail.data"
    hx-on:stream-reset="document.querySelector('#updates').replaceChildren()">
  <h1>Status <output>All is well</output></h1>
  $form
  <ul id="updates" aria-live="polite"></ul>
</main>"""

PAGE = """<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><title>Status</title><link rel="icon" href="data:,">
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; accent-color: #2a6fdb }
body { max-width: 40rem; margin: 2rem auto; padding: 0 1rem }
h1 { display: flex; flex-wrap: wrap; align-items: center; gap: .2em .8em }
output, b { font-size: 1rem; font-weight: 600; padding: .1em .7em; border-radius: 1em; background: #8883 }
[data-state=Investigating] { background: #d9480f44 }
[data-state=Monitoring] { background: #2a6fdb44 }
[data-state=Resolved] { background: #2b8a3e55 }
ul { padding: 0; list-style: none }
li { padding: .6rem 0; border-top: 1px solid #8884; overflow-wrap: anywhere }
li p { margin: .4rem 0 0 }
time { opacity: .7; font-variant-numeric: tabular-nums }
form { display: flex; flex-wrap: wrap; gap: .5rem }
input, select, button { font: inherit; padding: .4rem .8rem; border-radius: 8px; border: 1px solid #8888 }
button { background: #4053d6; color: #fff; border-color: transparent }
input { flex: 1 1 14rem; min-width: 0 }
</style>
$board
<script>
document.querySelector("form").addEventListener("submit", ({ target }) => setTimeout(() => target.reset()));
</script>
"""


@app.route("/")
def page(request: Request) -> str:
    return show(request, HTMX2)


@app.route("/4")
def page4(request: Request) -> str:
    return show(request, HTMX4)


def show(request: Request, board: str) -> str:
    request.setHeader("content-type", "text/html; charset=utf-8")
    return PAGE.replace("$board", board).replace("$form", FORM)


if __name__ == "__main__":
    app.run("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 8080)
