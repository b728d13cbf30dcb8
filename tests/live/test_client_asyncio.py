"""
Tests for L{twisted_sse.client.source} in an asyncio program.
"""

from __future__ import annotations

import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from tests.support.documents import blocks
from tests.support.requirements import ROOT, needs

#: An asyncio program: the code before and after that of the documentation.
ASYNCIO_BEGIN = """
import asyncio
loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
from twisted.internet import asyncioreactor
asyncioreactor.install(loop)
from functools import partial
from twisted.internet import reactor
from twisted.web.server import Site
from twisted_sse import EventStreamResource, MessageEvent, client

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
    Tests for the client in an asyncio program, which needs its own process for its reactor.
    """

    def test_following(self) -> None:
        """
        Events arrive in an asyncio queue, cancelling the future closes the source, and iterating in
        a task raises.
        """
        [block] = [block for block in blocks("howto-client.md", "python") if "asFuture" in block]
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
