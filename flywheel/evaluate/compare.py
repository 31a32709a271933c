"""Compares two arms by their counts: interval, test, and what so many cases can show."""

from flywheel.artifacts.gate_report import Comparison
from flywheel.evaluate.evidence import PairedAccuracy
from flywheel.evaluate.paired import (
    PairedCounts,
    cases_for_margin,
    detectable_difference,
    mcnemar_exact,
    tango_interval,
)
from flywheel.workload.model import GateRules

__all__ = ["compare", "interval_of"]


def interval_of(
    rules: GateRules, counts: PairedCounts, *, significance: float | None = None
) -> tuple[float, float]:
    """Return the interval of the difference at the confidence that the rules ask for.

    ``significance`` stands in for theirs where a decision is made in two looks.
    """
    return tango_interval(counts, confidence=1 - (significance or rules.significance))


def compare(
    rules: GateRules,
    pair: PairedAccuracy,
    *,
    suite: str,
    margin: float,
    label: str | None = None,
    significance: float | None = None,
) -> Comparison:
    """Put everything that a reader may ask about two arms on the same cases into one row.

    ``significance`` is that of `interval_of`.
    """
    counts = pair.counts
    lower, upper = interval_of(rules, counts, significance=significance)
    power = {"significance": significance or rules.significance, "power": rules.power}
    discordance = max(counts.discordance, 1 / counts.cases)
    return Comparison(
        suite=suite,
        label=label,
        cases=pair.cases,
        champion_right=pair.champion_right,
        candidate_right=pair.candidate_right,
        gained=counts.gained,
        lost=counts.lost,
        difference=counts.difference,
        lower=lower,
        upper=upper,
        p_value=mcnemar_exact(counts),
        margin=margin,
        detectable=detectable_difference(counts.cases, discordance, **power),
        needed=cases_for_margin(discordance, margin, **power),
    )
