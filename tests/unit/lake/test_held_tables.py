"""Small tables that are asked again are read from memory, and never from an earlier version."""

import threading
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from bench.reads import cost_of
from flywheel.errors import FlywheelError
from flywheel.lake import Lake, held_tables
from flywheel.lake.maintenance import maintain

NOW = datetime(2026, 3, 3, 12, tzinfo=UTC)
COUNT = "SELECT count(*) AS n, count(DISTINCT output) AS outputs FROM latest_corrections"


@pytest.fixture
def lake(tmp_path):
    """Open a lake with four files of corrections."""
    opened = Lake(tmp_path / "lake")
    for number in range(4):
        append(opened, number)
    yield opened
    opened.close()


def append(lake, number, **changes):
    """Write a file with one correction."""
    row = {"workload_id": "w", "correction_id": f"c{number}", "version": 1, "output": f'"{number}"'}
    lake.append("corrections", pa.Table.from_pylist([row | changes]))


def files_read(lake, sql=COUNT):
    """Count the data files that a query opens, and return its first row too."""
    rows = []
    cost = cost_of(lambda: rows.extend(lake.rows(sql)), lake.root)
    return cost.files, rows[0]


def test_a_table_is_read_twice_and_then_held(lake):
    """However often it is asked for, until it has a new version."""
    assert files_read(lake)[0] == 4
    lake.rows(COUNT)
    assert files_read(lake) == (0, {"n": 4, "outputs": 4})


def test_a_commit_of_another_process_is_seen_at_once(lake, tmp_path):
    """What is held is never of an earlier version."""
    for _ in range(3):
        lake.rows(COUNT)
    other = Lake(tmp_path / "lake")
    append(other, 4)
    other.close()
    assert files_read(lake)[1] == {"n": 5, "outputs": 5}
    for _ in range(2):
        assert lake.rows(COUNT) == [{"n": 5, "outputs": 5}]
    assert files_read(lake)[0] == 0


def test_an_erasure_leaves_out_what_is_held(lake):
    """The rows of an erased person are not read from memory either, before and after maintenance."""
    append(lake, 4, subject_id="p")
    for _ in range(3):
        assert lake.rows(COUNT)[0]["n"] == 5
    erasure = {"workload_id": None, "subject_id": "p", "requested_at": NOW}
    lake.append("erasures", pa.Table.from_pylist([erasure]))
    for _ in range(3):
        assert lake.rows(COUNT)[0]["n"] == 4
    maintain(lake, now=NOW)
    for _ in range(3):
        assert lake.rows("SELECT count(*) AS n FROM stored.corrections") == [{"n": 4}]


def test_a_large_table_is_not_held(lake, monkeypatch):
    """Memory is bounded by what the files of a table take."""
    monkeypatch.setattr(held_tables, "_MOST_BYTES", 100)
    for _ in range(3):
        files, row = files_read(lake)
    assert (files, row["n"]) == (4, 4)


def test_events_are_not_held(lake):
    """Whole requests and responses stay on the disk."""
    event = {"workload_id": "w", "inference_id": "i", "day": NOW.date(), "topic_id": "t"}
    lake.append("inferences", pa.Table.from_pylist([event | {"partition": 0, "offset": 0}]))
    sql = "SELECT count(*) AS n FROM inferences"
    lake.rows(sql)
    lake.rows(sql)
    assert files_read(lake, sql)[0] == 1


def test_a_damaged_file_fails_the_queries_that_read_it(lake):
    """The second query reports it as the first does, and what needs no column of it goes on."""
    path = next((lake.root / "corrections").glob("workload_id=w/*.parquet"))
    content = bytearray(path.read_bytes())
    content[4:40] = bytes(36)
    path.write_bytes(content)
    for _ in range(3):
        with pytest.raises(FlywheelError, match="The lake query failed"):
            lake.rows("SELECT * FROM corrections")
    assert lake.rows("SELECT count(*) AS n FROM corrections") == [{"n": 4}]


def test_threads_that_ask_while_others_write_see_whole_versions(lake):
    """A table is taken into memory and let go while other cursors read it."""
    problems = []

    def read():
        try:
            counts = [lake.rows(COUNT)[0]["n"] for _ in range(15)]
            assert counts == sorted(counts)
        except (AssertionError, FlywheelError) as error:
            problems.append(error)

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(4, 9):
        append(lake, number)
    for thread in threads:
        thread.join()
    assert problems == []


def test_a_lake_that_was_closed_reads_again(lake):
    """What was held went with DuckDB."""
    for _ in range(3):
        lake.rows(COUNT)
    lake.close()
    assert files_read(lake)[0] == 4
