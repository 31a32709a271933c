"""Answers as people type them: what is written is read back."""

import random

import pytest

from flywheel.workload.answer_text import read_line, read_lines, read_typed, write_line, write_lines
from tests.fakes.invoices import SCHEMA

LINES = SCHEMA["properties"]["line_items"]
ITEM = LINES["items"]
_PIECES = ["a", " | ", "|", "\\\\", '"', "null", "-", "{", "[", "\n", "é", " ", "true", "1", ""]


def test_every_line_is_read_back():
    """Whatever a text holds (separators, quotes, brackets, line breaks), it comes back."""
    rng = random.Random(4)  # noqa: S311 - reproducible
    for _ in range(2_000):
        words = ["".join(rng.choices(_PIECES, k=rng.randint(1, 4))).strip() for _ in range(2)]
        item = {"description": words[0], "quantity": rng.randint(-3, 3), "unit_price": 1.5}
        if rng.random() < 0.5:
            item["sku"] = words[1]
        if rng.random() < 0.1:
            del item["description"]
        line = write_line(ITEM, item)
        assert read_line(ITEM, line) == item, line
        items = [item] * rng.randint(0, 2)
        assert read_lines(LINES, write_lines(LINES, items)) == items
        texts = {"type": "array", "items": {"type": "string"}}
        assert read_lines(texts, write_lines(texts, words)) == words


@pytest.mark.parametrize(
    ("schema", "typed", "value"),
    [
        ({"type": "string"}, '"q"', "q"),
        ({"type": "string"}, 'Gasket "A"', 'Gasket "A"'),
        ({"type": ["string", "null"]}, "null", None),
        ({"type": ["string", "null"]}, '"null"', "null"),
        ({"type": "integer"}, "5.0", 5),
        ({"type": "integer"}, "+007", 7),
        ({"type": "integer"}, "1_000", "1_000"),
        ({"type": "integer"}, "\u0663", "\u0663"),
        ({"type": "number"}, "5.0", 5.0),
        ({"type": "number"}, ".5", 0.5),
        ({"type": "number"}, "1e400", "1e400"),
        ({"type": "number"}, "9" * 5000, "9" * 5000),
        ({"type": "number"}, "NaN", "NaN"),
        ({"type": ["number", "null"]}, "null", None),
        ({"type": "boolean"}, "Yes", True),
        ({"type": "boolean"}, "TRUE", True),
        ({"enum": [1, "a"]}, "1", 1),
        (ITEM, "a | 1 | 2 | b | c", "a | 1 | 2 | b | c"),
    ],
)
def test_typed_values(schema, typed, value):
    """The schema says what a text is; what it is not is left for the check to explain."""
    read = read_line if "properties" in schema else read_typed
    found = read(schema, typed)
    assert (found, type(found)) == (value, type(value))
