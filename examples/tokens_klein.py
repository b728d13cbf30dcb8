"""
Relays the answer of a language model, word by word, to the browser.

    $ python examples/tokens_klein.py 8080
    $ curl -N 'http://127.0.0.1:8080/answer?question=why'

Or open http://127.0.0.1:8080/ in a browser.  The model is a stand-in in the same process that sends
the same format as real services.
"""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from typing import Any

from klein import Klein
from twisted.internet.task import deferLater
from twisted.web.iweb import IRequest
from twisted.web.server import Request, Site

from twisted_sse import Event, EventStream
from twisted_sse.client import EventSource
from twisted_sse.klein import eventStream

WORDS = "It depends on what you mean by that."

app = Klein()
addresses: dict[str, str] = {}


@app.route("/answer")
@eventStream(once=True)
async def answer(request: Request) -> AsyncIterator[Event]:
    fields: dict[bytes, list[bytes]] = request.args or {}
    question = fields.get(b"question", [b""])[0].decode("utf-8", "replace")
    source = EventSource(
        addresses["model"],
        method="POST",  # only once: an answer that breaks off is not requested again
        headers={"Content-Type": "application/json", "Authorization": "Bearer secret"},
        body=json.dumps({"stream": True, "question": question}).encode(),
        readTimeout=60,
    )
    # Closing the page cancels this coroutine and closes the source, so the model stops, too.
    async with source:
        async for event in source:
            if event.data == "[DONE]":
                break
            yield Event(event.json()["token"], event="token")


@app.route("/model", methods=["POST"])
@eventStream
async def model(request: IRequest) -> AsyncIterator[Event]:
    for word in WORDS.split():
        yield Event.json({"token": word + " "})
        await deferLater(EventStream.of(request).clock, 0.1)
    yield Event("[DONE]")


PAGE = """<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><title>Ask</title><link rel="icon" href="data:,">
<style>
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }
body { max-width: 40rem; margin: 2rem auto; padding: 0 1rem }
input { font: inherit; padding: .4rem .8rem; width: 100%; box-sizing: border-box; border-radius: 8px; border: 1px solid #8888 }
</style>
<h1>Ask</h1><form><input aria-label="Question" autofocus></form><p aria-live="polite"></p>
<script>
const [form, input, text] = ["form", "input", "p"].map((name) => document.querySelector(name));
form.onsubmit = (submitted) => {
  submitted.preventDefault();
  text.textContent = "";
  const source = new EventSource("answer?question=" + encodeURIComponent(input.value));
  source.addEventListener("token", (event) => { text.textContent += event.data; });
  source.addEventListener("end", () => source.close());
};
</script>
"""


@app.route("/")
def page(request: Request) -> str:
    request.setHeader("content-type", "text/html; charset=utf-8")
    return PAGE


def listen(reactor: Any, number: int) -> Any:
    port = reactor.listenTCP(number, Site(app.resource()), interface="127.0.0.1")
    addresses["model"] = f"http://127.0.0.1:{port.getHost().port}/model"
    return port


if __name__ == "__main__":
    from twisted.internet import reactor

    port = listen(reactor, int(sys.argv[1]) if len(sys.argv) > 1 else 8080)
    print(f"http://127.0.0.1:{port.getHost().port}/", flush=True)
    reactor.run()
