"""Training rows: checked, tokenized as served, never cut."""

import re
from pathlib import Path

import pytest

from flywheel.errors import DataError
from flywheel.train.rows import tokenize_pairs, tokenize_rows, training_rows
from flywheel.workload.answers import AnswerCodec
from flywheel.workload.model import parse_workload
from flywheel.workload.passage import owned
from flywheel.workload.prompt import completion_ids, prompt_ids, render_prompt
from flywheel.workload.tokenization import control_tokens
from tests.fakes.hostile_texts import HOSTILE_TEXTS
from tests.fakes.invoices import invoice, invoices
from tests.fakes.micro_base import classification, codec, micro_base, write_snapshot
from tests.fakes.replies import draft, replies, reply, ticket

ROWS = [{"inference_id": "a", "input": "the seal leaks", "output": "seal paint"}]


@pytest.fixture(scope="module")
def tokenizer():
    """The micro base's tokenizer."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(micro_base().folder)


def test_row_is_the_served_prompt_and_the_answer(tokenizer):
    """The ids before the answer are those that a server computes; the loss sees the answer."""
    (row,) = tokenize_rows(ROWS, codec(), tokenizer, limit=64)
    (prompt,) = prompt_ids(tokenizer, [render_prompt(classification(), "the seal leaks")])
    (answer,) = completion_ids(tokenizer, [owned("[paint]")])
    assert row.input_ids == prompt + answer
    assert row.labels == [-100] * len(prompt) + answer
    assert answer[-1] == tokenizer.eos_token_id
    assert len(answer) == 2


def test_long_rows_are_named_and_not_cut(tokenizer):
    """A row beyond the limit stops the run with its id."""
    rows = [*ROWS, {"inference_id": "long-one", "input": "leak " * 100, "output": "seal"}]
    with pytest.raises(DataError, match=r"1 training rows .* long-one"):
        tokenize_rows(rows, codec(), tokenizer, limit=64)


def test_answers_that_no_model_may_give_are_refused(tokenizer):
    """A server cuts an answer off at its limit: learning a longer one would be in vain."""
    text, answer = invoice(5)
    rows = [{"inference_id": "i5", "input": text, "output": answer}]
    short = AnswerCodec(invoices(limits={"answer_tokens": 20}), {})
    with pytest.raises(DataError, match=r"1 of 1 training answers .* 20 tokens .* of i5") as caught:
        tokenize_rows(rows, short, tokenizer, limit=4_000)
    needed = int(re.search(r"to (\d+) or more", caught.value.next_step)[1])
    enough = AnswerCodec(invoices(limits={"answer_tokens": needed}), {})
    assert len(tokenize_rows(rows, enough, tokenizer, limit=4_000)) == 1


@pytest.mark.parametrize(
    "row", [{"input": "x"}, {"output": "seal"}, {"input": None, "output": "rust"}, "text"]
)
def test_unusable_row_is_a_data_error(tokenizer, row: object):
    """A row without input and known label is never skipped silently."""
    with pytest.raises(DataError):
        tokenize_rows([row], codec(), tokenizer, limit=64)


def test_snapshot_is_read_when_its_hash_agrees(tmp_path: Path):
    """Rows come back as they were written."""
    digest = write_snapshot(tmp_path, ROWS)
    assert training_rows(tmp_path, digest) == ROWS


def test_snapshot_of_another_hash_is_refused(tmp_path: Path):
    """The spec's hash decides which rows are trained on."""
    write_snapshot(tmp_path, ROWS)
    with pytest.raises(DataError, match="not the one of the spec"):
        training_rows(tmp_path, "0" * 64)


def test_empty_and_missing_snapshots_are_refused(tmp_path: Path):
    """No rows and no folder are data errors."""
    with pytest.raises(DataError, match="no training rows"):
        training_rows(tmp_path, write_snapshot(tmp_path, []))
    with pytest.raises(DataError, match="not a dataset snapshot"):
        training_rows(tmp_path / "nowhere", "0")


def test_texts_of_clients_hold_no_control_token(tokenizer):
    """The only control tokens of a training row are its label and the end."""
    controls = control_tokens(tokenizer)
    (label,) = tokenizer.convert_tokens_to_ids(["[paint]"])
    rows = [{"input": text, "output": "seal paint"} for text in HOSTILE_TEXTS]
    for row in tokenize_rows(rows, codec(), tokenizer, limit=256):
        assert [i for i in row.input_ids if i in controls] == [label, tokenizer.eos_token_id]
    pairs = [
        {
            "prompt": render_prompt(classification(), text).text,
            "chosen": "seal paint",
            "rejected": "seal",
        }
        for text in HOSTILE_TEXTS
    ]
    for pair in tokenize_pairs(pairs, codec(), tokenizer, limit=256):
        assert controls.keys().isdisjoint(pair.prompt_ids)
        assert pair.chosen_ids == [label, tokenizer.eos_token_id]


def test_free_text_in_an_answer_holds_no_control_token(tokenizer):
    """A value that was copied from a text ends no answer and names no label."""
    raw = classification().model_dump(mode="json", by_alias=True)
    properties = {"part": {"type": "string"}, "note": {"type": "string"}}
    schema = {"type": "object", "properties": properties, "required": ["part", "note"]}
    task = {"type": "extraction", "schema": schema, "label_field": "part"}
    long = {**raw, "task": task, "limits": {"answer_tokens": 100}}
    noted = AnswerCodec(parse_workload(long, source="test"), codec().surfaces)
    rows = [
        {"input": "x", "output": {"part": "seal paint", "note": text}} for text in HOSTILE_TEXTS
    ]
    (label,) = tokenizer.convert_tokens_to_ids(["[paint]"])
    for row in tokenize_rows(rows, noted, tokenizer, limit=256):
        found = [i for i in row.input_ids if i in control_tokens(tokenizer)]
        assert found == [label, tokenizer.eos_token_id]


def test_texts_are_trained_on_as_they_are_answered(tokenizer):
    """A reply of several lines is the completion; nothing in it becomes a control token."""
    texts = AnswerCodec(replies(), {})
    hostile = HOSTILE_TEXTS[0]
    rows = [{"input": ticket(1), "output": reply(1)}, {"input": ticket(2), "output": hostile}]
    first, second = tokenize_rows(rows, texts, tokenizer, limit=512)
    answer = [label for label in first.labels if label != -100]
    assert tokenizer.decode(answer, skip_special_tokens=True) == reply(1)
    controls = control_tokens(tokenizer)
    assert [i for i in second.input_ids if i in controls] == [tokenizer.eos_token_id]
    pair = {
        "prompt": render_prompt(replies(), ticket(3)).text,
        "chosen": reply(3),
        "rejected": draft(3),
    }
    [sides] = tokenize_pairs([pair], texts, tokenizer, limit=512)
    assert sides.chosen_ids != sides.rejected_ids
