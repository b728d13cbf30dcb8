"""
Observers of channels, for metrics and logs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from ..format.event import Event
from ..listeners import ignore, listener

__all__ = ["AnyChannelObserver", "ChannelListeners", "ChannelObserver"]


class _Published(Protocol):
    def published(self, channel: Any, event: Event, size: int, /) -> object:
        """
        An event was published.
        """


class _Delivered(Protocol):
    def delivered(self, channel: Any, events: int, streams: int, seconds: float, /) -> object:
        """
        The events published in one turn of the reactor have been handed over.
        """


class _Received(Protocol):
    def received(self, channel: Any, event: Event, isNew: bool, /) -> object:
        """
        There is an event.
        """


#: An observer with at least one of the methods of L{ChannelObserver}.
AnyChannelObserver = _Published | _Delivered | _Received


class ChannelObserver(Protocol):
    """
    Everything that an observer of channels can receive.  An observer needs only the methods that
    it is interested in.

    They are called while events are being sent, so they should be quick.  Exceptions are logged
    and otherwise ignored.

    @since: 0.2
    """

    def published(self, channel: Any, event: Event, size: int) -> None:
        """
        An event was published.

        @param channel: the L{Channel<twisted_sse.channel.channel.Channel>}.
        @param event: the event, with its ID.
        @param size: its size in bytes.
        """
        return

    def received(self, channel: Any, event: Event, isNew: bool) -> None:
        """
        There is an event for the subscribers, published here or by another process; or a store was
        opened that already had it.  Called in the order of the channel's sequence.

        @param channel: the L{Channel<twisted_sse.channel.channel.Channel>}.
        @param event: the event, with its ID.
        @param isNew: whether it is sent to the subscribers that are there.
        """
        return

    def delivered(self, channel: Any, events: int, streams: int, seconds: float) -> None:
        """
        The events published in one turn of the reactor have been handed to all subscribers that
        want them.

        @param channel: the L{Channel<twisted_sse.channel.channel.Channel>}.
        @param events: how many events were published.
        @param streams: how many streams were handed any of them.
        @param seconds: how long that took, from the publication of the first.
        """
        return


class ChannelListeners:
    """
    The methods of an observer of channels, bound once.
    """

    __slots__ = ("delivered", "published", "received")

    def __init__(self, observer: object) -> None:
        """
        @param observer: the observer; L{None} for none.
        """

        def bound(name: str) -> Callable[..., None]:
            return listener(observer, name, ChannelObserver) or ignore

        self.published = bound("published")
        self.delivered = bound("delivered")
        self.received = bound("received")
