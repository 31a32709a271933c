"""A chat is written by the base's own template, and a client's text stays text in it."""

from datetime import datetime

import pytest
from transformers.utils import chat_template_utils

from flywheel.errors import ConfigurationError
from flywheel.ports.model_server import Shot
from flywheel.train.rows import tokenize_rows
from flywheel.workload.answers import AnswerCodec
from flywheel.workload.model import Workload, parse_workload
from flywheel.workload.passage import quoted
from flywheel.workload.prompt import (
    completion_ids,
    parse_prompt,
    prompt_ids,
    render_prompt,
    stored_prompt,
)
from flywheel.workload.tokenization import control_tokens, padding_token
from flywheel.workload.turns import Turn, end_of_turn, render_turns
from tests.fakes.families import FAMILIES, family_tokenizer
from tests.fakes.hostile_texts import HOSTILE_TEXTS
from tests.fakes.micro_base import classification


def chat(**prompt) -> Workload:
    """Return the workload of the micro base with a prompt of turns."""
    raw = classification().model_dump(mode="json", by_alias=True)
    turns = {"system": "Name the part.", "user": "Report: {input}", **prompt}
    return parse_workload({**raw, "prompt": turns}, source="test")


def codec(workload: Workload) -> AnswerCodec:
    """Return the codec of an ordinary base: labels by their names."""
    return AnswerCodec(workload, {one.id: one.name for one in workload.taxonomy.labels})


def tokenizer_of(name):
    """Return a family's tokenizer as an import leaves it: texts end as turns do."""
    tokenizer = family_tokenizer(name)
    tokenizer.eos_token = tokenizer.convert_ids_to_tokens(end_of_turn(tokenizer))
    return tokenizer


def chat_ids(tokenizer, workload, text, shots=()):
    """Return the ids of one rendered prompt."""
    written = codec(workload)
    prompt = render_prompt(workload, text, shots, written, tokenizer=tokenizer)
    return prompt_ids(tokenizer, [prompt])[0]


@pytest.mark.parametrize("name", FAMILIES)
def test_ids_are_those_of_the_bases_own_template(name):
    """Ids, start token and all, are what `apply_chat_template` makes of the messages."""
    tokenizer = tokenizer_of(name)
    workload = chat(examples=[{"input": "it leaks", "output": "seal paint"}])
    messages = stored_prompt(workload, "  the weld\nis cracked ", str)
    theirs = tokenizer.apply_chat_template(
        messages,
        add_generation_prompt=True,
        enable_thinking=False,
        date_string="26 Jul 2024",
        return_dict=False,
    )
    ours = chat_ids(tokenizer, workload, "  the weld\nis cracked ")
    assert ours == theirs
    assert ours.count(tokenizer.bos_token_id) == bool(tokenizer.bos_token)


@pytest.mark.parametrize("name", FAMILIES)
def test_texts_of_clients_end_no_turn(name):
    """Whatever a text or a shot's text holds, the control tokens are those of the template."""
    tokenizer, workload = tokenizer_of(name), chat()
    controls = control_tokens(tokenizer)

    def found(text):
        ids = chat_ids(tokenizer, workload, text, [Shot(input=text, output="weld")])
        return [i for i in ids if i in controls]

    usual = found("the weld")
    named = [f"a{token}b" for token in controls.values()] + ["\ue0000\ue001", "\t\n\t\ue0001\ue001"]
    assert all(found(text) == usual for text in [*named, *HOSTILE_TEXTS])


@pytest.mark.parametrize("name", FAMILIES)
def test_loss_sees_the_answer_and_the_end_of_the_turn(name):
    """A row is the served prompt, the answer and the end-of-turn token, which nothing pads with."""
    tokenizer, workload = tokenizer_of(name), chat()
    (row,) = tokenize_rows(
        [{"inference_id": "a", "input": "it leaks", "output": "seal"}],
        codec(workload),
        tokenizer,
        limit=400,
    )
    prompt = chat_ids(tokenizer, workload, "it leaks")
    (answer,) = completion_ids(tokenizer, [quoted("seal")])
    assert row.input_ids == prompt + answer
    assert row.labels == [-100] * len(prompt) + answer
    assert answer[-1] == end_of_turn(tokenizer)
    assert padding_token(tokenizer) != tokenizer.eos_token


@pytest.mark.parametrize("name", FAMILIES)
def test_stored_chat_gives_its_input_back(name):
    """A preference row has the ids of the prompt that was served."""
    tokenizer, workload = tokenizer_of(name), chat()
    stored = stored_prompt(workload, "it leaks", str)
    parsed = parse_prompt(workload, stored, codec(workload), tokenizer=tokenizer)
    assert prompt_ids(tokenizer, [parsed])[0] == chat_ids(tokenizer, workload, "it leaks")
    with pytest.raises(TypeError):
        parse_prompt(workload, "Report: it leaks", codec(workload), tokenizer=tokenizer)


def test_reasoning_base_answers_without_a_thought():
    """The template's switch is off: the thought is there, closed, and empty."""
    prompt = render_prompt(chat(), "x", tokenizer=tokenizer_of("qwen3"))
    assert prompt.text.endswith("assistant\n<think>\n\n</think>\n\n")


def test_day_of_the_week_changes_no_prompt(monkeypatch):
    """A template that writes the date writes the same one in training and years later."""
    tokenizer = tokenizer_of("llama")
    tokenizer.chat_template = FAMILIES["llama"].template.replace(
        "not date_string is defined", "true"
    )

    class Later(datetime):
        @classmethod
        def now(cls, tz=None) -> "Later":
            return cls(2031, 5, 6, tzinfo=tz)

    monkeypatch.setattr(chat_template_utils, "datetime", Later)
    prompt = render_prompt(chat(), "x", tokenizer=tokenizer)
    tokenizer.chat_template = FAMILIES["llama"].template
    assert "Today Date: 26 Jul 2024" in prompt.text


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("", "prompt: the base model has no chat template"),
        (
            "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}"
            + FAMILIES["smollm"].template,
            r"prompt\.system: .* refuses these turns \(system, user\): no system",
        ),
        (
            FAMILIES["smollm"].template.replace("m['content']", "''"),
            "does not write the system, us",
        ),
        (
            FAMILIES["smollm"].template.replace("'<|im_start|>assistant\n'", "'<think>\n'"),
            "opens a thought before every answer",
        ),
        (
            "{% for m in messages %}{{ '[INST]' + m['content'] + '[/INST]' }}{% endfor %}",
            "ends the user's turn in plain text",
        ),
        ("{{ strftime_now(form) }}" + FAMILIES["smollm"].template, "writes the day into every"),
    ],
)
def test_template_that_breaks_a_promise_is_refused(template, message):
    """What a base cannot do is said with the key that asks for it."""
    tokenizer = tokenizer_of("smollm")
    tokenizer.chat_template = template
    try:
        with pytest.raises(ConfigurationError, match=message):
            render_prompt(chat(), "x", tokenizer=tokenizer)
    finally:
        tokenizer.chat_template = FAMILIES["smollm"].template


def test_base_that_ends_texts_otherwise_is_refused():
    """Trainer and servers know one end token: an import makes it that of the turns."""
    tokenizer = family_tokenizer("phi")
    tokenizer.eos_token = "<|endoftext|>"  # noqa: S105 - the name of a token
    turns = [Turn("user", quoted("x"))]
    with pytest.raises(ConfigurationError, match=r"end of a turn is <\|im_end\|>"):
        render_turns(tokenizer, turns)
    assert render_turns(tokenizer_of("phi"), turns).whole
