"""
Metrics of the daemon: the page that Prometheus reads, and the counters of the sources, in
addition to those of streams and channels (L{twisted_sse.metrics}).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from twisted.web.resource import Resource

from .sources.linesource import LineSource

if TYPE_CHECKING:
    from twisted.web.server import Request

__all__ = ["MetricsPage", "countSources"]


class MetricsPage(Resource):
    """
    The page that Prometheus reads.
    """

    isLeaf = True

    def __init__(self, registry: CollectorRegistry) -> None:
        """
        @param registry: the metrics to show.
        """
        super().__init__()  # type: ignore[no-untyped-call]
        self._registry = registry

    def render_GET(self, request: Request) -> bytes:
        """
        See L{Resource}.
        """
        accept = (request.getHeader(b"accept") or b"").decode("latin-1")
        try:
            encode, contentType = choose_encoder(accept)
        except (TypeError, ValueError):
            # It names a version that is not a number.
            encode, contentType = choose_encoder("")
        request.setHeader(b"content-type", contentType.encode())
        request.setHeader(b"cache-control", b"no-store")
        return encode(self._registry)


class _Sources:
    """
    Collects the counters of the sources of lines.
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
    Add the counters of sources of lines to a registry.

    @param registry: where the metrics are collected.
    @param sources: the sources, by the names of their channels.
    """
    registry.register(_Sources(sources))
