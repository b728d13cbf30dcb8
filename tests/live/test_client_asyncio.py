"""
Tests for L{twisted_sse.client.source} in a program of asyncio.
"""

from __future__ import annotations

import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from tests.support.documents import blocks
from tests.support.requirements import ROOT, needs

#: Programs of asyncio: what is before and behind the documentation's.
ASYNCIO_BEGIN = """
import asyncio
loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
from twisted.internet import asyncioreactor
asyncioreactor.install(loop)
from functools import partial
from twisted.internet import reactor
from twisted.web.server import Site
from twisted_sse import EventStreamResource, client

resource = EventStreamResource(lambda stream: stream.every(0.05, lambda: "hello"))
port = reactor.listenTCP(0, Site(resource), interface="127.0.0.1")
EventSource = lambda _: client.EventSource(f"http://127.0.0.1:{port.getHost().port}/")
"""

ASYNCIO_END = """
async def main():
    source = EventSource("")
    try:
        await source.__anext__()
    except RuntimeError as e:
        print("cannot:", str(e).partition(":")[0])
    source.close()
    queue = asyncio.Queue()
    future = following(queue)
    for _ in range(2):
        print((await queue.get()).data)
    future.cancel()
    try:
        await future
    except asyncio.CancelledError:
        print("cancelled")
    while resource.streams:
        await asyncio.sleep(0.01)
    print("nothing is left")
    reactor.stop()

task = loop.create_task(main())
reactor.run()
"""


@needs("network")
class AsyncioTests(SynchronousTestCase):
    """
    The client in a program of asyncio, which is a process of its own: it has another reactor.
    """

    def test_following(self) -> None:
        """
        Events come into a queue of asyncio's, the future that is cancelled closes the source, and
        a task that iterates itself is told that it cannot.
        """
        [block] = [block for block in blocks("client.md", "python") if "asFuture" in block]
        program = f"{ASYNCIO_BEGIN}{block}{ASYNCIO_END}"
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", program],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        expected = "cannot: Task got bad yield\nhello\nhello\ncancelled\nnothing is left\n"
        self.assertEqual((done.stdout, done.stderr), (expected, ""))
