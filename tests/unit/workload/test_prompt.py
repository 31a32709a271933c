"""The one renderer of prompts."""

import pytest

from flywheel.errors import ConfigurationError
from flywheel.ports.model_server import Shot
from flywheel.workload.chat_prompt import ChatPrompt
from flywheel.workload.model import parse_workload
from flywheel.workload.passage import Passage, quoted
from flywheel.workload.prompt import parse_prompt, prompt_ids, render_prompt
from tests.fakes.families import family_tokenizer
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


def test_plain_prompts_are_what_they_were():
    """A plain prompt has the form, the ids and the start token of the versions before chats."""
    tokenizer = family_tokenizer("llama")
    texts = ["it leaks", "", "{input}", "漏油"]
    prompts = [render_prompt(classification(), text) for text in texts]
    written = [f"Report: {text}\nPart: " for text in texts]
    assert prompt_ids(tokenizer, prompts) == tokenizer(written)["input_ids"]
    assert all(row[0] == tokenizer.bos_token_id for row in prompt_ids(tokenizer, prompts))
    # The digest of a file is taken of this form: a plain prompt has its own bytes in it.
    assert classification().model_dump(mode="json")["prompt"] == "Report: {input}\nPart: "


def test_a_chat_needs_the_bases_tokenizer():
    """Without it nobody knows how the base writes turns."""
    workload = classification().model_copy(update={"prompt": ChatPrompt()})
    with pytest.raises(ConfigurationError, match="tokenizer"):
        render_prompt(workload, "x")


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ({"user": "no slot"}, r"prompt\.user of a chat\): must contain \{input\} exactly once"),
        ({"style": "x"}, r"prompt\.style: unknown key; allowed here: examples, system, user"),
        ({"examples": [{"input": "x", "output": "rust"}]}, r"prompt\.examples\.0\.output: 'rust'"),
    ],
)
def test_a_wrong_chat_is_refused_by_its_key(prompt, message):
    """What is wrong in a file's turns is named."""
    raw = classification().model_dump(mode="json", by_alias=True)
    with pytest.raises(ConfigurationError, match=message):
        parse_workload({**raw, "prompt": prompt}, source="test")
