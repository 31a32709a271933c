"""Arbitrary JSON shaped like the log formats: no line ends an import, and the report adds up."""

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from flywheel.errors import EventError
from flywheel.events import EventContract
from flywheel.ingest.import_events import EventMaker, ImportOptions
from flywheel.ingest.import_lines import parse_line
from flywheel.ingest.import_records import import_records
from tests.fakes.event_makers import START, make_workload
from tests.fakes.foreign_records import RECORDS, REQUEST
from tests.fakes.strategies import json_values, spoiled_lines, spoiled_mappings
from tests.unit.ingest.conftest import Plane

_MAKER = EventMaker(make_workload(), ImportOptions(requests={"t-1": REQUEST}), START)


def _is_event_or_dead_letter(line):
    try:
        outcome = _MAKER.make(line).value
    except EventError as error:
        return bool(error.reason and error.message)
    return isinstance(outcome, bytes)


@settings(max_examples=6)
@given(lines=st.lists(spoiled_lines(), min_size=1, max_size=40))
def test_no_line_ends_an_import(tmp_path_factory, lines):
    """Each line of a file lands or is a dead letter with a reason, and nothing is lost."""
    plane = Plane(tmp_path_factory.mktemp("plane"))
    path = plane.home / "a.jsonl"
    # An example without a good line at all is read too.
    path.write_bytes(b"\n".join([*lines, b"{}"]))
    report = import_records(
        plane.log, plane.lake, plane.workload, path,
        options=ImportOptions(requests={"t-1": REQUEST}),
        contract=EventContract([plane.workload]), now=START,
    )  # fmt: skip
    assert "unexpected" not in report.dead, report.dead["unexpected"]
    landed = plane.ingest().run_once()
    assert landed.landed.total() == report.events
    assert landed.dead_letters.keys() == report.dead.keys()
    assert landed.dead_letters.total() <= report.unreadable  # a line that comes again is dead once
    assert plane.prove().balances
    plane.log.close()
    plane.lake.close()


@settings(max_examples=250)
@given(line=spoiled_lines())
def test_any_line_is_an_event_or_a_dead_letter(line):
    """A spoiled record of any format is read, or refused with a reason and a sentence."""
    assert _is_event_or_dead_letter(parse_line(1, line))


@pytest.mark.parametrize("name", RECORDS)
@settings(max_examples=30)
@given(data=st.data())
def test_no_value_anywhere_ends_a_reader(name, data):
    """Parts of a format's record replaced by any value: an event, or an error with a reason."""
    changed = data.draw(spoiled_mappings(RECORDS[name][0]))
    assert _is_event_or_dead_letter(parse_line(1, json.dumps(changed).encode()))


@given(value=json_values)
@example(value={"messages": "\ud800"})
def test_any_json_is_an_event_or_a_dead_letter(value):
    """What resembles no format is refused by name."""
    assert _is_event_or_dead_letter(parse_line(1, json.dumps(value).encode()))
