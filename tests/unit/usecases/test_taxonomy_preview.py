"""The preview of a taxonomy's change: whose golden set it counts."""

from datetime import UTC, datetime

import pyarrow as pa

from flywheel.clock import ManualClock
from flywheel.settings import Settings
from flywheel.usecases.taxonomy import golden_rows
from flywheel.wiring import Platform
from tests.fakes.review_world import classification

NOW = datetime(2026, 5, 20, tzinfo=UTC)


def open_and_close_cycle(platform, workload, number):
    """Open a cycle of a workload, end it, and return its name."""
    cycle = platform.state.cycles.open(
        workload,
        trigger="manual",
        trigger_key=f"manual:{number}",
        opened_by="ann",
        reason="asked for",
        watermark=NOW,
        snapshot=workload.model_dump(mode="json", by_alias=True),
    )
    platform.state.cycles.set_status(cycle.ref, "stopped", "not needed")
    return cycle.name


def test_the_newest_cycle_is_the_one_that_opened_last(tmp_path):
    """As text the tenth cycle of a period comes before its ninth, whose golden set is outdated."""
    workload = classification()
    settings = Settings(home=tmp_path, workloads=tmp_path / "workloads")
    platform = Platform(settings, ManualClock(NOW))
    names = [open_and_close_cycle(platform, workload, number) for number in range(11)]
    assert names[9:] == ["2026Q2-10", "2026Q2-11"]
    for name in names[:10]:  # the eleventh has no dataset yet
        output = f'{{"label": "of {name}"}}'
        given = {"workload_id": [workload.id], "correction_id": [name], "output": [output]}
        platform.lake.append("corrections", pa.table(given | {"status": ["accepted"]}))
        member = {"workload_id": [workload.id], "cycle": [name], "correction_id": [name]}
        platform.lake.append("dataset_rows", pa.table(member | {"split": ["golden"]}))
    rows = golden_rows(platform, workload.id)
    assert rows == [{"output": '{"label": "of 2026Q2-10"}', "rows": 1}]
    platform.close()
