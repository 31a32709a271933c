"""`read_card_facts`: what a model card says of data, slices, groups and failures, from the lake."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flywheel.artifacts.arm_metrics import ArmMetrics
from flywheel.artifacts.opened_workload import OpenedWorkload
from flywheel.io.records import Row
from flywheel.lake.store import Lake
from flywheel.quality.intervals import wilson_interval
from flywheel.state import Release

__all__ = ["CardFacts", "Confusion", "Share", "read_card_facts"]

_MOST_VALUES, _MOST_CONFUSIONS = 20, 10
_COLUMNS = ("client_id", "route")

_SPLITS = """
SELECT split AS name, count(DISTINCT coalesce(inference_id, correction_id)) AS n FROM dataset_rows
WHERE workload_id = $workload AND snapshot = $snapshot AND reason IS NULL AND split IS NOT NULL
GROUP BY name ORDER BY name
"""
_SOURCES = """
SELECT coalesce(c.source, 'unknown') AS name, count(DISTINCT r.inference_id) AS n
FROM dataset_rows r LEFT JOIN latest_corrections c
  ON c.workload_id = r.workload_id AND c.correction_id = r.correction_id
WHERE r.workload_id = $workload AND r.snapshot = $snapshot AND r.split = 'train'
GROUP BY name ORDER BY n DESC, name
"""
_EXCLUSIONS = """
SELECT reason AS name, count(DISTINCT coalesce(inference_id, correction_id)) AS n FROM dataset_rows
WHERE workload_id = $workload AND snapshot = $snapshot AND reason IS NOT NULL
GROUP BY name ORDER BY n DESC, name
"""
# Cases that nothing is trained on; those that must not be lost were chosen for what was right.
_OF_CANDIDATE = """
e.workload_id = $workload AND e.cycle = $cycle AND e.attempt = $attempt
  AND e.arm = 'candidate' AND e.release = $release AND e.suite IN ('golden', 'holdout', 'directed')
"""
_CASES = f"FROM evaluations e WHERE {_OF_CANDIDATE}"
_LABELS = f"""
SELECT e.label_id AS name, count(*) AS cases, count(*) FILTER (e.correct) AS right
{_CASES} AND e.label_id IS NOT NULL GROUP BY name ORDER BY name
"""
_CONFUSIONS = f"""
SELECT e.label_id AS expected, e.output AS answered, count(*) AS n
{_CASES} AND NOT e.correct GROUP BY ALL ORDER BY n DESC, expected, answered
"""
_LOST = f"""
SELECT count(*) AS lost FROM evaluations e JOIN evaluations b
  ON b.workload_id = e.workload_id AND b.cycle = e.cycle AND b.attempt = e.attempt
 AND b.suite = e.suite AND b.inference_id = e.inference_id AND b.arm = 'champion'
WHERE {_OF_CANDIDATE} AND b.correct AND NOT e.correct
"""  # noqa: S608 - constants of this module
_GROUPS = f"""
SELECT coalesce({{value}}, '(not given)') AS name, count(*) AS cases,
       count(*) FILTER (e.correct) AS right
FROM evaluations e LEFT JOIN first_inferences i
  ON i.workload_id = e.workload_id AND i.inference_id = e.inference_id
WHERE {_OF_CANDIDATE}
GROUP BY name ORDER BY cases DESC, name
"""  # noqa: S608 - (as above)


@dataclass(frozen=True)
class Share:
    """Cases of a slice or group, and how many the candidate has right."""

    name: str
    cases: int
    right: int

    @classmethod
    def of_arm(cls, arm: ArmMetrics) -> "Share | None":
        """Return an arm's exact matches in a suite; None where there is nothing to match."""
        if arm.exact_match is None or not arm.cases:
            return None
        return cls(arm.suite, arm.cases, round(arm.exact_match * arm.cases))

    @property
    def accuracy(self) -> float:
        """Return the share that is right."""
        return self.right / self.cases

    @property
    def interval(self) -> tuple[float, float]:
        """Return Wilson's 95 % interval of the share."""
        return wilson_interval(self.accuracy, self.cases)


@dataclass(frozen=True)
class Confusion:
    """How often one label was answered with something else; names of labels."""

    expected: str
    answered: str
    cases: int


@dataclass(frozen=True)
class CardFacts:
    """Data by split, source and exclusion; shares by label and group; what goes wrong.

    ``lost`` are cases that the former champion had right and the candidate has wrong.
    """

    splits: dict[str, int]
    sources: dict[str, int]
    exclusions: dict[str, int]
    labels: tuple[Share, ...] = ()
    groups: dict[str, tuple[Share, ...]] | None = None
    confusions: tuple[Confusion, ...] = ()
    lost: int = 0


def read_card_facts(lake: Lake, opened: OpenedWorkload, release: Release) -> CardFacts:
    """Read what the lake holds of a release's snapshot and of the cases of its gate."""
    workload = opened.workload
    names = workload.label_names
    data = {"workload": workload.id, "snapshot": release.dataset_hash}
    gate = {
        "workload": workload.id,
        "cycle": release.cycle,
        "attempt": release.attempt,
        "release": release.release,
    }
    [lost] = lake.rows(_LOST, gate)
    labels = [
        _share(row, names.get(row["name"]) or row["name"]) for row in lake.rows(_LABELS, gate)
    ]
    return CardFacts(
        splits=_counts(lake.rows(_SPLITS, data)),
        sources=_counts(lake.rows(_SOURCES, data)),
        exclusions=_counts(lake.rows(_EXCLUSIONS, data)),
        labels=tuple(labels),
        groups={group: _group(lake, group, gate) for group in workload.groups},
        confusions=_confusions(opened, lake.rows(_CONFUSIONS, gate)),
        lost=lost["lost"],
    )


def _group(lake: Lake, attribute: str, gate: Row) -> tuple[Share, ...]:
    if attribute in _COLUMNS:
        rows = lake.rows(_GROUPS.format(value=f"i.{attribute}"), gate)
    else:
        path = "$" + "".join(f'."{part}"' for part in attribute.split("."))
        values = gate | {"path": path}
        rows = lake.rows(_GROUPS.format(value="json_extract_string(i.request, $path)"), values)
    shares = [_share(row, row["name"]) for row in rows]
    rest = shares[_MOST_VALUES:]
    if rest:
        name = f"({len(rest)} others)"
        others = Share(name, sum(s.cases for s in rest), sum(s.right for s in rest))
        shares = [*shares[:_MOST_VALUES], others]
    return tuple(shares)


def _confusions(opened: OpenedWorkload, rows: Sequence[Row]) -> tuple[Confusion, ...]:
    # Only names of labels: an answer of a model may quote what a person wrote.
    workload, counts = opened.workload, dict[tuple[str, str], int]()
    names, known = workload.label_names, set(workload.label_names.values())
    if not known:
        return ()
    for row in rows:
        answered = workload.label_of(_parsed(row["answered"]))
        pair = (
            names.get(row["expected"], row["expected"]) or "no label",
            answered if answered in known else "no valid answer",
        )
        if pair[0] != pair[1]:
            counts[pair] = counts.get(pair, 0) + row["n"]
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return tuple(Confusion(*pair, cases) for pair, cases in ordered[:_MOST_CONFUSIONS])


def _parsed(output: str | None) -> Any:
    return None if output is None else json.loads(output)


def _counts(rows: Sequence[Row]) -> dict[str, int]:
    return {row["name"]: row["n"] for row in rows}


def _share(row: Row, name: str) -> Share:
    return Share(name, row["cases"], row["right"])
