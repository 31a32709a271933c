"""Floors per label: `judge_labels` finds the labels that fell by more than the floor allows.

Each label has an exact test; over the labels, which are many, the chance that any one of them is
accused wrongly stays below the significance.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from flywheel.artifacts.gate_report import GateCheck
from flywheel.evaluate.evidence import GateEvidence, PairedAccuracy
from flywheel.evaluate.exact_tests import holm_adjusted, number_of_tests
from flywheel.workload.model import GateRules

__all__ = ["LabelFloors", "check_labels", "fall_checks", "fall_p_value", "judge_labels"]

# Before anything was measured, 1 answer in 10 of two models of equal quality differs.
_PRIOR_CASES = 10
_PRIOR_DISCORDANT = 1
_MOST_LACKING = 200


@dataclass(frozen=True)
class LabelFloors:
    """Adjusted p-values of the labels that have a floor, and the cases that the others lack.

    A label of which the champion has too few right to lose lacks no case and has no floor.
    """

    adjusted: Mapping[str, float]
    lacking: Mapping[str, int]


def fall_p_value(cases: int, fall: int, *, discordance: float, floor: float) -> float:
    """Return the chance of a net loss of ``fall`` cases or more at a label that fell by the floor.

    Args:
        cases: cases of the label.
        fall: cases lost less cases gained.
        discordance: share of cases that exactly one arm has right, as retraining alone brings it.
        floor: fall in accuracy that is allowed.

    Source: the exact distribution of the difference of paired counts, with the nuisance parameter
    estimated, as Storer and Kim (1990), Exact properties of some exact test statistics for
    comparing two binomial proportions, JASA 85, 146-155. The estimate comes from the other labels,
    since a few cases of one label hardly hold any.
    """
    tail = _tail(cases, round(max(discordance, floor), 3), floor)
    return float(tail[fall + cases])


@lru_cache(maxsize=4096)
def _tail(cases: int, discordance: float, floor: float) -> tuple[float, ...]:
    # Index 0 is a net loss of -cases, the last one of +cases.
    lost = min(1.0, (discordance + floor) / 2)
    gained = max(0.0, (discordance - floor) / 2)
    step = np.array([gained, max(0.0, 1 - lost - gained), lost])
    chances = np.ones(1)
    for _ in range(cases):
        chances = np.convolve(chances, step)
    return tuple(np.minimum(1.0, np.cumsum(chances[::-1])[::-1]))


def judge_labels(rules: GateRules, labels: Mapping[str, PairedAccuracy]) -> LabelFloors:
    """Test every label that could be shown to fall, and count what the others lack.

    A label of which even the loss of every right answer would show nothing is not a hypothesis, so
    that the many small labels of a long taxonomy do not hide the fall of a larger one.
    """
    discordance = _discordance_of_others(labels)
    enough = [label for label, pair in labels.items() if pair.cases >= rules.slice_minimum]
    smallest = {
        label: _p_value(rules, labels[label], labels[label].champion_right, discordance[label])
        for label in enough
    }
    tests = number_of_tests(list(smallest.values()), rules.significance)
    level = rules.significance / tests
    p_values = {}
    for label in enough:
        if smallest[label] <= level:
            counts = labels[label].counts
            fall = counts.lost - counts.gained
            p_values[label] = _p_value(rules, labels[label], fall, discordance[label])
    lacking = {
        label: _lacking(rules, pair, discordance[label], level)
        for label, pair in labels.items()
        if label not in p_values
    }
    return LabelFloors(
        adjusted=holm_adjusted(p_values, tests),
        lacking={label: number for label, number in lacking.items() if number > 0},
    )


def check_labels(rules: GateRules, evidence: GateEvidence) -> tuple[list[GateCheck], list[str]]:
    """Return one check over all labels, one for each that fell, and a note on those without floor.

    With a floor of 1 no fall is too large, and there is nothing to check. The base model, which a
    first release is compared with, has no labels to fall from.
    """
    labels = evidence.labels
    if rules.slice_floor >= 1 or not labels:
        return [], []
    floors = judge_labels(rules, labels)
    checks = fall_checks(rules, labels, floors.adjusted, kind="label")
    return checks, [] if evidence.first else _note(rules, labels, floors)


def fall_checks(
    rules: GateRules,
    pairs: Mapping[str, PairedAccuracy],
    adjusted: Mapping[str, float],
    *,
    kind: Literal["label", "field"],
) -> list[GateCheck]:
    """Return one check over everything that has a floor, and one for each that fell by more.

    Args:
        rules: ``slice_floor`` is the fall that is allowed.
        pairs: right answers of both arms, by label or field.
        adjusted: p-values of those that have a floor.
        kind: what they are.
    """
    if not adjusted:
        return []
    fell = [name for name, p_value in adjusted.items() if p_value <= rules.significance]
    verdict = f"{len(fell)} fell by more" if fell else "none fell by more"
    smallest = min(adjusted.values())
    overall = GateCheck(
        name=f"{kind}_floors",
        outcome="fail" if fell else "pass",
        value=smallest,
        limit=rules.significance,
        reason=f"{kind}s: {len(adjusted)} of {len(pairs)} have a floor of "
        f"-{rules.slice_floor:.0%}: {verdict} (smallest p-value, corrected for the number "
        f"of {kind}s: {smallest:.2g})",
    )
    return [overall, *(_fallen(rules, name, pairs[name], kind) for name in fell)]


def _fallen(rules: GateRules, name: str, pair: PairedAccuracy, kind: str) -> GateCheck:
    return GateCheck(
        name=f"{'slice' if kind == 'label' else kind}_floor:{name}",
        outcome="fail",
        value=pair.counts.difference,
        limit=-rules.slice_floor,
        reason=f"{name}: {pair.champion_right} → {pair.candidate_right} right of {pair.cases}: "
        f"fell by more than {rules.slice_floor:.0%}, which is not chance",
    )


def _note(rules: GateRules, labels: Mapping[str, PairedAccuracy], floors: LabelFloors) -> list[str]:
    if not floors.lacking:
        return []
    lacking = sum(floors.lacking.values())
    rarest = sorted(floors.lacking, key=lambda label: (-floors.lacking[label], label))[:5]
    few = ", ".join(f"{label} {floors.lacking[label]}" for label in rarest)
    text = (
        f"{len(floors.lacking)} of {len(labels)} labels have no floor: even if every right answer "
        f"of theirs were lost, it could be chance. They lack about {lacking} evaluation cases, "
        f"most of all {few}."
    )
    hopeless = len(labels) - len(floors.adjusted) - len(floors.lacking)
    if hopeless:
        text += f" Of {hopeless} more the champion has too few right to lose any."
    smaller = sum(labels[label].cases < rules.slice_minimum for label in floors.lacking)
    if smaller:
        text += f" Of them {smaller} are below gates.slice_minimum ({rules.slice_minimum})."
    return [text]


def _discordance_of_others(labels: Mapping[str, PairedAccuracy]) -> dict[str, float]:
    all_counts = [pair.counts for pair in labels.values()]
    discordant = sum(counts.gained + counts.lost for counts in all_counts) + _PRIOR_DISCORDANT
    cases = sum(counts.cases for counts in all_counts) + _PRIOR_CASES
    return {
        label: (discordant - pair.counts.gained - pair.counts.lost) / (cases - pair.cases)
        for label, pair in labels.items()
    }


def _p_value(rules: GateRules, pair: PairedAccuracy, fall: int, discordance: float) -> float:
    return fall_p_value(pair.cases, fall, discordance=discordance, floor=rules.slice_floor)


def _lacking(rules: GateRules, pair: PairedAccuracy, discordance: float, level: float) -> int:
    # Cases until the loss of every right answer would be shown, were at least half of them right.
    accuracy = max(0.5, (pair.champion_right + 0.5) / (pair.cases + 1))
    needed = pair.cases
    while needed < pair.cases + _MOST_LACKING:
        right = math.floor(needed * accuracy)
        p_value = fall_p_value(needed, right, discordance=discordance, floor=rules.slice_floor)
        if needed >= rules.slice_minimum and p_value <= level:
            break
        needed += 1
    return needed - pair.cases
