"""
Several processes that share their events through Redis: how late are the events of another process,
and how many can one process follow and publish?

A separate program measures how many events one process can follow: it is suspended while events are
added, and then reads the missed ones.  A timer measures its greatest delay.

usage: python benchmarks/shared.py ROOT URL EVENTS

This is one run: the package at C{ROOT} follows a stream of the server at C{URL}.  C{run.py} does the
rest.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from broker import broker
from candidates import ROOT, SERVERS, Nchan, Running
from load import Sample, runLoad
from machine import LOAD, SERVER, Failed, ask, freePort, running, waitFor
from publish import BATCH, SIZE, load, makeRequest
from report import Section, Table, middle, spread

if TYPE_CHECKING:
    from bench import Bench

__all__ = ["server", "shared", "write"]

#: The rates of events published by another process, and by another program that does nothing else,
#: per second.
RATE = 1000
MANY = 50_000

#: The number of events published in a turn of the reactor, or in flight and awaited.
IN_FLIGHT = 200

#: The interval of the timer, in seconds.
INTERVAL = 0.001

#: The timeout of a run, in seconds.
PATIENCE = 120

#: The key of the stream.
KEY = "sse:news"


def writing(rate: float, events: int, url: str, key: str = KEY) -> list[str]:
    """
    Make the command of another program that adds events.
    """
    return [sys.executable, str(SERVERS / "writing.py"), f"{rate:g}", str(events), key, url]


def measure(root: str, url: str, events: int) -> None:
    """
    Follow events, and report the speed.
    """
    sys.path.insert(0, root)
    from twisted.internet import reactor
    from twisted.internet.defer import Deferred

    from twisted_sse import Channel, History
    from twisted_sse.store import RedisStore

    run: Any = reactor
    history = History()
    # Nothing may be dropped while the process is suspended.
    store = RedisStore(url, maxEvents=None, timeout=60)
    channel = Channel(history, store=store, name="news")
    longest = last = 0.0

    async def go() -> None:
        nonlocal last
        await channel.whenReady()
        command = ["taskset", "-c", LOAD, *writing(0, events, url)]
        subprocess.run(command, check=True, timeout=PATIENCE)
        # The duration of a garbage collection depends on the number of objects: existing ones are
        # excluded.
        gc.collect()
        gc.freeze()
        all: Deferred[None] = Deferred()

        def look() -> None:
            nonlocal longest, last
            now = time.perf_counter()
            longest = max(longest, now - last - INTERVAL)
            last = now
            if history.end < events:
                run.callLater(INTERVAL, look)
            else:
                all.callback(None)

        begun, cpu = time.perf_counter(), time.process_time()
        last = begun
        run.callLater(0, look)
        await all
        took, used = time.perf_counter() - begun, time.process_time() - cpu
        figures = {
            "rate": events / took,
            "cpu_us": used / events * 1e6,
            "held_ms": longest * 1000,
        }
        print(json.dumps(figures), flush=True)
        channel.close()
        await store.close()
        run.stop()

    run.callWhenRunning(lambda: Deferred.fromCoroutine(go()))
    run.run()


def follow(bench: Bench) -> Sample:
    """
    Run the program.

    @raise Failed: if it fails.
    """
    events = int(MANY * max(1, bench.scale.seconds))
    with broker() as url:
        command = ["taskset", "-c", SERVER, sys.executable, __file__, str(ROOT), url]
        try:
            done = subprocess.run(
                [*command, str(events)],
                stdout=subprocess.PIPE,
                text=True,
                check=True,
                timeout=PATIENCE,
            )
            said: Sample = json.loads(done.stdout)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            raise Failed(f"it follows nothing: {error}") from error
        return said


def sharing(mode: str, rate: float, streams: int, url: str, port: int) -> list[str]:
    """
    Make the command of one of our processes.
    """
    program = str(SERVERS / "sharing.py")
    return [sys.executable, program, mode, str(port), f"{rate:g}", str(streams), url]


#: The environment of our processes.
ENVIRONMENT = {"PYTHONPATH": str(ROOT)}


@contextmanager
def server(url: str, processor: str = SERVER) -> Iterator[Running]:
    """
    Run one of our servers, which shares its events.
    """
    port = freePort()
    command = sharing("serve", 0, 0, url, port)
    with running(command, processor, ENVIRONMENT) as process:
        waitFor(process, port)
        yield Running(process, port, "/", [process.pid])


@contextmanager
def write(url: str, rate: float, key: str = KEY, processors: str = LOAD) -> Iterator[None]:
    """
    Have another program add events.
    """
    with running(writing(rate, 0, url, key), processors):
        yield


@contextmanager
def publishing(url: str) -> Iterator[None]:
    """
    Have another of our processes publish.
    """
    port = freePort()
    with running(sharing("publish", RATE, 0, url, port), LOAD, ENVIRONMENT) as process:
        waitFor(process, port)
        yield


@contextmanager
def posting(port: int, path: str) -> Iterator[None]:
    """
    Have a client publish over HTTP.
    """
    command = [sys.executable, str(SERVERS / "publish.py"), str(port), path, str(RATE), "0"]
    with running(command, LOAD):
        yield


def late(bench: Bench, publish: Callable[[str, ExitStack], None]) -> Sample:
    """
    Measure the delay of events that are published elsewhere.

    @param publish: a function that begins to publish.
    """
    with ExitStack() as stack:
        url = stack.enter_context(broker())
        serving = stack.enter_context(server(url))
        publish(url, stack)
        return received(bench, serving)


def received(bench: Bench, serving: Running) -> Sample:
    """
    Read one stream.

    @raise Failed: if nothing arrives.
    """
    options = ["-w", f"{bench.scale.warmUp:g}"]
    said = runLoad(bench.programs, serving, 1, bench.scale.seconds, options)
    if said["closed"] or not said["events"]:
        raise Failed("no event arrived")
    return said


def byProgram(url: str, stack: ExitStack) -> None:
    """
    Another of our processes publishes.
    """
    stack.enter_context(publishing(url))


def byHTTP(url: str, stack: ExitStack) -> None:
    """
    Another of our servers publishes posted events.
    """
    other = stack.enter_context(server(url, LOAD))
    stack.enter_context(posting(other.port, "/"))


def byWriter(url: str, stack: ExitStack) -> None:
    """
    Another program adds events.
    """
    stack.enter_context(write(url, MANY))


def lateNchan(bench: Bench, nchan: Nchan) -> Sample:
    """
    Measure the same with two servers of nchan.
    """
    with ExitStack() as stack:
        url = stack.enter_context(broker())
        serving = stack.enter_context(nchan.sharing(url, SERVER, "/sub"))
        other = stack.enter_context(nchan.sharing(url, LOAD, "/pub"))
        stack.enter_context(posting(other.port, other.path))
        return received(bench, serving)


def published(bench: Bench, mode: str) -> Sample:
    """
    Measure how many events one process publishes.
    """
    port = freePort()
    with broker() as url:
        command = sharing(mode, 0, IN_FLIGHT, url, port)
        with running(command, SERVER, ENVIRONMENT) as process:
            waitFor(process, port)
            time.sleep(bench.scale.warmUp)
            before, start = json.loads(ask(process)), time.monotonic()
            time.sleep(bench.scale.seconds)
            after, end = json.loads(ask(process)), time.monotonic()
    count = after["published"] - before["published"]
    if not count:
        raise Failed("it published nothing")
    return {"rate": count / (end - start), "us": (after["cpu"] - before["cpu"]) / count * 1e6}


def posted(bench: Bench, kind: str, body: bytes, events: int) -> Sample:
    """
    Measure how many events can be published over HTTP.

    @param events: the number of events in a request.
    """
    with broker() as url, server(url) as serving:
        request = makeRequest(serving.path, kind, body)
        return load(serving, request, events, bench.scale.warmUp, bench.scale.seconds)


def postedNchan(bench: Bench, nchan: Nchan) -> Sample:
    """
    Measure the same with nchan.
    """
    with broker() as url, nchan.sharing(url, SERVER, "/pub") as serving:
        request = makeRequest(serving.path, "text/plain", b"x" * SIZE)
        return load(serving, request, 1, bench.scale.warmUp, bench.scale.seconds)


def shared(bench: Bench) -> Section:
    """
    The case: events from another process, and how many one process can follow and publish.
    """
    peers = [peer for peer in bench.peers if isinstance(peer, Nchan)]
    lateness = bench.inTurn(
        "redis",
        {
            "with `publish` in another process": partial(late, bench, byProgram),
            "by a POST to another server": partial(late, bench, byHTTP),
            **{
                f"{peer.name}, by a POST to another server": partial(lateNchan, bench, peer)
                for peer in peers
            },
            "added to Redis by another program": partial(late, bench, byWriter),
        },
    )
    first = Table(
        ["one stream", "events/s", "50 % within, ms", "99 % within, ms", "CPU µs per event"]
    )
    for name, samples in lateness.items():
        half, most = spread(samples, "p50_ms", 2), spread(samples, "p99_ms", 2)
        rate, us = middle(samples, "rate", 0), spread(samples, "us_event", 1)
        first.rows.append([name, rate, half, most, us])
    followed = bench.inTurn("redis", {"catches up on missed events": partial(follow, bench)})
    second = Table(
        ["one process", "events/s", "CPU µs per event", "longest block of the reactor, ms"]
    )
    for name, samples in followed.items():
        rate, us = spread(samples, "rate", 0), spread(samples, "cpu_us", 1)
        second.rows.append([name, rate, us, middle(samples, "held_ms", 1)])
    line = json.dumps({"data": "x" * SIZE, "event": "greeting"}).encode()
    batch = b"\n".join([line] * BATCH)
    one = partial(posted, bench, "text/plain", b"x" * SIZE, 1)
    publishers = bench.inTurn(
        "redis, publish",
        {
            f"with `publish`, {IN_FLIGHT} per turn of the reactor": partial(
                published, bench, "plenty"
            ),
            f"with `publishAndWait`, {IN_FLIGHT} waiting": partial(published, bench, "wait"),
            "over HTTP": one,
            f"over HTTP, {BATCH} per request": partial(
                posted, bench, "application/x-ndjson", batch, BATCH
            ),
            **{f"{peer.name}, over HTTP": partial(postedNchan, bench, peer) for peer in peers},
        },
    )
    third = Table(["one process publishes", "events/s", "CPU µs per event"])
    for name, samples in publishers.items():
        third.rows.append([name, spread(samples, "rate", 0), spread(samples, "us", 1)])
    return Section(
        "Several processes: Redis",
        f"In the first table, events of {SIZE} bytes reach one client through Redis from another process,"
        " and the CPU time is that of the process that serves the client. In the second, a process"
        " without clients catches up on events that were added while it was suspended. In the third, one"
        " process publishes as much as it can, and also receives its own events. Redis, which writes"
        " nothing to disk, and the other programs share the load generator's processor.",
        [first, second, third],
        ["nchan only forwards events to the servers that have subscribers, and stores none."]
        if peers
        else [],
    )


if __name__ == "__main__":
    os.environ.pop("PYTHONPATH", None)
    measure(sys.argv[1], sys.argv[2], int(sys.argv[3]))
