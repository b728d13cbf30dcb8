"""
Notifying subscribers of subscriptions that begin and end.

These updates are private, and about topics below the URL of the hub.  They are sent to those who are
there, and never kept: else those of a busy hub would push everything else out of the history.
"""

from __future__ import annotations

import json
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from ...channel.channel import Channel
from ...channel.index import Index
from ...format.encoded import Batch, Encoded, cut
from ...format.event import Event
from ...stream.response import Response
from ...stream.stream import responseOf
from ...stream.transport import sendToAll
from ...timing.slices import SLICE
from ...timing.ticker import steady
from .dialect import Dialect
from .documents import CONTEXT, document
from .selection import Selection
from .selectors import Selector
from .subscribers import Subscriber
from .update import TYPE

__all__ = ["Presence", "Visible"]

#: Decides whether others may know that a subscriber has selected something: see L{Presence}.
Visible = Callable[[str, dict[str, Any]], bool]

_log = Logger()

#: After how many watchers the clock is checked.
ROUND = 32

#: How much is sent together at most: how many texts, and how often one of them.
MOST_TEXTS = 100
MOST_TOGETHER = 100_000


class _News(NamedTuple):
    """
    A notification.

    @ivar selectors: what its subscriber has selected; or does not any more, if not C{active}.
    @ivar before: how many watchers had come before.  Those who come later are not told.
    @ivar lists: how many lists of subscribers had been made before.
    """

    subscriber: Subscriber
    selectors: Sequence[Selector]
    active: bool
    before: int
    lists: int


class _Text(NamedTuple):
    data: str
    type: str | None


class Presence:
    """
    The subscribers that may watch others.

    All notifications are sent in one order, in slices that do not block the reactor for long, and
    those that are made together in one write for each subscriber.  A subscriber that leaves before
    it was announced or listed is never announced: so there are never more notifications than
    subscribers, however fast they connect and disconnect.
    """

    def __init__(
        self,
        channel: Channel,
        hub: str,
        dialects: Iterable[Dialect],
        visible: Visible | None = None,
    ) -> None:
        """
        @param channel: that of the hub.
        @param hub: the path of the hub.
        @param dialects: those that the hub speaks.
        @param visible: decides which subscriptions others may know about; L{None} for all.
        """
        if visible is not None and not callable(visible):
            raise TypeError(f"visible is {visible!r}: it must be a function, or None")
        self._channel = channel
        self._hub = hub
        self._dialects = tuple(dialects)
        self._visible = visible
        self._index: Index[Subscriber] = Index()
        # Those who have selected everything.
        self._all: dict[Subscriber, None] = {}
        # How many of the watchers had come before each.
        self._watchers: dict[Subscriber, int] = {}
        self._count = 0
        self._lists = 0
        # How many there are of each dialect.
        self._dialectsOf: Counter[Dialect] = Counter()
        # The notifications to send, by the subscriber and whether it has connected.
        self._news: OrderedDict[tuple[Subscriber, object], _News] = OrderedDict()
        self._telling: Iterator[None] | None = None

    def enter(self, subscriber: Subscriber) -> None:
        """
        A subscriber has come: tell the others, and tell it about those who come later.
        """
        subscriber.shown = self._shown(subscriber)
        self._tell(True, subscriber, subscriber.shown, True)
        if subscriber.selection.grants:
            # Else there is nothing private that it may read.
            self._watchers[subscriber] = self._count
            self._count += 1
            self._dialectsOf[subscriber.dialect] += 1
            self._add(subscriber)

    def exit(self, subscriber: Subscriber) -> None:
        """
        A subscriber has left: tell the others.
        """
        if self._watchers.pop(subscriber, None) is not None:
            self._dialectsOf[subscriber.dialect] -= 1
        self._remove(subscriber, subscriber.selection)
        if self._unknown(subscriber) is None:
            self._tell(False, subscriber, subscriber.shown, False)
        else:
            del self._news[subscriber, True]

    def listed(self) -> None:
        """
        A list is made of the subscribers that there are.
        """
        self._lists += 1

    def change(self, subscriber: Subscriber, before: Selection) -> None:
        """
        A subscriber has selected something else: notify the others of what has ended, and what is
        new.

        @param before: what it had selected.
        """
        old, new = subscriber.shown, self._shown(subscriber)
        subscriber.shown = new
        coming = self._unknown(subscriber)
        if coming is not None:
            self._news[subscriber, True] = coming._replace(selectors=new)
        else:
            self._tell(object(), subscriber, [each for each in old if each not in new], False)
            self._tell(object(), subscriber, [each for each in new if each not in old], True)
        if subscriber in self._watchers:
            self._remove(subscriber, before)
            self._add(subscriber)

    def _shown(self, subscriber: Subscriber) -> tuple[Selector, ...]:
        """
        @return: what others may know that it has selected.
        """
        selectors = subscriber.selection.selectors
        visible = self._visible
        if visible is None:
            return selectors
        described = subscriber.describe()
        permits = subscriber.selection.grants.permits
        try:
            return tuple(
                each
                for each in selectors
                if visible(each.text, {**described, "granted": permits(each.text)})
            )
        except Exception:
            _log.failure("The function visible failed: the subscriber is not shown")
            return ()

    def _unknown(self, subscriber: Subscriber) -> _News | None:
        """
        @return: the notification of a new subscriber that was not sent yet; L{None} if it may have
            been.
        """
        coming = self._news.get((subscriber, True))
        return coming if coming is not None and coming.lists == self._lists else None

    def _add(self, subscriber: Subscriber) -> None:
        selection = subscriber.selection
        if selection.topics is None:
            self._all[subscriber] = None
        else:
            self._index.enter(selection, subscriber)

    def _remove(self, subscriber: Subscriber, selection: Selection) -> None:
        self._all.pop(subscriber, None)
        self._index.exit(selection, subscriber)

    def _tell(
        self, key: object, subscriber: Subscriber, selectors: Sequence[Selector], active: bool
    ) -> None:
        """
        @param key: tells it from other news of the subscriber.
        """
        if not self._watchers:
            return
        self._news[subscriber, key] = _News(subscriber, selectors, active, self._count, self._lists)
        if self._telling is None:
            # In the next turn, so that subscribers that connect together are announced together.
            self._telling = self._tellAll()
            clock = subscriber.stream.clock
            clock.callLater(0, self._go, clock)

    def _go(self, clock: IReactorTime) -> None:
        """
        Tell what there is to tell, for as long as one slice may block the reactor.
        """
        assert self._telling is not None, "there is something to tell"
        seconds = steady(clock)
        until = seconds() + SLICE
        isLate = False
        try:
            for _ in self._telling:
                isLate = seconds() >= until
                if isLate:
                    clock.callLater(0, self._go, clock)
                    return
        finally:
            if not isLate:
                self._telling = None

    def _tellAll(self) -> Iterator[None]:
        """
        Tell what there is to tell.

        @return: goes on.
        """
        pending: Iterator[tuple[_News, Selector, Dialect]] = iter(())
        while True:
            texts: list[_Text] = []
            # Which of the texts each is sent.
            told: dict[Subscriber, list[int]] = {}
            size = 0
            while size < MOST_TOGETHER and len(texts) < MOST_TEXTS:
                one = next(pending, None)
                if one is not None:
                    text, watchers = self._described(*one)
                    for watcher in watchers:
                        told.setdefault(watcher, []).append(len(texts))
                    texts.append(text)
                    size += len(watchers)
                    yield
                elif self._news:
                    pending = self._each(self._news.popitem(last=False)[1])
                else:
                    break
            if not texts:
                return
            yield from self._send(texts, told)

    def _each(self, news: _News) -> Iterator[tuple[_News, Selector, Dialect]]:
        for selector in news.selectors:
            for dialect in filter(self._dialectsOf.__getitem__, self._dialects):
                yield news, selector, dialect

    def _described(
        self, news: _News, selector: Selector, dialect: Dialect
    ) -> tuple[_Text, list[Subscriber]]:
        """
        @return: the notifications, and who receives them.
        """
        subscriber = news.subscriber
        described = document(self._hub, dialect, subscriber, selector, news.active)
        topic: str = described["id"]
        watchers = [
            each
            for each in self._index.find((topic,)) | self._all
            if self._watchers[each] < news.before
            and each is not subscriber
            and each.dialect is dialect
            and each.selection.grants.permits(topic)
        ]
        isOld = dialect is Dialect.V0
        text = json.dumps({"@context": CONTEXT} | described if isOld else described)
        return _Text(text, None if isOld else TYPE), watchers

    def _send(self, texts: Sequence[_Text], told: dict[Subscriber, list[int]]) -> Iterator[None]:
        """
        Send some texts.

        @param told: which of them each is sent.
        @return: goes on.
        """
        same: dict[tuple[int, ...], list[Subscriber]] = {}
        for watcher, numbers in told.items():
            same.setdefault(tuple(numbers), []).append(watcher)
        for wanted, watchers in same.items():
            made: dict[str, list[Batch]] = {}
            for start in range(0, len(watchers), ROUND):
                places: dict[str, list[Response]] = {}
                for watcher in watchers[start : start + ROUND]:
                    # It may have left meanwhile.
                    if watcher in self._watchers:
                        place = self._channel.placeOf(watcher.stream)
                        places.setdefault(place, []).append(responseOf(watcher.stream))
                for place, responses in places.items():
                    if place not in made:
                        # With the ID of the place, from which the client resumes as if it had not
                        # been sent this.
                        events = [Event(*texts[number], place or None) for number in wanted]
                        made[place] = cut([Encoded(event) for event in events])
                    for batch in made[place]:
                        sendToAll(responses, batch, responses[0].wheel.seconds())
                yield
