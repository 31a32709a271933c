"""What data a release was trained on that the one before was not, by label and source."""

from collections import Counter
from dataclasses import dataclass

from flywheel.artifacts.opened_workload import OpenedWorkload
from flywheel.io.markdown import escape_markdown
from flywheel.lake.store import Lake

__all__ = ["Changelog", "describe_changes"]

_TRAINING_ROWS = """
    SELECT DISTINCT r.inference_id, r.label_id, coalesce(c.source, 'unknown') AS source
    FROM dataset_rows r
    LEFT JOIN latest_corrections c
      ON c.correction_id = r.correction_id AND c.workload_id = r.workload_id
    WHERE r.workload_id = ? AND r.snapshot = ? AND r.split = 'train'
"""


@dataclass(frozen=True)
class Changelog:
    """Counts of training rows; ``added`` is by (label, source)."""

    rows: int
    added: dict[tuple[str, str], int]
    removed: int
    previous: str | None

    def to_markdown(self) -> str:
        """Write the counts as Markdown, labels and sources escaped."""
        total = sum(self.added.values())
        against = f"since snapshot `{self.previous[:12]}`" if self.previous else "first release"
        lines = [
            f"{total} training rows added, {self.removed} left out, {self.rows} in all ({against}).",
            "",
            "| label | source | rows added |",
            "| --- | --- | ---: |",
        ]
        lines += [
            f"| {escape_markdown(label)} | {escape_markdown(source)} | {count} |"
            for (label, source), count in sorted(self.added.items())
        ]
        return "\n".join(lines)


def describe_changes(
    lake: Lake, opened: OpenedWorkload, snapshot: str, previous: str | None
) -> Changelog:
    """Compare the training rows of two snapshots.

    Args:
        lake: holds the membership of every snapshot.
        opened: gives the labels their names.
        snapshot: hash of the new snapshot.
        previous: hash of the champion's snapshot, None for the first release.
    """
    workload = opened.workload
    now = lake.rows(_TRAINING_ROWS, [workload.id, snapshot])
    before = lake.rows(_TRAINING_ROWS, [workload.id, previous]) if previous else []
    ids_before = {row["inference_id"] for row in before}
    ids_now = {row["inference_id"] for row in now}
    labels = workload.taxonomy.labels if workload.taxonomy else ()
    names = {label.id: label.name for label in labels}
    added = Counter(
        (names.get(row["label_id"], row["label_id"] or "-"), row["source"])
        for row in now
        if row["inference_id"] not in ids_before
    )
    return Changelog(len(ids_now), dict(added), len(ids_before - ids_now), previous)
