"""
A chat.  Its rooms are topics of one channel.  A new client sees the last lines of its room.

    $ python examples/chat_klein.py 8080
    $ curl -N http://127.0.0.1:8080/rooms/lobby
    $ curl -d name=Ada -d text=hello http://127.0.0.1:8080/rooms/lobby

Or open http://127.0.0.1:8080/ in two windows, and http://127.0.0.1:8080/#kitchen in another.
"""

from __future__ import annotations

import sys

from klein import Klein
from twisted.web.iweb import IRequest
from twisted.web.server import Request

from twisted_sse import Channel, EventStream, History
from twisted_sse.klein import eventStream

app = Klein()
# The newest 1,000 lines of all rooms together.
channel = Channel(History(maxEvents=1000), name="chat")


@app.route("/")
def page(request: Request) -> str:
    request.setHeader("content-type", "text/html; charset=utf-8")
    return PAGE


@app.route("/rooms/<room>", methods=["GET"])
@eventStream
async def listen(request: IRequest, room: str) -> None:
    # A reconnecting client gets the lines it missed, a new one the last 20 of the room.
    channel.subscribe(EventStream.of(request), topics=[room], last=20)


@app.route("/rooms/<room>", methods=["POST"])
def say(request: Request, room: str) -> str:
    name, text = field(request, b"name")[:40], field(request, b"text")[:1000]
    if not (name and text):
        request.setResponseCode(400)
        return "name and text must not be empty\n"
    channel.publish(json={"name": name, "text": text}, event="line", topics=[room])
    request.setResponseCode(204)
    return ""


def field(request: Request, name: bytes) -> str:
    fields: dict[bytes, list[bytes]] = request.args or {}
    return fields.get(name, [b""])[0].decode("utf-8", "replace").strip()


PAGE = """<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><title>Chat</title><link rel="icon" href="data:,">
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }
body { max-width: 40rem; margin: 2rem auto; padding: 0 1rem }
ul { padding: 0; list-style: none; overflow-wrap: anywhere }
b { color: light-dark(#4053d6, #9db0ff); margin-inline-end: .3rem }
form { display: grid; grid-template-columns: 8rem 1fr auto; gap: .5rem }
input, button { font: inherit; padding: .4rem .8rem; min-width: 0; border-radius: 8px; border: 1px solid #8888 }
button { background: #4053d6; color: #fff; border-color: transparent }
</style>
<h1></h1><ul></ul>
<form><input name="name" placeholder="name" required>
<input name="text" placeholder="text" autocomplete="off" required><button>Say</button></form>
<script>
const [title, lines, form] = ["h1", "ul", "form"].map((name) => document.querySelector(name));
const room = title.textContent = decodeURIComponent(location.hash.slice(1)) || "lobby";
const address = "rooms/" + encodeURIComponent(room);
const source = new EventSource(address);
source.addEventListener("line", (event) => {
  const { name, text } = JSON.parse(event.data);
  const line = lines.appendChild(document.createElement("li"));
  // Never innerHTML: it would run the scripts that others typed.
  line.appendChild(document.createElement("b")).textContent = name;
  line.append(" ", text);
  form.scrollIntoView();
});
// The server no longer has all missed lines.  Those that it has follow.
source.addEventListener("stream-reset", () => lines.replaceChildren());
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  await fetch(address, { method: "POST", body: new URLSearchParams(new FormData(form)) });
  form.elements.text.value = "";
});
</script>
"""

if __name__ == "__main__":
    app.run("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 8080)
