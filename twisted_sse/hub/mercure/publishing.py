"""
Publishing updates in the channel of a hub.
"""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred

from ...channel.channel import Channel
from ...format.event import Event
from ...store.contract import StoreAway
from .update import Update

__all__ = ["Publishing"]


class Publishing:
    """
    Publishes updates, with the IDs that their publishers gave them, if these are new.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        # The IDs of what is being published.
        self._taken: set[str] = set()

    def whenReady(self) -> Deferred[None]:
        """
        See L{Channel.whenReady<twisted_sse.channel.channel.Channel.whenReady>}.
        """
        return self._channel.whenReady()

    async def publish(self, updates: Sequence[Update]) -> list[str]:
        """
        Publish some updates, in order: all of them, or none.

        @return: their IDs, when they are kept as well as the store can.
        @raise NotStored: if they are not kept.
        @raise StoreAway: if the channel is closed, or the store cannot be asked.
        @raise EventTooLarge: if one is larger than the channel allows.
        """
        await self._channel.whenReady()
        taken: list[str] = []
        try:
            events = []
            for update in updates:
                topics, event, private = update
                if event.id is not None and not await self._take(event.id, taken):
                    # The protocol leaves it to the hub: an ID that is there twice is not a place.
                    event = Event(event.data, event.event, None, event.retry)
                events.append((event, topics, private))
            if self._channel.closed:
                raise StoreAway("the channel is closed")
            published = await self._channel.publishAllAndWait(events)
        finally:
            self._taken.difference_update(taken)
        return [event.id or "" for event in published]

    async def _take(self, identifier: str, taken: list[str]) -> bool:
        """
        Take an ID for an update, unless another has it.

        @param taken: the IDs that are taken by this publisher; this one is added.
        @return: whether it may have it.
        """
        if not self._channel.takesIDs or identifier in self._taken:
            return False
        if self._channel.makesID(identifier):
            # Two updates would have it, and who resumes from one of them would miss what is between.
            return False
        self._taken.add(identifier)
        taken.append(identifier)
        return not await self._channel.resumes(identifier)
