"""
One event to many streams.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from threading import get_ident
from typing import Any, cast
from weakref import WeakKeyDictionary

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python import threadable

from ..checks import checkInteger, checkList
from ..format.encoded import Encoded, cut
from ..format.event import Event, InvalidEvent, makeEvent
from ..format.parser import EventTooLarge
from ..observe import Observer, checkObserver, tell
from ..store.memory import LONGEST_ID, Entry, History
from ..stream.feed import Feed
from ..stream.stream import EventStream
from ..timing.slices import SLICE, inSlices
from ..timing.ticker import steady
from .fanout import FanOut
from .subscription import Subscription

__all__ = ["Channel"]

#: The default is a history of its own for each channel.
_OWN = History()

_log = Logger()


class Channel:
    """
    One sequence of events, for as many streams as subscribe to it.

        >>> channel = Channel()
        >>> resource = EventStreamResource(channel.subscribe)
        >>> channel.publish("hello", event="greeting")

    What is published in one turn of the reactor goes out in the next, in one write for each
    stream, encoded once for all.  A client that comes back with the ID of the last event that
    it has seen gets what it has missed, then what is new: no gap, no duplicate, in order.

    It is to be used in the reactor's thread only.

    @ivar name: what metrics call it.
    @ivar history: what can be replayed.

    @since: 0.1
    """

    def __init__(
        self,
        history: History | None = _OWN,
        name: str | None = None,
        maxEventSize: int = 2**20,
        reactor: IReactorTime | None = None,
        *,
        resetEvent: str | None = "stream-reset",
        observer: Observer | None = None,
    ) -> None:
        """
        @param history: what can be replayed, C{History()} if not given; L{None} for nothing:
            then events are sent without an ID if they have none.
        @param name: what metrics call it.
        @param maxEventSize: how large an event may be, in bytes, as it is sent.
        @param reactor: where time comes from: that of the streams if not given.
        @param resetEvent: the type of the event that tells a client that it has missed
            something for good; L{None} for no such event.
        @param observer: who is told what happens.
        @raise ValueError: if an argument is out of its range.
        @raise TypeError: if it is no such thing.
        """
        if history is _OWN:
            history = History()
        if history is not None:
            if not isinstance(history, History):
                raise TypeError(f"history is {history!r}: it must be a History, or None")
        if name is not None and not isinstance(name, str):
            raise TypeError(f"name is {name!r}: it must be a str, or None")
        checkInteger("maxEventSize", maxEventSize, 1, optional=False)
        if reactor is not None and not IReactorTime.providedBy(reactor):
            raise TypeError(f"reactor is {reactor!r}: it must be a reactor or a Clock")
        if resetEvent is not None:
            # If it is none, this is where to say so.
            Event("", event=resetEvent)
        checkObserver(observer)
        if history is not None:
            history._claim()
        self.name = name
        self.history = history
        self._maxEventSize = maxEventSize
        self._reactor = reactor
        self._resetEvent = resetEvent
        self._observer = observer
        self._thread = get_ident()
        self._warned = False
        self._closed = False
        # Where time comes from; known at the latest when there is somebody to be sent something.
        self._clock = reactor
        self._seconds = time.monotonic if reactor is None else steady(reactor)
        # The sequence: everything before this position has been handed to those who are
        # live, what follows is to be handed over in the next turn.
        self._position = 0
        self._fresh: list[Entry] = []
        self._fanOut: FanOut | None = None
        self._turn: IDelayedCall | None = None
        self._expiry: IDelayedCall | None = None
        self._waiting: dict[Deferred[None], None] = {}
        self._subscriptions: dict[EventStream, Subscription] = {}
        # Where those were that have unsubscribed.
        self._places: WeakKeyDictionary[EventStream, tuple[int, bool]] = WeakKeyDictionary()
        # Those who are live: who gets everything, who wants to hear about a topic, who has to
        # be asked about each event.
        self._all: dict[EventStream, None] = {}
        self._topics: dict[str, dict[Subscription, None]] = {}
        self._choosers: dict[Subscription, None] = {}
        # Who is live from its cursor on: of what is fresh it is not to get what comes before.
        self._joining: dict[Subscription, None] = {}

    def __repr__(self) -> str:
        name = "" if self.name is None else f" {self.name!r}"
        return f"<Channel{name}: {len(self._subscriptions)} streams, {self.history!r}>"

    @property
    def streams(self) -> frozenset[EventStream]:
        """
        The streams that are subscribed.
        """
        return frozenset(self._subscriptions)

    @property
    def closed(self) -> bool:
        """
        Whether C{close} was called.
        """
        return self._closed

    def publish(
        self, what: Event | str | None = None, /, *, topics: Iterable[str] = (), **fields: Any
    ) -> Event:
        """
        Send one event to all who have subscribed: C{publish(Event(..))}, C{publish("data")},
        C{publish("data", event="type")}, C{publish(json=value, topics=["user:7"])}.

        @param what: an L{Event}, or a C{str} that is its data.
        @param topics: what it is about: those who have subscribed to topics get it only if one
            of theirs is among these.
        @param fields: C{json}, any value to be sent as JSON, or the fields of the event.
        @return: the event as it is sent: with a history, every event has an ID.
        @raise InvalidEvent: if a field is no good.
        @raise EventTooLarge: if it is larger than C{maxEventSize}.
        @raise RuntimeError: if the channel is closed, or this is not the reactor's thread.
        """
        if get_ident() != (cast("int | None", threadable.ioThread) or self._thread):
            raise RuntimeError(
                "publish() was called in a thread that is not the reactor's:"
                " use reactor.callFromThread(channel.publish, ...)"
            )
        if self._closed:
            raise RuntimeError(f"{self!r} is closed: nothing can be published any more")
        event = what if type(what) is Event and not fields else makeEvent(what, fields)
        about = _checkedTopics(topics)
        position = self._position + len(self._fresh)
        if self.history is None:
            pass
        elif event.id and len(event.id.encode()) > LONGEST_ID:
            raise InvalidEvent(
                f"id is longer than {LONGEST_ID} bytes: no client could send it", "id"
            )
        elif not event.id:
            identifier = self.history._identify(position)
            event = Event(event.data, event.event, identifier, event.retry, event.comment)
        entry = Entry(event, about, position, self._seconds())
        if len(entry.data) > self._maxEventSize:
            raise EventTooLarge(self._maxEventSize, [])
        if self.history is not None:
            self.history._append(entry)
            self._expire()
        if self._fresh or self._isHeard():
            self._fresh.append(entry)
            self._beginTurn()
        else:
            self._position += 1
        tell(self._observer, "published", self, event, len(entry.data))
        return event

    def subscribe(
        self,
        stream: EventStream,
        topics: Iterable[str] | None = None,
        where: Callable[[Event], object] | None = None,
        last: int = 0,
    ) -> None:
        """
        Send a stream what is published from now on, and before that, what its client has
        missed.  A stream that is subscribed already changes its choice.  If the channel is
        closed, the stream ends after what it has missed.

        @param topics: send it only what is about one of these; everything if not given.
        @param where: send it only events of which this function says so.  When it fails, the
            stream ends.
        @param last: how many of the newest events a client gets that has none yet.
        @raise ValueError: if C{last} is less than 0, or there is no history to take it from.
        @raise TypeError: if an argument is no such thing.
        """
        if not isinstance(stream, EventStream):
            raise TypeError(f"stream is {stream!r}: it must be an EventStream")
        if where is not None and not callable(where):
            raise TypeError(f"where is {where!r}: it must be a function of an Event, or None")
        chosen = None if topics is None else _checkedTopics(topics)
        checkInteger("last", last, 0, optional=False)
        history = self.history
        if last and history is None:
            raise ValueError("last needs a history: there is nothing to take the events from")
        if not stream._living:
            return
        old = self._subscriptions.get(stream)
        if old is not None:
            self._changeChoice(old, chosen, where)
            return
        self._adopt(stream._wheel.clock)
        resumes = history is not None and any(_resumes(feed) for feed in stream._feeds)
        if resumes and not self._warned:
            self._warned = True
            _log.warn(
                "{stream} is subscribed to several channels: when its client comes back, only"
                " one of them will know the last event ID. Use one channel, and topics.",
                stream=repr(stream),
            )
        subscription = self._subscriptions[stream] = Subscription(self, stream, chosen, where)
        if history is None:
            if stream.lastEventID:
                lost = self._lost()
                if lost is not None:
                    stream._enqueue(lost)
                tell(stream._group.observer, "reset", stream)
            subscription.cursor = self._position + len(self._fresh)
            self._caughtUp(subscription)
        elif stream in self._places:
            subscription.begin(*self._places.pop(stream))
        elif stream.lastEventID:
            after = self._kept()._after(stream.lastEventID, chosen)
            subscription.begin(-1 if after is None else after, new=False)
        else:
            newest = self._newest(subscription, last)
            # Whoever chooses may have failed.
            if stream._living:
                subscription.begin(newest, new=True)

    def unsubscribe(self, stream: EventStream) -> None:
        """
        Send a stream nothing more, but leave it open.  Does nothing if it is not subscribed.

        If it subscribes again, it goes on where it was.
        """
        subscription = self._subscriptions.get(stream)
        if subscription is not None:
            left = self._leftOf(subscription)
            if left:
                place = left[0].position
            elif subscription.isBehind() or subscription in self._joining:
                place = subscription.cursor
            else:
                place = self._position
            self._leave(subscription)
            if self.history is not None:
                self._places[stream] = place, subscription.new

    def close(self) -> None:
        """
        End: what was published goes out, to those who come back for it as well, then the
        streams end.
        """
        if self._closed:
            return
        self._closed = True
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None
        if self._turn is None and self._fanOut is None:
            self._endAll()

    def whenDelivered(self) -> Deferred[None]:
        """
        Wait for what was published to go out: so that whoever reads from somewhere and publishes
        what it reads, reads no faster than that.

        @return: a new L{Deferred} each time, which fires when everything has been handed to the
            streams that are live, at once if it has been already.
        """
        if self._turn is None and self._fanOut is None:
            return succeed(None)
        waiting: Deferred[None] = Deferred(self._stopWaiting)
        self._waiting[waiting] = None
        return waiting

    def _stopWaiting(self, waiting: Deferred[None]) -> None:
        self._waiting.pop(waiting, None)

    # What a subscription needs

    def _lost(self) -> Encoded | None:
        if self._resetEvent is None:
            return None
        # The ID of the place where it goes on, lest it be told again.
        identifier = None if self.history is None else self.history._mark(self.history._first)
        return Encoded(Event("", event=self._resetEvent, id=identifier))

    def _kept(self) -> History:
        assert self.history is not None, "who is behind was promised a history"
        self._expire()
        return self.history

    def _caughtUp(self, subscription: Subscription) -> None:
        if subscription.cursor > self._position:
            self._joining[subscription] = None
        else:
            self._enter(subscription)
            if self._closed and self._turn is None and self._fanOut is None:
                subscription.stream.end()

    def _sendNow(self, subscription: Subscription) -> None:
        stream = subscription.stream
        left = [*self._leftOf(subscription), *self._freshOf(subscription)]
        # Before it is asked: whatever it does then, it is not asked again.
        self._leave(subscription)
        for batch in cut(subscription.choose(left)):
            stream._push(batch)

    def _leftOf(self, subscription: Subscription) -> Sequence[Entry]:
        """
        Take a subscription out of what is being sent.

        @return: what it has not got of that.
        """
        return () if self._fanOut is None else self._fanOut.drop(subscription.stream)

    def _freshOf(self, subscription: Subscription) -> Sequence[Entry]:
        """
        @return: what is to be sent to it, or what it is to be asked about, in the next turn.
        """
        start = subscription.cursor if subscription in self._joining else self._position
        return self._fresh[start - self._position :]

    def _left(self, subscription: Subscription) -> None:
        # It may have been unsubscribed by something else that has ended with its stream.
        if self._subscriptions.get(subscription.stream) is subscription:
            self._leave(subscription)

    # Who is live

    def _isHeard(self) -> bool:
        return bool(self._all or self._topics or self._choosers or self._joining)

    def _enter(self, subscription: Subscription) -> None:
        if subscription.topics is not None:
            for topic in subscription.topics:
                self._topics.setdefault(topic, {})[subscription] = None
        elif subscription.where is not None:
            self._choosers[subscription] = None
        else:
            self._all[subscription.stream] = None

    def _changeChoice(
        self,
        subscription: Subscription,
        topics: frozenset[str] | None,
        where: Callable[[Event], object] | None,
    ) -> None:
        live = not subscription.isBehind() and subscription not in self._joining
        if live:
            self._withdraw(subscription)
        subscription.topics = topics
        subscription.where = where
        if live:
            self._enter(subscription)

    def _withdraw(self, subscription: Subscription) -> None:
        self._all.pop(subscription.stream, None)
        self._choosers.pop(subscription, None)
        for topic in subscription.topics or ():
            subscribed = self._topics.get(topic)
            if subscribed is not None:
                subscribed.pop(subscription, None)
                if not subscribed:
                    del self._topics[topic]

    def _leave(self, subscription: Subscription) -> None:
        del self._subscriptions[subscription.stream]
        subscription.stream._detach(subscription)
        subscription.cancel()
        self._joining.pop(subscription, None)
        self._withdraw(subscription)

    def _newest(self, subscription: Subscription, count: int) -> int:
        """
        @return: the position of the oldest of so many events that were chosen.
        """
        history = self._kept()
        position = history._end
        while count and position > history._first and subscription.stream._living:
            position -= 1
            entry = history._get(position)
            assert entry is not None, "all that are between the first and the end are kept"
            count -= len(subscription.choose([entry]))
        return position

    # Time

    def _adopt(self, clock: IReactorTime) -> None:
        """
        Go by the clock of a stream, if we have none, or nobody else goes by ours.
        """
        if self._reactor is not None or clock is self._clock or self._subscriptions:
            return
        if self._turn is not None:
            self._turn.cancel()
            self._turn = clock.callLater(0, self._go)
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None
        before = self._seconds()
        self._clock = clock
        self._seconds = steady(clock)
        if self.history is not None:
            self.history._shift(self._seconds() - before)
            self._expire()

    def _expire(self) -> None:
        """
        Drop what is too old, now and later.
        """
        history = self.history
        if history is None or history.maxAge is None:
            return
        next = history._expire(self._seconds())
        if next is not None and self._expiry is None and self._clock is not None:
            if not self._closed:
                self._expiry = self._clock.callLater(next, self._expireAgain)

    def _expireAgain(self) -> None:
        self._expiry = None
        self._expire()

    # Sending

    def _beginTurn(self) -> None:
        if self._turn is None:
            assert self._clock is not None, "whoever has subscribed has brought one"
            self._turn = self._clock.callLater(0, self._go)

    def _go(self) -> None:
        """
        Send, as long as one may hold the reactor.
        """
        self._turn = None
        until = self._seconds() + SLICE
        if self._fanOut is None:
            self._fanOut = self._begin()
        try:
            if self._fanOut.send(lambda: self._seconds() >= until):
                fanOut, self._fanOut = self._fanOut, None
                first, count = fanOut.entries[0], len(fanOut.entries)
                seconds = self._seconds() - first.time
                tell(self._observer, "delivered", self, count, fanOut.streams, seconds)
        finally:
            if self._fanOut is not None or self._fresh:
                self._beginTurn()
            else:
                if self._closed:
                    self._endAll()
                waiting, self._waiting = self._waiting, {}
                for delivered in waiting:
                    delivered.callback(None)

    def _begin(self) -> FanOut:
        """
        Find out who gets what of the events that are fresh.
        """
        fresh, self._fresh = self._fresh, []
        start, self._position = self._position, self._position + len(fresh)
        fanOut = FanOut(fresh)
        if self._all:
            fanOut.give(list(self._all), fresh)
        for subscription in self._choosers:
            fanOut.ask(subscription, fresh)
        same: dict[tuple[int, ...], tuple[list[EventStream], list[Entry]]] = {}
        for subscription, entries in self._interested(fresh).items():
            if subscription.where is not None:
                fanOut.ask(subscription, entries)
            else:
                key = tuple([entry.position for entry in entries])
                same.setdefault(key, ([], entries))[0].append(subscription.stream)
        for streams, entries in same.values():
            fanOut.give(streams, entries)
        joining, self._joining = self._joining, {}
        for subscription in joining:
            fanOut.ask(subscription, fresh[subscription.cursor - start :])
            self._enter(subscription)
        return fanOut

    def _interested(self, fresh: list[Entry]) -> dict[Subscription, list[Entry]]:
        """
        Find out who has subscribed to the topics of events.
        """
        interested: dict[Subscription, list[Entry]] = {}
        for entry in fresh if self._topics else ():
            # Once, though several of its topics may be wanted by the same.
            for subscription in {
                each: None for topic in entry.topics for each in self._topics.get(topic, ())
            }:
                interested.setdefault(subscription, []).append(entry)
        return interested

    def _endAll(self) -> None:
        live = [each.stream for each in self._subscriptions.values() if not each.isBehind()]
        if live:
            assert self._clock is not None, "whoever has subscribed has brought one"
            inSlices(self._clock, live, EventStream.end)


def _resumes(feed: Feed) -> bool:
    """
    Whether a feed goes on from the last event ID.
    """
    return isinstance(feed, Subscription) and feed.channel.history is not None


def _checkedTopics(topics: Iterable[str]) -> frozenset[str]:
    checked = checkList("topics", topics, "topics such as 'user:7'")
    for topic in checked:
        if not isinstance(topic, str):
            raise TypeError(f"topics has {topic!r}: a topic must be a str")
    return frozenset(checked)
