"""
How fast are the parsers of event streams for Python?

The stream is 50 MB of events of 187 bytes (an ID, a type and one line of JSON, ended by LF), as
they are common on the wire, in chunks of 16 KiB. It is in memory before the clock starts, so there
is no network in the figures: only what it takes to make the library's own event objects of bytes.
Each run is a fresh process, the parsers take turns, and of each the median counts. The time is the
CPU time of the process, which other processes on the machine disturb least; "ratio" is how many
times as fast as the other ours is.

    python benchmarks/parser.py             about a minute; prints a table in Markdown
    python benchmarks/parser.py --quick     a tenth of the stream, one run: only to see that it works

The others are measured if they are installed:

    pip install httpx-sse sseclient-py launchdarkly-eventsource
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

EVENT_SIZE = 187
CHUNK_SIZE = 16 * 1024


def makeChunks(size: int) -> list[bytes]:
    """
    Make a stream.

    @param size: About how many bytes it shall have.
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
    sseclient-py, whose event source is anything that gives chunks.
    """
    from sseclient import SSEClient

    yield from SSEClient(chunks).events()


def launchDarkly(chunks: Iterable[bytes]) -> Iterator[object]:
    """
    launchdarkly-eventsource: the reader below its client, which cannot do without a connection.
    """
    from ld_eventsource.reader import _BufferedLineReader, _SSEReader

    yield from _SSEReader(_BufferedLineReader.lines_from(chunks)).events_and_comments()


# What each is called and the package it comes in.
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
    try:
        return version(name)
    except PackageNotFoundError:
        return "this checkout" if name == "twisted-sse" else None


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
    print(json.dumps({"bytes": sum(map(len, chunks)), "events": events, "seconds": seconds}))


def main() -> None:
    """
    Measure all parsers that are there, and print the table.
    """
    arguments = argparse.ArgumentParser(description="Measure parsers of event streams.")
    arguments.add_argument("--quick", action="store_true", help="5 MB and one run")
    arguments.add_argument("--runs", type=int, help="runs of each parser (default: 5)")
    arguments.add_argument("--measure", choices=PARSERS, help=argparse.SUPPRESS)
    options = arguments.parse_args()
    size = 5_000_000 if options.quick else 50_000_000
    if options.measure:
        measure(options.measure, size)
        return

    names = [name for name in PARSERS if installed(name)]
    command = [sys.executable, __file__, *(["--quick"] if options.quick else []), "--measure"]
    runs: dict[str, list[float]] = {name: [] for name in names}
    total = events = 0
    for _ in range(options.runs or (1 if options.quick else 5)):
        for name in names:
            done = json.loads(
                subprocess.run([*command, name], check=True, capture_output=True).stdout
            )
            total, events = done["bytes"], done["bytes"] // EVENT_SIZE
            if done["events"] != events:
                print(f"{name} gave {done['events']} events of {events}", file=sys.stderr)
            runs[name].append(done["seconds"])

    best = statistics.median(runs["twisted-sse"])
    print(
        f"{total / 1e6:.1f} MB, {events} events of {EVENT_SIZE} bytes, chunks of {CHUNK_SIZE} bytes;"
    )
    print(f"{platform.python_implementation()} {platform.python_version()}, median of runs\n")
    print("| parser | version | MB/s | events/s | ratio | runs (MB/s) |")
    print("|---|---|---:|---:|---:|---|")
    for name in names:
        seconds = statistics.median(runs[name])
        each = ", ".join(f"{total / run / 1e6:.0f}" for run in runs[name])
        print(
            f"| {name} | {installed(name)} | {total / seconds / 1e6:.0f} "
            f"| {events / seconds:,.0f} | {seconds / best:.1f} | {each} |"
        )
    for name in PARSERS:
        if name not in names:
            print(f"\n{name} is not installed: pip install {name}")


if __name__ == "__main__":
    main()
