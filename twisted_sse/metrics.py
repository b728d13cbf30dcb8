"""
An observer that feeds Prometheus: C{pip install twisted-sse[metrics]}.

    >>> observer = PrometheusObserver()
    >>> EventStreamResource(connected, name="ticks", observer=observer)
    >>> Channel(name="news", observer=observer)
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from .observe import Observer
from .stream.reasons import CloseReason

if TYPE_CHECKING:
    from .channel.channel import Channel
    from .format.event import Event
    from .stream.stream import EventStream

__all__ = ["BUCKETS", "PrometheusObserver"]

#: The upper bounds of the histogram's buckets, in seconds: suitable for a handful of streams and
#: for a hundred thousand.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

#: The same as labels, plus one for longer times.
_BOUNDS = (*map(str, BUCKETS), "+Inf")

#: The metrics: kind, name without the namespace, labels, meaning.  The names follow Prometheus'
#: conventions: base units, and C{_total} for counters.
_METRICS: tuple[tuple[Any, str, tuple[str, ...], str], ...] = (
    (GaugeMetricFamily, "open_streams", ("resource",), "Streams that are open now."),
    (CounterMetricFamily, "streams_opened_total", ("resource",), "Streams that were opened."),
    (
        CounterMetricFamily,
        "streams_closed_total",
        ("resource", "reason"),
        "Streams that were closed, by reason.",
    ),
    (
        CounterMetricFamily,
        "events_sent_total",
        ("resource",),
        "Events that were handed to connections.",
    ),
    (
        CounterMetricFamily,
        "sent_bytes_total",
        ("resource",),
        "Bytes of events, comments and heartbeats that were handed to connections.",
    ),
    (
        CounterMetricFamily,
        "events_dropped_total",
        ("resource",),
        "Events dropped because the client was not reading.",
    ),
    (
        CounterMetricFamily,
        "events_replayed_total",
        ("resource",),
        "Events replayed to connections.",
    ),
    (
        CounterMetricFamily,
        "resets_total",
        ("resource",),
        "Clients that missed events permanently, and received a stream-reset.",
    ),
    (
        GaugeMetricFamily,
        "pending_bytes",
        ("resource",),
        "Bytes buffered for clients that are not reading.",
    ),
    (CounterMetricFamily, "events_published_total", ("channel",), "Events that were published."),
    (
        CounterMetricFamily,
        "published_bytes_total",
        ("channel",),
        "Bytes of the events that were published, each counted once.",
    ),
    (
        HistogramMetricFamily,
        "delivery_seconds",
        ("channel",),
        "Time from publishing until the events were handed to all streams.",
    ),
)


class _ResourceCounts:
    """
    The counters of the resources with one name.
    """

    __slots__ = ("bytes", "closed", "dropped", "events", "opened", "replayed", "resets")

    def __init__(self) -> None:
        self.opened = 0
        # All reasons from the beginning: Prometheus does not see the first increase of a counter
        # that did not exist before.
        self.closed = dict.fromkeys(CloseReason, 0)
        self.events = 0
        self.bytes = 0
        self.dropped = 0
        self.replayed = 0
        self.resets = 0


class _ChannelCounts:
    """
    The counters of the channels with one name.
    """

    __slots__ = ("buckets", "bytes", "events", "seconds")

    def __init__(self) -> None:
        self.events = 0
        self.bytes = 0
        self.buckets = [0] * len(_BOUNDS)
        self.seconds = 0.0


class PrometheusObserver(Observer):
    """
    Counts what happens to streams and channels, for Prometheus to collect.

    One observer may be given to any number of resources and channels.  Their names are the
    labels C{resource} and C{channel}.  Those with the same name, or without one, are counted
    together.

    The counters are plain integers.  They become metrics when they are collected, in any thread.

    @since: 0.2
    """

    def __init__(self, registry: CollectorRegistry = REGISTRY, namespace: str = "sse") -> None:
        """
        @param registry: the registry to add the metrics to; if not given, Prometheus' own, which
            C{prometheus_client.start_http_server} serves.
        @param namespace: the beginning of their names.
        @raise ValueError: if the registry already has metrics with these names, or the namespace
            cannot begin a name.
        @raise TypeError: if the registry is not a C{CollectorRegistry}.
        """
        if not isinstance(registry, CollectorRegistry):
            raise TypeError(f"registry is {registry!r}: it must be a CollectorRegistry")
        if not _beginsName(namespace):
            raise ValueError(
                f"namespace is {namespace!r}: it must be letters, digits and underscores"
            )
        self._namespace = namespace
        self._resources: dict[str, _ResourceCounts] = {}
        self._channels: dict[str, _ChannelCounts] = {}
        # The open streams: for their pending bytes, and so that sent(), which is called most
        # often, need not look up a name.
        self._streams: dict[EventStream, _ResourceCounts] = {}
        try:
            registry.register(self)
        except ValueError as e:
            raise ValueError(
                "The registry already has metrics with names that begin with "
                f"{namespace}_: use one PrometheusObserver for all resources and "
                "channels, close() the previous one, or choose another registry or "
                f"namespace ({e})"
            ) from None
        self._registry: CollectorRegistry | None = registry

    def close(self) -> None:
        """
        Remove the metrics from the registry.  Nothing is collected after that.
        """
        registry, self._registry = self._registry, None
        if registry is not None:
            registry.unregister(self)

    # Observer

    def opened(self, stream: EventStream) -> None:
        """
        See L{Observer.opened}.
        """
        counts = self._resource(stream)
        counts.opened += 1
        # Another observer may have ended it already.
        if not stream.closed:
            self._streams[stream] = counts

    def closed(self, stream: EventStream, reason: CloseReason) -> None:
        """
        See L{Observer.closed}.
        """
        self._resource(stream).closed[reason] += 1
        self._streams.pop(stream, None)

    def sent(self, stream: EventStream, events: int, size: int) -> None:
        """
        See L{Observer.sent}.
        """
        try:
            counts = self._streams[stream]
        except KeyError:
            counts = self._resource(stream)
        counts.events += events
        counts.bytes += size

    def dropped(self, stream: EventStream, events: int) -> None:
        """
        See L{Observer.dropped}.
        """
        self._resource(stream).dropped += events

    def replayed(self, stream: EventStream, events: int) -> None:
        """
        See L{Observer.replayed}.
        """
        self._resource(stream).replayed += events

    def reset(self, stream: EventStream) -> None:
        """
        See L{Observer.reset}.
        """
        self._resource(stream).resets += 1

    def published(self, channel: Channel, event: Event, size: int) -> None:
        """
        See L{Observer.published}.
        """
        counts = self._channel(channel)
        counts.events += 1
        counts.bytes += size

    def delivered(self, channel: Channel, events: int, streams: int, seconds: float) -> None:
        """
        See L{Observer.delivered}.
        """
        # A clock may be set back, but a sum of times must not decrease.
        seconds = max(0.0, seconds)
        counts = self._channel(channel)
        counts.buckets[bisect_left(BUCKETS, seconds)] += 1
        counts.seconds += seconds

    def _resource(self, stream: EventStream) -> _ResourceCounts:
        name = stream.name or ""
        counts = self._resources.get(name)
        if counts is None:
            counts = self._resources[name] = _ResourceCounts()
        return counts

    def _channel(self, channel: Channel) -> _ChannelCounts:
        name = channel.name or ""
        counts = self._channels.get(name)
        if counts is None:
            counts = self._channels[name] = _ChannelCounts()
        return counts

    # Collector

    def describe(self) -> Iterable[Metric]:
        """
        Make the metrics without their values.  The registry calls this.
        """
        return self._families().values()

    def collect(self) -> Iterable[Metric]:
        """
        Make the metrics with their values.  The registry calls this, perhaps in another thread.
        """
        families = self._families()
        # Each copy is atomic; the reactor's thread goes on counting meanwhile.
        streams, resources = self._streams.copy(), self._resources.copy()
        channels = self._channels.copy()

        streamsOf: Counter[_ResourceCounts] = Counter(streams.values())
        pendingOf: Counter[_ResourceCounts] = Counter()
        for stream, counts in streams.items():
            pendingOf[counts] += stream.bytesPending
        for name, counts in resources.items():
            for metric, value in (
                ("open_streams", streamsOf[counts]),
                ("streams_opened_total", counts.opened),
                ("events_sent_total", counts.events),
                ("sent_bytes_total", counts.bytes),
                ("events_dropped_total", counts.dropped),
                ("events_replayed_total", counts.replayed),
                ("resets_total", counts.resets),
                ("pending_bytes", pendingOf[counts]),
            ):
                families[metric].add_metric([name], value)
            for reason, count in counts.closed.items():
                families["streams_closed_total"].add_metric([name, reason.value], count)

        for name, told in channels.items():
            families["events_published_total"].add_metric([name], told.events)
            families["published_bytes_total"].add_metric([name], told.bytes)
            # A bucket counts all deliveries that took no longer than its bound.
            buckets = list(zip(_BOUNDS, accumulate(told.buckets), strict=True))
            families["delivery_seconds"].add_metric([name], buckets, told.seconds)
        return families.values()

    def _families(self) -> dict[str, Any]:
        return {
            name: family(f"{self._namespace}_{name}", meaning, labels=labels)
            for family, name, labels, meaning in _METRICS
        }


def _beginsName(namespace: object) -> bool:
    """
    Whether the name of a metric may begin with this in all versions of Prometheus.
    """
    return isinstance(namespace, str) and bool(re.fullmatch("[a-zA-Z_][a-zA-Z0-9_]*", namespace))
