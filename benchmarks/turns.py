"""
How long can a malicious server block a program that follows its stream?

This process is the server, which sends data that is expensive for a client: bodies a thousandth of
their decoded size, events of 16 MiB, thousands of lines, chunks or headers of a few bytes.  The
client is a separate process that works in every turn of its reactor, and reports the CPU time of
the longest turn.  The CPU time of other processes does not count.

usage: python benchmarks/turns.py ROOT PORT

This is one run of the client: the package at C{ROOT} follows the stream at the port until the end.
C{run.py} does the rest.
"""

from __future__ import annotations

import gc
import gzip
import json
import socket
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from resource import RUSAGE_SELF, getrusage
from typing import TYPE_CHECKING, Any

from candidates import ROOT
from load import Sample
from machine import SERVER, Failed, readLine, running
from report import Section, Table

if TYPE_CHECKING:
    from bench import Bench

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"

#: If a server sends for longer, the client never reaches the end.
PATIENCE = 120

#: The size of an event close to the limit.
LARGE = 16 * 2**20 - 2**17


# The client: this part runs in a separate process.


def follow(root: str, port: str) -> None:
    """
    Follow a stream to its end, and report the longest turn.
    """
    sys.path.insert(0, root)
    from twisted.internet import reactor
    from twisted.internet.defer import Deferred

    from twisted_sse.client import Backoff, EventSource

    run: Any = reactor
    events = 0
    longest = last = 0.0
    before = getrusage(RUSAGE_SELF).ru_maxrss

    def turn() -> None:
        nonlocal longest, last
        now = time.thread_time()
        longest = max(longest, now - last)
        last = now
        run.callLater(0, turn)

    async def read() -> None:
        nonlocal events
        source = EventSource(
            f"http://127.0.0.1:{port}/",
            backoff=Backoff(initial=0),
            reconnect=False,
            onComment=lambda text: None,
        )
        async for _ in source:
            events += 1

    def start() -> None:
        nonlocal last
        # The duration of a garbage collection depends on the number of objects, here mostly
        # Twisted's modules: existing ones are excluded.
        gc.collect()
        gc.freeze()
        last = time.thread_time()
        turn()
        # However it ends: most of the responses are not streams.
        Deferred.fromCoroutine(read()).addErrback(lambda failure: None).addBoth(
            lambda _: run.callLater(0, run.stop)
        )

    run.callWhenRunning(start)
    run.run()
    grown = getrusage(RUSAGE_SELF).ru_maxrss - before
    print(json.dumps({"ms": longest * 1000, "events": events, "MB": grown / 1024}), flush=True)


# The server


def plain(*pieces: bytes) -> Iterator[bytes]:
    """
    Send a body unchanged, to the end of the connection.
    """
    yield HEAD + b"\r\n"
    yield from pieces


def packed(body: bytes) -> Iterator[bytes]:
    """
    Send a body compressed.
    """
    yield HEAD + b"Content-Encoding: gzip\r\n\r\n"
    yield body


def chunked(chunk: bytes, count: int) -> Iterator[bytes]:
    """
    Send the same chunk, size and all, many times.
    """
    yield HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    for _ in range(100):
        yield chunk * (count // 100)
    yield b"0\r\n\r\n"


def header(name: bytes, value: bytes, status: bytes = b"200 OK") -> Iterator[bytes]:
    """
    Send a header.
    """
    yield b"HTTP/1.1 %b\r\n%b: %b\r\nContent-Length: 0\r\n\r\n" % (status, name, value)


def worst() -> dict[str, Callable[[], Iterable[bytes]]]:
    """
    @return: functions that make the responses, by name.
    """
    wide = "\N{GRINNING FACE}".encode()
    ascii_ = [b"x" * 2**16] * (LARGE // 2**16)
    return {
        "4 MiB of comments, in 4 KiB of gzip": lambda: packed(gzip.compress(b":\n" * 2**21)),
        "16 MiB of tiny events, in gzip": lambda: packed(gzip.compress(b"data\n\n" * (2**24 // 6))),
        "100,000 empty gzip members": lambda: packed(gzip.compress(b"") * 100_000),
        "4 MiB of comments": lambda: plain(*[b":\n" * 2**15] * 64),
        "8 MiB of blank lines": lambda: plain(*[b"\n" * 2**16] * 128),
        "8 MiB of tiny events": lambda: plain(*[b"data\n\n" * 10_000] * 140),
        "an event of 16 MiB in one line": lambda: plain(b"data: ", *ascii_, b"\n\n"),
        "the same event with an emoji at its end": lambda: plain(b"data: ", *ascii_, wide, b"\n\n"),
        "an event of 16 MiB of emoji": lambda: plain(b"data: ", *[wide * 2**14] * 254, b"\n\n"),
        "an event of 16 MiB of tiny lines": lambda: plain(*[b"data:ab\n" * 2**13] * 254, b"\n"),
        "an ID of 16 MiB": lambda: plain(b"id: ", *ascii_, b"\ndata\n\n"),
        "a million chunks of one byte": lambda: chunked(b"1\r\n:\r\n", 1_000_000),
        "a million chunks of one byte, with chunk extensions": lambda: chunked(
            b"1;a\r\n:\r\n", 1_000_000
        ),
        "64 KiB of quotes in `Content-Type`": lambda: header(b"Content-Type", b'\\"' * 2**15),
        "64 KiB of commas in `Content-Type`": lambda: header(b"Content-Type", b"," * 2**16),
        "a `Location` header of 64 KiB": lambda: header(b"Location", b"/a" * 2**15, b"302 Found"),
        "a `Retry-After` header of 64 KiB": lambda: header(
            b"Retry-After", b"a " * 2**15, b"503 Busy"
        ),
        "50,000 headers": lambda: [HEAD + b"a:\r\n" * 50_000],
        "10,000 responses with status 100": lambda: [b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000],
    }


def serve(root: str, send: Iterable[bytes]) -> Sample:
    """
    Run a client.

    @param send: the function that sends the response.
    @return: its report.
    @raise Failed: if it does not report.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE)
        command = [sys.executable, __file__, root, str(listener.getsockname()[1])]
        with running(command, SERVER) as process:
            try:
                client, _ = listener.accept()
                with client, suppress(BrokenPipeError, ConnectionResetError):
                    client.settimeout(PATIENCE)
                    client.recv(65536)
                    for each in send:
                        client.sendall(each)
                said: Sample = json.loads(readLine(process, PATIENCE))
            except OSError as error:
                raise Failed(f"it reads nothing: {error}") from error
            return said


def oneRun(make: Callable[[], Iterable[bytes]]) -> Sample:
    """
    Measure one response.
    """
    return serve(str(ROOT), make())


def turns(bench: Bench) -> Section:
    """
    The case: the worst that a server can do, one by one.
    """
    table = Table(["what the server sends", "longest turn, ms", "memory, MiB"])
    for name, make in worst().items():
        found = bench.inTurn("turns", {name: partial(oneRun, make)})
        samples = found.get(name, [])
        figures = [
            f"{min(sample[key] for sample in samples):.0f}" if samples else ""
            for key in ("ms", "MB")
        ]
        table.rows.append([name, *figures])
    return Section(
        "Reading: the worst that a server can do",
        "The client of twisted-sse reads over a connection on this machine, with a callback for comments."
        " Turns of its reactor are measured in CPU time, without the garbage collection of modules"
        " imported before. Memory is the client's peak, minus its peak before it connects. Each figure is"
        " the lowest of all runs, because other programs can only lengthen the longest turn.",
        [table],
    )


if __name__ == "__main__":
    follow(*sys.argv[1:])
