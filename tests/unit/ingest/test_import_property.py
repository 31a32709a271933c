"""Arbitrary JSON shaped like the log formats: no line ends an import, and the report adds up."""

import json
import random

import pytest

from flywheel.errors import EventError
from flywheel.events import EventContract
from flywheel.ingest.import_events import EventMaker, ImportOptions
from flywheel.ingest.import_lines import parse_line
from flywheel.ingest.import_records import import_records
from tests.fakes.event_makers import START, make_workload
from tests.fakes.foreign_records import RECORDS, REQUEST
from tests.fakes.json_shapes import replaced_everywhere, spoiled


def _outcome(maker, line):
    try:
        return maker.make(line).value
    except EventError as error:
        return error


@pytest.mark.parametrize("seed", range(4))
def test_no_line_ends_an_import(plane, seed):
    """Arbitrary JSON shaped like the formats: each line lands or is a dead letter with a reason."""
    rng = random.Random(seed)  # noqa: S311 - reproducible, not secret
    lines = [spoiled(rng) for _ in range(250)]
    path = plane.home / "a.jsonl"
    path.write_bytes(b"\n".join(lines))
    report = import_records(
        plane.log, plane.lake, plane.workload, path,
        options=ImportOptions(requests={"t-1": REQUEST}),
        contract=EventContract([plane.workload]), now=START,
    )  # fmt: skip
    assert report.adds_up
    assert report.lines == len([line for line in lines if line.strip()])
    assert "unexpected" not in report.dead, report.dead["unexpected"]
    landed = plane.ingest().run_once()
    assert landed.landed.total() == report.events
    assert landed.dead_letters.keys() == report.dead.keys()
    assert landed.dead_letters.total() <= report.unreadable  # a line that comes again is dead once
    assert plane.prove().balances


@pytest.mark.parametrize("name", RECORDS)
def test_no_value_anywhere_ends_a_reader(name):
    """Each part of a record replaced by each kind of value: an event, or an error with a reason."""
    record, requests = RECORDS[name]
    maker = EventMaker(make_workload(), ImportOptions(requests=requests), START)
    for changed in replaced_everywhere(record):
        outcome = _outcome(maker, parse_line(1, json.dumps(changed).encode()))
        assert isinstance(outcome, bytes) or (outcome.reason and outcome.message)
