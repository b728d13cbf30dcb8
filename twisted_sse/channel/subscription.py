"""
One stream's subscription to a channel, and its place in the sequence of events.

Longer than 500 lines: reading from the history and from the store share the place, and each may go on
where the other has stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

from ..format.encoded import Batch, Encoded
from ..store.contract import NotKept, StoreAway
from ..store.entry import Entry
from ..store.memory import History, Replay
from ..stream.feed import Feed
from ..stream.reasons import CloseReason
from ..stream.response import Response
from ..stream.turn import TURN
from ..timing.slices import SLICE
from .choice import Choice
from .lastid import NO_ID, OLDER, LastID
from .older import Part
from .publisher import Publisher

__all__ = ["Subscription"]

#: If it chooses among what it reads: how many bytes are read, and how many events it looks at, in a
#: turn.  More than is sent in a turn, since it may choose few.
READ = 2**18
ASKED = 1000


class Subscription(Feed):
    """
    Which of a channel's events a stream receives, and how far it has got.

    It begins behind: what the client has missed is read from the store as fast as the client takes
    it, so that nothing is queued here.  When it has caught up it is live: new events are handed to
    it.

    @ivar choice: what it wants of the events.
    @ivar isPlaced: whether the cursor is known.
    @ivar isMarked: whether all replayed events have been sent.
    @ivar last: the client's last ID.  While a subscription to all events is live, this is not kept
        up to date: it was sent the newest.
    @ivar listed: the last ID that it is listed by, for the reminders of its place.
    @ivar cursor: the position of the next event to send, or where the subscription went live with
        its choice; -1 if that event is lost.
    @ivar after: with a store, its name for the cursor while the subscription is behind.
    @ivar given: for a name that the client came with, see L{Older.read
        <twisted_sse.channel.older.Older.read>}; L{None} for others.
    @ivar isOlder: whether the next event is only in the store.  Then C{cursor} does not count, and
        with C{after} L{None} that event is the oldest.
    """

    __slots__ = (
        "_behind",
        "_call",
        "_wasOldest",
        "_reading",
        "after",
        "choice",
        "cursor",
        "given",
        "isOlder",
        "isPlaced",
        "isMarked",
        "last",
        "listed",
        "publisher",
        "response",
    )

    def __init__(
        self, publisher: Publisher[Subscription], response: Response, choice: Choice
    ) -> None:
        self.publisher = publisher
        self.response = response
        self.choice = choice
        self.cursor = 0
        self.after: str | None = ""
        self.given: int | None = None
        self.isOlder = False
        self.last = NO_ID
        self.listed: LastID | None = None
        self.isPlaced = True
        self.isMarked = False
        self._behind = False
        self._call: IDelayedCall | None = None
        # What is read from the store, or its opening.
        self._reading: Deferred[Any] | None = None
        # Whether it has missed events, and continues with the oldest, sent with a reset.
        self._wasOldest = False
        response.attach(self)

    def choose(self, entries: Iterable[Entry]) -> list[Entry]:
        """
        Choose among events.  If that fails, the stream ends.
        """
        try:
            wants = self.choice.wants
            return [entry for entry in entries if wants(entry)]
        except Exception:
            self.response.fail(Failure())
            return []

    def change(self, choice: Choice) -> None:
        """
        Change the choice of events.
        """
        self.choice = choice
        if self._reading is not None and self.isPlaced:
            # The read in progress is for the previous choice.
            self._leaveRead()
            self._read()

    @property
    def choosesAll(self) -> bool:
        """
        Whether it wants all events, those of the channel's own too, so that a live client always has
        the newest ID.
        """
        choice = self.choice
        return choice.topics is None and choice.isTold and not (choice.asks or choice.guards)

    @property
    def _topics(self) -> frozenset[str] | None:
        """
        What it reads is about at least one of these; L{None} for all events.
        """
        return None if self.choice.patterns else self.choice.topics

    @property
    def _selects(self) -> bool:
        """
        Whether it has to choose among what it reads.
        """
        choice = self.choice
        return choice.asks or choice.guards or bool(choice.patterns)

    def park(self, ready: Deferred[None], start: Callable[[], None]) -> None:
        """
        Begin behind, but only when the store is open.

        @param ready: fires then.
        @param start: called then, and calls one of the following.
        """
        self._behind = True
        self.isPlaced = False

        def opened(_: None) -> None:
            self.isPlaced = True
            start()

        self._wait(ready, opened, self._notRead)

    def begin(self, place: int, last: LastID, after: str | None = "") -> None:
        """
        Begin behind.

        @param place: the position to begin with.
        @param last: the client's last ID.
        @param after: a store's name for the position, for when it is not in memory any more.
        """
        self._behind = True
        self.last, self.cursor, self.after = last, place, after
        self._read()

    def beginOlder(self, after: str | None, last: LastID, given: int | None = None) -> None:
        """
        Begin behind, with what only the store has.

        @param after: the place in the store.
        @param last: the client's last ID.
        @param given: see L{Older.read<twisted_sse.channel.older.Older.read>}.
        """
        self._behind = True
        self.last, self.after, self.given = last, after, given
        # A reset that was due when it unsubscribed is sent now.
        self._wasOldest = after is None
        self._goOlder()
        self._read()

    def beginOldest(self) -> None:
        """
        Begin behind, with the oldest event that is kept.
        """
        history = self.publisher.kept()
        if history.isFront:
            self._behind = True
            self.after = None
            self._goOlder()
            self._read()
        else:
            self.begin(history.first, NO_ID)

    def resumeAfter(self, lastEventID: str) -> None:
        """
        Begin behind, after the last event ID that the client came with.
        """
        history = self.publisher.kept()
        place = history.find(lastEventID, self._topics)
        if history.isFront and (place is None or place < history.first):
            older = self.publisher.older
            self.beginOlder(lastEventID, OLDER, None if older is None else older.given)
        elif place is None:
            self.begin(-1, NO_ID)
        else:
            # For all events it makes no difference, unless they expire.
            differs = not self.choosesAll or history.maxAge is not None
            last = place, differs and lastEventID == history.mark(place)
            self.begin(place, last, history.name(place))

    def doubt(self) -> None:
        """
        Continuity is lost.  If the store is being read, it is asked again, and says whether it has
        which events follow the client's; otherwise they are not known.
        """
        if self.isOlder:
            self._leaveRead()
        else:
            self.lose()

    def lose(self) -> None:
        """
        Begin behind again: it is not known which events follow the client's.
        """
        self._leaveOlder()
        self._behind = True
        self._wasOldest = False
        self.cursor = -1

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
        self._leaveOlder()

    # Reading

    def _wait(
        self,
        found: Deferred[Any],
        use: Callable[[Any], object],
        failed: Callable[[Failure], object],
    ) -> None:
        """
        Go on when the store has answered.
        """
        self._reading = found

        def answered(outcome: Any) -> None:
            if self._reading is not found:
                # It was cancelled.
                return
            self._reading = None
            if isinstance(outcome, Failure):
                failed(outcome)
            else:
                use(outcome)

        found.addBoth(answered).addErrback(self.response.fail)

    def _leaveRead(self) -> None:
        reading, self._reading = self._reading, None
        if reading is not None:
            reading.cancel()

    def _read(self) -> None:
        """
        Read what comes next, if the client can take it.
        """
        self._call = None
        if not (self._behind and self.isPlaced and self.response.ready):
            return
        if self._reading is not None:
            return
        store = self.publisher.kept()
        if store.isFront and 0 <= self.cursor < store.first and not self.isOlder:
            # It was overtaken.
            self._goOlder()
        if self.isOlder:
            self._readOlder()
            return
        size = READ if self._selects else TURN
        # One that is to be live from a later position on has nothing to read before it.
        end = max(self.cursor, self.publisher.position)
        found = store.read(self.cursor, end, size, self._topics)
        self._replay(store, found)

    def _replay(self, store: History, replay: Replay) -> None:
        """
        Send what was read from the history.
        """
        if replay.isLost and self._cannotTell():
            return
        first: Encoded | None = None
        if self.choice.isTold:
            if replay.isLost:
                first = self.publisher.lost(replay.start)
            elif self.last == NO_ID:
                first = self.publisher.placed(replay.start)
        entries, next = replay.entries, replay.next
        after = store.name(next) if store.isFront else None
        if entries and self._selects:
            entries, asked = self._choose(entries)
            if not self._behind:
                return
            if asked < len(replay.entries):
                last = replay.entries[asked - 1]
                next, after = last.position + 1, last.name
        if first is not None:
            self.last = replay.start, True
        if entries:
            self.last = entries[-1].position + 1, False
        self.cursor, self.after = next, after
        self._send(first, entries, replay.isLost)

    def _send(self, first: Encoded | None, entries: Sequence[Entry], isLost: bool) -> None:
        """
        Send some events, and go on.

        @param first: an event of our own before them.
        """
        response, stream = self.response, self.response.stream
        sent = entries if first is None else [first, *entries]
        if not self.isMarked and not self.isOlder and self.cursor >= self.publisher.position:
            # Together with the last replayed events, to save a write.
            self.isMarked = True
            if self.publisher.live is not None:
                sent = [*sent, self.publisher.live]
        if sent:
            response.push(Batch(sent))
        # Only now: observers may end the stream, unsubscribe it, or change its choice.
        if isLost:
            response.owner.reset(stream)
        if entries:
            response.owner.replayed(stream, len(entries))
        if not self._behind:
            # The stream has ended meanwhile.
            return
        if not self.isOlder and self.cursor >= self.publisher.position:
            self._behind = False
            self.publisher.caughtUp(self)
        elif response.ready:
            self._call = response.wheel.callLater(0, self._read)

    def _cannotTell(self) -> bool:
        """
        Events were lost.  If the stream has begun, and no event of ours may say so, it ends before
        the events after the gap: its client reconnects with the last ID before the gap, and then
        the response says what is missing.

        @return: whether the stream was ended.
        """
        response = self.response
        if self.choice.isTold or not (response.eventsSent or self.isMarked):
            return False
        response.owner.reset(response.stream)
        response.end(CloseReason.ENDED)
        return True

    def _choose(self, entries: Iterable[Entry]) -> tuple[list[Entry], int]:
        """
        Choose among events, as many as are sent in a turn, and as there is time for.

        @return: the chosen events, and how many were considered: at least one.
        """
        chosen: list[Entry] = []
        size = asked = 0
        choice, seconds = self.choice, self.response.wheel.seconds
        until = seconds() + SLICE
        for entry in entries:
            if asked == ASKED or (size and size + len(entry.data) > TURN):
                break
            if asked and seconds() >= until:
                # To match patterns takes a microsecond each, and there may be a hundred.
                break
            asked += 1
            if self.choose([entry]):
                chosen.append(entry)
                size += len(entry.data)
            if not self._behind or self.choice is not choice:
                # It has failed, has ended or unsubscribed the stream, or has changed the choice:
                # the rest was read for the choice before.
                break
        return chosen, asked

    # Reading what only the store has

    def _goOlder(self) -> None:
        older = self.publisher.older
        if not self.isOlder:
            self.isOlder = True
            if older is not None:
                older.enter()

    def _leaveOlder(self) -> None:
        self._leaveRead()
        older = self.publisher.older
        if self.isOlder:
            self.isOlder = False
            if older is not None:
                older.exit()

    def _readOlder(self) -> None:
        older = self.publisher.older
        if older is None:
            self._notRead(Failure(StoreAway("the channel is closed")))
            return
        found = older.read(self.after, self._topics, self.given)
        if isinstance(found, Part):
            self._take(found)
            return

        def arrived(part: Part) -> None:
            if self.isOlder and self.response.ready:
                self._take(part)
            # Otherwise resume() reads it again, so none of it is queued here.

        self._wait(found, arrived, self._notRead)

    def _notRead(self, failure: Failure) -> None:
        if failure.check(NotKept):
            self._readOldest()
        elif failure.check(StoreAway):
            # The channel is closed. The client reconnects, and asks again.
            self.response.end(CloseReason.ENDED)
        else:
            self.response.fail(failure)

    def _readOldest(self) -> None:
        """
        Something is missing after what the client has: go on with what is kept.
        """
        if self._wasOldest:
            # It happened again.  What is in memory is certain.
            self.lose()
        else:
            self._wasOldest = True
            self.after = self.given = None
        self._read()

    def _take(self, part: Part) -> None:
        """
        Send what was read from the store.
        """
        publisher = self.publisher
        history = publisher.kept()
        entries: Sequence[Entry] = ()
        position: int | None = part.position
        after = part.place
        if part.entries:
            if self.choosesAll:
                entries = part.turn()
                after = entries[-1].name
            else:
                entries, asked = self._choose(islice(part.entries, part.start, None))
                after = part.entries[part.start + asked - 1].name
            position = history.place(after)
        elif not after:
            # What follows could not be stored, and is not in memory any more.
            self.lose()
            self._read()
            return
        if not self._behind:
            return
        isLost = self.after is None and self._wasOldest
        if isLost and self._cannotTell():
            return
        self.after, self.given = after, None
        if position is not None and position >= history.first:
            # The history has what follows.
            self._leaveOlder()
            self.cursor = position
        else:
            position = None
        if entries:
            self.last = OLDER
        first: Encoded | None = None
        if isLost and self.choice.isTold:
            first = publisher.lost(None if entries else position)
        self._send(first, entries, isLost)
