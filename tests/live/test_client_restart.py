"""
Tests for a client that follows a file across many restarts of the daemon.
"""

from __future__ import annotations

import os
import socket
from tempfile import mkdtemp

from twisted.internet.task import LoopingCall
from twisted.python.filepath import FilePath

from tests.support.live import PATIENCE, Child, LiveTestCase, freePort, reactor, until
from tests.support.python import TWISTD
from tests.support.requirements import needs
from twisted_sse.client import Backoff, EventSource
from twisted_sse.format.parser import MessageEvent

#: The number of restarts: a hundred take a minute or two.
RESTARTS = int(os.environ.get("SSE_RESTARTS", "6"))


@needs("network")
class RestartTests(LiveTestCase):
    """
    Tests for repeated restarts of the daemon.
    """

    timeout = PATIENCE * (2 + RESTARTS)

    async def test_resumes(self) -> None:
        """
        Whether the daemon gets SIGTERM or is killed, the client gets each line of the growing file
        once, in order.
        """
        directory = FilePath(mkdtemp(prefix="twisted-sse-"))
        self.addCleanup(directory.remove)
        path = directory.child("app.log")
        path.setContent(b"before\n")
        file = os.open(path.path, os.O_WRONLY | os.O_APPEND)
        self.addCleanup(os.close, file)
        port = freePort()
        written: list[str] = []
        told: list[MessageEvent] = []
        opened: list[object] = []

        def write() -> None:
            written.append(f"line {len(written)}")
            os.write(file, f"{written[-1]}\n".encode())

        def start() -> Child:
            return Child(
                self,
                *("-c", TWISTD, "-n", "--pidfile=", f"--logfile={path.path}.daemon", "sse"),
                *(f"--port={port}", f"--source=file:{path.path}", "--tail=0", "--drain=5"),
            )

        def listens() -> bool:
            with socket.socket() as trying:
                return trying.connect_ex(("127.0.0.1", port)) == 0

        daemon = start()
        await until(listens, "the daemon listens")
        source = EventSource(
            f"http://127.0.0.1:{port}/",
            backoff=Backoff(initial=0.1, maximum=0.1),
            onOpen=opened.append,
        )
        self.addCleanup(source.close)
        following = source.listen(told.append)
        await until(lambda: opened, "the client is connected")
        writing = LoopingCall(write)
        writing.clock = reactor
        writing.start(0.01)
        try:
            for number in range(RESTARTS):
                seen = len(told)
                await until(lambda seen=seen: len(told) > seen, "a line has arrived")
                await daemon.stop("KILL" if number % 2 else "TERM")
                await until(lambda: source.readyState != source.OPEN, "it is cut off")
                count = len(opened)
                missed = len(written)
                await until(lambda missed=missed: len(written) > missed, "a line was missed")
                daemon = start()
                await until(listens, "the daemon listens again")
                if source.readyState != source.OPEN:
                    # Otherwise it waits for the C{retry} of the drain.
                    source.reconnectNow()
                await until(lambda count=count: len(opened) > count, "the client has reconnected")
        finally:
            writing.stop()
        write()
        await until(lambda: told[-1].data == written[-1], "the last line has arrived")
        await source.close()
        self.assertIsNone(await following)
        self.assertEqual([each.data for each in told if each.type == "message"], written)
        self.assertEqual({each.type for each in told}, {"message", "stream-position"})
        self.assertGreater(len(opened), RESTARTS)
