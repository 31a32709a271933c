"""The form that annotators fill in, made from the workload."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from flywheel.errors import ConfigurationError
from flywheel.review.label_studio.labeling_config import labeling_config
from flywheel.review.queues.answer_fields import answer_fields
from flywheel.review.queues.label_studio_format import annotation_from, result_of, task_of
from flywheel.workload.files import load_workload
from tests.fakes.invoices import invoice, invoices
from tests.fakes.review_items import review_item
from tests.fakes.review_world import END, classification, extraction

DEMO = Path(__file__).parents[3] / "deploy" / "workloads" / "defect_reports.yaml"


def typed(**properties):
    """Return an extraction with these properties."""
    schema = {"type": "object", "properties": properties}
    task = {"type": "extraction", "schema": schema}
    return extraction(task=task, taxonomy=None)


def labels(*names):
    """Return a classification with these label names."""
    listed = [{"id": f"l{number}", "name": name} for number, name in enumerate(names)]
    return classification(taxonomy={"version": 1, "labels": listed})


def parsed(workload):
    """Return the form as XML that was read back."""
    return ET.fromstring(labeling_config(workload))  # noqa: S314 - our own XML


def controls(workload):
    """Return the tags of the form that have a name, by it."""
    root = parsed(workload)
    return {tag.get("name"): tag for tag in root.iter() if tag.get("name")}


@pytest.mark.parametrize(
    "workload",
    [
        classification(),
        extraction(),
        invoices(),
        labels(*(f"label {number}" for number in range(77))),
        labels("<b>&amp;", 'quo"te', "it's"),
        typed(text={"type": "string"}, verdict={"type": "number"}, **{"größe (mm)": {"enum": [1]}}),
    ],
)
def test_label_studios_own_validator_takes_it(workload):
    """Every workload's form is one that Label Studio can show."""
    from label_studio_sdk.label_interface import LabelInterface

    interface = LabelInterface(labeling_config(workload))
    interface.validate()
    known = {field.control for field in answer_fields(workload)}
    assert known < {control.name for control in interface.controls}


def test_prefilled_answers_fit_the_form():
    """What a task prefills passes Label Studio's check of predictions."""
    from label_studio_sdk.label_interface import LabelInterface

    output = {"category": "oil fault", "urgency": "low", "count": 2, "stopped": True, "note": "n"}
    interface = LabelInterface(labeling_config(extraction()))
    (prediction,) = task_of(extraction(), review_item(extraction(), model_output=output))[
        "predictions"
    ]
    assert interface.validate_prediction(prediction, return_errors=True) == []
    assert len(prediction["result"]) == 5


def test_no_key_is_used_twice():
    """A key chooses one option of the whole form; the long list has letters of the names."""
    root = parsed(load_workload(DEMO))
    keys = {tag.get("value"): tag.get("hotkey") for tag in root.iter("Choice")}
    assert None not in keys.values()
    assert len(set(keys.values())) == len(keys)
    assert (keys["dent"], keys["crack"], keys["low"], keys["can't tell"]) == ("d", "c", "1", "9")
    assert "u" not in keys.values()


def test_a_long_list_has_a_filter():
    """From 16 labels on one can type a part of the name; three are read at a look."""
    many = parsed(labels(*(f"label {n}" for n in range(77))))
    (found,) = many.iter("Filter")
    assert found.get("toName") == "label"
    assert list(parsed(classification()).iter("Filter")) == []


def test_fields_are_typed_by_the_schema():
    """Numbers with their bounds, choices for enum and boolean, text for the rest."""
    workload = typed(
        size={"type": "integer", "minimum": 1, "maximum": 9},
        share={"type": "number"},
        grade={"enum": ["a", 2, None]},
        urgent={"type": "boolean"},
        note={"type": "string"},
        parts={"type": "array"},
    )
    found = controls(workload)
    size = found["size"]
    assert (size.tag, size.get("min"), size.get("max"), size.get("step")) == (
        "Number", "1", "9", "1",
    )  # fmt: skip
    assert found["share"].tag == "Number"
    assert [c.get("value") for c in found["grade"]] == ["a", "2", "null"]
    assert [c.get("value") for c in found["urgent"]] == ["true", "false"]
    assert (found["note"].tag, found["parts"].tag) == ("TextArea", "TextArea")


def test_names_of_the_form_itself_are_not_taken_away():
    """A property called like one of the form's own controls gets another one, and is read back."""
    workload = typed(text={"type": "string"}, why={"type": "integer"})
    answer = {"text": "t", "why": 4}
    raw = {
        "id": 1,
        "completed_by": {"email": "ann"},
        "created_at": END.isoformat(),
        "result": result_of(workload, answer),
    }
    assert len(controls(workload)) == 3 + 2 + 1
    assert annotation_from(workload, task_of(workload, review_item(workload)), raw).output == answer


def test_markup_in_names_stays_text():
    """A label that looks like a tag is one choice, letter by letter."""
    found = controls(labels("<b>bold</b>", "plain"))["label"]
    assert [choice.get("value") for choice in found] == ["<b>bold</b>", "plain"]


@pytest.mark.parametrize("name", ["bell\x07", "$price"])
def test_what_cannot_be_shown_is_refused(name):
    """A name that Label Studio could not show is an error with its text."""
    with pytest.raises(ConfigurationError) as caught:
        labeling_config(labels(name, "plain"))
    assert repr(name) in str(caught.value)


@pytest.mark.parametrize("slice_", ["control", "gold"])
def test_what_measures_is_blind(slice_):
    """Neither the answer, its confidence, similar answers nor why it is asked are on such an item."""
    item = review_item(
        classification(), slice=slice_, reason="drawn at random", model_output="oil fault"
    )
    task = task_of(classification(), item, ["noise fault ← hums"])
    assert task["predictions"] == []
    assert task["data"]["why"] == "asked without a suggestion, to measure"
    assert "gold" not in str(task)
    assert "random" not in str(task)
    assert "fault" not in str(task)


def test_others_show_what_the_model_said():
    """Reason, answer, confidence and similar answers stand beside the input."""
    item = review_item(classification(), model_output="oil fault")
    data = task_of(classification(), item, ["noise fault ← hums"])["data"]
    assert data["why"] == "confidence 0.41 below 0.85\nthe model said oil fault (41% sure)"
    assert data["neighbors"] == "noise fault ← hums"


def test_an_answer_outside_the_form_is_told_but_not_prefilled():
    """A label that is gone, or a value of the wrong type, would break the import."""
    item = review_item(extraction(), model_output={"category": "gone", "urgency": "low"})
    task = task_of(extraction(), item)
    assert [region["from_name"] for region in task["predictions"][0]["result"]] == ["urgency"]
    assert "gone" in task["data"]["why"]


def read_back(workload, result):
    """Return the answer that a result of the form amounts to."""
    raw = {"id": 1, "completed_by": {"email": "ann"}, "created_at": END.isoformat()}
    task = task_of(workload, review_item(workload))
    return annotation_from(workload, task, raw | {"result": result})


@pytest.mark.parametrize("number", range(12))
def test_an_invoice_survives_the_form(number):
    """Line items, optional fields and a separator in a text come back as they were."""
    from label_studio_sdk.label_interface import LabelInterface

    workload, (_, answer) = invoices(), invoice(number)
    if number == 7:
        answer["line_items"] = []
    found = read_back(workload, result_of(workload, answer))
    assert (found.kind, found.output) == ("answer", answer)
    (prediction,) = task_of(workload, review_item(workload, model_output=answer))["predictions"]
    interface = LabelInterface(labeling_config(workload))
    assert interface.validate_prediction(prediction, return_errors=True) == []
    assert len(prediction["result"]) == len(answer)


def test_line_items_are_a_line_each():
    """The form says what a line holds, takes any number of them, and offers no new category."""
    found = controls(invoices())
    items = found["line_items"]
    assert (items.tag, items.get("maxSubmissions"), items.get("required")) == (
        "TextArea", None, "true",
    )  # fmt: skip
    assert "description | quantity | unit_price | [sku], then Enter" in items.get("placeholder")
    assert [choice.get("value") for choice in found["verdict"]] == ["can't tell"]
    headings = [tag.get("value") for tag in parsed(invoices()).iter("Header")]
    assert "date: a date as year-month-day, such as 2026-03-31" in headings
    assert "po number (may be left empty)" in headings


def test_pasted_lines_and_json_are_read():
    """A table pasted at once is as good as a line at a time; JSON of an older form still reads."""
    workload = invoices()
    lines = "Bolt | 2 | 0.5\nNut | 3 | 0.25 | S1"
    items = [
        {"description": "Bolt", "quantity": 2, "unit_price": 0.5},
        {"description": "Nut", "quantity": 3, "unit_price": 0.25, "sku": "S1"},
    ]
    for text in (lines, json.dumps(items)):
        region = {"from_name": "line_items", "type": "textarea", "value": {"text": [text]}}
        assert read_back(workload, [region]).output == {"line_items": items}


MANY = labels(*(f"label {number}" for number in range(4_000)))


def test_thousands_of_labels_are_a_list_to_search_in():
    """No button is drawn for each, and what is chosen comes back as the label."""
    from label_studio_sdk.label_interface import LabelInterface

    form = controls(MANY)
    assert form["label"].tag == "Taxonomy"
    assert len(form["label"]) == 4_000
    assert "label_filter" not in form
    assert form["label"].get("required") == "true"
    result = result_of(MANY, "label 2500")
    assert result[0]["value"] == {"taxonomy": [["label 2500"]]}
    found = read_back(MANY, result)
    assert (found.kind, found.output) == ("answer", "label 2500")
    (prediction,) = task_of(MANY, review_item(MANY, model_output="label 7"))["predictions"]
    interface = LabelInterface(labeling_config(MANY))
    assert interface.validate_prediction(prediction, return_errors=True) == []


@pytest.mark.parametrize(
    "paths", [[], [[]], [["label 1"], ["label 2"]], [["gone"]], "label 1", [[7]], {}]
)
def test_a_choice_in_a_list_that_is_no_label_cannot_be_read(paths):
    """Nothing, several, unknown ones and what is no path are set aside with a reason."""
    result = [{"from_name": "label", "type": "taxonomy", "value": {"taxonomy": paths}}]
    assert read_back(MANY, result).kind == ("answer" if paths == "label 1" else "unreadable")


def test_what_may_be_null_and_is_left_empty_is_null():
    """Strict schemas require every field and let it be null; an optional one stays absent."""
    kinds = {"order": {"type": ["string", "null"]}, "note": {"type": ["string", "null"]}}
    schema = {"type": "object", "required": ["order", "size"], "properties": kinds}
    schema["properties"]["size"] = {"type": "integer"}
    workload = extraction(task={"type": "extraction", "schema": schema}, taxonomy=None)
    answer = {"order": None, "size": 3}
    result = result_of(workload, answer)
    assert [region["from_name"] for region in result] == ["size"]
    assert read_back(workload, result).output == answer
    assert controls(workload)["order"].get("required") is None
