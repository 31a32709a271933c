"""Which corrections make a preference pair: the accepted answer before the one that it replaced.

Pairs come from training rows alone, so that all that keeps control rows, golden set, holdout and
their near-duplicates out of training keeps them out of here. Pure: nothing is read or written.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any

from flywheel.dataset.examples import Example, Excluded
from flywheel.io.records import JsonObject
from flywheel.similarity.normal_form import normalize
from flywheel.workload.label_mapping import AnswerMapping
from flywheel.workload.model import ExtractionTask, GenerationTask, PreferenceRecipe, Workload

__all__ = ["Disputes", "Preference", "choose_pairs", "edited"]


@dataclass(frozen=True)
class Disputes:
    """What people disagreed about at any time: items by inference id, and texts by hash."""

    inference_ids: AbstractSet[str] = frozenset()
    input_hashes: AbstractSet[str] = frozenset()


@dataclass(frozen=True)
class Preference:
    """The pairs, the corrections that make none and why, and how long the two sides are.

    Lengths are means in characters; ``length_difference`` is the share by which the longer side is
    longer, ``length_difference_before`` the same before pairs were dropped for it.

    Of KTO, ``pairs`` are single answers, and ``thumbs`` says by correction id whether each was wanted.
    """

    pairs: list[Example] = field(default_factory=list)
    excluded: list[Excluded] = field(default_factory=list)
    chosen_length: float = 0.0
    rejected_length: float = 0.0
    length_difference: float = 0.0
    length_difference_before: float = 0.0
    thumbs: Mapping[str, bool] = field(default_factory=dict)

    def to_facts(self) -> JsonObject:
        """Return what a manifest says about the pairs."""
        reasons = Counter(one.reason for one in self.excluded)
        if self.thumbs:
            wanted = sum(self.thumbs.values())
            return {
                "method": "kto",
                "wanted": wanted,
                "unwanted": len(self.thumbs) - wanted,
                "exclusions": dict(sorted(reasons.items())),
            }
        return {
            "pairs": len(self.pairs),
            "exclusions": dict(sorted(reasons.items())),
            "chosen_length": round(self.chosen_length, 2),
            "rejected_length": round(self.rejected_length, 2),
            "length_difference": round(self.length_difference, 4),
            "length_difference_before": round(self.length_difference_before, 4),
        }


def choose_pairs(
    workload: Workload,
    mapping: AnswerMapping,
    recipe: PreferenceRecipe,
    train: Sequence[Example],
    disputes: Disputes,
) -> Preference:
    """Choose the training rows whose replaced answer is a clear and fair counterpart."""
    pairs: list[Example] = []
    excluded: list[Excluded] = []
    corrected = (example for example in train if example.rejected is not None)
    for example in sorted(corrected, key=lambda e: (e.inference_id, e.correction_id)):
        reason = _objection(workload, mapping, recipe, example, disputes)
        if reason is None:
            pairs.append(example)
        else:
            excluded.append(Excluded(example, reason))
    before = _lengths(mapping, pairs)
    balanced = _balanced(mapping, pairs, recipe.length_bias)
    names = {example.correction_id for example in balanced}
    excluded += [Excluded(e, "length_bias") for e in pairs if e.correction_id not in names]
    chosen, rejected = _lengths(mapping, balanced)
    return Preference(
        balanced, excluded, chosen, rejected, _share(chosen, rejected), _share(*before)
    )


def edited(
    workload: Workload, chosen: Any, rejected: Any, *, minimum_characters: int
) -> tuple[int, int]:
    """Count the fields that differ at all, and those that differ by more than spelling.

    Case, punctuation and white space are not a difference. A label, a number or a value of a list
    differs or not; a free text must differ by ``minimum_characters``, and so must a generation's.
    """
    task = workload.task
    if not isinstance(task, ExtractionTask):
        left, right = normalize(str(chosen)), normalize(str(rejected))
        different = int(left != right)
        if isinstance(task, GenerationTask):
            return different, int(_changes(left, right) >= minimum_characters)
        return different, different
    properties: Mapping[str, Any] = task.json_schema["properties"]
    some = enough = 0
    for name in sorted({*chosen, *rejected}):
        left, right = chosen.get(name), rejected.get(name)
        if isinstance(left, str) and isinstance(right, str):
            left, right = normalize(left), normalize(right)
        if left == right:
            continue
        some += 1
        free = name != task.label_field and not {"enum", "const"} & {*properties.get(name, {})}
        texts = isinstance(left, str) and isinstance(right, str)
        enough += not (free and texts) or _changes(left, right) >= minimum_characters
    return some, enough


def _objection(
    workload: Workload,
    mapping: AnswerMapping,
    recipe: PreferenceRecipe,
    example: Example,
    disputes: Disputes,
) -> str | None:
    if example.inference_id in disputes.inference_ids:
        return "disputed"
    if example.input_hash in disputes.input_hashes:
        return "disputed"
    rejected = _parsed(workload, example.rejected or "")
    # What the model is never allowed to answer is not worth learning to avoid.
    if rejected is None or not mapping.present(rejected).usable:
        return "rejected_not_an_answer"
    some, enough = edited(
        workload, example.output, rejected, minimum_characters=recipe.minimum_characters
    )
    if not some:
        return "no_edit"
    return "small_edit" if enough < recipe.minimum_fields else None


def _parsed(workload: Workload, text: str) -> Any:
    try:
        value = workload.form.read(text)
    except ValueError:
        return None
    return value if workload.form.fields is None or isinstance(value, dict) else None


def _changes(left: Any, right: Any) -> int:
    steps = SequenceMatcher(None, left, right, autojunk=False).get_opcodes()
    return sum(max(i2 - i1, j2 - j1) for tag, i1, i2, j1, j2 in steps if tag != "equal")


def _balanced(mapping: AnswerMapping, pairs: list[Example], bound: float) -> list[Example]:
    # The pair that adds most to the longer side goes first, until the rest is within the bound.
    surplus = {example.correction_id: _surplus(mapping, example) for example in pairs}
    ordered = sorted(pairs, key=lambda e: (surplus[e.correction_id], e.correction_id))
    while ordered and _share(*_lengths(mapping, ordered)) > bound:
        chosen, rejected = _lengths(mapping, ordered)
        ordered.pop(-1 if chosen > rejected else 0)
    return sorted(ordered, key=lambda e: (e.inference_id, e.correction_id))


def _surplus(mapping: AnswerMapping, example: Example) -> int:
    return len(mapping.text(example.output)) - len(example.rejected or "")


def _lengths(mapping: AnswerMapping, pairs: Sequence[Example]) -> tuple[float, float]:
    count = max(len(pairs), 1)
    chosen = sum(len(mapping.text(example.output)) for example in pairs)
    return chosen / count, sum(len(example.rejected or "") for example in pairs) / count


def _share(left: float, right: float) -> float:
    longer = max(left, right)
    return abs(left - right) / longer if longer else 0.0
