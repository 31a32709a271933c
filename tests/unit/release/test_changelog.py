"""The changelog counts what data was added, by label and source."""

import pyarrow as pa

from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.artifacts.opened_workload import OpenedWorkload
from flywheel.lake.tables import TABLES
from flywheel.release.changelog import describe_changes


def write(world, table: str, rows: list[dict]) -> None:
    """Append rows; columns that are not given are null."""
    schema = TABLES[table].schema
    full = [dict.fromkeys(schema.names) | row for row in rows]
    world.lake.append(table, pa.Table.from_pylist(full, schema=schema))


def opened(world):
    """The world's workload as a cycle has it."""
    return OpenedWorkload(CycleRef(world.workload.id, "c"), world.workload)


def member(world, snapshot: str, number: int, label: str, split: str = "train") -> dict:
    return {
        "workload_id": world.workload.id,
        "snapshot": snapshot,
        "cycle": "c",
        "split": split,
        "inference_id": f"i{number}",
        "correction_id": f"c{number}",
        "label_id": label,
    }


def test_added_rows_are_counted_by_label_and_source(world):
    """Rows of the former snapshot and of other splits do not count."""
    rows = [member(world, "one", 1, "dent"), member(world, "one", 2, "dent")]
    rows += [member(world, "two", 1, "dent"), member(world, "two", 3, "stain")]
    rows += [member(world, "two", 4, "stain"), member(world, "two", 5, "dent", "golden")]
    write(world, "dataset_rows", rows)
    sources = {1: "seed", 3: "seed", 4: "local_queue"}
    corrections = [
        {
            "workload_id": world.workload.id,
            "correction_id": f"c{number}",
            "version": 1,
            "status": "accepted",
            "inference_id": f"i{number}",
            "source": source,
        }
        for number, source in sources.items()
    ]
    write(world, "corrections", corrections)
    found = describe_changes(world.lake, opened(world), "two", "one")
    assert found.added == {("stain", "seed"): 1, ("stain", "local_queue"): 1}
    assert (found.rows, found.removed) == (3, 1)
    text = found.to_markdown()
    assert "2 training rows added, 1 left out, 3 in all" in text
    assert "| stain | local&#95;queue | 1 |" in text


def test_first_release_adds_everything(world):
    """Without a former snapshot every row is new; an unknown source is said to be so."""
    write(world, "dataset_rows", [member(world, "one", 1, "dent")])
    found = describe_changes(world.lake, opened(world), "one", None)
    assert found.added == {("dent", "unknown"): 1}
    assert "first release" in found.to_markdown()
