"""
One stream's subscription to a channel, and its place in the sequence of events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from inspect import isawaitable, iscoroutine
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

from ..format.encoded import Batch, Encoded
from ..format.event import Event
from ..store.entry import Entry
from ..store.memory import History, Replay
from ..stream.awaited import cancel
from ..stream.feed import Feed
from ..stream.response import Response
from ..stream.turn import TURN

__all__ = ["NO_ID", "LastID", "Publisher", "Subscription"]

#: The last ID that a client was sent: the position after its place, and whether it is the ID of a
#: place, not of the event before it.
LastID = tuple[int, bool]

#: A client has no ID, or one that is of no use.
NO_ID: LastID = (-1, False)

#: With a C{where} function: how many bytes are read, and how many events it is asked about, in a
#: turn.  More than is sent in a turn, since it may choose few.
READ = 2**18
ASKED = 1000


class Publisher(Protocol):
    """
    What a subscription needs of its channel.
    """

    @property
    def store(self) -> History | None:
        """
        Keeps the events; L{None} if they are not kept, so that no subscription is ever behind.
        """

    @property
    def position(self) -> int:
        """
        Everything before this position has been handed to the live subscriptions.
        """

    def lost(self, place: int) -> Encoded | None:
        """
        Make the event that tells a client that it has missed events for good; L{None} for none.
        """

    def placed(self, place: int) -> Encoded | None:
        """
        Make the event whose ID is that of a place, for a client that has no other ID to resume
        from; L{None} for none.
        """

    def kept(self) -> History:
        """
        @return: the store, without expired events.  Called only if there is a store.
        """

    def caughtUp(self, subscription: Subscription, /) -> None:
        """
        Called when a subscription has received everything before its cursor: it is live from now
        on.
        """

    def sendNow(self, subscription: Subscription, /) -> None:
        """
        Called when the stream of a live subscription is about to end: remove the subscription, and
        hand over the events that it has not been sent yet.
        """

    def left(self, subscription: Subscription, /) -> None:
        """
        Called when a subscription's stream has ended: remove it, if it is still there.
        """


class Subscription(Feed):
    """
    Which of a channel's events a stream receives, and how far it has got.

    It begins behind: what the client has missed is read from the store as fast as the client takes
    it, so that nothing is queued here.  When it has caught up it is live: new events are handed to
    it.

    @ivar topics: the topics that it wants; L{None} for all events.
    @ivar where: a function that chooses events; L{None} for all of them.
    @ivar isPlaced: whether the cursor is known.
    @ivar last: the client's last ID.  While a subscription to all events is live, this is not kept
        up to date: it was sent the newest.
    @ivar listed: the last ID that it is listed by, for the reminders of its place.
    @ivar cursor: the position of the next event to send, or where the subscription went live with
        its choice; -1 if that event is lost.
    """

    __slots__ = (
        "_behind",
        "_call",
        "_reading",
        "cursor",
        "isPlaced",
        "last",
        "listed",
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
        self.last = NO_ID
        self.listed: LastID | None = None
        self.isPlaced = True
        self._behind = False
        self._call: IDelayedCall | None = None
        # What the store is still looking up.
        self._reading: Deferred[Any] | None = None
        response.attach(self)

    def wants(self, entry: Entry) -> bool:
        """
        Whether an event should be sent.
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
        Choose among events.  If that fails, the stream ends.
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
        Change the choice of events.
        """
        self.topics = topics
        self.where = where
        if self._reading is not None and self.isPlaced:
            # The read in progress is for the previous choice.
            self._stopReading()
            self._read()

    @property
    def choosesAll(self) -> bool:
        """
        Whether it wants all events, so that a live client always has the newest ID.
        """
        return self.topics is None and self.where is None

    def begin(self, place: int, last: LastID) -> None:
        """
        Begin behind.

        @param place: the position to begin with.
        @param last: the client's last ID.
        """
        self._behind = True
        self.last = last
        self.cursor = place
        self._read()

    def resumeAfter(self, lastEventID: str) -> None:
        """
        Begin behind, after the last event ID that the client came with.
        """
        self._behind = True

        def resume(place: int | None) -> None:
            self.isPlaced = True
            self.cursor = -1 if place is None else place
            if place is not None:
                # For all events it makes no difference, unless they expire.
                differs = not self.choosesAll or store.maxAge is not None
                self.last = place, differs and lastEventID == store.mark(place)
            self._read()

        store = self.publisher.kept()
        found = store.find(lastEventID, self.topics)
        resume(found)

    def isBehind(self) -> bool:
        """
        Whether older events have to be sent before new ones.
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
        The stream is about to end: first send what was published.
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
        Stop reading.
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
            # Otherwise it was cancelled: whatever that failed with is of no interest.

        found.addCallbacks(arrived, failed).addErrback(self.response.fail)

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
        # One that is to be live from a later position on has nothing to read before it.
        end = max(self.cursor, self.publisher.position)
        found = store.read(self.cursor, end, size, self.topics)
        self._replay(found)

    def _replay(self, replay: Replay) -> None:
        """
        Send what was read.
        """
        response, publisher, stream = self.response, self.publisher, self.response.stream
        if not response.ready:
            # It came late.  resume() reads it again, so none of it is queued here.
            return
        entries, next = replay.entries, replay.next
        if self.where is not None:
            entries, next = self._chosen(replay)
            if not self._behind:
                # The function has failed, or has ended or unsubscribed the stream.
                return
        first: Encoded | None = None
        if replay.isLost:
            first = publisher.lost(replay.start)
        elif self.last == NO_ID:
            first = publisher.placed(replay.start)
        if first is not None:
            self.last = replay.start, True
        if entries:
            self.last = entries[-1].position + 1, False
        self.cursor = next
        sent = entries if first is None else [first, *entries]
        if sent:
            response.push(Batch(sent))
        # Only now: observers may end the stream, unsubscribe it, or change its choice.
        if replay.isLost:
            response.owner.reset(stream)
        if entries:
            response.owner.replayed(stream, len(entries))
        if not self._behind:
            # The stream has ended meanwhile.
            return
        if self.cursor >= publisher.position:
            self._behind = False
            publisher.caughtUp(self)
        elif response.ready:
            self._call = response.wheel.callLater(0, self._read)

    def _chosen(self, replay: Replay) -> tuple[Sequence[Entry], int]:
        """
        Choose among events, as many as are sent in a turn.

        @return: the chosen events, and the position after the last one that was considered.
        """
        chosen: list[Entry] = []
        size = 0
        topics, where = self.topics, self.where
        store = self.publisher.kept()
        first = store.first
        for asked, entry in enumerate(replay.entries):
            # The function may itself have published so much that the rest was dropped.
            isDropped = first <= entry.position < store.first
            if isDropped or asked == ASKED or (size and size + len(entry.data) > TURN):
                return chosen, entry.position
            if self.choose([entry]):
                chosen.append(entry)
                size += len(entry.data)
            if not self._behind:
                return [], entry.position
            if self.where is not where or self.topics is not topics:
                # It has changed the choice: the rest was read for the choice before.
                return chosen, entry.position + 1
        return chosen, replay.next
