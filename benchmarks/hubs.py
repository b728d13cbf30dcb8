"""
The case: what a hub costs, beside a channel with topics.
"""

from __future__ import annotations

import sys
from functools import partial
from urllib.parse import urlencode

from bench import Bench
from candidates import ROOT, SERVERS, Server
from jwt import encode
from publish import SIZE, oneRun
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
        " subscribers. Half of those of the hub have selected theirs by a URI template. Those who"
        " publish over HTTP send a form and a token, and wait for each answer; plain Twisted reads"
        " the body and sends the same answer.",
        [table, published(bench, server)],
    )


def published(bench: Bench, server: Server) -> Table:
    """
    Measure publishing over HTTP.

    @param server: the hub.
    """
    form = urlencode({"topic": "https://example.com/rooms/1/messages", "data": "x" * SIZE}).encode()
    kind = "application/x-www-form-urlencoded"
    token = encode({"mercure": {"publish": ["*"]}}, "x" * 32, "HS256")
    samples = bench.inTurn(
        "publish",
        {
            "plain Twisted": partial(oneRun, bench, bench.plain, kind, form, 1),
            "the hub": partial(oneRun, bench, server, kind, form, 1, token),
        },
    )
    table = Table(["", "updates/s", "x plain Twisted", "CPU µs per update"])
    plain = samples.get("plain Twisted")
    for name, mine in samples.items():
        rate, us = spread(mine, "rate", 0), spread(mine, "us", 1)
        table.rows.append([name, rate, ratio(mine, plain, "rate"), us])
    return table
