"""Events whose id came before: found once per data file, and the same as by looking at everything."""

import json
import os
import random
import shutil
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from flywheel.lake import Lake, event_id_files, later_events
from flywheel.lake.event_ids import EventIds
from flywheel.lake.later_events import LaterEvents
from flywheel.lake.maintenance import maintain

_NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
_BY_ALL_ROWS = """
SELECT topic_id, "partition", "offset" FROM stored.inferences
QUALIFY row_number() OVER (PARTITION BY workload_id, inference_id
                           ORDER BY landed_at, topic_id, "partition", "offset") = 1
ORDER BY ALL
"""
_FIRSTS = 'SELECT topic_id, "partition", "offset" FROM first_inferences ORDER BY ALL'
_COUNT = "SELECT count(*) AS n FROM first_inferences"


@pytest.fixture
def lake(tmp_path, monkeypatch):
    """Open an empty lake that keeps what it found after each query."""
    monkeypatch.setattr(later_events, "_UNSAVED_ROWS", 1)
    opened = Lake(tmp_path / "lake")
    yield opened
    opened.close()


def _land(lake, ids, *, at, day=0, landed=0, workload="w"):
    moment = _NOON + timedelta(days=day)
    rows = {
        "topic_id": ["t"] * len(ids),
        "partition": pa.array([0] * len(ids), pa.int32()),
        "offset": list(range(at, at + len(ids))),
        "landed_at": [_NOON + timedelta(hours=landed)] * len(ids),
        "timestamp": [moment] * len(ids),
        "day": [moment.date()] * len(ids),
        "workload_id": [workload] * len(ids),
        "inference_id": ids,
    }
    lake.land("inferences", pa.table(rows), offset_ranges={("t", 0): (at, at + len(ids))})
    return at + len(ids)


def _count(lake):
    return lake.rows(_COUNT)[0]["n"]


def _manifest(lake):
    return lake.root / "event_ids" / "manifest.json"


def test_firsts_are_those_of_a_look_at_all_rows(lake):
    """Whatever lands, in which order and by which clock; kept, compacted and opened again between."""
    rng, at = random.Random(2), 0  # noqa: S311 - reproducible, not secret
    other = Lake(lake.root)
    for number in range(10):
        at = _land(
            lake,
            [f"i{rng.randrange(20)}" for _ in range(rng.randrange(1, 9))],
            at=at,
            day=rng.randrange(4),
            landed=number * rng.choice([1, 1, -1]),
            workload=rng.choice("wv"),
        )
        reader = rng.choice([lake, lake, other, None])
        if reader is not None:
            assert reader.rows(_FIRSTS) == lake.rows(_BY_ALL_ROWS)
        if number == 6:
            maintain(lake, now=_NOON + timedelta(days=9))
        if number == 8:
            lake.close()
    for reader in (lake, other, Lake(lake.root)):
        assert reader.rows(_FIRSTS) == lake.rows(_BY_ALL_ROWS)
    other.close()


def test_an_id_counts_once_also_months_later(lake):
    """The day of the later event does not have it, and the day itself is all that is read for it."""
    at = _land(lake, ["a", "b"], at=0)
    assert _count(lake) == 2
    _land(lake, ["a", "c"], at=at, day=120, landed=24 * 120)
    rows = lake.rows("SELECT inference_id AS i FROM first_inferences WHERE day > '2026-04-01'")
    assert rows == [{"i": "c"}]


def test_a_few_repeats_of_many_days_are_kept(tmp_path):
    """Finding the first copies again costs the next process as much as many new files would."""
    lake = Lake(tmp_path / "lake")
    at = 0
    for day in range(12):
        at = _land(lake, [f"i{day}"], at=at, day=day, landed=24 * day)
    assert _count(lake) == 12
    assert not _manifest(lake).exists()
    _land(lake, [f"i{day}" for day in range(12)], at=at, day=12, landed=24 * 12)
    assert _count(lake) == 12
    assert len(json.loads(_manifest(lake).read_bytes())["files"]) == 13
    lake.close()


def test_a_day_is_read_alone(lake):
    """Files of other days are not opened, and an id that came before is left out all the same."""
    at = _land(lake, ["a", "b"], at=0)
    at = _land(lake, ["a", "c", "d"], at=at, day=1, landed=24)
    _land(lake, ["e"], at=at, day=1, landed=25, workload="v")
    for path in lake.root.glob("inferences/workload_id=w/day=2026-03-01/*.parquet"):
        assert _count(lake) == 5
        path.unlink()
    day = (_NOON + timedelta(days=1)).date()
    query = "SELECT inference_id AS i FROM first_inferences ORDER BY ALL"
    rows = [row["i"] for row in lake.rows(query, event_days=[day])]
    assert rows == ["c", "d", "e"]
    assert lake.rows("SELECT count(*) AS n FROM inferences", event_days=[]) == [{"n": 0}]
    lake.append("erasures", pa.table({"subject_id": ["s"]}))
    assert [row["i"] for row in lake.rows(query, event_days=[day])] == rows


def test_days_are_those_of_late_answers_and_of_named_ids_too(lake):
    """By what Delta's log and the ids say, without opening a file."""
    at = _land(lake, ["a"], at=0)
    at = _land(lake, ["b"], at=at, day=1, landed=24)
    at = _land(lake, ["c"], at=at, day=2, landed=48)
    days = [(_NOON + timedelta(days=number)).date() for number in range(3)]
    assert lake.event_days("w", days[2]) == {days[2]}
    assert lake.event_days("w", days[2], ids=["a", "none"]) == {days[0], days[2]}
    assert lake.event_days("w", days[2], landed_after={"t/0": 0}) == set(days[1:])
    assert lake.event_days("w", days[2], landed_after={"other/0": 9}) == set(days)
    assert lake.event_days("v", days[0]) == set()


def test_a_data_file_is_looked_at_once(lake, monkeypatch):
    """Neither a second query nor another process looks at a file again whose ids are kept."""
    at = _land(lake, ["a", "b"], at=0)
    assert _count(lake) == 2
    looked_at = []
    keys = LaterEvents._keys

    def record(self, connection, files):
        looked_at.extend(files)
        return keys(self, connection, files)

    monkeypatch.setattr(LaterEvents, "_keys", record)
    for reader in (lake, Lake(lake.root)):
        assert _count(reader) == 2
    assert looked_at == []
    _land(lake, ["a"], at=at, day=1)
    assert _count(Lake(lake.root)) == 2
    assert len(looked_at) == 1


class Killed(BaseException):
    """Stand for a process that ends at this very point."""


@pytest.mark.parametrize("point", ["_write_run", "_write_manifest"])
def test_a_crash_between_the_two_writes_leaves_the_count_right(lake, monkeypatch, point):
    """Rows are in, and the process ended before their ids were kept, or in the middle of it."""
    at = _land(lake, ["a", "b"], at=0)
    assert _count(lake) == 2
    before = _manifest(lake).read_bytes()
    _land(lake, ["b", "c", "c"], at=at, day=1)

    def kill(*_):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(event_id_files.EventIdFiles, point, kill)
        with pytest.raises(Killed):
            _count(lake)
    assert _manifest(lake).read_bytes() == before
    reader = Lake(lake.root)
    assert _count(reader) == 3
    assert _manifest(lake).read_bytes() != before
    files = {path.name for path in _manifest(lake).parent.iterdir()}
    manifest = json.loads(_manifest(lake).read_bytes())
    runs = {f"{name}.{part}.npy" for name in manifest["runs"] for part in ("keys", "folders")}
    assert files == {"manifest.json", manifest["later"], *runs}


def test_a_full_disk_fails_no_query(lake, monkeypatch):
    """What could not be kept is looked at again by the next process."""

    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    _land(lake, ["a", "a"], at=0)
    with monkeypatch.context() as patch:
        patch.setattr(event_id_files, "write_json", fail)
        assert _count(lake) == 1
    assert _count(Lake(lake.root)) == 1


@pytest.mark.parametrize("damage", ["gone", "no json", "run cut", "another duckdb"])
def test_what_is_lost_is_made_again(lake, damage):
    """The files beside the tables are derived: a lake of an earlier version has none."""
    at = _land(lake, ["a", "b", "a"], at=0)
    assert _count(lake) == 2
    folder = _manifest(lake).parent
    if damage == "gone":
        shutil.rmtree(folder)
    elif damage == "no json":
        _manifest(lake).write_text("{")
    elif damage == "run cut":
        run = next(folder.glob("ids-*.keys.npy"))
        run.write_bytes(run.read_bytes()[:-8])
    else:
        made_by = _manifest(lake).read_text().replace("duckdb", "duckdb 0")
        _manifest(lake).write_text(made_by)
    _land(lake, ["b", "c"], at=at, day=2)
    assert _count(Lake(lake.root)) == 3
    assert _manifest(lake).exists()


def test_a_restored_lake_is_compared_anew(lake, tmp_path):
    """Positions that land again after a restore may come in another order."""
    _land(lake, ["x"], at=0, landed=1)
    backup = tmp_path / "backup"
    shutil.copytree(lake.root / "inferences", backup)
    _land(lake, ["a"], at=1, landed=2)
    _land(lake, ["a"], at=2, landed=3, day=1)
    assert _count(lake) == 2
    shutil.rmtree(lake.root / "inferences")
    shutil.copytree(backup, lake.root / "inferences")
    restored = Lake(lake.root)
    _land(restored, ["b", "a"], at=1, landed=4)
    assert restored.rows(_FIRSTS) == restored.rows(_BY_ALL_ROWS)
    assert _count(restored) == 3


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_home_is_read_all_the_same(lake):
    """Nothing is kept there, and the count is right."""
    _land(lake, ["a", "a", "b"], at=0)
    lake.root.chmod(0o500)
    try:
        assert _count(Lake(lake.root)) == 2
        assert not _manifest(lake).parent.exists()
    finally:
        lake.root.chmod(0o700)


def test_a_long_comparison_is_announced(lake, monkeypatch, caplog):
    """A large lake of an earlier version is brought up once, and says so."""
    monkeypatch.setattr(later_events, "_SILENT_BYTES", 0)
    _land(lake, ["a", "a"], at=0)
    assert _count(lake) == 1
    assert "this is done once" in caplog.text
    caplog.clear()
    assert _count(Lake(lake.root)) == 1
    assert not caplog.text


def test_ids_name_every_folder_that_holds_them():
    """However the runs were merged, and also when a folder is added again."""
    rng = np.random.default_rng(5)
    ids, folders_of = EventIds(), {}
    for number in range(40):
        folder = int(rng.integers(12))
        keys = rng.integers(0, 400, int(rng.integers(1, 80))).astype(np.uint64)
        repeated, folders = ids.add(keys, folder)
        values, counts = np.unique(keys, return_counts=True)
        several = {int(key) for key in values[counts > 1]}
        earlier = {int(key) for key in values if int(key) in folders_of}
        assert set(repeated.tolist()) == several | earlier, number
        expected = set().union(*(folders_of[key] for key in earlier)) if earlier else set()
        assert set(folders.tolist()) == (expected | {folder} if len(repeated) else set())
        for key in values.tolist():
            folders_of.setdefault(int(key), set()).add(folder)
    assert sum(len(run) for run in ids.runs) == sum(map(len, folders_of.values()))
    assert len(ids.runs) < 8
