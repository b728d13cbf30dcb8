"""
The case: clients that reconnect, and need events that are only in the store.
"""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from functools import partial

from bench import Bench
from broker import broker
from candidates import ROOT, SERVERS, Server
from load import Sample, runLoad
from machine import ask, readLine
from report import Section, Table, middle, ratio, spread

__all__ = ["replays"]

#: The minimum number of events that each client has missed.
MISSED = 1000


#: The places of the events.
MODES = {"memory": "in memory", "sqlite": "in an SQLite file", "redis": "in Redis"}


def server(url: str) -> Server:
    """
    Our server for this case.

    @param url: the URL of Redis.
    """
    command = [sys.executable, str(SERVERS / "replaying.py")]
    environment = {"PYTHONPATH": str(ROOT), "REDIS_URL": url}
    return Server("twisted-sse", "this checkout", command, environment=environment)


def resume(bench: Bench, mode: str, ids: int, streams: int) -> Sample:
    """
    Have all clients reconnect.

    @param mode: the place of the events.
    @param ids: the number of different last event IDs of the clients.
    """
    with ExitStack() as stack:
        url = stack.enter_context(broker()) if mode == "redis" else ""
        running = stack.enter_context(server(url).running(mode))
        known = json.loads(readLine(running.process, 60))["ids"]
        chosen = known[-1:] if ids == 1 else known[:ids]
        options = [part for each in chosen for part in ("-i", each)]
        said = runLoad(bench.programs, running, streams, 120, [*options, "-e", str(MISSED)])
        held = json.loads(ask(running.process))["held"]
    return {
        "us_client": said["cpu_s"] * 1e6 / streams,
        "seconds": said["all_s"],
        "held_ms": held * 1000,
    }


def replays(bench: Bench) -> Section:
    """
    Many clients reconnect, and each needs a thousand events.
    """
    streams = bench.scale.streams[0]
    table = Table(
        [
            f"{streams:,} clients",
            "CPU \N{MICRO SIGN}s per client",
            "x in memory",
            "seconds for all",
            "longest block of the reactor, ms",
        ]
    )
    for ids, text in (1, "the same ID for all"), (MISSED, "an ID each"):
        candidates = {
            f"{where}, {text}": partial(resume, bench, mode, ids, streams)
            for mode, where in MODES.items()
        }
        found = bench.inTurn("replays", candidates)
        memory = found.get(f"in memory, {text}")
        for name, samples in found.items():
            cost = [spread(samples, "us_client", 0), ratio(samples, memory, "us_client")]
            held = middle(samples, "held_ms", 0)
            table.rows.append([name, *cost, spread(samples, "seconds", 2), held])
    return Section(
        "Clients that resume from a store",
        f"Each client has missed at least {MISSED:,} events of 100 bytes. Either all clients send the"
        " same `Last-Event-ID`, or each sends its own. With a store, only the newest 100 events are also"
        " in memory. Redis shares the load generator's processor.",
        [table],
    )
