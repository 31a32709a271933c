"""How far annotators agree on each field of an extraction, and what they change in each.

Start from `field_agreement` and `field_corrections`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from flywheel.lake.store import Lake
from flywheel.review.merging.agreement import Agreement, krippendorff_alpha, read_units
from flywheel.review.merging.verdicts import Judgment
from flywheel.workload.answer_paths import field_paths, field_values, leaf_paths
from flywheel.workload.answer_values import plain_numbers
from flywheel.workload.answers import canonical_json
from flywheel.workload.label_mapping import AnswerMapping
from flywheel.workload.model import Workload

__all__ = [
    "FieldAgreement",
    "FieldCorrections",
    "agreement_of",
    "differing_fields",
    "field_agreement",
    "field_corrections",
]

_CORRECTED = """
SELECT output, original_output FROM latest_corrections
WHERE workload_id = $workload AND status = 'accepted' AND source = 'review'
  AND output IS NOT NULL AND original_output IS NOT NULL
"""


@dataclass(frozen=True)
class FieldAgreement:
    """One field: Krippendorff's alpha, and the pairs of judgments on one item that are the same."""

    alpha: Agreement
    pairs: int
    same: int


@dataclass(frozen=True)
class FieldCorrections:
    """One field: answers of models that people decided on, and those whose field they changed."""

    answers: int
    changed: int


def field_corrections(lake: Lake, workload: Workload) -> dict[str, FieldCorrections]:
    """Count by the path of each field how often the accepted answer differs from the model's.

    Empty for answers without fields. The field of a list's items is the list of its values.
    """
    schema = workload.form.fields
    if schema is None:
        return {}
    rows = lake.rows(_CORRECTED, {"workload": workload.id})
    pairs = [
        (
            _keys(schema, json.loads(row["original_output"])),
            _keys(schema, json.loads(row["output"])),
        )
        for row in rows
    ]
    return {
        path: FieldCorrections(len(pairs), sum(old[path] != new[path] for old, new in pairs))
        for path in field_paths(schema)
    }


def differing_fields(workload: Workload, judgments: Sequence[Judgment]) -> tuple[str, ...]:
    """Return the fields on which judgments differ; empty where one of them is no answer.

    A list whose items differ in some fields is named by those fields.
    """
    answers = [judgment.output for judgment in judgments if judgment.kind == "answer"]
    schema = workload.form.fields
    if schema is None or len(answers) < len(judgments):
        return ()
    keys = [_keys(schema, answer) for answer in answers]
    paths = [path for path in field_paths(schema) if len({answer[path] for answer in keys}) > 1]
    return tuple(leaf_paths(paths))


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
