"""
Somebody else's event stream, for many clients of yours: one connection there, any number here.

    $ twisted-sse serve --port 8081 --source file:app.log
    $ python examples/mirror.py 8080 http://127.0.0.1:8081/ mirror.jsonl
    $ curl -N http://127.0.0.1:8080/

The IDs stay as they are, and the newest events are in a file.  So whichever of the two servers is
started again, clients of this one go on where they were, if the other one has IDs and keeps what
this one has missed.  If it does not, it tells them, in its own way: that is an event as well.
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
        # What was being written when the power failed is no line.
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
        # A place in the other sequence: our clients are told those of ours.
        if message.type != "stream-position":
            event = self.channel.publish(Event.fromMessage(message))
            fields = {"event": event.event, "data": event.data, "id": event.id}
        # It is in the file before it is on its way: what is published goes out in the next turn.
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
