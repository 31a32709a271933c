"""What a change of a taxonomy does to rows, queue, golden set and open cycle, before it is made."""

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flywheel.wiring import Platform
    from flywheel.workload.label_mapping import AnswerMapping
    from flywheel.workload.model import Workload

__all__ = ["TaxonomyPreview", "golden_rows", "preview_change"]

_JUDGED = """
SELECT output, count(*) AS rows FROM latest_corrections
WHERE workload_id = $w AND status = 'accepted' GROUP BY output
"""
# The golden set of one cycle's snapshot.
_GOLDEN = """
SELECT given.output, count(*) AS rows FROM dataset_rows AS member
JOIN latest_corrections AS given
  ON given.workload_id = member.workload_id AND given.correction_id = member.correction_id
WHERE member.workload_id = $w AND member.split = 'golden' AND member.cycle = $cycle
GROUP BY given.output
"""
_CYCLES = "SELECT DISTINCT cycle FROM dataset_rows WHERE workload_id = $w"
_WAITING = """
SELECT model_output AS output, count(*) AS rows FROM review_items AS item
WHERE workload_id = $w AND NOT exists (
  SELECT 1 FROM latest_annotations AS given
  WHERE given.item_id = item.item_id AND NOT given.deleted)
GROUP BY model_output
"""


@dataclass(frozen=True)
class TaxonomyPreview:
    """Rows by what becomes of them; rows that stay as they are are not listed.

    ``cycles`` are open: they keep the taxonomy that they opened with.
    """

    rows: dict[str, int] = field(default_factory=dict)
    queue: dict[str, int] = field(default_factory=dict)
    golden: dict[str, int] = field(default_factory=dict)
    waiting: int = 0
    cycles: tuple[str, ...] = ()


def preview_change(platform: "Platform", before: "Workload", after: "Workload") -> TaxonomyPreview:
    """Work out what a change of the taxonomy does.

    Args:
        platform: its lake and its state are read.
        before: the workload under the taxonomy that is in force.
        after: the workload as it would be.
    """
    from flywheel.workload.label_mapping import AnswerMapping

    old, new = AnswerMapping(before), AnswerMapping(after)
    parameters = {"w": before.id}
    counts = {
        "rows": platform.lake.rows(_JUDGED, parameters),
        "golden": golden_rows(platform, before.id),
        "queue": platform.lake.rows(_WAITING, parameters),
    }
    return TaxonomyPreview(
        **{name: _effects(old, new, rows) for name, rows in counts.items()},
        waiting=sum(row["rows"] for row in counts["queue"]),
        cycles=tuple(
            f"{cycle.name} ({cycle.status})" for cycle in platform.state.cycles.list_open(before.id)
        ),
    )


def golden_rows(platform: "Platform", workload_id: str) -> "list[dict[str, object]]":
    """Count the answers of the newest snapshot's golden set; it is carried from one to the next."""
    # By the order in which the cycles were opened: as text the tenth of a period comes before the
    # second.
    rows = platform.lake.rows(_CYCLES, {"w": workload_id})
    with_dataset = {row["cycle"] for row in rows}
    names = [cycle.name for cycle in platform.state.cycles.of(workload_id)]
    newest = next((name for name in reversed(names) if name in with_dataset), None)
    if newest is None:
        return []
    return platform.lake.rows(_GOLDEN, {"w": workload_id, "cycle": newest})


def _effects(
    old: "AnswerMapping", new: "AnswerMapping", rows: "Iterable[dict[str, object]]"
) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for row in rows:
        if row["output"] is None:  # a control item is asked without a suggestion
            continue
        effect = _effect(old, new, json.loads(str(row["output"])))
        if effect is not None:
            counts[effect] += int(str(row["rows"]))
    return dict(counts.most_common())


def _effect(old: "AnswerMapping", new: "AnswerMapping", output: object) -> str | None:
    before, after = old.present(output), new.present(output)
    name = old.label_name(before.output)
    if not before.usable:
        return None if not after.usable else f"{name}: counts again"
    if not after.usable:
        return f"{name}: set aside ({after.problem})"
    if before.label_id != after.label_id:
        return f"{name}: counts as {new.label_name(after.output)}"
    if before.output != after.output:
        return f"{name}: is called {new.label_name(after.output)}"
    return None
