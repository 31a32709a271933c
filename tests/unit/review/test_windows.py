"""Windows follow each other without a gap, within the budget of their period, whatever the clock."""

from datetime import UTC, datetime, timedelta

import pytest

from bench.decisions.sampling_calendar import play
from bench.decisions.sampling_world import make_world
from flywheel.review.sampling.windows import (
    ReviewWindow,
    batch_name,
    disowning_window,
    frontier_of,
    paced_budget,
    plan_window,
)
from tests.fakes.review_world import classification

START = datetime(2026, 1, 1, tzinfo=UTC)
APRIL = datetime(2026, 4, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def plan(start, until, *, budget=90, left=90, **changes):
    """Plan a window of a quarterly workload that began with the year."""
    workload = classification(review={"budget": budget}, **changes)
    return plan_window(workload, start, begun=START, until=until, left=lambda _: left)


def closed(end, drawn_at, number):
    """Return a window that ended then."""
    return ReviewWindow(
        batch_id=f"b{number}",
        period="2026Q1",
        start=end - DAY,
        end=end,
        frame_start=end - DAY,
        landed_through=drawn_at,
        budget=1,
        answers=1,
        reason="",
        drawn_at=drawn_at,
        number=number,
    )


@pytest.mark.parametrize("seed", range(8))
def test_two_random_years_without_a_stop(seed):
    """Calendars, downtimes, changing budgets, pushes and late answers: every answer in one frame."""
    played = play(make_world(seed, steps=False))
    assert (played.overspent, played.dry_periods, played.unseen) == (0, [], 0)
    assert played.foreign_periods == []
    assert played.frames.max() == 1


@pytest.mark.parametrize("seed", range(8))
def test_two_random_years_with_a_clock_that_is_stepped(seed):
    """Nothing is overspent, no window goes unseen and no period stays dry after a wrong clock."""
    played = play(make_world(seed))
    assert (played.overspent, played.dry_periods, played.unseen) == (0, [], 0)


def test_a_window_ends_with_its_period():
    """What a downtime left behind is charged to the period in which it lies."""
    before = plan(APRIL - 10 * DAY, APRIL + 10 * DAY)
    assert (before.end, before.period) == (APRIL, "2026Q1")
    assert plan(APRIL, APRIL + 10 * DAY).period == "2026Q2"


def test_a_spent_period_waits_and_is_closed_when_it_ends():
    """Its answers are passed over with a reason, and the next period goes on."""
    waiting = plan(START + 40 * DAY, START + 50 * DAY, left=0)
    assert (waiting.waits, waiting.budget) == (True, 0)
    assert "is spent: the next batch is drawn after 2026-04-01" in waiting.reason
    passed = plan(START + 40 * DAY, APRIL + DAY, left=0)
    assert (passed.waits, passed.budget, passed.end) == (False, 0, APRIL)
    assert plan(APRIL, APRIL + DAY, budget=182, left=182).budget == 2


def test_a_window_grows_until_a_judgment_can_be_paid():
    """Thirty judgments a quarter are one in three days."""
    assert plan(START, START + DAY, budget=30, left=30).waits
    assert plan(START, START + 3 * DAY, budget=30, left=30).budget == 1


def test_the_last_window_is_not_overfull():
    """What a quiet quarter left over is not asked on its last day."""
    workload = classification(review={"budget": 90})
    last = paced_budget(workload, 60, APRIL - DAY, APRIL, begun=START)
    assert last == 2
    assert paced_budget(workload, 60, APRIL - 30 * DAY, APRIL, begun=START) == 60
    late = paced_budget(workload, 90, APRIL - 10 * DAY, APRIL - 5 * DAY, begun=APRIL - 10 * DAY)
    assert late == 45  # a workload that began then has had no time to spend it


def test_windows_of_long_ago_are_closed_unasked():
    """After half a year without sampling nobody is asked about all of it at once."""
    old = plan(START - 200 * DAY, START + 50 * DAY)
    assert (old.budget, old.waits) == (0, False)
    assert "ended more than a period ago" in old.reason


def test_windows_of_a_clock_that_was_ahead_bind_nobody():
    """They are left out while they lie in the future, and for good once another was closed."""
    good = closed(START + DAY, START + DAY, 1)
    ahead = closed(START + 400 * DAY, START + 400 * DAY, 2)
    assert frontier_of([good, ahead], START + 2 * DAY).end == START + DAY
    later = closed(START + 2 * DAY, START + 2 * DAY, 3)
    assert frontier_of([good, ahead, later], START + 500 * DAY).end == START + 2 * DAY
    frontier = frontier_of([good, ahead], START + 2 * DAY)
    waiting = plan(START + DAY, START + 2 * DAY, budget=30, left=30)
    mark = disowning_window([good, ahead], frontier, waiting, START + 2 * DAY)
    assert frontier_of([good, ahead, mark], START + 500 * DAY).end == START + DAY
    assert disowning_window([good], frontier, waiting, START + 2 * DAY) is None


def test_batches_of_other_periods_and_hours_have_their_own_names():
    """The name begins with the period and tells the window's start; a second one has a number."""
    workload = classification()
    assert batch_name(workload, START + 100 * DAY) == "2026Q2-20260411"
    assert batch_name(workload, START + timedelta(hours=6)) == "2026Q1-20260101T0600"
    assert batch_name(workload, START, ["2026Q1-20260101"]) == "2026Q1-20260101.2"
