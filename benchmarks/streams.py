"""
What one stream costs: a timer of its own, being idle, coming and going.

usage: python benchmarks/streams.py [--quick] [timer] [memory] [cycles]

It builds a load generator and a floor with C{cc}: C{cfan} is a loop in C that does nothing but
send.  All that is compared runs in turn in one run, three times, and the medians are written as
Markdown tables.  The server runs on the first processor, the load on the last.  What is counted
is the CPU time of the server; absolute figures hold for this machine only, ratios travel better.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

HERE = Path(__file__).parent
PYTHON = sys.executable
RUNS = 3

#: The processors of the server and of the load.
PROCESSORS = sorted(os.sched_getaffinity(0))
SERVER, LOAD = PROCESSORS[0], PROCESSORS[-1]


def freePort() -> int:
    """
    Find a port that nobody listens on.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def waitFor(port: int) -> None:
    """
    Wait until a server listens.
    """
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise SystemExit(f"nothing listens on port {port}")


@contextmanager
def server(command: list[str], port: int) -> Iterator[subprocess.Popen[str]]:
    """
    Run a server as long as it is needed.
    """
    process = subprocess.Popen(
        ["taskset", "-c", str(SERVER), *command], stdout=subprocess.PIPE, text=True
    )
    try:
        waitFor(port)
        yield process
    finally:
        process.terminate()
        process.wait()


def build(folder: Path) -> None:
    """
    Compile the programs in C.
    """
    for name in "sseload", "cfan":
        subprocess.run(
            ["cc", "-O2", "-Wno-unused-result", "-o", folder / name, HERE / f"{name}.c"], check=True
        )


def load(folder: Path, port: int, connections: int, seconds: int, pid: int) -> dict[str, float]:
    """
    Run the load generator.

    @return: what it says, by name.
    """
    arguments = [str(port), "/", str(connections), str(seconds), str(pid)]
    done = subprocess.run(
        ["taskset", "-c", str(LOAD), str(folder / "sseload"), *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    return {name: float(value) for name, value in re.findall(r"(\w+)=([0-9.]+)", done.stdout)}


def timer(folder: Path, quick: bool) -> None:
    """
    1,000 connections, each with a timer that sends a new event 20 times a second.
    """
    candidates = {
        "C floor (one loop for all)": [str(folder / "cfan"), "{port}", "20"],
        "twisted-sse, EventStream.every": [
            PYTHON,
            f"{HERE}/servers/ours.py",
            "timer",
            "{port}",
            "20",
        ],
        "plain Twisted, LoopingCall": [PYTHON, f"{HERE}/servers/plain.py", "timer", "{port}", "20"],
    }
    costs: dict[str, list[float]] = {name: [] for name in candidates}
    latencies: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(RUNS):
        for name, command in candidates.items():
            port = freePort()
            with server([part.format(port=port) for part in command], port) as process:
                said = load(folder, port, 1000, 2 if quick else 5, process.pid)
            costs[name].append(said["us_event"])
            latencies[name].append(said["p99_ms"])
    floor = median(costs["C floor (one loop for all)"])
    print("| 1,000 timers, 20 events/s each | CPU us per event | x floor | p99 ms | runs, us |")
    print("| --- | --- | --- | --- | --- |")
    for name, cost in costs.items():
        runs = ", ".join(f"{each:.1f}" for each in cost)
        middle = median(cost)
        print(
            f"| {name} | {middle:.1f} | {middle / floor:.2f} "
            f"| {median(latencies[name]):.1f} | {runs} |"
        )


def memory(folder: Path, quick: bool) -> None:
    """
    15,000 idle streams, asked for with two headers.
    """
    count = 3000 if quick else 15000
    print(f"| {count:,} idle streams | kB per stream | connected in s | runs, kB |")
    print("| --- | --- | --- | --- |")
    sizes: dict[str, list[float]] = {"ours": [], "plain": []}
    times: dict[str, list[float]] = {"ours": [], "plain": []}
    for _ in range(RUNS):
        for name in sizes:
            port = freePort()
            with server([PYTHON, f"{HERE}/servers/{name}.py", "idle", str(port)], port) as process:
                said = load(folder, port, count, 2, process.pid)
            sizes[name].append(said["kB_conn"])
            times[name].append(said["connect_s"])
    for name, label in {"ours": "twisted-sse", "plain": "plain Twisted"}.items():
        runs = ", ".join(f"{size:.1f}" for size in sizes[name])
        print(f"| {label} | {median(sizes[name]):.1f} | {median(times[name]):.1f} | {runs} |")


def cycles(folder: Path, quick: bool) -> None:
    """
    100,000 clients, one after another: each connects, reads the headers, and leaves.
    """
    count = 20000 if quick else 100000
    port = freePort()
    request = b"GET / HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n"
    with server([PYTHON, f"{HERE}/servers/ours.py", "idle", str(port)], port) as process:
        sizes = {}
        for number in range(1, count + 1):
            with socket.create_connection(("127.0.0.1", port)) as client:
                client.sendall(request)
                client.recv(4096)
            if number in (count // 10, count):
                sizes[number] = residentSize(process.pid)
        time.sleep(1)
        process.send_signal(signal.SIGUSR1)
        assert process.stdout is not None
        streams, calls = process.stdout.readline().split()
    first, last = sizes.values()
    print("| cycles | resident, kB | growth | streams left | delayed calls left |")
    print("| --- | --- | --- | --- | --- |")
    print(f"| {count // 10:,} | {first} | | | |")
    print(f"| {count:,} | {last} | {100 * (last - first) / first:+.1f} % | {streams} | {calls} |")


def residentSize(pid: int) -> int:
    """
    Look up the resident memory of a process, in kB.
    """
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1])  # type: ignore[index]


def main() -> None:
    """
    Run what was asked for.
    """
    cases = {"timer": timer, "memory": memory, "cycles": cycles}
    parser = argparse.ArgumentParser(description="What one event stream costs.")
    parser.add_argument("--quick", action="store_true", help="short runs, to see that it works")
    parser.add_argument("case", nargs="*", help=f"of {', '.join(cases)}; all if none is given")
    options = parser.parse_args()
    unknown = set(options.case) - set(cases)
    if unknown:
        parser.error(f"no such case: {', '.join(unknown)}")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with TemporaryDirectory() as folder:
        build(Path(folder))
        for name in options.case or cases:
            cases[name](Path(folder), options.quick)
            print(flush=True)


if __name__ == "__main__":
    main()
