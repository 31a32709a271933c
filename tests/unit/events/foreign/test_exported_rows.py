"""Rows as the platforms themselves export them are read whole: text, id, time, person, figures."""

import json

import pytest

from flywheel.errors import EventError
from flywheel.events.foreign import find_subject, read_call, read_moment
from flywheel.events.foreign.json_text import dict_at, number_at, text_at
from tests.fakes.exported_rows import NOT_TAKEN, ROWS


@pytest.mark.parametrize("name", ROWS)
def test_an_exported_row_is_read_whole(name):
    """What the row says of the call is in the call, and nothing else is the answer."""
    row = ROWS[name]
    call = read_call(row.record)
    assert call.format == row.format
    asked = [text_of(one) for one in call.request["messages"] if one["role"] == "user"]
    assert len(asked) == 1
    assert "it hums" in asked[0]
    assert row.request.items() <= call.request.items()
    times = [value for value in call.times if value not in (None, "")]
    assert (read_moment(times[0])[0].isoformat()[:19] if times else "") == row.at
    assert (call.subject or find_subject(row.record, None)) == row.subject
    assert call.conversation_id == row.conversation
    assert call.client_id == row.client
    assert call.latency_ms == row.latency_ms


@pytest.mark.parametrize("name", ROWS)
def test_an_exported_answer_is_the_models(name):
    """The answer, its id and its tokens; a call that failed says why."""
    row = ROWS[name]
    call = read_call(row.record)
    assert call.error == row.error
    if row.answer is None:
        return
    message = call.response["choices"][0]["message"]
    texts = [text_of(message)] if message.get("content") else []
    texts += [one["function"]["arguments"] for one in message.get("tool_calls") or []]
    (text,) = texts
    said = json.loads(text)["label"] if text.startswith("{") else text
    assert said == row.answer
    assert text_at(call.response, "id") == row.identity
    usage = dict_at(call.response, "usage")
    tokens = number_at(usage, "prompt_tokens") or number_at(usage, "input_tokens")
    assert tokens == row.prompt_tokens


@pytest.mark.parametrize("name", NOT_TAKEN)
def test_a_row_that_is_no_call_is_named(name):
    """The reason names what it is, and the setting that hides its texts."""
    record, words = NOT_TAKEN[name]
    with pytest.raises(EventError, match=words):
        read_call(record)


def text_of(message):
    """Return the text of a message, of one part or plain."""
    content = message["content"]
    return content if isinstance(content, str) else "".join(part["text"] for part in content)
