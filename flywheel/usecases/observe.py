"""What production does: profiles, drift, what people are asked and answered, the trigger."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from flywheel.lake.views import EVENT_FIGURES
from flywheel.usecases.calibrations import calibrations_of
from flywheel.usecases.cycle import open_cycle
from flywheel.workload.periods import period_start

if TYPE_CHECKING:
    from flywheel.ports.review_queue import SetAside
    from flywheel.review.merging.agreement import Agreement, BatchAgreement
    from flywheel.review.merging.annotator_figures import AnnotatorFigures
    from flywheel.review.merging.collect import MergeReport
    from flywheel.review.sampling.batch_report import BatchReport, SamplingReport
    from flywheel.state import Decision
    from flywheel.wiring import Platform
    from flywheel.workload.model import Workload

__all__ = [
    "agreement",
    "annotators",
    "collect_reviews",
    "decide",
    "evaluation_is_due",
    "proposed_labels",
    "push_reviews",
    "sample_reviews",
    "set_aside_reviews",
]

_EVALUATION = timedelta(hours=1)
_WEEK, _MOMENT = timedelta(days=7), timedelta(microseconds=1)
# In the middle of a batch the number of corrections says little: what is waited for is its end.
# Label checks and second judgments of what is in doubt are asked at that very moment, and decide
# again what has an answer already.
_NEWS = """
SELECT (SELECT max(measured_at) FROM drift_reports WHERE workload_id = $w) AS measured,
  exists (SELECT 1 FROM EVENT_FIGURES WHERE workload_id = $w AND answered > 0) AS traffic,
  (SELECT max(seen_at) FROM latest_annotations WHERE workload_id = $w) AS judged,
  (SELECT count(*) FROM (
     SELECT item_id, workload_id, slice, min(judgments) AS judgments FROM review_items GROUP BY ALL
   ) AS item
   WHERE workload_id = $w AND slice <> 'gold'
     AND item_id NOT IN (SELECT item_id FROM label_checks WHERE workload_id = $w) AND judgments > (
     SELECT count(DISTINCT annotator) FROM latest_annotations AS given
     WHERE given.item_id = item.item_id AND NOT given.deleted
       AND given.kind NOT IN ('skipped', 'unreadable')
  )) AS waiting
""".replace("EVENT_FIGURES", EVENT_FIGURES)


def evaluation_is_due(platform: "Platform", workload: "Workload") -> bool:
    """Return whether the trigger should be evaluated again.

    That is when the last evaluation is an hour old or was in another period, and at once when
    drift was measured since, the first traffic came, or people have finished what they were asked.
    """
    decisions = platform.state.decisions.of(workload.id)
    if not decisions:
        return True
    last, now = decisions[-1].decided_at, platform.clock.now()
    # In either direction: the last evaluation may have been dated by a clock that was ahead.
    if abs(now - last) >= _EVALUATION:
        return True
    if last < period_start(workload.cadence, now, workload.timezone):
        return True
    news = platform.lake.rows(_NEWS, {"w": workload.id})[0]
    began = decisions[-1].numbers.get("since") is None and news["traffic"]
    finished = not news["waiting"] and news["judged"] is not None and news["judged"] > last
    return bool(began or finished or (news["measured"] is not None and news["measured"] > last))


def decide(platform: "Platform", workload: "Workload") -> "Decision":
    """Evaluate the trigger, write the decision with its numbers, and open the cycle it asks for.

    A cycle that waited for judgments until its time was up blocks nothing.
    """
    from flywheel.trigger.ledger import (
        evaluate_trigger,
        trigger_key,
    )
    from flywheel.usecases.second_look import close_expired_wait

    close_expired_wait(platform, workload.id)
    state, now = platform.state, platform.clock.now()
    decision = evaluate_trigger(platform.lake, state, workload, now=now)
    with state.transaction():
        cycle = None
        if decision.open:
            cycle = open_cycle(
                platform,
                workload,
                trigger=str(decision.trigger),
                trigger_key=trigger_key(state, workload, decision.trigger, now),
                reason=decision.reason,
                numbers=decision.numbers,
                watermark=now,
            ).name
        return state.decisions.record(
            workload.id,
            opens=decision.open,
            reason=decision.reason,
            numbers=decision.numbers,
            trigger=decision.trigger,
            cycle=cycle,
        )


def proposed_labels(platform: "Platform", workload: "Workload") -> dict[str, int]:
    """Count the judgments that ask for a category which the taxonomy does not have."""
    rows = platform.lake.rows(
        "select proposed_label as name, count(*) as judgments from latest_corrections "
        "where workload_id = ? and status = 'proposed' group by 1 order by 2 desc, 1",
        [workload.id],
    )
    return {row["name"]: row["judgments"] for row in rows}


def sample_reviews(platform: "Platform", workload: "Workload") -> "SamplingReport":
    """Choose what people are asked about the whole days since the last window."""
    from flywheel.review.sampling.batches import sample_due
    from flywheel.usecases.disagreements import disagreeing_answers
    from flywheel.usecases.judging.daily import ask_daily, doubts_of_judge

    report = sample_due(
        platform.lake,
        platform.queue,
        workload,
        now=platform.clock.now(),
        answering=_answering(platform, workload),
        calibrations=calibrations_of(platform.state.releases.of(workload.id)),
        disagreements=disagreeing_answers(platform, workload),
        doubts=doubts_of_judge(platform, workload),
    )
    ask_daily(platform, workload)
    return report


def push_reviews(
    platform: "Platform",
    workload: "Workload",
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    budget: int | None = None,
) -> "BatchReport":
    """Choose what people are asked about one named window, and push it.

    Args:
        platform: where answers, people and releases are.
        workload: its review policy decides.
        since: event time; by default a week before the end, within the same period.
        until: event time; by default now.
        budget: judgments; by default the period's pace.
    """
    from flywheel.review.sampling.batches import sample_batch
    from flywheel.usecases.disagreements import disagreeing_answers
    from flywheel.usecases.judging.daily import doubts_of_judge

    now = platform.clock.now()
    end = now if until is None else until
    if since is None:
        period = period_start(workload.cadence, end - _MOMENT, workload.timezone)
        since = max(end - _WEEK, period)
    return sample_batch(
        platform.lake,
        platform.queue,
        workload,
        window_start=since,
        window_end=end,
        now=now,
        budget=budget,
        answering=_answering(platform, workload),
        calibrations=calibrations_of(platform.state.releases.of(workload.id)),
        disagreements=disagreeing_answers(platform, workload),
        doubts=doubts_of_judge(platform, workload),
    )


def _answering(platform: "Platform", workload: "Workload") -> frozenset[str]:
    # What a further tier answered, the champion did not answer well enough: that is asked about too.
    tiers = frozenset(tier.name for tier in workload.tiers[1:])
    return platform.state.routes.answering(workload.id) | tiers


def collect_reviews(platform: "Platform", workload: "Workload") -> "MergeReport":
    """Pull every judgment and merge them into corrections; then the hints until here are done."""
    from flywheel.review.merging.collect import collect

    hints = platform.state.inbox.pending().get(workload.id)
    report = collect(platform.lake, platform.queue, workload, now=platform.clock.now())
    if hints is not None:
        platform.state.inbox.finish(workload.id, hints.newest)
    return report


def set_aside_reviews(platform: "Platform", workload: "Workload") -> "list[SetAside]":
    """List what lies in the queue or came from it and cannot be read, with author and reason."""
    from flywheel.review.merging.collect import unreadable_annotations

    set_aside = [
        *platform.queue.status(workload).set_aside,
        *unreadable_annotations(platform.lake, workload),
    ]
    return list({one.id: one for one in set_aside}.values())


def agreement(
    platform: "Platform", workload: "Workload"
) -> "tuple[Agreement, dict[str, BatchAgreement]]":
    """Report how far people agree, over all items and per batch."""
    from flywheel.review.merging.agreement import review_agreement

    return review_agreement(platform.lake, workload)


def annotators(platform: "Platform", workload: "Workload") -> "list[AnnotatorFigures]":
    """Report how each person judges; for the data engineer, never for the annotators."""
    from flywheel.review.merging.annotator_figures import annotator_figures

    return annotator_figures(platform.lake, workload)
