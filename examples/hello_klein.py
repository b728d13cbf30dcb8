"""
Klein routes that are event streams.

    $ python examples/hello_klein.py 8080
    $ curl -N http://127.0.0.1:8080/hello
    $ curl -N http://127.0.0.1:8080/count/3
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from klein import Klein
from twisted.web.iweb import IRequest

from twisted_sse import Event, EventStream
from twisted_sse.klein import eventStream

app = Klein()


@app.route("/hello")
@eventStream(heartbeat=15)
async def hello(request: IRequest) -> None:
    EventStream.of(request).every(2, lambda: Event("hello", event="message", id=1))


@app.route("/count/<int:last>")
@eventStream
def count(request: IRequest, last: int) -> Iterator[Event]:
    for number in range(1, last + 1):
        yield Event(str(number), id=number)


if __name__ == "__main__":
    app.run("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 8080)
