"""
Observers of streams, for metrics and logs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from ..listeners import ignore, listener
from .reasons import CloseReason
from .stream import EventStream

__all__ = ["AnyStreamObserver", "StreamListeners", "StreamObserver"]


class _Opened(Protocol):
    def opened(self, stream: EventStream, /) -> object:
        """
        The headers of a stream have been sent.
        """


class _Closed(Protocol):
    def closed(self, stream: EventStream, reason: CloseReason, /) -> object:
        """
        A stream that was opened has closed.
        """


class _Sent(Protocol):
    def sent(self, stream: EventStream, events: int, size: int, /) -> object:
        """
        Something was handed to a stream's connection.
        """


class _Dropped(Protocol):
    def dropped(self, stream: EventStream, events: int, /) -> object:
        """
        Events were dropped because the client does not read.
        """


class _Replayed(Protocol):
    def replayed(self, stream: EventStream, events: int, /) -> object:
        """
        Events from a history were handed to a stream.
        """


class _Reset(Protocol):
    def reset(self, stream: EventStream, /) -> object:
        """
        A client has missed events permanently, and receives a reset.
        """


#: An observer with at least one of the methods of L{StreamObserver}.
AnyStreamObserver = _Opened | _Closed | _Sent | _Dropped | _Replayed | _Reset


class StreamObserver(Protocol):
    """
    Everything that an observer of streams can receive.  An observer needs only the methods that
    it is interested in.

    They are called while events are being sent, so they should be quick.  Exceptions are logged
    and otherwise ignored.

    @since: 0.2
    """

    def opened(self, stream: EventStream) -> None:
        """
        The headers of a stream have been sent.
        """
        return

    def closed(self, stream: EventStream, reason: CloseReason) -> None:
        """
        A stream that was opened has closed.
        """
        return

    def sent(self, stream: EventStream, events: int, size: int) -> None:
        """
        Something was handed to a stream's connection.

        @param events: the number of events; 0 for a heartbeat.
        @param size: the size in bytes, without HTTP's framing.
        """
        return

    def dropped(self, stream: EventStream, events: int) -> None:
        """
        Events were dropped because the client does not read.

        @param events: how many.
        """
        return

    def replayed(self, stream: EventStream, events: int) -> None:
        """
        Events from a history were handed to a stream.  They were reported to C{sent} too.

        @param events: how many.
        """
        return

    def reset(self, stream: EventStream) -> None:
        """
        A client has missed events permanently, and receives a reset: its last event ID is unknown
        or no longer kept, or it read too slowly for the history.
        """
        return


class StreamListeners:
    """
    The methods of an observer of streams, bound once.

    @ivar sent: L{None} if the observer does not have it, since it is called for each delivery.
    """

    __slots__ = ("closed", "dropped", "opened", "replayed", "reset", "sent")

    def __init__(self, observer: object) -> None:
        """
        @param observer: the observer; L{None} for none.
        """

        def bound(name: str) -> Callable[..., None]:
            return listener(observer, name, StreamObserver) or ignore

        self.opened = bound("opened")
        self.closed = bound("closed")
        self.dropped = bound("dropped")
        self.replayed = bound("replayed")
        self.reset = bound("reset")
        self.sent: Callable[[Any, int, int], None] | None = listener(
            observer, "sent", StreamObserver
        )
