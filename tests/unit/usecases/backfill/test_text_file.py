"""Texts of a file are answered as those of calls are."""

import gzip
import json
import os
from datetime import UTC, date, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flywheel.errors import ConfigurationError, DataError, NotFoundError
from flywheel.usecases.backfill.products import Product
from flywheel.usecases.backfill.run import backfill_vectors
from flywheel.usecases.backfill.text_file import TextFile, texts_of_file
from flywheel.usecases.backfill.texts import count_days, read_parts
from flywheel.workload.privacy import PrivacyRules
from tests.fakes.backfill_world import RELEASE

ROWS = [(f"{number}", f'file, {number}\nquoted "{number}" dent') for number in range(9)]
CHANGED = datetime(2026, 3, 9, 12, tzinfo=UTC)


def write(path, rows, id_column="id", text_column="text"):
    """Write rows as the end of the file's name says; all of one time."""
    table = pa.table({id_column: [one[0] for one in rows], text_column: [one[1] for one in rows]})
    if path.suffix == ".parquet":
        pq.write_table(table, path)
    elif ".jsonl" in path.name:
        lines = "\n".join(json.dumps(row) for row in table.to_pylist()).encode()
        path.write_bytes(gzip.compress(lines) if path.suffix == ".gz" else lines)
    else:
        quoted = [[f'"{value}"' for value in (one[0], one[1].replace('"', '""'))] for one in rows]
        path.write_text("\n".join(",".join(row) for row in [[id_column, text_column], *quoted]))
    os.utime(path, (CHANGED.timestamp(), CHANGED.timestamp()))
    return path


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl", "t.jsonl.gz", "t.parquet"])
def test_each_text_of_a_file_is_answered_once(world, tmp_path, name):
    """Under the name of the file and its id, on the day of the file's change; calls stay as they are."""
    file = TextFile(write(tmp_path / name, ROWS, "ref/no", 'a "b"'), "ref/no", 'a "b"')
    report = world.backfill(texts=file)
    assert (report.landed, report.first) == (9, CHANGED.date())
    assert sorted(world.asked) == [text for _, text in ROWS]
    assert world.ids() == [f"{name}/{number}" for number in range(9)]
    (row,) = world.lake.rows(
        "SELECT * FROM backfill_answers WHERE inference_id = $id", {"id": f"{name}/3"}
    )
    assert (row["release"], row["output"], row["subject_id"]) == (RELEASE, '"dent"', None)
    world.asked.clear()
    assert (world.backfill(texts=file).known, world.asked) == (9, [])
    assert world.backfill().landed == 30


def test_a_file_that_has_grown_is_continued(world, tmp_path):
    """On the day of its first rows, though it was changed on another one."""
    file = TextFile(write(tmp_path / "t.csv", ROWS[:5]))
    world.backfill(texts=file)
    os.utime(write(tmp_path / "t.csv", ROWS))
    assert world.backfill(texts=file).landed == 4
    days = world.lake.rows("SELECT DISTINCT day FROM backfill_answers")
    assert days == [{"day": CHANGED.date()}]
    vectors = backfill_vectors(world.deployment, world.workload, file)
    assert (vectors.landed, vectors.first > date(2026, 3, 9)) == (9, True)


def test_texts_that_look_like_something_else_stay_texts(world, tmp_path):
    """Neither dates nor numbers are written in another way, and rows without a text are left out."""
    texts = ["2026-03-01", "007", "null", "true", " x ", "NaN"]
    rows = [*((f"0{number}", text) for number, text in enumerate(texts)), ("e", ""), ("n", " ")]
    for name in ("t.csv", "t.jsonl"):
        world.asked.clear()
        assert world.backfill(texts=TextFile(write(tmp_path / name, rows))).landed == len(texts)
        assert sorted(world.asked) == sorted(texts)
        assert f"{name}/00" in world.ids()


@pytest.mark.parametrize(
    ("rows", "error"),
    [
        ([("1", "a"), ("1", "b"), ("2", "c")], "of 3 rows 0 have no 'id' and 1 repeat"),
        ([("1", "a"), (" ", "b")], "of 2 rows 1 have no 'id' and 0 repeat"),
    ],
)
def test_ids_that_are_none_are_refused(world, tmp_path, rows, error):
    """Nothing is asked."""
    for name in ("t.csv", "t.jsonl", "t.parquet"):
        with pytest.raises(DataError, match=error):
            world.backfill(texts=TextFile(write(tmp_path / name, rows)))
    assert world.asked == []


def test_a_file_that_is_none_of_texts_is_refused(world, tmp_path):
    """With what there is instead."""
    file = write(tmp_path / "t.csv", ROWS)
    with pytest.raises(DataError, match=r"no column 'body'.*it has id, text"):
        world.backfill(texts=TextFile(file, text_column="body"))
    with pytest.raises(NotFoundError, match="There is no file"):
        world.backfill(texts=TextFile(tmp_path / "other.csv"))
    (tmp_path / "t.xlsx").write_bytes(b"")
    with pytest.raises(ConfigurationError, match="CSV, TSV, JSONL or Parquet"):
        world.backfill(texts=TextFile(tmp_path / "t.xlsx"))


def test_what_the_workload_masks_is_masked_before_it_is_asked(world, tmp_path):
    """As in the texts of calls, which are masked before they land."""
    file = TextFile(write(tmp_path / "t.csv", [("1", "write to ann@example.com dent")]))
    rules = PrivacyRules.model_validate({})
    workload = world.workload.model_copy(update={"privacy": rules})
    product = Product.answers(RELEASE)
    texts = texts_of_file(world.lake, workload, product, file)
    (day,) = count_days(world.lake, workload.id, product, texts)
    (part,) = read_parts(world.lake, workload.id, product, texts, day, part_rows=5)
    assert part.rows["input"].to_pylist() == ["write to <EMAIL_1> dent"]
