from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from flywheel.errors import UnavailableError
from flywheel.lake.store import Lake
from flywheel.lake.tables import TABLES
from flywheel.quality.calibration import Calibration
from flywheel.quality.calibration.isotonic import PointsCurve
from flywheel.review.merging.collect import collect
from flywheel.review.sampling.batches import judgments_left, sample_batch, sample_due
from flywheel.review.sampling.sent_items import read_sent, spending
from flywheel.review.sampling.window_ledger import (
    close_window,
    landed_through,
    read_windows,
    unfinished_window,
)
from flywheel.review.sampling.windows import ReviewWindow
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
    text,
)

DAY = timedelta(days=1)


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
    assert (second.candidates, second.existing, first.existing) == (None, True, False)


@pytest.mark.parametrize(
    ("days", "budget", "existing"), [(7, 5, True), (8, 5, True), (6, 5, False), (7, 0, False)]
)
def test_a_named_window_has_its_batch_where_one_was_asked_as_far(
    lake, queue, days, budget, existing
):
    """To the same end or further, and with something to ask; one that was closed unasked has none."""
    workload = classification()
    put_answers(lake, workload, [answer(number) for number in range(20)])
    end = START + days * DAY
    window = ReviewWindow(
        batch_id="b", period="2026Q1", start=START, end=end, frame_start=START, landed_through=end,
        budget=budget, answers=20, reason="", drawn_at=END, number=1,
    )  # fmt: skip
    close_window(lake, workload.id, window)
    report = sample(lake, queue, workload, now=END, budget=5)
    assert report.existing == existing
    assert (report.batch_id == "b") == existing


def test_a_window_of_no_time_lies_in_the_future(lake, queue):
    """One that begins at this moment holds no answer yet, whatever the budget."""
    report = sample_batch(
        lake, queue, classification(), window_start=END, window_end=END + WEEK, now=END, budget=5
    )
    assert (report.items, report.note) == (0, "the window lies in the future")


def test_a_text_that_waits_for_its_answer_is_not_asked_about_again(lake, queue):
    """Nobody has judged it yet; a second answer to the same text is not another question."""
    workload = classification(
        review={
            "overlap": 0.0, "shares": {"control": 0, "uncertain": 1, "novel": 0, "flagged": 0},
        }
    )  # fmt: skip
    put_answers(lake, workload, [answer(number, confidence=0.3) for number in range(6)])
    assert sample(lake, queue, workload, budget=6).items == 6
    again = [answer(n, input=text(n - 100), timestamp=END, confidence=0.3) for n in range(100, 106)]
    new = answer(200, timestamp=END, confidence=0.3)
    put_answers(lake, workload, [*again, new], offset=100, landed_at=END + WEEK)
    sample(lake, queue, workload, week=1, now=END + WEEK, budget=6)
    asked = {entry.item.inference_id for entry in read_sent(lake, workload.id)}
    assert asked == {f"i{number:05d}" for number in (*range(6), 200)}


def test_of_two_racing_samplings_one_batch_is_drawn(lake, queue, tmp_path, monkeypatch):
    """Overtaken while it reads the candidates, a sampling sends what the other one chose."""
    from flywheel.review.sampling import batch_maker as module

    workload = classification()
    put_answers(lake, workload, [answer(number) for number in range(100)])
    other, read_pool = Lake(tmp_path / "lake"), module.read_pool

    def overtaken(*arguments, **named):
        monkeypatch.setattr(module, "read_pool", read_pool)
        pool = read_pool(*arguments, **named)
        put_answers(other, workload, [answer(number) for number in range(100, 200)], offset=100)
        sample(other, queue, workload, budget=20)
        return pool

    monkeypatch.setattr(module, "read_pool", overtaken)
    second = sample(lake, queue, workload, budget=20)
    sent = [entry.item.item_id for entry in read_sent(lake, workload.id)]
    assert len(sent) == len(set(sent)) == second.items == queue.status(workload).items
    assert len(read_windows(lake, workload.id)) == 1
    other.close()


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
    assert 50 <= used.sent + used.reserved(workload.review.overlap) <= 60
    assert used.sent >= 45  # the rest waits for the first judgments


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
    # The second window begins within the first one.
    sample_batch(
        lake,
        queue,
        workload,
        window_start=START + timedelta(minutes=1),
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
    assert (report.candidates, report.items) == (1, 1)


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


def put_day(lake, workload, day, count=20, **changes):
    """Put the answers of one day, landed in that day's night."""
    start = START + day * DAY
    rows = [
        answer(day * 1000 + n, timestamp=start + timedelta(minutes=n), **changes)
        for n in range(count)
    ]
    put_answers(lake, workload, rows, offset=day * 1000, landed_at=start + timedelta(hours=23))


def test_sampling_goes_on_after_a_period_was_spent_early(lake, queue):
    """A push of everything waits for the next period, says so, and is followed by its batches."""
    workload = classification(cadence="monthly", review={"budget": 30})
    put_day(lake, workload, 0, 200)
    pushed = sample_batch(
        lake,
        queue,
        workload,
        window_start=START,
        window_end=START + DAY,
        now=START + DAY,
        budget=500,
    )
    assert pushed.judgments > 20
    put_day(lake, workload, 5)
    waiting = sample_due(lake, queue, workload, now=START + 7 * DAY)
    assert waiting.batches == []
    assert "the next batch is drawn after 2026-02-01" in waiting.note
    put_day(lake, workload, 33)
    report = sample_due(lake, queue, workload, now=START + 35 * DAY)
    passed, drawn = report.batches
    assert (passed.items, passed.note) == (0, "the budget of 2026M01, 30 judgments, is spent")
    assert (drawn.period, drawn.window_start) == ("2026M02", START + 31 * DAY)
    assert drawn.items > 0
    assert sample_due(lake, queue, workload, now=START + 35 * DAY).batches == []


def test_one_wrong_clock_charges_no_other_period(lake, queue):
    """An event of the year 2000 moves no window, and one of 2040 is placed by its landing."""
    workload = classification(review={"budget": 400})
    put_day(lake, workload, 0)
    wrong = [
        answer(90_000, timestamp=datetime(2000, 1, 1, tzinfo=UTC)),
        answer(90_001, timestamp=datetime(2040, 1, 1, tzinfo=UTC)),
    ]
    put_answers(lake, workload, wrong, offset=90_000, landed_at=START + timedelta(hours=2))
    report = sample_due(lake, queue, workload, now=START + DAY)
    assert [batch.batch_id for batch in report.batches] == ["2026Q1-20260101"]
    assert report.batches[0].candidates == 21
    assert spending(lake, workload.id, "2000Q1").sent == 0


def test_every_answer_is_in_one_frame(lake, queue):
    """A push by hand moves the frontier; what lands late belongs to the next window."""
    workload = classification(review={"budget": 4000, "overlap": 0.0, "gold": 0.0})
    for day in range(3):
        if day == 1:
            late = [answer(50_000, timestamp=START + timedelta(hours=5))]
            put_answers(lake, workload, late, offset=900, landed_at=START + 1.5 * DAY)
            sample_batch(
                lake,
                queue,
                workload,
                window_start=START,
                window_end=START + 1.5 * DAY,
                now=START + 1.5 * DAY,
                budget=3,
            )
        put_day(lake, workload, day)
        sample_due(lake, queue, workload, now=START + (day + 1) * DAY)
    rows = lake.rows("select answers, frame_start, window_end from review_windows order by number")
    sizes = [row["answers"] for row in rows]
    assert sizes == [20, 1, 20, 20]
    assert [row["frame_start"] for row in rows[1:]] == [row["window_end"] for row in rows[:-1]]


@pytest.mark.parametrize("behind", [timedelta(hours=2), timedelta(days=3), timedelta(days=400)])
def test_answer_that_landed_while_the_clock_was_behind_is_in_the_next_frame(lake, queue, behind):
    """Its landing is dated before the last window was drawn, which has not seen it all the same."""
    workload = classification(review={"budget": 4000, "overlap": 0.0, "gold": 0.0})
    put_day(lake, workload, 0)
    sample_due(lake, queue, workload, now=START + DAY)
    landed = START + DAY - behind
    lost = [answer(n, timestamp=START + 1.2 * DAY) for n in range(60_000, 60_007)]
    put_answers(lake, workload, lost, offset=900, landed_at=landed)
    put_day(lake, workload, 1)
    sample_due(lake, queue, workload, now=START + 2 * DAY)
    rows = lake.rows("select answers from review_windows order by number")
    assert [row["answers"] for row in rows] == [20, 27]


def test_window_without_positions_goes_by_landings(lake, queue):
    """A window that an earlier version closed is followed by the rule that it knew."""
    workload = classification(review={"budget": 4000, "overlap": 0.0, "gold": 0.0})
    put_day(lake, workload, 0)
    sample_due(lake, queue, workload, now=START + DAY)
    [window] = read_windows(lake, workload.id)
    assert window.positions == {"t/0": 19}
    row = lake.rows("select * from review_windows")[0] | {"positions": None}
    schema = TABLES["review_windows"].schema
    where = {"workload_id": workload.id}
    lake.replace("review_windows", pa.Table.from_pylist([row], schema=schema), where=where)
    late = [answer(50_000, timestamp=START + timedelta(hours=5))]
    put_answers(lake, workload, late, offset=900, landed_at=START + 1.5 * DAY)
    put_day(lake, workload, 1)
    sample_due(lake, queue, workload, now=START + 2 * DAY)
    rows = lake.rows("select answers from review_windows order by number")
    assert [row["answers"] for row in rows] == [20, 21]


def test_push_for_a_past_window_leaves_late_answers_to_the_next_one(lake, queue):
    """What landed late lies outside of a window that ended before the frontier, and is not lost."""
    workload = classification(review={"budget": 400, "overlap": 0.0, "gold": 0.0})
    put_day(lake, workload, 0)
    sample_due(lake, queue, workload, now=START + DAY)
    late = [answer(50_000, timestamp=START + timedelta(hours=20))]
    put_answers(lake, workload, late, offset=900, landed_at=START + 1.2 * DAY)
    past = {"window_start": START + 0.001 * DAY, "window_end": START + 0.5 * DAY, "budget": 3}
    assert sample_batch(lake, queue, workload, now=START + 1.3 * DAY, **past).items == 3
    put_day(lake, workload, 1)
    sample_due(lake, queue, workload, now=START + 2 * DAY)
    rows = lake.rows("select answers from review_windows order by number")
    assert rows[-1]["answers"] == 21


def test_window_that_was_cut_off_before_its_items_is_drawn_again(lake, queue, monkeypatch):
    """Closed and without items, it keeps its bounds, its budget and its moment."""
    workload = classification()
    put_day(lake, workload, 0, 100)
    with monkeypatch.context() as patched:
        patched.setattr("flywheel.review.sampling.batch_maker.write_items", _cut_off)
        with pytest.raises(UnavailableError):
            sample_due(lake, queue, workload, now=START + 7 * DAY)
    report = sample_due(lake, queue, workload, now=START + 8 * DAY)
    assert report.batches[0].batch_id == "2026Q1-20260101"
    assert report.batches[0].window_end == START + 7 * DAY
    assert report.batches[0].items > 0


def _cut_off(*_):
    raise UnavailableError("cut off")


def test_batches_of_before_windows_were_recorded_are_respected(lake, queue):
    """An older deployment goes on at the midnight of its last batch."""
    workload = classification()
    put_day(lake, workload, 0, 100)
    sample_due(lake, queue, workload, now=START + 3 * DAY)
    rows = lake.query("select * from review_items where slice <> 'gold'")
    older = Lake(lake.root.parent / "older")
    try:
        put_day(older, workload, 0, 100)
        put_day(older, workload, 3)
        older.append("review_items", rows)
        # An item that was asked again since belongs to the moment of its batch.
        again = rows.slice(0, 1).to_pylist()[0]
        again |= {"judgments": again["judgments"] + 1, "chosen_at": START + 9 * DAY}
        older.append("review_items", pa.Table.from_pylist([again], schema=rows.schema))
        # Nothing says how it was written: it is not written again.
        [window] = read_windows(older, workload.id)
        assert (window.budget, window.answers, window.recorded) == (0, 0, False)
        assert unfinished_window(older, workload.id, [window]) is None
        report = sample_due(older, queue, workload, now=START + 5 * DAY)
        assert [batch.batch_id for batch in report.batches] == ["2026Q1-20260104"]
        assert report.batches[0].candidates == 20
        named = {"window_start": START, "window_end": START + 3 * DAY, "now": START + 5 * DAY}
        assert sample_batch(older, queue, workload, **named).existing
    finally:
        older.close()


def test_newest_landing_is_found_within_a_day_that_still_lands(lake):
    """Of a day of answers that came before and after a moment, the last one before it counts."""
    workload = classification()
    moments = [START + hour * timedelta(hours=1) for hour in (1, 2, 3)]
    for number, moment in enumerate(moments):
        put_answers(lake, workload, [answer(number)], offset=number, landed_at=moment)
    assert [landed_through(lake, workload.id, moment) for moment in moments] == moments
    assert landed_through(lake, workload.id, moments[0] - timedelta(seconds=1)) is None
    assert landed_through(lake, "others", moments[-1]) is None


def test_a_named_window_is_cut_at_the_end_of_its_period(lake, queue):
    """What lies behind it is charged to the period after."""
    workload = classification(cadence="monthly")
    put_day(lake, workload, 30)
    put_day(lake, workload, 31)
    report = sample_batch(
        lake,
        queue,
        workload,
        window_start=START + 30 * DAY,
        window_end=START + 33 * DAY,
        now=START + 33 * DAY,
        budget=5,
    )
    assert (report.window_end, report.candidates) == (START + 31 * DAY, 20)
    assert report.note.startswith("cut at the end of 2026M01")


def test_a_log_of_long_ago_is_named_and_stays_within_reach(lake, queue):
    """Answers older than the first window of all are told, and can be asked about by name."""
    workload = classification()
    put_answers(lake, workload, [answer(number) for number in range(100)])
    later = START + timedelta(days=300)
    due = sample_due(lake, queue, workload, now=later)
    assert due.batches == []
    assert "the newest answer is of 2026-01-" in due.note
    assert "--since and --until" in due.note
    assert read_windows(lake, workload.id) == []
    named = sample_batch(
        lake, queue, workload, window_start=START, window_end=START + WEEK, now=later, budget=20
    )
    assert named.by_slice["control"] > 0


def test_a_window_of_two_releases_says_how_many_answers_are_of_the_earlier_one(lake, queue):
    """They are in the control slice, each for its own release, and are not sought otherwise."""
    workload = classification()
    old = [answer(number, release="r1") for number in range(60)]
    put_answers(lake, workload, [*old, *(answer(n, release="r2") for n in range(60, 100))])
    report = sample_batch(
        lake, queue, workload, window_start=START, window_end=START + WEEK, now=START + WEEK,
        budget=40, answering={"r2"},
    )  # fmt: skip
    assert report.of_earlier_releases == 60
    rows = lake.rows("SELECT slice, release FROM review_items")
    assert {row["release"] for row in rows if row["slice"] != "control"} == {"r2"}
    assert {row["release"] for row in rows if row["slice"] == "control"} == {"r1", "r2"}
