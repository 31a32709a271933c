"""Facts of every command come in one form."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from flywheel.cli.facts import print_facts

CLI = Path(__file__).parents[3] / "flywheel" / "cli"


@dataclass
class Row:
    """A row with everything that commands print."""

    at: datetime
    file: Path


def test_times_are_iso_8601_and_paths_are_text(capsys):
    """One line, plain ASCII, in the order that was given."""
    at = datetime(2026, 11, 29, 9, 30, tzinfo=UTC)
    print_facts({"b": [Row(at, Path("/x"))], "a": "ü"})
    line = capsys.readouterr().out
    assert line == ('{"b": [{"at": "2026-11-29T09:30:00+00:00", "file": "/x"}], "a": "\\u00fc"}\n')
    assert json.loads(line)["a"] == "ü"


def test_what_has_no_form_is_an_error():
    """Rather than the text of an object."""
    with pytest.raises(TypeError, match="object has no form"):
        print_facts({"x": object()})


def test_no_command_prints_json_in_a_way_of_its_own():
    """Only a published schema is laid out for people."""
    own = {
        path.name
        for path in CLI.glob("*.py")
        if "echo(json.dumps(" in path.read_text(encoding="utf-8")
    }
    assert own == {"schema.py"}
