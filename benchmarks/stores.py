"""
How many events can be stored, and for how long does that block the reactor?

A separate program appends events to a store, with a fixed number always in flight: when one is
stored, the next is appended.  A timer measures its greatest delay.

usage: python benchmarks/stores.py ROOT PATH normal|full IN_FLIGHT SECONDS

This is one run: the package at C{ROOT} stores in the file C{PATH}.  C{run.py} does the rest.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from candidates import ROOT
from load import Sample
from machine import Failed
from report import Section, Table, middle, spread

if TYPE_CHECKING:
    from bench import Bench

#: The numbers of events in flight.
IN_FLIGHT = (1, 20, 200, 1000)

#: The approximate size of the events, as in the other cases.
DATA = "x" * 100

#: The interval of the timer, in seconds.
INTERVAL = 0.001

#: The timeout of a run, in seconds.
PATIENCE = 120


def measure(root: str, path: str, synchronous: str, inFlight: int, seconds: float) -> None:
    """
    Store events, and report their number.
    """
    sys.path.insert(0, root)
    from twisted.internet import reactor
    from twisted.internet.defer import Deferred

    from twisted_sse import Event
    from twisted_sse.store import EventLog, Record, SQLiteStore
    from twisted_sse.store.identifiers import numbered

    class Tail:
        """
        A channel that ignores all notifications.
        """

        def received(self, records: Sequence[Record], /) -> None: ...
        def broken(self, origin: str, /) -> None: ...
        def away(self, why: str | None, /) -> None: ...

    run: Any = reactor
    stored = appended = 0
    longest = last = 0.0
    isOver = False
    log: EventLog

    def append() -> None:
        nonlocal appended
        appended += 1
        event = Event(DATA, id=numbered(log.prefix, appended))
        log.append([Record(event, time=time.time())]).addCallback(done)

    def done(ids: Sequence[str]) -> None:
        nonlocal stored
        stored += 1
        if not isOver:
            append()

    def look() -> None:
        nonlocal longest, last
        now = time.perf_counter()
        longest = max(longest, now - last - INTERVAL)
        last = now
        run.callLater(INTERVAL, look)

    async def go() -> None:
        nonlocal log, stored, longest, last, isOver
        store = SQLiteStore(path, synchronous="full" if synchronous == "full" else "normal")
        log = await store.open("bench", Tail(), 1000)
        # The duration of a garbage collection depends on the number of objects: existing ones are
        # excluded.
        gc.collect()
        gc.freeze()
        for _ in range(inFlight):
            append()
        stored, last = 0, time.perf_counter()
        look()
        begun, cpu, commits = time.perf_counter(), time.process_time(), store.commits
        ended: Deferred[None] = Deferred()
        run.callLater(seconds, ended.callback, None)
        await ended
        took = time.perf_counter() - begun
        figures = {
            "rate": stored / took,
            "wait_ms": inFlight / stored * took * 1000,
            "cpu_us": (time.process_time() - cpu) / stored * 1e6,
            "commit": stored / max(1, store.commits - commits),
            "held_ms": longest * 1000,
        }
        print(json.dumps(figures), flush=True)
        isOver = True
        await store.close()
        run.stop()

    run.callWhenRunning(lambda: Deferred.fromCoroutine(go()))
    run.run()


def oneRun(synchronous: str, inFlight: int, seconds: float) -> Sample:
    """
    Run the program, with a file on the disk that holds the benchmarks.

    @raise Failed: if it fails.
    """
    folder = ROOT / "build"
    folder.mkdir(exist_ok=True)
    with TemporaryDirectory(dir=folder) as place:
        path = str(Path(place) / "events.db")
        command = [sys.executable, __file__, str(ROOT), path]
        command += [synchronous, str(inFlight), str(seconds)]
        try:
            done = subprocess.run(
                command, stdout=subprocess.PIPE, text=True, check=True, timeout=PATIENCE
            )
            said: Sample = json.loads(done.stdout)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            raise Failed(f"it stores nothing: {error}") from error
        return said


def stores(bench: Bench) -> Section:
    """
    The case: a file, with and without waiting for the disk in each transaction.
    """
    seconds = bench.scale.seconds
    found = bench.inTurn(
        "sqlite",
        {
            f"{synchronous}, {inFlight:,}": partial(oneRun, synchronous, inFlight, seconds)
            for synchronous in ("normal", "full")
            for inFlight in IN_FLIGHT
        },
    )
    table = Table(
        [
            "`synchronous`, events in flight",
            "stored, events/s",
            "average time until stored, ms",
            "CPU µs per event",
            "events per transaction",
            "longest block of the reactor, ms",
        ]
    )
    for name, samples in found.items():
        table.rows.append(
            [
                name,
                spread(samples, "rate", 0),
                middle(samples, "wait_ms", 2),
                middle(samples, "cpu_us", 1),
                middle(samples, "commit", 0),
                middle(samples, "held_ms", 1),
            ]
        )
    return Section(
        "Storing: SQLite",
        "Each event of 100 bytes is appended to a log of `SQLiteStore` by a separate call. The log keeps"
        " the newest 100,000. Events in flight are appended, but not stored yet. With `full`, each"
        " transaction waits until it is on the disk. The CPU time includes making the events and"
        " receiving the results. Delays of the reactor are measured in real time, so other programs on"
        " the machine add to them. The program runs alone, without a load generator.",
        [table],
    )


if __name__ == "__main__":
    measure(*sys.argv[1:4], int(sys.argv[4]), float(sys.argv[5]))
