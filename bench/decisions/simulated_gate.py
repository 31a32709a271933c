"""`draw_evidence`: one simulated gate at a time, and the gate's rule of version 0.1 to compare with.

Assumptions, the same for both rules: the champion has 85 % right; 10 % of the answers differ
between champion and candidate, more or fewer of them lost as the candidate is worse or better;
labels are even; the fixed cases are golden cases that the champion has right, as they are after a
first promotion.
"""

from dataclasses import dataclass

import numpy as np

from flywheel.artifacts.snapshot import FixedCase
from flywheel.evaluate.evidence import FixedGroup, GateEvidence, PairedAccuracy
from flywheel.evaluate.latency import LatencyRatio
from flywheel.evaluate.paired import PairedCounts, tango_interval

__all__ = ["Scenario", "draw_directed_cases", "draw_evidence", "outcome_of_0_1"]

_ACCURACY = 0.85


@dataclass(frozen=True)
class Scenario:
    """What is simulated; shares are in [0, 1].

    ``difference`` is the true accuracy of the candidate minus the champion's; ``broken`` says how
    many golden cases the label has of which the candidate has none right, 0 for no such label and
    None for a label like the others.
    """

    labels: int = 22
    difference: float = 0.0
    broken: int | None = 0
    golden: int = 450
    holdout: int = 60
    fixed: int = 250
    fixed_twice: int = 0
    discordance: float = 0.1


def draw_evidence(rng: np.random.Generator, scenario: Scenario) -> GateEvidence:
    """Draw the counts of one gate: two models of the scenario on fresh cases."""
    golden = _draw_suite(rng, scenario, _sizes(scenario), broken=scenario.broken != 0)
    even = np.full(scenario.labels, 1 / scenario.labels)
    recent = rng.multinomial(scenario.holdout, even)
    holdout = _draw_suite(rng, scenario, recent, broken=scenario.broken != 0)
    together = _total(golden)
    answers = scenario.golden + scenario.holdout + scenario.fixed
    return GateEvidence(
        first=False,
        golden=together,
        holdout=_total(holdout) if scenario.holdout else None,
        labels={
            f"l{n}": old + new for n, (old, new) in enumerate(zip(golden, holdout, strict=True))
        },
        fixed=_draw_fixed(rng, scenario, together),
        answers=answers,
        valid=answers,
        latency=LatencyRatio(1.0, 1.0, 10),
    )


def draw_directed_cases(rng: np.random.Generator, scenario: Scenario, cases: int) -> PairedAccuracy:
    """Draw so many cases of the second look: the two models of the scenario on production."""
    sizes = [*(cases // scenario.labels for _ in range(scenario.labels - 1)), 0]
    sizes[-1] = cases - sum(sizes)
    return _total(_draw_suite(rng, scenario, sizes, broken=False))


def outcome_of_0_1(evidence: GateEvidence) -> str:
    """Decide by the rule of version 0.1 at its defaults."""
    intervals = [
        (tango_interval(pair.counts, confidence=0.95), margin)
        for pair, margin in ((evidence.golden, 0.03), (evidence.holdout, 0.1))
        if pair is not None
    ]
    fallen = [
        tango_interval(pair.counts, confidence=0.95)[1] < 0
        for pair in evidence.labels.values()
        if pair.cases >= 20 and pair.counts.difference < -0.1  # noqa: PLR2004 - its defaults
    ]
    lost = sum(group.lost for group in evidence.fixed.values())
    fixed = sum(group.champion_right for group in evidence.fixed.values())
    clumsy = fixed > 0 and 1 - lost / fixed < 0.98  # noqa: PLR2004 - its default
    if any(upper < -margin for (_, upper), margin in intervals) or any(fallen) or clumsy:
        return "fail"
    undecided = fallen or any(lower <= -margin for (lower, _), margin in intervals)
    return "inconclusive" if undecided else "pass"


def _sizes(scenario: Scenario) -> list[int]:
    # Even, with the first label of the size asked for and the others sharing the rest.
    first = scenario.broken or round(scenario.golden / scenario.labels)
    rest, others = scenario.golden - first, scenario.labels - 1
    return [first, *(rest // others + (n < rest % others) for n in range(others))]


def _draw_suite(
    rng: np.random.Generator, scenario: Scenario, sizes: "list[int] | np.ndarray", *, broken: bool
) -> list[PairedAccuracy]:
    right = rng.binomial(sizes, _ACCURACY)
    lost = rng.binomial(right, (scenario.discordance - scenario.difference) / 2 / _ACCURACY)
    gain = (scenario.discordance + scenario.difference) / 2 / (1 - _ACCURACY)
    gained = rng.binomial(np.asarray(sizes) - right, min(1.0, gain))
    if broken:
        lost[0], gained[0] = right[0], 0
    return [
        PairedAccuracy(PairedCounts(int(n), int(g), int(loss)), int(r))
        for n, g, loss, r in zip(sizes, gained, lost, right, strict=True)
    ]


def _total(pairs: list[PairedAccuracy]) -> PairedAccuracy:
    return sum(pairs[1:], pairs[0])


def _draw_fixed(
    rng: np.random.Generator, scenario: Scenario, golden: PairedAccuracy
) -> dict[FixedCase, FixedGroup]:
    right, lost = golden.champion_right, golden.counts.lost
    cases = min(scenario.fixed, right)
    groups = {FixedCase(): FixedGroup(cases, int(rng.hypergeometric(lost, right - lost, cases)))}
    if scenario.fixed_twice:
        # Cases that flicker: two releases in five lose each of them.
        flickering = int(rng.binomial(scenario.fixed_twice, 0.4))
        groups[FixedCase(2, 0, 1)] = FixedGroup(scenario.fixed_twice, flickering)
    return groups
