"""Rules for judgments, the same at every answer desk: `JudgmentRules` and `check_may_judge`."""

from collections.abc import Mapping
from typing import Any

from flywheel.errors import DataError, NotFoundError, RefusedError
from flywheel.ports.review_queue import AnnotationKind
from flywheel.review.queues.task_view import has_met
from flywheel.workload.label_mapping import AnswerMapping
from flywheel.workload.model import Workload

__all__ = ["JudgmentRules", "check_may_judge", "check_name", "no_such_item"]


class JudgmentRules:
    """Check judgments against their workload; the validator of the last workload is reused."""

    def __init__(self) -> None:
        self._mapping: tuple[Workload, AnswerMapping] | None = None

    def check(
        self,
        workload: Workload,
        annotator: str,
        output: Any,
        kind: AnnotationKind,
        proposed_label: str | None,
    ) -> None:
        """Raise DataError where nobody is named or the judgment does not fit the workload."""
        check_name(annotator)
        problem = self._problem(workload, output, kind, proposed_label)
        if problem is not None:
            raise DataError(
                f"This cannot be stored as a judgment of {workload.id}: {problem}.",
                next_step="answer with a present label and in the workload's schema, or as "
                "`cant_tell`, `new_category` or `skipped`",
            )

    def _problem(
        self, workload: Workload, output: Any, kind: AnnotationKind, proposed_label: str | None
    ) -> str | None:
        if kind == "unreadable":
            return "`unreadable` marks records that could not be read, nobody answers so"
        if kind == "new_category":
            named = proposed_label is not None and proposed_label.strip()
            return None if named else "the new category has no name"
        if kind != "answer":
            return None
        if output is None:
            return "the answer is missing"
        return self._mapping_of(workload).present(output).problem

    def _mapping_of(self, workload: Workload) -> AnswerMapping:
        if self._mapping is None or self._mapping[0] is not workload:
            self._mapping = workload, AnswerMapping(workload)
        return self._mapping[1]


def check_name(annotator: str) -> None:
    """Raise DataError where the annotator has no name."""
    if not annotator.strip():
        raise DataError(
            "A judgment needs the name of the person who gives it.",
            next_step="name the annotator, `--as NAME` at the command line",
        )


def check_may_judge(
    task: Mapping[str, Any],
    annotator: str,
    *,
    is_full: bool,
    disputed: Mapping[str, Any] | None,
) -> None:
    """Raise RefusedError where a person may not judge an item.

    Args:
        task: the item, with its annotations.
        annotator: who judges; an edit of an own judgment is always allowed.
        is_full: whether the item has all the judgments that it wants.
        disputed: the item in dispute, where ``task`` adjudicates one.
    """
    if has_met(task, annotator):
        return
    if is_full:
        raise RefusedError(
            "All judgments on this item were given meanwhile.", next_step="take the next item"
        )
    if disputed is not None and has_met(disputed, annotator):
        raise RefusedError(
            f"{annotator} judged this answer before and cannot adjudicate it.",
            next_step="let another person decide",
        )


def no_such_item(workload: Workload, item_id: str) -> NotFoundError:
    """Return the error for an item that the queue does not hold."""
    return NotFoundError(
        f"There is no review item {item_id} in {workload.id}.",
        next_step="ask for the open items again",
    )
