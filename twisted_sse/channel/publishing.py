"""
What is published in a channel: it is checked, gets an ID, and is handed over or stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from ..format.event import Event, InvalidEvent, makeEvent, withID
from ..format.parser import EventTooLarge
from ..listeners import ignore
from ..store.contract import NotStored
from ..store.entry import Entry
from ..stream.options import LONGEST_ID
from ..stream.twice import ENCODED_TWICE, Twice
from .broadcast import Broadcast
from .keys import Item, Keys
from .observer import ChannelListeners
from .topics import checkedTopics

__all__ = ["Publishing"]

NO_TOPICS: frozenset[str] = frozenset()

_log = Logger()


class Publishing:
    """
    Publishes events in one channel.

    The channel is an argument of each method: the two must not keep each other alive.
    """

    def __init__(
        self, broadcast: Broadcast, maxEventSize: int, listeners: ChannelListeners
    ) -> None:
        """
        @param maxEventSize: how large an encoded event may be, in bytes.
        """
        self._broadcast = broadcast
        self._maxEventSize = maxEventSize
        self._listeners = listeners
        self._twice = Twice()
        self._keys = Keys()
        # What the observer is about to receive.
        self._news: list[tuple[Event, bool]] = []
        self._telling: IDelayedCall | None = None

    def item(
        self,
        channel: object,
        what: Event | str | None,
        fields: dict[str, Any],
        topics: Iterable[str],
        private: bool,
    ) -> Item:
        """
        Make what was given an event with topics.

        @raise RuntimeError: if the channel is closed.
        @raise InvalidEvent: if a field is not valid.
        @raise TypeError: if something has the wrong type.
        """
        if self._broadcast.isClosed:
            raise RuntimeError(f"{channel!r} is closed: it accepts no more events")
        event = what if type(what) is Event and not fields else makeEvent(what, fields)
        if self._twice.isNews(event):
            _log.warn(ENCODED_TWICE, where=repr(channel))
        if event.id and self._broadcast.store is not None:
            if len(event.id.encode()) > LONGEST_ID:
                raise InvalidEvent(
                    f"id is longer than {LONGEST_ID} bytes: no client could send it", "id"
                )
        return Item(event, NO_TOPICS if topics == () else checkedTopics(topics), private)

    def publish(self, channel: object, item: Item) -> Event:
        """
        Publish an event, and do not wait.

        @return: the event as it is sent.
        @raise NotStored: if too much is waiting to be stored.
        @raise EventTooLarge: if it is too large.
        """
        entry = self._entry(item, self._broadcast.next)
        storage = self._broadcast.storage
        if storage is None:
            self._add(channel, entry)
        else:
            storage.publish([entry])
        self._tell(channel, [entry])
        return entry.event

    def publishAndWait(
        self, channel: object, items: Sequence[Item], key: str | None
    ) -> Deferred[Sequence[Event]]:
        """
        Publish all of these, or none, unless it was done before.

        @param key: their idempotency key.
        @return: fires when they are kept; fails with L{NotStored} if they are not.
        """
        if not isinstance(key, str | None):
            raise TypeError(f"idempotencyKey is {key!r}: it must be a str, or None")
        try:
            if key is None:
                return self._store(channel, items, None)
            now = self._broadcast.seconds()
            return self._keys.once(key, items, now, lambda: self._store(channel, items, key))
        except NotStored:
            return fail()

    def deliver(self, channel: object, entry: Entry) -> None:
        """
        Hand an event to the subscribers that the store has taken.
        """
        self._add(channel, entry)
        self._tellSoon(channel, [entry], True)

    def opened(
        self, channel: object, recent: Sequence[tuple[Entry, float]], maxAge: float | None
    ) -> None:
        """
        The store is open.

        @param recent: the newest events that it has, each with its age in seconds.
        @param maxAge: for how many seconds the store keeps an event at most.
        """
        self._broadcast.opened(recent, maxAge)
        self._tellSoon(channel, [entry for entry, _ in recent], False)

    def _add(self, channel: object, entry: Entry) -> None:
        self._broadcast.add(entry, partial(self._listeners.delivered, channel))

    # The call of the observer: last, since it may publish

    def _tell(self, channel: object, entries: Iterable[Entry]) -> None:
        """
        Some events were published.
        """
        isStored = self._broadcast.storage is not None
        for entry in entries:
            self._listeners.published(channel, entry.event, len(entry.data))
            if not isStored:
                self._listeners.received(channel, entry.event, True)

    def _tellSoon(self, channel: object, entries: Iterable[Entry], isNew: bool) -> None:
        """
        There are events in the store: say so when the store has done all it is doing.
        """
        if self._listeners.received is not ignore:
            self._news += [(entry.event, isNew) for entry in entries]
            if self._news and self._telling is None:
                self._telling = self._broadcast.clock().callLater(0, self._tellNews, channel)

    def _tellNews(self, channel: object) -> None:
        self._telling = None
        news, self._news = self._news, []
        for event, isNew in news:
            self._listeners.received(channel, event, isNew)

    def _store(
        self, channel: object, items: Sequence[Item], key: str | None
    ) -> Deferred[Sequence[Event]]:
        entries = [
            self._entry(item, position) for position, item in enumerate(items, self._broadcast.next)
        ]
        published: Deferred[Sequence[Event]] = Deferred()
        storage = self._broadcast.storage
        if storage is None:
            for entry in entries:
                self._add(channel, entry)
            published.callback([entry.event for entry in entries])
        else:
            storage.publish(entries, key, published)
        self._tell(channel, entries)
        return published

    def _entry(self, item: Item, position: int) -> Entry:
        """
        Make the entry of an event that is about to be published.

        @param position: the position that it will have without a store.
        """
        event, topics, private = item
        history = self._broadcast.store
        if self._broadcast.storage is not None:
            entry = self._broadcast.storage.entry(event, topics, private)
        elif history is None or event.id:
            entry = Entry(event, topics, private=private)
        else:
            entry = Entry(withID(event, history.identify(position)), topics, private=private)
        if len(entry.data) > self._maxEventSize:
            raise EventTooLarge(self._maxEventSize, [])
        return entry
