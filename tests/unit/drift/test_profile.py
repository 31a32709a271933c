import re
from collections import Counter
from datetime import date, timedelta

import pyarrow as pa

from flywheel.drift.merged import merge, read_parts, read_profile
from flywheel.drift.profile import profile_days, refresh_profiles
from flywheel.drift.window import Window

DAY = date(2026, 3, 30)
WEEK = Window(DAY, DAY + timedelta(days=7))


def _of(calls, window):
    return [c for c in calls if window.start <= c.timestamp.date() < window.end]


def test_a_profile_counts_what_is_there(lake, land, defect_reports, drifting_calls):
    """Every column adds up to the events, the words to the texts they stand in."""
    calls = _of(drifting_calls, WEEK)
    land(lake, calls)
    refresh_profiles(lake, defect_reports, WEEK)
    profile = read_profile(lake, defect_reports, WEEK)
    assert profile.events == profile.texts == len(calls)
    assert profile.columns["client"].counts == Counter(c.client_id for c in calls)
    assert profile.columns["output"].counts == Counter(c.truth["category"] for c in calls)
    assert profile.columns["output.urgency"].counts == Counter(c.truth["urgency"] for c in calls)
    for name in ("input_length", "confidence", "latency_ms", "release"):
        assert profile.columns[name].size == len(calls)
    words = Counter(
        word for c in calls for word in set(re.split(r"[^a-z-]+", c.text.lower())) if len(word) > 2
    )
    assert profile.columns["vocabulary"].counts == words


def test_profiles_of_two_parts_add_up_to_the_profile_of_both(
    tmp_path, land, defect_reports, drifting_calls
):
    """However the events of a day are split, the sum of the parts is the whole."""
    from flywheel.lake.store import Lake

    calls = _of(drifting_calls, WEEK)
    profiles = []
    for name, part in (("all", calls), ("even", calls[::2]), ("odd", calls[1::2])):
        lake = Lake(tmp_path / name)
        land(lake, part)
        refresh_profiles(lake, defect_reports, WEEK)
        profiles.append(read_profile(lake, defect_reports, WEEK))
        lake.close()
    assert merge(profiles[1], profiles[2]) == profiles[0]


def test_the_parts_of_a_window_add_up_to_it(lake, land, defect_reports, drifting_calls):
    """A week read in runs of three days is the week."""
    land(lake, _of(drifting_calls, WEEK))
    refresh_profiles(lake, defect_reports, WEEK)
    parts = read_parts(lake, defect_reports, WEEK, days=3)
    assert sorted(parts) == [0, 1, 2]
    assert merge(*parts.values()) == read_profile(lake, defect_reports, WEEK)


def test_a_day_profiled_twice_is_not_doubled(lake, land, defect_reports, drifting_calls):
    """A repeated profile replaces the day."""
    land(lake, _of(drifting_calls, WEEK))
    days = list(WEEK.days)
    profile_days(lake, defect_reports, days)
    once = read_profile(lake, defect_reports, WEEK)
    profile_days(lake, defect_reports, days)
    assert read_profile(lake, defect_reports, WEEK) == once


def test_duplicates_do_not_count(lake, land, defect_reports, drifting_calls):
    """The same inference landed again leaves the profile as it was."""
    calls = _of(drifting_calls, WEEK)
    land(lake, calls)
    refresh_profiles(lake, defect_reports, WEEK)
    once = read_profile(lake, defect_reports, WEEK)
    land(lake, calls[:50], first_offset=len(calls))
    assert refresh_profiles(lake, defect_reports, WEEK)
    assert refresh_profiles(lake, defect_reports, WEEK) == []
    assert read_profile(lake, defect_reports, WEEK) == once


def test_late_events_bring_their_day_up_to_date_and_no_other(
    lake, land, defect_reports, drifting_calls
):
    """Only the day of a late event is profiled again."""
    calls = _of(drifting_calls, WEEK)
    late = [c for c in calls if c.timestamp.date() == DAY][-3:]
    land(lake, [c for c in calls if c not in late])
    assert refresh_profiles(lake, defect_reports, WEEK) == list(WEEK.days)
    land(lake, late, first_offset=len(calls))
    assert refresh_profiles(lake, defect_reports, WEEK) == [DAY]
    assert read_profile(lake, defect_reports, WEEK).events == len(calls)


def test_erased_subjects_leave_the_profile(lake, land, defect_reports, drifting_calls):
    """After an erasure the day is stale and counts without the subject."""
    calls = _of(drifting_calls, WEEK)
    land(lake, calls)
    refresh_profiles(lake, defect_reports, WEEK)
    gone = calls[0].subject_id
    lake.append("erasures", pa.table({"workload_id": ["defect_reports"], "subject_id": [gone]}))
    assert refresh_profiles(lake, defect_reports, WEEK)
    left = sum(c.subject_id != gone for c in calls)
    assert read_profile(lake, defect_reports, WEEK).events == left


def test_errors_are_counted_per_client(lake, land, defect_reports, drifting_calls):
    """A failed answer counts for the client that asked."""
    calls = _of(drifting_calls, WEEK)
    failed = [i % 10 == 0 for i in range(len(calls))]
    land(
        lake,
        calls,
        error=["not JSON" if f else None for f in failed],
        output=[None if f else '{"category":"dent","urgency":"low"}' for f in failed],
    )
    refresh_profiles(lake, defect_reports, WEEK)
    columns = read_profile(lake, defect_reports, WEEK).columns
    expected = Counter(c.client_id for c, f in zip(calls, failed, strict=True) if f)
    assert columns["errors"].counts == expected
    assert columns["output"].counts["(none)"] == sum(failed)
