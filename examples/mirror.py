"""
Mirrors an event stream of another server: one connection to it, any number of clients here.

    $ twisted-sse serve --port 8081 --source file:app.log
    $ python examples/mirror.py 8080 http://127.0.0.1:8081/ mirror.jsonl
    $ curl -N http://127.0.0.1:8080/

The IDs stay the same, and the newest events are kept in a file.  When either server restarts,
clients of this one resume after their last event, provided the other server sends IDs and still has
what this one missed.  If it reports a loss, that event reaches the clients like any other.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from twisted.web.server import Site

from twisted_sse import Channel, Event, EventStreamResource, History, MessageEvent
from twisted_sse.client import EventSource

KEPT = 1000


class Mirror:
    def __init__(self, reactor: Any, url: str, path: Path) -> None:
        self.channel = Channel(History(maxEvents=KEPT), reactor=reactor)
        lines = path.read_text(encoding="utf-8").splitlines()[-KEPT:] if path.exists() else []
        # A power failure may have left an incomplete line.
        lines = [line for line in lines if line.endswith("}")]
        lastEventID = ""
        for line in lines:
            fields = json.loads(line)
            lastEventID = fields.pop("last")
            if fields:
                self.channel.publish(Event(**fields))
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        self.file = path.open("a", encoding="utf-8")
        self.source = EventSource(url, reactor=reactor, lastEventID=lastEventID, readTimeout=60)
        self.ended = self.source.listen(self.take)
        self.resource = EventStreamResource(self.channel.subscribe)

    def take(self, message: MessageEvent) -> None:
        fields = {}
        # A position in the other server's sequence: our channel sends its own.
        if message.type != "stream-position":
            event = self.channel.publish(Event.fromMessage(message))
            fields = {"event": event.event, "data": event.data, "id": event.id}
        # It is in the file before any client gets it: events go out in the next turn of the reactor.
        self.file.write(json.dumps({**fields, "last": message.lastEventID}) + "\n")
        self.file.flush()

    async def stop(self) -> None:
        await self.source.close()
        self.channel.close()
        self.file.close()


if __name__ == "__main__":
    from twisted.internet import reactor

    number, url, path = sys.argv[1:]
    mirror = Mirror(reactor, url, Path(path))
    mirror.ended.addErrback(lambda failure: print(failure.getErrorMessage(), file=sys.stderr))
    mirror.ended.addBoth(lambda _: reactor.stop() if reactor.running else None)
    port = reactor.listenTCP(int(number), Site(mirror.resource), interface="127.0.0.1")
    print(f"http://127.0.0.1:{port.getHost().port}/", flush=True)
    reactor.run()
