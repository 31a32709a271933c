"""`read_error_rates`: how often people and labels were found wrong, counted by batch."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from flywheel.io.records import JsonObject
from flywheel.lake.store import Lake
from flywheel.review.merging.annotations import read_annotations
from flywheel.review.merging.batch_figures import figures_by_batch
from flywheel.review.sampling.doubt import ErrorRates, error_rates
from flywheel.review.sampling.marks import read_marks
from flywheel.workload.model import Workload

__all__ = ["read_error_rates"]

_PEOPLE, _LABELS = "people", "labels"


def read_error_rates(lake: Lake, workload: Workload) -> ErrorRates:
    """Return the error rates of all judgments that others decided as well.

    Judgments of items that were judged again because they were in doubt say nothing about a person.
    """

    def count(items: Mapping[str, str]) -> dict[str, JsonObject]:
        return _count(lake, workload, items)

    batches = figures_by_batch(lake, workload, "errors", count).values()
    return error_rates(_outcomes(batches, _PEOPLE), _outcomes(batches, _LABELS))


def _count(lake: Lake, workload: Workload, items: Mapping[str, str]) -> dict[str, JsonObject]:
    counts: dict[str, dict[str, dict[str, Counter[bool]]]] = {
        batch: {_PEOPLE: defaultdict(Counter), _LABELS: defaultdict(Counter)}
        for batch in items.values()
    }
    for mark in read_marks(lake, workload, read_annotations(lake, workload.id, items=items)):
        of_batch = counts[items[mark.annotation.item_id]]
        if mark.measures:
            of_batch[_PEOPLE][mark.annotation.annotator][bool(mark.right)] += 1
        if mark.label_id is not None and mark.right is not None:
            of_batch[_LABELS][mark.label_id][mark.right] += 1
    return {
        batch: {
            kind: {name: [one[True], one[False]] for name, one in sorted(named.items())}
            for kind, named in kinds.items()
        }
        for batch, kinds in counts.items()
    }


def _outcomes(batches: Iterable[JsonObject], kind: str) -> list[tuple[str, bool]]:
    # Whether each answer was right, by who gave it or by the label that it names.
    return [
        (name, outcome)
        for batch in batches
        for name, (right, wrong) in batch[kind].items()
        for outcome in [True] * right + [False] * wrong
    ]
