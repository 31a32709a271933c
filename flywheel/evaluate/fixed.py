"""Fixed cases: whether a candidate loses more of them than retraining alone does.

Fixed cases were chosen because a promoted release got them right, so that the champion has nearly
all of them right and every other model of the same quality loses some. What counts is a loss
beyond that. Cases too few to fail by the loss of all of them leave a likely loss undecided. Cases
that a person named are held one by one.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np

from flywheel.artifacts.gate_report import GateCheck, Outcome
from flywheel.artifacts.snapshot import FixedCase
from flywheel.evaluate.evidence import FixedGroup, GateEvidence
from flywheel.evaluate.exact_tests import binomial_chances
from flywheel.workload.model import GateRules

__all__ = ["chance_of_loss", "check_fixed", "loss_p_value"]

# A case's own record weighs as much as the churn of all cases after so many repetitions.
_PRIOR_REPETITIONS = 2
_TWICE = 2
_MOST_NAMES = 5
# Chance that an equal candidate loses so much, from which on too few cases leave it undecided.
_DOUBTFUL = 0.05


def check_fixed(rules: GateRules, evidence: GateEvidence) -> tuple[list[GateCheck], list[str]]:
    """Return the checks of fixed and of named cases, and a note on named cases that are missing."""
    churn = _churn(evidence)
    twice = {case: group for case, group in evidence.fixed.items() if case.times >= _TWICE}
    checks = [
        *_check_group(rules, "must_not_lose", "fixed earlier", evidence.fixed, churn),
        *_check_group(rules, "fixed_twice", "fixed twice or more", twice, churn),
        *_check_named("must_hold", evidence.named),
        *_check_fields(rules, evidence),
    ]
    missing = [name for name in rules.must_hold if name not in evidence.named]
    of_fields = {name for names in rules.must_hold_fields.values() for name in names}
    lost = sorted(of_fields - evidence.held_fields.keys())
    return checks, [*_note("must_hold", missing), *_note("must_hold_fields", lost)]


def _check_fields(rules: GateRules, evidence: GateEvidence) -> list[GateCheck]:
    checks = []
    for path, names in sorted(rules.must_hold_fields.items()):
        right = {
            name: evidence.held_fields[name].get(path, False)
            for name in names
            if name in evidence.held_fields
        }
        checks += _check_named(f"must_hold:{path}", right)
    return checks


def _churn(evidence: GateEvidence) -> float:
    # An equally good model loses as many cases as it gains, and what a candidate gains was chosen
    # by nobody.
    pair = evidence.together
    return min(0.5, (pair.counts.gained + 0.5) / (pair.champion_right + 1))


def chance_of_loss(case: FixedCase, churn: float) -> float:
    """Return the chance that an equally good model, trained from scratch, loses a case that was fixed.

    It starts from the churn of all cases and moves towards the case's own record: promoted
    releases that held it, and those that lost it.
    """
    repetitions = _PRIOR_REPETITIONS + case.held + case.lost
    return (_PRIOR_REPETITIONS * churn + case.lost) / repetitions


def loss_p_value(groups: Sequence[tuple[float, int]], lost: int) -> float:
    """Return the chance to lose so many cases or more, each group with its own chance of loss.

    Args:
        groups: chance of loss and number of cases.
        lost: cases lost in all groups.
    """
    return _upper_tail(tuple((round(chance, 4), cases) for chance, cases in groups), lost)


@lru_cache(maxsize=4096)
def _upper_tail(groups: tuple[tuple[float, int], ...], lost: int) -> float:
    chances = np.ones(1)
    for chance, cases in groups:
        chances = np.convolve(chances, binomial_chances(cases, chance))
    return float(min(1.0, chances[lost:].sum()))


def _check_group(
    rules: GateRules,
    name: str,
    words: str,
    groups: Mapping[FixedCase, FixedGroup],
    churn: float,
) -> list[GateCheck]:
    cases = sum(group.champion_right for group in groups.values())
    if not cases:
        return []
    allowed = 1 - rules.must_not_lose
    chances = [
        (min(1.0, chance_of_loss(case, churn) + allowed), group.champion_right)
        for case, group in groups.items()
    ]
    lost = sum(group.lost for group in groups.values())
    expected = sum(chance * number for chance, number in chances)
    p_value = loss_p_value(chances, lost)
    outcome, verdict = _verdict(rules, p_value, loss_p_value(chances, cases))
    return [
        GateCheck(
            name=name,
            outcome=outcome,
            value=(cases - lost) / cases,
            limit=1 - expected / cases,
            reason=f"{name.replace('_', '-')}: {cases - lost} of {cases} cases {words} are still "
            f"right; {lost} lost, {verdict} (about {expected:.1f}, p-value {p_value:.2g})",
        )
    ]


def _verdict(rules: GateRules, p_value: float, smallest: float) -> tuple[Outcome, str]:
    # ``smallest`` is the p-value if every case were lost. Where even that could not fail, so few
    # cases show nothing by passing either: what is lost then is doubtful if an equal candidate
    # loses it one time in twenty at most, which bounds what the doubt costs an equal candidate.
    if p_value <= rules.significance / 2:
        return "fail", "more than retraining alone loses"
    if smallest > rules.significance / 2 and p_value <= _DOUBTFUL:
        return "inconclusive", (
            "more than retraining is likely to lose, and too few cases to decide: look at the lost "
            "ones, then train another candidate, or name those that must hold (gates.must_hold)"
        )
    return "pass", "no more than retraining may lose"


def _check_named(name: str, named: Mapping[str, bool]) -> list[GateCheck]:
    if not named:
        return []
    of = name.removeprefix("must_hold").replace(":", " ", 1)
    wrong = sorted(case for case, correct in named.items() if not correct)
    words = f"wrong: {', '.join(wrong[:_MOST_NAMES])}" if wrong else "all right"
    if len(wrong) > _MOST_NAMES:
        words += f" and {len(wrong) - _MOST_NAMES} more"
    return [
        GateCheck(
            name=name,
            outcome="fail" if wrong else "pass",
            value=1 - len(wrong) / len(named),
            limit=1.0,
            reason=f"must-hold{of}: {len(named) - len(wrong)} of {len(named)} cases that a person "
            f"named are right; {words}",
        )
    ]


def _note(key: str, missing: Sequence[str]) -> list[str]:
    if not missing:
        return []
    names = ", ".join(missing[:_MOST_NAMES])
    text = (
        f"{len(missing)} of the cases named in gates.{key} were not measured, since they are "
        f"no accepted corrections any more: {names}"
    )
    return [text]
