"""
Tests for L{twisted_sse.daemon.processes.sums}.
"""

from __future__ import annotations

import json

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from twisted.trial.unittest import SynchronousTestCase

from twisted_sse.daemon.processes.sums import Families, Sums, described, made


def process(opened: int, now: int, since: float, behind: float) -> Families:
    """
    @return: the metrics of a process, as sent.
    """
    registry = CollectorRegistry()
    counter = Counter("opened", "Opened.", ["resource"], registry=registry)
    counter.labels("/").inc(opened)
    Gauge("now", "Now.", registry=registry).set(now)
    Gauge("process_start_time_seconds", "Since.", registry=registry).set(since)
    Gauge("behind_seconds", "Behind.", registry=registry).set(behind)
    Histogram("took", "Took.", buckets=(1, 2), registry=registry).observe(1.5)
    families: Families = json.loads(json.dumps(described(registry.collect())))
    return [
        [name, kind, meaning, [each for each in samples if not each[0].endswith("_created")]]
        for name, kind, meaning, samples in families
    ]


class SumsTests(SynchronousTestCase):
    """
    Tests for sums of metrics.
    """

    def text(self, sums: Sums, more: Families) -> str:
        """
        @return: the page of the sum, without comments.
        """
        registry = CollectorRegistry()

        class Collected:
            def collect(self) -> object:
                return made(sums.total(more))

        registry.register(Collected())  # type: ignore[arg-type]
        lines = generate_latest(registry).decode().splitlines()
        return "\n".join(line for line in lines if not line.startswith("#"))

    def test_sum(self) -> None:
        """
        Counters, gauges and histograms are added; of start times the earliest counts, and of other
        times the longest.
        """
        sums = Sums()
        sums.tell(1, process(3, 2, 100, 0.5))
        sums.tell(2, process(4, 1, 90, 0.25))
        self.assertEqual(
            self.text(sums, []),
            'opened_total{resource="/"} 7.0\n'
            "now 3.0\n"
            "process_start_time_seconds 90.0\n"
            "behind_seconds 0.5\n"
            'took_bucket{le="1.0"} 0.0\n'
            'took_bucket{le="2.0"} 2.0\n'
            'took_bucket{le="+Inf"} 2.0\n'
            "took_count 2.0\n"
            "took_sum 3.0",
        )

    def test_toldAgain(self) -> None:
        """
        The metrics of a process replace its previous ones.
        """
        sums = Sums()
        sums.tell(1, process(3, 2, 100, 0))
        sums.tell(1, process(5, 1, 100, 0))
        self.assertIn('opened_total{resource="/"} 5.0\nnow 1.0\n', self.text(sums, []))

    def test_ended(self) -> None:
        """
        The counts of a process remain after its end, and its gauges become 0.
        """
        sums = Sums()
        for number in 1, 2, 3:
            sums.tell(number, process(3, 2, 100, 7))
            sums.end(number)
        sums.end(4)
        text = self.text(sums, [])
        self.assertIn('opened_total{resource="/"} 9.0\nnow 0.0\nbehind_seconds 0.0\n', text)
        self.assertIn("took_count 3.0", text)
        self.assertNotIn("start_time", text)
        sums.tell(5, process(1, 1, 100, 7))
        self.assertIn('opened_total{resource="/"} 10.0\nnow 1.0\n', self.text(sums, []))

    def test_more(self) -> None:
        """
        The metrics of the parent belong to the sum.
        """
        sums = Sums()
        sums.tell(1, process(3, 2, 100, 0))
        text = self.text(sums, process(1, 0, 50, 0))
        self.assertIn(
            'opened_total{resource="/"} 4.0\nnow 2.0\nprocess_start_time_seconds 50.0', text
        )
