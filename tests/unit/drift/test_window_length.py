from datetime import UTC, date, datetime, timedelta

import pytest

from flywheel.drift.observe import observe_drift, read_reports
from flywheel.drift.window import Window
from flywheel.drift.window_length import drift_outlook, waiting_time, window_length
from flywheel.simulation.traffic import generate
from tests.fakes.review_world import classification

START, PROMOTED, UNTIL = date(2026, 1, 1), date(2026, 1, 29), date(2026, 4, 1)
WORKLOAD = classification()


def length(per_day, *, since=date(2026, 1, 29), reference=PROMOTED):
    """Return the window's length at a constant pace, and a reference up to that day."""
    events = {START + timedelta(days=n): per_day for n in range((UNTIL - START).days)}
    return window_length(
        WORKLOAD, events, lambda _: Window(START, reference), until=UNTIL, since=since
    )


@pytest.mark.parametrize(
    ("per_day", "days"), [(2_000, 7), (29, 7), (28, 14), (15, 14), (10, 21), (4, 56), (1, 56)]
)
def test_thin_traffic_gets_longer_windows(per_day, days):
    """The shortest whole number of weeks that holds 200 events, and never more than eight."""
    assert length(per_day, reference=UNTIL if per_day < 10 else PROMOTED) == days


def test_a_thin_reference_makes_the_windows_longer():
    """A reference that would never hold enough is compared over longer windows instead."""
    assert length(100, reference=START + timedelta(days=1)) == 56
    assert length(100) == 7


def test_windows_do_not_reach_back_before_the_promotion():
    """Two weeks after it a window has two weeks."""
    assert length(4, since=UNTIL - timedelta(days=15)) == 14


def test_the_wait_is_said_in_days_and_as_a_date():
    """35 events in 7 days: 200 take 40 days, 33 more than there are."""
    text = waiting_time(35, 7, 200, until=date(2026, 5, 8))
    assert "200 take 40 days" in text
    assert "from 2026-06-10 on" in text
    assert "no event has come" in waiting_time(0, 7, 200, until=UNTIL)


def test_ten_events_a_day_get_a_verdict(lake, land, defect_reports):
    """A week holds 70 of the 120 events that this workload asks for, and two hold enough."""
    calls = generate(
        defect_reports,
        start=datetime(2026, 3, 15, tzinfo=UTC),
        end=datetime(2026, 5, 1, tzinfo=UTC),
        per_day=10,
        seed=3,
        drift=None,
    )
    land(lake, calls)
    now, promoted = datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)
    reports = observe_drift(lake, defect_reports, promoted_at=promoted, now=now)
    assert [len(report.current.days) for report in reports] == [14, 14]
    assert [report.verdict is not None for report in reports] == [True, True]
    early = observe_drift(
        lake, defect_reports, promoted_at=promoted, now=datetime(2026, 4, 9, tzinfo=UTC)
    )
    assert early[-1].verdict is None
    assert "120 take 1" in early[-1].reason
    assert len({report.current.end for report in read_reports(lake, defect_reports)}) == len(
        read_reports(lake, defect_reports)
    )


@pytest.mark.parametrize(
    ("events", "holds", "text"),
    [
        (28 * 40, True, "windows of 7 days; 2 in a row take 14 days"),
        (28 * 10, True, "windows of 21 days; 2 in a row take 42 days"),
        (100, True, "windows of 56 days"),
        (99, False, "take 63 days, and the longest window has 56"),
        (0, True, "no event in 28 days"),
    ],
)
def test_the_outlook_says_what_the_traffic_allows(events, holds, text):
    """Seen by `flywheel doctor`: a warning where no window could ever hold enough events."""
    outlook = drift_outlook(WORKLOAD, events, 28)
    assert outlook.holds is holds
    assert text in outlook.sentence
