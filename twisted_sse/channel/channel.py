"""
One event to many streams.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from operator import itemgetter
from threading import get_ident
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import Clock
from twisted.logger import Logger

from ..checks import checkInteger
from ..format.event import Event
from ..listeners import checkObserver
from ..store.contract import EventStore
from ..store.memory import History
from ..stream.observer import AnyStreamObserver, StreamObserver
from ..stream.stream import EventStream, responseOf
from ..timing.reactors import checkThread, isInstalled
from .broadcast import Broadcast
from .choice import Choice
from .observer import AnyChannelObserver, ChannelListeners, ChannelObserver
from .publishing import Publishing
from .storage import Storage
from .subscribers import Subscribers
from .topics import choiceOf

__all__ = ["Channel"]

_log = Logger()

NO_TOPICS: frozenset[str] = frozenset()


class _OwnHistory:
    """
    The default: each channel has its own history.
    """

    def __repr__(self) -> str:
        return "History()"


#: The default value of C{history}.
OWN_HISTORY: Any = _OwnHistory()


class Channel:
    """
    One sequence of events, for as many streams as subscribe to it.

        >>> channel = Channel()
        >>> resource = EventStreamResource(channel.subscribe)
        >>> channel.publish("hello", event="greeting")

    Events published in one turn of the reactor go out in the next, in one write for each stream,
    encoded once for all.  A client that reconnects with the ID of the last event that it has seen
    gets what it has missed, then new events: in order, without gaps or duplicates.

    Use it in the reactor's thread only.

    @ivar name: what metrics call it.
    @ivar history: keeps the events that can be replayed; L{None} for none.
    @ivar store: keeps more of them; L{None} for none.

    @since: 0.2
    """

    def __init__(
        self,
        history: History | None = OWN_HISTORY,
        name: str | None = None,
        maxEventSize: int = 2**20,
        reactor: IReactorTime | Clock | None = None,
        *,
        store: EventStore | None = None,
        positionEvent: str | None = "stream-position",
        resetEvent: str | None = "stream-reset",
        liveComment: str | None = None,
        observer: AnyChannelObserver | AnyStreamObserver | None = None,
    ) -> None:
        """
        @param history: keeps events for replay, C{History()} if not given.  With L{None} nothing
            is replayed, and events published without an ID are sent without one.
        @param name: what metrics call it, and the name under which a store keeps its events.
        @param maxEventSize: how large an encoded event may be, in bytes.
        @param reactor: where time comes from; if not given, from the streams.
        @param store: keeps more events than the history, which is the window in front of it, and
            keeps them when the process ends.
        @param positionEvent: the type of the event whose ID is that of a place in the sequence.
            With a history a stream is sent one before anything else if its client is new, and
            again when half of the history has passed since the last ID that it was sent: so the
            client resumes exactly even if there was no event for it.  With L{None} there is none,
            and then a client that has not received an event yet may miss some without notice.
        @param resetEvent: the type of the event that tells a client that it has missed events
            permanently; L{None} for no such event.
        @param liveComment: a comment sent once to each stream, after the replayed events or at once if
            there are none; all later events are new.  Needs a history.
        @param observer: the channel's observer.
        @raise ValueError: if an argument is out of range.
        @raise TypeError: if an argument has the wrong type.
        """
        if history is OWN_HISTORY:
            history = History()
        if history is not None:
            if not isinstance(history, History):
                raise TypeError(f"history is {history!r}: it must be a History, or None")
        if name is not None and not isinstance(name, str):
            raise TypeError(f"name is {name!r}: it must be a str, or None")
        checkInteger("maxEventSize", maxEventSize, 1, optional=False)
        if reactor is not None and not IReactorTime.providedBy(reactor):
            raise TypeError(f"reactor is {reactor!r}: it must be a reactor or a Clock")
        for own in (positionEvent, resetEvent):
            if own is not None:
                # Raises if it is not a valid type.
                Event("{}", event=own)
        if liveComment is not None and history is None:
            raise ValueError("liveComment needs a history: without it nothing is replayed")
        checkObserver(observer, ChannelObserver, StreamObserver)
        if store is not None and history is None:
            raise ValueError(
                "store needs a history: the history is the window in front of the store"
            )
        if store is not None and not name:
            raise ValueError("store needs a name: under this name the store keeps the channel")
        if history is not None:
            history.claim()
        self.name = name
        self.store = store
        # Any stands for None: nearly all channels have a History, and a type checker would ask for a
        # check each time.
        self.history: History | Any = history
        self._thread = get_ident()
        self._broadcast = Broadcast(history, reactor, positionEvent, resetEvent, liveComment)
        self._subscribers = Subscribers(self._broadcast)
        listeners = ChannelListeners(observer)
        self._publishing = Publishing(self._broadcast, maxEventSize, listeners)
        self._storage: Storage | None = None
        if store is not None:
            self._storage = self._makeStorage(store)

    def __repr__(self) -> str:
        name = "" if self.name is None else f" {self.name!r}"
        return f"<Channel{name}: {len(self._broadcast.subscriptions)} streams, {self.history!r}>"

    def _makeStorage(self, store: EventStore) -> Storage:
        broadcast = self._broadcast
        storage = Storage(
            store,
            self.name or "",
            self.history,
            broadcast.clock,
            partial(self._publishing.deliver, self),
            partial(self._publishing.opened, self),
            broadcast.broken,
            broadcast.released,
        )
        broadcast.storage = storage
        # Without a reactor, this is a module that is being imported: one may still be chosen.
        if isInstalled():
            storage.open()
        return storage

    @property
    def streams(self) -> frozenset[EventStream]:
        """
        The streams that are subscribed.
        """
        return frozenset(response.stream for response in self._broadcast.subscriptions)

    @property
    def unstored(self) -> int:
        """
        How many events are on their way into the store.
        """
        return 0 if self._storage is None else self._storage.writing.events

    @property
    def lookups(self) -> dict[str, int]:
        """
        How often the patterns that match a topic were looked up: C{"hit"} if they were cached,
        C{"miss"} if the topic had to be compared with all patterns.
        """
        patterns = self._broadcast.audience.index.patterns
        return {"hit": patterns.hits, "miss": patterns.misses}

    @property
    def takesIDs(self) -> bool:
        """
        Whether events may have IDs of their own: not if the store makes the IDs.
        """
        log = None if self._storage is None else self._storage.log
        # A store may say so before it is open.
        return not getattr(self.store if log is None else log, "makesIDs", False)

    def makesID(self, identifier: str) -> bool:
        """
        Whether an ID has the form of those that the channel makes itself.  An event that was
        published with such an ID could be confused with another event, or with a place.

        @param identifier: the ID, which may be any text.
        """
        log = None if self._storage is None else self._storage.log
        if log is None:
            return self.history is not None and bool(self.history.makes(identifier))
        # A store may also know what it was given in earlier runs.
        makes = getattr(log, "makes", None)
        if makes is not None:
            return bool(makes(identifier))
        return bool(log.prefix) and identifier.startswith(log.prefix)

    @property
    def closed(self) -> bool:
        """
        Whether C{close} was called.
        """
        return self._broadcast.isClosed

    @property
    def lastEventID(self) -> str:
        """
        The ID from which a client resumes with what is published next; empty if there is none yet.
        """
        return self._subscribers.lastEventID

    def publish(
        self,
        what: Event | str | None = None,
        /,
        *,
        topics: Iterable[str] = (),
        private: bool = False,
        **fields: Any,
    ) -> Event:
        """
        Send one event to all subscribers: C{publish(Event(..))}, C{publish("data")},
        C{publish("data", event="type")}, C{publish(json=value, topics=["user:7"])}.

        @param what: an L{Event}, or a C{str} that is its data.
        @param topics: what the event is about.  A subscriber that has chosen topics gets it only
            if one of them is among these.
        @param private: whether it is only for those who may read one of its topics.  Subscribers
            that chose by C{topics} and C{where} are not asked for that: see L{Choice
            <twisted_sse.channel.choice.Choice>}.
        @param fields: C{json}, any value to be sent as JSON, or the fields of the event.
        @return: the event as it is sent: with a history, every event has an ID; with a store, only
            if the channel makes the IDs and the store is open.
        @raise NotStored: if too much is waiting to be stored.
        @raise InvalidEvent: if a field is not valid, or an ID is given and the store makes the IDs.
        @raise EventTooLarge: if the event is larger than C{maxEventSize}.
        @raise RuntimeError: if the channel is closed, or this is not the reactor's thread.
        """
        checkThread(self._thread, "channel.publish")
        item = self._publishing.item(self, what, fields, topics, private)
        return self._publishing.publish(self, item)

    def publishAndWait(
        self,
        what: Event | str | None = None,
        /,
        *,
        topics: Iterable[str] = (),
        private: bool = False,
        idempotencyKey: str | None = None,
        **fields: Any,
    ) -> Deferred[Event]:
        """
        Publish one event, and wait until it is kept as well as the channel's store can: in memory,
        at once.  The arguments are those of C{publish}.

        @param idempotencyKey: if something was published in this channel with the same key in the
            last hour, and it is one of the newest 10,000 keys (fewer if they were for many events
            each), nothing is published.
        @return: fires with the event as it is sent; the one from the first time if the key was used
            before.  Fails with L{NotStored<twisted_sse.store.contract.NotStored>}.
        @raise KeyReused: if the key was used with other content.
        @raise InvalidEvent: if a field is not valid.
        @raise EventTooLarge: if the event is larger than C{maxEventSize}.
        @raise RuntimeError: if the channel is closed, or this is not the reactor's thread.
        """
        checkThread(self._thread, "channel.publishAndWait")
        items = [self._publishing.item(self, what, fields, topics, private)]
        published = self._publishing.publishAndWait(self, items, idempotencyKey)
        return published.addCallback(itemgetter(0))

    def publishAllAndWait(
        self,
        events: Iterable[tuple[Event, Iterable[str]] | tuple[Event, Iterable[str], bool]],
        idempotencyKey: str | None = None,
    ) -> Deferred[Sequence[Event]]:
        """
        Publish several events together, in order: all of them, or none.

        @param events: the events, each with its topics, and perhaps with whether it is private.
        @param idempotencyKey: see C{publishAndWait}; one for all of them.
        @return: fires with the events as they are sent, when all are kept.  Fails with L{NotStored
            <twisted_sse.store.contract.NotStored>}.
        @raise KeyReused: if the key was used with other content.
        @raise InvalidEvent: if an ID is too long.
        @raise EventTooLarge: if one of the events is larger than C{maxEventSize}.
        @raise RuntimeError: if the channel is closed, or this is not the reactor's thread.
        """
        checkThread(self._thread, "channel.publishAllAndWait")
        items = [
            self._publishing.item(self, each[0], {}, each[1], len(each) > 2 and each[2])
            for each in events
        ]
        return self._publishing.publishAndWait(self, items, idempotencyKey)

    def subscribe(
        self,
        stream: EventStream,
        topics: Iterable[str] | None = None,
        where: Callable[[Event], object] | None = None,
        last: int = 0,
        *,
        choice: Choice | None = None,
        earliest: bool = False,
        lastEventID: str | None = None,
    ) -> None:
        """
        Send a stream the events that its client has missed, then those that are published from
        now on.  If the stream is subscribed already, change its choice.  If the channel is closed,
        the stream ends after the missed events.

        @param topics: send only events about at least one of these; if not given, all events.
        @param where: a function of an event: send only events for which it returns a true value.
            If it fails, the stream ends.
        @param last: how many of the newest events to send to a client that has none yet.
        @param choice: chooses the events, instead of C{topics} and C{where}.
        @param earliest: whether to send all events that are kept to a client that has none yet.
        @param lastEventID: the ID that the client has; if not given, the one that it came with.
        @raise ValueError: if C{last} is less than 0, or there is no history to take events from, or
            arguments contradict each other.
        @raise TypeError: if an argument has the wrong type.
        @raise RuntimeError: if this is not the reactor's thread.
        """
        checkThread(self._thread, "channel.subscribe")
        if not isinstance(stream, EventStream):
            raise TypeError(f"stream is {stream!r}: it must be an EventStream")
        if choice is None:
            choice = choiceOf(topics, where)
        elif topics is not None or where is not None:
            raise ValueError("give either choice, or topics and where, not both")
        checkInteger("last", last, 0, optional=False)
        if last and earliest:
            raise ValueError("give either last or earliest, not both")
        if (last or earliest) and self.history is None:
            which = "last" if last else "earliest"
            raise ValueError(
                f"{which} needs a history: without it there are no past events to send"
            )
        response = responseOf(stream)
        seen = stream.lastEventID if lastEventID is None else lastEventID
        self._subscribers.subscribe(response, seen, choice, last, earliest)

    def unsubscribe(self, stream: EventStream) -> None:
        """
        Stop sending events to a stream, but leave it open.  Does nothing if it is not subscribed.

        With a history, it resumes where it was if it is subscribed again.

        @raise RuntimeError: if this is not the reactor's thread.
        """
        checkThread(self._thread, "channel.unsubscribe")
        self._subscribers.unsubscribe(responseOf(stream))

    def placeOf(self, stream: EventStream) -> str:
        """
        Find the ID of the place that a stream has reached.  An event that is sent to this stream
        alone should have this ID, so that its client still resumes exactly.

        @return: the ID; empty if there is none yet, or the stream is not subscribed.
        @raise RuntimeError: if this is not the reactor's thread.
        """
        checkThread(self._thread, "channel.placeOf")
        return self._subscribers.placeOf(responseOf(stream))

    def resumes(self, lastEventID: str) -> Deferred[bool]:
        """
        Find out whether a client can resume from an ID without missing events.

        @param lastEventID: the ID, which may be any text.
        @return: fires with whether everything after the event with this ID is kept.  Fails with
            L{StoreAway<twisted_sse.store.contract.StoreAway>} if the channel is closed.
        @raise RuntimeError: if this is not the reactor's thread.
        """
        checkThread(self._thread, "channel.resumes")
        return self._subscribers.resumes(lastEventID)

    def beginAfter(self, lastEventID: str) -> None:
        """
        Set the ID that comes just before the next event: a client that reconnects with it has
        missed nothing, although the history has no event with this ID.  For events that are also
        kept elsewhere, such as the lines of a file.

        @raise ValueError: if there is no history, or there is a store.
        @raise RuntimeError: if this is not the reactor's thread.
        """
        checkThread(self._thread, "channel.beginAfter")
        if self.history is None:
            raise ValueError("beginAfter needs a history: without it no client can resume")
        if self._storage is not None:
            raise ValueError("beginAfter cannot be used with a store, which keeps its own position")
        self.history.beginAfter(lastEventID)

    def close(self) -> None:
        """
        Close the channel: send what was published, then end the streams.  Clients that reconnect
        still get what they have missed.

        @raise RuntimeError: if this is not the reactor's thread.
        """
        checkThread(self._thread, "channel.close")
        self._broadcast.close()
        if self._storage is not None:
            self._storage.close()

    def whenReady(self) -> Deferred[None]:
        """
        Wait until the store is open, and the newest events that it has are in the history.  Until
        then events are not sent, and have no ID yet if none is given; subscribers wait.

        @return: a new L{Deferred} each time, which fires then: at once without a store.  Fails if
            the store cannot be opened; one that cannot be reached is tried again.
        @raise RuntimeError: if this is not the reactor's thread.
        """
        checkThread(self._thread, "channel.whenReady")
        return succeed(None) if self._storage is None else self._storage.whenReady()

    def whenDelivered(self) -> Deferred[None]:
        """
        Wait until published events have gone out, so that code that publishes what it reads can
        pause until then.

        @return: a new L{Deferred} each time, which fires when everything has been handed to the
            live streams, at once if it has been already.
        @raise RuntimeError: if this is not the reactor's thread.
        """
        checkThread(self._thread, "channel.whenDelivered")
        return self._broadcast.whenDelivered()
