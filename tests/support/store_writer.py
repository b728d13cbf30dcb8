"""
A program that stores numbered events, and reports when each is stored::

    python -m tests.support.store_writer PATH FIRST

It prints its prefix, then the data and the ID of each event that was stored, until it is killed.
With a third argument C{STOP}, a number, it stores that number of events at once, and ends its
reactor without closing anything.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred

from tests.support.stores import Keeper
from twisted_sse.store import SQLiteStore

#: The number of events being stored at the same time.
IN_FLIGHT = 50


async def store(path: str, first: int, stop: int | None) -> None:
    """
    Store events.
    """
    keeper = Keeper()
    keeper.log = await SQLiteStore(path, maxEvents=None).open("news", keeper, 10)
    next = first

    def one() -> None:
        nonlocal next
        data = str(next)
        next += 1

        def stored(ids: Sequence[str]) -> None:
            sys.stdout.write(f"{data} {ids[0]}\n")
            sys.stdout.flush()
            if stop is None:
                one()

        keeper.log.append([keeper.record(data)]).addCallback(stored)

    sys.stdout.write(f"{keeper.log.prefix}\n")
    sys.stdout.flush()
    for _ in range(IN_FLIGHT if stop is None else stop):
        one()
    if stop is not None:
        run: Any = reactor
        run.stop()


def main() -> None:
    """
    Run the program.
    """
    run: Any = reactor
    path, first, *stop = sys.argv[1:]
    # Before the reactor runs, as applications do.
    done = Deferred.fromCoroutine(store(path, int(first), int(stop[0]) if stop else None))
    done.addErrback(lambda failure: failure.printTraceback() or run.stop())
    run.run()


if __name__ == "__main__":
    main()
