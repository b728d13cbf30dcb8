"""
How things are measured: beside each other, more than once.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from candidates import Server
from load import Sample, runLoad
from machine import Failed

__all__ = ["FULL", "QUICK", "Bench", "Scale"]


@dataclass(frozen=True)
class Scale:
    """
    How much is measured.

    @ivar runs: how often each candidate is measured.
    @ivar seconds: how long each time.
    @ivar warmUp: how long before it is begun to measure, in seconds.
    @ivar streams: how many there are, from few to many.
    @ivar deliveries: how many events a second they get together.
    @ivar rates: how many events a second are published, where it is asked how many can be.
    @ivar cycles: how many clients come and go.
    @ivar parsed: how much the parsers are given, in bytes.
    @ivar followed: how many events the clients are sent.
    """

    runs: int
    seconds: float
    warmUp: float
    streams: Sequence[int]
    deliveries: int
    rates: Sequence[int]
    cycles: int
    parsed: int
    followed: int


FULL = Scale(
    runs=3,
    seconds=3,
    warmUp=1,
    streams=(1000, 5000, 15_000),
    deliveries=20_000,
    rates=(20, 100, 200, 500, 1000, 2000, 4000),
    cycles=100_000,
    parsed=50_000_000,
    followed=500_000,
)

#: Short runs, to see that it works.
QUICK = Scale(
    runs=1,
    seconds=0.5,
    warmUp=0.5,
    streams=(300, 600, 1200),
    deliveries=6_000,
    rates=(20, 100, 500, 2000),
    cycles=5000,
    parsed=5_000_000,
    followed=50_000,
)


@dataclass
class Bench:
    """
    What all cases need.

    @ivar programs: where the programs in C are.
    @ivar ours: what this is about.
    @ivar plain: Twisted without it.
    @ivar floor: the least that can be.
    @ivar peers: the servers of others.
    @ivar scale: how much is measured.
    @ivar failures: who could not be measured, and why.
    """

    programs: Path
    ours: Server
    plain: Server
    floor: Server
    peers: list[Server]
    scale: Scale
    failures: list[str] = field(default_factory=list)

    def servers(self, mode: str) -> list[Server]:
        """
        Find all that can do something, the floor first.
        """
        every = [self.floor, self.ours, self.plain, *self.peers]
        return [server for server in every if mode in server.modes]

    def rate(self, streams: int) -> float:
        """
        How many events a second N streams get.
        """
        return self.scale.deliveries / streams

    def measure(
        self,
        server: Server,
        mode: str,
        streams: int,
        rate: float = 0,
        seconds: float | None = None,
        options: Sequence[str] = (),
    ) -> Sample:
        """
        Run a server and the load, once.

        @param mode: what the server shall do.
        @param rate: events per second.
        @param seconds: for how long; as the scale says if it is not given.
        @param options: see the head of C{sseload.c}.
        @raise Failed: if that does not work.
        """
        seconds = seconds or self.scale.seconds
        options = ["-w", f"{self.scale.warmUp:g}", *options]
        with server.running(mode, rate, streams) as running:
            said = runLoad(self.programs, running, streams, seconds, options)
        if said["closed"]:
            raise Failed(f"it closed {said['closed']:.0f} of {streams} connections")
        if rate and not said["events"]:
            raise Failed("no event arrived")
        return said

    def inTurn(
        self, what: str, candidates: Mapping[str, Callable[[], Sample]]
    ) -> dict[str, list[Sample]]:
        """
        Measure each candidate once, then each for the second time, and so on: what disturbs
        the machine for a while disturbs all of them.

        @param what: what is measured.
        @param candidates: how each is measured, by name.
        @return: the figures of those that never failed.
        """
        samples: dict[str, list[Sample]] = {name: [] for name in candidates}
        for run in range(1, self.scale.runs + 1):
            for name in list(samples):
                try:
                    said = candidates[name]()
                except Failed as error:
                    del samples[name]
                    self.failures.append(f"{what}: {name} could not be measured: {error}.")
                    self.progress(self.failures[-1])
                else:
                    samples[name].append(said)
                    figures = " ".join(f"{key}={value:g}" for key, value in said.items())
                    self.progress(f"{what}, {name}, run {run}: {figures}")
        return samples

    def progress(self, text: str) -> None:
        """
        Show that something happens.
        """
        print(text, file=sys.stderr, flush=True)
