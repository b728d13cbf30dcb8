"""
Events as bytes, encoded once and shared by every stream that they are sent to.
"""

from __future__ import annotations

from collections.abc import Sequence

from .event import Event

__all__ = ["PIECE", "Batch", "Encoded", "cut"]

#: How many bytes are handed to a connection at a time.  A transport pauses its producer at
#: 64 KiB (C{FileDescriptor.bufferSize}); more would only be copied again, for each client.
PIECE = 2**16


class Encoded:
    """
    An event as it is sent.

    A comment alone is not ended by a blank line: it is complete when its line ends, and decoders
    in wide use make an empty message of every blank line.

    @ivar data: the bytes.
    @ivar type: the event type that the client sees; L{None} if it sees no event, only a
        comment or a reconnection time, or if the event does not count.
    """

    __slots__ = ("data", "type")

    def __init__(self, event: Event, counts: bool = True) -> None:
        """
        @param counts: whether it counts as an event that is sent or dropped.  One that only tells
            the client its place does not.
        """
        self.data = event.encode()
        self.type: str | None = None
        if event.data is not None:
            self.type = event.event or "message" if counts else None
            return
        if event.event is None and event.id is None and event.retry is None:
            self.data = self.data[:-1]


class Batch:
    """
    Events that are sent to a stream together.

    @ivar encoded: the events.
    @ivar data: their bytes.
    @ivar events: how many of them the client sees as events.
    """

    __slots__ = ("data", "encoded", "events")

    def __init__(self, encoded: Sequence[Encoded]) -> None:
        self.encoded = encoded
        self.data = (
            b"".join([each.data for each in encoded]) if len(encoded) > 1 else encoded[0].data
        )
        self.events = sum(each.type is not None for each in encoded)


def cut(encoded: Sequence[Encoded]) -> list[Batch]:
    """
    Divide events into batches of at most L{PIECE} bytes, or of one larger event.
    """
    batches = []
    start = size = 0
    for index, each in enumerate(encoded):
        if size and size + len(each.data) > PIECE:
            batches.append(Batch(encoded[start:index]))
            start, size = index, 0
        size += len(each.data)
    if size:
        batches.append(Batch(encoded[start:]))
    return batches
