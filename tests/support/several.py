"""
A daemon with several processes, for live tests, and clients that follow it.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from tests.support.daemons import FOREGROUND
from tests.support.live import PATIENCE, LiveTestCase, freePort, reactor, until
from tests.support.processes import isAlive
from tests.support.requirements import ROOT
from twisted_sse.client import Backoff, EventSource
from twisted_sse.format.parser import MessageEvent

if TYPE_CHECKING:
    from tests.support.redis_server import RedisServer

__all__ = ["Follower", "Several", "SeveralTestCase", "childrenOf", "pause"]


def childrenOf(pid: int) -> list[int]:
    """
    @return: the running children of a process, the oldest first.
    """
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(each) for each in path.read_text().split() if isAlive(int(each))]


def pause(seconds: float) -> Deferred[None]:
    """
    Let time pass.
    """
    return deferLater(reactor, seconds, lambda: None)


class Several:
    """
    A daemon.

    @ivar port: where it listens.
    @ivar pid: the number of the parent.
    """

    def __init__(
        self,
        directory: Path,
        *options: str,
        processes: int = 2,
        port: int | None = None,
        command: Sequence[str] = (*FOREGROUND, "sse"),
        **more: Any,
    ) -> None:
        """
        @param options: more options.
        @param port: its port; 0 if the options set it.
        @param command: the command, without options.
        @param more: further arguments for the process.
        """
        self.port = freePort() if port is None else port
        self._log = directory / "log"
        where = [f"--port={self.port}"] if self.port else []
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, *where, f"--processes={processes}", *options],
                cwd=directory,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                **{"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log, **more},
            )
        self.pid = self.process.pid
        self.processes = processes

    def log(self) -> str:
        """
        @return: its output so far.
        """
        return self._log.read_text()

    def children(self) -> list[int]:
        """
        @return: the numbers of the children.
        """
        return childrenOf(self.pid)

    async def ready(self) -> Several:
        """
        Wait until all children serve clients.
        """
        await until(self.allReady, "all children are ready")
        return self

    def allReady(self) -> bool:
        """
        Whether all children serve clients now.
        """
        assert self.process.poll() is None, self.log()
        states = self.metrics("sse_processes") if self.port else {}
        return states.get('{state="ready"}') == self.processes

    def ask(self, path: str, body: bytes | None = None) -> tuple[int, str]:
        """
        Make a request.

        @return: the status, or 0 if it is unreachable, and the body.
        """
        method = "GET" if body is None else "POST"
        head = f"{method} {path} HTTP/1.0\r\nHost: localhost\r\nContent-Type: text/plain\r\n"
        data = body or b""
        try:
            with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as connection:
                connection.sendall(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)
                answer = b"".join(iter(lambda: connection.recv(2**16), b""))
        except OSError:
            return 0, ""
        top, _, rest = answer.decode().partition("\r\n\r\n")
        return int(top.split()[1]) if top else 0, rest

    def metrics(self, name: str) -> dict[str, float]:
        """
        @return: the values of one metric, by its labels.
        """
        _, text = self.ask("/metrics")
        found = re.findall(rf"^{name}(\{{.*\}})? (\S+)$", text, re.MULTILINE)
        return {labels: float(value) for labels, value in found}

    def signal(self, number: signal.Signals) -> None:
        """
        Send the parent a signal.
        """
        os.kill(self.pid, number)

    async def ended(self) -> int:
        """
        Wait until it has ended.

        @return: its exit status.
        """
        await until(lambda: self.process.poll() is not None, "it has ended")
        status = self.process.returncode
        assert isinstance(status, int)
        return status

    async def stop(self) -> int:
        """
        Stop it with SIGTERM.

        @return: its exit status.
        """
        self.signal(signal.SIGTERM)
        return await self.ended()

    def kill(self) -> None:
        """
        Kill it; its children follow.
        """
        self.process.kill()
        self.process.wait()


class Follower:
    """
    A client that resumes.

    @ivar events: the events it has received.
    @ivar failures: the failures in between.
    """

    def __init__(self, url: str, **more: Any) -> None:
        """
        @param more: more arguments for the source.
        """
        self.events: list[MessageEvent] = []
        self.opened = 0
        self.failures: list[Exception] = []
        self.source = EventSource(
            url,
            backoff=Backoff(initial=0.1, maximum=0.5),
            onOpen=self._opened,
            onError=self.failures.append,
            **more,
        )
        self._following = self.source.listen(self.events.append)
        self._following.addErrback(self.failures.append)

    def _opened(self, response: object) -> None:
        self.opened += 1

    @property
    def texts(self) -> list[str]:
        """
        The data of the events that are not the daemon's own.
        """
        return [each.data for each in self.events if not each.type.startswith("stream-")]

    @property
    def resets(self) -> int:
        """
        How often events were lost.
        """
        return sum([each.type in ("stream-reset", "stream-gap") for each in self.events])


class SeveralTestCase(LiveTestCase):
    """
    A test of daemons with several processes.
    """

    timeout = 3 * PATIENCE

    def setUp(self) -> None:
        """
        Make a directory.
        """
        super().setUp()
        temporary = TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = Path(temporary.name)

    def several(self, *options: str, **more: Any) -> Several:
        """
        Start a daemon.
        """
        daemon = Several(self.directory, *options, **more)
        self.addCleanup(self._end, daemon)
        return daemon

    def _end(self, daemon: Several) -> Any:
        children = daemon.children() if daemon.process.poll() is None else []
        daemon.kill()
        for child in children:
            # A stopped child does not notice the end of its parent.
            try:
                os.kill(child, signal.SIGKILL)
            except ProcessLookupError:
                continue

    def follow(self, url: str, **more: Any) -> Follower:
        """
        Start a client.
        """
        follower = Follower(url, **more)
        self.addCleanup(follower.source.close)
        return follower

    async def redis(self, *arguments: str) -> RedisServer:
        """
        Start a Redis server.

        @param arguments: more of its arguments.
        """
        # It needs a library that other tests of processes do not.
        from tests.support.redis_server import RedisServer

        return await RedisServer(self, *arguments).start()
