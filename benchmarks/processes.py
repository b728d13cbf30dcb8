"""
Several processes of the daemon, which share a Redis server and the processors: how many events can
they send?
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

from bench import Bench
from broker import broker
from candidates import ROOT, Running
from load import Sample, readSample, startLoad
from machine import BOTH, Failed, family, freePort, running, waitFor
from report import Section, Table, spread
from shared import write

__all__ = ["processes"]

#: The number of processes.
COUNTS = (1, 2)

#: The rates of added events, as multiples of the highest rate for a single process.
FACTORS = (0.25, 0.5, 1, 2, 4)

#: An event that arrives later than this is too late, in milliseconds.
LATE = 50


#: The time in which all processes start, in seconds.
PATIENCE = 20


@contextmanager
def serving(url: str, count: int) -> Iterator[Running]:
    """
    Run a daemon.

    @param count: the number of processes that serve the streams.
    @raise Failed: if they do not start.
    """
    port = freePort()
    command = [sys.executable, "-m", "twisted_sse", "serve", "post", "--port", str(port)]
    command += ["--store", url, "--store-events", "1000000", "--processes", str(count)]
    with running(command, BOTH, {"PYTHONPATH": str(ROOT)}) as process:
        waitFor(process, port)
        # A single process has no parent; several have one, which listens before them.
        all = count + (count > 1)
        deadline = time.monotonic() + PATIENCE
        while len(pids := family(process.pid)) < all:
            if time.monotonic() > deadline:
                raise Failed(f"there are only {len(pids)} of {all} processes")
            time.sleep(0.05)
        yield Running(process, port, "/", pids)


def measure(bench: Bench, count: int, rate: float) -> Sample:
    """
    Have another program add events, and read all streams.

    @param count: the number of processes that serve them.
    @raise Failed: if that does not work.
    """
    seconds = bench.scale.seconds
    options = ["-w", f"{bench.scale.warmUp:g}"]
    with ExitStack() as stack:
        url = stack.enter_context(broker(BOTH))
        server = stack.enter_context(serving(url, count))
        stack.enter_context(write(url, rate, "sse:/", BOTH))
        loading = startLoad(bench.programs, server, bench.scale.streams[0], seconds, options, BOTH)
        said = readSample(stack.enter_context(loading))
    if said["closed"]:
        raise Failed(f"at {rate:,} events a second streams were closed")
    return {
        "rate": said["rate"],
        "p99_ms": said["p99_ms"],
        "ns": said["cpu_s"] * 1e9 / max(1, said["events"]),
    }


def rates(bench: Bench) -> list[float]:
    """
    @return: the number of events added per second.
    """
    return [factor * bench.scale.rates[-1] for factor in FACTORS]


def climb(bench: Bench, count: int) -> Sample:
    """
    Add more and more events, until there are too many.
    """
    within = most = ns = 0.0
    for rate in rates(bench):
        try:
            said = measure(bench, count, rate)
        except Failed:
            if not most:
                raise
            break
        if said["rate"] > most:
            most, ns = said["rate"], said["ns"]
        if said["p99_ms"] < LATE:
            within = max(within, said["rate"])
        if said["rate"] < 0.9 * rate * bench.scale.streams[0]:
            break
    return {"within": within, "most": most, "ns": ns}


def processes(bench: Bench) -> Section:
    """
    The case: one process, and two.
    """
    found = bench.inTurn(
        "processes", {f"{count}": partial(climb, bench, count) for count in COUNTS}
    )
    table = Table(
        [
            "processes",
            f"highest deliveries/s with 99 % within {LATE} ms",
            "highest",
            "CPU ns per delivery at the highest",
        ]
    )
    for name, samples in found.items():
        within, most = spread(samples, "within", 0), spread(samples, "most", 0)
        table.rows.append([name, within, most, spread(samples, "ns", 0)])
    added = ", ".join(f"{rate:,.0f}" for rate in rates(bench))
    return Section(
        "Several processes on the same processors",
        f"A daemon with `--store redis://` and `--processes` serves {bench.scale.streams[0]:,} streams"
        f" in all. Another program adds {added} events a second, up to the first rate that the daemon"
        " can't keep up with. Redis, that program and the load generator share the two processors. Events"
        f" that arrive together are sent together. A rate of 0 means that even the lowest was not within"
        f" {LATE} ms. The case shows what a second process costs, not what it gains with a processor of"
        " its own.",
        [table],
    )
