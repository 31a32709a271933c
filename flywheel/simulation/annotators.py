"""`SimulatedAnnotators`: they know the truth, err at a set rate, and are marked as simulated.

Used by the demo and by tests in place of people; a judgment depends only on the seed, the
annotator and the item, not on the order in which items are answered.
"""

import random
from collections.abc import Mapping, Sequence
from typing import Any

from flywheel.errors import ConfigurationError, NotFoundError
from flywheel.ports.answer_desk import AnswerDesk, OpenItem
from flywheel.ports.review_queue import AnnotationKind
from flywheel.workload.model import ExtractionTask, Workload

__all__ = ["ANNOTATORS", "UNSURE_RATE", "SimulatedAnnotators"]

ANNOTATORS = ("simulated:ana", "simulated:ben", "simulated:chi", "simulated:dov")
_PREFIX = "simulated:"
UNSURE_RATE = 0.01
# Who is shown a wrong answer takes it over more often than they invent another wrong one.
_ANCHORING = 0.5
# The second field of an answer is easier to judge; adjudicators look twice.
_OTHER_FIELD = 0.5
_ADJUDICATION = 0.25


class SimulatedAnnotators:
    """A few simulated people who work at an answer desk.

    Args:
        desk: where the items are.
        truth: true answers by inference_id, see ``SimulatedTruth``.
        error_rate: share of judgments that get the label wrong.
        unsure_rate: share of judgments that say "can't tell".
        names: each begins with ``simulated:``.
        seed: same seed, same judgments.
    """

    def __init__(
        self,
        desk: AnswerDesk,
        truth: Mapping[str, Any],
        *,
        error_rate: float = 0.03,
        unsure_rate: float = UNSURE_RATE,
        names: Sequence[str] = ANNOTATORS,
        seed: int = 0,
    ) -> None:
        strange = [name for name in names if not name.startswith(_PREFIX)]
        if strange or not names:
            raise ConfigurationError(
                f"Simulated annotators need names that say so, not {', '.join(strange) or 'none'}.",
                next_step=f"begin each name with {_PREFIX}",
            )
        self._desk = desk
        self._truth = truth
        self._error_rate = error_rate
        self._unsure_rate = unsure_rate
        self._names = tuple(names)
        self._seed = seed

    def answer_open(self, workload: Workload, *, limit: int | None = None) -> int:
        """Judge open tasks until none is left, or ``limit`` judgments are given; return how many.

        Each item has an annotator it goes to first; the others follow where it wants more
        judgments or where an earlier one may not adjudicate.
        """
        answer_count = 0
        for turn in range(len(self._names)):
            waiting = 0
            for place, annotator in enumerate(self._names):
                tasks = self._desk.open_items(workload, annotator)
                waiting += len(tasks)
                for task in tasks:
                    if (self._first(task.item_id) + turn) % len(self._names) != place:
                        continue
                    if limit is not None and answer_count >= limit:
                        return answer_count
                    self._judge(workload, task, annotator)
                    answer_count += 1
            if not waiting:
                break
        return answer_count

    def _first(self, item_id: str) -> int:
        return random.Random(f"{self._seed}:{item_id}").randrange(len(self._names))  # noqa: S311

    def _judge(self, workload: Workload, task: OpenItem, annotator: str) -> None:
        if task.inference_id not in self._truth:
            raise NotFoundError(
                f"The simulation knows no truth for {task.inference_id}.",
                next_step="let a person answer it: `flywheel review answer`",
            )
        rng = random.Random(f"{self._seed}:{annotator}:{task.item_id}")  # noqa: S311
        rate = self._error_rate * (_ADJUDICATION if task.slice == "adjudication" else 1)
        seconds = round(rng.uniform(4, 25), 1)
        output, kind, proposed = self._opinion(rng, workload, task, rate)
        self._desk.submit(
            workload,
            task.item_id,
            annotator,
            output,
            kind=kind,
            proposed_label=proposed,
            seconds=seconds,
        )

    def _opinion(
        self, rng: random.Random, workload: Workload, task: OpenItem, rate: float
    ) -> tuple[Any, AnnotationKind, str | None]:
        truth = _with_other_fields(rng, workload, self._truth[task.inference_id], rate)
        if rng.random() < self._unsure_rate:
            return None, "cant_tell", None
        name = workload.label_of(truth)
        if name is None or workload.taxonomy is None:
            return truth, "answer", None
        active = _active_name(workload, name)
        if rng.random() < rate:
            wrong = _wrong_label(rng, workload, task.suggestion, active)
            return workload.with_label(truth, wrong), "answer", None
        if active is None:
            return _without_label(workload, truth), "new_category", name
        return workload.with_label(truth, active), "answer", None


def _active_name(workload: Workload, name: str) -> str | None:
    assert workload.taxonomy is not None  # asked for workloads with labels only
    label = workload.taxonomy.find(name)
    heir = workload.taxonomy.resolve(label.id) if label else None
    return heir.name if heir else None


def _wrong_label(rng: random.Random, workload: Workload, suggestion: Any, right: str | None) -> str:
    assert workload.taxonomy is not None  # as above
    suggested = workload.label_of(suggestion)
    others = [name for name in workload.taxonomy.names if name != right]
    if suggested in others and rng.random() < _ANCHORING:
        return str(suggested)
    return rng.choice(others)


def _with_other_fields(rng: random.Random, workload: Workload, truth: Any, rate: float) -> Any:
    # Errors in the fields of an extraction that the taxonomy does not govern.
    task = workload.task
    if not isinstance(task, ExtractionTask) or not isinstance(truth, dict):
        return truth
    changed = dict(truth)
    for field, schema in task.json_schema["properties"].items():
        values = schema.get("enum") if isinstance(schema, dict) else None
        if field in (task.label_field, None) or not values or rng.random() >= rate * _OTHER_FIELD:
            continue
        changed[field] = rng.choice([value for value in values if value != truth.get(field)])
    return changed


def _without_label(workload: Workload, output: Any) -> Any:
    task = workload.task
    if not isinstance(task, ExtractionTask) or not isinstance(output, dict):
        return None
    return {key: value for key, value in output.items() if key != task.label_field}
