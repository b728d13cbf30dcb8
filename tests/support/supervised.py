"""
Children in memory, for tests of their supervisor.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock

from twisted_sse.daemon.processes.supervisor import Child, Supervisor

__all__ = ["FakeProcess", "Family"]


class FakeProcess:
    """
    The process of a child.

    @ivar said: the messages it received, except pings.
    @ivar pings: how many pings it received.
    @ivar killed: how often it was killed.
    """

    def __init__(self, child: Child) -> None:
        self.child = child
        self.pid = 1000 + child.number
        self.said: list[tuple[str, dict[str, Any]]] = []
        self.pings = 0
        self.killed = 0
        self.answers = True

    def say(self, kind: str, fields: dict[str, Any] | None = None, needed: bool = True) -> None:
        """
        Record messages, and answer pings.
        """
        if kind != "ping":
            self.said.append((kind, fields or {}))
            return
        self.pings += 1
        if self.answers:
            self.child.heard("pong", {})

    def kill(self) -> None:
        """
        Record the kill.
        """
        self.killed += 1

    def ready(self) -> None:
        """
        It becomes ready for clients.
        """
        self.child.heard("ready", {})

    def crash(self) -> None:
        """
        A signal ends it.
        """
        self.child.ended("killed by SIGKILL", None)

    def exit(self, status: int = 0) -> None:
        """
        It exits.
        """
        self.child.ended(f"status {status}", status)

    @property
    def kinds(self) -> list[str]:
        """
        The kinds of the messages it received.
        """
        return [kind for kind, _ in self.said]


class Family:
    """
    A supervisor, and its children.

    @ivar processes: all processes ever started.
    @ivar gaveUp: the reasons and statuses with which it gave up.
    @ivar broken: whether starting a process fails.
    """

    def __init__(self, count: int = 2) -> None:
        self.clock = Clock()
        self.processes: list[FakeProcess] = []
        self.gaveUp: list[tuple[str, int]] = []
        self.broken = False
        self.supervisor = Supervisor(
            self.clock, count, self.start, 5, lambda why, status: self.gaveUp.append((why, status))
        )

    def start(self, child: Child) -> FakeProcess:
        """
        Start a process.
        """
        if self.broken:
            raise OSError(11, "Resource temporarily unavailable")
        self.processes.append(FakeProcess(child))
        return self.processes[-1]

    def advance(self, seconds: float) -> None:
        """
        Let time pass, in small steps.
        """
        # An eighth has an exact float.
        for _ in range(round(seconds * 8)):
            self.clock.advance(0.125)

    def allReady(self) -> list[FakeProcess]:
        """
        Start the supervisor, and let all its children become ready.

        @return: their processes.
        """
        self.supervisor.startService()
        for process in self.processes:
            process.ready()
        for process in self.processes:
            process.said.clear()
        return list(self.processes)
