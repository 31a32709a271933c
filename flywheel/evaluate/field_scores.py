"""Precision, recall and F1 per field of an extraction; start from `count_fields`.

What was expected, what was given, and how much of both is the same. The items of a list are paired
by their key fields, or so that most of their fields agree, whatever their order; what has no partner
is missed, or too much.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from flywheel.artifacts.arm_metrics import FieldAverages, FieldScore, PrecisionRecall
from flywheel.workload.answer_paths import field_paths, field_values, item_fields, leaf_paths
from flywheel.workload.answer_values import plain_numbers

__all__ = ["FieldCounts", "average_fields", "count_fields", "score_fields", "value_key"]

# Two items that are not the same one: no number of equal fields makes up for it.
_OTHERS = -1_000


class FieldCounts(NamedTuple):
    """Values of one field in one case: expected, given, and the same in both."""

    expected: int
    given: int
    matched: int

    @property
    def right(self) -> bool:
        """Whether everything that was expected was given, and nothing else."""
        return self.expected == self.given == self.matched


def count_fields(
    schema: Mapping[str, Any],
    expected: Any,
    output: Any,
    keys: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> dict[str, FieldCounts]:
    """Count every field of one case; an answer that is None gave nothing.

    A list counts its items, any other field is one value; null counts as nothing.

    Args:
        schema: of the answer.
        expected: the right answer.
        output: what was given.
        keys: fields that make two items of a list the same one, by the list's path. Without any,
            the items are paired by the assignment with most equal fields.
    """
    expected_values, output_values = field_values(schema, expected), field_values(schema, output)
    counts = {
        path: _count(expected_values[path], output_values[path]) for path in field_paths(schema)
    }
    for path, names in item_fields(schema).items():
        pairs = _paired(expected_values[path], output_values[path], names, keys.get(path, ()))
        for name in names:
            counts[f"{path}[].{name}"] = _column(
                [(one.get(name), two.get(name)) for one, two in pairs]
            )
    return counts


def score_fields(cases: Iterable[Mapping[str, FieldCounts]]) -> dict[str, FieldScore]:
    """Sum the counts of many cases up, field by field."""
    by_field: dict[str, list[FieldCounts]] = {}
    for case in cases:
        for path, counts in case.items():
            by_field.setdefault(path, []).append(counts)
    return {path: _score(counts) for path, counts in by_field.items()}


def average_fields(scores: Mapping[str, FieldScore]) -> FieldAverages | None:
    """Average the figures of all fields, once by values and once by fields; None without any.

    A list of groups is left out, since the fields of its items hold its values. A field that nobody
    expected and no answer gave has no figures, and none in the average.
    """
    single = [scores[path] for path in leaf_paths(scores)]
    if not single:
        return None
    totals = [sum(getattr(score, name) for score in single) for name in FieldCounts._fields]
    return FieldAverages(micro=_figures(FieldCounts(*totals)), macro=_mean(single))


def _score(cases: Sequence[FieldCounts]) -> FieldScore:
    total = FieldCounts(*(sum(column) for column in zip(*cases, strict=True)))
    absent = [case for case in cases if not case.expected]
    return FieldScore(
        **total._asdict(),
        **_figures(total).model_dump(),
        macro=_mean([_figures(case) for case in cases]),
        absent=len(absent),
        hallucinated=sum(case.given > 0 for case in absent),
    )


def _figures(counts: FieldCounts) -> PrecisionRecall:
    expected, returned, matched = counts
    return PrecisionRecall(
        precision=matched / returned if returned else None,
        recall=matched / expected if expected else None,
        f1=2 * matched / (expected + returned) if expected + returned else None,
    )


def _mean(figures: Sequence[PrecisionRecall | FieldScore]) -> PrecisionRecall:
    def mean(name: str) -> float | None:
        values = [getattr(one, name) for one in figures]
        defined = [value for value in values if value is not None]
        return float(np.mean(defined)) if defined else None

    return PrecisionRecall(precision=mean("precision"), recall=mean("recall"), f1=mean("f1"))


def _count(expected: Any, output: Any) -> FieldCounts:
    expected_values, output_values = _values(expected), _values(output)
    same = Counter(map(value_key, expected_values)) & Counter(map(value_key, output_values))
    return FieldCounts(len(expected_values), len(output_values), same.total())


def _values(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def value_key(value: Any) -> str:
    """Return a text that two JSON values share which are equal: key order does not count, 1 is 1.0."""
    return json.dumps(plain_numbers(value), sort_keys=True, ensure_ascii=False)


def _column(pairs: Sequence[tuple[Any, Any]]) -> FieldCounts:
    return FieldCounts(
        sum(one is not None for one, _ in pairs),
        sum(two is not None for _, two in pairs),
        sum(one is not None and value_key(one) == value_key(two) for one, two in pairs),
    )


def _paired(
    expected: Any, output: Any, names: Sequence[str], keys: Sequence[str]
) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    # The assignment with most equal fields; what has no partner stands beside an empty item. Items
    # whose keys differ are no partners.
    expected_items, output_items = _items(expected), _items(output)
    likeness = np.array(
        [[_likeness(one, two, names, keys) for two in output_items] for one in expected_items]
    )
    rows, places = _assigned(likeness) if expected_items and output_items else ([], [])
    pairs = [
        (expected_items[row], output_items[place]) for row, place in zip(rows, places, strict=True)
    ]
    pairs += [(one, {}) for row, one in enumerate(expected_items) if row not in set(rows)]
    return pairs + [({}, two) for place, two in enumerate(output_items) if place not in set(places)]


def _items(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in _values(value) if isinstance(item, Mapping)]


def _likeness(
    one: Mapping[str, Any], two: Mapping[str, Any], names: Sequence[str], keys: Sequence[str]
) -> int:
    if any(value_key(one.get(name)) != value_key(two.get(name)) for name in keys):
        return _OTHERS
    return sum(value_key(one.get(name)) == value_key(two.get(name)) for name in names)


def _assigned(likeness: Any) -> tuple[list[int], list[int]]:
    from scipy.optimize import linear_sum_assignment

    rows, places = linear_sum_assignment(likeness, maximize=True)
    partners = likeness[rows, places] > _OTHERS
    return rows[partners].tolist(), places[partners].tolist()
