"""
What happened to channels, told once: for metrics and logs.
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
        What was published in one turn of the reactor has been handed over.
        """


#: An observer with any of the methods of L{ChannelObserver}: it need not have the others.
AnyChannelObserver = _Published | _Delivered


class ChannelObserver(Protocol):
    """
    All that an observer of channels may be told.  It need only have the methods that interest
    it.

    The methods are called in the middle of things, so they should be quick.  What they raise
    is logged and otherwise ignored.

    @since: 0.1
    """

    def published(self, channel: Any, event: Event, size: int) -> None:
        """
        An event was published.

        @param channel: the L{Channel<twisted_sse.channel.channel.Channel>}.
        @param event: with its ID.
        @param size: its size in bytes.
        """
        return

    def delivered(self, channel: Any, events: int, streams: int, seconds: float) -> None:
        """
        What was published in one turn of the reactor has been handed to all subscribers that
        want it.

        @param channel: the L{Channel<twisted_sse.channel.channel.Channel>}.
        @param events: how many events were published.
        @param streams: how many streams were handed something.
        @param seconds: how long it took since the first of them was published.
        """
        return


class ChannelListeners:
    """
    The methods of an observer of channels, bound once.
    """

    __slots__ = ("delivered", "published")

    def __init__(self, observer: object) -> None:
        """
        @param observer: the observer; L{None} for none.
        """

        def bound(name: str) -> Callable[..., None]:
            return listener(observer, name, ChannelObserver) or ignore

        self.published = bound("published")
        self.delivered = bound("delivered")
