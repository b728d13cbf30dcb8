"""
All figures: C{make bench}.

usage: python benchmarks/run.py [--quick] [--peers NAME,..] [--output FOLDER] [case ...]

It builds a load generator and a floor with C{cc}, installs other servers (C{peers.py}), and runs
each case: candidates in turn, three times.  The median counts.  The server has the first processor,
everything else the last.  The measure is the CPU time of the server, which other programs affect
least; absolute figures hold for one machine, ratios are more general.

The tables go to standard output, and with the chart and the text of C{figures.md} into two files:
those of the documentation if everything was measured in full, else in C{build/bench}.
"""

from __future__ import annotations

import argparse
import platform
import re
import shlex
import sqlite3
import sys
from collections.abc import Iterator, Mapping
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from bench import FULL, QUICK, Bench
from candidates import ROOT, floor, ours, plain
from clients import clients
from hubs import hubs
from load import build
from machine import Failed, describe, prepare
from page import page
from parser import parsers
from peers import PEERS, gather, output
from processes import processes
from publish import publish
from replays import replays
from report import Section
from shared import shared
from stores import stores
from streams import CASES
from turns import turns

EVERY = {
    **CASES,
    "parsers": parsers,
    "clients": clients,
    "turns": turns,
    "replays": replays,
    "publish": publish,
    "sqlite": stores,
    "redis": shared,
    "processes": processes,
    "hub": hubs,
    "page": page,
}


def programs() -> Iterator[str]:
    """
    List the programs that some cases use, with their versions.
    """
    yield f"SQLite {sqlite3.sqlite_version}"
    for name, command in ("Redis", "redis-server"), ("Chromium", "chromium"):
        # They print "Redis server v=7.0.15 sha=..." and "Chromium 156.0.7000.1 built on Debian ...".
        found = re.search(r"\d+\.[\d.]*\d", output(command, "--version"))
        if found:
            yield f"{name} {found[0]}"


def introduce(bench: Bench, leftOut: Mapping[str, str]) -> str:
    """
    Describe the measurement, its time and its machine.

    @param leftOut: the servers that were left out, and why.
    """
    command = "make bench"
    if len(sys.argv) > 1:
        command += f" ARGS={shlex.quote(shlex.join(sys.argv[1:]))}"
    today = datetime.now().astimezone().date()
    runs = bench.scale.runs
    which = f"the median of {runs} runs" if runs > 1 else "from one run"
    python = f"{platform.python_implementation()} {platform.python_version()}"
    lines = [f"`{command}` on {today}; {describe()}; {python}, Twisted {version('Twisted')}."]
    lines.append(
        "Unless a section says otherwise, the server runs on one processor, the load generator on"
        f" another, and each figure is {which}."
    )
    measured = [f"{server.name} {server.version}" for server in bench.peers]
    lines.append(f"Measured in the same run: {'; '.join([*measured, *programs()])}.")
    lines.extend(f"Left out: {name}, {why}." for name, why in leftOut.items())
    return "\n\n".join(lines) + "\n"


def write(folder: Path, introduction: str, sections: list[Section]) -> None:
    """
    Write the files that the documentation shows.
    """
    folder.mkdir(parents=True, exist_ok=True)
    head = (Path(__file__).parent / "figures.md").read_text(encoding="utf-8")
    runs = f"## Machine and runs\n\n{introduction}"
    text = "\n".join([head, runs, *(section.markdown() for section in sections)])
    (folder / "ref-figures.md").write_text(text, encoding="utf-8")
    for section in sections:
        if section.chart is not None:
            (folder / "performance.svg").write_text(section.chart, encoding="utf-8")


def main() -> None:
    """
    Run the requested cases.
    """
    parser = argparse.ArgumentParser(description="Measure what event streams cost.")
    parser.add_argument("--quick", action="store_true", help="short runs, to see that it works")
    parser.add_argument(
        "--peers",
        default=",".join(PEERS),
        metavar="NAME,..",
        help="servers of others to measure (default: %(default)s)",
    )
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="where the files go")
    parser.add_argument("case", nargs="*", help=f"of {', '.join(EVERY)} (default: all)")
    options = parser.parse_args()
    chosen = [name for name in options.peers.split(",") if name]
    for names, known in (options.case, EVERY), (chosen, PEERS):
        unknown = [name for name in names if name not in known]
        if unknown:
            parser.error(f"{', '.join(unknown)}: there is only {', '.join(known)}")
    full = not options.quick and not options.case and chosen == list(PEERS)
    folder = options.output or (ROOT / "docs" if full else ROOT / "build" / "bench")

    prepare()
    with TemporaryDirectory() as programs:
        build(Path(programs))
        peers, leftOut = gather(chosen)
        bench = Bench(
            Path(programs),
            ours(),
            plain(),
            floor(Path(programs)),
            peers,
            QUICK if options.quick else FULL,
        )
        introduction = introduce(bench, leftOut)
        print(introduction)
        sections = []
        for name in options.case or EVERY:
            try:
                section = EVERY[name](bench)
            except Failed as error:
                section = Section(name, f"It could not be measured: {error}.", [])
            section.notes.extend(bench.failures)
            bench.failures.clear()
            sections.append(section)
            print(section.markdown(), flush=True)
    write(folder, introduction, sections)


if __name__ == "__main__":
    main()
