"""The control slice from rows that were put into the lake; batches and people are the review's tests."""

from datetime import timedelta

import pyarrow as pa
import pytest

from flywheel.lake.store import Lake
from flywheel.lake.tables import TABLES
from flywheel.quality.control_slice import (
    ControlDay,
    ControlVerdict,
    control_accuracy,
    control_days,
    control_slice,
    control_verdicts,
    effective_number,
    effective_size,
)
from flywheel.quality.intervals import wilson_interval
from tests.fakes.review_world import (
    END,
    START,
    WEEK,
    answer,
    classification,
    correction,
    put_answers,
    put_corrections,
    truth,
)

WORKLOAD = classification()
# Minutes of the first week.
SPANS = [(0, 5), (5, 10), (7, 1440), (5, 1445), (1440, 2880), (1445, 2885), (10, 5)]


@pytest.fixture
def lake(tmp_path):
    """Return an empty lake."""
    opened = Lake(tmp_path / "lake")
    yield opened
    opened.close()


def put_items(lake, *items):
    """Put control items into the lake, each with what people decided about it."""
    rows = [
        {
            "workload_id": WORKLOAD.id, "item_id": f"c-i{number:05d}",
            "inference_id": f"i{number:05d}", "slice": "control", "release": "base",
            "inclusion_probability": 0.5, "event_time": START + timedelta(minutes=number),
            "chosen_at": END, "judgments": 1,
        } | changes
        for number, changes in items
    ]  # fmt: skip
    schema = TABLES["review_items"].schema
    lake.append("review_items", pa.Table.from_pylist(rows, schema=schema))


def decided(number, **changes):
    """Return the correction of an item, right as the model gave it."""
    given = {"slice": "control", "simulated": False, "original_output": truth(number)}
    return correction(number, **given | changes)


def test_answer_that_is_gone_counts_by_what_its_correction_holds(lake):
    """Of a release without any answer left, no answer is counted, and none failed."""
    put_items(lake, (1, {}), (2, {}), (3, {"release": None}))
    wrong = decided(2, original_output=truth(3))
    gone = decided(3, original_output=None)
    put_corrections(lake, WORKLOAD, [decided(1), wrong, gone])
    found = control_accuracy(lake, WORKLOAD, START, END)
    for figure in (found, found.by_release["base"]):
        assert (figure.accuracy, figure.answers, figure.failed) == (0.5, 0, 0)
    # What the model had said is not known: nobody can say whether it was right.
    assert (found.items, found.judged, found.undecided) == (3, 2, 1)
    assert found.by_release[""].accuracy is None


def test_answer_that_did_not_parse_is_wrong_whatever_people_said(lake):
    """It lies in the lake without an output; one that was erased does not."""
    put_answers(lake, WORKLOAD, [answer(1, output=None), answer(2)])
    put_items(lake, (1, {}), (2, {}))
    unparsed = decided(1, original_output=None)
    put_corrections(lake, WORKLOAD, [unparsed, decided(2, output=answer(2)["output"])])
    verdicts = {one.inference_id: one.right for one in control_verdicts(lake, WORKLOAD, START, END)}
    assert verdicts == {"i00001": False, "i00002": True}


def test_verdicts_carry_weight_and_time_and_who_judged(lake):
    """One over the inclusion probability of the draw, also where the item was asked again."""
    put_answers(lake, WORKLOAD, [answer(1), answer(2), answer(3)])
    again = {"chosen_at": END + WEEK, "inclusion_probability": 0.9, "judgments": 2}
    put_items(lake, (1, {}), (1, again), (2, {"inclusion_probability": 0.25}), (3, {}))
    put_items(lake, (4, {"slice": "uncertain"}))
    put_corrections(
        lake, WORKLOAD,
        [decided(1), decided(2, simulated=True, output="other fault"), decided(3, status="disputed"),
         decided(4)],
    )  # fmt: skip
    found = control_slice(lake, WORKLOAD, START, END)
    minutes = [START + timedelta(minutes=number) for number in (1, 2)]
    assert found.verdicts == (
        ControlVerdict("i00001", minutes[0], 2.0, right=True, simulated=False),
        ControlVerdict("i00002", minutes[1], 4.0, right=False, simulated=True),
    )
    assert list(found.verdicts) == control_verdicts(lake, WORKLOAD, START, END)
    assert (found.accuracy.items, found.accuracy.undecided) == (3, 1)
    assert found.accuracy.accuracy == pytest.approx(2 / 6)


def test_periods_hold_their_first_moment_and_not_their_last(lake):
    """Items and counts of answers alike, within a day, over days and over midnight."""
    minutes = [0, 5, 10, 1440, 1445, 2880, 2885]
    right = [answer(n, output=truth(n)) for n in minutes]
    failed = [answer(n + 1000, timestamp=START + timedelta(minutes=n), output=None, error="timeout")
              for n in minutes]  # fmt: skip
    put_answers(lake, WORKLOAD, right + failed)
    put_items(lake, *((n, {}) for n in minutes))
    put_corrections(lake, WORKLOAD, [decided(n) for n in minutes])
    for first, last in SPANS:
        start, end = (START + timedelta(minutes=n) for n in (first, last))
        count = sum(first <= n < last for n in minutes)
        found = control_accuracy(lake, WORKLOAD, start, end)
        assert (found.items, found.answers, found.failed) == (count, 2 * count, count)
        days = control_days(lake, WORKLOAD, start, end)
        assert sum(day.judged for day in days) == count
        assert sum(day.parsed + day.failed for day in days) == 2 * count


def test_confidence_of_the_interval_is_the_callers(lake):
    """At half of it the interval is narrower, by Wilson's formula at the effective number."""
    put_answers(lake, WORKLOAD, [answer(n, output=truth(n)) for n in range(10)])
    put_items(lake, *((n, {}) for n in range(10)))
    put_corrections(lake, WORKLOAD, [decided(n, output=truth(n + (n < 3))) for n in range(10)])
    for confidence in (0.5, 0.95):
        found = control_accuracy(lake, WORKLOAD, START, END, confidence=confidence)
        assert (found.lower, found.upper) == pytest.approx(wilson_interval(0.7, 10, confidence))
        base = found.by_release["base"]
        assert (base.lower, base.upper) == (found.lower, found.upper)


def test_days_keep_sums_of_weights_and_their_squares(lake):
    """What the effective number of a day rests on; a day of the UTC calendar, oldest first."""
    numbers = [1500, 1, 2]
    put_answers(lake, WORKLOAD, [answer(n, output=truth(n)) for n in numbers])
    put_items(lake, (1500, {}), (1, {"inclusion_probability": 0.25}), (2, {}))
    put_corrections(lake, WORKLOAD, [decided(1500), decided(1), decided(2, output=truth(3))])
    assert control_days(lake, WORKLOAD, START, END) == (
        ControlDay(START.date(), 2, 6.0, 20.0, 4.0, 2, 0),
        ControlDay((START + timedelta(days=1)).date(), 1, 2.0, 4.0, 2.0, 1, 0),
    )


def test_effective_number_is_that_of_kish():
    """Equal weights count in full; of unequal ones fewer; nothing counts nothing."""
    assert effective_size([3.0] * 7) == pytest.approx(7)
    assert effective_size([1.0, 3.0]) == pytest.approx(16 / 10)
    assert (effective_size([]), effective_number(0.0, 0.0)) == (0, 0)
