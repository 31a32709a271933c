"""`land`, `follow_log` and `maintain_lake`: from the log into the lake, and the lake's upkeep."""

from dataclasses import replace
from typing import TYPE_CHECKING

from flywheel.errors import NotFoundError

if TYPE_CHECKING:
    import threading
    from typing import TextIO

    from flywheel.ingest.consume import IngestConsumer
    from flywheel.ingest.report import IngestReport
    from flywheel.lake.maintenance import MaintenanceReport
    from flywheel.wiring import Platform

__all__ = ["follow_log", "land", "maintain_lake", "unread"]


def land(platform: "Platform", *, maximum: int = 200_000) -> "IngestReport":
    """Land up to ``maximum`` records of every topic."""
    ingest = _open_ingest(platform)
    try:
        return ingest.run_once(maximum)
    finally:
        ingest.close()


def follow_log(platform: "Platform", *, stop: "threading.Event", lines: "TextIO") -> "IngestReport":
    """Land what the log holds and what arrives, until ``stop`` is set; metrics are served meanwhile.

    Args:
        platform: the deployment; its settings say where /metrics and /healthz are.
        stop: ends it after the batch that is under way.
        lines: log lines go here, a JSON object each.
    """
    from flywheel.ingest.endpoint import serving
    from flywheel.ingest.health import Health
    from flywheel.ingest.log_lines import json_lines
    from flywheel.ingest.metrics import IngestMetrics
    from flywheel.ingest.service import IngestService

    settings, say = platform.settings, json_lines(lines, platform.clock)
    metrics, health = IngestMetrics(), Health()
    service = IngestService(
        lambda: _open_ingest(platform),
        workloads=lambda: list(platform.workloads.values()),
        problems=lambda: platform.workload_folder.problems,
        stop=stop,
        say=say,
        metrics=metrics,
        health=health,
        linger_seconds=settings.ingest_linger_seconds,
    )
    with serving(
        settings.metrics_port,
        problem=health.problem,
        registry=metrics.registry,
        host=settings.metrics_host,
    ) as port:
        say("serving", port=port, linger_seconds=settings.ingest_linger_seconds)
        return service.run()


def maintain_lake(platform: "Platform") -> "MaintenanceReport":
    """Compact closed days, remove what no reader can need, checkpoint, publish what was not."""
    from flywheel.lake.maintenance import maintain
    from flywheel.usecases.erasing.publishing import settle_artifacts

    report = maintain(platform.lake, now=platform.clock.now())
    return replace(report, published=settle_artifacts(platform))


def unread(platform: "Platform") -> dict[str, tuple[int, int]]:
    """Return (end offset, records that have not landed) by topic id and partition."""
    from flywheel.events import FEEDBACK_TOPIC, INFERENCES_TOPIC
    from flywheel.ingest.arrow import table_of

    backlog = {}
    for topic in (INFERENCES_TOPIC, FEEDBACK_TOPIC):
        try:
            ends, firsts = platform.log.end_offsets(topic), platform.log.first_offsets(topic)
        except NotFoundError:
            continue  # nothing was produced yet
        for partition, end in ends.items():
            landed = platform.lake.position(table_of(topic), partition.topic_id, partition.number)
            start = firsts[partition] if landed is None else landed
            backlog[f"{partition.topic_id}/{partition.number}"] = (end, end - start)
    return backlog


def _open_ingest(platform: "Platform") -> "IngestConsumer":
    # Files that do not load are named, so that their events become dead letters with that reason.
    from flywheel.ingest.consume import IngestConsumer

    folder = platform.workload_folder
    return IngestConsumer(
        platform.log,
        platform.lake,
        list(folder.workloads.values()),
        platform.clock,
        not_loaded=folder.problems.keys(),
    )
