"""
The case: clients that come back, and need what is only in the store.
"""

from __future__ import annotations

import json
import sys
from functools import partial

from bench import Bench
from candidates import ROOT, SERVERS, Server
from load import Sample, runLoad
from machine import readLine
from report import Section, Table, ratio, spread

__all__ = ["replays"]

#: How many events each client has missed at least.
MISSED = 1000


def server() -> Server:
    """
    Our server for this case.
    """
    command = [sys.executable, str(SERVERS / "replaying.py")]
    return Server("twisted-sse", "this checkout", command, environment={"PYTHONPATH": str(ROOT)})


def resume(bench: Bench, mode: str, ids: int, streams: int) -> Sample:
    """
    Have all clients come back.

    @param mode: where the events are.
    @param ids: how many different last event IDs the clients have.
    """
    with server().running(mode) as running:
        known = json.loads(readLine(running.process, 60))["ids"]
        chosen = known[-1:] if ids == 1 else known[:ids]
        options = [part for each in chosen for part in ("-i", each)]
        said = runLoad(bench.programs, running, streams, 120, [*options, "-e", str(MISSED)])
    return {"us_client": said["cpu_s"] * 1e6 / streams, "seconds": said["all_s"]}


def replays(bench: Bench) -> Section:
    """
    Many clients come back, and each needs a thousand events.
    """
    streams = bench.scale.streams[0]
    table = Table([f"{streams:,} clients", "CPU \N{MICRO SIGN}s per client", "x memory", "seconds"])
    for ids, text in (1, "from one ID"), (MISSED, f"from {MISSED:,} IDs"):
        candidates = {
            f"{where}, {text}": partial(resume, bench, mode, ids, streams)
            for mode, where in (("memory", "in memory"), ("store", "in an SQLite file"))
        }
        found = bench.inTurn("replays", candidates)
        memory = found.get(f"in memory, {text}")
        for name, samples in found.items():
            cost = [spread(samples, "us_client", 0), ratio(samples, memory, "us_client")]
            table.rows.append([name, *cost, spread(samples, "seconds", 2)])
    return Section(
        "Clients that come back need what is only in the store",
        f"Each asks by its `Last-Event-ID` for {MISSED:,} events of 100 bytes or more: all of them"
        " the same, or each from an ID of its own. With the store, all but the newest 100 are only"
        " in the file.",
        [table],
    )
