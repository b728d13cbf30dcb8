"""
The cases: the cost of streams, and its growth with their number.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from functools import partial
from statistics import median

from bench import Bench
from candidates import Server
from chart import draw
from load import Sample, readSample, runLoad, startLoad
from machine import Failed, ask, readLine, residentSize
from report import Section, Table, middle, ratio, spread

__all__ = ["CASES"]

#: An event that arrives later than this is too late, in milliseconds.
LATE = 50

#: The number of events that a reconnecting client has missed.
MISSED = 10

#: The figures of all servers, by the number of streams and by name.
Sizes = dict[int, dict[str, list[Sample]]]


def timer(bench: Bench) -> Section:
    """
    A timer for each stream.
    """
    return Section(
        "A timer for each stream",
        f"Each stream has its own timer. Each tick sends a new event of about 100 bytes, {inAll(bench)}"
        " twisted-sse uses `EventStream.every`; plain Twisted uses a `LoopingCall`. nchan has no timers"
        " for streams.\n\n"
        "Delays count from when the server made the event, so late timers don't show in them. The floor"
        " has one timer for all streams, and its delays count from when the event was due.",
        costTables(bench, atSizes(bench, "timer"), "timer", "event"),
    )


def fanout(bench: Bench) -> Section:
    """
    One event to all streams.
    """
    sizes = atSizes(bench, "fanout")
    return Section(
        "One event to all streams",
        f"An event of about 100 bytes is sent to all streams at a fixed rate, {inAll(bench)} twisted-sse"
        " uses `Channel.publish` with a history; plain Twisted uses `request.write` for each stream. The"
        " last stream gets an event after all others, so delays grow with the number of streams.",
        costTables(bench, sizes, "fanout", "delivery"),
        chart=drawCosts(bench, sizes),
    )


def inAll(bench: Bench) -> str:
    """
    Describe the load on a server, as the end of a sentence.
    """
    total = bench.scale.deliveries
    return (
        f"{total:,} deliveries a second in all. A server that needs more than {1e6 / total:.0f} µs for"
        " each can't keep up."
    )


def atSizes(bench: Bench, mode: str) -> Sizes:
    """
    Measure all servers with a mode, with few streams and with many.  The more there are, the fewer
    events each gets: the sum is the same.
    """
    return {
        size: bench.inTurn(
            f"{mode}, {size:,} streams",
            {
                server.name: partial(bench.measure, server, mode, size, bench.rate(size))
                for server in bench.servers(mode)
            },
        )
        for size in bench.scale.streams
    }


def heads(bench: Bench) -> list[str]:
    """
    Describe the number of streams, and their rate of events.
    """
    return [f"{size:,} streams, {bench.rate(size):.3g} events/s" for size in bench.scale.streams]


def costTables(bench: Bench, sizes: Sizes, mode: str, what: str) -> list[Table]:
    """
    Write the cost and the delay of an event.

    @param mode: the mode of the servers.
    @param what: the name of the counted objects.
    """
    columns = (column for head in heads(bench) for column in (head, "x floor"))
    costs = Table([f"CPU µs per {what}", *columns])
    delays = Table(["99 % within, ms", *heads(bench)])
    for server in bench.servers(mode):
        cost, delay = [server.name], [server.name]
        for samples in sizes.values():
            mine, least = samples.get(server.name), samples.get(bench.floor.name)
            cost.append(spread(mine, "us_event", 1))
            cost.append(ratio(mine, least, "us_event"))
            delay.append(middle(mine, "p99_ms", 1))
        costs.rows.append(cost)
        delays.rows.append(delay)
    return [costs, delays]


def drawCosts(bench: Bench, sizes: Sizes) -> str:
    """
    Draw the cost of a delivery.
    """
    costs = {
        server.name: [
            median(sample["us_event"] for sample in samples[server.name])
            for samples in sizes.values()
            if server.name in samples
        ]
        for server in bench.servers("fanout")
    }
    complete = {name: cost for name, cost in costs.items() if len(cost) == len(sizes)}
    return draw(heads(bench), complete)


def saturation(bench: Bench) -> Section:
    """
    As many events as one processor can send.
    """
    streams = bench.scale.streams[0]
    table = Table(["deliveries a second", f"highest with 99 % within {LATE} ms", "highest"])
    candidates = {server.name: partial(climb, bench, server) for server in bench.servers("fanout")}
    for name, samples in bench.inTurn("saturation", candidates).items():
        table.rows.append([name, spread(samples, "within", 0), spread(samples, "most", 0)])
    rates = ", ".join(f"{rate:,}" for rate in bench.scale.rates)
    return Section(
        "What one processor can send",
        f"Events are published to {streams:,} streams at {rates} events a second, up to the first rate"
        f" that the server can't keep up with. twisted-sse starts at {beginning(bench):,}. A server with"
        f" about {bench.scale.rates[-1] * streams:,} deliveries has reached the highest rate tried, not"
        f" its limit. A rate of 0 means that even the lowest was not within {LATE} ms.\n\n"
        "twisted-sse sends all events published in one turn of the reactor in one write per stream. The"
        " floor writes each event by itself, so twisted-sse can send more than the floor.",
        [table],
    )


def beginning(bench: Bench) -> int:
    """
    The first rate for this checkout: it batches, so it can handle ten times as much, and would only
    take longer to reach that.
    """
    return min(rate for rate in bench.scale.rates if rate >= bench.scale.rates[-1] / 10)


def climb(bench: Bench, server: Server) -> Sample:
    """
    Publish more and more, until it is too much.
    """
    streams = bench.scale.streams[0]
    least = beginning(bench) if server is bench.ours else 0
    within = most = 0.0
    for rate in bench.scale.rates:
        if rate < least:
            continue
        try:
            said = bench.measure(server, "fanout", streams, rate, seconds=bench.scale.seconds / 2)
        except Failed:
            if not most:
                raise
            break
        most = max(most, said["rate"])
        if said["p99_ms"] < LATE:
            within = max(within, said["rate"])
        if said["rate"] < 0.9 * rate * streams:
            break
    return {"within": within, "most": most}


def memory(bench: Bench) -> Section:
    """
    The memory of an idle stream.
    """
    streams = bench.scale.streams[-1]
    ours = {
        "twisted-sse": "idle",
        "twisted-sse, `slim=True`": "slim",
        "twisted-sse, a channel with 1,000 events of history": "channel",
    }
    candidates = {name: partial(idle, bench, bench.ours, mode) for name, mode in ours.items()}
    for server in [bench.plain, *bench.peers]:
        if "idle" in server.modes:
            candidates[server.name] = partial(idle, bench, server, "idle")
    table = Table([f"{streams:,} idle streams", "KiB per stream", "seconds to open all"])
    for name, samples in bench.inTurn("memory", candidates).items():
        table.rows.append([name, spread(samples, "kB_conn", 1), middle(samples, "connect_s", 1)])
    return Section(
        "Memory",
        "The growth of the server's resident memory, divided by the number of streams. Each request has"
        " only two headers. A browser sends more, which twisted-sse keeps unless you set `slim=True`.",
        [table],
    )


def idle(bench: Bench, server: Server, mode: str) -> Sample:
    """
    Hold idle streams for a moment.
    """
    return bench.measure(server, mode, bench.scale.streams[-1], seconds=0.5)


def storm(bench: Bench) -> Section:
    """
    All clients reconnect at the same time.
    """
    streams = bench.scale.streams[-1]
    replay = f"twisted-sse, each with a replay of {MISSED} events"
    candidates = {
        "plain Twisted": partial(arrive, bench, bench.plain, "idle"),
        "twisted-sse, nothing missed": partial(arrive, bench, bench.ours, "idle"),
        replay: partial(arrive, bench, bench.ours, "storm"),
    }
    found = bench.inTurn("storm", candidates)
    table = Table(
        [f"{streams:,} clients", "accepted a second", "x plain", "CPU µs per client", "x plain"]
    )
    bare = found.get("plain Twisted")
    for name, samples in found.items():
        rates = [spread(samples, "rate", 0), ratio(samples, bare, "rate")]
        costs = [spread(samples, "us_client", 0), ratio(samples, bare, "us_client")]
        table.rows.append([name, *rates, *costs])
    return Section(
        "All clients reconnect at the same time",
        "The rate counts the time until each client has the first bytes of its response or, with a"
        f" replay, the last of the {MISSED} events of 100 bytes that it missed.",
        [table],
    )


def arrive(bench: Bench, server: Server, mode: str) -> Sample:
    """
    Have all clients connect, and reconnect.

    @param mode: with C{storm}, the clients request their missed events.
    """
    streams = bench.scale.streams[-1]
    with server.running(mode) as running:
        options = ["-e", "0"]
        if mode == "storm":
            lastEventID = json.loads(readLine(running.process, 30))["id"]
            options = ["-i", lastEventID, "-e", str(MISSED)]
        said = runLoad(bench.programs, running, streams, 60, options)
    seconds = said.get("all_s", said["connect_s"])
    return {"rate": streams / seconds, "us_client": said["cpu_s"] * 1e6 / streams}


def hold(bench: Bench) -> Section:
    """
    How long the reactor is blocked.
    """
    streams = bench.scale.streams[-1]
    candidates = {
        server.name: partial(longestTurn, bench, server) for server in (bench.ours, bench.plain)
    }
    table = Table([f"one event to {streams:,} streams", "longest block of the reactor, ms"])
    for name, samples in bench.inTurn("hold", candidates).items():
        table.rows.append([name, spread(samples, "held_ms", 0)])
    return Section(
        "How long one event blocks the reactor",
        "A timer in the server measures the longest time between two turns of the reactor, while five"
        " events, a second apart, are sent to all streams.",
        [table],
    )


def longestTurn(bench: Bench, server: Server) -> Sample:
    """
    Publish to many.
    """
    streams = bench.scale.streams[-1]
    with (
        server.running("hold", streams=streams) as running,
        startLoad(bench.programs, running, streams, 60),
    ):
        return {"held_ms": 1000 * json.loads(readLine(running.process, 60))["held"]}


def stalled(bench: Bench) -> Section:
    """
    Some clients do not read.
    """
    streams = bench.scale.streams[0]
    few = streams // 100
    candidates: dict[str, Callable[[], Sample]] = {}
    for server in bench.ours, bench.plain:
        candidates[server.name] = partial(withStalled, bench, server, 0)
        candidates[f"{server.name}, {few} do not read"] = partial(withStalled, bench, server, few)
    found = bench.inTurn("stalled", candidates)
    table = Table(
        [
            f"{streams:,} streams",
            "CPU µs per delivery",
            "99 % within, ms",
            "x without",
            "clients with a queue",
        ]
    )
    for name, samples in found.items():
        without = found.get(name.partition(",")[0])
        table.rows.append(
            [
                name,
                spread(samples, "us_event", 1),
                spread(samples, "p99_ms", 1),
                ratio(samples, without, "p99_ms"),
                middle(samples, "waiting", 0),
            ]
        )
    return Section(
        "Clients that don't read",
        f"{bench.rate(streams):.3g} events a second are sent to {streams:,} clients, and to {few} more"
        " that never read. The system's buffers for each client are small, and one event of 128 KiB fills"
        " them before the measurement. Later events are queued in the server.",
        [table],
    )


def withStalled(bench: Bench, server: Server, few: int) -> Sample:
    """
    Publish to many clients, where a few do not read.
    """
    streams = bench.scale.streams[0]
    # Until all are connected and have the data that fills the buffers of those that do not read.
    patience = 3.0
    options = ["-s", str(few), "-w", str(patience)]
    with (
        server.running("stalled", bench.rate(streams), streams + few) as running,
        startLoad(bench.programs, running, streams, bench.scale.seconds, options) as load,
    ):
        time.sleep(patience)
        waiting = json.loads(ask(running.process))["waiting"]
        return {**readSample(load), "waiting": waiting}


def cycles(bench: Bench) -> Section:
    """
    Clients connect and disconnect, one after another.
    """
    count = bench.scale.cycles
    with bench.ours.running("idle") as running:
        comeAndGo(running.port, count // 10)
        first = residentSize(running.process.pid)
        comeAndGo(running.port, count - count // 10)
        last = residentSize(running.process.pid)
        # The last of them are still disconnecting.
        time.sleep(1)
        left = json.loads(ask(running.process))
    growth = f"{100 * (last - first) / first:+.1f} %"
    table = Table(["clients", "resident memory, KiB", "growth", "streams left", "timers left"])
    table.rows.append([f"{count // 10:,}", f"{first:,}", "", "", ""])
    table.rows.append([f"{count:,}", f"{last:,}", growth, str(left["streams"]), str(left["calls"])])
    return Section(
        "Clients that connect and disconnect",
        "In a single run, clients of twisted-sse connect one after another. Each disconnects after it has"
        " read the headers.",
        [table],
    )


def comeAndGo(port: int, count: int) -> None:
    """
    Connect, read the headers and disconnect.

    @param count: the number of times.
    @raise Failed: if that does not work.
    """
    request = b"GET / HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n"
    for _ in range(count):
        try:
            with socket.create_connection(("127.0.0.1", port)) as client:
                client.sendall(request)
                answer = client.recv(4096)
        except OSError as error:
            raise Failed(f"a client could not connect: {error}") from error
        if not answer:
            raise Failed("a client got no answer")


#: By name, in the order of the report.
CASES: dict[str, Callable[[Bench], Section]] = {
    case.__name__: case
    for case in (fanout, timer, saturation, hold, stalled, storm, memory, cycles)
}
