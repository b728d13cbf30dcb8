"""
A chat that shows who is in the room, by a hub with presence.

    $ python examples/presence_chat.py 8080
    $ curl -c jar -d name=Ada http://127.0.0.1:8080/rooms/lobby/enter
    $ curl -N -b jar 'http://127.0.0.1:8080/.well-known/mercure?topic=lobby'

Or open http://127.0.0.1:8080/ in two different browsers; windows of one browser share a cookie.  It
needs C{twisted-sse[hub]}.
"""

from __future__ import annotations

import json
import re
import secrets
import sys
import time

import jwt
from klein import Klein
from twisted.web.iweb import IRequest
from twisted.web.server import Request

from twisted_sse import Channel, History
from twisted_sse.hub import Hub

HUB = "/.well-known/mercure"
KEY = secrets.token_hex(32)
DAY = 86400

app = Klein()
channel = Channel(History(maxEvents=1000), name="chat")
hub = Hub(
    channel,
    subscriberJwtKey=KEY,
    presence=True,
    # Shows only users who entered the room.
    visible=lambda topic, subscriber: bool(subscriber["granted"]),
    protocols=["0.x"],
)


@app.route(HUB, branch=True)
def updates(request: IRequest) -> Hub:
    return hub


@app.route("/rooms/<room>/enter", methods=["POST"])
def enter(request: Request, room: str) -> str:
    name = field(request, b"name")[:40]
    if not (name and re.fullmatch(r"\w{1,20}", room, re.ASCII)):
        return refuse(request, "enter with a name, and a room of letters and digits\n")
    claims = {
        # The lines of the room, arrivals and departures, and the list of users.
        "mercure": {
            "subscribe": [room, f"{HUB}/subscriptions/{room}{{/subscriber}}"],
            "payload": {"name": name},
        },
        "exp": int(time.time()) + DAY,
    }
    token = jwt.encode(claims, KEY, "HS256")
    # With https://, add secure=True.
    request.addCookie(
        "mercureAuthorization", token, path=HUB, max_age=str(DAY), httpOnly=True, sameSite="strict"
    )
    request.setResponseCode(204)
    return ""


@app.route("/rooms/<room>/say", methods=["POST"])
async def say(request: Request, room: str) -> str:
    name, text = field(request, b"name")[:40], field(request, b"text")[:1000]
    if not (name and text and re.fullmatch(r"\w{1,20}", room, re.ASCII)):
        return refuse(request, "name and text must not be empty\n")
    await hub.publish(room, json.dumps({"name": name, "text": text}), private=True)
    request.setResponseCode(204)
    return ""


def refuse(request: Request, why: str) -> str:
    request.setResponseCode(400)
    return why


def field(request: Request, name: bytes) -> str:
    fields: dict[bytes, list[bytes]] = request.args or {}
    return fields.get(name, [b""])[0].decode("utf-8", "replace").strip()


PAGE = """<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><title>Chat</title><link rel="icon" href="data:,">
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }
body { max-width: 40rem; margin: 2rem auto; padding: 0 1rem }
main { display: grid; grid-template-columns: 2fr 1fr; gap: 1rem }
ul { padding: 0; margin: 0; list-style: none; overflow-wrap: anywhere }
b { color: light-dark(#4053d6, #9db0ff); margin-inline-end: .3rem }
#people { border-inline-start: 1px solid; padding-inline-start: 1rem }
form { display: grid; grid-template-columns: 1fr auto; gap: .5rem; margin-block: 1rem }
form[hidden] { display: none }
input, button { font: inherit; padding: .4rem .8rem; min-width: 0; border-radius: 8px; border: 1px solid #8888 }
button { background: #4053d6; color: #fff; border-color: transparent }
</style>
<h1></h1>
<form id="enter"><input name="name" placeholder="name" maxlength="40" required autofocus>
<button>Enter</button></form>
<main><ul id="lines" aria-live="polite"></ul><ul id="people" aria-label="Who is here"></ul></main>
<form id="say" hidden><input name="text" placeholder="text" autocomplete="off" required>
<button>Say</button></form>
<script>
const [title, enter, lines, people, say] =
  ["h1", "#enter", "#lines", "#people", "#say"].map((each) => document.querySelector(each));
const room = title.textContent = location.hash.slice(1) || "lobby";
const subscriptions = `/.well-known/mercure/subscriptions/${room}`;
const name = () => enter.elements.name.value;
const post = (what, fields) =>
  fetch(`rooms/${room}/${what}`, { method: "POST", body: new URLSearchParams(fields) });
const here = new Map();

function present({ subscriber, active, payload }) {
  if (active && !here.has(subscriber)) {
    // Never innerHTML: it would run the scripts that others typed.
    here.set(subscriber, people.appendChild(document.createElement("li")));
    here.get(subscriber).textContent = payload.name;
  } else if (!active) {
    here.get(subscriber)?.remove();
    here.delete(subscriber);
  }
}
function line({ name, text }) {
  const line = lines.appendChild(document.createElement("li"));
  line.appendChild(document.createElement("b")).textContent = name;
  line.append(" ", text);
  say.scrollIntoView();
}
async function list() {
  const answer = await fetch(subscriptions);
  here.clear();
  people.replaceChildren();
  for (const each of (await answer.json()).subscriptions) present(each);
}
let source;
function follow() {
  lines.replaceChildren();
  const hub = new URL("/.well-known/mercure", location);
  hub.searchParams.append("topic", room);
  hub.searchParams.append("topic", subscriptions + "/{subscriber}");
  hub.searchParams.append("lastEventID", "earliest");
  source = new EventSource(hub);
  // Open the stream first, then list who is present; apply changes when the list is known.
  let listed;
  source.onopen = () => { listed = list(); };
  source.onmessage = async (event) => {
    await listed;
    const what = JSON.parse(event.data);
    if (what.type === "Subscription") present(what); else line(what);
  };
}
enter.onsubmit = async (event) => {
  event.preventDefault();
  if (!(await post("enter", { name: name() })).ok) return;
  [enter.hidden, say.hidden] = [true, false];
  say.elements.text.focus();
  follow();
};
// A browser may keep the page and its stream for when the visitor returns.
window.onpagehide = () => source?.close();
window.onpageshow = ({ persisted }) => { if (persisted && !say.hidden) follow(); };
say.onsubmit = (event) => {
  event.preventDefault();
  post("say", { name: name(), text: say.elements.text.value });
  say.elements.text.value = "";
};
</script>
"""


@app.route("/")
def page(request: Request) -> str:
    request.setHeader("content-type", "text/html; charset=utf-8")
    return PAGE


if __name__ == "__main__":
    app.run("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 8080)
