"""How far annotators agree, and how far the people are, per batch and over all."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

from flywheel.io.records import JsonObject
from flywheel.lake.store import Lake
from flywheel.ports.review_queue import Annotation
from flywheel.quality.control_slice import ControlAccuracy, control_accuracy
from flywheel.review.merging.annotations import read_annotations
from flywheel.review.merging.batch_figures import figures_by_batch
from flywheel.review.merging.verdicts import Judgment, read_judgments
from flywheel.review.sampling.sent_items import SentItem, read_sent
from flywheel.workload.label_mapping import AnswerMapping
from flywheel.workload.model import Workload
from flywheel.workload.text_edits import edit_similarity

__all__ = [
    "Agreement",
    "BatchAgreement",
    "ControlAccuracy",
    "control_accuracy",
    "krippendorff_alpha",
    "read_units",
    "review_agreement",
]

Distance = Callable[[str, str], float]
_PAIR = 2
# On ten items whose labels differ, a single dispute moves alpha by a tenth.
_FEWEST = 20


@dataclass(frozen=True)
class Agreement:
    """Krippendorff's alpha over the items that were drawn at random for two people.

    ``alpha`` is None, with a ``reason``, where it is not defined.
    """

    alpha: float | None
    items: int
    judgments: int
    reason: str = ""

    def is_below(self, floor: float) -> bool:
        """Return whether alpha is lower, on enough items that one dispute does not decide it."""
        return self.alpha is not None and self.items >= _FEWEST and self.alpha < floor


@dataclass(frozen=True)
class BatchAgreement:
    """One batch: who answered, how often the model's answer was kept, how far people agree.

    ``kept`` and ``edited`` count the judgments of answers that the annotator saw the model's
    answer of; ``by_annotator`` counts judgments.
    """

    batch_id: str
    items: int
    answered: int
    unanswered: int
    judgments_wanted: int
    judgments_given: int
    kept: int
    edited: int
    by_annotator: dict[str, int]
    agreement: Agreement


def krippendorff_alpha(
    units: Iterable[Sequence[str]], *, distance: Distance | None = None
) -> Agreement:
    """Compute alpha; each unit holds the answers of its judges.

    ``distance`` of two different answers is in [0, 1]; None: 1, the nominal alpha.
    """
    import krippendorff
    import numpy as np

    paired = [list(unit) for unit in units if len(unit) >= _PAIR]
    judgments = sum(len(unit) for unit in paired)
    if not paired:
        return Agreement(None, 0, 0, "no item was judged by two people")
    values = sorted({value for unit in paired for value in unit})
    if len(values) == 1:
        reason = "all answers are the same: agreement cannot be distinguished from chance"
        return Agreement(None, len(paired), judgments, reason)
    place = {value: number for number, value in enumerate(values)}
    counts = np.zeros((len(paired), len(values)))
    for number, unit in enumerate(paired):
        for value in unit:
            counts[number, place[value]] += 1
    level: Any = "nominal" if distance is None else _metric(values, distance)
    alpha = krippendorff.alpha(value_counts=counts, level_of_measurement=level)
    return Agreement(float(alpha), len(paired), judgments)


def _metric(values: Sequence[str], distance: Distance) -> Callable[..., Any]:
    import numpy as np

    matrix = np.zeros((len(values), len(values)))
    for one, other in combinations(range(len(values)), 2):
        matrix[one, other] = matrix[other, one] = distance(values[one], values[other])
    return lambda *_, i1, i2, **__: matrix[i1, i2]


def review_agreement(lake: Lake, workload: Workload) -> tuple[Agreement, dict[str, BatchAgreement]]:
    """Report agreement over all items and per batch.

    Only items drawn at random for two people count: a second judgment that is asked for because the
    first one is in doubt finds less agreement than there is. Neither do adjudications nor gold items:
    they are not two judgments of one question.
    """
    mapping = AnswerMapping(workload)

    def count(items: Collection[str] | None) -> dict[str, _Counted]:
        judged, batches = _judged(lake, workload, mapping, items)
        return {
            name: _count(workload, name, entries, judged, mapping)
            for name, entries in batches.items()
        }

    # How far two texts differ is not told by their digests.
    counted = count(None) if workload.form.is_text else _kept(lake, workload, count)
    units = [unit for _, one in sorted(counted.items()) for unit in one.units]
    return _alpha(workload, units), {name: one.report for name, one in sorted(counted.items())}


@dataclass(frozen=True)
class _Counted:
    # A batch, and what was said of each of its items that were drawn for two people.
    report: BatchAgreement
    units: Sequence[Sequence[str]]


def _kept(
    lake: Lake, workload: Workload, count: Callable[[Collection[str]], Mapping[str, _Counted]]
) -> dict[str, _Counted]:
    def written(items: Mapping[str, str]) -> dict[str, JsonObject]:
        # A batch of which no correction comes has none.
        counted = count(items.keys())
        return {
            name: _as_json(counted[name]) if name in counted else {} for name in set(items.values())
        }

    figures = figures_by_batch(lake, workload, "agreement", written)
    return {name: _from_json(one) for name, one in figures.items() if one}


def _as_json(one: _Counted) -> JsonObject:
    units = [[_digest(key) for key in unit] for unit in one.units]
    return {"report": asdict(one.report), "units": units}


def _from_json(one: JsonObject) -> _Counted:
    report = one["report"] | {"agreement": Agreement(**one["report"]["agreement"])}
    return _Counted(BatchAgreement(**report), one["units"])


def _digest(key: str) -> str:
    # Of a key, which may hold words of a text, alpha asks only whether it is the same.
    return hashlib.blake2b(key.encode(), digest_size=8).hexdigest()


def read_units(lake: Lake, workload: Workload, mapping: AnswerMapping) -> list[list[Judgment]]:
    """Return the judgments of the items that were drawn at random for two people."""
    judged, batches = _judged(lake, workload, mapping, None)
    return [
        judged[entry.item.item_id]
        for entries in batches.values()
        for entry in entries
        if entry.drawn_twice
    ]


def _judged(
    lake: Lake, workload: Workload, mapping: AnswerMapping, items: Collection[str] | None
) -> tuple[dict[str, list[Judgment]], dict[str, list[SentItem]]]:
    # By item, and the items by batch; of all items, or of some.
    by_item: dict[str, list[Annotation]] = defaultdict(list)
    for annotation in read_annotations(lake, workload.id, items=items):
        by_item[annotation.item_id].append(annotation)
    judged: dict[str, list[Judgment]] = {}
    batches: dict[str, list[SentItem]] = defaultdict(list)
    for entry in read_sent(lake, workload.id, items):
        if not entry.item.makes_correction:
            continue
        judged[entry.item.item_id], _ = read_judgments(
            workload, mapping, by_item[entry.item.item_id]
        )
        batches[entry.item.batch_id].append(entry)
    return judged, batches


def _alpha(workload: Workload, units: Iterable[Sequence[str]]) -> Agreement:
    # Two texts disagree by as much as one has to be edited to become the other.
    return krippendorff_alpha(units, distance=_edit_distance if workload.form.is_text else None)


def _edit_distance(one: str, other: str) -> float:
    return 1 - edit_similarity(one, other)


def _count(
    workload: Workload,
    name: str,
    entries: Sequence[SentItem],
    judged: Mapping[str, list[Judgment]],
    mapping: AnswerMapping,
) -> _Counted:
    units = [judged[entry.item.item_id] for entry in entries]
    answered = sum(
        len(unit) >= entry.item.judgments for unit, entry in zip(units, entries, strict=True)
    )
    agreement: Counter[bool] = Counter()
    for unit, entry in zip(units, entries, strict=True):
        if entry.item.model_output is not None:
            model_key = mapping.key(entry.item.model_output)
            agreement.update(judgment.key == model_key for judgment in unit)
    people = Counter(judgment.annotation.annotator for unit in units for judgment in unit)
    drawn = [
        [judgment.key for judgment in unit]
        for unit, entry in zip(units, entries, strict=True)
        if entry.drawn_twice
    ]
    report = BatchAgreement(
        batch_id=name,
        items=len(entries),
        answered=answered,
        unanswered=len(entries) - answered,
        judgments_wanted=sum(entry.item.judgments for entry in entries),
        judgments_given=sum(len(unit) for unit in units),
        kept=agreement[True],
        edited=agreement[False],
        by_annotator=dict(sorted(people.items())),
        agreement=_alpha(workload, drawn),
    )
    return _Counted(report, drawn)
