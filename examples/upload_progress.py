"""
Upload a file, and watch its progress, then see its checksum.

    $ python examples/upload_progress.py 8080

Then open http://127.0.0.1:8080/ in a browser.
"""

from __future__ import annotations

import sys
from dataclasses import asdict
from hashlib import sha256
from typing import IO

from klein import Klein
from twisted.internet.threads import deferToThread
from twisted.web.server import Request, Site

from twisted_sse import Channel, EventStream
from twisted_sse.klein import eventStream
from twisted_sse.server.progress import Progress, ProgressRequest

app = Klein()
channel = Channel(name="uploads")


class Upload(ProgressRequest):
    maxBody = 2**30

    def progressed(self, progress: Progress) -> None:
        if (upload := uploadOf(self)) is not None:
            channel.publish(json=asdict(progress), event="progress", topics=[upload])


def uploadOf(request: Request) -> str | None:
    # The page chose it at random, so that others cannot watch its uploads.
    name = request.getHeader(b"upload-id")
    return None if name is None else name.decode("latin-1")


@app.route("/uploads/<upload>")
@eventStream
async def events(request: Request, upload: str) -> None:
    channel.subscribe(EventStream.of(request), topics=[upload], last=1)


@app.route("/files", methods=["POST"])
async def receive(request: Request) -> bytes:
    assert request.content is not None
    digest = await deferToThread(digestOf, request.content)
    if (upload := uploadOf(request)) is not None:
        channel.publish(json={"sha256": digest}, event="result", topics=[upload])
    return digest.encode()


def digestOf(file: IO[bytes]) -> str:
    digest = sha256()
    while piece := file.read(2**20):
        digest.update(piece)
    return digest.hexdigest()


@app.route("/")
def page(request: Request) -> str:
    request.setHeader("content-type", "text/html; charset=utf-8")
    return """<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><title>Upload</title><link rel="icon" href="data:,">
<style>
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }
body { max-width: 40rem; margin: 2rem auto; padding: 0 1rem }
input, button { font: inherit; padding: .4rem .8rem; border-radius: 8px; border: 1px solid #8888 }
button { background: #4053d6; color: #fff; border-color: transparent }
progress { width: 100%; height: 1.5rem; margin: 1rem 0; accent-color: #4053d6 }
</style>
<h1>Upload</h1>
<form><input name="file" type="file" required> <button>Upload</button></form>
<progress value="0" max="1"></progress> <output></output>
<script>
const [form] = document.forms, bar = document.querySelector("progress"), output = document.querySelector("output");
form.onsubmit = async (event) => {
  event.preventDefault();
  const id = crypto.randomUUID(), source = new EventSource(`uploads/${id}`);
  source.addEventListener("progress", ({ data }) => {
    const { received, total, state } = JSON.parse(data);
    bar.max = total || 1;
    bar.value = total ? received : Number(state === "received");
    output.textContent = `${state}: ${received} bytes`;
  });
  source.addEventListener("result", ({ data }) => {
    output.textContent = `SHA-256: ${JSON.parse(data).sha256}`;
    source.close();
  });
  await new Promise((open) => { source.onopen = open; });
  // The file itself is the body, rather than one field of a form.
  const headers = { "Upload-ID": id }, body = form.elements.file.files[0];
  const answer = await fetch("files", { method: "POST", headers, body }).catch((error) => error);
  if (!answer.ok) {
    output.textContent = answer.status === 413 ? "The file is too large" : `The upload failed: ${answer.message ?? answer.status}`;
    source.close();
  }
};
</script>"""


if __name__ == "__main__":
    from twisted.internet import reactor

    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 8080
    site = Site(app.resource(), requestFactory=Upload)
    port = reactor.listenTCP(wanted, site, interface="127.0.0.1")
    print(f"http://127.0.0.1:{port.getHost().port}/", flush=True)
    reactor.run()
