"""
The progress of a long job.  Reloading the page or losing the connection does no harm.

    $ python examples/progress.py 8080
    $ curl -i -X POST http://127.0.0.1:8080/jobs
    $ curl -N http://127.0.0.1:8080/jobs/... # as Location says

Or open http://127.0.0.1:8080/ in a browser.
"""

from __future__ import annotations

import secrets
import sys

from twisted.internet.defer import ensureDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.web.resource import Resource
from twisted.web.server import Request, Site
from twisted.web.static import Data

from twisted_sse import Channel, EventStreamResource

log = Logger()


class Jobs(Resource):
    def render_POST(self, request: Request) -> bytes:
        assert request.site is not None
        # The ID of a job cannot be guessed: it grants access.
        name, channel = secrets.token_urlsafe(), Channel()
        # A new client gets the newest event, a reconnecting one everything it missed.
        stream = EventStreamResource(lambda stream: channel.subscribe(stream, last=1), once=True)
        self.putChild(name.encode(), stream)
        ensureDeferred(self.run(name.encode(), channel, request.site.reactor))
        request.setResponseCode(201)
        request.setHeader("location", f"/jobs/{name}")
        return b""

    async def run(self, name: bytes, channel: Channel, clock: IReactorTime) -> None:
        try:
            for percent in range(0, 100, 2):
                channel.publish(str(percent), event="progress")
                await deferLater(clock, 0.2)  # the work
            channel.publish("It is done.", event="result")
        except Exception:
            log.failure("A job has failed")
            channel.publish("It has failed.", event="result")
        # Ends the streams; because of `once`, browsers do not reconnect.
        channel.close()
        await deferLater(clock, 3600)  # seconds until the result is removed
        del self.children[name]


PAGE = b"""<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><title>Progress</title><link rel="icon" href="data:,">
<style>
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }
body { max-width: 40rem; margin: 2rem auto; padding: 0 1rem }
button { font: inherit; padding: .4rem .8rem; background: #4053d6; color: #fff; border: 0; border-radius: 8px }
progress { width: 100%; height: 1.5rem; margin: 1rem 0; accent-color: #4053d6 }
</style>
<h1>Progress</h1><button>Start</button><progress max="100" value="0"></progress><p></p>
<script>
const [button, bar, result] = ["button", "progress", "p"].map((name) => document.querySelector(name));
button.onclick = async () => {
  const response = await fetch("jobs", { method: "POST" });
  location.hash = response.headers.get("Location"); // so that a reload finds it
  location.reload();
};
if (location.hash) {
  const source = new EventSource(location.hash.slice(1));
  source.addEventListener("progress", (event) => { bar.value = event.data; });
  source.addEventListener("result", (event) => { result.textContent = event.data; bar.value = 100; });
  source.addEventListener("end", () => source.close());
}
</script>
"""

root = Resource()
root.putChild(b"", Data(PAGE, "text/html; charset=utf-8"))
root.putChild(b"jobs", Jobs())

if __name__ == "__main__":
    from twisted.internet import reactor

    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 8080
    port = reactor.listenTCP(wanted, Site(root), interface="127.0.0.1")
    print(f"http://127.0.0.1:{port.getHost().port}/", flush=True)
    reactor.run()
