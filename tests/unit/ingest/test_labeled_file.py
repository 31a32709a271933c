"""Labeled files as people have them: byte-order marks, quoted line breaks, other columns."""

import csv
import gzip

import pytest

from flywheel.errors import DataError, NotFoundError
from flywheel.ingest.labeled_file import read_labeled
from flywheel.ingest.seed import import_seed
from flywheel.workload.answer_text import read_value
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
    read = read_labeled(
        path, workload or make_workload(), text=text, label=label, fields=fields or {}
    )
    assert not read.problems
    return [(row.text, row.output) for row in read.rows]


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
        (b"text,other\na,b\n", "no column 'label'"),
        (b"text,label\n\xff,leak\n", "not UTF-8"),
        (b"", "no column"),
        (b"text,label,text\na,b,c\n", "more than once: text .columns 1 and 3."),
    ],
)
def test_a_broken_file_says_what_is_wrong(tmp_path, content, complaint):
    """Each way to be broken has its own message."""
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=complaint):
        _read(path)


def test_broken_rows_are_all_named_by_their_lines(tmp_path):
    """A short row, a long one and an open quote stop no other row."""
    path = tmp_path / "a.csv"
    path.write_text('text,label\na\n\n,,\nb,leak\nc,leak,more\n"5" x,leak\nd,crack\n"open,leak\n')
    read = read_labeled(path, make_workload(), text="text", label="label", fields={})
    assert [(row.line, row.text) for row in read.rows] == [(5, "b"), (8, "d")]
    assert [str(problem) for problem in read.problems] == [
        "line 2: cut short: 1 cells of 2",
        "line 6: 3 cells, the header has 2: quote them",
        'line 7: not valid CSV: a quote within a quoted cell must be doubled ("")',
        "line 9: not valid CSV: a quote that opens here is never closed",
    ]


@pytest.mark.parametrize(
    ("field", "cell"),
    [
        ({"type": "integer"}, "5.0"),
        ({"type": "integer"}, "+007"),
        ({"type": "number"}, "12"),
        ({"type": "number"}, "1.50"),
        ({"type": "boolean"}, "YES"),
        ({"type": ["number", "null"]}, "null"),
        ({"enum": [1, 2]}, "2"),
        ({"type": "array", "items": {"type": "string"}}, '["a"]'),
    ],
)
def test_a_cell_is_read_as_the_terminal_reads_it(tmp_path, field, cell):
    """One answer from a file and from a person is one value, so that they agree."""
    schema = {"type": "object", "properties": {"field": field}}
    workload = make_workload(task={"type": "extraction", "schema": schema}, taxonomy=None)
    path = tmp_path / "a.csv"
    path.write_text(f"text;field\nit hums;{cell}\n")
    read = read_labeled(path, workload, text="text", label=None, fields={})
    assert not read.problems
    value, typed = read.rows[0].output["field"], read_value(field, cell)
    assert (value, type(value)) == (typed, type(typed))
    assert not isinstance(value, str)


@pytest.mark.parametrize("cell", ["1_000", "\u0663", "1e400", "9" * 5000, "twelve"])
def test_what_is_no_number_is_a_problem_of_its_row(tmp_path, cell):
    """Underscores, digits of other scripts and endless numbers are not guessed at."""
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    workload = make_workload(task={"type": "extraction", "schema": schema}, taxonomy=None)
    path = tmp_path / "a.csv"
    path.write_text(f"text;n\na;{cell}\n", encoding="utf-8")
    read = read_labeled(path, workload, text="text", label=None, fields={})
    assert [problem.line for problem in read.problems] == [2]
    assert "is not a number" in str(read.problems[0])


def test_optional_fields_and_json_cells(tmp_path):
    """An empty cell of an optional field is absent, of a required one a problem; JSON is JSON."""
    schema = {
        "type": "object",
        "required": ["vendor", "items"],
        "properties": {
            "vendor": {"type": "string"},
            "total": {"type": "number"},
            "po": {"type": "string"},
            "items": {"type": "array", "items": {"type": "object"}},
        },
    }
    workload = make_workload(task={"type": "extraction", "schema": schema}, taxonomy=None)
    path = tmp_path / "a.csv"
    path.write_text(
        "text,vendor,po,total,items\n"
        'a,ACME,,12,"[{""n"": 1}]"\n'
        "b,,,12,[]\n"
        "c,ACME,P1,twelve,[]\n"
        "d,ACME,P1,1.5,[1\n"
    )
    read = read_labeled(path, workload, text="text", label=None, fields={})
    assert [row.output for row in read.rows] == [
        {"vendor": "ACME", "total": 12, "items": [{"n": 1}]}
    ]
    assert [str(problem) for problem in read.problems] == [
        "line 3: no vendor",
        "line 4: total: 'twelve' is not a number",
        "line 5: items: '[1' is not JSON",
    ]


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


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_a_file_that_cannot_be_read_says_so(tmp_path, name):
    """A folder and a file whose packing breaks off are errors with a sentence."""
    path = tmp_path / name
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress(b"text,label\n" + b"it hums,leak\n" * 500)[:40])
    else:
        path.mkdir()
    with pytest.raises(DataError, match="cannot be read"):
        _read(path)
