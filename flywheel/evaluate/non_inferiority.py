"""`check_non_inferiority`: one paired test over golden and holdout cases, and a guard on the holdout.

The golden cases are many and old, the holdout is recent and small. Together they decide whether
the candidate is worse than the margin allows; the holdout alone can only stop a candidate that is
shown to be worse on it. What they leave undecided is decided by a second look, on directed cases
beside them.
"""

from flywheel.artifacts.gate_report import GateCheck, Outcome
from flywheel.evaluate.compare import interval_of
from flywheel.evaluate.evidence import GateEvidence, PairedAccuracy
from flywheel.evaluate.paired import cases_for_margin
from flywheel.evaluate.second_look import (
    cases_to_collect,
    combined_interval,
    first_look_significance,
)
from flywheel.workload.model import GateRules

__all__ = ["cases_to_decide", "check_non_inferiority"]

# More than so many times the available cases is not a plan.
_MOST_TIMES = 20


def check_non_inferiority(rules: GateRules, evidence: GateEvidence) -> list[GateCheck]:
    """Return the check over all cases, and the holdout's guard where there is a holdout."""
    checks = [_decide(rules, evidence)]
    if evidence.holdout is not None:
        checks.append(_guard(rules, evidence.holdout))
    return checks


def cases_to_decide(rules: GateRules, pair: PairedAccuracy, margin: float) -> int | None:
    """Return how many more cases would decide on a margin, were the difference to stay as it is.

    None: more than anybody would collect.
    """
    counts = pair.counts
    needed = cases_for_margin(
        max(counts.discordance, 1 / counts.cases),
        margin,
        difference=counts.difference,
        significance=rules.significance,
        power=rules.power,
    )
    if needed is None or needed > _MOST_TIMES * counts.cases:
        return None
    return max(1, needed - counts.cases)


def _decide(rules: GateRules, evidence: GateEvidence) -> GateCheck:
    pair, suites = evidence.together, ["golden"]
    if evidence.holdout is not None:
        suites.append("holdout")
    if evidence.directed is None:
        interval = interval_of(rules, pair.counts, significance=first_look_significance(rules))
        undecided = _what_to_collect(rules, pair)
    else:
        suites.append("directed")
        first, second = evidence.first_cases.counts, evidence.directed.counts
        interval = combined_interval(first, second, significance=rules.significance)
        undecided = "undecided after both looks; train another candidate on more corrections"
    lower, upper = interval
    outcome: Outcome
    if lower > -rules.margin or rules.margin >= 1:
        outcome, verdict = "pass", "not worse than the champion by more than the margin"
    elif upper < -rules.margin:
        outcome, verdict = "fail", "worse than the champion by more than the margin"
    else:
        outcome, verdict = "inconclusive", undecided
    words = _in_words(pair, lower, upper)
    return GateCheck(
        name="non_inferiority",
        outcome=outcome,
        value=lower,
        limit=-rules.margin,
        reason=f"{_joined(suites)}: {words}, margin -{rules.margin:.1%}: {verdict}",
    )


def _joined(suites: list[str]) -> str:
    *others, last = suites
    return f"{', '.join(others)} and {last}" if others else last


def _what_to_collect(rules: GateRules, pair: PairedAccuracy) -> str:
    more = cases_to_collect(rules, pair.counts)
    if more is not None:
        return (
            f"undecided; {more} more cases, drawn at random and judged blind (a directed review), "
            "would decide if the difference stays"
        )
    if pair.counts.difference <= -rules.margin:
        return "undecided, and rather worse than that; train another candidate on more corrections"
    more = cases_to_decide(rules, pair, rules.margin)
    if more is None:
        return (
            "too close to the margin for any number of cases that could be collected to decide; "
            "train another candidate on more corrections"
        )
    return (
        f"undecided; about {more} more cases would decide if the difference stays: judge so many "
        "more control items (review.budget, the share of the control slice), which lengthen the "
        "holdout, then start a new attempt"
    )


def _guard(rules: GateRules, pair: PairedAccuracy) -> GateCheck:
    lower, upper = interval_of(rules, pair.counts)
    worse = upper < -rules.holdout_margin
    verdict = (
        "worse on recent cases by more than" if worse else "not shown to be worse by more than"
    )
    return GateCheck(
        name="holdout",
        outcome="fail" if worse else "pass",
        value=upper,
        limit=-rules.holdout_margin,
        reason=f"holdout: {_in_words(pair, lower, upper)}: {verdict} {rules.holdout_margin:.0%}",
    )


def _in_words(pair: PairedAccuracy, lower: float, upper: float) -> str:
    return (
        f"{pair.counts.difference:+.1%} on {pair.cases} cases [{lower:+.1%}, {upper:+.1%}], "
        f"{pair.counts.discordance:.1%} answered differently"
    )
