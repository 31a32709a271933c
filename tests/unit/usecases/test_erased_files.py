"""A person's texts in files that no store answers for."""

import json

import pytest

from flywheel.usecases.erasing.files import erase_from_files

TEXT = "The pump of Anna's bed drips on the floor"


@pytest.mark.parametrize(
    "name",
    [
        "bakeoffs/defects/0123456789ab/rows/train.jsonl",  # of a bake-off that was killed
        "logs/gateway.log",
        "reports/defects/drift.html",
        "runs/defects/2026Q1-1/1/train.log",
    ],
)
def test_a_copy_is_overwritten(tmp_path, name):
    """The rest of the file stays; without ``change`` all of it."""
    path = tmp_path / name
    path.parent.mkdir(parents=True)
    line = json.dumps({"input": TEXT, "label": "leak"})
    path.write_text(f"{line}\nanother person's line\n")
    assert erase_from_files(tmp_path, [TEXT], change=False).rewritten == [name]
    assert TEXT in path.read_text()
    assert erase_from_files(tmp_path, [TEXT], change=True).rewritten == [name]
    assert path.read_text() == f"{line.replace(TEXT, '[erased]')}\nanother person's line\n"


@pytest.mark.parametrize("name", ["runs/defects/2026Q1-1/1/gate.json", "notes.txt", "state.db"])
def test_a_file_that_something_relies_on_is_named(tmp_path, name):
    """What a digest names, what a person wrote, and a database."""
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(TEXT)
    findings = erase_from_files(tmp_path, [TEXT], change=True)
    assert (findings.left, findings.rewritten) == ([name], [])
    assert path.read_text() == TEXT
