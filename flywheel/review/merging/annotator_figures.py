"""How each person judges, for the data engineer alone: agreement, accuracy, pace, and their drift.

Who works on items of their own has no accuracy, which is no bad one; what tells something about a
person is left to `marks`.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from flywheel.lake.store import Lake
from flywheel.review.merging.annotations import read_annotations
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


def annotator_figures(lake: Lake, workload: Workload) -> list[AnnotatorFigures]:
    """Work out the figures of everybody who ever judged an item of the workload, by name."""
    annotations = read_annotations(lake, workload.id)
    marks: dict[str, list[Mark]] = defaultdict(list)
    for mark in read_marks(lake, workload, annotations):
        marks[mark.annotation.annotator].append(mark)
    skipped = Counter(
        annotation.annotator
        for annotation in annotations
        if annotation.kind == "skipped" and not annotation.deleted
    )
    return [_figures(name, marks[name], skipped[name]) for name in sorted({*marks, *skipped})]


def _figures(name: str, marks: Sequence[Mark], skipped: int) -> AnnotatorFigures:
    by_month: dict[str, list[Mark]] = defaultdict(list)
    for mark in marks:
        by_month[f"{mark.annotation.updated_at:%Y-%m}"].append(mark)
    on_gold = [mark for mark in marks if mark.gold]
    drawn = [mark for mark in marks if not mark.chosen]
    pairs = sum(mark.pairs for mark in drawn)
    agreed = sum(mark.agreed for mark in drawn)
    checked = [month for month in sorted(by_month) if _checked(by_month[month])]
    drift = None
    if len(checked) > 1:
        before = [mark for month in checked[:-1] for mark in by_month[month]]
        drift = _share(_checked(by_month[checked[-1]])) - _share(_checked(before))
    return AnnotatorFigures(
        annotator=name,
        judgments=len(marks),
        skipped=skipped,
        cant_tell=sum(mark.annotation.kind == "cant_tell" for mark in marks),
        pairs=pairs,
        agreement=agreed / pairs if pairs else None,
        checked=len(_checked(marks)),
        accuracy=_accuracy(marks),
        gold_checked=len(_checked(on_gold)),
        gold_accuracy=_accuracy(on_gold),
        median_seconds=_pace(marks),
        drift=drift,
        months=tuple(_month(month, by_month[month]) for month in sorted(by_month)),
    )


def _month(month: str, marks: Sequence[Mark]) -> MonthFigures:
    checked = len(_checked(marks))
    return MonthFigures(month, len(marks), checked, _accuracy(marks), _pace(marks))


def _checked(marks: Iterable[Mark]) -> list[bool]:
    return [bool(mark.right) for mark in marks if mark.measures]


def _accuracy(marks: Iterable[Mark]) -> float | None:
    checked = _checked(marks)
    return _share(checked) if checked else None


def _share(right: Sequence[bool]) -> float:
    return sum(right) / len(right)


def _pace(marks: Iterable[Mark]) -> float | None:
    seconds = [m.annotation.seconds for m in marks if m.annotation.seconds is not None]
    return median(seconds) if seconds else None
