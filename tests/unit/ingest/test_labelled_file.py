"""Labelled files as people have them: byte-order marks, quoted line breaks, other columns."""

import csv

import pytest

from flywheel.errors import DataError, NotFoundError
from flywheel.ingest.labelled_file import read_labelled
from flywheel.ingest.seed import import_seed
from tests.fakes.event_makers import START, make_workload

_SCHEMA = {
    "type": "object",
    "properties": {
        "category": {"type": "string"},
        "count": {"type": "integer"},
        "weight": {"type": "number"},
        "urgent": {"type": "boolean"},
    },
}


def _read(path, workload=None, *, text="text", label="label", fields=None):
    return read_labelled(
        path, workload or make_workload(), text=text, label=label, fields=fields or {}
    )


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_quoted_line_breaks_and_marks_are_read(tmp_path, mark):
    """A text over two lines is one text, and a byte-order mark is no part of a name."""
    path = tmp_path / "a.csv"
    path.write_text(mark + 'text,label\n"one\ntwo, ""three""",leak\nfour,crack\n', encoding="utf-8")
    assert _read(path) == [('one\ntwo, "three"', "leak"), ("four", "crack")]


def test_tabs_are_read_by_suffix(tmp_path):
    """A .tsv is split at tabs."""
    path = tmp_path / "a.tsv"
    path.write_text("label\ttext\nleak\ta, b\n")
    assert _read(path) == [("a, b", "leak")]


def test_fields_of_an_extraction_take_their_types(tmp_path):
    """Columns become fields of the types that the schema gives them."""
    workload = make_workload(
        task={"type": "extraction", "label_field": "category", "schema": _SCHEMA}
    )
    path = tmp_path / "a.csv"
    path.write_text("report,Kind,n,kg,now\nit hums,noise,3,1.5,TRUE\n")
    fields = {"count": "n", "weight": "kg", "urgent": "now"}
    rows = _read(path, workload, text="report", label="Kind", fields=fields)
    assert rows == [("it hums", {"count": 3, "weight": 1.5, "urgent": True, "category": "noise"})]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"text,other\na,b\n", "no column label"),
        (b"text,label\na\n", "cut short"),
        (b"text,label\n\xff,leak\n", "not UTF-8"),
        (b'text,label\n"open,leak\n', "not valid CSV"),
        (b"", "no column"),
    ],
)
def test_a_broken_file_says_what_is_wrong(tmp_path, content, complaint):
    """Each way to be broken has its own message."""
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=complaint):
        _read(path)


def test_the_answer_column_must_be_named(tmp_path):
    """Without --label and --field nobody knows what is learned."""
    path = tmp_path / "a.csv"
    path.write_text("text,label\na,leak\n")
    with pytest.raises(DataError, match="holds the answer"):
        _read(path, label=None)


def test_a_missing_file_is_named(tmp_path):
    """The path is in the message."""
    with pytest.raises(NotFoundError, match="nowhere"):
        _read(tmp_path / "nowhere.csv")


def test_a_public_data_set_imports_whole(plane, public_data):
    """All 10,003 questions of BANKING77 become the seed, line breaks and all."""
    path = next(public_data.glob("banking77/**/train.csv"))
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    names = sorted({row["category"] for row in rows})
    labels = [{"id": f"intent_{index}", "name": name} for index, name in enumerate(names)]
    workload = make_workload(taxonomy={"labels": labels})
    pairs = _read(path, workload, label="category")
    assert len(pairs) == len(rows) == 10_003
    assert import_seed(plane.lake, workload, pairs, source_name=path.name, now=START) == 10_003
    (counted,) = plane.lake.rows("SELECT count(DISTINCT label_id) AS n FROM latest_corrections")
    assert counted == {"n": 77}
