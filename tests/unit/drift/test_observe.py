import json
from datetime import UTC, date, datetime

import pyarrow as pa
import pytest

from flywheel.drift.evidently_report import write_evidently_report
from flywheel.drift.observe import observe_drift, read_reports, window_coverage
from flywheel.drift.plot import plot_drift
from flywheel.drift.reference import reference_windows
from flywheel.drift.window import Window
from flywheel.errors import ConfigurationError, MeasurementError

PROMOTED = datetime(2026, 4, 6, tzinfo=UTC)
NOW = datetime(2026, 5, 18, 6, tzinfo=UTC)


def test_before_the_first_promotion_days_are_profiled_and_nothing_is_judged(
    drifting_lake, defect_reports
):
    """Without a reference there is no verdict; the profiles are there for later."""
    assert observe_drift(drifting_lake, defect_reports, promoted_at=None, now=NOW) == []
    rows = drifting_lake.rows("SELECT count(DISTINCT day) AS days FROM profiles")
    assert rows[0]["days"] == 49


def test_the_last_windows_are_judged_and_kept(drifting_lake, defect_reports):
    """Verdicts come back from the lake as they were measured; measured again, they replace."""
    reports = observe_drift(drifting_lake, defect_reports, promoted_at=PROMOTED, now=NOW)
    assert [r.current.end for r in reports] == [date(2026, 5, 11), date(2026, 5, 18)]
    assert [r.drifted for r in reports] == [True, True]
    observe_drift(drifting_lake, defect_reports, promoted_at=PROMOTED, now=NOW)
    assert read_reports(drifting_lake, defect_reports) == reports


def test_windows_before_the_promotion_are_not_judged(drifting_lake, defect_reports):
    """One week after a promotion there is one window, not two."""
    promoted = datetime(2026, 5, 11, tzinfo=UTC)
    reports = observe_drift(drifting_lake, defect_reports, promoted_at=promoted, now=NOW)
    assert len(reports) == 1
    assert reports[0].reference == Window(date(2026, 4, 27), date(2026, 5, 11))


def test_a_window_of_two_releases_is_not_judged(drifting_lake, defect_reports):
    """A promotion at noon mixes its day: the window that begins on it is not whole."""
    promoted = datetime(2026, 5, 11, 12, tzinfo=UTC)
    reports = observe_drift(drifting_lake, defect_reports, promoted_at=promoted, now=NOW)
    assert reports == []
    coverage = window_coverage(defect_reports, reports, answering_since=promoted, now=NOW)
    assert (coverage.measured, coverage.complete_on) == (0, date(2026, 5, 26))


def test_after_a_rollback_windows_begin_with_it_and_the_reference_stays(
    drifting_lake, defect_reports
):
    """Weeks of the withdrawn release are not judged; what was promoted is still compared with."""
    reports = observe_drift(
        drifting_lake,
        defect_reports,
        promoted_at=datetime(2026, 4, 6, tzinfo=UTC),
        answering_since=datetime(2026, 5, 11, tzinfo=UTC),
        now=NOW,
    )
    assert [(r.current.start, r.reference.start) for r in reports] == [
        (date(2026, 5, 11), date(2026, 4, 6))
    ]
    assert reports[0].drifted


def test_the_reference_is_the_time_before_the_promotion_until_four_windows_after_are_over(
    defect_reports,
):
    """Both are fixed by the promotion and by nothing else."""
    promoted = datetime(2026, 4, 1, 9, tzinfo=UTC)
    early = reference_windows(
        defect_reports, promoted_at=promoted, until=datetime(2026, 4, 20, tzinfo=UTC)
    )
    assert early.inputs == Window(date(2026, 3, 18), date(2026, 4, 1))
    assert early.answers is None
    late = reference_windows(
        defect_reports, promoted_at=promoted, until=datetime(2026, 5, 14, tzinfo=UTC)
    )
    assert late.inputs == late.answers == Window(date(2026, 4, 2), date(2026, 4, 30))


def test_a_window_holds_a_day_at_least():
    """An empty range is refused where it is made."""
    with pytest.raises(ConfigurationError, match="holds no day"):
        Window(date(2026, 4, 1), date(2026, 4, 1))


def test_the_picture_is_a_small_png(drifting_lake, defect_reports):
    """Dagster shows pictures below 100 kB."""
    reports = observe_drift(drifting_lake, defect_reports, promoted_at=PROMOTED, now=NOW)
    picture = plot_drift(reports)
    assert picture.startswith(b"\x89PNG")
    assert len(picture) < 100_000
    with pytest.raises(MeasurementError):
        plot_drift([])


def test_evidently_writes_its_report_over_columns_without_values(
    tmp_path, lake, land, defect_reports, drifting_calls
):
    """A column of nulls alone is left out; it would cost the whole report."""
    land(lake, drifting_calls, confidence=[None] * len(drifting_calls))
    path = write_evidently_report(
        lake,
        defect_reports,
        reference=Window(date(2026, 3, 30), date(2026, 4, 27)),
        current=Window(date(2026, 5, 11), date(2026, 5, 18)),
        path=tmp_path / "reports" / "drift.html",
    )
    html = path.read_text()
    assert "input_length" in html
    assert "<html" in html.lower()


def test_evidently_is_not_asked_about_nothing(tmp_path, lake, defect_reports):
    """Windows without events are an error that says so, and no file."""
    window = Window(date(2026, 3, 30), date(2026, 4, 27))
    with pytest.raises(MeasurementError, match="0 events"):
        write_evidently_report(
            lake, defect_reports, reference=window, current=window, path=tmp_path / "drift.html"
        )
    assert not (tmp_path / "drift.html").exists()


def test_reports_of_an_earlier_version_still_read(lake, defect_reports):
    """They know no change in shares and no day on which quality changed."""
    column = {
        "column": "vocabulary", "role": "input", "method": "jensen_shannon", "score": 0.4,
        "threshold": 0.15, "chance": 0.1, "drifted": True, "note": "",
    }  # fmt: skip
    quality = {
        "reference": 0.9, "current": 0.8, "reference_judged": 40, "current_judged": 25,
        "drop": 0.1, "interval": [0.01, 0.2], "fell": True, "note": "",
    }  # fmt: skip
    report = {
        "workload_id": "defect_reports", "verdict": "both", "reason": "old", "cause": None,
        "reference": {"start": "2026-03-01", "end": "2026-03-29"},
        "current": {"start": "2026-05-01", "end": "2026-05-08"},
        "reference_events": 800, "current_events": 200, "columns": [column], "quality": quality,
        "drifted_columns": ["vocabulary"],
    }  # fmt: skip
    row = {
        "workload_id": "defect_reports", "window_start": date(2026, 5, 1),
        "window_end": date(2026, 5, 8), "report": json.dumps(report),
    }  # fmt: skip
    lake.append("drift_reports", pa.Table.from_pylist([row]))
    (read,) = read_reports(lake, defect_reports)
    assert read.drifted_columns == ("vocabulary",)
    assert read.columns[0].strength == pytest.approx(0.4 / 0.15)
    assert read.columns[0].change is None
    assert (read.quality.fell, read.quality.changed_on) == (True, None)
    assert plot_drift([read]).startswith(b"\x89PNG")
