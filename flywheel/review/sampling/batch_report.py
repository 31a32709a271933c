"""What a draw of review windows did: `SamplingReport` and, for each batch, `BatchReport`."""

from dataclasses import dataclass, field
from datetime import datetime

__all__ = ["BatchReport", "SamplingReport"]


@dataclass(frozen=True)
class BatchReport:
    """What a batch holds and what it costs.

    ``existing`` batches had been chosen by an earlier call, and ``candidates`` is None for them.
    ``note`` says why nothing was asked, or what became of a window that was not taken as given.
    ``of_earlier_releases`` counts the window's answers whose release answers no more: the control
    slice is drawn from them as well, and figures count each answer for the release that gave it.
    """

    batch_id: str
    items: int
    by_slice: dict[str, int]
    judgments: int
    candidates: int | None
    pushed: int
    period: str
    period_budget: int
    judgments_left: int
    window_start: datetime
    window_end: datetime
    existing: bool = False
    note: str = ""
    of_earlier_releases: int | None = None


@dataclass(frozen=True)
class SamplingReport:
    """The batches of the windows that were due, and why a window stays open where one does."""

    batches: list[BatchReport] = field(default_factory=list)
    note: str = ""
