import urllib.error
import urllib.request
from collections import Counter

import numpy as np
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from flywheel.errors import ConfigurationError, UnavailableError
from flywheel.events import FEEDBACK_TOPIC, INFERENCES_TOPIC
from flywheel.ingest.consume import Landing
from flywheel.ingest.endpoint import serving
from flywheel.ingest.metrics import IngestMetrics
from flywheel.ingest.report import IngestReport
from flywheel.ports.event_log import Partition


def _get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def _samples(metrics: IngestMetrics) -> dict[tuple[str, ...], float]:
    # By name and the labels' values in the order of the labels' names.
    with serving(0, problem=lambda: None, registry=metrics.registry) as port:
        _, text = _get(port, "/metrics")
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_landing_is_counted_by_topic_workload_and_reason():
    """Rows, dead letters, times and freshness all come from one batch."""
    metrics = IngestMetrics()
    report = IngestReport(
        read=5,
        landed=Counter(reports=3),
        dead_letters=Counter(bad_json=2),
        decode_seconds=0.02,
        commit_seconds=0.3,
    )
    metrics.landed(Landing(INFERENCES_TOPIC, report, np.array([-3.0, 2.2, 9e9])))
    samples = _samples(metrics)
    assert samples["flywheel_ingest_rows_total", INFERENCES_TOPIC, "reports"] == 3
    assert samples["flywheel_ingest_dead_letters_total", "bad_json", INFERENCES_TOPIC] == 2
    assert samples["flywheel_ingest_commit_seconds_sum", INFERENCES_TOPIC] == 0.3
    assert samples["flywheel_ingest_decode_seconds_count", INFERENCES_TOPIC] == 1
    fresh = "flywheel_ingest_freshness_seconds"
    counts = [samples[f"{fresh}_bucket", bound, INFERENCES_TOPIC] for bound in ("0.25", "2.5")]
    assert [*counts, samples[f"{fresh}_count", INFERENCES_TOPIC]] == [1, 2, 3]
    assert samples["flywheel_ingest_last_commit_timestamp_seconds",] > 1.7e9
    assert samples["process_resident_memory_bytes",] > 1e6


def test_batches_of_several_topics_add_up():
    """A second batch adds to the first, and another topic has its own row."""
    metrics = IngestMetrics()
    for topic in (INFERENCES_TOPIC, INFERENCES_TOPIC, FEEDBACK_TOPIC):
        report = IngestReport(landed=Counter(reports=1))
        metrics.landed(Landing(topic, report, np.array([1.0])))
    samples = _samples(metrics)
    fresh = "flywheel_ingest_freshness_seconds"
    assert samples[f"{fresh}_count", INFERENCES_TOPIC] == samples[f"{fresh}_sum", INFERENCES_TOPIC]
    assert samples[f"{fresh}_count", INFERENCES_TOPIC] == 2
    assert samples[f"{fresh}_count", FEEDBACK_TOPIC] == 1


def test_a_partition_that_went_elsewhere_is_no_longer_shown():
    """Otherwise its lag would count twice over the processes of a group."""
    metrics = IngestMetrics()
    kept, gone = (Partition(INFERENCES_TOPIC, "id", number) for number in range(2))
    metrics.lagging({kept: 1, gone: 2})
    metrics.lagging({kept: 5})
    metrics.waiting(7, 900)
    metrics.lost_race()
    metrics.failed(UnavailableError("away"))
    samples = _samples(metrics)
    assert samples["flywheel_ingest_lag_records", "0", INFERENCES_TOPIC] == 5
    assert ("flywheel_ingest_lag_records", "1", INFERENCES_TOPIC) not in samples
    assert samples["flywheel_ingest_waiting_bytes",] == 900
    assert samples["flywheel_ingest_lost_races_total",] == 1
    assert samples["flywheel_ingest_failures_total", "UnavailableError"] == 1


def test_health_is_told_with_its_reason():
    """200 while there is no problem, 503 with the reason otherwise, 404 elsewhere."""
    problems: list[str | None] = [None, "the broker is away"]
    with serving(0, problem=lambda: problems.pop(0), registry=CollectorRegistry()) as port:
        assert _get(port, "/healthz") == (200, '{"status": "ok"}\n')
        status, body = _get(port, "/healthz")
        assert (status, "the broker is away" in body) == (503, True)
        assert _get(port, "/")[0] == 404


def test_a_scraper_elsewhere_can_be_let_in():
    """The address is a setting; loopback is only its default."""
    registry = CollectorRegistry()
    with serving(0, problem=lambda: None, registry=registry, host="127.0.0.2") as port:
        with urllib.request.urlopen(f"http://127.0.0.2:{port}/healthz", timeout=5) as answer:
            assert answer.status == 200
        with pytest.raises(urllib.error.URLError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5)


def test_a_taken_port_is_refused_with_the_way_out():
    """A second process of the group is told to take another port."""
    registry = CollectorRegistry()
    with (
        serving(0, problem=lambda: None, registry=registry) as port,
        pytest.raises(ConfigurationError) as caught,
        serving(port, problem=lambda: None, registry=registry),
    ):
        pass
    assert "FLYWHEEL_METRICS_PORT" in caught.value.next_step
