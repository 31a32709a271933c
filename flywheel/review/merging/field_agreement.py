"""How far annotators agree on each field of an extraction; start from `field_agreement`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from flywheel.lake.store import Lake
from flywheel.review.merging.agreement import Agreement, krippendorff_alpha, read_units
from flywheel.workload.answer_paths import field_paths, field_values
from flywheel.workload.answer_values import plain_numbers
from flywheel.workload.answers import canonical_json
from flywheel.workload.label_mapping import AnswerMapping
from flywheel.workload.model import Workload

__all__ = ["FieldAgreement", "agreement_of", "field_agreement"]


@dataclass(frozen=True)
class FieldAgreement:
    """One field: Krippendorff's alpha, and the pairs of judgments on one item that are the same."""

    alpha: Agreement
    pairs: int
    same: int


def field_agreement(lake: Lake, workload: Workload) -> dict[str, FieldAgreement]:
    """Report agreement by the path of each field; empty where an answer has no fields.

    An item counts where two people or more gave an answer. A field of a list's items is compared as
    the list of its values; what two people left out is the same.
    """
    fields = workload.form.fields
    if fields is None:
        return {}
    units = read_units(lake, workload, AnswerMapping(workload))
    answers = [[j.output for j in unit if j.kind == "answer"] for unit in units]
    return agreement_of(fields, answers)


def agreement_of(
    schema: Mapping[str, Any], answers: Sequence[Sequence[Any]]
) -> dict[str, FieldAgreement]:
    """Report the agreement of answers, one sequence for each item."""
    keys = [[_keys(schema, answer) for answer in unit] for unit in answers if len(unit) > 1]
    agreement = {}
    for path in field_paths(schema):
        units = [[answer[path] for answer in unit] for unit in keys]
        pairs = [one == two for unit in units for one, two in combinations(unit, 2)]
        agreement[path] = FieldAgreement(krippendorff_alpha(units), len(pairs), sum(pairs))
    return agreement


def _keys(schema: Mapping[str, Any], answer: Any) -> dict[str, str]:
    values = field_values(schema, answer)
    return {path: canonical_json(plain_numbers(value)) for path, value in values.items()}
