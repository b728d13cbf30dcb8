"""
The programs in C: the load generator, and the floor.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from candidates import Running
from machine import LOAD, readLine, running

__all__ = ["Sample", "build", "readSample", "runLoad", "startLoad"]

HERE = Path(__file__).resolve().parent

#: What was measured, by name: of the load generator, see the head of C{sseload.c}.
Sample = dict[str, float]

#: How long the load generator may take to report, in seconds.
PATIENCE = 240


def build(folder: Path) -> None:
    """
    Compile the programs.

    @param folder: where to put them.
    """
    for name in "sseload", "cfan":
        command = ["cc", "-O2", "-Wall", "-o", folder / name, HERE / f"{name}.c"]
        subprocess.run(command, check=True)


@contextmanager
def startLoad(
    programs: Path,
    server: Running,
    streams: int,
    seconds: float,
    options: Sequence[str] = (),
    processors: str = LOAD,
) -> Iterator[subprocess.Popen[str]]:
    """
    Run the load generator as long as it is needed.

    @param programs: where it is.
    @param seconds: how long it is to measure.
    @param options: see the head of C{sseload.c}.
    @param processors: those that it may use.
    """
    arguments = [str(server.port), server.path, str(streams), f"{seconds:g}"]
    pids = map(str, server.pids)
    with running([str(programs / "sseload"), *options, *arguments, *pids], processors) as process:
        yield process


def readSample(process: subprocess.Popen[str]) -> Sample:
    """
    Wait for what the load generator says.

    @raise Failed: if it says nothing.
    """
    line = readLine(process, PATIENCE)
    return {name: float(value) for name, value in re.findall(r"(\w+)=([0-9.]+)", line)}


def runLoad(
    programs: Path, server: Running, streams: int, seconds: float, options: Sequence[str] = ()
) -> Sample:
    """
    Run the load generator until it is done: see L{startLoad}.
    """
    with startLoad(programs, server, streams, seconds, options) as process:
        return readSample(process)
