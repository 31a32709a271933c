"""`GatewayMetrics`: what the gateway reports to Prometheus."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.process_collector import ProcessCollector

__all__ = ["GatewayMetrics"]

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class GatewayMetrics:
    """One process's figures in a registry of their own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.requests = Counter(
            "flywheel_gateway_requests",
            "requests by workload and HTTP status; an unknown workload counts as none",
            ["workload", "status"],
            registry=registry,
        )
        self.seconds = Histogram(
            "flywheel_gateway_answer_seconds",
            "from the request's last byte to the answer's first, by workload, route and release",
            ["workload", "route", "release"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.tokens = Counter(
            "flywheel_gateway_tokens",
            "tokens by workload and direction",
            ["workload", "direction"],
            registry=registry,
        )
        self.fallbacks = Counter(
            "flywheel_gateway_fallbacks",
            "requests that the champion answered after the canary failed, by the canary's release",
            ["workload", "release"],
            registry=registry,
        )
        self.escalations = Counter(
            "flywheel_gateway_escalations",
            "requests that went to a tier beyond the first, by that tier and why",
            ["workload", "tier", "reason"],
            registry=registry,
        )
        self.unescalated = Counter(
            "flywheel_gateway_ration_spent",
            "requests that went to no further tier because the day's ration was spent",
            ["workload"],
            registry=registry,
        )
        self.ration_left = Gauge(
            "flywheel_gateway_ration_left",
            "requests that may still go to tiers beyond the first today",
            ["workload"],
            registry=registry,
        )
        self.circuits = Gauge(
            "flywheel_gateway_circuit_state",
            "of a tier: 0 closed, 1 half-open, 2 open: it is not asked for a while",
            ["workload", "tier"],
            registry=registry,
        )
        self.shadows = Counter(
            "flywheel_gateway_shadows",
            "copies of requests for a shadow release, by what became of them",
            ["workload", "outcome"],
            registry=registry,
        )
        self.masked = Counter(
            "flywheel_gateway_masked_items",
            "different items of personal data masked in a call, by workload and kind",
            ["workload", "kind"],
            registry=registry,
        )
        self.feedback = Counter(
            "flywheel_gateway_feedback", "feedback by workload", ["workload"], registry=registry
        )
        self.under_way = self._gauge("under_way", "requests that are being answered")
        self.spool_events = self._gauge("spool_events", "events that wait for the event log")
        self.spool_bytes = self._gauge("spool_bytes", "bytes of events that wait for the log")
        self.refused_events = self._gauge("refused_events", "events that the log will never take")
        self.log_down = self._gauge("log_down", "1 while the event log refuses events")

    def count_masked(self, workload_id: str, counts: Mapping[str, int]) -> None:
        """Count what was masked in a call."""
        for kind, count in counts.items():
            self.masked.labels(workload_id, kind).inc(count)

    def _gauge(self, name: str, description: str) -> Gauge:
        return Gauge(f"flywheel_gateway_{name}", description, registry=self.registry)
