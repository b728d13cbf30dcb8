"""
What can be replayed to a client that comes back.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence

from ..checks import checkInteger, checkSeconds
from ..format.encoded import Encoded
from ..format.event import Event

__all__ = ["LONGEST_ID", "Entry", "History"]


#: The longest last event ID that is accepted from a client, in bytes.  IDs are ours, and short.
LONGEST_ID = 8192


#: Of how many topics it is remembered what was dropped.
MOST_TOPICS = 10_000


class Entry(Encoded):
    """
    One event of a channel's sequence.

    @ivar event: as it was published, with its ID.
    @ivar topics: what it is about.
    @ivar position: its place in the sequence; the first event has 0.
    @ivar time: when it was published, in the seconds of the channel's clock.
    """

    __slots__ = ("event", "position", "time", "topics")

    def __init__(self, event: Event, topics: frozenset[str], position: int, time: float) -> None:
        super().__init__(event)
        self.event = event
        self.topics = topics
        self.position = position
        self.time = time


class History:
    """
    The newest events of a channel, by their IDs.

    Give it to one L{Channel<twisted_sse.channel.channel.Channel>}.

    @since: 0.1
    """

    def __init__(
        self,
        maxEvents: int | None = 1000,
        maxBytes: int | None = 16 * 2**20,
        maxAge: float | None = None,
    ) -> None:
        """
        @param maxEvents: how many events are kept at most; L{None} for any number.
        @param maxBytes: how many bytes of events are kept at most, counted as they are sent;
            L{None} for any number.
        @param maxAge: for how many seconds an event is kept at most; L{None} for ever.
        @raise ValueError: if one is out of its range, or there is no bound at all.
        """
        checkInteger("maxEvents", maxEvents, 1)
        checkInteger("maxBytes", maxBytes, 1)
        checkSeconds("maxAge", maxAge)
        if maxEvents is None and maxBytes is None and maxAge is None:
            raise ValueError("give maxEvents, maxBytes or maxAge: memory has an end")
        self.maxEvents = maxEvents
        self.maxBytes = maxBytes
        self.maxAge = maxAge
        # By position: the oldest is found and dropped, and any other found, at once.
        self._entries: dict[int, Entry] = {}
        # Of the latest occurrence of each ID.
        self._positions: dict[str, int] = {}
        # Of the newest event that was dropped, by topic; and up to where that is not known, since
        # there were too many topics.
        self._dropped: dict[str, int] = {}
        self._forgotten = -1
        # The ID of the place before the first event of all, if it has one.
        self._origin = ""
        self._beginning = -1
        self._end = 0
        self._bytes = 0
        # IDs of the process before this one must not be taken for ours, nor those of another
        # process beside it.
        self._claimed = False
        # What was asked of _piece last, and what it answered.
        self._asked = (0, 0, 0)
        self._answer: tuple[int, Sequence[Entry]] = (0, ())
        self._token = f"{int(time.time() * 1000):x}{secrets.token_hex(1)}"

    def __repr__(self) -> str:
        return f"<History of {len(self)} events, {self._bytes} bytes>"

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, lastEventID: object) -> bool:
        """
        Whether a client that has seen the event with this ID misses nothing that is not kept.
        """
        if not isinstance(lastEventID, str):
            return False
        after = self._after(lastEventID, None)
        return after is not None and not self._lostSince(after, None)

    @property
    def bytes(self) -> int:
        """
        The size of the events that are kept, as they are sent.
        """
        return self._bytes

    # What a channel uses

    def _claim(self) -> None:
        if self._claimed:
            raise ValueError(f"{self!r} belongs to another channel: make one for each")
        self._claimed = True

    @property
    def _first(self) -> int:
        """
        The position of the oldest event that is kept, or of the one that comes next.
        """
        return self._end - len(self._entries)

    def _identify(self, position: int) -> str:
        """
        Make an ID for the event at a position.  IDs sort as text in the order of their making:
        the number of digits comes before the digits.
        """
        digits = f"{position:x}"
        return f"{self._token}{len(digits):x}{digits}"

    def _mark(self, position: int) -> str:
        """
        Make an ID for the place before a position: for a client that has got no event yet,
        and nevertheless is to miss none when it comes back.

        If the event before it has an ID that was given, that is the one: whoever gives IDs may
        know them again after a restart, and ours will be unknown then.
        """
        before = position - 1
        entry = self._entries.get(before)
        given = self._origin if entry is None and before == self._beginning else None
        if entry is not None and entry.event.id != self._identify(before):
            given = entry.event.id
        if given and self._positions.get(given) == before:
            return given
        return self._ownMark(position)

    def _ownMark(self, position: int) -> str:
        return f"{self._token}.{position:x}"

    def _begin(self, identifier: str) -> None:
        """
        Name the place before the next event by an ID: that of an event which is not kept, but
        after which nothing is missing.
        """
        self._origin, self._beginning = identifier, self._end - 1
        self._positions[identifier] = self._beginning

    def _after(self, lastEventID: str, topics: frozenset[str] | None = None) -> int | None:
        """
        Find what comes after an ID.

        @param topics: what the client wants to hear about: then what was dropped may be none of
            its business.
        @return: a position; L{None} if the ID is unknown, or no longer kept.
        """
        position = self._positions.get(lastEventID)
        if position is not None:
            return position + 1
        try:
            position = int(lastEventID[len(self._token) + 1 :][:16], 16)
        except ValueError:
            return None
        if not 0 <= position <= self._end:
            return None
        if lastEventID == self._ownMark(position):
            return None if topics is None and position < self._first else position
        if lastEventID == self._identify(position) and topics is not None:
            return position + 1
        return None

    def _lostSince(self, position: int, topics: frozenset[str] | None) -> bool:
        """
        Find out whether anything was dropped that comes at a position or later.

        @param position: less than 0 if it is not known.
        @param topics: anything about these; L{None} for anything at all.
        """
        if position < 0:
            return True
        if position >= self._first:
            return False
        if topics is None or position <= self._forgotten:
            return True
        return any(self._dropped.get(topic, -1) >= position for topic in topics)

    def _get(self, position: int) -> Entry | None:
        """
        Find an event, if it is kept.
        """
        return self._entries.get(position)

    def _piece(self, first: int, end: int, size: int) -> tuple[int, Sequence[Entry]]:
        """
        Take events from a position on: at least one, and no more than so many bytes.

        @param first: the position of an event that is kept.
        @param end: the position where to stop.
        @param size: in bytes.
        @return: the position that comes next, and the events.
        """
        # When thousands come back at the same time, most ask for the same.
        if self._asked == (first, end, size):
            return self._answer
        entries: list[Entry] = []
        left = size
        for position in range(first, end):
            entry = self._entries.get(position)
            if entry is None:
                # Dropped just now, by what somebody has published who was told of this client.
                break
            left -= len(entry.data)
            if left < 0 and entries:
                break
            entries.append(entry)
        self._asked = first, end, size
        self._answer = first + len(entries), entries
        return self._answer

    def _append(self, entry: Entry) -> None:
        """
        Keep one more event, the newest.
        """
        self._entries[entry.position] = entry
        self._end = entry.position + 1
        self._bytes += len(entry.data)
        if entry.event.id:
            self._positions[entry.event.id] = entry.position
        while (self.maxEvents is not None and len(self._entries) > self.maxEvents) or (
            self.maxBytes is not None and self._bytes > self.maxBytes
        ):
            self._drop()

    def _drop(self) -> None:
        # Lest the memory of it keep what is dropped.
        self._asked, self._answer = (0, 0, 0), (0, ())
        entry = self._entries.pop(self._first)
        for topic in entry.topics:
            # The newest last.
            self._dropped.pop(topic, None)
            self._dropped[topic] = entry.position
            if len(self._dropped) > MOST_TOPICS:
                self._forgotten = self._dropped.pop(next(iter(self._dropped)))
        self._bytes -= len(entry.data)
        identifier = entry.event.id
        if identifier and self._positions[identifier] == entry.position:
            del self._positions[identifier]

    def _shift(self, seconds: float) -> None:
        """
        Go by another clock, which is ahead by so many seconds.
        """
        for entry in self._entries.values():
            entry.time += seconds

    def _expire(self, now: float) -> float | None:
        """
        Drop what is too old.

        @param now: in the seconds of the channel's clock.
        @return: in how many seconds there will be more; L{None} if nothing is kept.
        """
        assert self.maxAge is not None, "without a greatest age nothing is too old"
        while self._entries:
            end = self._entries[self._first].time + self.maxAge
            if end > now:
                # Not in no time at all: the difference may be lost in rounding.
                return max(end - now, 0.001)
            self._drop()
        return None
