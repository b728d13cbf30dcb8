"""
Telling subscribers who comes and goes.

These updates are private, and about topics below the URL of the hub.  They are sent to those who are
there, and never kept: else those of a busy hub would push everything else out of the history.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from ...channel.channel import Channel
from ...channel.index import Index
from ...format.event import Event
from .dialect import Dialect
from .documents import CONTEXT, document
from .selection import Selection
from .selectors import Selector
from .subscribers import Subscriber
from .update import TYPE

__all__ = ["Presence"]


class Presence:
    """
    The subscribers that may watch others.
    """

    def __init__(self, channel: Channel, hub: str, dialects: Iterable[Dialect]) -> None:
        """
        @param channel: that of the hub.
        @param hub: the path of the hub.
        @param dialects: those that the hub speaks.
        """
        self._channel = channel
        self._hub = hub
        self._dialects = tuple(dialects)
        self._index: Index[Subscriber] = Index()
        # Those who have selected everything.
        self._all: dict[Subscriber, None] = {}

    def enter(self, subscriber: Subscriber) -> None:
        """
        A subscriber has come: tell the others, and tell it about those who come later.
        """
        self._tell(subscriber, subscriber.selection.selectors, True)
        self._add(subscriber)

    def exit(self, subscriber: Subscriber) -> None:
        """
        A subscriber has left: tell the others.
        """
        self._remove(subscriber, subscriber.selection)
        self._tell(subscriber, subscriber.selection.selectors, False)

    def change(self, subscriber: Subscriber, before: Selection) -> None:
        """
        A subscriber has selected something else: tell the others what is no more, and what is new.

        @param before: what it had selected.
        """
        self._remove(subscriber, before)
        old, new = before.selectors, subscriber.selection.selectors
        self._tell(subscriber, [each for each in old if each not in new], False)
        self._tell(subscriber, [each for each in new if each not in old], True)
        self._add(subscriber)

    def _add(self, subscriber: Subscriber) -> None:
        selection = subscriber.selection
        if not selection.grants:
            # There is nothing private that it may read.
            return
        if selection.topics is None:
            self._all[subscriber] = None
        else:
            self._index.enter(selection, subscriber)

    def _remove(self, subscriber: Subscriber, selection: Selection) -> None:
        self._all.pop(subscriber, None)
        self._index.exit(selection, subscriber)

    def _tell(self, subscriber: Subscriber, selectors: Iterable[Selector], active: bool) -> None:
        if not (self._all or self._index):
            return
        for selector in selectors:
            for dialect in self._dialects:
                described = document(self._hub, dialect, subscriber, selector, active)
                topic: str = described["id"]
                found = self._index.find((topic,)) | self._all
                watchers = [
                    each
                    for each in found
                    if each.dialect is dialect and each.selection.grants.permits(topic)
                ]
                if watchers:
                    self._send(watchers, dialect, described)

    def _send(
        self, watchers: Iterable[Subscriber], dialect: Dialect, described: dict[str, object]
    ) -> None:
        isOld = dialect is Dialect.V0
        text = json.dumps({"@context": CONTEXT} | described if isOld else described)
        for watcher in watchers:
            stream = watcher.stream
            # With the ID of its place, from which the client resumes as if it had not been sent this.
            place = self._channel.placeOf(stream)
            # In 0.x there is no type.
            stream.send(Event(text, event=None if isOld else TYPE, id=place or None))
