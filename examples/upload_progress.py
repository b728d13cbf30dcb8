"""
A POST that is answered with an event stream: one event for each line of the upload, as soon as
the line is done, and one with the result.

    $ python examples/upload_progress.py 8080
    $ printf 'one\\ntwo\\nthree\\n' | curl -N --data-binary @- http://127.0.0.1:8080/check
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator

from klein import Klein
from twisted.internet.task import deferLater
from twisted.web.error import Error
from twisted.web.server import Request

from twisted_sse import Event, EventStream
from twisted_sse.klein import eventStream

app = Klein()


@app.route("/check", methods=["POST"])
@eventStream(once=True)
async def check(request: Request) -> AsyncIterator[Event]:
    # The whole body is there: Twisted reads it before it calls anybody.
    assert request.content is not None
    lines = request.content.read().decode("utf-8", "replace").splitlines()
    clock = EventStream.of(request).clock
    if not lines:
        raise Error(400, b"Nothing was uploaded")
    words = 0
    for number, line in enumerate(lines, 1):
        await deferLater(clock, 0.2)  # the work
        words += len(line.split())
        yield Event.json({"done": number, "of": len(lines)}, event="progress")
    yield Event.json({"words": words}, event="result")


if __name__ == "__main__":
    app.run("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 8080)
