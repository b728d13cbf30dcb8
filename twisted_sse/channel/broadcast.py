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

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from ..format.encoded import Encoded, cut
from ..format.event import Event
from ..store.entry import Entry
from ..store.memory import History
from ..stream.reasons import CloseReason
from ..stream.response import Response
from ..timing.reactors import installedReactor
from ..timing.slices import SLICE, inSlices
from ..timing.ticker import steady
from .ageing import Ageing
from .audience import Audience
from .choice import Choice
from .fanout import FanOut
from .lastid import LastID
from .older import Older
from .positions import Positions
from .storage import Storage
from .subscription import Subscription

__all__ = ["Broadcast"]


class Broadcast:
    """
    One sequence of events, for any number of subscribers.

    @ivar store: keeps the events; L{None} if they are not kept.
    @ivar storage: what is behind C{store}; L{None} if that is all.
    @ivar opening: where those begin who were there before C{storage} was open: the position, and
        the store's name for it.
    @ivar position: see above.
    @ivar place: the store's name for it; empty if it is not known.
    @ivar subscriptions: all subscriptions, by response.
    @ivar audience: the live subscriptions.
    @ivar seconds: returns the time by the channel's clock.
    @ivar isClosed: whether C{close} was called.
    @ivar live: see L{Publisher<twisted_sse.channel.publisher.Publisher>}.
    """

    def __init__(
        self,
        store: History | None,
        reactor: IReactorTime | None,
        positionEvent: str | None,
        resetEvent: str | None,
        liveComment: str | None = None,
    ) -> None:
        """
        @param reactor: where time comes from; if L{None}, from the streams.
        @param positionEvent: see L{Channel<twisted_sse.channel.channel.Channel>}.
        @param resetEvent: see there.
        @param liveComment: see there.
        """
        self.store = store
        self.position = 0
        self.place = ""
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
        self.storage: Storage | None = None
        self.opening = 0, ""
        self._resetEvent = resetEvent
        self.live = None if liveComment is None else Encoded(Event(comment=liveComment))
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

        @param entry: the event.  It gets its position and its time.
        @param delivered: called when it has been handed to all subscribers that want it, with the
            numbers of events and of streams, and how many seconds that took.
        """
        entry.position = self.next
        entry.time = self.seconds()
        if self.store is not None:
            self.store.append(entry)
            self._checkAge()
        if self._fresh or self.audience or self._joining:
            self._delivered = delivered
            self._fresh.append(entry)
            self._beginTurn()
        else:
            self.position += 1
            self.place = entry.name

    def change(
        self,
        subscription: Subscription,
        choice: Choice,
    ) -> None:
        """
        Change what a subscription chooses.
        """
        live = not subscription.isBehind() and subscription not in self._joining
        if live:
            self._exclude(subscription)
            subscription.last = self._lastOf(subscription)
            subscription.cursor = self.position
        subscription.change(choice)
        if live:
            self._include(subscription)

    def remove(self, subscription: Subscription) -> tuple[int, LastID]:
        """
        Remove a subscription.

        @return: the position of the next event that it would have been sent, and the last ID of
            its client.
        """
        place = self.placeOf(subscription)
        self._leftOf(subscription)
        last = min((place, False), self._lastOf(subscription))
        self._leave(subscription)
        return place, last

    def placeOf(self, subscription: Subscription) -> int:
        """
        @return: the position of the next event that a subscription would be sent; it does not count
            if that is only in the store.
        """
        left = () if self._fanOut is None else self._fanOut.left(subscription.response)
        if left:
            return left[0].position
        if subscription.isBehind() or subscription in self._joining:
            return subscription.cursor
        return self.position

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

    # What the storage calls

    def clock(self) -> IReactorTime:
        """
        @return: where time comes from.
        """
        return self._clock or installedReactor()

    def opened(self, recent: Sequence[tuple[Entry, float]], maxAge: float | None) -> None:
        """
        The store is open: put its newest events into the history.

        @param recent: the events, each with its age in seconds.
        @param maxAge: for how many seconds the store keeps an event at most.
        """
        store, now = self.kept(), self.seconds()
        if maxAge is not None:
            store.maxAge = maxAge if store.maxAge is None else min(maxAge, store.maxAge)
            if self._ageing is None:
                self._ageing = Ageing(store, self._positions)
                self._ageing.clock = self._clock
        for entry, age in recent:
            entry.position = self.position
            entry.time = now - age
            store.append(entry)
            self.position += 1
        self.place = store.name(self.position)
        self.opening = self.position, self.place
        self._checkAge()

    def broken(self, origin: str) -> None:
        """
        Continuity is lost: tell all subscribers, instead of sending what is on its way to them; but
        those who read from the store only if it does not have what follows.

        @param origin: the place before the next event.
        """
        self.kept().front(origin)
        self.place = ""
        all = [each for each in self.subscriptions.values() if each.isPlaced]
        for subscription in all:
            self._leftOf(subscription)
            self._joining.pop(subscription, None)
            self._exclude(subscription)
            subscription.doubt()
        inSlices(self.clock(), all, Subscription.resume)

    def released(self) -> None:
        """
        What was published has been handed over, or will never be.
        """
        if self._isIdle():
            if self.isClosed:
                self._endAll()
            waiting, self._waiting = self._waiting, {}
            for delivered in waiting:
                delivered.callback(None)

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
        Whether nothing is being sent, nor waits to be stored first.
        """
        isHolding = self.storage is not None and self.storage.writing.isHolding
        return self._turn is None and self._fanOut is None and not isHolding

    # Publisher: what a subscription calls

    def lost(self, place: int | None) -> Encoded | None:
        """
        Make the event that tells a client that it has missed events permanently.
        """
        if self._resetEvent is None:
            return None
        # With the ID of the place where it resumes, so that it is not told again.
        identifier = None
        if self.store is not None and place is not None:
            identifier = self.store.mark(place) or None
        return Encoded(Event("{}", event=self._resetEvent, id=identifier))

    @property
    def older(self) -> Older | None:
        """
        Reads what only the store has.
        """
        return None if self.storage is None else self.storage.older

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
        positions = self._positions if subscription.choice.isTold else None
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
        if self._positions is not None and subscription.choice.isTold:
            self._positions.enter(subscription, self.position)
        self._checkAge()

    def _exclude(self, subscription: Subscription) -> None:
        self.audience.exit(subscription)
        if self._positions is not None:
            self._positions.exit(subscription)

    # Time

    def adopt(self, clock: IReactorTime) -> None:
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
        if self.storage is not None:
            self.storage.changeClock()
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
            self._turn = self.clock().callLater(0, self._go)

    def _go(self) -> None:
        """
        Send for as long as one slice may block the reactor.
        """
        self._turn = None
        until = self.seconds() + SLICE

        def isLate() -> bool:
            return self.seconds() >= until

        if self._fanOut is None and self._fresh:
            self._fanOut = self._begin(isLate)
        isDone = False
        try:
            isDone = self._handOut(isLate) and self._remind(isLate)
        finally:
            if not isDone or self._fresh:
                self._beginTurn()
            else:
                self._delivered = None
                self.released()

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

    def _begin(self, isLate: Callable[[], bool]) -> FanOut | None:
        """
        Find out which subscribers get which of the fresh events: of as many as can be looked at in
        this turn.

        @return: L{None} if that takes longer even for the first.
        """
        count, interested = self.audience.find(self._fresh, isLate)
        if not count:
            return None
        fresh, self._fresh = self._fresh[:count], self._fresh[count:]
        start, self.position = self.position, self.position + len(fresh)
        self.place = fresh[-1].name
        fanOut = FanOut(fresh, self._chosen)
        self.audience.send(fresh, interested, fanOut)
        for subscription in [each for each in self._joining if each.cursor <= self.position]:
            del self._joining[subscription]
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
            inSlices(self.clock(), live, lambda response: response.end(CloseReason.ENDED))
