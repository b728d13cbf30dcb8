"""
A poll with Datastar: each vote updates every open page.

    $ pip install 'twisted-sse[klein]' datastar-py
    $ python examples/datastar_poll.py 8080

Then open http://127.0.0.1:8080/ in two windows.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from html import escape
from typing import Any

from datastar_py import ServerSentEventGenerator as Patch
from datastar_py.consts import ElementPatchMode
from klein import Klein
from twisted.web.error import Error
from twisted.web.iweb import IRequest
from twisted.web.server import Request

from twisted_sse import Channel, Event, EventStream, EventStreamParser
from twisted_sse.klein import eventStream

CHOICES = ("Noodles", "Pizza", "Salad")

app = Klein()
# Datastar would ignore a stream-reset: `updates` sends the state instead.
channel = Channel(name="poll", resetEvent=None)
votes: list[tuple[str, str]] = []


def decoded(text: str) -> Iterator[Event]:
    # The text is an encoded event already: field names, values and a blank line.
    for message in EventStreamParser().feed(text.encode()):
        yield Event(message.data, message.type, message.lastEventID or None)


@app.route("/updates")
@eventStream
async def updates(request: IRequest) -> None:
    stream = EventStream.of(request)
    if not await channel.resumes(stream.lastEventID):
        # A new page, or one that cannot resume, gets the whole state first.
        for event in decoded(Patch.patch_elements(bars() + listOfVotes())):
            stream.send(event)
        stream.lastEventID = ""
    channel.subscribe(stream)


@app.route("/votes", methods=["POST"])
@eventStream(once=True)
async def vote(request: Request) -> list[Event]:
    signals = readSignals(request)
    name, choice = str(signals.get("name", "")).strip()[:40], signals.get("choice")
    if not name or choice not in CHOICES:
        raise Error(400, b"a vote has a name and a choice\n")
    cast(name, choice)
    # Only the page that voted receives the answer.
    return list(decoded(Patch.patch_signals({"name": "", "said": f"You voted for {choice}."})))


def cast(name: str, choice: str) -> None:
    votes.append((name, choice))
    patches = (
        Patch.patch_elements(bars()),
        Patch.patch_elements(item(name, choice), "#votes", ElementPatchMode.PREPEND),
    )
    for patch in patches:
        for event in decoded(patch):
            channel.publish(event)


def readSignals(request: Request) -> dict[str, Any]:
    if request.method in (b"GET", b"DELETE"):
        fields: dict[bytes, list[bytes]] = request.args or {}
        text = fields.get(b"datastar", [b"{}"])[0]
    else:
        assert request.content is not None
        text = request.content.read()
    try:
        signals = json.loads(text)
    except ValueError:
        raise Error(400, b"the signals are not JSON\n") from None
    return signals if isinstance(signals, dict) else {}


def bars() -> str:
    rows = []
    for choice in CHOICES:
        count = sum(choice == each for _, each in votes)
        meter = f'<meter max="{len(votes) or 1}" value="{count}"></meter>'
        rows.append(f"<label>{choice} {meter} <b>{count}</b></label>")
    return f'<div id="bars">{"".join(rows)}</div>'


def listOfVotes() -> str:
    return f'<ul id="votes">{"".join(item(*each) for each in reversed(votes))}</ul>'


def item(name: str, choice: str) -> str:
    return f"<li><b>{escape(name)}</b> wants {choice}</li>"


PAGE = """<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><title>Poll</title><link rel="icon" href="data:,">
<meta name="viewport" content="width=device-width, initial-scale=1">
<script type="module" src="https://cdn.jsdelivr.net/gh/starfederation/datastar@v1.0.1/bundles/datastar.js"></script>
<style>
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }
body { max-width: 40rem; margin: 2rem auto; padding: 0 1rem }
form { display: flex; flex-wrap: wrap; gap: .5rem }
input, select, button { font: inherit; padding: .4rem .8rem; border-radius: 8px; border: 1px solid #8888 }
button { background: #4053d6; color: #fff; border-color: transparent }
input { flex: 1 1 10rem; min-width: 0 }
output { display: block; min-height: 1.5em; margin: .5rem 0; opacity: .8 }
label { display: grid; grid-template-columns: 5rem 1fr 2rem; align-items: center; gap: .5rem }
meter { width: 100%; height: 1.5rem }
label b { text-align: end; font-variant-numeric: tabular-nums }
ul { padding: 0; list-style: none }
li { padding: .4rem 0; border-top: 1px solid #8884; overflow-wrap: anywhere }
</style>
<h1>Where do we eat?</h1>
<main data-signals="{name: '', choice: 'Noodles', said: ''}"
    data-init="@get('updates', {retry: 'always', retryMaxCount: Infinity})">
  <form data-on:submit="@post('votes')">
    <input data-bind:name placeholder="Your name" aria-label="Your name" maxlength="40" required>
    <select data-bind:choice aria-label="Choice">$options</select>
    <button>Vote</button>
  </form>
  <output data-text="$said"></output>
  <div id="bars"></div>
  <ul id="votes" aria-live="polite"></ul>
</main>
"""


@app.route("/")
def page(request: Request) -> str:
    request.setHeader("content-type", "text/html; charset=utf-8")
    options = "".join(f"<option>{choice}</option>" for choice in CHOICES)
    return PAGE.replace("$options", options)


if __name__ == "__main__":
    app.run("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 8080)
