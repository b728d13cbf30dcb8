"""
The case: what a hub costs, beside a channel with topics.
"""

from __future__ import annotations

import sys
from functools import partial

from bench import Bench
from candidates import ROOT, SERVERS, Server
from report import Section, Table, ratio, spread

__all__ = ["hubs"]

#: What the subscribers have chosen.
MODES = {"topics": "a channel, topics", "hub": "the hub, topics and templates"}


def hubs(bench: Bench) -> Section:
    """
    Subscribers of a hundred topics, each event about one of them.
    """
    command = [sys.executable, str(SERVERS / "hub.py")]
    server = Server("twisted-sse", "this checkout", command, environment={"PYTHONPATH": str(ROOT)})
    streams = bench.scale.streams[1] * 2
    rate = bench.scale.deliveries * 2 / (streams / 100)
    samples = bench.inTurn(
        "hub",
        {name: partial(bench.measure, server, mode, streams, rate) for mode, name in MODES.items()},
    )
    table = Table([f"{streams:,} subscribers", "CPU µs per delivery", "x channel", "kB each"])
    least = samples.get(MODES["topics"])
    for name, mine in samples.items():
        table.rows.append(
            [
                name,
                spread(mine, "us_event", 1),
                ratio(mine, least, "us_event"),
                spread(mine, "kB_conn", 1),
            ]
        )
    return Section(
        "A hub",
        "Each event of 100 bytes is about one of a hundred topics, and goes to one of a hundred"
        " subscribers. Half of those of the hub have selected theirs by a URI template.",
        [table],
    )
