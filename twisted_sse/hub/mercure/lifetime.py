"""
The end of a stream whose token expires or is revoked, or that has lived for long enough.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from ...stream.stream import EventStream

__all__ = ["LEAD", "abortAfter", "endAt"]

#: How long before its token expires a stream is ended, in seconds: if there is time enough, so that
#: nothing that is on its way arrives later.
LEAD = 1.0

#: For how much of the longest lifetime a stream lives at least: not all end at once that came at once.
SHORTEST = 0.8


def endAt(stream: EventStream, expires: float | None, longest: float | None, now: float) -> None:
    """
    End a stream no later than when its token expires, and than the longest lifetime.  A client that
    is still reading what was queued for it when the token expires is cut off.

    @param expires: when the token expires, in seconds since 1970; L{None} for never.
    @param longest: the longest lifetime, in seconds, which is shortened at random by up to a fifth;
        L{None} for any.
    @param now: the time, in seconds since 1970.
    """
    times = []
    if expires is not None:
        left = expires - now
        times.append(max(0.0, left - LEAD if left > 10 * LEAD else left * 0.9))
    if longest is not None:
        times.append(longest * random.uniform(SHORTEST, 1.0))
    if not times:
        return
    ending = min(times)

    def end() -> None:
        stream.end()
        if expires is not None:
            abortAfter(stream, max(0.0, expires - now - ending))

    _after(ending, stream, end)


def abortAfter(stream: EventStream, seconds: float) -> None:
    """
    Abort a stream that is ending, unless it is closed by then.

    @param seconds: the time that its client has to read what is queued.
    """
    if not stream.closed:
        _after(seconds, stream, stream.abort)


def _after(seconds: float, stream: EventStream, act: Callable[[], object]) -> None:
    """
    Do something with a stream later, unless it is closed by then.
    """
    call = stream.clock.callLater(seconds, act)

    def closed(_: object) -> None:
        if call.active():
            call.cancel()

    stream.whenClosed().addCallback(closed)
