"""The seed: labeled rows become accepted corrections, once, in today's label names."""

import pytest

from flywheel.errors import DataError
from flywheel.ingest.seed import import_seed
from tests.fakes.event_makers import START, make_workload

_ROWS = [("oil on the floor", "leak"), ("hairline in the casting", "crack"), ("it hums", "noise")]
_SCHEMA = {
    "type": "object",
    "required": ["category", "count"],
    "additionalProperties": False,
    "properties": {"category": {"type": "string"}, "count": {"type": "integer", "minimum": 0}},
}


def _extraction():
    task = {"type": "extraction", "label_field": "category", "schema": _SCHEMA}
    return make_workload(task=task)


def test_rows_become_accepted_corrections(plane):
    """Each row is an accepted correction of slice and source seed, not simulated."""
    added = import_seed(plane.lake, plane.workload, _ROWS, source_name="a.csv", now=START)
    assert added == 3
    rows = plane.lake.rows("SELECT * FROM latest_corrections ORDER BY input DESC")
    assert [(row["input"], row["output"], row["label_id"]) for row in rows] == [
        ("oil on the floor", '"leak"', "leak"),
        ("it hums", '"noise"', "noise"),
        ("hairline in the casting", '"crack"', "crack"),
    ]
    for row in rows:
        told = (row["status"], row["source"], row["slice"], row["simulated"], row["version"])
        assert told == ("accepted", "seed", "seed", False, 1)
        assert row["taxonomy_version"] == 1
        assert row["accepted_at"] == START
    assert len({row["correction_id"] for row in rows}) == 3


def test_importing_twice_adds_nothing(plane):
    """The same rows are known by their content, whatever the file is called."""
    import_seed(plane.lake, plane.workload, _ROWS, source_name="a.csv", now=START)
    assert import_seed(plane.lake, plane.workload, _ROWS, source_name="b.csv", now=START) == 0
    assert import_seed(plane.lake, plane.workload, _ROWS[:2], source_name="a.csv", now=START) == 2
    assert plane.lake.rows("SELECT count(*) AS n FROM corrections") == [{"n": 5}]


def test_a_former_name_becomes_the_present_one(plane):
    """A label is known under the names it had."""
    import_seed(plane.lake, plane.workload, [("it hums", "hum")], source_name="a", now=START)
    assert plane.lake.rows("SELECT output, label_id FROM corrections") == [
        {"output": '"noise"', "label_id": "noise"}
    ]


def test_unknown_labels_are_listed_with_their_counts(plane):
    """Nothing is written, and the message names every label that is none."""
    rows = [*_ROWS, ("a", "rust"), ("b", "rust"), ("c", "Leak")]
    with pytest.raises(DataError) as caught:
        import_seed(plane.lake, plane.workload, rows, source_name="a", now=START)
    assert '"rust" (2 rows)' in caught.value.message
    assert '"Leak" (1 rows)' in caught.value.message
    assert plane.lake.rows("SELECT count(*) AS n FROM corrections") == [{"n": 0}]


@pytest.mark.parametrize("text", ["", "  \n", "x" * 501])
def test_unusable_texts_are_refused_with_their_row(plane, text):
    """Empty and overlong texts stop the import."""
    with pytest.raises(DataError, match="ow 2"):
        import_seed(
            plane.lake, plane.workload, [_ROWS[0], (text, "leak")], source_name="a", now=START
        )


def test_no_rows_at_all_are_refused(plane):
    """An empty file is a mistake."""
    with pytest.raises(DataError):
        import_seed(plane.lake, plane.workload, [], source_name="a", now=START)


def test_extractions_keep_their_schema(plane):
    """The label field is resolved, the other fields are checked."""
    workload = _extraction()
    good = ("it hums", {"category": "hum", "count": 3})
    import_seed(plane.lake, workload, [good], source_name="a", now=START)
    assert plane.lake.rows("SELECT output, label_id FROM corrections") == [
        {"output": '{"category":"noise","count":3}', "label_id": "noise"}
    ]
    bad = ("it hums", {"category": "noise", "count": "three"})
    with pytest.raises(DataError, match="three"):
        import_seed(plane.lake, workload, [bad], source_name="a", now=START)
