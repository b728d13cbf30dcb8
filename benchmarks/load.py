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

#: The measured values, by name: for the load generator, see the head of C{sseload.c}.
Sample = dict[str, float]

#: The time after which the load generator has printed its results, in seconds.
PATIENCE = 240


def build(folder: Path) -> None:
    """
    Compile the programs.

    @param folder: the folder for the programs.
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
    Run the load generator while the context is open.

    @param programs: the folder of the load generator.
    @param seconds: the duration of the measurement.
    @param options: see the head of C{sseload.c}.
    @param processors: the processors that it may use.
    """
    arguments = [str(server.port), server.path, str(streams), f"{seconds:g}"]
    pids = map(str, server.pids)
    with running([str(programs / "sseload"), *options, *arguments, *pids], processors) as process:
        yield process


def readSample(process: subprocess.Popen[str]) -> Sample:
    """
    Wait for the load generator's results.

    @raise Failed: if there are none.
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
