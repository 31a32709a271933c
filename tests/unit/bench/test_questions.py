"""The bench of questions: a file that is not there is seen, and the measured file teaches nobody."""

from bench.decisions.labeled_files import LabeledFile
from bench.decisions.questions import _rows_of


def test_a_missing_file_is_a_row_that_says_so(tmp_path):
    """Figures that could not be measured are neither left out nor counted as met."""
    file = LabeledFile("absent", tmp_path / "absent", lambda _: ([], []))
    (row,) = _rows_of(file)
    assert row.measured.startswith("skipped: no data in")
    assert not row.met
