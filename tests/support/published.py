"""
An observer that records the events published in a channel.
"""

from __future__ import annotations

from twisted_sse import Channel, Event

__all__ = ["Published"]


class Published:
    """
    Records the events that are published.

    @ivar events: the events.
    """

    def __init__(self) -> None:
        self.events: list[Event] = []

    def published(self, channel: Channel, event: Event, size: int) -> None:
        """
        Record an event.
        """
        self.events.append(event)

    @property
    def data(self) -> list[str | None]:
        """
        The data of the events.
        """
        return [event.data for event in self.events]
