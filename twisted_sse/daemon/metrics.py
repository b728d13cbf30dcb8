"""
Metrics of the daemon's sources, beside those of its streams and channels.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, Metric

from .sources.linesource import LineSource

__all__ = ["countSources"]


class _Sources:
    """
    Tells Prometheus of the sources of lines.
    """

    def __init__(self, sources: Mapping[str, LineSource]) -> None:
        self._sources = sources

    def collect(self) -> Iterable[Metric]:
        for name, attribute, meaning in (
            ("lines", "lines", "Lines that were read."),
            ("lines_cut", "linesCut", "Lines that were too long, and were cut."),
            ("lines_not_json", "linesNotJSON", "Lines that were to be JSON, and were not."),
        ):
            family = CounterMetricFamily(f"sse_source_{name}_total", meaning, labels=["channel"])
            for path, source in self._sources.items():
                family.add_metric([path], getattr(source, attribute))
            yield family


def countSources(registry: CollectorRegistry, sources: Mapping[str, LineSource]) -> None:
    """
    Tell Prometheus of sources of lines, too.

    @param registry: where the metrics are to be found.
    @param sources: by the names of their channels.
    """
    registry.register(_Sources(sources))
