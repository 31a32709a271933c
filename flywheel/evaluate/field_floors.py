"""Floors per field of an extraction: `check_fields` finds fields that fell, or are below a minimum.

A case has a field right where everything that was expected was given and nothing else. The fields
have the same exact test as the labels (`floors`), corrected for their number.
"""

from collections.abc import Mapping

from flywheel.artifacts.gate_report import GateCheck
from flywheel.evaluate.evidence import GateEvidence, PairedAccuracy
from flywheel.evaluate.exact_tests import lower_tail
from flywheel.evaluate.floors import fall_checks, judge_labels
from flywheel.workload.model import GateRules

__all__ = ["check_fields"]


def check_fields(rules: GateRules, evidence: GateEvidence) -> list[GateCheck]:
    """Return one check over all fields, one for each that fell, and one for each with a minimum.

    With a floor of 1 no fall is too large, and there is nothing to check.
    """
    fields = evidence.fields
    checks = _floors(rules, fields) if fields and rules.field_floor < 1 else []
    return checks + [
        _minimum(rules, name, share, fields[name])
        for name, share in sorted(rules.field_minimum.items())
        if name in fields
    ]


def _floors(rules: GateRules, fields: Mapping[str, PairedAccuracy]) -> list[GateCheck]:
    by_field = rules.model_copy(update={"slice_floor": rules.field_floor, "slice_minimum": 1})
    return fall_checks(by_field, fields, judge_labels(by_field, fields).adjusted, kind="field")


def _minimum(rules: GateRules, name: str, share: float, pair: PairedAccuracy) -> GateCheck:
    # Exact binomial test: fails where so few right answers would be too rare at the minimum.
    right, cases = pair.candidate_right, pair.cases
    chance = lower_tail(right, cases, share)
    below = chance <= rules.significance / len(rules.field_minimum)
    verdict = "shown to be below" if below else "not shown to be below"
    return GateCheck(
        name=f"field_minimum:{name}",
        outcome="fail" if below else "pass",
        value=right / cases,
        limit=share,
        reason=f"{name}: {right} of {cases} right, {verdict} the minimum of {share:.0%}",
    )
