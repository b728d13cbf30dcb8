"""
Who subscribes to a channel, and with which event each begins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary

from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import Logger

from ..store.contract import StoreAway
from ..stream.feed import Feed
from ..stream.response import Response
from .broadcast import Broadcast
from .choice import Choice
from .lastid import NO_ID, LastID
from .subscription import Subscription

if TYPE_CHECKING:
    from ..stream.stream import EventStream

__all__ = ["Subscribers"]

_log = Logger()


class _Place(NamedTuple):
    """
    Where a stream was when it unsubscribed.  See L{Subscription} for its attributes.
    """

    cursor: int
    last: LastID
    isOlder: bool
    after: str | None
    given: int | None
    isMarked: bool


class Subscribers:
    """
    Subscribes and unsubscribes the streams of a channel.
    """

    def __init__(self, broadcast: Broadcast) -> None:
        self._broadcast = broadcast
        self._warned = False
        # Where streams were when they unsubscribed, and the last IDs of their clients.
        self._places: WeakKeyDictionary[EventStream, _Place] = WeakKeyDictionary()

    def subscribe(
        self,
        response: Response,
        lastEventID: str,
        choice: Choice,
        last: int,
        earliest: bool,
    ) -> None:
        """
        See L{Channel.subscribe<twisted_sse.channel.channel.Channel.subscribe>}.

        @param lastEventID: the ID from the client; empty for none.
        """
        if not response.isLiving:
            return
        broadcast = self._broadcast
        old = broadcast.subscriptions.get(response)
        if old is not None:
            broadcast.change(old, choice)
            return
        broadcast.adopt(response.wheel.clock)
        if broadcast.store is not None and not self._warned and any(map(_resumes, response.feeds)):
            self._warned = True
            _log.warn(
                "{stream} is subscribed to several channels: when its client "
                "reconnects, only one of them will recognise its last event ID. Use "
                "one channel with topics",
                stream=repr(response),
            )
        subscription = Subscription(broadcast, response, choice)
        broadcast.subscriptions[response] = subscription
        storage = broadcast.storage
        if broadcast.store is None:
            if lastEventID:
                lost = broadcast.lost(broadcast.next)
                stream = response.stream
                if lost is not None:
                    response.enqueue(lost)
                response.owner.reset(stream)
            # An observer may have ended the stream, or unsubscribed it.
            if broadcast.subscriptions.get(response) is subscription:
                subscription.cursor = broadcast.next
                broadcast.caughtUp(subscription)
        elif storage is None or storage.log is not None:
            self._start(subscription, lastEventID, last, earliest)
        else:
            subscription.park(
                storage.whenReady(),
                lambda: self._start(subscription, lastEventID, last, earliest, broadcast.opening),
            )

    def _start(
        self,
        subscription: Subscription,
        lastEventID: str,
        last: int,
        earliest: bool,
        place: tuple[int, str] | None = None,
    ) -> None:
        """
        Find out where a subscription begins.

        @param place: the position, and a store's name for it, after the newest events that are for
            a new client; if not given, the end.
        """
        response = subscription.response
        left = self._places.pop(response.stream, None)
        history = self._broadcast.kept()
        if left is not None:
            subscription.isMarked = left.isMarked
            # If continuity was lost since, the place is not where it was.
            isKnown = left.cursor < 0 or history.place(left.after) == left.cursor
            if left.isOlder or (history.isFront and not isKnown):
                subscription.beginOlder(left.after, left.last, left.given)
            else:
                subscription.begin(left.cursor, left.last, left.after)
        elif lastEventID:
            subscription.resumeAfter(lastEventID)
        elif earliest:
            subscription.beginOldest()
        else:
            end, after = place or (history.end, None)
            newest = self._newest(subscription, last, end)
            # A where function may have failed.
            if response.isLiving:
                if newest != end or after is None:
                    after = history.name(newest)
                subscription.begin(newest, NO_ID, after)

    def unsubscribe(self, response: Response) -> None:
        """
        See L{Channel.unsubscribe<twisted_sse.channel.channel.Channel.unsubscribe>}.
        """
        broadcast = self._broadcast
        subscription = broadcast.subscriptions.get(response)
        if subscription is None:
            return
        isBehind, isPlaced = subscription.isBehind(), subscription.isPlaced
        isOlder, after, given = subscription.isOlder, subscription.after, subscription.given
        cursor, last = broadcast.remove(subscription)
        if broadcast.store is not None and isPlaced:
            if not isBehind:
                after = broadcast.store.name(cursor)
                if not after and cursor == broadcast.position:
                    # What is on its way has pushed it out of the history already.
                    after = broadcast.place
            self._places[response.stream] = _Place(
                cursor, last, isOlder, after, given, subscription.isMarked
            )

    @property
    def lastEventID(self) -> str:
        """
        See L{Channel.lastEventID<twisted_sse.channel.channel.Channel.lastEventID>}.
        """
        store = self._broadcast.store
        return store.mark(store.end) if store is not None and store.end else ""

    def placeOf(self, response: Response) -> str:
        """
        See L{Channel.placeOf<twisted_sse.channel.channel.Channel.placeOf>}.
        """
        broadcast = self._broadcast
        subscription = broadcast.subscriptions.get(response)
        if subscription is None or broadcast.store is None or not subscription.isPlaced:
            return ""
        if subscription.isOlder:
            return subscription.after or ""
        place = broadcast.placeOf(subscription)
        return broadcast.store.mark(place) if place >= broadcast.store.first else ""

    def resumes(self, lastEventID: str) -> Deferred[bool]:
        """
        See L{Channel.resumes<twisted_sse.channel.channel.Channel.resumes>}.
        """
        storage = self._broadcast.storage
        if self._broadcast.store is None:
            return succeed(False)
        if storage is None:
            return succeed(lastEventID in self._broadcast.kept())
        return storage.whenReady().addCallback(lambda _: self._isKept(lastEventID))

    def _isKept(self, lastEventID: str) -> bool | Deferred[bool]:
        """
        Whether the history has everything after an ID, or the store behind it.
        """
        if lastEventID in self._broadcast.kept():
            return True
        older = self._broadcast.older
        return fail(StoreAway("the channel is closed")) if older is None else older.has(lastEventID)

    def _newest(self, subscription: Subscription, count: int, end: int) -> int:
        """
        @return: the position of the oldest of the C{count} newest events before C{end} that it
            wants.
        """
        store = self._broadcast.kept()
        position = end
        while count and position > store.first and subscription.response.isLiving:
            position -= 1
            count -= len(subscription.choose([store.get(position)]))
        return position


def _resumes(feed: Feed) -> bool:
    """
    Whether a feed resumes from the last event ID.
    """
    return isinstance(feed, Subscription) and feed.publisher.store is not None
