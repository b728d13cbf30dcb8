"""
Several processes that share a Redis server and the processors: how many events can they send?
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

from bench import Bench
from broker import broker
from candidates import ROOT, Running
from load import Sample, readSample, startLoad
from machine import BOTH, Failed, freePort, running, waitFor
from report import Section, Table, middle, spread
from shared import write

__all__ = ["processes"]

#: How many processes there are.
COUNTS = (1, 2)

#: An event that arrives later than this has come too late, in milliseconds.
LATE = 50


@contextmanager
def serving(url: str) -> Iterator[Running]:
    """
    Run a daemon.
    """
    port = freePort()
    command = [sys.executable, "-m", "twisted_sse", "serve", "post", "--port", str(port)]
    command += ["--store", url, "--store-events", "1000000"]
    with running(command, BOTH, {"PYTHONPATH": str(ROOT)}) as process:
        waitFor(process, port)
        yield Running(process, port, "/", [process.pid])


def measure(bench: Bench, count: int, rate: float) -> Sample:
    """
    Have another program add events, and read all streams.

    @param count: how many processes serve them.
    @raise Failed: if that does not work.
    """
    streams = bench.scale.streams[0] // count
    seconds = bench.scale.seconds
    options = ["-w", f"{bench.scale.warmUp:g}"]
    with ExitStack() as stack:
        url = stack.enter_context(broker(BOTH))
        servers = [stack.enter_context(serving(url)) for _ in range(count)]
        stack.enter_context(write(url, rate, "sse:/", BOTH))
        loads = [
            stack.enter_context(startLoad(bench.programs, server, streams, seconds, options, BOTH))
            for server in servers
        ]
        said = [readSample(load) for load in loads]
    if any(each["closed"] for each in said):
        raise Failed(f"at {rate:,} events a second streams were closed")
    return {
        "rate": sum(each["rate"] for each in said),
        "p99_ms": max(each["p99_ms"] for each in said),
        "cpu": sum(each["cpu_s"] for each in said) / seconds,
    }


def climb(bench: Bench, count: int) -> Sample:
    """
    Add more and more events, until it is too much.
    """
    within = most = cpu = 0.0
    for rate in bench.scale.rates:
        try:
            said = measure(bench, count, rate)
        except Failed:
            if not most:
                raise
            break
        if said["rate"] > most:
            most, cpu = said["rate"], said["cpu"]
        if said["p99_ms"] < LATE:
            within = max(within, said["rate"])
        if said["rate"] < 0.9 * rate * bench.scale.streams[0]:
            break
    return {"within": within, "most": most, "cpu": cpu}


def processes(bench: Bench) -> Section:
    """
    The case: one process, and two.
    """
    found = bench.inTurn(
        "processes", {f"{count}": partial(climb, bench, count) for count in COUNTS}
    )
    table = Table(
        ["processes", f"deliveries/s with 99 % within {LATE} ms", "at most", "processors used then"]
    )
    for name, samples in found.items():
        within, most = spread(samples, "within", 0), spread(samples, "most", 0)
        table.rows.append([name, within, most, middle(samples, "cpu", 2)])
    rates = ", ".join(f"{rate:,}" for rate in bench.scale.rates)
    return Section(
        "Several processes on the same processors",
        f"Daemons with `--store redis://`, {bench.scale.streams[0]:,} streams in all; another program"
        f" adds {rates} events a second, up to the first rate that they cannot keep up with. Redis,"
        " that program and the load generators have the same two processors.",
        [table],
    )
