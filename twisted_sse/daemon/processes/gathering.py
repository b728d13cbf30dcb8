"""
The metrics of all processes, gathered by the parent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from .sums import Families, Sums
from .supervisor import Child, State

__all__ = ["DEADLINE", "Gathering"]

#: How long the children may take to answer, in seconds: then those that have are enough.
DEADLINE = 2.0

#: What is said of a child that does not answer.
SILENT = "silent"


class Gathering:
    """
    Asks all children for their metrics, and adds them up.  Those who ask meanwhile get the same
    answer.
    """

    def __init__(
        self,
        reactor: Any,
        children: Callable[[], Iterable[Child]],
        replaced: Callable[[], int],
        own: Callable[[], Families],
    ) -> None:
        """
        @param children: finds all children that have not ended.
        @param replaced: counts those that have ended and should not have.
        @param own: makes the metrics of the parent itself.
        """
        self._reactor = reactor
        self._children = children
        self._replaced = replaced
        self._own = own
        self._sums = Sums()
        # How many rounds there have been, and of the one that goes on: who is yet to answer, and who
        # has asked.
        self._round = 0
        self._missing: set[int] = set()
        self._silent: set[int] = set()
        self._asked: list[Deferred[Families]] = []
        self._deadline: IDelayedCall | None = None

    def ask(self) -> Deferred[Families]:
        """
        Gather the metrics.

        @return: the sum, after L{DEADLINE} at the latest.
        """
        answer: Deferred[Families] = Deferred()
        self._asked.append(answer)
        if len(self._asked) == 1:
            self._begin()
        return answer

    def _begin(self) -> None:
        self._round += 1
        self._deadline = self._reactor.callLater(DEADLINE, self._finish)
        self._missing = {
            child.number for child in self._children() if child.state is not State.STARTING
        }
        for child in self._children():
            child.say("collect", {"round": self._round})
        self._finishIfComplete()

    def told(self, child: Child, number: int, families: Families) -> None:
        """
        A child has told its metrics.

        @param number: of the round in which it was asked.
        """
        self._sums.tell(child.number, families)
        if number == self._round:
            self._silent.discard(child.number)
            self._missing.discard(child.number)
            self._finishIfComplete()

    def ended(self, child: Child) -> None:
        """
        A child has ended.
        """
        self._sums.end(child.number)
        self._silent.discard(child.number)
        self._missing.discard(child.number)
        self._finishIfComplete()

    def _finishIfComplete(self) -> None:
        if not self._missing and self._deadline is not None:
            self._finish()

    def _finish(self) -> None:
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        self._deadline = None
        self._silent |= self._missing
        self._missing = set()
        total = self._sums.total(self._own() + self._aboutUs())
        asked, self._asked = self._asked, []
        for answer in asked:
            answer.callback(total)

    def _aboutUs(self) -> Families:
        """
        @return: metrics that say whose metrics these are.
        """
        states = Counter(
            SILENT if child.number in self._silent else child.state.value
            for child in self._children()
        )
        names = [*(state.value for state in State), SILENT]
        return [
            [
                "sse_processes",
                "gauge",
                "Processes that serve clients; a silent one has not reported its metrics.",
                [["sse_processes", {"state": name}, states[name]] for name in names],
            ],
            [
                "sse_processes_replaced",
                "counter",
                "Processes that ended unexpectedly and were replaced.",
                [["sse_processes_replaced_total", {}, self._replaced()]],
            ],
        ]
