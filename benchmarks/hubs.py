"""
The case: the cost of a hub, compared with a channel with topics, plain Twisted and nchan.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from urllib.parse import quote, urlencode

from bench import Bench
from candidates import HUB, ROOT, SECRET, SERVERS, Mercure, Server
from jwt import encode
from load import Sample, readSample, runLoad, startLoad
from machine import Failed, ask, readLine
from publish import PUBLISHERS, SIZE, oneRun
from report import Section, Table, middle, ratio, spread

__all__ = ["form", "hubs", "paths"]

#: The number of topics.
TOPICS = 100

#: The number of reconnecting clients that are notified of the others.
WATCHERS = 10

#: A server has failed if its clients are not connected after this number of seconds.
PATIENCE = 60

FORM = "application/x-www-form-urlencoded"


def paths(path: str, *rooms: str) -> list[str]:
    """
    Make the options of the load generator with which its clients select topics, one each.

    @param path: the path of the hub.
    @param rooms: the last parts of the topics, assigned to the clients in turn.
    """
    topics = [
        f"https://example.com/rooms/{number}/{rooms[number % len(rooms)]}"
        for number in range(TOPICS)
    ]
    return [part for topic in topics for part in ("-p", f"{path}?topic={quote(topic, safe='')}")]


def form() -> bytes:
    """
    @return: an update, as posted.
    """
    fields = {"topic": "https://example.com/rooms/1/messages", "data": "x" * SIZE}
    return urlencode(fields).encode()


def hubs(bench: Bench) -> Section:
    """
    Subscribers of a hundred topics, each event about one of them.
    """
    command = [sys.executable, str(SERVERS / "hub.py")]
    environment = {"PYTHONHUB": str(ROOT)}
    server = Server("twisted-sse", "this checkout", command, environment=environment, path=HUB)
    return Section(
        "A hub",
        f"In the first table, each event of {SIZE} bytes has one of {TOPICS} topics, and goes to one subscriber in {TOPICS}."
        f" There are {bench.scale.deliveries * 2:,} deliveries a second in all. Half of the hub's"
        " subscribers select their topic with a URI template; in nchan, each topic is a channel."
        "\n\n"
        f"In the second, {PUBLISHERS} publishers send forms and wait for each response. To the hub of"
        " twisted-sse and to Mercure, they also send a token. Plain Twisted reads the form and"
        " responds.\n\n"
        "In the third, all clients of the hub of twisted-sse reconnect, and each has missed one event."
        f" With presence, {WATCHERS} other clients are notified of each of them. The reactor is blocked"
        " mostly by Python's garbage collector, which examines all objects whenever their number has"
        " grown by a quarter.\n\n"
        "The hub and the channel keep 1,000 events in memory. nchan keeps none; Mercure keeps none, or"
        " 1,000 in a file, and has the same subscribers as the hub.",
        [delivered(bench, server), published(bench, server), returning(bench, server)],
    )


def mercures(bench: Bench) -> Iterator[tuple[str, Server]]:
    """
    List the other Mercure hub without and with a history, by name.
    """
    for peer in bench.peers:
        if isinstance(peer, Mercure):
            yield f"{peer.name}, no history", peer
            yield f"{peer.name}, history in its file", replace(peer, history=True)


def delivered(bench: Bench, server: Server) -> Table:
    """
    Measure the cost of a delivery.

    @param server: the hub.
    """
    streams = bench.scale.streams[1] * 2
    rate = bench.scale.deliveries * 2 / (streams / TOPICS)
    channel = "twisted-sse, a channel with topics"
    candidates = {
        channel: partial(
            bench.measure, server, "topics", streams, rate, None, paths("/", "messages")
        ),
        "twisted-sse, the hub": partial(
            bench.measure, server, "hub", streams, rate, None, paths(HUB, "messages", "{what}")
        ),
    }
    for name, mercure in mercures(bench):
        candidates[name] = partial(
            bench.measure, mercure, "hub", streams, rate, None, paths(HUB, "messages", "{what}")
        )
    rooms = [part for number in range(TOPICS) for part in ("-p", f"/sub/{number}")]
    for peer in bench.peers:
        if "rooms" in peer.modes:
            candidates[peer.name] = partial(
                bench.measure, peer, "rooms", streams, rate, None, rooms
            )
    samples = bench.inTurn("hub", candidates)
    table = Table(
        [
            f"{streams:,} subscribers",
            "CPU µs per delivery",
            "x channel",
            "99 % within, ms",
            "KiB per subscriber",
        ]
    )
    for name, mine in samples.items():
        costs = [spread(mine, "us_event", 1), ratio(mine, samples.get(channel), "us_event")]
        late, size = middle(mine, "p99_ms", 1), spread(mine, "kB_conn", 1)
        table.rows.append([name, *costs, late, size])
    return table


def published(bench: Bench, server: Server) -> Table:
    """
    Measure publishing over HTTP.

    @param server: the hub.
    """
    token = encode({"mercure": {"publish": ["*"]}}, SECRET, "HS256")
    candidates = {
        "plain Twisted": partial(oneRun, bench, bench.plain, FORM, form(), 1),
        "twisted-sse, the hub": partial(oneRun, bench, server, FORM, form(), 1, token),
    }
    for peer in bench.peers:
        if "post" in peer.modes:
            candidates[peer.name] = partial(oneRun, bench, peer, FORM, form(), 1)
    for name, mercure in mercures(bench):
        candidates[name] = partial(oneRun, bench, mercure, FORM, form(), 1, token)
    samples = bench.inTurn("publish", candidates)
    table = Table(["server", "events/s", "x plain Twisted", "CPU µs per event"])
    plain = samples.get("plain Twisted")
    for name, mine in samples.items():
        rate, us = spread(mine, "rate", 0), spread(mine, "us", 1)
        table.rows.append([name, rate, ratio(mine, plain, "rate"), us])
    return table


def returning(bench: Bench, server: Server) -> Table:
    """
    Measure clients that all reconnect at the same time.

    @param server: the hub.
    """
    streams = bench.scale.streams[-1]
    without = "without presence"
    samples = bench.inTurn(
        "hub, storm",
        {
            without: partial(comeBack, bench, server, "absence"),
            "with presence": partial(comeBack, bench, server, "presence"),
        },
    )
    table = Table(
        [
            f"{streams:,} clients reconnect",
            "accepted a second",
            "x without",
            "CPU µs per client",
            "longest block of the reactor, ms",
            "longest garbage collection, ms",
        ]
    )
    for name, mine in samples.items():
        rates = [spread(mine, "rate", 0), ratio(mine, samples.get(without), "rate")]
        rest = [spread(mine, key, 0) for key in ("us_client", "held_ms", "garbage_ms")]
        table.rows.append([name, *rates, *rest])
    return table


def comeBack(bench: Bench, server: Server, mode: str) -> Sample:
    """
    Have all clients reconnect; with presence, some of them were connected before, and are notified.

    @raise Failed: if a client does not receive its missed events, or notices of all others, or if
        kept events have been dropped.
    """
    streams = bench.scale.streams[-1]
    with ExitStack() as stack:
        running = stack.enter_context(server.running(mode))
        told = json.loads(readLine(running.process, PATIENCE))
        if mode == "presence":
            options = ["-p", told["path"], "-e", str(streams)]
            load = startLoad(bench.programs, running, WATCHERS, PATIENCE, options)
            watching = stack.enter_context(load)
            deadline = time.monotonic() + PATIENCE
            while json.loads(ask(running.process))["streams"] < WATCHERS:
                if time.monotonic() > deadline:
                    raise Failed("those who watch are not there")
                time.sleep(0.1)
        options = [*paths(HUB, "messages"), "-i", told["id"], "-e", "1"]
        said = runLoad(bench.programs, running, streams, PATIENCE, options)
        if mode == "presence":
            readSample(watching)
        state = json.loads(ask(running.process))
    if state["kept"] != told["kept"]:
        raise Failed("what was kept is kept no longer")
    return {
        "rate": streams / said["all_s"],
        "us_client": said["cpu_s"] * 1e6 / streams,
        "held_ms": state["held"] * 1000,
        "garbage_ms": state["garbage"] * 1000,
    }
