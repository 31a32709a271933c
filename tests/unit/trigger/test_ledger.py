from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.clock import ManualClock
from flywheel.lake.store import Lake
from flywheel.state import State
from flywheel.trigger.ledger import evaluate_trigger, gather_signals, trigger_key
from flywheel.workload.files import load_workload
from tests.fakes.state_rows import put_champion

NOW = datetime(2026, 6, 16, tzinfo=UTC)


@pytest.fixture(scope="module")
def workload(repository: Path):
    """Return the demo's workload."""
    return load_workload(repository / "deploy" / "workloads" / "defect_reports.yaml")


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    """Give a lake with one event of January."""
    lake = Lake(tmp_path / "lake")
    first = datetime(2026, 1, 3, tzinfo=UTC)
    event = {"workload_id": "defect_reports", "inference_id": "i", "timestamp": first}
    lake.append("inferences", pa.Table.from_pylist([event | {"day": first.date()}]))
    yield lake
    lake.close()


@pytest.fixture
def state(tmp_path: Path, workload) -> Iterator[State]:
    """Give a state in which the calendar opened a cycle on 1 April that was stopped."""
    clock = ManualClock(datetime(2026, 4, 1, tzinfo=UTC))
    state = State.open(f"sqlite:///{tmp_path / 'state.db'}", clock)
    state.cycles.open(
        workload,
        trigger="calendar",
        opened_by="system",
        reason="test",
        watermark=clock.now(),
        snapshot={},
    )
    state.cycles.set_status(CycleRef(workload.id, "2026Q2-1"), "stopped", "test")
    clock.move_to(NOW)
    yield state
    state.close()


def _verdict(lake, end, columns, *, verdict="input_drift", quality=None, measured_at=NOW):
    row = {
        "workload_id": "defect_reports",
        "window_start": end - timedelta(days=7),
        "window_end": end,
        "verdict": verdict,
        "drifted_columns": columns,
        "quality_drop": quality,
        "quality_fell": quality is not None,
        "reason": "Input drift.",
        "measured_at": measured_at,
    }
    lake.append("drift_reports", pa.Table.from_pylist([row]))


def test_two_adjacent_windows_that_share_a_column_open_a_cycle(lake, state, workload):
    """What drift measured is read from the lake."""
    _verdict(lake, date(2026, 6, 9), ["vocabulary", "client"])
    _verdict(lake, date(2026, 6, 16), ["vocabulary", "output"])
    decision = evaluate_trigger(lake, state, workload, now=NOW)
    assert decision.trigger == "drift"
    assert decision.numbers["drifted_columns"] == ["vocabulary"]


def test_three_adjacent_windows_are_three_in_a_row(lake, state, workload):
    """Each window touches the one after it, not the newest."""
    for day in (2, 9, 16):
        _verdict(lake, date(2026, 6, day), ["vocabulary"])
    assert gather_signals(lake, state, workload, now=NOW).drifted_windows == 3


def test_the_newest_cycle_counts(tmp_path, lake, workload):
    """Cooldown, watermark and calendar are those of the last cycle, not of the first."""
    clock = ManualClock(datetime(2026, 1, 10, tzinfo=UTC))
    state = State.open(f"sqlite:///{tmp_path / 'three'}.db", clock)
    for month, trigger in ((1, "calendar"), (4, "calendar"), (5, "drift")):
        clock.move_to(datetime(2026, month, 10, tzinfo=UTC))
        cycle = state.cycles.open(
            workload,
            trigger=trigger,
            opened_by="system",
            reason="test",
            watermark=clock.now(),
            snapshot={},
            trigger_key=f"{trigger} {month}",
        )
        state.cycles.set_status(cycle.ref, "stopped", "test")
    _correct(lake, workload, datetime(2026, 5, 2, tzinfo=UTC))
    signals = gather_signals(lake, state, workload, now=NOW)
    assert signals.last_opened_at == datetime(2026, 5, 10, tzinfo=UTC)
    assert signals.last_calendar_at == datetime(2026, 4, 10, tzinfo=UTC)
    assert signals.new_corrections == 0
    state.close()


def test_windows_with_different_columns_are_not_in_a_row(lake, state, workload):
    """Words last week and clients this week are two pieces of noise."""
    _verdict(lake, date(2026, 6, 9), ["vocabulary"])
    _verdict(lake, date(2026, 6, 16), ["client"])
    assert gather_signals(lake, state, workload, now=NOW).drifted_windows == 1


def test_overlapping_windows_do_not_count_twice(lake, state, workload):
    """A daily measurement judges the same week seven times, which is one window."""
    for day in range(10, 17):
        _verdict(lake, date(2026, 6, day), ["vocabulary"])
    assert gather_signals(lake, state, workload, now=NOW).drifted_windows == 1


def test_a_window_without_verdict_is_not_measured(lake, state, workload):
    """Too few events are neither drift nor its absence."""
    _verdict(lake, date(2026, 6, 9), ["vocabulary"])
    _verdict(lake, date(2026, 6, 16), [], verdict=None)
    assert gather_signals(lake, state, workload, now=NOW).drifted_windows is None


def test_old_verdicts_say_nothing_about_now(lake, state, workload):
    """A measurement that stopped a month ago cannot open a cycle."""
    _verdict(lake, date(2026, 5, 9), ["vocabulary"])
    _verdict(lake, date(2026, 5, 16), ["vocabulary"])
    assert gather_signals(lake, state, workload, now=NOW).drifted_windows is None


@pytest.mark.parametrize(("end", "measured"), [(date(2026, 6, 2), True), (date(2026, 6, 1), False)])
def test_a_verdict_counts_for_two_windows(lake, state, workload, end, measured):
    """A measurement that ended exactly two windows ago still counts, one of the day before does not."""
    _verdict(lake, end, ["vocabulary"])
    signals = gather_signals(lake, state, workload, now=NOW)
    assert signals.drifted_windows == (1 if measured else None)


def test_a_correction_of_the_watermarks_own_moment_is_not_new(lake, state, workload):
    """The last cycle saw everything accepted up to its watermark, that moment included."""
    watermark = datetime(2026, 4, 1, tzinfo=UTC)
    rows = [
        {
            "workload_id": workload.id,
            "correction_id": f"c{number}",
            "version": 1,
            "status": "accepted",
            "source": "review",
            "accepted_at": watermark + timedelta(microseconds=number),
        }
        for number in range(3)
    ]
    lake.append("corrections", pa.Table.from_pylist(rows))
    assert gather_signals(lake, state, workload, now=NOW).new_corrections == 2


def test_corrections_count_since_the_last_cycle_without_the_seed(lake, state, workload):
    """The seed and what the last cycle knew are no new volume."""
    rows = [
        {
            "workload_id": workload.id,
            "correction_id": f"c{number}",
            "version": 1,
            "status": "accepted",
            "source": source,
            "accepted_at": datetime(2026, month, 1, 12, tzinfo=UTC),
        }
        for number, (source, month) in enumerate(
            [("review", 2), ("review", 5), ("review", 6), ("seed", 6)]
        )
    ]
    lake.append("corrections", pa.Table.from_pylist(rows))
    assert gather_signals(lake, state, workload, now=NOW).new_corrections == 2


def test_label_that_the_last_cycle_saw_at_its_watermark_is_only_confirmed(lake, state, workload):
    """What was accepted at the watermark itself was trained on."""
    row = {
        "workload_id": workload.id,
        "correction_id": "c",
        "status": "accepted",
        "output": '"oil"',
        "source": "review",
    }
    moments = [datetime(2026, 4, 1, tzinfo=UTC), datetime(2026, 5, 2, tzinfo=UTC)]
    rows = [row | {"version": n, "accepted_at": at} for n, at in enumerate(moments, start=1)]
    lake.append("corrections", pa.Table.from_pylist(rows))
    assert gather_signals(lake, state, workload, now=NOW).new_corrections == 0


@pytest.mark.parametrize(
    ("status", "output", "new"),
    [("accepted", '"oil"', 0), ("accepted", '"heat"', 1), ("disputed", '"oil"', 1)],
)
def test_label_that_was_only_confirmed_is_no_new_correction(
    lake, state, workload, status, output, new
):
    """A new version counts where the last cycle could not train on the same answer."""
    rows = [
        {
            "workload_id": workload.id,
            "correction_id": "c",
            "version": version,
            "status": said,
            "output": answer,
            "source": "review",
            "accepted_at": datetime(2026, month, 2, tzinfo=UTC),
        }
        for version, said, answer, month in [
            (1, "accepted", '"oil"', 1),
            (2, status, '"oil"', 2),
            (3, "accepted", output, 5),
        ]
    ]
    lake.append("corrections", pa.Table.from_pylist(rows))
    assert gather_signals(lake, state, workload, now=NOW).new_corrections == new


@pytest.mark.parametrize("year", [2000, 2040])
@pytest.mark.parametrize("others", [0, 1, 8])
def test_one_wrong_clock_opens_no_cycle(tmp_path, state, workload, year, others):
    """Traffic that began this quarter has had no quarter before, whatever one event claims."""
    lake = Lake(tmp_path / "other")
    wrong = datetime(year, 1, 1, tzinfo=UTC)
    right = [datetime(2026, 5, 3, hour, tzinfo=UTC) for hour in range(others)]
    rows = [
        {
            "workload_id": workload.id,
            "inference_id": f"i{at:%Y%m%d%H}",
            "timestamp": at,
            "day": at.date(),
            "landed_at": datetime(2026, 5, 3, 12, tzinfo=UTC),
        }
        for at in [wrong, wrong, *right]  # sent twice, as events may be
    ]
    lake.append("inferences", pa.Table.from_pylist(rows))
    since = gather_signals(lake, state, workload, now=NOW).since
    assert since.date() == date(2026, 5, 3)
    lake.close()


def test_an_evaluation_writes_nothing(lake, state, workload):
    """Recording is the caller's, together with the cycle."""
    evaluate_trigger(lake, state, workload, now=NOW)
    assert state.decisions.of(workload.id) == []
    assert len(state.cycles.of(workload.id)) == 1


def _opened(tmp_path, workload, at, name, *, trigger="calendar", ended="stopped"):
    """Open a state in which a cycle was opened at a moment and has ended."""
    clock = ManualClock(at)
    state = State.open(f"sqlite:///{tmp_path / name}.db", clock)
    cycle = state.cycles.open(
        workload,
        trigger=trigger,
        opened_by="system",
        reason="test",
        watermark=at,
        snapshot={},
        trigger_key=trigger_key(state, workload, trigger, at),
    )
    if ended == "stopped":
        state.cycles.set_status(cycle.ref, "stopped", "test")
    else:
        for status in ("training", "awaiting_approval", "approved", ended):
            state.cycles.set_status(cycle.ref, status, "test")
    return state


def _correct(lake, workload, at):
    row = {
        "workload_id": workload.id,
        "correction_id": f"c{at}",
        "version": 1,
        "status": "accepted",
        "source": "review",
        "accepted_at": at,
    }
    lake.append("corrections", pa.Table.from_pylist([row]))


def test_a_clock_that_was_once_ahead_stops_nothing(tmp_path, lake, workload):
    """A cycle dated 2030 is neither a cooldown until then, nor its calendar, nor its watermark."""
    state = _opened(tmp_path, workload, datetime(2030, 2, 1, tzinfo=UTC), "ahead")
    _correct(lake, workload, datetime(2026, 5, 2, tzinfo=UTC))
    signals = gather_signals(lake, state, workload, now=NOW)
    assert (signals.last_opened_at, signals.last_calendar_at) == (None, None)
    assert signals.new_corrections == 1
    assert signals.future_cycles == ("2030Q1-1",)
    assert evaluate_trigger(lake, state, workload, now=NOW).trigger == "calendar"
    state.close()


def test_clocks_that_differ_a_little_keep_the_cooldown(tmp_path, lake, workload):
    """A cycle opened by a machine two seconds ahead was opened now."""
    state = _opened(tmp_path, workload, NOW + timedelta(seconds=2), "skew", ended="promoted")
    decision = evaluate_trigger(lake, state, workload, now=NOW)
    assert "cooldown" in decision.reason
    assert gather_signals(lake, state, workload, now=NOW).future_cycles == ()
    state.close()


@pytest.mark.parametrize(("hours", "counted"), [(24, True), (25, False)])
def test_clocks_may_differ_by_a_day(tmp_path, lake, workload, hours, counted):
    """A cycle dated up to a day ahead counts as opened; one dated further ahead does not."""
    state = _opened(tmp_path, workload, NOW + timedelta(hours=hours), f"ahead{hours}")
    signals = gather_signals(lake, state, workload, now=NOW)
    assert (signals.last_opened_at is not None) is counted
    assert bool(signals.future_cycles) is not counted
    state.close()


def test_a_failure_counts_in_its_own_period_alone(state, workload):
    """The calendar asks again after a cycle that released nothing, and afresh in the next period."""
    assert trigger_key(state, workload, "calendar", NOW) == "calendar:2026Q2:2"
    july = datetime(2026, 7, 1, 12, tzinfo=UTC)
    assert trigger_key(state, workload, "calendar", july) == "calendar:2026Q3"
    assert trigger_key(state, workload, "drift", NOW) is None


def test_verdicts_from_before_the_last_promotion_are_of_another_model(lake, state, workload):
    """They compare with a reference that is no longer in use; one measured since counts."""
    promoted = NOW - timedelta(days=7)
    for name, status in (("r1", "champion"), ("r2", "candidate")):
        state.releases.record(
            name,
            cycle=CycleRef(workload.id, "2026Q2-1"),
            attempt=1,
            manifest_digest=name,
            adapter=f"runs/{name}",
            dataset_hash="d",
        )
        if status == "champion":
            state.releases.change(name, status=status, promoted_at=promoted)
    _verdict(lake, date(2026, 6, 9), ["client"], measured_at=promoted - timedelta(seconds=1))
    assert gather_signals(lake, state, workload, now=NOW).drifted_windows is None
    _verdict(lake, date(2026, 6, 16), ["client"], measured_at=promoted)
    assert gather_signals(lake, state, workload, now=NOW).drifted_windows == 1


@pytest.mark.parametrize(("ended", "again"), [("stopped", True), ("promoted", False)])
def test_a_failed_calendar_cycle_does_not_use_up_its_period(tmp_path, lake, workload, ended, again):
    """With new corrections it opens again, as a cycle of its own; a promoted one does not."""
    opened = datetime(2026, 4, 1, 6, tzinfo=UTC)
    state = _opened(tmp_path, workload, opened, ended, ended=ended)
    assert not evaluate_trigger(lake, state, workload, now=NOW).open
    _correct(lake, workload, datetime(2026, 5, 2, tzinfo=UTC))
    decision = evaluate_trigger(lake, state, workload, now=NOW)
    assert decision.trigger == ("calendar" if again else None)
    if again:
        second = state.cycles.open(
            workload,
            trigger="calendar",
            opened_by="system",
            reason=decision.reason,
            watermark=NOW,
            snapshot={},
            trigger_key=trigger_key(state, workload, "calendar", NOW),
        )
        assert second.name == "2026Q2-2"
    state.close()


def test_a_release_that_is_tried_again_gives_no_key_away_twice(tmp_path, lake, workload):
    """The calendar had opened a second cycle, which failed; the first one's release came through."""
    opened = datetime(2026, 4, 1, 6, tzinfo=UTC)
    state = _opened(tmp_path, workload, opened, "tried", ended="releasing")
    [first] = state.cycles.of(workload.id)
    state.cycles.set_status(first.ref, "rolled_back", "errors")
    key = trigger_key(state, workload, "calendar", NOW)
    second = state.cycles.open(
        workload,
        trigger="calendar",
        opened_by="system",
        reason="again",
        watermark=NOW,
        snapshot={},
        trigger_key=key,
    )
    state.cycles.set_status(second.ref, "stopped", "for the retry")
    state.cycles.review_again(first.ref, "the replica was mended", actor="jon")
    for status in ("approved", "releasing", "promoted"):
        state.cycles.set_status(first.ref, status, "test")
    assert (key, trigger_key(state, workload, "calendar", NOW)) == (
        "calendar:2026Q2:2",
        "calendar:2026Q2:3",
    )
    state.close()


def test_a_time_zone_that_moves_opens_no_second_cycle(tmp_path, lake, workload):
    """The quarter that began in Auckland is the same quarter in New York."""
    there = workload.model_copy(update={"timezone": "Pacific/Auckland"})
    opened = datetime(2026, 3, 31, 12, 5, tzinfo=UTC)
    state = _opened(tmp_path, there, opened, "zone", ended="promoted")
    here = workload.model_copy(update={"timezone": "America/New_York"})
    assert gather_signals(lake, state, here, now=NOW).calendar_periods == ("2026Q2",)
    assert not evaluate_trigger(lake, state, here, now=NOW).open
    state.close()


def test_a_window_that_two_releases_answered_opens_nothing(lake, state, workload):
    """A verdict of an earlier version about a mixed window is passed over, and the window named."""
    put_champion(state, workload.id, "r1", promoted_at=NOW - timedelta(days=14, hours=-9))
    _verdict(lake, date(2026, 6, 9), ["client"])
    _verdict(lake, date(2026, 6, 16), ["client"])
    decision = evaluate_trigger(lake, state, workload, now=NOW)
    assert not decision.open
    assert decision.numbers["drifted_windows"] == 1
    assert decision.numbers["windows_measured"] == 1
    left_out = "that of 2026-06-02 to 2026-06-08 began before 2026-06-03"
    assert left_out in decision.numbers["windows_left_out"]
    assert left_out in decision.reason


def test_verdicts_about_a_withdrawn_release_open_nothing(lake, state, workload):
    """After a rollback windows count from the rollback on."""
    put_champion(state, workload.id, "r1", promoted_at=NOW - timedelta(days=60))
    put_champion(state, workload.id, "r2", promoted_at=NOW - timedelta(days=30))
    _verdict(lake, date(2026, 6, 9), ["client"], measured_at=NOW - timedelta(hours=1))
    _verdict(lake, date(2026, 6, 16), ["client"], measured_at=NOW - timedelta(hours=1))
    assert evaluate_trigger(lake, state, workload, now=NOW).trigger == "drift"
    put_champion(state, workload.id, "r1")
    assert gather_signals(lake, state, workload, now=NOW).drifted_windows is None


def test_windows_that_are_all_whole_are_not_mentioned(lake, state, workload):
    """A reason says what is missing, and nothing where nothing is."""
    put_champion(state, workload.id, "r1", promoted_at=NOW - timedelta(days=14))
    decision = evaluate_trigger(lake, state, workload, now=NOW)
    assert "that a drift needs" not in decision.reason
    assert decision.numbers["windows_left_out"] == ""
