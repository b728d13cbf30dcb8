"""
Events as bytes: made once, shared by all who are sent them.
"""

from __future__ import annotations

from collections.abc import Sequence

from .event import Event

__all__ = ["PIECE", "Batch", "Encoded", "cut"]

#: How much is handed to a connection at a time, in bytes.  A transport calls itself full at
#: 64 KiB (C{FileDescriptor.bufferSize}); more would only be copied about, for each client.
PIECE = 2**16


class Encoded:
    """
    An event as it is sent.

    @ivar data: the bytes.
    @ivar type: the event type that the client sees; L{None} for what is no event to it, such
        as a comment or a reconnection time.
    """

    __slots__ = ("data", "type")

    def __init__(self, event: Event) -> None:
        self.data = event.encode()
        self.type = None if event.data is None else event.event or "message"


class Batch:
    """
    Events that go to a stream together.

    @ivar encoded: the events.
    @ivar data: their bytes.
    @ivar events: how many of them are events to the client.
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
    Make batches of many events: each of at most L{PIECE} bytes, or of one event.
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
