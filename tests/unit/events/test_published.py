"""The published JSON Schema refuses what ingest refuses, and takes what it takes."""

import json

import pytest
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from flywheel.cli import schema as command
from flywheel.events import (
    EventContract,
    FeedbackEvent,
    decode_feedback,
    decode_inferences,
    encode,
)
from flywheel.events.columns import AnswerTexts, feedback_columns, inference_columns
from flywheel.events.published import published_schema
from tests.fakes.event_makers import make_event, make_feedback, make_workload

_WORKLOAD = make_workload()
_GONE = object()


def _inference(**changes):
    return _changed(make_event(1, _WORKLOAD), changes)


def _feedback(**changes):
    return _changed(make_feedback(1, _WORKLOAD), changes)


def _changed(event, changes):
    raw = json.loads(encode(event)) | changes
    return {key: value for key, value in raw.items() if value is not _GONE}


def _lands(name: str, event: object) -> bool:
    contract, values = EventContract([_WORKLOAD]), [json.dumps(event).encode()]
    if name == "feedback":
        feedback = decode_feedback(values, contract)
        feedback_columns(feedback, AnswerTexts())
        return not feedback.rejections
    decoded = decode_inferences(values, contract)
    inference_columns(decoded, contract, AnswerTexts())
    return not decoded.rejections


_GOOD = [
    ("inference", _inference()),
    ("inference", _inference(route=None, release=None, base_model=None, latency_ms=None)),
    ("inference", _inference(usage=None, confidence=None, response=None, error="timed out")),
    ("inference", _inference(margin=0.5)),
    ("inference", _inference(margin=_GONE)),
    ("inference", _inference(subject_id="s", trace_id="t", something_new={"a": 1})),
    ("inference", _inference(output={"any": ["json"]}, schema_version=1)),
    ("inference", _inference(schema_version=_GONE, confidence=_GONE, error=_GONE)),
    ("feedback", _feedback()),
    ("feedback", _feedback(kind="float", value=0.5)),
    ("feedback", _feedback(kind="float", value=1)),
    ("feedback", _feedback(kind="comment", value="too slow")),
    ("feedback", _feedback(kind="demonstration", value={"label": "leak"})),
]
_BAD = [
    ("inference", []),
    ("inference", _inference(inference_id="")),
    ("inference", _inference(inference_id="x" * 201)),
    ("inference", _inference(client_id=_GONE)),
    ("inference", _inference(request=_GONE)),
    ("inference", _inference(output=_GONE)),
    ("inference", _inference(schema_version=2)),
    ("inference", _inference(route="somewhere")),
    ("inference", _inference(confidence=1.5)),
    ("inference", _inference(margin=-0.1)),
    ("inference", _inference(latency_ms=-1)),
    ("inference", _inference(usage={"prompt_tokens": -1})),
    ("inference", _inference(workload_id=7)),
    ("inference", _inference(response=[])),
    ("inference", _inference(request={"messages": []})),
    ("inference", _inference(request={"messages": [{"role": "system", "content": "x"}]})),
    ("inference", _inference(request={"prompt": "x"})),
    ("feedback", _feedback(kind="stars")),
    ("feedback", _feedback(kind="boolean", value="yes")),
    ("feedback", _feedback(kind="float", value=True)),
    ("feedback", _feedback(kind="comment", value=None)),
    ("feedback", _feedback(author=_GONE)),
    ("feedback", _feedback(feedback_id=None)),
    ("feedback", _feedback(feedback_id="a\tb")),
    ("feedback", _feedback(kind="demonstration", value=None)),
    ("feedback", _feedback(kind="demonstration", value=12)),
    ("feedback", _feedback(kind="comment", value="x" * 10_001)),
    ("feedback", _feedback(author="")),
    ("feedback", _feedback(author="\u202eann")),
    ("inference", _inference(inference_id="a\x00b")),
]


@pytest.mark.parametrize(("name", "event"), _GOOD)
def test_what_lands_is_valid(name, event):
    """Every event that ingest takes passes the schema."""
    assert _lands(name, event)
    Draft202012Validator(published_schema(name)).validate(event)


@pytest.mark.parametrize(("name", "event"), _BAD)
def test_what_is_invalid_becomes_a_dead_letter(name, event):
    """What the schema refuses, ingest refuses as well."""
    assert not Draft202012Validator(published_schema(name)).is_valid(event)
    assert not _lands(name, event)


@pytest.mark.parametrize("name", ["inference", "feedback"])
def test_the_command_prints_a_schema_of_the_draft_it_names(name):
    """The output is valid by the draft's own schema, and names every field."""
    printed = CliRunner().invoke(command.app, [name], catch_exceptions=False)
    schema = json.loads(printed.stdout)
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    fields = FeedbackEvent.__struct_fields__ if name == "feedback" else _inference()
    assert set(schema["properties"]) == set(fields)


def test_another_event_is_refused():
    """The command names those it has."""
    assert CliRunner().invoke(command.app, ["heartbeat"]).exit_code == 2
