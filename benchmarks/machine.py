"""
This machine: its processors, ports and processes, and its description.
"""

from __future__ import annotations

import os
import platform
import resource
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = [
    "BOTH",
    "LOAD",
    "SERVER",
    "Failed",
    "ask",
    "describe",
    "family",
    "freePort",
    "prepare",
    "readLine",
    "residentSize",
    "running",
    "waitFor",
]

#: The processors of the server and of everything else.
_PROCESSORS = sorted(os.sched_getaffinity(0))
SERVER, LOAD = str(_PROCESSORS[0]), str(_PROCESSORS[-1])

#: Both, for programs that share them.
BOTH = f"{SERVER},{LOAD}"


class Failed(Exception):
    """
    A measurement failed; the text has the reason.
    """


def prepare() -> None:
    """
    Reserve the server's processor for the server, raise the limit on open files, and exit in a way
    that ends all processes.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    os.sched_setaffinity(0, {int(LOAD)})
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def freePort() -> int:
    """
    Find a free port.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def running(
    command: list[str], processors: str, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """
    Run a command while the context is open.

    @param processors: those that it may use.
    @param environment: variables in addition to ours.
    """
    process = subprocess.Popen(
        ["taskset", "-c", processors, *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **(environment or {})},
        start_new_session=True,
    )
    try:
        yield process
    finally:
        # SIGKILL, since some would wait for their clients.  Its children are in its group, which no
        # longer exists if it has ended by itself.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def waitFor(process: subprocess.Popen[str], port: int, patience: float = 20) -> None:
    """
    Wait until a server listens.

    @param patience: the timeout in seconds.
    @raise Failed: if it does not.
    """
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise Failed(f"it ended with status {process.returncode}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise Failed(f"it did not listen within {patience:.0f} s")


def readLine(process: subprocess.Popen[str], patience: float) -> str:
    """
    Read a line that a process prints.

    @param patience: the timeout in seconds.
    @raise Failed: if there is none.
    """
    assert process.stdout is not None, "running() has made a pipe"
    ready, _, _ = select.select([process.stdout], [], [], patience)
    if not ready:
        raise Failed(f"it said nothing within {patience:.0f} s")
    line = process.stdout.readline()
    if not line:
        raise Failed("it ended without a word")
    return line.rstrip("\n")


def ask(process: subprocess.Popen[str], patience: float = 30) -> str:
    """
    Make a server report its state, with SIGUSR1.

    @param patience: the timeout in seconds.
    @return: the line that it prints.
    @raise Failed: if there is none.
    """
    process.send_signal(signal.SIGUSR1)
    return readLine(process, patience)


def family(pid: int) -> list[int]:
    """
    Find a process and its children, such as the workers of nginx.
    """
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [pid, *map(int, children.split())]


def residentSize(pid: int) -> int:
    """
    Look up the resident memory of a process, in kB.
    """
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    for line in status.splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise Failed(f"process {pid} has no memory any more")


def describe() -> str:
    """
    Describe the machine in a few words.
    """
    information = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    models = [line.split(": ", 1)[1] for line in information.splitlines() if "model name" in line]
    model = " ".join(models[0].split()) if models else platform.machine()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{len(_PROCESSORS)} processors ({model}), {memory:.0f} GiB of memory,"
        f" Linux {platform.release().split('-')[0]}"
    )
