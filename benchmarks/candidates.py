"""
The servers that are measured, and how each is started.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Collection, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPConnection
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from machine import LOAD, SERVER, Failed, family, freePort, running, waitFor

__all__ = [
    "HUB",
    "SECRET",
    "SERVERS",
    "Mercure",
    "Nchan",
    "Running",
    "Server",
    "floor",
    "ours",
    "plain",
]

SERVERS = Path(__file__).resolve().parent / "servers"
ROOT = SERVERS.parent.parent

#: The path of a Mercure hub, and the key of its tokens.
HUB = "/.well-known/mercure"
SECRET = "x" * 32

#: The time in seconds that a server may take to find another.
PATIENCE = 20


@dataclass(frozen=True)
class Running:
    """
    A running server.

    @ivar process: the started process.
    @ivar port: its port.
    @ivar path: the path of its stream.
    @ivar pids: its processes, whose CPU time and memory count.
    """

    process: subprocess.Popen[str]
    port: int
    path: str
    pids: list[int]


@dataclass(frozen=True)
class Server:
    """
    A server that can be started.

    @ivar name: its name in the tables.
    @ivar version: the versions of its parts.
    @ivar command: the command that starts it, to be followed by the mode, a port, a rate and a
        number of streams.
    @ivar modes: its modes, all or some of these: C{timer}, a timer for each connection; C{fanout},
        one event to all; C{rooms}, each event to the clients that have chosen its topic; C{idle},
        nothing; C{post}, publish posted events; C{hub}, a Mercure hub.  Ours and plain Twisted have
        more.
    @ivar environment: its environment variables.
    @ivar path: the path of its stream, and for posting.
    """

    name: str
    version: str
    command: list[str]
    modes: Collection[str] = ("timer", "fanout", "idle")
    environment: dict[str, str] = field(default_factory=dict)
    path: str = "/"

    @contextmanager
    def running(self, mode: str, rate: float = 0, streams: int = 0) -> Iterator[Running]:
        """
        Run it while the context is open.

        @param mode: its mode.
        @param rate: events per second.
        @param streams: the number of streams at which it begins.
        """
        port = freePort()
        command = [*self.command, *self.arguments(mode, port, rate, streams)]
        with running(command, SERVER, self.environment) as process:
            waitFor(process, port)
            yield Running(process, port, self.path, family(process.pid))

    def arguments(self, mode: str, port: int, rate: float, streams: int) -> list[str]:
        """
        Return the arguments of the command.
        """
        return [mode, str(port), f"{rate:.6g}", str(streams)]


class Floor(Server):
    """
    C{cfan}, which does the same in all modes: the minimum for each of them.
    """

    def arguments(self, mode: str, port: int, rate: float, streams: int) -> list[str]:
        """
        Return the arguments of the command.
        """
        return super().arguments(mode, port, rate, streams)[1:]


class Nchan(Server):
    """
    nginx, with its files in its own folder, and a publisher.
    """

    @contextmanager
    def running(self, mode: str, rate: float = 0, streams: int = 0) -> Iterator[Running]:
        """
        Run it while the context is open.  The publisher runs on the load's processor.
        """
        path = "/pub" if mode == "post" else "/sub"
        with ExitStack() as stack:
            server = stack.enter_context(self._serving(SERVER, path))
            if mode in ("fanout", "rooms"):
                publisher = [sys.executable, str(SERVERS / "publish.py"), str(server.port), "/pub"]
                publisher += [f"{rate:.6g}", str(streams), *(["100"] if mode == "rooms" else [])]
                stack.enter_context(running(publisher, LOAD))
            yield server

    @contextmanager
    def sharing(self, url: str, processor: str, path: str) -> Iterator[Running]:
        """
        Run a server that shares its events with others, while the context is open.

        @param url: the URL of the Redis server.
        @param processor: the only one that it may use.
        @raise Failed: if it does not find the Redis server.
        """
        upstream = f"upstream events {{ nchan_redis_server {url}; }}"
        with self._serving(processor, path, upstream, "nchan_redis_pass events;") as server:
            deadline = time.monotonic() + PATIENCE
            while self._isAway(server):
                if time.monotonic() > deadline:
                    raise Failed("it does not find the Redis server")
                time.sleep(0.05)
            yield server

    def _isAway(self, server: Running) -> bool:
        """
        Whether the Redis server is not there yet.
        """
        connection = HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
        with closing(connection):
            connection.request("GET", "/pub")
            return connection.getresponse().status == HTTPStatus.SERVICE_UNAVAILABLE

    @contextmanager
    def _serving(
        self, processor: str, path: str, upstream: str = "", store: str = ""
    ) -> Iterator[Running]:
        port = freePort()
        text = (SERVERS / "nchan.conf").read_text(encoding="utf-8")
        # As many as the limit on open files, except those that nginx opens for itself.
        connections = os.sysconf("SC_OPEN_MAX") - 100
        text = text.format(port=port, connections=connections, upstream=upstream, store=store)
        with TemporaryDirectory() as folder:
            Path(folder, "nginx.conf").write_text(text, encoding="utf-8")
            command = [*self.command, "-p", folder, "-c", "nginx.conf"]
            with running(command, processor) as process:
                waitFor(process, port)
                yield Running(process, port, path, family(process.pid))


@dataclass(frozen=True)
class Mercure(Server):
    """
    The hub that the Mercure protocol comes from, and a publisher.

    @ivar history: whether it keeps events in its file.
    """

    history: bool = False

    @contextmanager
    def running(self, mode: str, rate: float = 0, streams: int = 0) -> Iterator[Running]:
        """
        Run it while the context is open.  The publisher runs on the load's processor.
        """
        port, admin = freePort(), freePort()
        text = (SERVERS / "mercure.conf").read_text(encoding="utf-8")
        with TemporaryDirectory() as folder, ExitStack() as stack:
            kept = f"bolt {{\npath {folder}/updates.db\nsize 1000\n}}"
            transport = kept if self.history else "local"
            text = text.format(port=port, admin=admin, key=SECRET, transport=transport)
            Path(folder, "Caddyfile").write_text(text, encoding="utf-8")
            command = [*self.command, "run", "--config", f"{folder}/Caddyfile"]
            # It uses all processors that it sees: one.  Its own files go to the same folder.
            environment = {"XDG_CONFIG_HOME": folder, "XDG_DATA_HOME": folder, "HOME": folder}
            process = stack.enter_context(running(command, SERVER, environment))
            waitFor(process, port)
            if mode == "hub":
                publisher = [sys.executable, str(SERVERS / "update.py"), str(port), str(admin)]
                publisher += [f"{rate:.6g}", str(streams)]
                stack.enter_context(running(publisher, LOAD))
            yield Running(process, port, self.path, family(process.pid))


def ours() -> Server:
    """
    This checkout.
    """
    return Server(
        "twisted-sse",
        "this checkout",
        [sys.executable, str(SERVERS / "ours.py")],
        environment={"PYTHONPATH": str(ROOT)},
    )


def plain() -> Server:
    """
    Twisted without this package.
    """
    command = [sys.executable, str(SERVERS / "plain.py")]
    return Server("plain Twisted", version("Twisted"), command)


def floor(programs: Path) -> Server:
    """
    The lower bound.

    @param programs: the folder of the programs in C.
    """
    return Floor("C floor", "cfan.c", [str(programs / "cfan")], modes=("timer", "fanout"))
