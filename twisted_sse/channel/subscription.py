"""
One stream's place in the sequence of a channel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from inspect import isawaitable, iscoroutine
from typing import Any, Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

from ..format.encoded import Batch, Encoded
from ..format.event import Event
from ..store.contract import EventStore, Replay
from ..store.entry import Entry
from ..stream.awaited import cancel
from ..stream.feed import Feed
from ..stream.response import Response
from ..stream.turn import TURN

__all__ = ["Publisher", "Subscription"]

#: How much is read, in bytes, and how many events are asked about, when a function chooses:
#: more than is sent in a turn, since it may choose few.
READ = 2**18
ASKED = 1000


class Publisher(Protocol):
    """
    What a subscription needs of its channel.
    """

    @property
    def store(self) -> EventStore | None:
        """
        Keeps the events; L{None} if they are not kept: then no subscription is ever behind.
        """

    @property
    def position(self) -> int:
        """
        All that comes before this position has been handed to those that are live.
        """

    def lost(self) -> Encoded | None:
        """
        Make the event that tells a client that it has missed something for good; L{None} for
        none.
        """

    def kept(self) -> EventStore:
        """
        @return: the store, which there is, without what is too old.
        """

    def caughtUp(self, subscription: Subscription, /) -> None:
        """
        Called when a subscription has got all that comes before its cursor: from here on it is
        live.
        """

    def sendNow(self, subscription: Subscription, /) -> None:
        """
        Called for one that is live and whose stream is about to end: hand over what would have
        been handed over in the next turn, then remove it.
        """

    def left(self, subscription: Subscription, /) -> None:
        """
        Called when its stream has ended: remove it, if it is still there.
        """


class Subscription(Feed):
    """
    What a stream gets of a channel, and how far it has got.

    It begins behind: what the client has missed is read from the store as fast as the client
    takes it, so that none of it is queued here.  When it has caught up it is live: what is
    published is handed to it.

    @ivar topics: what it wants to hear about; L{None} for everything.
    @ivar where: chooses events; L{None} for all of them.
    @ivar isNew: whether the client has nothing yet, and no ID to come back with.
    @ivar isPlaced: whether the cursor is known.
    @ivar cursor: where it goes on, or went live: the position of what is to be sent next; -1 if
        that is lost.
    """

    __slots__ = (
        "_behind",
        "_call",
        "_reading",
        "cursor",
        "isNew",
        "isPlaced",
        "publisher",
        "response",
        "topics",
        "where",
    )

    def __init__(
        self,
        publisher: Publisher,
        response: Response,
        topics: frozenset[str] | None,
        where: Callable[[Event], object] | None,
    ) -> None:
        self.publisher = publisher
        self.response = response
        self.topics = topics
        self.where = where
        self.cursor = 0
        self.isNew = False
        self.isPlaced = True
        self._behind = False
        self._call: IDelayedCall | None = None
        # What the store was asked for and has not found yet.
        self._reading: Deferred[Any] | None = None
        response.attach(self)

    def wants(self, entry: Entry) -> bool:
        """
        Whether an event is to be sent.
        """
        if self.topics is not None and self.topics.isdisjoint(entry.topics):
            return False
        if self.where is None:
            return True
        answer = self.where(entry.event)
        if isawaitable(answer) or isinstance(answer, Deferred):
            if iscoroutine(answer):
                answer.close()
            raise TypeError(f"{self.where!r} returned {answer!r}: where has to know at once")
        return bool(answer)

    def choose(self, entries: Iterable[Entry]) -> list[Entry]:
        """
        Choose events.  If that fails, the stream ends.
        """
        try:
            return [entry for entry in entries if self.wants(entry)]
        except Exception:
            self.response.fail(Failure())
            return []

    def change(
        self, topics: frozenset[str] | None, where: Callable[[Event], object] | None
    ) -> None:
        """
        Choose other events from now on.
        """
        self.topics = topics
        self.where = where
        if self._reading is not None and self.isPlaced:
            # What is being read is what was chosen before.
            self._stopReading()
            self._read()

    def begin(self, place: int | Deferred[int | None] | None, isNew: bool) -> None:
        """
        Begin behind.

        @param place: the position to begin with; L{None} if it was lost.
        @param isNew: whether the client has nothing yet, and no ID to come back with.
        """
        self._behind = True
        self.isNew = isNew
        if isinstance(place, Deferred):
            self.isPlaced = False
            self._wait(place, self._begin)
        else:
            self._begin(place)

    def _begin(self, place: int | None) -> None:
        self.isPlaced = True
        self.cursor = -1 if place is None else place
        self._read()

    def isBehind(self) -> bool:
        """
        Whether there is something to be sent before what is published now.
        """
        return self._behind

    # Feed: what the response calls

    def resume(self) -> None:
        """
        The client can take more.
        """
        if self._behind and self._call is None:
            self._read()

    def flush(self) -> None:
        """
        The stream is about to end: what was published goes out before.
        """
        if not self._behind:
            self.publisher.sendNow(self)

    def finish(self, now: bool) -> None:
        """
        The stream has ended.
        """
        self.publisher.left(self)

    def cancel(self) -> None:
        """
        Read no more.
        """
        self._behind = False
        if self._call is not None:
            self._call.cancel()
            self._call = None
        self._stopReading()

    # Reading from the store

    def _wait(self, found: Deferred[Any], use: Callable[[Any], None]) -> None:
        """
        Go on when the store has found something.
        """
        self._reading = found

        def arrived(result: Any) -> None:
            if self._reading is found:
                self._reading = None
                use(result)

        def failed(failure: Failure) -> None:
            if self._reading is found:
                self._reading = None
                self.response.fail(failure)
            else:
                failure.trap(CancelledError)

        found.addCallback(arrived).addErrback(failed)

    def _stopReading(self) -> None:
        reading, self._reading = self._reading, None
        if reading is not None:
            cancel(reading)

    def _read(self) -> None:
        """
        Read what comes next, if the client can take it.
        """
        self._call = None
        if not (self._behind and self.response.ready) or self._reading is not None:
            return
        size = TURN if self.where is None else READ
        store = self.publisher.kept()
        found = store.read(self.cursor, self.publisher.position, size, self.topics)
        if isinstance(found, Deferred):
            self._wait(found, self._replay)
        else:
            self._replay(found)

    def _replay(self, replay: Replay) -> None:
        """
        Send what was read.
        """
        response, publisher = self.response, self.publisher
        told: list[Encoded] = []
        if replay.isLost:
            lost = publisher.lost()
            if lost is not None:
                told.append(lost)
            response.owner.reset(response)
        elif self.isNew:
            # An ID and no event: HTML standard, 9.2.6, "dispatch the event", 1 and 2.  With it
            # the client comes back for what it misses even if it has got no event before.
            told.append(Encoded(Event(id=publisher.kept().mark(replay.start))))
        self.isNew = False
        self.cursor = replay.next
        entries = replay.entries if self.where is None else self._chosen(replay.entries)
        if told or entries:
            response.push(Batch([*told, *entries]))
        if entries:
            response.owner.replayed(response, len(entries))
        if not self._behind:
            # It has ended meanwhile.
            return
        if self.cursor >= publisher.position:
            self._behind = False
            publisher.caughtUp(self)
        elif response.ready:
            self._call = response.wheel.callLater(0, self._read)

    def _chosen(self, entries: Sequence[Entry]) -> list[Entry]:
        """
        Choose among events, as many as are sent in a turn, and go on behind the last of those
        that were asked about.
        """
        chosen: list[Entry] = []
        size = 0
        store = self.publisher.kept()
        for asked, entry in enumerate(entries):
            # The function may have published so much that the rest was dropped just now.
            isDropped = entry.position < store.first
            if isDropped or asked == ASKED or (size and size + len(entry.data) > TURN):
                self.cursor = entry.position
                break
            if self.choose([entry]):
                chosen.append(entry)
                size += len(entry.data)
            if not self._behind:
                # The function that chooses has failed, or ended the stream.
                return []
        return chosen
