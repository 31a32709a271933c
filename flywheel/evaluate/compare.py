"""Compares two arms case by case: counts, interval, and what so many cases can show."""

from collections.abc import Mapping, Sequence

from flywheel.errors import MeasurementError
from flywheel.evaluate.paired import (
    PairedCounts,
    detectable_difference,
    mcnemar_exact,
    needed_cases,
    tango_interval,
)
from flywheel.evaluate.report import Comparison
from flywheel.evaluate.suites import CaseResult
from flywheel.workload import GateRules

__all__ = ["compare"]

Cases = Sequence[CaseResult]


def compare(
    rules: GateRules,
    champion: Cases,
    candidate: Cases,
    *,
    suite: str,
    margin: float,
    label: str | None = None,
) -> Comparison:
    """Compare two arms case by case; raise MeasurementError where their cases differ."""
    left = _by_id(champion)
    right = _by_id(candidate)
    if left.keys() != right.keys():
        raise MeasurementError(
            f"Champion and candidate answered different cases of {suite}.",
            next_step="run the gate again on one snapshot",
        )
    pairs = [(left[key].correct, right[key].correct) for key in left]
    counts = PairedCounts(
        cases=len(pairs),
        gained=sum(new and not old for old, new in pairs),
        lost=sum(old and not new for old, new in pairs),
    )
    lower, upper = tango_interval(counts, confidence=1 - rules.significance)
    power = {"significance": rules.significance, "power": rules.power}
    discordance = max(counts.discordance, 1 / counts.cases)
    return Comparison(
        suite=suite,
        label=label,
        cases=counts.cases,
        champion_right=sum(old for old, _ in pairs),
        candidate_right=sum(new for _, new in pairs),
        gained=counts.gained,
        lost=counts.lost,
        difference=counts.difference,
        lower=lower,
        upper=upper,
        p_value=mcnemar_exact(counts),
        margin=margin,
        detectable=detectable_difference(counts.cases, discordance, **power),
        needed=needed_cases(max(discordance, margin), margin, **power),
    )


def _by_id(cases: Cases) -> Mapping[str, CaseResult]:
    found = {case.inference_id: case for case in cases}
    if len(found) != len(cases):
        raise MeasurementError(
            "A suite holds the same case twice.", next_step="build the dataset again"
        )
    return found
