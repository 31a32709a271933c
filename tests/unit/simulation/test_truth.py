import pytest

from flywheel.errors import IntegrityError
from flywheel.simulation.truth import SimulatedTruth


def test_the_truth_lies_in_a_file_of_its_own(tmp_path, defect_reports, june_calls):
    """Written once, read back by the next process."""
    truth = SimulatedTruth(tmp_path, defect_reports.id)
    assert truth.remember(june_calls) == len(june_calls)
    assert truth.remember(june_calls) == 0
    again = SimulatedTruth(tmp_path, defect_reports.id)
    assert dict(again) == {c.inference_id: c.truth for c in june_calls}
    assert again.path == tmp_path / "simulated" / "truth-defect_reports.jsonl"


def test_half_a_line_is_cut_off_and_written_again(tmp_path, defect_reports, june_calls):
    """A process killed while writing costs nothing."""
    truth = SimulatedTruth(tmp_path, defect_reports.id)
    truth.remember(june_calls)
    whole = truth.path.read_text()
    truth.path.write_text(whole[:-20])
    again = SimulatedTruth(tmp_path, defect_reports.id)
    assert again.remember(june_calls) == 1
    assert SimulatedTruth(tmp_path, defect_reports.id).path.read_text() == whole


def test_a_damaged_line_is_an_error(tmp_path, defect_reports, june_calls):
    """What cannot be read is never taken for an unknown truth."""
    truth = SimulatedTruth(tmp_path, defect_reports.id)
    truth.remember(june_calls)
    truth.path.write_text("garbage\n" + truth.path.read_text())
    with pytest.raises(IntegrityError, match="line 1"):
        SimulatedTruth(tmp_path, defect_reports.id)
