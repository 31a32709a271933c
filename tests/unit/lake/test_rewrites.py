"""Two commits that replace the same files: without a common lock, one of them is refused."""

from datetime import timedelta

import pytest

from flywheel.errors import ConcurrencyError
from flywheel.lake import Lake
from flywheel.lake.compaction import _write_again
from flywheel.lake.erasure import _change
from tests.faults.test_lake_faults import _NOW, _count, _land

_DAY = (_NOW - timedelta(days=2)).date()


@pytest.fixture
def rivals(tmp_path):
    """Return two machines' views of one version of a lake with many small files."""
    lake = Lake(tmp_path / "lake")
    for number in range(4):
        _land(lake, number * 20, 20, day=_NOW - timedelta(days=2))
    pair = (lake, Lake(lake.root))
    for one in pair:
        one.handle("inferences").refresh()
    return pair


def _stand_still(lake, monkeypatch):
    # The other machine's commit comes after this one has read the table.
    handle = lake.handle("inferences")
    monkeypatch.setattr(handle, "refresh", handle.present)
    monkeypatch.setattr("flywheel.lake.compaction._require_undamaged", lambda *_: None)


def test_the_second_of_two_compactions_is_refused(rivals, monkeypatch):
    """As of two machines, which share no lock: the rows are there once, in one file."""
    first, second = rivals
    _write_again(first, first.handle("inferences"), _DAY)
    _stand_still(second, monkeypatch)
    with pytest.raises(ConcurrencyError):
        _write_again(second, second.handle("inferences"), _DAY)
    assert _count(first) == 80
    assert len(first.handle("inferences").files()) == 1


def test_rows_written_again_are_the_same(rivals):
    """Every column of every row, also those that stand in the name of a folder."""
    lake, _ = rivals
    before = lake.query("SELECT * FROM stored.inferences").sort_by("offset")
    _write_again(lake, lake.handle("inferences"), _DAY)
    assert lake.query("SELECT * FROM stored.inferences").sort_by("offset") == before


def test_an_erasure_beside_a_compaction_is_repeated(rivals):
    """What was emptied stays emptied, and the rows are there once."""
    first, second = rivals
    _write_again(first, first.handle("inferences"), _DAY)
    _change(second, "inferences", "inference_id = 'i3'", {"request": "NULL"})
    emptied = first.rows("SELECT inference_id FROM stored.inferences WHERE request IS NULL")
    assert emptied == [{"inference_id": "i3"}]
    assert _count(first) == 80
