"""Answers between their parsed form and a base model's text."""

import pytest

from flywheel.errors import ConfigurationError, DataError
from flywheel.workload.answers import AnswerCodec, assign_surfaces, canonical_json
from flywheel.workload.model import Workload
from tests.fakes.micro_base import classification, codec, extraction


def with_labels(*ids: str) -> Workload:
    labels = [{"id": name, "name": name} for name in ids]
    raw = classification().model_dump(mode="json", by_alias=True)
    return Workload.model_validate({**raw, "taxonomy": {"labels": labels}})


def test_ordinary_base_writes_names():
    """A base without label tokens writes a label by its name."""
    surfaces = assign_surfaces(classification(), {}, ())
    assert surfaces == {"seal": "seal", "paint": "seal paint", "weld": "weld"}


def test_late_labels_take_spare_surfaces_in_file_order():
    """Labels added since the build get the reserved surfaces; known ones keep theirs."""
    known = {"seal": "[seal]", "weld": "[weld]"}
    workload = with_labels("seal", "rust", "weld", "dent")
    assert assign_surfaces(workload, known, ("[label_0]", "[label_1]", "[label_2]")) == {
        **known,
        "rust": "[label_0]",
        "dent": "[label_1]",
    }


def test_more_late_labels_than_spares_are_refused():
    """A base that has no token left says that it must be built again."""
    with pytest.raises(ConfigurationError, match="1 spare"):
        assign_surfaces(with_labels("seal", "rust", "dent"), {"seal": "[seal]"}, ("[label_0]",))


def test_classification_goes_round():
    """A name is written as its surface and read back."""
    assert codec().encode("seal paint") == "[paint]"
    assert codec().decode("[paint]") == "seal paint"


def test_extraction_goes_round_in_schema_order():
    """Fields are written in the schema's order, compactly, with the label's surface."""
    workload = extraction()
    text = codec(workload).encode({"urgency": "high", "part": "seal"})
    assert text == '{"part":"[seal]","urgency":"high"}'
    assert codec(workload).decode(text) == {"part": "seal", "urgency": "high"}


@pytest.mark.parametrize(
    "text",
    ["[rust]", "", '{"part":"[seal]"}', '{"part":"[seal]","urgency":"soon"}', "[1,2", "null"],
)
def test_broken_answers_are_data_errors(text: str):
    """A text outside the schema is never an output."""
    with pytest.raises(DataError):
        codec(extraction()).decode(text)


def test_unknown_label_cannot_be_written():
    """An output with a label the taxonomy never had is refused."""
    with pytest.raises(DataError, match="rust"):
        codec().encode("rust")


def test_schema_is_closed():
    """The mask's schema allows no field beyond the stated ones."""
    made = AnswerCodec(extraction(), assign_surfaces(extraction(), {}, ())).schema
    assert made["additionalProperties"] is False
    assert made["properties"]["part"]["enum"] == ["seal", "seal paint", "weld"]


def test_canonical_json_refuses_what_json_has_not():
    """Not a number is no JSON, and text stays as it is."""
    assert canonical_json({"b": "ü", "a": 1}) == '{"b":"ü","a":1}'
    with pytest.raises(ValueError, match="JSON"):
        canonical_json(float("nan"))
