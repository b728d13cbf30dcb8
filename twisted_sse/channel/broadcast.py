"""
Sending published events to the subscribers.

Applications see it as a L{Channel<twisted_sse.channel.channel.Channel>}.

Events have positions in one sequence.  Everything before C{position} has been handed to the live
subscribers, or is being handed to them by the L{FanOut}; the events from there on are fresh, and
go out in the next turn.  A subscription that is behind reads from the store until its cursor
reaches C{position}; then it goes live, without a gap or a duplicate.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from ..format.encoded import Encoded, cut
from ..format.event import Event
from ..store.entry import Entry
from ..store.memory import History
from ..stream.feed import Feed
from ..stream.reasons import CloseReason
from ..stream.response import Response
from ..timing.slices import SLICE, inSlices
from ..timing.ticker import steady
from .ageing import Ageing
from .audience import Audience
from .fanout import FanOut
from .positions import Positions
from .subscription import NO_ID, LastID, Subscription

if TYPE_CHECKING:
    from ..stream.stream import EventStream

__all__ = ["Broadcast"]


_log = Logger()


class Broadcast:
    """
    One sequence of events, for any number of subscribers.

    @ivar store: keeps the events; L{None} if they are not kept.
    @ivar position: see above.
    @ivar subscriptions: all subscriptions, by response.
    @ivar audience: the live subscriptions.
    @ivar seconds: returns the time by the channel's clock.
    @ivar isClosed: whether C{close} was called.
    """

    def __init__(
        self,
        store: History | None,
        reactor: IReactorTime | None,
        positionEvent: str | None,
        resetEvent: str | None,
    ) -> None:
        """
        @param reactor: where time comes from; if L{None}, from the streams.
        @param positionEvent: see L{Channel<twisted_sse.channel.channel.Channel>}.
        @param resetEvent: see there.
        """
        self.store = store
        self.position = 0
        self.subscriptions: dict[Response, Subscription] = {}
        self.audience = Audience()
        self.isClosed = False
        self._reactor = reactor
        self._positions: Positions | None = None
        self._ageing: Ageing | None = None
        if store is not None:
            if positionEvent is not None:
                self._positions = Positions(store, positionEvent, self.audience.all)
            if store.maxAge is not None:
                self._ageing = Ageing(store, self._positions)
                self._ageing.clock = reactor
        self._resetEvent = resetEvent
        self._warned = False
        # Where time comes from; known once there is a subscriber.
        self._clock = reactor
        self.seconds = time.monotonic if reactor is None else steady(reactor)
        self._fresh: list[Entry] = []
        self._fanOut: FanOut | None = None
        self._turn: IDelayedCall | None = None
        self._waiting: dict[Deferred[None], None] = {}
        # Called after each fan-out.  It refers to the channel, so it is dropped when nothing is
        # left to send: the two must not keep each other alive.
        self._delivered: Callable[[int, int, float], None] | None = None
        # Where streams were when they unsubscribed, and the last IDs of their clients.
        self._places: WeakKeyDictionary[EventStream, tuple[int, LastID]] = WeakKeyDictionary()
        # Subscriptions that are live from their cursor on: they do not get the fresh events
        # before it.
        self._joining: dict[Subscription, None] = {}

    @property
    def next(self) -> int:
        """
        The position of the next event to be published.
        """
        return self.position + len(self._fresh)

    def add(self, entry: Entry, delivered: Callable[[int, int, float], None]) -> None:
        """
        Publish an event.

        @param entry: its position is C{next}, and its time now.
        @param delivered: called when it has been handed to all subscribers that want it, with the
            numbers of events and of streams, and how many seconds that took.
        """
        if self.store is not None:
            self.store.append(entry)
            self._checkAge()
        if self._fresh or self.audience or self._joining:
            self._delivered = delivered
            self._fresh.append(entry)
            self._beginTurn()
        else:
            self.position += 1

    def subscribe(
        self,
        response: Response,
        lastEventID: str,
        topics: frozenset[str] | None,
        where: Callable[[Event], object] | None,
        last: int,
    ) -> None:
        """
        See L{Channel.subscribe<twisted_sse.channel.channel.Channel.subscribe>}.

        @param lastEventID: the ID from the client.
        """
        if not response.isLiving:
            return
        old = self.subscriptions.get(response)
        if old is not None:
            self._changeChoice(old, topics, where)
            return
        self._adopt(response.wheel.clock)
        if self.store is not None and not self._warned and any(map(_resumes, response.feeds)):
            self._warned = True
            _log.warn(
                "{stream} is subscribed to several channels: when its client comes back, only"
                " one of them will know the last event ID. Use one channel, and topics.",
                stream=repr(response),
            )
        subscription = self.subscriptions[response] = Subscription(self, response, topics, where)
        if self.store is None:
            if lastEventID:
                lost = self.lost(self.next)
                stream = response.stream
                if lost is not None:
                    response.enqueue(lost)
                response.owner.reset(stream)
            # An observer may have ended the stream, or unsubscribed it.
            if self.subscriptions.get(response) is subscription:
                subscription.cursor = self.next
                self.caughtUp(subscription)
        elif response.stream in self._places:
            subscription.begin(*self._places.pop(response.stream))
        elif lastEventID:
            subscription.resumeAfter(lastEventID)
        else:
            newest = self._newest(subscription, last)
            # A where function may have failed.
            if response.isLiving:
                subscription.begin(newest, NO_ID)

    def unsubscribe(self, response: Response) -> None:
        """
        See L{Channel.unsubscribe<twisted_sse.channel.channel.Channel.unsubscribe>}.
        """
        subscription = self.subscriptions.get(response)
        if subscription is None:
            return
        left = self._leftOf(subscription)
        if left:
            place = left[0].position
        elif subscription.isBehind() or subscription in self._joining:
            place = subscription.cursor
        else:
            place = self.position
        isPlaced, last = subscription.isPlaced, self._lastOf(subscription)
        self._leave(subscription)
        if self.store is not None and isPlaced:
            self._places[response.stream] = place, min((place, False), last)

    def _lastOf(self, subscription: Subscription) -> LastID:
        """
        @return: the last ID that a client has been sent, or is being sent.
        """
        isLive = not subscription.isBehind()
        if isLive and subscription.choosesAll and subscription.cursor < self.position:
            return self.position, False
        return subscription.last

    def close(self) -> None:
        """
        See L{Channel.close<twisted_sse.channel.channel.Channel.close>}.
        """
        if self.isClosed:
            return
        self.isClosed = True
        if self._ageing is not None:
            self._ageing.stop()
        if self._isIdle():
            self._endAll()

    def whenDelivered(self) -> Deferred[None]:
        """
        See L{Channel.whenDelivered<twisted_sse.channel.channel.Channel.whenDelivered>}.
        """
        if self._isIdle():
            return succeed(None)
        waiting: Deferred[None] = Deferred(self._stopWaiting)
        self._waiting[waiting] = None
        return waiting

    def _stopWaiting(self, waiting: Deferred[None]) -> None:
        self._waiting.pop(waiting, None)

    def _isIdle(self) -> bool:
        """
        Whether nothing is being sent.
        """
        return self._turn is None and self._fanOut is None

    # Publisher: what a subscription calls

    def lost(self, place: int) -> Encoded | None:
        """
        Make the event that tells a client that it has missed events for good.
        """
        if self._resetEvent is None:
            return None
        # With the ID of the place where it resumes, so that it is not told again.
        identifier = None if self.store is None else self.store.mark(place)
        return Encoded(Event("{}", event=self._resetEvent, id=identifier))

    def placed(self, place: int) -> Encoded | None:
        """
        Make the event that tells a client its place.
        """
        return None if self._positions is None else self._positions.event(place)

    def kept(self) -> History:
        """
        @return: the store, without expired events.
        """
        assert self.store is not None, "a subscription that is behind was promised a store"
        self._checkAge()
        return self.store

    def caughtUp(self, subscription: Subscription) -> None:
        """
        A subscription has received everything before its cursor.
        """
        if subscription.cursor > self.position:
            self._joining[subscription] = None
            return
        positions = self._positions
        isOld = positions is not None and positions.isOldAtStart(
            subscription, self.position, self.seconds()
        )
        if isOld:
            subscription.last = self.position, True
        self._include(subscription)
        if positions is not None and isOld:
            # Last, since an observer may remove it.
            subscription.response.enqueue(positions.event(self.position))
        if self.isClosed and self._isIdle():
            subscription.response.end(CloseReason.ENDED)

    def sendNow(self, subscription: Subscription) -> None:
        """
        Remove a subscription, and hand over the events that it has not been sent yet.
        """
        left = [*self._leftOf(subscription), *self._freshOf(subscription)]
        # First, so that it is not asked again whatever it does when asked.
        self._leave(subscription)
        for batch in cut(subscription.choose(left)):
            subscription.response.push(batch)

    def left(self, subscription: Subscription) -> None:
        """
        The stream of a subscription has ended.
        """
        # Something else that ended with its stream may have unsubscribed it.
        if self.subscriptions.get(subscription.response) is subscription:
            self._leave(subscription)

    def _leftOf(self, subscription: Subscription) -> Sequence[Entry]:
        """
        Remove a subscription from the fan-out.

        @return: the events that it has not been sent.
        """
        return () if self._fanOut is None else self._fanOut.drop(subscription.response)

    def _freshOf(self, subscription: Subscription) -> Sequence[Entry]:
        """
        @return: the events that would be sent to it, or that it would be asked about, next turn.
        """
        start = subscription.cursor if subscription in self._joining else self.position
        return self._fresh[start - self.position :]

    def _leave(self, subscription: Subscription) -> None:
        del self.subscriptions[subscription.response]
        subscription.response.detach(subscription)
        subscription.cancel()
        self._joining.pop(subscription, None)
        self._exclude(subscription)

    def _include(self, subscription: Subscription) -> None:
        """
        A subscription is live.
        """
        self.audience.enter(subscription)
        if self._positions is not None:
            self._positions.enter(subscription, self.position)
        self._checkAge()

    def _exclude(self, subscription: Subscription) -> None:
        self.audience.exit(subscription)
        if self._positions is not None:
            self._positions.exit(subscription)

    def _changeChoice(
        self,
        subscription: Subscription,
        topics: frozenset[str] | None,
        where: Callable[[Event], object] | None,
    ) -> None:
        live = not subscription.isBehind() and subscription not in self._joining
        if live:
            self._exclude(subscription)
            subscription.last = self._lastOf(subscription)
            subscription.cursor = self.position
        subscription.change(topics, where)
        if live:
            self._include(subscription)

    def _newest(self, subscription: Subscription, count: int) -> int:
        """
        @return: the position of the oldest of the C{count} newest events that it wants.
        """
        store = self.kept()
        position = store.end
        while count and position > store.first and subscription.response.isLiving:
            position -= 1
            count -= len(subscription.choose([store.get(position)]))
        return position

    # Time

    def _adopt(self, clock: IReactorTime) -> None:
        """
        Use the clock of a stream, if we have none, or no other stream uses ours.
        """
        if self._reactor is not None or clock is self._clock or self.subscriptions:
            return
        if self._turn is not None:
            self._turn.cancel()
            self._turn = clock.callLater(0, self._go)
        before = self.seconds()
        self._clock = clock
        self.seconds = steady(clock)
        if self.store is not None:
            self.store.shift(self.seconds() - before)
        if self._ageing is not None:
            self._ageing.stop()
            if not self.isClosed:
                self._ageing.clock = clock
            self._checkAge()

    def _checkAge(self) -> None:
        ageing = self._ageing
        if ageing is not None and ageing.check(self.seconds(), self.position, self._checkAge):
            self._beginTurn()

    # Sending

    def _beginTurn(self) -> None:
        if self._turn is None:
            assert self._clock is not None, "the first subscriber has brought one"
            self._turn = self._clock.callLater(0, self._go)

    def _go(self) -> None:
        """
        Send for as long as one slice may block the reactor.
        """
        self._turn = None
        until = self.seconds() + SLICE

        def isLate() -> bool:
            return self.seconds() >= until

        if self._fanOut is None and self._fresh:
            self._fanOut = self._begin()
        isDone = False
        try:
            isDone = self._handOut(isLate) and self._remind(isLate)
        finally:
            if not isDone or self._fresh:
                self._beginTurn()
            else:
                self._delivered = None
                if self.isClosed:
                    self._endAll()
                waiting, self._waiting = self._waiting, {}
                for delivered in waiting:
                    delivered.callback(None)

    def _handOut(self, isLate: Callable[[], bool]) -> bool:
        """
        @return: whether everything before C{position} has been sent.
        """
        if self._fanOut is None:
            return True
        if not self._fanOut.send(isLate):
            return False
        fanOut, self._fanOut = self._fanOut, None
        seconds = self.seconds() - fanOut.entries[0].time
        assert self._delivered is not None, "something was on its way"
        self._delivered(len(fanOut.entries), fanOut.streams, seconds)
        return True

    def _remind(self, isLate: Callable[[], bool]) -> bool:
        """
        @return: whether no client has an old ID any more.
        """
        if self._positions is None:
            return True
        if not self._positions.remind(self.position, self.seconds(), isLate):
            return False
        self._checkAge()
        return True

    def _begin(self) -> FanOut:
        """
        Find out which subscribers get which of the fresh events.
        """
        fresh, self._fresh = self._fresh, []
        start, self.position = self.position, self.position + len(fresh)
        fanOut = FanOut(fresh, self._chosen)
        if self.audience.all:
            fanOut.give(list(self.audience.all), fresh)
        for subscription in self.audience.choosers:
            fanOut.ask(subscription, fresh)
        same: dict[tuple[int, ...], tuple[list[Response], list[Entry]]] = {}
        for subscription, entries in self.audience.interested(fresh).items():
            if subscription.where is not None:
                fanOut.ask(subscription, entries)
            else:
                subscription.last = entries[-1].position + 1, False
                key = tuple([entry.position for entry in entries])
                same.setdefault(key, ([], entries))[0].append(subscription.response)
        for responses, entries in same.values():
            fanOut.give(responses, entries)
        joining, self._joining = self._joining, {}
        for subscription in joining:
            fanOut.ask(subscription, fresh[subscription.cursor - start :])
            self._include(subscription)
        return fanOut

    def _chosen(self, subscription: Subscription, entry: Entry) -> None:
        """
        A subscription has chosen an event, and will be sent it.
        """
        subscription.last = entry.position + 1, False

    def _endAll(self) -> None:
        live = [each.response for each in self.subscriptions.values() if not each.isBehind()]
        if live:
            assert self._clock is not None, "the first subscriber has brought one"
            inSlices(self._clock, live, lambda response: response.end(CloseReason.ENDED))


def _resumes(feed: Feed) -> bool:
    """
    Whether a feed resumes from the last event ID.
    """
    return isinstance(feed, Subscription) and feed.publisher.store is not None
