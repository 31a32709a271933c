"""Floors per field of an extraction: `check_fields` finds fields that fell, or are below a minimum.

A case has a field right where everything that was expected was given and nothing else. The fields
have the same exact test as the labels (`floors`), corrected for their number.
"""

from collections.abc import Mapping

from flywheel.evaluate.evidence import GateEvidence, PairedAccuracy
from flywheel.evaluate.exact_tests import binomial_chances
from flywheel.evaluate.floors import judge_labels
from flywheel.evaluate.report import GateCheck
from flywheel.workload import GateRules

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
    adjusted = judge_labels(by_field, fields).adjusted
    if not adjusted:
        return []
    fell = [name for name, p_value in adjusted.items() if p_value <= rules.significance]
    verdict = f"{len(fell)} fell by more" if fell else "none fell by more"
    smallest = min(adjusted.values())
    whole = GateCheck(
        name="field_floors",
        outcome="fail" if fell else "pass",
        value=smallest,
        limit=rules.significance,
        reason=f"fields: {len(adjusted)} of {len(fields)} have a floor of -{rules.field_floor:.0%}: "
        f"{verdict} (smallest p-value, corrected for the number of fields: {smallest:.2g})",
    )
    return [whole, *(_fallen(rules, name, fields[name]) for name in fell)]


def _fallen(rules: GateRules, name: str, pair: PairedAccuracy) -> GateCheck:
    return GateCheck(
        name=f"field_floor:{name}",
        outcome="fail",
        value=pair.counts.difference,
        limit=-rules.field_floor,
        reason=f"{name}: {pair.champion_right} → {pair.candidate_right} right of {pair.cases}: "
        f"fell by more than {rules.field_floor:.0%}, which is not chance",
    )


def _minimum(rules: GateRules, name: str, share: float, pair: PairedAccuracy) -> GateCheck:
    # Exact binomial test: fails where so few right answers would be too rare at the minimum.
    right, cases = pair.candidate_right, pair.cases
    chance = float(min(1.0, binomial_chances(cases, share)[: right + 1].sum()))
    below = chance <= rules.significance / len(rules.field_minimum)
    verdict = "shown to be below" if below else "not shown to be below"
    return GateCheck(
        name=f"field_minimum:{name}",
        outcome="fail" if below else "pass",
        value=right / cases,
        limit=share,
        reason=f"{name}: {right} of {cases} right, {verdict} the minimum of {share:.0%}",
    )
