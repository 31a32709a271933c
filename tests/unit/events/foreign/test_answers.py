"""An answer is read where it is unambiguous; a refusal is no unreadable answer."""

import pytest

from flywheel.events.foreign import AnswerReader
from tests.fakes.event_makers import make_workload

_SCHEMA = {
    "type": "object",
    "required": ["category", "count"],
    "properties": {"category": {"type": "string"}, "count": {"type": "integer"}},
}
_JSON = '{"category": "Leak", "count": 3}'
_READ = {"category": "leak", "count": 3}


def _extraction():
    return make_workload(task={"type": "extraction", "label_field": "category", "schema": _SCHEMA})


def _said(message, **choice):
    return {"choices": [{"message": message, **choice}]}


@pytest.mark.parametrize(
    "content",
    [
        "leak", " Leak ", "LEAK.", '"leak"', "`leak`", '{"category": "Leak"}', '["leak"]',
        '```json\n{"label": "leak"}\n```', "```\nleak\n```", "<think>hm, oil?</think>\nleak",
        '{"category": "leak", "reason": "oil on the floor"}', "le\u200bak", "leak\u00a0",
    ],
)  # fmt: skip
def test_a_label_is_read_in_other_clothes(content):
    """Case, blanks, quotes, fences and JSON around one label."""
    answer = AnswerReader(make_workload()).read(_said({"content": content}), None)
    assert (answer.kind, answer.output) == ("parsed", "leak")


@pytest.mark.parametrize(
    "content",
    ["leak or crack", '{"a": "leak", "b": "crack"}', "Sure! It is a leak", "", "rust", "{"],
)
def test_what_is_ambiguous_is_not_guessed(content):
    """Two labels, a sentence, an unknown label: unparseable, and the report shows an example."""
    answer = AnswerReader(make_workload()).read(_said({"content": content}), None)
    assert (answer.kind, answer.output) == ("unparseable", None)
    assert answer.detail


@pytest.mark.parametrize(
    "message",
    [
        {"content": _JSON},
        {"content": f"```json\n{_JSON}\n```"},
        {"content": f"Here it is: {_JSON} Anything else?"},
        {"content": [{"type": "text", "text": _JSON}]},
        {"content": None, "tool_calls": [{"function": {"name": "f", "arguments": _JSON}}]},
        {
            "content": "",
            "tool_calls": [{"function": {"arguments": {"category": "LEAK", "count": 3}}}],
        },
        {"content": None, "function_call": {"name": "f", "arguments": _JSON}},
        {"content": [{"type": "tool_use", "input": {"category": "leak", "count": 3}}]},
        {"content": "I will call the tool", "tool_calls": [{"function": {"arguments": _JSON}}]},
    ],
)
def test_an_object_is_read_wherever_it_stands(message):
    """Content, parts, tool and function calls; the label becomes the taxonomy's."""
    answer = AnswerReader(_extraction()).read(_said(message), None)
    assert (answer.kind, answer.output) == ("parsed", _READ)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"category": "leak", "count": "3"}', "breaks the schema: count"),
        ('{"category": "rust", "count": 3}', 'category: "rust" is not a label'),
        ('{"category": "leak", "count": 1e400}', "not a JSON object"),
        ("[" * 5_000, "not a JSON object"),
    ],
)
def test_an_object_that_breaks_the_schema_is_no_answer(content, words):
    """The report says how."""
    answer = AnswerReader(_extraction()).read(_said({"content": content}), None)
    assert answer.kind == "unparseable"
    assert words in answer.detail


def test_refusals_failures_and_cut_answers_are_told_apart():
    """Whoever reads the report sees whether model, format or network is to blame."""
    reader = AnswerReader(make_workload())
    assert reader.read(_said({"content": None, "refusal": "I cannot"}), None).kind == "refused"
    part = [{"type": "refusal", "refusal": "No"}]
    assert reader.read(_said({"content": part}), None).detail == "No"
    filtered = _said({"content": None}, finish_reason="content_filter")
    assert reader.read(filtered, None).kind == "refused"
    assert reader.read(None, "timeout").detail == "timeout"
    cut = reader.read(_said({"content": "lea"}, finish_reason="length"), None)
    assert cut.detail == "'lea' is not a label (finish_reason length)"


def test_an_old_label_is_still_an_answer():
    """A former name is what the model said then."""
    assert AnswerReader(make_workload()).read(_said({"content": "Hum"}), None).output == "hum"
