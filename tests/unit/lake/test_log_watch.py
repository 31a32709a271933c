"""A running process sees what others commit, and the rows of a backup that is put in the lake's place."""

import shutil
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from flywheel.lake import Lake

NOW = datetime(2026, 3, 3, 12, tzinfo=UTC)
OUTPUTS = "SELECT string_agg(output, ' ' ORDER BY output) AS outputs FROM latest_corrections"
IDS = "SELECT string_agg(inference_id, ' ' ORDER BY inference_id) AS ids FROM first_inferences"


def correct(lake, output):
    row = {"workload_id": "w", "correction_id": output, "version": 1, "output": output}
    lake.append("corrections", pa.Table.from_pylist([row]))


def land(lake, inference_id, offset):
    row = {"workload_id": "w", "inference_id": inference_id, "topic_id": "t", "partition": 0}
    row |= {"day": NOW.date(), "offset": offset, "landed_at": NOW}
    lake.append("inferences", pa.Table.from_pylist([row]))


@pytest.fixture
def lakes(tmp_path):
    """Open a lake, and return it with a function that puts a backup of now in its place."""
    lake = Lake(tmp_path / "lake")
    correct(lake, "first")
    land(lake, "i1", 0)
    shutil.copytree(lake.root, tmp_path / "backup")

    def restore():
        shutil.rmtree(lake.root)
        shutil.copytree(tmp_path / "backup", lake.root)
        return Lake(lake.root)

    yield lake, restore
    lake.close()


def test_the_same_version_of_a_restored_table_is_read_again(lakes):
    """The rows that were held, and the snapshot that was open, are those of a lost history."""
    lake, restore = lakes
    correct(lake, "lost")
    for _ in range(3):
        assert lake.rows(OUTPUTS) == [{"outputs": "first lost"}]
    before = lake.handle("corrections").snapshot_key
    restored = restore()
    correct(restored, "new")
    for _ in range(3):
        assert lake.rows(OUTPUTS) == [{"outputs": "first new"}]
    after = lake.handle("corrections").snapshot_key
    assert (before[0], after[0] == before[0], after == before) == (2, True, False)
    correct(lake, "own")
    assert restored.rows(OUTPUTS) == [{"outputs": "first new own"}]
    restored.close()


def test_delta_looks_at_a_log_that_went_on_and_at_no_other(lakes, monkeypatch):
    """Looking at the log costs Delta ten times what it takes to see that there is no next entry."""
    lake, _ = lakes
    other = Lake(lake.root)
    delta = lake.handle("corrections").ready()
    lake.rows(OUTPUTS)
    looks = []
    update = delta.update_incremental
    monkeypatch.setattr(delta, "update_incremental", lambda: looks.append(1) or update())
    for _ in range(3):
        assert lake.rows(OUTPUTS) == [{"outputs": "first"}]
    assert looks == []
    correct(other, "second")
    assert lake.rows(OUTPUTS) == [{"outputs": "first second"}]
    assert looks == [1]
    other.close()


def test_commits_whose_entries_maintenance_removed_are_seen(lakes):
    """The entry after the open version is gone, and so no sign that the log ends with that version."""
    lake, _ = lakes
    other = Lake(lake.root)
    for _ in range(2):
        assert lake.rows(OUTPUTS) == [{"outputs": "first"}]
    version = lake.handle("corrections").snapshot_key[0]
    for output in ("second", "third"):
        correct(other, output)
    other.handle("corrections").checkpoint()
    for later in (1, 2):
        (lake.root / "corrections" / "_delta_log" / f"{version + later:020}.json").unlink()
    assert lake.rows(OUTPUTS) == [{"outputs": "first second third"}]
    other.close()


def test_an_event_that_only_a_lost_history_held_is_no_repeat(lakes):
    """It lands again after the restore, and counts."""
    lake, restore = lakes
    land(lake, "i2", 1)
    assert lake.rows(IDS) == [{"ids": "i1 i2"}]
    restored = restore()
    land(restored, "i2", 1)
    assert lake.rows(IDS) == [{"ids": "i1 i2"}]
    land(restored, "i2", 2)
    assert lake.rows(IDS) == [{"ids": "i1 i2"}]
    restored.close()


def test_an_earlier_version_is_seen_at_once(lakes):
    """Nobody has written since the backup was put back."""
    lake, restore = lakes
    correct(lake, "lost")
    assert lake.rows(OUTPUTS) == [{"outputs": "first lost"}]
    restore().close()
    assert lake.rows(OUTPUTS) == [{"outputs": "first"}]


def test_figures_are_those_of_the_restored_events(lakes):
    """Counted by day and kept, they are counted again, also at a number that was seen before."""
    lake, restore = lakes
    count = "SELECT sum(landed)::BIGINT AS n FROM stored.event_figures"
    land(lake, "i2", 1)
    assert lake.rows(count) == [{"n": 2}]
    restored = restore()
    table = pa.Table.from_pylist(
        [
            {"workload_id": "w", "inference_id": f"n{number}", "topic_id": "t", "partition": 0}
            | {"day": NOW.date(), "offset": 1 + number, "landed_at": NOW}
            for number in range(2)
        ]
    )
    restored.append("inferences", table)
    assert lake.rows(count) == [{"n": 3}]
    restored.close()


def test_a_store_that_is_away_replaces_nothing(lakes, monkeypatch):
    """The table is opened again, and what is known of it stays."""
    lake, _ = lakes
    lake.rows(OUTPUTS)

    def away(*_):
        raise TimeoutError("the store does not answer")

    with monkeypatch.context() as context:
        context.setattr("flywheel.lake.log_watch.LogWatch._mark", away)
        assert lake.rows(OUTPUTS) == [{"outputs": "first"}]
    assert lake.rows(OUTPUTS) == [{"outputs": "first"}]
    assert lake.handle("corrections").snapshot_key == (1, 0)


def test_a_table_that_nobody_replaced_is_opened_once(lakes, monkeypatch):
    """Commits of this process and of another one are no reason to open it again."""
    lake, _ = lakes
    other = Lake(lake.root)
    lake.rows(OUTPUTS)
    monkeypatch.setattr(lake.handle("corrections"), "_open", lambda: pytest.fail("opened"))
    for number in range(3):
        correct(lake, f"a{number}")
        correct(other, f"b{number}")
        lake.rows(OUTPUTS)
    assert lake.handle("corrections").snapshot_key == (7, 0)
    other.close()
