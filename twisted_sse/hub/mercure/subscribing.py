"""
Subscribing to a hub: the ID to resume from, and when the stream ends.
"""

from __future__ import annotations

import random

from twisted.internet.defer import TimeoutError

from ...channel.channel import Channel
from ...store.contract import StoreAway
from ...stream.stream import EventStream
from .asked import EARLIEST
from .selection import Selection

__all__ = ["endAt", "subscribe"]

#: The headers that tell a client where its stream begins: of Mercure 0.x, and of 1.0.
PLACE_HEADERS = (b"last-event-id", b"mercure-last-event-id")

#: For how many seconds a client waits to be told that, if the store is away.  Then its stream is
#: opened without: it resumes all the same when the store is back, and a browser that is refused
#: would never come back.
PATIENCE = 10.0

#: How long before its token expires a stream is ended, in seconds: if there is time enough, so that
#: nothing that is on its way arrives later.
LEAD = 1.0

#: For how much of the longest lifetime a stream lives at least: not all end at once that came at once.
SHORTEST = 0.8


async def subscribe(
    channel: Channel, stream: EventStream, selection: Selection, cursor: str
) -> None:
    """
    Subscribe a stream, and set the headers that tell its client where it begins: the ID of the
    update before the first that it is sent, or C{"earliest"}.

    @param cursor: the ID to resume from; empty for none.
    """
    isKept = False
    if cursor and cursor != EARLIEST:
        try:
            isKept = await channel.resumes(cursor).addTimeout(PATIENCE, stream.clock)
        except (TimeoutError, StoreAway):
            channel.subscribe(stream, choice=selection, lastEventID=cursor)
            return
        if stream.closed:
            return
    if cursor:
        place = cursor if isKept else EARLIEST
        for name in PLACE_HEADERS:
            stream.request.setHeader(name, place.encode())
    # What is unknown is no reason to be told: the header says that everything comes.
    channel.subscribe(
        stream,
        choice=selection,
        earliest=bool(cursor) and not isKept,
        lastEventID=cursor if isKept else "",
    )


def endAt(stream: EventStream, expires: float | None, longest: float | None, now: float) -> None:
    """
    End a stream no later than when its token expires, and than the longest lifetime.

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
    call = stream.clock.callLater(min(times), stream.end)

    def closed(_: object) -> None:
        if call.active():
            call.cancel()

    stream.whenClosed().addCallback(closed)
