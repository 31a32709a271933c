"""`read_cases`: the cases of a gate with both answers side by side, by what changed."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.io.records import Row
from flywheel.usecases.desk.parts import page_of

if TYPE_CHECKING:
    from flywheel.wiring import Platform

__all__ = [
    "CHANGES",
    "CaseCounts",
    "CaseFilter",
    "CaseLine",
    "CasesPage",
    "count_cases",
    "read_cases",
]

Change = Literal["broken", "fixed", "both_wrong", "both_right"]
CHANGES: dict[str, str] = {
    "broken": "champion_right AND NOT candidate_right",
    "fixed": "candidate_right AND NOT champion_right",
    "both_wrong": "NOT champion_right AND NOT candidate_right",
    "both_right": "champion_right AND candidate_right",
}
_PAIRS = """
WITH pairs AS (
  SELECT new.suite, new.inference_id, new.label_id, new.input, new.expected,
         old.output AS champion_output, new.output AS candidate_output,
         old.correct AS champion_right, new.correct AS candidate_right,
         old.confidence AS champion_confidence, new.confidence AS candidate_confidence
  FROM evaluations new JOIN evaluations old
    ON old.workload_id = new.workload_id AND old.cycle = new.cycle AND old.attempt = new.attempt
    AND old.suite = new.suite AND old.inference_id = new.inference_id
  WHERE new.arm = 'candidate' AND old.arm = 'champion' AND new.workload_id = $workload
    AND new.cycle = $cycle AND new.attempt = $attempt
)
"""
_COUNTS = "SELECT suite, {sums} FROM pairs GROUP BY suite ORDER BY suite"
_WHERE = """
FROM pairs WHERE ({change}) AND ($suite = '' OR suite = $suite)
  AND ($label = '' OR label_id = $label)
  AND ($text = '' OR contains(lower(input), lower($text)))
"""
# A case may stand in several suites; the answers to it are the same.
_ROWS = """
SELECT list(suite ORDER BY suite) AS suites, inference_id, any_value(label_id) AS label_id,
       any_value(input) AS input, any_value(expected) AS expected,
       any_value(champion_output) AS champion_output,
       any_value(candidate_output) AS candidate_output,
       any_value(champion_right) AS champion_right, any_value(candidate_right) AS candidate_right,
       any_value(champion_confidence) AS champion_confidence,
       any_value(candidate_confidence) AS candidate_confidence
{where} GROUP BY inference_id ORDER BY suites, inference_id LIMIT $size OFFSET $skip
"""


@dataclass(frozen=True)
class CaseCounts:
    """Cases of one suite by what changed."""

    suite: str
    broken: int
    fixed: int
    both_wrong: int
    both_right: int


@dataclass(frozen=True)
class CaseFilter:
    """Which cases are shown; empty texts mean all, pages count from 1."""

    change: str = "broken"
    suite: str = ""
    label: str = ""
    text: str = ""
    page: int = 1
    size: int = 20


@dataclass(frozen=True)
class CaseLine:
    """One case: the text, what people say is right, and both answers, as JSON texts."""

    suites: tuple[str, ...]
    inference_id: str
    label: str | None
    input: str
    expected: str
    champion_output: str | None
    candidate_output: str | None
    champion_right: bool
    candidate_right: bool
    champion_confidence: float | None
    candidate_confidence: float | None


@dataclass(frozen=True)
class CasesPage:
    """One page of cases, the counts of all, and the choices of the filter."""

    workload_id: str
    cycle: str
    attempt: int
    chosen: CaseFilter
    counts: tuple[CaseCounts, ...]
    labels: tuple[tuple[str, str], ...]
    total: int
    pages: int
    cases: tuple[CaseLine, ...]


def count_cases(platform: "Platform", cycle: CycleRef, attempt: int) -> tuple[CaseCounts, ...]:
    """Count the cases of an attempt's gate by suite and by what changed."""
    sums = ", ".join(f"count(*) FILTER ({rule}) AS {name}" for name, rule in CHANGES.items())
    query = _PAIRS + _COUNTS.format(sums=sums)
    return tuple(CaseCounts(**row) for row in platform.lake.rows(query, _values(cycle, attempt)))


def read_cases(platform: "Platform", cycle: CycleRef, chosen: CaseFilter) -> CasesPage:
    """Return one page of the cases of a cycle's present attempt.

    Raises:
        NotFoundError: there is no such cycle.
    """
    current = platform.state.cycles.get(cycle)
    names = current.opened.workload.label_names
    rule = CHANGES.get(chosen.change, "true")
    values = _values(cycle, current.attempt) | {
        "suite": chosen.suite,
        "label": chosen.label,
        "text": chosen.text,
    }
    where = _WHERE.format(change=rule)
    [counted] = platform.lake.rows(
        f"{_PAIRS} SELECT count(DISTINCT inference_id) AS n {where}", values
    )
    page, pages = page_of(counted["n"], chosen.size, chosen.page)
    window = values | {"size": chosen.size, "skip": (page - 1) * chosen.size}
    rows = platform.lake.rows(_PAIRS + _ROWS.format(where=where), window)
    return CasesPage(
        workload_id=cycle.workload_id,
        cycle=cycle.name,
        attempt=current.attempt,
        chosen=replace(chosen, page=page),
        counts=count_cases(platform, cycle, current.attempt),
        labels=tuple(sorted(names.items(), key=lambda item: item[1].casefold())),
        total=counted["n"],
        pages=pages,
        cases=tuple(_case(row, names) for row in rows),
    )


def _case(row: Row, names: dict[str, str]) -> CaseLine:
    label_id = row.pop("label_id")
    label = None if label_id is None else names.get(str(label_id), str(label_id))
    suites: tuple[str, ...] = tuple(row.pop("suites"))
    return CaseLine(suites=suites, label=label, **row)


def _values(cycle: CycleRef, attempt: int) -> dict[str, object]:
    return {"workload": cycle.workload_id, "cycle": cycle.name, "attempt": attempt}
