"""
One stream's place in the sequence of a channel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from inspect import isawaitable, iscoroutine
from typing import Protocol

from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

from ..format.encoded import Batch, Encoded
from ..format.event import Event
from ..observe import tell
from ..store.memory import Entry, History
from ..stream.feed import Feed
from ..stream.stream import EventStream

__all__ = ["Publisher", "Subscription"]

#: How much is replayed at a time, in bytes, before it is the others' turn.
REPLAY = 2**14

#: How many events are looked at for that.
LOOKS = 1000


class Publisher(Protocol):
    """
    What a subscription needs of its channel.
    """

    history: History | None

    @property
    def _position(self) -> int:
        """
        Everything before this position has been handed to those who are live.
        """

    def _lost(self) -> Encoded | None:
        """
        What a client is told that has missed something for good.
        """

    def _kept(self) -> History:
        """
        What can be replayed now.
        """

    def _caughtUp(self, subscription: Subscription) -> None:
        """
        A subscription has got all that is before its cursor: from here on it is live.
        """

    def _sendNow(self, subscription: Subscription) -> None:
        """
        Hand over what would have been handed over in the next turn.
        """

    def _left(self, subscription: Subscription) -> None:
        """
        Its stream has ended.
        """


class Subscription(Feed):
    """
    What a stream gets of a channel, and how far it has got.

    It begins behind: what the client has missed is pulled out of the history as fast as it
    reads, so that none of it waits with us.  When it has caught up it is live: what is
    published is handed to it.

    @ivar topics: what it wants to hear about; L{None} for everything.
    @ivar where: chooses events; L{None} for all of them.
    @ivar new: whether the client has nothing yet, and no ID to come back with.
    @ivar cursor: where it goes on, or went live: the position of what is to be sent next.
    """

    __slots__ = ("_behind", "_call", "channel", "cursor", "new", "stream", "topics", "where")

    def __init__(
        self,
        channel: Publisher,
        stream: EventStream,
        topics: frozenset[str] | None,
        where: Callable[[Event], object] | None,
    ) -> None:
        self.channel = channel
        self.stream = stream
        self.topics = topics
        self.where = where
        self.cursor = 0
        self._behind = False
        self.new = False
        self._call: IDelayedCall | None = None
        stream._attach(self)

    def wants(self, entry: Entry) -> bool:
        """
        Ask whether an event was chosen.
        """
        if self.topics is not None and self.topics.isdisjoint(entry.topics):
            return False
        if self.where is None:
            return True
        answer = self.where(entry.event)
        if isawaitable(answer):
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
            self.stream._fail(Failure())
            return []

    def begin(self, cursor: int, new: bool) -> None:
        """
        Begin behind.

        @param cursor: the position to begin with; -1 if that was lost.
        @param new: whether the client has nothing yet, and no ID to come back with.
        """
        self.cursor = cursor
        self._behind = True
        self.new = new
        self._pull()

    def isBehind(self) -> bool:
        """
        Whether there is something to be sent before what is published now.
        """
        return self._behind

    # Feed: what the stream calls

    def resume(self) -> None:
        """
        The client can take more.
        """
        if self._behind and self._call is None:
            self._pull()

    def flush(self) -> None:
        """
        The stream is about to end: what was published goes out before.
        """
        if not self._behind:
            self.channel._sendNow(self)

    def finish(self, now: bool) -> None:
        """
        The stream has ended.
        """
        self.channel._left(self)

    def cancel(self) -> None:
        """
        Pull no more.
        """
        self._behind = False
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _pull(self) -> None:
        """
        Send what comes next.
        """
        self._call = None
        stream, channel = self.stream, self.channel
        if not (self._behind and stream._ready):
            return
        history = channel._kept()
        told: list[Encoded] = []
        isLost = history._lostSince(self.cursor, self.topics)
        # What was dropped and is no business of this subscription is nothing to speak of.
        self.cursor = max(self.cursor, history._first)
        if isLost:
            lost = channel._lost()
            if lost is not None:
                told.append(lost)
            tell(stream._group.observer, "reset", stream)
        elif self.new:
            # An ID and no event: HTML standard, 9.2.6, "dispatch the event", 1 and 2.  With it
            # the client comes back for what it misses even if it has got no event before.
            told.append(Encoded(Event(id=history._mark(self.cursor))))
        self.new = False
        entries = self._take(history)
        if told or entries:
            stream._push(Batch([*told, *entries]))
        if entries:
            tell(stream._group.observer, "replayed", stream, len(entries))
        if not self.isBehind():
            # It has ended meanwhile.
            return
        if self.cursor >= channel._position:
            self._behind = False
            channel._caughtUp(self)
        elif stream._ready:
            self._call = stream._wheel.callLater(0, self._pull)

    def _take(self, history: History) -> Sequence[Entry]:
        """
        Take what was chosen out of the history, as much as is sent at a time, and move on.
        """
        if self.topics is None and self.where is None:
            self.cursor, entries = history._piece(self.cursor, self.channel._position, REPLAY)
            return entries
        chosen: list[Entry] = []
        size = 0
        for position in range(self.cursor, min(self.channel._position, self.cursor + LOOKS)):
            entry = history._get(position)
            # None if whoever chooses has published so much that it was dropped just now.
            if entry is None or (size and size + len(entry.data) > REPLAY):
                break
            if self.choose([entry]):
                chosen.append(entry)
                size += len(entry.data)
            if not self._behind:
                # Whoever chooses has failed, or ended the stream.
                return []
            self.cursor = position + 1
        return chosen
