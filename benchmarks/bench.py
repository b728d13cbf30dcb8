"""
How the cases are measured: candidates in turn, several times.
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
    The scale of the measurements.

    @ivar runs: the number of runs of each candidate.
    @ivar seconds: the duration of a run.
    @ivar warmUp: the time before the measurement begins, in seconds.
    @ivar streams: the numbers of streams, from few to many.
    @ivar deliveries: the number of events per second that all streams get together.
    @ivar rates: the rates of events per second, in the search for the highest one possible.
    @ivar cycles: the numbers of clients that connect and disconnect.
    @ivar parsed: the size of the parsers' input, in bytes.
    @ivar followed: the number of events sent to the clients.
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

#: Short runs, to check that everything works.
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
    The shared data of all cases.

    @ivar programs: the folder of the programs in C.
    @ivar ours: this checkout.
    @ivar plain: Twisted without it.
    @ivar floor: the lower bound.
    @ivar peers: the servers of others.
    @ivar scale: the scale of the measurements.
    @ivar failures: the candidates that could not be measured, and why.
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
        Find all candidates with a mode, the floor first.
        """
        every = [self.floor, self.ours, self.plain, *self.peers]
        return [server for server in every if mode in server.modes]

    def rate(self, streams: int) -> float:
        """
        The rate of events for a number of streams.
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

        @param mode: the mode of the server.
        @param rate: events per second.
        @param seconds: the duration; by default that of the scale.
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
        Measure each candidate once, then each for the second time, and so on, so that a temporary
        disturbance of the machine affects all of them.

        @param what: the name of the measurement.
        @param candidates: the function that measures each, by name.
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
        Show progress.
        """
        print(text, file=sys.stderr, flush=True)
