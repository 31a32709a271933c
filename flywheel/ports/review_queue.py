"""Port: the queue in which people correct answers."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from flywheel.workload.model import Workload

__all__ = [
    "UNTOUCHED",
    "Annotation",
    "AnnotationKind",
    "BatchKind",
    "Pull",
    "QueueStatus",
    "ReviewItem",
    "ReviewQueue",
    "ReviewSlice",
    "SetAside",
]

UNTOUCHED = "0-0"
ReviewSlice = Literal[
    "control", "directed", "disagreement", "uncertain", "novel", "flagged", "gold", "adjudication"
]
BatchKind = Literal["window", "directed", "labels"]
AnnotationKind = Literal["answer", "cant_tell", "new_category", "skipped", "unreadable"]


@dataclass(frozen=True)
class ReviewItem:
    """One question to people, and why it is asked.

    ``model_output`` is None on control, directed, disagreement and gold items: the annotator must not
    see it.

    Attributes:
        slice: what the item is for, or why it was drawn; ids are names and say nothing.
        period: period whose budget pays for it.
        batch_kind: drawn from a window of traffic, for a gate, or to check accepted labels.
        disputed_item_id: item whose dispute or label an adjudication decides, otherwise None.
        cycle: cycle whose gate a directed batch decides, otherwise None.
        attempt: attempt of that cycle.
    """

    item_id: str
    batch_id: str
    workload_id: str
    inference_id: str
    slice: ReviewSlice
    reason: str
    score: float
    inclusion_probability: float | None
    input: str
    model_output: Any
    confidence: float | None
    release: str
    judgments: int
    priority: float
    subject_id: str | None
    chosen_at: datetime
    period: str
    batch_kind: BatchKind = "window"
    disputed_item_id: str | None = None
    cycle: str | None = None
    attempt: int | None = None

    @property
    def measures(self) -> bool:
        """Whether it is judged blind, to measure the model, a candidate or who answers."""
        return self.slice in ("control", "directed", "disagreement", "gold")

    @property
    def makes_correction(self) -> bool:
        """Whether a correction comes of it; a dispute is decided for the item in dispute."""
        return self.slice not in ("gold", "adjudication")


@dataclass(frozen=True)
class Annotation:
    """One version of one person's judgment.

    ``output`` is the parsed answer for kind ``answer``; ``proposed_label`` the name a person wrote
    for kind ``new_category``. ``raw`` is the queue's own record, unchanged. One of kind
    ``unreadable`` holds no answer and is not a judgment: it is kept, and shown with its reason.
    """

    annotation_id: str
    version: str
    item_id: str
    workload_id: str
    inference_id: str
    annotator: str
    simulated: bool
    kind: AnnotationKind
    output: Any
    proposed_label: str | None
    seconds: float | None
    created_at: datetime
    updated_at: datetime
    deleted: bool = False
    raw: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class SetAside:
    """Something from outside that cannot be taken: its id, its author where it names one, why."""

    id: str
    author: str | None
    reason: str
    item_id: str = ""


@dataclass(frozen=True)
class Pull:
    """What changed since a cursor, and the cursor to ask with next: a whole number that grows.

    ``set_aside`` is what lies in the queue and cannot be taken; the rest is not held up by it.
    """

    annotations: list[Annotation]
    cursor: str
    set_aside: tuple[SetAside, ...] = ()


@dataclass(frozen=True)
class QueueStatus:
    """How far the people are.

    ``changed`` is another text once a judgment was given, edited or deleted. ``set_aside`` is what
    the queue holds and cannot read.
    """

    items: int
    answered: int
    judgments_wanted: int
    judgments_given: int
    changed: str = UNTOUCHED
    set_aside: tuple[SetAside, ...] = ()


class ReviewQueue(Protocol):
    """Accept items and return every version of every annotation.

    ``name`` tells the adapters apart where something is kept about one of them, a cursor say.
    """

    @property
    def name(self) -> str:
        """Name of the adapter."""
        ...

    def push(self, workload: Workload, items: Sequence[ReviewItem]) -> int:
        """Add items in priority order and return how many were new.

        Called by the review asset. An item whose ``item_id`` is already there is left alone, so
        that a push that was cut off can be repeated; but one that wants more judgments than it did
        is opened for another person, who has not judged it.
        """
        ...

    def pull(self, workload: Workload, cursor: str | None) -> Pull:
        """Return each annotation version seen since ``cursor`` (None: all), deletions included.

        Called by the annotations asset; the same version may come again. A deletion is reported for an
        annotation that a pull has brought before; without a cursor none is missed.
        """
        ...

    def erase(
        self, workload: Workload, inference_ids: Collection[str], texts: Collection[str]
    ) -> int:
        """Remove for good the items about these answers, judgments included; return how many.

        Called when a person is erased, perhaps again after a failure. ``texts`` are what the
        person wrote: where another item shows one as a similar input, that line goes. A later pull
        tells nothing of what is gone.
        """
        ...

    def status(self, workload: Workload) -> QueueStatus:
        """Count items and judgments."""
        ...
