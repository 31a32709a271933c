"""The mask, and confidence under it, against a computation by brute force."""

import json
import math

import pytest

from flywheel.serve.decoding import decode_batch
from flywheel.serve.loading import LoadedModel, load_model
from flywheel.serve.local_server import LocalModelServer
from flywheel.serve.margin import margin_of
from flywheel.serve.mask import AnswerMask, MaskNode, grammar_of
from flywheel.serve.vllm_requests import constraint_of
from flywheel.workload.answers import AnswerCodec, assign_surfaces
from flywheel.workload.model import Workload, parse_workload
from flywheel.workload.prompt import completion_ids, render_prompt
from tests.fakes.micro_base import classification, codec, extraction, micro_base


@pytest.fixture(scope="module")
def loaded() -> LoadedModel:
    """The micro base in memory."""
    return load_model(micro_base().folder, "float32")


def named(workload: Workload) -> AnswerCodec:
    # As for a base without label tokens: names are written in several tokens, in several ways.
    return AnswerCodec(workload, assign_surfaces(workload, {}, ()))


def mask_of(loaded: LoadedModel, made: AnswerCodec) -> AnswerMask:
    return AnswerMask(made, loaded.ll_tokenizer, loaded.model.config.vocab_size)


def endings(
    loaded: LoadedModel, mask: AnswerMask, node: MaskNode, prompt: list[int]
) -> dict[tuple[int, ...], float]:
    # Walks every allowed path with a full pass of the model each, and no cache.
    import torch

    with torch.inference_mode():
        logits = loaded.model(input_ids=torch.tensor([[*prompt, *node.path]])).logits[0, -1]
    chances = torch.softmax(logits[torch.from_numpy(node.allowed)].double(), dim=0)
    found: dict[tuple[int, ...], float] = {}
    for token, chance in zip(node.allowed, chances, strict=True):
        if token == loaded.tokenizer.eos_token_id:
            found[node.path] = float(chance)
            continue
        rest = endings(loaded, mask, mask.after(node, int(token)), prompt)
        found |= {path: float(chance) * share for path, share in rest.items()}
    return found


@pytest.mark.parametrize("workload", [classification(), extraction()], ids=lambda w: w.id)
@pytest.mark.parametrize("text", ["the seal leaks", "urgent: weld cracked"])
def test_confidence_is_the_share_among_all_allowed_answers(
    loaded: LoadedModel, workload: Workload, text: str
):
    """The product of masked steps is the path's probability among all paths, which sum to one."""
    mask = mask_of(loaded, named(workload))
    prompt = loaded.tokenizer(render_prompt(workload, text).text)["input_ids"]
    every = endings(loaded, mask, mask.root, prompt)
    assert math.fsum(every.values()) == pytest.approx(1.0, abs=1e-9)
    (decoded,) = decode_batch(
        loaded.model, mask, [prompt], end=loaded.tokenizer.eos_token_id, limit=60
    )
    assert decoded.complete
    probability = math.exp(math.fsum(step.chosen for step in decoded.steps))
    assert probability == pytest.approx(every[tuple(decoded.tokens)], rel=1e-4)


def test_margin_is_exact_where_one_step_decides(loaded: LoadedModel):
    """With a token per label the margin is the two largest probabilities' difference."""
    mask = mask_of(loaded, codec())
    prompt = loaded.tokenizer(render_prompt(classification(), "the seal leaks").text)["input_ids"]
    first, second = sorted(endings(loaded, mask, mask.root, prompt).values())[:-3:-1]
    (answer,) = LocalModelServer(micro_base().folder).answer("base", codec(), ["the seal leaks"])
    assert answer.confidence == pytest.approx(first, rel=1e-4)
    assert answer.margin == pytest.approx(first - second, abs=1e-4)


@pytest.mark.parametrize("text", ["the seal leaks", "urgent: weld cracked"])
def test_margin_never_promises_more_than_there_is(loaded: LoadedModel, text: str):
    """Over labels of several tokens it is at most the answer's lead over every other answer."""
    made = named(classification())
    mask = mask_of(loaded, made)
    prompt = loaded.tokenizer(render_prompt(classification(), text).text)["input_ids"]
    every = endings(loaded, mask, mask.root, prompt)
    (decoded,) = decode_batch(
        loaded.model, mask, [prompt], end=loaded.tokenizer.eos_token_id, limit=60
    )
    best_other = max(chance for path, chance in every.items() if path != tuple(decoded.tokens))
    lead = every[tuple(decoded.tokens)] - best_other
    assert 0 <= margin_of(decoded.steps) <= max(0.0, lead) + 1e-6


def test_margin_of_an_extraction_is_that_of_its_least_sure_field(loaded: LoadedModel):
    """A field's margin is that of its values, given the fields before it."""
    raw = extraction().model_dump(mode="json", by_alias=True)
    workload = Workload.model_validate({**raw, "limits": {"answer_tokens": 60}})
    made = named(workload)
    mask = mask_of(loaded, made)
    prompt = loaded.tokenizer(render_prompt(workload, "the seal leaks").text)["input_ids"]
    by_value: dict[tuple[str, str], float] = {}
    for path, chance in endings(loaded, mask, mask.root, prompt).items():
        said = made.decode(loaded.tokenizer.decode(path))
        key = (said["part"], said["urgency"])
        by_value[key] = by_value.get(key, 0.0) + chance
    (answer,) = LocalModelServer(micro_base().folder).answer("base", made, ["the seal leaks"])
    part, other = answer.output["part"], {"low": "high", "high": "low"}
    total = by_value[part, "low"] + by_value[part, "high"]
    urgency = answer.output["urgency"]
    lead = (by_value[part, urgency] - by_value[part, other[urgency]]) / total
    assert answer.margin is not None
    assert 0 <= answer.margin <= max(0.0, lead) + 1e-4


def test_every_path_is_an_allowed_answer(loaded: LoadedModel):
    """What the mask allows to its end decodes to an answer of the schema, and to nothing else."""
    made = named(extraction())
    mask = mask_of(loaded, made)
    prompt = loaded.tokenizer("x")["input_ids"]
    texts = {loaded.tokenizer.decode(path) for path in endings(loaded, mask, mask.root, prompt)}
    outputs = [made.decode(text) for text in texts]
    assert len(outputs) == 6
    assert {made.encode(output) for output in outputs} == texts


def test_label_that_begins_another_may_end(loaded: LoadedModel):
    """Where one label is complete and another goes on, the end token is a choice."""
    mask = mask_of(loaded, named(classification()))
    ends = [
        path
        for path in endings(loaded, mask, mask.root, loaded.tokenizer("x")["input_ids"])
        if loaded.tokenizer.decode(path) == "seal"
    ]
    node = mask.root
    for token in ends[0]:
        node = mask.after(node, token)
    assert loaded.tokenizer.eos_token_id in node.allowed
    assert len(node.allowed) > 1


def test_label_token_is_one_choice(loaded: LoadedModel):
    """On the tiny base every label is one token that the mask allows at once."""
    made = codec()
    tokens = loaded.tokenizer.convert_tokens_to_ids(made.choices)
    assert set(tokens) <= set(mask_of(loaded, made).root.allowed.tolist())


def test_open_schema_is_answered_and_cut_off_where_it_does_not_end():
    """Free text is masked by the same library; an answer without an end has no output."""
    properties = {"part": {"type": "string"}, "note": {"type": "string"}}
    raw = extraction().model_dump(mode="json", by_alias=True)
    raw["task"]["schema"] = {"type": "object", "properties": properties, "required": ["note"]}
    workload = Workload.model_validate({**raw, "limits": {"answer_tokens": 12}})
    server = LocalModelServer(micro_base().folder)
    (answer,) = server.answer("base", named(workload), ["the seal leaks"])
    assert answer.completion_tokens <= 13
    assert (answer.output is None) == (answer.error is not None)


@pytest.mark.parametrize("workload", [classification(), extraction()], ids=lambda w: w.id)
def test_trained_tokens_are_those_that_the_mask_walks(workload: Workload):
    """Every answer's training ids are a path of the mask, and no choice on it is left untrained."""
    loaded = load_model(micro_base(workload).folder, "float32")
    made = codec(workload)
    mask = mask_of(loaded, made)
    names = workload.taxonomy.names
    outputs = (
        list(names)
        if workload.task.type == "classification"
        else [{"part": name, "urgency": value} for name in names for value in ("low", "high")]
    )
    for ids in completion_ids(loaded.tokenizer, [made.passage(output) for output in outputs]):
        node = mask.root
        for token in ids[:-1]:
            assert token in node.allowed
            node = mask.after(node, token)
        assert node.forced == ids[-1] == loaded.tokenizer.eos_token_id


def _with_labels(count: int) -> Workload:
    names = [f"seal {number:04d} (late) | cracked" for number in range(count)]
    labels = [{"id": f"l{number}", "name": name} for number, name in enumerate(names)]
    data = classification().model_dump(mode="json", by_alias=True)
    return parse_workload(data | {"taxonomy": {"version": 1, "labels": labels}}, source="test")


def _masks(loaded: LoadedModel, grammar: str, texts: list[str]) -> list[bytes]:
    # The mask at every token of every text, and at its end.
    from llguidance import LLMatcher
    from llguidance.numpy import allocate_token_bitmask, fill_next_token_bitmask

    masks = []
    for text in texts:
        matcher = LLMatcher(loaded.ll_tokenizer, grammar)
        for token in [*loaded.tokenizer(text, add_special_tokens=False)["input_ids"], None]:
            bits = allocate_token_bitmask(1, loaded.model.config.vocab_size)
            fill_next_token_bitmask(matcher, bits)
            masks.append(bits.tobytes())
            if token is not None:
                assert matcher.consume_token(token)
    return masks


def test_four_thousand_labels_have_a_mask(loaded: LoadedModel):
    """Locally and, by the regex that it is sent, in vLLM; the two are the same."""
    from llguidance import grammar_from

    made = named(_with_labels(4_000))
    texts = made.choices[::1_000]
    (kind, pattern), *others = constraint_of(made)["structured_outputs"].items()
    assert (kind, others) == ("regex", [])
    masks = _masks(loaded, grammar_of(made), texts)
    assert masks == _masks(loaded, grammar_from("regex", pattern), texts)
    mask = mask_of(loaded, made)
    node = mask.root
    for token in loaded.tokenizer(texts[-1], add_special_tokens=False)["input_ids"]:
        node = mask.after(node, token)
    assert list(node.allowed) == [loaded.tokenizer.eos_token_id]


def test_few_labels_have_the_mask_of_a_choice(loaded: LoadedModel):
    """What vLLM makes of a choice, token by token."""
    from llguidance import grammar_from

    made = named(_with_labels(300))
    choices = constraint_of(made)["structured_outputs"]["choice"]
    theirs = grammar_from("choice", json.dumps(choices))
    assert _masks(loaded, grammar_of(made), choices[::50]) == _masks(loaded, theirs, choices[::50])
