"""The preview of a taxonomy's change: whose golden set it counts."""

from types import SimpleNamespace

import pyarrow as pa

from flywheel.lake import Lake
from flywheel.usecases.taxonomy import golden_rows


def test_the_newest_cycle_is_the_one_that_opened_last(tmp_path):
    """As text the tenth cycle of a period comes before its ninth, whose golden set is outdated."""
    lake = Lake(tmp_path / "lake")
    names = [f"2026Q2-{number}" for number in range(1, 12)]
    for name in names[:10]:  # the eleventh has no dataset yet
        output = f'{{"label": "of {name}"}}'
        given = {"workload_id": ["w"], "correction_id": [name], "output": [output]}
        lake.append("corrections", pa.table(given | {"status": ["accepted"]}))
        member = {"workload_id": ["w"], "cycle": [name], "correction_id": [name]}
        lake.append("dataset_rows", pa.table(member | {"split": ["golden"]}))
    rows = [SimpleNamespace(name=name) for name in names]
    state = SimpleNamespace(cycles=SimpleNamespace(of=lambda _: rows))
    rows = golden_rows(SimpleNamespace(lake=lake, state=state), "w")
    assert rows == [{"output": '{"label": "of 2026Q2-10"}', "rows": 1}]
    lake.close()
