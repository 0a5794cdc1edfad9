"""Counts and durations for Prometheus. Adding to a series costs a look-up and two additions; the rest is scraping.

Labels are a module's prefix, a method and a status: never a path, an id or anything else that callers choose.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from mbaas.http.respond import Reply

BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"


class Series:
    """Durations with the same labels. counts: of each bound, and above."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.total = 0.0
        self.counts = [0] * (len(BOUNDS_S) + 1)

    def add(self, seconds: float) -> None:
        self.total += seconds
        self.counts[bisect_left(BOUNDS_S, seconds)] += 1


class Durations:
    """A histogram by label values."""

    def __init__(self) -> None:
        self._series: dict[tuple[str, ...], Series] = {}

    def series(self, *labels: str) -> Series:
        series = self._series.get(labels)
        if series is None:
            series = self._series[labels] = Series()
        return series

    def family(self, name: str, documentation: str, labels: Iterable[str]) -> Metric:
        family = HistogramMetricFamily(name, documentation, labels=list(labels))
        for values, series in list(self._series.items()):
            total, buckets = 0, []
            for bound, count in zip((*map(str, BOUNDS_S), "+Inf"), series.counts, strict=True):
                total += count
                buckets.append((bound, total))
            family.add_metric(values, buckets, series.total)
        return family


class Metrics(Collector):
    """Everything one server counts."""

    def __init__(self) -> None:
        self.requests = Durations()
        self.statements = Durations()
        self.in_flight: Callable[[], int] = lambda: 0
        self.database_up = True
        self.catalog_revision: Callable[[], int] | None = None
        self.log_lines_dropped = 0
        self._counts: dict[tuple[str, str], int] = {}
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self._registry)

    def count(self, event: str, kind: str = "") -> None:
        """One more of what should be rare: a failed hook, a lost database, a refusal by a limit."""
        self._counts[event, kind] = self._counts.get((event, kind), 0) + 1

    def add_collector(self, collector: Any) -> None:
        """Further metrics of a module, as prometheus-client has them."""
        self._registry.register(collector)

    def collect(self) -> Iterator[Metric]:
        yield self.requests.family(
            "mbaas_http_request_duration_seconds",
            "Requests from first byte to last, by module prefix.",
            ("method", "prefix", "status"),
        )
        yield self.statements.family("mbaas_statement_duration_seconds", "SQL statements, waiting included.", ())
        yield GaugeMetricFamily("mbaas_http_requests_in_flight", "Requests being answered.", self.in_flight())
        yield GaugeMetricFamily("mbaas_database_up", "1 while the database answers.", int(self.database_up))
        if self.catalog_revision is not None:
            yield GaugeMetricFamily(
                "mbaas_catalog_revision", "The catalog served: equal on all nodes.", self.catalog_revision()
            )
        yield CounterMetricFamily("mbaas_log_lines_dropped", "Lines nobody read in time.", self.log_lines_dropped)
        events = CounterMetricFamily("mbaas_events", "What should be rare.", labels=["event", "kind"])
        for labels, count in list(self._counts.items()):
            events.add_metric(labels, count)
        yield events

    def reply(self) -> Reply:
        """The answer to a scrape."""
        return Reply(200, generate_latest(self._registry), content_type=CONTENT_TYPE)
