"""
How many events a second can be published over HTTP?

This process is all publishers, on the load's processor: each has a connection, posts, waits for the
response, and posts the next.  The server does nothing else: there are no subscribers.
"""

from __future__ import annotations

import json
import os
import selectors
import socket
import time
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from candidates import Running, Server
from load import Sample
from machine import Failed
from report import Section, Table, ratio, spread

if TYPE_CHECKING:
    from bench import Bench

__all__ = ["BATCH", "PUBLISHERS", "SIZE", "oneRun", "publish"]

#: The number of publishers.
PUBLISHERS = 16

#: The number of events in a batch, and the size of the data of an event, in bytes.
BATCH = 100
SIZE = 100

#: A server has failed if it does not respond for this number of seconds.
PATIENCE = 10

#: The system's clock ticks per second.
TICKS = os.sysconf("SC_CLK_TCK")


def makeRequest(path: str, kind: str, body: bytes, token: str = "") -> bytes:
    """
    Make the bytes of a request.

    @param token: the token of the publisher; empty for none.
    """
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n"
    if token:
        head += f"Authorization: Bearer {token}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def cpuTime(pids: Sequence[int]) -> float:
    """
    The CPU time of processes, in seconds.
    """
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / TICKS


class Publisher:
    """
    One publisher.

    @ivar answers: the number of responses received.
    """

    def __init__(self, port: int, request: bytes) -> None:
        self.answers = 0
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._request = request
        self._received = b""

    def post(self) -> None:
        """
        Post once.
        """
        self.socket.sendall(self._request)

    def receive(self) -> None:
        """
        Receive the available bytes, and post again after a response.

        @raise Failed: if it is not the expected one.
        """
        self._received += self.socket.recv(65536)
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end:
            return
        if not head.startswith(b"HTTP/1.1 20"):
            raise Failed(f"it answered {head[:40]!r} {body[:200]!r}")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        if len(body) >= length:
            self._received = b""
            self.answers += 1
            self.post()


def load(server: Running, request: bytes, events: int, warmUp: float, seconds: float) -> Sample:
    """
    Publish for some time.

    @param events: the number of events in a request.
    @raise Failed: if it does not work.
    """
    with selectors.DefaultSelector() as selector, ExitStack() as stack:
        publishers = [Publisher(server.port, request) for _ in range(PUBLISHERS)]
        for each in publishers:
            stack.enter_context(each.socket)
            selector.register(each.socket, selectors.EVENT_READ, each)
            each.post()

        def run(seconds: float) -> Sample:
            before, cpu = sum(each.answers for each in publishers), cpuTime(server.pids)
            start = time.monotonic()
            while time.monotonic() < start + seconds:
                ready = selector.select(PATIENCE)
                if not ready:
                    raise Failed(f"it did not answer within {PATIENCE} s")
                for key, _ in ready:
                    key.data.receive()
            published = (sum(each.answers for each in publishers) - before) * events
            taken = time.monotonic() - start
            cpu = cpuTime(server.pids) - cpu
            return {"rate": published / taken, "us": cpu / max(1, published) * 1e6}

        run(warmUp)
        return run(seconds)


def oneRun(
    bench: Bench, server: Server, kind: str, body: bytes, events: int, token: str = ""
) -> Sample:
    """
    Measure a server once.
    """
    with server.running("post") as running:
        request = makeRequest(running.path, kind, body, token)
        return load(running, request, events, bench.scale.warmUp, bench.scale.seconds)


def publish(bench: Bench) -> Section:
    """
    The case: one event in a request, and batches.
    """
    one = b"x" * SIZE
    line = json.dumps({"data": "x" * SIZE, "event": "greeting"}).encode()
    batch = b"\n".join([line] * BATCH)
    peers = [server for server in bench.peers if "post" in server.modes]
    single = bench.inTurn(
        "publish",
        {
            server.name: partial(oneRun, bench, server, "text/plain", one, 1)
            for server in (bench.plain, bench.ours, *peers)
        },
    )
    batches = bench.inTurn(
        "publish, batches",
        {
            server.name: partial(oneRun, bench, server, "application/x-ndjson", batch, BATCH)
            for server in (bench.plain, bench.ours)
        },
    )
    table = Table(
        ["server", "events per request", "events/s", "x plain Twisted", "CPU µs per event"]
    )
    for samples, count in (single, 1), (batches, BATCH):
        plain = samples.get(bench.plain.name)
        for name, found in samples.items():
            rate, us = spread(found, "rate", 0), spread(found, "us", 1)
            table.rows.append([name, str(count), rate, ratio(found, plain, "rate"), us])
    return Section(
        "Publishing over HTTP",
        f"{PUBLISHERS} publishers, each on one connection, post events with {SIZE} bytes of data as fast"
        " as they receive responses. There are no subscribers. Plain Twisted reads the body and sends the"
        " same response, but does nothing with the events. twisted-sse checks whether each publisher is"
        " allowed to publish, and keeps the events in memory. It can still be faster for single events,"
        " because its `LimitedRequest` doesn't search every body for a form. nchan keeps no events.",
        [table],
    )
