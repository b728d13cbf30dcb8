"""
The store in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..checks import checkInteger, checkSeconds
from .entry import Entry
from .identifiers import newToken, number, numbered

__all__ = ["History", "Replay"]


#: For how many topics the newest dropped event is remembered.
MOST_TOPICS = 10_000

#: When to look again whether an expired event is stored, in seconds.
LATER = 1.0

#: How many events are searched for one client's topics in one turn of the reactor.
LOOKS = 1000


class Replay(NamedTuple):
    """
    Events for a client that is behind.

    @ivar isLost: whether earlier events that the client wanted are lost permanently.
    @ivar start: the position where reading began, whether or not the client wants the event there.
    @ivar next: the position to go on from.
    @ivar entries: the events, in order.
    """

    isLost: bool
    start: int
    next: int
    entries: Sequence[Entry]


#: What stands for the last arguments of C{History.read} and its answer, if there are none.
NOT_ASKED = 0, 0, 0
NO_ANSWER = Replay(False, 0, 0, ())


class History:
    """
    Keeps the newest events of a channel in memory, for replay.

    Each L{Channel<twisted_sse.channel.channel.Channel>} needs one of its own.  Events have
    positions in the channel's sequence: 0, 1, 2 and so on, without gaps.  The channel appends them
    in this order; they are dropped from the front.

    @ivar isFront: whether it is the window in front of a store.
    @ivar stored: then, the position after the newest event that is stored.
    @ivar settled: and the position before which nothing is on its way into the store any more.

    @since: 0.2
    """

    def __init__(
        self,
        maxEvents: int | None = 1000,
        maxBytes: int | None = 16 * 2**20,
        maxAge: float | None = None,
    ) -> None:
        """
        @param maxEvents: how many events to keep at most; L{None} for no limit.
        @param maxBytes: how many bytes of encoded events to keep at most; L{None} for no limit.
        @param maxAge: how many seconds to keep an event at most; L{None} for no limit.
        @raise ValueError: if a limit is out of range, or there is none at all.
        """
        checkInteger("maxEvents", maxEvents, 1)
        checkInteger("maxBytes", maxBytes, 1)
        checkSeconds("maxAge", maxAge)
        if maxEvents is None and maxBytes is None and maxAge is None:
            raise ValueError("set at least one of maxEvents, maxBytes and maxAge")
        self.maxEvents = maxEvents
        self.maxBytes = maxBytes
        self.maxAge = maxAge
        # By position, so that any event can be found and the oldest dropped in constant time.
        self._entries: dict[int, Entry] = {}
        # The position of the latest event with each ID.
        self._positions: dict[str, int] = {}
        # The position of the newest dropped event, by topic; and the position up to which that is
        # incomplete, since there were too many topics.
        self._dropped: dict[str, int] = {}
        self._forgotten = -1
        # The IDs of places that came from the application, by the position before the place.  They
        # are found until the event after the place is dropped.
        self._named: dict[int, str] = {}
        self._end = 0
        self._bytes = 0
        # How much was appended, as a fraction of what is kept.
        self._passed = 0.0
        self._claimed = False
        self.isFront = False
        self.stored = 0
        self.settled = 0
        # The last arguments of read(), and its answer.
        self._asked, self._answer = NOT_ASKED, NO_ANSWER
        # Tells our IDs from those of every other history.
        self._token = newToken()

    def __repr__(self) -> str:
        return f"<History of {len(self)} events, {self._bytes} bytes>"

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, lastEventID: object) -> bool:
        """
        Whether all events after the one with this ID are kept.
        """
        if not isinstance(lastEventID, str):
            return False
        after = self.find(lastEventID, None)
        return after is not None and not self._lostSince(after, None)

    @property
    def bytes(self) -> int:
        """
        The encoded size of the events that are kept.
        """
        return self._bytes

    # What a channel calls

    def claim(self) -> None:
        """
        Called once, before all other methods.

        @raise ValueError: if the store already belongs to another channel.
        """
        if self._claimed:
            raise ValueError(
                f"{self!r} belongs to another channel: make a History for each channel"
            )
        self._claimed = True

    @property
    def first(self) -> int:
        """
        The position of the oldest event that is kept, or of the next one.
        """
        return self._end - len(self._entries)

    @property
    def end(self) -> int:
        """
        The position of the next event.
        """
        return self._end

    def identify(self, position: int) -> str:
        """
        Make the ID of an event that was published without one.

        @param position: the position of the next event.
        @return: an ID that is unique among all events of all processes.

        """
        return numbered(self._token, position)

    def makes(self, identifier: str) -> bool:
        """
        Whether an ID is one of those that are made here: of an event, or of a place, which there was,
        or will be.
        """
        return identifier.startswith(self._token)

    def mark(self, position: int) -> str:
        """
        Make an ID for the place before a position, for a client that has not received an event
        yet and should miss none when it reconnects.

        @return: the ID; empty if there is none, since all events have the same.

        If the application gave the event before it an ID, this is the mark: unlike ours, the
        application may still recognise it after a restart.
        """
        before = position - 1
        given = self._named.get(before)
        entry = self._entries.get(before)
        if given is None and entry is not None and entry.event.id != self.identify(before):
            given = entry.event.id
        if given and self._positions.get(given) == before:
            if not self.isFront:
                self._named[before] = given
            return given
        if self.isFront:
            # The store knows no others.
            return self.name(position)
        return numbered(f"{self._token}.", position)

    def name(self, position: int) -> str:
        """
        In front of a store: find the store's name for the place before a position.  Unlike the ID of
        an event that the application gave, it never names a later place.

        @return: the name; empty if the event before it is not in memory.
        """
        entry = self._entries.get(position - 1)
        return self._named.get(position - 1, "") if entry is None else entry.name

    def front(self, origin: str) -> None:
        """
        Become the window in front of a store, from the next event on: forget all events, and drop
        no event that is on its way into the store.

        @param origin: the store's name for the place before the next event.
        """
        self.isFront = True
        self._entries.clear()
        self._positions.clear()
        self._named.clear()
        self._dropped.clear()
        self._bytes = 0
        self._asked, self._answer = NOT_ASKED, NO_ANSWER
        self.settle(self._end, True)
        self.beginAfter(origin)

    def settle(self, position: int, isStored: bool) -> None:
        """
        In front of a store: no event before a position is on its way into the store any more.

        @param isStored: whether the last of them is stored.
        """
        self.settled = position
        if isStored:
            self.stored = position
        self.trim()

    def beginAfter(self, lastEventID: str) -> None:
        """
        Name the place before the next event: no events between the one with this ID and the next
        are missing, although the one with this ID is not kept.
        """
        before = self._end - 1
        self._named[before] = lastEventID
        self._positions[lastEventID] = before

    def find(self, lastEventID: str, topics: frozenset[str] | None) -> int | None:
        """
        Find the position after an ID.

        @param lastEventID: the ID from the client, which may be any text.
        @param topics: the client's topics, since dropped events may be about others; L{None} for
            all events.
        @return: a position; L{None} if the ID is unknown, or no longer kept.
        """
        position = self._positions.get(lastEventID)
        if position is not None:
            return position + 1
        position = number(self._token, lastEventID)
        if position is not None:
            # It was dropped, but perhaps nothing about these topics since.
            return position + 1 if topics is not None and position < self._end else None
        position = number(f"{self._token}.", lastEventID)
        if position is None or position > self._end:
            return None
        return None if topics is None and position < self.first else position

    def place(self, name: str | None) -> int | None:
        """
        Find the position after a place, by the name that a store has for it: the inverse of C{name}.

        @return: the position; L{None} if the event before it is not in memory.
        """
        before = self._positions.get(name) if name else None
        return None if before is None else before + 1

    def _lostSince(self, position: int, topics: frozenset[str] | None) -> bool:
        """
        Find out whether any event at a position or later was dropped.

        @param position: the position; less than 0 if it is unknown.
        @param topics: consider only events about these; L{None} for all.
        """
        if position < 0:
            return True
        if position >= self.first:
            return False
        if topics is None or position <= self._forgotten:
            return True
        return any(self._dropped.get(topic, -1) >= position for topic in topics)

    def get(self, position: int) -> Entry:
        """
        Return a recent event, which is in memory.

        @param position: at least C{first}, and less than C{end}.
        """
        return self._entries[position]

    def read(self, position: int, end: int, size: int, topics: frozenset[str] | None) -> Replay:
        """
        Read some events from a position on.

        @param position: where to begin; -1 if it is unknown, and events are therefore lost.
        @param end: the position before which to stop.
        @param size: how many bytes to read at most, unless the first event alone is larger.
        @param topics: read only events about at least one of these; L{None} for all.
        @return: the events.  There may be none even before the end: everything was read only if
            C{next} is C{end}.
        """
        # When thousands of clients reconnect at once, most ask for the same.
        if topics is None and self._asked == (position, end, size):
            return self._answer
        isLost = self._lostSince(position, topics)
        # Dropped events that the client does not want are skipped silently.
        start = max(position, self.first)
        if topics is not None:
            return Replay(isLost, start, *self._select(start, end, size, topics))
        entries: list[Entry] = []
        left = size
        for place in range(start, end):
            entry = self._entries[place]
            left -= len(entry.data)
            if left < 0 and entries:
                break
            entries.append(entry)
        self._asked = position, end, size
        self._answer = Replay(isLost, start, start + len(entries), entries)
        return self._answer

    def _select(
        self, start: int, end: int, size: int, topics: frozenset[str]
    ) -> tuple[int, list[Entry]]:
        """
        @return: the position to go on from, and the events about any of the topics.
        """
        entries: list[Entry] = []
        last = max(start, min(end, start + LOOKS))
        for place in range(start, last):
            entry = self._entries[place]
            if not topics.isdisjoint(entry.topics):
                size -= len(entry.data)
                if size < 0 and entries:
                    return entries[-1].position + 1, entries
                entries.append(entry)
        return last, entries

    def append(self, entry: Entry) -> None:
        """
        Keep a new event, and drop old ones to stay within the limits.
        """
        size = len(entry.data)
        entry.passed = self._passed
        self._passed += max(
            1 / self.maxEvents if self.maxEvents is not None else 0,
            size / self.maxBytes if self.maxBytes is not None else 0,
        )
        self._entries[entry.position] = entry
        self._end = entry.position + 1
        self._bytes += size
        if entry.event.id:
            self._positions[entry.event.id] = entry.position
        if entry.place:
            self._positions[entry.place] = entry.position
        self.trim()

    def trim(self) -> None:
        """
        Drop old events, to stay within the limits.
        """
        entries, maxEvents, maxBytes = self._entries, self.maxEvents, self.maxBytes
        while (maxEvents is not None and len(entries) > maxEvents) or (
            maxBytes is not None and self._bytes > maxBytes
        ):
            if not self._mayDrop():
                break
            self._drop()

    def _mayDrop(self) -> bool:
        return not self.isFront or self.first < self.settled

    def _drop(self) -> None:
        # The cached answer must not keep dropped events in memory.
        self._asked, self._answer = NOT_ASKED, NO_ANSWER
        entry = self._entries.pop(self.first)
        for topic in entry.topics:
            # Keep the newest last.
            self._dropped.pop(topic, None)
            self._dropped[topic] = entry.position
            if len(self._dropped) > MOST_TOPICS:
                self._forgotten = self._dropped.pop(next(iter(self._dropped)))
        self._bytes -= len(entry.data)
        position = entry.position
        if self.isFront:
            # The place before what is left.
            self._named[position] = entry.name
        for identifier in (entry.event.id, entry.place):
            if self._named.get(position) != identifier:
                self._forget(identifier, position)
        # The place before it is lost.
        self._forget(self._named.pop(position - 1, None), position - 1)

    def _forget(self, identifier: str | None, position: int) -> None:
        if identifier and self._positions.get(identifier) == position:
            del self._positions[identifier]

    def passed(self, position: int) -> float:
        """
        Find out how much was published from a position on.

        @return: the fraction that this is of what can be kept at most: 1 or more if the next event
            drops the first of it, or it was dropped already.
        """
        if position >= self._end:
            return 0.0
        if position < self.first:
            return 1.0
        return self._passed - self._entries[position].passed

    def shift(self, seconds: float) -> None:
        """
        Switch to a clock that is ahead by this many seconds.
        """
        for entry in self._entries.values():
            entry.time += seconds

    def expire(self, now: float) -> float | None:
        """
        Drop events that are older than C{maxAge}, which is not L{None}.

        @param now: the time, in the seconds of the channel's clock.
        @return: in how many seconds there will be more to drop; L{None} if no events are kept.
        """
        assert self.maxAge is not None, "without a greatest age nothing is too old"
        while self._entries:
            end = self._entries[self.first].time + self.maxAge
            if end > now:
                # Not 0, which the difference may be after rounding.
                return max(end - now, 0.001)
            if not self._mayDrop():
                return LATER
            self._drop()
        return None
