"""Upkeep: fewer files, the same rows; erased subjects gone for good; readers undisturbed."""

import os
import time
from datetime import UTC, datetime, timedelta

import duckdb
import pyarrow as pa
import pytest

from flywheel.errors import ConcurrencyError, ConfigurationError
from flywheel.lake import Lake
from flywheel.lake.handles import CHECKPOINT_COMMITS, TableHandle
from flywheel.lake.maintenance import maintain
from flywheel.lake.positions import source_id
from flywheel.lake.rows import conform

_NOW = datetime(2026, 3, 3, 12, tzinfo=UTC)


@pytest.fixture
def lake(tmp_path):
    """Open a lake with three days of rows in many files, for two people."""
    opened = Lake(tmp_path / "lake")
    for number in range(12):
        moment = _NOW - timedelta(days=number % 3)
        row = {
            "topic_id": "t",
            "offset": number,
            "landed_at": _NOW,
            "timestamp": moment,
            "day": moment.date(),
            "workload_id": "w",
            "inference_id": f"i{number}",
            "subject_id": "anna" if number % 4 == 0 else "bert",
            "request": f"text of {number}",
            "input": f"text of {number}",
        }
        table = pa.table({name: [value] for name, value in row.items()})
        opened.land("inferences", table, offset_ranges={("t", 0): (number, number + 1)})
    yield opened
    opened.close()


def _add(lake, table, **row):
    lake.append(table, pa.table({name: [value] for name, value in row.items()}))


def _upkeep(report, name):
    return next(upkeep for upkeep in report.tables if upkeep.table == name)


def test_closed_days_are_compacted_and_the_open_one_is_left(lake):
    """Each closed day becomes one file; rows and positions stay."""
    before = lake.query("SELECT * FROM inferences ORDER BY inference_id")
    report = maintain(lake, now=_NOW)
    upkeep = _upkeep(report, "inferences")
    assert upkeep.files_before == 12
    assert upkeep.files_after == 2 + 4
    assert lake.query("SELECT * FROM inferences ORDER BY inference_id") == before
    assert lake.position("inferences", "t", 0) == 12
    assert Lake(lake.root).position("inferences", "t", 0) == 12


def test_an_open_day_is_compacted_when_small_files_pile_up(lake, monkeypatch):
    """A slow stream writes thousands of small files a day, which readers would feel by evening."""
    monkeypatch.setattr("flywheel.lake.compaction._OPEN_DAY_FILES", 3)
    assert _upkeep(maintain(lake, now=_NOW), "inferences").files_after == 3
    assert len(lake.query("SELECT * FROM inferences")) == 12


def test_doing_it_again_changes_nothing(lake):
    """A maintained lake has nothing to compact."""
    maintain(lake, now=_NOW)
    again = _upkeep(maintain(lake, now=_NOW), "inferences")
    assert again.files_before == again.files_after == 6


def _age_log(lake, table, *, minutes):
    past = time.time() - 60 * minutes
    for entry in (lake.root / table / "_delta_log").iterdir():
        os.utime(entry, (past, past))


def test_old_log_entries_go_with_a_checkpoint(lake):
    """Otherwise each commit would cost more than the one before, without end."""
    log = lake.root / "inferences" / "_delta_log"
    rows = pa.table({"workload_id": ["w"], "inference_id": ["new"], "day": [_NOW.date()]})
    at = 12
    for _ in range(2):
        for _ in range(CHECKPOINT_COMMITS):
            lake.land("inferences", rows, offset_ranges={("t", 0): (at, at + 1)})
            at += 1
        entries = len(list(log.glob("*.json")))
        _age_log(lake, "inferences", minutes=60)
    assert entries < at - CHECKPOINT_COMMITS / 2
    again = Lake(lake.root)
    assert again.position("inferences", "t", 0) == at == len(again.query("FROM inferences"))


def test_a_writer_that_stood_still_meanwhile_is_refused(lake):
    """Its snapshot is older than the log: it must read the position again, and then may go on."""
    sleeper = Lake(lake.root).handle("inferences")
    sleeper.ready()
    rows = pa.table({"workload_id": ["w"], "inference_id": ["new"], "day": [_NOW.date()]})
    for number in range(12, 12 + CHECKPOINT_COMMITS):
        lake.land("inferences", rows, offset_ranges={("t", 0): (number, number + 1)})
    _age_log(lake, "inferences", minutes=60)
    maintain(lake, now=_NOW)
    with pytest.raises(ConcurrencyError, match="stood still"):
        sleeper.append(conform(sleeper.table, rows), [(source_id("t", 0), 13)])
    assert len(lake.query("SELECT * FROM inferences")) == 12 + CHECKPOINT_COMMITS
    sleeper.ready()
    sleeper.append(conform(sleeper.table, rows), [(source_id("t", 0), 13 + CHECKPOINT_COMMITS)])
    assert len(lake.query("SELECT * FROM inferences")) == 13 + CHECKPOINT_COMMITS


def test_a_table_that_was_made_earlier_is_brought_up_to_date(lake):
    """A lake from before keeps its log for a month until it is maintained."""
    handle = lake.handle("inferences")
    key = "delta.logRetentionDuration"
    handle.ready().alter.set_table_properties({key: "interval 30 days"})
    maintain(lake, now=_NOW)
    assert Lake(lake.root).handle("inferences").refresh().metadata().configuration[key] == (
        "interval 15 minutes"
    )
    version = handle.refresh().version()
    maintain(lake, now=_NOW)
    assert handle.refresh().version() - version <= 2  # a vacuum's two entries


def test_ingest_goes_on_after_it(lake):
    """The position is fenced as before, for this process and others."""
    other = Lake(lake.root)
    assert other.position("inferences", "t", 0) == 12
    maintain(lake, now=_NOW)
    rows = pa.table({"workload_id": ["w"], "inference_id": ["new"], "day": [_NOW.date()]})
    other.land("inferences", rows, offset_ranges={("t", 0): (12, 13)})
    assert lake.position("inferences", "t", 0) == 13


def test_an_open_reader_is_not_cut_off(lake):
    """A query that began before still finds every file that it knows."""
    handle = lake.handle("inferences")
    delta = handle.refresh()
    assert delta is not None
    files = delta.file_uris()
    maintain(lake, now=_NOW)
    (count,) = duckdb.sql(f"SELECT count(*) FROM read_parquet({files!r})").fetchall()
    assert count == (12,)


def test_a_short_retention_is_refused(lake):
    """Readers that are open would lose their files."""
    with pytest.raises(ConfigurationError, match="cut off"):
        maintain(lake, now=_NOW, retention_hours=1)


def test_erased_subjects_are_removed_for_good(lake):
    """Events are emptied and stay countable; other texts go; membership stays."""
    _add(lake, "feedback", workload_id="w", inference_id="i0", value='"anna said"', author="x")
    _add(lake, "feedback", workload_id="w", inference_id="i1", value='"bert said"', author="x")
    _add(lake, "annotations", workload_id="w", inference_id="i4", annotation_id="a", raw="text")
    _add(lake, "corrections", workload_id="w", correction_id="c", subject_id="anna", input="x")
    _add(lake, "dataset_rows", workload_id="w", snapshot="s", subject_id="anna")
    _add(lake, "dead_letters", topic_id="t", partition=0, offset=99, raw=b'{"subject_id":"anna"')
    _add(lake, "dead_letters", topic_id="t", partition=0, offset=98, raw=b'{"subject_id":"bert"')
    _add(lake, "erasures", workload_id="w", subject_id="anna", requested_at=_NOW)
    report = maintain(lake, now=_NOW)
    assert report.erased == {
        "inferences": 3, "feedback": 1, "annotations": 1, "corrections": 1, "dead_letters": 1
    }  # fmt: skip
    rows = lake.rows("SELECT subject_id, request, input FROM stored.inferences")
    assert len(rows) == 12
    assert all((row["request"] is None) == (row["subject_id"] == "anna") for row in rows)
    assert all((row["input"] is None) == (row["subject_id"] == "anna") for row in rows)
    assert lake.position("inferences", "t", 0) == 12
    counts = {
        table: lake.rows(f"SELECT count(*) AS n FROM stored.{table}")[0]["n"]
        for table in ("feedback", "annotations", "corrections", "dead_letters")
    }
    assert counts == {"feedback": 2, "annotations": 0, "corrections": 0, "dead_letters": 2}
    texts = lake.rows("SELECT value FROM stored.feedback ORDER BY value NULLS FIRST")
    assert [row["value"] for row in texts] == [None, '"bert said"']
    raws = lake.rows('SELECT raw FROM stored.dead_letters ORDER BY "offset"')
    assert [row["raw"] for row in raws] == [b'{"subject_id":"bert"', None]
    assert lake.rows("SELECT subject_id FROM dataset_rows") == [{"subject_id": "anna"}]
    assert maintain(lake, now=_NOW).erased == {}


def test_names_with_quotes_are_erased_too(lake):
    """A subject's name is a value, never a part of a query."""
    _add(lake, "corrections", workload_id="w", correction_id="c", subject_id="o'neil", input="x")
    _add(lake, "erasures", workload_id="w", subject_id="o'neil")
    assert maintain(lake, now=_NOW).erased == {"corrections": 1}
    assert lake.rows("SELECT * FROM stored.corrections") == []


def test_an_empty_lake_needs_nothing(tmp_path):
    """Maintenance may run before the first event."""
    assert maintain(Lake(tmp_path), now=_NOW).tables == []


def test_a_lost_race_at_the_checkpoint_is_tried_again(lake, monkeypatch):
    """Another process that commits at that moment stops no maintenance."""
    real, lost = TableHandle.checkpoint, []

    def loses_once(handle):
        if not lost:
            lost.append(handle.table.name)
            raise ConcurrencyError("Another process wrote first.")
        real(handle)

    monkeypatch.setattr(TableHandle, "checkpoint", loses_once)
    assert _upkeep(maintain(lake, now=_NOW), "inferences").files_after == 2 + 4
    assert lost == ["inferences"]
