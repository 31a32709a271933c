"""Any bytes at an entrance of ingest: taken, or refused with a reason; nothing beside it suffers."""

import json
import re

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.errors import FlywheelError
from flywheel.events import EventContract, decode_feedback, decode_inferences, encode
from flywheel.events.columns import AnswerTexts, feedback_columns, inference_columns
from flywheel.ingest.dead_letter_list import DeadLetterFilter, content_of, export_dead_letters
from flywheel.ingest.dead_letter_repair import Repairs, read_repaired
from flywheel.ingest.deadletters import replay
from flywheel.ingest.labeled_file import read_labeled
from flywheel.workload.files import load_workload
from flywheel.workload.model import parse_workload
from tests.fakes.event_makers import START, make_event, make_feedback, make_workload
from tests.fakes.strategies import any_text, json_values, raw_bytes, spoiled_mappings
from tests.unit.ingest.conftest import Plane

_WORKLOAD = make_workload()
_CONTRACT = EventContract([_WORKLOAD])
_INFERENCE = json.loads(encode(make_event(1, _WORKLOAD)))
_FEEDBACK = json.loads(encode(make_feedback(1, _WORKLOAD)))
_TASK = {
    "type": "extraction",
    "label_field": "category",
    "schema": {
        "type": "object",
        "properties": {
            "category": {"type": "string"},
            "count": {"type": "integer"},
            "urgent": {"type": "boolean"},
            "items": {"type": "array"},
        },
    },
}


def _refusal_of(read):
    try:
        read()
    except FlywheelError as error:
        return error.message
    return None


def _values(event):
    return raw_bytes | spoiled_mappings(event).map(lambda one: json.dumps(one).encode())


@given(value=_values(_INFERENCE))
def test_any_value_of_the_inferences_topic_is_a_row_or_a_rejection(value):
    """The good event beside it is always a row."""
    decoded = decode_inferences([encode(make_event(2, _WORKLOAD)), value], _CONTRACT)
    columns = inference_columns(decoded, _CONTRACT, AnswerTexts())
    assert sorted([*decoded.indices, *(one.index for one in decoded.rejections)]) == [0, 1]
    assert 0 in decoded.indices
    assert {len(values) for values in columns.values()} == {len(decoded.indices)}
    assert all(one.reason and one.error for one in decoded.rejections)


@given(
    value=_values(_FEEDBACK), kind=st.sampled_from(("boolean", "float", "comment", "demonstration"))
)
def test_any_feedback_is_a_row_or_a_rejection(value, kind):
    """The door of feedback lets in what fits its kind and refuses the rest by name."""
    good = encode(make_feedback(2, _WORKLOAD))
    value = value.replace(b'"boolean"', json.dumps(kind).encode())
    decoded = decode_feedback([good, value], _CONTRACT)
    columns = feedback_columns(decoded, AnswerTexts())
    assert sorted([*decoded.indices, *(one.index for one in decoded.rejections)]) == [0, 1]
    assert 0 in decoded.indices
    assert {len(values) for values in columns.values()} == {len(decoded.indices)}
    assert all(one.reason and one.error for one in decoded.rejections)


@settings(max_examples=60)
@given(value=_values(_INFERENCE), repair=json_values)
def test_any_repair_of_a_dead_letter_is_decoded(value, repair):
    """A letter that a person repaired to any JSON is an event or a rejection again."""
    repairs = Repairs(
        {_WORKLOAD.id: _WORKLOAD},
        hash_key="",
        now=START,
        repaired={"a:0:0": json.dumps(repair).encode()},
    )
    for letter in ("a:0:0", "a:0:1"):
        decoded = decode_inferences([repairs(letter, value)], _CONTRACT)
        assert len(decoded.events) + len(decoded.rejections) == 1


@settings(max_examples=4)
@given(values=st.lists(_values(_INFERENCE), min_size=1, max_size=20))
def test_an_exported_file_is_replayed_as_it_is(tmp_path_factory, values):
    """Export, read, replay: the same bytes for every letter, and the ledger balances."""
    plane = Plane(tmp_path_factory.mktemp("plane"))
    plane.spoil(*values)
    plane.ingest().run_once()
    path = plane.home / "letters.jsonl"
    count = export_dead_letters(plane.lake, DeadLetterFilter(), path)
    repaired = read_repaired(path) if count else {}
    assert len(repaired) == count
    repairs = Repairs({_WORKLOAD.id: _WORKLOAD}, hash_key="", now=START, repaired=repaired)
    report = replay(plane.lake, _CONTRACT, now=START, repair=repairs)
    assert report.landed.total() + report.still_dead.total() == count
    assert report.landed.total() == 0
    assert plane.prove().balances
    rows = plane.lake.rows("SELECT raw FROM stored.dead_letters")
    assert {content_of(row["raw"]) for row in rows} <= set(values)
    plane.log.close()
    plane.lake.close()


@given(content=raw_bytes | _values({"id": "a:0:0", "record": {"a": 1}}))
def test_any_file_of_repaired_letters_is_read_or_refused(tmp_path_factory, content):
    """A file that is not as the export writes it is refused whole."""
    path = tmp_path_factory.mktemp("repaired") / "letters.jsonl"
    path.write_bytes(content)
    refusal = _refusal_of(lambda: read_repaired(path))
    assert refusal is None or path.name in refusal


@given(
    content=st.binary(max_size=80)
    | st.lists(
        st.lists(
            any_text | st.sampled_from(("leak", "7", "1e400", "yes", "[1]", '"', "")), max_size=6
        ).map(",".join),
        max_size=6,
    )
    .map("\n".join)
    .map(
        lambda text: ("text,category,count,urgent,items\n" + text).encode("utf-8", "surrogatepass")
    )
)
def test_any_bytes_as_labeled_file_are_read_or_refused(tmp_path_factory, content):
    """Rows are read or named with their line; a file that cannot be read says why."""
    path = tmp_path_factory.mktemp("labeled") / "a.csv"
    path.write_bytes(content)
    workload = make_workload(task=_TASK)

    def read():
        table = read_labeled(path, workload, text="text", label="category", fields={})
        assert all(problem.line > 0 and problem.message for problem in table.problems)
        for row in table.rows:
            json.dumps(row.output, allow_nan=False)

    refusal = _refusal_of(read)
    assert refusal is None or path.name in refusal


@settings(max_examples=200)
@given(raw=spoiled_mappings(_WORKLOAD.model_dump(mode="json", by_alias=True)))
def test_any_mapping_as_workload_is_read_or_refused_by_key(raw):
    """A workload that does not load says which key is wrong."""
    refusal = _refusal_of(lambda: parse_workload(raw, source="a.yaml"))
    assert refusal is None or re.match(r"a\.yaml is not a valid workload:\n  [^:]+: ", refusal)


@settings(max_examples=60)
@given(
    content=raw_bytes
    | json_values.map(
        lambda raw: yaml.safe_dump(raw, allow_unicode=True).encode("utf-8", "surrogatepass")
    )
)
def test_any_bytes_as_workload_file_are_refused(tmp_path_factory, content):
    """What is no workload is refused with the name of the file."""
    path = tmp_path_factory.mktemp("workloads") / "a.yaml"
    path.write_bytes(content)
    refusal = _refusal_of(lambda: load_workload(path))
    assert refusal is None or "a.yaml" in refusal
