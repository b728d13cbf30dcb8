"""
The chat again, for any number of processes and machines that share a Redis server.  A line sent to
one of them reaches the clients of all.  When a process ends, its clients reconnect to another and miss
nothing.

    $ redis-server
    $ python examples/chat_redis.py 8080
    $ curl -N http://127.0.0.1:8080/rooms/lobby
    $ curl -d name=Ada -d text=hello http://127.0.0.1:8080/rooms/lobby

Start more of them on other ports and machines.  Any program can join in::

    $ redis-cli XADD sse:chat '*' topic lobby event line data '{"name":"Redis","text":"hello"}'

Set C{REDIS_URL} if the server is on another machine.
"""

from __future__ import annotations

import os
import sys

from klein import Klein
from twisted.web.iweb import IRequest
from twisted.web.server import Request

from twisted_sse import Channel, EventStream
from twisted_sse.klein import eventStream
from twisted_sse.store import KeyReused, NotStored, RedisStore

app = Klein()
# The newest 1,000 lines of all rooms together.
store = RedisStore(os.environ.get("REDIS_URL", "redis://localhost"), maxEvents=1000)
channel = Channel(store=store, name="chat")


@app.route("/")
def page(request: Request) -> str:
    request.setHeader("content-type", "text/html; charset=utf-8")
    return PAGE


@app.route("/rooms/<room>", methods=["GET"])
@eventStream
async def listen(request: IRequest, room: str) -> None:
    # A client that reconnects, to any of the processes, gets the lines it missed.
    channel.subscribe(EventStream.of(request), topics=[room], last=20)


@app.route("/rooms/<room>", methods=["POST"])
async def say(request: Request, room: str) -> str:
    name, text = field(request, b"name")[:40], field(request, b"text")[:1000]
    if not (name and text):
        request.setResponseCode(400)
        return "name and text must not be empty\n"
    line = {"name": name, "text": text}
    # A page that got no response sends the line again, perhaps to another process.
    key = request.getHeader("idempotency-key")
    try:
        await channel.publishAndWait(
            json=line, event="line", topics=[room], idempotencyKey=key or None
        )
    except KeyReused:
        request.setResponseCode(422)
        return "another line was said with this key\n"
    except NotStored as e:
        request.setResponseCode(503)
        return f"the message was not sent: {e}\n"
    request.setResponseCode(204)
    return ""


def field(request: Request, name: bytes) -> str:
    fields: dict[bytes, list[bytes]] = request.args or {}
    return fields.get(name, [b""])[0].decode("utf-8", "replace").strip()


PAGE = """<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><title>Chat</title><link rel="icon" href="data:,">
<style>:root { color-scheme: light dark; margin: 2rem } * { font: 1rem/1.5 system-ui }</style>
<ul></ul>
<form><input name="name" placeholder="name" required> <input name="text" placeholder="text" autocomplete="off" required>
<button>Say</button></form>
<script>
const list = document.querySelector("ul"), form = document.querySelector("form");
const source = new EventSource("rooms/lobby");
source.addEventListener("line", (event) => {
  const { name, text } = JSON.parse(event.data);
  list.appendChild(document.createElement("li")).textContent = `${name}: ${text}`;
});
// Something is lost: Redis has lost it, or we were away for more than 1,000 lines.
source.addEventListener("stream-reset", () => list.replaceChildren());
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const body = new URLSearchParams(new FormData(form));
  form.text.value = "";
  // The same key each time: it is said once, however often it is sent.
  const headers = { "Idempotency-Key": `${Date.now()} ${Math.random()}` };
  const isSaid = () => fetch("rooms/lobby", { method: "POST", body, headers })
    .then((answer) => answer.status < 500, () => false);
  while (!await isSaid()) await new Promise((next) => setTimeout(next, 1000));
});
</script>"""


if __name__ == "__main__":
    app.run("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 8080)
