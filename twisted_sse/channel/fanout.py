"""
What was published in one turn of the reactor, on its way to all subscribers that get it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from itertools import filterfalse, islice
from operator import length_hint
from typing import cast

from ..format.encoded import Batch, cut
from ..store.entry import Entry
from ..stream.response import Response
from ..stream.transport import sendToAll
from .subscription import Subscription

__all__ = ["FanOut"]

#: After how many responses we look at the clock.
ROUND = 32


class _Group:
    """
    Responses that get the same, as far as they have got it.

    @ivar batches: what they get, one in each turn: a connection cannot take more.
    @ivar turn: the number of the batch that is being sent.
    @ivar waiting: the responses that have not got that yet.
    """

    __slots__ = ("batches", "responses", "turn", "waiting")

    def __init__(self, responses: list[Response], batches: list[Batch]) -> None:
        self.responses = responses
        self.batches = batches
        self.turn = 0
        self.waiting = iter(responses)

    def rest(self, place: int) -> list[Batch]:
        """
        @return: what the response at a place in the list has not got.
        """
        # Exact even while one of them is being served, and an observer asks.
        served = len(self.responses) - length_hint(self.waiting)
        return self.batches[self.turn + (place < served) :]


class FanOut:
    """
    Some events for many responses, handed over in slices that do not hold the reactor for long.

    @ivar entries: the events.
    @ivar streams: how many responses were handed any of them.
    """

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = entries
        self.streams = 0
        self._groups: deque[_Group] = deque()
        self._asked: dict[Response, tuple[Subscription, Sequence[Entry]]] = {}
        self._gone: set[Response] = set()
        self._places: dict[Response, tuple[_Group, int]] | None = None

    def give(self, responses: list[Response], entries: Sequence[Entry]) -> None:
        """
        Have these events sent to these responses.
        """
        self._groups.append(_Group(responses, cut(entries)))
        self.streams += len(responses)

    def ask(self, subscription: Subscription, entries: Sequence[Entry]) -> None:
        """
        Have those of these events sent that a subscriber chooses.
        """
        self._asked[subscription.response] = subscription, entries

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
                sendToAll(some, batch, group.responses[0].wheel.seconds())
                if isLate():
                    return False
            group.turn += 1
            group.waiting = iter(group.responses)
            if group.turn < len(group.batches):
                return False
            self._groups.popleft()
        return not (self._groups or self._asked)

    def _askNext(self) -> None:
        """
        Ask the next of the subscribers that have to be asked, and send it what it wants.
        """
        response, (subscription, candidates) = next(iter(self._asked.items()))
        batches = cut(subscription.choose(candidates))
        # It may have been dropped as it was asked.
        if self._asked.pop(response, None) is not None and batches:
            group = _Group([response], batches)
            self._groups.append(group)
            self.streams += 1
            if self._places is not None:
                self._places[response] = group, 0

    def drop(self, response: Response) -> Sequence[Entry]:
        """
        Send a response no more.

        @return: what it has not got, or would have been asked about.
        """
        self._gone.add(response)
        if response in self._asked:
            _, candidates = self._asked.pop(response)
            return candidates
        if self._places is None:
            # All at once: if one ends, all may, by a drain.
            self._places = {
                each: (group, place)
                for group in self._groups
                for place, each in enumerate(group.responses)
            }
        group, place = self._places.pop(response, (None, 0))
        if group is None:
            return ()
        entries = [event for batch in group.rest(place) for event in batch.encoded]
        return cast("list[Entry]", entries)
