"""The golden set: drawn once, stratified by label, then carried unchanged from release to release."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from types import MappingProxyType

from flywheel.artifacts.snapshot import open_snapshot, read_rows
from flywheel.dataset.examples import Example, Excluded, example_from
from flywheel.dataset.golden_shares import share_out
from flywheel.errors import IntegrityError
from flywheel.lake.store import Lake
from flywheel.workload.label_mapping import AnswerMapping
from flywheel.workload.model import Workload

__all__ = ["carry_golden", "choose_golden", "golden_counts"]

_MEMBERSHIP = """
SELECT DISTINCT m.inference_id, m.subject_id, EXISTS (
  SELECT 1 FROM erasures e WHERE e.subject_id = m.subject_id
  AND (e.workload_id IS NULL OR e.workload_id = m.workload_id)
) AS erased
FROM dataset_rows m
WHERE m.workload_id = $workload AND m.snapshot = $snapshot AND m.split = 'golden'
"""


def choose_golden(
    workload: Workload, pool: Sequence[Example], earlier: AbstractSet[str] = frozenset()
) -> list[Example]:
    """Draw the golden set from examples that have no duplicates among them.

    Every label gives in proportion to its number, rare ones more, and none more than half of its
    examples, so that each can still be learnt. Within a label the draw is by hash; what an
    unpromoted cycle had in its golden set comes first, since it must not be trained on, then the
    labeled seed, which was not chosen for being difficult.
    """
    strata: dict[str, list[Example]] = defaultdict(list)
    for example in pool:
        strata[example.label_id or ""].append(example)
    for rows in strata.values():
        rows.sort(key=lambda row: (row.inference_id not in earlier, not row.seed, row.input_hash))
    counts = {label: len(rows) for label, rows in strata.items()}
    again = {label: sum(row.inference_id in earlier for row in strata[label]) for label in counts}
    counts_to_draw = golden_counts(workload.golden_size, counts, again)
    return [row for label, rows in strata.items() for row in rows[: counts_to_draw[label]]]


def golden_counts(
    size: int, counts: Mapping[str, int], again: Mapping[str, int] = MappingProxyType({})
) -> dict[str, int]:
    """Return how many examples of each label a golden set of at most ``size`` takes.

    Args:
        size: the workload's ``golden_size``.
        counts: examples by label, of which at most half are taken.
        again: how many of them were in an earlier golden set.
    """
    room = {label: count // 2 for label, count in counts.items()}
    shares = {label: min(again.get(label, 0), room[label]) for label in room}
    return share_out(counts, room, shares, min(size, sum(room.values())))


def carry_golden(
    lake: Lake, workload: Workload, mapping: AnswerMapping, folder: Path, hash_key: str
) -> tuple[list[Example], list[Excluded]]:
    """Take the golden set of an earlier snapshot over, less the subjects erased since.

    Labels that were renamed or merged are mapped; an example whose label was retired or split is
    set aside.

    Raises:
        IntegrityError: the snapshot is not the one it claims to be, or is unknown to the lake.
    """
    snapshot = open_snapshot(folder)
    rows = read_rows(folder, "golden")
    membership = {
        row["inference_id"]: row
        for row in lake.rows(_MEMBERSHIP, {"workload": workload.id, "snapshot": snapshot.hash})
    }
    if {row["inference_id"] for row in rows} - set(membership):
        raise IntegrityError(
            f"The lake does not know all golden rows of {folder}.",
            next_step="build that dataset again, which writes its membership",
        )
    carried: list[Example] = []
    excluded: list[Excluded] = []
    for row in rows:
        member = membership[row["inference_id"]]
        if member["erased"]:
            continue
        fields = {**row, "slice": "golden", "subject_id": member["subject_id"]}
        example = example_from(mapping, fields, hash_key)
        if isinstance(example, Excluded):
            excluded.append(example)
        else:
            carried.append(example)
    return carried, excluded
