"""
The metrics of several processes, added up.

A counter of the sum never goes down: what a process has counted stays when it has ended.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prometheus_client.core import Metric

__all__ = ["Families", "Sums", "described", "made"]

#: Metrics as they are sent: of each family its name, kind and meaning, and of its samples their
#: names, labels and values.
Families = list[list[Any]]

#: How the name of a metric ends that is a point in time.
SINCE = "start_time_seconds"


def described(metrics: Iterable[Metric]) -> Families:
    """
    Make metrics ready to be sent.
    """
    return [
        [
            metric.name,
            metric.type,
            metric.documentation,
            [[sample.name, sample.labels, sample.value] for sample in metric.samples],
        ]
        for metric in metrics
    ]


def made(families: Families) -> list[Metric]:
    """
    Make metrics from what was sent.
    """
    # Only a child with a page for them comes here: it has the library.
    from prometheus_client.core import Metric

    metrics = []
    for name, kind, meaning, samples in families:
        metric = Metric(name, meaning, kind)
        for sample, labels, value in samples:
            metric.add_sample(sample, labels, value)
        metrics.append(metric)
    return metrics


def _add(name: str, kind: str, one: float, other: float) -> float:
    """
    Add a value of one process to that of another.
    """
    if name.endswith(SINCE):
        # Since when the daemon runs.
        return min(one, other)
    if kind == "gauge" and name.endswith("_seconds"):
        # A time does not get longer when several have to wait.
        return max(one, other)
    return one + other


class Sums:
    """
    The metrics of processes: of those that run, the last that they have told, and of those that have
    ended, what they have counted.
    """

    def __init__(self) -> None:
        self._running: dict[int, Families] = {}
        self._ended: Families = []

    def tell(self, process: int, families: Families) -> None:
        """
        Take the metrics of a process.

        @param process: a number that no other process ever has.
        """
        self._running[process] = families

    def end(self, process: int) -> None:
        """
        A process has ended: what it has counted is kept.
        """
        families = self._running.pop(process, [])
        self._ended = _sum([self._ended, _left(families)])

    def total(self, more: Families) -> Families:
        """
        Add everything up.

        @param more: metrics that belong to it, too.
        """
        return _sum([more, self._ended, *self._running.values()])


def _left(families: Families) -> Families:
    """
    @return: what is left of the metrics of a process when it has ended.  A gauge is 0, so that what was
        there once does not vanish.
    """
    return [
        [
            name,
            kind,
            meaning,
            [[each, labels, 0.0 if kind == "gauge" else value] for each, labels, value in samples],
        ]
        for name, kind, meaning, samples in families
        if kind in ("counter", "histogram", "gauge") and not name.endswith(SINCE)
    ]


def _sum(parts: Iterable[Families]) -> Families:
    kinds: dict[str, tuple[str, str]] = {}
    sums: dict[str, dict[tuple[str, tuple[tuple[str, str], ...]], float]] = {}
    for families in parts:
        for name, kind, meaning, samples in families:
            kinds.setdefault(name, (kind, meaning))
            values = sums.setdefault(name, {})
            for sample, labels, value in samples:
                key = sample, tuple(labels.items())
                before = values.get(key)
                values[key] = value if before is None else _add(sample, kind, before, value)
    return [
        [
            name,
            *kinds[name],
            [[sample, dict(labels), value] for (sample, labels), value in values.items()],
        ]
        for name, values in sums.items()
    ]
