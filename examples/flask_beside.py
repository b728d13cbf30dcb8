"""
A Flask application and its event stream in one process: an order placed in one window appears in all.

    $ python examples/flask_beside.py 8080

Then open http://127.0.0.1:8080/ in two windows.  The example needs C{pip install flask}.
"""

from __future__ import annotations

import sys
from typing import Any

from flask import Flask, redirect, request
from twisted.internet import reactor as _reactor
from twisted.internet.threads import deferToThread
from twisted.python.threadpool import ThreadPool
from twisted.web.resource import Resource
from twisted.web.server import Site
from twisted.web.wsgi import WSGIResource
from werkzeug.wrappers import Response

from twisted_sse import Channel, EventStreamResource, History

reactor: Any = _reactor
app = Flask(__name__)
channel = Channel(History(maxEvents=1000), name="orders")
events = EventStreamResource(lambda stream: channel.subscribe(stream, last=10))


@app.post("/orders")
def order() -> Response:
    # Views run in threads, but only the reactor's thread may use the channel.
    reactor.callFromThread(channel.publish, json=request.form["item"], event="ordered")
    return redirect("/")


@app.get("/")
def page() -> str:
    return """<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><title>Orders</title><link rel="icon" href="data:,">
<style>
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }
body { max-width: 40rem; margin: 2rem auto; padding: 0 1rem }
input, button { font: inherit; padding: .4rem .8rem; border-radius: 8px; border: 1px solid #8888 }
button { background: #4053d6; color: #fff; border-color: transparent }
</style>
<h1>Orders</h1>
<form action="orders" method="post"><input name="item" required> <button>Order</button></form><ul></ul>
<script>
const list = document.querySelector("ul"), source = new EventSource("events");
source.addEventListener("ordered", ({ data }) => {
  list.append(document.createElement("li"));
  list.lastChild.textContent = JSON.parse(data);
});
</script>"""


class Beside(Resource):
    """
    Serve the children of this resource, and the application at all other paths.
    """

    def __init__(self, wsgi: Any) -> None:
        super().__init__()
        self.wsgi = wsgi

    def getChild(self, path: bytes, request: Any) -> Any:
        request.postpath.insert(0, request.prepath.pop())
        return self.wsgi


def site(pool: ThreadPool) -> Site:
    root = Beside(WSGIResource(reactor, pool, app))
    root.putChild(b"events", events)
    return Site(root)


if __name__ == "__main__":
    # A separate pool: the reactor stops its own when responses are no longer possible.
    pool = ThreadPool(0, 20)
    pool.start()
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 8080
    port = reactor.listenTCP(wanted, site(pool), interface="127.0.0.1")
    # The port is closed, streams end, and running requests are finished.
    for stop in port.stopListening, lambda: events.drain(5), lambda: deferToThread(pool.stop):
        reactor.addSystemEventTrigger("before", "shutdown", stop)
    print(f"http://127.0.0.1:{port.getHost().port}/", flush=True)
    reactor.run()
