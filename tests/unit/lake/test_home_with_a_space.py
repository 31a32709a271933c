"""A home may lie in a folder whose name a URL would encode."""

from contextlib import closing
from datetime import UTC, datetime, timedelta

import pyarrow as pa

from flywheel.lake import Lake
from flywheel.lake.backup import copy_lake
from flywheel.lake.check import check_table
from flywheel.lake.maintenance import maintain
from flywheel.lake.views import EVENT_FIGURES

_NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
_COUNTS = "SELECT count(*) AS events FROM inferences"


def _land(lake, number):
    row = {
        "topic_id": "t", "partition": 0, "offset": number, "inference_id": f"i{number}",
        "workload_id": "w w", "landed_at": _NOON, "timestamp": _NOON, "day": _NOON.date(),
        "route": "champion", "output": '{"label":"x"}',
    }  # fmt: skip
    schema = lake.handle("inferences").table.schema
    fields = pa.schema([field for field in schema if field.name in row])
    lake.append("inferences", pa.Table.from_pylist([row], schema=fields))


def test_events_are_written_read_checked_compacted_and_copied(tmp_path):
    """As anywhere else; the folders of workloads are encoded on the disk itself."""
    folder = tmp_path / "my home (ü)" / "lake"
    with closing(Lake(folder)) as lake:
        for number in range(3):
            _land(lake, number)
        assert lake.rows(_COUNTS) == [{"events": 3}]
        assert lake.rows(f"SELECT sum(answered)::BIGINT AS n FROM {EVENT_FIGURES}") == [{"n": 3}]
        later = _NOON + timedelta(days=30)
        (upkeep,) = maintain(lake, now=later).tables
        assert (upkeep.files_before, upkeep.files_after) == (3, 1)
        assert check_table(lake, "inferences").sentence() == "1 files unchanged"
        _land(lake, 3)
        copy_lake(lake, tmp_path / "a copy")
    with closing(Lake(tmp_path / "a copy")) as copy:
        assert copy.rows(_COUNTS) == [{"events": 4}]
        assert check_table(copy, "inferences").problems == ()
