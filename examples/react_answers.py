"""
Answers for a React application: one stream per question, and one with news for every page.

    $ npm install --prefix examples/react
    $ npm run build --prefix examples/react
    $ python examples/react_answers.py 8080

Then open http://127.0.0.1:8080/ in two windows.
"""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from klein import Klein
from twisted.internet.task import deferLater
from twisted.web.error import Error
from twisted.web.iweb import IRequest
from twisted.web.server import Request

from twisted_sse import Channel, Event, EventStream
from twisted_sse.klein import eventStream

BUNDLE = Path(__file__).with_name("react") / "app.js"

app = Klein()
news = Channel(name="news")


@app.route("/answers", methods=["POST"])
@eventStream(once=True)
async def answer(request: Request) -> AsyncIterator[Event]:
    stream = EventStream.of(request)
    if request.getHeader("authorization") != "Bearer secret":
        raise Error(401, b"log in first")
    question = readQuestion(request)
    # After a lost connection, the client repeats its request with the number of its last word.
    had = int(stream.lastEventID) if stream.lastEventID.isdecimal() else 0
    if not had:
        news.publish(question, event="question")
    text = (
        f"You asked: {question} That is a good question, and the answer takes longer than others."
    )
    words = text.split()
    for number, word in enumerate(words[had:], had + 1):
        yield Event(word, event="token", id=number)
        await deferLater(stream.clock, 0.2)


def readQuestion(request: Request) -> str:
    assert request.content is not None
    try:
        return str(json.load(request.content)["question"])[:200]
    except (ValueError, KeyError, TypeError):
        raise Error(400, b"send JSON with a question") from None


@app.route("/news")
@eventStream
async def listen(request: IRequest) -> None:
    stream = EventStream.of(request)
    news.subscribe(stream, last=20)
    stream.whenClosed().addCallback(lambda _: count())
    count()


def count() -> None:
    news.publish(json=len(news.streams), event="readers")


PAGE = """<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><title>Ask</title><link rel="icon" href="data:,">
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }
body { max-width: 40rem; margin: 2rem auto; padding: 0 1rem }
form { display: flex; flex-wrap: wrap; gap: .5rem }
input, button { font: inherit; padding: .4rem .8rem; border-radius: 8px; border: 1px solid #8888 }
button { background: #4053d6; color: #fff; border-color: transparent }
[name=question] { flex: 1 1 14rem; min-width: 0 }
#answer { padding: .8rem 1rem; border-radius: .5rem; background: #8882; overflow-wrap: anywhere }
#answer[data-state=open]::after { content: " ▍" }
small { font-weight: normal; opacity: .7 }
ul { padding: 0; list-style: none }
li { padding: .4rem 0; border-top: 1px solid #8884; overflow-wrap: anywhere }
</style>
<main></main>
<script src="app.js"></script>
"""


@app.route("/")
def page(request: Request) -> str:
    request.setHeader("content-type", "text/html; charset=utf-8")
    return PAGE


@app.route("/app.js")
def script(request: Request) -> bytes:
    request.setHeader("content-type", "text/javascript; charset=utf-8")
    return BUNDLE.read_bytes()


if __name__ == "__main__":
    app.run("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 8080)
