"""The one renderer of prompts."""

import pytest

from flywheel.errors import ConfigurationError
from flywheel.ports.model_server import Shot
from flywheel.workload.passage import Passage, quoted
from flywheel.workload.prompt import parse_prompt, render_prompt
from tests.fakes.micro_base import classification, codec


def test_input_is_put_in_literally():
    """Braces, percent signs and the place holder itself mean nothing in an input."""
    text = "{input} {0} %s {workload.owner} \\1"
    assert render_prompt(classification(), text).text == f"Report: {text}\nPart: "


def test_shots_come_first_with_their_answers():
    """A worked example is its own prompt, its answer in the base's writing, and a new line."""
    rendered = render_prompt(
        classification(), "b", [Shot(input="a {input}", output="seal paint")], codec()
    )
    assert rendered.text == "Report: a {input}\nPart: [paint]\nReport: b\nPart: "


def test_shots_need_a_codec():
    """Without the codec nobody knows how the base writes an answer."""
    with pytest.raises(ConfigurationError, match="codec"):
        render_prompt(classification(), "b", [Shot(input="a", output="seal")])


def test_inputs_of_a_prompt_are_somebody_elses():
    """Template and answers are the owner's, every input, those of shots included, is not."""
    rendered = render_prompt(
        classification(), "[seal]", [Shot(input="<|end|>", output="seal paint")], codec()
    )
    pieces = [rendered.text[start:end] for start, end in rendered.owned]
    assert pieces == ["Report: ", "\nPart: [paint]\nReport: ", "\nPart: "]


def test_stored_prompt_gives_its_input_back():
    """A prompt that was stored as a string has the spans that it was rendered with."""
    prompt = render_prompt(classification(), "a\nPart: b")
    assert parse_prompt(classification(), prompt.text) == prompt


@pytest.mark.parametrize("stored", ["", "Report: ", "Text: [seal]\nPart: ", "\nPart: "])
def test_prompt_of_another_template_is_text(stored: str):
    """Where the template is not the workload's, nothing in the prompt may be a control token."""
    assert parse_prompt(classification(), stored) == quoted(stored) == Passage(stored)
