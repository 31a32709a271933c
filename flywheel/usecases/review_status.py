"""`review_status`: how far people are, how far they agree, and how good the model is by them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flywheel.usecases.observe import agreement, proposed_labels, set_aside_reviews
from flywheel.workload.periods import period_name, period_start

if TYPE_CHECKING:
    from flywheel.ports.review_queue import QueueStatus, SetAside
    from flywheel.quality.control_slice import ControlAccuracy
    from flywheel.review.merging.agreement import Agreement, BatchAgreement
    from flywheel.review.merging.field_agreement import FieldAgreement, FieldCorrections
    from flywheel.wiring import Platform
    from flywheel.workload.model import Workload

__all__ = ["ReviewStatus", "review_status"]


@dataclass(frozen=True)
class ReviewStatus:
    """The review of a workload in its present period.

    Judgments are counted as they were asked for; ``judgments_held_back`` of the budget are for
    second judgments and adjudication. A named window asks within its own period, which may be
    another. ``control`` covers the present period.
    """

    queue: "QueueStatus"
    period: str
    budget: int
    judgments_sent: int
    judgments_sent_in_other_periods: Mapping[str, int]
    judgments_held_back: int
    agreement: "Agreement"
    fields: "Mapping[str, FieldAgreement]"
    corrected: "Mapping[str, FieldCorrections]"
    batches: "Mapping[str, BatchAgreement]"
    control: "ControlAccuracy"
    proposed_labels: Mapping[str, int]
    set_aside: "tuple[SetAside, ...]"


def review_status(platform: "Platform", workload: "Workload") -> ReviewStatus:
    """Measure the review of a workload; nothing is changed."""
    from flywheel.quality.control_slice import control_accuracy
    from flywheel.review.merging.field_agreement import field_agreement, field_corrections
    from flywheel.review.sampling.sent_items import NOTHING_SPENT, spending_by_period

    now = platform.clock.now()
    period = period_name(workload.cadence, now, workload.timezone)
    start = period_start(workload.cadence, now, workload.timezone)
    overall, batches = agreement(platform, workload)
    by_period = spending_by_period(platform.lake, workload.id)
    spent = by_period.pop(period, NOTHING_SPENT)
    return ReviewStatus(
        queue=platform.queue.status(workload),
        period=period,
        budget=workload.review.budget,
        judgments_sent=spent.sent,
        judgments_sent_in_other_periods={name: other.sent for name, other in by_period.items()},
        judgments_held_back=spent.reserved(workload.review.overlap),
        agreement=overall,
        fields=field_agreement(platform.lake, workload),
        corrected=field_corrections(platform.lake, workload),
        batches=batches,
        control=control_accuracy(platform.lake, workload, start, now),
        proposed_labels=proposed_labels(platform, workload),
        set_aside=tuple(set_aside_reviews(platform, workload)),
    )
