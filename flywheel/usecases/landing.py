"""From the log into the lake, and the lake's upkeep."""

from typing import TYPE_CHECKING

from flywheel.errors import NotFoundError

if TYPE_CHECKING:
    from flywheel.ingest.ledger import Ledger
    from flywheel.ingest.report import IngestReport
    from flywheel.lake.maintenance import MaintenanceReport
    from flywheel.wiring import Platform

__all__ = ["land", "maintain_lake", "prove_ledger", "unread"]


def land(platform: "Platform", *, maximum: int = 200_000) -> "IngestReport":
    """Land up to ``maximum`` records of every topic."""
    from flywheel.ingest.consume import Ingest

    folder = platform.workload_folder
    ingest = Ingest(
        platform.log,
        platform.lake,
        list(folder.workloads.values()),
        platform.clock,
        not_loaded=folder.problems.keys(),
    )
    try:
        return ingest.run_once(maximum)
    finally:
        ingest.close()


def maintain_lake(platform: "Platform") -> "MaintenanceReport":
    """Compact closed days, remove what no reader can need, checkpoint."""
    from flywheel.lake.maintenance import maintain

    return maintain(platform.lake, now=platform.clock.now())


def prove_ledger(platform: "Platform") -> "Ledger":
    """Account for every record that was ever produced."""
    from flywheel.ingest.ledger import prove
    from flywheel.usecases.retired_topics import log_topics

    return prove(platform.log, platform.lake, topics=list(log_topics(platform)))


def unread(platform: "Platform") -> dict[str, tuple[int, int]]:
    """Return (end offset, records that have not landed) by topic id and partition."""
    from flywheel.events import FEEDBACK_TOPIC, INFERENCES_TOPIC
    from flywheel.ingest.arrow import table_of

    found = {}
    for topic in (INFERENCES_TOPIC, FEEDBACK_TOPIC):
        try:
            ends, firsts = platform.log.end_offsets(topic), platform.log.first_offsets(topic)
        except NotFoundError:
            continue  # nobody has produced yet
        for partition, end in ends.items():
            landed = platform.lake.position(table_of(topic), partition.topic_id, partition.number)
            start = firsts[partition] if landed is None else landed
            found[f"{partition.topic_id}/{partition.number}"] = (end, end - start)
    return found
