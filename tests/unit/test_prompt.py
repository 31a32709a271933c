"""The one renderer of prompts."""

import pytest

from flywheel.errors import ConfigurationError
from flywheel.ports.model_server import Shot
from flywheel.prompt import render_prompt
from tests.fakes.micro_base import classification, codec


def test_input_is_put_in_literally():
    """Braces, percent signs and the place holder itself mean nothing in an input."""
    text = "{input} {0} %s {workload.owner} \\1"
    assert render_prompt(classification(), text) == f"Report: {text}\nPart: "


def test_shots_come_first_with_their_answers():
    """A worked example is its own prompt, its answer in the base's writing, and a new line."""
    rendered = render_prompt(
        classification(), "b", [Shot(input="a {input}", output="seal paint")], codec()
    )
    assert rendered == "Report: a {input}\nPart: [paint]\nReport: b\nPart: "


def test_shots_need_a_codec():
    """Without the codec nobody knows how the base writes an answer."""
    with pytest.raises(ConfigurationError, match="codec"):
        render_prompt(classification(), "b", [Shot(input="a", output="seal")])
