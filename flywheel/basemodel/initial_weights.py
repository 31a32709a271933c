"""First weights of the tiny base: a Llama whose last position starts as the mean of the words.

Word vectors of the input come from packaged static vectors. The first layer's attention starts
uniform with values passed through, so that every position holds the mean vector of what it has
read; a bag of words is a strong feature when labels are few. Pre-training and adapters start from
there. Attention weights, scales and signs are ordinary Llama parameters.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from flywheel.basemodel.vectors import Floats, WordVectors
from flywheel.io.compiler import without_compiler
from flywheel.workload.passage import Passage
from flywheel.workload.prompt import prompt_ids

__all__ = ["ANSWER_NORM", "Shape", "build_model", "round_to_nf4"]

ANSWER_NORM = 1.7
_SPARE_CHANNELS = 16
_CONSTANT = 2.0  # keeps the normalization from wiping out how much a word matters
_CONSTANT_READ = 10.0  # about what the last normalization makes of the constant
_MEAN_GAIN = 1.0
_QUIET = 0.02  # so that random layers do not talk over what the words say


@dataclass(frozen=True)
class Shape:
    """Measures of the network."""

    hidden: int
    layers: int
    heads: int
    intermediate: int
    positions: int


def build_model(
    tokenizer: Any,
    shape: Shape,
    *,
    prompts: Sequence[Passage],
    fixed: Passage,
    meanings: Mapping[str, str],
    words: WordVectors,
    seed: int,
) -> Any:
    """Build the untrained model.

    Args:
        tokenizer: its tokenizer, answer tokens included.
        shape: measures of the network.
        prompts: rendered prompts; they say which directions of the word vectors matter here.
        fixed: the prompt without an input; its tokens carry no meaning of their own.
        meanings: words that describe each answer token; empty for a spare one.
        words: the static vectors.
        seed: of the random weights.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=shape.hidden,
        intermediate_size=shape.intermediate,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads,
        max_position_embeddings=shape.positions,
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
    inputs, outputs = _token_vectors(tokenizer, shape.hidden, prompts, fixed, meanings, words, seed)
    with torch.no_grad():
        model.model.embed_tokens.weight.copy_(torch.from_numpy(inputs))
        model.lm_head.weight.copy_(torch.from_numpy(outputs))
        _average_in_first_layer(model, shape.hidden)
    return model


def round_to_nf4(model: Any) -> None:
    """Round the linear layers to the NF4 grid.

    An adapter is trained on the NF4 base and served on the unrounded one: on this base the two
    are then the same weights.
    """
    import torch

    with without_compiler():
        from bitsandbytes.functional import dequantize_4bit, quantize_4bit

    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear) and name != "lm_head":
            rounded, state = quantize_4bit(module.weight.data, quant_type="nf4")
            module.weight.data.copy_(dequantize_4bit(rounded, state))


def _token_vectors(
    tokenizer: Any,
    hidden: int,
    prompts: Sequence[Passage],
    fixed: Passage,
    meanings: Mapping[str, str],
    words: WordVectors,
    seed: int,
) -> tuple[Floats, Floats]:
    random = np.random.default_rng(seed)
    size, width = len(tokenizer), min(hidden - _SPARE_CHANNELS, words.table.shape[1])
    raw = words.embed([tokenizer.decode([index]) for index in range(size)])
    answers = tokenizer.convert_tokens_to_ids(list(meanings))
    rows = prompt_ids(tokenizer, prompts)
    counts = np.bincount(np.concatenate([np.asarray(row) for row in rows]), minlength=size)
    (template,) = prompt_ids(tokenizer, [fixed])
    silent = sorted({*template, *answers} | set(np.flatnonzero(~raw.any(1))))
    seen, counts = counts, np.where(np.isin(np.arange(size), silent), 0, counts)
    center = (counts @ raw / max(counts.sum(), 1)).astype(np.float32)
    means = np.stack([raw[row].mean(axis=0) if row else center for row in rows]) - center
    axes = np.linalg.svd(means[:20_000], full_matrices=False)[2][:width].T
    scale = 1.0 / max(float(np.linalg.norm((raw - center)[counts > 0], axis=1).mean()), 1e-6)
    semantic = ((raw - center) @ axes * scale).astype(np.float32)
    semantic[silent] = 0

    inputs = np.zeros((size, hidden), np.float32)
    inputs[:, : semantic.shape[1]] = semantic
    inputs[answers, :] = random.normal(0, 0.05, (len(answers), hidden))
    inputs[:, hidden - 1] = _CONSTANT

    outputs = random.normal(0, 0.02, (size, hidden)).astype(np.float32)
    outputs[:, : semantic.shape[1]] += 0.5 * semantic
    outputs[:, hidden - 1] = np.log((seen + 0.5) / seen.sum()) / _CONSTANT_READ
    outputs[answers] = _answer_rows(meanings, words, axes, hidden, random)
    return inputs, outputs


def _answer_rows(
    meanings: Mapping[str, str], words: WordVectors, axes: Floats, hidden: int, random: Any
) -> Floats:
    # The orthogonal rows that lie nearest to the vectors of the answers' own words (Löwdin's
    # symmetric orthogonalisation); a spare answer starts from a random direction.
    raw = words.embed(list(meanings.values()))
    has_vector = raw.any(axis=1)
    rows = random.normal(0, 1, (len(meanings), hidden))
    rows[:, hidden - 1] = 0  # how frequent an answer is, is not for the base to say
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    if has_vector.any():
        projected = (raw[has_vector] - raw[has_vector].mean(axis=0)) @ axes
        norms = np.maximum(np.linalg.norm(projected, axis=1, keepdims=True), 1e-6)
        rows[has_vector] *= 0.05
        rows[np.flatnonzero(has_vector), : axes.shape[1]] += projected / norms
    if len(rows) <= hidden:
        left, _, right = np.linalg.svd(rows, full_matrices=False)
        rows = left @ right
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(ANSWER_NORM * rows / norms, dtype=np.float32)


def _average_in_first_layer(model: Any, hidden: int) -> None:
    import torch

    attention = model.model.layers[0].self_attn
    attention.v_proj.weight.copy_(torch.eye(hidden))
    attention.o_proj.weight.copy_(_MEAN_GAIN * torch.eye(hidden))
    # Half of the constant channel is taken out again; what is left carries token frequencies.
    typical = _CONSTANT * (hidden / (1 + _CONSTANT**2)) ** 0.5
    attention.o_proj.weight[hidden - 1, hidden - 1] = -_CONSTANT / 2 / typical
    for number, layer in enumerate(model.model.layers):
        layer.mlp.down_proj.weight.mul_(_QUIET)
        if number > 0:
            layer.self_attn.o_proj.weight.mul_(_QUIET)
