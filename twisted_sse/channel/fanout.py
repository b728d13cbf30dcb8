"""
What was published in one turn of the reactor, on its way to all who are to get it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from itertools import filterfalse, islice
from operator import length_hint
from typing import cast

from ..format.encoded import Batch, cut
from ..store.memory import Entry
from ..stream.stream import EventStream
from ..stream.transport import sendToAll
from .subscription import Subscription

__all__ = ["FanOut"]

#: After how many streams it is looked at the time.
ROUND = 32


class _Group:
    """
    Streams that get the same, as far as they have got it.

    @ivar batches: what they get, one in each turn: a connection cannot take more.
    @ivar turn: the number of the batch that is being sent.
    @ivar waiting: the streams that have not got that yet.
    """

    __slots__ = ("batches", "streams", "turn", "waiting")

    def __init__(self, streams: list[EventStream], batches: list[Batch]) -> None:
        self.streams = streams
        self.batches = batches
        self.turn = 0
        self.waiting = iter(streams)

    def rest(self, place: int) -> list[Batch]:
        """
        @return: what the stream at a place in the list has not got.
        """
        # Exact even while one of them is being served, and somebody who is told of it asks.
        served = len(self.streams) - length_hint(self.waiting)
        return self.batches[self.turn + (place < served) :]


class FanOut:
    """
    Some events for many streams, handed over in slices that do not hold the reactor for long.

    @ivar entries: the events.
    @ivar streams: how many streams were handed any of them.
    """

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = entries
        self.streams = 0
        self._groups: deque[_Group] = deque()
        self._asked: dict[EventStream, tuple[Subscription, Sequence[Entry]]] = {}
        self._gone: set[EventStream] = set()
        self._places: dict[EventStream, tuple[_Group, int]] | None = None

    def give(self, streams: list[EventStream], entries: Sequence[Entry]) -> None:
        """
        Have these streams sent these events.
        """
        self._groups.append(_Group(streams, cut(entries)))
        self.streams += len(streams)

    def ask(self, subscription: Subscription, entries: Sequence[Entry]) -> None:
        """
        Have a stream sent what it chooses of these events.
        """
        self._asked[subscription.stream] = subscription, entries

    def send(self, isLate: Callable[[], bool]) -> bool:
        """
        Go on sending.

        @param isLate: whether it is time for others.
        @return: whether everything was sent.
        """
        while self._groups or self._asked:
            if not self._groups:
                self._askNext()
                if isLate():
                    break
                continue
            group = self._groups[0]
            batch = group.batches[group.turn]
            while length_hint(group.waiting):
                some = filterfalse(self._gone.__contains__, islice(group.waiting, ROUND))
                sendToAll(some, batch, group.streams[0]._wheel.seconds())
                if isLate():
                    return False
            group.turn += 1
            group.waiting = iter(group.streams)
            if group.turn < len(group.batches):
                return False
            self._groups.popleft()
        return not (self._groups or self._asked)

    def _askNext(self) -> None:
        """
        Find out what the next of those wants who are asked, and send it that.
        """
        stream, (subscription, candidates) = next(iter(self._asked.items()))
        batches = cut(subscription.choose(candidates))
        # It may have been dropped as it was asked.
        if self._asked.pop(stream, None) is not None and batches:
            group = _Group([stream], batches)
            self._groups.append(group)
            self.streams += 1
            if self._places is not None:
                self._places[stream] = group, 0

    def drop(self, stream: EventStream) -> Sequence[Entry]:
        """
        Send a stream no more.

        @return: what it has not got, or would have been asked about.
        """
        self._gone.add(stream)
        if stream in self._asked:
            _, candidates = self._asked.pop(stream)
            return candidates
        if self._places is None:
            # All at once: if one ends, all may, by a drain.
            self._places = {
                each: (group, place)
                for group in self._groups
                for place, each in enumerate(group.streams)
            }
        group, place = self._places.pop(stream, (None, 0))
        if group is None:
            return ()
        entries = [event for batch in group.rest(place) for event in batch.encoded]
        return cast("list[Entry]", entries)
