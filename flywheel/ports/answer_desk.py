"""Port: the desk at which people answer review items, the people's side of the review queue."""

from dataclasses import dataclass
from typing import Any, Protocol

from flywheel.ports.review_queue import Annotation, AnnotationKind, ReviewSlice
from flywheel.workload.model import Workload

__all__ = ["AnswerDesk", "OpenItem"]


@dataclass(frozen=True)
class OpenItem:
    """A review item as one annotator may see it: without anybody else's answer.

    ``suggestion`` is the model's answer, None on items that are judged blind; of those, gold and
    directed items show the slice ``control``.
    """

    item_id: str
    workload_id: str
    inference_id: str
    input: str
    suggestion: Any
    confidence: float | None
    slice: ReviewSlice
    reason: str
    priority: float


class AnswerDesk(Protocol):
    """Offer open items to named people, and take or withdraw their answers.

    The terminal, the simulated annotators and tests answer here. What is given here is read with
    the next ``pull`` of the queue of the same name, so that nothing else has to be informed.
    """

    @property
    def name(self) -> str:
        """Name of the adapter, the same as that of its review queue."""
        ...

    def open_items(self, workload: Workload, annotator: str) -> list[OpenItem]:
        """Return what this person can still judge, most urgent first.

        Called before a person starts and again to count what is left. An item that the person
        judged or skipped is not offered again; nor is one that has all its judgments, nor the
        adjudication of an answer that the person judged.

        Raises:
            DataError: the annotator has no name.
        """
        ...

    def submit(
        self,
        workload: Workload,
        item_id: str,
        annotator: str,
        output: Any = None,
        *,
        kind: AnnotationKind = "answer",
        proposed_label: str | None = None,
        seconds: float | None = None,
    ) -> Annotation:
        """Store a person's judgment; a second one by the same person replaces the first.

        Called once per answer. Nothing is stored where it fails, and the person may try again.

        Args:
            workload: whose item it is; the answer must fit its present taxonomy and schema.
            item_id: the item.
            annotator: name of the person; one that begins with ``simulated:`` is marked so.
            output: the answer, for kind ``answer``; for kind ``new_category`` the other fields.
            kind: what the person said.
            proposed_label: name of the category that is missing, for kind ``new_category``.
            seconds: time over the question.

        Raises:
            DataError: the annotator has no name, or the answer does not fit the workload.
            NotFoundError: there is no such item.
            RefusedError: others gave all judgments meanwhile, or the person judged the answer
                that this item adjudicates.
        """
        ...

    def withdraw(self, workload: Workload, item_id: str, annotator: str) -> bool:
        """Delete a person's judgment, so that the item is open again; return whether there was one.

        Called where a person takes back the last answer.

        Raises:
            NotFoundError: there is no such item.
        """
        ...
