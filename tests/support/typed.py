"""
User code for mypy: it must pass in strict mode.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted_sse import Channel, Event, EventStream, EventStreamResource
from twisted_sse.observe import Observer, Observers
from twisted_sse.stream import CloseReason

__all__ = ["Bytes", "Closings", "Everything", "Words", "observed"]


class Bytes:
    """
    Observes only the bytes sent.
    """

    def __init__(self) -> None:
        self.total = 0

    def sent(self, stream: EventStream, events: int, size: int) -> None:
        """
        Count the bytes.
        """
        self.total += size


class Closings:
    """
    Observes only the ends of streams.
    """

    def __init__(self) -> None:
        self.reasons: list[CloseReason] = []

    def closed(self, stream: EventStream, reason: CloseReason) -> None:
        """
        Keep the reason.
        """
        self.reasons.append(reason)


class Words:
    """
    Observes only published events.
    """

    def __init__(self) -> None:
        self.words: list[str | None] = []

    def published(self, channel: Channel, event: Event, size: int) -> None:
        """
        Keep the data.
        """
        self.words.append(event.data)


class Everything(Observer):
    """
    Observes everything, and does nothing with it.
    """


def observed(
    sizes: Bytes, closings: Closings, words: Words
) -> tuple[EventStreamResource, EventStreamResource, Channel]:
    """
    Pass observers with only some of the methods to everything that takes one.

    @return: two resources that subscribe to the channel, and the channel.
    """
    channel = Channel(observer=words)
    both = Observers(sizes, closings, words, Everything(), None)
    return (
        EventStreamResource(channel.subscribe, observer=both),
        EventStreamResource(channel.subscribe, observer=sizes),
        channel,
    )


if TYPE_CHECKING:
    # An object that is not an observer does not type-check.
    Observers(object())  # type: ignore[arg-type]
