"""
How fast are the parsers of event streams for Python?

The stream is 50 MB of events of 187 bytes (an ID, a type and one line of JSON, ended by LF), as
they are common on the wire, in chunks of 16 KiB.  It is in memory before the clock starts, so there
is no network in the figures: only the cost of making the library's own event objects from bytes.
Each run is a separate process, and its CPU time counts.

usage: python benchmarks/parser.py PARSER BYTES    one run; what it says is JSON

C{run.py} does the rest.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from candidates import ROOT
from load import Sample
from machine import Failed
from report import Section, Table, middle, ratio, spread

if TYPE_CHECKING:
    from bench import Bench

EVENT_SIZE = 187
CHUNK_SIZE = 16 * 1024


def makeChunks(size: int) -> list[bytes]:
    """
    Make a stream.

    @param size: the approximate size in bytes.
    """
    events = []
    for number in range(size // EVENT_SIZE):
        head = f'id: {number:08d}\nevent: update\ndata: {{"sequence":{number:08d},"text":"'
        tail = '"}\n\n'
        events.append(head + "x" * (EVENT_SIZE - len(head) - len(tail)) + tail)
    stream = "".join(events).encode()
    return [stream[at : at + CHUNK_SIZE] for at in range(0, len(stream), CHUNK_SIZE)]


def ours(chunks: Iterable[bytes]) -> Iterator[object]:
    """
    L{twisted_sse.parser.EventStreamParser}.
    """
    sys.path.insert(0, str(ROOT))
    from twisted_sse.parser import EventStreamParser

    parser = EventStreamParser()
    for chunk in chunks:
        yield from parser.feed(chunk)


def httpxSSE(chunks: Iterable[bytes]) -> Iterator[object]:
    """
    httpx-sse, over a response of httpx whose body is the chunks.
    """
    import httpx
    from httpx_sse import EventSource

    headers = {"Content-Type": "text/event-stream"}
    yield from EventSource(httpx.Response(200, headers=headers, content=chunks)).iter_sse()


def sseclientPy(chunks: Iterable[bytes]) -> Iterator[object]:
    """
    sseclient-py, whose event source is any iterable of chunks.
    """
    from sseclient import SSEClient

    yield from SSEClient(chunks).events()


def launchDarkly(chunks: Iterable[bytes]) -> Iterator[object]:
    """
    launchdarkly-eventsource: the reader inside its client, which itself needs a connection.
    """
    from ld_eventsource.reader import _BufferedLineReader, _SSEReader

    yield from _SSEReader(_BufferedLineReader.lines_from(chunks)).events_and_comments()


# The name of each and its package.
PARSERS: dict[str, Callable[[Iterable[bytes]], Iterator[object]]] = {
    "twisted-sse": ours,
    "launchdarkly-eventsource": launchDarkly,
    "httpx-sse": httpxSSE,
    "sseclient-py": sseclientPy,
}


def installed(name: str) -> str | None:
    """
    The version of a package, or L{None}.
    """
    if name == "twisted-sse":
        return "this version"
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def measure(name: str, size: int) -> None:
    """
    Run one parser over the stream, in this process, and print the figures as JSON.
    """
    chunks = makeChunks(size)
    for _ in PARSERS[name](iter([b"data: imported\n\n"])):
        pass
    events = 0
    start = time.process_time()
    for _ in PARSERS[name](iter(chunks)):
        events += 1
    seconds = time.process_time() - start
    print(json.dumps({"events": events, "seconds": seconds}))


def parsers(bench: Bench) -> Section:
    """
    The case: all available parsers.
    """
    size = bench.scale.parsed
    versions = {name: installed(name) for name in PARSERS}
    for name, release in versions.items():
        if release is None:
            bench.failures.append(f"{name} is not installed.")
    found = bench.inTurn(
        "parsers", {name: partial(oneRun, name, size) for name in versions if versions[name]}
    )
    table = Table(["parser", "MB/s", "events/s", "CPU time, x ours", "version"])
    for name, samples in found.items():
        table.rows.append(
            [
                name,
                spread(samples, "MB_s", 0),
                middle(samples, "rate", 0),
                ratio(samples, found.get("twisted-sse"), "cpu_s"),
                str(versions[name]),
            ]
        )
    return Section(
        "Reading: parsers for Python",
        f"Each parser reads {size / 1e6:.0f} MB of events of {EVENT_SIZE} bytes from memory, in chunks"
        f" of {CHUNK_SIZE // 1024} KiB. Rates are per second of CPU time. httpx-sse reads from a response"
        " of httpx, which is included.",
        [table],
    )


def oneRun(name: str, size: int) -> Sample:
    """
    Run a parser in a separate process.

    @raise Failed: if it fails, or does not find all events.
    """
    command = [sys.executable, __file__, name, str(size)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise Failed(f"it ended with status {done.returncode}")
    said = json.loads(done.stdout)
    if said["events"] != size // EVENT_SIZE:
        raise Failed(f"it found {said['events']:,} of {size // EVENT_SIZE:,} events")
    seconds = said["seconds"]
    return {"cpu_s": seconds, "rate": said["events"] / seconds, "MB_s": size / seconds / 1e6}


if __name__ == "__main__":
    measure(sys.argv[1], int(sys.argv[2]))
