from datetime import timedelta

import pytest

from flywheel.quality.control_slice import control_accuracy, control_days
from flywheel.quality.intervals import wilson_interval
from flywheel.review.merging.collect import collect
from tests.fakes.review_world import (
    END,
    START,
    WEEK,
    answer,
    classification,
    put_answers,
    sample_week,
    truth,
)

ALL_CONTROL = {
    "budget": 400,
    "overlap": 0.0,
    "shares": {"control": 1.0, "uncertain": 0, "novel": 0, "flagged": 0},
}


def batch(lake, queue, workload, numbers, *, budget, right, week=0, **changes):
    """Land a week of answers, ``right`` says which are right, and draw ``budget`` of them."""
    start = START + week * WEEK
    rows = [
        answer(
            number,
            output=truth(number) if right(number) else truth(number + 1),
            timestamp=start + timedelta(minutes=number),
            **changes,
        )
        for number in numbers
    ]
    put_answers(lake, workload, rows, offset=numbers[0], landed_at=start + WEEK)
    sample_week(lake, queue, workload, week=week, budget=budget)


def judge(desk, workload, *, kind="answer", limit=None):
    """Give the true answer to open items."""
    for task in desk.open_items(workload, "ann")[:limit]:
        said = truth(int(task.inference_id[1:])) if kind == "answer" else None
        proposed = "new" if kind == "new_category" else None
        desk.submit(workload, task.item_id, "ann", said, kind=kind, proposed_label=proposed)


def measure(lake, workload, weeks=4):
    """Measure over some weeks."""
    return control_accuracy(lake, workload, START, START + weeks * WEEK)


def test_accuracy_weighs_by_inclusion_probability(lake, queue, desk):
    """A week drawn thinly counts for all its answers, not for the few that were judged."""
    workload = classification(review=ALL_CONTROL)
    batch(lake, queue, workload, range(100), budget=50, right=lambda _: True)
    batch(lake, queue, workload, range(1000, 1300), week=1, budget=50, right=lambda _: False)
    judge(desk, workload)
    collect(lake, queue, workload, now=END)
    found = measure(lake, workload)
    assert (found.judged, found.correct) == (100, 50)
    assert found.accuracy == pytest.approx(100 / 400)
    assert found.lower < found.accuracy < found.upper


def test_accuracy_is_told_by_release(lake, queue, desk):
    """Two releases in one window have their own figures."""
    workload = classification(review=ALL_CONTROL)
    batch(lake, queue, workload, range(20), budget=20, right=lambda _: False)
    batch(
        lake, queue, workload, range(50, 70), week=1, budget=20, right=lambda _: True, release="r1"
    )
    judge(desk, workload)
    collect(lake, queue, workload, now=END)
    found = measure(lake, workload)
    assert {name: one.accuracy for name, one in found.by_release.items()} == {"base": 0, "r1": 1}
    assert control_accuracy(lake, workload, START, START + WEEK).accuracy == 0


def test_who_did_not_answer_is_reported(lake, queue, desk):
    """Unanswered items and those nobody can tell are counted, not guessed."""
    workload = classification(review=ALL_CONTROL)
    batch(lake, queue, workload, range(20), budget=20, right=lambda _: True)
    judge(desk, workload, limit=5)
    judge(desk, workload, kind="cant_tell", limit=3)
    collect(lake, queue, workload, now=END)
    found = measure(lake, workload)
    assert (found.items, found.judged, found.undecided) == (20, 5, 15)
    assert found.accuracy == 1


def test_missing_category_counts_as_a_wrong_answer(lake, queue, desk):
    """The model could not be right where the right label did not exist."""
    workload = classification(review=ALL_CONTROL)
    batch(lake, queue, workload, range(10), budget=10, right=lambda _: True)
    judge(desk, workload, kind="new_category", limit=4)
    judge(desk, workload)
    collect(lake, queue, workload, now=END)
    assert measure(lake, workload).accuracy == pytest.approx(0.6)


def test_nothing_judged_is_no_number(lake, queue):
    """Without judgments, and without items, accuracy is None with the reason."""
    workload = classification(review=ALL_CONTROL)
    nothing = measure(lake, workload)
    assert (nothing.accuracy, nothing.reason) == (None, "no control item was drawn")
    batch(lake, queue, workload, range(10), budget=10, right=lambda _: True)
    waiting = measure(lake, workload)
    assert waiting.accuracy is None
    assert waiting.reason == "no control item has been judged yet"


def test_renamed_label_is_no_error_of_the_model(lake, queue, desk):
    """An answer in a former name is compared by the label behind it."""
    workload = classification(review=ALL_CONTROL)
    batch(lake, queue, workload, range(9), budget=9, right=lambda _: True)
    judge(desk, workload)
    collect(lake, queue, workload, now=END)
    raw = workload.model_dump(mode="json", by_alias=True)
    raw["taxonomy"]["version"] = 2
    raw["taxonomy"]["labels"][0] |= {"name": "fluid leak", "former_names": ["oil fault"]}
    later = classification(**raw)
    collect(lake, queue, later, now=END)
    assert measure(lake, later).accuracy == 1


def test_failed_answers_count_as_wrong(lake, queue, desk):
    """Errors and answers that did not parse lower accuracy by their share, and its interval."""
    workload = classification(review=ALL_CONTROL)
    batch(lake, queue, workload, range(20), budget=20, right=lambda _: True)
    rows = [
        answer(100 + number, timestamp=START, output=None, error=error)
        for number, error in enumerate(["not JSON", None, "timeout", None, "not JSON"])
    ]
    shadow = answer(200, timestamp=START, output=None, error="not JSON", route="shadow")
    put_answers(lake, workload, [*rows, shadow], offset=500, landed_at=END)
    judge(desk, workload)
    collect(lake, queue, workload, now=END)
    found = measure(lake, workload)
    assert (found.judged, found.correct, found.answers, found.failed) == (20, 20, 25, 5)
    assert found.accuracy == pytest.approx(0.8)
    assert found.upper == pytest.approx(0.8)
    assert found.by_release["base"].accuracy == pytest.approx(0.8)


def test_where_everything_failed_accuracy_is_nothing_and_not_unknown(lake):
    """No judgment is needed to say that no answer was right."""
    workload = classification(review=ALL_CONTROL)
    failed = answer(1, timestamp=START, output=None, error="timeout")
    put_answers(lake, workload, [failed], offset=0, landed_at=END)
    found = measure(lake, workload)
    assert (found.accuracy, found.judged, found.reason) == (0, 0, "every answer failed")
    assert (found.lower, found.upper, found.answers, found.failed) == (0, 0, 1, 1)


def test_unequal_weights_make_the_interval_wider(lake, queue, desk):
    """A hundred judged answers of which half stand for six times as many count for less."""
    workload = classification(review=ALL_CONTROL)
    batch(lake, queue, workload, range(50), budget=50, right=lambda n: n % 2 == 0)
    batch(lake, queue, workload, range(1000, 1300), week=1, budget=50, right=lambda n: n % 2 == 0)
    judge(desk, workload)
    collect(lake, queue, workload, now=END)
    found = measure(lake, workload)
    effective = (50 * 1 + 50 * 6) ** 2 / (50 * 1 + 50 * 36)
    lower, upper = wilson_interval(found.accuracy, effective)
    assert (found.lower, found.upper) == pytest.approx((lower, upper))
    assert effective < 70


def test_days_add_up_to_the_whole(lake, queue, desk):
    """What the quality chart reads by day is what the accuracy of the span rests on."""
    workload = classification(review=ALL_CONTROL)
    batch(lake, queue, workload, range(40), budget=20, right=lambda _: True)
    batch(lake, queue, workload, range(1000, 1030), week=1, budget=15, right=lambda _: False)
    judge(desk, workload)
    collect(lake, queue, workload, now=END)
    days = control_days(lake, workload, START, START + 4 * WEEK)
    assert [day.day for day in days] == [START.date(), (START + WEEK).date()]
    assert [(day.judged, day.weight, day.parsed) for day in days] == [(20, 40, 40), (15, 30, 30)]
    found = measure(lake, workload)
    assert sum(day.right for day in days) / sum(day.weight for day in days) == found.accuracy
    assert control_days(lake, workload, START, START + WEEK, release="other") == ()


def test_answers_without_a_release_are_the_watched_ones(lake, queue, desk):
    """Imported logs may not say which release answered; another release is left out."""
    workload = classification(review=ALL_CONTROL)
    batch(lake, queue, workload, range(20), budget=20, right=lambda _: True, release="r1")
    failed = answer(900, timestamp=START, output=None, error="timeout", release=None)
    other = answer(901, timestamp=START, output=None, error="timeout", release="r0")
    put_answers(lake, workload, [failed, other], offset=900, landed_at=END)
    judge(desk, workload)
    collect(lake, queue, workload, now=END)
    (day,) = control_days(lake, workload, START, START + WEEK, release="r1")
    assert (day.judged, day.parsed, day.failed) == (20, 20, 1)


def test_answers_of_an_unknown_release_are_measured(lake, queue, desk):
    """An imported log does not say which release answered; its quality is a figure all the same."""
    workload = classification(review=ALL_CONTROL)
    batch(lake, queue, workload, range(20), budget=20, right=lambda _: True, release=None)
    judge(desk, workload)
    collect(lake, queue, workload, now=END)
    found = measure(lake, workload)
    assert (found.accuracy, set(found.by_release)) == (1, {""})
