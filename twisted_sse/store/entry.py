"""
One event of a channel's sequence.
"""

from __future__ import annotations

from ..format.encoded import Encoded
from ..format.event import Event
from .contract import Record

__all__ = ["Entry", "entryOf"]


class Entry(Encoded):
    """
    One event of a channel's sequence.

    @ivar event: the event as it is sent.
    @ivar topics: its topics.
    @ivar private: whether it is only for those who may read one of them.
    @ivar position: its place in the sequence, from 0.
    @ivar passed: how much was published before it, in the measure of L{History.passed
        <twisted_sse.store.memory.History.passed>}.
    @ivar time: when it was published, in the seconds of the channel's clock.
    @ivar place: names the place after it in a store if the ID of the event may not, since it was
        given by the application: see L{Record.place<twisted_sse.store.contract.Record>}.
    """

    __slots__ = ("event", "place", "passed", "position", "private", "time", "topics")

    def __init__(
        self,
        event: Event,
        topics: frozenset[str],
        position: int = 0,
        time: float = 0.0,
        place: str = "",
        private: bool = False,
    ) -> None:
        super().__init__(event)
        self.event = event
        self.topics = topics
        self.position = position
        self.passed = 0.0
        self.time = time
        self.place = place
        self.private = private

    @property
    def name(self) -> str:
        """
        A store's name for the place after it, which no other event has.
        """
        return self.place or self.event.id or ""


def entryOf(record: Record) -> Entry:
    """
    Make the entry of a record.
    """
    return Entry(record.event, frozenset(record.topics), place=record.place, private=record.private)
