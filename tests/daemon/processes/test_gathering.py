"""
Tests for L{twisted_sse.daemon.processes.gathering}.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.support.supervised import FakeProcess, Family
from twisted_sse.daemon.processes.gathering import Gathering
from twisted_sse.daemon.processes.sums import Families


def opened(value: float) -> Families:
    """
    @return: the metrics of a process.
    """
    return [["opened", "counter", "Opened.", [["opened_total", {}, value]]]]


class GatheringTests(SynchronousTestCase):
    """
    Tests for the metrics of all processes.
    """

    def setUp(self) -> None:
        """
        Start three children; two are ready.
        """
        self.family = Family(3)
        supervisor = self.family.supervisor
        supervisor.startService()
        self.gathering = Gathering(
            self.family.clock, supervisor.children, lambda: supervisor.replaced, lambda: opened(100)
        )
        supervisor.lost = self.gathering.ended
        self.first, self.second, self.third = self.family.processes
        self.first.ready()
        self.second.ready()

    def tell(self, process: FakeProcess, value: float) -> None:
        """
        Let a child answer.
        """
        asked = [fields["round"] for kind, fields in process.said if kind == "collect"]
        self.gathering.told(process.child, asked[-1], opened(value))

    def values(self, total: Families) -> dict[str, float]:
        """
        @return: the values of the samples, by their labels.
        """
        return {
            "".join([name.removeprefix("sse_processes"), *labels.values()]): value
            for _, _, _, samples in total
            for name, labels, value in samples
        }

    def test_all(self) -> None:
        """
        The sum is ready when all ready children have answered.
        """
        answer = self.gathering.ask()
        self.tell(self.first, 1)
        self.tell(self.third, 1000)
        self.assertNoResult(answer)
        self.tell(self.second, 10)
        self.assertEqual(
            self.values(self.successResultOf(answer)),
            {
                "opened_total": 1111,
                "starting": 1,
                "ready": 2,
                "leaving": 0,
                "silent": 0,
                "_replaced_total": 0,
            },
        )
        # Only the tick of the supervisor is left.
        self.assertEqual(len(self.family.clock.getDelayedCalls()), 1)

    def test_shared(self) -> None:
        """
        Requests during the gathering get the same answer, and later ones another.
        """
        answers = [self.gathering.ask(), self.gathering.ask()]
        self.assertEqual([kind for kind, _ in self.first.said], ["collect"])
        self.tell(self.first, 1)
        self.tell(self.second, 1)
        first, second = map(self.successResultOf, answers)
        self.assertIs(first, second)
        self.assertNoResult(self.gathering.ask())

    def test_silent(self) -> None:
        """
        A child that does not answer in time counts as silent, and its previous metrics are used,
        until it answers again.
        """
        self.gathering.ask()
        self.tell(self.first, 1)
        self.tell(self.second, 10)
        answer = self.gathering.ask()
        self.tell(self.first, 2)
        self.family.advance(1.875)
        self.assertNoResult(answer)
        self.family.advance(0.125)
        values = self.values(self.successResultOf(answer))
        self.assertEqual((values["opened_total"], values["ready"], values["silent"]), (112, 1, 1))
        # Its answer arrives late.
        self.tell(self.second, 20)
        answer = self.gathering.ask()
        self.tell(self.first, 2)
        self.tell(self.second, 20)
        values = self.values(self.successResultOf(answer))
        self.assertEqual((values["opened_total"], values["ready"], values["silent"]), (122, 2, 0))

    def test_ends(self) -> None:
        """
        The gathering does not wait for a child that ends meanwhile, and its counts stay.
        """
        self.gathering.ask()
        self.tell(self.first, 1)
        self.tell(self.second, 10)
        answer = self.gathering.ask()
        self.tell(self.first, 1)
        self.second.crash()
        values = self.values(self.successResultOf(answer))
        self.assertEqual((values["opened_total"], values["_replaced_total"]), (111, 1))

    def test_lastWords(self) -> None:
        """
        The metrics that a child sends at its end count.
        """
        self.gathering.told(self.second.child, 0, opened(7))
        self.second.crash()
        answer = self.gathering.ask()
        self.tell(self.first, 1)
        self.assertEqual(self.values(self.successResultOf(answer))["opened_total"], 108)

    def test_nobody(self) -> None:
        """
        If no child is ready, only the parent's own metrics are included.
        """
        self.first.crash()
        self.second.crash()
        values: Any = self.values(self.successResultOf(self.gathering.ask()))
        self.assertEqual((values["opened_total"], values["_replaced_total"]), (100, 2))
