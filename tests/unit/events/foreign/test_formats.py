"""Every log format becomes a call; what a record lacks is named in its format's own words."""

import json

import pytest

from flywheel.errors import EventError
from flywheel.events.foreign import FORMATS, read_call
from tests.fakes.foreign_records import CHAT, COMPLETION, RECORDS, REQUEST

_TEXT = "it hums"


@pytest.mark.parametrize("name", RECORDS)
def test_each_format_is_recognized_and_read(name):
    """The question is the last user message, the answer the first choice's."""
    record, requests = RECORDS[name]
    call = read_call(record, requests=requests)
    assert call.format == name.split()[0]
    assert [one["content"] for one in call.request["messages"] if one["role"] == "user"] in (
        [_TEXT],
        [[{"type": "text", "text": _TEXT}]],
    )
    assert call.error is None
    message = call.response["choices"][0]["message"]
    said = message["content"] or message["tool_calls"][0]["function"]["arguments"]
    assert "noise" in json.dumps(said)
    if not name.startswith("chat"):
        assert any(call.times), "the record says when it was"


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ([], "a list is not a record"),
        ({}, "an empty object is of no format"),
        ({"request": REQUEST}, "a request without its response"),
        ({"request": {}, "response": COMPLETION}, "without messages, input and prompt"),
        ({"request": REQUEST, "response": 7}, "the response is a number"),
        ({"request": REQUEST, "response": [1]}, "neither of chunks nor of messages"),
        ({"request": REQUEST, "response": {"a": 1}}, "without choices, output and error"),
        ({"request": REQUEST, "response": '{"choices": ['}, "a string that holds no whole JSON"),
        (
            {"request": REQUEST, "response": {"object": "response", "status": "queued"}},
            "a Responses object without output .status queued.",
        ),
        ({"object": "response", "output": []}, "a Responses object without its input"),
        (COMPLETION, "a chat completion without its request"),
        ({"object": "chat.completion.chunk", "choices": []}, "a streamed chunk on a line"),
        ({"messages": CHAT["messages"][:2]}, "a chat without an answer"),
        ({"custom_id": "t-9", "response": {}}, "custom_id 't-9' is in no file of --requests"),
        ({"custom_id": "t-9", "body": REQUEST}, "the input of a batch"),
        ({"traceId": "t", "type": "SPAN", "input": "a", "output": "b"}, "of type SPAN"),
        ({"function_name": "f", "input": {}}, "TensorZero inference without input"),
        ({"info": {}, "data": {"spans": []}}, "an MLflow trace without a chat"),
    ],
)
def test_what_cannot_be_taken_is_named_for_what_it_is(record, words):
    """No reason speaks of keys that only our own events have."""
    with pytest.raises(EventError, match=words):
        read_call(record)


@pytest.mark.parametrize(
    ("response", "error"),
    [
        (None, "the response is null"),
        ({"choices": [None]}, "choices.0. is null"),
        ({"choices": []}, "no choices"),
        ({"choices": [{"message": None}]}, "the message of choices.0. is null"),
        ({"error": {"message": "Rate limit", "code": 429}}, "Rate limit"),
        ("", "an empty string"),
        ({"object": "response", "status": "failed", "output": None}, "the response is failed"),
        ({"status_code": 500, "body": {"error": {"type": "overloaded"}}}, "overloaded"),
    ],
)
def test_a_call_that_failed_says_why(response, error):
    """It is a call nevertheless."""
    call = read_call({"request": REQUEST, "response": response})
    assert call.error is not None
    with pytest.raises(AssertionError, match=error):
        raise AssertionError(call.error)


def test_a_format_may_be_named():
    """--format overrides the guess; NVIDIA's records are pairs."""
    assert set(FORMATS) >= {name.split()[0] for name in RECORDS}
    both = CHAT | {"input": "x", "output": "y", "traceId": "t"}
    assert read_call(both).format == "langfuse"
    assert read_call(both, format_name="chat").format == "chat"
    record = RECORDS["openai"][0]
    assert read_call(record, format_name="nvidia").request is record["request"]
