"""
Tests for the daemon and for C{get} while the system's clock is set: libfaketime sets that of one
process.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import Any

from tests.support.daemons import FOREGROUND, LOCAL, PATIENCE, DaemonMixin
from tests.support.requirements import FAKETIME, needs

#: The offsets of the clock: back, and forward.
SET = {"-86400": timedelta(days=-1), "+86400": timedelta(days=1)}


@needs("network", "faketime")
class ClockTests(DaemonMixin):
    """
    Tests for processes whose clock is set while they run.
    """

    def setUp(self) -> None:
        """
        Make a clock that can be set.
        """
        super().setUp()
        self.clock = self.directory / "clock"
        self.environment |= {
            "LD_PRELOAD": str(FAKETIME),
            "FAKETIME_TIMESTAMP_FILE": str(self.clock),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            # Its older name.
            "DONT_FAKE_MONOTONIC": "1",
        }
        self.set("+0")

    def set(self, seconds: str) -> None:
        """
        Set the clock.

        @param seconds: the offset from the real time.
        """
        new = self.directory / "clock.new"
        new.write_text(seconds, encoding="ascii")
        os.replace(new, self.clock)

    def get(self, path: str) -> str:
        """
        @return: the daemon's complete response.
        """
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as connection:
            connection.sendall(b"GET %s HTTP/1.0\r\n%s\r\n" % (path.encode(), LOCAL))
            with connection.makefile("rb") as file:
                return file.read().decode()

    def assertGoesOn(self, seconds: str, *command: str) -> None:
        """
        Assert that a daemon continues when the clock is set: its lines, its heartbeats, its log.
        """
        log, access = self.directory / "app.log", self.directory / "access.log"
        log.write_text("begin\n", encoding="ascii")
        access.unlink(missing_ok=True)
        self.set("+0")
        process = self.start(
            *command,
            *("sse", "--source", "file:app.log", "--heartbeat", "0.3", "--drain", "0.5"),
            *("--access-log", "access.log", "--access-log-format", "json", "--tail", "1"),
        )
        client = self.client()
        client.readUntil(b"begin")
        self.set(seconds)
        before = time.monotonic()
        with log.open("a", encoding="ascii") as file:
            file.write("after\n")
        client.readUntil(b"after")
        for _ in range(3):
            client.received.clear()
            client.readUntil(b"\n:")
        self.assertLess(time.monotonic() - before, PATIENCE / 2)
        # An open stream does not count as stalled.
        self.client().readUntil(b"after")
        # Logs show the new time of day.
        expected = datetime.now(timezone.utc) + SET[seconds]
        found = re.search(r"^Date: (.*)\r$", self.get("/healthz"), re.MULTILINE)
        assert found is not None
        told = [parsedate_to_datetime(found[1])]
        lines = [json.loads(line) for line in access.read_text(encoding="ascii").splitlines()]
        told.append(datetime.fromisoformat(lines[-1]["time"]))
        process.terminate()
        output = self.finish(process)
        stamps = re.findall(r"\[(\d+/\w+/[\d:]+ \+0000)\] .GET /healthz", output)
        told.append(datetime.strptime(stamps[-1], "%d/%b/%Y:%H:%M:%S %z"))
        for each in told:
            self.assertLess(abs(each - expected), timedelta(seconds=PATIENCE))

    def test_setBack(self) -> None:
        """
        When the clock is set back by a day, lines, heartbeats, logs and the drain of the daemon
        continue.
        """
        self.assertGoesOn("-86400", *FOREGROUND)

    def test_setForward(self) -> None:
        """
        When the clock is set forward by a day, they continue, too, and no stream is cut off.
        """
        self.assertGoesOn("+86400", *FOREGROUND)

    def test_reactors(self) -> None:
        """
        The same holds for the other reactors.
        """
        for reactor in "asyncio", "poll", "select":
            for seconds in SET:
                self.assertGoesOn(seconds, *FOREGROUND, f"--reactor={reactor}")

    def assertTimesOut(self, seconds: str) -> None:
        """
        Assert that C{get} waits for a silent server for the configured time when the clock is set.
        """
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(PATIENCE)
            process: Any = subprocess.Popen(
                [
                    *(sys.executable, "-m", "twisted_sse", "get", "--timeout", "1"),
                    *("--no-reconnect", f"http://127.0.0.1:{server.getsockname()[1]}/"),
                ],
                env=self.environment,
                cwd=self.directory,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            self.addCleanup(process.kill)
            connection, _ = server.accept()
            with connection:
                connection.recv(2**16)
                connection.sendall(
                    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: one\n\n"
                )
                process.stdout.read(1)
                began = time.monotonic()
                self.set(seconds)
                _, errors = process.communicate(timeout=PATIENCE)
                self.assertEqual(process.returncode, 5, errors)
                self.assertGreater(time.monotonic() - began, 0.5)

    def test_get(self) -> None:
        """
        C{get --timeout} measures real time, whether the clock is set back or forward.
        """
        for seconds in SET:
            self.set("+0")
            self.assertTimesOut(seconds)
