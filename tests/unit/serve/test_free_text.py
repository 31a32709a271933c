"""Texts from the local server: the same as a plain loop, with probabilities per token."""

import math
import re

import pytest

from flywheel.serve.loading import load_model
from flywheel.serve.local_server import LocalModelServer
from flywheel.serve.margin import Step, mean_margin
from flywheel.serve.mask import AnswerMask
from flywheel.serve.vllm_requests import constraint_of
from flywheel.workload.answers import ANY_TEXT, AnswerCodec
from flywheel.workload.prompt import input_ids
from tests.fakes.micro_base import micro_base
from tests.fakes.replies import replies, ticket

LIMIT = 12


@pytest.fixture(scope="module")
def loaded():
    """The micro base in memory."""
    return load_model(micro_base().folder, "float32")


def codec_of(**task) -> AnswerCodec:
    """Return a codec for short texts."""
    workload = replies(task={"type": "generation", **task}, limits={"answer_tokens": LIMIT})
    return AnswerCodec(workload, {})


def plainly(loaded, mask, prompt):
    """Decode greedily with one full pass for each token; return tokens, end and chances."""
    import torch

    node, tokens, chances = mask.root, [], []
    while len(tokens) < LIMIT:
        with torch.inference_mode():
            logits = loaded.model(input_ids=torch.tensor([[*prompt, *tokens]])).logits[0, -1]
        allowed = torch.from_numpy(node.allowed)
        scores = torch.log_softmax(logits[allowed].double(), dim=0)
        best = int(scores.argmax())
        chances.append(float(scores[best]))
        token = int(node.allowed[best])
        if token == loaded.tokenizer.eos_token_id:
            return tokens, True, chances
        tokens.append(token)
        node = mask.after(node, token)
    return tokens, False, chances


def test_texts_are_those_of_a_plain_loop(loaded):
    """Batched steps give the same text, and confidence is the geometric mean of its tokens."""
    codec = codec_of()
    mask = AnswerMask(codec, loaded.ll_tokenizer, loaded.model.config.vocab_size)
    inputs = [ticket(1), "漏油 🛢️ <|end|>", ticket(22)]
    answers = LocalModelServer(micro_base().folder, precision="float32").answer(
        "base", codec, inputs
    )
    prompts = input_ids(loaded.tokenizer, codec, inputs, ())
    for prompt, answer in zip(prompts, answers, strict=True):
        tokens, complete, chances = plainly(loaded, mask, prompt)
        assert answer.text == loaded.tokenizer.decode(tokens, skip_special_tokens=True)
        mean = math.exp(math.fsum(chances) / len(chances))
        assert answer.confidence == pytest.approx(mean, abs=1e-4)
        assert (answer.error is None) == (complete and bool(answer.text.strip()))
        assert 0 <= answer.margin <= 1


def test_workloads_of_one_base_keep_a_pattern_each():
    """A server that answered under one pattern holds the next workload to its own."""
    server = LocalModelServer(micro_base().folder, precision="float32")
    for pattern in ("[a-z]{4}", "[0-9]{4}"):
        (answer,) = server.answer("base", codec_of(pattern=pattern), [ticket(1)])
        assert re.fullmatch(pattern, answer.text)


def test_a_text_is_cut_off_with_an_error_and_never_taken(loaded):
    """What reaches the limit is no answer."""
    del loaded
    server = LocalModelServer(micro_base().folder, precision="float32")
    [answer] = server.answer("base", codec_of(pattern="x{40}"), [ticket(1)])
    assert answer.output is None
    assert answer.error is not None
    assert "cut off" in answer.error


def test_a_pattern_holds_the_model_while_it_writes():
    """A workload whose rules have a grammar gets no other text."""
    server = LocalModelServer(micro_base().folder, precision="float32")
    [answer] = server.answer("base", codec_of(pattern=r"\[KB-[0-9]\]"), [ticket(1)])
    assert answer.output.startswith("[KB-")
    assert answer.error is None


def test_steps_of_texts_share_their_tokens(loaded):
    """Nearly all steps allow the same: they are kept once and decided together."""
    mask = AnswerMask(codec_of(), loaded.ll_tokenizer, loaded.model.config.vocab_size)
    word = int(loaded.tokenizer(" seal", add_special_tokens=False)["input_ids"][0])
    first = mask.after(mask.root, word)
    second = mask.after(first, word)
    assert first.group == second.group
    assert first.allowed is second.allowed
    assert loaded.tokenizer.eos_token_id in first.allowed
    assert loaded.tokenizer.eos_token_id not in mask.root.allowed


def test_vllm_gets_the_same_grammar():
    """The pattern of the mask is the one that vLLM is asked for."""
    assert constraint_of(codec_of()) == {"structured_outputs": {"regex": ANY_TEXT}}


def test_the_margin_of_a_text_is_the_mean_of_its_steps():
    """A sure and an undecided step are half sure."""
    sure, undecided = Step(0.0, -math.inf), Step(math.log(0.5), math.log(0.5))
    assert mean_margin([sure, undecided]) == pytest.approx(0.5)
    assert mean_margin([]) == 0
