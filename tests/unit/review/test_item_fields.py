"""What an item is stands in its fields; rows and tasks of version 0.2, which lack them, still read.

``tests/data/review_items_before_0_3`` was written by version 0.2: an item that two people dispute,
a control item, an item whose label is checked, a gold item, both adjudications, and two directed
items, the eleventh and the second draw of one attempt.
"""

import ast
import json
import re
import shutil
from datetime import datetime
from pathlib import Path

import deltalake
import pyarrow as pa
import pytest

from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.errors import RefusedError
from flywheel.lake.store import Lake
from flywheel.lake.tables import TABLES
from flywheel.review.merging.annotations import read_annotations
from flywheel.review.merging.collect import collect
from flywheel.review.merging.merge import adjudication_of
from flywheel.review.queues.label_studio_format import task_of
from flywheel.review.sampling.directed import directed_batch_name, directed_batches
from flywheel.review.sampling.gold import KnownAnswer, choose_gold
from flywheel.review.sampling.item_ids import disputed_item_of
from flywheel.review.sampling.marks import read_marks
from flywheel.review.sampling.sent_items import (
    item_rows,
    read_sent,
    spending,
    spending_by_period,
)
from tests.fakes.review_items import review_item
from tests.fakes.review_world import END, START, classification

ROOT = Path(__file__).parents[3]
EARLIER = ROOT / "tests" / "data" / "review_items_before_0_3"
WORKLOAD = classification()
CYCLE = CycleRef(WORKLOAD.id, "2026Q1-1")
DISPUTED, CONTROL, CHECKED, LATE, EARLY = ("a" * 20, "b" * 20, "c" * 20, "d" * 20, "e" * 20)
GOLD = "c01ae17e78e81cc35a1f"
YOUNGER = ("period", "batch_kind", "disputed_item_id", "cycle", "attempt")


@pytest.fixture
def earlier_lake(tmp_path):
    """Return a lake whose items were written by version 0.2."""
    folder = tmp_path / "lake"
    schema = TABLES["review_items"].schema
    schema = pa.schema([field for field in schema if field.name not in YOUNGER])
    rows = json.loads((EARLIER / "review_items.json").read_text())
    for row in rows:
        row |= {name: datetime.fromisoformat(row[name]) for name in ("event_time", "chosen_at")}
    table = pa.Table.from_pylist(rows, schema=schema)
    deltalake.write_deltalake(folder / "review_items", table, partition_by=["workload_id"])
    lake = Lake(folder)
    yield lake
    lake.close()


@pytest.fixture
def earlier_queue(queue, tmp_path):
    """Return the queue whose task files were written by version 0.2."""
    shutil.copytree(EARLIER / "queue", tmp_path / "queue")
    return queue


def fields(lake):
    """Return the younger fields of every item, by its id."""
    return {
        entry.item.item_id: tuple(getattr(entry.item, name) for name in YOUNGER)
        for entry in read_sent(lake, WORKLOAD.id)
    }


def test_earlier_rows_are_read_with_their_fields(earlier_lake):
    """Period, kind, item in dispute, cycle and attempt come from the old names."""
    assert fields(earlier_lake) == {
        DISPUTED: ("2026Q1", "window", None, None, None),
        CONTROL: ("2026Q1", "window", None, None, None),
        CHECKED: ("2026Q1", "window", None, None, None),
        GOLD: ("2026Q1", "window", None, None, None),
        f"{DISPUTED}-adjudication": ("2026Q1", "window", DISPUTED, None, None),
        f"{CHECKED}-adjudication": ("2026Q1", "labels", CHECKED, None, None),
        LATE: ("2026Q2", "directed", None, "2026Q1-1", 2),
        EARLY: ("2026Q1", "directed", None, "2026Q1-1", 2),
    }


def test_earlier_rows_count_as_before(earlier_lake):
    """Spending, label checks and directed batches are those of their periods and attempts."""
    by_period = spending_by_period(earlier_lake, WORKLOAD.id)
    assert {name: spent.sent for name, spent in by_period.items()} == {"2026Q1": 8, "2026Q2": 1}
    for name, spent in by_period.items():
        assert spending(earlier_lake, WORKLOAD.id, name) == spent
    checks = earlier_lake.rows("SELECT item_id FROM label_checks")
    assert [row["item_id"] for row in checks] == [f"{CHECKED}-adjudication"]
    assert directed_batches(earlier_lake, CYCLE, 2) == [
        "2026Q1-directed.2026Q1.1.2.2",
        "2026Q2-directed.2026Q1.1.2.11",
    ]
    assert directed_batches(earlier_lake, CYCLE, 1) == []


def test_younger_rows_stand_beside_earlier_ones(earlier_lake):
    """The table takes the columns up; a row's own fields come before any name."""
    item = review_item(
        WORKLOAD,
        8,
        item_id="an-adjudication",
        batch_id="2025Q1-labels",
        period="2026Q2",
        batch_kind="directed",
        cycle="2026Q2-1",
        attempt=1,
    )
    earlier_lake.append("review_items", item_rows([item], {item.inference_id: START}))
    read = fields(earlier_lake)
    assert read["an-adjudication"] == ("2026Q2", "directed", None, "2026Q2-1", 1)
    assert read[LATE] == ("2026Q2", "directed", None, "2026Q1-1", 2)
    assert spending(earlier_lake, WORKLOAD.id, "2026Q2").sent == 2


def test_columns_that_no_file_has_are_read(earlier_lake):
    """An empty append brings the columns to the table without a row that has them."""
    before = fields(earlier_lake)
    earlier_lake.append("review_items", item_rows([], {}), once=("nothing", 1))
    assert fields(earlier_lake) == before


def test_earlier_tasks_are_offered_as_before(earlier_queue, desk):
    """Who judged the item in dispute neither gets nor gives its adjudication."""
    second = f"{DISPUTED}-adjudication"
    offered = {
        name: {item.item_id for item in desk.open_items(WORKLOAD, name)}
        for name in ("ann@plant.example", "cleo@plant.example")
    }
    assert second not in offered["ann@plant.example"]
    assert second in offered["cleo@plant.example"]
    with pytest.raises(RefusedError, match="judged this answer before"):
        desk.submit(WORKLOAD, second, "ann@plant.example", "oil fault")
    desk.submit(WORKLOAD, second, "cleo@plant.example", "oil fault")
    assert earlier_queue.status(WORKLOAD).judgments_given == 3


def test_adjudications_of_earlier_tasks_mark_nobody(earlier_lake, earlier_queue, desk):
    """The judgments of the item are marked by the decision, the decision itself is not."""
    desk.submit(WORKLOAD, f"{DISPUTED}-adjudication", "cleo@plant.example", "oil fault")
    collect(earlier_lake, earlier_queue, WORKLOAD, now=END)
    annotations = read_annotations(earlier_lake, WORKLOAD.id)
    marks = read_marks(earlier_lake, WORKLOAD, annotations)
    assert {mark.annotation.annotator: mark.right for mark in marks} == {
        "ann@plant.example": True,
        "ben@plant.example": False,
    }


def test_earlier_label_studio_tasks_are_told_by_their_id():
    """The one place that reads an id is asked where the field is missing."""
    tasks = json.loads((EARLIER / "label_studio_tasks.json").read_text())
    disputed = {task["data"]["item_id"]: disputed_item_of(task["data"]) for task in tasks}
    assert {key: value for key, value in disputed.items() if value is not None} == {
        f"{DISPUTED}-adjudication": DISPUTED,
        f"{CHECKED}-adjudication": CHECKED,
    }


@pytest.mark.parametrize("odd", [None, "", 7, ["a"]])
def test_odd_field_of_an_export_is_not_taken(odd):
    """Data that somebody changed by hand counts as missing."""
    data = {"item_id": f"{DISPUTED}-adjudication", "disputed_item_id": odd}
    assert disputed_item_of(data) == DISPUTED
    assert disputed_item_of({"item_id": DISPUTED, "disputed_item_id": odd}) is None


def test_names_are_those_of_version_0_2(earlier_lake):
    """The identity of an item does not depend on its fields."""
    sent = {entry.item.item_id: entry for entry in read_sent(earlier_lake, WORKLOAD.id)}
    (gold,) = choose_gold(
        WORKLOAD,
        [KnownAnswer(sent[CHECKED], 0)],
        1,
        batch_id="2026Q1-20260108",
        period="2026Q1",
        now=END,
    )
    assert gold.item.item_id == GOLD
    assert (gold.item.slice, gold.item.period, gold.item.disputed_item_id) == (
        "gold",
        "2026Q1",
        None,
    )
    assert adjudication_of(sent[DISPUTED], END).item_id == f"{DISPUTED}-adjudication"
    assert directed_batch_name("2026Q2", "2026Q1-1", 2, 11) == sent[LATE].item.batch_id


def test_task_of_an_adjudication_names_the_item_in_dispute():
    """No other task has the field: a gold item must look like a control item."""
    second = review_item(WORKLOAD, slice="adjudication", disputed_item_id=DISPUTED)
    assert task_of(WORKLOAD, second)["data"]["disputed_item_id"] == DISPUTED
    for slice_ in ("control", "gold", "directed", "uncertain"):
        data = task_of(WORKLOAD, review_item(WORKLOAD, slice=slice_))["data"]
        assert "disputed_item_id" not in data


_READS = re.compile(
    r"(contains|starts_with|ends_with|split_part|regexp_\w+|replace)\((\w+\.)?(batch|item)_id\b"
)
_METHODS = {
    "endswith", "startswith", "removesuffix", "removeprefix",
    "partition", "rpartition", "split", "rsplit",
}  # fmt: skip


def reads_of_ids(text):
    """Return the lines in which the name of an item or batch is taken apart."""
    lines = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            receiver = ast.unparse(node.func.value)
            if node.func.attr in _METHODS and re.search(r"(batch|item)_id\b", receiver):
                lines.append(node.lineno)
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            lines += [node.lineno] if _READS.search(node.value) else []
    return sorted(set(lines))


def test_no_other_module_reads_an_id():
    """Names are written and compared, nothing is learned from their parts."""
    found = {
        path.relative_to(ROOT).as_posix()
        for folder in ("flywheel", "assets", "sensors", "demo", "loop")
        for path in (ROOT / folder).rglob("*.py")
        if reads_of_ids(path.read_text())
    }
    assert found == {
        "flywheel/lake/earlier_rows.py",
        "flywheel/review/sampling/item_ids.py",
    }
