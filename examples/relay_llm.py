"""
Show a language model's answer in the browser while the model writes it, with OpenAI's asyncio package.

    $ python examples/relay_llm.py 8080

Open http://127.0.0.1:8080/ in a browser and ask.  Set C{OPENAI_API_KEY} to your key.  For another
server with the same interface, such as your own, set C{OPENAI_BASE_URL=http://localhost:11434/v1} and
C{MODEL}.  The example needs C{pip install openai}.
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator

from openai import AsyncOpenAI, OpenAIError
from twisted.logger import Logger
from twisted.web.error import Error
from twisted.web.resource import Resource
from twisted.web.server import Site
from twisted.web.static import Data

from twisted_sse import Event, EventStream, EventStreamResource
from twisted_sse.aio import fromAsyncio

MODEL = os.environ.get("MODEL", "gpt-5-mini")

log = Logger()
# Your own server may not need a key, but the package does.
client = AsyncOpenAI(api_key=os.environ.get("OPENAI_API_KEY", "none"))


async def answer(question: str) -> AsyncIterator[Event]:
    """
    Ask the model.  This is asyncio code: it awaits the package's objects.
    """
    asked = await client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": question}], stream=True
    )
    async with asked as chunks:
        async for chunk in chunks:
            for choice in chunk.choices:
                if choice.delta.content:
                    yield Event.json({"text": choice.delta.content})


async def ask(stream: EventStream) -> AsyncIterator[Event]:
    """
    Respond to a request.  This is Twisted code, and so is the result of L{fromAsyncio}.
    """
    fields: dict[bytes, list[bytes]] = stream.request.args or {}
    question = fields.get(b"question", [b""])[0].decode("utf-8", "replace")
    if not question:
        raise Error(400, b"No question")
    try:
        # When the browser disconnects, the request to the model is cancelled.
        return await fromAsyncio(answer(question)).whenStarted()
    except OpenAIError:
        log.failure("The model did not answer")
        raise Error(502, b"The model did not answer") from None


PAGE = b"""<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><title>Ask</title><link rel="icon" href="data:,">
<meta name="viewport" content="width=device-width">
<style>
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }
body { max-width: 40rem; margin: 2rem auto; padding: 0 1rem }
form { display: flex; gap: .5rem }
input { flex: 1 }
input, button { font: inherit; padding: .3rem .6rem }
p { white-space: pre-wrap }
</style>
<h1>Ask</h1><form><input aria-label="Question" autofocus><button>Ask</button></form><p aria-live="polite"></p>
<script>
const [form, input, text] = ["form", "input", "p"].map((name) => document.querySelector(name));
let source;
form.onsubmit = (submitted) => {
  submitted.preventDefault();
  source?.close();
  text.textContent = "";
  source = new EventSource("ask?question=" + encodeURIComponent(input.value));
  source.onmessage = (event) => { text.textContent += JSON.parse(event.data).text; };
  source.addEventListener("end", () => source.close());
  // Otherwise the browser would connect again, and ask a second time.
  source.onerror = () => { source.close(); text.textContent += " (The answer was cut off.)"; };
};
// Otherwise the browser may keep the page, and its connection, for a minute.
addEventListener("pagehide", () => source?.close());
</script>
"""

root = Resource()
root.putChild(b"", Data(PAGE, "text/html; charset=utf-8"))
root.putChild(b"ask", EventStreamResource(ask, once=True))

if __name__ == "__main__":
    from twisted.internet import asyncioreactor

    asyncioreactor.install()
    from twisted.internet import reactor

    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 8080
    port = reactor.listenTCP(wanted, Site(root), interface="127.0.0.1")
    print(f"http://127.0.0.1:{port.getHost().port}/", flush=True)
    reactor.run()
