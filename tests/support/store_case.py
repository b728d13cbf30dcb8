"""
A channel with a store, for tests.
"""

from __future__ import annotations

from typing import Any

from tests.support.channels import ChannelTestCase
from tests.support.late_store import Content, LateStore
from twisted_sse import Channel, Event, History
from twisted_sse.channel import storage
from twisted_sse.testing import MemoryClock
from twisted_sse.timing.backoff import Backoff


class StoreTestCase(ChannelTestCase):
    """
    A channel with a store.
    """

    def setUp(self) -> None:
        """
        Begin with an empty store.
        """
        self.kept: dict[str, Content] = {}
        self.time = MemoryClock()
        # The store's delays are random; these are short compared to the seconds in the tests.
        self.patch(storage, "BACKOFF", Backoff(initial=0.1, maximum=1.0))

    def start(
        self, window: int = 10, open: bool = True, liveComment: str | None = None, **options: Any
    ) -> Channel:
        """
        Start a process: open the store.
        """
        self.store = LateStore(self.time, self.kept, **options)
        history = History(maxEvents=window)
        channel = Channel(
            history, name="news", reactor=self.time, store=self.store, liveComment=liveComment
        )
        self.serve(channel, self.time)
        if open:
            self.successResultOf(self.opened())
        return channel

    def opened(self) -> Any:
        """
        Wait until the store is open.
        """
        ready = self.channel.whenReady()
        self.settle()
        return ready

    def settle(self, turns: int = 40) -> None:
        """
        Let the store and the channel do their work.
        """
        self.time.pump([0.01] * turns)

    def publish(self, *numbers: int, **fields: Any) -> list[Event]:
        """
        Publish events, and let them be stored.
        """
        events = [self.channel.publish(str(number), **fields) for number in numbers]
        self.settle()
        return events

    @property
    def content(self) -> Content:
        """
        The channel's stored content.
        """
        return self.kept["news"]
