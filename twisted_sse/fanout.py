"""
What was published in one turn of the reactor, on its way to all who are to get it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from .encoded import Batch, Encoded, cut
from .fastwrite import sendToAll
from .history import Entry
from .stream import EventStream
from .subscription import Subscription

__all__ = ["FanOut"]

#: After how many streams it is looked at the time.
ROUND = 32


class _Group:
    """
    Streams that get the same, as far as they have got it.

    @ivar batches: what they get, one in each turn: a connection cannot take more.
    @ivar turn: the number of the batch that is being sent.
    @ivar served: how many of the streams have got that.
    """

    __slots__ = ("batches", "served", "streams", "turn")

    def __init__(self, streams: list[EventStream], batches: list[Batch]) -> None:
        self.streams = streams
        self.batches = batches
        self.turn = 0
        self.served = 0


class FanOut:
    """
    Some events for many streams, handed over in slices that do not hold the reactor for long.

    @ivar entries: the events.
    @ivar streams: how many streams were handed any of them.
    """

    def __init__(self, entries: Sequence[Entry], seconds: Callable[[], float]) -> None:
        """
        @param seconds: the streams' clock.
        """
        self.entries = entries
        self.streams = 0
        self._seconds = seconds
        self._groups: deque[_Group] = deque()
        self._asked: dict[EventStream, tuple[Subscription, Sequence[Entry]]] = {}
        self._gone: set[EventStream] = set()
        self._places: dict[EventStream, tuple[_Group, int]] | None = None

    def give(self, streams: list[EventStream], entries: Sequence[Entry]) -> None:
        """
        Have these streams sent these events.
        """
        self._groups.append(_Group(streams, list(cut(entries))))
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
        while self._groups:
            group = self._groups[0]
            batch = group.batches[group.turn]
            while group.served < len(group.streams):
                some = group.streams[group.served : group.served + ROUND]
                group.served += len(some)
                if self._gone:
                    some = [stream for stream in some if stream not in self._gone]
                sendToAll(some, batch, self._seconds())
                if isLate():
                    return False
            group.turn += 1
            group.served = 0
            if group.turn < len(group.batches):
                return False
            self._groups.popleft()
        while self._asked:
            subscription, candidates = self._asked.pop(next(iter(self._asked)))
            entries = subscription.choose(candidates)
            self.streams += bool(entries)
            for batch in cut(entries):
                subscription.stream._push(batch)
            if isLate():
                return False
        return True

    def remove(self, stream: EventStream) -> list[Encoded]:
        """
        Send a stream no more.

        @return: what it has not got.
        """
        self._gone.add(stream)
        if stream in self._asked:
            subscription, candidates = self._asked.pop(stream)
            return list(subscription.choose(candidates))
        if self._places is None:
            # All at once: if one is removed, all may be, by a drain.
            self._places = {
                each: (group, place)
                for group in self._groups
                for place, each in enumerate(group.streams)
            }
        group, place = self._places.pop(stream, (None, 0))
        if group is None:
            return []
        turn = group.turn + (place < group.served)
        return [event for batch in group.batches[turn:] for event in batch.encoded]
