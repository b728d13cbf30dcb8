"""
Tests for a restart of the daemon under a thousand clients that follow a file.
"""

from __future__ import annotations

import os
from tempfile import mkdtemp

from twisted.internet.task import LoopingCall, deferLater
from twisted.python.filepath import FilePath

from tests.support.followers import Follower
from tests.support.live import (
    PATIENCE,
    Child,
    LiveTestCase,
    allowDescriptors,
    freePort,
    reactor,
    until,
)
from tests.support.python import TWISTD
from tests.support.requirements import needs

#: The number of clients.
CLIENTS = 1000


@needs("network")
class RestartTests(LiveTestCase):
    """
    Tests for a restart of the daemon.
    """

    timeout = 6 * PATIENCE

    def daemon(self, port: int, path: FilePath[str]) -> Child:
        """
        Start the daemon.
        """
        return Child(
            self,
            *("-c", TWISTD, "-n", "--pidfile=", f"--logfile={path.path}.daemon", "sse"),
            *(f"--port={port}", f"--source=file:{path.path}", "--tail=0", "--drain=5"),
        )

    async def test_thousand(self) -> None:
        """
        On SIGTERM a thousand clients get a C{retry} and a clean end within the drain, and all
        reconnect without losing or repeating a line of the growing file.
        """
        allowDescriptors(self, 2 * CLIENTS)
        directory = FilePath(mkdtemp(prefix="twisted-sse-"))
        self.addCleanup(directory.remove)
        path = directory.child("app.log")
        path.setContent(b"before\n")
        port = freePort()
        daemon = self.daemon(port, path)
        followers = [Follower(("127.0.0.1", port)) for _ in range(CLIENTS)]
        written: list[str] = []
        file = os.open(path.path, os.O_WRONLY | os.O_APPEND)
        self.addCleanup(os.close, file)

        def write() -> None:
            written.append(f"line {len(written)}")
            os.write(file, f"{written[-1]}\n".encode())

        def look() -> None:
            for follower in followers:
                follower.look()

        looking = LoopingCall(look)
        looking.clock = reactor
        looking.start(0.05)
        for follower in followers:
            self.addCleanup(follower.close)
            follower.connect()
        self.addCleanup(looking.stop)
        await until(lambda: all(each.lastEventID for each in followers), "all are connected")
        writing = LoopingCall(write)
        writing.clock = reactor
        writing.start(0.2)
        try:
            await until(lambda: all(each.lines for each in followers), "all have got a line")
            asked = reactor.seconds()
            await daemon.stop()
            took = reactor.seconds() - asked
            await until(lambda: all(each.farewells for each in followers), "all had a clean end")
            # Lines are written while the daemon is down.
            await deferLater(reactor, 0.5)
            daemon = self.daemon(port, path)
            await until(
                lambda: all(each.response.status == 200 and each._client for each in followers),
                "all have reconnected",
                3 * PATIENCE,
            )
        finally:
            writing.stop()
        write()
        await until(lambda: all(each.lines[-1:] == written[-1:] for each in followers))
        self.assertLess(took, 5 + PATIENCE / 2)
        for follower in followers:
            self.assertEqual(follower.lines, written)
            self.assertEqual(follower.types, {"message"})
            self.assertEqual(follower.broken, 0)
            [farewell] = follower.farewells
            assert farewell is not None
            self.assertTrue(1000 <= farewell <= 5000, farewell)
        self.assertEqual(daemon.errors, b"")
