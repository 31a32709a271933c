"""`check_texts`: the gate's checks of a generation: scores by a paired bootstrap, and kept rules.

They stand in for the checks of accuracy: two good texts are seldom equal, and how far a draft is
from the accepted text is what a person has to edit.
"""

from flywheel.artifacts.gate_report import GateCheck, Outcome, TextComparison
from flywheel.evaluate.absolute import minimum_verdict
from flywheel.evaluate.text_evidence import (
    FEWEST_CASES,
    PairedScores,
    RuleCounts,
    TextEvidence,
    mean_interval,
)
from flywheel.workload.model import GateRules
from flywheel.workload.text_rules import ESCALATED, NOT_ESCALATED

__all__ = ["check_texts", "compare_texts", "unmeasured_rules"]


def check_texts(rules: GateRules, texts: TextEvidence, *, first: bool) -> list[GateCheck]:
    """Return the checks of a generation's scores and rules.

    Args:
        rules: margins are differences of the mean score, the minimum is one of the mean score.
        texts: scores and rules.
        first: the champion is the base model itself.
    """
    together = texts.together
    checks = [_non_inferiority(rules, texts, together)]
    holdout = texts.suites.get("holdout")
    if holdout is not None:
        checks.append(_holdout(rules, holdout))
    if rules.minimum_accuracy > 0:
        checks.append(_minimum(rules, texts, together))
    if first and rules.first_must_be_better:
        checks.append(_better(rules, together))
    return [*checks, *(_kept(rules, name, counts) for name, counts in texts.rules.items())]


def compare_texts(rules: GateRules, texts: TextEvidence) -> tuple[TextComparison, ...]:
    """Return the scores of both arms, on all cases first and then by suite."""
    suites = {"+".join(texts.suites): texts.together, **texts.suites}
    return tuple(_compared(rules, texts, suite, scores) for suite, scores in suites.items())


def unmeasured_rules(texts: TextEvidence) -> list[str]:
    """Say which side of the escalation no case shows."""
    sides = {ESCALATED: "must be escalated", NOT_ESCALATED: "must not be escalated"}
    shown = [name for name in sides if name in texts.rules]
    if not shown:
        return []
    return [
        f"the rule {_words(name)} was not measured: there is no case that {words}"
        for name, words in sides.items()
        if name not in shown
    ]


def _compared(
    rules: GateRules, texts: TextEvidence, suite: str, scores: PairedScores
) -> TextComparison:
    lower, upper = _interval(rules, scores.differences)
    return TextComparison(
        suite=suite,
        score=texts.score,
        cases=scores.cases,
        champion=_mean(scores.champion),
        candidate=_mean(scores.candidate),
        lower=lower,
        upper=upper,
        margin=rules.holdout_margin if suite == "holdout" else rules.margin,
    )


def _non_inferiority(rules: GateRules, texts: TextEvidence, scores: PairedScores) -> GateCheck:
    lower, upper = _interval(rules, scores.differences)
    outcome: Outcome = "inconclusive"
    verdict = (
        "undecided; judge more control items, which lengthen the holdout, then start a new attempt"
    )
    if scores.cases < FEWEST_CASES:
        verdict = f"too few cases to decide, {FEWEST_CASES} at least"
    elif lower > -rules.margin or rules.margin >= 1:
        outcome, verdict = "pass", "not worse than the champion by more than the margin"
    elif upper < -rules.margin:
        outcome, verdict = "fail", "worse than the champion by more than the margin"
    return GateCheck(
        name="non_inferiority",
        outcome=outcome,
        value=lower,
        limit=-rules.margin,
        reason=f"{' and '.join(texts.suites)}, mean {_words(texts.score)}: {_in_words(scores)} "
        f"[{lower:+.3f}, {upper:+.3f}], margin -{rules.margin:g}: {verdict}",
    )


def _holdout(rules: GateRules, scores: PairedScores) -> GateCheck:
    lower, upper = _interval(rules, scores.differences)
    worse = upper < -rules.holdout_margin and scores.cases >= FEWEST_CASES
    verdict = "worse on recent cases by" if worse else "not shown to be worse by"
    return GateCheck(
        name="holdout",
        outcome="fail" if worse else "pass",
        value=upper,
        limit=-rules.holdout_margin,
        reason=f"holdout: {_in_words(scores)} [{lower:+.3f}, {upper:+.3f}]: {verdict} more than "
        f"{rules.holdout_margin:g}",
    )


def _minimum(rules: GateRules, texts: TextEvidence, scores: PairedScores) -> GateCheck:
    lower, upper = _interval(rules, scores.candidate)
    outcome, verdict = minimum_verdict(rules, lower, upper)
    return GateCheck(
        name="minimum_accuracy",
        outcome=outcome,
        value=_mean(scores.candidate),
        limit=rules.minimum_accuracy,
        reason=f"mean {_words(texts.score)}: {_mean(scores.candidate):.3f} on {scores.cases} cases "
        f"[{lower:.3f}, {upper:.3f}], minimum {rules.minimum_accuracy:g}: {verdict}",
    )


def _better(rules: GateRules, scores: PairedScores) -> GateCheck:
    lower, upper = _interval(rules, scores.differences)
    outcome: Outcome = "inconclusive"
    verdict = "not shown to be better than the base model"
    if lower > 0 and scores.cases >= FEWEST_CASES:
        outcome, verdict = "pass", "better than the base model"
    elif upper < 0:
        outcome, verdict = "fail", "worse than the base model"
    return GateCheck(
        name="better_than_base",
        outcome=outcome,
        value=lower,
        limit=0.0,
        reason=f"first release: {_in_words(scores)} [{lower:+.3f}, {upper:+.3f}]: {verdict}",
    )


def _kept(rules: GateRules, name: str, counts: RuleCounts) -> GateCheck:
    share = counts.kept / counts.cases
    return GateCheck(
        name=f"rule:{name}",
        outcome="pass" if share >= rules.rule_compliance else "fail",
        value=share,
        limit=rules.rule_compliance,
        reason=f"rule {_words(name)}: kept in {counts.kept} of {counts.cases} texts for which it holds",
    )


def _interval(rules: GateRules, values: tuple[float, ...]) -> tuple[float, float]:
    return mean_interval(values, confidence=1 - rules.significance)


def _mean(values: tuple[float, ...]) -> float:
    return sum(values) / len(values)


def _words(name: str) -> str:
    return name.replace("_", " ")


def _in_words(scores: PairedScores) -> str:
    return (
        f"{_mean(scores.champion):.3f} → {_mean(scores.candidate):.3f} on {scores.cases} cases, "
        f"{_mean(scores.differences):+.3f}"
    )
