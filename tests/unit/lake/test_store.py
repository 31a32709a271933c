"""The lake's door: exactly-once appends, atomic replacement, views, times."""

import subprocess
import sys
import threading
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from flywheel.errors import ConcurrencyError, DataError
from flywheel.lake import TABLES, Lake
from flywheel.lake.handles import CHECKPOINT_COMMITS

_NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def lake(tmp_path):
    """Open an empty lake."""
    opened = Lake(tmp_path / "lake")
    yield opened
    opened.close()


def _inferences(*ids: str, offset: int = 0, **changes: Any) -> pa.Table:
    count = len(ids)
    columns: dict[str, Any] = {
        "topic_id": ["t"] * count,
        "partition": pa.array([0] * count, pa.int32()),
        "offset": list(range(offset, offset + count)),
        "landed_at": [_NOON] * count,
        "timestamp": [_NOON] * count,
        "day": [_NOON.date()] * count,
        "workload_id": ["w"] * count,
        "inference_id": list(ids),
    }
    return pa.table(columns | {name: [value] * count for name, value in changes.items()})


def _correction(version: int, **changes: Any) -> pa.Table:
    row = {"workload_id": "w", "correction_id": "c", "version": version, "status": "accepted"}
    return pa.table({name: [value] for name, value in (row | changes).items()})


def test_a_table_never_written_is_an_empty_view(lake):
    """Every table and view can be queried from the first day."""
    extra = ("first_inferences", "all_inferences", "latest_corrections", "latest_annotations")
    for name in (*TABLES, *extra):
        assert lake.query(f"SELECT * FROM {name}").num_rows == 0
    for name, table in TABLES.items():
        found = lake.query(f"SELECT * FROM {name}").schema
        assert found.names == table.schema.names
        assert lake.query(f"SELECT * FROM stored.{name}").schema == found


@pytest.mark.parametrize("name", TABLES)
def test_rows_come_back_in_the_types_of_their_table(lake, name):
    """A row of nulls and the empty table have the declared types."""
    schema = TABLES[name].schema
    keys = {name: ["w"] for name in TABLES[name].partition_by if name != "day"}
    lake.append(name, pa.table(keys or {schema.names[0]: ["x"]}))
    found = lake.query(f"SELECT * FROM {name}").schema
    expected = [
        (f.name, pa.list_(pa.string()) if pa.types.is_list(f.type) else f.type) for f in schema
    ]
    assert [
        (f.name, pa.list_(pa.string()) if pa.types.is_list(f.type) else f.type) for f in found
    ] == expected


def test_times_come_back_in_utc(lake):
    """A moment given in another zone is the same moment, told in UTC."""
    zone = datetime(2026, 3, 1, 14, tzinfo=UTC).astimezone().tzinfo
    lake.append("inferences", _inferences("a", timestamp=_NOON.astimezone(zone)))
    (row,) = lake.rows("SELECT timestamp, day FROM inferences WHERE timestamp = ?", [_NOON])
    assert row["timestamp"] == _NOON
    assert row["timestamp"].utcoffset() == timedelta(0)
    assert row["day"] == date(2026, 3, 1)


def test_a_time_without_zone_is_refused(lake):
    """Nobody can know which moment it means."""
    with pytest.raises(DataError, match="time zone"):
        lake.append("corrections", _correction(1, accepted_at=datetime(2026, 1, 1)))  # noqa: DTZ001


def test_unknown_columns_and_tables_are_refused(lake):
    """A typo does not make a new column."""
    with pytest.raises(DataError, match="statsu"):
        lake.append("corrections", _correction(1, statsu="accepted"))
    with pytest.raises(DataError, match="no lake table"):
        lake.append("correction", _correction(1))


def test_an_append_happens_once(lake):
    """A version that is there, or an earlier one, writes nothing."""
    assert lake.append("inferences", _inferences("a"), once=("job", 2))
    assert not lake.append("inferences", _inferences("b"), once=("job", 2))
    assert not lake.append("inferences", _inferences("c"), once=("job", 1))
    assert lake.append("inferences", _inferences("d"), once=("job", 3))
    assert lake.append("inferences", _inferences("e"), once=("other", 1))
    rows = lake.rows("SELECT inference_id FROM inferences ORDER BY ALL")
    assert [row["inference_id"] for row in rows] == ["a", "d", "e"]


def test_positions_move_with_the_rows(lake):
    """Landing moves several positions in one commit, also without rows."""
    assert lake.position("inferences", "t", 0) is None
    lake.land("inferences", _inferences("a"), offset_ranges={("t", 0): (0, 5), ("t", 1): (0, 2)})
    lake.land("inferences", _inferences(), offset_ranges={("t", 1): (2, 9)})
    assert [lake.position("inferences", "t", number) for number in range(3)] == [5, 9, None]


def test_landing_from_a_wrong_position_is_refused(lake):
    """Who read from somewhere else is told where the lake stands, and nothing is written."""
    lake.land("inferences", _inferences("a"), offset_ranges={("t", 0): (0, 5)})
    for start in (0, 3, 6):
        with pytest.raises(ConcurrencyError) as caught:
            lake.land("inferences", _inferences("b"), offset_ranges={("t", 0): (start, 9)})
        assert caught.value.facts["positions"] == {("t", 0): 5}
    assert lake.rows("SELECT count(*) AS n FROM inferences") == [{"n": 1}]


def test_a_lost_race_is_a_concurrency_error(lake):
    """Of two lakes that read the same position, one commits and the other is told."""
    rival = Lake(lake.root)
    lake.land("inferences", _inferences("a"), offset_ranges={("t", 0): (0, 1)})
    handle = rival.handle("inferences")
    handle.ready()
    lake.land("inferences", _inferences("b"), offset_ranges={("t", 0): (1, 2)})
    with pytest.raises(ConcurrencyError):
        handle.append(TABLES["inferences"].schema.empty_table(), [("t:0", 2)])
    assert rival.position("inferences", "t", 0) == 2


def test_replacing_is_atomic_and_idempotent(lake):
    """Replaced rows are those equal to the condition, however often it is done."""
    other = pa.table({"workload_id": ["w"], "day": [date(2026, 1, 2)], "key": ["o'clock"]})
    rows = pa.table({"workload_id": ["w"] * 2, "day": [date(2026, 1, 1)] * 2, "key": ["a", "b"]})
    lake.append("profiles", other)
    for _ in range(2):
        lake.replace("profiles", rows, where={"workload_id": "w", "day": date(2026, 1, 1)})
    lake.replace("profiles", other, where={"key": "o'clock"})
    found = lake.rows("SELECT key FROM profiles ORDER BY key")
    assert [row["key"] for row in found] == ["a", "b", "o'clock"]
    lake.replace("profiles", rows.slice(0, 0), where={"workload_id": "w", "day": date(2026, 1, 1)})
    assert lake.rows("SELECT key FROM profiles") == [{"key": "o'clock"}]


def test_replacing_takes_numbers_and_moments(lake):
    """Conditions over integers and times find their rows."""
    rows = pa.table({"workload_id": ["w"], "cycle": ["c"], "attempt": [1], "measured_at": [_NOON]})
    for where in ({"attempt": 1, "cycle": "c"}, {"measured_at": _NOON}):
        lake.replace("evaluations", rows, where=where)
    assert lake.rows("SELECT count(*) AS n FROM evaluations") == [{"n": 1}]


def test_replacing_refuses_rows_outside_its_condition(lake):
    """Such rows would be doubled by the next try."""
    rows = pa.table({"workload_id": ["w"], "day": [date(2026, 1, 2)]})
    with pytest.raises(DataError, match="differ"):
        lake.replace("profiles", rows, where={"day": date(2026, 1, 1)})
    with pytest.raises(DataError, match="condition"):
        lake.replace("profiles", rows, where={})


def test_the_first_of_an_id_counts(lake):
    """Later landings of an id are flagged, by landing and then by position."""
    lake.append("inferences", _inferences("a", "a", "b", offset=5))
    lake.append("inferences", _inferences("a", landed_at=_NOON - timedelta(hours=1)))
    lake.append("inferences", _inferences("a", offset=9, workload_id="v"))
    firsts = lake.rows(
        'SELECT workload_id AS w, inference_id AS i, "offset" AS o FROM first_inferences ORDER BY ALL'
    )
    assert firsts == [
        {"w": "v", "i": "a", "o": 9},
        {"w": "w", "i": "a", "o": 0},
        {"w": "w", "i": "b", "o": 7},
    ]
    (counted,) = lake.rows("SELECT count(*) FILTER (duplicate) AS n FROM all_inferences")
    assert counted == {"n": 2}


def test_a_duplicate_of_another_day_is_not_the_first(lake):
    """Whoever asks for the day of the later event alone does not get it."""
    lake.append("inferences", _inferences("a"))
    late = _NOON + timedelta(days=3)
    lake.append("inferences", _inferences("a", "b", landed_at=late, offset=1, day=late.date()))
    found = lake.rows("SELECT inference_id AS i FROM first_inferences WHERE day = ?", [late.date()])
    assert found == [{"i": "b"}]


def test_the_highest_version_of_a_correction_counts(lake):
    """A later version wins, whenever it was written."""
    lake.append("corrections", _correction(2, status="withdrawn"))
    lake.append("corrections", _correction(1))
    assert lake.rows("SELECT version, status FROM latest_corrections") == [
        {"version": 2, "status": "withdrawn"}
    ]


def test_erased_subjects_are_left_out(lake):
    """Readers see neither their rows nor feedback about them; what is stored stays for counts."""
    lake.append("inferences", _inferences("a", subject_id="s"))
    lake.append("inferences", _inferences("b", offset=1))
    lake.append("feedback", pa.table({"workload_id": ["w"] * 2, "inference_id": ["a", "b"]}))
    assert lake.rows("SELECT count(*) AS n FROM inferences") == [{"n": 2}]
    lake.append("erasures", pa.table({"subject_id": ["s"], "workload_id": ["other"]}))
    assert lake.rows("SELECT count(*) AS n FROM inferences") == [{"n": 2}]
    lake.append("erasures", pa.table({"subject_id": ["s"]}))
    assert lake.rows("SELECT inference_id FROM first_inferences") == [{"inference_id": "b"}]
    assert lake.rows("SELECT inference_id FROM feedback") == [{"inference_id": "b"}]
    assert lake.rows("SELECT count(*) AS n FROM stored.inferences") == [{"n": 2}]


def test_many_commits_stay_readable(lake):
    """Checkpoints and re-opened handles neither lose nor repeat rows."""
    rival = Lake(lake.root)
    for number in range(2 * CHECKPOINT_COMMITS + 3):
        moves = {("t", 0): (number, number + 1)}
        writer = lake if number % 2 else rival
        writer.land("inferences", _inferences(str(number), offset=number), offset_ranges=moves)
    log = lake.root / "inferences" / "_delta_log"
    assert len(list(log.glob("*.checkpoint.parquet"))) == 2
    fresh = Lake(lake.root)
    for reader in (lake, rival, fresh):
        (row,) = reader.rows(
            "SELECT count(*) AS n, count(DISTINCT inference_id) AS d FROM inferences"
        )
        assert row == {"n": 63, "d": 63}
        assert reader.position("inferences", "t", 0) == 63


def test_threads_may_query_at_once(lake):
    """Queries of several threads see whole commits while another one writes."""
    seen: list[int] = []

    def read() -> None:
        for _ in range(10):
            (row,) = lake.rows("SELECT count(*) AS n FROM first_inferences")
            seen.append(row["n"])

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number in range(5):
        lake.append("inferences", _inferences(f"a{number}", f"b{number}", offset=2 * number))
    for reader in readers:
        reader.join()
    assert len(seen) == 30
    assert all(count % 2 == 0 for count in seen)


def test_processes_may_make_the_same_table_at_once(tmp_path):
    """Four processes write their first rows at the same moment, and all rows are there."""
    program = (
        "import sys, pyarrow as pa\nfrom pathlib import Path\nfrom flywheel.lake import Lake\n"
        "lake = Lake(Path(sys.argv[1]))\nsys.stdin.readline()\n"
        "rows = pa.table({'workload_id': ['w'], 'inference_id': [sys.argv[2]]})\n"
        "lake.retry(lambda: lake.append('feedback', rows))\n"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path), str(number)],
            stdin=subprocess.PIPE,
            cwd=Path(__file__).parents[3],
        )
        for number in range(4)
    ]
    for process in processes:
        process.communicate(b"\n", timeout=60)
    assert [process.returncode for process in processes] == [0] * 4
    assert Lake(tmp_path).rows("SELECT count(DISTINCT inference_id) AS n FROM feedback") == [
        {"n": 4}
    ]


def test_a_wrong_query_says_so(lake):
    """An error of DuckDB is raised as a DataError."""
    with pytest.raises(DataError, match="query failed"):
        lake.query("SELECT nothing FROM inferences")


def test_a_column_added_later_is_null_in_old_rows(lake, monkeypatch):
    """A table that has gained a column reads its old files with nulls there."""
    from flywheel.lake.tables import LakeTable

    table = TABLES["dataset_rows"]
    old = LakeTable(
        table.name, table.description, table.schema.remove(4), table.partition_by, table.statistics
    )
    handle = lake.handle("dataset_rows")
    monkeypatch.setattr(handle, "table", old)
    lake.append("dataset_rows", pa.table({"workload_id": ["w"], "snapshot": ["old"]}))
    monkeypatch.undo()
    assert lake.rows(f"SELECT {table.schema.names[4]} AS added FROM dataset_rows") == [
        {"added": None}
    ]
    lake.append("dataset_rows", pa.table({"workload_id": ["w"], table.schema.names[4]: ["new"]}))
    found = lake.rows(
        f"SELECT snapshot, {table.schema.names[4]} AS added FROM dataset_rows ORDER BY 1 NULLS LAST"
    )
    assert found == [{"snapshot": "old", "added": None}, {"snapshot": None, "added": "new"}]
