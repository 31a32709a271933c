"""Values of an answer: formats are enforced, mistakes explained, two spellings are one value."""

import pytest

from flywheel.errors import DataError
from flywheel.workload.answer_values import answer_validator, explain, read_json
from flywheel.workload.answers import AnswerCodec
from flywheel.workload.label_mapping import AnswerMapping
from tests.fakes.invoices import SCHEMA, invoice, invoices


def problem(schema, value):
    """Return what is wrong with a value, None where nothing is."""
    error = next(iter(answer_validator(schema).iter_errors(value)), None)
    return None if error is None else explain(error)


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("date", "2026-03-31", "2026-02-30"),
        ("date", "2026-03-31", "20260331"),
        ("time", "14:30:00+02:00", "14:30"),
        ("date-time", "2026-03-31T14:30:00Z", "2026-03-31 14:30"),
        ("email", "a@example.org", "a at example.org"),
        ("uuid", "123e4567-e89b-12d3-a456-426614174000", "123"),
        ("ipv4", "192.0.2.1", "192.0.2"),
        ("ipv6", "2001:db8::1", "2001"),
        ("uri", "https://example.org/a", "example.org/a b"),
    ],
)
def test_formats_are_enforced(name, good, bad):
    """A text that is none is an error that shows how one is written."""
    schema = {"type": "string", "format": name}
    assert problem(schema, good) is None
    assert "such as" in problem(schema, bad)


@pytest.mark.parametrize(
    ("schema", "value", "words"),
    [
        ({"type": "string", "format": "date"}, "31.12.2026", "write 2026-12-31"),
        ({"type": "number"}, "1.159,08", "write 1159.08"),
        ({"type": "number"}, "1,159.08 €", "write 1159.08"),
        ({"type": "number"}, "about ten", "decimal point"),
        ({"type": "integer"}, 3.5, "3.5 is not a whole number"),
        ({"enum": ["EUR", "USD"]}, "GBP", "'GBP' is not one of: 'EUR', 'USD'"),
        (SCHEMA, {}, "missing: vendor, number, date"),
        ({"properties": {"a": {}}, "additionalProperties": False}, {"b": 1}, "not a field"),
        (
            {"properties": {"l": {"items": {"properties": {"q": {"type": "integer"}}}}}},
            {"l": [{"q": 1}, {"q": "two"}]},
            "l[2].q: 'two' is not a whole number",
        ),
    ],
)
def test_mistakes_are_explained(schema, value, words):
    """The place, the value and what to write."""
    assert words in problem(schema, value)


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", "1e400", '{"a": -1e999}'])
def test_what_json_cannot_hold_is_refused(text):
    """A number that no file can hold again is none."""
    with pytest.raises(ValueError, match="not a JSON number"):
        read_json(text)


def test_two_spellings_of_one_invoice_are_one_answer():
    """Key order and 5.0 for 5 make no dispute, at any depth."""
    mapping = AnswerMapping(invoices())
    _, answer = invoice(2)
    other = dict(reversed(answer.items())) | {
        "line_items": [
            {**dict(reversed(item.items())), "quantity": float(item["quantity"])}
            for item in answer["line_items"]
        ]
    }
    assert mapping.key(answer) == mapping.key(other)
    changed = answer | {"line_items": answer["line_items"][::-1]}
    assert mapping.key(answer) != mapping.key(changed)


def test_a_training_row_is_written_as_the_mask_allows():
    """Keys of every object in the schema's order, integers without a point; it reads back."""
    codec = AnswerCodec(invoices(), {})
    _, answer = invoice(5)
    jumbled = answer | {
        "line_items": [
            {**dict(reversed(item.items())), "quantity": float(item["quantity"])}
            for item in answer["line_items"]
        ]
    }
    text = codec.encode(jumbled)
    assert text == codec.encode(answer)
    assert list(codec.decode(text)) == [name for name in SCHEMA["properties"] if name in answer]
    assert '"line_items":[{"description":"Bearings","quantity":16,"unit_price":' in text
    nested = codec.schema["properties"]["line_items"]["items"]
    assert nested["additionalProperties"] is False


def test_an_answer_with_a_wrong_date_breaks_the_schema():
    """The format counts for models as for people."""
    _, answer = invoice(5)
    codec = AnswerCodec(invoices(), {})
    with pytest.raises(DataError, match="date: '2026-13-01' is not a date"):
        codec.decode(codec.encode(answer | {"date": "2026-13-01"}))


def test_the_mask_lets_every_training_answer_through():
    """What is trained on is what may be answered, byte for byte, to the end."""
    from llguidance import LLMatcher, LLTokenizer

    from flywheel.serve.mask import grammar_of

    codec = AnswerCodec(invoices(), {})
    grammar, tokenizer = grammar_of(codec), LLTokenizer("byte")
    for number in range(24):
        _, answer = invoice(number)
        jumbled = dict(reversed(answer.items()))
        jumbled["line_items"] = [dict(reversed(item.items())) for item in answer["line_items"]]
        jumbled["line_items"][0]["quantity"] = float(answer["line_items"][0]["quantity"])
        tokens = tokenizer.tokenize_str(codec.encode(jumbled))
        matcher = LLMatcher(tokenizer, grammar)
        assert matcher.try_consume_tokens(tokens) == len(tokens), codec.encode(jumbled)
        assert matcher.is_accepting()
