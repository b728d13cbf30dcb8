"""
The events that are only in the store, for all subscribers that are so far behind.

When thousands of clients reconnect at once, most of them ask for the same events.  They are read in
pages, one read at a time, and every page is kept for as long as there are subscribers that may want
it: so each event is read and encoded once, not once for each client.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Sequence
from itertools import islice
from typing import NamedTuple

from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from ..store.contract import EventLog, NotKept, Record, StoreAway
from ..store.entry import Entry, entryOf
from ..store.identifiers import number
from ..store.memory import History
from ..stream.turn import TURN
from ..timing.slices import SLICE
from ..timing.ticker import steady

__all__ = ["Older", "Part"]

#: How many bytes are read at a time.
PAGE = 2**16

#: How many bytes of pages are kept at most, besides the newest.
MOST = 64 * PAGE

#: How many IDs that the application gave are remembered at most.
MOST_GIVEN = 10_000

#: How many seconds pass before a store that is away is asked again, at first and at most.
PAUSE = 0.1
LONGEST_PAUSE = 5.0

Topics = frozenset[str] | None


class Part(NamedTuple):
    """
    What directly follows a place.

    @ivar entries: the events of a page.
    @ivar start: the index of the first that follows the place.
    @ivar stops: where C{turn} ends, by where it starts.
    @ivar position: if there are no events, since the place is at the end of the store: where to go
        on in the history.
    @ivar place: the store's name for that position; empty if the history does not have it any more.
    """

    entries: Sequence[Entry]
    start: int
    stops: dict[int, int]
    position: int = 0
    place: str = ""

    def turn(self) -> Sequence[Entry]:
        """
        @return: as many of the events as are sent in a turn.
        """
        start = self.start
        stop = self.stops.get(start)
        if stop is None:
            # Most clients stop at the same places: it is found out once.
            size = 0
            stop = start
            for entry in islice(self.entries, start, None):
                size += len(entry.data)
                if size > TURN and stop > start:
                    break
                stop += 1
            self.stops[start] = stop
        return self.entries[start:stop]


class _Page:
    """
    @ivar entries: events that follow each other.
    @ivar stops: see L{Part}.
    @ivar after: the place that was asked for.
    @ivar topics: what they are about.
    @ivar size: how many bytes they have.
    """

    __slots__ = ("after", "entries", "size", "stops", "topics")

    def __init__(self, entries: Sequence[Entry], after: str | None, topics: Topics) -> None:
        self.entries = entries
        self.stops: dict[int, int] = {}
        self.after = after
        self.topics = topics
        self.size = sum([len(entry.data) for entry in entries])


class _Request:
    """
    What one or more subscribers are waiting for.

    @ivar isOld: whether the place is a later one by now.
    @ivar again: the place after an event that has the same ID as that before the place; L{None} if
        there is none.  The store may find either.
    """

    __slots__ = ("after", "again", "isOld", "topics", "waiting")

    def __init__(self, after: str | None, topics: Topics) -> None:
        self.after = after
        self.topics = topics
        self.isOld = False
        self.again: str | None = None
        self.waiting: dict[Deferred[Part], None] = {}


class Older:
    """
    Reads from a log.

    @ivar given: how many events were published with an ID that the application gave.
    """

    def __init__(self, log: EventLog, history: History, clock: Callable[[], IReactorTime]) -> None:
        """
        @param history: the window in front of the log.
        @param clock: finds where time comes from.
        """
        self._log = log
        self._history = history
        self._clock = clock
        # The page and the index of what follows an event.
        self._places: dict[Hashable, tuple[_Page, int]] = {}
        # The page of what follows a place that was asked for, by the place and the topics.
        self._asked: dict[str | None, dict[Topics, _Page]] = {}
        # The oldest first.
        self._pages: dict[_Page, None] = {}
        self._size = 0
        # In the order in which they came.
        self._requests: dict[tuple[str | None, Topics], _Request] = {}
        self._reading: Deferred[Sequence[Record]] | None = None
        self._pause = PAUSE
        self._call: IDelayedCall | None = None
        # The answers that have not been delivered yet, and to whom they go.
        self._answers: deque[tuple[dict[Deferred[Part], None], Part | Failure]] = deque()
        self._turn: IDelayedCall | None = None
        self._isTelling = False
        # How many subscribers may read.
        self._readers = 0
        # How often continuity was lost.
        self._losses = 0
        self.given = 0
        # What C{given} was after each ID; and after those that are forgotten.
        self._latest: dict[str, int] = {}
        self._forgotten = 0

    def enter(self) -> None:
        """
        A subscriber is so far behind that it reads from the store.
        """
        self._readers += 1

    def exit(self) -> None:
        """
        A subscriber does not read any more.
        """
        self._readers -= 1
        if not self._readers:
            self.clear()
            # By now nothing waits.
            self._answers.clear()
            if self._turn is not None:
                self._turn.cancel()
                self._turn = None

    def clear(self) -> None:
        """
        Forget all pages.
        """
        self._places.clear()
        self._asked.clear()
        self._pages.clear()
        self._size = 0

    def restart(self) -> None:
        """
        Continuity is lost: what was found until now, or is being read, may be of the past.  Those
        who wait have to ask again.
        """
        self._losses += 1
        self.clear()

    def giveAgain(self, identifier: str, place: str) -> None:
        """
        An event is published with an ID that the application gave.  If it was given before, those
        who have come with it, and have not read yet, mean another place than the store does.

        @param place: the place after the event.
        """
        self.given += 1
        self._latest[identifier] = self.given
        if len(self._latest) > MOST_GIVEN:
            self._latest.clear()
            self._forgotten = self.given
        for request in self._requests.values():
            if request.after == identifier:
                request.again = place

    def forget(self, given: set[str]) -> None:
        """
        Events with IDs that the application gave are stored: an ID that was given before names
        another place from now on.
        """
        for identifier in given:
            self._asked.pop(identifier, None)
        for request in self._requests.values():
            if request.after in given:
                request.isOld = True

    def read(
        self, after: str | None, topics: Topics, given: int | None = None
    ) -> Part | Deferred[Part]:
        """
        Read what directly follows a place.

        @param after: see L{EventLog.read<twisted_sse.store.contract.EventLog.read>}.
        @param given: what C{given} was when the client came with this ID; L{None} if the place has
            no other name.
        @return: at least one event, unless the place is at the end.  A L{Deferred} may be
            cancelled; it fails with L{NotKept<twisted_sse.store.contract.NotKept>}, and with
            L{StoreAway<twisted_sse.store.contract.StoreAway>} when the channel is closed.
        """
        if given is not None and self._latest.get(after or "", self._forgotten) > given:
            return fail(NotKept(f"{after} was given again"))
        part = self._find(after, topics)
        if part is not None:
            return part
        key = after, topics
        request = self._requests.get(key)
        if request is None:
            request = self._requests[key] = _Request(after, topics)
        asked = request.waiting
        waiting: Deferred[Part] = Deferred(lambda cancelled: asked.pop(cancelled, None))
        asked[waiting] = None
        self._next()
        return waiting

    def has(self, after: str) -> Deferred[bool]:
        """
        Find out whether everything after a place is kept.

        @return: fires with that; fails with L{StoreAway<twisted_sse.store.contract.StoreAway>} when
            the channel is closed.
        """
        self.enter()
        found = self.read(after, None)

        def missing(failure: Failure) -> bool:
            failure.trap(NotKept)
            return False

        def done(outcome: bool | Failure) -> bool | Failure:
            self.exit()
            return outcome

        asked = succeed(found) if isinstance(found, Part) else found
        return asked.addCallbacks(lambda _: True, missing).addBoth(done)

    def retry(self) -> None:
        """
        The store is available again: ask again now.
        """
        if self._call is not None:
            self._call.cancel()
            self._again()

    def close(self) -> None:
        """
        Stop reading.  Pending reads fail with L{StoreAway<twisted_sse.store.contract.StoreAway>}.
        """
        if self._call is not None:
            self._call.cancel()
            self._call = None
        self.clear()
        for request in list(self._requests.values()):
            self._answer(request, Failure(StoreAway("the channel is closed")))
        self._tell()

    def _find(self, after: str | None, topics: Topics) -> Part | None:
        asked = self._asked.get(after)
        page = None if asked is None else asked.get(topics)
        index = 0
        if page is None:
            found = self._places.get((after, topics))
            if found is None:
                return None
            page, index = found
        return Part(page.entries, index, page.stops)

    def _next(self) -> None:
        """
        Answer requests, the oldest first, until the store has to be asked.
        """
        while self._requests and self._reading is None and self._call is None:
            request = next(iter(self._requests.values()))
            part = self._find(request.after, request.topics)
            if not request.waiting:
                # All have been cancelled.
                self._done(request)
            elif part is not None:
                # Read for another subscriber meanwhile.
                self._answer(request, part)
            else:
                self._ask(request)
        self._tell()

    def _ask(self, request: _Request) -> None:
        # If nothing follows in the store, everything that is stored by now has been read.
        stored = self._history.stored
        end = Part((), 0, {}, stored, self._history.name(stored))
        losses = self._losses
        reading = self._reading = maybeDeferred(self._log.read, request.after, PAGE, request.topics)

        def read(records: Sequence[Record]) -> None:
            self._reading = None
            self._pause = PAUSE
            if self._losses != losses:
                # The log is asked again, if an answer is still wanted.
                return
            position = self._history.place(request.after)
            if request.again is not None and not self._isBefore(records, request.again):
                self._answer(request, Failure(NotKept(f"{request.after} was given again")))
                return
            if records:
                part = self._keep(request, records)
            elif position is not None and request.after is not None:
                # It was read before the log said that it is stored, which it has said since.
                part = Part((), 0, {}, position, request.after)
            else:
                part = end
            self._answer(request, part)

        def failed(failure: Failure) -> None:
            self._reading = None
            if not self._requests:
                # It was closed meanwhile.
                return
            if failure.check(StoreAway):
                self._call = self._clock().callLater(self._pause, self._again)
                self._pause = min(2 * self._pause, LONGEST_PAUSE)
            elif self._losses == losses:
                self._answer(request, failure)

        reading.addCallbacks(read, failed)
        if self._reading is not None:
            reading.addCallback(lambda _: self._next())

    def _isBefore(self, records: Sequence[Record], place: str) -> bool:
        """
        @return: whether it is certain that what was read does not begin after a place of this run.
        """
        if not records:
            return False
        event, prefix = records[0].event, self._log.prefix
        first = number(prefix, records[0].place or event.id or "")
        return first is None or first <= (number(prefix, place) or 0)

    def _again(self) -> None:
        self._call = None
        self._next()

    def _answer(self, request: _Request, answer: Part | Failure) -> None:
        self._done(request)
        self._answers.append((request.waiting, answer))

    def _tell(self) -> None:
        """
        Tell those who have an answer, for as long as one slice may block the reactor: each of them
        sends a part to its client.
        """
        if self._isTelling or self._turn is not None:
            return
        self._isTelling = True
        clock = self._clock()
        seconds = steady(clock)
        until = seconds() + SLICE
        while self._answers:
            waiting, answer = self._answers[0]
            if not waiting:
                self._answers.popleft()
                continue
            if seconds() >= until:
                self._turn = clock.callLater(0, self._tellMore)
                break
            each = next(iter(waiting))
            del waiting[each]
            each.callback(answer)
        self._isTelling = False

    def _tellMore(self) -> None:
        self._turn = None
        self._tell()

    def _done(self, request: _Request) -> None:
        # After close() it is not there.
        self._requests.pop((request.after, request.topics), None)

    def _keep(self, request: _Request, records: Sequence[Record]) -> Part:
        """
        Make a page.
        """
        after, topics = request.after, request.topics
        entries = [entryOf(record) for record in records]
        page = _Page(entries, after, topics)
        if self._readers:
            if after is not None and not request.isOld and request.again is None:
                self._asked.setdefault(after, {})[topics] = page
            for index, entry in enumerate(entries[:-1], 1):
                self._places[entry.name, topics] = page, index
            self._pages[page] = None
            self._size += page.size
            while self._size - page.size > MOST:
                self._drop(next(iter(self._pages)))
        return Part(page.entries, 0, page.stops)

    def _drop(self, page: _Page) -> None:
        del self._pages[page]
        self._size -= page.size
        topics = page.topics
        asked = self._asked.get(page.after, {})
        if asked.get(topics) is page:
            del asked[topics]
            if not asked:
                del self._asked[page.after]
        for entry in page.entries[:-1]:
            if self._places.get((entry.name, topics), (None, 0))[0] is page:
                del self._places[entry.name, topics]
