from datetime import UTC, date, datetime

import pytest

from flywheel.drift.measure import measure_drift, measure_windows
from flywheel.drift.window import Window
from flywheel.quality.control_slice import ControlDay

APRIL = Window(date(2026, 3, 30), date(2026, 4, 27))
QUIET = Window(date(2026, 4, 27), date(2026, 5, 4))
DRIFTED = Window(date(2026, 5, 11), date(2026, 5, 18))


def _judged(day, correct, judged):
    return ControlDay(day, judged, judged, judged, correct, parsed=judged)


BEFORE = _judged(date(2026, 4, 7), 93, 100)
FELL = (BEFORE, _judged(date(2026, 5, 11), 60, 100))
STAYED = (BEFORE, _judged(date(2026, 5, 11), 91, 100))


@pytest.fixture(scope="module")
def drifted_report(drifting_lake, defect_reports):
    """Return the verdict about the second week of the drift."""
    return measure_drift(
        drifting_lake, defect_reports, reference=APRIL, current=DRIFTED, quality=FELL
    )


def test_a_quiet_week_is_no_drift(drifting_lake, defect_reports):
    """Words and answers of 200 reports differ by chance, and the verdict says so."""
    report = measure_drift(drifting_lake, defect_reports, reference=APRIL, current=QUIET)
    assert report.verdict in ("none", "noise")
    assert report.drifted is False
    assert report.cause is None


def test_a_drifted_week_is_seen_in_words_and_answers(drifted_report):
    """The columns that drifted are named, those that did not are not."""
    assert {"vocabulary", "output"} <= set(drifted_report.drifted_columns)
    assert "input_length" not in drifted_report.drifted_columns
    assert drifted_report.verdict == "both"


def test_the_cause_names_words_client_and_categories(drifted_report):
    """What the simulation planted is what the cause says, with counts."""
    cause = drifted_report.cause
    words = {shift.word: shift for shift in cause.rising}
    assert {"battery", "pack", "busbar", "kabelo"} & set(words)
    risen = next(iter(cause.rising))
    assert risen.reference == 0
    assert risen.current >= 10
    assert max(cause.clients, key=lambda c: c.carries).name == "plant-brno"
    assert {"cell swelling", "wiring fault"} & {shift.name for shift in cause.categories}


def test_the_reason_is_a_sentence_for_people(drifted_report):
    """Columns, words, the plant, its share and the fall of quality are in it."""
    reason = drifted_report.reason
    assert reason.startswith("Input drift and quality loss: ")
    assert "“plant-brno”" in reason
    assert "0.93 of 100 to 0.60 of 100" in reason


def test_drift_without_a_fall_of_quality_is_input_drift(drifting_lake, defect_reports):
    """Quality that stayed is told apart from quality that fell."""
    report = measure_drift(
        drifting_lake, defect_reports, reference=APRIL, current=DRIFTED, quality=STAYED
    )
    assert report.verdict == "input_drift"
    assert report.quality is not None
    assert report.quality.fell is False


def test_a_fall_of_quality_without_drift_is_quality_loss(drifting_lake, defect_reports):
    """The traffic is the same, the answers got worse."""
    report = measure_drift(
        drifting_lake, defect_reports, reference=APRIL, current=QUIET, quality=FELL
    )
    assert report.verdict == "quality_loss"


def test_few_judgments_say_nothing_about_quality(drifting_lake, defect_reports):
    """Nine answers after a change are not enough, and the reason says so."""
    pair = (BEFORE, _judged(date(2026, 5, 11), 1, 9))
    report = measure_drift(
        drifting_lake, defect_reports, reference=APRIL, current=DRIFTED, quality=pair
    )
    assert report.verdict == "input_drift"
    assert report.quality is not None
    assert report.quality.fell is None
    assert "109 control answers" in report.reason


def test_too_few_events_give_no_verdict(drifting_lake, defect_reports):
    """One day is below the minimum: no score, no 0, but a reason."""
    day = Window(date(2026, 5, 11), date(2026, 5, 12))
    report = measure_drift(drifting_lake, defect_reports, reference=APRIL, current=day)
    assert report.verdict is None
    assert report.drifted is None
    assert report.columns == ()
    assert "at least 120" in report.reason


def test_the_minimum_is_enough(drifting_lake, defect_reports):
    """Exactly as many events as asked for give a verdict."""
    quiet = measure_drift(drifting_lake, defect_reports, reference=APRIL, current=QUIET)
    for events, given in ((quiet.current_events, True), (quiet.current_events + 1, False)):
        rules = defect_reports.drift.model_copy(update={"minimum_events": events})
        workload = defect_reports.model_copy(update={"drift": rules})
        report = measure_drift(drifting_lake, workload, reference=APRIL, current=QUIET)
        assert (report.verdict is not None) is given


def test_windows_in_a_row_share_a_column(drifting_lake, defect_reports):
    """Both weeks after the change drifted, the one before did not."""
    reports = measure_windows(
        drifting_lake, defect_reports, reference=APRIL, until=date(2026, 5, 18), count=3
    )
    assert [report.current.start.day for report in reports] == [27, 4, 11]
    before, first, second = (set(report.drifted_columns) for report in reports)
    assert first & second
    assert not before


def test_answers_of_another_release_are_not_compared(lake, land, defect_reports, drifting_calls):
    """A new release answers differently; that is no drift of the traffic."""
    before = [c for c in drifting_calls if c.timestamp < datetime(2026, 4, 13, tzinfo=UTC)]
    after = [
        c
        for c in drifting_calls
        if datetime(2026, 4, 13, tzinfo=UTC) <= c.timestamp < datetime(2026, 4, 20, tzinfo=UTC)
    ]
    land(lake, before)
    land(
        lake,
        after,
        first_offset=len(before),
        release="r2",
        output=['{"category":"dent","urgency":"low"}'] * len(after),
    )
    report = measure_drift(
        lake,
        defect_reports,
        reference=Window(date(2026, 3, 30), date(2026, 4, 13)),
        current=Window(date(2026, 4, 13), date(2026, 4, 20)),
    )
    output = next(column for column in report.columns if column.column == "output")
    assert output.score is None
    assert "another release" in output.note
    assert report.drifted is False


def test_a_report_is_plain_data_and_deterministic(drifting_lake, defect_reports, drifted_report):
    """The same window gives the same report, which JSON can hold."""
    import json

    again = measure_drift(
        drifting_lake, defect_reports, reference=APRIL, current=DRIFTED, quality=FELL
    )
    assert again == drifted_report
    assert json.loads(json.dumps(again.to_dict()))["verdict"] == "both"


def test_the_reason_says_shares_with_their_interval(drifted_report):
    """Shares of texts and of answers, what counts, and what chance explains."""
    reason = drifted_report.reason
    assert "vocabulary new or risen words in" in reason
    assert "% of the texts" in reason
    assert "95 % interval of the change +" in reason
    assert "counts, chance" in reason
    assert "Accuracy on the control slice fell since 2026-05-11" in reason
