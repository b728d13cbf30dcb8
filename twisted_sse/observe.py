"""
What happened to streams, told once: for metrics and logs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from .stream import CloseReason, EventStream

__all__ = ["Observer"]


class Observer(Protocol):
    """
    Somebody who wants to know.  A class that inherits from this one need only have the
    methods that interest it.

    The methods are called in the middle of things, so they should be quick.  What they raise
    is logged and otherwise ignored.

    @since: 0.1
    """

    def opened(self, stream: EventStream) -> None:
        """
        The headers of a stream have been sent.
        """

    def closed(self, stream: EventStream, reason: CloseReason) -> None:
        """
        A stream that was opened is over.
        """

    def sent(self, stream: EventStream, events: int, size: int) -> None:
        """
        Something was handed to a stream's connection.

        @param events: the number of events in it; 0 for a heartbeat.
        @param size: its size in bytes, before the framing of HTTP.
        """

    def dropped(self, stream: EventStream, events: int) -> None:
        """
        Events were dropped, since the client does not read.

        @param events: how many.
        """
