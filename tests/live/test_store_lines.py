"""
Tests for lines that are kept in a store across a restart of the daemon.
"""

from __future__ import annotations

import signal
import socket
import subprocess
from itertools import pairwise

from tests.support.daemons import FOREGROUND, LOCAL, PATIENCE, Client, DaemonMixin
from tests.support.requirements import needs


@needs("network")
class LinesTests(DaemonMixin):
    """
    Tests for lines of the standard input that are kept in a store.
    """

    def serve(self) -> subprocess.Popen[str]:
        """
        Start a daemon.
        """
        process = self.start(
            *(*FOREGROUND, "sse", "-", "--format=events", "--store=events.db", "--tail=9"),
            stdin=subprocess.PIPE,
            bufsize=1,
        )
        assert process.stdin is not None
        self.addCleanup(process.stdin.close)
        return process

    def follow(self, lastEventID: str, *expected: str) -> list[str]:
        """
        Request the stream with a last event ID, and assert which events come first.

        @return: their IDs.
        """
        field = f"Last-Event-ID: {lastEventID}\r\n".encode() if lastEventID else b""
        connection = socket.create_connection(("127.0.0.1", self.port), PATIENCE)
        self.addCleanup(connection.close)
        client = Client(connection, LOCAL + field)
        client.readUntil(f"data: {expected[-1]}\n\n".encode())
        lines = client.received.decode().split("\n")
        ids, data = [], []
        for line, after in pairwise(lines):
            # Not our own events, whose type comes first.
            if line.startswith("id: ") and after.startswith("data: ") and after != "data: {}":
                ids.append(line[4:])
                data.append(after[6:])
        self.assertEqual(data, list(expected))
        return ids

    def test_ids(self) -> None:
        """
        After a restart no line gets an ID that was used before; an ID in a line may be repeated,
        and then means the newest.
        """
        process = self.serve()
        assert process.stdin is not None
        process.stdin.write('one\n{"id": "17", "data": "two"}\nthree\n')
        self.client().readUntil(b"data: three\n")
        ids = self.follow("", "one", "two", "three")
        self.assertEqual(self.follow("17", "three"), ids[2:])
        process.send_signal(signal.SIGTERM)
        self.finish(process)
        process = self.serve()
        assert process.stdin is not None
        self.assertEqual(self.follow(ids[0], "two", "three"), ids[1:])
        self.assertEqual(self.follow("17", "three"), ids[2:])
        process.stdin.write('four\n{"id": "17", "data": "five"}\nsix\n')
        more = self.follow(ids[0], "two", "three", "four", "five", "six")[2:]
        self.assertEqual(len({*ids, *more}), 5)
        self.assertEqual(self.follow("17", "six"), more[2:])
        process.send_signal(signal.SIGTERM)
        self.finish(process)

    def test_killed(self) -> None:
        """
        Lines that were read before the daemon was killed are kept.
        """
        process = self.serve()
        assert process.stdin is not None
        process.stdin.write("".join(f"{count}\n" for count in range(200)))
        self.client().readUntil(b"data: 199\n")
        ids = self.follow("", *map(str, range(191, 200)))
        # The daemon reads no more until the others are stored.
        process.stdin.write("last\n")
        self.follow(ids[-1], "last")
        process.kill()
        process.wait()
        process = self.serve()
        assert process.stdin is not None
        process.stdin.write('{"data": "new"}\n')
        connection = socket.create_connection(("127.0.0.1", self.port), PATIENCE)
        self.addCleanup(connection.close)
        client = Client(connection, LOCAL + f"Last-Event-ID: {ids[-2]}\r\n".encode())
        client.readUntil(b"data: new\n")
        self.assertIn(b"data: 199\n", client.received)
        self.assertNotIn(b"stream-reset", client.received)
