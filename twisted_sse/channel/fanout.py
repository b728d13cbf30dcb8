"""
Sending the events of one turn of the reactor to all subscribers that want them.
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

#: After how many responses the clock is checked.
ROUND = 32


class _Group:
    """
    Responses that are sent the same events, and how far that has got.

    @ivar batches: what they are sent, one batch in each turn: a connection cannot take more.
    @ivar turn: the index of the batch that is being sent.
    @ivar waiting: the responses that have not been sent that batch yet.
    """

    __slots__ = ("batches", "responses", "turn", "waiting")

    def __init__(self, responses: list[Response], batches: list[Batch]) -> None:
        self.responses = responses
        self.batches = batches
        self.turn = 0
        self.waiting = iter(responses)

    def rest(self, place: int) -> list[Batch]:
        """
        @return: the batches that the response at a place in the list has not been sent.
        """
        # Exact even while one of them is being served, and an observer drops another.
        served = len(self.responses) - length_hint(self.waiting)
        return self.batches[self.turn + (place < served) :]


class FanOut:
    """
    Some events for many responses, sent in slices that do not block the reactor for long.

    @ivar entries: the events.
    @ivar streams: how many responses are sent any of them.
    """

    def __init__(
        self, entries: Sequence[Entry], chosen: Callable[[Subscription, Entry], None]
    ) -> None:
        """
        @param chosen: called with a subscriber that was asked, and the last event that it has
            chosen.
        """
        self.entries = entries
        self._chosen = chosen
        self.streams = 0
        self._groups: deque[_Group] = deque()
        self._asked: dict[Response, tuple[Subscription, Sequence[Entry]]] = {}
        self._gone: set[Response] = set()
        self._places: dict[Response, tuple[_Group, int]] | None = None

    def give(self, responses: list[Response], entries: Sequence[Entry]) -> None:
        """
        Add responses that are all sent these events.
        """
        self._groups.append(_Group(responses, cut(entries)))
        self.streams += len(responses)

    def ask(self, subscription: Subscription, entries: Sequence[Entry]) -> None:
        """
        Add a subscriber that is sent those of these events that it chooses.
        """
        self._asked[subscription.response] = subscription, entries

    def send(self, isLate: Callable[[], bool]) -> bool:
        """
        Go on sending.

        @param isLate: returns whether this turn's time is used up.
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
        Ask the next of the subscribers that choose, and send it what it wants.
        """
        response, (subscription, candidates) = next(iter(self._asked.items()))
        entries = subscription.choose(candidates)
        # It may have been dropped while it was asked.
        if self._asked.pop(response, None) is not None and entries:
            self._chosen(subscription, entries[-1])
            batches = cut(entries)
            group = _Group([response], batches)
            self._groups.append(group)
            self.streams += 1
            if self._places is not None:
                self._places[response] = group, 0

    def drop(self, response: Response) -> Sequence[Entry]:
        """
        Stop sending to a response.

        @return: the events that it has not been sent, or asked about.
        """
        left = self.left(response)
        self._gone.add(response)
        if self._asked.pop(response, None) is None and self._places is not None:
            self._places.pop(response, None)
        return left

    def left(self, response: Response) -> Sequence[Entry]:
        """
        @return: the events that a response has not been sent, or asked about.
        """
        if response in self._asked:
            _, candidates = self._asked[response]
            return candidates
        if response in self._gone:
            return ()
        if self._places is None:
            # Computed for all at once: if one ends, all may end, because of a drain.
            self._places = {
                each: (group, place)
                for group in self._groups
                for place, each in enumerate(group.responses)
            }
        group, place = self._places.get(response, (None, 0))
        if group is None:
            return ()
        entries = [event for batch in group.rest(place) for event in batch.encoded]
        return cast("list[Entry]", entries)
