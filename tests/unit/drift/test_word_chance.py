"""Which texts are read to tell a shift of the words from chance."""

from datetime import date

from flywheel.drift.window import Window
from flywheel.drift.word_chance import read_texts

BEFORE, NOW = (
    Window(date(2026, 3, 30), date(2026, 5, 4)),
    Window(date(2026, 5, 4), date(2026, 5, 18)),
)
LATER = Window(date(2027, 1, 1), date(2027, 2, 1))


def test_each_window_is_thinned_by_its_own_size(drifting_lake, defect_reports):
    """Ten times more events than are needed: one text in ten, of that window alone."""

    def read(*sizes):
        sample = read_texts(drifting_lake, defect_reports, BEFORE, NOW, days=7, sizes=sizes)
        return int((~sample.current).sum()), int(sample.current.sum())

    every = read(1, 1)
    assert every[0] > 2 * every[1] > 0
    thin_before, thin_now = read(24_000, 1), read(1, 24_000)
    assert thin_before[1] == every[1]
    assert 0.05 * every[0] < thin_before[0] < 0.2 * every[0]
    assert thin_now[0] == every[0]
    assert 0.05 * every[1] < thin_now[1] < 0.2 * every[1]


def test_a_window_without_texts_gives_no_sample(drifting_lake, defect_reports):
    """Texts of one side alone can be compared with nothing."""
    for windows in ((BEFORE, LATER), (LATER, NOW)):
        assert read_texts(drifting_lake, defect_reports, *windows, days=7, sizes=(1, 1)) is None
