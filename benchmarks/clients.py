"""
How fast are the clients of event streams for Python, and does their memory stay constant?

This process is the server, with one processor: it sends the events of C{parser.py} in response to
any request.  The client is a separate process, on the other processor, that counts them.  Its clock
starts with the first event.

usage: python benchmarks/clients.py CLIENT PORT EVENTS ..

This is one run of a client, which ends after the last number of events; at each number it reports
its state, in a line of JSON.  C{run.py} does the rest.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING

from candidates import ROOT
from load import Sample
from machine import SERVER, Failed, readLine, residentSize, running
from parser import CHUNK_SIZE, EVENT_SIZE, installed, makeChunks
from report import Section, Table, ratio, spread

if TYPE_CHECKING:
    from bench import Bench

HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)

#: The rate of events that are sent one at a time, per second.
RATE = 2000

#: How events are sent: to a client, the repeated content of a body, and their number.
Send = Callable[[socket.socket, bytes, int], None]

#: A client has failed if it reads nothing for this number of seconds.
PATIENCE = 30


# The clients: this part runs in a separate process.


class Counter:
    """
    Counts events.
    """

    def __init__(self, marks: Sequence[int]) -> None:
        """
        @param marks: the numbers of events at which to report.
        """
        self._marks = list(marks)
        self._events = 0

    def one(self) -> bool:
        """
        Count another event.

        @return: whether it was the last.
        """
        self._events += 1
        if self._events == 1:
            self._began, self._used = time.perf_counter(), time.process_time()
        elif self._events == self._marks[0]:
            said = {
                "wall_s": time.perf_counter() - self._began,
                "cpu_s": time.process_time() - self._used,
                "kB": residentSize(os.getpid()),
            }
            print(json.dumps(said), flush=True)
            del self._marks[0]
        return not self._marks


def ours(url: str, counter: Counter) -> None:
    """
    L{twisted_sse.client.EventSource}.
    """
    sys.path.insert(0, str(ROOT))
    from twisted.internet.task import react

    from twisted_sse.client import EventSource

    async def follow(reactor: object) -> None:
        async with EventSource(url) as source:
            async for _ in source:
                if counter.one():
                    break

    react(follow)


def launchDarkly(url: str, counter: Counter) -> None:
    """
    launchdarkly-eventsource, over urllib3.
    """
    from ld_eventsource import SSEClient
    from ld_eventsource.config import ConnectStrategy

    with SSEClient(ConnectStrategy.http(url)) as client:
        for _ in client.events:
            if counter.one():
                break


def httpxSSE(url: str, counter: Counter) -> None:
    """
    httpx-sse, over httpx.
    """
    import httpx
    from httpx_sse import connect_sse

    with httpx.Client(timeout=None) as client, connect_sse(client, "GET", url) as source:
        for _ in source.iter_sse():
            if counter.one():
                break


def aiohttpSSEClient(url: str, counter: Counter) -> None:
    """
    aiohttp-sse-client, over aiohttp, with the event loop that comes with Python.
    """
    from aiohttp import ClientTimeout
    from aiohttp_sse_client.client import EventSource

    async def follow() -> None:
        async with EventSource(url, timeout=ClientTimeout(total=None)) as source:
            async for _ in source:
                if counter.one():
                    break

    asyncio.run(follow())


# By the package of each.
CLIENTS: dict[str, Callable[[str, Counter], None]] = {
    "twisted-sse": ours,
    "launchdarkly-eventsource": launchDarkly,
    "httpx-sse": httpxSSE,
    "aiohttp-sse-client": aiohttpSSEClient,
}

#: The package that makes each one's requests.
BELOW = {
    "twisted-sse": "Twisted",
    "launchdarkly-eventsource": "urllib3",
    "httpx-sse": "httpx",
    "aiohttp-sse-client": "aiohttp",
}


# The server


def framed(chunks: Sequence[bytes]) -> bytes:
    """
    Frame chunks of a body (RFC 9112, 7.1).
    """
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)


def inChunks() -> bytes:
    """
    Make events in chunks of one size, cut anywhere, as proxies and busy servers send them.
    """
    return framed(makeChunks(EVENT_SIZE * CHUNK_SIZE))


def oneByOne() -> bytes:
    """
    Make events that are one chunk each, as most servers send them.
    """
    body = b"".join(makeChunks(EVENT_SIZE * CHUNK_SIZE))
    return framed([body[at : at + EVENT_SIZE] for at in range(0, len(body), EVENT_SIZE)])


def flood(client: socket.socket, body: bytes, events: int) -> None:
    """
    Send as fast as the client reads.
    """
    # At least this number, and some more, for clients that read ahead.
    for _ in range(events // CHUNK_SIZE + 2):
        client.sendall(body)


def drip(client: socket.socket, body: bytes, events: int) -> None:
    """
    Send one event at a time.
    """
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    size = len(body) // CHUNK_SIZE
    start = time.monotonic()
    for number in range(events + 100):
        at = number % CHUNK_SIZE * size
        client.sendall(body[at : at + size])
        time.sleep(max(0, start + number / RATE - time.monotonic()))


def serve(name: str, send: Send, body: bytes, marks: Sequence[int]) -> list[dict[str, float]]:
    """
    Run a client.

    @param send: the function that sends the body.
    @param body: the body.
    @param marks: the numbers of events at which it reports.
    @return: its reports.
    @raise Failed: if it does not report.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE)
        port = str(listener.getsockname()[1])
        command = [sys.executable, __file__, name, port, *map(str, marks)]
        with running(command, SERVER) as process:
            try:
                client, _ = listener.accept()
                with client:
                    client.settimeout(PATIENCE)
                    client.recv(65536)
                    client.sendall(HEAD)
                    # It disconnects when it has enough.
                    with suppress(BrokenPipeError, ConnectionResetError):
                        send(client, body, marks[-1])
                    return [json.loads(readLine(process, PATIENCE)) for _ in marks]
            except OSError as error:
                raise Failed(f"it reads nothing: {error}") from error


def oneRun(name: str, send: Send, body: bytes, events: int) -> Sample:
    """
    Measure a client.
    """
    (said,) = serve(name, send, body, [events])
    # The clock starts with the first event.
    return {
        "rate": (events - 1) / said["wall_s"],
        "us_event": said["cpu_s"] * 1e6 / (events - 1),
    }


def clients(bench: Bench) -> Section:
    """
    The case: all available clients.
    """
    versions = {name: installed(name) for name in CLIENTS}
    for name, release in versions.items():
        if release is None:
            bench.failures.append(f"{name} is not installed.")
    names = [name for name in CLIENTS if versions[name]]
    many, few = bench.scale.followed, round(RATE * bench.scale.seconds)
    tables = []
    for what, send, body, events in (
        (f"chunks of {CHUNK_SIZE // 1024} KiB", flood, inChunks(), many),
        ("a chunk for each event", flood, oneByOne(), many),
        (f"{RATE:,} events a second, each sent alone", drip, oneByOne(), few),
    ):
        found = bench.inTurn(
            f"clients, {what}", {name: partial(oneRun, name, send, body, events) for name in names}
        )
        table = Table([what, "events/s", "CPU µs per event", "x ours", "version"])
        for name, samples in found.items():
            table.rows.append(
                [
                    name,
                    spread(samples, "rate", 0),
                    spread(samples, "us_event", 2),
                    ratio(samples, found.get("twisted-sse"), "us_event"),
                    f"{versions[name]}, {BELOW[name]} {version(BELOW[name])}",
                ]
            )
        tables.append(table)
    tables.append(memory(bench))
    return Section(
        "Reading: clients for Python",
        f"Over a connection on this machine, each client reads {many:,} events of {EVENT_SIZE} bytes as"
        f" fast as it can: first in chunks of {CHUNK_SIZE // 1024} KiB, then with a chunk for each event."
        f" Then it reads {RATE:,} a second, each sent alone. Each client is used as documented, and only"
        " counts events. launchdarkly-eventsource and httpx-sse block their thread; twisted-sse and"
        " aiohttp-sse-client share it with other work. The last table is from a single run.",
        tables,
    )


def memory(bench: Bench) -> Table:
    """
    Check whether the memory of our client grows.
    """
    marks = [2 * bench.scale.followed, 20 * bench.scale.followed]
    table = Table(["events read by twisted-sse", "resident memory, KiB", "growth"])
    try:
        first, last = serve("twisted-sse", flood, inChunks(), marks)
    except Failed as error:
        bench.failures.append(f"clients, memory: twisted-sse could not be measured: {error}.")
        return table
    growth = f"{100 * (last['kB'] - first['kB']) / first['kB']:+.1f} %"
    table.rows.append([f"{marks[0]:,}", f"{first['kB']:,}", ""])
    table.rows.append([f"{marks[1]:,}", f"{last['kB']:,}", growth])
    return table


if __name__ == "__main__":
    CLIENTS[sys.argv[1]](f"http://127.0.0.1:{sys.argv[2]}/", Counter(list(map(int, sys.argv[3:]))))
