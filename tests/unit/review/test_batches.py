from datetime import timedelta

import pyarrow as pa
import pytest

from flywheel.calibration import Calibration
from flywheel.calibration.isotonic import PointsCurve
from flywheel.errors import UnavailableError
from flywheel.lake.tables import TABLES
from flywheel.review.batches import batch_name, judgments_left, sample_batch
from flywheel.review.collect import collect
from flywheel.review.sent_items import read_sent, spending
from tests.fakes.review_world import (
    END,
    START,
    WEEK,
    answer,
    classification,
    correction,
    put_answers,
    put_corrections,
    put_feedback,
    sample_week,
)


def sample(lake, queue, workload, *, week=0, now=END, budget=None):
    """Sample one week, by default as if it were the first one's end."""
    return sample_week(lake, queue, workload, week=week, now=now, budget=budget)


def test_batch_reaches_the_lake_and_the_queue(lake, queue):
    """Every chosen item is in both, with its probability, reason and event time."""
    workload = classification()
    put_answers(lake, workload, [answer(number) for number in range(300)])
    report = sample(lake, queue, workload, budget=60)
    assert (report.items, report.pushed, report.candidates) == (50, 50, 300)
    assert report.batch_id == "2026Q1-20260101"
    sent = read_sent(lake, workload.id)
    assert len(sent) == queue.status(workload).items == 50
    assert {entry.event_time.date().isoformat() for entry in sent} == {"2026-01-01"}
    assert all(entry.original_output is not None for entry in sent)


def test_sampling_a_window_twice_changes_nothing(lake, queue):
    """The second call finds the batch, also when more answers have landed since."""
    workload = classification()
    put_answers(lake, workload, [answer(number) for number in range(100)])
    first = sample(lake, queue, workload, budget=20)
    put_answers(lake, workload, [answer(number) for number in range(100, 200)], offset=100)
    second = sample(lake, queue, workload, budget=20)
    assert (second.items, second.by_slice, second.pushed) == (first.items, first.by_slice, 0)
    assert second.candidates is None


def test_batch_cut_off_before_the_push_is_repaired(lake, queue):
    """Items that the lake holds and the queue lacks are pushed by the next sample or merge."""

    class Broken:
        def push(self, *_):
            raise UnavailableError("away")

    workload = classification()
    put_answers(lake, workload, [answer(number) for number in range(100)])
    with pytest.raises(UnavailableError):
        sample(lake, Broken(), workload, budget=20)
    assert queue.status(workload).items == 0
    collect(lake, queue, workload, now=END)
    assert queue.status(workload).items == 16
    assert sample(lake, queue, workload, budget=20).pushed == 0


def test_budget_of_the_period_is_never_exceeded(lake, queue):
    """Weekly batches spread the quarter's budget and end within it."""
    workload = classification(review={"budget": 60})
    for week in range(13):
        rows = [
            answer(week * 100 + n, timestamp=START + week * WEEK + timedelta(minutes=n))
            for n in range(100)
        ]
        put_answers(lake, workload, rows, offset=week * 100, landed_at=START + (week + 1) * WEEK)
        report = sample(lake, queue, workload, week=week, now=START + (week + 1) * WEEK)
        assert report.judgments <= 10
    used = spending(lake, workload.id, "2026Q1")
    assert 50 <= used.sent <= used.sent + used.held_back <= 60


def test_budget_of_a_call_is_clipped_to_what_the_period_has_left(lake, queue):
    """Asking for more than is left gives what is left."""
    workload = classification(review={"budget": 30})
    put_answers(lake, workload, [answer(number) for number in range(300)])
    assert sample(lake, queue, workload, budget=1000).judgments <= 30
    assert judgments_left(lake, workload, START) <= 2  # one more item could cost three
    assert judgments_left(lake, workload, START + timedelta(days=100)) == 30


def test_answers_are_sent_once(lake, queue):
    """Neither an item of an earlier batch nor a corrected answer is a candidate again."""
    workload = classification(review={"budget": 1000})
    put_answers(lake, workload, [answer(number) for number in range(60)])
    put_corrections(lake, workload, [correction(0)])
    sample(lake, queue, workload, budget=20)
    # The second window is longer and takes the first one in.
    sample_batch(
        lake,
        queue,
        workload,
        window_start=START - WEEK,
        window_end=END,
        now=END,
        budget=900,
    )
    ids = [entry.item.inference_id for entry in read_sent(lake, workload.id)]
    assert len(ids) == len(set(ids))
    assert "i00000" not in ids


def test_errors_shadow_answers_and_unparsed_ones_are_no_candidates(lake, queue):
    """Only answers that a client got and that can be judged are asked about."""
    workload = classification()
    put_answers(
        lake,
        workload,
        [
            answer(0, error="timeout"),
            answer(1, output=None),
            answer(2, route="shadow"),
            answer(3, route="canary"),
            answer(4, timestamp=END),
            answer(5, route=None),
        ],
    )
    assert sample(lake, queue, workload).candidates == 2


def test_duplicate_events_are_one_candidate(lake, queue):
    """A second event with the same id is not a second answer."""
    workload = classification()
    put_answers(lake, workload, [answer(0), answer(0), answer(1)])
    assert sample(lake, queue, workload).candidates == 2


def test_adjudications_are_held_back_beside_a_seed(lake, queue):
    """What was never an answer of the model has no inference, and settles nothing."""
    workload = classification(review={"budget": 60, "overlap": 1.0})
    put_corrections(
        lake, workload, [correction(900, source="seed", inference_id=None, correction_id="seed-1")]
    )
    put_answers(lake, workload, [answer(number) for number in range(20)])
    report = sample(lake, queue, workload, budget=30)
    used = spending(lake, workload.id, report.period)
    assert (used.sent, used.held_back) == (2 * report.items, report.items)


def test_late_answer_belongs_to_the_next_window(lake, queue):
    """What landed after its window was sampled can still be drawn."""
    workload = classification()
    put_answers(lake, workload, [answer(number) for number in range(50)])
    sample(lake, queue, workload)
    late = answer(900, timestamp=START + timedelta(days=1))
    put_answers(lake, workload, [late], offset=900, landed_at=END + timedelta(hours=1))
    report = sample(lake, queue, workload, week=1, now=END + WEEK, budget=10)
    assert (report.candidates, report.by_slice) == (1, {"control": 1})


def test_complaint_about_an_older_answer_is_followed_up(lake, queue):
    """Feedback that comes after the answer's window brings it into the flagged slice."""
    workload = classification()
    put_answers(lake, workload, [answer(n, confidence=0.99) for n in range(200)])
    sample(lake, queue, workload, budget=4)
    sent = {entry.item.inference_id for entry in read_sent(lake, workload.id)}
    key = next(f"i{n:05d}" for n in range(200) if f"i{n:05d}" not in sent)
    put_feedback(lake, workload, [(key, "boolean", False)])
    report = sample(lake, queue, workload, week=1, now=END + WEEK, budget=5)
    assert report.by_slice == {"flagged": 1}


def test_erased_subjects_are_not_asked_about(lake, queue):
    """An answer about an erased person is no candidate."""
    workload = classification()
    put_answers(lake, workload, [answer(0, subject_id="p"), answer(1)])
    erasure = [{"workload_id": None, "subject_id": "p", "requested_at": END}]
    lake.append("erasures", pa.Table.from_pylist(erasure, schema=TABLES["erasures"].schema))
    assert sample(lake, queue, workload).candidates == 1


def test_batches_of_other_periods_and_hours_have_their_own_names():
    """The name begins with the period and tells the window's start."""
    workload = classification()
    assert batch_name(workload, START + timedelta(days=100)) == "2026Q2-20260411"
    assert batch_name(workload, START + timedelta(hours=6)) == "2026Q1-20260101T0600"


def test_calibrated_confidence_is_shown_and_compared(lake, queue):
    """An overconfident release is doubted; the raw number stays in the lake's events."""
    workload = classification()
    put_answers(lake, workload, [answer(number, confidence=0.95) for number in range(300)])
    release = lake.rows("select distinct release from inferences")[0]["release"]
    halved = Calibration("isotonic", 1000, PointsCurve(((0.9, 0.3), (0.95, 0.4))))
    plan = {"window_start": START, "window_end": END, "now": END, "budget": 40}
    report = sample_batch(lake, queue, workload, **plan, calibrations={release: halved})
    assert report.by_slice["uncertain"] > 0
    (shown,) = lake.rows("select distinct confidence from review_items")
    assert shown["confidence"] == pytest.approx(0.4, abs=1e-5)
    assert lake.rows("select distinct confidence from inferences") == [{"confidence": 0.95}]
