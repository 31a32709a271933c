"""How each person judges, for the data engineer alone: agreement, accuracy, pace, and their drift.

Who works on items of their own has no accuracy, which is no bad one; what tells something about a
person is left to `marks`.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from flywheel.io.records import JsonObject
from flywheel.lake.store import Lake
from flywheel.review.merging.annotations import read_annotations
from flywheel.review.merging.batch_figures import figures_by_batch
from flywheel.review.sampling.marks import Mark, read_marks
from flywheel.workload.model import Workload

__all__ = ["AnnotatorFigures", "MonthFigures", "annotator_figures"]


@dataclass(frozen=True)
class MonthFigures:
    """One person in one month (UTC); ``accuracy`` is None where nothing was checked."""

    month: str
    judgments: int
    checked: int
    accuracy: float | None
    median_seconds: float | None


@dataclass(frozen=True)
class AnnotatorFigures:
    """One person.

    ``agreement`` is the share of pairs on one item, this person in them, that gave one answer;
    ``accuracy`` the share of right answers among those whose truth others decided as well, and
    ``gold_accuracy`` the same on gold items alone. ``drift`` is the accuracy of the newest month with any, less that of all months before.
    """

    annotator: str
    judgments: int
    skipped: int
    cant_tell: int
    pairs: int
    agreement: float | None
    checked: int
    accuracy: float | None
    gold_checked: int
    gold_accuracy: float | None
    median_seconds: float | None
    drift: float | None
    months: tuple[MonthFigures, ...]


# What one person did in one month: counts, and the seconds that the judgments took.
_MONTH = ("judgments", "cant_tell", "pairs", "agreed", "checked", "right", "gold", "gold_right")


def annotator_figures(lake: Lake, workload: Workload) -> list[AnnotatorFigures]:
    """Work out the figures of everybody who ever judged an item of the workload, by name."""

    def count(items: Mapping[str, str]) -> dict[str, JsonObject]:
        return _count(lake, workload, items)

    people: dict[str, _Person] = defaultdict(_Person)
    for batch in figures_by_batch(lake, workload, "annotators", count).values():
        for name, figures in batch.items():
            people[name].add(figures)
    return [_figures(name, people[name]) for name in sorted(people)]


def _count(lake: Lake, workload: Workload, items: Mapping[str, str]) -> dict[str, JsonObject]:
    annotations = read_annotations(lake, workload.id, items=items.keys())
    batches: dict[str, dict[str, _Person]] = {
        batch: defaultdict(_Person) for batch in items.values()
    }
    for mark in read_marks(lake, workload, annotations):
        batches[items[mark.annotation.item_id]][mark.annotation.annotator].add_mark(mark)
    for annotation in annotations:
        if annotation.kind == "skipped" and not annotation.deleted:
            batches[items[annotation.item_id]][annotation.annotator].skipped += 1
    return {
        batch: {name: people[name].as_json() for name in sorted(people)}
        for batch, people in batches.items()
    }


@dataclass
class _Person:
    # Sums over batches, by month.
    skipped: int = 0
    months: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def add_mark(self, mark: Mark) -> None:
        annotation = mark.annotation
        month = f"{annotation.updated_at:%Y-%m}"
        checked, right = mark.measures, mark.measures and bool(mark.right)
        self.months[month].update(
            judgments=1,
            cant_tell=annotation.kind == "cant_tell",
            pairs=0 if mark.chosen else mark.pairs,
            agreed=0 if mark.chosen else mark.agreed,
            checked=checked,
            right=right,
            gold=mark.gold and checked,
            gold_right=mark.gold and right,
        )
        if annotation.seconds is not None:
            self.seconds[month].append(annotation.seconds)

    def as_json(self) -> JsonObject:
        months = {
            month: [[counts[name] for name in _MONTH], sorted(self.seconds[month])]
            for month, counts in sorted(self.months.items())
        }
        return {"skipped": self.skipped, "months": months}

    def add(self, figures: JsonObject) -> None:
        self.skipped += figures["skipped"]
        for month, (counts, seconds) in figures["months"].items():
            self.months[month].update(dict(zip(_MONTH, counts, strict=True)))
            self.seconds[month] += seconds


def _figures(name: str, person: _Person) -> AnnotatorFigures:
    total = sum(person.months.values(), Counter[str]())
    checked = [month for month in sorted(person.months) if person.months[month]["checked"]]
    drift = None
    if len(checked) > 1:
        before = sum((person.months[month] for month in checked[:-1]), Counter[str]())
        newest = person.months[checked[-1]]
        drift = newest["right"] / newest["checked"] - before["right"] / before["checked"]
    return AnnotatorFigures(
        annotator=name,
        judgments=total["judgments"],
        skipped=person.skipped,
        cant_tell=total["cant_tell"],
        pairs=total["pairs"],
        agreement=_share(total["agreed"], total["pairs"]),
        checked=total["checked"],
        accuracy=_share(total["right"], total["checked"]),
        gold_checked=total["gold"],
        gold_accuracy=_share(total["gold_right"], total["gold"]),
        median_seconds=_median([one for month in person.seconds.values() for one in month]),
        drift=drift,
        months=tuple(
            MonthFigures(
                month,
                counts["judgments"],
                counts["checked"],
                _share(counts["right"], counts["checked"]),
                _median(person.seconds[month]),
            )
            for month, counts in sorted(person.months.items())
        ),
    )


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _median(seconds: Sequence[float]) -> float | None:
    return median(seconds) if seconds else None
