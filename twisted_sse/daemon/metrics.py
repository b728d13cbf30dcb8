"""
Metrics of the daemon: the page that Prometheus reads, and the counters of the sources, of the
store and of the hub, in addition to those of streams and channels (L{twisted_sse.metrics}).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, cast

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from ..store.figures import Figure
from .sources.linesource import LineSource

if TYPE_CHECKING:
    from twisted.web.server import Request

__all__ = ["CountedHub", "CountedStore", "MetricsPage", "countHub", "countSources", "countStore"]

_log = Logger()


class _Collected:
    """
    What was collected, for an encoder that expects a registry.
    """

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


class MetricsPage(Resource):
    """
    The page that Prometheus reads.
    """

    isLeaf = True

    def __init__(
        self, collect: Callable[[], Iterable[Metric] | Deferred[Iterable[Metric]]]
    ) -> None:
        """
        @param collect: makes the metrics, now or later.
        """
        super().__init__()  # type: ignore[no-untyped-call]
        self._collect = collect

    def render_GET(self, request: Request) -> int:
        """
        See L{Resource}.
        """
        collecting: Deferred[Any] = maybeDeferred(self._collect)
        # Cancelled if the client does not wait.
        request.notifyFinish().addErrback(lambda _: collecting.cancel())
        collecting.addCallback(lambda metrics: _answer(request, metrics))
        collecting.addErrback(lambda failure: _fail(request, failure))
        return NOT_DONE_YET


def _answer(request: Request, metrics: Iterable[Metric]) -> None:
    accept = (request.getHeader(b"accept") or b"").decode("latin-1")
    try:
        encode, contentType = choose_encoder(accept)
    except (TypeError, ValueError):
        # It names a version that is not a number.
        encode, contentType = choose_encoder("")
    body: bytes = encode(cast(CollectorRegistry, _Collected(metrics)))
    request.setHeader(b"content-type", contentType.encode())
    request.setHeader(b"cache-control", b"no-store")
    request.setHeader(b"content-length", b"%d" % len(body))
    request.write(body)
    request.finish()


def _fail(request: Request, failure: Failure) -> None:
    if failure.check(CancelledError):
        return
    _log.failure("The metrics cannot be collected", failure)
    request.setResponseCode(503)
    request.setHeader(b"content-type", b"text/plain; charset=utf-8")
    request.write(b"The metrics of the other processes are missing")
    request.finish()


class _Sources:
    """
    Collects the counters of the sources of lines.
    """

    def __init__(self, sources: Mapping[str, LineSource]) -> None:
        self._sources = sources

    def collect(self) -> Iterable[Metric]:
        for name, attribute, meaning in (
            ("lines", "lines", "Lines that were read."),
            ("lines_cut", "linesCut", "Lines that were cut because they were too long."),
            ("lines_not_json", "linesNotJSON", "Lines that should have been JSON, but were not."),
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


class CountedHub(Protocol):
    """
    A hub that counts what it does.
    """

    @property
    def refusals(self) -> Mapping[str, int]:
        """
        How many requests were refused, by the reason.
        """

    @property
    def subscribers(self) -> int:
        """
        How many subscribers there are.
        """

    @property
    def lookups(self) -> Mapping[str, int]:
        """
        How often a topic was looked up among the patterns of subscribers, by the outcome.
        """


class _Hub:
    """
    Collects the counters of a hub.
    """

    def __init__(self, hub: CountedHub) -> None:
        self._hub = hub

    def collect(self) -> Iterable[Metric]:
        yield GaugeMetricFamily(
            "sse_hub_subscribers", "Subscribers of the hub.", self._hub.subscribers
        )
        refusals = CounterMetricFamily(
            "sse_hub_refusals_total",
            "Requests that the hub refused, by reason.",
            labels=["reason"],
        )
        for reason, count in sorted(self._hub.refusals.items()):
            refusals.add_metric([reason], count)
        yield refusals
        lookups = CounterMetricFamily(
            "sse_hub_lookups_total",
            "Topics looked up among the patterns of subscribers, by outcome.",
            labels=["outcome"],
        )
        for outcome, count in self._hub.lookups.items():
            lookups.add_metric([outcome], count)
        yield lookups


def countHub(registry: CollectorRegistry, hub: CountedHub) -> None:
    """
    Add the counters of a hub to a registry.

    @param registry: where the metrics are collected.
    """
    registry.register(_Hub(hub))


class CountedStore(Protocol):
    """
    A store that counts what it does.
    """

    def figures(self) -> Iterable[Figure]:
        """
        @return: what it counts.
        """


class _Store:
    """
    Collects the counters of a store.
    """

    def __init__(self, store: CountedStore, waiting: Callable[[], int]) -> None:
        self._store = store
        self._waiting = waiting

    def collect(self) -> Iterable[Metric]:
        yield GaugeMetricFamily(
            "sse_store_waiting_events",
            "Events that were published but could not be stored.",
            self._waiting(),
        )
        for figure in self._store.figures():
            if figure.isCounter:
                name = f"sse_store_{figure.name}_total"
                yield CounterMetricFamily(name, figure.meaning, figure.value)
            else:
                yield GaugeMetricFamily(f"sse_store_{figure.name}", figure.meaning, figure.value)


def countStore(
    registry: CollectorRegistry, store: CountedStore, waiting: Callable[[], int]
) -> None:
    """
    Add the counters of a store to a registry.

    @param registry: where the metrics are collected.
    @param waiting: counts the events of all channels that are not stored.
    """
    registry.register(_Store(store, waiting))
