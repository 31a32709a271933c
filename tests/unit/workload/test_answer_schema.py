"""What of JSON Schema a workload may use: the rest is refused with its path."""

import pytest
import yaml

from flywheel.deployment.workload_text import workload_text
from flywheel.errors import ConfigurationError
from flywheel.workload.answer_schema import unsupported
from flywheel.workload.files import load_workload
from tests.fakes.invoices import SCHEMA, invoices


def schema_of(**properties):
    """Return an object schema with these properties."""
    return {"type": "object", "properties": properties}


@pytest.mark.parametrize(
    "schema",
    [
        SCHEMA,
        schema_of(po={"type": ["string", "null"], "title": "Order", "examples": ["PO1"]}),
        schema_of(kind={"enum": ["a", 2, None]}, fixed={"const": "x"}, any={}),
        schema_of(tags={"type": "array", "items": {"type": "string"}, "maxItems": 3}),
        schema_of(place=schema_of(street={"type": "string"})),
        schema_of(code={"type": "string", "pattern": "^A-[0-9]+$", "minLength": 3}),
        {"$schema": "https://json-schema.org/draft/2020-12/schema", **SCHEMA},
    ],
)
def test_what_is_supported_is_taken(schema):
    """Nested lists and groups, optional and empty values, formats, bounds and notes."""
    assert unsupported(schema) == []


@pytest.mark.parametrize(
    ("schema", "path", "words"),
    [
        (schema_of(a={"anyOf": [{"type": "string"}]}), "properties.a.anyOf", "[string, 'null']"),
        (schema_of(a={"$ref": "#/x"}), "properties.a.$ref", "in its place"),
        (schema_of(a={"type": "string", "format": "iban"}), "properties.a.format", "date-time"),
        (
            schema_of(a={"type": "array", "items": {"type": "string"}, "uniqueItems": True}),
            "properties.a.uniqueItems",
            "leave it out",
        ),
        (
            schema_of(a={"type": "array", "items": schema_of(b={"not": {}})}),
            "properties.a.items.properties.b.not",
            "not supported",
        ),
        (schema_of(a={"type": "string", "minimum": 1}), "properties.a.minimum", "type string"),
        (schema_of(a={"type": ["string", "number"]}), "properties.a.type", "several types"),
        (schema_of(a=True), "properties.a", "name a type"),
        ({**schema_of(a={}), "additionalProperties": True}, "additionalProperties", "write false"),
        ({**schema_of(a={}), "required": ["b"]}, "required", "'b'"),
        (schema_of(a={"type": "string", "pattern": "^(?=a)b"}), "properties.a.pattern", "look"),
    ],
)
def test_the_rest_is_named_by_its_path(schema, path, words):
    """The line says where it stands and what to write instead."""
    (line,) = unsupported(schema)
    assert line.startswith(f"task.schema.{path}: ")
    assert words in line


def test_a_file_with_an_unsupported_key_does_not_load(tmp_path):
    """All of them are named at once, with the file; a snapshot of an old cycle still reads."""
    raw = yaml.safe_load(workload_text("bills", owner="me", task="extraction"))
    raw["task"]["schema"]["properties"] |= {
        "total": {"oneOf": [{"type": "number"}, {"type": "null"}]},
        "lines": {"type": "array", "contains": {"type": "string"}},
    }
    path = tmp_path / "bills.yaml"
    path.write_text(yaml.safe_dump(raw))
    with pytest.raises(ConfigurationError) as caught:
        load_workload(path)
    for part in ("bills.yaml", "properties.total.oneOf", "properties.lines.contains"):
        assert part in caught.value.message


def test_the_mask_takes_every_supported_format_and_key():
    """What loads can be served: llguidance makes a grammar of it."""
    from llguidance import LLMatcher

    from flywheel.workload.answer_values import FORMATS
    from flywheel.workload.answers import AnswerCodec

    properties = {name.replace("-", "_"): {"type": "string", "format": name} for name in FORMATS}
    properties |= {
        "tags": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 3},
        "size": {"type": "integer", "exclusiveMinimum": 0, "maximum": 9, "multipleOf": 3},
        "code": {"type": "string", "pattern": "^A-[0-9]+$", "maxLength": 9},
        "po": {"type": ["string", "null"]},
        "items": SCHEMA["properties"]["line_items"],
    }
    workload = invoices(task={"type": "extraction", "schema": schema_of(**properties)})
    assert unsupported(workload.task.json_schema) == []
    grammar = LLMatcher.grammar_from_json_schema(AnswerCodec(workload, {}).schema)
    assert LLMatcher.validate_grammar(grammar) == ""
