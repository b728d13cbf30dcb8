"""
Random input for tests: the same in each run, and more of it with C{SSE_FUZZ=100} in the
environment.
"""

from __future__ import annotations

import gc
import os
import tracemalloc
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from twisted.logger import LogEvent, globalLogBeginner, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

__all__ = ["FuzzMixin", "cut", "mutated", "pick", "rubbish"]

#: How much longer to run than in CI.
TIMES = int(os.environ.get("SSE_FUZZ", "1"))

#: The first seed: C{SSE_FUZZ_FROM=1234 SSE_FUZZ=1} repeats a failure.
FIRST = int(os.environ.get("SSE_FUZZ_FROM", "0"))

#: How many bytes memory may grow while the second half of the input is handled.  Caches may fill,
#: such as the standard library's with long URLs, but a leak would exceed this.
GROWTH = 2**18 if TIMES == 1 else 2**20

#: Bytes that parsers have trouble with.
SPECIAL = (
    *(
        bytes([each])
        for each in b"\0\t\n\r\x0b\x0c\x1c\x1e \"%&'(),-./:;<=>?@[\\]_{}\x7f\x80\x85\xa0\xff"
    ),
    b"\r\n",
    b"\r\n\r\n",
    b"\xc3",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\xe2\x80\xa8",
    "\u0130".encode(),
    b"%",
    b"%f",
    b"%00",
    b"%ff%fe",
    b"0" * 100,
    b"9" * 30,
    b"-1",
    b"1e400",
    b"NaN",
    b"a" * 3000,
)


def rubbish(random: Random, most: int = 60) -> bytes:
    """
    @return: bytes, special ones more often than others.
    """
    pieces = []
    for _ in range(random.randrange(most)):
        if random.random() < 0.5:
            pieces.append(random.choice(SPECIAL))
        else:
            pieces.append(random.randbytes(random.randrange(1, 4)))
    return b"".join(pieces)


def mutated(random: Random, data: bytes, changes: int = 3) -> bytes:
    """
    @return: the data, with a few changes at most.
    """
    changed = bytearray(data)
    for _ in range(random.randrange(changes + 1)):
        at = random.randrange(len(changed) + 1)
        to = min(len(changed), at + random.choice((0, 1, 1, 2, 10, 100)))
        how = random.randrange(4)
        if how == 0:
            changed[at:to] = rubbish(random, 3)
        elif how == 1:
            del changed[at:to]
        elif how == 2:
            changed[at:at] = changed[at:to] * random.choice((1, 2, 50))
        elif at < len(changed):
            changed[at] ^= 1 << random.randrange(8)
    return bytes(changed)


def cut(random: Random, data: bytes) -> list[bytes]:
    """
    @return: the data in pieces.
    """
    if random.random() < 0.5:
        return [data]
    pieces = []
    while data:
        size = random.choice((1, 2, 10, 100, 1000, 10_000))
        pieces.append(data[:size])
        data = data[size:]
    return pieces


def pick(random: Random, values: Sequence[bytes]) -> bytes:
    """
    @return: one of some values as it is, or changed, or random.
    """
    how = random.random()
    if how < 0.4:
        return random.choice(values)
    if how < 0.8:
        return mutated(random, random.choice(values))
    return rubbish(random, 20)


class FuzzMixin(SynchronousTestCase):
    """
    Runs a test with many seeds.
    """

    def fuzz(self, count: int, one: Callable[[Random], None], memory: bool = True) -> None:
        """
        Call a function with many generators of random numbers: it must not raise, log a failure or
        leak memory.

        @param count: how many seeds there are in CI.
        @param one: handles input made with a generator.
        @param memory: whether to check the memory.
        """
        tracebacks: list[LogEvent] = []

        def observe(event: LogEvent) -> None:
            if event.get("log_failure") is not None or event.get("isError"):
                tracebacks.append(event)

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        # Twisted keeps log events until logging begins.
        kept = globalLogBeginner._temporaryObserver
        if kept in globalLogPublisher._observers:
            globalLogPublisher.removeObserver(kept)
            self.addCleanup(globalLogPublisher.addObserver, kept)
        seeds = range(FIRST, FIRST + count * TIMES)
        half = 0
        if memory:
            tracemalloc.start()
            self.addCleanup(tracemalloc.stop)
        for number, seed in enumerate(seeds):
            if memory and number == len(seeds) // 2:
                half = self._used()
            try:
                one(Random(seed))
            except Exception as e:
                raise AssertionError(f"seed {seed}: SSE_FUZZ_FROM={seed} repeats it") from e
            if tracebacks:
                failure: Any = tracebacks[0].get("log_failure")
                self.fail(f"seed {seed} left this in the log:\n{failure.getTraceback()}")
        if memory:
            self.assertLess(self._used() - half, GROWTH)

    def _used(self) -> int:
        gc.collect()
        return tracemalloc.get_traced_memory()[0]
