"""What a long-lived ingest process tells Prometheus.

Figures are of this process and of the partitions it reads now, so that summing over the processes
of a group gives the whole.
"""

from collections.abc import Iterable, Mapping

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import HistogramMetricFamily, Metric
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from flywheel.ingest.consume import Landing
from flywheel.ports.event_log import Partition

__all__ = ["IngestMetrics"]

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
# Fine around the linger of a few seconds, coarse for what was held up or imported later.
_AGES = (0.25, 0.5, 0.75, 1, 1.5, 2, 2.5, 3, 3.5, 4, 5, 6, 8, 10, 15, 20, 30, 60, 300, 3600, 86400)


class _Freshness(Collector):
    """A histogram that takes a whole batch at once: one call per event would cost too much."""

    def __init__(self) -> None:
        self._counts: dict[str, np.ndarray] = {}
        self._sums: dict[str, float] = {}

    def observe(self, topic: str, ages: np.ndarray) -> None:
        # A producer's clock may be ahead: what comes from the future is as fresh as can be.
        ages = np.maximum(ages, 0.0)
        counts = np.bincount(np.searchsorted(_AGES, ages), minlength=len(_AGES) + 1)
        before = self._counts.get(topic)
        self._counts[topic] = counts if before is None else before + counts
        self._sums[topic] = self._sums.get(topic, 0.0) + float(ages.sum())

    def collect(self) -> Iterable[Metric]:
        family = HistogramMetricFamily(
            "flywheel_ingest_freshness_seconds",
            "from an event's own time to the moment a query finds it",
            labels=["topic"],
        )
        bounds = [*map(str, map(float, _AGES)), "+Inf"]
        for topic, counts in list(self._counts.items()):
            buckets = list(zip(bounds, np.cumsum(counts).astype(float).tolist(), strict=True))
            family.add_metric([topic], buckets, self._sums[topic])
        yield family


class IngestMetrics:
    """One process's figures in a registry of their own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        self._freshness = _Freshness()
        registry.register(self._freshness)
        prefix = "flywheel_ingest"
        self._lag = Gauge(
            f"{prefix}_lag_records", "not landed yet", ["topic", "partition"], registry=registry
        )
        self._rows = Counter(
            f"{prefix}_rows", "rows landed", ["topic", "workload"], registry=registry
        )
        self._dead = Counter(
            f"{prefix}_dead_letters", "values refused", ["topic", "reason"], registry=registry
        )
        self._races = Counter(
            f"{prefix}_lost_races", "batches that another process landed first", registry=registry
        )
        self._failures = Counter(
            f"{prefix}_failures", "failures that were tried again", ["error"], registry=registry
        )
        self._decode = Histogram(
            f"{prefix}_decode_seconds", "bytes to rows, per batch", ["topic"], registry=registry,
            buckets=_SECONDS,
        )  # fmt: skip
        self._commit = Histogram(
            f"{prefix}_commit_seconds", "rows into the lake, per batch", ["topic"],
            registry=registry, buckets=_SECONDS,
        )  # fmt: skip
        self._last_commit = Gauge(
            f"{prefix}_last_commit_timestamp_seconds", "of the last batch", registry=registry
        )
        self._waiting = Gauge(f"{prefix}_waiting_records", "read, not landed", registry=registry)
        self._bytes = Gauge(f"{prefix}_waiting_bytes", "(as above)", registry=registry)

        self._not_loaded = Gauge(
            f"{prefix}_workload_files_not_loaded",
            "workload files that do not load; new events of these workloads may be dead letters",
            registry=registry,
        )

    def landed(self, landing: Landing) -> None:
        """Count one batch."""
        report, topic = landing.report, landing.topic
        for workload, count in (report.landed + report.feedback).items():
            self._rows.labels(topic, workload).inc(count)
        for reason, count in report.dead_letters.items():
            self._dead.labels(topic, reason).inc(count)
        self._decode.labels(topic).observe(report.decode_seconds)
        self._commit.labels(topic).observe(report.commit_seconds)
        self._last_commit.set_to_current_time()
        self._freshness.observe(topic, landing.ages)

    def lost_race(self) -> None:
        """Count a batch that another process landed first."""
        self._races.inc()

    def failed(self, error: Exception) -> None:
        """Count a failure that is tried again."""
        self._failures.labels(type(error).__name__).inc()

    def lagging(self, lags: Mapping[Partition, int]) -> None:
        """Show the lag of each partition that is read now, and of no other."""
        self._lag.clear()
        for partition, count in lags.items():
            self._lag.labels(partition.topic, str(partition.number)).set(count)

    def not_loaded(self, files: int) -> None:
        """Show how many workload files do not load at present."""
        self._not_loaded.set(files)

    def waiting(self, records: int, size: int) -> None:
        """Show what was read and has not landed."""
        self._waiting.set(records)
        self._bytes.set(size)
