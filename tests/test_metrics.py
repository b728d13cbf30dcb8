"""
Tests for L{twisted_sse.metrics}: the metrics for Prometheus.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from types import SimpleNamespace
from typing import Any

from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.twisted import _exposition
from twisted.trial.unittest import SynchronousTestCase

from tests.support.documents import blocks, read, runAll, table
from twisted_sse import Channel, CloseReason, EventStream, EventStreamResource, SlowReader
from twisted_sse.metrics import BUCKETS, PrometheusObserver
from twisted_sse.observe import Observer, Observers
from twisted_sse.testing import MemoryClient, MemoryClock, MemoryStream

#: More than a transport takes before it pauses its producer.
BIG = "x" * 70_000


#: What each response begins with.
PREAMBLE = b":\nretry: 3000\n"


class FakeStream:
    """
    The attributes of a stream that the observer reads.
    """

    name = "fake"
    closed = False
    bytesPending = 7


class MetricsTestCase(SynchronousTestCase):
    """
    Has an observer with its own registry.
    """

    def setUp(self) -> None:
        """
        Make the observer, a clock and a list of streams.
        """
        self.registry = CollectorRegistry()
        self.observer = PrometheusObserver(self.registry)
        self.clock = MemoryClock()
        self.streams: list[EventStream] = []

    def value(self, name: str, **labels: str) -> float | None:
        """
        Return the value of a metric.
        """
        return self.registry.get_sample_value(f"sse_{name}", labels)

    def connect(
        self,
        connected: Callable[[EventStream], object] = lambda stream: None,
        headers: dict[str, str] | None = None,
        **options: Any,
    ) -> MemoryStream:
        """
        Open a stream of a new resource.
        """

        def remember(stream: EventStream) -> object:
            self.streams.append(stream)
            return connected(stream)

        options = {"name": "ticks", "observer": self.observer, **options}
        client = MemoryClient(EventStreamResource(remember, **options), clock=self.clock)
        self.addCleanup(client.close)
        return client.get(headers=headers)


class StreamTests(MetricsTestCase):
    """
    Tests for the metrics of streams.
    """

    def test_open(self) -> None:
        """
        Open streams are counted, and so are all streams ever opened.
        """
        browser = self.connect()
        self.connect()
        browser.disconnect()
        self.assertEqual(self.value("open_streams", resource="ticks"), 1)
        self.assertEqual(self.value("streams_opened_total", resource="ticks"), 2)

    def test_reasons(self) -> None:
        """
        Closed streams are counted by reason, and each reason is present before it occurs.
        """
        self.connect()
        closed = {
            reason: self.value("streams_closed_total", resource="ticks", reason=reason.value)
            for reason in CloseReason
        }
        self.assertEqual(closed, dict.fromkeys(CloseReason, 0))
        self.connect().disconnect()
        self.streams[0].end()
        self.clock.advance(1)
        for reason, count in (("client", 1), ("ended", 1), ("slow", 0)):
            self.assertEqual(
                self.value("streams_closed_total", resource="ticks", reason=reason), count
            )

    def test_refused(self) -> None:
        """
        A stream beyond the limit counts as opened and closed.
        """
        resource = EventStreamResource(
            lambda stream: None, maxStreams=1, name="few", observer=self.observer
        )
        with MemoryClient(resource) as client:
            client.get("/")
            self.assertTrue(client.get("/").complete)
            self.assertEqual(self.value("open_streams", resource="few"), 1)
            self.assertEqual(self.value("streams_opened_total", resource="few"), 2)
            limit = self.value("streams_closed_total", resource="few", reason="limit")
        self.assertEqual(limit, 1)

    def test_sent(self) -> None:
        """
        Sent events and their bytes are counted, including the bytes of heartbeats.
        """
        browser = self.connect(lambda stream: stream.send("one") and stream.send("two") and None)
        self.clock.advance(15)
        self.assertEqual(browser.body, PREAMBLE + b"data: one\n\ndata: two\n\n:\n")
        self.assertEqual(self.value("events_sent_total", resource="ticks"), 2)
        size = self.value("sent_bytes_total", resource="ticks")
        self.assertEqual(size, len(browser.body) - len(PREAMBLE))

    def test_pending(self) -> None:
        """
        The bytes queued are summed over the open streams.
        """
        for _ in range(2):
            self.connect().stopReading(kernelBuffer=0)
        for stream in self.streams:
            stream.send(BIG)
            stream.send("waits")
        waiting = sum(stream.bytesPending for stream in self.streams)
        self.assertGreater(waiting, 2 * len("waits"))
        self.assertEqual(self.value("pending_bytes", resource="ticks"), waiting)
        self.streams[0].abort()
        self.assertEqual(self.value("pending_bytes", resource="ticks"), waiting / 2)

    def test_dropped(self) -> None:
        """
        Dropped events are counted.
        """
        browser = self.connect(maxPending=60, slow=SlowReader.DROP_OLDEST)
        browser.stopReading(kernelBuffer=0)
        self.streams[0].send(BIG)
        for number in range(20):
            self.streams[0].send(str(number))
        dropped = self.value("events_dropped_total", resource="ticks")
        browser.resumeReading()
        self.assertEqual({"dropped": dropped}, browser.events[1].json())

    def test_names(self) -> None:
        """
        Each name is counted separately, and no name counts as an empty one.
        """
        self.connect(name="a")
        self.connect(name="a")
        self.connect(name="b")
        self.connect(name=None)
        counts = [self.value("open_streams", resource=name) for name in ("a", "b", "")]
        self.assertEqual(counts, [2, 1, 1])

    def test_nothingIsKept(self) -> None:
        """
        A closed stream is not remembered.
        """
        browser = self.connect(lambda stream: stream.send("x") and None)
        self.assertEqual(len(self.observer._streams), 1)
        browser.disconnect()
        self.assertEqual(self.observer._streams, {})
        self.assertEqual(self.value("open_streams", resource="ticks"), 0)

    def test_endedByAnother(self) -> None:
        """
        A stream that another observer ends when it opens is counted and not remembered.
        """

        class Ender(Observer):
            def opened(self, stream: EventStream) -> None:
                stream.abort()

        self.connect(observer=Observers(Ender(), self.observer))
        self.assertTrue(self.streams[0].closed)
        self.assertEqual(self.observer._streams, {})
        self.assertEqual(self.value("open_streams", resource="ticks"), 0)
        self.assertEqual(self.value("streams_opened_total", resource="ticks"), 1)
        ended = self.value("streams_closed_total", resource="ticks", reason="ended")
        self.assertEqual(ended, 1)

    def test_unknownStream(self) -> None:
        """
        Reports about a stream that was never reported as opened are counted, too.
        """
        stream: Any = FakeStream()
        self.observer.sent(stream, 2, 30)
        self.observer.dropped(stream, 4)
        self.observer.replayed(stream, 5)
        self.observer.reset(stream)
        self.observer.closed(stream, CloseReason.CLIENT)
        for name, value in (
            ("events_sent_total", 2),
            ("sent_bytes_total", 30),
            ("events_dropped_total", 4),
            ("events_replayed_total", 5),
            ("resets_total", 1),
            ("open_streams", 0),
            ("pending_bytes", 0),
        ):
            self.assertEqual(self.value(name, resource="fake"), value, name)


class ChannelTests(MetricsTestCase):
    """
    Tests for the metrics of channels.
    """

    def setUp(self) -> None:
        """
        Make a channel.
        """
        super().setUp()
        self.channel = Channel(name="news", observer=self.observer, reactor=self.clock)

    def test_published(self) -> None:
        """
        A published event is counted once, however many subscribers it has.
        """
        browsers = [self.connect(self.channel.subscribe) for _ in range(3)]
        event = self.channel.publish("hello")
        self.assertEqual(browsers[2].events[1].data, "hello")
        self.assertEqual(self.value("events_published_total", channel="news"), 1)
        size = len(event.encode())
        self.assertEqual(self.value("published_bytes_total", channel="news"), size)
        self.assertEqual(self.value("events_sent_total", resource="ticks"), 3)
        received = sum(len(browser.body) - len(PREAMBLE) for browser in browsers)
        self.assertGreaterEqual(received, 3 * size)
        self.assertEqual(self.value("sent_bytes_total", resource="ticks"), received)

    def test_delivered(self) -> None:
        """
        Each turn with a delivery is one observation in the histogram.
        """
        self.connect(self.channel.subscribe)
        for turn in range(3):
            self.channel.publish(str(turn))
            self.channel.publish("and more")
            self.clock.advance(0)
        self.assertEqual(self.value("delivery_seconds_count", channel="news"), 3)
        self.assertEqual(self.value("delivery_seconds_sum", channel="news"), 0)

    def test_replayed(self) -> None:
        """
        Events replayed to a reconnecting client are counted.
        """
        events = [self.channel.publish(str(number)) for number in range(5)]
        browser = self.connect(
            self.channel.subscribe, headers={"Last-Event-ID": events[1].id or ""}
        )
        self.assertEqual([event.data for event in browser.events], ["2", "3", "4"])
        self.assertEqual(self.value("events_replayed_total", resource="ticks"), 3)
        self.assertEqual(self.value("resets_total", resource="ticks"), 0)

    def test_reset(self) -> None:
        """
        A client with an unknown last event ID is counted.
        """
        self.channel.publish("first")
        browser = self.connect(self.channel.subscribe, headers={"Last-Event-ID": "unheard of"})
        self.assertEqual(browser.events[0].type, "stream-reset")
        self.assertEqual(self.value("resets_total", resource="ticks"), 1)

    def test_histogram(self) -> None:
        """
        A bucket counts all observations up to and including its bound.
        """
        for seconds in (0.0, 0.001, 0.0011, 0.05, 99.0):
            self.observer.delivered(self.channel, 1, 1, seconds)
        bounds = {0.001: 2, 0.0025: 3, 0.025: 3, 0.05: 4, 10.0: 4}
        for bound, count in bounds.items():
            bucket = self.value("delivery_seconds_bucket", channel="news", le=str(bound))
            self.assertEqual(bucket, count, bound)
        self.assertEqual(self.value("delivery_seconds_bucket", channel="news", le="+Inf"), 5)
        self.assertEqual(self.value("delivery_seconds_count", channel="news"), 5)
        total = self.value("delivery_seconds_sum", channel="news")
        self.assertAlmostEqual(total or 0, 99.0521)

    def test_clockSetBack(self) -> None:
        """
        A negative duration counts as 0, so that the sum never decreases.
        """
        self.observer.delivered(self.channel, 1, 1, 2.0)
        self.observer.delivered(self.channel, 1, 1, -1.0)
        self.assertEqual(self.value("delivery_seconds_sum", channel="news"), 2)
        bucket = self.value("delivery_seconds_bucket", channel="news", le="0.001")
        self.assertEqual(bucket, 1)

    def test_names(self) -> None:
        """
        Each name is counted separately, and no name counts as an empty one.
        """
        self.channel.publish("a")
        for channel in Channel(observer=self.observer), Channel(observer=self.observer):
            channel.publish("b")
        counts = [self.value("events_published_total", channel=name) for name in ("news", "")]
        self.assertEqual(counts, [1, 2])


class RegistryTests(MetricsTestCase):
    """
    Tests for the observer together with Prometheus.
    """

    def emptyDefault(self) -> None:
        """
        Clear the default registry of leftovers from examples in other tests.
        """
        for collector in list(REGISTRY._collector_to_names):
            if isinstance(collector, PrometheusObserver):
                collector.close()

    def test_text(self) -> None:
        """
        The exposed text can be parsed, with the right types and with quotes in names.
        """
        name = 'a "b"\n\\c'
        self.connect(lambda stream: stream.send("x") and None, name=name)
        Channel(name=name, observer=self.observer).publish("x")
        text = generate_latest(self.registry).decode()
        families = {each.name: each for each in text_string_to_metric_families(text)}
        sent = families["sse_events_sent"]
        self.assertEqual(sent.type, "counter")
        [sample] = sent.samples
        self.assertEqual(
            (sample.name, sample.labels, sample.value),
            ("sse_events_sent_total", {"resource": name}, 1),
        )
        self.assertEqual(families["sse_delivery_seconds"].type, "histogram")
        self.assertEqual(families["sse_open_streams"].type, "gauge")
        self.assertNotIn("_created", text)

    def test_some(self) -> None:
        """
        Some of the metrics can be requested by name.
        """
        self.connect()
        some = self.registry.restricted_registry(["sse_open_streams"])
        samples = [sample.name for metric in some.collect() for sample in metric.samples]
        self.assertEqual(samples, ["sse_open_streams"])

    def test_described(self) -> None:
        """
        The observer describes all its metrics without their values.
        """
        self.connect()
        described = {metric.name for metric in self.observer.describe()}
        self.assertEqual(described, {metric.name for metric in self.observer.collect()})
        self.assertEqual([each for each in self.observer.describe() if each.samples], [])

    def test_twice(self) -> None:
        """
        A second observer in a registry is refused, with a remedy.
        """
        error = self.assertRaises(ValueError, PrometheusObserver, self.registry)
        for word in ("sse_", "one PrometheusObserver", "close()", "namespace"):
            self.assertIn(word, str(error))
        # The first one is still registered.
        self.connect()
        self.assertEqual(self.value("open_streams", resource="ticks"), 1)

    def test_namespace(self) -> None:
        """
        With another namespace or registry, there may be a second observer.
        """
        other = PrometheusObserver(self.registry, namespace="other_sse")
        PrometheusObserver(CollectorRegistry())
        self.connect(observer=Observers(self.observer, other))
        for namespace in "sse", "other_sse":
            labels = {"resource": "ticks"}
            value = self.registry.get_sample_value(f"{namespace}_open_streams", labels)
            self.assertEqual(value, 1, namespace)

    def test_close(self) -> None:
        """
        A closed observer leaves the registry, which accepts another, and still accepts reports.
        """
        browser = self.connect()
        self.observer.close()
        self.observer.close()
        self.assertEqual(generate_latest(self.registry), b"")
        again = PrometheusObserver(self.registry)
        self.connect(observer=again)
        browser.disconnect()
        self.assertEqual(self.value("open_streams", resource="ticks"), 1)

    def test_default(self) -> None:
        """
        By default the observer uses Prometheus' default registry.
        """
        self.emptyDefault()
        observer = PrometheusObserver()
        self.addCleanup(observer.close)
        observer.opened(FakeStream())  # type: ignore[arg-type]
        value = REGISTRY.get_sample_value("sse_open_streams", {"resource": "fake"})
        self.assertEqual(value, 1)

    def test_arguments(self) -> None:
        """
        A wrong registry or namespace raises an error that names it.
        """
        error = self.assertRaises(TypeError, PrometheusObserver, "sse")
        self.assertIn("registry is 'sse'", str(error))
        for bad in ("", "my-app", "1st", "ü", 5, None):
            error = self.assertRaises(
                ValueError, PrometheusObserver, CollectorRegistry(), namespace=bad
            )
            self.assertIn(f"namespace is {bad!r}", str(error))

    def test_otherThread(self) -> None:
        """
        Changes during a collection do not affect it.
        """
        observer = self.observer

        class Busy(FakeStream):
            # Simulates the reactor's thread, which continues while another one collects.
            @property
            def bytesPending(self) -> int:  # type: ignore[override]
                newcomer: Any = FakeStream()
                newcomer.name = f"resource {len(observer._resources)}"
                observer.opened(newcomer)
                observer.published(newcomer, newcomer, 1)
                return 1

        for _ in range(3):
            observer.opened(Busy())  # type: ignore[arg-type]
        self.assertEqual(self.value("pending_bytes", resource="fake"), 3)

    def test_documented(self) -> None:
        """
        The documentation lists all metrics with their types and labels.
        """
        rows = [
            (name.strip("`"), kind, [label.strip("` ") for label in labels.split(",")])
            for name, kind, labels, _ in table("ref-metrics.md", "### Streams and channels")
        ]
        self.assertEqual(
            rows,
            [
                (
                    metric.name + ("_total" if metric.type == "counter" else ""),
                    metric.type,
                    list(metric._labelnames),  # type: ignore[attr-defined]
                )
                for metric in self.observer.describe()
            ],
        )

    def test_alerts(self) -> None:
        """
        The documented alerts use documented metrics, with labels that these have.
        """
        rows = re.findall(
            r"^\| `(sse_\w+)` \| (\w+) \| ([^|]*)\|", read("ref-metrics.md"), re.MULTILINE
        )
        known = {
            name + "_bucket" * (kind == "histogram"): {*re.findall(r"\w+", labels), "le"}
            for name, kind, labels in rows
        }
        (alerts,) = [each for each in blocks("howto-monitor.md", "yaml") if "alert:" in each]
        expressions = re.findall(r"expr: (.*)", alerts)
        self.assertEqual(len(expressions), alerts.count("alert:"))
        for expression in expressions:
            names = re.findall(r"\bsse_\w+", expression)
            self.assertNotEqual(names, [], expression)
            self.assertLessEqual({*names}, {*known}, expression)
            labels = set(re.findall(r"\b(\w+)=", expression))
            for group in re.findall(r"by \(([^)]*)\)", expression):
                labels |= {*group.split(", ")}
            self.assertLessEqual(labels, set.union(*(known[name] for name in names)), expression)

    def test_served(self) -> None:
        """
        The documented site serves the metrics of its streams.
        """
        # Prometheus' resource uses a thread pool, which this replaces.
        reactor = SimpleNamespace(callFromThread=lambda call, *args: call(*args))
        pool = SimpleNamespace(callInThread=lambda call, *args: call(*args))
        reactor.getThreadPool = lambda: pool
        self.patch(_exposition, "reactor", reactor)
        self.emptyDefault()
        with redirect_stdout(StringIO()) as accessLog:
            names, _ = runAll("howto-monitor.md")
            self.addCleanup(names["metrics"].close)
            with MemoryClient(names["site"]().resource) as client:
                client.get("/events")
                names["news"].publish("hello")
                text = client.get("/metrics").text
        self.assertEqual(len(accessLog.getvalue().splitlines()), 2)
        self.assertIn('sse_open_streams{resource="events"} 1.0\n', text)
        self.assertIn('sse_events_published_total{channel="news"} 1.0\n', text)

    def test_buckets(self) -> None:
        """
        The bounds of the buckets are in ascending order, without duplicates.
        """
        self.assertEqual(list(BUCKETS), sorted(set(BUCKETS)))
